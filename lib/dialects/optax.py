"""optax: the learning rate outside the velocity, as in PyTorch; eps under the root, as in Keras."""

from lib.dialects.keras import adagrad, rmsprop
from lib.dialects.torch import momentum, nesterov

__all__ = ["adagrad", "momentum", "nesterov", "rmsprop"]
