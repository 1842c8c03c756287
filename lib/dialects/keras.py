"""keras.optimizers: eps under the root (Adagrad, RMSProp) or beside the uncorrected root (Adam)."""

from lib import optimizers
from lib.arrays import maximum, norm, ratio, sqrt
from lib.checks import FACTOR
from lib.dialects.dialect import Dialect, eps_corrected, eps_hat, no_eps
from lib.optimizers.muon import newton_schulz
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
    """The bias is removed by way of the rate, after eps is added.

    ``keras.optimizers.Adam(amsgrad=True)``.
    """
    m = beta_1 * m + (1 - beta_1) * g
    v = beta_2 * v + (1 - beta_2) * g**2
    v_max = maximum(v_max, v)
    alpha = learning_rate * sqrt(1 - beta_2**t) / (1 - beta_1**t)
    return x - alpha * m / (sqrt(v_max) + epsilon), m, v, v_max


@rule(beta_1=FACTOR)
def schedule_free_adamw(
    x, g, z="x", v=0.0, t=1, *,
    learning_rate=0.0025, beta_1=0.9, beta_2=0.999, epsilon=1e-8, weight_decay=0.0,
):  # fmt: skip
    """x is the plain average of all z, whatever beta_1; it alone decays.

    ``keras.optimizers.ScheduleFreeAdamW``. To find the last average it takes x and
    the old z; but on TensorFlow and PyTorch what it kept for that is the variable
    itself, by then the new z, and beta_1 cancels. On JAX it does not.
    """
    x = x - learning_rate * weight_decay * x
    v = beta_2 * v + (1 - beta_2) * g**2
    v_hat = v / (1 - beta_2**t)
    z = z - learning_rate * g / (sqrt(v_hat) + epsilon)
    return (1 - 1 / t) * x + 1 / t * z, z, v


@rule
def nadam(
    x, g, m, v, mu_product=1.0, t=1,
    *, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7,
):  # fmt: skip
    """The momentum grows 250 times as fast as the paper's, and m forgets at the rate beta1.

    ``keras.optimizers.Nadam``.
    """
    mu = beta_1 * (1 - 0.5 * 0.96**t)
    mu_next = beta_1 * (1 - 0.5 * 0.96 ** (t + 1))
    mu_product = mu_product * mu
    m = beta_1 * m + (1 - beta_1) * g
    v = beta_2 * v + (1 - beta_2) * g**2
    m_hat = mu_next * m / (1 - mu_product * mu_next) + (1 - mu) * g / (1 - mu_product)
    v_hat = v / (1 - beta_2**t)
    return x - learning_rate * m_hat / (sqrt(v_hat) + epsilon), m, v, mu_product


@rule(each="array")
def lamb(
    x, g, m, v, t,
    *, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7, weight_decay=0.0,
):  # fmt: skip
    """x decays first, by a share of itself, whatever the norms.

    ``keras.optimizers.Lamb``.
    """
    x = x - learning_rate * weight_decay * x
    m = beta_1 * m + (1 - beta_1) * g
    v = beta_2 * v + (1 - beta_2) * g**2
    m_hat = m / (1 - beta_1**t)
    v_hat = v / (1 - beta_2**t)
    u = m_hat / (sqrt(v_hat) + epsilon)
    return x - learning_rate * ratio(norm(x), norm(u), otherwise=1.0) * u, m, v


@rule(each="matrix")
def muon(x, g, v, *, learning_rate=0.001, momentum=0.95, eps=1e-7, weight_decay=0.004):
    """Steps grow with the longer side, to be as large as AdamW's.

    ``keras.optimizers.Muon``; 0.2 is its ``rms_rate``, after Liu et al. 2025, arXiv
    2502.16982. Its ``epsilon`` is that of the AdamW with which it steps what is not a
    matrix; the eps here cannot be chosen.
    """
    v = momentum * v + g
    o = g + momentum * v
    o = newton_schulz(o / (norm(o) + eps))
    return x - learning_rate * (0.2 * sqrt(max(x.shape)) * o + weight_decay * x), v


RATE = {"lr": "learning_rate"}
BETAS = {"beta1": "beta_1", "beta2": "beta_2"}
EPS = {"eps": "epsilon"}
MOMENTS = {"m": "_momentums", "v": "_velocities"}


def _higher_start(at, t):
    """The paper with eps = 0 and a G that starts higher by this eps."""
    now = at(t)
    return now | {"G": now.get("G", 0.1) + now["eps"], "eps": 0.0}


def _same_start(at, t):
    """eps inside the root and the paper's start, if eps is 0."""
    return {"G": 0.0} | no_eps(at, t)


def _to_no_correction(at, t):
    """The paper with lr * sqrt(1 - beta2**t) / (1 - beta1**t)."""
    now = at(t)
    return now | {"lr": now["lr"] * sqrt(1 - now["beta2"] ** t) / (1 - now["beta1"] ** t)}


def _from_no_correction(at, t):
    """A rate that undoes Adam's corrections."""
    now = at(t)
    return now | {"lr": now["lr"] * (1 - now["beta1"] ** t) / sqrt(1 - now["beta2"] ** t)}


_NO_BETA1 = "on TensorFlow, Keras takes gradients at the average itself, for which beta1 would have to be 1."


def _nadam_to_paper(at, t):
    """PyTorch's with momentum_decay=1; never the paper's."""
    return at(t) | {"momentum_decay": 1.0}


def _nadam_from_paper(at, t):
    """The hyperparameters of a framework whose momentum grows as fast."""
    now = at(t)
    if now.pop("momentum_decay", 0.004) != 1:
        raise LookupError("the momentum grows as 1 - 0.96**t / 2; only PyTorch lets one choose.")
    return now


def _lamb_without_decay(at, t):
    """The paper, if nothing decays."""
    if at(t)["weight_decay"] != 0:
        raise LookupError("the decay stands outside the ratio of norms in Keras, in the paper inside.")
    return at(t)


_LONGER_SIDE = "Keras multiplies by 0.2 sqrt(max(rows, columns)): each shape would need a rate of its own."

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
    "lion": Dialect(
        optimizer="keras.optimizers.Lion",
        rule=optimizers.lion,
        names=RATE | BETAS | {"weight_decay": "weight_decay"},
        state={"m": "_momentums"},
    ),
    "schedule_free_adamw": Dialect(
        optimizer="keras.optimizers.ScheduleFreeAdamW",
        rule=schedule_free_adamw,
        names=RATE | BETAS | EPS | {"weight_decay": "weight_decay"},
        state={"z": "_momentums", "v": "_velocities"},
        to_paper=_NO_BETA1,
        from_paper=_NO_BETA1,
    ),
    "nadam": Dialect(
        optimizer="keras.optimizers.Nadam",
        rule=nadam,
        names=RATE | BETAS | EPS,
        state=MOMENTS,  # and mu_product, but one number for all parameters
        to_paper=_nadam_to_paper,
        from_paper=_nadam_from_paper,
    ),
    "centered_rmsprop": Dialect(
        optimizer="keras.optimizers.RMSprop",
        rule=optimizers.centered_rmsprop,
        names=RATE | EPS | {"rho": "rho", "momentum": "momentum"},
        fixed={"centered": True},
        state={"v": "_velocities", "m": "_average_gradients"},  # and the step, but with its sign turned around
    ),
    "lamb": Dialect(
        optimizer="keras.optimizers.Lamb",
        rule=lamb,
        names=RATE | BETAS | EPS | {"weight_decay": "weight_decay"},
        state=MOMENTS,
        to_paper=_lamb_without_decay,
        from_paper=_lamb_without_decay,
    ),
    "adafactor": Dialect(
        optimizer="keras.optimizers.Adafactor",
        rule=optimizers.adafactor,
        names=RATE | {"eps1": "epsilon_1", "eps2": "epsilon_2", "clip_threshold": "clip_threshold"},
    ),
    "muon": Dialect(
        optimizer="keras.optimizers.Muon",
        rule=muon,
        names=RATE | {"momentum": "momentum", "eps": None, "weight_decay": "weight_decay"},
        state={"v": "momentums"},
        to_paper=_LONGER_SIDE,
        from_paper=_LONGER_SIDE,
    ),
}
