"""The table that chapters show holds what was compared."""

import importlib
import inspect

import numpy as np
import pytest

from lib.optimizers import RULES
from lib.optimizers.rule import named_for
from lib.referees import DIALECTS, hyperparameters_for, proof, record, replay, shapes_for


@pytest.mark.parametrize("framework", DIALECTS)
def test_a_dialect_holds_only_rules_that_differ(framework):
    """By more than the names of the hyperparameters: on some gradients it takes other steps than the paper's."""
    assert DIALECTS[framework].keys() <= RULES.keys()
    for name, dialect in DIALECTS[framework].items():
        if dialect.rule is not RULES[name]:
            apart = []
            for size, rate in (1e-3, 0.01), (1e-17, 1.0):  # at usual sizes and rates, all Adafactors are one
                recording = record(50, size, shapes=shapes_for(dialect.rule))
                given = hyperparameters_for(name, 1e-3) | {"lr": lambda step, rate=rate: rate * 0.9**step}
                paths = [replay(f, recording, **named_for(f, given)) for f in (RULES[name], dialect.rule)]
                apart.append(np.abs(paths[0] - paths[1]).max())
            assert max(apart) > 1e-10, name


@pytest.mark.parametrize("framework", DIALECTS)
def test_a_dialect_s_defaults_are_the_framework_s(framework):
    for name, dialect in DIALECTS[framework].items():
        parameters = inspect.signature(maker(dialect)).parameters
        for ours, theirs in dialect.names.items():
            if theirs is None:
                continue
            argument, _, index = theirs.rstrip("]").partition("[")
            default = parameters[argument].default
            default = default[int(index)] if index else default
            if argument == "momentum" and default in (0, None):  # off; a rule that has momentum has it switched on
                continue
            if default in (None, inspect.Parameter.empty):  # the framework chooses, or leaves it to the caller
                continue
            if framework in dialect.rule.__module__:
                (spoken,) = named_for(dialect.rule, {ours: None})
                mine = dialect.rule.defaults.get(spoken, dialect.rule.state.get(spoken))
                assert mine == default, (name, theirs)


def maker(dialect):
    """What makes a dialect's optimizer in its framework."""
    module, name = dialect.optimizer.rsplit(".", 1)
    return getattr(importlib.import_module(module), name)


def test_proof_of_adam():
    table = proof("adam", steps=50)
    deviation = table.deviation.astype(float)
    by_cause = dict(zip(table.cause, deviation, strict=True))
    assert by_cause["eps is added before the bias of v is removed."] > 1e-4
    assert 1e-9 < by_cause["Keras casts to float32."] < 1e-4
    assert by_cause["Rounding, casts accounted for."] <= 1e-14
    assert deviation["PyTorch"].max() <= 1e-14
    assert deviation["optax"].max() <= 1e-14


def test_proof_names_a_cause_only_where_there_is_one():
    """Adadelta at rate 1 gives Keras nothing to cast, and no framework has a dialect of it."""
    assert set(proof("adadelta", steps=20).cause) == {"Rounding."}


def test_proof_of_an_unknown_rule():
    with pytest.raises(KeyError, match="choose one of gradient_descent, momentum"):
        proof("adamm")
