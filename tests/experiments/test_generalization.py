"""The data against what their sources say of them, the closed forms against scikit-learn and training."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from lib.data import digits
from lib.experiments.generalization import (
    accuracy_on_new,
    curve,
    few_digits,
    noisy_points,
    polynomials,
    ridge,
    separable,
    sharpness,
)
from lib.optimizers import Optimizer, adagrad, adam, gradient_descent, l2, rmsprop
from lib.training import train


def problem(seed=0, n=12, features=4):
    draw = np.random.default_rng(seed)
    return draw.standard_normal((n, features)), draw.standard_normal(n)


# The points


def test_polynomials_by_hand():
    x = np.array([-1.0, 0.5, 1.0])
    np.testing.assert_allclose(polynomials(x, 2).T, [[1, 1, 1], x, (3 * x**2 - 1) / 2], atol=1e-15)


def test_points_without_noise_lie_on_the_curve():
    x, y = noisy_points(5, 0.0, np.random.default_rng(0))
    np.testing.assert_array_equal(x, [-1, -0.5, 0, 0.5, 1])
    np.testing.assert_array_equal(y, np.sin(3.5 * x))


def test_noise_is_as_large_as_asked_for():
    x, y = noisy_points(20_000, 0.3, np.random.default_rng(0))
    # The standard deviation of n draws is known to 0.3 / sqrt(2 n) = 0.0015.
    assert abs((y - curve(x)).std() - 0.3) < 5 * 0.0015


# Ridge


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(0, 1000), st.floats(1e-3, 10))
def test_ridge_is_scikit_learns(seed, decay):
    """Their loss is a sum: n times ours, twice."""
    features, target = problem(seed)
    theirs = Ridge(alpha=len(target) * decay, fit_intercept=False, solver="cholesky").fit(features, target).coef_
    # The condition number is at most some 1e4 here, and each of a few dozen roundings is multiplied by it.
    np.testing.assert_allclose(ridge(features, target, decay), theirs, rtol=1e-10, atol=1e-10)


def test_gradient_descent_with_weight_decay_ends_at_ridge():
    features, target = problem()

    def objective(params):
        error = features @ params[0] - target
        return (error**2).mean() / 2, [features.T @ error / len(target)]

    run = train(objective, [np.zeros(4)], Optimizer(l2(gradient_descent), lr=0.3, weight_decay=0.1), steps=2000)
    np.testing.assert_allclose(run.path[-1], ridge(features, target, 0.1), atol=1e-13)


def test_ridge_without_decay_is_least_squares():
    features, target = problem()
    np.testing.assert_allclose(ridge(features, target, 0), np.linalg.lstsq(features, target)[0], atol=1e-13)


# Wilson's data


def test_separable_by_hand():
    np.testing.assert_array_equal(
        separable([1, -1]), [[1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], [-1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1]]
    )


def labels(seed, n=40):
    """Three fifths of them 1, in random order."""
    return np.random.default_rng(seed).permutation(np.repeat([1.0, -1.0], [3 * n // 5, n - 3 * n // 5]))


def test_the_sign_solution_fits_every_example():
    """Wilson et al., lemma 3.1: X sign(X^T y) is a multiple of y, here 4 y, if there are more 1 than -1."""
    y = labels(0)
    x = separable(y)
    np.testing.assert_array_equal(x @ np.sign(x.T @ y), 4 * y)


@pytest.mark.parametrize("rule", [adagrad, rmsprop, adam])
def test_adaptive_methods_stay_on_the_sign_solution(rule):
    y = labels(0)
    x = separable(y)
    objective = lambda params: (0.0, [x.T @ (x @ params[0] - y) / len(y)])
    w = train(objective, [np.zeros(x.shape[1])], Optimizer(rule, lr=0.003), steps=50).path[-1]
    sign = np.sign(x.T @ y)
    used = sign != 0
    # eps bends the direction, by eps over the smallest gradient: 1e-8 * 40, and more where the residual is smaller.
    np.testing.assert_allclose(w[used] / w[0], sign[used], atol=1e-5)
    np.testing.assert_array_equal(w[~used], 0)
    assert accuracy_on_new(w, 0.6) == 0.6


def test_the_solution_of_least_norm_tells_new_examples_apart():
    y = labels(0)
    assert accuracy_on_new(np.linalg.pinv(separable(y)) @ y, 0.6) == 1


@pytest.mark.parametrize(
    ("w", "right"), [([1, 0, 0], 1), ([-1, 0, 0], 0), ([0, 1, 0], 0.7), ([0, 0, -1], 0.3), ([1, 1, 1], 0.7)]
)
def test_accuracy_on_new_by_hand(w, right):
    assert accuracy_on_new(np.array(w, dtype=float), 0.7) == pytest.approx(right, abs=1e-15)


def test_accuracy_on_new_is_that_of_new_examples():
    w, new = np.random.default_rng(1).normal([1, 0, 0]), labels(2, 1000)
    guess = np.sign(separable(new)[:, :3] @ w)
    assert (guess == new).mean() == pytest.approx(accuracy_on_new(w, (new > 0).mean()), abs=1e-12)


# The digits


def test_few_digits_are_other_digits():
    x, y, x_validation, y_validation = few_digits(100, 50, seed=3)
    assert (x.shape, y.shape, x_validation.shape, y_validation.shape) == ((100, 64), (100,), (50, 64), (50,))
    data = digits()
    known = {row.tobytes(): label for row, label in zip(data.x_train, data.y_train, strict=True)}
    drawn = [row.tobytes() for row in np.vstack([x, x_validation])]
    assert len(set(drawn)) == 150
    assert [known[row] for row in drawn] == [*y, *y_validation]


def test_wrong_labels_are_as_many_as_asked_for():
    right, wrong = few_digits(600, 600, seed=0), few_digits(600, 600, seed=0, wrong=0.5)
    np.testing.assert_array_equal(right[0], wrong[0])
    for i in 1, 3:
        # A tenth of those drawn anew stay what they were. Of 600, 45 % with a standard deviation of 2 %.
        assert abs((right[i] != wrong[i]).mean() - 0.45) < 4 * 0.02


def test_another_seed_draws_others():
    assert (few_digits(10, 10, seed=0)[0] != few_digits(10, 10, seed=1)[0]).any()


# Sharpness


def test_sharpness_is_the_largest_eigenvalue():
    draw = np.random.default_rng(0)
    directions, _ = np.linalg.qr(draw.standard_normal((5, 5)))
    hessian = (directions * [5.0, 3, 1, 0.5, -4]) @ directions.T
    value, v = sharpness(lambda v: hessian @ v, draw.standard_normal(5), 200)
    assert value == pytest.approx(5, abs=1e-12)  # (4/5)**400 = 1e-39
    np.testing.assert_allclose(abs(v @ directions), [5, 0, 0, 0, 0], atol=1e-12)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: noisy_points(0, 1.0, None), ValueError, "n must be a whole number >= 1, got 0"),
        (lambda: noisy_points(3, -1.0, None), ValueError, "noise must be a finite number >= 0, got -1.0"),
        (lambda: ridge(np.ones((2, 1)), np.ones(2), -0.1), ValueError, "decay must be a finite number >= 0, got -0.1"),
        (lambda: ridge(np.ones((2, 2)), np.ones(2), 0), np.linalg.LinAlgError, "Singular"),
        (lambda: separable([1, 0, -1]), ValueError, "labels must be 1 or -1, got 0 among them"),
        (lambda: few_digits(0, 1, 0), ValueError, "n must be a whole number >= 1, got 0"),
        (lambda: few_digits(1, 0, 0), ValueError, "validation must be a whole number >= 1, got 0"),
        (lambda: few_digits(1000, 348, 0), ValueError, r"must be at most 1347, got 1000 \+ 348"),
        (lambda: few_digits(1, 1, 0, wrong=1.0), ValueError, r"wrong must be a number in \(0, 1\), got 1.0"),
        (lambda: sharpness(abs, np.ones(1), 0), ValueError, "steps must be a whole number >= 1, got 0"),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()
