"""keras.optimizers: eps under the root (Adagrad, RMSProp) or beside the uncorrected root (Adam)."""

from lib import optimizers
from lib.arrays import maximum, sqrt
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


@rule
def adamw(
    x, g, m, v, t, *,
    learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7, weight_decay=0.004,
):  # fmt: skip
    """eps is added before the bias of v is removed.

    ``keras.optimizers.AdamW``: its Adam, and the same decay as the paper's.
    """
    m = beta_1 * m + (1 - beta_1) * g
    v = beta_2 * v + (1 - beta_2) * g**2
    alpha = learning_rate * sqrt(1 - beta_2**t) / (1 - beta_1**t)
    x = x - learning_rate * weight_decay * x
    return x - alpha * m / (sqrt(v) + epsilon), m, v


@rule
def amsgrad(
    x, g, m, v, v_max, t, *,
    learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7,
):  # fmt: skip
    """The bias is removed in the rate, eps added before that.

    ``keras.optimizers.Adam(amsgrad=True)``.
    """
    m = beta_1 * m + (1 - beta_1) * g
    v = beta_2 * v + (1 - beta_2) * g**2
    v_max = maximum(v_max, v)
    alpha = learning_rate * sqrt(1 - beta_2**t) / (1 - beta_1**t)
    return x - alpha * m / (sqrt(v_max) + epsilon), m, v, v_max


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


def _to_no_correction(at, t):
    """Adam's corrections of m and v, both in the rate -> none."""
    now = at(t)
    return now | {"lr": now["lr"] * sqrt(1 - now["beta2"] ** t) / (1 - now["beta1"] ** t)}


def _from_no_correction(at, t):
    """No corrections -> a rate that undoes Adam's."""
    now = at(t)
    return now | {"lr": now["lr"] * (1 - now["beta1"] ** t) / sqrt(1 - now["beta2"] ** t)}


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
    "adamw": Dialect(
        optimizer="keras.optimizers.AdamW",
        rule=adamw,
        names=RATE | BETAS | EPS | {"weight_decay": "weight_decay"},
        state=MOMENTS,
        to_paper=eps_hat,
        from_paper=eps_corrected,
    ),
    "amsgrad": Dialect(
        optimizer="keras.optimizers.Adam",
        rule=amsgrad,
        names=RATE | BETAS | EPS,
        fixed={"amsgrad": True},
        state=MOMENTS | {"v_max": "_velocity_hats"},
        to_paper=_to_no_correction,
        from_paper=_from_no_correction,
    ),
    "adamax": Dialect(
        optimizer="keras.optimizers.Adamax",
        rule=optimizers.adamax,
        names=RATE | BETAS | EPS,
        state={"m": "_m", "u": "_u"},
    ),
}
