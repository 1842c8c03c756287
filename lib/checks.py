"""The range of every hyperparameter, by name, and the error for a value outside it.

A name means one thing in the whole book, so its range is stated once, here. The frameworks have names of their own for
some; the dialects use those.
"""

import difflib
import math
from collections.abc import Callable, Iterable
from numbers import Integral, Real

from array_api_compat import is_array_api_obj

# What a number must be, in words, and whether a Python number is that.
FINITE = ("a finite number", math.isfinite)
POSITIVE = ("a number > 0", lambda v: v > 0)
NON_NEGATIVE = ("a finite number >= 0", lambda v: math.isfinite(v) and v >= 0)
FRACTION = ("a number in [0, 1)", lambda v: 0 <= v < 1)
FACTOR = ("a number in (0, 1]", lambda v: 0 < v <= 1)
COUNT = ("a whole number >= 1", lambda v: isinstance(v, int) and v >= 1)

RANGES: dict[str, tuple[str, Callable[[int | float], bool]]] = {
    "lr": NON_NEGATIVE,  # learning rate: parameter units per unit of the (normalized) gradient
    "momentum": FRACTION,  # share of the last velocity that is kept
    "beta1": FRACTION,  # memory of the average of gradients
    "beta2": FRACTION,  # memory of the average of squared gradients (Adam)
    "rho": FRACTION,  # memory of the average of squared gradients (RMSProp, Adadelta)
    "eps": NON_NEGATIVE,  # keeps a denominator away from zero
    "gamma": FACTOR,  # what a schedule multiplies the rate by
    "every": COUNT,  # steps between two changes of a schedule
    "weight_decay": NON_NEGATIVE,  # pull toward zero: its share of x, per unit of the rate if it is decoupled
}

# What the frameworks call them where they have one name for one thing of ours.
ELSEWHERE = {
    "learning_rate": "lr",
    "alpha": "rho",
    "decay": "rho",
    "beta_1": "beta1",
    "beta_2": "beta2",
    "b1": "beta1",
    "b2": "beta2",
    "epsilon": "eps",
}


def range_of(name: str) -> tuple[str, Callable[[int | float], bool]]:
    """What a value of the hyperparameter ``name``, the book's or a framework's, must be.

    Raises:
        KeyError: there is no such hyperparameter.
    """
    return RANGES[ELSEWHERE.get(name, name)]


def has_range(name: str) -> bool:
    """Whether ``name`` is a hyperparameter of the book or of a framework."""
    return ELSEWHERE.get(name, name) in RANGES


def check_number(name: str, value: object, where: str) -> int | float:
    """``value`` as a plain Python number, if it is in the range of the hyperparameter ``name``.

    A plain number takes on the precision of the array it meets; a NumPy float64 would make float64 of a float32 array.
    ``where`` begins the error message: the rule or schedule that was given the value.

    Raises:
        TypeError: the value is not a number.
        ValueError: the number is out of range.
    """
    return check_range(range_of(name), name, value, where)


def check_range(range_: tuple[str, Callable[[int | float], bool]], name: str, value: object, where: str) -> int | float:
    """Like `check_number`, for a value that belongs to no hyperparameter: ``range_`` is, say, ``FRACTION``."""
    words, holds = range_
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{where}: {name} must be {words}, got {value!r} of type {type(value).__name__}.")
    try:
        number = int(value) if range_ is COUNT and isinstance(value, Integral) else float(value)
        if holds(number):
            return number
    except OverflowError:  # a whole number larger than any float
        pass
    raise ValueError(f"{where}: {name} must be {words}, got {value!r}.")


def check_step(t: object, where: str) -> None:
    """Raise unless ``t`` is a step, counted from 0, or an array of steps; fractions of a step are steps too.

    Raises:
        TypeError: ``t`` is neither a number nor an array.
        ValueError: a step is negative or not finite.
    """
    array = is_array_api_obj(t)
    if isinstance(t, bool) or not (array or isinstance(t, Real)):
        raise TypeError(f"{where}: t must be a step or an array of steps, got {t!r} of type {type(t).__name__}.")
    holds = (t >= 0) & (t < math.inf)
    if not (holds.all() if array else holds):
        raise ValueError(f"{where}: t must be a step >= 0, got {t!r}.")


def check_names(given: Iterable[str], allowed: Iterable[str], where: str) -> None:
    """Raise a TypeError that names each unknown hyperparameter in ``given`` and the nearest one in ``allowed``."""
    allowed = list(allowed)
    for name in given:
        if name not in allowed:
            near = difflib.get_close_matches(name.lower(), allowed, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(allowed) or 'none'}."
            raise TypeError(f"{where}: unknown hyperparameter {name!r}; {hint}")
