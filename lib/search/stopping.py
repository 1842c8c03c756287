"""Early stopping by comparison: a training that is worse than the median of those that went before ends.

trials = search(MedianStopping(space, n=30, budget=100, every=10, seed=0), objective)
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lib.checks import COUNT, check_range
from lib.search.search import Trial, check_search, settings_of
from lib.search.space import Dimension, at_shares


def worse_than_median(losses, completed) -> bool:
    """Whether the best of a training's losses so far is higher than the median, over the completed ones, of the mean of
    as many losses. With none completed it is not.

    Args:
        losses: (k,) of the training, at its first k looks.
        completed: (trainings, at least k) of the others; inf where one diverged.

    Source: Golovin et al. 2017, doi 10.1145/3097983.3098043, the median stopping rule.
    """
    completed = np.asarray(completed, dtype=float)
    return len(completed) > 0 and bool(min(losses) > np.median(completed[:, : len(losses)].mean(axis=1)))


@dataclass(frozen=True)
class MedianStopping:
    """A random search, one training after another, that looks ``every`` so many units of budget whether to stop. One
    that is stopped counts no more: only those that came to the end are compared with.

    Args:
        n: how many trainings.
        budget: of one that comes to the end, a multiple of ``every``.

    Source: as of `worse_than_median`: Golovin et al. 2017, doi 10.1145/3097983.3098043.

    Raises:
        TypeError, ValueError: an argument is out of range.
    """

    space: dict[str, Dimension]
    n: int
    budget: int
    every: int
    seed: int = 0

    def __post_init__(self):
        check_search(self)
        if self.budget % check_range(COUNT, "every", self.every, "MedianStopping"):
            raise ValueError(f"MedianStopping: budget must be a multiple of every, got {self.budget} and {self.every}.")

    def ask(self) -> Iterator[list[Trial]]:
        shares = np.random.default_rng(self.seed).random((self.n, len(self.space)))
        completed = []
        for number, settings in enumerate(settings_of(at_shares(self.space, shares))):
            losses = []
            for budget in range(self.every, self.budget + 1, self.every):
                losses += (yield [Trial(number, settings, budget)]).tolist()
                if worse_than_median(losses, completed):
                    break
            else:
                completed.append(losses)
