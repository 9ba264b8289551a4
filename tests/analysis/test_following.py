"""A report that follows a run, and one trial with what its curves say."""

import fcntl
import json
import shutil

import pytest

from analysis import following
from analysis.report import AGAIN, page
from analysis.telling import told, told_json
from sweeps.errors import UsageError
from sweeps.reading import Run


def test_a_run_is_held_as_long_as_a_driver_holds_its_lock(run, tmp_path):
    assert not following.held(tmp_path)
    with open(tmp_path / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert following.held(tmp_path)
    assert not following.held(tmp_path)
    assert not following.held(run)


def test_a_report_is_written_while_the_run_is_held_and_once_more_when_it_has_ended(run, tmp_path, monkeypatch):
    folder, seen = tmp_path / "x", []
    shutil.copytree(run, folder)
    lock = open(folder / ".lock", "w")  # noqa: SIM115 - let go of by the clock below
    fcntl.flock(lock, fcntl.LOCK_EX)

    def tick(seconds):
        assert seconds >= AGAIN
        seen.append((folder / "report.html").read_text())
        if len(seen) == 2:
            lock.close()

    monkeypatch.setattr(following.time, "sleep", tick)
    following.follow(folder)
    assert all(f'<body data-again="{AGAIN}">' in each for each in seen)
    assert len(seen) == 2
    assert (folder / "report.html").read_text() == page(folder)


def test_a_report_that_cannot_be_written_is_said_and_not_tried_for_ever(run, tmp_path, monkeypatch):
    folder = tmp_path / "x"
    shutil.copytree(run, folder)
    monkeypatch.setattr(following.time, "sleep", lambda seconds: None)
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="cannot be written"):
            following.follow(folder, tmp_path / "nowhere" / "report.html")


def test_a_diverged_trial_is_shown_with_its_finding_and_what_to_do(run, frames):
    number = frames.trials.query("stage == 'coarse' and status == 'stopped'")["trial"].iloc[0]
    lines = told(Run(run), f"coarse/{number}")
    assert lines[-2] == "its curves say:"
    assert lines[-1].startswith("  diverged (problem): ")
    found = json.loads(told_json(Run(run), f"coarse/{number}"))
    assert found["trial"] == number
    assert [each["finding"] for each in found["findings"]] == ["diverged"]


def test_a_trial_that_there_is_not_is_named(run):
    with pytest.raises(UsageError, match="coarse/999"):
        told(Run(run), "coarse/999")
