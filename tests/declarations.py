"""Sweeps as users might write them, at random: valid ones, and anything at all."""

from hypothesis import strategies as st

NAMES = ("lr", "reg", "hidden", "update", "drop", "größe", "x_1")
WORDS = st.text(st.characters(exclude_categories=["C"]), max_size=8)
SCALARS = st.one_of(
    st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False), WORDS
)
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=3), st.dictionaries(WORDS, SCALARS, max_size=2))


@st.composite
def ranges(draw, kinds=("uniform", "log", "int", "log int")):
    """A range of one of these kinds; sometimes with limits."""
    kind = draw(st.sampled_from(kinds))
    if kind == "uniform":
        low = draw(st.floats(-1e6, 1e6))
        high = low + draw(st.floats(1e-3, 1e6))
        limits = [low - draw(st.floats(0, 1e6)), high + draw(st.floats(0, 1e6))]
    elif kind == "log":
        low = draw(st.floats(1e-200, 1e200))
        high = low * draw(st.floats(1.01, 1e20))
        limits = [low / draw(st.floats(1, 1e20)), high * draw(st.floats(1, 1e20))]
    else:
        low = draw(st.integers(1 if kind == "log int" else -(10**6), 10**6))
        high = low + draw(st.integers(1, 10**6))
        limits = [low if kind == "log int" else low - draw(st.integers(0, 100)), high + draw(st.integers(0, 100))]
    written = {kind.split()[-1]: [low, high]} | ({"log": True} if kind == "log int" else {})
    return written | ({"limits": limits} if draw(st.booleans()) else {})


@st.composite
def choices(draw):
    """A choice; sometimes with weights."""
    values = draw(st.lists(VALUES, min_size=1, max_size=5, unique_by=_alike))
    weights = draw(st.none() | st.lists(st.floats(1e-3, 1e3), min_size=len(values), max_size=len(values)))
    return values if weights is None else {"choice": values, "weights": weights}


@st.composite
def spaces(draw):
    """A [space] of up to six parameters; some depend on choices, and some of those on others again."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=6, unique=True))
    space, parents = {}, {}
    for name in names:
        declared = draw(st.one_of(ranges(), choices(), SCALARS))
        values = (
            declared if isinstance(declared, list) else declared.get("choice") if _is_table(declared) else [declared]
        )
        if parents and draw(st.booleans()):
            parent = draw(st.sampled_from(sorted(parents)))
            allowed = draw(st.lists(st.sampled_from(parents[parent]), min_size=1, max_size=2))
            kind = "choice" if isinstance(declared, list) else "fixed"
            declared = {**(declared if _is_table(declared) else {kind: declared}), "when": {parent: allowed}}
        space[name] = declared
        if values is not None:
            parents[name] = values
    return space


@st.composite
def sweeps(draw):
    """A whole sweep file."""
    names = draw(
        st.lists(st.from_regex(r"[a-z0-9][a-z0-9_-]{0,8}", fullmatch=True), min_size=1, max_size=3, unique=True)
    )
    durations = st.floats(1e-3, 1e9) | st.sampled_from(["90s", "10m", "1h30m", "2.5d"])
    tables = {
        "stop": {"nan": st.booleans(), "blowup": st.just(False) | st.floats(1.01, 1e6), "loss": st.just("cost")}
        | {"timeout": durations},
        "run": {"slots": st.just("auto") | st.integers(1, 64), "cpus": st.integers(1, 8), "retries": st.integers(0, 5)}
        | {
            "budget": durations,
            "gpus": st.sampled_from([0, 0.25, 2]),
            "memory": st.sampled_from(["4G", "1.3M", "7KiB"]),
        }
        | {
            "resources": st.dictionaries(st.sampled_from(["tpu", "a b"]), st.sampled_from([0.5, 3])),
            "address": st.just("auto"),
        },
    }
    stage = {"trials": st.integers(1, 1000), "epochs": st.integers(1, 100)}
    methods = {"method": st.sampled_from(["random", "sobol", "lhs"])}
    space = draw(spaces())
    stages = [{"name": name, **draw(st.fixed_dictionaries(stage, optional=methods))} for name in names]
    fixed = {name: value for name, value in space.items() if not isinstance(value, list | dict)}
    if draw(st.booleans()):
        stages[0]["include"] = [fixed]
    top = {
        "train": "train.py:train",
        "metric": "val_acc",
        "mode": draw(st.sampled_from(["min", "max"])),
        "space": space,
        "stage": stages,
    }
    optional = {"setup": st.just("train.py:load"), "seed": st.integers(0, 2**63 - 1)}
    optional |= {key: st.fixed_dictionaries({}, optional=table) for key, table in tables.items()}
    return top | draw(st.fixed_dictionaries({}, optional=optional))


def _is_table(declared):
    return isinstance(declared, dict)


def _alike(value):
    """What a choice must not list twice; whole numbers and others may become equal."""
    return (isinstance(value, bool), float(value)) if isinstance(value, int | float) else repr(value)
