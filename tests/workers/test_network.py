"""The network against finite differences, plain loops, and what the lecture says of untrained networks."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers import network


def build(sizes, **options):
    return network.create(sizes, np.random.default_rng(7), **({"dtype": np.float64} | options))


def examples(n, inputs, classes, dtype=np.float64):
    rng = np.random.default_rng(3)
    return rng.standard_normal((n, inputs)).astype(dtype), rng.integers(0, classes, n)


def numerical_gradient(net, x, y, reg, step=1e-6):
    flat = net.parameters.flat
    slopes = np.empty_like(flat)
    for i, value in enumerate(flat.copy()):
        losses = []
        for moved in (value + step, value - step):
            flat[i] = moved
            losses.append(network.backpropagate(net, x, y, reg))
        flat[i] = value
        slopes[i] = (losses[0] - losses[1]) / (2 * step)
    return slopes


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("reg", [0.0, 0.3])
@pytest.mark.parametrize("hidden", [[], [6], [6, 5], [5, 4, 6]])
def test_the_gradient_is_that_of_finite_differences(hidden, reg, batch_norm):
    net = build([4, *hidden, 3], batch_norm=batch_norm)
    net.parameters.flat[:] += 0.1 * np.random.default_rng(1).standard_normal(net.parameters.flat.shape)
    x, y = examples(8, 4, 3)
    numerical = numerical_gradient(net, x, y, reg)
    network.backpropagate(net, x, y, reg)
    analytic = net.gradient.flat
    error = np.linalg.norm(analytic - numerical) / (np.linalg.norm(analytic) + np.linalg.norm(numerical))
    assert error < 1e-6


def test_the_loss_is_that_of_plain_loops():
    net = build([3, 4, 2, 3])
    net.parameters.flat[:] += 0.1
    x, y = examples(5, 3, 3)
    reg = 0.2
    total = 0.0
    for values, label in zip(x.tolist(), y.tolist(), strict=True):
        for layer, (weights, bias) in enumerate(zip(net.parameters.weights, net.parameters.biases, strict=True)):
            units = [bias[j] + sum(value * weights[i, j] for i, value in enumerate(values)) for j in range(len(bias))]
            values = units if layer == 2 else [max(unit, 0.0) for unit in units]
        total += math.log(sum(math.exp(value) for value in values)) - values[label]
    squares = sum(w * w for weights in net.parameters.weights for w in weights.ravel().tolist())
    expected = total / 5 + 0.5 * reg * squares
    assert network.backpropagate(net, x, y, reg) == pytest.approx(expected, rel=1e-12)


def test_batch_normalisation_is_that_of_plain_loops():
    net = build([3, 2, 2], batch_norm=True)
    net.parameters.scales[0][:] = [0.5, 2.0]
    net.parameters.biases[0][:] = [0.1, -0.2]
    x, y = examples(6, 3, 2)
    units = (x @ net.parameters.weights[0]).tolist()
    for j in range(2):
        column = [row[j] for row in units]
        mean = sum(column) / 6
        variance = sum((value - mean) ** 2 for value in column) / 6
        for row in units:
            row[j] = net.parameters.scales[0][j] * (row[j] - mean) / math.sqrt(variance + 1e-5)
            row[j] = max(row[j] + net.parameters.biases[0][j], 0.0)
    logits = np.array(units) @ net.parameters.weights[1]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = -np.log(probabilities[np.arange(6), y]).mean()
    assert network.backpropagate(net, x, y, 0.0) == pytest.approx(expected, rel=1e-12)


def test_small_weights_start_at_the_logarithm_of_the_number_of_classes():
    x, y = examples(100, 3072, 10, np.float32)
    net = build([3072, 50, 10], init="small", dtype=np.float32)
    assert network.backpropagate(net, x, y, 0.0) == pytest.approx(math.log(10), abs=1e-3)


def test_regularisation_raises_the_initial_loss_as_in_the_lecture():
    """CS231n, lecture 6: 2.302 without, 3.068 with reg = 1e3. Weights are random: the figure holds to 1 %."""
    x, y = examples(100, 3072, 10, np.float32)
    net = build([3072, 50, 10], init="small", dtype=np.float32)
    assert network.backpropagate(net, x, y, 1e3) == pytest.approx(3.068, rel=0.01)


@given(st.lists(st.floats(0, 1e3), min_size=2, max_size=5))
def test_the_loss_rises_with_regularisation(strengths):
    net = build([4, 5, 3])
    x, y = examples(6, 4, 3)
    losses = [network.backpropagate(net, x, y, reg) for reg in sorted(strengths)]
    assert losses == sorted(losses)


@given(st.floats(-1e4, 1e4))
def test_a_constant_added_to_all_scores_changes_nothing(constant):
    x, y = examples(6, 4, 3)
    plain, shifted = build([4, 5, 3]), build([4, 5, 3])
    shifted.parameters.biases[-1][:] += constant
    assert network.backpropagate(shifted, x, y, 0.1) == pytest.approx(network.backpropagate(plain, x, y, 0.1), abs=1e-9)
    np.testing.assert_allclose(shifted.gradient.flat, plain.gradient.flat, atol=1e-9)


@given(st.permutations(range(6)))
def test_the_order_of_examples_does_not_matter(order):
    x, y = examples(6, 4, 3)
    one, other = build([4, 5, 3], batch_norm=True), build([4, 5, 3], batch_norm=True)
    assert network.backpropagate(one, x, y, 0.0) == pytest.approx(
        network.backpropagate(other, x[order], y[order], 0.0), abs=1e-12
    )
    np.testing.assert_allclose(one.gradient.flat, other.gradient.flat, atol=1e-12)


@pytest.mark.parametrize("scale", [1e20, 1e30, math.nan])
def test_a_diverged_network_shows_in_the_loss_without_a_warning(scale):
    x, y = examples(6, 4, 3, np.float32)
    net = build([4, 5, 3], dtype=np.float32)
    net.parameters.flat[:] *= scale
    assert not math.isfinite(network.backpropagate(net, x, y, 1.0))
    network.accuracy(net, x, y)


def test_learning_one_batch_by_heart_ends_near_zero_loss():
    x, y = examples(20, 10, 3)
    net = build([10, 30, 3])
    for _ in range(300):
        loss = network.backpropagate(net, x, y, 0.0)
        net.parameters.flat[:] -= 0.5 * net.gradient.flat
    assert loss < 0.01
    assert network.accuracy(net, x, y) == 1.0


def test_running_averages_approach_the_statistics_of_the_data():
    net = build([4, 5, 3], batch_norm=True)
    x, y = examples(50, 4, 3)
    for _ in range(300):
        network.backpropagate(net, x, y, 0.0)
    units = x @ net.parameters.weights[0]
    np.testing.assert_allclose(net.means[0], units.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(net.variances[0], units.var(axis=0), rtol=1e-9)
    logits = network.scores(net, x)
    normalised = (units - units.mean(axis=0)) / np.sqrt(units.var(axis=0) + 1e-5)
    np.testing.assert_allclose(logits, np.maximum(normalised, 0.0) @ net.parameters.weights[1], rtol=1e-9)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_scores_of_an_example_do_not_depend_on_its_company(batch_norm):
    net = build([4, 5, 5, 3], batch_norm=batch_norm)
    x, _ = examples(7, 4, 3)
    before = x.copy()
    alone = np.concatenate([network.scores(net, x[i : i + 1]) for i in range(7)])
    np.testing.assert_allclose(network.scores(net, x), alone, rtol=1e-12)
    np.testing.assert_array_equal(x, before)


def test_backpropagation_leaves_examples_and_parameters_alone():
    net = build([4, 5, 3])
    x, y = examples(7, 4, 3)
    before, parameters = x.copy(), net.parameters.flat.copy()
    network.backpropagate(net, x, y, 0.5)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(net.parameters.flat, parameters)


def test_accuracy_is_the_share_of_correct_predictions():
    net = build([2, 2])
    net.parameters.weights[0][:] = np.eye(2)
    x = np.array([[1.0, 0.0], [0.0, 1.0], [3.0, 2.0], [2.0, 3.0]])
    np.testing.assert_array_equal(network.predict(net, x), [0, 1, 0, 1])
    assert network.accuracy(net, x, np.array([0, 1, 0, 0])) == 0.75


@pytest.mark.parametrize(("init", "deviation"), [("small", 1e-4), ("xavier", 0.05), ("he", math.sqrt(2) * 0.05)])
def test_initial_weights_have_the_deviation_of_their_scheme(init, deviation):
    """The sample deviation of 40,000 normal numbers is within 2 % (5 sigma and more)."""
    net = build([400, 100, 3], init=init)
    assert net.parameters.weights[0].std() == pytest.approx(deviation, rel=0.02)
    assert not any(bias.any() for bias in net.parameters.biases)


def test_an_unknown_init_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="unknown init 'huge': known are small, xavier, he"):
        build([4, 3], init="huge")


@pytest.mark.parametrize("batch_norm", [False, True])
def test_layers_are_views_that_tile_the_flat_vector(batch_norm):
    parameters = build([4, 6, 5, 3], batch_norm=batch_norm, dtype=np.float32).parameters
    parts = [*parameters.weights, *parameters.biases, *parameters.scales]
    assert sum(part.size for part in parts) == parameters.flat.size
    assert sum(part.size for part in parameters.weights) == parameters.decayed.size
    assert all(np.shares_memory(part, parameters.flat) and part.flags.c_contiguous for part in parts)
    assert not any(np.shares_memory(a, b) for a, b in itertools.combinations(parts, 2))
    assert parameters.flat.dtype == np.float32
    assert len(parameters.scales) == (2 if batch_norm else 0)


def test_the_whole_pass_stays_in_single_precision():
    net = build([4, 6, 3], batch_norm=True, dtype=np.float32)
    x, y = examples(5, 4, 3, np.float32)
    network.backpropagate(net, x, y, 0.1)
    assert network.scores(net, x).dtype == np.float32
    assert net.gradient.flat.dtype == net.means[0].dtype == np.float32
