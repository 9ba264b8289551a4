"""What a sweep as a whole says: edges, divergence, whether there were trials and epochs enough, and what comes next.

Each finding is a function from stages to findings; it is silent, or says so, where the evidence is too thin.

Source: CS231n, lecture 6 ("Hyperparameter optimization"); Godbole et al., "Deep Learning Tuning Playbook", 2023:
search-space edges, enough points in the good region, curves of the best trials.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import tomli_w

from analysis.borders import diverged, edges
from analysis.diagnosis import trial_findings
from analysis.findings import GOOD_TO_KNOW, HINT, PROBLEM, Finding
from analysis.frames import Frames
from analysis.importance import importance
from analysis.outcomes import Outcome, outcomes, together
from sweeps.declaration import written_from
from sweeps.errors import NothingToLearn
from sweeps.regions import best_trials, fit
from sweeps.settings import CONFIRM, Settings
from sweeps.space import Floats
from sweeps.wording import clean

LEAST = 10  #: trials with a finite objective; fewer say nothing of a stage
_AGREES, _DISAGREES = 0.7, 0.4  # rank correlation of a short budget with a long one
_STILL_PAYS = 0.1  # of the way from the median to the best


def sweep_findings(frames: Frames, settings: Settings) -> list[Finding]:
    """The findings of every stage and of the sweep, the most serious first."""
    stages = outcomes(frames, settings)
    found = _of_plan(stages, frames, settings) if settings.search is None else _of_search(stages, settings)
    found += _what_matters(frames, settings)
    return sorted(found, key=lambda each: (PROBLEM, HINT, GOOD_TO_KNOW).index(each.severity))


def _of_plan(stages: list[Outcome], frames: Frames, settings: Settings) -> list[Finding]:
    """Of stages that were given, each with a budget and a region of its own."""
    found: list[Finding] = []
    for stage in stages:
        found += [*_moved(stage), *diverged(stage)]
    if stages:
        last = stages[-1]
        if np.sum(last.finite) < LEAST:
            found.append(_too_few(last))
        else:
            found += [*edges(last), *_enough(last), *_budget(last, frames, settings)]
        found += _lead(stages)
    for before, after in itertools.pairwise(stages):
        found += [*_agreement(before, after, frames), *_gain(before, after)]
    return found


def _of_search(stages: list[Outcome], settings: Settings) -> list[Finding]:
    """Of the stages of a search: they end side by side, and it minds edges and budgets itself."""
    born, again = ([each for each in stages if (each.name == CONFIRM) == repeats] for repeats in (False, True))
    if not born:
        return []
    whole = together(born, settings)
    found = [finding for stage in born for finding in _moved(stage)] + diverged(whole)
    if np.sum(whole.finite) < LEAST:
        found.append(_too_few(whole))
    return found + _lead(again or born)


def next_stanza(frames: Frames, settings: Settings) -> str:
    """What to append to the sweep file to go on: a stage, and as a comment the region that it will get.

    Nothing for a search, which lays its stages out itself.
    """
    stages = outcomes(frames, settings)
    if not stages or settings.search is not None:
        return ""
    last = stages[-1]
    try:
        region = fit(last.region, last.observed)
    except NothingToLearn as nothing:
        return f"# {nothing}\n"
    longer = any(each.name == "the best still improve" for each in _budget(last, frames, settings))
    names = {stage.name for stage in settings.stages}
    name = next(f"next-{i}" for i in range(1, len(names) + 2) if f"next-{i}" not in names)
    written = {"name": name, "trials": last.stage.trials, "epochs": last.stage.epochs * (2 if longer else 1)}
    region_lines = [f"{name} = {_inline(value)}" for name, value in written_from(region.space).items()]
    lines = [f"# {clean(line)}" for line in [*region.evidence, "its region:", *region_lines]]
    return "\n".join([*lines, "", "[[stage]]", tomli_w.dumps(written)])


def _inline(value: Any) -> str:
    """A value of a sweep file on one line."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_inline(each)}" for key, each in value.items()) + " }"
    return json.dumps(value)


def best_of(scores: Floats, draws: int, quantile: float) -> float:
    """A quantile of the best of so many trials drawn again from those there are: what a sweep of that size would find.

    The bootstrap's distribution is known: the best of k draws has a rank over r with probability (1 - r / n) ** k.
    """
    ordered = np.sort(scores)
    rank = len(ordered) * (1.0 - (1.0 - quantile) ** (1.0 / draws))
    return float(ordered[min(max(math.ceil(rank), 1), len(ordered)) - 1])


def rank_correlation(a: Floats, b: Floats) -> float:
    """Spearman's rank correlation; NaN where one of the two is constant."""
    return float(pd.Series(a).rank().corr(pd.Series(b).rank()))


def _too_few(stage: Outcome) -> Finding:
    """The stage has hardly any trials."""
    count = int(np.sum(stage.finite))
    return Finding(
        "too few trials to say",
        GOOD_TO_KNOW,
        f"{stage.name}: {count} trials with a finite {stage.objective.metric}, {LEAST} are wanted",
        "Run more trials before reading anything into the best one.",
    )


def _moved(stage: Outcome) -> list[Finding]:
    """Ranges that the sweep has moved, or kept, at an edge when it made the region of this stage: stored evidence."""
    advice = "Nothing to do: the stage has searched there."
    return [
        Finding(f"range {word}", GOOD_TO_KNOW, f"{stage.name}: {text}", advice)
        for text in stage.region.evidence
        for word in ("moved", "kept")
        if f": range {word}" in text
    ]


def _enough(stage: Outcome) -> list[Finding]:
    """Whether twice the trials would have found more, as half of them would have found less."""
    scores = stage.scores[stage.finite]
    n = len(scores)
    half, low, high = (stage.value(best_of(scores, n // 2, q)) for q in (0.5, 0.9, 0.1))
    whole = stage.value(best_of(scores, n, 0.5))
    gain, way = abs(whole - half), abs(float(np.median(scores)) - float(np.min(scores)))
    pays = gain > _STILL_PAYS * way
    text = (
        f"{stage.name}: the best of {n // 2} trials would be {half:.4g} ({low:.4g} to {high:.4g}), of {n} {whole:.4g}"
    )
    if pays:
        return [
            Finding("more trials would pay", HINT, text, "Run more trials in this region: the best is a lucky one.")
        ]
    return [Finding("trials enough", GOOD_TO_KNOW, text, "More trials in this region would gain little.")]


def _budget(stage: Outcome, frames: Frames, settings: Settings) -> list[Finding]:
    """Whether the best trials were still improving when they ended."""
    best = stage.trials[best_trials(stage.scores)]
    reports = frames.reports[frames.reports["stage"] == stage.name]
    some = Frames(best, reports[reports["trial"].isin(best["trial"])], frames.stages, frames.attempts)
    objective = settings.objective
    found = trial_findings(some, metric=objective.metric, mode=objective.mode, loss=settings.stop.loss)
    count = int(np.sum(found["finding"] == "still improving"))
    if 2 * count <= len(best):
        return []
    return [
        Finding(
            "the best still improve",
            HINT,
            f"{stage.name}: {count} of the {len(best)} best trials improve up to the end, epoch {stage.stage.epochs}",
            "Give the next stage more epochs.",
        )
    ]


def _lead(stages: list[Outcome]) -> list[Finding]:
    """Whether the best is better than the runner-up by more than seeds differ, where configs were repeated."""
    name = stages[-1].objective.metric
    parameters = list(stages[-1].region.space.parameters)
    pooled = pd.concat([stage.trials.assign(score=stage.scores, at=i) for i, stage in enumerate(stages)])
    pooled = pooled[np.isfinite(pooled["score"])]
    if not len(pooled):
        return []
    groups = pooled.groupby([*parameters, "at"], dropna=False)["score"]
    freedom = int(np.sum(groups.size() - 1))
    if freedom < 3:
        return [
            Finding(
                "lead not known",
                GOOD_TO_KNOW,
                f"no config was run often enough to say how much {name} differs from seed to seed",
                "Repeat the best few configs with new seeds before you choose between them.",
            )
        ]
    spread = math.sqrt(float(np.sum(groups.var(ddof=1).fillna(0.0) * (groups.size() - 1))) / freedom)
    means, sizes = groups.mean().sort_values(), groups.size()
    if len(means) < 2:
        return []
    lead = float(means.iloc[1] - means.iloc[0])
    doubt = 2 * spread * math.sqrt(1 / sizes[means.index[0]] + 1 / sizes[means.index[1]])
    text = f"the best config leads the next by {lead:.3g}; {name} differs by {spread:.3g} from seed to seed"
    if lead > doubt:
        return [Finding("lead beyond noise", GOOD_TO_KNOW, text, "The best config is the best.")]
    return [Finding("lead within noise", HINT, text, "Take the cheaper of the two, or repeat both with new seeds.")]


def _agreement(before: Outcome, after: Outcome, frames: Frames) -> list[Finding]:
    """Whether the short budget ranks trials as the long one does: both are in the curves of the longer stage."""
    early, late = before.stage.epochs, after.stage.epochs
    name = after.objective.metric
    reports = frames.reports[frames.reports["stage"] == after.name]
    if early >= late or name not in reports:
        return []
    curves = reports.assign(score=after.objective.scores(reports[name].to_numpy(np.float64)))
    long = curves.groupby("trial")["epoch"].max() > early
    curves = curves[curves["trial"].isin(long.index[long])]
    at_end = curves.groupby("trial")["score"].min()
    then = curves[curves["epoch"] <= early].groupby("trial")["score"].min().reindex(at_end.index)
    sound = np.isfinite(at_end) & np.isfinite(then)
    count = int(np.sum(sound))
    if count < 2 * LEAST:
        return []
    agreement = rank_correlation(then[sound].to_numpy(), at_end[sound].to_numpy())
    doubt = 1.0 / math.sqrt(count - 1)
    text = (
        f"of {count} trials of {after.name}, rank correlation of epoch {early}, where {before.name} ends, "
        f"with epoch {late}: {agreement:.2f} ± {doubt:.2f}"
    )
    if agreement - doubt > _AGREES:
        return [Finding("short trials tell", GOOD_TO_KNOW, text, "Many short trials are the right way to begin.")]
    if agreement + doubt < _DISAGREES:
        return [
            Finding("short trials mislead", HINT, text, f"Give {before.name} more epochs: its best are not the best.")
        ]
    return []


def _gain(before: Outcome, after: Outcome) -> list[Finding]:
    """What the later stage found beyond the earlier one."""
    went_on = (before.trials["epochs"] > before.stage.epochs).to_numpy()  # trained with the later stage's budget
    early, late = before.scores[~went_on], np.r_[after.scores, before.scores[went_on]]
    early, late = early[np.isfinite(early)], late[np.isfinite(late)]
    if not (len(early) and len(late)) or np.min(late) < np.min(early):
        return []
    coarse, fine = (before.value(float(np.min(each))) for each in (early, late))
    text = f"best {after.objective.metric}: {coarse:.4g} in {before.name}, {fine:.4g} in {after.name}"
    return [Finding("no gain", HINT, text, "The finer stage found nothing better: stop here, or search elsewhere.")]


def _what_matters(frames: Frames, settings: Settings) -> list[Finding]:
    """The parameters that set the best trials apart."""
    shares = importance(frames, settings)
    if shares.empty:
        return []
    text = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
    return [Finding("what matters", GOOD_TO_KNOW, text, "Spend the next trials on the first of these.")]
