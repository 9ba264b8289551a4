"""What a user writes of a space becomes a space, or one line that says how to mend it."""

import json
import math
import re
import tomllib

import numpy as np
import pytest
import tomli_w
from declarations import VALUES, ranges, spaces
from hypothesis import given
from hypothesis import strategies as st

from sweeps.declaration import RESERVED, config_from, space_from, written_from
from sweeps.errors import UsageError
from sweeps.space import Choice, Fixed, Range, config_at

UPDATES = {"update": ["sgd", "momentum", "adam"]}


def refusal(function, *arguments):
    """The one line with which something is refused."""
    with pytest.raises(UsageError) as caught:
        function(*arguments)
    assert caught.value.exit_code == 2
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    return text


def conditional(**when):
    return {**UPDATES, "beta": {"uniform": [0.8, 0.99], "when": when}}


@pytest.mark.parametrize(
    ("declared", "parameter"),
    [
        ({"uniform": [0, 2]}, Range(0.0, 2.0, limits=(0.0, math.inf))),
        ({"log": [1e-6, 1e-3]}, Range(1e-6, 1e-3, log=True, limits=(0.0, math.inf))),
        ({"int": [1, 8.0]}, Range(1, 8, integer=True, limits=(1, math.inf))),
        ({"int": [1, 8], "log": True}, Range(1, 8, log=True, integer=True, limits=(1, math.inf))),
        ({"int": [1, 8], "log": False}, Range(1, 8, integer=True, limits=(1, math.inf))),
        ({"int": [2, 8], "limits": [0, 64]}, Range(2, 8, integer=True, limits=(0, 64))),
        ({"log": [1e-6, 1e-3], "limits": [1e-6, 1]}, Range(1e-6, 1e-3, log=True, limits=(1e-6, 1.0))),
        (["a", True, 1], Choice(("a", True, 1), (1 / 3,) * 3)),
        ([1, 2.5], Choice((1.0, 2.5), (0.5, 0.5))),
        ([[64], [64, 32], []], Choice(([64], [64, 32], []), (1 / 3,) * 3)),
        ({"choice": ["a", "b"], "weights": [3, 1]}, Choice(("a", "b"), (3.0, 1.0))),
        ({"choice": ({"depth": (1, 2)},)}, Choice(({"depth": [1, 2]},), (1.0,))),
        (0.9, Fixed(0.9)),
        ("adam", Fixed("adam")),
        ({"fixed": [1, 2]}, Fixed([1, 2])),
    ],
)
def test_a_declaration_is_a_parameter(declared, parameter):
    found = space_from({"x": declared}).parameters["x"]
    assert found == parameter
    assert repr(found) == repr(parameter)  # 1 and 1.0 are not the same column


@pytest.mark.parametrize(
    ("declared", "limits"),
    [
        ({"uniform": [0, 0.5]}, (0, 1)),
        ({"uniform": [0.1, 1]}, (0, 1)),
        ({"uniform": [0, 1.5]}, (0, math.inf)),
        ({"uniform": [-1, 1]}, (-math.inf, math.inf)),
        ({"log": [1e-3, 0.5]}, (0, math.inf)),
        ({"int": [1, 3]}, (1, math.inf)),
        ({"int": [2, 3], "log": True}, (1, math.inf)),
        ({"int": [0, 3]}, (0, math.inf)),
        ({"int": [-1, 3]}, (-math.inf, math.inf)),
    ],
)
def test_a_range_may_be_moved_as_far_as_makes_sense(declared, limits):
    assert space_from({"x": declared}).parameters["x"].limits == limits


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ({"log": [0, 1]}, "x: a log range cannot reach 0: start above zero, such as 0.0001"),
        ({"log": [-1e-3, 1e-3]}, "cannot reach -0.001: start above zero, such as 1e-07"),
        ({"log": [-2, -1]}, "cannot reach -2: start above zero"),
        ({"int": [0, 64], "log": True}, "cannot reach 0: start above zero, such as 1"),
        ({"log": [1e-300, 1]}, "cannot reach 1e-300: start at 1e-250 or above"),
        ({"uniform": [1, 0]}, "x: uniform: [1, 0] is upside down: write [0, 1]"),
        ({"int": [8, 2]}, "x: int: [8, 2] is upside down: write [2, 8]"),
        ({"log": [1e-3, 1e-3]}, "the range [0.001, 0.001] has one value: write x = 0.001"),
        ({"int": [3, 3]}, "the range [3, 3] has one value: write x = 3"),
        ({"uniform": [0, math.nan]}, "x: uniform: nan is not a finite number"),
        ({"uniform": [0, math.inf]}, "inf is not a finite number"),
        ({"uniform": [0, True]}, "True is not a finite number"),
        ({"uniform": [0, None]}, "None is not a finite number"),
        ({"uniform": [0, 10**400]}, "is not a finite number"),
        ({"uniform": [0, 1e300]}, "1e+300 is too large: at most 1e+250"),
        ({"int": [0, 2**60]}, "1152921504606846976 is too large: at most 9007199254740992"),
        ({"int": [0, 2.5]}, "x: int: 2.5 is not a whole number"),
        ({"log": ["1e-4", 1]}, "'1e-4' is a text, not a number: write it without quotes, in YAML as 1.0e-4"),
        ({"log": "1e-4"}, "x: log wants two numbers, [low, high]; found '1e-4'"),
        ({"log": [1, 2, 3]}, "wants two numbers, [low, high]; found [1, 2, 3]"),
        ({"log": True}, "wants two numbers, [low, high]; found True"),
        ({"uniform": {"low": 0}}, "wants two numbers, [low, high]; found {'low': 0}"),
        ({"uniform": [0, 1], "limits": [0.1, 2]}, "the limits [0.1, 2] must contain the range [0, 1]"),
        ({"uniform": [0, 1], "limits": [-1, 0.5]}, "the limits [-1, 0.5] must contain the range [0, 1]"),
        ({"uniform": [0, 1], "limits": [2, -1]}, "limits: [2, -1] is upside down: write [-1, 2]"),
        ({"uniform": [0, 1], "limits": 3}, "x: limits wants two numbers, [low, high]; found 3"),
        ({"log": [1, 2], "limits": [0, 3]}, "the limits of a log range must be above zero"),
        ({"int": [1, 2], "limits": [0.5, 3]}, "limits: 0.5 is not a whole number"),
        ({"choice": [1, 2], "limits": [1, 2]}, "'limits' does not go with choice; known: choice, weights, when"),
        ({"uniform": [0, 1], "weights": [1]}, "'weights' does not go with uniform"),
        ({"uniform": [0, 1], "limit": [0, 1]}, "'limit' does not go with uniform; did you mean 'limits'?"),
        ({"uniform": [0, 1], 5: 1}, "5 does not go with uniform"),
        ({"uniform": [0, 1], "log": True}, "exactly one of uniform, log, int, choice, fixed is wanted, found uniform"),
        ({"log": [1, 2], "int": [1, 2]}, "wanted, found log and int"),
        ({"unifrom": [0, 1]}, "wanted, found 'unifrom'; did you mean 'uniform'?"),
        ({"normal": [0, 1]}, "wanted, found 'normal'"),
        ({None: 1}, "wanted, found None"),
        ({}, "wanted, found nothing"),
        (None, "a range, a list or a value is wanted, not NoneType"),
        (math.nan, "x: nan is not a finite number"),
        (2**63, "9223372036854775808 does not fit into a whole number of 64 bits"),
        ([], "x: a choice needs at least one value, such as x = [1, 2]"),
        ({"choice": []}, "a choice needs at least one value"),
        ({"choice": "abc"}, "a choice needs at least one value"),
        ([1, 2, 1], "1 is listed twice"),
        ([1, 1.0], "1.0 is listed twice"),
        ([[1], [1]], "[1] is listed twice"),
        ([1, math.inf], "inf is not a finite number"),
        ([1, [2, math.nan]], "nan is not a finite number"),
        ([1, None], "None is no number, text, true or false, or a list of them"),
        ([json.loads("[" * 40 + "]" * 40)], "a value is nested more than 20 levels deep"),
        ({"choice": [1, 2], "weights": [1]}, "weights must be 2 numbers, one for each choice"),
        ({"choice": [1, 2], "weights": "12"}, "weights must be 2 numbers, one for each choice"),
        ({"choice": [1, 2], "weights": 3}, "weights must be 2 numbers, one for each choice"),
        ({"choice": [1, 2], "weights": [1, 0]}, "weights must be numbers above zero, found [1, 0]"),
        ({"choice": [1, 2], "weights": [1, "2"]}, "weights must be numbers above zero"),
        ({"choice": [1, 2], "weights": [1, math.nan]}, "weights must be numbers above zero"),
        ({"choice": [1, 2], "weights": [1e308, 1e308]}, "weights must be numbers above zero"),
        ({"choice": [1, 2], "weights": [1, 10**400]}, "weights must be numbers above zero"),
    ],
)
def test_a_wrong_declaration_is_refused_in_one_line(declared, words):
    text = refusal(space_from, {"x": declared})
    assert text.startswith("[space] x: ")
    assert words in text


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ({}, "[space] is empty: give it at least one parameter, such as lr = { log = [1e-4, 1e-1] }"),
        ({"learning-rate": 1}, "'learning-rate' cannot be the name of a parameter"),
        ({"1st": 1}, "'1st' cannot be the name of a parameter"),
        ({"": 1}, "'' cannot be the name of a parameter"),
        ({"two\nlines": 1}, "cannot be the name of a parameter"),
        ({5: 1}, "5 cannot be the name of a parameter"),
        ({"Stage": 1}, "'Stage' is taken: it is a column of the tables or given to the trainer; rename it"),
        ({"lr": 1, "LR": 2}, "'LR' and 'lr' differ in case only, which SQL readers cannot tell apart"),
        ({"straße": 1, "STRASSE": 2}, "'STRASSE' and 'straße' differ in case only"),
        *[({name: 1}, f"{name!r} is taken") for name in RESERVED],
    ],
)
def test_a_name_that_cannot_be_a_column_or_an_argument_is_refused(space, words):
    assert words in refusal(space_from, space)


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (conditional(updat="sgd"), "beta: when names an unknown 'updat'; did you mean 'update'?"),
        (conditional(**{"5": "sgd"}), "beta: when names an unknown '5'"),
        ({**UPDATES, "beta": {"fixed": 1, "when": {5: "sgd"}}}, "beta: when names an unknown 5"),
        (conditional(update="momentun"), "update is never 'momentun'; did you mean 'momentum'?"),
        (conditional(update=["sgd", 1]), "update is never 1"),
        (conditional(update=["sgd", {}]), "update is never {}"),
        (conditional(update=[]), "when lists no value of 'update', so it would never be active"),
        (conditional(), 'when wants a table such as { update = "momentum" }, found {}'),
        ({**UPDATES, "beta": {"fixed": 1, "when": "momentum"}}, "when wants a table such as"),
        ({"lr": {"log": [1, 2]}, "beta": {"fixed": 1, "when": {"lr": 1}}}, "when needs a choice, and 'lr' is a range"),
        ({"flag": [True, False], "beta": {"fixed": 1, "when": {"flag": 1}}}, "flag is never 1"),
        ({"flag": [0, 1], "beta": {"fixed": 1, "when": {"flag": True}}}, "flag is never True"),
        ({"a": {"choice": [1, 2], "when": {"a": 1}}}, "a: its when depends on itself"),
        (
            {"a": {"choice": [1], "when": {"b": 1}}, "b": {"choice": [1], "when": {"c": 1}}}
            | {"c": {"choice": [1], "when": {"a": 1}}},
            "a: its when depends on itself",
        ),
        (
            {"z": {"fixed": 1, "when": {"a": 1}}, "a": {"choice": [1], "when": {"b": 1}}}
            | {"b": {"choice": [1], "when": {"a": 1}}},
            "a: its when depends on itself",
        ),
    ],
)
def test_a_condition_that_can_never_hold_is_refused(space, words):
    assert words in refusal(space_from, space)


@pytest.mark.parametrize(
    ("values", "written", "meant"),
    [
        (["sgd", "adam"], "adam", ("adam",)),
        ([1, 2.5], 1, (1.0,)),
        ([1, True, "1"], [True, "1"], (True, "1")),
        ([[64], [64, 32]], [[64]], ([64],)),
        (0.9, 0.9, (0.9,)),
    ],
)
def test_a_condition_means_the_values_that_the_parent_really_has(values, written, meant):
    space = space_from({"parent": values, "beta": {"uniform": [0, 1], "when": {"parent": written}}})
    assert repr(space.when) == repr({"beta": {"parent": meant}})
    source = space.parameters["parent"]
    places = source.encode(source.values if isinstance(source, Choice) else [source.value])
    columns = space.decode({"parent": places, "beta": places}, len(places))
    active = [value for value, beta in zip(columns["parent"], columns["beta"], strict=True) if beta is not None]
    assert sorted(map(repr, active)) == sorted(map(repr, meant))


@given(spaces())
def test_what_is_written_of_a_space_declares_it_again_in_every_format(written):
    space = space_from(written)
    again = written_from(space)
    for read_back in (again, json.loads(json.dumps(again)), tomllib.loads(tomli_w.dumps(again))):
        assert space_from(read_back) == space
        assert space_from(read_back).names == space.names
        assert written_from(space_from(read_back)) == again


@given(ranges(), st.floats(0, 0.9), st.floats(0.1, 2.0))
def test_a_part_of_a_declared_range_can_be_written_and_read_back(declared, start, width):
    space = space_from({"x": declared})
    narrowed = space.narrowed({"x": space.parameters["x"].part(start, start + width)})
    again = space_from(json.loads(json.dumps(written_from(narrowed)))).parameters["x"]
    part = narrowed.parameters["x"]
    assert (again.low, again.high, again.log, again.integer) == (part.low, part.high, part.log, part.integer)


SPACE = space_from(
    {"lr": {"log": [1e-5, 1e-2]}, "n": {"int": [1, 9]}, "size": [1, 2.5], "flag": [True, 0], "layers": [[64], [64, 32]]}
    | {"fix": 0.9}
)


@pytest.mark.parametrize(
    ("written", "config"),
    [
        ({}, {}),
        ({"lr": 1e-5, "n": 9}, {"lr": 1e-5, "n": 9}),
        ({"n": 3.0, "size": 1}, {"n": 3, "size": 1.0}),
        ({"flag": 0}, {"flag": 0}),
        ({"flag": True, "layers": [64, 32], "fix": 0.9}, {"flag": True, "layers": [64, 32], "fix": 0.9}),
    ],
)
def test_a_config_has_the_values_of_its_parameters(written, config):
    assert repr(config_from(written, SPACE, "include 1")) == repr(config)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ([1], "include 1 must be a table of parameters, such as { lr = 1e-3 }"),
        ({"l": 1}, "include 1: unknown parameter 'l'; did you mean 'lr'?"),
        ({5: 1}, "include 1: unknown parameter 5"),
        ({"lr": 1e-6}, "include 1: lr: 1e-06 is outside of [1e-05, 0.01]"),
        ({"lr": "1e-4"}, "include 1: lr: '1e-4' is not a finite number"),
        ({"lr": math.nan}, "nan is not a finite number"),
        ({"lr": True}, "True is not a finite number"),
        ({"n": 10**400}, "is not a finite number"),
        ({"n": 2.5}, "include 1: n: 2.5 is not a whole number"),
        ({"n": 10}, "include 1: n: 10 is outside of [1, 9]"),
        ({"size": 2}, "include 1: size: 2 is none of [1.0, 2.5]"),
        ({"size": True}, "True is none of [1.0, 2.5]"),
        ({"flag": 1}, "include 1: flag: 1 is none of [True, 0]"),
        ({"flag": False}, "False is none of [True, 0]"),
        ({"layers": [32]}, "[32] is none of [[64], [64, 32]]"),
        ({"layers": None}, "None is none of"),
        ({"fix": 0.8}, "include 1: fix: 0.8 is none of [0.9]"),
    ],
)
def test_a_config_that_is_not_of_the_space_is_refused(written, words):
    assert words in refusal(config_from, written, SPACE, "include 1")


@given(spaces().map(space_from), st.integers(0, 10))
def test_every_config_that_can_be_drawn_can_be_included(space, seed):
    positions = {name: np.random.default_rng(seed).random(3) for name in space.searched}
    columns = space.decode(positions, 3)
    for i in range(3):
        config = config_at(columns, i)
        assert repr(config_from(config, space, "")) == repr(config)


@given(
    st.dictionaries(
        st.sampled_from(["uniform", "log", "int", "choice", "fixed", "limits", "weights", "when", "x"]), VALUES
    )
)
def test_anything_at_all_is_a_parameter_or_refused_in_one_line(declared):
    try:
        space_from({"x": declared})
    except UsageError as error:
        text = str(error)
    else:
        text = "[space] x: nothing"
    assert re.fullmatch(r"\[space\] x: .+", text)
