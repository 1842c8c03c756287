"""Weight decay for any update rule: through the gradient (L2), or beside the step (decoupled).

    Optimizer(l2(adam), weight_decay=0.01)
    Optimizer(decoupled(momentum), weight_decay=0.01)

Both make a rule of a rule. For gradient descent they are one and the same; where gradients are gathered or divided,
as in Adam, they are not.
"""

import inspect

from lib.checks import ELSEWHERE
from lib.optimizers.rule import rule as as_rule


def l2(rule):
    """``rule`` on the gradient of the loss plus weight_decay / 2 times the squared
    norm of ``x``: the decay is gathered and divided like any gradient.

    Source: Loshchilov & Hutter 2019, arXiv 1711.05101, Algorithms 1 and 2, line 6.
    Elsewhere: ``weight_decay`` in torch.optim's SGD, Adagrad, RMSprop, Adadelta and
    Adam; ``optax.add_decayed_weights`` before the rule.

    Raises:
        TypeError: ``rule`` is not a rule, or has a weight decay of its own.
    """

    def decayed(x, g, *others, weight_decay, **hyperparameters):
        return rule(x, g + weight_decay * x, *others, **hyperparameters)

    return _as_rule(decayed, rule, l2)


def decoupled(rule):
    """``rule``, which does not see the decay, and beside its step ``x`` loses its
    share lr * weight_decay.

    Source: Loshchilov & Hutter 2019, arXiv 1711.05101, Algorithm 1, line 9, for SGD
    with momentum. The paper's lambda, which its schedule multiplies but its rate does
    not, is weight_decay times the rate before the schedule.

    Elsewhere: ``weight_decay`` in every optimizer of Keras and in PyTorch's AdamW,
    where ``x`` shrinks first and then makes the step: the same but for rounding, if
    the step does not depend on ``x``; ``optax.add_decayed_weights`` between the rule
    and ``scale_by_learning_rate``.

    Raises:
        TypeError: ``rule`` is not a rule, has no learning rate, or a weight decay of
            its own.
    """

    def decayed(x, g, *others, weight_decay, **hyperparameters):
        new = rule(x, g, *others, **hyperparameters)
        lost = hyperparameters.get(rate, default) * weight_decay * x
        return (new[0] - lost, *new[1:]) if rule.state else new - lost

    made = _as_rule(decayed, rule, decoupled)
    rates = [name for name in rule.defaults if ELSEWHERE.get(name, name) == "lr"]
    if not rates:
        raise TypeError(f"decoupled: {rule.__name__} has no learning rate that could scale the decay; try l2.")
    rate, default = rates[0], rule.defaults[rates[0]]
    return made


def _as_rule(decayed, rule, combinator):
    """``decayed`` as a rule, named l2(adam), say: with the signature of ``rule``, and ``weight_decay`` at its end."""
    name = combinator.__name__
    if not (callable(rule) and hasattr(rule, "counts_steps")):
        raise TypeError(f"{name}: rule must be an update rule such as lib.optimizers.adam, not {rule!r}.")
    if "weight_decay" in rule.defaults:
        raise TypeError(f"{name}: {rule.__name__} has a weight decay of its own; use it as it is.")
    weight_decay = inspect.Parameter("weight_decay", inspect.Parameter.KEYWORD_ONLY)
    signature = inspect.signature(rule)
    decayed.__signature__ = signature.replace(parameters=[*signature.parameters.values(), weight_decay])
    decayed.__name__ = decayed.__qualname__ = f"{name}({rule.__name__})"
    decayed.__doc__ = f"{rule.__name__} with weight decay; see `lib.optimizers.{name}`.\n\n{inspect.getdoc(rule)}"
    return as_rule(decayed, each=rule.each, **rule.ranges)
