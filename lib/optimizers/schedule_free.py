"""Schedule-free learning: an average of all steps in place of a falling rate.

Steps are taken from ``z``, their average is what one wants, and gradients are taken at ``x``, between the two.
"""

from lib.arrays import sqrt
from lib.checks import FACTOR
from lib.optimizers.rule import rule


def evaluation_point(x, z, *, beta1=0.9):
    """The average of all ``z``, weighted with the squared rates: where the model is to be evaluated.

    Source: Defazio et al. 2024, arXiv 2405.15682, equation 3, where it is called x. Our ``x``, at which gradients are
    taken, is the paper's y. With beta1 = 0 it would be z, and of the average nothing would be left to find.
    """
    return (x - (1 - beta1) * z) / beta1


@rule(beta1=FACTOR)
def schedule_free_sgd(
    x, g, z="x", total=0.0, *, lr=1.0, beta1=0.9, weight_decay=0.0
):  # fmt: skip
    """Schedule-free SGD; ``z`` takes the steps, ``total`` sums the squared rates.

    Source: Defazio et al. 2024, arXiv 2405.15682, equations 3 to 5, weighted as in
    equation 23. The defaults are those of its authors' code.
    """
    average = evaluation_point(x, z, beta1=beta1)
    z = z - lr * (g + weight_decay * x)
    total = total + lr * lr
    c = lr * lr / (total + (total == 0))
    average = (1 - c) * average + c * z
    return (1 - beta1) * z + beta1 * average, z, total


@rule(beta1=FACTOR)
def schedule_free_adamw(
    x, g, z="x", v=0.0, total=0.0, t=1,
    *, lr=0.0025, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0
):  # fmt: skip
    """Schedule-free AdamW; ``v`` is a moving average of the squared gradient,
    ``z`` takes the steps, ``total`` sums the squared rates.

    Source: Defazio et al. 2024, arXiv 2405.15682v4, Algorithm 1, where the rate
    frees v of its bias; its warm-up is a schedule here. The defaults are those of
    its authors' code.
    """
    average = evaluation_point(x, z, beta1=beta1)
    v = beta2 * v + (1 - beta2) * g**2
    rate = lr * sqrt(1 - beta2**t)
    z = z - rate * (g / (sqrt(v) + eps) + weight_decay * x)
    total = total + rate * rate
    c = rate * rate / (total + (total == 0))
    average = (1 - c) * average + c * z
    return (1 - beta1) * z + beta1 * average, z, v, total
