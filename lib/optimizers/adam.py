"""Adam: the average gradient over its root mean square, both freed of their bias."""

from lib.arrays import sqrt
from lib.optimizers.rule import rule


@rule
def adam(x, g, m, v, t, *, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    """Adam; ``m`` and ``v`` are moving averages of the gradient and of its square.

    Source: Kingma & Ba 2015, arXiv 1412.6980, Algorithm 1, with its defaults.
    """
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return x - lr * m_hat / (sqrt(v_hat) + eps), m, v
