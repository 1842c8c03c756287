"""Recurrent cells: one step through time. A net applies the same cell, with the same parameters, at every step.

Each takes the input ``x`` of shape (batch, inputs), the state of shape (batch, units), and ``p``, a dict of parameters;
``W...`` of shape (inputs, units) weigh the input, ``U...`` of shape (units, units) the state, ``b...`` (units,) are
biases.
"""

import numpy as np

from lib.networks.backpropagation import sigmoid, tanh


def rnn_cell(x, h, p):
    """The simple recurrent cell: a new state ``h``.

    Source: Elman 1990, "Finding Structure in Time"; Pascanu, Mikolov & Bengio 2013,
    arXiv 1211.5063, equation 2 (there the activation is inside).
    """
    return tanh(x @ p["W"] + h @ p["U"] + p["b"])


def lstm_cell(x, h, c, p):
    """Long short-term memory: a new state ``h`` and a new cell ``c``, kept by gates.

    Where the forget gate ``f`` is 1, the cell is carried on as it is, and so is its
    gradient.

    Source: Hochreiter & Schmidhuber 1997; with the forget gate, Gers, Schmidhuber &
    Cummins 2000.
    """
    i = sigmoid(x @ p["Wi"] + h @ p["Ui"] + p["bi"])  # input gate: what is written
    f = sigmoid(x @ p["Wf"] + h @ p["Uf"] + p["bf"])  # forget gate: what is kept
    o = sigmoid(x @ p["Wo"] + h @ p["Uo"] + p["bo"])  # output gate: what is shown
    c = f * c + i * tanh(x @ p["Wc"] + h @ p["Uc"] + p["bc"])
    return o * tanh(c), c


def gru_cell(x, h, p, *, reset_after=False):
    """The gated recurrent unit: a new state ``h``, a mixture of the old one and a
    candidate.

    Source: Cho et al. 2014, arXiv 1406.1078, equations 5 to 8. Elsewhere:
    ``keras.layers.GRU(reset_after=False)``; ``torch.nn.GRU`` and Keras' default apply
    the reset gate after the product with ``Uh``, to its result and to a bias of its own,
    ``ch`` (units,): with ``reset_after``, so does this one.
    """
    r = sigmoid(x @ p["Wr"] + h @ p["Ur"] + p["br"])  # reset gate: what is seen
    z = sigmoid(x @ p["Wz"] + h @ p["Uz"] + p["bz"])  # update gate: what is kept
    seen = r * (h @ p["Uh"] + p["ch"]) if reset_after else (r * h) @ p["Uh"]
    candidate = tanh(x @ p["Wh"] + seen + p["bh"])
    return z * h + (1 - z) * candidate


GATES = {"rnn": ("",), "lstm": ("i", "f", "o", "c"), "gru": ("r", "z", "h")}


def recurrent_layer(kind, inputs, units, input_initializer, state_initializer, seed, forget_bias=1.0) -> dict:
    """The parameters of a cell.

    Args:
        kind: "rnn", "lstm" or "gru".
        inputs, units: sizes.
        input_initializer, state_initializer: of ``W...`` and ``U...``; one of ``lib.networks.initializers``.
        seed: of the generator; a whole number.
        forget_bias: where the bias of the forget gate of an LSTM starts; at 1 it keeps most of the cell from the
            beginning (Gers et al. 2000; Jozefowicz, Zaremba & Sutskever 2015).

    Raises:
        ValueError: the kind is unknown.
    """
    if kind not in GATES:
        raise ValueError(f"recurrent_layer: kind must be one of {', '.join(map(repr, GATES))}, got {kind!r}.")
    rng, params = np.random.default_rng(seed), {}
    for gate in GATES[kind]:
        params[f"W{gate}"] = input_initializer(rng, inputs, units)
        params[f"U{gate}"] = state_initializer(rng, units, units)
        params[f"b{gate}"] = np.full(units, forget_bias if gate == "f" else 0.0)
    return params
