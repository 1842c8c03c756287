"""The range of every hyperparameter, by name, and the error for a value outside it.

A name means one thing in the whole book, so its range is stated once, here.
"""

import difflib
import math
from collections.abc import Callable, Iterable
from numbers import Integral, Real

NON_NEGATIVE = ("a finite number >= 0", lambda v: isinstance(v, Real) and math.isfinite(v) and v >= 0)
FRACTION = ("a number in [0, 1)", lambda v: isinstance(v, Real) and 0 <= v < 1)
COUNT = ("a whole number >= 1", lambda v: isinstance(v, Integral) and v >= 1)
FACTOR = ("a number in (0, 1]", lambda v: isinstance(v, Real) and 0 < v <= 1)

RANGES: dict[str, tuple[str, Callable[[object], bool]]] = {
    "lr": NON_NEGATIVE,  # learning rate: parameter units per unit of the (normalised) gradient
    "momentum": FRACTION,  # share of the last velocity that is kept
    "beta1": FRACTION,  # memory of the average of gradients
    "beta2": FRACTION,  # memory of the average of squared gradients (Adam)
    "rho": FRACTION,  # memory of the average of squared gradients (RMSProp, Adadelta)
    "eps": NON_NEGATIVE,  # keeps a denominator away from zero
    "gamma": FACTOR,  # what a schedule multiplies the rate by
    "every": COUNT,  # steps between two changes of a schedule
}


def check_number(name: str, value: object, where: str) -> None:
    """Raise if ``value`` is outside the range of the hyperparameter ``name``.

    ``where`` begins the message: the rule or schedule that was given the value.

    Raises:
        TypeError: the value is not a number.
        ValueError: the number is out of range.
    """
    range_, holds = RANGES[name]
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{where}: {name} must be {range_}, got {value!r} of type {type(value).__name__}.")
    if not holds(value):
        raise ValueError(f"{where}: {name} must be {range_}, got {value!r}.")


def check_names(given: Iterable[str], allowed: Iterable[str], where: str) -> None:
    """Raise a TypeError that names each unknown hyperparameter in ``given`` and the nearest one in ``allowed``."""
    allowed = list(allowed)
    for name in given:
        if name not in allowed:
            near = difflib.get_close_matches(name, allowed, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(allowed)}."
            raise TypeError(f"{where}: unknown hyperparameter {name!r}; {hint}")
