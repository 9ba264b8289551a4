"""What a trainer may be, and what is said of one that does not fit."""

import functools
import sys

import cloudpickle
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.messages import Function
from workers.training import Binding, TrainerError, bind, did_you_mean, load, reports_of, users_traceback


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a Python file; what is imported from it is forgotten at the end."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)

    def write(text, name="own_trainer.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]


TRAIN = "def train(lr):\n    return lr\n"


# --- load


def test_a_function_is_found_in_a_file_which_may_import_its_neighbours(write):
    write("FACTOR = 3\n", "own_neighbour.py")
    path = write("import own_neighbour\ndef train(lr):\n    return lr * own_neighbour.FACTOR\n")
    assert load(Function(f"{path}:train"))(2) == 6


def test_a_function_is_found_in_a_module():
    assert load(Function("workers.training:load")) is load


def test_a_function_that_was_pickled_by_value_needs_no_file():
    factor = 3
    assert load(Function("train, of a notebook", cloudpickle.dumps(lambda lr: lr * factor)))(2) == 6


@pytest.mark.parametrize("name", ["own_trainer.py", "random.py", "numpy.py"])
def test_a_file_is_imported_once_whatever_it_is_called(write, name):
    path = write("data = []\ndef train(lr):\n    return data\ndef setup():\n    return data\n", name)
    module = sys.modules.get(path.stem)
    train, setup = (load(Function(f"{path}:{function}")) for function in ("train", "setup"))
    assert train(0.1) is setup()
    assert module is None or sys.modules[path.stem] is module


def test_files_of_the_same_name_are_told_apart(write):
    paths = [write(f"def train(lr):\n    return {i}\n", f"{i}/own_trainer.py") for i in range(3)]
    functions = [load(Function(f"{path}:train")) for path in paths * 2]
    assert [train(0.1) for train in functions[:3]] == [0, 1, 2]
    assert functions[3:] == functions[:3]


def test_a_class_of_a_file_can_be_pickled(write):
    path = write("import dataclasses\n@dataclasses.dataclass\nclass Point:\n    x: int\n", "random.py")
    point = load(Function(f"{path}:Point"))(3)
    assert cloudpickle.loads(cloudpickle.dumps(point)) == point


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{folder}/none.py:train", "there is no file {folder}/none.py"),
        ("{folder}/own_trainer.py:trian", "own_trainer.py has no function 'trian'; did you mean 'train'?"),
        ("{folder}/own_trainer.py:xyz", "has no function 'xyz'; known: train"),
        ("{folder}/own_trainer.py:SIZE", "SIZE is a int, not a function"),
        ("workers.training:laod", "workers.training has no function 'laod'; did you mean 'load'?"),
        ("no_such_module:train", "there is no module 'no_such_module' to import"),
        ("workers.no_such_module:train", "there is no module 'workers.no_such_module' to import"),
        ("own_trainer:train", "there is no module 'own_trainer' to import; for a file write \"own_trainer.py:...\""),
        ("train.py", "names no function"),
        (":train", "names no function"),
        ("train.py:", "names no function"),
    ],
)
def test_what_cannot_be_found_is_named_with_the_nearest(write, tmp_path, monkeypatch, source, words):
    write("_hidden = print\nSIZE = 3\n" + TRAIN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in ("", str(tmp_path))])
    with pytest.raises(TrainerError) as error:
        load(Function(source.format(folder=tmp_path)))
    assert words.format(folder=tmp_path) in str(error.value)


def test_a_failed_import_is_the_users_own_error_and_leaves_nothing_behind(write):
    path = write("raise RuntimeError('no licence')\n")
    with pytest.raises(RuntimeError, match="no licence"):
        load(Function(f"{path}:train"))
    path.write_text(TRAIN)
    assert load(Function(f"{path}:train"))(3) == 3


def test_a_module_that_lacks_another_module_is_not_called_missing_itself(write, tmp_path, monkeypatch):
    write("import no_such_dependency\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_dependency"):
        load(Function("own_trainer:train"))


# --- bind


def bound(train, parameters="lr", optional="", *, has_data=False):
    return bind(train, parameters.split(), optional.split(), has_data)


def by_name(lr, reg=0.0):
    """Takes parameters by their names."""


def injected(lr, *, epochs, seed, data):
    """Takes all that can be injected."""


def as_dict(config, verbose=False, *, epochs):
    """Takes the whole config."""


def anything(**config):
    """Takes what it is given."""


def conditional(lr, beta=0.9):
    """Can do without beta."""


@pytest.mark.parametrize(
    ("train", "parameters", "binding"),
    [
        (by_name, "lr", Binding(as_dict=False, epochs=False, seed=False, data=False)),
        (by_name, "lr reg", Binding(as_dict=False, epochs=False, seed=False, data=False)),
        (injected, "lr", Binding(as_dict=False, epochs=True, seed=True, data=True)),
        (as_dict, "lr reg drop", Binding(as_dict=True, epochs=True, seed=False, data=False)),
        (anything, "lr reg drop", Binding(as_dict=False, epochs=False, seed=False, data=False)),
        (lambda lr, config=None: 0, "lr", Binding(as_dict=False, epochs=False, seed=False, data=False)),
        (lambda config: 0, "config", Binding(as_dict=False, epochs=False, seed=False, data=False)),
        (lambda data=None: 0, "", Binding(as_dict=False, epochs=False, seed=False, data=True)),
        (functools.partial(by_name, reg=1.0), "lr", Binding(as_dict=False, epochs=False, seed=False, data=False)),
    ],
)
def test_a_trainer_says_by_its_names_how_it_is_called(train, parameters, binding):
    assert bound(train, parameters, has_data=True) == binding


@pytest.mark.parametrize("name", ["checkpoint", "context"])
@pytest.mark.parametrize(
    ("written", "given"),
    [
        ("{}", True),
        ("{}=None", True),
        ("{}=128", False),
        ("{}=''", False),
        ("{}=np.zeros(2)", False),
        ("**rest", False),
    ],
)
def test_a_checkpoint_and_a_context_are_given_where_nothing_else_can_be_meant(name, written, given):
    train = eval(f"lambda lr, {written.format(name)}: 0", {"np": np})
    assert getattr(bound(train), name) is given
    assert getattr(bound(train), "context" if name == "checkpoint" else "checkpoint") is False


def test_a_parameter_of_the_space_that_is_called_context_is_the_spaces():
    assert not bound(lambda lr, context: 0, "lr context").context


def test_data_with_a_default_is_not_given_where_there_is_no_setup():
    assert not bound(lambda lr, data=None: 0).data


@pytest.mark.parametrize(
    ("train", "parameters", "optional", "words"),
    [
        (by_name, "lr rge", "", "by_name() has no parameter 'rge'; did you mean 'reg'?"),
        (by_name, "lr momentum", "", "by_name() has no parameter 'momentum'; known: reg"),
        (by_name, "reg", "", "by_name() needs 'lr', which the space does not give: add it to [space]"),
        (by_name, "", "", "needs 'lr'"),
        (lambda learning_rate, **rest: 0, "learning_rte", "", "did you mean 'learning_rte'?"),
        (injected, "lr", "", "needs 'data', which `setup` gives: add setup ="),
        (lambda lr, beta: 0, "lr beta", "beta", "must give 'beta' a default: it is not active in every config"),
        (lambda lr, config: 0, "lr", "", "needs 'config', which the space does not give"),
        (lambda config, verbose: 0, "lr", "", "needs 'verbose'"),
        (lambda x, /, lr: 0, "lr", "", "takes 'x' by position only"),
        (lambda lr=0, /: 0, "lr", "", "takes 'lr' by position only"),
        (dict.fromkeys, "lr", "", "takes 'iterable' by position only"),
        (type, "lr", "", "has no signature that can be read"),
    ],
)
def test_names_that_do_not_fit_are_refused_before_anything_starts(train, parameters, optional, words):
    with pytest.raises(TrainerError) as error:
        bound(train, parameters, optional)
    assert words in str(error.value)


@pytest.mark.parametrize("train", [conditional, anything, as_dict])
def test_a_parameter_that_is_not_always_active_needs_a_default_where_it_is_taken_by_name(train):
    bound(train, "lr beta", "beta")


NAMES = ["lr", "reg", "hidden", "drop", "config", "epochs", "seed"]


@given(
    st.lists(st.sampled_from(NAMES[:5]), unique=True),
    st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["", "=None"])),
    st.booleans(),
)
def test_a_trainer_that_is_let_through_can_be_called_with_every_config(parameters, named, takes_any):
    signature = ["*"] * bool(named) + [name + default for name, default in named.items()] + ["**rest"] * takes_any
    train = eval(f"lambda {', '.join(signature)}: locals()")
    try:
        binding = bind(train, parameters, (), False)
    except TrainerError:
        return
    config = dict.fromkeys(parameters, 1.0)
    given = {"config": config} if binding.as_dict else config
    given |= {name: 2 for name in ("epochs", "seed") if getattr(binding, name)}
    taken = train(**given)
    assert given.items() <= (taken | taken.get("rest", {})).items()


def test_a_long_list_is_no_hint():
    assert did_you_mean("xyz", [f"metric_{i}" for i in range(13)]) == ""


# --- reports_of


def epochs():
    yield {"loss": 1.0}
    yield {"loss": 0.5}


@pytest.mark.parametrize(
    ("answer", "items"),
    [
        (epochs(), [{"loss": 1.0}, {"loss": 0.5}]),
        (iter([0.5, 0.6]), [0.5, 0.6]),
        ({"loss": 1.0}, [{"loss": 1.0}]),
        (0.5, [0.5]),
        (None, [None]),
        ([1.0, 2.0], [[1.0, 2.0]]),
    ],
)
def test_a_generator_reports_its_items_and_anything_else_reports_itself(answer, items):
    assert list(reports_of(answer)) == items


# --- users_traceback


def shown(path):
    """The traceback of a file that cannot be loaded, as a worker shows it."""
    with pytest.raises((ValueError, SyntaxError)) as error:
        load(Function(f"{path}:train"))
    return users_traceback(error.value.with_traceback(error.tb.tb_next))  # without this function


def test_a_traceback_begins_where_the_users_code_does(write):
    path = write('def helper():\n    raise ValueError("mine")\nhelper()\n')
    assert shown(path) == (
        "Traceback (most recent call last):\n"
        f'  File "{path}", line 3, in <module>\n    helper()\n'
        f'  File "{path}", line 2, in helper\n    raise ValueError("mine")\n'
        "ValueError: mine\n"
    )


def test_what_caused_an_error_is_shown_too(write):
    path = write("try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise ValueError('mine') from error\n")
    assert "ZeroDivisionError: division by zero\n\nThe above exception was the direct cause" in shown(path)


def test_a_syntax_error_is_shown_where_it_is_without_any_frame_of_ours(write):
    path = write("x = 1\ndef train(lr:\n")
    assert shown(path).startswith(f'  File "{path}", line 2\n    def train(lr:\n')


def test_an_error_of_ours_is_shown_as_it_is():
    with pytest.raises(TrainerError) as error:
        load(Function("nothing"))
    assert "training.py" in users_traceback(error.value.with_traceback(error.tb.tb_next))
