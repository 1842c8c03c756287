"""The frameworks as referees: each drives its own optimizer over a recorded sequence of gradients.

``recording.py`` says how two paths are compared; ``torch.py``, ``keras.py`` and ``optax.py`` are the only files of the
library that use those frameworks' optimizers. `proof` makes the table of a chapter.
"""

import importlib
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.dialects import DIALECTS
from lib.optimizers import RULES
from lib.optimizers.rule import named_for
from lib.referees import recording as ours
from lib.referees.recording import (
    SHAPES, Deviation, Recording, compare, compare_states, record, replay, shapes_for,
)  # fmt: skip

__all__ = ["DIALECTS", "SHAPES", "Deviation", "Judgment", "Recording", "compare", "hyperparameters_for", "judge",
           "proof", "record", "referee", "replay", "shapes_for"]  # fmt: skip

TITLES = {"torch": "PyTorch", "keras": "Keras", "optax": "optax"}

# Rules whose steps grow with the gradient need a rate in proportion to 1 / its size, and a tenth of it where a velocity
# sums some ten gradients; Adadelta makes a rate of its own; the others divide the size out.
RATES = {
    "gradient_descent": lambda size: 0.01 / size,
    "momentum": lambda size: 0.001 / size,
    "nesterov": lambda size: 0.001 / size,
    "adadelta": lambda size: 1.0,
    "lars": lambda size: 1.0,  # of which its trust coefficient leaves a thousandth
    "centered_rmsprop": lambda size: 0.0001,
    "radam": lambda size: 0.01 / max(size, 1) ** 0.5,  # five steps that grow with the gradient, then some that do not
    "schedule_free_sgd": lambda size: 0.01 / size,
}

# What the paper leaves at a value that would hide a hyperparameter from the proof; functions are of the gradients' size.
SHOWN: dict[str, dict] = {
    "lion": {"weight_decay": 0.1},
    "lamb": {"weight_decay": 0.1},
    "muon": {"weight_decay": 0.1},
    "sophia": {"gamma": 0.5},  # a third of the steps are clipped; with the paper's 0.01 nearly all are
    "schedule_free_sgd": {"weight_decay": lambda size: 0.1 * size},  # which goes through the gradient
    "schedule_free_adamw": {"weight_decay": 0.1},
    "rprop": {"min_step_size": 0.001, "max_step_size": 0.02},
    "centered_rmsprop": {"rho": 0.999},  # as long as the recordings: with less, a constant gradient loses its spread
}


@dataclass(frozen=True)
class Judgment(Deviation):
    """A deviation, and how far the states lie apart, each as a share of the largest value that it takes."""

    states: dict[str, float]


def referee(framework: str):
    """The module that drives ``framework``: "torch", "keras" or "optax"."""
    return importlib.import_module(f"lib.referees.{framework}")


def hyperparameters_for(name: str, size: float = 1e4) -> dict:
    """The paper's hyperparameters, at a rate that makes steps of about 0.01 from gradients of ``size``."""
    rate = RATES.get(name, lambda size: 0.01)(size)
    shown = {key: value(size) if callable(value) else value for key, value in SHOWN.get(name, {}).items()}
    return RULES[name].defaults | shown | {"lr": rate}


def judge(framework: str, name: str, recording: Recording, hyperparameters: dict, rule=None, array=None) -> Judgment:
    """How far a rule of ours ends up from ``framework``'s, with Keras' float32 casts accounted for.

    Args:
        framework: "torch", "keras" or "optax".
        name: of the rule, as in ``lib.optimizers.RULES``.
        recording: fed to both sides.
        hyperparameters: of both sides, under the book's names.
        rule: ours; by default the framework's dialect of it.
        array: makes, of a NumPy array, what both sides step; by default NumPy steps ours.

    Raises:
        KeyError: the framework does not have the rule.
    """
    dialect, made = DIALECTS[framework][name], {"array": array} if array else {}
    theirs = list(referee(framework).run(name, recording, **made, **hyperparameters))
    given = referee("keras").accounted(name, hyperparameters) if framework == "keras" else hyperparameters
    right = referee("keras").rule_as_cast(name) if framework == "keras" else dialect.rule
    return _judge(rule or right, recording, given, theirs, made)


def _judge(rule, recording, given, theirs, made) -> Judgment:
    mine = list(ours.run(rule, recording, **made, **named_for(rule, given)))
    deviation = compare(*(np.stack([moment.params for moment in moments]) for moments in (mine, theirs)))
    return Judgment(deviation.absolute, deviation.ulps, compare_states(mine, theirs))


def proof(name: str, steps: int = 200) -> pd.DataFrame:
    """Compare a rule with the frameworks that have it, here and now.

    Both sides get one recorded sequence of gradients with sizes from 1e-8 to 1e4, parameters of 0 to 4 dimensions, or
    matrices, in float64, and the same hyperparameters.

    Returns:
        One row a comparison, none if no framework has the rule, as text to be read (``.deviation.astype(float)`` has
        the numbers). ``deviation`` is the largest absolute difference between the parameters of the two sides at any
        step; ``in ulps`` the same in units in the last place; ``cause`` says where it comes from.

    Raises:
        KeyError: there is no rule of that name.
    """
    if name not in RULES:
        raise KeyError(f"there is no rule {name!r}; choose one of {', '.join(RULES)}.")
    recording, hyperparameters = record(steps, shapes=shapes_for(RULES[name])), hyperparameters_for(name)
    rows = []

    def row(framework, which, theirs, rule, given, cause):
        deviation = _judge(rule, recording, given, theirs, {})
        ulps = f"{deviation.ulps:.0f}" if deviation.ulps < 1000 else f"{deviation.ulps:.0e}"
        rows.append({"framework": TITLES[framework], "our rule": which, "deviation": f"{deviation.absolute:.1e}",
                     "in ulps": f"{ulps} ulp", "cause": cause})  # fmt: skip

    for framework, dialects in DIALECTS.items():
        if name not in dialects:
            continue
        dialect, which = dialects[name], f"optimizers.{name}"
        theirs = list(referee(framework).run(name, recording, **hyperparameters))
        if dialect.rule is not RULES[name]:
            row(framework, which, theirs, RULES[name], hyperparameters, dialect.rule.__doc__.splitlines()[0])
            which = f"dialects.{framework}.{name}"
        rule, given, cause = dialect.rule, hyperparameters, "Rounding."
        if framework == "torch" and name in referee("torch").ROUNDS:
            rounded = list(referee("torch").run(name, recording, as_it_is=True, **hyperparameters))
            row(framework, which, rounded, rule, hyperparameters, referee("torch").ROUNDS[name])
            cause = "Rounding, with PyTorch in float64."
        if framework == "keras":
            rule, given = referee("keras").rule_as_cast(name), referee("keras").accounted(name, hyperparameters)
        if given != hyperparameters:
            row(framework, which, theirs, dialect.rule, hyperparameters, "Keras casts to float32.")
            cause = "Rounding, casts accounted for."
        row(framework, which, theirs, rule, given, cause)
    columns = ["framework", "our rule", "deviation", "in ulps", "cause"]
    return pd.DataFrame(rows, columns=columns).set_index(columns[:2])
