"""torch.optim: the learning rate multiplies the velocity instead of entering it.

At a constant rate both forms take the same path; under a schedule they do not.
"""

from lib import optimizers
from lib.arrays import column_means, maximum, minimum, norm, rms, row_means, sign, sqrt, where
from lib.dialects.dialect import (
    Dialect,
    constant_rate,
    eps_corrected,
    eps_hat,
    no_eps,
    rate_inside,
    rate_outside,
)
from lib.optimizers.adafactor import columns, rows
from lib.optimizers.muon import newton_schulz
from lib.optimizers.rule import rule


@rule
def momentum(x, g, v, *, lr=0.001, momentum=0.9):
    """The rate multiplies the velocity.

    ``torch.optim.SGD(momentum=...)`` with dampening 0; torch's own default is 0. That
    switches velocity off: under a schedule that passes through 0, PyTorch, Keras and
    this rule part, for they leave the old velocity to the steps after.
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


@rule
def nadam(
    x, g, m, v, mu_product=1.0, t=1,
    *, lr=0.002, beta1=0.9, beta2=0.999, eps=1e-8, momentum_decay=0.004,
):  # fmt: skip
    """m forgets at the rate beta1, not at that of the momentum.

    ``torch.optim.NAdam``. Its ``mu_product`` is a float32 even where parameters are
    float64, unless float64 is PyTorch's default dtype.
    """
    mu = beta1 * (1 - 0.5 * 0.96 ** (t * momentum_decay))
    mu_next = beta1 * (1 - 0.5 * 0.96 ** ((t + 1) * momentum_decay))
    mu_product = mu_product * mu
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = mu_next * m / (1 - mu_product * mu_next) + (1 - mu) * g / (1 - mu_product)
    v_hat = v / (1 - beta2**t)
    return x - lr * m_hat / (sqrt(v_hat) + eps), m, v, mu_product


@rule
def radam(x, g, m, v, t, *, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    """rho must exceed 5, not 4; eps is added before the bias of v is removed.

    ``torch.optim.RAdam``.
    """
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t)
    rho_inf = 2 / (1 - beta2) - 1
    rho = rho_inf - 2 * t * beta2**t / (1 - beta2**t)
    above = where(rho > 5, (rho - 4) * (rho - 2) * rho_inf, 1)
    below = where(rho > 5, (rho_inf - 4) * (rho_inf - 2) * rho, 1)
    adaptive = sqrt(1 - beta2**t) / (sqrt(v) + eps)
    step = where(rho > 5, sqrt(above / below) * adaptive * m_hat, m_hat)
    return x - lr * step, m, v


@rule
def centered_rmsprop(x, g, v, m, u, *, lr=0.01, rho=0.99, momentum=0.9, eps=1e-8):
    """eps stands outside the root, and the rate multiplies the velocity.

    ``torch.optim.RMSprop(centered=True, momentum=...)``; torch's own default is 0.
    A gradient that stays the same has no spread: steps grow, and where rounding makes
    v - m**2 negative they are not numbers.
    """
    v = rho * v + (1 - rho) * g**2
    m = rho * m + (1 - rho) * g
    u = momentum * u + g / (sqrt(v - m**2) + eps)
    return x - lr * u, v, m, u


@rule
def rprop(
    x, g, last, size="lr",
    *, lr=0.01, eta_minus=0.5, eta_plus=1.2, min_step_size=1e-6, max_step_size=50.0,
):  # fmt: skip
    """When the gradient flips, the parameter rests for a step.

    ``torch.optim.Rprop``, whose pairs are ``etas`` and ``step_sizes``: the iRprop- of
    Igel & Hüsken 2000, "Improving the Rprop Learning Algorithm", without backtracking.
    """
    agreement = g * last
    shorter = where(agreement < 0, eta_minus * size, size)
    size = where(agreement > 0, eta_plus * size, shorter)
    size = minimum(maximum(size, min_step_size), max_step_size)
    g = where(agreement < 0, 0 * g, g)
    return x - size * sign(g), g, size


@rule(each="array")
def adafactor(
    x, g, R=rows, C=columns, t=1,
    *, lr=0.01, eps1=2.0**-52, eps2=0.001, d=1.0, weight_decay=0.0,
):  # fmt: skip
    """eps1 is added to nothing: it bounds the mean of R, and its square bounds V.

    ``torch.optim.Adafactor``; eps1 and eps2 are its ``eps``. By default eps1 is the
    distance from 1 to the next number, here float64's. The decay, which the paper
    does not have, comes after RMS(x) is taken.
    """
    alpha = maximum(eps2, rms(x)) * minimum(lr, 1 / sqrt(t))
    x = x - lr * weight_decay * x
    beta2 = 1 - t**-0.8
    R = beta2 * R + (1 - beta2) * row_means(g**2)
    C = beta2 * C + (1 - beta2) * column_means(g**2)
    V = R / maximum(column_means(R), eps1) * C if x.ndim > 1 else R
    u = g / sqrt(maximum(V, eps1**2))
    return x - alpha * u / maximum(1.0, rms(u) / d), R, C


@rule(each="matrix")
def muon(x, g, v, *, lr=0.001, momentum=0.95, eps=1e-7, weight_decay=0.1):
    """The velocity is an average, and eps the least norm.

    ``torch.optim.Muon``; it runs Newton-Schulz in bfloat16, whatever the dtype of x.
    """
    rows, columns = x.shape
    v = momentum * v + (1 - momentum) * g
    o = (1 - momentum) * g + momentum * v
    o = newton_schulz(o / maximum(norm(o), eps))
    return x - lr * (sqrt(max(1, rows / columns)) * o + weight_decay * x), v


BETAS = {"beta1": "betas[0]", "beta2": "betas[1]"}
MOMENTS = {"m": "exp_avg", "v": "exp_avg_sq"}


def _to_no_correction(at, t):
    """The paper with lr * sqrt(1 - beta2**t) / (1 - beta1**t) and eps * sqrt(1 - beta2**t)."""
    now = at(t)
    c1, c2 = 1 - now["beta1"] ** t, sqrt(1 - now["beta2"] ** t)
    return now | {"lr": now["lr"] * c2 / c1, "eps": now["eps"] * c2}


def _from_no_correction(at, t):
    """A rate and an eps that undo Adam's corrections."""
    now = at(t)
    c1, c2 = 1 - now["beta1"] ** t, sqrt(1 - now["beta2"] ** t)
    return now | {"lr": now["lr"] * c1 / c2, "eps": now["eps"] / c2}


def _nothing_added(at, t):
    """The paper, if eps is 0."""
    now = at(t)
    if now["eps"] != 0:
        raise LookupError("eps inside the maximum, where it fades with the gradient, has no equal outside.")
    return now


# A knob that the paper lacks passes through it under the framework's name: between two frameworks there is a way.


def _nadam_to_paper(at, t):
    """Keras' if momentum_decay=1, optax's if it is 1e6; never the paper's."""
    return at(t)


def _nadam_from_paper(at, t):
    """The speed at which the momentum grows, from a framework whose m forgets at the rate beta1, too."""
    now = at(t)
    if "momentum_decay" not in now:
        raise LookupError("m forgets at the rate beta1, in the paper at that of the momentum.")
    return now


def _radam_to_paper(at, t):
    """That of optax with eps / sqrt(1 - beta2**t); never the paper's."""
    return eps_hat(at, t) | {"threshold": 5.0}


def _radam_from_paper(at, t):
    """eps before the bias of v is removed, if the threshold is 5."""
    now = eps_corrected(at, t)
    if now.pop("threshold", 4.0) != 5:
        raise LookupError("the threshold of rho is 5 and cannot be chosen; in the paper it is 4.")
    return now


_SWITCH = " (in optax, eps_in_sqrt=False takes it out)"


def _centered_to_paper(at, t):
    """The paper, if eps is 0 and the rate constant; else with the momentum lr[t] / lr[t-1] times as large."""
    no_eps(at, t, _SWITCH)
    return rate_outside(at, t)


def _centered_from_paper(at, t):
    """A velocity without the rate in it, from one with it, if eps is 0."""
    no_eps(at, t, _SWITCH)
    return rate_inside(at, t)


def _norm_alone(at, t):
    """The paper, if eps is 0 and momentum does not change: sums are then in proportion to averages."""
    now = at(t)
    if now["eps"] != 0:
        raise LookupError("eps as the least norm has no equal in one that is added to the norm, unless it is 0.")
    if now["momentum"] != at(1)["momentum"]:
        raise LookupError("an average of gradients is in proportion to their sum as long as the momentum is constant.")
    return now


_REST = "after a flip of the gradient the paper takes the last step back, and PyTorch rests."


def _adafactor_to_paper(at, t):
    """The paper with eps1 squared, nearly: if nothing decays and gradients are far above the root of eps1."""
    now = at(t)
    if now.pop("weight_decay") != 0:
        raise LookupError("the paper's Adafactor has no weight decay.")
    return now | {"eps1": now["eps1"] ** 2}


def _adafactor_from_paper(at, t):
    """The smallest root of V, from the smallest V."""
    now = at(t)
    return now | {"eps1": now["eps1"] ** 0.5, "weight_decay": 0.0}


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
    "nadam": Dialect(
        optimizer="torch.optim.NAdam",
        rule=nadam,
        names={"lr": "lr", **BETAS, "eps": "eps", "momentum_decay": "momentum_decay"},
        state=MOMENTS,  # and mu_product, but one number for a parameter of any shape
        to_paper=_nadam_to_paper,
        from_paper=_nadam_from_paper,
    ),
    "radam": Dialect(
        optimizer="torch.optim.RAdam",
        rule=radam,
        names={"lr": "lr", **BETAS, "eps": "eps"},
        state=MOMENTS,
        to_paper=_radam_to_paper,
        from_paper=_radam_from_paper,
    ),
    "centered_rmsprop": Dialect(
        optimizer="torch.optim.RMSprop",
        rule=centered_rmsprop,
        names={"lr": "lr", "rho": "alpha", "momentum": "momentum", "eps": "eps"},
        fixed={"centered": True},
        state={"v": "square_avg", "m": "grad_avg", "u": "momentum_buffer"},
        to_paper=_centered_to_paper,
        from_paper=_centered_from_paper,
    ),
    "rprop": Dialect(
        optimizer="torch.optim.Rprop",
        rule=rprop,
        names={
            "lr": "lr",
            "eta_minus": "etas[0]",
            "eta_plus": "etas[1]",
            "min_step_size": "step_sizes[0]",
            "max_step_size": "step_sizes[1]",
        },
        state={"last": "prev", "size": "step_size"},
        to_paper=_REST,
        from_paper=_REST,
    ),
    "adafactor": Dialect(
        optimizer="torch.optim.Adafactor",
        rule=adafactor,
        names={"lr": "lr", "eps1": "eps[0]", "eps2": "eps[1]", "clip_threshold": "d", "weight_decay": "weight_decay"},
        to_paper=_adafactor_to_paper,
        from_paper=_adafactor_from_paper,
    ),
    "muon": Dialect(
        optimizer="torch.optim.Muon",
        rule=muon,
        names={"lr": "lr", "momentum": "momentum", "eps": "eps", "weight_decay": "weight_decay"},
        state={"v": "momentum_buffer"},
        to_paper=_norm_alone,
        from_paper=_norm_alone,
    ),
}
