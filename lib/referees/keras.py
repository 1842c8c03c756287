"""Keras as a referee, on TensorFlow or the backend that ``KERAS_BACKEND`` names, and the account of its float32 casts.

On TensorFlow, Keras keeps its learning rate in float32 even where parameters are float64, and sends other
hyperparameters through float32, too: 0.9 becomes 0.8999999762. `accounted` gives our side the same rounded numbers;
what is left is rounding at the last digit. On PyTorch and JAX, Keras computes in float64 if it is told to (`_double`).
"""

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterator
from unittest import mock

import numpy as np

from lib.arrays import sqrt
from lib.dialects import Dialect
from lib.dialects.keras import DIALECTS
from lib.optimizers.rule import rule
from lib.referees.recording import Moment, Recording


@contextlib.contextmanager
def silence():
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
    with silence():
        import tensorflow as tf

        tf.constant(0.0)  # the devices are looked for, and remarked on, at the first operation
    return tf


@functools.cache
def keras():
    """Import Keras on its backend, without start-up messages, and return the module."""
    if os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
        tensorflow()
    with silence():
        import keras

        keras.Variable(0.0)
    return keras


def make(dialect: Dialect, hyperparameters: dict):
    """Keras' optimizer for a rule, with hyperparameters (numbers) under the book's names."""
    name = dialect.optimizer.rsplit(".", 1)[1]
    return (_muon() if name == "Muon" else getattr(keras().optimizers, name))(**dialect.arguments(hyperparameters))


@functools.cache
def _muon():
    """keras.optimizers.Muon, with what it lacks for parameters of float64.

    It multiplies a step by a root of float32, and TensorFlow does not multiply numbers of two dtypes.
    """
    ops = keras().ops

    class Muon(keras().optimizers.Muon):
        def lr_adjust(self, x):
            root = ops.sqrt(ops.maximum(x.shape[0], x.shape[1]))
            return x * ops.cast(root, x.dtype) * self.rms_rate

    return Muon


@contextlib.contextmanager
def _double():
    """Let Keras on PyTorch or JAX compute in float64, as ``set_floatx`` tells it to, with means, norms and maxima.

    Those Keras takes in float32 everywhere but on TensorFlow, "to be aligned with JAX's default behavior".
    """
    before = keras().config.floatx()
    with contextlib.ExitStack() as stack:
        if keras().backend.backend() != "tensorflow":
            keras().config.set_floatx("float64")
            stack.callback(keras().config.set_floatx, before)
            stack.enter_context(mock.patch.dict("keras.src.backend.common.dtypes.BIT64_TO_BIT32_DTYPE", clear=True))
        if keras().backend.backend() == "jax":
            import jax

            stack.enter_context(jax.enable_x64(True))
        yield


def run(name: str, recording: Recording, array: Callable | None = None, **hyperparameters) -> Iterator[Moment]:
    """Where Keras is after each step through a recording. Arguments as in `lib.referees.torch.run`."""
    with _double():
        dialect = DIALECTS[name]
        array = array or keras().ops.convert_to_tensor
        at = lambda step: {key: value(step) if callable(value) else value for key, value in hyperparameters.items()}
        changing = [key for key, value in hyperparameters.items() if callable(value)]
        params = [keras().Variable(array(a), dtype=a.dtype) for a in recording.start]
        optimizer = make(dialect, at(0))
        optimizer.build(params)
        apply = _compiled(optimizer, params) if {*changing} <= {"lr"} else lambda g: optimizer.apply(g, params)
        look = lambda: [_flat(params), *(_flat(getattr(optimizer, theirs)) for theirs in dialect.state.values())]
        look = tensorflow().function(look) if keras().backend.backend() == "tensorflow" else look
        for step, gradients in enumerate(recording.gradients):
            for argument, value in dialect.arguments({key: at(step)[key] for key in changing}).items():
                setattr(optimizer, argument, value)
            apply([array(g) for g in gradients])
            where, *state = map(keras().ops.convert_to_numpy, look())
            yield Moment(where, dict(zip(dialect.state, state, strict=True)), int(optimizer.iterations))


def _compiled(optimizer, params) -> Callable:
    """A step as ``fit`` takes it: a graph on TensorFlow, compiled by XLA on JAX. In it all but the rate is constant."""
    backend = keras().backend.backend()
    if backend == "tensorflow":
        return tensorflow().function(lambda gradients: optimizer.apply(gradients, params))
    if backend == "jax":
        import jax

        pure = jax.jit(optimizer.stateless_apply)

        def apply(gradients):
            variables = [*params, *optimizer.variables]
            new = pure([v.value for v in optimizer.variables], gradients, [p.value for p in params])
            for variable, value in zip(variables, [*new[0], *new[1]], strict=True):
                variable.assign(value)

        return apply
    return lambda gradients: optimizer.apply(gradients, params)


def _flat(variables):
    """`flat`, by Keras: to look at one large tensor is faster than at many small ones."""
    ops = keras().ops
    return ops.concatenate([ops.reshape(ops.convert_to_tensor(v), (-1,)) for v in variables])


def replay(name: str, recording: Recording, **hyperparameters) -> np.ndarray:
    """The path that Keras takes through a recording: array (steps, coordinates). Arguments as in `run`."""
    return np.stack([moment.params for moment in run(name, recording, **hyperparameters)])


def float32(value):
    """A number, or a schedule's, after a round trip through float32."""
    return (lambda step: float32(value(step))) if callable(value) else float(np.float32(value))


def _at(value, step):
    """A number, or a schedule's at ``step``."""
    return value(step) if callable(value) else value


def _powers(hyperparameters):
    """Adam's beta1 and beta2 are cast for their powers only, not for the averages: a correction of the rate at each
    step."""
    correction, lr = _correction(hyperparameters), hyperparameters["lr"]
    return {"lr": lambda step: _at(lr, step) * correction(step)}


def _powers_and_decay(hyperparameters):
    """AdamW casts its weight_decay, too, and decays with the rate as it was before the correction."""
    correction, weight_decay = _correction(hyperparameters), float32(hyperparameters["weight_decay"])
    return _powers(hyperparameters) | {"weight_decay": lambda step: _at(weight_decay, step) / correction(step)}


def _correction(hyperparameters):
    """By how much the rate of Adam with cast powers differs at each step."""
    beta1, beta2 = hyperparameters["beta1"], hyperparameters["beta2"]

    def bias(t, b1, b2):
        return np.sqrt(1 - b2**t) / (1 - b1**t)

    return lambda step: bias(step + 1, float32(beta1), float32(beta2)) / bias(step + 1, beta1, beta2)


def _first_power(hyperparameters):
    """Adamax casts beta1, for its power only."""
    beta1, lr = hyperparameters["beta1"], hyperparameters["lr"]

    def correction(step):
        return (1 - beta1 ** (step + 1)) / (1 - float32(beta1) ** (step + 1))

    return {"lr": lambda step: _at(lr, step) * correction(step)}


def _second_power_and_decay(hyperparameters):
    """LAMB casts its weight_decay, and the betas for their powers only: what that makes of the length of a step, the
    ratio of norms undoes, but not how large eps is beside v."""
    beta2, eps = hyperparameters["beta2"], hyperparameters["eps"]

    def corrected(step):
        return eps * np.sqrt((1 - float32(beta2) ** (step + 1)) / (1 - beta2 ** (step + 1)))

    return {"eps": corrected, "weight_decay": float32(hyperparameters["weight_decay"])}


def _all_of(*names):
    """A rule that casts these hyperparameters wherever they stand."""
    return lambda hyperparameters: {name: float32(hyperparameters[name]) for name in names}


# What Keras casts besides the rate, by rule.
CASTS = {
    "momentum": lambda h: {"momentum": float32(h["momentum"])},
    "nesterov": lambda h: {"momentum": float32(h["momentum"])},
    "adagrad": lambda h: {"G": float32(h.get("G", 0.1))},
    "adam": _powers,
    "adamw": _powers_and_decay,
    "amsgrad": _powers,
    "adamax": _first_power,
    "lion": _all_of("beta1", "beta2", "weight_decay"),
    "schedule_free_adamw": _all_of("beta2", "eps", "weight_decay"),
    "lamb": _second_power_and_decay,
    "adafactor": _all_of("eps2"),
    "muon": _all_of("weight_decay"),
}


@rule
def _nadam(x, g, m, v, mu_product=1.0, t=1, *, learning_rate, beta_1, beta_2, epsilon):
    """Nadam casts its betas and its 0.96, but not where it gathers the product of the momenta."""
    b1, b2, base = float32(beta_1), float32(beta_2), float32(0.96)
    mu, mu_next = b1 * (1 - 0.5 * base**t), b1 * (1 - 0.5 * base ** (t + 1))
    mu_product = mu_product * beta_1 * (1 - 0.5 * 0.96**t)
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g**2
    m_hat = mu_next * m / (1 - mu_product * mu_next) + (1 - mu) * g / (1 - mu_product)
    return x - learning_rate * m_hat / (sqrt(v / (1 - b2**t)) + epsilon), m, v, mu_product


def rule_as_cast(name: str) -> Callable:
    """Keras' rule, with the casts in it that `accounted` cannot express: Nadam's, which are of a number that is no
    hyperparameter, and of one and the same number in two ways."""
    on_tensorflow = keras().backend.backend() == "tensorflow"
    return _nadam if name == "nadam" and on_tensorflow else DIALECTS[name].rule


def accounted(name: str, hyperparameters: dict) -> dict:
    """The hyperparameters that meet Keras' float32 casts, from and to the book's names.

    On TensorFlow the rate is a float32 variable in every optimizer. SGD casts its momentum, Adagrad its first
    accumulator, and Adam its betas, but for their powers only.
    """
    if keras().backend.backend() != "tensorflow":
        return hyperparameters
    rounded = hyperparameters | {"lr": float32(hyperparameters["lr"])}
    return rounded | (CASTS[name](rounded) if name in CASTS else {})
