"""The table that chapters show holds what was compared."""

import importlib

import pytest

from lib.optimizers import RULES
from lib.referees import DIALECTS, proof, spoken_by


@pytest.mark.parametrize("framework", DIALECTS)
def test_every_rule_has_a_referee_in_every_framework(framework):
    assert importlib.import_module(f"lib.referees.{framework}").OPTIMIZERS.keys() == RULES.keys()


@pytest.mark.parametrize("framework", DIALECTS)
def test_a_dialect_holds_only_rules_that_differ(framework):
    for name in RULES:
        if hasattr(DIALECTS[framework], name):
            assert spoken_by(framework, name) is not RULES[name]


def test_proof_of_adam():
    table = proof("adam", steps=50)
    deviation = table.deviation.astype(float)
    by_cause = dict(zip(table.cause, deviation, strict=True))
    assert by_cause["eps is added before the bias of v is removed."] > 1e-4
    assert 1e-9 < by_cause["Keras casts hyperparameters to float32."] < 1e-4
    assert by_cause["Rounding, casts accounted for."] <= 1e-14
    assert deviation["PyTorch"].max() <= 1e-14
    assert deviation["optax"].max() <= 1e-14


def test_proof_names_a_cause_only_where_there_is_one():
    """Adadelta at rate 1 gives Keras nothing to cast, and no framework has a dialect of it."""
    assert set(proof("adadelta", steps=20).cause) == {"Rounding."}


def test_proof_of_an_unknown_rule():
    with pytest.raises(KeyError, match="choose one of gradient_descent, momentum"):
        proof("adamm")
