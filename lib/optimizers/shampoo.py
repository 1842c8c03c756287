"""Shampoo: Adagrad for a matrix, which learns how its rows, and its columns, go together."""

from lib.arrays import columns_by_columns, inverse_root, rows_by_rows
from lib.optimizers.rule import rule


@rule(each="matrix")
def shampoo(x, g, L=rows_by_rows, R=columns_by_columns, *, lr=1.0, eps=1e-4):
    """Shampoo; ``L`` and ``R`` sum products of the gradients' rows and columns. They
    start at zero: the paper's start, eps I, is added in the roots.

    Source: Gupta, Koren & Singer 2018, arXiv 1802.09568, Algorithm 1, with the rate
    of its language models; eps from the authors' code for TensorFlow.
    """
    L = L + g @ g.mT
    R = R + g.mT @ g
    return x - lr * inverse_root(L, 4, eps) @ g @ inverse_root(R, 4, eps), L, R
