"""Successive halving, Hyperband and ASHA: many settings train for a short while, the best of them go on for longer.

    trials = search(Hyperband(space, budget=81, seed=0), objective)

They differ from their boxes in one thing: budgets are whole numbers, so ``eta`` is one, and a budget that is no
power of it is divided with the rest dropped.
"""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from lib.checks import COUNT, LENGTH, check_range
from lib.search.search import Trial, check_search, settings_of
from lib.search.space import Dimension, at_shares

DIVISOR = ("a whole number >= 2", lambda v: v >= 2 and v.is_integer())


def rungs(n: int, budget: int, eta: int = 3, most: int | None = None) -> list[tuple[int, int]]:
    """How many trainings there are at each rung, and for how long each has trained then, the last one for ``budget``.

    Args:
        n: how many begin.
        budget: of those that come to the end.
        eta: one in so many goes on, for so many times as long.
        most: steps up from the first rung to the last; by default as many as leave one training at the end and a budget
            of 1 at the beginning.

    Returns:
        list of pairs (n_i, r_i).

    Raises:
        TypeError, ValueError: an argument is out of range.
    """
    n, budget = check_range(COUNT, "n", n, "rungs"), check_range(COUNT, "budget", budget, "rungs")
    eta = int(check_range(DIVISOR, "eta", eta, "rungs"))
    steps = min(powers_in(n, eta), powers_in(budget, eta)) if most is None else most
    return [(n // eta**i, budget // eta ** (steps - i)) for i in range(steps + 1)]


def powers_in(number: int, eta: int) -> int:
    """The logarithm, rounded down, in whole numbers: in floating point that of 243 to the base 3 falls short of 5."""
    power = 0
    while number >= eta ** (power + 1):
        power += 1
    return power


def brackets(budget: int, eta: int = 3, table: bool = False) -> list[list[tuple[int, int]]]:
    """The rungs of each bracket of Hyperband, the boldest first.

    Args:
        budget: R, of those that come to the end.
        table: the sizes of the paper's Table 1. They are not those of its Algorithm 1, which rounds
            (s_max + 1) eta^s / (s + 1) up; the table has (s_max + 1) / (s + 1) rounded down, times eta^s.

    Source: Li et al. 2018, arXiv 1603.06560, Algorithm 1 and Table 1.

    Raises:
        TypeError, ValueError: an argument is out of range.
    """
    budget = check_range(COUNT, "budget", budget, "brackets")
    eta = int(check_range(DIVISOR, "eta", eta, "brackets"))
    largest = powers_in(budget, eta)
    up = lambda s: -(-(largest + 1) * eta**s // (s + 1))
    down = lambda s: (largest + 1) // (s + 1) * eta**s
    return [rungs((down if table else up)(s), budget, eta, s) for s in range(largest, -1, -1)]


def _bracket(space, plan, shares, first):
    """Ask for one bracket: of ``plan[i]`` trainings, the best ``plan[i + 1]`` go on."""
    going = [Trial(first + i, settings) for i, settings in enumerate(settings_of(at_shares(space, shares)))]
    losses = np.zeros(len(going))
    for n, budget in plan:
        kept = np.argsort(losses, kind="stable")[:n]
        going = [going[i]._replace(budget=budget) for i in kept]
        losses = yield going


@dataclass(frozen=True)
class SuccessiveHalving:
    """``n`` settings, drawn from the space, begin; at each rung the best one in ``eta`` go on, for ``eta`` times as
    long, up to ``budget``.

    Source: Jamieson & Talwalkar 2016, arXiv 1502.07943, whose ``eta`` is 2, in the form that it has in Li et al. 2018,
    arXiv 1603.06560, Algorithm 1.

    Raises:
        TypeError, ValueError: an argument is out of range.
    """

    space: dict[str, Dimension]
    n: int
    budget: int
    eta: int = 3
    seed: int = 0

    def __post_init__(self):
        check_search(self)
        rungs(self.n, self.budget, self.eta)

    def ask(self) -> Iterator[list[Trial]]:
        shares = np.random.default_rng(self.seed).random((self.n, len(self.space)))
        yield from _bracket(self.space, rungs(self.n, self.budget, self.eta), shares, 0)


@dataclass(frozen=True)
class Hyperband:
    """Successive halving from several beginnings, of many trainings and of long ones, as it is unknown how early a good
    training shows.

    Args:
        budget: the longest training, R in the paper; the shortest is 1 or little more, so choose the unit by it.
        passes: how many times all brackets are run, each time with new settings.
        table: sizes as in the paper's table, see `brackets`.

    Source: Li et al. 2018, arXiv 1603.06560, Algorithm 1.

    Raises:
        TypeError, ValueError: an argument is out of range.
    """

    space: dict[str, Dimension]
    budget: int
    eta: int = 3
    seed: int = 0
    passes: int = 1
    table: bool = False

    def __post_init__(self):
        check_search(self)
        check_range(COUNT, "passes", self.passes, "Hyperband")
        brackets(self.budget, self.eta)

    def ask(self) -> Iterator[list[Trial]]:
        random, first = np.random.default_rng(self.seed), 0
        for plan in brackets(self.budget, self.eta, self.table) * self.passes:
            n = plan[0][0]
            yield from _bracket(self.space, plan, random.random((n, len(self.space))), first)
            first += n


def promotable(losses: dict[int, float], promoted: set[int], eta: int) -> int | None:
    """The training that may go on from a rung: of the best one in ``eta``, the best that has not; None, if all have.

    Args:
        losses: of the trainings that have come to the rung, by their numbers.
        promoted: the numbers of those that have gone on.
    """
    top = sorted(losses, key=losses.get)[: len(losses) // eta]
    return next((number for number in top if number not in promoted), None)


@dataclass(frozen=True)
class ASHA:
    """Successive halving in which no worker waits for a rung to fill: one that is free takes a training that may go on,
    from the highest rung that has one, or else begins a new one.

    The workers' clock is simulated, so that the same arguments ask for the same. Trials come in the order in which they
    end. A training may go on that would not have, had one waited: that is the price.

    Args:
        n: how many trials there are in all, of the trainings that go on each part counted.
        budget: the longest training.
        workers: how many train at once.
        pace: what time a training takes for a unit of budget, a function of its settings; None for 1.

    Source: Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", arXiv 1810.05934, with its
    early-stopping rate at 0.

    Raises:
        TypeError, ValueError: an argument is out of range.
    """

    space: dict[str, Dimension]
    n: int
    budget: int
    eta: int = 3
    seed: int = 0
    workers: int = 1
    pace: Callable[[dict], float] | None = None

    def __post_init__(self):
        check_search(self)
        check_range(COUNT, "workers", self.workers, "ASHA")
        check_range(DIVISOR, "eta", self.eta, "ASHA")

    def ask(self) -> Iterator[list[Trial]]:
        jobs = self._jobs()
        _, trial = next(jobs)
        while True:
            losses = yield [trial]
            try:
                _, trial = jobs.send(losses[0])
            except StopIteration:
                return

    def times(self, trials: list[Trial]) -> np.ndarray:
        """At what time each of this method's trials ended: float64 (n,)."""
        jobs = self._jobs()
        return np.array([jobs.send(trial and trial.loss)[0] for trial in [None, *trials[:-1]]])

    def _jobs(self):
        """Each trial as it ends, with the time; is sent its loss."""
        random, steps = np.random.default_rng(self.seed), powers_in(self.budget, self.eta)
        budgets = [self.budget // self.eta ** (steps - k) for k in range(steps + 1)]
        losses, promoted = [{} for _ in budgets], [set() for _ in budgets]
        settings, running, now, begun = [], [], 0.0, 0
        while True:
            while len(running) < self.workers and begun < self.n:
                number, k = len(settings), 0
                for below in reversed(range(steps)):
                    found = promotable(losses[below], promoted[below], self.eta)
                    if found is not None:
                        promoted[below].add(found)
                        number, k = found, below + 1
                        break
                else:
                    settings += settings_of(at_shares(self.space, random.random((1, len(self.space)))))
                pace = 1.0 if self.pace is None else check_range(LENGTH, "pace", self.pace(settings[number]), "ASHA")
                cost = budgets[k] - (budgets[k - 1] if k else 0)
                heapq.heappush(running, (now + pace * cost, begun, number, k))
                begun += 1
            if not running:
                return
            now, _, number, k = heapq.heappop(running)
            losses[k][number] = yield now, Trial(number, settings[number], budgets[k])
