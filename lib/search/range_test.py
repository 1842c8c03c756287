"""The learning-rate range test: train for a short while as the rate rises, and see from the loss which rates are good.

    result = range_test(objective, params, momentum, low=1e-4, high=10.0, steps=200)
    print(result.steepest, result.edge)

Source: Smith 2017, arXiv 1506.01186, section 3.3, where the rate rises in a straight line. Equal factors, the smoothed
loss and the rule that ends the test are those of Gugger 2018, "How Do You Find A Good Learning Rate".
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from lib.arrays import maximum
from lib.checks import COUNT, FRACTION, LENGTH, check_range
from lib.optimizers import Optimizer
from lib.schedules import exponential
from lib.training import train

MORE_THAN_ONE = ("a number > 1", lambda v: v > 1)


def geometric(t, *, lr, steps, end):
    """From ``lr`` up to ``end`` by equal factors: an exponential fall, backwards."""
    return exponential(maximum(steps - t, 0), lr=end, gamma=lr / end, every=steps)


def smooth(losses, beta):
    """An exponential moving average, freed of its bias toward zero as in Adam.

    Args:
        losses: (n,).
        beta: memory of the average, a number in [0, 1).

    Returns:
        array (n,), the average after each loss.

    Raises:
        ValueError: ``beta`` is out of range.
    """
    beta = check_range(FRACTION, "beta", beta, "smooth")
    average, smoothed = 0.0, []
    for t, loss in enumerate(losses, start=1):
        average = beta * average + (1 - beta) * loss
        smoothed.append(average / (1 - beta**t))
    return np.array(smoothed)


def smooth_both_ways(losses, beta):
    """An average over both sides, which does not trail: a loss k steps before or after weighs ``beta**k``.

    Args:
        losses: (n,).
        beta: memory of the average, a number in [0, 1).

    Returns:
        array (n,), the average around each loss.

    Raises:
        ValueError: ``beta`` is out of range.
    """
    beta = check_range(FRACTION, "beta", beta, "smooth_both_ways")
    steps = np.arange(len(losses))
    weights = beta ** np.abs(np.subtract.outer(steps, steps))
    return weights @ losses / weights.sum(axis=1)


@dataclass(frozen=True)
class RangeTest:
    """What a range test saw, and what can be read off it.

    Readings leave out the first ``1 / (1 - beta)`` losses, from which no average has been made yet.

    Attributes:
        rates: (n,), of each step.
        losses: (n,), after that step: on a batch that the step has not seen, if each has its own.
        smoothed: (n,), their average, `smooth`; it trails.
        beta: its memory.
        reason: why the test ended, as a sentence.
    """

    rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    beta: float
    reason: str

    @property
    def steepest(self) -> float:
        """Up to the edge, where the smoothed loss falls fastest per factor of the rate."""
        slope = np.gradient(self.smoothed, np.log(self.rates))
        return float(self.rates[self._least(slope[: self._least(self.smoothed) + 1])])

    @property
    def edge(self) -> float:
        """The rate of the lowest smoothed loss; above it the loss rises.

        Raises:
            ValueError: the loss was still falling at the last rate, or never fell.
        """
        lowest = self._least(self.smoothed)
        edge = float(self.rates[lowest])
        if lowest == len(self.rates) - 1:
            raise ValueError(f"edge: still falling at {edge:.3g}; test higher rates.")
        if lowest == self._first:
            raise ValueError(f"edge: only rising from {edge:.3g} on; test lower rates.")
        return edge

    @property
    def tenth(self) -> float:
        """A tenth of the edge."""
        return self.edge / 10

    @property
    def start(self) -> float:
        """The rate at which a tenth of the fall to the lowest smoothed loss is done."""
        smoothed = self.smoothed[self._first :]
        fallen = smoothed <= smoothed[0] - 0.1 * (smoothed[0] - smoothed.min())
        return float(self.rates[self._first + fallen.argmax()])

    def both_ways(self, beta: float = 0.8) -> "RangeTest":
        """The same test, read from `smooth_both_ways`."""
        return replace(self, smoothed=smooth_both_ways(self.losses, beta), beta=beta)

    @property
    def _first(self):
        return reach(self.beta) - 1

    def _least(self, values):
        """Where the least of ``values`` is, without the first ones."""
        return self._first + int(values[self._first :].argmin())


def reach(beta: float) -> int:
    """How many losses back an average with the memory ``beta`` reaches: about 1 / (1 - beta)."""
    return round(1 / (1 - beta))


def range_test(
    objective: Callable,
    params,
    rule: Callable,
    *,
    low: float,
    high: float,
    steps: int,
    shape: Callable = geometric,
    beta: float = 0.95,
    blow_up: float = 4.0,
    **hyperparameters,
) -> RangeTest:
    """Train from ``params``, which are left alone, while the rate rises from ``low`` to ``high``.

    Args:
        objective: function of the parameters -> (loss, gradients), as for `train`; if it takes its batches from an
            iterator, the test uses them up.
        params: list, tuple or dict of floating-point arrays.
        rule: an update rule; it begins with a fresh state.
        low, high: the first and the last rate.
        steps: how many steps to take.
        shape: how the rate goes from one to the other: `geometric`, or `lib.schedules.linear`.
        beta: memory of the average.
        blow_up: the test ends when the smoothed loss is more than so many times the lowest one so far; inf: it goes on
            to the end, or until the loss overflows.
        hyperparameters: of the rule, but for its rate.

    Raises:
        TypeError: an argument has a wrong type; ``lr`` is among the hyperparameters; what `Optimizer` and `train` have
            against theirs.
        ValueError: a number is out of range; the loss at ``params`` is not finite; a loss is negative, of which the
            lowest has no multiples; the loss blew up before there was an average.
    """
    where = "range_test"
    low, high = check_range(LENGTH, "low", low, where), check_range(LENGTH, "high", high, where)
    steps, beta = check_range(COUNT, "steps", steps, where), check_range(FRACTION, "beta", beta, where)
    blow_up = check_range(MORE_THAN_ONE, "blow_up", blow_up, where)
    if low >= high:
        raise ValueError(f"{where}: low must be less than high, got {low:g} and {high:g}.")
    if steps <= reach(beta) + 1:
        raise ValueError(
            f"{where}: steps must be more than {reach(beta) + 1} for an average of beta {beta:g}, got {steps}."
        )
    if not callable(shape):
        raise TypeError(f"{where}: shape must be a schedule from lr to end, as in shape=linear; got {shape!r}.")
    if "lr" in hyperparameters:
        raise TypeError(f"{where}: lr is what the test varies; pass low and high.")

    def blown_up(history):
        if blow_up == math.inf or history.steps == 0:
            return None
        if history.losses[-1] < 0:
            raise ValueError(
                f"{where}: the loss {history.losses[-1]:.4g} is negative; add a constant to it, or pass blow_up=inf."
            )
        smoothed = smooth(history.losses[1:], beta)
        if smoothed[-1] > blow_up * smoothed.min():
            return f"the smoothed loss is more than {blow_up:g} times its lowest, {smoothed.min():.4g}"

    rising = partial(shape, lr=low, end=high, steps=steps - 1)
    optimizer = Optimizer(rule, lr=rising, **hyperparameters)
    history = train(
        objective, params, optimizer, steps=steps, stop=[blown_up], keep_params=False
    )  # fmt: skip
    if not math.isfinite(history.losses[0]):
        raise ValueError(f"{where}: the loss at params is {history.losses[0]}; start where it is finite.")
    losses = np.array(history.losses[1:])
    finite = np.isfinite(losses)  # all but the last, perhaps
    losses, rates = losses[finite], np.array(history.rates)[finite]
    if len(losses) <= reach(beta):
        raise ValueError(
            f"{where}: the loss blew up in {len(losses)} steps, fewer than an average needs; begin below {low:g}."
        )
    return RangeTest(rates, losses, smooth(losses, beta), beta, history.reason)
