"""The table that chapters show holds what was compared."""

import importlib
import inspect

import pytest

from lib.optimizers import RULES
from lib.optimizers.rule import named_for
from lib.referees import DIALECTS, compare, hyperparameters_for, proof, record, replay


@pytest.mark.parametrize("framework", DIALECTS)
def test_a_dialect_holds_only_rules_that_differ(framework):
    """By more than the names of the hyperparameters: on some gradients it takes other steps than the paper's."""
    assert DIALECTS[framework].keys() <= RULES.keys()
    for name, dialect in DIALECTS[framework].items():
        if dialect.rule is not RULES[name]:
            recording = record(50, 1e-3)
            hyperparameters = hyperparameters_for(name, 1e-3) | {"lr": lambda step: 0.01 * 0.9**step}
            paper, theirs = (replay(f, recording, **named_for(f, hyperparameters)) for f in (RULES[name], dialect.rule))
            assert compare(paper, theirs).absolute > 1e-10


@pytest.mark.parametrize("framework", DIALECTS)
def test_a_dialect_s_defaults_are_the_framework_s(framework):
    for name, dialect in DIALECTS[framework].items():
        parameters = inspect.signature(maker(dialect)).parameters
        for ours, theirs in dialect.names.items():
            argument, _, index = theirs.rstrip("]").partition("[")
            default = parameters[argument].default
            if argument == "momentum" and default in (0, None):  # off; a rule that has momentum has it switched on
                continue
            if dialect.rule is not RULES[name] and framework in dialect.rule.__module__:
                spoken = named_for(dialect.rule, {ours: None})
                (ours,) = spoken
                mine = dialect.rule.defaults.get(ours, dialect.rule.state.get(ours))
                assert mine == (default[int(index)] if index else default), (name, theirs)


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
