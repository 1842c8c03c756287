"""LARS: momentum, with a learning rate of its own for each array."""

from lib.arrays import norm, ratio
from lib.optimizers.rule import rule


@rule(each="array")
def lars(x, g, v, *, lr=1.0, momentum=0.9, weight_decay=0.0005, trust_coefficient=0.001):
    """LARS; the local rate ``trust`` is the ratio of the norms of ``x`` and of its gradient.

    An array of zeros has the local rate 0: only what is left of ``v`` moves it.

    Source: You, Gitman & Ginsburg 2017, arXiv 1708.03888, Algorithm 1, with the
    sign of ``v`` that momentum has in this book; its polynomial decay of the rate is
    a schedule here.
    """
    trust = trust_coefficient * ratio(norm(x), norm(g) + weight_decay * norm(x), otherwise=0.0)
    v = momentum * v - lr * trust * (g + weight_decay * x)
    return x + v, v
