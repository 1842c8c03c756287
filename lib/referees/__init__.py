"""The frameworks as referees: each drives its own optimizer over a recorded sequence of gradients.

``recording.py`` says how two paths are compared; ``torch.py``, ``keras.py`` and ``optax.py`` are the only files of the
library that use those frameworks' optimizers. `proof` makes the table of a chapter.
"""

import importlib

import pandas as pd

from lib.dialects import keras as keras_dialect
from lib.dialects import optax as optax_dialect
from lib.dialects import torch as torch_dialect
from lib.optimizers import RULES
from lib.referees.recording import SHAPES, Deviation, Recording, compare, record, replay

__all__ = ["DIALECTS", "SHAPES", "Deviation", "Recording", "compare", "hyperparameters_for", "judge", "proof", "record",
           "replay", "spoken_by"]  # fmt: skip

DIALECTS = {"torch": torch_dialect, "keras": keras_dialect, "optax": optax_dialect}
TITLES = {"torch": "PyTorch", "keras": "Keras (TensorFlow)", "optax": "optax"}


def spoken_by(framework: str, name: str):
    """The rule of ours that ``framework`` computes under ``name``: its dialect's where it has one, else the paper's."""
    return getattr(DIALECTS[framework], name, RULES[name])


def hyperparameters_for(name: str, scale: float = 1e4) -> dict[str, float]:
    """The paper's hyperparameters, at a rate that makes steps of about 0.01 from gradients of size ``scale``.

    Rules that are linear in the gradient need a rate in proportion to 1 / scale, and a tenth of it where a velocity
    sums some ten gradients; the others divide the scale out.
    """
    linear = {"gradient_descent": 1.0, "momentum": 0.1, "nesterov": 0.1}
    lr = 0.01 * linear[name] / scale if name in linear else 1.0 if name == "adadelta" else 0.01
    return RULES[name].defaults | {"lr": lr}


def judge(framework: str, name: str, recording: Recording, hyperparameters: dict, ours=None) -> Deviation:
    """How far a rule of ours ends up from ``framework``'s, with Keras' float32 casts accounted for.

    Args:
        framework: "torch", "keras" or "optax".
        name: of the rule, as in ``lib.optimizers.RULES``.
        recording: fed to both sides.
        hyperparameters: of both sides.
        ours: our rule; by default the one that `spoken_by` names.
    """
    referee = importlib.import_module(f"lib.referees.{framework}")
    ours, given = ours or spoken_by(framework, name), hyperparameters
    if framework == "keras":
        ours, given = referee.accounted(name, ours, hyperparameters)
    return compare(replay(ours, recording, **given), referee.replay(name, recording, **hyperparameters))


def proof(name: str, steps: int = 200) -> pd.DataFrame:
    """Compare a rule with PyTorch, Keras and optax, here and now.

    Both sides get one recorded sequence of gradients with sizes from 1e-8 to 1e4, parameters of 0 to 3 dimensions, in
    float64, and the same hyperparameters.

    Returns:
        One row a comparison, as text to be read (``.deviation.astype(float)`` has the numbers). ``deviation`` is the
        largest absolute difference between the parameters of the two sides at any step; ``in ulps`` the same in units
        in the last place; ``cause`` says where it comes from.

    Raises:
        KeyError: there is no rule of that name.
    """
    if name not in RULES:
        raise KeyError(f"there is no rule {name!r}; choose one of {', '.join(RULES)}.")
    paper, recording, hyperparameters = RULES[name], record(steps), hyperparameters_for(name)
    rows = []

    def row(framework, which, ours, given, theirs, cause):
        deviation = compare(replay(ours, recording, **given), theirs)
        ulps = f"{deviation.ulps:.0f}" if deviation.ulps < 1000 else f"{deviation.ulps:.0e}"
        rows.append({"framework": TITLES[framework], "our rule": which, "deviation": f"{deviation.absolute:.1e}",
                     "in ulps": f"{ulps} ulp", "cause": cause})  # fmt: skip

    for framework in DIALECTS:
        referee = importlib.import_module(f"lib.referees.{framework}")
        theirs = referee.replay(name, recording, **hyperparameters)
        ours, which = spoken_by(framework, name), f"optimizers.{name}"
        if ours is not paper:
            row(framework, which, paper, hyperparameters, theirs, ours.__doc__.splitlines()[0])
            which = f"dialects.{framework}.{name}"
        given, cause = (ours, hyperparameters), "Rounding."
        if framework == "keras":
            given = referee.accounted(name, ours, hyperparameters)
        if given != (ours, hyperparameters):
            row(framework, which, ours, hyperparameters, theirs, "Keras casts hyperparameters to float32.")
            cause = "Rounding, casts accounted for."
        row(framework, which, *given, theirs, cause)
    return pd.DataFrame(rows).set_index(["framework", "our rule"])
