"""Learning-rate schedules: pure functions of the step, which is counted from 0.

Give one to an optimizer with its numbers filled in:

    Optimizer(adam, lr=partial(step, lr=0.1, every=30))
"""

import functools

from lib.checks import check_number


def schedule(function):
    """Check a schedule's hyperparameters on each call; its body then is the equation alone.

    Raises (when the schedule is called):
        TypeError: a hyperparameter is not a number.
        ValueError: a hyperparameter or ``t`` is out of range.
    """

    @functools.wraps(function)
    def checked(t, **hyperparameters):
        for name, value in hyperparameters.items():
            check_number(name, value, function.__name__)
        if t < 0:
            raise ValueError(f"{function.__name__}: t must be a step >= 0, got {t!r}.")
        return function(t, **hyperparameters)

    return checked


@schedule
def constant(t, *, lr):
    """The same rate at every step."""
    return lr


@schedule
def step(t, *, lr, every, gamma=0.1):
    """``lr``, multiplied by ``gamma`` after each ``every`` steps (torch ``StepLR``)."""
    return lr * gamma ** (t // every)
