"""Gradient descent: a step against the gradient, as long as the rate says."""

from lib.optimizers.rule import rule


@rule
def gradient_descent(x, g, *, lr=0.01):
    """Gradient descent; stochastic (SGD) where ``g`` comes from a mini-batch.

    Source: Cauchy 1847; Robbins & Monro 1951 for the stochastic case.
    The default rate is this book's.
    """
    return x - lr * g
