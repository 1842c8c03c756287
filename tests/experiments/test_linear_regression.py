"""The line, its loss and what least squares says of them, against the tutorials' own lines, finite differences, torch
and TensorFlow."""

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.experiments.linear_regression import (
    curvatures,
    hessian,
    keras_data,
    landscape,
    least_squares,
    mean_squared_error,
    pytorch_data,
    settled,
    sweep,
    tensorflow1_data,
    zeros,
)
from lib.optimizers import RULES, Optimizer, gradient_descent
from lib.referees.keras import tensorflow
from lib.training import train

few = settings(deadline=None, max_examples=25, derandomize=True)


def problem(seed=0, features=2, samples=7):
    """x, y and parameters, drawn at random."""
    draw = np.random.default_rng(seed)
    params = {"w": draw.standard_normal((features, 1)), "b": draw.standard_normal(1)}
    return draw.standard_normal((samples, features)), draw.standard_normal((samples, 1)), params


problems = st.builds(problem, st.integers(0, 1000), st.integers(1, 4), st.integers(1, 9))


def flat(params):
    return np.concatenate([params["w"].ravel(), params["b"]])


def shaped(vector):
    return {"w": vector[:-1, None], "b": vector[-1:]}


# The data


@pytest.mark.parametrize(
    ("data", "seed", "printed"),
    [
        (tensorflow1_data, 0, lambda n: (n.rand(100, 1), lambda x: 2 * x + 1 + n.rand(100, 1))),
        (keras_data, 1, lambda n: (n.randn(100, 1), lambda x: 3 * x + 2 + n.randn(100, 1) * 0.5)),
        (pytorch_data, 0, lambda n: (n.randn(100, 1), lambda x: 2 * x + 1 + 0.5 * n.randn(100, 1))),
    ],
)
def test_data_are_those_of_the_tutorials_own_lines(data, seed, printed):
    before = np.random.get_state()
    np.random.seed(seed)
    x, y_of = printed(np.random)
    y = y_of(x)
    np.random.set_state(before)
    for given_, expected in zip(data(), (x, y), strict=True):
        assert given_.shape == (100, 1)
        assert given_.dtype == np.float64
        np.testing.assert_array_equal(given_, expected)
    assert (data(seed + 1)[0] != x).all()


@pytest.mark.parametrize(
    ("data", "w", "b", "loss"),
    [
        (tensorflow1_data, 1.93655, 1.55808, 0.076233),
        (keras_data, 3.04771, 2.07351, 0.215370),
        (pytorch_data, 2.05735, 1.03758, 0.264293),
    ],
)
def test_least_squares_of_the_three_data_sets(data, w, b, loss):
    # Measured once: a change of the data or of the fit shows here.
    best = least_squares(*data())
    assert (best["w"].item(), best["b"].item()) == pytest.approx((w, b), abs=1e-5)
    assert mean_squared_error(*data())(best)[0] == pytest.approx(loss, abs=1e-6)


# Loss and gradient


def test_loss_by_hand():
    # Residuals 1*1 + 2 - 0 = 3 and 3*1 + 2 - 4 = 1: the mean of 9 and 1; gradient 2 mean(3*1, 1*3) and 2 mean(3, 1).
    loss, grads = mean_squared_error([[1.0], [3.0]], [[0.0], [4.0]])({"w": np.ones((1, 1)), "b": np.array([2.0])})
    assert loss == 5
    assert grads["w"].tolist() == [[6.0]]
    assert grads["b"].tolist() == [4.0]


@few
@given(problems)
def test_gradient_is_the_slope(case):
    x, y, params = case
    objective, theta, h = mean_squared_error(x, y), flat(params), 1e-3
    grads = flat(objective(params)[1])
    for i, e in enumerate(np.eye(len(theta))):
        rise = objective(shaped(theta + h * e))[0] - objective(shaped(theta - h * e))[0]
        # A quadratic's central difference is exact but for rounding: a few eps times a loss below 1000, over h.
        assert rise / (2 * h) == pytest.approx(grads[i], abs=1e-9)


@few
@given(problems)
def test_gradient_is_that_of_torch(case):
    x, y, params = case
    w, b = (torch.tensor(params[name], requires_grad=True) for name in ("w", "b"))
    loss = torch.nn.functional.mse_loss(torch.tensor(x) @ w + b, torch.tensor(y))
    loss.backward()
    ours, grads = mean_squared_error(x, y)(params)
    assert ours == pytest.approx(loss.item(), rel=1e-13)
    for name, tensor in (("w", w), ("b", b)):
        assert grads[name].shape == params[name].shape
        np.testing.assert_allclose(grads[name], tensor.grad.numpy(), rtol=0, atol=1e-12)


def test_gradient_is_that_of_tensorflow():
    tf = tensorflow()
    x, y, params = problem(features=3, samples=20)
    w, b = tf.Variable(params["w"]), tf.Variable(params["b"])
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((x @ w + b - y) ** 2)
    ours, grads = mean_squared_error(x, y)(params)
    assert ours == pytest.approx(float(loss), rel=1e-13)
    for name, theirs in zip(("w", "b"), tape.gradient(loss, [w, b]), strict=True):
        np.testing.assert_allclose(grads[name], theirs.numpy(), rtol=0, atol=1e-12)


def test_float32_data_are_computed_in_float32():
    x, y, params = (
        {key: a.astype(np.float32) for key, a in part.items()} if isinstance(part, dict) else part.astype(np.float32)
        for part in problem(features=3, samples=20)
    )
    w, b = (torch.tensor(params[name], requires_grad=True) for name in ("w", "b"))
    torch.nn.functional.mse_loss(torch.tensor(x) @ w + b, torch.tensor(y)).backward()
    loss, grads = mean_squared_error(x, y)(params)
    assert loss.dtype == np.float32
    exact = mean_squared_error(x.astype(float), y.astype(float))({key: p.astype(float) for key, p in params.items()})[1]
    for name, tensor in (("w", w), ("b", b)):
        assert grads[name].dtype == np.float32
        # Twenty products and their sum, of numbers up to ten.
        np.testing.assert_allclose(grads[name], tensor.grad.numpy(), rtol=0, atol=40 * np.spacing(np.float32(10)))
        assert np.abs(grads[name] - exact[name]).max() > 0  # rounded, indeed
    assert zeros(3, np.float32)["w"].dtype == zeros(3, np.float32)["b"].dtype == np.float32
    assert zeros()["w"].dtype == zeros()["b"].dtype == np.float64


@pytest.mark.parametrize("dtype", [int, np.float16, bool])
def test_other_data_are_computed_in_float64(dtype):
    x, y = np.array([[1], [0], [1]], dtype), np.array([[1], [1], [0]], dtype)
    loss, grads = mean_squared_error(x, y)(zeros())
    assert loss.dtype == grads["w"].dtype == grads["b"].dtype == np.float64


def test_objective_leaves_its_arguments_alone():
    x, y, params = problem()
    copies = [a.copy() for a in (x, y, params["w"], params["b"])]
    mean_squared_error(x, y)(params)
    for a, copy in zip((x, y, params["w"], params["b"]), copies, strict=True):
        np.testing.assert_array_equal(a, copy)


def test_zeros():
    assert zeros(3)["w"].shape == (3, 1)
    assert zeros()["b"].tolist() == [0]


# Least squares and curvature


@few
@given(st.builds(problem, st.integers(0, 1000), st.integers(1, 3), st.integers(8, 12)))
def test_least_squares_is_lowest(case):
    x, y, params = case
    objective, best = mean_squared_error(x, y), least_squares(x, y)
    lowest, grads = objective(best)
    np.testing.assert_allclose(flat(grads), 0, atol=1e-12)
    # Elsewhere the loss is higher by exactly the second-order term.
    d = flat(params)
    assert objective(shaped(flat(best) + d))[0] - lowest == pytest.approx(d @ hessian(x) @ d / 2, abs=1e-10)


def test_least_squares_of_a_column_twice_is_the_shortest_solution():
    x, y, _ = problem(features=1)
    once, twice = least_squares(x, y), least_squares(np.column_stack([x, x]), y)
    # The slope is shared out evenly; b stays.
    np.testing.assert_allclose(twice["w"], np.vstack([once["w"], once["w"]]) / 2, atol=1e-12)
    np.testing.assert_allclose(twice["b"], once["b"], atol=1e-12)


@few
@given(problems)
def test_hessian_is_the_slope_of_the_gradient(case):
    x, y, params = case
    objective, theta = mean_squared_error(x, y), flat(params)
    columns = [flat(objective(shaped(theta + e))[1]) - flat(objective(params)[1]) for e in np.eye(len(theta))]
    np.testing.assert_allclose(hessian(x), np.column_stack(columns), rtol=0, atol=1e-12)


def test_curvatures_of_a_standardized_feature():
    x = np.array([[-1.0], [1.0]])  # mean 0, mean square 1
    np.testing.assert_allclose(curvatures(x), [2, 2], atol=1e-15)
    np.testing.assert_allclose(curvatures(3 * x), [2, 18], atol=1e-14)  # smallest first


@pytest.mark.parametrize("data", [tensorflow1_data, keras_data, pytorch_data])
def test_curvatures_set_the_largest_rate(data):
    x, y = data()
    limit, lowest = 2 / curvatures(x)[-1], mean_squared_error(x, y)(least_squares(x, y))[0]
    ends = sweep(gradient_descent, [0.99 * limit, 1.01 * limit], [(x, y)], steps=2000)[-1, 0]
    assert ends[0] == pytest.approx(lowest, abs=1e-4)
    assert ends[1] > 1e6


# The landscape


def test_landscape_is_the_loss():
    x, y = pytorch_data()
    objective, best = mean_squared_error(x, y), least_squares(x, y)
    surface = landscape(x, y, window=((-1, 3), (-1, 2)))
    assert surface.window == ((-1, 3), (-1, 2))
    assert surface.minima == [(best["w"].item(), best["b"].item())]
    for w, b in np.random.default_rng(0).normal(size=(5, 2)):
        loss, grads = objective({"w": np.full((1, 1), w), "b": np.full(1, b)})
        assert surface.value(w, b) == pytest.approx(loss, rel=1e-12)
        np.testing.assert_allclose(surface.gradient(w, b), flat(grads), rtol=0, atol=1e-12)


def test_landscape_takes_grids():
    w, b = np.meshgrid(np.linspace(-1, 1, 3), np.linspace(0, 1, 4))
    surface = landscape(*pytorch_data(), window=((-1, 1), (0, 1)))
    assert surface.value(w, b).shape == (4, 3)
    assert surface.value(w, b)[2, 1] == surface.value(w[2, 1], b[2, 1])


# Sweeps


@pytest.mark.parametrize("name", [name for name, f in RULES.items() if f.each == "entry" and not f.takes_curvature])
def test_sweep_is_many_trainings(name):
    rates, data = [0.003, 0.2], [pytorch_data(0), pytorch_data(1), keras_data()]
    losses = sweep(RULES[name], rates, data, steps=40)
    assert losses.shape == (41, 3, 2)
    for i, (x, y) in enumerate(data):
        for j, lr in enumerate(rates):
            alone = train(mean_squared_error(x, y), zeros(), Optimizer(RULES[name], lr=lr), steps=40)
            # 1e-12 from the rounding that makes a sweep reproducible, times what 40 steps make of it.
            np.testing.assert_allclose(losses[:, i, j], alone.losses, rtol=0, atol=1e-9)


def test_sweep_passes_hyperparameters_on():
    data = [pytorch_data()]
    still = sweep(RULES["momentum"], [0.1], data, steps=20, momentum=0.0)
    np.testing.assert_allclose(still, sweep(gradient_descent, [0.1], data, steps=20), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("name", "why"), [("lamb", "steps a whole array"), ("sophia", "takes curvature")])
def test_sweep_names_a_rule_that_it_cannot_run(name, why):
    with pytest.raises(ValueError, match=f"sweep cannot run {name}, which {why}.*train with one Optimizer"):
        sweep(RULES[name], [0.1], [pytorch_data()], steps=5)


def test_sweep_takes_data_sets_of_different_sizes():
    x, y = pytorch_data()
    both = sweep(gradient_descent, [0.1], [(x, y), (x[:7], y[:7])], steps=5)
    np.testing.assert_array_equal(both[:, 1:], sweep(gradient_descent, [0.1], [(x[:7], y[:7])], steps=5))


def test_sweep_lets_runs_diverge_quietly():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        losses = sweep(gradient_descent, [0.1, 1e3], [pytorch_data()], steps=200)
    assert np.isfinite(losses[:, 0, 0]).all()
    assert not np.isfinite(losses[-1, 0, 1])


@pytest.mark.parametrize(
    ("losses", "step"),
    [
        ([5, 3, 1, 1], 2),
        ([1, 1, 1], 0),
        ([5, 1, 5, 1, 1], 3),  # a swing through the target does not count
        ([5, 1, 1, 5], math.inf),
        ([5, 5], math.inf),
        ([5, 2, 2], 1),  # at the threshold is below it
        ([5, 1, math.nan], math.inf),
        ([5, math.inf, 1], 2),
    ],
)
def test_settled(losses, step):
    assert settled(np.array(losses, dtype=float), 2.0) == step


def test_settled_broadcasts():
    losses = np.array([[[5.0, 5.0]], [[1.0, 3.0]]])  # (steps + 1, data sets, rates)
    np.testing.assert_array_equal(settled(losses, np.array([[4.0]])), [[1, 1]])
    np.testing.assert_array_equal(settled(losses, 2.0), [[1, math.inf]])


# Errors


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros(3), np.zeros((3, 1)), r"x must have shape \(samples, features\), at least one of each, got \(3,\)"),
        (np.zeros((0, 1)), np.zeros((0, 1)), r"got \(0, 1\)"),
        (np.zeros((3, 0)), np.zeros((3, 1)), r"got \(3, 0\)"),
        (np.zeros((3, 1)), np.zeros(3), r"y must have shape \(3, 1\), one row a sample of x, got \(3,\)"),
        (np.zeros((3, 1)), np.zeros((2, 1)), r"y must have shape \(3, 1\)"),
        ([[1.0], [math.nan]], np.zeros((2, 1)), "x has 1 entries that are not finite"),
        (np.zeros((2, 1)), [[math.inf], [math.nan]], "y has 2 entries that are not finite"),
    ],
)
@pytest.mark.parametrize("function", [mean_squared_error, least_squares])
def test_bad_data(function, x, y, message):
    with pytest.raises(ValueError, match=message):
        function(x, y)


@pytest.mark.parametrize("function", [hessian, curvatures])
def test_bad_features(function):
    with pytest.raises(ValueError, match="x must have shape"):
        function(np.zeros(3))
    with pytest.raises(ValueError, match="not finite"):
        function([[math.inf]])


@pytest.mark.parametrize(
    "params",
    [
        {"w": np.zeros(1), "b": np.zeros(1)},  # would give (n, n) residuals
        {"w": np.zeros((1, 1)), "b": np.zeros((3, 1))},
        {"w": np.zeros((1, 1)), "b": 0.0},
        {"w": np.zeros((2, 1)), "b": np.zeros(1)},
    ],
)
def test_bad_parameters(params):
    with pytest.raises(ValueError, match=r"w must have shape \(1, 1\) and b \(1,\), got"):
        mean_squared_error(np.zeros((3, 1)), np.zeros((3, 1)))(params)


def test_bad_landscape():
    with pytest.raises(ValueError, match="needs one feature, x has 2"):
        landscape(np.zeros((3, 2)), np.zeros((3, 1)), window=((0, 1), (0, 1)))


@pytest.mark.parametrize(
    ("rates", "data", "steps", "message"),
    [
        ([], [pytorch_data()], 1, "at least one rate"),
        ([[0.1]], [pytorch_data()], 1, "a list of at least one rate"),
        ([0.1], [], 1, "at least one data set"),
        ([0.1], [pytorch_data()], 0, "at least one step"),
        ([0.1], [(np.zeros((3, 2)), np.zeros((3, 1)))], 1, "one feature"),
    ],
)
def test_bad_sweep(rates, data, steps, message):
    with pytest.raises(ValueError, match=message):
        sweep(gradient_descent, rates, data, steps=steps)
