"""Batches hold every example once an epoch; noise scales are what their equations say."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.networks import mean_squared_error, value_and_grad
from lib.optimizers import Optimizer, gradient_descent
from lib.stochastic_gradients import (
    batches,
    curved_noise_scale,
    gradients,
    hessian_vector_product,
    noise_scale,
    noise_scale_from_norms,
    stochastic,
)
from lib.training import train

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((12, 3)), RNG.standard_normal((12, 2))
PARAMS = {"W": RNG.standard_normal((3, 2)), "b": RNG.standard_normal(2)}


def loss(params, x, y):
    return mean_squared_error(x @ params["W"] + params["b"], y)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.booleans(), st.integers(0, 1000))
def test_every_epoch_holds_every_example_once(n, size, drop_last, seed):
    size = min(n, size)
    a_day = n // size if drop_last else -(-n // size)
    stream = batches(n, size, seed=seed, drop_last=drop_last)
    for _ in range(3):
        epoch = list(itertools.islice(stream, a_day))
        assert [len(batch) for batch in epoch[:-1]] == [size] * (a_day - 1)
        everyone = np.sort(np.concatenate(epoch))
        if drop_last:
            assert len(np.unique(everyone)) == len(everyone) == a_day * size
        else:
            np.testing.assert_array_equal(everyone, np.arange(n))


def test_epochs_differ_and_the_seed_decides():
    first, second = itertools.islice(batches(50, 50, seed=1), 2)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, next(batches(50, 50, seed=1)))
    assert not np.array_equal(first, next(batches(50, 50, seed=2)))


def test_the_stochastic_objective_is_the_loss_of_the_next_batch():
    order = [np.array([0, 1]), np.array([5, 7, 2])]
    objective = stochastic(loss, X, Y, iter(order))
    for rows in order:
        value, grads = objective(PARAMS)
        expected, expected_grads = value_and_grad(lambda p, rows=rows: loss(p, X[rows], Y[rows]))(PARAMS)
        assert value == expected
        for name, g in grads.items():
            np.testing.assert_array_equal(g, expected_grads[name])


def test_all_at_once_is_gradient_descent():
    optimizer = lambda: Optimizer(gradient_descent, lr=0.05)
    some = train(stochastic(loss, X, Y, batches(12, 12)), PARAMS, optimizer(), steps=30)
    whole = train(value_and_grad(lambda p: loss(p, X, Y)), PARAMS, optimizer(), steps=30)
    # Shuffled rows are added up in another order: some roundings of numbers near 1, carried on for 30 steps.
    np.testing.assert_allclose(some.losses, whole.losses, rtol=1e-13)


def test_gradients_of_single_examples_average_to_the_gradient():
    rows = gradients(loss, PARAMS, X, Y)
    assert rows.shape == (12, 8)
    _, whole = value_and_grad(lambda p: loss(p, X, Y))(PARAMS)
    np.testing.assert_allclose(
        rows.mean(axis=0), np.concatenate([whole["W"].ravel(), whole["b"]]), rtol=1e-13, atol=1e-15
    )


def test_noise_scale_by_hand():
    # Mean (2, 0), squared norm 4; variances 2 and 8 of two rows each.
    assert noise_scale(np.array([[1.0, 2.0], [3.0, -2.0]])) == 10 / 4


def test_noise_scale_of_normal_gradients():
    """Covariance 4 I in 50 dimensions, |G| = 5: 200 / 25 = 8 examples."""
    rng = np.random.default_rng(0)
    rows = 2 * rng.standard_normal((20_000, 50)) + np.full(50, 5 / np.sqrt(50))
    # |G|**2 = 25 is measured to 2 * 5 * 2 / sqrt(20000) = 0.14, the trace to a tenth of that, relatively.
    assert abs(noise_scale(rows) / 8 - 1) < 5 * 0.14 / 25


def test_hessian_of_a_quadratic():
    """The loss is quadratic, so central differences are exact but for rounding: 1e-16 / h, times sizes near 10."""
    design = np.hstack([X, np.ones((12, 1))])
    hessian = np.kron(design.T @ design, np.eye(2)) / 12  # of the mean over 12 rows and 2 columns: 2 / 24
    v = np.random.default_rng(1).standard_normal(8)
    np.testing.assert_allclose(hessian_vector_product(loss, PARAMS, X, Y)(v), hessian @ v, atol=1e-8)


def test_curved_noise_scale_by_hand():
    # Mean (2, 0); the rows are off it by (-1, 2) and (1, -2). With H = diag(3, 0.5) that is 5 each: (5 + 5) / 12, with
    # n - 1 = 1. A draw gives 20 if the signs differ and 0 if not.
    rows = np.array([[1.0, 2.0], [3.0, -2.0]])
    found = curved_noise_scale(rows, lambda v: np.array([3.0, 0.5]) * v, draws=10_000)
    assert abs(found - 10 / 12) < 5 * (10 / 12) / np.sqrt(10_000)


def test_where_all_curvatures_are_alike_the_simple_scale_is_enough():
    rows = np.random.default_rng(0).standard_normal((40, 6)) + 1
    curved = curved_noise_scale(rows, lambda v: 7 * v, draws=4000)
    # u.u of 6 coordinates scatters by sqrt(2/6) of its mean.
    assert abs(curved / noise_scale(rows) - 1) < 5 * np.sqrt(2 / 6 / 4000)


@settings(max_examples=50, deadline=None)
@given(st.floats(0.1, 10), st.floats(0.1, 100), st.integers(1, 50), st.integers(1, 50))
def test_two_norms_are_enough(squared_gradient, trace, small, more):
    large = small + more
    norm = lambda size: squared_gradient + trace / size
    found = noise_scale_from_norms(norm(small), norm(large), small, large)
    # Differences of nearly equal norms lose the digits that they share, and no more.
    lost = (norm(small) + norm(large)) * (1 / squared_gradient + 1 / trace) * large**2 / more
    np.testing.assert_allclose(found, trace / squared_gradient, rtol=1e-15 * (10 + 10 * lost))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: batches(10, 0), "size must be a whole number >= 1, got 0"),
        (lambda: batches(10, 2.5), "size must be a whole number >= 1, got 2.5"),
        (lambda: batches(0, 1), "n must be a whole number >= 1, got 0"),
        (lambda: batches(10, 11), "size must be at most n = 10, got 11"),
        (lambda: noise_scale_from_norms(2.0, 1.0, 8, 8), "b_large must be larger than b_small = 8, got 8"),
    ],
)
def test_errors(call, words):
    with pytest.raises(ValueError, match=words):
        call()
