"""The training loop: step until a stopping rule holds, and keep what happened.

history = train(objective(rosenbrock), [np.array([-1.2, 1.0])], Optimizer(adam, lr=0.02), steps=500,
                stop=[loss_below(1e-6), plateau(patience=50)])
print(history.reason)
"""

import copy
import math
import reprlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from array_api_compat import array_namespace, is_array_api_obj

from lib.checks import COUNT, FINITE, NON_NEGATIVE, POSITIVE, check_range
from lib.landscapes import Landscape
from lib.optimizers import Optimizer
from lib.optimizers.optimizer import pair


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
        """Where a single parameter went: array (steps + 1, *its shape).

        Raises:
            ValueError: the parameters were not kept, or there is more than one.
        """
        if not self.params:
            raise ValueError("path: this run kept no parameters; train with keep_params=True.")
        if isinstance(self.params[0], dict) or len(self.params[0]) != 1:
            raise ValueError("path: for a list with a single parameter; read the others from history.params.")
        return np.stack([np.asarray(params[0]) for params in self.params])


def objective(landscape: Landscape) -> Callable:
    """A landscape as an objective for `train`: ``[point]`` (array of shape (2,)) -> (height, [gradient]).

    Raises (when the objective is called):
        ValueError: the parameters are not one point.
    """

    def value_and_gradient(params):
        if isinstance(params, dict) or len(params) != 1 or getattr(params[0], "shape", None) != (2,):
            raise ValueError(f"params must be [point], an array of shape (2,) in a list, got {params!r}.")
        (point,) = params
        return landscape.value(*point), [array_namespace(point).stack(landscape.gradient(*point))]

    return value_and_gradient


def loss_below(threshold: float) -> Callable[[History], str | None]:
    """Stop when the loss is below ``threshold``."""
    threshold = check_range(FINITE, "threshold", threshold, "loss_below")

    def loss_below(history):
        if history.losses[-1] < threshold:
            return f"loss {history.losses[-1]:.4g} is below {threshold:g}"

    return loss_below


def gradient_norm_below(threshold: float) -> Callable[[History], str | None]:
    """Stop when the gradient's norm is below ``threshold``: a minimum, or a saddle, or a plateau."""
    threshold = check_range(NON_NEGATIVE, "threshold", threshold, "gradient_norm_below")

    def gradient_norm_below(history):
        if history.gradient_norms[-1] < threshold:
            return f"gradient norm {history.gradient_norms[-1]:.4g} is below {threshold:g}"

    return gradient_norm_below


def plateau(patience: int, min_delta: float = 0.0) -> Callable[[History], str | None]:
    """Stop when the best loss has not fallen by more than ``min_delta`` within the last ``patience`` steps."""
    patience = check_range(COUNT, "patience", patience, "plateau")
    min_delta = check_range(NON_NEGATIVE, "min_delta", min_delta, "plateau")

    def plateau(history):
        losses = history.losses
        if len(losses) > patience and min(losses[-patience:]) >= min(losses[:-patience]) - min_delta:
            return f"no progress of more than {min_delta:g} in {patience} steps"

    return plateau


class EarlyStopping:
    """Stop when the loss on examples that training does not see has had no new low for ``patience`` looks in a row. A
    loss that is NaN is no low.

    Args:
        validation_loss: function of the parameters -> that loss.
        patience: how many looks to wait for a new low.
        every: steps between two looks.

    Attributes:
        losses: what each look saw.
        lowest: the lowest of them so far; infinite while all were NaN.
        step, params: of the lowest loss so far, the first of equals: what to go back to.

    Source: Prechelt 1998, "Early Stopping -- But When?", who compares such rules. Elsewhere:
    ``keras.callbacks.EarlyStopping``, which looks once an epoch.
    """

    def __init__(self, validation_loss: Callable, patience: int, every: int = 1):
        if not callable(validation_loss):
            raise TypeError(
                f"EarlyStopping: validation_loss must be a function of the parameters, got {validation_loss!r}."
            )
        self.validation_loss = validation_loss
        self.patience = check_range(COUNT, "patience", patience, "EarlyStopping")
        self.every = check_range(COUNT, "every", every, "EarlyStopping")
        self.losses: list[float] = []
        self.lowest, self.step, self.params = math.inf, 0, None

    def __call__(self, history: History) -> str | None:
        if history.steps % self.every:
            return None
        if not history.params:
            raise ValueError("EarlyStopping: this run keeps no parameters; train with keep_params=True.")
        loss = float(self.validation_loss(history.params[-1]))
        if not self.losses or loss < self.lowest:
            self.step, self.params = history.steps, history.params[-1]
            self.lowest = math.inf if math.isnan(loss) else loss
        self.losses.append(loss)
        if len(self.losses) - 1 - self.step // self.every >= self.patience:
            return f"no lower validation loss than {self.lowest:.4g}, seen after {self.step} steps"


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
    """Minimize ``objective`` from ``params``; ``params`` itself is left alone.

    Args:
        objective: function of the parameters -> (loss, gradients in the same container).
        params: list, tuple or dict of floating-point arrays.
        optimizer: steps the parameters; its state goes on from where it is.
        steps: the most steps to take.
        stop: stopping rules, asked in order before each step.
        divergence: the run has diverged when the loss or a gradient is not finite, when the loss lies above the first
            one by more than ``divergence * max(1, abs(first loss))``, or when a step would overflow.
        keep_params: whether the history keeps a copy of the parameters at every step.

    Returns:
        The run's `History`. A run that diverges ends like any other: see ``history.stopped_by``.

    Raises:
        TypeError: ``objective`` did not return (loss, gradients); ``stop`` is not a list; an argument has another type.
        ValueError: ``steps`` is not a whole number >= 1, or ``divergence`` not a number > 0.
        TypeError, KeyError, ValueError: what `Optimizer.step` has against the parameters or the gradients.
    """
    steps = check_range(COUNT, "steps", steps, "train")
    divergence = check_range(POSITIVE, "divergence", divergence, "train")
    if not callable(objective):
        raise TypeError(
            f"train: objective must be a function, got {objective!r}; a landscape becomes one: objective(...)."
        )
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"train: optimizer must be an Optimizer, got {optimizer!r}; make one: Optimizer(adam, lr=0.01)."
        )
    if not isinstance(stop, Iterable) or isinstance(stop, str):
        raise TypeError(f"train: stop must be a list of stopping rules, got {stop!r}; put a single one in a list.")
    stop, history = list(stop), History()
    while True:
        loss, grads = _evaluate(objective, params)
        history.losses.append(loss)
        history.gradient_norms.append(math.hypot(*(_norm(g) for _, g in pair(params, grads).values())))
        if keep_params:
            history.params.append(copy.deepcopy(params))
        history.stopped_by, history.reason = _verdict(history, steps, stop, divergence)
        if history.stopped_by:
            return history
        rate = optimizer.hyperparameters_at(optimizer.t).get("lr", math.nan)
        try:
            params = optimizer.step(params, grads)
        except FloatingPointError as error:
            history.stopped_by, history.reason = "diverged", f"{error} This was step {history.steps + 1}."
            return history
        history.rates.append(rate)


def _evaluate(objective: Callable, params) -> tuple:
    """(loss as a float, gradients); raises a TypeError if that is not what the objective returns."""
    with np.errstate(over="ignore", invalid="ignore"):  # `_verdict` says so when the loss or gradient is not finite
        result = objective(params)
    if not isinstance(result, tuple) or len(result) != 2:
        raise TypeError(f"objective must return (loss, gradients), got {reprlib.repr(result)}.")
    loss, grads = result
    try:
        return float(loss), grads
    except (TypeError, ValueError, RuntimeError):  # torch raises a RuntimeError for a tensor of several entries
        raise TypeError(f"objective must return a number as its loss, got {reprlib.repr(loss)}.") from None


def _verdict(history: History, steps: int, stop: list, divergence: float) -> tuple[str, str]:
    """(name of what ends the run, reason), or two empty strings to go on."""
    first, loss, gradient_norm = history.losses[0], history.losses[-1], history.gradient_norms[-1]
    if not (math.isfinite(loss) and math.isfinite(gradient_norm)):
        return "diverged", f"loss {loss:.4g}, gradient norm {gradient_norm:.4g} after {history.steps} steps"
    if loss - first > divergence * max(1.0, abs(first)):
        return "diverged", f"loss {loss:.4g} after {history.steps} steps, from {first:.4g}"
    for rule in stop:
        if reason := rule(history):
            return getattr(rule, "__name__", type(rule).__name__), f"{reason}, after {history.steps} steps"
    if history.steps >= steps:
        return "steps", f"the limit of {steps} steps"
    return "", ""


def _norm(g) -> float:
    """The Euclidean norm of one array, scaled so that no square of an entry overflows."""
    if not is_array_api_obj(g):
        raise TypeError(f"objective must return arrays as its gradients, got {reprlib.repr(g)} among them.")
    if 0 in g.shape:
        return 0.0
    largest = float(abs(g).max())
    if largest == 0 or not math.isfinite(largest):
        return largest
    # The mean of squares is at most 1, where a sum of many overflows in half precision.
    return largest * (float(((g / largest) ** 2).mean()) * math.prod(g.shape)) ** 0.5
