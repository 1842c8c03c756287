"""The two choices of population based training: whom to copy (exploit), and what to try next (explore).

Each is a frozen dataclass that is called like a function, and a pure one: all draws come from the generator that it is
given. Its ``repr`` says what it is, so that a checkpoint can be told from that of another run.

Source: Jaderberg et al. 2017, arXiv 1711.09846, sections 4.1.1 and 4.3.1.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.stats

from lib.checks import FACTOR, LENGTH, POSITIVE, SHARE, check_range
from lib.search.space import Steps

HALF = ("a number in (0, 0.5]", lambda v: 0 < v <= 0.5)


# Exploit: whom to copy


def ranks(scores, random) -> np.ndarray:
    """The place of every score, from 0, the lowest: whole numbers (members,). Equal scores are ranked by lot.

    Members that started alike and trained alike tie exactly. Were a copy made only of a score that is strictly higher,
    they would never copy.
    """
    scores = np.where(np.isnan(scores), -np.inf, scores)
    return np.lexsort((random.random(len(scores)), scores)).argsort()


@dataclass(frozen=True)
class Truncation:
    """A member among the lowest ``share`` of all copies one of the highest, drawn at random.

    Called with (history, random): scores (n, members), the last row the present ones, and a generator. It returns
    parents, whole numbers (members,): the number of the one that is copied, or of the member itself. Of fewer than
    ``1 / share`` members, the lowest copies the highest.

    Source: Jaderberg et al. 2017, section 4.1.1, with a share of 0.2.

    Raises:
        TypeError, ValueError: ``share`` is not a number in (0, 0.5].
    """

    share: float = 0.2

    def __post_init__(self):
        check_range(HALF, "share", self.share, "Truncation")

    def __call__(self, history, random):
        rank = ranks(history[-1], random)
        members = len(rank)
        cut = max(1, int(self.share * members + 1e-9))  # 0.29 * 100 < 29
        best = rank.argsort()[members - cut :]
        return np.where(rank < cut, random.choice(best, members), np.arange(members))


@dataclass(frozen=True)
class BinaryTournament:
    """Each member draws another, and copies it if that one ranks higher. Called like `Truncation`.

    Source: Jaderberg et al. 2017, section 4.3.1.
    """

    def __call__(self, history, random):
        other, rank = _others(history, random), ranks(history[-1], random)
        return np.where(rank[other] > rank, other, np.arange(len(rank)))


@dataclass(frozen=True)
class TTest:
    """Each member draws another, and copies it if its mean score is higher and Welch's t-test says so. Called like
    `Truncation`; of the first score alone nothing can be said. A member that diverged copies any that did not.

    Source: Jaderberg et al. 2017, section 4.1.1, over the rewards of the last 10 episodes, where here it is the scores
    of the last 10 rounds; Welch 1947, "The generalization of 'Student's' problem when several different population
    variances are involved".

    Args:
        level: the highest p-value, two-sided, at which the means count as different. The default is this book's.

    Raises:
        TypeError, ValueError: ``level`` is not a number in (0, 1).
    """

    level: float = 0.05

    def __post_init__(self):
        check_range(SHARE, "level", self.level, "TTest")

    def __call__(self, history, random):
        other = _others(history, random)
        alive = np.isfinite(history[-1])
        better = ~alive & alive[other]
        if len(history) > 1:
            with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):  # of equal scores, or infinite
                p = scipy.stats.ttest_ind(history[:, other], history, equal_var=False).pvalue
                better |= (history[:, other].mean(axis=0) > history.mean(axis=0)) & (p < self.level)
        return np.where(better, other, np.arange(len(other)))


def _others(history, random):
    """For each member another one; for one that is alone, itself."""
    members = history.shape[1]
    return (np.arange(members) + random.integers(1, max(members, 2), members)) % members


# Explore: what to try next


def _neighbors(dimension, values, random):
    return dimension.neighbor(values, random.choice([-1, 1], len(values)))


@dataclass(frozen=True)
class Perturb:
    """Each value is multiplied by one of ``factors``, drawn at random; whole numbers and choices move to a neighbor.

    Called with (settings, space, random): dict of arrays (members,), the dict of their dimensions, a generator; it
    returns new settings, none outside the space. A product cannot leave 0: see `AddNoise`.

    Source: Jaderberg et al. 2017, section 4.1.1.

    Raises:
        TypeError, ValueError: a factor is not a finite number > 0.
    """

    factors: tuple = (0.8, 1.2)

    def __post_init__(self):
        for factor in self.factors:
            check_range(LENGTH, "a factor", factor, "Perturb")

    def __call__(self, settings, space, random):
        def moved(dimension, values):
            if isinstance(dimension, Steps):
                return _neighbors(dimension, values, random)
            tried = values * random.choice(self.factors, len(values))
            return np.clip(tried, dimension.low, dimension.high)

        return {name: moved(space[name], values) for name, values in settings.items()}


@dataclass(frozen=True)
class AddNoise:
    """Normal noise of standard deviation ``std`` is added to each value. Otherwise like `Perturb`.

    Raises:
        TypeError, ValueError: ``std`` is not a number > 0.
    """

    std: float

    def __post_init__(self):
        check_range(POSITIVE, "std", self.std, "AddNoise")

    def __call__(self, settings, space, random):
        def moved(dimension, values):
            if isinstance(dimension, Steps):
                return _neighbors(dimension, values, random)
            return np.clip(values + self.std * random.standard_normal(len(values)), dimension.low, dimension.high)

        return {name: moved(space[name], values) for name, values in settings.items()}


@dataclass(frozen=True)
class Resample:
    """Each value is, with a probability, drawn anew from its dimension; else it is what ``otherwise`` makes of it, or
    stays if that is None. Called like `Perturb`.

    Source: Jaderberg et al. 2017, section 4.1.1.

    Raises:
        TypeError, ValueError: ``probability`` is not a number in (0, 1].
    """

    probability: float
    otherwise: Callable | None = None

    def __post_init__(self):
        check_range(FACTOR, "probability", self.probability, "Resample")

    def __call__(self, settings, space, random):
        kept = self.otherwise(settings, space, random) if self.otherwise else settings
        anew = lambda values: random.random(len(values)) < self.probability
        return {
            name: np.where(anew(values), space[name].draw(random, len(values)), values) for name, values in kept.items()
        }
