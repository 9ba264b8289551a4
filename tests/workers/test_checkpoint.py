"""What a trial has left for its continuation is what was there at one of its yields, whatever happens."""

import builtins
import contextlib
import io
import itertools
import math
import os
import pathlib
import shutil
import tempfile
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulation.disk import Died

from workers import checkpoint
from workers.checkpoint import Checkpoint, Saved

REPORTS = [{"loss": 1.0 / epoch} for epoch in range(1, 10)]
ONE, TWO = {"a": "1", "sub/b": "one"}, {"a": "2", "c": "two"}


@pytest.fixture
def root(tmp_path):
    return tmp_path / "checkpoints"


def opened(root, trial=17):
    """A checkpoint as a worker has it, and what it holds."""
    each = Checkpoint(root, trial)
    return each, each.restore()


def commit(each, epoch):
    each.commit(epoch, REPORTS[:epoch])


def files(folder):
    """What lies in a folder: texts by name, and where links lead to."""
    paths = {str(path.relative_to(folder)): path for path in folder.rglob("*")}
    return {
        name: f"-> {path.readlink()}" if path.is_symlink() else path.read_text()
        for name, path in paths.items()
        if path.is_symlink() or path.is_file()
    }


def write(folder, texts):
    """Make a folder hold texts by name, and nothing else."""
    shutil.rmtree(folder)
    folder.mkdir()
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


# --- what is restored


def test_a_trial_without_a_checkpoint_starts_at_epoch_0_with_an_empty_folder(root):
    each, saved = opened(root)
    assert saved == Saved(0, ())
    assert list(each.work.iterdir()) == []


def test_what_was_written_before_a_yield_is_there_again_and_what_came_after_is_not(root):
    each, _ = opened(root)
    write(each.work, {"state": "1", "deep/er/weights": "one"})
    commit(each, 1)
    write(each.work, {"state": "2", "half": "written"})
    again, saved = opened(root)
    assert saved == Saved(1, tuple(REPORTS[:1]))
    assert files(again.work) == {"state": "1", "deep/er/weights": "one"}


def test_writing_into_a_file_in_place_does_not_touch_what_was_committed(root):
    each, _ = opened(root)
    write(each.work, {"state": "1111"})
    commit(each, 1)
    with (each.work / "state").open("r+") as file:
        file.write("22")
    again, _ = opened(root)
    assert files(again.work) == {"state": "1111"}


def test_links_stay_links(root):
    each, _ = opened(root)
    write(each.work, {"epoch-1": "weights"})
    (each.work / "last").symlink_to("epoch-1")
    (each.work / "gone").symlink_to("nowhere")
    commit(each, 1)
    again, _ = opened(root)
    assert files(again.work) == {"epoch-1": "weights", "last": "-> epoch-1", "gone": "-> nowhere"}


STATES = st.dictionaries(st.sampled_from(["a", "b", "sub/c"]), st.sampled_from(["", "1", "2", "long" * 99]))
STEPS = st.lists(st.one_of(st.none(), st.just("dies"), STATES), max_size=8)


@settings(max_examples=40)
@given(STEPS)
def test_whatever_is_written_when_a_restart_finds_the_files_and_reports_of_the_yield_that_wrote_them(steps):
    """A step writes nothing, or is a death, or makes the folder hold a state."""
    with tempfile.TemporaryDirectory() as place:
        each, _ = opened(pathlib.Path(place) / "checkpoints")
        epoch, told, now = 0, Saved(), {}
        for step in steps:
            if step == "dies":
                each, saved = opened(pathlib.Path(place) / "checkpoints")
                assert saved == told
                assert files(each.work) == now
                epoch = saved.epoch
                continue
            epoch += 1
            if step is not None:
                write(each.work, step)
                if step != now:  # the same again is nothing new
                    told, now = (Saved(epoch, tuple(REPORTS[:epoch])) if step else Saved()), step
            commit(each, epoch)
        again, saved = opened(pathlib.Path(place) / "checkpoints")
        assert (saved, files(again.work)) == (told, now)


@pytest.mark.parametrize("waits", [True, False])
def test_a_trainer_that_writes_every_third_epoch_goes_on_from_the_last_of_these(root, waits, monkeypatch):
    if waits:  # file times tell then, and nothing needs to be read
        monkeypatch.setattr(checkpoint, "_RACY_NS", -(10**12))
    each, _ = opened(root)
    for epoch in range(1, 6):
        if epoch % 3 == 0:
            write(each.work, {"epoch": str(epoch)})
        commit(each, epoch)
    again, saved = opened(root)
    assert (saved.epoch, files(again.work)) == (3, {"epoch": "3"})
    for epoch in (4, 5):  # what was restored is nothing new either
        commit(again, epoch)
    assert opened(root)[1].epoch == 3


def test_a_file_of_the_same_size_and_age_is_read_before_it_is_taken_for_the_same(root):
    each, _ = opened(root)
    (each.work / "state").write_text("1")
    for epoch in range(1, 9):  # faster than file times tell
        with (each.work / "state").open("r+") as file:
            file.write(str(epoch))
        os.utime(each.work / "state", (0, 0))
        commit(each, epoch)
        assert int(max(path.name for path in each.folder.glob("0*"))) == epoch


@pytest.mark.parametrize("way", ["the files", "the folder"])
def test_a_trainer_that_cleans_up_after_itself_has_no_checkpoint_any_more(root, way):
    each, _ = opened(root)
    write(each.work, {"state": "1"})
    commit(each, 1)
    if way == "the files":
        (each.work / "state").unlink()
        (each.work / "empty").mkdir()
    else:
        shutil.rmtree(each.work)
    commit(each, 2)
    assert opened(root)[1] == Saved()


def test_reports_come_back_as_they_were(root):
    reports = [{"loss": math.nan, "acc": None}, {"loss": math.inf, "é\udcff": 0.1 + 0.2}, {"loss": -5e-324}]
    each, _ = opened(root)
    write(each.work, {"state": "3"})
    each.commit(3, reports)
    found = opened(root)[1].reports
    assert [list(each) for each in found] == [list(each) for each in reports]
    assert math.isnan(found[0]["loss"])
    assert found[1:] == tuple(reports[1:])
    assert found[0]["acc"] is None


# --- damage


def damage_cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def damage_flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def damage_gone(path):
    path.unlink()


@pytest.mark.parametrize("damage", [damage_cut, damage_flip, damage_gone])
@pytest.mark.parametrize("name", ["reports.json", "files/state"])
def test_a_damaged_commit_is_none_and_the_next_one_takes_its_place(root, damage, name):
    each, _ = opened(root)
    write(each.work, {"state": "one"})
    commit(each, 2)
    damage(each.folder / "000002" / name)
    again, saved = opened(root)
    assert saved == Saved()
    assert files(again.work) == {}
    write(again.work, {"state": "two"})
    commit(again, 2)
    assert opened(root)[1].epoch == 2


def cut(whole, at):
    return whole[:at]


def flipped(whole, at):
    return whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]


@pytest.mark.parametrize("damage", [cut, flipped])
def test_a_reports_file_that_is_damaged_anywhere_makes_it_no_commit(root, damage):
    each, _ = opened(root)
    write(each.work, {"state": "one"})
    commit(each, 2)
    path = each.folder / "000002" / "reports.json"
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(damage(whole, at))
        assert opened(root)[1] == Saved(), f"at {at}: {whole[at - 10 : at + 10]}"
    path.write_bytes(whole)
    assert opened(root)[1].epoch == 2


# --- power cut


@pytest.mark.parametrize("how", ["committed", "unpacked"])
def test_a_commit_takes_its_place_when_it_is_durable_and_the_last_one_goes_when_its_name_is_too(
    root, tmp_path, monkeypatch, how
):
    there, _ = opened(tmp_path / "there")
    write(there.work, TWO)
    commit(there, 5)
    here, _ = opened(root)
    write(here.work, ONE)
    commit(here, 3)
    write(here.work, TWO)
    real, told = {name: getattr(os, name) for name in ("fsync", "rename", "unlink")}, []

    def fsync(descriptor):
        real["fsync"](descriptor)
        told.append(("durable", os.fstat(descriptor).st_ino))

    def rename(source, target):
        inside = [path for path in (source, *source.rglob("*")) if not path.is_symlink()]
        assert all(("durable", path.stat().st_ino) in told for path in inside)
        real["rename"](source, target)
        told.append(("in its place", here.folder.stat().st_ino))

    def unlink(path, **keys):
        if "000003" in str(path):
            told.append(("goes", here.folder.stat().st_ino))
        real["unlink"](path, **keys)

    for name, hook in (("fsync", fsync), ("rename", rename), ("unlink", unlink)):
        monkeypatch.setattr(os, name, hook)
    if how == "committed":
        commit(here, 5)
    else:
        here.unpack(there.packed()[1])
    steps = [step for step, inode in told if inode == here.folder.stat().st_ino]
    assert steps[:3] == ["in its place", "durable", "goes"]


# --- death


class Mortal:
    """Kills the process at one of its file operations: before or after it."""

    NAMES = ("rename", "replace", "unlink", "rmdir", "mkdir", "fsync", "open", "symlink")

    def __init__(self, moment, after):
        self.count, self._moment, self._after = 0, moment, after
        self._patches = [mock.patch.object(os, name, self._hook(getattr(os, name))) for name in self.NAMES]
        self._patches += [mock.patch.object(each, "open", self._hook(builtins.open)) for each in (builtins, io)]

    def _hook(self, real):
        def hooked(*arguments, **keys):
            self.count += 1
            if self.count != self._moment:
                return real(*arguments, **keys)
            if self._after:
                with contextlib.suppress(OSError):  # what was refused has been done, too
                    result = real(*arguments, **keys)
                    if hasattr(result, "close"):
                        result.close()  # as the kernel does
            raise Died

        return hooked

    def __enter__(self):
        for patch in self._patches:
            patch.start()
        return self

    def __exit__(self, *ending):
        for patch in reversed(self._patches):
            patch.stop()


def deaths(act):
    """Call `act` with a death before and after each of its file operations, each time; how many there were."""
    for moment in itertools.count(1):
        for after in (False, True):
            mortal = Mortal(moment, after)
            if not act(mortal):
                return mortal.count


def died_at(mortal, act):
    """Whether the process died while it did something."""
    with mortal, contextlib.suppress(Died):
        act()
        return False
    return True


@pytest.mark.parametrize("before", [{}, ONE])
def test_a_death_anywhere_in_a_commit_leaves_the_last_one_or_the_new_one(tmp_path, before):
    places = (tmp_path / str(i) for i in itertools.count())
    seen = set()

    def act(mortal):
        root = next(places)
        each, _ = opened(root)
        write(each.work, before)
        commit(each, 3)
        write(each.work, TWO)
        died = died_at(mortal, lambda: commit(each, 5))
        again, saved = opened(root)
        assert (saved.epoch, files(again.work)) in ((3 if before else 0, before), (5, TWO))
        assert saved.reports == tuple(REPORTS[: saved.epoch])
        seen.add(saved.epoch)
        write(again.work, {"a": "3"})
        commit(again, 7)
        assert opened(root)[1].epoch == 7
        assert {path.name for path in again.folder.iterdir()} == {"work", "000007"}
        return died

    assert deaths(act) > 15
    assert seen == {3 if before else 0, 5}


def test_a_death_anywhere_in_a_restoration_changes_nothing(tmp_path):
    places = (tmp_path / str(i) for i in itertools.count())

    def act(mortal):
        root = next(places)
        each, _ = opened(root)
        write(each.work, ONE)
        commit(each, 3)
        died = died_at(mortal, lambda: opened(root))
        again, saved = opened(root)
        assert (saved.epoch, files(again.work)) == (3, ONE)
        return died

    assert deaths(act) > 10


def test_a_death_anywhere_in_a_removal_leaves_a_whole_checkpoint_or_none(tmp_path):
    places = (tmp_path / str(i) for i in itertools.count())

    def act(mortal):
        root = next(places)
        each, _ = opened(root)
        write(each.work, ONE)
        commit(each, 3)
        died = died_at(mortal, each.drop)
        again, saved = opened(root)
        assert (saved.epoch, files(again.work)) in ((3, ONE), (0, {}))
        return died

    assert deaths(act) > 5


# --- from machine to machine


def test_a_commit_travels_with_its_files_links_and_reports(root, tmp_path):
    each, _ = opened(root)
    write(each.work, ONE)
    (each.work / "last").symlink_to("a")
    commit(each, 3)
    epoch, packed = each.packed()
    Checkpoint(tmp_path / "there", 17).unpack(packed)
    again, saved = opened(tmp_path / "there")
    assert epoch == 3
    assert saved == Saved(3, tuple(REPORTS[:3]))
    assert files(again.work) == {**ONE, "last": "-> a"}


def test_what_was_sent_already_is_not_packed_again(root):
    each, _ = opened(root)
    assert each.packed() == (0, None)
    write(each.work, ONE)
    commit(each, 3)
    assert each.packed(after=2)[0] == 3
    assert each.packed(after=3) == (3, None)


def test_of_two_machines_the_one_that_was_further_wins(root, tmp_path):
    here, _ = opened(root)
    there, _ = opened(tmp_path / "there")
    packed = {}
    for epoch in (2, 4):
        write(there.work, {"epoch": str(epoch)})
        commit(there, epoch)
        packed[epoch] = there.packed()[1]
    for first, second in itertools.permutations(packed.values()):
        here.drop()
        for each in (first, second):
            here.unpack(each)
        again, saved = opened(root)
        assert (saved.epoch, files(again.work)) == (4, {"epoch": "4"})
        assert [path.name for path in here.folder.iterdir() if path.name != "work"] == ["000004"]


def test_a_damaged_commit_makes_room_for_one_that_comes_from_elsewhere(root, tmp_path):
    there, _ = opened(tmp_path / "there")
    write(there.work, ONE)
    commit(there, 3)
    packed = there.packed()[1]
    here = Checkpoint(root, 17)
    here.unpack(packed)
    damage_flip(here.folder / "000003" / "files" / "a")
    here.unpack(packed)
    assert opened(root)[1].epoch == 3


def test_a_death_anywhere_in_taking_over_a_commit_leaves_the_last_one_or_the_new_one(tmp_path):
    places = (tmp_path / str(i) for i in itertools.count())
    there, _ = opened(tmp_path / "there")
    write(there.work, TWO)
    commit(there, 5)
    packed = there.packed()[1]

    def act(mortal):
        root = next(places)
        here, _ = opened(root)
        write(here.work, ONE)
        commit(here, 3)
        died = died_at(mortal, lambda: here.unpack(packed))
        again, saved = opened(root)
        assert (saved.epoch, files(again.work)) in ((3, ONE), (5, TWO))
        return died

    assert deaths(act) > 10


# --- privacy


@pytest.mark.parametrize("how", ["restored", "unpacked"])
def test_the_folders_are_their_owners_alone_whatever_the_umask(root, tmp_path, how):
    there, _ = opened(tmp_path / "there")
    write(there.work, ONE)
    commit(there, 3)
    before = os.umask(0)
    try:
        if how == "restored":
            opened(root)
        else:
            Checkpoint(root, 17).unpack(there.packed()[1])
    finally:
        os.umask(before)
    assert {(root / name).stat().st_mode & 0o777 for name in ("", "000000000017")} == {0o700}


@pytest.mark.parametrize("name", ["", "work", ".new", "000003", "000009"])
def test_nothing_is_written_or_removed_through_a_link_that_a_stranger_has_left(root, tmp_path, name):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    write(elsewhere, {"reports.json": "mine", "files/a": "mine"})
    folder = Checkpoint(root, 17).folder
    (folder.parent if not name else folder).mkdir(parents=True)
    (folder / name if name else folder).symlink_to(elsewhere)
    each, saved = opened(root)
    assert saved == Saved()
    write(each.work, ONE)
    commit(each, 3)
    each.drop()
    assert files(elsewhere) == {"reports.json": "mine", "files/a": "mine"}
