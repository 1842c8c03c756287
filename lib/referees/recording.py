"""Open-loop comparison: one recorded sequence of gradients, fed to both sides, and how far apart they end up.

Each side is *given* its gradients. If each computed its own, a rounding error in a parameter would change the next
gradient, grow with the landscape, and say nothing about the update rule.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from lib.optimizers import Optimizer

SHAPES = ((), (3,), (2, 3), (2, 3, 4), (2, 1, 2, 2))
# The root of the longer side is a whole number: Keras' Muon rounds it to float32, or it would.
MATRICES = ((4, 2), (2, 4), (4, 4), (1, 4))


@dataclass(frozen=True)
class Recording:
    """Where the parameters start, and what every step is given.

    Attributes:
        start: one array a parameter.
        gradients: for each step, one array a parameter, of the parameter's shape and dtype.
        curvatures: the same for rules that take curvature; positive and of about the gradients' size.
    """

    start: list[np.ndarray]
    gradients: list[list[np.ndarray]]
    curvatures: list[list[np.ndarray]] = field(default_factory=list)


@dataclass(frozen=True)
class Moment:
    """Where a side is after a step.

    Attributes:
        params: all coordinates, array (coordinates,).
        state: the same for each of the rule's states, under the book's names.
        t: steps taken, as the side counts them; None if it does not.
    """

    params: np.ndarray
    state: dict[str, np.ndarray]
    t: int | None


@dataclass(frozen=True)
class Deviation:
    """The largest difference between two trajectories, over all steps and coordinates.

    Attributes:
        absolute: in the units of the parameter.
        ulps: in units in the last place, of the larger of the two numbers compared.
    """

    absolute: float
    ulps: float


def shapes_for(rule: Callable) -> tuple:
    """The shapes of parameters that ``rule`` steps, for `record`."""
    return MATRICES if rule.each == "matrix" else SHAPES


def record(
    steps: int = 1000, scale=(1e-8, 1e4), shapes=SHAPES, seed: int = 0, dtype=np.float64, patterns: bool = False
) -> Recording:
    """Draw a recording.

    Args:
        steps: how many gradients.
        scale: the gradients' size: a number, or a pair between which the size of each coordinate at each step is drawn,
            evenly in the logarithm. Signs are drawn, too.
        shapes: one parameter a shape.
        seed: of the generator.
        dtype: of parameters and gradients.
        patterns: whether gradients are, coordinate by coordinate in turn, constant; zero but for one step in twenty;
            of a sign that flips at each step; and zero for the first third of the steps.
    """
    draw = np.random.default_rng(seed)
    low, high = scale if isinstance(scale, tuple) else (scale, scale)

    def sizes(shape):
        return np.exp(draw.uniform(np.log(low), np.log(high), shape))

    start = [np.asarray(draw.uniform(1, 2, shape) * draw.choice([-1, 1], shape), dtype=dtype) for shape in shapes]
    gradients = [[sizes(shape) * draw.standard_normal(shape) for shape in shapes] for _ in range(steps)]
    curvatures = [[sizes(shape) * draw.uniform(0.5, 2, shape) for shape in shapes] for _ in range(steps)]
    if patterns:
        gradients = _patterned(gradients)
    cast = lambda sequence: [[np.asarray(a, dtype=dtype) for a in arrays] for arrays in sequence]
    return Recording(start, cast(gradients), cast(curvatures))


def _patterned(gradients):
    """``gradients`` with the patterns that `record` tells of."""
    drawn = np.stack([flat(arrays) for arrays in gradients])  # (steps, coordinates)
    step = np.arange(len(drawn))[:, None]
    pattern = np.arange(drawn.shape[1]) % 4
    drawn = np.select(
        [pattern == 0, pattern == 1, pattern == 2],
        [drawn[0], np.where(step % 20 == 7, drawn, 0.0), np.abs(drawn) * (-1.0) ** step],
        np.where(3 * step < len(drawn), 0.0, drawn),
    )
    ends = np.cumsum([a.size for a in gradients[0]])
    return [
        [part.reshape(a.shape) for part, a in zip(np.split(row, ends[:-1]), gradients[0], strict=True)] for row in drawn
    ]


def flat(arrays: Iterable) -> np.ndarray:
    """All coordinates of arrays of any library as one NumPy array of shape (coordinates,)."""
    return np.concatenate([to_numpy(a).ravel() for a in arrays])


def to_numpy(a) -> np.ndarray:
    """``a``, from any library and device, as a NumPy array; bfloat16, which NumPy lacks, as float32."""
    if hasattr(a, "detach"):
        a = a.detach().cpu()
        a = a.float() if str(a.dtype) == "torch.bfloat16" else a
    a = np.asarray(a)
    return a.astype(np.float32) if a.dtype.name == "bfloat16" else a


def run(rule: Callable, recording: Recording, array: Callable = np.asarray, **hyperparameters) -> Iterator[Moment]:
    """Where ``rule`` is after each step through a recording.

    Args:
        rule: an update rule.
        recording: what it is given.
        array: makes the kind of array to step of a NumPy array; ``torch.tensor`` for PyTorch.
        hyperparameters: of the rule, numbers or schedules.
    """
    optimizer, params = Optimizer(rule, **hyperparameters), [array(a) for a in recording.start]
    for i, gradients in enumerate(recording.gradients):
        given = [gradients, recording.curvatures[i]] if rule.takes_curvature else [gradients]
        params = optimizer.step(params, *([array(a) for a in arrays] for arrays in given))
        state = {key: flat(s[key] for s in optimizer.state.values()) for key in rule.state}
        yield Moment(flat(params), state, optimizer.t)


def replay(rule: Callable, recording: Recording, **hyperparameters) -> np.ndarray:
    """The path that ``rule`` takes through a recording: array (steps, coordinates). Arguments as in `run`."""
    return np.stack([moment.params for moment in run(rule, recording, **hyperparameters)])


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


def compare_states(ours: list[Moment], theirs: list[Moment]) -> dict[str, float]:
    """How far the states of two runs lie apart at most, for every state that both sides have.

    Returns:
        For each state the largest difference over all steps and coordinates, as a share of the largest value that the
        coordinate takes at any step; where it is always zero, the difference itself.

    Raises:
        ValueError: a state never differs from zero, or the sides count steps differently.
    """
    apart = {}
    for key in ours[0].state.keys() & theirs[0].state.keys():
        a, b = (np.stack([moment.state[key] for moment in moments]) for moments in (ours, theirs))
        largest = np.abs(b).max(axis=0)
        if not largest.any():
            raise ValueError(f"the state {key} stays zero, so its comparison proves nothing.")
        apart[key] = (np.abs(a - b).max(axis=0) / np.where(largest > 0, largest, 1.0)).max()
    for a, b in zip(ours, theirs, strict=True):
        if None not in (a.t, b.t) and a.t != b.t:
            raise ValueError(f"ours has taken {a.t} steps, theirs {b.t}.")
    return apart
