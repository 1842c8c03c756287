"""Vanishing and exploding gradients: their size layer by layer, the cures on one task, and gradients through time.

Nets that differ in seed and rate alone are trained at once, as a *stack*: every parameter has one more axis in front,
the runs. A matrix of weights is (runs, inputs, outputs) there and a bias (runs, 1, outputs). A stack's loss is one
number a run; since each run's depends on its own parameters alone, the gradient of their sum is all gradients.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from lib.checks import check_number
from lib.networks import (
    Variable,
    backpropagate,
    dense,
    dense_layers,
    forward,
    glorot,
    gru_cell,
    he,
    lecun,
    lstm_cell,
    normal,
    orthogonal,
    recurrent_layer,
    relu,
    rnn_cell,
    selu,
    sigmoid,
    stack,
    tanh,
)
from lib.optimizers import clip_by_value
from lib.optimizers.rule import bare_step, first_state


class Net(NamedTuple):
    """How a fully connected net is built and trained, but for its sizes and its optimizer."""

    activation: Callable
    initializer: Callable
    normalize: str | None = None
    residual: bool = False
    clip: Callable | None = None  # of the gradients of a stack, before each step


def clip_each_by_norm(grads: dict, limit: float) -> dict:
    """`lib.optimizers.clip_by_global_norm` for a stack: every run's gradient by its own norm.

    Args:
        grads: dict of arrays (runs, ...).
        limit: the largest norm that is left.

    Raises:
        ValueError: ``limit`` is not a number > 0.
    """
    limit = check_number("limit", limit, "clip_each_by_norm")
    squares = sum((g**2).sum(axis=(1, 2), keepdims=True) for g in grads.values())
    factor = np.minimum(1.0, limit / np.maximum(np.sqrt(squares), np.finfo(float).tiny))
    return {name: g * factor for name, g in grads.items()}


def centered(z):
    """The sigmoid, moved down by 1/2: its outputs have both signs."""
    return sigmoid(z) - 0.5


CURES = {
    "sigmoid, Glorot": Net(sigmoid, glorot),
    "sigmoid, Glorot, layer norm": Net(sigmoid, glorot, normalize="layer"),
    "sigmoid, Glorot, batch norm": Net(sigmoid, glorot, normalize="batch"),
    "sigmoid, Glorot, residual": Net(sigmoid, glorot, residual=True),
    "sigmoid − 1/2, Glorot, residual": Net(centered, glorot, residual=True),
    "tanh, N(0, 1)": Net(tanh, normal),
    "tanh, LeCun": Net(tanh, lecun),
    "tanh, orthogonal": Net(tanh, orthogonal),
    "SELU, LeCun": Net(selu, lecun),
    "ReLU, LeCun": Net(relu, lecun),
    "ReLU, He": Net(relu, he),
    "ReLU, He, residual": Net(relu, he, residual=True),
    "ReLU, He, residual, clipped by value": Net(relu, he, residual=True, clip=partial(clip_by_value, limit=1.0)),
    "ReLU, He, residual, clipped by norm": Net(relu, he, residual=True, clip=partial(clip_each_by_norm, limit=10.0)),
}


def wave(points: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Nearly one full wave: y = sin(3x) at evenly spaced x from -1 to 1, both of shape (points, 1)."""
    x = np.linspace(-1, 1, points)[:, None]
    return x, np.sin(3 * x)


def layer_sizes(params: dict, net: Net, x, y) -> dict[str, np.ndarray]:
    """How large signal and gradient are in every layer, before the first step.

    Args:
        params: what `lib.networks.dense_layers` made.
        net: how it is used.
        x, y: arrays (batch, inputs) and (batch, outputs); the loss is the mean squared error.

    Returns:
        dict of arrays, one entry a layer: "weights", the Euclidean norm of dL/dW; "backward", that of dL/dh, which the
        layer's outputs receive; "forward", the root mean square of its outputs h.
    """
    variables = {name: Variable(p) for name, p in params.items()}
    outputs = forward(variables, x, net.activation, normalize=net.normalize, residual=net.residual)
    backpropagate(((outputs[-1] - y) ** 2).mean())
    layers = range(1, len(outputs) + 1)
    return {
        "weights": np.array([np.linalg.norm(variables[f"W{k}"].gradient) for k in layers]),
        "backward": np.array([np.linalg.norm(h.gradient) for h in outputs]),
        "forward": np.array([np.sqrt((h.value**2).mean()) for h in outputs]),
    }


def train_stack(
    losses: Callable, params: dict, rule: Callable, rates, *, steps: int, clip: Callable | None = None, **fixed
) -> tuple[np.ndarray, dict]:
    """Train every run of a stack, each at a rate of its own.

    It cannot be `lib.training.train`: an `Optimizer` has one rate, and refuses the step of a whole stack when one of
    its runs has diverged.

    Args:
        losses: function (params, step) -> array or Variable (runs,): the loss of every run.
        params: dict of arrays (runs, ..., ...).
        rule: an update rule of ``lib.optimizers`` that steps each entry on its own, and needs no curvature.
        rates: learning rates, (runs,).
        steps: steps to take.
        clip: function of the gradients -> gradients, called before each step.
        fixed: other hyperparameters of the rule.

    Returns:
        The losses, array (steps + 1, runs), and the parameters after the last step. A run that diverged ends in inf or
        nan; the others do not notice.

    Raises:
        ValueError: the rule is not elementwise or takes curvature, or there is not one rate a run.
    """
    if rule.each != "entry" or rule.takes_curvature:
        why = "takes curvature" if rule.takes_curvature else f"steps a whole {rule.each}, here of runs that are apart"
        raise ValueError(f"train_stack cannot run {rule.__name__}, which {why}; train each net on its own.")
    runs, rates = len(next(iter(params.values()))), np.asarray(rates, dtype=float)
    if rates.shape != (runs,):
        raise ValueError(f"train_stack: rates must hold one rate a run, {runs} in all, got shape {rates.shape}.")
    hyperparameters = rule.defaults | fixed | {"lr": rates[:, None, None]}
    state = {name: first_state(rule, x, hyperparameters) for name, x in params.items()}
    history = np.empty((steps + 1, runs))
    with np.errstate(all="ignore"):  # a rate that is too large is part of the picture
        for t in range(steps):
            variables = {name: Variable(x) for name, x in params.items()}
            each = losses(variables, t)
            history[t] = each.value
            backpropagate(each.sum())
            grads = {name: variable.gradient for name, variable in variables.items()}
            grads = clip(grads) if clip else grads
            new = {}
            for name, g in grads.items():
                new[name], state[name] = bare_step(rule, params[name], g, state[name], t + 1, **hyperparameters)
            params = new
        history[steps] = losses(params, steps)
    return history, params


def fit(net: Net, x, y) -> Callable:
    """The losses of a stack of fully connected nets, for `train_stack`: the mean squared error of each on x and y."""

    def losses(params, step):
        output = forward(params, x, net.activation, normalize=net.normalize, residual=net.residual)[-1]
        return ((output - y) ** 2).mean(axis=(1, 2))

    return losses


def sweep(net: Net, rule: Callable, rates, seeds, *, depth: int, width: int, steps: int, **fixed) -> np.ndarray:
    """Train a net on the `wave`, at every rate from every seed.

    Args:
        net: how it is built.
        rule: of ``lib.optimizers``.
        rates, seeds: sequences.
        depth: layers of weights.
        width: units of each hidden layer.
        steps: steps to take.
        fixed: other hyperparameters of the rule.

    Returns:
        The losses after the last step, array (rates, seeds); inf for a run that diverged.
    """
    sizes = [1] + [width] * (depth - 1) + [1]
    nets = [dense_layers(sizes, net.initializer, seed, normalized=net.normalize is not None) for seed in seeds]
    params, each = stack(nets * len(rates)), np.repeat(rates, len(nets))
    history, _ = train_stack(fit(net, *wave()), params, rule, each, steps=steps, clip=net.clip, **fixed)
    return np.where(np.isfinite(history[-1]), history[-1], np.inf).reshape(len(rates), len(nets))


# Recurrent nets


def step_through(kind: str, params: dict, inputs, state) -> list:
    """The states of a recurrent net, first to last: ``h``, or for an LSTM pairs ``(h, c)``.

    Args:
        kind: "rnn", "lstm" or "gru".
        params: of the cell.
        inputs: array (steps, batch, features).
        state: where it starts.
    """
    states = [state]
    for x in inputs:
        if kind == "lstm":
            state = lstm_cell(x, *state, params)
        else:
            state = {"rnn": rnn_cell, "gru": gru_cell}[kind](x, state, params)
        states.append(state)
    return states


def recurrent_net(kind: str, units: int, seed: int, *, gain: float = 1.0, gate: float = 0.0) -> dict:
    """A recurrent cell that reads two numbers a step, and an output layer of one number, ``V`` (units, 1), ``d`` (1,).

    Args:
        kind: "rnn", "lstm" or "gru".
        units, seed: size of the state, and the seed of the generator.
        gain: of the orthogonal recurrent weights ``U``; all their eigenvalues have this size.
        gate: where the bias of the gate that keeps the state begins: LSTM's forget gate, GRU's update gate.
    """
    turned = lambda rng, rows, columns: orthogonal(rng, rows, columns, gain=gain)
    params = recurrent_layer(kind, 2, units, lecun, turned, seed, forget_bias=gate)
    if kind == "gru":
        params["bz"] = np.full(units, float(gate))
    return params | {"V": lecun(np.random.default_rng([seed, 1]), units, 1), "d": np.zeros(1)}


def gradients_through_time(kind: str, params: dict, steps: int, seed: int = 0, batch: int = 32) -> np.ndarray:
    """How much of a gradient at the last state arrives at each earlier one.

    The inputs are standard normal. From the last state a random direction v of length 1 is sent back; at time t it has
    become v times the Jacobian of h_T with respect to h_t.

    Returns:
        Array (steps + 1,): the root mean square over the batch of its length; the last entry is 1. For an LSTM the
        state that counts is the cell c.
    """
    rng = np.random.default_rng(seed)
    units = params["V"].shape[0]
    inputs = rng.standard_normal((steps, batch, 2))
    v = rng.standard_normal((batch, units))
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    zero = lambda: Variable(np.zeros((batch, units)))
    states = step_through(kind, params, inputs, (zero(), zero()) if kind == "lstm" else zero())
    carried = [state[1] for state in states] if kind == "lstm" else states
    backpropagate((carried[-1] * v).sum())
    return np.array([np.sqrt((s.gradient**2).sum(axis=1).mean()) for s in carried])


def recall(kind: str, length: int, batch: int = 16) -> Callable:
    """The losses of a stack of recurrent nets, for `train_stack`: remember the first of ``length`` numbers.

    Each number is 1 or -1 at random; beside the first stands a 1, beside the others a 0. After the last, the net says
    the first; the loss is the mean squared error, 1 for a net that always says 0. Each step draws new sequences, the
    same for all runs.
    """

    def losses(params, step):
        rng = np.random.default_rng([length, step])
        inputs = np.zeros((length, batch, 2))
        inputs[:, :, 0] = rng.choice([-1.0, 1.0], (length, batch))
        inputs[0, :, 1] = 1.0
        runs, units, _ = params["V"].shape
        zero = np.zeros((runs, batch, units))
        last = step_through(kind, params, inputs, (zero, zero) if kind == "lstm" else zero)[-1]
        output = dense(last[0] if kind == "lstm" else last, params["V"], params["d"])
        return ((output - inputs[0, :, :1]) ** 2).mean(axis=(1, 2))

    return losses


def cliff(w, b, steps: int = 50) -> tuple:
    """A recurrent net of one unit, x_t = w sigmoid(x_{t-1}) + b from x_0 = 1/2, that should end at sigmoid(x_T) = 0.7.

    Args:
        w, b: numbers, or arrays of one shape: so many nets.
        steps: T.

    Returns:
        The loss (sigmoid(x_T) - 0.7)**2 and its derivatives with respect to w and b, each of the shape of w.

    Source: Pascanu, Mikolov & Bengio 2013 (ICML), section 2.3, equation 8 and figure 6.
    """
    w, b = Variable(np.asarray(w, dtype=float)), Variable(np.asarray(b, dtype=float))
    x = np.full(w.shape, 0.5)
    for _ in range(steps):
        x = w * sigmoid(x) + b
    loss = (sigmoid(x) - 0.7) ** 2
    backpropagate(loss.sum())
    return loss.value, w.gradient, b.gradient
