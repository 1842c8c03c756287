"""Neural networks from scratch: backpropagation, and what is built of it.

- ``backpropagation``  the gradient of a number with respect to all it was computed from
- ``activations``, ``initializers``, ``normalization``, ``losses``  the parts, one function each
- ``layers``           a fully connected net of any depth
- ``convolution``      convolution and pooling of images, and two nets of them
- ``convolution_torch``, ``convolution_keras``  the same nets there; they import the frameworks, and this file not them
- ``residual_torch``   a small residual net, in PyTorch alone
- ``recurrent``        cells of recurrent nets: simple, LSTM, GRU
- ``attention``        attention to the past, and the block of a Transformer
- ``language``         language models of both, character by character or word by word
- ``language_torch``   the same models in PyTorch

All of it is checked against torch's autograd and tf.GradientTape.
"""

from lib.networks.activations import ACTIVATIONS, elu, identity, leaky_relu, relu, selu, sigmoid, silu, tanh
from lib.networks.attention import causal_attention, embed, softmax, transformer_block
from lib.networks.backpropagation import Variable, backpropagate, joined, reshape, swap_axes, value_and_grad, value_of
from lib.networks.convolution import (
    average_pool,
    batch_moments,
    batch_norm_images,
    classify,
    convolution,
    convolutional_layers,
    flatten,
    global_average_pool,
    max_pool,
)
from lib.networks.initializers import INITIALIZERS, glorot, he, lecun, normal, orthogonal, uniform
from lib.networks.language import (
    next_token_loss,
    recurrent_layers,
    recurrent_model,
    transformer,
    transformer_layers,
)
from lib.networks.layers import dense, dense_layers, forward, stack
from lib.networks.losses import accuracy, cross_entropy, huber, log_softmax, mean_squared_error
from lib.networks.normalization import batch_norm, layer_norm
from lib.networks.recurrent import gru_cell, lstm_cell, recurrent_layer, rnn_cell

__all__ = [
    "ACTIVATIONS",
    "INITIALIZERS",
    "Variable",
    "accuracy",
    "average_pool",
    "backpropagate",
    "batch_moments",
    "batch_norm",
    "batch_norm_images",
    "causal_attention",
    "classify",
    "convolution",
    "convolutional_layers",
    "cross_entropy",
    "dense",
    "dense_layers",
    "elu",
    "embed",
    "flatten",
    "forward",
    "global_average_pool",
    "glorot",
    "gru_cell",
    "he",
    "huber",
    "identity",
    "joined",
    "layer_norm",
    "leaky_relu",
    "lecun",
    "log_softmax",
    "lstm_cell",
    "max_pool",
    "mean_squared_error",
    "next_token_loss",
    "normal",
    "orthogonal",
    "recurrent_layer",
    "recurrent_layers",
    "recurrent_model",
    "relu",
    "reshape",
    "rnn_cell",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "stack",
    "swap_axes",
    "tanh",
    "transformer",
    "transformer_block",
    "transformer_layers",
    "uniform",
    "value_and_grad",
    "value_of",
]  # fmt: skip
