"""Attention is that of PyTorch and Keras, in value and gradient, and sees nothing of what comes later.

One block adds up, forwards, 12 to 48 products in each of nine sums on the way, 125 roundings in all; backwards as many,
and for a weight those of 18 places. With those of the other library it is 500. `same` counts them in roundings of the
largest entry; where an entry is the rest of a sum that canceled it may be several: 1,000 are allowed.
"""

import keras
import numpy as np
import pytest
import scipy.special
import tensorflow as tf
import torch
from torch.func import functional_call
from torch.nn import functional

from lib.networks import (
    Variable,
    backpropagate,
    causal_attention,
    embed,
    joined,
    softmax,
    swap_axes,
    transformer_block,
    value_and_grad,
)
from tests.networks.frameworks import ours, random_params, same, tensorflows, torchs

BATCH, LENGTH, UNITS, HEADS = 3, 6, 12, 3
ROUNDINGS, EPS = 1000, np.finfo(np.float64).eps
X = np.random.default_rng(0).standard_normal((BATCH, LENGTH, UNITS))
WEIGHTS = np.random.default_rng(1).standard_normal(X.shape)  # so that each place has a gradient of its own
SHAPES = {f"W{part}": (UNITS, UNITS) for part in "qkvo"} | {f"b{part}": (UNITS,) for part in "qkvo"}
BLOCK = SHAPES | {"W1": (UNITS, 4 * UNITS), "b1": (4 * UNITS,), "W2": (4 * UNITS, UNITS), "b2": (UNITS,)}
BLOCK |= {f"{name}{norm}": (UNITS,) for norm in "12" for name in ("scale", "shift")}


def params_of(shapes):
    params = random_params(shapes, seed=2)
    return {"x": X} | {name: p * UNITS**-0.5 if name[0] == "W" else p for name, p in params.items()}


def torch_weights(p):
    """Of `causal_attention`, under the names of torch.nn.MultiheadAttention."""
    return {
        "in_proj_weight": torch.cat([p[f"W{part}"].T for part in "qkv"]),
        "in_proj_bias": torch.cat([p[f"b{part}"] for part in "qkv"]),
        "out_proj.weight": p["Wo"].T,
        "out_proj.bias": p["bo"],
    }


def agree(mine, theirs):
    """But for the bias of the keys: it moves all scores of a place alike, which the softmax does not see."""
    (value, grads), (their_value, their_grads) = mine, theirs
    for each in grads, their_grads:
        assert np.abs(each.pop("bk")).max() <= ROUNDINGS * EPS * np.abs(grads["bq"]).max()
    same((value, grads), (their_value, their_grads), ROUNDINGS)


MASK = torch.triu(torch.ones(LENGTH, LENGTH, dtype=bool), diagonal=1)  # what is not seen


def test_attention_agrees_with_torch():
    attention = torch.nn.MultiheadAttention(UNITS, HEADS, batch_first=True, dtype=torch.float64)

    def theirs(p):
        y, _ = functional_call(attention, torch_weights(p), (p["x"],) * 3, {"attn_mask": MASK})
        return (y * torch.tensor(WEIGHTS)).sum()

    mine = lambda p: (causal_attention(p["x"], p, HEADS) * WEIGHTS).sum()
    params = params_of(SHAPES)
    agree(ours(mine, params), torchs(theirs, params))


def test_attention_agrees_with_keras():
    attention = keras.layers.MultiHeadAttention(HEADS, UNITS // HEADS, dtype="float64")
    attention.build(X.shape, X.shape)

    def theirs(p):
        split, variables = (UNITS, HEADS, UNITS // HEADS), []
        for part in "qkv":
            variables += [tf.reshape(p[f"W{part}"], split), tf.reshape(p[f"b{part}"], split[1:])]
        variables += [tf.reshape(p["Wo"], (*split[1:], UNITS)), p["bo"]]
        order = {"query": 0, "key": 1, "value": 2, "attention_output": 3}
        given = [variables[2 * order[v.path.split("/")[-2]] + ("bias" in v.path)] for v in attention.variables[:8]]
        y, _ = attention.stateless_call(given, attention.non_trainable_variables, p["x"], p["x"], use_causal_mask=True)
        return tf.reduce_sum(y * WEIGHTS)

    mine = lambda p: (causal_attention(p["x"], p, HEADS) * WEIGHTS).sum()
    params = params_of(SHAPES)
    agree(ours(mine, params), tensorflows(theirs, params))


def test_block_agrees_with_torch():
    options = {"dropout": 0.0, "batch_first": True, "norm_first": True, "dtype": torch.float64}
    block = torch.nn.TransformerEncoderLayer(UNITS, HEADS, 4 * UNITS, **options)

    def theirs(p):
        given = {f"self_attn.{name}": weight for name, weight in torch_weights(p).items()}
        for i in "12":
            given |= {f"norm{i}.weight": p[f"scale{i}"], f"norm{i}.bias": p[f"shift{i}"]}
            given |= {f"linear{i}.weight": p[f"W{i}"].T, f"linear{i}.bias": p[f"b{i}"]}
        y = functional_call(block, given, (p["x"],), {"src_mask": MASK})
        return (y * torch.tensor(WEIGHTS)).sum()

    mine = lambda p: (transformer_block(p["x"], p, HEADS) * WEIGHTS).sum()
    params = params_of(BLOCK)
    agree(ours(mine, params), torchs(theirs, params))


@pytest.mark.parametrize("place", range(LENGTH))
def test_what_comes_later_changes_nothing(place):
    """To the bit; what comes at the place, or before it, does change it."""
    params = params_of(BLOCK)
    del params["x"]
    before = transformer_block(X, params, HEADS)
    changed = X.copy()
    changed[:, place] *= -1
    after = transformer_block(changed, params, HEADS)
    np.testing.assert_array_equal(after[:, :place], before[:, :place])
    assert (np.abs(after - before)[:, place:].max(axis=(0, 2)) > 1e-3).all()
    x = Variable(X)
    backpropagate((transformer_block(x, params, HEADS)[:, place] ** 2).sum())
    assert not x.gradient[:, place + 1 :].any()
    assert (np.abs(x.gradient[:, : place + 1]).max(axis=(0, 2)) > 1e-3).all()


TOKENS = np.array([[3, 0, 3], [5, 3, 0]])


def test_embedding_agrees_with_the_frameworks():
    params = random_params({"table": (7, 4)})
    weights = np.random.default_rng(1).standard_normal((2, 3, 4))
    mine = ours(lambda p: (embed(p["table"], TOKENS) * weights).sum(), params)
    torchs_ = lambda p: (functional.embedding(torch.tensor(TOKENS), p["table"]) * torch.tensor(weights)).sum()
    kerass = lambda p: tf.reduce_sum(keras.ops.take(p["table"], TOKENS, axis=0) * weights)
    same(mine, torchs(torchs_, params), roundings=6)  # a row is a sum of up to three
    same(mine, tensorflows(kerass, params), roundings=6)


def test_rows_that_do_not_occur_have_no_gradient():
    _, grads = value_and_grad(lambda p: (embed(p["table"], TOKENS) ** 2).sum())(random_params({"table": (7, 4)}))
    assert np.flatnonzero(grads["table"].any(axis=1)).tolist() == [0, 3, 5]


def test_softmax():
    x = np.array([[1e4, 0.0, -np.inf], [1.0, 2.0, 3.0], [-1e4, -1e4, -np.inf]])
    np.testing.assert_allclose(softmax(x), scipy.special.softmax(x, axis=-1), rtol=1e-15)  # 3 roundings and 2 exps
    assert softmax(x)[2].tolist() == [0.5, 0.5, 0.0]
    weights = np.random.default_rng(0).standard_normal((3, 3))
    mine = ours(lambda p: (softmax(p["x"]) * weights).sum(), {"x": np.where(np.isinf(x), -5.0, x) % 7})
    theirs = lambda p: (torch.softmax(p["x"], dim=-1) * torch.tensor(weights)).sum()
    same(mine, torchs(theirs, {"x": np.where(np.isinf(x), -5.0, x) % 7}), roundings=20)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_axes_and_places(axis):
    """`joined` and `swap_axes` move entries, and their gradients back."""
    params = random_params({"a": (2, 3), "b": (2, 3), "c": (2, 3)})
    weights = np.random.default_rng(1).standard_normal(np.stack([*params.values()], axis=axis).shape)
    mine = ours(lambda p: (swap_axes(joined([*p.values()], axis), 0, 2) * np.swapaxes(weights, 0, 2)).sum(), params)
    theirs = lambda p: (torch.stack([p["a"], p["b"], p["c"]], dim=axis) * torch.tensor(weights)).sum()
    same(mine, torchs(theirs, params), roundings=2 * weights.size)


def test_errors():
    with pytest.raises(ValueError, match="heads must divide the 12 units, got 5"):
        causal_attention(X, params_of(SHAPES), 5)
    with pytest.raises(ValueError, match="heads must divide the 12 units, got 0"):
        causal_attention(X, params_of(SHAPES), 0)
    for tokens in [[7]], [[-1]], [[0.0]]:
        with pytest.raises(IndexError, match="whole numbers from 0 to 6, one row of the table each; got"):
            embed(np.zeros((7, 4)), tokens)
