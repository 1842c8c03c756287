"""torch.optim: the learning rate multiplies the velocity instead of entering it.

At a constant rate both forms take the same path; under a schedule they do not.
"""

from lib.optimizers.rule import rule


@rule
def momentum(x, g, v, *, lr=0.001, momentum=0.9):
    """The rate multiplies the velocity.

    ``torch.optim.SGD(momentum=...)`` with dampening 0; torch's own default is 0.
    """
    v = momentum * v + g
    return x - lr * v, v


@rule
def nesterov(x, g, v, *, lr=0.001, momentum=0.9):
    """The rate multiplies the velocity.

    ``torch.optim.SGD(momentum=..., nesterov=True)``.
    """
    v = momentum * v + g
    return x - lr * (g + momentum * v), v
