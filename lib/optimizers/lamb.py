"""LAMB: Adam's step, as long as the array that takes it is large."""

from lib.arrays import norm, ratio, sqrt
from lib.optimizers.rule import rule


@rule(each="array")
def lamb(x, g, m, v, t, *, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-6, weight_decay=0.01):
    """LAMB; its step is as long as lr times the norm of ``x``, in AdamW's direction.

    Where a norm is 0 there is no ratio, and it counts as 1: zeros can move.

    Source: You et al. 2020, arXiv 1904.00962, Algorithm 2, with phi(z) = z.
    """
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    u = m_hat / (sqrt(v_hat) + eps) + weight_decay * x
    return x - lr * ratio(norm(x), norm(u), otherwise=1.0) * u, m, v
