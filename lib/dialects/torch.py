"""torch.optim: the learning rate multiplies the velocity instead of entering it.

At a constant rate both forms take the same path; under a schedule they do not.
"""

from lib import optimizers
from lib.arrays import maximum, sqrt
from lib.dialects.dialect import Dialect, constant_rate, rate_inside, rate_outside
from lib.optimizers.rule import rule


@rule
def momentum(x, g, v, *, lr=0.001, momentum=0.9):
    """The rate multiplies the velocity.

    ``torch.optim.SGD(momentum=...)`` with dampening 0; torch's own default is 0.
    """
    v = momentum * v + g
    return x - lr * v, v


@rule
def nesterov(x, g, v, *, lr=0.001, momentum=0.9):
    """The rate multiplies the velocity.

    ``torch.optim.SGD(momentum=..., nesterov=True)``.
    """
    v = momentum * v + g
    return x - lr * (g + momentum * v), v


@rule
def amsgrad(x, g, m, v, v_max, t, *, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    """The bias is removed from m and, after the maximum, from v_max.

    ``torch.optim.Adam(amsgrad=True)``.
    """
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    v_max = maximum(v_max, v)
    m_hat = m / (1 - beta1**t)
    v_hat = v_max / (1 - beta2**t)
    return x - lr * m_hat / (sqrt(v_hat) + eps), m, v, v_max


@rule
def adamax(x, g, m, u, t, *, lr=0.002, beta1=0.9, beta2=0.999, eps=1e-8):
    """eps is added to the gradient's size, inside the maximum.

    ``torch.optim.Adamax``.
    """
    m = beta1 * m + (1 - beta1) * g
    u = maximum(beta2 * u, abs(g) + eps)
    m_hat = m / (1 - beta1**t)
    return x - lr * m_hat / u, m, u


BETAS = {"beta1": "betas[0]", "beta2": "betas[1]"}
MOMENTS = {"m": "exp_avg", "v": "exp_avg_sq"}


def _to_no_correction(at, t):
    """Adam's corrections of m and v -> none; they are in the rate and in eps."""
    now = at(t)
    c1, c2 = 1 - now["beta1"] ** t, sqrt(1 - now["beta2"] ** t)
    return now | {"lr": now["lr"] * c2 / c1, "eps": now["eps"] * c2}


def _from_no_correction(at, t):
    """No corrections -> a rate and an eps that undo Adam's."""
    now = at(t)
    c1, c2 = 1 - now["beta1"] ** t, sqrt(1 - now["beta2"] ** t)
    return now | {"lr": now["lr"] * c1 / c2, "eps": now["eps"] / c2}


def _nothing_added(at, t):
    """The same hyperparameters, if eps is 0: inside the maximum or outside it is then the same."""
    now = at(t)
    if now["eps"] != 0:
        raise LookupError("eps inside the maximum, where it fades with the gradient, has no equal outside.")
    return now


DIALECTS = {
    "gradient_descent": Dialect(
        optimizer="torch.optim.SGD",
        rule=optimizers.gradient_descent,
        names={"lr": "lr"},
    ),
    "momentum": Dialect(
        optimizer="torch.optim.SGD",
        rule=momentum,
        names={"lr": "lr", "momentum": "momentum"},
        state={"v": "momentum_buffer"},
        to_paper=rate_outside,
        from_paper=rate_inside,
    ),
    "nesterov": Dialect(
        optimizer="torch.optim.SGD",
        rule=nesterov,
        names={"lr": "lr", "momentum": "momentum"},
        fixed={"nesterov": True},
        state={"v": "momentum_buffer"},
        to_paper=constant_rate,
        from_paper=constant_rate,
    ),
    "adagrad": Dialect(
        optimizer="torch.optim.Adagrad",
        rule=optimizers.adagrad,
        names={"lr": "lr", "eps": "eps", "G": "initial_accumulator_value"},
        state={"G": "sum"},
    ),
    "rmsprop": Dialect(
        optimizer="torch.optim.RMSprop",
        rule=optimizers.rmsprop,
        names={"lr": "lr", "rho": "alpha", "eps": "eps"},
        state={"v": "square_avg"},
    ),
    "adadelta": Dialect(
        optimizer="torch.optim.Adadelta",
        rule=optimizers.adadelta,
        names={"lr": "lr", "rho": "rho", "eps": "eps"},
        state={"v": "square_avg", "u": "acc_delta"},
    ),
    "adam": Dialect(
        optimizer="torch.optim.Adam",
        rule=optimizers.adam,
        names={"lr": "lr", **BETAS, "eps": "eps"},
        state=MOMENTS,
    ),
    "adamw": Dialect(
        optimizer="torch.optim.AdamW",
        rule=optimizers.adamw,
        names={"lr": "lr", **BETAS, "eps": "eps", "weight_decay": "weight_decay"},
        state=MOMENTS,
    ),
    "amsgrad": Dialect(
        optimizer="torch.optim.Adam",
        rule=amsgrad,
        names={"lr": "lr", **BETAS, "eps": "eps"},
        fixed={"amsgrad": True},
        state=MOMENTS | {"v_max": "max_exp_avg_sq"},
        to_paper=_to_no_correction,
        from_paper=_from_no_correction,
    ),
    "adamax": Dialect(
        optimizer="torch.optim.Adamax",
        rule=adamax,
        names={"lr": "lr", **BETAS, "eps": "eps"},
        state={"m": "exp_avg", "u": "exp_inf"},
        to_paper=_nothing_added,
        from_paper=_nothing_added,
    ),
}
