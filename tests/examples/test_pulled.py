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
    assert [item["epoch"] for item in pulled(library(done), 3)] == [0, 1, 2]
    assert done == [0, 1, 2, "clean-up"]


def test_nothing_runs_before_it_is_asked_for():
    done = []
    reports = pulled(library(done), 3)
    assert done == []
    for epoch in range(3):
        next(reports)
        assert done == list(range(epoch + 1))


def test_a_trial_that_is_stopped_ends_the_loop_with_its_clean_up():
    done = []
    reports = pulled(library(done), 3)
    next(reports)
    reports.close()
    assert done == [0, "clean-up"]


def test_after_the_last_report_the_library_ends_in_its_own_way():
    done = []

    def fit(report):
        library(done)(report)
        done.append("saved")

    reports = pulled(fit, 3)
    for _ in range(3):
        next(reports)
    reports.close()
    assert done == [0, 1, 2, "clean-up", "saved"]


def test_an_error_of_the_library_is_raised_where_the_reports_are_asked_for():
    def fit(report):
        report({"loss": 1.0})
        raise ZeroDivisionError("of the library's own")

    reports = pulled(fit, 3)
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
    reports = pulled(fit, 3)
    next(reports)
    reports.close()
    assert len(swallowed) == 3


def test_the_docs_give_the_recipe_as_it_is_tested():
    root = pathlib.Path(__file__).parent.parent.parent
    assert (root / "examples" / "pulled.py").read_text() in (root / "docs" / "frameworks.md").read_text()
