"""What a user writes of a space, turned into a `Space`, and a `Space` turned back into what a user writes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sweeps.errors import UsageError
from sweeps.space import MAX_REAL, MAX_WHOLE, Choice, Config, Fixed, Parameter, Range, Space, Value
from sweeps.values import SCALARS, is_number, meant, plain
from workers.training import did_you_mean

#: Columns of the tables, and what a trainer is given beside its config: no parameter can be called so.
RESERVED = (
    "stage",
    "trial",
    "status",
    "reason",
    "epochs",
    "best_epoch",
    "seed",
    "epoch",
    "data",
    "checkpoint",
    "config",
)
_KINDS = ("uniform", "log", "int", "choice", "fixed")


def space_from(written: Mapping[str, Any]) -> Space:
    """The space that a `[space]` table declares.

    Raises:
        UsageError: Something in it cannot be a space; one line says what, and how to mend it.
    """
    if not written:
        raise UsageError("[space] is empty: give it at least one parameter, such as lr = { log = [1e-4, 1e-1] }")
    parameters: dict[str, Parameter] = {}
    when: dict[str, dict[str, tuple[Value, ...]]] = {}
    folded: dict[str, str] = {}
    for name, declared in written.items():
        _check_name(name, folded)
        parameters[name] = _parameter(name, declared)
        if isinstance(declared, Mapping) and "when" in declared:
            when[name] = _condition(name, declared["when"])
    conditions = {name: _meant_condition(name, condition, parameters) for name, condition in when.items()}
    for name in when:
        _check_cycle(name, when)
    return Space(parameters, conditions)


def written_from(space: Space) -> dict[str, Any]:
    """The `[space]` table that declares a space; weights of choices are kept beside them."""
    return {name: _written(parameter, space.when.get(name)) for name, parameter in space.parameters.items()}


def config_from(written: Any, space: Space, where: str) -> Config:
    """A full or partial config that a user gives, checked against the space.

    Raises:
        UsageError: A name or a value does not belong to the space.
    """
    if not isinstance(written, Mapping):
        raise UsageError(f"{where} must be a table of parameters, such as {{ lr = 1e-3 }}")
    config: Config = {}
    for name, value in written.items():
        if name not in space.parameters:
            raise UsageError(f"{where}: unknown parameter {name!r}{did_you_mean(str(name), space.names)}")
        config[name] = _value(space.parameters[name], value, f"{where}: {name}")
    return config


def _check_name(name: str, folded: dict[str, str]) -> None:
    """Raise unless a parameter can be called so."""
    if not isinstance(name, str) or not name.isidentifier():
        raise UsageError(f"[space] {name!r} cannot be the name of a parameter: the trainer takes it as a Python name")
    if name.casefold() in RESERVED:
        raise UsageError(f"[space] {name!r} is taken: it is a column of the tables or given to the trainer; rename it")
    if name.casefold() in folded:
        other = folded[name.casefold()]
        raise UsageError(f"[space] {name!r} and {other!r} differ in case only, which SQL readers cannot tell apart")
    folded[name.casefold()] = name


def _parameter(name: str, declared: Any) -> Parameter:
    """One parameter."""
    if isinstance(declared, SCALARS):
        return Fixed(plain(name, declared))
    if isinstance(declared, Sequence):
        return _choice(name, declared)
    if not isinstance(declared, Mapping):
        raise UsageError(f"[space] {name}: a range, a list or a value is wanted, not {type(declared).__name__}")
    kinds = [kind for kind in _KINDS if kind in declared]
    if "int" in kinds and isinstance(declared.get("log"), bool):
        kinds.remove("log")
    if len(kinds) != 1:
        unknown = [key for key in declared if key not in (*_KINDS, "when", "limits", "weights")]
        hint = did_you_mean(str(unknown[0]), _KINDS) if unknown else ""
        found = " and ".join(kinds) or ", ".join(map(repr, declared)) or "nothing"
        raise UsageError(f"[space] {name}: exactly one of {', '.join(_KINDS)} is wanted, found {found}{hint}")
    kind = kinds[0]
    allowed = {kind, "when", *(("log",) if kind == "int" else ())}
    allowed |= {"limits"} if kind in ("uniform", "log", "int") else {"weights"} if kind == "choice" else set()
    for key in declared:
        if key not in allowed:
            hint = did_you_mean(str(key), sorted(allowed))
            raise UsageError(f"[space] {name}: {key!r} does not go with {kind}{hint}")
    if kind == "fixed":
        return Fixed(plain(name, declared["fixed"]))
    if kind == "choice":
        return _choice(name, declared["choice"], declared.get("weights"))
    return _range(name, kind, declared)


def _range(name: str, kind: str, declared: Mapping[str, Any]) -> Range:
    """An interval of numbers."""
    integer, log = kind == "int", kind == "log" or (kind == "int" and bool(declared.get("log", False)))
    low, high = _pair(f"[space] {name}: {kind}", declared[kind], integer)
    if log and low <= 0:
        hint = f", such as {1 if integer else high / 1e4:g}" if high > 0 else ""
        raise UsageError(f"[space] {name}: a log range cannot reach {low:g}: start above zero{hint}")
    if log and low < 1 / MAX_REAL:
        raise UsageError(f"[space] {name}: a log range cannot reach {low:g}: start at {1 / MAX_REAL:g} or above")
    if low == high:
        raise UsageError(f"[space] {name}: the range [{low:g}, {high:g}] has one value: write {name} = {low:g}")
    if "limits" in declared:
        limits = _pair(f"[space] {name}: limits", declared["limits"], integer)
        if limits[0] > low or limits[1] < high:
            raise UsageError(
                f"[space] {name}: the limits [{limits[0]:g}, {limits[1]:g}] must contain the range [{low:g}, {high:g}]"
            )
        if log and limits[0] <= 0:
            raise UsageError(f"[space] {name}: the limits of a log range must be above zero")
    else:
        limits = _natural_limits(low, high, log, integer)
    return Range(low, high, log, integer, limits)


def _natural_limits(low: float, high: float, log: bool, integer: bool) -> tuple[float, float]:
    """How far a range may be extended where the user says nothing.

    What is not negative stays so, a whole number from 1 stays at least 1, and what lies in [0, 1] on a linear scale
    (a dropout, a momentum) stays there.
    """
    if integer:
        return (1 if low >= 1 else 0 if low >= 0 else -math.inf), math.inf
    if log:
        return 0.0, math.inf
    if low >= 0:
        return 0.0, 1.0 if high <= 1 else math.inf
    return -math.inf, math.inf


def _pair(what: str, declared: Any, integer: bool) -> tuple[float, float]:
    """Two finite numbers in order."""
    if not isinstance(declared, Sequence) or isinstance(declared, str) or len(declared) != 2:
        raise UsageError(f"{what} wants two numbers, [low, high]; found {declared!r}")
    for bound in declared:
        if isinstance(bound, str):
            raise UsageError(f"{what}: {bound!r} is a text, not a number: write it without quotes, in YAML as 1.0e-4")
        if not is_number(bound):
            raise UsageError(f"{what}: {bound!r} is not a finite number")
        if integer and bound != int(bound):
            raise UsageError(f"{what}: {bound!r} is not a whole number")
        if abs(bound) > (most := MAX_WHOLE if integer else MAX_REAL):
            raise UsageError(f"{what}: {bound!r} is too large: at most {most}")
    low, high = declared
    if low > high:
        raise UsageError(f"{what}: [{low:g}, {high:g}] is upside down: write [{high:g}, {low:g}]")
    return (int(low), int(high)) if integer else (float(low), float(high))


def _choice(name: str, declared: Any, weights: Any = None) -> Choice:
    """One of a few values."""
    if isinstance(declared, str) or not isinstance(declared, Sequence) or not declared:
        raise UsageError(f"[space] {name}: a choice needs at least one value, such as {name} = [1, 2]")
    values = tuple(plain(name, value) for value in declared)
    if {type(value) for value in values} == {int, float}:
        values = tuple(float(value) for value in values)  # one column, one type
    for i, value in enumerate(values):
        if any(value == other and type(value) is type(other) for other in values[:i]):
            raise UsageError(f"[space] {name}: {value!r} is listed twice")
    if weights is None:
        return Choice(values, _equal(len(values)))
    if not isinstance(weights, Sequence) or isinstance(weights, str) or len(weights) != len(values):
        raise UsageError(f"[space] {name}: weights must be {len(values)} numbers, one for each choice")
    if not all(is_number(weight) and 0 < weight <= MAX_REAL for weight in weights):
        raise UsageError(f"[space] {name}: weights must be numbers above zero, found {list(weights)!r}")
    return Choice(values, tuple(float(w) for w in weights))


def _equal(count: int) -> tuple[float, ...]:
    """The weights of choices that are equally likely."""
    return (1.0 / count,) * count


def _condition(name: str, declared: Any) -> dict[str, tuple[Value, ...]]:
    """The values of other parameters with which this one is active."""
    if not isinstance(declared, Mapping) or not declared:
        raise UsageError(f'[space] {name}: when wants a table such as {{ update = "momentum" }}, found {declared!r}')
    return {p: tuple(v) if isinstance(v, list | tuple) else (v,) for p, v in declared.items()}


def _meant_condition(
    name: str, condition: Mapping[str, tuple[Value, ...]], parameters: Mapping[str, Parameter]
) -> dict[str, tuple[Value, ...]]:
    """The condition with the values that its parents have; raises unless they exist and can have them."""
    checked = {}
    for parent, values in condition.items():
        if parent not in parameters:
            hint = did_you_mean(str(parent), list(parameters))
            raise UsageError(f"[space] {name}: when names an unknown {parent!r}{hint}")
        source = parameters[parent]
        if isinstance(source, Range):
            raise UsageError(f"[space] {name}: when needs a choice, and {parent!r} is a range")
        if not values:
            raise UsageError(f"[space] {name}: when lists no value of {parent!r}, so it would never be active")
        known = source.values if isinstance(source, Choice) else (source.value,)
        found = [meant(value, known) for value in values]
        for value, one in zip(values, found, strict=True):
            if one is None:
                hint = did_you_mean(str(value), [*map(str, known)])
                raise UsageError(f"[space] {name}: {parent} is never {value!r}{hint}")
        checked[parent] = tuple(found)
    return checked


def _check_cycle(name: str, when: Mapping[str, Mapping[str, tuple[Value, ...]]]) -> None:
    """Raise when a parameter's activity depends on its own value."""
    seen, front = set(), [name]
    while front:
        for parent in when.get(front.pop(), {}):
            if parent == name:
                raise UsageError(f"[space] {name}: its when depends on itself")
            if parent not in seen:
                seen.add(parent)
                front.append(parent)


def _value(parameter: Parameter, value: Any, where: str) -> Value:
    """A value of a parameter, as the parameter would give it."""
    if isinstance(parameter, Range):
        if not is_number(value):
            raise UsageError(f"{where}: {value!r} is not a finite number")
        if not parameter.low <= value <= parameter.high:
            raise UsageError(f"{where}: {value:g} is outside of [{parameter.low:g}, {parameter.high:g}]")
        if parameter.integer and value != int(value):
            raise UsageError(f"{where}: {value!r} is not a whole number")
        return int(value) if parameter.integer else float(value)
    known = list(parameter.values) if isinstance(parameter, Choice) else [parameter.value]
    found = meant(value, known)
    if found is None:
        raise UsageError(f"{where}: {value!r} is none of {known!r}")
    return found


def _written(parameter: Parameter, condition: Mapping[str, tuple[Value, ...]] | None) -> Any:
    """What declares a parameter: always a table, since TOML keeps the order of tables only among themselves."""
    extra: dict[str, Any] = {}
    if condition is not None:
        extra["when"] = {parent: list(values) for parent, values in condition.items()}
    if isinstance(parameter, Fixed):
        return {"fixed": parameter.value, **extra}
    if isinstance(parameter, Choice):
        if parameter.weights != _equal(len(parameter.values)):
            extra = {"weights": list(parameter.weights), **extra}
        return {"choice": list(parameter.values), **extra}
    kind = "int" if parameter.integer else "log" if parameter.log else "uniform"
    table: dict[str, Any] = {kind: [parameter.low, parameter.high]}
    if parameter.integer and parameter.log:
        table["log"] = True
    if parameter.limits != _natural_limits(parameter.low, parameter.high, parameter.log, parameter.integer):
        table["limits"] = [bound for bound in parameter.limits if math.isfinite(bound)]
        if len(table["limits"]) < 2:
            del table["limits"]
    return {**table, **extra}
