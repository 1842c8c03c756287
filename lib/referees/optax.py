"""optax as a referee: its gradient transformations, driven over a recording, in float64 if that is what it holds."""

import operator
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import optax

from lib.dialects import Dialect
from lib.dialects.optax import DIALECTS
from lib.referees.recording import Moment, Recording, flat


def make(dialect: Dialect, hyperparameters: dict):
    """optax's transformation for a rule, with hyperparameters (numbers) under the book's names."""
    return operator.attrgetter(dialect.optimizer.removeprefix("optax."))(optax)(**dialect.arguments(hyperparameters))


def run(name: str, recording: Recording, array=jnp.asarray, **hyperparameters) -> Iterator[Moment]:
    """Where optax is after each step through a recording. Arguments as in `lib.referees.torch.run`."""
    dialect = DIALECTS[name]
    fixed = {key: value for key, value in hyperparameters.items() if not callable(value)}
    schedules = {key: value for key, value in hyperparameters.items() if callable(value)}

    @jax.jit
    def step(params, state, gradients, changing):
        updates, state = make(dialect, fixed | changing).update(gradients, state, params)
        return optax.apply_updates(params, updates), state

    with jax.enable_x64(True):
        params = [array(a) for a in recording.start]
        state = make(dialect, fixed | {key: value(0) for key, value in schedules.items()}).init(params)
    for i, gradients in enumerate(recording.gradients):
        with jax.enable_x64(True):
            changing = {key: value(i) for key, value in schedules.items()}
            params, state = step(params, state, [array(g) for g in gradients], changing)
            count = [leaf for path, leaf in jax.tree_util.tree_leaves_with_path(state) if "count" in str(path[-1])]
            yield Moment(
                flat(params),
                {ours: flat(_found(state, theirs)) for ours, theirs in dialect.state.items()},
                int(count[0]) if count else None,
            )


def _found(state, name):
    """The arrays of the part of an optax state that is called ``name``, one a parameter."""
    return jax.tree_util.tree_leaves(optax.tree.get(state, name))


def replay(name: str, recording: Recording, **hyperparameters) -> np.ndarray:
    """The path that optax takes through a recording: array (steps, coordinates). Arguments as in `run`."""
    return np.stack([moment.params for moment in run(name, recording, **hyperparameters)])
