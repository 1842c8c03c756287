"""RMSProp: Adagrad that forgets."""

from lib.arrays import sqrt
from lib.optimizers.rule import rule


@rule
def rmsprop(x, g, v, *, lr=0.001, rho=0.9, eps=1e-8):
    """RMSProp; ``v`` is a moving average of the squared gradient.

    Source: Tieleman & Hinton 2012, lecture 6.5, slide 29 (rho = 0.9). The slide
    has no eps; it stands here where Adagrad and Adam put theirs, outside the root.
    """
    v = rho * v + (1 - rho) * g**2
    return x - lr * g / (sqrt(v) + eps), v
