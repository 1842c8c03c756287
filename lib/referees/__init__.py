"""The frameworks as referees: each drives its own optimizer over a recorded sequence of gradients.

``recording.py`` says how two paths are compared; ``torch.py``, ``keras.py`` and ``optax.py`` are the only files of the
library that use those frameworks' optimizers. `proof` makes the table of a chapter.
"""

import functools
import importlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.dialects import DIALECTS
from lib.optimizers import RULES
from lib.optimizers.rule import named_for
from lib.referees import recording as ours
from lib.referees.recording import (
    SHAPES,
    Deviation,
    Recording,
    compare,
    compare_states,
    record,
    replay,
    shapes_for,
)  # fmt: skip

__all__ = [
    "BOUND",
    "DIALECTS",
    "RECORDINGS",
    "SHAPES",
    "WIDER",
    "Deviation",
    "Judgment",
    "Recording",
    "compare",
    "hyperparameters_for",
    "judge",
    "judgments",
    "proof",
    "record",
    "referee",
    "replay",
    "shapes_for",
    "task",
]  # fmt: skip

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
    "lion": lambda size: 2.0**-7,  # its steps are all of one length, which would be rounded the same way each time
    "radam": lambda size: 0.01 / max(size, 1) ** 0.5,  # five steps that grow with the gradient, then some that do not
    "schedule_free_sgd": lambda size: 0.01 / size,
}

# What the paper leaves at a value that would hide it from the proof; functions are of the size of gradients.
SHOWN: dict[str, dict] = {
    "lion": {"weight_decay": 0.125},  # where x shrinks first, 1 - lr * weight_decay would be rounded once for all steps
    "lamb": {"weight_decay": 0.1},
    "muon": {"weight_decay": 0.1},
    "sophia": {"gamma": 0.5},  # a third of the steps are clipped; with the paper's 0.01 nearly all are
    "schedule_free_sgd": {"weight_decay": lambda size: 0.1 * size},  # which goes through the gradient
    "schedule_free_adamw": {"weight_decay": 0.1},
    "rprop": {"min_step_size": 0.001, "max_step_size": 0.02},
    "centered_rmsprop": {"rho": 0.999},  # as long as the recordings: with less, a constant gradient loses its spread
}

pd.set_option("display.max_colwidth", None)  # a cause is read to its end

# How far a rule may be from a framework's after 1,000 steps that start near 1: 45 ulps there. Two sides round 1,000
# times each, by some 0.3 ulp: a random walk of 0.3 * sqrt(2000) = 13 ulps. What goes beyond it has a cause, by rule and
# framework; a test beside the rule's proof takes the cause away, and the deviation with it.
BOUND = 1e-14
WIDER = {
    # 1 - 1e-4 is too large by 1.1e-17: 3e-14 of an x of 2.8. Two more roundings a step walk by up to 2e-14.
    ("adamw", "torch"): (5e-14, "PyTorch shrinks x first, by a factor that is rounded alike at each step."),
    ("nadam", "torch"): (3e-14, "PyTorch adds the step in two parts: x is rounded twice."),
    # 1 / beta1 is off by up to 2**-53 of it, and so is each average that optax finds from x and z. An average of
    # averages keeps half of what the steps add: 1000 / 2 * 2**-53 of an x of up to 2.
    ("schedule_free_sgd", "optax"): (
        1000 * 2**-53,
        "XLA multiplies by 1 / beta1, which is rounded alike at each step.",
    ),
    ("schedule_free_adamw", "optax"): (
        1000 * 2**-53,
        "XLA multiplies by 1 / beta1, which is rounded alike at each step.",
    ),
    ("schedule_free_adamw", "keras"): (
        1000 * 2**-53,
        "Keras finds an average and undoes it; TensorFlow multiplies by 1 / beta1, rounded alike each time.",
    ),
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


# Gradients of one size, or of any from 1e-8 to 1e4; or constant, sparse, of flipping sign, or zero for a long while.
RECORDINGS = {
    "every_size": {"scale": (1e-8, 1e4)},
    "1e-8": {"scale": 1e-8},
    "1": {"scale": 1.0},
    "1e4": {"scale": 1e4},
    "patterns": {"scale": 1.0, "patterns": True},
}
record_once = functools.cache(record)


def task(name: str, recording: str, steps: int = 1000) -> tuple[Recording, dict]:
    """One of `RECORDINGS`, and the rule's hyperparameters for it; those of "patterns" have a rate that changes."""
    given = RECORDINGS[recording]
    largest = max(given["scale"]) if isinstance(given["scale"], tuple) else given["scale"]
    hyperparameters = hyperparameters_for(name, largest)
    if given.get("patterns"):  # a constant gradient leads far from 1, where an ulp is larger, unless the rate is small
        rate = hyperparameters["lr"] / 10
        hyperparameters["lr"] = lambda step: rate * (1 + math.sin(step)) / 2
    return record_once(steps, **given, shapes=shapes_for(RULES[name])), hyperparameters


def judgments(
    name: str, recording: Recording, hyperparameters: dict, array=None, frameworks=tuple(DIALECTS)
) -> Iterator[dict]:
    """Every comparison of a rule with the frameworks that have it.

    Where a framework differs from the paper, the paper's rule is compared and then the dialect's; where it casts
    numbers to a shorter type, it is compared as it is and then with the casts accounted for.

    Args:
        name, recording, hyperparameters, array: as in `judge`.
        frameworks: which ones.

    Yields:
        dict of ``framework``, ``our rule`` (its place in ``lib``), ``judgment``, and its ``cause``.
    """
    made = {"array": array} if array else {}

    def compared(framework, which, cause, rule, given, theirs):
        judgment = _judge(rule, recording, given, theirs, made)
        return {"framework": framework, "our rule": which, "judgment": judgment, "cause": cause}

    for framework in frameworks:
        if name not in DIALECTS[framework]:
            continue
        rule, which, by = DIALECTS[framework][name].rule, f"optimizers.{name}", referee(framework)
        theirs = list(by.run(name, recording, **made, **hyperparameters))
        if rule is not RULES[name]:
            differs = rule.__doc__.splitlines()[0]
            yield compared(framework, which, differs, RULES[name], hyperparameters, theirs)
            which = f"dialects.{framework}.{name}"
        given, cause = hyperparameters, WIDER.get((name, framework), (BOUND, "Rounding."))[1]
        if framework == "torch" and name in by.ROUNDS:
            rounded = list(by.run(name, recording, as_it_is=True, **made, **hyperparameters))
            yield compared(framework, which, by.ROUNDS[name], rule, given, rounded)
            cause = f"{cause.removesuffix('.')}, with PyTorch in float64."
        if framework == "keras" and (by.accounted(name, given) != given or by.rule_as_cast(name) is not rule):
            yield compared(framework, which, "Keras casts to float32.", rule, given, theirs)
            rule, given, cause = (
                by.rule_as_cast(name),
                by.accounted(name, given),
                f"{cause.removesuffix('.')}, casts accounted for.",
            )
        yield compared(framework, which, cause, rule, given, theirs)


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
    rows = []
    for it in judgments(name, *task(name, "every_size", steps)):
        absolute, ulps = it["judgment"].absolute, it["judgment"].ulps
        ulps = f"{ulps:.0f} ulp" if ulps < 1000 else f"{ulps:.0e} ulp"
        rows.append({"framework": TITLES[it["framework"]], "our rule": it["our rule"], "deviation": f"{absolute:.1e}",
                     "in ulps": ulps, "cause": it["cause"]})  # fmt: skip
    columns = ["framework", "our rule", "deviation", "in ulps", "cause"]
    return pd.DataFrame(rows, columns=columns).set_index(columns[:2])
