"""What the page on choosing a rate is tried on: nets on digits, many of them trained at once, and the recipe itself.

    found = follow(TASKS["deep"], seed=0)
    print(found.rate, found.steps)

A training is one run over the whole schedule, at one rate.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

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
from lib.search.range_test import range_test
from lib.stochastic_gradients import batches, stochastic

LABELS = 10
FACTOR = 3.0  # between two rates that are tried


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
    """Of nets on digits that they were not trained on, (runs,) each: 400 to choose by, and 450 to judge by, once."""

    valid: np.ndarray
    test: np.ndarray


def train_nets(task: Task, rates, seed: int, rule: Callable = adam, **hyperparameters) -> Losses:
    """Train the net at every rate, all from the same weights and on the same batches.

    Args:
        rates: (runs,), the highest rate of each schedule.
        seed: of digits, weights and batches.
        rule: of ``lib.optimizers``, one that steps each entry on its own.
        hyperparameters: of the rule, but for its rate.

    Returns:
        The losses after the training; of a run that diverged, inf.

    Raises:
        ValueError: the rule does not step each entry on its own, or takes curvature.
    """
    if rule.each != "entry" or rule.takes_curvature:
        raise ValueError(
            f"train_nets: rule must step each entry on its own, without curvature; {rule.__name__} does not."
        )
    rates = np.asarray(rates, dtype=float)
    x, y, x_valid, y_valid = few_digits(900, 400, seed)
    order, schedule = batches(len(x), task.batch, seed), warmed_cosine(task.steps)
    params = stack([task.start(seed)] * len(rates))
    given = rule.defaults | hyperparameters
    state = {name: first_state(rule, p, given | {"lr": rates[:, None, None]}) for name, p in params.items()}
    with np.errstate(all="ignore"):  # some diverge, and shall
        for t in range(task.steps):
            batch, lr = next(order), np.array([schedule(t, rate) for rate in rates])[:, None, None]
            variables = {name: Variable(p) for name, p in params.items()}
            backpropagate(_losses(task, variables, x[batch], y[batch]).sum())
            for name, variable in variables.items():
                params[name], state[name] = bare_step(
                    rule, params[name], variable.gradient, state[name], t + 1, **given | {"lr": lr}
                )
        test = digits()
        found = Losses(_losses(task, params, x_valid, y_valid), _losses(task, params, test.x_test, test.y_test))
    return Losses(*(np.where(np.isfinite(losses), losses, np.inf) for losses in found))


def _losses(task, params, x, y):
    """The cross-entropy of each net of a stack, (runs,)."""
    logp = log_softmax(task.logits(params, x))
    return -(logp * np.eye(LABELS)[y]).sum(axis=-1).mean(axis=-1)


class Choice(NamedTuple):
    """What the recipe found: the ``rate``; the ``first`` guess, from the range test; ``tried``, {rate: validation
    loss}; the loss on the ``test`` digits at the chosen rate; ``steps`` that all of it took.
    """

    rate: float
    first: float
    tried: dict[float, float]
    test: float
    steps: int


def first_guess(
    task: Task, seed: int, rule: Callable = adam, share: float = 0.25, steps: int = 100, **numbers
) -> float:
    """The rate in the middle of those to try: ``share`` of the edge of a range test whose average looks both ways.

    Args:
        share: 1/4 for momentum and Adam, 1 for gradient descent (chapter on the range test).
        steps: of the test, from 1e-5 to 10.
        numbers: hyperparameters of the rule.
    """
    share, steps = check_range(LENGTH, "share", share, "first_guess"), check_range(COUNT, "steps", steps, "first_guess")
    x, y, _, _ = few_digits(900, 400, seed)
    objective = stochastic(
        lambda params, x, y: cross_entropy(task.logits(params, x), y), x, y, batches(len(x), task.batch, seed)
    )
    test = range_test(objective, task.start(seed), rule, low=1e-5, high=10.0, steps=steps, beta=0.9, **numbers)
    return share * test.both_ways().edge


def follow(task: Task, seed: int, rule: Callable = adam, *, tests: int = 100, **hyperparameters) -> Choice:
    """The recipe: a range test, three trainings around its guess, more while the best of them is at the edge.

    Args:
        tests: steps of the range test.
        hyperparameters: of the rule, but for its rate.
    """
    guess = first_guess(task, seed, rule, steps=tests, **hyperparameters)
    tried, test = {}, {}

    def train_at(*rates):
        losses = train_nets(task, rates, seed, rule, **hyperparameters)
        tried.update(zip(rates, losses.valid, strict=True))
        test.update(zip(rates, losses.test, strict=True))

    train_at(guess / FACTOR, guess, guess * FACTOR)
    while (best := min(tried, key=tried.get)) in (low := min(tried), high := max(tried)):
        train_at(low / FACTOR if best == low else high * FACTOR)
    return Choice(best, guess, dict(sorted(tried.items())), test[best], tests + len(tried) * task.steps)
