"""Update rules as pure functions, one file each, and the `Optimizer` that steps a model with one of them.

`RULES` lists every rule by name; ``rule.py`` says what a rule is.
"""

from lib.optimizers.adadelta import adadelta
from lib.optimizers.adagrad import adagrad
from lib.optimizers.adam import adam
from lib.optimizers.adamax import adamax
from lib.optimizers.adamw import adamw
from lib.optimizers.amsgrad import amsgrad
from lib.optimizers.gradient_descent import gradient_descent
from lib.optimizers.momentum import momentum, nesterov
from lib.optimizers.optimizer import Optimizer
from lib.optimizers.rmsprop import rmsprop
from lib.optimizers.rule import rule

RULES = {
    f.__name__: f
    for f in (
        gradient_descent, momentum, nesterov,
        adagrad, rmsprop, adadelta,
        adam, adamw, amsgrad, adamax,
    )
}  # fmt: skip

__all__ = ["RULES", "Optimizer", "rule", *RULES]
