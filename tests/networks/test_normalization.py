"""Batch and layer normalization are torch's, in value and gradient."""

import numpy as np
import torch
from torch.nn import functional

from lib.networks import batch_norm, layer_norm
from tests.networks.frameworks import ours, random_params, same, torchs

SHAPES = {"x": (8, 5), "scale": (5,), "shift": (5,), "w": (8, 5)}
PARAMS = random_params(SHAPES)


def test_batch_norm_agrees():
    for eps in 1e-5, 0.1:
        mine = ours(lambda p, e=eps: (batch_norm(p["x"], p["scale"], p["shift"], eps=e) * p["w"]).sum(), PARAMS)
        theirs = torchs(
            lambda p, e=eps: (
                functional.batch_norm(p["x"], None, None, p["scale"], p["shift"], training=True, eps=e) * p["w"]
            ).sum(),
            PARAMS,
        )
        same(mine, theirs)


def test_batch_norm_with_averages_agrees():
    mean, variance = np.linspace(-1, 1, 5), np.linspace(0.5, 2, 5)
    mine = ours(
        lambda p: (batch_norm(p["x"], p["scale"], p["shift"], mean=mean, variance=variance) * p["w"]).sum(), PARAMS
    )
    theirs = torchs(
        lambda p: (
            functional.batch_norm(
                p["x"], torch.tensor(mean), torch.tensor(variance), p["scale"], p["shift"], training=False
            )
            * p["w"]
        ).sum(),
        PARAMS,
    )
    same(mine, theirs)


def test_layer_norm_agrees():
    for eps in 1e-5, 0.1:
        mine = ours(lambda p, e=eps: (layer_norm(p["x"], p["scale"], p["shift"], eps=e) * p["w"]).sum(), PARAMS)
        theirs = torchs(
            lambda p, e=eps: (functional.layer_norm(p["x"], (5,), p["scale"], p["shift"], eps=e) * p["w"]).sum(),
            PARAMS,
        )
        same(mine, theirs)


def test_what_is_normalized():
    x, one, zero = PARAMS["x"] * 7 + 3, np.ones(5), np.zeros(5)
    by_batch, by_layer = batch_norm(x, one, zero, eps=0), layer_norm(x, one, zero, eps=0)
    for y, axis in (by_batch, 0), (by_layer, 1):
        np.testing.assert_allclose(y.mean(axis=axis), 0, atol=1e-14)
        np.testing.assert_allclose(y.var(axis=axis), 1, rtol=1e-14)
    np.testing.assert_allclose(batch_norm(10 * x, one, zero, eps=0), by_batch, rtol=0, atol=1e-13)  # scale is gone


def test_a_stack_is_normalized_net_by_net():
    x = np.random.default_rng(1).standard_normal((3, 8, 5)) * [[[1]], [[10]], [[100]]]
    for norm in batch_norm, layer_norm:
        each = [norm(part, PARAMS["scale"], PARAMS["shift"]) for part in x]
        np.testing.assert_allclose(norm(x, PARAMS["scale"], PARAMS["shift"]), each, rtol=0, atol=1e-14)
