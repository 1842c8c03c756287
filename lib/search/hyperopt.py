"""Hyperopt's TPE as a method of `lib.search.search`: the same spaces, the same objectives.

trials = search(HyperoptSearch(space, n=30, seed=0), objective)
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import hyperopt
import numpy as np
from hyperopt.base import Domain

from lib.search.search import Trial, check_search
from lib.search.space import Choice, Dimension, Integers, LogUniform


def in_hyperopt(space: dict[str, Dimension]) -> dict:
    """One of our spaces, for Hyperopt."""

    def one(name, dimension):
        if isinstance(dimension, Choice):
            return hyperopt.hp.choice(name, dimension.options)
        if isinstance(dimension, Integers):
            return hyperopt.hp.uniformint(name, dimension.low, dimension.high)
        if isinstance(dimension, LogUniform):
            return hyperopt.hp.loguniform(name, math.log(dimension.low), math.log(dimension.high))
        return hyperopt.hp.uniform(name, dimension.low, dimension.high)

    return {name: one(name, dimension) for name, dimension in space.items()}


@dataclass(frozen=True)
class HyperoptSearch:
    """``n`` trials of ``hyperopt.tpe.suggest``, everything else as Hyperopt has it by default.

    Args:
        budget: of each trial.

    Raises:
        TypeError, ValueError: an argument is out of range.
    """

    space: dict[str, Dimension]
    n: int
    seed: int = 0
    budget: int | None = None

    def __post_init__(self):
        check_search(self)

    def ask(self) -> Iterator[list[Trial]]:
        space, random = in_hyperopt(self.space), np.random.default_rng(self.seed)
        domain, trials = Domain(lambda settings: settings, space), hyperopt.Trials()
        for number in range(self.n):
            ids = trials.new_trial_ids(1)
            trials.refresh()
            seed = int(random.integers(2**31 - 1))
            (asked,) = hyperopt.tpe.suggest(ids, domain, trials, seed, verbose=False)
            values = {name: found[0] for name, found in asked["misc"]["vals"].items()}
            settings = hyperopt.space_eval(space, values)
            settings = {name: self._inside(name, settings[name]) for name in self.space}
            (loss,) = yield [Trial(number, settings, self.budget)]
            asked["state"] = hyperopt.JOB_STATE_DONE
            asked["result"] = {"loss": float(loss), "status": hyperopt.STATUS_OK}
            trials.insert_trial_doc(asked)
            trials.refresh()

    def _inside(self, name, value):
        """As Python has it; ``exp(log(high))`` may lie a rounding beyond the end."""
        dimension = self.space[name]
        if isinstance(dimension, Choice):
            return value
        number = int(value) if isinstance(dimension, Integers) else float(value)
        return min(max(number, dimension.low), dimension.high)
