"""Every activation, and its slope, is torch's and TensorFlow's."""

import functools

import numpy as np
import pytest
import tensorflow as tf
import torch

from lib.networks import ACTIVATIONS, Variable, elu, leaky_relu, value_and_grad
from tests.networks.frameworks import ours, same, tensorflows, torchs

TORCH = {"identity": torch.nn.Identity(), "sigmoid": torch.sigmoid, "tanh": torch.tanh} | {
    name: getattr(torch.nn.functional, name) for name in ("relu", "leaky_relu", "elu", "selu", "silu")
}
SLOPE = float(np.float32(0.01))  # TensorFlow keeps it in float32 whatever the dtype
TENSORFLOW = {
    "identity": tf.identity,
    "sigmoid": tf.sigmoid,
    "tanh": tf.tanh,
    "relu": tf.nn.relu,
    "leaky_relu": lambda x: tf.nn.leaky_relu(x, alpha=SLOPE),
    "elu": tf.nn.elu,
    "selu": tf.nn.selu,
    "silu": tf.nn.silu,
}
# 0 is among them, where the slope of some jumps.
X = {"x": np.concatenate([np.linspace(-6, 6, 49), [-700.0, 700.0, 1e-9, -1e-9]])}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_agrees(name):
    f = ACTIVATIONS[name]
    mine = ours(lambda p: (f(p["x"]) * p["x"]).sum(), X)
    rounded = functools.partial(leaky_relu, slope=SLOPE) if name == "leaky_relu" else f
    same(mine, torchs(lambda p: (TORCH[name](p["x"]) * p["x"]).sum(), X))
    same(
        ours(lambda p: (rounded(p["x"]) * p["x"]).sum(), X),
        tensorflows(lambda p: tf.reduce_sum(TENSORFLOW[name](p["x"]) * p["x"]), X),
    )


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_nothing_overflows_and_nan_is_not_hidden(name):
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        _, grads = value_and_grad(lambda p: ACTIVATIONS[name](p["x"]).sum())({"x": np.array([-1e4, 0.0, 1e4])})
    assert np.isfinite(grads["x"]).all()
    assert np.isnan(ACTIVATIONS[name](np.array([np.nan])))[0]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_dtype_is_kept(name):
    x = np.linspace(-2, 2, 5, dtype=np.float32)
    assert ACTIVATIONS[name](x).dtype == np.float32
    assert ACTIVATIONS[name](Variable(x)).value.dtype == np.float32


def test_slopes_below_zero_can_be_chosen():
    assert leaky_relu(np.array([-2.0]), slope=0.2).tolist() == [-0.4]
    assert np.isclose(elu(np.array([-1.0]), alpha=2.0)[0], 2 * (np.exp(-1) - 1), rtol=1e-15)


def test_selu_keeps_mean_and_variance():
    """E selu(z) = 0 and E selu(z)**2 = 1 for a standard normal z (Klambauer et al.): by quadrature."""
    z, weights = np.polynomial.hermite_e.hermegauss(200)
    weights = weights / weights.sum()
    y = ACTIVATIONS["selu"](z)
    assert abs(weights @ y) < 1e-2  # the kink at 0 costs the quadrature its digits
    assert abs(weights @ y**2 - 1) < 1e-2
