"""A rule's defaults are those of the source that its docstring names; where that leaves one open, the authors' code's.

Written down a second time, as the proofs hand the same numbers to both sides and would not notice another.
"""

import pytest

from lib.optimizers import RULES

ADAM = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
DEFAULTS = {
    "gradient_descent": {"lr": 0.01},
    "momentum": {"lr": 0.01, "momentum": 0.9},
    "nesterov": {"lr": 0.01, "momentum": 0.9},
    "rprop": {"lr": 0.1, "eta_minus": 0.5, "eta_plus": 1.2, "min_step_size": 1e-6, "max_step_size": 50},
    "adagrad": {"lr": 0.01, "eps": 1e-10},
    "rmsprop": {"lr": 0.001, "rho": 0.9, "eps": 1e-8},
    "centered_rmsprop": {"lr": 1e-4, "rho": 0.95, "momentum": 0.9, "eps": 1e-4},
    "adadelta": {"lr": 1, "rho": 0.95, "eps": 1e-6},
    "adam": ADAM | {"lr": 0.001},
    "adamw": ADAM | {"lr": 0.001, "weight_decay": 0.01},
    "amsgrad": ADAM | {"lr": 0.001},
    "adamax": ADAM | {"lr": 0.002},
    "nadam": ADAM | {"lr": 0.002},
    "radam": ADAM | {"lr": 0.001},
    "lion": {"lr": 1e-4, "beta1": 0.9, "beta2": 0.99, "weight_decay": 0},
    "adan": {"lr": 0.001, "beta1": 0.98, "beta2": 0.92, "beta3": 0.99, "eps": 1e-8, "weight_decay": 0.02},
    "sophia": {"lr": 1e-4, "beta1": 0.96, "beta2": 0.99, "gamma": 0.01, "eps": 1e-12, "weight_decay": 0.1,
               "update_every": 10},
    "schedule_free_sgd": {"lr": 1, "beta1": 0.9, "weight_decay": 0},
    "schedule_free_adamw": ADAM | {"lr": 0.0025, "weight_decay": 0},
    "lars": {"lr": 1, "momentum": 0.9, "weight_decay": 0.0005, "trust_coefficient": 0.001},
    "lamb": ADAM | {"lr": 0.001, "eps": 1e-6, "weight_decay": 0.01},
    "adafactor": {"lr": 0.01, "eps1": 1e-30, "eps2": 0.001, "clip_threshold": 1},
    "shampoo": {"lr": 1, "eps": 1e-4},
    "soap": {"lr": 0.003, "beta1": 0.95, "beta2": 0.95, "eps": 1e-8, "every": 10},
    "muon": {"lr": 0.02, "momentum": 0.95, "eps": 1e-7, "weight_decay": 0},
}  # fmt: skip
# A state that does not start at zero.
STARTS = {
    "rprop": {"size": "lr"},
    "nadam": {"mu_product": 1},
    "schedule_free_sgd": {"z": "x"},
    "schedule_free_adamw": {"z": "x"},
}


@pytest.mark.parametrize("name", RULES)
def test_defaults(name):
    assert RULES[name].defaults == DEFAULTS[name]


@pytest.mark.parametrize("name", RULES)
def test_starts(name):
    starts = {key: value for key, value in RULES[name].state.items() if not callable(value)}
    assert starts == dict.fromkeys(starts, 0) | STARTS.get(name, {})
