"""How often an edge is called, as benchmarks/edges.py measures it on many more sweeps."""

import importlib.util
import pathlib

import pytest

EDGES = pathlib.Path(__file__).parents[2] / "benchmarks" / "edges.py"


@pytest.fixture(scope="module")
def shares():
    """By where the optimum lies: the share of 200 sweeps that call its edge, and that call another one."""
    spec = importlib.util.spec_from_file_location("benchmark_of_edges", EDGES)
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    return benchmark.shares(200)


def test_an_optimum_outside_of_the_range_is_missed_in_less_than_a_tenth_of_the_sweeps(shares):
    assert shares["outside"][0] > 0.9


@pytest.mark.parametrize("place", ["inside", "at the edge", "outside"])
def test_an_edge_that_the_optimum_is_far_from_is_called_in_less_than_a_twentieth(shares, place):
    assert shares[place][1] < 0.05
