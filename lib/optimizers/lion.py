"""Lion: the sign of an average gradient, so that every entry steps as far as the rate says."""

from lib.arrays import sign
from lib.optimizers.rule import rule


@rule
def lion(x, g, m, *, lr=1e-4, beta1=0.9, beta2=0.99, weight_decay=0.0):
    """Lion; ``m`` is a moving average of the gradient.

    Source: Chen et al. 2023, arXiv 2302.06675, Algorithm 2, with its betas. It
    leaves lr and weight_decay open; the defaults are those of its authors' code.
    """
    c = beta1 * m + (1 - beta1) * g
    m = beta2 * m + (1 - beta2) * g
    return x - lr * (sign(c) + weight_decay * x), m
