"""The recipe that makes a trainer of a library that calls back."""

import pathlib
import runpy

import pytest

EXAMPLE = runpy.run_path(str(pathlib.Path(__file__).parent.parent.parent / "examples" / "pulled.py"))
pulled, Enough = EXAMPLE["pulled"], EXAMPLE["Enough"]


def library(done, epochs=3):
    """A loop of somebody else's, which notes what it does."""

    def fit(report):
        try:
            for epoch in range(epochs):
                done.append(epoch)
                report({"epoch": epoch})
        finally:
            done.append("clean-up")

    return fit


def test_reports_arrive_in_order_and_the_end_is_the_end():
    done = []
    assert [item["epoch"] for item in pulled(library(done))] == [0, 1, 2]
    assert done == [0, 1, 2, "clean-up"]


def test_nothing_runs_before_it_is_asked_for():
    done = []
    reports = pulled(library(done))
    assert done == []
    for epoch in range(3):
        next(reports)
        assert done == list(range(epoch + 1))


def test_a_trial_that_is_stopped_ends_the_loop_with_its_clean_up():
    done = []
    reports = pulled(library(done))
    next(reports)
    reports.close()
    assert done == [0, "clean-up"]


def test_an_error_of_the_library_is_raised_where_the_reports_are_asked_for():
    def fit(report):
        report({"loss": 1.0})
        raise ZeroDivisionError("of the library's own")

    reports = pulled(fit)
    assert next(reports) == {"loss": 1.0}
    with pytest.raises(ZeroDivisionError, match="of the library's own"):
        next(reports)


def test_a_library_that_swallows_the_stop_is_stopped_again():
    def fit(report):
        for _ in range(3):
            try:
                report({"loss": 1.0})
            except Enough:
                swallowed.append(1)

    swallowed = []
    reports = pulled(fit)
    next(reports)
    reports.close()
    assert len(swallowed) == 3
