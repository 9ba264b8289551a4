"""A command with parameters in braces: what it takes, what it becomes, and what is wrong with it."""

import pathlib
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.command import CommandError, command_from, is_command, placed
from workers.context import Context

CONTEXT = Context("digits", "coarse", 7, 1, 0, 5)


@pytest.fixture(autouse=True)
def script(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pathlib.Path("train.py").touch()


def filled(written, **values):
    return command_from(written).filled(values)


def test_only_braces_make_a_command():
    assert is_command("train.py --lr {lr}")
    assert not is_command("train.py:train")
    assert not is_command("my project/train.py:train")


def test_values_take_the_place_of_their_names():
    assert filled("train.py --lr {lr} --out={name}/{seed}", lr=1e-05, name="x", seed=3) == [
        *(sys.executable, "train.py", "--lr", "1e-05", "--out=x/3")
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1, "0.1"), (3, "3"), (True, "true"), ("a b", "a b"), ([1, 2], "[1, 2]"), ({"a": 1}, '{"a": 1}')],
)
def test_a_text_stays_as_it_is_and_anything_else_is_json(value, text):
    assert filled("train.py {x}", x=value)[-1] == text


@given(value=st.floats(allow_nan=False))
@settings(max_examples=100)
def test_a_number_comes_through_whole(value):
    assert float(filled(f"{sys.executable} {{x}}", x=value)[-1]) == value


@given(value=st.text(st.characters(exclude_characters="\0")))
@settings(max_examples=100)
def test_no_text_becomes_more_than_one_word(value):
    assert filled(f"{sys.executable} --x {{x}}", x=value) == [sys.executable, "--x", value]


def test_a_default_stands_where_nothing_is_given_and_shows_in_the_parameters():
    command = command_from("train.py {lr} {beta=0.9} {layers=2} {name=plain} {out=}")
    assert command.parameters == {"lr": None, "beta": 0.9, "layers": 2, "name": "plain", "out": ""}
    assert command.filled({"lr": 1.0})[2:] == ["1.0", "0.9", "2", "plain", ""]
    assert command.filled({"lr": 1.0, "beta": 0.5})[3] == "0.5"


def test_a_name_that_is_there_twice_must_be_given_if_it_must_be_once():
    assert command_from("train.py {lr=1} {lr}").parameters == {"lr": None}


def test_the_context_is_taken_by_its_parts():
    command = command_from("train.py --run {context.name} --group {context.group}")
    assert list(command.parameters) == ["context"]
    assert command.filled({"context": CONTEXT})[2:] == ["--run", "digits-coarse-7", "--group", "digits"]


def test_double_braces_are_braces():
    assert filled("train.py '{{\"lr\": {lr}}}'", lr=0.5)[-1] == '{"lr": 0.5}'


@pytest.mark.parametrize(
    ("written", "program"),
    [
        ("train.py {x}", [sys.executable, "train.py"]),
        ("python train.py {x}", [sys.executable, "train.py"]),
        ("python3 -O train.py {x}", [sys.executable, "-O", "train.py"]),
        ("python -m package.train {x}", [sys.executable, "-m", "package.train"]),
        ("env A=1 train.py {x}", ["env", "A=1", "train.py"]),
    ],
)
def test_python_is_the_one_that_runs_the_sweep(written, program):
    assert filled(written, x=1) == [*program, "1"]


def test_the_script_alone_is_placed():
    def there(path):
        return pathlib.Path("/a b") / path

    assert placed("train.py --in data.py {lr}", there) == "'/a b/train.py' --in data.py '{lr}'"
    assert placed("python -u train.py '{lr}'", there) == "python -u '/a b/train.py' '{lr}'"
    assert placed("python -m train {lr}", there) == "python -m train '{lr}'"
    assert placed("./run.sh {lr}", there) == "./run.sh '{lr}'"


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("train.py --lr '{lr}", "no closing quotation"),
        ("{lr} train.py", "must begin with the script"),
        ("absent.py {lr}", "there is no file absent.py"),
        ("no-such-program {lr}", "no program 'no-such-program'"),
        ("./train.py.sh {lr}", "no program './train.py.sh'"),
        ("train.py {}", "write a name in braces"),
        ("train.py {0}", "write a name in braces"),
        ("train.py {lr:.3f}", "write a name in braces"),
        ("train.py {lr!r}", "write a name in braces"),
        ("train.py {lr", "expected '}'"),
        ("train.py lr} {x}", "Single '}'"),
        ("train.py {data}", "loads its own data"),
        ("train.py {checkpoint}", "cannot go on from one"),
        ("train.py {context.colour}", "context has no 'colour'"),
        ("train.py {lr.real}", "lr has no 'real'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(written, words):
    with pytest.raises(CommandError) as raised:
        command_from(written)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
