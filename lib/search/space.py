"""What may be searched: for each hyperparameter a dimension, and a dict of dimensions for all of them.

    space = {"lr": LogUniform(1e-4, 1.0), "momentum": Uniform(0.0, 0.99), "batch": Choice(16, 32, 64)}
    settings = at_shares(space, random.random((20, 3)))      20 settings: {"lr": (20,), "momentum": (20,), ...}

A dimension maps the shares of [0, 1] onto its values: ``at(u)`` is its quantile. A share drawn evenly thus gives a
value drawn from the dimension, and so every method needs one thing alone, shares: a grid takes evenly spaced ones, a
random search random ones, and a quasi-random search those that ``scipy.stats.qmc`` spreads.

Source: Bergstra & Bengio 2012, "Random Search for Hyper-Parameter Optimization", JMLR 13:281-305, section 2, whose
spaces are products of such distributions.
"""

import math
from dataclasses import dataclass
from numbers import Real

import numpy as np

from lib.checks import COUNT, FINITE, LENGTH, check_range

INTEGER = ("a whole number", lambda v: v.is_integer())


class Dimension:
    """What all dimensions can do; a kind of its own brings ``at`` and ``share``, and ``_count`` if it has steps."""

    def draw(self, random: np.random.Generator, size=None):
        """Values drawn from the dimension: array of the shape ``size``, or one value; takes one number each from
        ``random``."""
        return self.at(random.random(size))

    def grid(self, n: int) -> np.ndarray:
        """``n`` evenly spaced values, the first and the last among them; the middle one if n is 1.

        A dimension with fewer values gives each of them once.

        Raises:
            TypeError, ValueError: ``n`` is not a whole number >= 1.
        """
        n = check_range(COUNT, "n", n, "grid")
        return self.at(np.linspace(0, 1, n) if n > 1 else np.array([0.5]))

    def at(self, u):
        """The value at a share: the quantile of the dimension.

        Args:
            u: numbers in [0, 1], an array of any shape or one.

        Returns:
            array of that shape, or a NumPy scalar; float64, but int64 for `Integers`, and for `Choice` what
            ``np.array(options)`` has.

        Raises:
            ValueError: a share is outside.
        """
        raise NotImplementedError

    def share(self, value):
        """The share that ``at`` maps onto ``value``; in the middle of it, where a whole interval goes there.

        Args:
            value: of the dimension, an array of any shape or one.

        Returns:
            float64 array of that shape, or a NumPy scalar, in [0, 1].

        Raises:
            ValueError: the dimension has no such value.
        """
        raise NotImplementedError

    def _shares(self, u):
        u = np.asarray(u, dtype=float)
        return self._inside(u, (u >= 0) & (u <= 1), "share", "lies outside [0, 1]")

    def _inside(self, values, holds, what="value", why="is outside"):
        """``values``, if they hold."""
        if not np.all(holds):
            wrong = np.extract(~np.asarray(holds), values)[0].item()
            raise ValueError(f"{self}: the {what} {wrong!r} {why}.")
        return values


@dataclass(frozen=True)
class Uniform(Dimension):
    """Numbers from ``low`` to ``high``, of which equal intervals are equally likely.

    Raises:
        TypeError: a bound is no number.
        ValueError: one is not finite, or ``low`` is not less than ``high``.
    """

    low: float
    high: float

    def __post_init__(self):
        _check_bounds(self, FINITE)

    def at(self, u):
        u = self._shares(u)
        return np.clip((1 - u) * self.low + u * self.high, self.low, self.high)  # rounding may lead out

    def share(self, value):
        value = np.asarray(value, dtype=float)
        self._inside(value, (value >= self.low) & (value <= self.high))
        return (value / 2 - self.low / 2) / (self.high / 2 - self.low / 2)  # halves: the difference may overflow


@dataclass(frozen=True)
class LogUniform(Dimension):
    """Numbers from ``low`` to ``high``, both above 0, of which equal factors are equally likely: for rates and decays,
    whose order of magnitude is unknown.

    Raises:
        TypeError: a bound is no number.
        ValueError: one is not a finite number > 0, or ``low`` is not less than ``high``, by logarithms too.
    """

    low: float
    high: float

    def __post_init__(self):
        _check_bounds(self, LENGTH)
        if math.log(self.low) == math.log(self.high):
            raise ValueError(f"LogUniform: low and high have the same logarithm, got {self.low!r} and {self.high!r}.")

    def at(self, u):
        u = self._shares(u)
        value = np.clip(np.exp((1 - u) * math.log(self.low) + u * math.log(self.high)), self.low, self.high)
        return np.where(u == 0, self.low, np.where(u == 1, self.high, value))[()]  # exactly, whatever exp rounds

    def share(self, value):
        value = np.asarray(value, dtype=float)
        self._inside(value, (value >= self.low) & (value <= self.high))
        share = (np.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        return np.clip(share, 0, 1)


class Steps(Dimension):
    """A dimension with ``count`` values in an order, each as likely as the others."""

    def grid(self, n: int) -> np.ndarray:
        n = min(check_range(COUNT, "n", n, "grid"), self.count)
        places = np.linspace(0, self.count - 1, n) if n > 1 else np.array([(self.count - 1) / 2])
        return self._value(places.astype(int))

    def at(self, u):
        return self._value(np.minimum(self._shares(u) * self.count, self.count - 1).astype(int))

    def share(self, value):
        return (self._place(np.asarray(value)) + 0.5) / self.count

    def neighbor(self, value, steps):
        """The value that is ``steps`` places on (back, if negative); beyond an end, the end.

        Raises:
            ValueError: the dimension has no such value.
        """
        return self._value(np.clip(self._place(np.asarray(value)) + steps, 0, self.count - 1))


@dataclass(frozen=True)
class Integers(Steps):
    """Whole numbers from ``low`` to ``high``, both included.

    For a range in which one more does not matter, such as 16 to 512, a `Choice` of powers of two serves better.

    Raises:
        TypeError: a bound is no number.
        ValueError: one is not whole, or ``low`` is not less than ``high``.
    """

    low: int
    high: int

    def __post_init__(self):
        _check_bounds(self, INTEGER, int)

    @property
    def count(self) -> int:
        return self.high - self.low + 1

    def _value(self, place):
        return self.low + place

    def _place(self, value):
        self._inside(value, (value >= self.low) & (value <= self.high) & (value % 1 == 0))
        return value.astype(int) - self.low


@dataclass(frozen=True, init=False)
class Choice(Steps):
    """One of several options; a perturbed one becomes its neighbor, so put those that are alike side by side.

    Raises:
        TypeError: they are not all numbers, nor all texts. A function is searched by its name.
        ValueError: there are fewer than two, one comes twice, or one is not finite.
    """

    options: tuple

    def __init__(self, *options):
        object.__setattr__(self, "options", options)
        numbers = all(isinstance(it, Real) and not isinstance(it, bool) for it in options)
        if not numbers and not all(isinstance(it, str) for it in options):
            raise TypeError(f"Choice: options must be all numbers, or all texts, got {options!r}; search by name.")
        if len(set(options)) < max(len(options), 2):
            raise ValueError(f"Choice: options must be two or more that differ, got {options!r}.")
        if numbers and not all(math.isfinite(it) for it in options):
            raise ValueError(f"Choice: options must be finite, got {options!r}.")

    def __repr__(self):
        return f"Choice({', '.join(map(repr, self.options))})"

    @property
    def count(self) -> int:
        return len(self.options)

    def _value(self, place):
        return np.array(self.options)[place]

    def _place(self, value):
        same = value[..., None] == np.array(self.options)
        self._inside(value, same.any(axis=-1), why="is not among the options")
        return same.argmax(axis=-1)


def _check_bounds(dimension, range_, kind=float):
    where = type(dimension).__name__
    for name in "low", "high":
        number = check_range(range_, name, getattr(dimension, name), where)
        object.__setattr__(dimension, name, kind(number))
    if dimension.low >= dimension.high:
        raise ValueError(f"{where}: low must be less than high, got {dimension.low!r} and {dimension.high!r}.")


# Spaces


def check_space(space, where: str) -> dict[str, Dimension]:
    """``space``, if it is a dict of dimensions by name; ``where`` begins the error.

    Raises:
        TypeError: it is none, or one of them is no dimension.
        ValueError: it is empty.
    """
    kinds = "LogUniform, Uniform, Integers or Choice"
    if not isinstance(space, dict):
        raise TypeError(f"{where}: space must be a dict of name to dimension ({kinds}), got {space!r}.")
    if not space:
        raise ValueError(f"{where}: space must have a dimension at least; got an empty dict.")
    for name, dimension in space.items():
        if not isinstance(name, str) or not isinstance(dimension, Dimension):
            raise TypeError(f"{where}: space[{name!r}] must be a dimension ({kinds}), by its name; got {dimension!r}.")
    return space


def at_shares(space: dict[str, Dimension], shares) -> dict[str, np.ndarray]:
    """Settings of a space, one for each row of shares.

    Args:
        space: dict of dimensions.
        shares: (n, dimensions) numbers in [0, 1], a column for each dimension in the order of the dict:
            ``random.random((n, len(space)))`` for a random search,
            ``scipy.stats.qmc.Sobol(len(space), rng=random).random(n)`` for a quasi-random one.

    Returns:
        dict of arrays (n,).

    Raises:
        TypeError: ``space`` is no dict of dimensions.
        ValueError: there is not a column for each dimension, or a share is outside [0, 1].
    """
    space, shares = check_space(space, "at_shares"), np.asarray(shares, dtype=float)
    if shares.ndim != 2 or shares.shape[1] != len(space):
        raise ValueError(
            f"at_shares: shares must have a column for each of {', '.join(space)}: shape (n, {len(space)}); "
            f"got {shares.shape}."
        )
    return {name: dimension.at(u) for (name, dimension), u in zip(space.items(), shares.T, strict=True)}


def grid(space: dict[str, Dimension], n: int | dict[str, int]) -> dict[str, np.ndarray]:
    """Every combination of ``n`` values of each dimension; the last dimension changes fastest.

    Args:
        space: dict of dimensions.
        n: how many values each has, or a dict with a number for each. A dimension with fewer has them all.

    Returns:
        dict of arrays, all of one length, the number of combinations.

    Raises:
        TypeError: ``space`` is no dict of dimensions, or ``n`` no whole number.
        ValueError: ``n`` is less than 1, or lacks a dimension.
    """
    space = check_space(space, "grid")
    n = n if isinstance(n, dict) else dict.fromkeys(space, n)
    if set(n) != set(space):
        raise ValueError(f"grid: n must have a number for each of {', '.join(space)}, got {n!r}.")
    axes = np.meshgrid(*(dimension.grid(n[name]) for name, dimension in space.items()), indexing="ij")
    return {name: axis.ravel() for name, axis in zip(space, axes, strict=True)}
