"""Muon: a momentum whose directions are all made equally long."""

from lib.arrays import norm, sqrt
from lib.optimizers.rule import rule


def newton_schulz(X):
    """``X`` with its singular values, from about (0.003, 1], moved to about 1: five steps
    of an odd polynomial, which acts on each and leaves their directions alone.
    """
    if X.shape[0] > X.shape[1]:
        return newton_schulz(X.mT).mT
    for _ in range(5):
        A = X @ X.mT
        X = 3.4445 * X + (-4.7750 * A + 2.0315 * A @ A) @ X
    return X


@rule(each="matrix")
def muon(x, g, v, *, lr=0.02, momentum=0.95, eps=1e-7, weight_decay=0.0):
    """Muon, with Nesterov's momentum.

    Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural
    networks"; the factor of a tall matrix and the decay from the authors' code.
    """
    rows, columns = x.shape
    v = momentum * v + g
    o = g + momentum * v
    o = newton_schulz(o / (norm(o) + eps))
    return x - lr * (sqrt(max(1, rows / columns)) * o + weight_decay * x), v
