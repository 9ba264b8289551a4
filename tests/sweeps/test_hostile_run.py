"""The folder of a run from a stranger: links, pipes, bombs and nonsense in it cost one clear line, and nothing more."""

import contextlib
import json
import os
import pathlib
import pickle
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import run_sweep, sweep
from simulation.states import state_of

from sweeps.errors import SweepError
from sweeps.tables import write

SWEEP = sweep(stages=[{"name": "one", "trials": 6, "epochs": 2}])
TABLES = ("trials", "reports", "attempts", "stages")
LOOKS = [["status"], ["status", "--json"], ["best"], ["best", "--json"], ["show", "one/0"], ["show", "one/0", "--json"]]
LOOKS += [["report"], ["export", "--to", "csv", "--out", "given"]]


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound") / "x"
    run_sweep(SWEEP, folder)
    return folder


@pytest.fixture
def theirs(sound, tmp_path):
    """A run of which something may be replaced."""
    return pathlib.Path(shutil.copytree(sound, tmp_path / "x"))


@pytest.fixture
def looked(call, theirs):
    """What every verb says of the run: all refuse it with one line, code 2, and change nothing in it."""

    def looking(words, looks=LOOKS):
        before = state_of(theirs)
        for verb, *options in looks:
            place, *others = options if verb == "show" else ["", *options]
            shown = call(verb, theirs, *([place] if place else []), *others)
            assert (verb, shown.code, shown.out) == (verb, 2, "")
            assert shown.err.count("\n") == 1, shown.err
            assert shown.err.strip().isprintable()
            assert words in shown.err
        assert state_of(theirs) == before

    return looking


def again(theirs):
    """The run is gone on with, by somebody who trusts it."""
    return run_sweep(sweep(stages=[{"name": "one", "trials": 9, "epochs": 2}]), theirs)


@pytest.mark.parametrize(
    "name", ["sweep.toml", "trials", "reports", "stages", "trials/000-one.parquet", "logs", ".lock"]
)
def test_a_link_is_followed_nowhere(call, looked, theirs, tmp_path, name):
    outside = tmp_path / "outside"
    (theirs / name).rename(outside)
    (theirs / name).symlink_to(outside)
    before = outside.read_bytes() if outside.is_file() else state_of(outside)
    looked(f"{theirs / name} is a link")
    with pytest.raises(Exception, match="is a link"):
        again(theirs)
    assert (outside.read_bytes() if outside.is_file() else state_of(outside)) == before


def test_a_link_in_the_place_of_what_is_about_to_be_written_is_refused_too(theirs, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    for name in (".pending/trials.000-one.part-00000.parquet.tmp", ".sweep.toml.tmp", ".pending/x.ready"):
        (theirs / name).symlink_to(victim)
        with pytest.raises(Exception, match="is a link"):
            again(theirs)
        (theirs / name).unlink()
    (theirs / "logs" / "one-0.log").symlink_to(victim)
    assert again(theirs)[0].code == 0
    assert victim.read_text() == "mine"


@pytest.mark.parametrize("name", ["report.html", ".report.html.tmp"])
def test_the_report_is_written_through_no_link(call, theirs, tmp_path, name):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (theirs / name).symlink_to(victim)
    assert call("report", theirs).code in (0, 2)
    assert victim.read_text() == "mine"


@pytest.mark.parametrize("name", ["sweep.toml", "trials/000-one.parquet", ".lock"])
def test_a_pipe_is_never_waited_for(looked, theirs, name):
    (theirs / name).unlink()
    os.mkfifo(theirs / name)
    looked(f"{theirs / name} is no file")


def test_the_log_of_a_trial_is_shown_unless_it_is_a_link(call, theirs, tmp_path):
    (tmp_path / "secret").write_text("the stranger wants to see this in your bug report")
    (theirs / "logs" / "one-0.log").symlink_to(tmp_path / "secret")
    assert "bug report" not in call("show", theirs, "one/0").out


def test_a_planted_pickle_runs_for_no_verb(call, theirs, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pathlib.Path.touch, (tmp_path / "exploded",))

    for name in ("sweep.pkl", "tuner.pkl", "trials/000-one.pkl", "trials/001-two.parquet.pkl", "logs/one-0.log"):
        (theirs / name).write_bytes(pickle.dumps(Bomb()))
    for verb, *options in LOOKS:
        call(verb, theirs, *options)
    again(theirs)
    assert not (tmp_path / "exploded").exists()


def replaced(theirs, table, **columns):
    """Write a table's file with other columns, as this program would, checksums and all."""
    path = theirs / table / "000-one.parquet"
    rows = pq.read_table(path, partitioning=None).replace_schema_metadata(None)
    for name, values in columns.items():
        at = rows.schema.get_field_index(name)
        rows = rows.drop_columns([name]) if values is None else rows.set_column(at, name, values)
    write(path, [rows], rows.schema, theirs / ".pending")


ODD = {
    "a text for a number": ("trials", {"trial": pa.array(list("abcdef"))}, "holds string"),
    "a number for a text": ("trials", {"status": pa.array(range(6))}, "holds int64"),
    "a float for a whole number": ("reports", {"epoch": pa.array([0.5] * 12)}, "holds double"),
    "bytes for a parameter": ("trials", {"lr": pa.array([b"x"] * 6)}, "holds binary"),
    "a text for a parameter": ("trials", {"lr": pa.array(list("abcdef"))}, "holds string"),
    "a text for a metric": ("trials", {"val_acc": pa.array(list("abcdef"))}, "holds string"),
    "lists": ("reports", {"loss": pa.array([[1.0]] * 12)}, "holds list"),
    "no number": ("trials", {"trial": pa.array([None] * 6, pa.int64())}, "not every row has a trial"),
    "less than none": ("reports", {"trial": pa.array([-1] * 12, pa.int64())}, "not every row has a trial"),
    "no keys": ("trials", {"trial": None}, "lacks the keys"),
    "another stage": ("trials", {"stage": pa.array(["two"] * 6)}, "of a stage 'two'"),
    "a stage with an escape": ("reports", {"stage": pa.array(["\x1b[2J"] * 12)}, "of a stage"),
    "no stage": ("trials", {"stage": pa.array([None] * 6, pa.string())}, "of a stage"),
}


@pytest.mark.parametrize(("table", "columns", "words"), ODD.values(), ids=ODD)
def test_a_table_that_is_not_as_it_is_written_is_named_and_refused(looked, theirs, table, columns, words):
    replaced(theirs, table, **columns)
    looked(words, [look for look in LOOKS if table == "trials" or look[0] in ("show", "report", "export")])


@pytest.mark.parametrize(("table", "columns", "words"), ODD.values(), ids=ODD)
def test_who_goes_on_with_it_is_told_in_one_line_too_or_does_not_need_it(theirs, table, columns, words):
    replaced(theirs, table, **columns)
    with contextlib.suppress(SweepError):
        again(theirs)


def test_a_small_file_that_claims_a_billion_rows_is_refused_before_it_is_unfolded(looked, theirs):
    path = theirs / "trials" / "000-one.parquet"
    schema = pa.schema([("stage", pa.string()), ("trial", pa.int64())])
    million = pa.table([pa.array(["one"] * 1_000_000), pa.array([0] * 1_000_000)], schema=schema)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        writer.write_table(million, row_group_size=1_000_000)
    assert path.stat().st_size < 10_000
    looked("rows in one group")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"x" * 100, b"PAR1" + b"\xff" * 8 + b"PAR1", b"seed = 1"])
def test_what_is_no_parquet_is_named(looked, theirs, content):
    (theirs / "trials" / "000-one.parquet").write_bytes(content)
    looked("000-one.parquet is damaged")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"a = " + b"[" * 9_999, b"#" * (2**24 + 1), b"seed = -1", b"\0"])
def test_a_sweep_toml_that_is_none_is_named(looked, theirs, content):
    (theirs / "sweep.toml").write_bytes(content)
    looked("")


STORIES = {
    "no json": {"region": pa.array(["{"])},
    "no table": {"region": pa.array(["[1]"])},
    "no region": {"region": pa.array([None], pa.string())},
    "another parameter": {"region": pa.array([json.dumps({"x": {"log": [1, 2]}})])},
    "moves are no table": {"moves": pa.array(["7"])},
    "no evidence": {"evidence": pa.array([None], pa.list_(pa.string()))},
}


@pytest.mark.parametrize("columns", STORIES.values(), ids=STORIES)
def test_a_region_that_cannot_be_read_is_one_line_or_left_out(call, theirs, columns):
    replaced(theirs, "stages", **columns)
    for verb, *options in LOOKS:
        shown = call(verb, theirs, *options)
        assert shown.code in (0, 2)
        assert shown.err.count("\n") <= (shown.code == 2)


ESCAPES = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202egnp.\r\b\x00"


def test_nothing_that_is_stored_can_steer_a_terminal(call, theirs):
    count = 6
    replaced(theirs, "trials", reason=pa.array([ESCAPES] * count), status=pa.array([f"{ESCAPES}failed"] * count))
    replaced(theirs, "attempts", error=pa.array([ESCAPES] * count), traceback=pa.array([ESCAPES] * count))
    replaced(theirs, "attempts", host=pa.array([ESCAPES] * count), outcome=pa.array(["failed"] * count))
    replaced(theirs, "stages", evidence=pa.array([[ESCAPES]]), best=pa.array([0.5]))
    (theirs / "logs" / "one-0.log").write_text(ESCAPES)
    for verb, *options in LOOKS:
        shown = call(verb, theirs, *options)
        assert all(line.isprintable() for line in (shown.out + shown.err).split("\n")), (verb, shown.out + shown.err)
    page = (theirs / "report.html").read_text("utf-8")
    assert not set(ESCAPES) & set(page) - set("[2J]0;owned31mgnp.\r")
