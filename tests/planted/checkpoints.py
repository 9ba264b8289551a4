"""Mistakes in checkpoints, and in what becomes of trials that go on."""

from planted.bug import Bug

CHECKPOINT = "tests/workers/test_checkpoint.py"
CONTINUE = "tests/sweeps/test_continue.py"
KEEPER = "tests/sweeps/test_keeper.py"
KILLS = "tests/sweeps/test_kills.py"
RESUME_SEARCH = "tests/sweeps/test_resume_search.py"
SIMULATION = "tests/simulation/test_simulation.py"

BUGS = (
    Bug(
        "rows of trials that went on are written when their flush is done already",
        "sweeps/store.py",
        '_TABLES = ("reports", "attempts", CONTINUED, "trials")',
        '_TABLES = ("reports", "attempts", "trials", CONTINUED)',
        SIMULATION,
    ),
    Bug(
        "a checkpoint takes its place before it is durable",
        "workers/checkpoint.py",
        "        sync_tree(new)\n",
        "",
        f"{CHECKPOINT}::test_a_commit_takes_its_place_when_it_is_durable_and_the_last_one_goes_when_its_name_is_too",
    ),
    Bug(
        "the last checkpoint goes before the name of the next one is durable",
        "workers/checkpoint.py",
        "        sync_folder(self.folder)\n",
        "",
        f"{CHECKPOINT}::test_a_commit_takes_its_place_when_it_is_durable_and_the_last_one_goes_when_its_name_is_too",
    ),
    Bug(
        "the last checkpoint goes before the next one is in its place",
        "workers/checkpoint.py",
        "        new.rename(self.folder / name)\n",
        "        for old in before:\n            _remove(old)\n        new.rename(self.folder / name)\n",
        f"{CHECKPOINT}::test_a_death_anywhere_in_a_commit_leaves_the_last_one_or_the_new_one",
    ),
    Bug(
        "a checkpoint takes its place before its reports are written",
        "workers/checkpoint.py",
        (
            '        (new / _REPORTS).write_text(f"{zlib.crc32(body.encode()):08x}\\n{body}", "utf-8")\n'
            '        self._put(new, f"{epoch:06d}")\n'
        ),
        (
            '        self._put(new, f"{epoch:06d}")\n'
            '        text = f"{zlib.crc32(body.encode()):08x}\\n{body}"\n'
            '        (self.folder / f"{epoch:06d}" / _REPORTS).write_text(text, "utf-8")\n'
        ),
        f"{CHECKPOINT}::test_a_death_anywhere_in_a_commit_leaves_the_last_one_or_the_new_one",
    ),
    Bug(
        "files of a checkpoint are not held against their digests",
        "workers/checkpoint.py",
        '        if told["files"] != _digests(commit / _FILES):\n',
        '        if not told["files"]:\n',
        CHECKPOINT,
    ),
    Bug(
        "reports of a checkpoint are not held against their checksum",
        "workers/checkpoint.py",
        "        if int(checksum, 16) != zlib.crc32(body.encode()):\n",
        "        if not int(checksum, 16):\n",
        CHECKPOINT,
    ),
    Bug(
        "files that have not changed count as those of a later epoch",
        "workers/checkpoint.py",
        "        if not self._look():\n            return\n",
        "        self._look()\n",
        CHECKPOINT
        + "::test_whatever_is_written_when_a_restart_finds_the_files_and_reports_of_the_yield_that_wrote_them",
    ),
    Bug(
        "the reports of the epoch of a checkpoint are not in it",
        "workers/checkpoint.py",
        '"reports": [dict(metrics) for metrics in reports]',
        '"reports": [dict(metrics) for metrics in reports[:-1]]',
        CHECKPOINT
        + "::test_whatever_is_written_when_a_restart_finds_the_files_and_reports_of_the_yield_that_wrote_them",
    ),
    Bug(
        "an older checkpoint from another machine takes the place of a newer one",
        "workers/checkpoint.py",
        "if not any(int(commit.name) >= int(name) and",
        "if not any(int(commit.name) == int(name) and",
        CHECKPOINT,
    ),
    Bug(
        "what a checkpoint carries is told again though it is stored",
        "workers/runner.py",
        "            if epoch > task.start:\n",
        "            if epoch:\n",
        f"{CONTINUE}::test_a_trial_that_goes_on_keeps_its_identity_its_one_row_and_its_reports",
    ),
    Bug(
        "what is trained again is told again though it is stored",
        "workers/runner.py",
        "            if epoch > start:  #",
        "            if epoch:  #",
        f"{CONTINUE}::test_with_and_without_checkpoints_the_results_are_the_same",
    ),
    Bug(
        "what a checkpoint carries and nobody has stored is not told",
        "workers/runner.py",
        "            self._repeat(task, saved)\n            if self._due",
        "            if self._due",
        f"{CONTINUE}::test_a_process_that_dies_costs_no_epoch_that_was_committed",
    ),
    Bug(
        "the keeper drops the best",
        "sweeps/keeper.py",
        "        for trial in sorted(self._scores, key=lambda trial: (self._scores[trial], trial))[count:]:\n",
        "        for trial in sorted(self._scores, key=lambda trial: (self._scores[trial], trial))[::-1][count:]:\n",
        KEEPER,
    ),
    Bug(
        "the keeper drops what may still go on",
        "sweeps/keeper.py",
        "            if trial not in open:\n",
        "            if trial in self._scores:\n",
        KEEPER,
    ),
    Bug(
        "a trial that went on and failed counts among the best",
        "sweeps/keeper.py",
        "        for trial, score in trials:\n            self._scores.pop(trial, None)\n",
        "        for trial, score in trials:\n",
        KEEPER,
    ),
    Bug(
        "trials that have ended keep their checkpoints in a search",
        "sweeps/driver.py",
        "            self._keeper.narrow(1, agenda.open)\n",
        "",
        f"{RESUME_SEARCH}::test_a_search_keeps_no_more_checkpoints_than_trials_that_may_go_on",
    ),
    Bug(
        "a stage drops the checkpoints that it goes on from",
        "sweeps/driver.py",
        "            self._keeper.release(goes_on)\n",
        "",
        f"{CONTINUE}::test_interrupted_again_and_again_no_epoch_is_trained_twice",
    ),
    Bug(
        "the row that a trial had before it went on stays beside its new one",
        "sweeps/tables.py",
        "        if len(replaced):\n",
        "        if len(replaced) < 0:\n",
        f"{CONTINUE}::test_a_trial_that_goes_on_keeps_its_identity_its_one_row_and_its_reports",
    ),
    Bug(
        "of a trial that went on twice the older row stays",
        "sweeps/tables.py",
        "    return table.take(column(len(trials) - 1 - backwards, pa.int64()))\n",
        "    return table.take(column(np.unique(trials, return_index=True)[1], pa.int64()))\n",
        f"{RESUME_SEARCH}::test_interrupted_again_and_again_it_ends_with_the_same_bytes",
    ),
    Bug(
        "rows of trials that went on stay without the rest of their flush",
        "sweeps/store.py",
        '        for table in ("reports", "attempts", CONTINUED):\n',
        '        for table in ("reports", "attempts"):\n',
        KILLS,
    ),
    Bug(
        "rows of trials that went on go before the file that has them is whole",
        "sweeps/store.py",
        "        self._with_room(lambda: write(ready, merged(files, schema, newer), schema, self.folder / _PENDING))\n",
        (
            "        rows = list(merged(files, schema, newer))\n"
            "        for path in newer:\n"
            "            os.unlink(path)\n"
            "        self._with_room(lambda: write(ready, rows, schema, self.folder / _PENDING))\n"
        ),
        KILLS,
    ),
    Bug(
        "who goes on is chosen anew by the next driver",
        "sweeps/driver.py",
        "        names = stored_names(store, number)\n",
        "        names = chosen_names(store, settings, number)\n",
        f"{CONTINUE}::test_interrupted_again_and_again_it_ends_with_the_same_bytes",
    ),
    Bug(
        "a trial that has gone on goes on again under the next driver",
        "sweeps/continuing.py",
        "        if not went_on:\n",
        "        if not went_on or before:\n",
        f"{CONTINUE}::test_interrupted_again_and_again_it_ends_with_the_same_bytes",
    ),
    Bug(
        "a stage whose trials went on stays as it was",
        "sweeps/driver.py",
        "            if not store.is_finished(born):\n",
        "            if not names:\n",
        f"{CONTINUE}::test_a_trial_that_goes_on_keeps_its_identity_its_one_row_and_its_reports",
    ),
    Bug(
        "attempts at a trial that goes on are counted from 1 again",
        "sweeps/schedule.py",
        'the next one has the next number."""\n        self._attempts[trial] = self._attempts.get(trial, 0) + 1\n',
        'the next one has the next number."""\n        self._attempts[trial] = self._attempts.get(trial, 0)\n',
        f"{RESUME_SEARCH}::test_a_search_looks_at_many_briefly_and_takes_few_further",
    ),
    Bug(
        "a search that goes on is told a piece of training twice",
        "sweeps/searching.py",
        "        self._pieces[job.id] += 1\n",
        "        self._pieces[job.id] = 1\n",
        f"{RESUME_SEARCH}::test_interrupted_again_and_again_it_ends_with_the_same_bytes",
    ),
    Bug(
        "a search that goes on is not told what was stopped",
        "sweeps/searching.py",
        "        if not completed and not past.over:\n",
        "        if not completed:\n",
        f"{RESUME_SEARCH}::test_interrupted_again_and_again_it_ends_with_the_same_bytes",
    ),
)
