"""The recurrent cells are torch's and Keras', over several steps, in value and gradient."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch

from lib.networks import gru_cell, lecun, lstm_cell, orthogonal, recurrent_layer, rnn_cell
from tests.networks.frameworks import ours, same, tensorflows, torchs

INPUTS, UNITS, BATCH, STEPS = 3, 5, 4, 6
SEQUENCE = np.random.default_rng(0).standard_normal((STEPS, BATCH, INPUTS))
START = np.random.default_rng(1).standard_normal((BATCH, UNITS)) / 2


def params_of(kind):
    params = recurrent_layer(kind, INPUTS, UNITS, lecun, orthogonal, seed=0)
    rng = np.random.default_rng(2)  # biases that differ from zero
    return {name: x + 0.1 * rng.standard_normal(x.shape) for name, x in params.items()}


def run(kind, p):
    h = c = START
    for x in SEQUENCE:
        if kind == "lstm":
            h, c = lstm_cell(x, h, c, p)
        else:
            h = {"rnn": rnn_cell, "gru": gru_cell}[kind](x, h, p)
    return (h**2).sum()


def stacked(p, letter, gates, join):
    return join([p[f"{letter}{gate}"] for gate in gates])


def torch_join(parts):
    joined = torch.cat(parts, dim=-1)
    return joined.T if joined.ndim == 2 else joined


def torch_run(kind, p):
    gates = {"rnn": ("",), "lstm": ("i", "f", "c", "o")}[kind]
    w, u, b = (stacked(p, letter, gates, torch_join) for letter in "WUb")
    h = c = torch.tensor(START)
    for x in torch.tensor(SEQUENCE):
        if kind == "lstm":
            h, c = torch.lstm_cell(x, (h, c), w, u, b, torch.zeros_like(b))
        else:
            h = torch.rnn_tanh_cell(x, h, w, u, b, torch.zeros_like(b))
    return (h**2).sum()


KERAS = {
    "rnn": (keras.layers.SimpleRNNCell, {}, ("",)),
    "lstm": (keras.layers.LSTMCell, {}, ("i", "f", "c", "o")),
    "gru": (keras.layers.GRUCell, {"reset_after": False}, ("z", "r", "h")),
}


def keras_run(kind, p):
    make, options, gates = KERAS[kind]
    cell = make(UNITS, dtype="float64", **options)
    cell.build((BATCH, INPUTS))
    w, u, b = (stacked(p, letter, gates, lambda parts: tf.concat(parts, axis=-1)) for letter in "WUb")
    state = [tf.constant(START)] * (2 if kind == "lstm" else 1)
    # The cell reads its weights from attributes; given tensors in their place, the tape sees where they come from.
    for name, value in ("kernel", w), ("recurrent_kernel", u), ("bias", b):
        object.__setattr__(cell, name, value)
    for x in tf.constant(SEQUENCE):
        h, state = cell(x, state)
    return tf.reduce_sum(h**2)


@pytest.mark.parametrize("kind", ["rnn", "lstm"])
def test_agrees_with_torch(kind):
    params = params_of(kind)
    same(ours(lambda p: run(kind, p), params), torchs(lambda p: torch_run(kind, p), params), roundings=1000)


@pytest.mark.parametrize("kind", KERAS)
def test_agrees_with_keras(kind):
    params = params_of(kind)
    same(ours(lambda p: run(kind, p), params), tensorflows(lambda p: keras_run(kind, p), params), roundings=1000)


def test_torchs_gru_is_another():
    """It resets after the product with Uh: h Uh r, not (r h) Uh. With a reset gate that is open, r = 1, both agree."""
    params = params_of("gru")

    def theirs(p):
        w, u, b = (stacked(p, letter, "rzh", torch_join) for letter in "WUb")
        h = torch.tensor(START)
        for x in torch.tensor(SEQUENCE):
            h = torch.gru_cell(x, h, w, u, b, torch.zeros_like(b))
        return (h**2).sum()

    mine, torchs_ = ours(lambda p: run("gru", p), params), torchs(theirs, params)
    assert abs(mine[0] - torchs_[0]) > 1e-3
    params = params | {"br": np.full(UNITS, 100.0)}
    same(ours(lambda p: run("gru", p), params), torchs(theirs, params), roundings=1000)


def test_an_open_forget_gate_carries_the_cell():
    p = params_of("lstm") | {"bf": np.full(UNITS, 100.0), "bi": np.full(UNITS, -100.0)}
    h, c = START, np.arange(BATCH * UNITS).reshape(BATCH, UNITS) / 10
    for x in SEQUENCE:
        h, after = lstm_cell(x, h, c, p)
        np.testing.assert_allclose(after, c, rtol=1e-15)


def test_parameters():
    params = recurrent_layer("lstm", INPUTS, UNITS, lecun, orthogonal, seed=0)
    assert {name: x.shape for name, x in params.items() if name.endswith("f")} == {
        "Wf": (INPUTS, UNITS),
        "Uf": (UNITS, UNITS),
        "bf": (UNITS,),
    }
    assert (params["bf"] == 1).all()
    assert not params["bi"].any()
    assert not recurrent_layer("lstm", 2, 3, lecun, orthogonal, seed=0, forget_bias=0.0)["bf"].any()
    with pytest.raises(ValueError, match="'rnn', 'lstm', 'gru', got 'transformer'"):
        recurrent_layer("transformer", 2, 3, lecun, orthogonal, seed=0)
