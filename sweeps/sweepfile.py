"""The sweep file: read with its overrides, and written back with every default filled in."""

from __future__ import annotations

import dataclasses
import itertools
import math
import pathlib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from sweeps.declaration import written_from
from sweeps.errors import UsageError
from sweeps.settings import Settings
from workers.training import did_you_mean

MAX_BYTES = 2**20  #: of a sweep file
_DEEP_KEY = re.compile(r"""(?<![\w"'-])(?:[\w"'-]++\s*+\.\s*+){100}""")
_MAX_STEPS = 100  # of a key in --set
_MAX_KEYS = 10_000  # of a table, once what is merged into it is there
_MAX_VALUES = 10_000  # more than a file has characters, once aliases stand for what they mean


def load(path: pathlib.Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The sweep file as it is written, with `--set` overrides applied; `settings_from` checks it.

    Raises:
        UsageError: It cannot be read, or an override cannot be applied.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise UsageError(f"there is no sweep file {path}; `sweeps init` writes one to start from") from None
    except (OSError, ValueError) as error:  # a name with a NUL in it
        raise UsageError(f"cannot read {path}: {error}") from error
    if len(content) > MAX_BYTES:
        raise UsageError(f"{path} is no sweep file: it is larger than {MAX_BYTES // 2**20} MiB")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"cannot read {path}: it is not text in UTF-8 (byte {error.start})") from error
    written = _from_yaml(path, text) if path.suffix in (".yaml", ".yml") else _from_toml(path, text)
    written.pop("source", None)  # of a run's sweep.toml, which is a sweep file too
    for override in overrides:
        _override(written, override)
    return written


def _plan(settings: Settings) -> dict[str, Any]:
    """The stages, or the budget that they are laid out from."""
    if settings.search is not None:
        return {"search": dataclasses.asdict(settings.search)}
    stages = [
        {
            "name": stage.name,
            "trials": stage.trials,
            "epochs": stage.epochs,
            "method": stage.method,
            **({"include": list(stage.include)} if stage.include else {}),
            **({"continue": stage.continued} if stage.continued else {}),
        }
        for stage in settings.stages
    ]
    return {"stage": stages}


def resolved(settings: Settings) -> dict[str, Any]:
    """The settings as a sweep file, with every default written out."""
    stop, run = settings.stop, settings.run
    return {
        "train": settings.train,
        **({} if settings.setup is None else {"setup": settings.setup}),
        "metric": settings.objective.metric,
        "mode": settings.objective.mode,
        "seed": settings.seed,
        "space": written_from(settings.space),
        **_plan(settings),
        "stop": {
            "nan": stop.nan,
            "blowup": False if stop.blowup is None else stop.blowup,
            "loss": stop.loss,
            **({} if stop.timeout_s is None else {"timeout": stop.timeout_s}),
        },
        "run": {
            "slots": "auto" if run.slots is None else run.slots,
            "cpus": run.demand.cpus,
            **({"gpus": run.demand.gpus} if run.demand.gpus else {}),
            **({} if run.demand.memory is None else {"memory": f"{run.demand.memory // 1024}K"}),
            **({"resources": dict(run.demand.resources)} if run.demand.resources else {}),
            "retries": run.retries,
            **({} if run.budget_s is None else {"budget": run.budget_s}),
            **({} if run.address is None else {"address": run.address}),
        },
    }


def _from_toml(path: pathlib.Path, text: str) -> dict[str, Any]:
    """A TOML file."""
    if _DEEP_KEY.search(text):  # the parser's time grows with the square of its length
        raise UsageError(f"{path} is nested too deeply")
    try:
        return tomllib.loads(text)
    except ValueError as error:  # not valid, or a number of thousands of digits
        raise UsageError(f"{path} is not TOML: {error}") from error
    except RecursionError:
        raise UsageError(f"{path} is nested too deeply") from None


def _from_yaml(path: pathlib.Path, text: str) -> dict[str, Any]:
    """A YAML file; a key that is there twice, and `1e-4`, which YAML reads as a text, are refused."""
    import yaml

    class Loader(yaml.SafeLoader):
        """The safe loader, which would let the last of two equal keys win."""

        def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
            node = super().compose_mapping_node(anchor)
            seen: set[str] = set()
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode):
                    if key.value in seen:
                        raise yaml.composer.ComposerError(None, None, f"{key.value!r} is there twice", key.start_mark)
                    seen.add(key.value)
            return node

        def flatten_mapping(self, node: yaml.MappingNode) -> None:
            super().flatten_mapping(node)
            if len(node.value) > _MAX_KEYS:
                raise yaml.constructor.ConstructorError(None, None, "too much is merged", node.start_mark)

    try:
        written = yaml.load(text, Loader)
        if isinstance(written, dict):
            most = len(text) + _MAX_VALUES
            if sum(1 for _ in itertools.islice(_values(written), most)) == most:
                raise UsageError(f"{path} stands for more than {most:,} values: use fewer aliases")
            _refuse_number_texts(written, path.name)
            return written
    except (yaml.YAMLError, ValueError, LookupError, AttributeError) as error:  # a wrong tag or date raises anything
        raise UsageError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    except RecursionError:
        raise UsageError(f"{path} is nested too deeply") from None
    raise UsageError(f"{path} must be a table of keys, found {type(written).__name__}")


def _values(value: Any) -> Iterator[Any]:
    """Every value in a value, as often as it is met."""
    yield value
    if isinstance(value, Mapping | list):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _values(item)


def _refuse_number_texts(value: Any, where: str) -> None:
    """Raise at a text that looks like a number."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            _refuse_number_texts(item, f"{where}: {key}")
    elif isinstance(value, list):
        for item in value:
            _refuse_number_texts(item, where)
    elif isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            return
        if math.isfinite(number):
            raise UsageError(f"{where}: YAML reads {value!r} as a text, not as a number: write {_yaml_number(number)}")


def _yaml_number(number: float) -> str:
    """A number as YAML 1.1 reads it: with a point and a signed exponent."""
    mantissa, _, exponent = f"{Decimal(repr(number)).normalize():e}".partition("e")
    return f"{mantissa}{'' if '.' in mantissa else '.0'}e{exponent}"


def _override(written: dict[str, Any], override: str) -> None:
    """Apply one `--set dotted.key=value`; stages go by their names."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise UsageError(f"--set {override!r}: write key=value, such as --set stage.coarse.trials=20")
    if key.count(".") > _MAX_STEPS:
        raise UsageError(f"--set {key[:40]}...: the key is nested too deeply")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except ValueError:
        value = text  # a word needs no quotes on a command line
    except RecursionError:
        raise UsageError(f"--set {key}: the value is nested too deeply") from None
    place: Any = written
    steps = key.strip().split(".")
    for step in steps[:-1]:
        if isinstance(place, list):
            named = {str(stage.get("name")): stage for stage in place if isinstance(stage, dict)}
            if step not in named:
                raise UsageError(f"--set {override!r}: there is no stage {step!r}{did_you_mean(step, list(named))}")
            place = named[step]
        else:
            place = place.setdefault(step, {})
        if not isinstance(place, dict | list):
            raise UsageError(f"--set {override!r}: {step!r} is not a table")
    if isinstance(place, list):
        raise UsageError(f"--set {override!r}: name the stage, such as stage.coarse.trials=20")
    place[steps[-1]] = value
