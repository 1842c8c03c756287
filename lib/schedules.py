"""Learning-rate schedules: pure functions of the step, which is counted from 0.

Give one to an optimizer with its numbers filled in:

    Optimizer(adam, lr=partial(step, lr=0.1, every=30))
"""

import functools
import inspect

from lib.checks import check_names, check_number, check_step


def schedule(function):
    """Check a schedule's arguments on each call; its body then is the equation alone.

    ``t`` is a step >= 0 and gives one rate, or an array of steps and gives an array of rates.

    Raises (when the schedule is called):
        TypeError: a hyperparameter is unknown or missing; it, or ``t``, is not a number.
        ValueError: a hyperparameter or ``t`` is out of range.
    """
    name = function.__name__
    hyperparameters = [p for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
    allowed = [p.name for p in hyperparameters]
    required = [p.name for p in hyperparameters if p.default is p.empty]

    @functools.wraps(function)
    def checked(t, *unnamed, **given):
        if unnamed:
            fill_in = ", ".join(f"{key}=..." for key in allowed)
            raise TypeError(f"{name}: name every number, as in partial({name}, {fill_in}); got {(t, *unnamed)!r}.")
        check_names(given, allowed, name)
        if missing := [key for key in required if key not in given]:
            fill_in = ", ".join(f"{key}=..." for key in missing)
            raise TypeError(f"{name}: no value for {', '.join(missing)}; fill it in: partial({name}, {fill_in}).")
        numbers = {key: check_number(key, value, name) for key, value in given.items()}
        check_step(t, name)
        return function(t, **numbers) + 0 * t  # an array of steps gives a rate for each of them

    return checked


@schedule
def constant(t, *, lr):
    """The same rate at every step."""
    return lr


@schedule
def step(t, *, lr, every, gamma=0.1):
    """``lr``, multiplied by ``gamma`` after each ``every`` steps (torch ``StepLR``)."""
    return lr * gamma ** (t // every)
