"""What an update rule is: a pure function whose signature lists its whole state.

    @rule
    def momentum(x, g, v, *, lr=0.01, momentum=0.9):
        v = momentum * v - lr * g
        return x + v, v

``x`` is a parameter and ``g`` its gradient: arrays of one shape and one floating dtype, from NumPy, PyTorch or JAX.
The names after them, up to the star, are the rule's state: arrays like ``x`` that come back, in the same order, behind
the new ``x``; they start at zero, or at the default value that the signature gives them. One name is special: ``t`` is
the number of the step, counted from 1. Behind the star stand the hyperparameters with the paper's defaults.

A rule changes none of its arguments and checks none of them: it is the equation. `Optimizer` steps a whole model with
it and does the checking.
"""

import inspect
from numbers import Real

from lib.checks import RANGES


def rule(function):
    """Read a rule's state and hyperparameters off its signature and attach them; the function itself is unchanged.

    Attributes set: ``state`` (dict of name to starting value), ``counts_steps`` (whether it takes ``t``) and
    ``defaults`` (dict of hyperparameter to value; ``inspect.Parameter.empty`` where the signature gives none).

    Raises:
        TypeError: the signature is not ``(x, g, *state, [t], *, hyperparameters)``, a starting value is not a number,
            or a hyperparameter has no range in ``lib.checks.RANGES``.
    """
    signature = inspect.signature(function)
    parameters = signature.parameters.values()
    positional = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    defaults = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    if positional[:2] != ["x", "g"] or "t" in positional[:-1] or len(positional) + len(defaults) < len(parameters):
        raise TypeError(
            f"{function.__name__}: a rule takes (x, g, its state, t if it needs it, *, its hyperparameters), "
            f"not {signature}."
        )
    starts = {p.name: 0.0 if p.default is p.empty else p.default for p in parameters}
    state = {name: starts[name] for name in positional[2:] if name != "t"}
    for name, value in state.items():
        if name in RANGES:
            raise TypeError(
                f"{function.__name__}: {name} is a hyperparameter; put it behind a star: (..., *, {name}=...)."
            )
        if not isinstance(value, Real):
            raise TypeError(f"{function.__name__}: {name} must start at a number, not at {value!r}.")
    for name in defaults:
        if name not in RANGES:
            raise TypeError(f"{function.__name__}: give the hyperparameter {name!r} a range in lib.checks.RANGES.")
    function.state, function.counts_steps, function.defaults = state, "t" in positional, defaults
    return function
