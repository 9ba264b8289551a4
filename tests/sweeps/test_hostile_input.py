"""Sweep files and names that are broken, huge or hostile: one clear line, exit code 2, nothing made and nothing run."""

import contextlib

import pytest
import tomli_w
from conftest import sweep
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.errors import UsageError
from sweeps.hold import place
from sweeps.settings import settings_from
from sweeps.sweepfile import MAX_BYTES, load

STAGES = [{"name": "one", "trials": 2, "epochs": 1}]


def toml(**changes):
    return tomli_w.dumps(sweep(stages=STAGES) | changes).encode()


def yaml(*lines):
    return "\n".join(lines).encode()


def laughs(levels=30, width=9):
    """Lists of lists, each of the one before: a file of a page that stands for more values than there are atoms."""
    lines = ["a0: &a0 [x]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * width)}]" for i in range(1, levels))]
    return yaml(*lines)


def merges(levels=30, width=9):
    """The same with merge keys."""
    keys = ", ".join(f"k{i}: 1" for i in range(20))
    lines = [f"a0: &a0 {{{keys}}}"]
    lines += [f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * width)}]}}" for i in range(1, levels)]
    return yaml(*lines)


VALID = yaml("train: x.py:f", "metric: m", "mode: max", "space: {a: 1}", "stage: [{name: a, trials: 1, epochs: 1}]")
FILES = {
    "empty.toml": b"",
    "empty.yaml": b"",
    "only-spaces.yaml": b"   \n\n",
    "binary.toml": bytes(range(256)) * 4,
    "binary.yaml": bytes(range(256)) * 4,
    "utf16.toml": toml().decode().encode("utf-16"),
    "utf16.yaml": VALID.decode().encode("utf-16"),
    "latin1.toml": 'metric = "Güte"'.encode("latin-1"),
    "nul.toml": toml() + b"\x00",
    "nul.yaml": VALID + b"\x00",
    "cut.toml": toml()[:-20],
    "cut.yaml": b"space: {a: [1, 2",
    "tab.yaml": b"space:\n\ta: 1",
    "twice.toml": toml() + b"\n[stop]\n[stop]\n",
    "twice.yaml": VALID + b"\nmode: min",
    "huge.toml": b"#" * (MAX_BYTES + 1),
    "huge.yaml": b"#" * (MAX_BYTES + 1),
    "deep.toml": b"a = " + b"[" * 100_000 + b"]" * 100_000,
    "deep-keys.toml": b".".join([b"a"] * 100_000) + b" = 1",
    "deep-tables.toml": b"[" + b".".join([b"a"] * 100_000) + b"]",
    "deep.yaml": b"[" * 2_000,
    "deep-blocks.yaml": b"\n".join(b" " * i + b"a:" for i in range(1_200)),
    "digits.toml": b"seed = " + b"9" * 100_000,
    "digits.yaml": b"seed: " + b"9" * 100_000,
    "laughs.yaml": laughs(),
    "merges.yaml": merges(),
    "itself.yaml": b"space: &a {b: *a}",
    "itself-list.yaml": b"space: &a [*a]",
    "python.yaml": b"space: !!python/object/apply:os.system ['touch pwned']",
    "python-name.yaml": b"train: !!python/name:os.system",
    "date.toml": toml(seed=0).replace(b"seed = 0", b"seed = 1979-05-27"),
    "date.yaml": VALID.replace(b"metric: m", b"metric: 2001-01-01"),
    "set.yaml": VALID.replace(b"space: {a: 1}", b"space: !!set {a, b}"),
    "bytes.yaml": VALID.replace(b"metric: m", b"metric: !!binary aGVsbG8="),
    "numbers-for-keys.yaml": VALID + b"\n1: 2",
    "lists-for-keys.yaml": VALID + b"\n? [a, b]\n: 2",
    "null-for-keys.yaml": VALID + b"\n~: 2",
    "list.yaml": b"- a\n- b",
    "text.yaml": b"hello",
    "unknown-anchor.yaml": b"space: *nothing",
    "two-documents.yaml": VALID + b"\n---\n" + VALID,
    "surrogate.yaml": VALID.replace(b"metric: m", b'metric: "\\ud800"'),
    "typo.toml": toml(metrik="x"),
    "escape-in-key.toml": toml(**{"\x1b[2Jtrain": "x"}),
    "escape-in-metric.toml": toml(metric="\x1b]0;owned\x07"),
    "escape-in-mode.toml": toml(mode="\x1b[31mmax"),
    "newline-in-metric.toml": toml(metric="a\nb"),
    "nul-in-metric.toml": toml(metric="a\0b"),
    "right-to-left-metric.toml": toml(metric="ssol\u202e"),
    "nul-in-trainer.toml": toml(train="a\0b.py:f"),
    "newline-in-trainer.toml": toml(train="a\n.py:f"),
    "surrogate-in-choice.yaml": VALID.replace(b"space: {a: 1}", b'space: {a: ["\\ud800", b]}'),
    "no-folder-of-trainer.toml": toml(train="../../../../nowhere/x.py:f"),
    "a-folder-for-a-trainer.toml": toml(train="/tmp.py:f"),
    "stage-elsewhere.toml": toml(stage=[{"name": "../x", "trials": 1, "epochs": 1}]),
    "stage-with-nul.toml": toml(stage=[{"name": "a\0", "trials": 1, "epochs": 1}]),
    "stage-from-right.toml": toml(stage=[{"name": "a\u202eb", "trials": 1, "epochs": 1}]),
    "stage-too-long.toml": toml(stage=[{"name": "a" * 65, "trials": 1, "epochs": 1}]),
    "stage-is-no-table.toml": toml(stage=[1]),
    "stage-is-a-text.toml": toml(stage="one"),
    "parameter-elsewhere.toml": toml(space={"../lr": 1}),
    "parameter-with-escape.toml": toml(space={"\x1b[2Jlr": 1}),
    "parameter-from-right.toml": toml(space={"l\u202er": 1}),
    "trials-for-ever.toml": toml(stage=[{"name": "a", "trials": 2**62, "epochs": 1}]),
    "long-value.toml": toml(mode="m" * 500_000),
    "infinite.toml": toml(space={"lr": {"log": [1e-3, float("inf")]}}),
    "space-is-a-list.toml": toml(space=[1, 2]),
    "run-is-a-number.toml": toml(run=3),
    "resources-are-odd.toml": toml(run={"resources": {"a\nb": 1}}),
}


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_sweep_file_costs_one_clear_line_and_nothing_is_made(call, tmp_path, name):
    (tmp_path / name).write_bytes(FILES[name])
    for verb in ("run", "plan"):
        refused = call(verb, name)
        assert (refused.code, refused.out) == (2, "")
        assert refused.err.startswith("sweeps: ")
        assert refused.err.count("\n") == 1, refused.err
        assert refused.err.strip().isprintable()
        assert len(refused.err) < 1_100
    assert [path.name for path in tmp_path.iterdir()] == [name]


NAMES = [
    "",
    ".",
    "..",
    "../x",
    "/etc/x",
    "a/b",
    "a\0b",
    "a\nb",
    "a\u202eb",
    "\x1b[2J",
    "-rf",
    "a" * 201,
    "\ud800",
    "\u2028",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_run_cannot_be_called_what_leads_elsewhere_or_cannot_be_read(call, tmp_path, name):
    (tmp_path / "sweep.toml").write_bytes(toml())
    refused = call("run", "sweep.toml", "--backend", "inline", f"--name={name}")
    assert (refused.code, refused.out) == (2, "") or name == ""
    assert name == "" or "cannot be called" in refused.err
    assert name == "" or [path.name for path in tmp_path.iterdir()] == ["sweep.toml"]


@given(st.text(max_size=30))
def test_whatever_a_run_is_called_its_folder_is_in_the_folder_of_runs(tmp_path_factory, name):
    out = tmp_path_factory.getbasetemp() / "nowhere"
    try:
        folder = place(out, name)
    except UsageError:
        return
    assert folder.parent == out
    assert folder.resolve().parent == out.resolve()
    assert str(folder).isprintable()


OVERRIDES = [
    "a",
    "=1",
    "stage=1",
    "stage.x.trials=1",
    "stage.one=1",
    "space.lr.log.x=1",
    "metric.x=1",
    "seed=" + "[" * 9_999,
]
OVERRIDES += ["..=1", "seed=" + "9" * 9_999, "space.lr.\x1b[2J=1", ".".join("a" * 9_999) + "=1"]


@pytest.mark.parametrize("override", OVERRIDES, ids=range(len(OVERRIDES)))
def test_a_hostile_override_costs_one_line_too(call, tmp_path, override):
    (tmp_path / "sweep.toml").write_bytes(toml())
    refused = call("plan", "sweep.toml", "--set", override)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.count("\n") == 1
    assert refused.err.strip().isprintable()


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates() | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | st.integers(), inner, max_size=3),
    max_leaves=8,
)
KEYS = ["train", "setup", "metric", "mode", "seed", "space", "stage", "search", "stop", "run", "x"]
PLACES = ["", "space", "space.lr", "stop", "run", "stage"]


@settings(max_examples=300)
@given(st.sampled_from(PLACES), st.text(max_size=6) | st.sampled_from([*KEYS, "name", "trials", "log", "when"]), values)
def test_whatever_stands_at_a_key_is_a_setting_or_one_clear_error(tmp_path_factory, where, key, value):
    written = sweep(stages=[dict(STAGES[0])], space={"lr": {"log": [1e-5, 1e-2]}}, stop={}, run={})
    table = written
    for step in where.split(".") if where else ():
        table = table[step][0] if step == "stage" else table[step]
    table[key] = value
    with contextlib.suppress(UsageError):
        settings_from(written, tmp_path_factory.getbasetemp())


@settings(max_examples=300)
@given(
    st.text(alphabet="abm:-[]{}&*!?|>'\"%@`#,\n \t0123.e~<=\\\x1b\u202e", max_size=60),
    st.sampled_from(["toml", "yaml"]),
)
def test_whatever_a_file_holds_it_is_read_or_one_clear_error(tmp_path_factory, text, kind):
    path = tmp_path_factory.getbasetemp() / f"any.{kind}"
    path.write_text(text, "utf-8")
    with contextlib.suppress(UsageError):
        assert isinstance(load(path), dict)
