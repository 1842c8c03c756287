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


@rule
def centered_rmsprop(x, g, v, m, step, *, lr=1e-4, rho=0.95, momentum=0.9, eps=1e-4):
    """RMSProp by the standard deviation of the gradient, with momentum.

    ``v`` and ``m`` are moving averages of the squared gradient and of the gradient.
    Source: Graves 2013, arXiv 1308.0850, equations 38 to 45.
    """
    v = rho * v + (1 - rho) * g**2
    m = rho * m + (1 - rho) * g
    step = momentum * step - lr * g / sqrt(v - m**2 + eps)
    return x + step, v, m, step
