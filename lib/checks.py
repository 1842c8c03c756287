"""The range of every hyperparameter, by name, and the error for a value outside it.

A name means one thing in the whole book, so its range is stated once, here; the few rules to which a number makes sense
in another range say so. The frameworks have names of their own for some; the dialects use those.
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
ENLARGEMENT = ("a finite number >= 1", lambda v: math.isfinite(v) and v >= 1)
COUNT = ("a whole number >= 1", lambda v: isinstance(v, int) and v >= 1)
WHOLE = ("a whole number >= 0", lambda v: isinstance(v, int) and v >= 0)
LENGTH = ("a finite number > 0", lambda v: math.isfinite(v) and v > 0)
SHARE = ("a number in (0, 1)", lambda v: 0 < v < 1)

RANGES: dict[str, tuple[str, Callable[[int | float], bool]]] = {
    "lr": NON_NEGATIVE,  # learning rate: parameter units per unit of the (normalized) gradient
    "momentum": FRACTION,  # share of the last velocity that is kept
    "beta1": FRACTION,  # memory of the average of gradients
    "beta2": FRACTION,  # memory of the average of squared gradients (Adam)
    "beta3": FRACTION,  # memory of the average of squared gradients (Adan, whose beta2 is that of their changes)
    "rho": FRACTION,  # memory of the average of squared gradients (RMSProp, Adadelta)
    "eps": NON_NEGATIVE,  # keeps a denominator away from zero
    "eps_root": NON_NEGATIVE,  # optax: the same, but under the root
    "gamma": FACTOR,  # what a schedule multiplies the rate by, and Sophia the curvature
    "every": COUNT,  # steps between two changes of a schedule, or of the bases of SOAP
    "start": NON_NEGATIVE,  # rate at the first step of a schedule that rises
    "end": NON_NEGATIVE,  # rate at the last step of a schedule, or the lowest of it
    "steps": LENGTH,  # how long a schedule takes; of restarts, the first run
    "steps_up": LENGTH,  # for how many of them the rate rises in a cycle
    "steps_down": LENGTH,  # and for how many it falls
    "warmup_steps": LENGTH,  # for how many the rate rises at the beginning
    "decay_steps": LENGTH,  # for how many the rate falls at the end
    "pct_start": SHARE,  # share of the steps for which the rate rises (one cycle)
    "div_factor": ENLARGEMENT,  # how many times the first rate the highest one is (one cycle)
    "final_div_factor": ENLARGEMENT,  # how many times the last rate the first one is (one cycle)
    "power": NON_NEGATIVE,  # of the share of steps left (polynomial decay)
    "decay_rate": NON_NEGATIVE,  # by what the divisor of the rate grows (inverse-time decay)
    "t_mult": ENLARGEMENT,  # how many times as long the next run is (restarts)
    "d_model": COUNT,  # width of a transformer
    "patience": COUNT,  # losses in a row without improvement after which the rate is cut
    "cooldown": WHOLE,  # losses after a cut that do not count
    "rtol": FRACTION,  # what a loss must improve by, as a share of the best
    "atol": NON_NEGATIVE,  # what it must improve by, as a loss
    "loss_threshold": FINITE,  # the loss at which a schedule begins anew
    "update_every": COUNT,  # steps between two curvatures that are used (Sophia)
    "eta_minus": FACTOR,  # what a step is multiplied by after the gradient's sign has changed (Rprop)
    "eta_plus": ENLARGEMENT,  # and after it has stayed
    "min_step_size": NON_NEGATIVE,  # the shortest step of Rprop
    "max_step_size": POSITIVE,  # and the longest
    "momentum_decay": NON_NEGATIVE,  # how fast the momentum of Nadam grows to beta1, where one can choose (PyTorch)
    "threshold": NON_NEGATIVE,  # of how many gradients RAdam must know the size to divide by it, likewise (optax)
    "limit": POSITIVE,  # largest entry or norm that clipping leaves a gradient; inf clips none
    "weight_decay": NON_NEGATIVE,  # pull toward zero: its share of x, per unit of the rate if it is decoupled
    "trust_coefficient": LENGTH,  # share of its norm that an array may move by in a step, per unit of the rate
    "eps1": NON_NEGATIVE,  # keeps means of squared gradients away from zero (Adafactor)
    "eps2": NON_NEGATIVE,  # size below which the size of an array no longer shortens its step (Adafactor)
    "clip_threshold": POSITIVE,  # largest root mean square of an update, before the rate (Adafactor); inf clips nothing
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
    "b3": "beta3",
    "update_interval": "update_every",
    "epsilon": "eps",
    "beta": "momentum",
    "epsilon_1": "eps1",
    "epsilon_2": "eps2",
    "d": "clip_threshold",
    "clipping_threshold": "clip_threshold",
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
        number = int(value) if range_ in (COUNT, WHOLE) and isinstance(value, Integral) else float(value)
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
    try:
        holds = bool(holds.all() if array else holds)
    except TypeError:  # jax.jit is compiling the schedule: there is no number to look at
        holds = True
    if not holds:
        raise ValueError(f"{where}: t must be a step >= 0, got {t!r}.")


def check_names(given: Iterable[str], allowed: Iterable[str], where: str) -> None:
    """Raise a TypeError that names each unknown hyperparameter in ``given`` and the nearest one in ``allowed``."""
    allowed = list(allowed)
    for name in given:
        if name not in allowed:
            near = difflib.get_close_matches(name.lower(), allowed, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(allowed) or 'none'}."
            raise TypeError(f"{where}: unknown hyperparameter {name!r}; {hint}")
