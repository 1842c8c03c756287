"""One small net, trained in PyTorch, in Keras and in JAX with optax: the same weights, batches, loss and dtype, so that
only the optimizer can differ. Each side computes its own gradients, in float64.

Frameworks are imported where they are used: who reads the file needs none of them.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lib.checks import COUNT, check_range
from lib.data import digits

WIDTHS = (64, 32, 10)


@dataclass
class Run:
    """What a training ended with.

    Attributes:
        losses: of each batch, before the step on it: (steps,).
        params: weights and biases, a list of float64 arrays.
        optimizer: the framework's.
        state: optax's state; None where the optimizer keeps its own.
    """

    losses: np.ndarray
    params: list[np.ndarray]
    optimizer: object
    state: object = None


def start(seed: int = 0, widths=WIDTHS) -> list[np.ndarray]:
    """Weights (inputs, outputs), normal with the variance 1 / inputs, and zero biases (outputs,), layer by layer."""
    draw, params = np.random.default_rng(seed), []
    for n, m in itertools.pairwise(widths):
        params += [draw.standard_normal((n, m)) / np.sqrt(n), np.zeros(m)]
    return params


def batches(steps: int, size: int = 64, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    """``steps`` batches of the digits: pixels (size, 64), and a one in the column of the right class (size, 10)."""
    steps, size = check_range(COUNT, "steps", steps, "batches"), check_range(COUNT, "size", size, "batches")
    data, draw = digits(), np.random.default_rng(seed)
    rows = [draw.integers(len(data.x_train), size=size) for _ in range(steps)]
    return [(data.x_train[i], np.eye(10)[data.y_train[i]]) for i in rows]


def error_rate(params: list[np.ndarray]) -> float:
    """The share of the digits' test set that a net of these weights gets wrong."""
    data = digits()
    return float((_sums(params, data.x_test, np.tanh).argmax(axis=1) != data.y_test).mean())


def _sums(params, x, tanh):
    """The sums of the last layer of a net with tanh in between, in whatever framework."""
    h = x
    for i in range(0, len(params), 2):
        h = h @ params[i] + params[i + 1]
        h = tanh(h) if i + 2 < len(params) else h
    return h


def _loss(params, x, y, tanh, logsumexp, scale):
    """``scale`` times the mean cross-entropy, in PyTorch or JAX."""
    h = _sums(params, x, tanh)
    return scale * (logsumexp(h) - (h * y).sum(1)).mean()


def in_torch(params, data, make: Callable, before: Callable | None = None, scale: float = 1.0) -> Run:
    """Train in PyTorch.

    Args:
        params: where to start, a list of arrays.
        data: one batch a step.
        make: takes a list of tensors and returns an optimizer, or (optimizer, scheduler).
        before: called before each step with its number, from 1, and the optimizer.
        scale: of the loss.
    """
    import torch

    tensors = [torch.tensor(p, requires_grad=True) for p in params]
    made = make(tensors)
    optimizer, scheduler = made if isinstance(made, tuple) else (made, None)
    losses = []
    for t, (x, y) in enumerate(data, 1):
        loss = _loss(tensors, torch.tensor(x), torch.tensor(y), torch.tanh, lambda h: torch.logsumexp(h, 1), scale)
        optimizer.zero_grad()
        loss.backward()
        if before:
            before(t, optimizer)
        optimizer.step()
        if scheduler:
            scheduler.step()
        losses.append(loss.item())
    return Run(np.array(losses), [p.detach().numpy().copy() for p in tensors], optimizer)


def in_keras(params, data, make: Callable, before: Callable | None = None, scale: float = 1.0) -> Run:
    """Train in Keras on TensorFlow, as `in_torch`.

    Args:
        make: takes nothing and returns an optimizer. It is built before the first call of ``before``.
    """
    import keras
    import tensorflow as tf

    variables, optimizer = [keras.Variable(p, dtype="float64") for p in params], make()
    optimizer.build(variables)
    weights = [v.value for v in variables]

    @tf.function
    def gradients(x, y):
        with tf.GradientTape() as tape:
            h = _sums(weights, x, tf.tanh)
            loss = scale * tf.reduce_mean(tf.reduce_logsumexp(h, 1) - tf.reduce_sum(h * y, 1))
        return loss, tape.gradient(loss, weights)

    def apply(grads):
        optimizer.apply(grads, variables)

    if before is None:  # compiled, as ``fit`` does it; then numbers are fixed, and ``before`` could not change them
        apply = tf.function(apply)
    losses = []
    for t, (x, y) in enumerate(data, 1):
        loss, grads = gradients(tf.constant(x), tf.constant(y))
        if before:
            before(t, optimizer)
        apply(grads)
        losses.append(float(loss))
    return Run(np.array(losses), [v.numpy() for v in variables], optimizer)


def in_optax(params, data, transformation, state=None, scale: float = 1.0) -> Run:
    """Train in JAX with an optax transformation, as `in_torch`.

    Args:
        state: of the transformation; by default a fresh one. A function is called with the fresh one, to change it.
    """
    import jax
    import jax.numpy as jnp
    import optax

    @jax.jit
    def step(params, state, x, y):
        loss, grads = jax.value_and_grad(_loss)(params, x, y, jnp.tanh, lambda h: jax.nn.logsumexp(h, 1), scale)
        updates, state = transformation.update(grads, state, params)
        return optax.apply_updates(params, updates), state, loss

    losses = []
    with jax.enable_x64(True):
        params = [jnp.asarray(p) for p in params]
        state = state(transformation.init(params)) if callable(state) else state or transformation.init(params)
        for x, y in data:
            params, state, loss = step(params, state, jnp.asarray(x), jnp.asarray(y))
            losses.append(float(loss))
    return Run(np.array(losses), [np.asarray(p) for p in params], transformation, state)


def distance(a: Run, b: Run) -> float:
    """The largest difference between two weights."""
    return max(float(np.abs(p - q).max()) for p, q in zip(a.params, b.params, strict=True))


def way(run: Run, params: list[np.ndarray]) -> float:
    """The farthest that a weight has moved from ``params``."""
    return max(float(np.abs(p - q).max()) for p, q in zip(run.params, params, strict=True))


# ---------- the state of an optimizer, moved ----------


def state_of_torch(optimizer, dialect) -> dict:
    """A PyTorch optimizer's state under the book's names: {state: list of arrays}, and the steps taken as "t"."""
    states = list(optimizer.state.values())
    found = {ours: [s[theirs].detach().numpy().copy() for s in states] for ours, theirs in dialect.state.items()}
    return found | {"t": int(states[0]["step"])}


def into_keras(optimizer, dialect, state: dict) -> None:
    """Put a state under the book's names into a Keras optimizer that is built."""
    for ours, theirs in dialect.state.items():
        variables = getattr(optimizer, theirs)
        for variable, array in zip(variables, state[ours], strict=True):
            variable.assign(array)
    optimizer.iterations.assign(state["t"])


def into_optax(fresh, dialect, state: dict):
    """A fresh optax state with a state under the book's names in it: every ``count`` becomes the steps taken."""
    import jax.numpy as jnp
    import optax

    named = {theirs: [jnp.asarray(a) for a in state[ours]] for ours, theirs in dialect.state.items()}
    return optax.tree.set(fresh, **named, count=jnp.asarray(state["t"], dtype=jnp.int32))
