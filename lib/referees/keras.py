"""tf.keras.optimizers as a referee, and the account of its float32 casts.

Keras on TensorFlow sends some hyperparameters through float32 even where parameters are float64: 0.9 becomes
0.8999999762. `accounted` gives our side the same rounded numbers; what is left is rounding at the last digit.
"""

import contextlib
import functools
import os
import sys
from collections.abc import Callable

import numpy as np

from lib.dialects import keras as dialect
from lib.optimizers import rule
from lib.referees.recording import Recording, flat


@contextlib.contextmanager
def _silence():
    """Discard what libraries write to the process's standard error from C++, where Python cannot redirect it."""
    sys.stderr.flush()
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


@functools.cache
def tensorflow():
    """Import TensorFlow without its start-up messages, and return the module."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    with _silence():
        import tensorflow as tf

        tf.constant(0.0)  # the devices are looked for, and remarked on, at the first operation
    return tf


OPTIMIZERS = {
    "gradient_descent": lambda k, lr: k.SGD(lr),
    "momentum": lambda k, lr, momentum: k.SGD(lr, momentum=momentum),
    "nesterov": lambda k, lr, momentum: k.SGD(lr, momentum=momentum, nesterov=True),
    "adagrad": lambda k, lr, eps: k.Adagrad(lr, epsilon=eps),
    "rmsprop": lambda k, lr, rho, eps: k.RMSprop(lr, rho=rho, epsilon=eps),
    "adadelta": lambda k, lr, rho, eps: k.Adadelta(lr, rho=rho, epsilon=eps),
    "adam": lambda k, lr, beta1, beta2, eps: k.Adam(lr, beta_1=beta1, beta_2=beta2, epsilon=eps),
}


def replay(name: str, recording: Recording, **hyperparameters) -> np.ndarray:
    """The path that Keras on TensorFlow takes through a recording: array (steps, coordinates).

    Arguments as in `lib.referees.torch.replay`.
    """
    tf = tensorflow()
    params = [tf.Variable(a) for a in recording.start]
    optimizer, path = OPTIMIZERS[name](tf.keras.optimizers, **hyperparameters), []
    for gradients in recording.gradients:
        optimizer.apply_gradients(zip(map(tf.constant, gradients), params, strict=True))
        path.append(flat(params))
    return np.stack(path)


def float32(number: float) -> float:
    """``number`` after a round trip through float32."""
    return float(np.float32(number))


START = float32(0.1)


@rule
def _adagrad(x, g, G=START, *, lr, eps):
    return dialect.adagrad(x, g, G, lr=lr, eps=eps)


def accounted(name: str, ours: Callable, hyperparameters: dict) -> tuple[Callable, dict]:
    """The rule and hyperparameters that meet Keras' float32 casts.

    The rate is a float32 variable in every optimizer. SGD casts its momentum, Adagrad its first accumulator. Adam
    casts beta1 and beta2 for their powers only, not for the averages: a correction of the rate at each step.
    """
    rounded = dict(hyperparameters, lr=float32(hyperparameters["lr"]))
    if "momentum" in rounded:
        rounded["momentum"] = float32(rounded["momentum"])
    if ours is dialect.adagrad:
        ours = _adagrad
    if name == "adam":
        beta1, beta2, lr = rounded["beta1"], rounded["beta2"], rounded["lr"]

        def bias(t, b1, b2):
            return np.sqrt(1 - b2**t) / (1 - b1**t)

        def correction(step):
            return bias(step + 1, float32(beta1), float32(beta2)) / bias(step + 1, beta1, beta2)

        rounded["lr"] = lambda step: lr * correction(step)
    return ours, rounded
