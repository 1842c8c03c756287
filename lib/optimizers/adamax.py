"""Adamax: Adam with the largest recent gradient in place of the root mean square."""

from lib.arrays import maximum
from lib.optimizers.rule import rule


@rule
def adamax(x, g, m, u, t, *, lr=0.002, beta1=0.9, beta2=0.999, eps=1e-8):
    """Adamax; ``u`` is the largest gradient so far, where old ones fade.

    Source: Kingma & Ba 2015, arXiv 1412.6980, section 7.1, Algorithm 2, with its
    defaults. The paper has no eps and divides 0 by 0 until the first gradient that
    is not 0. Here eps stands where Adam has it, with Adam's default, and x stays
    where it is until then; eps = 0 is the paper.
    """
    m = beta1 * m + (1 - beta1) * g
    u = maximum(beta2 * u, abs(g))
    m_hat = m / (1 - beta1**t)
    return x - lr * m_hat / (u + eps), m, u
