"""One trial with what its curves say: `sweeps show`."""

from __future__ import annotations

import json
from typing import Any

from analysis.diagnosis import findings_of
from analysis.frames import load
from sweeps.inspecting import trial_json, trial_lines
from sweeps.reading import Run


def told(run: Run, name: str) -> list[str]:
    """One trial in words, its findings last.

    Raises:
        UsageError: There is no such trial.
    """
    lines, found = trial_lines(run, name), _findings(run, name)
    lines += ["", "its curves say:" if found else "its curves say nothing that is wrong"]
    return lines + [f"  {each['finding']} ({each['severity']}): {each['evidence']}. {each['advice']}" for each in found]


def told_json(run: Run, name: str) -> str:
    """One trial as one JSON object, with `findings`.

    Raises:
        UsageError: There is no such trial.
    """
    return json.dumps(json.loads(trial_json(run, name)) | {"findings": _findings(run, name)}, indent=2)


def _findings(run: Run, name: str) -> list[dict[str, Any]]:
    """The findings of a trial that there is: finding, severity, evidence, advice."""
    stage, _, number = name.rpartition("/")
    found = findings_of(load(run.folder), stage or run.settings.stages[0].name, int(number))
    return found.drop(columns=["stage", "trial"]).to_dict("records")  # type: ignore[return-value]
