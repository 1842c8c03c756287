"""Momentum: a velocity that gathers gradients; Nesterov's method looks ahead along it."""

from lib.optimizers.rule import rule


@rule
def momentum(x, g, v, *, lr=0.01, momentum=0.9):
    """Classical momentum, the learning rate inside the velocity ``v``.

    Source: Polyak 1964 (the heavy ball); in this form Sutskever et al. 2013,
    equations 1 and 2.
    """
    v = momentum * v - lr * g
    return x + v, v


@rule
def nesterov(x, g, v, *, lr=0.01, momentum=0.9):
    """Nesterov's momentum; ``x`` is the point ahead, where the gradient is taken.

    Source: Nesterov 1983; in this form Bengio et al. 2013, arXiv 1212.0901,
    section 3.5, with a constant momentum.
    """
    v = momentum * v - lr * g
    return x + (momentum * v - lr * g), v
