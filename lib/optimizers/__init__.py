"""Update rules as pure functions, one file each, and the `Optimizer` that steps a model with one of them.

`RULES` lists every rule by name; ``rule.py`` says what a rule is.
"""

from lib.optimizers.adadelta import adadelta
from lib.optimizers.adafactor import adafactor
from lib.optimizers.adagrad import adagrad
from lib.optimizers.adam import adam
from lib.optimizers.adamax import adamax
from lib.optimizers.adamw import adamw
from lib.optimizers.adan import adan
from lib.optimizers.amsgrad import amsgrad
from lib.optimizers.averaging import accumulate, ema, polyak
from lib.optimizers.clipping import clip_adaptively, clip_by_global_norm, clip_by_norm, clip_by_value
from lib.optimizers.gradient_descent import gradient_descent
from lib.optimizers.lamb import lamb
from lib.optimizers.lars import lars
from lib.optimizers.lion import lion
from lib.optimizers.momentum import momentum, nesterov
from lib.optimizers.muon import muon
from lib.optimizers.nadam import nadam
from lib.optimizers.optimizer import Optimizer
from lib.optimizers.radam import radam
from lib.optimizers.rmsprop import centered_rmsprop, rmsprop
from lib.optimizers.rprop import rprop
from lib.optimizers.rule import rule
from lib.optimizers.schedule_free import schedule_free_adamw, schedule_free_sgd
from lib.optimizers.shampoo import shampoo
from lib.optimizers.soap import soap
from lib.optimizers.sophia import sophia
from lib.optimizers.weight_decay import decoupled, l2

RULES = {
    f.__name__: f
    for f in (
        gradient_descent, momentum, nesterov,
        rprop, adagrad, rmsprop, centered_rmsprop, adadelta,
        adam, adamw, amsgrad, adamax, nadam, radam,
        lion, adan, sophia, schedule_free_sgd, schedule_free_adamw,
        lars, lamb, adafactor,
        shampoo, soap, muon,
    )
}  # fmt: skip

__all__ = [
    "RULES", "Optimizer", "rule", *RULES,
    "l2", "decoupled", "clip_by_value", "clip_by_norm", "clip_by_global_norm", "clip_adaptively",
    "ema", "polyak", "accumulate",
]  # fmt: skip
