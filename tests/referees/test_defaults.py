"""The frameworks' defaults are those of the installed versions, under the book's names."""

import pytest

from lib.dialects import DIALECTS
from lib.dialects.converter import TITLES, checked, choices, dialect_of
from lib.optimizers import RULES
from lib.referees.defaults import defaults, filled

NAMES = [name for name in RULES if any(name in dialects for dialects in DIALECTS.values())]


@pytest.mark.parametrize("framework", TITLES)
@pytest.mark.parametrize("name", NAMES)
def test_defaults_are_the_framework_s(framework, name):
    if not dialect_of(framework, name):
        return
    usual = defaults(framework, name)
    assert list(usual) == choices(framework, name)
    assert checked(framework, name, filled(framework, name)) == filled(framework, name)


def test_defaults_by_hand():
    assert defaults("torch", "adam") == {"lr": 0.001, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
    assert defaults("keras", "adam")["eps"] == 1e-7
    assert defaults("optax", "adam")["lr"] is None
    assert defaults("torch", "momentum") == {"lr": 0.001, "momentum": None}
    assert defaults("keras", "adagrad")["G"] == 0.1
    assert filled("optax", "momentum") == {"lr": 0.001, "momentum": 0.9}
