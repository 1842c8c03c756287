"""keras.optimizers: eps under the root (Adagrad, RMSProp) or beside the uncorrected root (Adam)."""

from lib import optimizers
from lib.arrays import sqrt
from lib.dialects.dialect import Dialect, eps_corrected, eps_hat, no_eps
from lib.optimizers.rule import rule


@rule
def adagrad(x, g, G=0.1, *, learning_rate=0.001, epsilon=1e-7):
    """eps stands inside the root, and G starts at 0.1.

    ``keras.optimizers.Adagrad``; the start is its ``initial_accumulator_value``.
    """
    G = G + g**2
    return x - learning_rate * g / sqrt(G + epsilon), G


@rule
def rmsprop(x, g, v, *, learning_rate=0.001, rho=0.9, epsilon=1e-7):
    """eps stands inside the root.

    ``keras.optimizers.RMSprop``.
    """
    v = rho * v + (1 - rho) * g**2
    return x - learning_rate * g / sqrt(v + epsilon), v


@rule
def adam(x, g, m, v, t, *, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    """eps is added before the bias of v is removed.

    ``keras.optimizers.Adam``: the form that the paper gives at the end of its
    section 2, where eps is "epsilon hat".
    """
    m = beta_1 * m + (1 - beta_1) * g
    v = beta_2 * v + (1 - beta_2) * g**2
    alpha = learning_rate * sqrt(1 - beta_2**t) / (1 - beta_1**t)
    return x - alpha * m / (sqrt(v) + epsilon), m, v


RATE = {"lr": "learning_rate"}
BETAS = {"beta1": "beta_1", "beta2": "beta_2"}
EPS = {"eps": "epsilon"}
MOMENTS = {"m": "_momentums", "v": "_velocities"}


def _higher_start(at, t):
    """G + eps under the root -> a sum that starts higher by eps, and no eps."""
    now = at(t)
    return now | {"G": now.get("G", 0.1) + now["eps"], "eps": 0.0}


def _same_start(at, t):
    """eps outside the root, if it is 0 -> eps inside, with the paper's start."""
    return {"G": 0.0} | no_eps(at, t)


DIALECTS = {
    "gradient_descent": Dialect(
        optimizer="keras.optimizers.SGD",
        rule=optimizers.gradient_descent,
        names=RATE,
    ),
    "momentum": Dialect(
        optimizer="keras.optimizers.SGD",
        rule=optimizers.momentum,
        names=RATE | {"momentum": "momentum"},
        state={"v": "momentums"},
    ),
    "nesterov": Dialect(
        optimizer="keras.optimizers.SGD",
        rule=optimizers.nesterov,
        names=RATE | {"momentum": "momentum"},
        fixed={"nesterov": True},
        state={"v": "momentums"},
    ),
    "adagrad": Dialect(
        optimizer="keras.optimizers.Adagrad",
        rule=adagrad,
        names=RATE | EPS | {"G": "initial_accumulator_value"},
        state={"G": "_accumulators"},
        to_paper=_higher_start,
        from_paper=_same_start,
    ),
    "rmsprop": Dialect(
        optimizer="keras.optimizers.RMSprop",
        rule=rmsprop,
        names=RATE | EPS | {"rho": "rho"},
        state={"v": "_velocities"},
        to_paper=no_eps,
        from_paper=no_eps,
    ),
    "adadelta": Dialect(
        optimizer="keras.optimizers.Adadelta",
        rule=optimizers.adadelta,
        names=RATE | EPS | {"rho": "rho"},
        state={"v": "_accumulated_grads", "u": "_accumulated_delta_vars"},
    ),
    "adam": Dialect(
        optimizer="keras.optimizers.Adam",
        rule=adam,
        names=RATE | BETAS | EPS,
        state=MOMENTS,
        to_paper=eps_hat,
        from_paper=eps_corrected,
    ),
}
