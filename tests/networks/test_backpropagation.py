"""Backpropagation gives the gradients of torch's autograd and of tf.GradientTape, and of finite differences."""

import numpy as np
import pytest
import tensorflow as tf
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.networks import Variable, backpropagate, value_and_grad
from lib.networks.backpropagation import exp, log, sigmoid, sqrt, tanh, where
from lib.optimizers import Optimizer, gradient_descent
from lib.training import train
from tests.networks.frameworks import ours, random_params, same, tensorflows, torchs

NUMPY = {"exp": exp, "log": log, "sqrt": sqrt, "tanh": tanh, "sigmoid": sigmoid, "where": where}
TORCH = {name: getattr(torch, name) for name in NUMPY}
TENSORFLOW = {"log": tf.math.log} | {name: getattr(tf, name) for name in NUMPY if name != "log"}
SHAPES = {"a": (3, 4), "b": (4,), "c": (3, 1), "d": (4, 5), "e": (), "s": (2, 4, 3)}
MASK = np.arange(12).reshape(3, 4) % 3 == 0

# Functions of the parameters p and of the library's functions f.
CASES = {
    "add": lambda p, f: p["a"] + p["b"] + p["c"] + p["e"] + 2.0,
    "add to a number": lambda p, f: 2.0 + p["a"],
    "subtract": lambda p, f: (p["a"] - p["b"]) * p["c"],
    "subtract from a number": lambda p, f: 1.0 - p["a"],
    "multiply": lambda p, f: p["a"] * p["b"] * p["c"] * p["e"],
    "divide": lambda p, f: p["a"] / (p["c"] * p["c"] + 1.0),
    "divide a number": lambda p, f: 3.0 / (p["a"] * p["a"] + 1.0),
    "negative": lambda p, f: -p["a"] * p["a"],
    "square": lambda p, f: p["a"] ** 2,
    "power": lambda p, f: (p["a"] ** 2 + 1.0) ** -1.5,
    "matrix product": lambda p, f: (p["a"] @ p["d"]) ** 2,
    "a matrix times a stack": lambda p, f: (p["a"] @ p["s"]) ** 2,
    "a stack times a stack": lambda p, f: (p["s"] @ (p["a"] @ p["s"])) ** 2,
    "exp": lambda p, f: f["exp"](p["a"]),
    "log": lambda p, f: f["log"](p["a"] ** 2 + 0.1),
    "sqrt": lambda p, f: f["sqrt"](p["a"] ** 2 + 0.1),
    "tanh": lambda p, f: f["tanh"](p["a"]),
    "sigmoid": lambda p, f: f["sigmoid"](3.0 * p["a"]),
    "where": lambda p, f: f["where"](MASK_OF[f["tanh"]], p["a"] ** 2, p["a"] * p["b"]),
    "used twice": lambda p, f: p["a"] * p["a"] + f["tanh"](p["a"]),
    "a chain": lambda p, f: f["tanh"](f["tanh"](p["a"] @ p["d"]) * f["sigmoid"](p["c"])) * p["e"],
}
MASK_OF = {tanh: MASK, torch.tanh: torch.tensor(MASK), tf.tanh: tf.constant(MASK)}
# What the libraries name differently: ours, torch's, TensorFlow's.
SPELLED = {
    "mean": (lambda p: p["a"].mean(), lambda p: p["a"].mean(), lambda p: tf.reduce_mean(p["a"])),
    "sum over rows": (
        lambda p: (p["a"].sum(axis=0) ** 2).sum(),
        lambda p: (p["a"].sum(dim=0) ** 2).sum(),
        lambda p: tf.reduce_sum(tf.reduce_sum(p["a"], 0) ** 2),
    ),
    "mean over columns": (
        lambda p: (p["a"] / (p["a"] ** 2 + 1.0).mean(axis=1, keepdims=True)).sum(),
        lambda p: (p["a"] / (p["a"] ** 2 + 1.0).mean(dim=1, keepdim=True)).sum(),
        lambda p: tf.reduce_sum(p["a"] / tf.reduce_mean(p["a"] ** 2 + 1.0, 1, keepdims=True)),
    ),
    "sum over both": (
        lambda p: (p["a"] * p["a"].sum(axis=(0, 1))).mean(),
        lambda p: (p["a"] * p["a"].sum(dim=(0, 1))).mean(),
        lambda p: tf.reduce_mean(p["a"] * tf.reduce_sum(p["a"], (0, 1))),
    ),
    "entries, one of them twice": (
        lambda p: (p["a"][[0, 2, 0], [1, 3, 1]] ** 3).sum(),
        lambda p: (p["a"][[0, 2, 0], [1, 3, 1]] ** 3).sum(),
        lambda p: tf.reduce_sum(tf.gather_nd(p["a"], [[0, 1], [2, 3], [0, 1]]) ** 3),
    ),
    "a slice": (
        lambda p: (p["a"][:, 1:3] ** 2).sum(),
        lambda p: (p["a"][:, 1:3] ** 2).sum(),
        lambda p: tf.reduce_sum(p["a"][:, 1:3] ** 2),
    ),
}


def loss_of(case, functions, total):
    return lambda p: total(case(p, functions) * 0.5)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_agrees(case, dtype):
    params = random_params(SHAPES, dtype=dtype)
    loss = ours(loss_of(case, NUMPY, lambda x: x.sum()), params)
    if dtype is np.float32:  # our loss is a Python float made of a float32
        loss = (torchs(loss_of(case, TORCH, torch.sum), params)[0], loss[1])
    same(loss, torchs(loss_of(case, TORCH, torch.sum), params))
    if dtype is np.float64:
        same(loss, tensorflows(loss_of(case, TENSORFLOW, tf.reduce_sum), params))


@pytest.mark.parametrize("case", SPELLED.values(), ids=SPELLED)
def test_agrees_where_names_differ(case):
    params, (of_ours, of_torch, of_tensorflow) = random_params(SHAPES), case
    same(ours(of_ours, params), torchs(of_torch, params))
    same(ours(of_ours, params), tensorflows(of_tensorflow, params))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_without_variables_it_is_plain_numpy(case):
    params = random_params(SHAPES)
    variables = {name: Variable(x) for name, x in params.items()}
    plain = case(params, NUMPY)
    assert isinstance(plain, np.ndarray)
    np.testing.assert_array_equal(plain, case(variables, NUMPY).value)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_a_sum_of_losses_has_the_sum_of_gradients(n, seed):
    params = random_params({"w": (n, 2)}, seed)
    first = lambda p: (tanh(p["w"]) ** 2).mean()
    second = lambda p: exp(-(p["w"] ** 2)).sum()
    g1, g2 = ours(first, params)[1]["w"], ours(second, params)[1]["w"]
    both = ours(lambda p: first(p) + second(p), params)[1]["w"]
    np.testing.assert_allclose(both, g1 + g2, rtol=1e-14, atol=1e-15)  # a few roundings of numbers below 1


def test_agrees_with_finite_differences():
    params = random_params({"a": (3, 4), "d": (4, 2)})
    loss = lambda p: (sigmoid(p["a"] @ p["d"]) ** 2).mean()
    _, grads = value_and_grad(loss)(params)
    h = 1e-6
    for name, x in params.items():
        for i in np.ndindex(x.shape):
            step = np.zeros_like(x)
            step[i] = h
            slope = (loss(params | {name: x + step}) - loss(params | {name: x - step})) / (2 * h)
            assert abs(grads[name][i] - slope) < 1e-9  # rounding 1e-16 / h, and h**2


def test_a_net_may_be_deeper_than_the_stack():
    def loss(p):
        x = p["x"]
        for _ in range(5000):
            x = x * 1.0 + 0.0
        return x.sum()

    assert ours(loss, {"x": np.ones(2)})[1]["x"].tolist() == [1.0, 1.0]


def test_sigmoid_of_large_numbers():
    value, grads = ours(lambda p: sigmoid(p["x"]).sum(), {"x": np.array([-1e4, 0.0, 1e4])})
    assert value == 1.5
    assert grads["x"].tolist() == [0.0, 0.25, 0.0]


def test_lists_and_tuples_come_back_as_they_are():
    for kind in list, tuple:
        _, grads = value_and_grad(lambda p: (p[0] * p[1]).sum())(kind([np.ones(2), np.full(2, 3.0)]))
        assert type(grads) is kind
        assert [g.tolist() for g in grads] == [[3.0, 3.0], [1.0, 1.0]]


def test_what_is_not_used_has_no_gradient():
    _, grads = ours(lambda p: p["a"].sum(), {"a": np.ones(2), "b": np.ones((2, 3))})
    assert grads["b"].tolist() == np.zeros((2, 3)).tolist()


def test_gradients_can_be_written_into():
    _, grads = value_and_grad(lambda p: (p["a"] + p["b"]).sum())({"a": np.ones(2), "b": np.ones(2)})
    grads["a"] *= 3.0
    assert grads["b"].tolist() == [1.0, 1.0]


def test_inputs_are_left_alone():
    params = random_params(SHAPES)
    before = {name: x.copy() for name, x in params.items()}
    for case in CASES.values():
        ours(loss_of(case, NUMPY, lambda x: x.sum()), params)
    for name, x in params.items():
        np.testing.assert_array_equal(x, before[name])


def test_intermediate_gradients_can_be_read():
    x = Variable(np.array([[1.0, 2.0]]))
    hidden = tanh(x)
    backpropagate((hidden**2).sum())
    np.testing.assert_allclose(hidden.gradient, 2 * np.tanh(x.value), rtol=1e-15)
    backpropagate((hidden**2).sum())  # once more: nothing piles up
    np.testing.assert_allclose(hidden.gradient, 2 * np.tanh(x.value), rtol=1e-15)


def test_it_is_an_objective():
    x = np.array([[1.0], [2.0], [3.0]])
    loss = value_and_grad(lambda p: ((x @ p["w"] - 2 * x) ** 2).mean())
    history = train(loss, {"w": np.zeros((1, 1))}, Optimizer(gradient_descent, lr=0.1), steps=100)
    assert abs(history.params[-1]["w"][0, 0] - 2) < 1e-12


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: backpropagate(3.0), TypeError, "must be a Variable"),
        (lambda: backpropagate(Variable(np.ones(3))), ValueError, r"shape \(3,\)"),
        (lambda: value_and_grad(lambda p: p[0])([np.ones(3)]), ValueError, r"shape \(3,\)"),
        (lambda: value_and_grad(lambda p: 1.0)([np.ones(3)]), TypeError, "computed from none"),
        (lambda: value_and_grad(lambda p: p.sum())(np.ones(3)), TypeError, "dict, list or tuple"),
        (lambda: value_and_grad(lambda p: p[0].sum())([[1.0]]), TypeError, r"params\[0\] must be a NumPy array"),
        (lambda: value_and_grad(lambda p: p["n"].sum())({"n": np.ones(3, int)}), TypeError, "'n'.*int64"),
        (lambda: Variable(np.ones(3)) ** np.ones(3), TypeError, "exponent must be a number"),
        (lambda: Variable(np.ones((2, 3))) @ np.ones(3), ValueError, r"\(2, 3\) and \(3,\)"),
        (lambda: np.ones(3) @ Variable(np.ones((3, 2))), ValueError, r"\(3,\) and \(3, 2\)"),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()
