"""Adan: Adam with the change of the gradient added, which looks ahead as Nesterov does."""

from lib.arrays import sqrt, where
from lib.optimizers.rule import rule


@rule
def adan(
    x, g, m, v, n, previous, t,
    *, lr=0.001, beta1=0.98, beta2=0.92, beta3=0.99, eps=1e-8, weight_decay=0.02
):  # fmt: skip
    """Adan; ``m``, ``v`` and ``n`` are moving averages of the gradient, of its change
    since ``previous``, the last one, and of the square of where it is heading.

    Source: Xie et al. 2022, arXiv 2208.06677, Algorithm 1, without restarts. Each
    beta is 1 minus the paper's, as in its authors' code, whose defaults these are;
    the weight decay is that of the paper's experiments.
    """
    change = where(t == 1, 0 * g, g - previous)
    ahead = (g + beta2 * change) ** 2
    m = where(t == 1, g, beta1 * m + (1 - beta1) * g)
    v = where(t == 2, change, beta2 * v + (1 - beta2) * change)
    n = where(t == 1, ahead, beta3 * n + (1 - beta3) * ahead)
    step = lr / (sqrt(n) + eps) * (m + beta2 * v)
    return (x - step) / (1 + lr * weight_decay), m, v, n, 1 * g
