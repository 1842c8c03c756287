"""The training loop: step until a stopping rule holds, and keep what happened.

history = train(objective(rosenbrock), [np.array([-1.2, 1.0])], Optimizer(adam, lr=0.02), steps=500,
                stop=[loss_below(1e-6), plateau(patience=50)])
print(history.reason)
"""

import copy
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from lib.checks import COUNT, NON_NEGATIVE
from lib.landscapes import Landscape
from lib.optimizers import Optimizer


@dataclass
class History:
    """What a run did. Entry ``i`` of each list belongs to the parameters after ``i`` steps.

    Attributes:
        losses: the objective's value (float).
        gradient_norms: Euclidean norm of the gradient of all parameters together (float).
        rates: the learning rate of the step taken from there (float); one entry fewer if no step followed.
        params: the parameters (the container that was given to `train`); empty if they were not kept.
        stopped_by: "steps", "diverged", or the name of the stopping rule that held.
        reason: the same as a sentence.
    """

    losses: list[float] = field(default_factory=list)
    gradient_norms: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    params: list = field(default_factory=list)
    stopped_by: str = ""
    reason: str = ""

    @property
    def steps(self) -> int:
        """Steps taken."""
        return len(self.losses) - 1

    @property
    def path(self) -> np.ndarray:
        """Where a single parameter went: array (steps + 1, *its shape)."""
        return np.stack([np.asarray(params[0]) for params in self.params])


def objective(landscape: Landscape) -> Callable:
    """A landscape as an objective for `train`: ``[point]`` (array of shape (2,)) -> (height, [gradient])."""

    def value_and_gradient(params):
        (point,) = params
        return landscape.value(*point), [np.array(landscape.gradient(*point))]

    return value_and_gradient


def loss_below(threshold: float) -> Callable[[History], str | None]:
    """Stop when the loss is below ``threshold``."""
    _require(isinstance(threshold, int | float) and math.isfinite(threshold), "threshold", "a finite number", threshold)

    def loss_below(history):
        if history.losses[-1] < threshold:
            return f"loss {history.losses[-1]:.4g} is below {threshold:g}"

    return loss_below


def gradient_norm_below(threshold: float) -> Callable[[History], str | None]:
    """Stop when the gradient's norm is below ``threshold``: a minimum, or a saddle, or a plateau."""
    _require(NON_NEGATIVE[1](threshold), "threshold", NON_NEGATIVE[0], threshold)

    def gradient_norm_below(history):
        if history.gradient_norms[-1] < threshold:
            return f"gradient norm {history.gradient_norms[-1]:.4g} is below {threshold:g}"

    return gradient_norm_below


def plateau(patience: int, min_delta: float = 0.0) -> Callable[[History], str | None]:
    """Stop when the best loss has not fallen by more than ``min_delta`` within the last ``patience`` steps."""
    _require(COUNT[1](patience), "patience", COUNT[0], patience)
    _require(NON_NEGATIVE[1](min_delta), "min_delta", NON_NEGATIVE[0], min_delta)

    def plateau(history):
        losses = history.losses
        if len(losses) > patience and min(losses[-patience:]) >= min(losses[:-patience]) - min_delta:
            return f"no progress of more than {min_delta:g} in {patience} steps"

    return plateau


def train(
    objective: Callable,
    params,
    optimizer: Optimizer,
    *,
    steps: int,
    stop: Iterable[Callable[[History], str | None]] = (),
    divergence: float = 1e6,
    keep_params: bool = True,
) -> History:
    """Minimise ``objective`` from ``params``; ``params`` itself is left alone.

    Args:
        objective: function of the parameters -> (loss, gradients in the same container).
        params: list, tuple or dict of floating-point arrays.
        optimizer: steps the parameters; its state goes on from where it is.
        steps: the most steps to take.
        stop: stopping rules, asked in order before each step.
        divergence: the run has diverged when the loss or a gradient is not finite, or when the loss lies above the
            first one by more than ``divergence * max(1, abs(first loss))``.
        keep_params: whether the history keeps a copy of the parameters at every step.

    Returns:
        The run's `History`. A run that diverges ends like any other: see ``history.stopped_by``.

    Raises:
        ValueError: ``steps`` is not a whole number >= 1, or ``divergence`` not a number > 0.
    """
    _require(COUNT[1](steps), "steps", COUNT[0], steps)
    _require(isinstance(divergence, int | float) and divergence > 0, "divergence", "a number > 0", divergence)
    stop, history = list(stop), History()
    while True:
        loss, grads = objective(params)
        history.losses.append(float(loss))
        history.gradient_norms.append(_norm(grads))
        if keep_params:
            history.params.append(copy.deepcopy(params))
        history.stopped_by, history.reason = _verdict(history, steps, stop, divergence)
        if history.stopped_by:
            return history
        history.rates.append(float(optimizer.hyperparameters_at(optimizer.t)["lr"]))
        params = optimizer.step(params, grads)


def _verdict(history: History, steps: int, stop: list, divergence: float) -> tuple[str, str]:
    """(name of what ends the run, reason), or two empty strings to go on."""
    first, loss, gradient_norm = history.losses[0], history.losses[-1], history.gradient_norms[-1]
    if not (math.isfinite(loss) and math.isfinite(gradient_norm)):
        return "diverged", f"loss {loss:.4g}, gradient norm {gradient_norm:.4g} after {history.steps} steps"
    if loss - first > divergence * max(1.0, abs(first)):
        return "diverged", f"loss {loss:.4g} after {history.steps} steps, from {first:.4g}"
    for rule in stop:
        if reason := rule(history):
            return rule.__name__, f"{reason}, after {history.steps} steps"
    if history.steps >= steps:
        return "steps", f"the limit of {steps} steps"
    return "", ""


def _norm(grads) -> float:
    arrays = grads.values() if isinstance(grads, dict) else grads
    return math.hypot(*(float((g**2).sum()) ** 0.5 for g in arrays))


def _require(holds: bool, name: str, range_: str, value) -> None:
    if not holds:
        raise ValueError(f"{name} must be {range_}, got {value!r}.")
