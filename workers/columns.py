"""Rows that become columns: what a runner collects between two messages."""

from __future__ import annotations

import numpy as np

from workers.messages import Ends, Metrics, Reports, Status


class ReportColumns:
    """Reports as growing columns."""

    def __init__(self) -> None:
        self._trial: list[int] = []
        self._epoch: list[int] = []
        self._metrics: dict[str, list[float | None]] = {}

    def __len__(self) -> int:
        return len(self._trial)

    def add(self, trial: int, epoch: int, metrics: Metrics) -> None:
        """Append one report; a metric never seen before becomes a column with gaps above."""
        columns = self._metrics
        if metrics.keys() != columns.keys():
            for name in metrics:
                if name not in columns:
                    columns[name] = [None] * len(self._trial)
            for name in columns.keys() - metrics.keys():
                columns[name].append(None)
        self._trial.append(trial)
        self._epoch.append(epoch)
        for name, value in metrics.items():
            columns[name].append(value)

    def arrays(self) -> Reports:
        """The reports so far, as arrays."""
        missing = {
            name: np.array([value is None for value in column])
            for name, column in self._metrics.items()
            if None in column
        }
        metrics = {name: np.array(column, np.float64) for name, column in self._metrics.items()}
        for values in metrics.values():
            values[np.isnan(values)] = np.nan  # one of many, that a checkpoint would not tell apart
        return Reports(np.array(self._trial, np.int64), np.array(self._epoch, np.int64), metrics, missing)


class EndColumns:
    """Ends of trials as growing columns."""

    def __init__(self) -> None:
        self._trial: list[int] = []
        self._status: list[int] = []
        self._started: list[float] = []
        self._seconds: list[float] = []
        self._reasons: dict[int, str] = {}
        self._tracebacks: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._trial)

    def add(
        self, trial: int, status: Status, started: float, seconds: float, reason: str | None, traceback: str | None
    ) -> None:
        """Append one end."""
        self._trial.append(trial)
        self._status.append(status)
        self._started.append(started)
        self._seconds.append(seconds)
        if reason is not None:
            self._reasons[trial] = reason
        if traceback is not None:
            self._tracebacks[trial] = traceback

    def arrays(self) -> Ends:
        """The ends so far, as arrays."""
        return Ends(
            np.array(self._trial, np.int64),
            np.array(self._status, np.int64),
            np.array(self._started, np.float64),
            np.array(self._seconds, np.float64),
            self._reasons,
            self._tracebacks,
        )
