"""A fully connected net, as deep as you like: pure functions of its parameters.

params = dense_layers([64, 32, 10], he, seed=0)      a dict: W1 (64, 32), b1 (32,), W2 (32, 10), b2 (10,)
logits = forward(params, x, relu)[-1]
"""

import itertools
from collections.abc import Sequence

import numpy as np

from lib.networks.normalization import batch_norm, layer_norm


def dense(x, weights, bias):
    """x W + b.

    Args:
        x: (batch, inputs).
        weights: (inputs, outputs).
        bias: (outputs,).
    """
    return x @ weights + bias


def dense_layers(sizes, initializer, seed, normalized=False, dtype=np.float64) -> dict:
    """The parameters of a net with ``sizes[0]`` inputs, ``sizes[-1]`` outputs and hidden layers of the sizes between.

    Args:
        sizes: two or more whole numbers.
        initializer: function (rng, inputs, outputs) -> weights, one of ``lib.networks.initializers``.
        seed: of the generator; a whole number.
        normalized: whether each hidden layer gets a scale and a shift.
        dtype: of all parameters.

    Returns:
        dict with ``W1``, ``b1``, ... in the order of the layers; ``scale1``, ``shift1`` if normalized. Biases and
        shifts start at 0, scales at 1.

    Raises:
        ValueError: there are fewer than two sizes, or one is not a whole number >= 1.
    """
    if len(sizes) < 2:
        raise ValueError(f"dense_layers: sizes must list the inputs and the outputs at least, got {sizes!r}.")
    rng, params = np.random.default_rng(seed), {}
    for layer, (inputs, outputs) in enumerate(itertools.pairwise(sizes), start=1):
        params[f"W{layer}"] = initializer(rng, inputs, outputs)
        params[f"b{layer}"] = np.zeros(outputs)
        if normalized and layer < len(sizes) - 1:
            params[f"scale{layer}"] = np.ones(outputs)
            params[f"shift{layer}"] = np.zeros(outputs)
    return {name: x.astype(dtype) for name, x in params.items()}


def stack(nets: Sequence[dict]) -> dict:
    """The parameters of several nets of one shape as those of one stack: one more axis in front, a vector is a row."""
    return {name: np.stack([np.atleast_2d(net[name]) for net in nets]) for name in nets[0]}


def forward(params, x, activation, *, normalize=None, residual=False) -> list:
    """The output of every layer of a fully connected net, ``[h1, h2, ..., output]``.

    Each hidden layer takes the sums of `dense`, normalizes them if asked to, and
    applies the activation; the last layer is the sums alone. With ``residual``, a
    hidden layer that has as many outputs as inputs adds its input:
    ``h + activation(...)``.

    Args:
        params: what `dense_layers` made: arrays, or Variables.
        x: array of shape (batch, inputs).
        activation: one of ``lib.networks.activations``.
        normalize: "batch", "layer" or None.
        residual: whether inputs are added (He et al. 2016, arXiv 1512.03385,
            equation 1, with one layer a block).

    Raises:
        ValueError: ``normalize`` is something else, or the parameters were made
            without scales.
    """
    norms = {None: None, "batch": batch_norm, "layer": layer_norm}
    if normalize not in norms:
        raise ValueError(f"forward: normalize must be 'batch', 'layer' or None, got {normalize!r}.")
    if normalize and "scale1" not in params and "W2" in params:
        raise ValueError("forward: these parameters have no scales; make them with dense_layers(..., normalized=True).")
    depth = sum(name.startswith("W") for name in params)
    outputs, h = [], x
    for layer in range(1, depth + 1):
        z = dense(h, params[f"W{layer}"], params[f"b{layer}"])
        if layer < depth:
            if normalize:
                scale, shift = params[f"scale{layer}"], params[f"shift{layer}"]
                z = norms[normalize](z, scale, shift)
            around = residual and z.shape == h.shape
            z = h + activation(z) if around else activation(z)
        h = z
        outputs.append(h)
    return outputs
