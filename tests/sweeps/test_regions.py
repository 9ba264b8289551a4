"""Where the next stage searches, and the words for it."""

import copy
import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.declaration import space_from, written_from
from sweeps.errors import NothingToLearn
from sweeps.outcome import region_from, region_row
from sweeps.regions import MAX_MOVES, Observed, Region, best_trials, fit, hints
from sweeps.sampling import draw
from sweeps.space import Choice, Fixed, Range, Space

LR = Range(1e-6, 1e-3, log=True, limits=(0.0, math.inf))
DROP = Range(0.0, 0.5, limits=(0.0, 1.0))
HIDDEN = Range(16, 256, log=True, integer=True, limits=(1, math.inf))
DEPTH = Range(1, 20, integer=True, limits=(1, math.inf))
KINDS = st.sampled_from([LR, DROP, HIDDEN, DEPTH])


def look(space, score, *, method="lhs", trials=100, seed=0, stage=0, diverges=lambda config: False):
    """What a stage finds where a config has this score, unless it diverges."""
    columns, _ = draw(space, method, seed, stage, trials)
    configs = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    diverged = np.array([diverges(config) for config in configs])
    return Observed(columns, np.where(diverged, np.inf, [float(score(config)) for config in configs]), diverged)


def regions(space, score, stages, **how):
    """The region of each stage of a sweep."""
    found = [Region(space)]
    for stage in range(stages - 1):
        found.append(fit(found[-1], look(found[-1].space, score, stage=stage, **how)))
    return found


def decade(optimum):
    """A bowl in log10(lr): lower is better."""
    return lambda config: (math.log10(config["lr"]) - optimum) ** 2


def lr_of(region):
    return region.space.parameters["lr"]


@pytest.mark.parametrize("optimum", [-4.5, -2.0])
def test_a_fit_is_a_pure_function(optimum):
    region = Region(Space({"lr": LR, "update": Choice(("sgd", "adam"), (0.5, 0.5))}), moves={"lr.high": 1})
    seen = look(region.space, decade(optimum))
    before = copy.deepcopy((region, seen))
    first = fit(region, seen)
    assert first == fit(region, seen)
    assert region == before[0]
    assert seen.columns == before[1].columns
    assert np.array_equal(seen.scores, before[1].scores)
    assert np.array_equal(seen.diverged, before[1].diverged)


@settings(max_examples=60)
@given(KINDS, st.floats(0.2, 0.8), st.integers(0, 999))
def test_the_new_range_lies_round_an_optimum_inside_of_the_old_one(parameter, optimum, seed):
    space = Space({"x": parameter})
    seen = look(space, lambda config: abs(parameter.encode([config["x"]])[0] - optimum), seed=seed)
    region = fit(Region(space), seen)
    new = region.space.parameters["x"]
    low, best, high = parameter.encode([new.low, seen.columns["x"][int(np.argmin(seen.scores))], new.high])
    assert parameter.low <= new.low < new.high <= parameter.high
    assert low <= best <= high
    assert (low + high) / 2 == pytest.approx(optimum, abs=0.1)
    assert 0.05 < high - low < (0.35 if parameter.integer else 0.16)
    assert new == replace(parameter, low=new.low, high=new.high)
    assert region.evidence == (
        f"x: [{parameter.low:g}, {parameter.high:g}] to [{new.low:g}, {new.high:g}], round the best trials",
    )
    assert region.moves == {}


OUTSIDE = pytest.mark.parametrize(("optimum", "side", "place"), [(-2.0, "high", "top"), (-7.0, "low", "bottom")])


@OUTSIDE
def test_a_range_with_the_best_at_its_edge_is_moved_past_it_and_says_so(optimum, side, place):
    old = Space({"lr": LR, "drop": DROP})
    region = fit(Region(old), look(old, decade(optimum)))
    new, words = lr_of(region), region.evidence[0]
    found = re.fullmatch(
        rf"best lr of (\d+) of the 10 best trials lie in the {place} (5|10|20) % of \[1e-06, 0\.001\]: "
        rf"range moved to \[{new.low:g}, {new.high:g}\] \(by chance so many: p = \de-\d\d\)",
        words,
    )
    assert found
    assert 3 <= int(found[1]) <= 10
    assert new.low < 10**optimum < new.high
    assert (new.high / LR.high if side == "high" else LR.low / new.low) == pytest.approx(10**1.5, rel=0.01)
    assert LR.low < new.low if side == "high" else new.high < LR.high
    assert region.moves == {f"lr.{side}": 1}
    assert region.space.parameters["drop"].high <= DROP.high


@OUTSIDE
@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_a_range_is_never_moved_past_its_limits(optimum, side, place, factor):
    limits = (LR.low / factor, LR.high * factor)
    found = regions(Space({"lr": replace(LR, limits=limits)}), decade(optimum), 5)
    for region in found:
        assert limits[0] <= lr_of(region).low < lr_of(region).high <= limits[1]
    assert found[-1].moves == ({f"lr.{side}": 1} if factor > 1 else {})
    at_limit = found[1 if factor == 1 else 2]
    assert at_limit.evidence[0].endswith(f": kept, {limits[side == 'high']:g} is its limit")


@OUTSIDE
def test_a_side_is_moved_at_most_a_few_times_in_a_sweep(optimum, side, place):
    found = regions(Space({"lr": LR}), decade(100.0 if side == "high" else -100.0), 8)
    moved = [region for region in found if any("range moved to" in text for text in region.evidence)]
    assert len(moved) == MAX_MOVES
    assert found[-1].moves == {f"lr.{side}": MAX_MOVES}
    assert found[-1].evidence[0].endswith(f": kept, it was moved {MAX_MOVES} times already")
    last = lr_of(moved[-1])
    assert last.low <= lr_of(found[-1]).low < lr_of(found[-1]).high <= last.high


@pytest.mark.parametrize(("sign", "beyond"), [(1, "above"), (-1, "below")])
def test_the_best_beside_where_trials_diverge_are_no_edge_and_the_words_say_so(sign, beyond):
    space = Space({"lr": LR})
    seen = look(
        space,
        lambda config: -sign * math.log(config["lr"]),
        diverges=lambda config: sign * (math.log10(config["lr"]) + 4.5) > 0.7,
    )
    region = fit(Region(space), seen)
    found = re.fullmatch(
        rf"best lr of (\d+) of the 10 best trials lie beside (\S+), {beyond} which (\d+) of (\d+) trials diverge: "
        r"range kept on this side of it",
        region.evidence[0],
    )
    assert found
    assert math.log10(float(found[2])) == pytest.approx(-4.5 + 0.7 * sign, abs=0.05)
    assert int(found[3]) == int(found[4]) == np.sum(seen.diverged)
    assert (lr_of(region).high if sign > 0 else lr_of(region).low) == pytest.approx(float(found[2]), rel=0.01)
    assert region.moves == {}


def test_a_range_is_cut_where_trials_diverge_though_the_best_lie_elsewhere():
    space = Space({"lr": LR})
    seen = look(space, decade(-3.85))
    cut = replace(seen, diverged=np.array(seen.columns["lr"]) > 1.5e-4)
    assert lr_of(fit(Region(space), cut)).high == pytest.approx(1.5e-4, rel=0.1)
    assert lr_of(fit(Region(space), seen)).high > 1.6e-4


def test_where_the_best_trials_diverged_in_the_end_the_range_lies_round_them_all_the_same():
    space = Space({"lr": LR})
    seen = look(space, decade(-3.2))
    diverged = np.array(seen.columns["lr"]) > 1e-4
    new = lr_of(fit(Region(space), replace(seen, diverged=diverged)))
    assert 1e-4 < new.low < 10**-3.2 < new.high


@pytest.mark.parametrize(("others", "moved"), [(0, True), (9, False)])
def test_the_more_parameters_there_are_the_more_it_takes_to_move_a_range(others, moved):
    names = [f"x{i}" for i in range(1 + others)]
    space = Space({name: Range(0.0, 1.0) for name in names})
    places = (np.arange(100) + 0.4) / 100
    columns = {name: np.random.default_rng(i).permutation(places) for i, name in enumerate(names)}
    best = (columns["x0"] > 0.96) | np.isin(np.rint(100 * columns["x0"]), [10, 20, 30, 40, 50, 60])
    seen = Observed({name: column.tolist() for name, column in columns.items()}, 1.0 - best, best & False)
    text = "best x0 of 4 of the 10 best trials lie in the top 5 % of [0, 1]"
    assert fit(Region(space), seen).evidence[0].startswith(text) == moved
    assert hints(Region(space), seen) == [text] * moved


def test_trials_that_diverge_make_no_crowd_of_few_good_ones():
    letters = "gddd" * 5 + "gddddd" + "b" * 5  # from the bottom of the range: good, diverged, best
    places = np.r_[np.linspace(0.0, 0.78, len(letters) - 5), np.linspace(0.82, 1.0, 5)]
    kind = np.array([*letters])
    scores = np.select([kind == "b", kind == "g"], [0.0, 1.0], np.inf)
    space = Space({"x": Range(0.0, 1.0)})
    sparse = fit(Region(space), Observed({"x": places.tolist()}, scores, kind == "d"))
    assert sparse.moves == {}
    dense = fit(Region(space), Observed({"x": places.tolist()}, np.minimum(scores, 2.0), kind == "none"))
    assert dense.moves == {"x.high": 1}


def test_choices_are_weighted_by_the_best_trials_and_none_is_dropped():
    space = Space({"update": Choice(("sgd", "momentum", "adam"), (1 / 3,) * 3)})
    region = fit(Region(space), look(space, lambda config: config["update"] != "adam", trials=300))
    new = region.space.parameters["update"]
    assert new.values == ("sgd", "momentum", "adam")
    assert new.weights[2] > 0.5
    assert new.weights[0] == pytest.approx(new.weights[1], abs=0.02)
    assert re.fullmatch(r"update: adam \d\d%, (sgd|momentum) \d+%, (sgd|momentum) \d+%", region.evidence[0])


def test_a_choice_that_was_drawn_seldom_is_not_punished_for_it():
    space = Space({"update": Choice(("sgd", "adam"), (0.9, 0.1)), "lr": LR})
    region = fit(Region(space), look(space, decade(-4.5), trials=2000))
    assert region.space.parameters["update"].weights == pytest.approx((0.5, 0.5), abs=0.1)


@given(st.integers(2, 40), st.integers(1, 400), st.integers(0, 999))
def test_every_choice_keeps_at_least_about_a_tenth_of_an_equal_share(count, trials, seed):
    values = tuple(range(count))
    space = Space({"which": Choice(values, (1 / count,) * count)})
    seen = look(space, lambda config: config["which"] != seed % count, trials=trials, seed=seed)
    new = fit(Region(space), seen).space.parameters["which"]
    assert new.values == values
    assert min(new.weights) >= 0.09 / count - 0.0005
    assert sum(new.weights) == pytest.approx(1.0, abs=0.001 * count)


def test_not_even_one_of_very_many_choices_is_dropped():
    picked = [*range(200)] * 100
    seen = Observed({"which": picked}, np.array([float(x >= 20) for x in picked]), np.zeros(len(picked), np.bool_))
    space = Space({"which": Choice(tuple(range(200)), (1 / 200,) * 200)})
    assert min(fit(Region(space), seen).space.parameters["which"].weights) > 0


def test_what_is_fixed_stays_and_is_not_spoken_of():
    space = Space({"decay": Fixed(0.9), "lr": LR})
    region = fit(Region(space), look(space, decade(-4)))
    assert region.space.parameters["decay"] == Fixed(0.9)
    assert [text.partition(":")[0] for text in region.evidence] == ["lr"]


@pytest.mark.parametrize(("favourite", "narrows"), [("momentum", True), ("any", True), ("sgd", False)])
def test_a_conditional_parameter_is_narrowed_only_by_the_best_trials_in_which_it_is_active(favourite, narrows):
    beta = Range(0.8, 0.99, limits=(0.0, 1.0))
    update = Choice(("sgd", "momentum"), (0.5, 0.5))
    space = Space({"lr": LR, "update": update, "beta": beta}, {"beta": {"update": ("momentum",)}})
    bowl = decade(-4.5)
    seen = look(
        space,
        lambda c: 10 * (favourite not in ("any", c["update"])) + bowl(c) + 50 * abs((c["beta"] or 0.91) - 0.9),
        trials=400,
    )
    region = fit(Region(space), seen)
    new = region.space.parameters["beta"]
    assert (new != beta) == narrows
    assert ("beta" in {text.partition(":")[0] for text in region.evidence}) == narrows
    assert not narrows or beta.low < new.low < 0.9 < new.high < beta.high
    assert region.space.when == space.when


@settings(max_examples=60)
@given(st.integers(1, 5), st.integers(1, 40), st.booleans(), st.floats(-0.5, 1.5), st.integers(0, 99))
def test_a_range_of_whole_numbers_stays_one_of_at_least_two(low, width, log, optimum, seed):
    space = Space({"layers": Range(low, low + width, log, integer=True, limits=(1, math.inf))})
    for region in regions(space, lambda c: abs(c["layers"] - low - optimum * width), 4, trials=30, seed=seed)[1:]:
        new = region.space.parameters["layers"]
        assert isinstance(new.low, int)
        assert isinstance(new.high, int)
        assert 1 <= new.low < new.high


def test_where_nothing_is_finite_there_is_nothing_to_learn_and_the_text_counts():
    space = Space({"lr": LR})
    seen = look(space, lambda config: math.inf, trials=40, diverges=lambda config: config["lr"] > 5e-6)
    diverged = int(np.sum(seen.diverged))
    with pytest.raises(
        NothingToLearn, match=rf"none of the 40 trials reported a finite objective \({diverged} stopped"
    ):
        fit(Region(space), seen)


@pytest.mark.parametrize(("stopped", "advice"), [(21, "lower the top of the learning rate"), (20, "sweeps show")])
def test_what_to_do_about_it_depends_on_why_nothing_is_finite(stopped, advice):
    seen = Observed({"lr": [1e-4] * 40}, np.full(40, np.inf), np.arange(40) < stopped)
    with pytest.raises(NothingToLearn, match=advice):
        fit(Region(Space({"lr": LR})), seen)


@pytest.mark.parametrize("optimum", [-7.0, -4.5, -2.0])
def test_stage_by_stage_a_sweep_comes_to_an_optimum_even_a_decade_outside_of_its_range(optimum):
    space = Space({"lr": LR, "drop": DROP})
    bowl = decade(optimum)
    found = 0
    for seed in range(20):
        last = regions(space, lambda c: bowl(c) + (c["drop"] - 0.2) ** 2, 5, method="random", seed=seed)[-1]
        found += lr_of(last).low < 10**optimum < lr_of(last).high < 2 * lr_of(last).low
    assert found >= 18


def test_a_single_finite_trial_moves_nothing():
    space = Space({"lr": LR, "update": Choice(("sgd", "adam"), (0.5, 0.5))})
    seen = look(space, lambda config: math.inf)
    seen.scores[7] = 1.0
    assert fit(Region(space), seen) == Region(space)


@OUTSIDE
def test_a_hint_is_what_the_evidence_will_say(optimum, side, place):
    space = Space({"drop": DROP, "lr": LR})
    seen = look(space, decade(optimum))
    (hint,) = hints(Region(space), seen)
    assert fit(Region(space), seen).evidence[1].startswith(f"{hint}: range moved to ")


@pytest.mark.parametrize("objective", [decade(-4.5), lambda config: math.inf])
def test_there_is_no_hint_where_there_is_no_edge(objective):
    space = Space({"lr": LR, "decay": Fixed(0.9)})
    assert hints(Region(space), look(space, objective)) == []


@given(st.lists(st.sampled_from([0.0, 1.0, 2.0, 3.0, math.inf]), max_size=200))
def test_the_best_trials_are_a_tenth_and_beat_all_others_with_ties_to_the_first(scores):
    scores = np.array(scores, np.float64)
    best = best_trials(scores)
    finite = int(np.sum(np.isfinite(scores)))
    assert np.sum(best) == min(max(round(len(scores) / 10), 5), max(finite // 2, min(finite, 1)))
    ranked = sorted(range(len(scores)), key=lambda i: (scores[i], i))
    assert sorted(np.flatnonzero(best).tolist()) == sorted(ranked[: int(np.sum(best))])
    assert np.isfinite(scores[best]).all()


@pytest.mark.parametrize(
    ("trials", "finite", "count"), [(100, 100, 10), (20, 20, 5), (200, 8, 4), (5, 1, 1), (9, 0, 0)]
)
def test_how_many_are_the_best(trials, finite, count):
    scores = np.r_[np.zeros(finite), np.full(trials - finite, np.inf)]
    assert np.flatnonzero(best_trials(scores)).tolist() == list(range(count))


SPACE = {
    "lr": {"log": [1e-6, 1e-3]},
    "drop": {"uniform": [0.0, 0.5], "limits": [0.0, 0.8]},
    "hidden": {"int": [16, 256], "log": True},
    "layers": {"int": [1, 3]},
    "update": ["sgd", "momentum", "adam"],
    "decay": 0.9,
    "beta": {"uniform": [0.8, 0.99], "when": {"update": "momentum"}},
}


@settings(max_examples=20)
@given(st.floats(-9, 0), st.sampled_from(["sgd", "momentum", "adam"]), st.integers(1, 3), st.integers(0, 99))
def test_a_region_read_back_from_its_row_is_the_region(optimum, favourite, layers, seed):
    space = space_from(SPACE)
    score = decade(optimum)
    for region in regions(
        space, lambda c: score(c) + (c["update"] != favourite) + abs(c["layers"] - layers), 4, seed=seed
    ):
        row = json.loads(json.dumps(region_row(region, written_from(region.space))))
        assert region_from(row, space) == region
