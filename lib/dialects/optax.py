"""optax: the learning rate outside the velocity, as in PyTorch; eps under the root, as in Keras."""

from dataclasses import replace

from lib import optimizers
from lib.dialects import keras, torch
from lib.dialects.dialect import Dialect

RATE = {"lr": "learning_rate"}
BETAS = {"beta1": "b1", "beta2": "b2"}
MOMENTS = {"m": "mu", "v": "nu"}

DIALECTS = {
    "gradient_descent": Dialect(
        optimizer="optax.sgd",
        rule=optimizers.gradient_descent,
        names=RATE,
    ),
    "momentum": replace(
        torch.DIALECTS["momentum"],
        optimizer="optax.sgd",
        names=RATE | {"momentum": "momentum"},
        state={"v": "trace"},
    ),
    "nesterov": replace(
        torch.DIALECTS["nesterov"],
        optimizer="optax.sgd",
        names=RATE | {"momentum": "momentum"},
        state={"v": "trace"},
    ),
    "adagrad": replace(
        keras.DIALECTS["adagrad"],
        optimizer="optax.adagrad",
        names=RATE | {"eps": "eps", "G": "initial_accumulator_value"},
        state={"G": "sum_of_squares"},
    ),
    "rmsprop": replace(
        keras.DIALECTS["rmsprop"],
        optimizer="optax.rmsprop",
        names=RATE | {"rho": "decay", "eps": "eps"},
        state={"v": "nu"},
    ),
    "adadelta": Dialect(
        optimizer="optax.adadelta",
        rule=optimizers.adadelta,
        names=RATE | {"rho": "rho", "eps": "eps"},
        state={"v": "e_g", "u": "e_x"},
    ),
    "adam": Dialect(
        optimizer="optax.adam",
        rule=optimizers.adam,
        names=RATE | BETAS | {"eps": "eps"},
        state=MOMENTS,
    ),
}
