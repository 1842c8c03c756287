"""What an update rule is: a pure function whose signature lists its whole state.

    @rule
    def momentum(x, g, v, *, lr=0.01, momentum=0.9):
        v = momentum * v - lr * g
        return x + v, v

``x`` is a parameter and ``g`` its gradient: arrays of one shape and one floating dtype, from NumPy, PyTorch or JAX.
The names after them, up to the star, are the rule's state: arrays that come back, in the same order, behind the new
``x``. They are like ``x`` and start at zero, unless the signature gives them a default: a number to start at, the name
of a hyperparameter whose value they start at, ``"x"`` for the parameter itself, or a function of ``x`` that makes an
array of another shape. Two names are special: ``t`` is the number of the step, counted from 1, and ``curvature``, right
behind ``g``, an estimate of the diagonal of the Hessian, which is given like the gradient. Behind the star stand the
hyperparameters with the paper's defaults.

Most rules step each entry of ``x`` on its own. One that does not says what it steps: ``@rule(each="array")``, if it
sees, say, the norm of ``x``, and ``@rule(each="matrix")``, if ``x`` must have two dimensions. One to which a number
makes sense in another range than in the rest of the book says so, too: ``@rule(beta1=FACTOR)``.

A rule changes none of its arguments and checks none of them: it is the equation. `Optimizer` steps a whole model with
it and does the checking.
"""

import functools
import inspect
from numbers import Real

from lib.arrays import namespace
from lib.checks import ELSEWHERE, check_names, has_range

EACH = ("entry", "array", "matrix")


def rule(function=None, *, each="entry", **ranges):
    """Read a rule's state and hyperparameters off its signature and attach them; the function itself is unchanged.

    Attributes set: ``state`` (dict of name to what it starts at), ``counts_steps`` (whether it takes ``t``),
    ``takes_curvature``, ``defaults`` (dict of hyperparameter to value; ``inspect.Parameter.empty`` where the signature
    gives none), ``each`` (what it steps on its own: "entry", "array" or "matrix") and ``ranges`` (dict of
    hyperparameter to range, as in ``lib.checks``, of those that have one of their own).

    Raises:
        TypeError: the signature is not ``(x, g, [curvature], *state, [t], *, hyperparameters)``, a state starts at
            something unheard of, a hyperparameter has no range in ``lib.checks.RANGES``, or ``ranges`` has one that the
            rule does not take.
        ValueError: ``each`` is unknown.
    """
    if each not in EACH:
        raise ValueError(f"each must be one of {', '.join(map(repr, EACH))}, got {each!r}.")
    if function is None:
        return functools.partial(rule, each=each, **ranges)
    name, signature = function.__name__, inspect.signature(function)
    parameters = signature.parameters.values()
    positional = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    defaults = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    curvature = positional[2:3] == ["curvature"]
    if (
        positional[:2] != ["x", "g"]
        or "t" in positional[:-1]
        or "curvature" in positional[3:]
        or len(positional) + len(defaults) < len(parameters)
    ):
        raise TypeError(
            f"{name}: a rule takes (x, g, its state, t if it needs it, *, its hyperparameters), not {signature}."
        )
    starts = {p.name: 0.0 if p.default is p.empty else p.default for p in parameters}
    state = {key: starts[key] for key in positional[2 + curvature :] if key != "t"}
    for key, value in state.items():
        if has_range(key):
            raise TypeError(f"{name}: {key} is a hyperparameter; put it behind a star: (..., *, {key}=...).")
        if not (isinstance(value, Real) or callable(value) or value == "x" or value in defaults):
            raise TypeError(
                f"{name}: {key} must start at a number, at 'x', at one of the hyperparameters {list(defaults)}, or at "
                f"what a function of x makes; got {value!r}."
            )
    for key in defaults:
        if not has_range(key):
            raise TypeError(f"{name}: give the hyperparameter {key!r} a range in lib.checks.RANGES.")
    check_names(ranges, defaults, name)
    function.state, function.defaults, function.each, function.ranges = state, defaults, each, ranges
    function.counts_steps, function.takes_curvature = "t" in positional, curvature
    return function


def first_state(rule, x, hyperparameters) -> dict:
    """The state of ``rule`` before its first step with the parameter ``x``.

    Args:
        rule: an update rule.
        x: the parameter, an array of any library or a float.
        hyperparameters: of the first step, as numbers; a state that has a number in the signature may be among them,
            with another number to start at.

    Returns:
        dict of state name to array of the dtype of ``x`` (to float, if ``x`` is one).
    """

    def begin(value):
        if callable(value):
            return value(x)
        if value == "x":
            return x
        value = hyperparameters.get(value, value)
        return float(value) if isinstance(x, float) else namespace(x).full_like(x, value)

    return {key: begin(hyperparameters.get(key, value)) for key, value in rule.state.items()}


def bare_step(rule, x, g, state: dict, t: int, **hyperparameters) -> tuple:
    """One step of ``rule``, and nothing checked: for many runs at once in one array, of which some may diverge.

    Args:
        rule: an update rule that takes no curvature.
        x, g: the parameter and its gradient.
        state: as `first_state` makes it, or as the last step left it.
        t: the number of the step, counted from 1; a rule that does not count ignores it.
        hyperparameters: numbers, or arrays that broadcast against ``x``: a rate for each run.

    Returns:
        ``x`` after the step, and the state.
    """
    new = rule(x, g, *state.values(), *((t,) if rule.counts_steps else ()), **hyperparameters)
    x, *values = new if rule.state else (new,)
    return x, dict(zip(rule.state, values, strict=True))


def named_for(rule, hyperparameters: dict) -> dict:
    """``hyperparameters``, under the book's names, under those that ``rule`` has for them: its framework's, maybe."""
    theirs = {ELSEWHERE.get(name, name): name for name in rule.defaults}
    return {theirs.get(ours, ours): value for ours, value in hyperparameters.items()}
