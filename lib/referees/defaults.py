"""The frameworks' own defaults, asked of their installed versions, under the book's names."""

import inspect
from numbers import Real

from lib.dialects import DIALECTS
from lib.dialects.converter import choices
from lib.optimizers import RULES
from lib.optimizers.rule import named_for
from lib.referees.tables import maker


def defaults(framework: str, name: str) -> dict[str, float | None]:
    """The defaults of a rule in "torch", "keras" or "optax", or of its "paper".

    Returns:
        All hyperparameters that one can choose there, under the book's names; None where there is no default, or one
        that switches the rule off, such as a momentum of 0.

    Raises:
        KeyError: the framework does not have the rule.
    """
    if framework == "paper":
        found = RULES[name].defaults | RULES[name].state
        return {key: _number(found[key]) for key in choices("paper", name)}
    dialect = DIALECTS[framework][name]
    parameters = inspect.signature(maker(dialect)).parameters
    result = {}
    for key in choices(framework, name):
        theirs, _, index = dialect.names[key].rstrip("]").partition("[")
        value = parameters[theirs].default
        value = _number(value[int(index)] if index else value)
        if value is None and framework == "torch" and name == "adafactor":  # that of float64, which it looks up itself
            value = dialect.rule.defaults[next(iter(named_for(dialect.rule, {key: 0})))]
        off = value == 0 if key == "momentum" else False
        result[key] = 0.0 if key == "weight_decay" and value is None else None if off else value
    return result


# What stands in for a default that is missing.
STAND_INS = {"lr": 0.001, "momentum": 0.9}


def filled(framework: str, name: str) -> dict[str, float]:
    """`defaults`, with 0.001 for a missing rate (Adadelta: 1) and 0.9 for a missing momentum."""
    stand_ins = STAND_INS | ({"lr": 1.0} if name == "adadelta" else {})
    return {key: stand_ins[key] if value is None else value for key, value in defaults(framework, name).items()}


def _number(value) -> float | None:
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    return value if isinstance(value, int) else float(value)  # a count stays one
