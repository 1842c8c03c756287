"""Activation functions: what a layer does to each of its sums.

Each takes and returns an array of any shape, or a Variable (``lib.networks.backpropagation``).
"""

from lib.networks.backpropagation import exp, sigmoid, tanh, value_of, where

__all__ = ["ACTIVATIONS", "elu", "identity", "leaky_relu", "relu", "selu", "sigmoid", "silu", "tanh"]


def identity(x):
    """x: a layer that stays linear."""
    return x


def relu(x):
    """max(x, 0); its slope at 0 is 0, as in the frameworks.

    Source: Nair & Hinton 2010, "Rectified Linear Units Improve Restricted Boltzmann
    Machines"; Glorot, Bordes & Bengio 2011, "Deep Sparse Rectifier Neural Networks".
    """
    return where(value_of(x) <= 0, 0.0, x)  # not `> 0`: nan stays nan


def leaky_relu(x, slope=0.01):
    """x, and ``slope`` times x below 0.

    Source: Maas, Hannun & Ng 2013, "Rectifier Nonlinearities Improve Neural Network
    Acoustic Models".
    """
    return where(value_of(x) > 0, x, slope * x)


def elu(x, alpha=1.0):
    """x, and alpha (exp(x) - 1) below 0.

    Source: Clevert, Unterthiner & Hochreiter 2016, arXiv 1511.07289.
    """
    below = where(value_of(x) > 0, 0.0, x)  # exp of a large x would overflow
    return where(value_of(x) > 0, x, alpha * (exp(below) - 1.0))


def selu(x):
    """1.0507 elu(x, 1.6733): with LeCun's initialization it draws mean and variance to 0 and 1.

    Source: Klambauer et al. 2017, arXiv 1706.02515, with its constants.
    """
    return 1.0507009873554805 * elu(x, alpha=1.6732632423543772)


def silu(x):
    """x sigmoid(x), also called swish.

    Source: Elfwing, Uchibe & Doya 2018, arXiv 1702.03118.
    """
    return x * sigmoid(x)


ACTIVATIONS = {f.__name__: f for f in (identity, sigmoid, tanh, relu, leaky_relu, elu, selu, silu)}
