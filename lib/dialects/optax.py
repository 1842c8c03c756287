"""optax: the learning rate outside the velocity, as in PyTorch; eps under the root, as in Keras."""

from dataclasses import replace

from lib import optimizers
from lib.arrays import maximum, sqrt
from lib.dialects import keras, torch
from lib.dialects.dialect import Dialect
from lib.optimizers.rule import rule


@rule
def amsgrad(
    x, g, m, v, v_max, t, *, learning_rate=0.001, b1=0.9, b2=0.999, eps=1e-8
):  # fmt: skip
    """The maximum is taken after the bias of v is removed.

    ``optax.amsgrad``; with its bias_correction_mu and bias_correction_nu switched
    off it is the paper's.
    """
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g**2
    m_hat = m / (1 - b1**t)
    v_max = maximum(v_max, v / (1 - b2**t))
    return x - learning_rate * m_hat / (sqrt(v_max) + eps), m, v, v_max


RATE = {"lr": "learning_rate"}
BETAS = {"beta1": "b1", "beta2": "b2"}
MOMENTS = {"m": "mu", "v": "nu"}

_MAXIMUM_OF_V_HAT = (
    "the largest v, and the largest v freed of its bias, may be of different steps, in each entry of its own."
)

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
    "adamw": Dialect(
        optimizer="optax.adamw",
        rule=optimizers.adamw,
        names=RATE | BETAS | {"eps": "eps", "weight_decay": "weight_decay"},
        state=MOMENTS,
    ),
    "amsgrad": Dialect(
        optimizer="optax.amsgrad",
        rule=amsgrad,
        names=RATE | BETAS | {"eps": "eps"},
        state=MOMENTS | {"v_max": "nu_max"},
        to_paper=_MAXIMUM_OF_V_HAT,
        from_paper=_MAXIMUM_OF_V_HAT,
    ),
    "adamax": replace(
        torch.DIALECTS["adamax"],
        optimizer="optax.adamax",
        names=RATE | BETAS | {"eps": "eps"},
        state={"m": "mu", "u": "nu"},
    ),
}
