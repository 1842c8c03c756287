"""torch's autograd and tf.GradientTape, asked for the same gradient as `value_and_grad`."""

import numpy as np
import tensorflow as tf
import torch

from lib.networks import value_and_grad


def ours(function, params):
    return value_and_grad(function)(params)


def torchs(function, params):
    tensors = {name: torch.tensor(x, requires_grad=True) for name, x in params.items()}
    loss = function(tensors)
    grads = torch.autograd.grad(loss, list(tensors.values()), allow_unused=True, materialize_grads=True)
    return float(loss.detach()), {name: g.numpy() for name, g in zip(tensors, grads, strict=True)}


def tensorflows(function, params):
    tensors = {name: tf.Variable(x) for name, x in params.items()}
    with tf.GradientTape() as tape:
        loss = function(tensors)
    grads = tape.gradient(loss, tensors, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return float(loss), {name: tf.convert_to_tensor(g).numpy() for name, g in grads.items()}


def same(given, expected, roundings=100):
    """Equal in value, shape and dtype. Each entry may be off by ``roundings`` of the largest entry of its array: sums
    run in another order in each library, and what cancels in them keeps the error of what was added."""
    (loss, grads), (their_loss, their_grads) = given, expected
    assert abs(loss - their_loss) <= roundings * np.finfo(np.float64).eps * max(1, abs(their_loss))
    assert grads.keys() == their_grads.keys()
    for name, g in grads.items():
        theirs = their_grads[name]
        assert (g.shape, g.dtype) == (theirs.shape, theirs.dtype), name
        bound = roundings * np.finfo(g.dtype).eps * max(np.abs(theirs).max(initial=0), np.finfo(g.dtype).tiny)
        np.testing.assert_allclose(g, theirs, rtol=0, atol=bound, err_msg=name)


def random_params(shapes, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}
