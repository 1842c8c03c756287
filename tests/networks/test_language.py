"""The language models are PyTorch's and Keras', in value and gradient, see nothing of what comes later, and write.

Off by as much as `tests.networks.test_attention` tells of a block; here there are two, or a cell of four sums of 17
products that is stepped seven times: below 1,000 roundings, too.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch

from lib.networks import (
    Variable,
    backpropagate,
    gru_cell,
    lstm_cell,
    next_token_loss,
    recurrent_layers,
    recurrent_model,
    transformer,
    transformer_layers,
    value_and_grad,
)
from lib.networks import language_torch as in_torch
from tests.networks.frameworks import ours, same, tensorflows

VOCABULARY, CONTEXT, UNITS, HEADS, BATCH, LENGTH = 11, 9, 12, 3, 3, 7
ROUNDINGS, EPS = 1000, np.finfo(np.float64).eps
TOKENS = np.random.default_rng(0).integers(0, VOCABULARY - 1, (BATCH, LENGTH + 1))  # the last one does not occur
READ, FOLLOWING = TOKENS[:, :-1], TOKENS[:, 1:]
KINDS = ["gru", "lstm", "transformer"]


def params_of(kind):
    """As they start, with biases, scales and shifts moved away from 0 and 1."""
    if kind == "transformer":
        params = transformer_layers(VOCABULARY, CONTEXT, UNITS, 2, seed=0)
    else:
        params = recurrent_layers(kind, VOCABULARY, UNITS, seed=0, inputs=5)
    rng = np.random.default_rng(1)
    return {name: x + 0.1 * rng.standard_normal(x.shape) for name, x in params.items()}


def model(kind, params, tokens):
    return transformer(params, tokens, HEADS) if kind == "transformer" else recurrent_model(params, tokens)


def net_of(kind, params, dtype=torch.float64):
    if kind == "transformer":
        net = in_torch.Transformer(VOCABULARY, CONTEXT, UNITS, 2, HEADS)
    else:
        net = in_torch.Recurrent(kind, VOCABULARY, UNITS, inputs=5)
    net = net.to(dtype)
    in_torch.load(net, params)
    return net


@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_torch(kind):
    """Also with `torch.nn.GRU` and `torch.nn.LSTM`, of which those nets are made."""
    params = params_of(kind)
    value, grads = value_and_grad(lambda p: next_token_loss(model(kind, p, READ), FOLLOWING))(params)
    net = net_of(kind, params)
    logits, _ = net(torch.tensor(READ))
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.tensor(FOLLOWING).flatten())
    loss.backward()
    np.testing.assert_allclose(logits.detach(), model(kind, params, READ), rtol=0, atol=ROUNDINGS * EPS)
    theirs = {name: p.grad.numpy() for name, p in net.named_parameters()}
    mine = in_torch.weights(grads)
    for name in [*mine]:
        if name == "cells.bias_hh_l0":  # a bias that stands in the same sum as the first has the same gradient
            gates = slice(None, 2 * UNITS if kind == "gru" else None)
            assert not mine[name][gates].any()
            mine[name][gates] = mine["cells.bias_ih_l0"][gates]
        if name.endswith("key.bias"):  # no softmax sees it
            for each in mine, theirs:
                assert np.abs(each.pop(name)).max() <= ROUNDINGS * EPS * np.abs(mine["out.bias"]).max()
    same((value, mine), (float(loss.detach()), theirs), ROUNDINGS)


def keras_layer(kind):
    layer = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM}[kind](UNITS, return_sequences=True, dtype="float64")
    layer.build((BATCH, LENGTH, 5))
    return layer


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_cells_agree_with_keras(kind):
    """`keras.layers.GRU` as it is by default, and `keras.layers.LSTM`, over a sequence."""
    layer, gates = keras_layer(kind), {"gru": "zrh", "lstm": "ifco"}[kind]
    params = {name: x for name, x in params_of(kind).items() if name not in ("tokens", "W", "b")}
    x = np.random.default_rng(2).standard_normal((BATCH, LENGTH, 5))

    def mine(p):
        h, c, total = np.zeros((BATCH, UNITS)), np.zeros((BATCH, UNITS)), 0.0
        for place in range(LENGTH):
            if kind == "gru":
                h = gru_cell(x[:, place], h, p, reset_after=True)
            else:
                h, c = lstm_cell(x[:, place], h, c, p)
            total = total + (h**2).sum()
        return total

    def theirs(p):
        w, u, b = (tf.concat([p[f"{letter}{gate}"] for gate in gates], axis=-1) for letter in "WUb")
        if kind == "gru":
            b = tf.stack([b, tf.concat([tf.zeros(2 * UNITS, tf.float64), p["ch"]], axis=0)])
        h, _ = layer.stateless_call([w, u, b], layer.non_trainable_variables, tf.constant(x))
        return tf.reduce_sum(h**2)

    same(ours(mine, params), tensorflows(theirs, params), ROUNDINGS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("library", ["book", "torch"])
def test_what_comes_later_changes_nothing(kind, library):
    params = params_of(kind)
    net = net_of(kind, params)
    logits = {
        "book": lambda tokens: model(kind, params, tokens),
        "torch": lambda tokens: net(torch.tensor(tokens))[0].detach().numpy(),
    }[library]
    before = logits(READ)
    for place in range(LENGTH):
        changed = READ.copy()
        changed[:, place] = (changed[:, place] + 1) % VOCABULARY
        after = logits(changed)
        np.testing.assert_array_equal(after[:, :place], before[:, :place])
        assert (np.abs(after - before)[:, place:].max(axis=(0, 2)) > 1e-6).all()


@pytest.mark.parametrize("kind", KINDS)
def test_vectors_of_tokens_that_do_not_occur_have_no_gradient(kind):
    p = {name: Variable(x) for name, x in params_of(kind).items()}
    backpropagate(next_token_loss(model(kind, p, READ), FOLLOWING))
    assert np.flatnonzero(p["tokens"].gradient.any(axis=1)).tolist() == np.unique(READ).tolist()
    assert len(np.unique(READ)) < VOCABULARY


@pytest.mark.parametrize("kind", KINDS)
def test_a_net_that_has_learned_nothing_guesses(kind):
    """Its loss is the logarithm of the vocabulary, and a little: half the variance of logits that begin near 1."""
    if kind == "transformer":
        params, heads = transformer_layers(96, 64, 96, 2, seed=0), 4
        logits = lambda tokens: transformer(params, tokens, heads)
    else:
        params = recurrent_layers(kind, 96, 128, seed=0)
        logits = lambda tokens: recurrent_model(params, tokens)
    tokens = np.random.default_rng(0).integers(0, 96, (4, 33))
    assert 0 < next_token_loss(logits(tokens[:, :-1]), tokens[:, 1:]) - np.log(96) < 0.7


GAINS = {"tokens": 1, "places": 1, "1.Wq": 1, "2.Wv": 1, "2.W1": 1, "1.Wo": 0.5, "2.W2": 0.25}


@pytest.mark.parametrize("name", GAINS)
def test_what_two_blocks_add_begins_at_half_the_size(name):
    """Over the root of four: two blocks add twice. (``W2`` has four times as many inputs, too.) The deviation of n
    draws is off by 1 / sqrt(2 n) of itself, times four.
    """
    x = transformer_layers(96, 64, 96, 2, seed=0)[name]
    assert abs(x.std() * 96**0.5 / GAINS[name] - 1) < 4 / (2 * x.size) ** 0.5


# ---------- text that is written ----------


def trained_by_hand():
    """A net whose next token is the last one plus 1, and sure of it: logits 20 against 0."""
    params = transformer_layers(4, 3, 4, 1, seed=0)
    params = {name: np.zeros_like(x) for name, x in params.items()} | {"scale": np.ones(4)}
    params["tokens"] = np.eye(4)
    params["W"] = np.roll(np.eye(4), 1, axis=1) * 20
    net = in_torch.Transformer(4, 3, 4, 1, 2)
    in_torch.load(net, params)
    return net


def test_it_writes_what_the_net_says():
    assert in_torch.sample(trained_by_hand(), [2], 6).tolist() == [3, 0, 1, 2, 3, 0]


@pytest.mark.parametrize("kind", KINDS)
def test_at_temperature_zero_the_likeliest_token_follows(kind):
    """Whether a net keeps a state or looks at its context anew, it is what the model says of the whole text."""
    params = params_of(kind)
    text = [1, 5]
    for _ in range(12):
        seen = text[-CONTEXT:] if kind == "transformer" else text
        text.append(int(model(kind, params, np.array([seen]))[0, -1].argmax()))
    assert in_torch.sample(net_of(kind, params), [1, 5], 12, temperature=0).tolist() == text[2:]


def test_tokens_are_as_often_as_they_are_likely():
    """One token after a prompt, 2,000 times; a share is off by its standard deviation, at most .5 / sqrt(2000) = .011,
    times four."""
    params = params_of("gru")
    net = net_of("gru", params)
    for temperature in 0.5, 1.0, 2.0:
        logits = model("gru", params, np.array([[1, 5]]))[0, -1] / temperature
        likely = np.exp(logits) / np.exp(logits).sum()
        drawn = [in_torch.sample(net, [1, 5], 1, temperature, seed)[0] for seed in range(2000)]
        np.testing.assert_allclose(np.bincount(drawn, minlength=VOCABULARY) / 2000, likely, atol=0.045)


def test_the_seed_decides():
    net = net_of("lstm", params_of("lstm"), torch.float32)
    write = lambda seed: in_torch.sample(net, [1], 30, seed=seed).tolist()
    assert write(0) == write(0) != write(1)


# ---------- errors ----------


def test_errors():
    with pytest.raises(ValueError, match="kind must be 'gru' or 'lstm', got 'rnn'"):
        recurrent_layers("rnn", 5, 4, seed=0)
    with pytest.raises(ValueError, match="Recurrent: kind must be 'gru' or 'lstm', got 'transformer'"):
        in_torch.Recurrent("transformer", 5, 4)
    with pytest.raises(ValueError, match="recurrent_layers: units must be"):
        recurrent_layers("gru", 5, 0, seed=0)
    with pytest.raises(ValueError, match="transformer_layers: context must be"):
        transformer_layers(5, 0, 4, 1, seed=0)
    with pytest.raises(ValueError, match="context is 9 tokens, got 10; keep the last 9"):
        transformer(params_of("transformer"), np.zeros((1, 10), int), HEADS)
    with pytest.raises(IndexError, match="whole numbers from 0 to 10"):
        recurrent_model(params_of("gru"), np.full((1, 2), 11))
    net = net_of("gru", params_of("gru"))
    with pytest.raises(RuntimeError, match="size mismatch"):
        in_torch.load(net, recurrent_layers("gru", VOCABULARY, UNITS + 1, seed=0, inputs=5))
    with pytest.raises(ValueError, match="prompt is empty"):
        in_torch.sample(net, [], 3)
    with pytest.raises(ValueError, match="temperature must be"):
        in_torch.sample(net, [1], 3, temperature=-1.0)
    with pytest.raises(ValueError, match="length must be"):
        in_torch.sample(net, [1], 0)
