"""A folder that lasts no longer than its process."""

import subprocess
import sys
import tempfile

import pytest

from workers.scratch import Scratch


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """The machine's temporary folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_folder_is_its_owners_alone_and_goes_when_it_is_closed(place):
    scratch = Scratch()
    (scratch.folder / "file").touch()
    assert scratch.folder.parent == place
    assert scratch.folder.stat().st_mode & 0o777 == 0o700
    scratch.close()
    assert list(place.iterdir()) == []


def test_the_folder_of_a_process_that_was_killed_goes_when_the_next_one_begins_and_no_other(place):
    code = "from workers.scratch import Scratch; print(Scratch().folder, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", f"import tempfile; tempfile.tempdir = {str(place)!r}; {code}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        theirs = process.stdout.readline().strip()
        (place / "sweeps-checkpoints-file").touch()
        (place / "mine").mkdir()
        first = Scratch()
        assert {path.name for path in place.iterdir()} >= {theirs.rpartition("/")[2], first.folder.name}
        process.kill()
    second = Scratch()
    assert {each.name for each in place.iterdir()} == {
        "mine",
        "sweeps-checkpoints-file",
        first.folder.name,
        second.folder.name,
    }
    first.close()
    second.close()
