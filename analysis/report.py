"""One HTML file that tells a run: it works offline, runs no script but its own, and is the same for the same run."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import math
import os
import pathlib
from dataclasses import replace
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup
from plotly.offline import get_plotlyjs, get_plotlyjs_version

import sweeps
from analysis import captions
from analysis.axes import first_axes
from analysis.diagnosis import trial_findings
from analysis.findings import GOOD_TO_KNOW, HINT, PROBLEM
from analysis.frames import Frames, configs_of, load
from analysis.landscape import MOST
from analysis.phases import phases
from analysis.sections import Section, sections_of
from analysis.stages import next_stanza, sweep_findings
from analysis.style import axis_of
from sweeps.errors import UsageError
from sweeps.private import opener
from sweeps.reading import Run
from sweeps.space import Range
from sweeps.summary import Ranked, failures
from sweeps.wording import clean, show_duration

_HERE = pathlib.Path(__file__).parent
_RANKED = 10
_ROWS = 20_000  #: of the table of all trials: more, and a browser takes seconds to open it
_DIGITS = 6
AGAIN = 5  #: seconds until a live report is read again
_SEVERITIES = (PROBLEM, HINT, GOOD_TO_KNOW)


def write_report(folder: pathlib.Path, out: pathlib.Path | None = None, *, live: bool = False) -> pathlib.Path:
    """The path of the report of a run, written.

    Args:
        folder: The run.
        out: The file; `report.html` in the run's folder by default.
        live: Whether a browser is to read it again every few seconds.

    Raises:
        UsageError: The folder holds no run, a file in it is damaged, or the report cannot be written.
    """
    path, text = out or folder / "report.html", page(folder, live=live)
    pending = path.with_name(f".{path.name}.tmp")
    try:
        with open(pending, "w", encoding="utf-8", opener=opener) as file:
            file.write(text)
        os.replace(pending, path)  # somebody may be reading the last one
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
    return path


def page(folder: pathlib.Path, *, live: bool = False) -> str:
    """The report of a run, as HTML; a live one is read again every `AGAIN` seconds.

    Raises:
        UsageError: The folder holds no run, or a file in it is damaged.
    """
    run, frames = Run(folder), load(folder)
    settings, objective = frames.settings, frames.objective
    findings = trial_findings(frames, metric=objective.metric, mode=objective.mode, loss=settings.stop.loss)
    said = sweep_findings(frames, settings)
    sections = sections_of(frames)
    shown, count = _shown(frames, sections), len(frames.trials)
    ranking = _ranking(frames)
    style, script = ((_HERE / f"report.{kind}").read_text("utf-8") for kind in ("css", "js"))
    template = jinja2.Environment(
        autoescape=True, finalize=_legible, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return template.from_string((_HERE / "report.html").read_text("utf-8")).render(
        policy=_policy(script, get_plotlyjs()),
        style=Markup(style),
        script=Markup(script),
        plotly=Markup(base64.b64encode(gzip.compress(get_plotlyjs().encode(), mtime=0)).decode()),
        data=Markup(_embedded(_data(frames, shown, findings, sections))),
        again=AGAIN if live else 0,
        name=clean(folder.resolve().name),
        metric=clean(objective.metric),
        facts=_facts(frames),
        best=_best(frames, ranking),
        ranking=[each.line(objective.metric) for each in ranking],
        sweep=said,
        next=next((finding.advice for finding in said if finding.severity != GOOD_TO_KNOW), None),
        stanza=next_stanza(frames, settings),
        groups=_groups(findings),
        sections=sections,
        axes=_axes(frames),
        chosen=first_axes(frames),
        failures=failures(run),
        drawn=f"Pictures draw a part of the {count:,} trials, always with the best ones." if count > MOST else "",
        left_out=f"The best {len(shown):,} of {count:,} trials." if len(shown) < count else "",
        written=(folder / "sweep.toml").read_text("utf-8"),
        hosts=", ".join(clean(str(host)) for host in frames.attempts["host"].dropna().unique()) or "nothing yet",
        version=f"coarsefine {sweeps.__version__} with plotly.js {get_plotlyjs_version()}",
    )


def _legible(value: Any) -> Any:
    """What is put into the page: a text without characters that steer a terminal, or turn what is beside them round."""
    return "\n".join(map(clean, value.split("\n"))) if type(value) is str else value


def _best(frames: Frames, ranking: list[Ranked]) -> dict[str, str] | None:
    """What is said of the best trial: its value, its line, how far it is ahead, how to train it alone."""
    if not ranking:
        return None
    best = frames.best(1)
    config = configs_of(best, frames.settings.space)[0]
    row = best.to_dict("records")[0]
    given = [f"{name}={value!r}" for name, value in (config | {key: row[key] for key in ("epochs", "seed")}).items()]
    return {
        "value": f"{ranking[0].value:.{_DIGITS}g}",
        "line": ranking[0].line(frames.objective.metric),
        "margin": captions.margin(frames),
        "call": f"train({', '.join(given)})",
    }


def _ranking(frames: Frames) -> list[Ranked]:
    """The best trials, as the command ranks them."""
    metric, totals = frames.objective.metric, {stage.name: stage.trials for stage in frames.settings.stages}
    best, confirmed = frames.best(_RANKED), frames.confirmed.head(_RANKED)
    found = [
        Ranked(row[metric], row["stage"], row["trial"], totals[row["stage"]], row["best_epoch"], config)
        for row, config in zip(best.to_dict("records"), configs_of(best, frames.settings.space), strict=True)
    ]
    again = [
        replace(each, value=row["mean"], seeds=row["seeds"], spread=None if row["seeds"] == 1 else row["spread"])
        for each, row in zip(found, confirmed.to_dict("records"), strict=False)
    ]
    return again + found[len(again) :]


def _groups(findings: pd.DataFrame) -> list[dict[str, Any]]:
    """Findings of the same name together, the most frequent first, each with the evidence of its first trial."""
    groups = [
        {
            "name": name,
            "count": len(rows),
            "severity": rows["severity"].iloc[0],
            "example": f"{rows['stage'].iloc[0]}/{rows['trial'].iloc[0]}",
            "evidence": rows["evidence"].iloc[0],
            "advice": rows["advice"].iloc[0],
        }
        for name, rows in findings.groupby("finding", sort=False)
    ]
    return sorted(groups, key=lambda group: (_SEVERITIES.index(group["severity"]), -group["count"]))


def _shown(frames: Frames, sections: list[Section]) -> pd.DataFrame:
    """The trials of the table: all; of very many the best, and those that are in a picture."""
    if len(frames.trials) <= _ROWS:
        return frames.trials
    drawn = {row for trace in _traces(sections) for row in trace.customdata if row is not None}
    return frames.trials.loc[frames.best(_ROWS).index.union(frames.trials.index[sorted(map(int, drawn))])]


def _traces(sections: list[Section]) -> list[Any]:
    """The traces whose points know their trials."""
    figures = (figure for section in sections for figure in section.figures)
    return [trace for figure in figures for trace in figure.drawn.data if trace.customdata is not None]


def _data(frames: Frames, shown: pd.DataFrame, findings: pd.DataFrame, sections: list[Section]) -> dict[str, Any]:
    """Everything that the script works on, each thing once."""
    space, metric = frames.settings.space, frames.objective.metric
    named = findings.groupby(["stage", "trial"])["finding"].agg(", ".join).rename("finding").reset_index()
    rows = shown.drop(columns="finding", errors="ignore").merge(named, on=["stage", "trial"], how="left")
    rows["finding"] = rows["finding"].fillna("")
    first = ["stage", "trial", metric, *space.searched, "status", "finding", "reason", "epochs", "best_epoch", "seed"]
    first = [name for name in first if name in rows]
    columns = first + [name for name in rows if name not in first and name not in space.names]
    places = frames.trials.index.get_indexer(shown.index)
    place = {int(before): after for after, before in enumerate(places)}
    for trace in _traces(sections):
        trace.customdata = [None if row is None else place[int(row)] for row in trace.customdata]
    return {
        "columns": columns,
        "values": [_values(rows[name]) for name in columns],
        "axes": {name: axis_of(name, space.parameters.get(name)) for name in _axes(frames)},
        "regions": {
            stage: {name: [p.low, p.high] for name, p in region.space.parameters.items() if isinstance(p, Range)}
            for stage, region in frames.regions.items()
        },
        "figures": {f.id: json.loads(f.drawn.to_json()) for section in sections for f in section.figures},
    }


def _axes(frames: Frames) -> list[str]:
    """What can be put on the axes of the scatter: searched parameters and metrics."""
    searched = frames.settings.space.searched
    metrics = [name for name in frames.reports if name in frames.trials and name not in (*searched, "stage", "trial")]
    return [*searched, *(str(name) for name in metrics)]


def _values(column: pd.Series[Any]) -> list[Any]:
    """A column as JSON takes it: six digits, and null for what is missing or not finite."""
    values = column.tolist()
    if column.dtype.kind == "f":
        return [float(f"{v:.{_DIGITS}g}") if math.isfinite(v) else None for v in values]
    return [None if pd.isna(v) else clean(v) if isinstance(v, str) else v for v in values]


def _facts(frames: Frames) -> list[tuple[str, str]]:
    """What a run came to, in a few numbers."""
    stages = frames.settings.stages
    facts = [("trials", f"{len(frames.trials):,} of {sum(stage.trials for stage in stages):,}")]
    facts += [(str(status), f"{count:,}") for status, count in frames.trials["status"].value_counts().items()]
    facts += [
        ("epochs trained", f"{len(frames.reports):,}"),
        ("stages", " → ".join(phase.name for phase in phases(frames.settings))),
    ]
    if len(frames.attempts):
        ends = frames.attempts["started"] + pd.to_timedelta(frames.attempts["seconds"], unit="s")
        facts.append(("time", show_duration((ends.max() - frames.attempts["started"].min()).total_seconds())))
    return facts


def _embedded(data: dict[str, Any]) -> str:
    """Data as JSON that cannot end the script element that it stands in."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _policy(*scripts: str) -> str:
    """A content security policy: no script runs but these, known by their hashes, and nothing at all is loaded.

    Styles may stand in attributes, since plotly puts some there; with nothing to load they can only look.
    """
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:;"
        " base-uri 'none'; form-action 'none'"
    )
