"""Adadelta: a step in the units of the parameter, as long as recent steps were."""

from lib.arrays import sqrt
from lib.optimizers.rule import rule


@rule
def adadelta(x, g, v, u, *, lr=1.0, rho=0.95, eps=1e-6):
    """Adadelta; ``v`` and ``u`` are moving averages of squared gradients and steps.

    Source: Zeiler 2012, arXiv 1212.5701, Algorithm 1, which has no learning rate:
    lr = 1 is the paper.
    """
    v = rho * v + (1 - rho) * g**2
    step = sqrt(u + eps) / sqrt(v + eps) * g
    u = rho * u + (1 - rho) * step**2
    return x - lr * step, v, u
