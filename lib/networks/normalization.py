"""Normalization: bring sums to mean 0 and variance 1, then let the net choose a scale and a shift of its own."""

from lib.networks.backpropagation import sqrt


def batch_norm(x, scale, shift, *, eps=1e-5, mean=None, variance=None):
    """Each feature, normalized over the batch.

    Args:
        x: array or Variable of shape (batch, features), or a stack of such.
        scale, shift: (features,); gamma and beta of the paper.
        eps: keeps the root away from zero.
        mean, variance: (features,), to use in place of the batch's: averages from
            training, when the net is used.

    Source: Ioffe & Szegedy 2015, arXiv 1502.03167, Algorithm 1; with averages,
    Algorithm 2. The variance is that of the batch, divided by its size.
    """
    centered = x - (x.mean(axis=-2, keepdims=True) if mean is None else mean)
    if variance is None:
        variance = (centered**2).mean(axis=-2, keepdims=True)
    return scale * (centered / sqrt(variance + eps)) + shift


def layer_norm(x, scale, shift, *, eps=1e-5):
    """Each example, normalized over its features.

    Args:
        x: array or Variable of shape (batch, features), or a stack of such.
        scale, shift: (features,); the paper's gain and bias.
        eps: keeps the root away from zero; the paper has none.

    Source: Ba, Kiros & Hinton 2016, arXiv 1607.06450; equation 3 for mean and variance.
    """
    centered = x - x.mean(axis=-1, keepdims=True)
    variance = (centered**2).mean(axis=-1, keepdims=True)
    return scale * (centered / sqrt(variance + eps)) + shift
