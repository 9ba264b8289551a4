"""The search beats random search on learning curves of real trainings, by far and through its public interface."""

import importlib
import pathlib
import subprocess
import sys

import numpy as np
import pytest

pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]  # the loader of the curves, which is not ours, leaves a file open
BENCHMARKS = pathlib.Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def quality(monkeypatch):
    """The benchmark, where the curves are."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    if not importlib.import_module("replay").present():
        pytest.skip("needs the learning curves: CURVES=FOLDER")
    return importlib.import_module("quality")


def test_a_trial_that_goes_on_in_a_table_stays_in_its_row_and_others_take_others(quality):
    replay = importlib.import_module("replay")
    task = replay.loaded("taskset-0")
    config = {"task": task.name} | {name: p.decode(np.array([0.3]))[0] for name, p in task.space.parameters.items()}
    task.begin()
    first = [report["score"] for report in replay.train(config, epochs=3, seed=1)]
    other = [report["score"] for report in replay.train(config, epochs=3, seed=2)]
    assert [report["score"] for report in replay.train(config, epochs=5, seed=1)][:3] == first
    assert other != first


def test_the_peers_count_every_epoch_once(quality):
    replay = importlib.import_module("replay")
    meter = replay.Meter(replay.loaded("taskset-0"), 10)
    key, config = meter.key(), {n: p.decode(np.array([0.3]))[0] for n, p in meter.task.space.parameters.items()}
    assert len(meter.train(key, config, 4)) == 4
    assert len(meter.train(key, config, 9)) == 9  # five more
    assert len(meter.train(meter.key(), config, 9)) == 1  # what is left
    with pytest.raises(replay.Spent):
        meter.train(key, config, 10)
    assert np.isfinite(meter.best).all()
    assert (np.diff(meter.best) <= 0).all()


@pytest.mark.slow
def test_the_search_is_much_better_than_random_search(quality):
    code = """
import quality
cases = [(quality.loaded(name), seed) for seed, name in enumerate(quality.names("lcbench", "test")[:5])]
print(sum(task.regret(quality.ours(task, 20, seed)) for task, seed in cases))
print(sum(task.regret(quality.peer("random", task, 20, seed)[-1]) for task, seed in cases))
"""  # in a process of its own, where BLAS can still be told to take one thread
    ended = subprocess.run([sys.executable, "-c", code], cwd=BENCHMARKS, capture_output=True, text=True, check=True)
    ours, random = map(float, ended.stdout.split())
    assert ours < 0.75 * random
