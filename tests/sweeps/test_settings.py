"""A sweep's keys become settings, or one line that says what is wrong and how to mend it."""

import copy
import math
import pathlib
import re

import pytest
from conftest import sweep
from declarations import VALUES, WORDS, sweeps
from hypothesis import given
from hypothesis import strategies as st

from sweeps.errors import UsageError
from sweeps.rules import BlowUp, NonFinite
from sweeps.settings import MAX_TRIALS, Settings, StageSettings, settings_from

HERE = pathlib.Path("/folder")
STAGE = {"name": "coarse", "trials": 40, "epochs": 3}


def changed(path, value):
    """The keys of a small sweep, one of them changed or added; "stage" is its only stage."""
    written = sweep(stages=[dict(STAGE)], stop={}, run={})
    *above, last = path.split(".")
    place = written
    for step in above:
        place = place["stage"][0] if step == "stage" else place[step]
    place[last] = value
    return written


def without(path):
    written = changed(path, None)
    del (written["stage"][0] if path.startswith("stage.") else written)[path.rpartition(".")[2]]
    return written


def refusal(written, **keywords):
    """The one line with which a sweep is refused."""
    with pytest.raises(UsageError) as caught:
        settings_from(written, HERE, **keywords)
    assert caught.value.exit_code == 2
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    return text


def test_what_is_not_said_has_its_default():
    settings = settings_from(
        {"train": "t.py:f", "metric": "acc", "mode": "min", "space": {"lr": 1}, "stage": [dict(STAGE)]}, HERE
    )
    assert (settings.train, settings.setup, settings.seed, settings.folder) == ("t.py:f", None, 0, HERE)
    assert (settings.objective.metric, settings.objective.mode) == ("acc", "min")
    assert settings.stages == (StageSettings("coarse", 40, 3, "random", ()),)
    assert settings.stop.rules == (NonFinite(), BlowUp("loss", 3.0))
    assert settings.stop.timeout_s is None
    assert (settings.run.slots, settings.run.retries, settings.run.budget_s) == (None, 1, None)


def test_a_seed_of_the_command_line_replaces_the_files():
    assert settings_from(sweep(seed=3), HERE).seed == 3
    assert settings_from(sweep(seed=3), HERE, seed=0).seed == 0


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("metrics", "the sweep file: unknown key 'metrics'; did you mean 'metric'?"),
        ("stages", "the sweep file: unknown key 'stages'; did you mean 'stage'?"),
        ("stage.trails", "[[stage]] number 1: unknown key 'trails'; did you mean 'trials'?"),
        ("stage.epoch", "[[stage]] number 1: unknown key 'epoch'; did you mean 'epochs'?"),
        ("stop.blow_up", "[stop]: unknown key 'blow_up'; did you mean 'blowup'?"),
        ("stop.time_out", "[stop]: unknown key 'time_out'; did you mean 'timeout'?"),
        ("run.slot", "[run]: unknown key 'slot'; did you mean 'slots'?"),
        ("run.retry", "[run]: unknown key 'retry'; did you mean 'retries'?"),
        ("stop.zzz", "[stop]: unknown key 'zzz'; known: nan, blowup, loss, timeout"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_or_the_known_ones(path, words):
    assert refusal(changed(path, 1)) == words


@pytest.mark.parametrize("key", [1, None, True, 2.5, ("a", "b"), "two\nlines", ""])
def test_a_key_that_is_no_name_is_refused_too(key):
    assert refusal(sweep() | {key: 1}).startswith(f"the sweep file: unknown key {key!r}")
    assert refusal(changed("stop", {key: 1})).startswith(f"[stop]: unknown key {key!r}")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("train", 'the sweep file: \'train\' is missing: "train.py:train" or "package.module:function"'),
        ("metric", "'metric' is missing: the metric that is optimised, as the trainer reports it"),
        ("mode", '\'mode\' is missing: mode = "max" or mode = "min"'),
        ("space", "[space] is empty"),
        ("stage", "there is no stage: add [[stage]] with name, trials and epochs"),
        ("stage.name", "[[stage]] number 1: 'name' is missing: a name such as \"coarse\""),
        ("stage.trials", "stage 'coarse': 'trials' is missing: a whole number from 1"),
        ("stage.epochs", "stage 'coarse': 'epochs' is missing: a whole number from 1"),
    ],
)
def test_a_missing_key_is_named_with_an_example(path, words):
    assert words in refusal(without(path))


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("train", 5, "train must be a text, found 5"),
        ("train", "", "train must be a text, found ''"),
        ("setup", ["f"], "setup must be a text, found ['f']"),
        ("metric", None, "metric must be a text, found None"),
        ("mode", "maximise", 'mode must be "max" or "min", found \'maximise\''),
        ("seed", -1, "seed must be from 0 to 9223372036854775807, found -1"),
        ("seed", 2**63, "seed must be from 0 to 9223372036854775807"),
        ("seed", 1.0, "seed must be a whole number, found 1.0"),
        ("seed", True, "seed must be a whole number, found True"),
        ("space", [1], "[space] must be a table, found [1]"),
        ("stop", 3, "[stop] must be a table, found 3"),
        ("run", None, "[run] must be a table, found None"),
        ("search", {"trainings": 9, "epochs": 9}, "[search] lays out the stages: leave out [[stage]], or leave out"),
        ("stage", {"coarse": {}}, "there is no stage: add [[stage]]"),
        ("stage", [], "there is no stage: add [[stage]]"),
        ("stage", "coarse", "[[stage]] number 1 must be a table, found str"),
        ("stage", [[1]], "[[stage]] number 1 must be a table, found list"),
        ("stage.name", "../up", "stage name '../up': letters, digits, '_' and '-' only, since files are called so"),
        ("stage.name", "-a", "stage name '-a'"),
        ("stage.name", "a\n", "name has characters in it that cannot be seen: 'a\\n'"),
        ("stage.name", "a" * 65, "letters, digits"),
        ("stage.name", 1, "[[stage]] number 1: name must be a text, found 1"),
        ("stage.trials", 0, f"stage 'coarse': trials must be from 1 to {MAX_TRIALS}, found 0"),
        ("stage.trials", MAX_TRIALS + 1, f"trials must be from 1 to {MAX_TRIALS}"),
        ("stage.trials", "20", "trials must be a whole number, found '20'"),
        ("stage.epochs", 0, "epochs must be from 1"),
        ("stage.epochs", 2.5, "stage 'coarse': epochs must be a whole number, found 2.5"),
        ("stage.method", "gird", "stage 'coarse': unknown method 'gird'; did you mean 'grid'?"),
        ("stage.method", 1, "method must be a text, found 1"),
        ("stage.continue", 5, "stage 'coarse': continue = 5, but no stage comes before it: leave it out"),
        ("stage.continue", -1, f"stage 'coarse': continue must be from 0 to {MAX_TRIALS}, found -1"),
        ("stage.continue", "all", "continue must be a whole number, found 'all'"),
        ("stage.include", "lr", "include must be a list of configs, such as [{ lr = 1e-3 }]"),
        ("stage.include", {"lr": 1e-3}, "include must be a list of configs"),
        ("stage.include", [1e-3], "stage 'coarse', include 1 must be a table of parameters"),
        ("stage.include", [{}, {"l": 1}], "stage 'coarse', include 2: unknown parameter 'l'; did you mean 'lr'?"),
        ("stage.include", [{"lr": 1}], "include 1: lr: 1 is outside of [1e-05, 0.01]"),
        ("stage.include", [{}] * 41, "stage 'coarse': includes 41 configs but has 40 trials"),
        ("stop.nan", 1, "[stop]: nan must be true or false, found 1"),
        ("stop.blowup", True, "[stop]: blowup must be a number above 1, such as 3.0, or false; found True"),
        ("stop.blowup", 0, "blowup must be a number above 1"),
        ("stop.blowup", 1, "blowup must be a number above 1"),
        ("stop.blowup", "3", "blowup must be a number above 1"),
        ("stop.blowup", math.nan, "blowup must be a number above 1"),
        ("stop.blowup", math.inf, "blowup must be a number above 1"),
        ("stop.blowup", 10**400, "blowup must be a number above 1"),
        ("stop.loss", 3, "[stop]: loss must be a text, found 3"),
        ("run.slots", 0, "[run]: slots must be from 1 to 100000, found 0"),
        ("run.slots", "all", "[run]: slots must be a whole number, found 'all'"),
        ("run.cpus", 0, "[run]: cpus must be from 1"),
        ("run.retries", -1, "[run]: retries must be from 0"),
        ("run.gpus", 1.5, "[run]: gpus must be a whole number or a share of one, such as 0.25; found 1.5"),
        ("run.gpus", "1", "gpus must be a whole number"),
        ("run.gpus", -1, "gpus must be a whole number"),
        ("run.memory", 4, '[run]: memory must be an amount such as "512M" or "4G", found 4'),
        ("run.memory", "0.5K", 'memory must be an amount such as "512M" or "4G"'),
        ("run.memory", "9" * 400 + "G", 'memory must be an amount such as "512M" or "4G"'),
        ("run.resources", ["tpu"], "[resources] must be a table, found ['tpu']"),
        ("run.resources", {"tpu": "1"}, "[run]: tpu must be a whole number or a share of one"),
        ("run.resources", {1: 1}, "[run]: 1 cannot be the name of a resource"),
        ("run.resources", {"a\nb": -1}, "[run]: 'a\\nb' cannot be the name of a resource"),
        ("run.address", 6379, "[run]: address must be a text, found 6379"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line(path, value, words):
    assert words in refusal(changed(path, value))


@pytest.mark.parametrize("metric", ["lr", "LR", "stage", "best_epoch", "Seed", "epoch", "status"])
def test_a_metric_that_would_clash_with_a_column_is_refused(metric):
    assert refusal(changed("metric", metric)) == (
        f"metric = {metric!r} is also a parameter or a table column: report it under another name"
    )


@pytest.mark.parametrize("names", [("coarse", "coarse"), ("coarse", "fine", "Coarse")])
def test_two_stages_cannot_have_one_name_nor_one_that_differs_in_case_only(names):
    text = refusal(sweep(stages=[STAGE | {"name": name} for name in names]))
    assert text == "two stages are called 'coarse': every stage needs a name of its own"


@pytest.mark.parametrize(
    ("written", "seconds"),
    [(90, 90.0), (0.5, 0.5), ("90s", 90.0), ("10m", 600.0), ("1h30m", 5400.0), ("1h 30 m", 5400.0), ("2.5d", 216000.0)],
)
@pytest.mark.parametrize("path", ["stop.timeout", "run.budget"])
def test_a_duration_is_a_number_of_seconds_or_says_its_units(path, written, seconds):
    settings = settings_from(changed(path, written), HERE)
    assert (settings.stop.timeout_s if path == "stop.timeout" else settings.run.budget_s) == seconds


@pytest.mark.parametrize(
    "written",
    [
        0,
        -1,
        True,
        math.nan,
        math.inf,
        10**400,
        "",
        "10",
        "m",
        "10 min",
        "0s",
        "-5s",
        "1e3s",
        "5m!",
        "9" * 400 + "s",
        [],
    ],
)
@pytest.mark.parametrize(("path", "where"), [("stop.timeout", "[stop]: timeout"), ("run.budget", "[run]: budget")])
def test_what_is_no_duration_is_refused(path, where, written):
    wanted = f'{where} must be a duration above zero, such as "90s", "10m" or "1h30m"; found '
    assert refusal(changed(path, written)).startswith(wanted)


@pytest.mark.parametrize(
    ("stop", "rules"),
    [
        ({"blowup": False}, (NonFinite(),)),
        ({"blowup": None}, (NonFinite(),)),
        ({"nan": False}, (BlowUp("loss", 3.0),)),
        ({"nan": False, "blowup": False}, ()),
        ({"blowup": 10, "loss": "cost"}, (NonFinite(), BlowUp("cost", 10.0))),
    ],
)
def test_rules_are_switched_off_and_set_in_stop(stop, rules):
    assert settings_from(sweep(stop=stop), HERE).stop.rules == rules


def test_a_grid_has_as_many_trials_as_points_and_no_included_configs():
    grid = {"name": "g", "trials": 11, "epochs": 1, "method": "grid"}
    space = {"lr": {"log": [1, 10]}, "a": [1, 2, 3]}
    assert settings_from(sweep(space=space, stages=[grid]), HERE).stages[0].trials == 9
    text = refusal(sweep(space=space, stages=[grid | {"include": [{"a": 1}]}]))
    assert text == "stage 'g': 'grid' has its own configs: leave out include, or use another method"
    assert "has 3 points; trials = 2 is less" in refusal(sweep(space=space, stages=[grid | {"trials": 2}]))


def test_slots_are_as_many_as_asked_for_and_at_least_one():
    assert settings_from(sweep(run={"slots": 7}), HERE).slots == 7
    assert settings_from(sweep(run={"slots": "auto", "cpus": 1000}), HERE).slots == 1


KEYS = st.sampled_from(
    re.findall(
        r"\w+",
        """train setup metric mode seed space stage search stop run name trials epochs method include continue
        nan blowup loss timeout slots cpus gpus memory resources retries budget address lr uniform log int choice
        fixed limits weights when""",
    )
)
LEAVES = st.one_of(
    st.none(),
    VALUES,
    KEYS,
    st.floats(),
    st.integers(),
    st.just(10**400),
    st.sampled_from(["max", "auto", "grid", "lhs", "10m", "4G", "t.py:f", 1, 2]),
)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(KEYS | WORDS | st.none() | st.integers(0, 3), inner, max_size=5)
    ),
    max_leaves=20,
)


def accepted_or_refused_in_one_line(written):
    try:
        return isinstance(settings_from(written, HERE), Settings)
    except UsageError as error:
        return re.fullmatch(r"\S.+\S", str(error)) is not None


@given(ANYTHING)
def test_anything_at_all_is_settings_or_a_refusal_in_one_line(written):
    assert accepted_or_refused_in_one_line(written)


@given(st.data(), sweeps(), ANYTHING)
def test_a_sweep_with_one_thing_replaced_by_anything_is_settings_or_a_refusal_in_one_line(data, written, anything):
    place = written = copy.deepcopy(written)
    while True:
        key = data.draw(st.sampled_from(range(len(place)) if isinstance(place, list) else list(place)))
        if not isinstance(place[key], list | dict) or not place[key] or data.draw(st.integers(0, 3)) == 0:
            break
        place = place[key]
    place[key] = anything
    assert accepted_or_refused_in_one_line(written)


@given(sweeps())
def test_what_is_refused_and_what_is_accepted_leaves_the_users_keys_alone(written):
    before = copy.deepcopy(written)
    settings_from(written, HERE)
    assert written == before
