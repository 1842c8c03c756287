"""What the page on choosing a rate is tried on: nets on digits, many of them trained at once, the recipe itself, and
trained nets that are fine-tuned to turned digits.

    found = follow(TASKS["deep"], seed=0)
    print(found.rate, found.steps)

A training is one run over the whole schedule, at one rate.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.ndimage import rotate

from lib import schedules
from lib.checks import COUNT, LENGTH, check_range
from lib.data import digits
from lib.experiments.generalization import few_digits
from lib.networks import (
    Variable,
    backpropagate,
    cross_entropy,
    dense_layers,
    forward,
    glorot,
    he,
    log_softmax,
    relu,
    silu,
    stack,
    tanh,
)
from lib.optimizers import adam
from lib.optimizers.rule import bare_step, first_state
from lib.search.range_test import RangeTest, range_test
from lib.stochastic_gradients import batches, stochastic

LABELS, PIXELS = 10, 8
FACTOR = 3.0  # between two rates that are tried
MOST = 12  # trainings, before the recipe gives up


@dataclass(frozen=True)
class Task:
    """A net and its batches.

    Attributes:
        sizes: inputs, hidden units, outputs.
        activation, initializer: of ``lib.networks``.
        batch: examples a step.
        steps: of one training.
        normalize, residual: as in ``lib.networks.forward``.
    """

    sizes: tuple[int, ...]
    activation: Callable = relu
    initializer: Callable = he
    batch: int = 32
    steps: int = 300
    normalize: str | None = None
    residual: bool = False

    def start(self, seed: int) -> dict:
        """Fresh parameters."""
        return dense_layers(self.sizes, self.initializer, seed, normalized=self.normalize is not None)

    def logits(self, params, x):
        return forward(params, x, self.activation, normalize=self.normalize, residual=self.residual)[-1]


TASKS = {
    "linear": Task((64, 10), batch=16),
    "wide": Task((64, 96, 10)),
    "deep": Task((64, *[24] * 6, 10), tanh, glorot, batch=24, normalize="layer", residual=True),
    "gated": Task((64, 32, 32, 10), activation=silu, batch=64, normalize="layer"),
}


def warmed_cosine(steps: int) -> Callable:
    """The schedule of every training here: a tenth of the steps up, from a tenth of the rate, then half a cosine down.

    Returns:
        function (t, lr) -> the rate of step t, counted from 0.
    """
    up = max(steps // 10, 1)

    def schedule(t, lr):
        if t < up:
            return lr * (0.1 + 0.9 * t / up)
        return schedules.cosine(t - up, lr=lr, steps=steps - up)

    return schedule


class Losses(NamedTuple):
    """After a training, (runs,) each; of a run that diverged, inf.

    Attributes:
        valid: on 400 digits to choose by.
        test: on 450 others, to judge by, once.
        train: on the 900 that were learned.
    """

    valid: np.ndarray
    test: np.ndarray
    train: np.ndarray


def train_nets(task: Task, rates, seed: int, rule: Callable = adam, **hyperparameters) -> Losses:
    """Train the net at every rate, all from the same weights and on the same batches.

    Args:
        rates: (runs,), the highest rate of each schedule.
        seed: of digits, weights and batches.
        rule: of ``lib.optimizers``, one that steps each entry on its own.
        hyperparameters: of the rule, but for its rate.

    Raises:
        ValueError: the rule does not step each entry on its own, or takes curvature.
    """
    (x, y), *others = _data(seed)
    params = _trained(task, task.start(seed), rates, x, y, seed, rule, hyperparameters)
    return Losses(*(_judged(task, params, *those) for those in (*others, (x, y))))


@cache
def _data(seed):
    """The digits of a seed: 900 to learn from, 400 to choose by, 450 to judge by; (x, y) of each."""
    x, y, x_valid, y_valid = few_digits(900, 400, seed)
    data = digits()
    return (x, y), (x_valid, y_valid), (data.x_test, data.y_test)


def _trained(task, params, rates, x, y, seed, rule, hyperparameters):
    """``params``, trained at every rate: a stack."""
    if rule.each != "entry" or rule.takes_curvature:
        raise ValueError(
            f"train_nets: rule must step each entry on its own, without curvature; {rule.__name__} does not."
        )
    rates = np.asarray(rates, dtype=float)[:, None]
    order, schedule = batches(len(x), task.batch, seed), warmed_cosine(task.steps)
    params = stack([params] * len(rates))
    shapes = {name: p.shape for name, p in params.items()}
    ends = np.cumsum([p[0].size for p in params.values()])
    flat = _flat(params)  # one array, so that a step is one call
    given = rule.defaults | hyperparameters
    state = first_state(rule, flat, given | {"lr": rates})
    with np.errstate(all="ignore"):  # some diverge, and shall
        for t in range(task.steps):
            batch, lr = next(order), rates * schedule(t, 1.0)
            variables = {name: Variable(p) for name, p in params.items()}
            backpropagate(_losses(task, variables, x[batch], y[batch]).sum())
            g = _flat({name: variable.gradient for name, variable in variables.items()})
            flat, state = bare_step(rule, flat, g, state, t + 1, **given | {"lr": lr})
            parts = np.split(flat, ends[:-1], axis=1)
            params = {name: part.reshape(shapes[name]) for name, part in zip(shapes, parts, strict=True)}
    return params


def _flat(params):
    """The parameters of each net of a stack in a row, (runs, n)."""
    return np.concatenate([p.reshape(len(p), -1) for p in params.values()], axis=1)


def _losses(task, params, x, y):
    """The cross-entropy of each net of a stack, (runs,)."""
    logp = log_softmax(task.logits(params, x))
    return -(logp * np.eye(LABELS)[y]).sum(axis=-1).mean(axis=-1)


def _judged(task, params, x, y):
    """The same, inf for a net that diverged."""
    with np.errstate(all="ignore"):
        losses = _losses(task, params, x, y)
    return np.where(np.isfinite(losses), losses, np.inf)


class Choice(NamedTuple):
    """What the recipe found: the ``rate``; the ``first`` guess, from the range test; ``tried``, {rate: validation
    loss}; the loss on the ``test`` digits at the chosen rate; ``steps`` that all of it took.
    """

    rate: float
    first: float
    tried: dict[float, float]
    test: float
    steps: int


def rate_test(
    task: Task, seed: int, rule: Callable = adam, *, low: float = 1e-5, high: float = 10.0, steps: int = 100, **numbers
) -> RangeTest:
    """A range test from the weights and on the batches of `train_nets`.

    Args:
        low, high, steps: of the test.
        numbers: hyperparameters of the rule.
    """
    (x, y), *_ = _data(seed)
    objective = stochastic(
        lambda params, x, y: cross_entropy(task.logits(params, x), y), x, y, batches(len(x), task.batch, seed)
    )
    return range_test(objective, task.start(seed), rule, low=low, high=high, steps=steps, beta=0.9, **numbers)


def first_guess(
    task: Task, seed: int, rule: Callable = adam, share: float = 0.25, steps: int = 100, **numbers
) -> float:
    """The rate in the middle of those to try: ``share`` of the edge of a range test whose average looks both ways.

    Args:
        share: 1/4 for momentum and Adam, 1 for gradient descent (chapter on the range test).
        steps: of the test, from 1e-5 to 10.
        numbers: hyperparameters of the rule.

    Raises:
        ValueError: the test has no edge.
    """
    share, steps = check_range(LENGTH, "share", share, "first_guess"), check_range(COUNT, "steps", steps, "first_guess")
    return share * rate_test(task, seed, rule, steps=steps, **numbers).both_ways().edge


def follow(task: Task, seed: int, rule: Callable = adam, *, tests: int = 100, **hyperparameters) -> Choice:
    """The recipe: a range test, three trainings around its guess, more while the best of them is at the edge.

    Of rates that are equally bad the lowest counts as the best: where all trainings diverge, it goes down.

    Args:
        tests: steps of the range test.
        hyperparameters: of the rule, but for its rate.

    Raises:
        ValueError: the test has no edge, or the best rate is still at the edge after a dozen trainings.
    """
    guess = first_guess(task, seed, rule, steps=tests, **hyperparameters)
    tried, test = {}, {}

    def train_at(*rates):
        losses = train_nets(task, rates, seed, rule, **hyperparameters)
        tried.update(zip(rates, losses.valid, strict=True))
        test.update(zip(rates, losses.test, strict=True))

    train_at(guess / FACTOR, guess, guess * FACTOR)
    while (best := min(sorted(tried), key=tried.get)) in (low := min(tried), high := max(tried)):
        if len(tried) >= MOST:
            raise ValueError(
                f"follow: after {MOST} trainings the best rate, {best:.2g}, is still at the edge of those tried; "
                "the rate is not what is wrong."
            )
        train_at(low / FACTOR if best == low else high * FACTOR)
    return Choice(best, guess, dict(sorted(tried.items())), test[best], tests + len(tried) * task.steps)


def turned(x, degrees: float):
    """Pictures, (n, 64), each turned about its middle; what comes in from outside continues its edge."""
    pictures = np.reshape(x, (-1, PIXELS, PIXELS))
    return rotate(pictures, degrees, axes=(1, 2), reshape=False, order=1, mode="nearest").reshape(len(x), -1)


def pretrain(task: Task, rate: float, seed: int, rule: Callable = adam) -> dict:
    """The parameters of one net of `train_nets`."""
    (x, y), *_ = _data(seed)
    params = _trained(task, start := task.start(seed), [rate], x, y, seed, rule, {})
    return {name: p.reshape(np.shape(start[name])) for name, p in params.items()}


class Adapted(NamedTuple):
    """The losses of fine-tuned nets, (runs,) each; of a run that diverged, inf.

    Attributes:
        valid, test: on turned digits, to choose by and to judge by.
        old: on the test digits as they were.
    """

    valid: np.ndarray
    test: np.ndarray
    old: np.ndarray


def adapt(
    task: Task, params: dict, rates, seed: int, *, degrees: float, examples: int = 96, rule: Callable = adam
) -> Adapted:
    """Train on a few of the digits of `train_nets`, turned, at every rate.

    Args:
        params: to begin with, those of `pretrain` or of ``task.start``.
        rates: (runs,); 0 leaves a net as it is.
        degrees: by which the digits are turned.
        examples: how many of them there are.

    Raises:
        ValueError: as `train_nets`; ``examples`` is no whole number, less than a batch or more than 900.
    """
    examples = check_range(COUNT, "examples", examples, "adapt")
    (x, y), (x_valid, y_valid), (x_test, y_test) = _data(seed)
    if not task.batch <= examples <= len(x):
        raise ValueError(f"adapt: examples must be at least a batch, {task.batch}, and at most 900, got {examples}.")
    adapted = _trained(task, params, rates, turned(x[:examples], degrees), y[:examples], seed, rule, {})
    seen = (turned(x_valid, degrees), y_valid), (turned(x_test, degrees), y_test), (x_test, y_test)
    return Adapted(*(_judged(task, adapted, *those) for those in seen))
