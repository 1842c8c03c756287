"""TPE: propose what is likely among the good settings so far and unlikely among the bad ones.

    trials = search(TPE(space, n=60, seed=0), objective)

After every trial the losses are split: a share ``gamma`` of them is good. For each dimension two densities are
estimated over the shares of [0, 1] onto which the space maps its values: l of the good settings, g of the others. Of a
few candidates that are drawn from l, the one with the highest l/g is tried next. That is where the expected improvement
is highest, as Bergstra et al. show.

Source: Bergstra et al. 2011, "Algorithms for Hyper-Parameter Optimization", Advances in Neural Information Processing
Systems 24, section 4. What it leaves open is this book's: how narrow a Gaussian may be, and the three defaults.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from lib.checks import COUNT, SHARE, check_range
from lib.search.search import Trial, check_search, settings_of
from lib.search.space import Choice, Dimension, at_shares


class Parzen:
    """A density on [0, 1]: equal parts of the uniform one and of a Gaussian around each point, each cut off at 0 and 1
    and scaled to area 1. A Gaussian's deviation is the larger distance to the two neighbors, 0 and 1 among them, but at
    least 1/(n + 2), a step on a line with so many points.

    Args:
        points: (n,) in [0, 1].
    """

    def __init__(self, points):
        self.centers = np.sort(np.asarray(points, dtype=float))
        gaps = np.diff(self.centers, prepend=0, append=1)
        self.stds = np.maximum(np.maximum(gaps[:-1], gaps[1:]), 1 / (len(self.centers) + 2))
        self.below = ndtr(-self.centers / self.stds)  # the area of each Gaussian that is cut off at 0
        self.area = ndtr((1 - self.centers) / self.stds) - self.below

    def density(self, u):
        """At each of the shares ``u`` (m,): (m,)."""
        z = (np.asarray(u)[:, None] - self.centers) / self.stds
        parts = np.exp(-(z**2) / 2) / (math.sqrt(2 * math.pi) * self.stds * self.area)
        return (1 + parts.sum(axis=1)) / (1 + len(self.centers))

    def draw(self, random, size):
        """``size`` shares: for each a part is drawn, then a quantile of it."""
        part, u = random.integers(len(self.centers) + 1, size=size) - 1, random.random(size)
        if not len(self.centers):
            return u
        inside = self.centers[part] + self.stds[part] * ndtri(self.below[part] + u * self.area[part])
        return np.where(part < 0, u, np.clip(inside, 0, 1))


class Categories:
    """The same for a dimension with ``count`` options: each is as likely as it is frequent among the points, and all of
    them one more time. The density is 1 where all are equally likely.

    Args:
        points: (n,) shares.
    """

    def __init__(self, points, count):
        self.count = count
        frequent = 1 + np.bincount(self._option(points), minlength=count)
        self.likely = frequent / frequent.sum()

    def _option(self, u):
        return np.minimum(np.asarray(u, dtype=float) * self.count, self.count - 1).astype(int)

    def density(self, u):
        return self.likely[self._option(u)] * self.count

    def draw(self, random, size):
        return (random.choice(self.count, size, p=self.likely) + 0.5) / self.count


def estimate(dimension: Dimension, points):
    """The density of points (n,) of a dimension. The order of options means nothing, and that of whole numbers does."""
    return Categories(points, dimension.count) if isinstance(dimension, Choice) else Parzen(points)


def split(losses, gamma: float) -> tuple[np.ndarray, np.ndarray]:
    """The places of the good losses, a share ``gamma`` of them rounded up, and of the others; of equal ones the first
    are the good ones."""
    order = np.argsort(losses, kind="stable")
    good = math.ceil(gamma * len(order))
    return order[:good], order[good:]


@dataclass(frozen=True)
class TPE:
    """``n`` trials, one after another, of which the first ``startup`` are random.

    Args:
        startup: how many random ones come first.
        gamma: the share of trials that count as good.
        candidates: how many are drawn for each trial.
        budget: of each trial.

    Raises:
        TypeError, ValueError: an argument is out of range.
    """

    space: dict[str, Dimension]
    n: int
    seed: int = 0
    budget: int | None = None
    startup: int = 10
    gamma: float = 0.15
    candidates: int = 24

    def __post_init__(self):
        check_search(self)
        for name, range_ in {"startup": COUNT, "gamma": SHARE, "candidates": COUNT}.items():
            check_range(range_, name, getattr(self, name), "TPE")

    def ask(self) -> Iterator[list[Trial]]:
        random = np.random.default_rng(self.seed)
        shares, losses = random.random((min(self.startup, self.n), len(self.space))), np.empty(0)
        while True:
            new = settings_of(at_shares(self.space, shares[len(losses) :]))
            numbers = range(len(losses), len(shares))
            told = yield [Trial(i, settings, self.budget) for i, settings in zip(numbers, new, strict=True)]
            losses = np.append(losses, told)
            if len(losses) == self.n:
                return
            shares = np.vstack([shares, self.propose(shares, losses, random)])

    def propose(self, shares: np.ndarray, losses: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """The shares (dimensions,) to try next.

        Args:
            shares: (n, dimensions) of the trials so far.
            losses: (n,) of them; inf for a training that diverged.
        """
        good, bad = split(losses, self.gamma)
        drawn, gain = [], np.zeros(self.candidates)
        for dimension, column in zip(self.space.values(), shares.T, strict=True):
            of_good, of_bad = estimate(dimension, column[good]), estimate(dimension, column[bad])  # l and g
            u = of_good.draw(random, self.candidates)
            gain += np.log(of_good.density(u)) - np.log(of_bad.density(u))
            drawn.append(u)
        return np.array(drawn)[:, gain.argmax()]
