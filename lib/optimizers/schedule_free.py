"""Schedule-free learning: an average of all steps in place of a falling rate.

Steps are taken from ``z``, their average is what one wants, and gradients are taken at ``x``, between the two.
"""

from lib.arrays import sqrt
from lib.optimizers.rule import rule


def evaluation_point(x, z, *, beta1=0.9):
    """The average of all ``z``, weighted with the squared rates: where the model is to be evaluated.

    Source: Defazio et al. 2024, arXiv 2405.15682, which calls it x; our ``x``, where gradients are taken, is its
    y = (1 - beta1) z + beta1 x.
    """
    return (x - (1 - beta1) * z) / beta1


@rule
def schedule_free_sgd(
    x, g, z="x", total=0.0, *, lr=1.0, beta1=0.9, weight_decay=0.0
):  # fmt: skip
    """Schedule-free SGD; ``z`` takes the steps, ``total`` sums the squared rates.

    Source: Defazio et al. 2024, arXiv 2405.15682: Algorithm 1 without its ``v``.
    The defaults are those of its authors' code.
    """
    average = evaluation_point(x, z, beta1=beta1)
    z = z - lr * (g + weight_decay * x)
    total = total + lr**2
    c = lr**2 / (total + (total == 0))
    average = (1 - c) * average + c * z
    return (1 - beta1) * z + beta1 * average, z, total


@rule
def schedule_free_adamw(
    x, g, z="x", v=0.0, total=0.0, t=1,
    *, lr=0.0025, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0
):  # fmt: skip
    """Schedule-free AdamW; ``v`` is a moving average of the squared gradient,
    ``z`` takes the steps, ``total`` sums the squared rates.

    Source: Defazio et al. 2024, arXiv 2405.15682, Algorithm 1, whose warm-up is a
    schedule here. The defaults are those of its authors' code.
    """
    average = evaluation_point(x, z, beta1=beta1)
    v = beta2 * v + (1 - beta2) * g**2
    v_hat = v / (1 - beta2**t)
    z = z - lr * (g / (sqrt(v_hat) + eps) + weight_decay * x)
    total = total + lr**2
    c = lr**2 / (total + (total == 0))
    average = (1 - c) * average + c * z
    return (1 - beta1) * z + beta1 * average, z, v, total
