"""A sweep file is read with its overrides, and written back with every default filled in."""

import copy
import json
import pathlib
import tomllib

import pytest
import tomli_w
import yaml
from declarations import sweeps
from hypothesis import given
from hypothesis import strategies as st

from sweeps.errors import UsageError
from sweeps.settings import settings_from
from sweeps.sweepfile import load, resolved

TOML = """
train = "train.py:train"
metric = "val_acc"
mode = "max"

[space]
lr = { log = [1e-6, 1e-3] }
update = ["sgd", "adam"]

[[stage]]
name = "coarse"
trials = 100
epochs = 5
include = [{ lr = 1e-4 }]

[[stage]]
name = "fine"
trials = 10
epochs = 20

[stop]
timeout = "10m"
"""
YAML = """
train: train.py:train
metric: val_acc
mode: max
space:
  lr: {log: [1.0e-6, 0.001]}
  update: [sgd, adam]
stage:
  - {name: coarse, trials: 100, epochs: 5, include: [{lr: 1.0e-4}]}
  - name: fine
    trials: 10
    epochs: 20
stop: {timeout: 10m}
"""
HERE = pathlib.Path("/folder")


@pytest.fixture
def loaded(tmp_path):
    """What a file of this text and suffix holds."""

    def load_(text, suffix="toml", overrides=()):
        path = tmp_path / f"sweep.{suffix}"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load(path, overrides)

    return load_


@pytest.fixture
def refused(loaded):
    """The one line with which a file or an override is refused."""

    def refused_(*arguments):
        with pytest.raises(UsageError) as caught:
            loaded(*arguments)
        assert caught.value.exit_code == 2
        text = str(caught.value)
        assert len(text.splitlines()) == 1
        return text

    return refused_


@pytest.mark.parametrize("suffix", ["yaml", "yml"])
def test_toml_and_yaml_say_the_same(loaded, suffix):
    assert loaded(YAML, suffix) == loaded(TOML) == tomllib.loads(TOML)


def test_a_byte_order_mark_is_no_part_of_the_file(loaded):
    assert loaded(b"\xef\xbb\xbf" + TOML.encode()) == loaded(TOML)


def test_a_file_that_is_not_there_is_named_with_the_way_to_get_one(tmp_path):
    with pytest.raises(UsageError, match=r"no sweep file .*none\.toml; `sweeps init` writes one to start from"):
        load(tmp_path / "none.toml")


def test_a_folder_or_what_is_no_text_cannot_be_read(tmp_path, refused):
    with pytest.raises(UsageError, match="cannot read"):
        load(tmp_path)
    assert "cannot read" in refused(b"\xff\xfe\x00")


@pytest.mark.parametrize(
    ("text", "suffix", "words"),
    [
        ("lr = ", "toml", "is not TOML: Invalid value (at end of document)"),
        ("lr = 1\nlr = 2", "toml", "is not TOML: Cannot overwrite a value"),
        ("lr = " + "[" * 5000, "toml", "is nested too deeply"),
        ("lr = " + "9" * 5000, "toml", "is not TOML"),
        ("lr: [", "yaml", "is not YAML: while parsing a flow node"),
        ("lr: 1\n\treg: 2", "yaml", "is not YAML"),
        ("- lr", "yaml", "must be a table of keys, found list"),
        ("", "yaml", "must be a table of keys, found NoneType"),
        ("a: 1\n---\na: 2", "yaml", "is not YAML: expected a single document"),
        ("lr: " + "[" * 5000, "yaml", "is nested too deeply"),
        ("lr: &lr [*lr]", "yaml", "is nested too deeply"),
        ("lr: " + "9" * 5000, "yaml", "is not YAML"),
        ("day: 2026-13-01", "yaml", "is not YAML: month must be in 1..12"),
        ("day: !!timestamp today", "yaml", "is not YAML"),
        ("flag: !!bool perhaps", "yaml", "is not YAML"),
        ("x: !!python/object/apply:os.getcwd []", "yaml", "is not YAML: could not determine a constructor"),
        ("space:\n  lr: 1\n  reg: 2\n  lr: 3", "yaml", "is not YAML: 'lr' is there twice in"),
        ("stage: [{name: a, name: b}]", "yaml", "'name' is there twice"),
        ('lr: 1\n"lr": 2', "yaml", "'lr' is there twice"),
    ],
)
def test_a_file_that_cannot_be_understood_is_refused_in_one_line(refused, text, suffix, words):
    said = refused(text, suffix)
    assert f"sweep.{suffix}" in said
    assert words in said


def test_yaml_may_name_a_table_and_change_it_where_it_is_used_again(loaded):
    text = "a: &base {x: 1, y: 2}\nb: {<<: *base, x: 3}\nc: {<<: {<<: *base, y: 4}}"
    assert loaded(text, "yaml") == {"a": {"x": 1, "y": 2}, "b": {"x": 3, "y": 2}, "c": {"x": 1, "y": 4}}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lr: 1e-4", "sweep.yaml: lr: YAML reads '1e-4' as a text, not as a number: write 1.0e-4"),
        ("space: {lr: {log: [1e-4, 1]}}", "sweep.yaml: space: lr: log: YAML reads '1e-4' as a text"),
        ("stage: [{name: a, include: [{lr: 1.25e3}]}]", "sweep.yaml: stage: include: lr: YAML reads '1.25e3'"),
        ("lr: 1.25e3", "write 1.25e+3"),
        ("lr: -3E5", "write -3.0e+5"),
        ('lr: "0.5"', "write 5.0e-1"),
    ],
)
def test_a_text_that_looks_like_a_number_is_refused_in_yaml_and_the_fix_named(refused, text, words):
    assert words in refused(text, "yaml")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_fix_is_the_same_number_and_yaml_reads_it_as_one(tmp_path_factory, number):
    path = tmp_path_factory.getbasetemp() / "fix.yaml"
    path.write_text(f"x: '{number!r}'")
    with pytest.raises(UsageError) as caught:
        load(path)
    fixed = yaml.safe_load(str(caught.value).rpartition(" write ")[2])
    assert (type(fixed), fixed) == (float, number)


@pytest.mark.parametrize("text", ["nan", ".inf", "inf", "infinity", "adam", "10m", "1e", "e5", "1.0.0", "''"])
def test_other_texts_are_texts_in_yaml_too(loaded, text):
    assert loaded(f"x: [{text}]", "yaml") == {"x": [yaml.safe_load(text)]}


def at(written, path):
    for step in path:
        written = written[step]
    return written


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("seed=5", ["seed"], 5),
        ("mode=min", ["mode"], "min"),
        ('mode="min"', ["mode"], "min"),
        ("train=a=b", ["train"], "a=b"),
        ("train=", ["train"], ""),
        ("stage.coarse.trials=20", ["stage", 0, "trials"], 20),
        ("stage.fine.trials=20", ["stage", 1, "trials"], 20),
        ("stage.fine.include=[{lr = 1e-5}]", ["stage", 1, "include"], [{"lr": 1e-5}]),
        ("space.lr.log=[1e-5, 1e-4]", ["space", "lr", "log"], [1e-5, 1e-4]),
        ("space.lr=1e-4", ["space", "lr"], 1e-4),
        ("space.reg={log = [1, 2]}", ["space", "reg"], {"log": [1, 2]}),
        ("space.reg.log=[1, 2]", ["space", "reg", "log"], [1, 2]),
        ("stop.timeout=90s", ["stop", "timeout"], "90s"),
        ("stop.blowup=false", ["stop", "blowup"], False),
        ("run.slots=4", ["run", "slots"], 4),
        (" run.slots =4", ["run", "slots"], 4),
        ("stop.loss=1 2", ["stop", "loss"], "1 2"),
        ("stop.loss=" + "9" * 5000, ["stop", "loss"], "9" * 5000),
    ],
)
@pytest.mark.parametrize("suffix", ["toml", "yaml"])
def test_an_override_changes_one_key_and_nothing_else(loaded, suffix, override, path, value):
    text = TOML if suffix == "toml" else YAML
    found = loaded(text, suffix, [override])
    expected = loaded(text, suffix)
    place = expected
    for step in path[:-1]:
        place = place.setdefault(step, {}) if isinstance(place, dict) else place[step]
    place[path[-1]] = value
    assert found == expected


def test_overrides_are_applied_in_their_order(loaded):
    found = loaded(TOML, "toml", ["seed=1", "seed=2", "space.a.int=[1, 2]", "space.a.log=true"])
    assert (found["seed"], found["space"]["a"]) == (2, {"int": [1, 2], "log": True})


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("seed", "--set 'seed': write key=value, such as --set stage.coarse.trials=20"),
        ("=5", "--set '=5': write key=value"),
        ("stage.corse.trials=5", "there is no stage 'corse'; did you mean 'coarse'?"),
        ("stage.zzz.trials=5", "there is no stage 'zzz'; known: coarse, fine"),
        ("stage.trials=5", "name the stage, such as stage.coarse.trials=20"),
        ("stage.coarse=5", "name the stage"),
        ("train.py=5", "--set 'train.py=5': 'train' is not a table"),
        ("stage.coarse.trials.max=5", "'trials' is not a table"),
        ("seed=" + "[" * 5000, "--set seed: the value is nested too deeply"),
    ],
)
def test_an_override_that_cannot_be_applied_is_refused(refused, override, words):
    assert words in refused(TOML, "toml", [override])


def test_an_override_of_a_key_that_no_sweep_has_is_refused_by_the_check(loaded):
    with pytest.raises(UsageError, match=r"number 1: unknown key 'trails'; did you mean 'trials'\?"):
        settings_from(loaded(TOML, "toml", ["stage.coarse.trails=5"]), HERE)
    with pytest.raises(UsageError, match=r"the sweep file: unknown key 'sede'; did you mean 'seed'\?"):
        settings_from(loaded(TOML, "toml", ["sede=5"]), HERE)


@given(sweeps())
def test_settings_written_back_are_the_same_settings_with_every_default_said(written):
    settings = settings_from(written, HERE)
    again = resolved(settings)
    for read_back in (copy.deepcopy(again), tomllib.loads(tomli_w.dumps(again)), json.loads(json.dumps(again))):
        assert settings_from(read_back, HERE) == settings
        assert settings_from(read_back, HERE).space.names == settings.space.names
    assert resolved(settings_from(again, HERE)) == again
    assert set(written) <= set(again)
    assert {"seed", "stop", "run"} <= set(again)
    assert all("method" in stage for stage in again["stage"])


def test_what_a_run_keeps_of_a_sweep_can_be_read_by_a_person():
    kept = resolved(settings_from(tomllib.loads(TOML), HERE))
    assert kept == tomllib.loads(TOML) | {
        "seed": 0,
        "space": {"lr": {"log": [1e-6, 1e-3]}, "update": {"choice": ["sgd", "adam"]}},
        "stage": [
            {"name": "coarse", "trials": 100, "epochs": 5, "method": "random", "include": [{"lr": 1e-4}]},
            {"name": "fine", "trials": 10, "epochs": 20, "method": "random"},
        ],
        "stop": {"nan": True, "blowup": 3.0, "loss": "loss", "timeout": 600.0},
        "run": {"slots": "auto", "cpus": 1, "retries": 1},
    }
