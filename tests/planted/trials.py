"""Mistakes in what is known of trials while they run: attempts, reports, slots that die."""

from planted.bug import Bug

CONTINUE = "tests/sweeps/test_continue.py"
LEDGER = "tests/sweeps/test_ledger.py"
SCHEDULE = "tests/sweeps/test_schedule.py"
SIMULATION = "tests/simulation/test_simulation.py"

BUGS = (
    Bug(
        "attempts are counted from 1 again by the next driver",
        "sweeps/schedule.py",
        "        self._attempts = dict(attempts or {})",
        "        self._attempts: dict[int, int] = {}",
        SIMULATION,
    ),
    Bug(
        "an attempt that took too long counts twice",
        "sweeps/schedule.py",
        "            self._attempts[trial] = self._attempts.get(trial, 0) + 1\n        return final\n",
        "            self._attempts[trial] = self._attempts.get(trial, 0) + 2\n        return final\n",
        SIMULATION,
    ),
    Bug(
        "what is heard twice counts twice",
        "sweeps/schedule.py",
        "        if flight is None or part < flight.heard:\n",
        "        if flight is None:\n",
        SIMULATION,
    ),
    Bug(
        "what a dead batch says counts",
        "sweeps/schedule.py",
        "            del self._flights[number]\n        blamed = event.trial\n",
        "            self._flights[number].trials = self._flights[number].trials[:0]\n        blamed = event.trial\n",
        SIMULATION,
    ),
    Bug(
        "a trial has one try too few",
        "sweeps/schedule.py",
        "        if self._tries[trial] > self.retries:\n",
        "        if self._tries[trial] >= self.retries:\n",
        SCHEDULE,
    ),
    Bug(
        "a death is blamed on the first trial of the slot",
        "sweeps/schedule.py",
        "        blamed = event.trial\n        if blamed",
        "        blamed = left[0] if left else None\n        if blamed",
        SCHEDULE,
    ),
    Bug(
        "trials of a lost slot are forgotten",
        "sweeps/schedule.py",
        "        self._put_back(rest)\n        if event.blameless",
        "        if event.blameless",
        SCHEDULE,
    ),
    Bug(
        "reports of a lost attempt stay",
        "sweeps/stage.py",
        "        self._drop(loss.again)\n        for trial",
        "        for trial",
        SIMULATION,
    ),
    Bug(
        "reports of an attempt that took too long stay",
        "sweeps/ledger.py",
        "            self.drop(ends.trial[~final])\n",
        "",
        LEDGER,
    ),
    Bug(
        "reports are stored before their trial has ended",
        "sweeps/ledger.py",
        "        belongs = np.isin(everything.trial, trials)\n",
        "        belongs = np.ones(len(everything.trial), np.bool_)\n",
        SIMULATION,
    ),
    Bug(
        "a trial is trained on though a rule has stopped it before its commit",
        "workers/runner.py",
        "                    return Status.STOPPED, reason, None\n",
        "                    break\n",
        f"{CONTINUE}::test_a_trial_that_goes_wrong_further_on_keeps_what_it_had_and_goes_no_further",
    ),
)
