"""Open-loop comparison: one recorded sequence of gradients, fed to both sides, and how far apart they end up.

Each side is *given* its gradients. If each computed its own, a rounding error in a parameter would change the next
gradient, grow with the landscape, and say nothing about the update rule.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lib.optimizers import Optimizer

SHAPES = ((), (3,), (2, 3), (2, 3, 4))


@dataclass(frozen=True)
class Recording:
    """Where the parameters start, and the gradients of every step.

    Attributes:
        start: one array a parameter.
        gradients: for each step, one array a parameter, of the parameter's shape and dtype.
    """

    start: list[np.ndarray]
    gradients: list[list[np.ndarray]]


@dataclass(frozen=True)
class Deviation:
    """The largest difference between two trajectories, over all steps and coordinates.

    Attributes:
        absolute: in the units of the parameter.
        ulps: in units in the last place, of the larger of the two numbers compared.
    """

    absolute: float
    ulps: float


def record(steps: int = 1000, scale=(1e-8, 1e4), shapes=SHAPES, seed: int = 0, dtype=np.float64) -> Recording:
    """Draw a recording.

    Args:
        steps: how many gradients.
        scale: the gradients' size: a number, or a pair between which the size of each coordinate at each step is drawn,
            evenly in the logarithm. Signs are drawn, too.
        shapes: one parameter a shape.
        seed: of the generator.
        dtype: of parameters and gradients.
    """
    draw = np.random.default_rng(seed)
    low, high = scale if isinstance(scale, tuple) else (scale, scale)

    def gradient(shape):
        size = np.exp(draw.uniform(np.log(low), np.log(high), shape))
        return np.asarray(size * draw.standard_normal(shape), dtype=dtype)

    start = [np.asarray(draw.uniform(1, 2, shape) * draw.choice([-1, 1], shape), dtype=dtype) for shape in shapes]
    return Recording(start, [[gradient(shape) for shape in shapes] for _ in range(steps)])


def flat(arrays) -> np.ndarray:
    """All coordinates of a list of arrays as one array of shape (coordinates,)."""
    return np.concatenate([np.asarray(a).ravel() for a in arrays])


def replay(rule: Callable, recording: Recording, **hyperparameters) -> np.ndarray:
    """The path that ``rule`` takes through a recording: array (steps, coordinates)."""
    optimizer, params, path = Optimizer(rule, **hyperparameters), recording.start, []
    for gradients in recording.gradients:
        params = optimizer.step(params, gradients)
        path.append(flat(params))
    return np.stack(path)


def compare(ours: np.ndarray, theirs: np.ndarray) -> Deviation:
    """How far two paths of equal shape lie apart at most.

    Raises:
        ValueError: the shapes differ, a path has one step or does not move, or one holds a number that is not finite:
            a comparison that could not fail.
    """
    if ours.shape != theirs.shape:
        raise ValueError(f"paths have shapes {ours.shape} and {theirs.shape}; replay the same recording on both sides.")
    if len(ours) < 2:
        raise ValueError("a path of one step cannot be seen to move; record at least two.")
    if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        raise ValueError("a path holds nan or inf; choose a smaller learning rate.")
    if (ours == ours[0]).all(axis=0).any() or (theirs == theirs[0]).all(axis=0).any():
        raise ValueError("a coordinate does not move, so its comparison proves nothing; choose a larger learning rate.")
    difference = np.abs(ours - theirs)
    return Deviation(difference.max(), (difference / np.spacing(np.maximum(np.abs(ours), np.abs(theirs)))).max())
