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

# Stands in for an estimate of the Hessian's diagonal: it hands on the one that it is given.
GIVEN = optax.GradientTransformationExtraArgs(
    init=lambda params: optax.EmptyState(),
    update=lambda gradients, state, params=None, *, curvature: (curvature, state),
)


def make(dialect: Dialect, hyperparameters: dict):
    """optax's transformation for a rule, with hyperparameters (numbers) under the book's names."""
    arguments = dialect.arguments(hyperparameters)
    if dialect.rule.takes_curvature:
        arguments["hessian_diagonal_fn"] = GIVEN
    return operator.attrgetter(dialect.optimizer.removeprefix("optax."))(optax)(**arguments)


def run(name: str, recording: Recording, array=jnp.asarray, **hyperparameters) -> Iterator[Moment]:
    """Where optax is after each step through a recording. Arguments as in `lib.referees.torch.run`."""
    dialect = DIALECTS[name]
    fixed = {key: value for key, value in hyperparameters.items() if not callable(value)}
    schedules = {key: value for key, value in hyperparameters.items() if callable(value)}

    @jax.jit
    def step(params, state, gradients, changing, extra):
        updates, state = make(dialect, fixed | changing).update(gradients, state, params, **extra)
        return optax.apply_updates(params, updates), state

    with jax.enable_x64(True):
        params = [array(a) for a in recording.start]
        state = make(dialect, fixed | {key: value(0) for key, value in schedules.items()}).init(params)
    for i, gradients in enumerate(recording.gradients):
        with jax.enable_x64(True):
            changing = {key: value(i) for key, value in schedules.items()}
            extra = {"curvature": [array(c) for c in recording.curvatures[i]]} if dialect.rule.takes_curvature else {}
            params, state = step(params, state, [array(g) for g in gradients], changing, extra)
            count = [leaf for path, leaf in jax.tree_util.tree_leaves_with_path(state) if str(path[-1]) == ".count"]
            yield Moment(
                flat(params),
                {ours: flat(_found(state, theirs)) for ours, theirs in dialect.state.items()},
                int(count[0]) if count else None,
            )


def _found(state, name):
    """The arrays of the part of an optax state that is called ``name``, one a parameter."""
    (found,) = filter(None, (jax.tree_util.tree_leaves(part) for _, part in optax.tree.get_all_with_path(state, name)))
    return found  # of several parts of that name, such as the average of Muon's AdamW, all others step no parameter


def replay(name: str, recording: Recording, **hyperparameters) -> np.ndarray:
    """The path that optax takes through a recording: array (steps, coordinates). Arguments as in `run`."""
    return np.stack([moment.params for moment in run(name, recording, **hyperparameters)])
