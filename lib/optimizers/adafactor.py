"""Adafactor: a second moment for each row and column instead of one for each entry, and no first."""

from lib.arrays import column_means, maximum, minimum, namespace, rms, row_means, sqrt
from lib.optimizers.rule import rule


def rows(x):
    """A zero for each row of ``x``."""
    return namespace(x).zeros_like(row_means(x))


def columns(x):
    """A zero for each column of ``x``."""
    return namespace(x).zeros_like(column_means(x))


@rule(each="array")
def adafactor(x, g, R=rows, C=columns, t=1, *, lr=0.01, eps1=1e-30, eps2=0.001, clip_threshold=1.0):
    """Adafactor; ``R`` and ``C`` average the means of the rows and columns of g**2.

    A vector is a matrix of one column, so its V is R. Of more than two dimensions,
    the last two are rows and columns.

    Source: Shazeer & Stern 2018, arXiv 1804.04235, Algorithm 4 and its form for
    vectors, with the step sizes and defaults that the paper proposes. It has sums for
    means: the same V.
    """
    alpha = maximum(eps2, rms(x)) * minimum(lr, 1 / sqrt(t))
    beta2 = 1 - t**-0.8
    R = beta2 * R + (1 - beta2) * row_means(g**2 + eps1)
    C = beta2 * C + (1 - beta2) * column_means(g**2 + eps1)
    V = R / column_means(R) * C  # in this order: R * C may underflow
    u = g / sqrt(V)
    return x - alpha * u / maximum(1.0, rms(u) / clip_threshold), R, C
