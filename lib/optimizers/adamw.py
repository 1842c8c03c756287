"""AdamW: Adam, with the parameters shrunk beside the step and not through the gradient."""

from lib.arrays import sqrt
from lib.optimizers.rule import rule


@rule
def adamw(
    x, g, m, v, t, *, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01
):  # fmt: skip
    """AdamW; ``m`` and ``v`` are moving averages of the gradient and of its square.

    Source: Loshchilov & Hutter 2019, arXiv 1711.05101, Algorithm 2, whose step is
    eta_t (alpha u + lambda x), with u for m_hat / (sqrt(v_hat) + eps). As in the
    frameworks, the rate is taken out of the brackets: lr is eta_t alpha, and
    weight_decay is lambda / alpha. The paper gives lambda no default; 0.01 is
    PyTorch's.
    """
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return x - lr * (m_hat / (sqrt(v_hat) + eps) + weight_decay * x), m, v
