"""A fully connected net has the outputs and gradients that torch and TensorFlow give the same net, at any depth."""

import numpy as np
import pytest
import tensorflow as tf
import torch

from lib.networks import (
    Variable,
    backpropagate,
    dense,
    dense_layers,
    forward,
    glorot,
    lecun,
    mean_squared_error,
    relu,
    stack,
    tanh,
)
from tests.networks.frameworks import ours, same, tensorflows, torchs

X = np.random.default_rng(0).standard_normal((7, 4))
Y = np.random.default_rng(1).standard_normal((7, 2))
SMALL = dense_layers([4, 3, 2], lecun, seed=0)


def torch_net(params, depth, normalize, residual):
    functional, h = torch.nn.functional, torch.tensor(X)
    for k in range(1, depth + 1):
        z = functional.linear(h, params[f"W{k}"].T, params[f"b{k}"])
        if k < depth and normalize == "batch":
            z = functional.batch_norm(z, None, None, params[f"scale{k}"], params[f"shift{k}"], training=True)
        elif k < depth and normalize == "layer":
            z = functional.layer_norm(z, z.shape[1:], params[f"scale{k}"], params[f"shift{k}"])
        z = torch.tanh(z) if k < depth else z
        h = h + z if residual and 1 < k < depth else z
    return functional.mse_loss(h, torch.tensor(Y))


def tensorflow_net(params, depth):
    h = tf.constant(X)
    for k in range(1, depth + 1):
        h = tf.matmul(h, params[f"W{k}"]) + params[f"b{k}"]
        h = tf.tanh(h) if k < depth else h
    return tf.reduce_mean((h - Y) ** 2)


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("normalize", [None, "batch", "layer"])
@pytest.mark.parametrize("depth", [1, 2, 5, 20])
def test_agrees(depth, normalize, residual):
    sizes = [4] + [6] * (depth - 1) + [2]
    params = dense_layers(sizes, glorot, seed=0, normalized=normalize is not None)
    loss = lambda p: mean_squared_error(forward(p, X, tanh, normalize=normalize, residual=residual)[-1], Y)
    mine, theirs = ours(loss, params), torchs(lambda p: torch_net(p, depth, normalize, residual), params)
    if normalize == "batch":  # takes the mean away and the bias with it: of its gradient, 0, only roundings are left
        largest = max(np.abs(g).max() for g in mine[1].values())
        for name in [f"b{k}" for k in range(1, depth)]:
            assert max(np.abs(mine[1].pop(name)).max(), np.abs(theirs[1].pop(name)).max()) < 1e-13 * largest
    same(mine, theirs, roundings=100 * depth)
    if normalize is None and not residual:
        same(mine, tensorflows(lambda p: tensorflow_net(p, depth), params), roundings=100 * depth)


def test_backpropagation_is_the_recursion_of_the_book():
    """delta_k = (delta_{k+1} W_{k+1}^T) * (1 - h_k**2), grad W_k = h_{k-1}^T delta_k (Rumelhart et al. 1986)."""
    params = dense_layers([4, 6, 6, 6, 2], lecun, seed=0)
    variables = {name: Variable(x) for name, x in params.items()}
    outputs = forward(variables, X, tanh)
    backpropagate(mean_squared_error(outputs[-1], Y))
    h = [X] + [output.value for output in outputs]
    delta = 2 * (h[-1] - Y) / Y.size
    for k in range(4, 0, -1):
        np.testing.assert_allclose(variables[f"W{k}"].gradient, h[k - 1].T @ delta, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(variables[f"b{k}"].gradient, delta.sum(axis=0), rtol=1e-12, atol=1e-15)
        delta = (delta @ params[f"W{k}"].T) * (1 - h[k - 1] ** 2)


def test_parameters():
    params = dense_layers([3, 5, 2], lecun, seed=4, normalized=True)
    shapes = {name: x.shape for name, x in params.items()}
    assert shapes == {"W1": (3, 5), "b1": (5,), "scale1": (5,), "shift1": (5,), "W2": (5, 2), "b2": (2,)}
    assert not params["b1"].any()
    assert not params["shift1"].any()
    assert (params["scale1"] == 1).all()
    again = dense_layers([3, 5, 2], lecun, seed=4)
    np.testing.assert_array_equal(again["W2"], params["W2"])
    assert dense_layers([3, 5, 2], lecun, seed=4, dtype=np.float32)["W1"].dtype == np.float32


def test_a_stack_says_what_its_nets_say():
    nets = [dense_layers([4, 3, 2], lecun, seed) for seed in range(3)]
    both = forward(stack(nets), X, tanh)
    assert stack(nets)["b1"].shape == (3, 1, 3)
    for k, net in enumerate(nets):
        for layer, alone in zip(both, forward(net, X, tanh), strict=True):
            np.testing.assert_allclose(layer[k], alone, rtol=1e-14, atol=1e-15)


def test_outputs_of_every_layer():
    params = dense_layers([4, 6, 6, 2], lecun, seed=0)
    outputs = forward(params, X, relu)
    assert [h.shape for h in outputs] == [(7, 6), (7, 6), (7, 2)]
    np.testing.assert_array_equal(outputs[0], np.maximum(dense(X, params["W1"], params["b1"]), 0))
    residual = forward(params, X, relu, residual=True)
    np.testing.assert_array_equal(residual[0], outputs[0])  # 4 inputs, 6 outputs: nothing to add
    np.testing.assert_array_equal(
        residual[1], outputs[0] + np.maximum(dense(outputs[0], params["W2"], params["b2"]), 0)
    )


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: dense_layers([4], lecun, seed=0), "inputs and the outputs"),
        (lambda: dense_layers([4, 0], lecun, seed=0), "outputs must be a whole number >= 1"),
        (lambda: forward(SMALL, X, relu, normalize="group"), "'batch', 'layer' or None"),
        (lambda: forward(SMALL, X, relu, normalize="batch"), "normalized=True"),
    ],
)
def test_errors(call, words):
    with pytest.raises(ValueError, match=words):
        call()
