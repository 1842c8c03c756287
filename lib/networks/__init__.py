"""Neural networks from scratch: backpropagation, and what is built of it.

- ``backpropagation``  the gradient of a number with respect to all it was computed from
- ``activations``, ``initializers``, ``normalization``, ``losses``  the parts, one function each
- ``layers``           a fully connected net of any depth
- ``recurrent``        cells of recurrent nets: simple, LSTM, GRU

All of it is checked against torch's autograd and tf.GradientTape.
"""

from lib.networks.activations import ACTIVATIONS, elu, identity, leaky_relu, relu, selu, sigmoid, silu, tanh
from lib.networks.backpropagation import Variable, backpropagate, value_and_grad, value_of
from lib.networks.initializers import INITIALIZERS, glorot, he, lecun, normal, orthogonal, uniform
from lib.networks.layers import dense, dense_layers, forward, stack
from lib.networks.losses import accuracy, cross_entropy, log_softmax, mean_squared_error
from lib.networks.normalization import batch_norm, layer_norm
from lib.networks.recurrent import gru_cell, lstm_cell, recurrent_layer, rnn_cell

__all__ = [
    "ACTIVATIONS",
    "INITIALIZERS",
    "Variable",
    "accuracy",
    "backpropagate",
    "batch_norm",
    "cross_entropy",
    "dense",
    "dense_layers",
    "elu",
    "forward",
    "glorot",
    "gru_cell",
    "he",
    "identity",
    "layer_norm",
    "leaky_relu",
    "lecun",
    "log_softmax",
    "lstm_cell",
    "mean_squared_error",
    "normal",
    "orthogonal",
    "recurrent_layer",
    "relu",
    "rnn_cell",
    "selu",
    "sigmoid",
    "silu",
    "stack",
    "tanh",
    "uniform",
    "value_and_grad",
    "value_of",
]  # fmt: skip
