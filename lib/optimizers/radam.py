"""RAdam: Adam that waits for its second moment, and then trusts it step by step."""

from lib.arrays import sqrt, where
from lib.optimizers.rule import rule


@rule
def radam(x, g, m, v, t, *, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    """RAdam; ``rho`` is the number of gradients that ``v`` averages in effect.

    Source: Liu et al. 2020, arXiv 1908.03265, Algorithm 2. It has no eps; it stands
    here where Adam has it. The defaults are those of the authors' code.
    """
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    rho_inf = 2 / (1 - beta2) - 1
    rho = rho_inf - 2 * t * beta2**t / (1 - beta2**t)
    above = where(rho > 4, (rho - 4) * (rho - 2) * rho_inf, 1)
    below = where(rho > 4, (rho_inf - 4) * (rho_inf - 2) * rho, 1)
    step = where(rho > 4, sqrt(above / below) * m_hat / (sqrt(v_hat) + eps), m_hat)
    return x - lr * step, m, v
