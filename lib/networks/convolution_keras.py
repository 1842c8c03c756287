"""The nets of `lib.networks.convolution` in Keras.

net = convolutional_net(pooled=False)
net.set_weights(weights(params))
logits = net(images)

Its own start is Keras', not that of `convolutional_layers`; set weights for the same one.
"""

import keras
import numpy as np
from keras import layers


def convolutional_net(pooled=False, size=32, channels=(3, 16, 32, 64), hidden=128, classes=120, dtype="float32"):
    """Images (batch, size, size, channels) -> logits (batch, classes); arguments as of `convolutional_layers`."""
    net = keras.Sequential([keras.Input((size, size, channels[0]), dtype=dtype)])
    for outputs in channels[1:]:
        # A normalization takes the mean away, and with it any bias before it.
        net.add(layers.Conv2D(outputs, 3, padding="same", use_bias=not pooled, dtype=dtype))
        if pooled:
            net.add(layers.BatchNormalization(epsilon=1e-5, dtype=dtype))
        net.add(layers.ReLU(dtype=dtype))
        net.add(layers.MaxPooling2D(2, dtype=dtype))
    if pooled:
        net.add(layers.GlobalAveragePooling2D(dtype=dtype))
    else:
        net.add(layers.Flatten(dtype=dtype))
        net.add(layers.Dense(hidden, activation="relu", dtype=dtype))
    net.add(layers.Dense(classes, dtype=dtype))
    return net


def weights(params, averages=None) -> list:
    """Parameters of `convolutional_layers` in the order of ``set_weights``: the same axes, and after the shift of a
    normalization its averages; of `lib.networks.convolution.batch_moments`, or Keras' own start if None.
    """
    ordered = []
    for name, x in params.items():
        ordered.append(x)
        if name.startswith("shift"):
            layer, start = name[5:], {"mean": np.zeros_like(x), "variance": np.ones_like(x)}
            ordered += [(averages[kind + layer] if averages else start[kind]) for kind in ("mean", "variance")]
    return ordered
