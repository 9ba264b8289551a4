"""The columns of the four tables, and the types that a file of theirs may hold.

Columns are in a fixed order: keys, parameters as declared, metrics by name. Clock, host and pid are in `attempts` only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from sweeps.space import Fixed, Parameter, Range, Space

CONTINUED = ".continued"  #: rows of `trials` whose training goes on
_PLAIN = (pa.int64(), pa.float64(), pa.bool_(), pa.string())  # of parameters and metrics
_FOLDERS = ("reports", "attempts", "trials", CONTINUED, "stages")

ATTEMPTS = pa.schema(
    [
        ("stage", pa.string()),
        ("trial", pa.int64()),
        ("attempt", pa.int64()),
        ("outcome", pa.string()),
        ("started", pa.timestamp("us", "UTC")),
        ("seconds", pa.float64()),
        ("host", pa.string()),
        ("slot", pa.int64()),
        ("pid", pa.int64()),
        ("error", pa.string()),
        ("traceback", pa.string()),
    ]
)
STAGES = pa.schema(
    [
        ("stage", pa.string()),
        ("number", pa.int64()),
        ("method", pa.string()),
        ("trials", pa.int64()),
        ("epochs", pa.int64()),
        ("completed", pa.int64()),
        ("stopped", pa.int64()),
        ("failed", pa.int64()),
        ("timeout", pa.int64()),
        ("lost", pa.int64()),
        ("best_trial", pa.int64()),
        ("best", pa.float64()),
        ("region", pa.string()),
        ("moves", pa.string()),
        ("evidence", pa.list_(pa.string())),
        ("continued", pa.list_(pa.string())),
    ]
)
_TRIAL_KEYS = [
    ("stage", pa.string()),
    ("trial", pa.int64()),
    ("status", pa.string()),
    ("reason", pa.string()),
    ("epochs", pa.int64()),
    ("best_epoch", pa.int64()),
    ("seed", pa.int64()),
]
_REPORT_KEYS = [("stage", pa.string()), ("trial", pa.int64()), ("epoch", pa.int64())]
# Type of each column that is there whatever the space and the metrics.
_KNOWN = {
    table: dict(zip(keys.names, keys.types, strict=True))
    for table, keys in (
        ("reports", pa.schema(_REPORT_KEYS)),
        ("attempts", ATTEMPTS),
        ("stages", STAGES),
        ("trials", pa.schema(_TRIAL_KEYS)),
    )
}


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of `trials` and `reports`, which depend on the space and on the metrics seen so far.

    Attributes:
        parameters: Type of each parameter's column.
        metrics: Names of all metrics of the run so far.
    """

    parameters: Mapping[str, pa.DataType]
    metrics: frozenset[str] = frozenset()

    def with_metrics(self, names: Iterable[str]) -> Layout:
        """The layout with more metrics."""
        return Layout(self.parameters, self.metrics | frozenset(names))

    def schema(self, table: str) -> pa.Schema:
        """The columns of a table. A metric with a parameter's name is in `reports` only."""
        if table == "attempts":
            return ATTEMPTS
        if table == "stages":
            return STAGES
        if table == "reports":
            return pa.schema(_REPORT_KEYS + [(name, pa.float64()) for name in sorted(self.metrics)])
        taken = {name for name, _ in _TRIAL_KEYS} | set(self.parameters)
        metrics = [(name, pa.float64()) for name in sorted(self.metrics - taken)]
        return pa.schema(_TRIAL_KEYS + list(self.parameters.items()) + metrics)


def layout_of(space: Space) -> Layout:
    """The layout of a run before its first report."""
    return Layout({name: _type(parameter) for name, parameter in space.parameters.items()})


def order_of(schema: pa.Schema) -> list[tuple[str, str]]:
    """What the rows of a stage are sorted by."""
    return [(name, "ascending") for name in ("trial", "epoch", "attempt") if name in schema.names]


def check_columns(schema: pa.Schema, table: str) -> None:
    """Raise ValueError unless a file of a table has the table's keys, and nothing that was never written."""
    known = _KNOWN.get(table, _KNOWN["trials"])
    types = dict(zip(schema.names, schema.types, strict=True))
    if table in _FOLDERS and not {"stage", "number" if table == "stages" else "trial"} <= types.keys():
        raise ValueError(f"it lacks the keys of {table}")
    if len(types) < len(schema):
        raise ValueError("a column is there twice")
    for name, found in types.items():
        if found != known[name] if name in known else found not in _PLAIN:
            raise ValueError(f"its column {name!r} holds {found}")


def _type(parameter: Parameter) -> pa.DataType:
    """The type of a parameter's column: that of its values, or text where they differ."""
    if isinstance(parameter, Range):
        return pa.int64() if parameter.integer else pa.float64()
    values = [parameter.value] if isinstance(parameter, Fixed) else list(parameter.values)
    kinds = {type(value) for value in values}
    if kinds == {bool}:
        return pa.bool_()
    if kinds == {int}:
        return pa.int64()
    if kinds <= {int, float}:
        return pa.float64()
    return pa.string()
