"""The record, mean subtraction without copies, and the digits."""

import dataclasses
import sys

import numpy as np
import pytest

from workers import datasets


@pytest.fixture
def small():
    x = np.random.default_rng(0).uniform(0, 255, (20, 6)).astype(np.float32)
    return x, datasets.split(x, np.arange(20) % 2, validation=5, test=3, classes=("even", "odd"))


def test_the_parts_follow_one_another(small):
    _, data = small
    assert [len(data.x_train), len(data.x_val), len(data.x_test)] == [12, 5, 3]
    np.testing.assert_array_equal(np.concatenate([data.y_train, data.y_val, data.y_test]), np.arange(20) % 2)


def test_the_mean_of_the_training_part_is_subtracted_from_all_parts():
    x = np.random.default_rng(0).uniform(0, 255, (20, 6)).astype(np.float32)
    mean = x[:12].astype(np.float64).mean(axis=0)
    expected = x.astype(np.float64) - mean
    data = datasets.split(x, np.zeros(20, int), validation=5, test=3, classes=("only",))
    np.testing.assert_allclose(data.x_train, expected[:12], atol=1e-4)
    np.testing.assert_allclose(data.x_val, expected[12:17], atol=1e-4)
    np.testing.assert_allclose(data.x_test, expected[17:], atol=1e-4)


def test_nothing_is_copied(small):
    x, data = small
    for part in (data.x_train, data.x_val, data.x_test, data.subset(4).x_train):
        assert np.shares_memory(part, x)
        assert part.flags.c_contiguous


def test_a_subset_keeps_the_first_training_examples_and_all_others(small):
    _, data = small
    few = data.subset(4)
    np.testing.assert_array_equal(few.x_train, data.x_train[:4])
    np.testing.assert_array_equal(few.y_train, data.y_train[:4])
    assert few.x_val is data.x_val
    assert len(data.x_train) == 12


def test_the_record_is_frozen(small):
    with pytest.raises(dataclasses.FrozenInstanceError):
        small[1].classes = ()


def test_digits_are_all_there_in_a_fixed_split():
    data, again = datasets.digits(), datasets.digits()
    assert data.x_train.shape == (1297, 64)
    assert data.x_val.shape == data.x_test.shape == (250, 64)
    assert data.x_train.dtype == np.float32
    assert len(data.classes) == 10
    np.testing.assert_array_equal(data.x_train, again.x_train)
    np.testing.assert_array_equal(data.y_test, again.y_test)
    np.testing.assert_allclose(data.x_train.mean(axis=0), 0.0, atol=1e-5)
    assert set(data.y_val.tolist()) == set(range(10))


def test_digits_without_scikit_learn_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install coarsefine\[digits\]"):
        datasets.digits()
