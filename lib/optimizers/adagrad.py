"""Adagrad: for each parameter a rate divided by the size of its past gradients."""

from lib.arrays import sqrt
from lib.optimizers.rule import rule


@rule
def adagrad(x, g, G=0.0, *, lr=0.01, eps=1e-10):
    """Adagrad with a diagonal matrix; ``G`` is the sum of squared gradients.

    Source: Duchi et al. 2011, Figure 1 (diagonal case), where eps is called delta
    and stands outside the root. The paper leaves both defaults open; these are
    PyTorch's.
    """
    G = G + g**2
    return x - lr * g / (sqrt(G) + eps), G
