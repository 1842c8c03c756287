"""Losses: how far a net's outputs are from what they should be, as one number, the mean over the batch."""

import reprlib

import numpy as np

from lib.networks.backpropagation import exp, log, value_of, where


def mean_squared_error(predictions, targets):
    """The mean of (prediction - target)**2 over all entries.

    Args:
        predictions: array or Variable of any shape.
        targets: array of the same shape.

    Raises:
        ValueError: the shapes differ. (NumPy would broadcast (n, 1) against (n,) to (n, n) and say nothing.)
    """
    _check_shapes(predictions, targets, "mean_squared_error")
    return ((predictions - targets) ** 2).mean()


def huber(predictions, targets):
    """The mean of e**2 / 2 over all errors e = prediction - target; where abs(e) > 1, of abs(e) - 1/2, its tangent.

    So the slope is e, clipped to [-1, 1]: no error, however large, pulls harder than one of 1.

    Args:
        predictions, targets: as for `mean_squared_error`.

    Raises:
        ValueError: the shapes differ.

    Source: Huber 1964, "Robust Estimation of a Location Parameter". As the clipped error of a Q-network: Mnih et al.
    2015, doi 10.1038/nature14236, methods.
    """
    _check_shapes(predictions, targets, "huber")
    errors = predictions - targets
    e = value_of(errors)
    return where(abs(e) <= 1, errors**2 / 2, errors * np.sign(e) - 0.5).mean()


def _check_shapes(predictions, targets, name):
    if predictions.shape != np.shape(targets):
        raise ValueError(
            f"{name}: predictions have shape {predictions.shape}, targets {np.shape(targets)}; make them equal."
        )


def log_softmax(logits):
    """The logarithms of the probabilities that ``logits``, of shape (..., classes), stand for; nothing overflows."""
    logits = logits - value_of(logits).max(axis=-1, keepdims=True)
    return logits - log(exp(logits).sum(axis=-1, keepdims=True))


def cross_entropy(logits, labels):
    """Minus the mean logarithm of the probability that a net gives to the right class.

    Args:
        logits: array or Variable of shape (batch, classes): scores before the softmax.
        labels: whole numbers of shape (batch,), each the right class, from 0.

    Raises:
        ValueError: ``labels`` does not hold one class for each row of ``logits``.
    """
    batch, classes = logits.shape
    labels = np.asarray(labels)
    if labels.shape != (batch,) or labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"cross_entropy: labels must be {batch} whole numbers from 0 to {classes - 1}, one for each row of logits; "
            f"got {reprlib.repr(labels)} of shape {labels.shape} and dtype {labels.dtype}."
        )
    return -log_softmax(logits)[np.arange(batch), labels].mean()


def accuracy(logits, labels) -> float:
    """The share of rows whose largest logit is that of the right class."""
    return float((value_of(logits).argmax(axis=1) == np.asarray(labels)).mean())
