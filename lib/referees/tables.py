"""The book's tables of dialects, made from the dialects themselves and from the frameworks as they are installed."""

import importlib
import inspect

import pandas as pd

from lib.dialects import DIALECTS
from lib.dialects.dialect import Dialect
from lib.optimizers import RULES
from lib.referees.keras import keras

TITLES = {"torch": "PyTorch", "keras": "Keras", "optax": "optax"}


def maker(dialect: Dialect):
    """The class or function that makes a dialect's optimizer in its framework."""
    keras()  # silences TensorFlow, which Keras imports
    module, name = dialect.optimizer.rsplit(".", 1)
    return getattr(importlib.import_module(module), name)


def call(dialect: Dialect) -> str:
    """How a framework's optimizer is called to be the rule, with the framework's own defaults."""
    parameters = inspect.signature(maker(dialect)).parameters
    names = dict.fromkeys(theirs.split("[")[0] for theirs in dialect.names.values() if theirs)
    words = []
    for name in names:
        if name in dialect.fixed:
            continue
        default = parameters[name].default
        words.append(f"{name}=…" if default in (inspect.Parameter.empty, None) else f"{name}={default!r}")
    words += [f"{name}={value!r}" for name, value in dialect.fixed.items()]
    return f"{dialect.optimizer.removeprefix('keras.optimizers.').removeprefix('torch.optim.')}({', '.join(words)})"


def agreement(dialect: Dialect, paper) -> str:
    """What gives the paper's rule the same steps: the same hyperparameters, a mapping, or nothing."""
    mapping = dialect.to_paper
    if dialect.rule is paper:
        return "the same hyperparameters"
    return f"none: {mapping}" if isinstance(mapping, str) else inspect.getdoc(mapping).splitlines()[0]


def dialect_table() -> pd.DataFrame:
    """One row for each rule and framework that has it.

    Returns:
        Columns ``call``, with the framework's defaults; ``differs``, in what its rule is not the paper's; and
        ``agrees with the paper at``, the hyperparameters that make the two take the same steps.
    """
    rows = []
    for name, paper in RULES.items():
        for framework, dialects in DIALECTS.items():
            if name in dialects:
                dialect = dialects[name]
                differs = "" if dialect.rule is paper else inspect.getdoc(dialect.rule).splitlines()[0]
                rows.append({"rule": name, "framework": TITLES[framework], "call": call(dialect), "differs": differs,
                             "agrees with the paper at": agreement(dialect, paper)})  # fmt: skip
    return pd.DataFrame(rows).set_index(["rule", "framework"])
