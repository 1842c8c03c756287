"""optax: the learning rate outside the velocity, as in PyTorch; eps under the root, as in Keras."""

from dataclasses import replace

from numpy import float64

from lib import optimizers
from lib.arrays import maximum, minimum, norm, ratio, rms, sign, sqrt, where
from lib.checks import FACTOR
from lib.dialects import keras, torch
from lib.dialects.dialect import Dialect
from lib.optimizers.muon import newton_schulz
from lib.optimizers.rule import rule


@rule
def amsgrad(x, g, m, v, v_max, t, *, learning_rate, b1=0.9, b2=0.999, eps=1e-8):
    """The maximum is taken after the bias of v is removed.

    ``optax.amsgrad``; with its bias_correction_mu and bias_correction_nu switched
    off it is the paper's.
    """
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g**2
    m_hat = m / (1 - b1**t)
    v_max = maximum(v_max, v / (1 - b2**t))
    return x - learning_rate * m_hat / (sqrt(v_max) + eps), m, v, v_max


@rule
def adan(
    x, g, m, v, n, previous, t, *,
    learning_rate, b1=0.98, b2=0.92, b3=0.99, eps=1e-8, eps_root=1e-8, weight_decay=0.0,
):  # fmt: skip
    """The change counts 1 - b2 times, not b2 times; averages start at 0.

    ``optax.adan``, which keeps the paper's 1 - beta where its b2 is 1 minus the
    paper's: 0.08 for 0.92. The bias is removed from all averages, a second eps
    stands under the root, and the decay is AdamW's.
    """
    change = where(t == 1, 0 * g, g - previous)
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * change
    n = b3 * n + (1 - b3) * (g + (1 - b2) * change) ** 2
    m_hat, v_hat, n_hat = m / (1 - b1**t), v / (1 - b2**t), n / (1 - b3**t)
    step = (m_hat + (1 - b2) * v_hat) / (sqrt(n_hat + eps_root) + eps)
    return x - learning_rate * (step + weight_decay * x), m, v, n, 1 * g


@rule
def sophia(
    x, g, curvature, m, h, t, *,
    learning_rate, b1=0.965, b2=0.99, gamma=0.01, eps=1e-8, weight_decay=1e-4, update_interval=10,
):  # fmt: skip
    """A step uses the h before it, not the new one, and m without its bias.

    ``optax.contrib.sophia``.
    """
    m = b1 * m + (1 - b1) * g
    m_hat = m / (1 - b1**t)
    step = maximum(minimum(m_hat / maximum(gamma * h, eps), 1.0), -1.0)
    fresh = b2 * h + (1 - b2) * curvature
    h = where((t - 1) % update_interval == 0, fresh, h)
    return x - learning_rate * (step + weight_decay * x), m, h


@rule(b1=FACTOR)
def schedule_free_sgd(
    x, g, z="x", total=0.0, max_lr=0.0, *, learning_rate=1.0, b1=0.9, weight_decay=0.0
):  # fmt: skip
    """The largest rate so far weighs the average, not the rate of the step.

    ``optax.contrib.schedule_free_sgd``. Given a rate that is itself a schedule, optax
    weighs each step with the rate of the next; here both are one.
    """
    average = (x - (1 - b1) * z) / b1
    z = z - learning_rate * (g + weight_decay * x)
    max_lr = maximum(max_lr, learning_rate)
    total = total + max_lr**2
    c = max_lr**2 / (total + (total == 0))
    average = (1 - c) * average + c * z
    return b1 * average + (1 - b1) * z, z, total, max_lr


@rule(b1=FACTOR)
def schedule_free_adamw(
    x, g, z="x", v=0.0, total=0.0, max_lr=0.0, t=1, *,
    learning_rate=0.0025, b1=0.9, b2=0.999, eps=1e-8, weight_decay=0.0,
):  # fmt: skip
    """v is freed of its bias, not the rate: the average weighs early steps in full.

    ``optax.contrib.schedule_free_adamw``. As in its SGD, the largest rate so far
    weighs the average.
    """
    average = (x - (1 - b1) * z) / b1
    v = b2 * v + (1 - b2) * g**2
    v_hat = v / (1 - b2**t)
    z = z - learning_rate * (g / (sqrt(v_hat) + eps) + weight_decay * x)
    max_lr = maximum(max_lr, learning_rate)
    total = total + max_lr**2
    c = max_lr**2 / (total + (total == 0))
    average = (1 - c) * average + c * z
    return b1 * average + (1 - b1) * z, z, v, total, max_lr


@rule
def nadam(x, g, m, v, t, *, learning_rate, b1=0.9, b2=0.999, eps=1e-8):
    """The momentum is b1 from the start.

    ``optax.nadam``.
    """
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g**2
    m_hat = b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)
    v_hat = v / (1 - b2**t)
    return x - learning_rate * m_hat / (sqrt(v_hat) + eps), m, v


@rule
def radam(x, g, m, v, t, *, learning_rate, b1=0.9, b2=0.999, eps=1e-8, threshold=5.0):
    """rho must reach a threshold of 5, not 4.

    ``optax.radam``.
    """
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g**2
    m_hat = m / (1 - b1**t)
    v_hat = v / (1 - b2**t)
    rho_inf = 2 / (1 - b2) - 1
    rho = rho_inf - 2 * t * b2**t / (1 - b2**t)
    above = where(rho >= threshold, (rho - 4) * (rho - 2) * rho_inf, 1)
    below = where(rho >= threshold, (rho_inf - 4) * (rho_inf - 2) * rho, 1)
    adapted = sqrt(above / below) * m_hat / (sqrt(v_hat) + eps)
    return x - learning_rate * where(rho >= threshold, adapted, m_hat), m, v


@rule
def rprop(
    x, g, last, size="learning_rate",
    *, learning_rate, eta_minus=0.5, eta_plus=1.2, min_step_size=1e-6, max_step_size=50.0,
):  # fmt: skip
    """Each step is the one that was due a gradient earlier.

    ``optax.rprop``, whose ``prev_updates`` is that step, ``last``; it is dropped where
    the gradient has flipped since, and then the parameter rests twice. A defect:
    https://github.com/google-deepmind/optax/pull/1725 would mend it.
    """
    agreement = g * last
    changed = where(agreement > 0, eta_plus * size, eta_minus * size)
    changed = minimum(maximum(changed, min_step_size), max_step_size)
    size = where(agreement == 0, size, changed)
    due = where(agreement < 0, 0 * g, size * sign(g))
    return x - where(agreement < 0, 0 * g, last), due, size


@rule(each="array")
def lars(x, g, v, *, learning_rate, weight_decay=0.0, trust_coefficient=0.001, momentum=0.9):
    """The trust divides by the norm of gradient and decay together; where a norm is 0, it is 1.

    ``optax.lars``.
    """
    u = g + weight_decay * x
    trust = ratio(trust_coefficient * norm(x), norm(u), otherwise=1.0)
    v = momentum * v - learning_rate * trust * u
    return x + v, v


def _longest(x):
    """The two longest dimensions, the longest last, the first one None if there is none."""
    return ([None, None, *sorted(range(x.ndim), key=lambda i: x.shape[i])])[-2:]


def _mean(a, dimension):
    return a if dimension is None else a.mean(axis=dimension, keepdims=True)


@rule(each="array")
def adafactor(
    x, g, R=lambda x: 0 * _mean(x, _longest(x)[1]), C=lambda x: 0 * _mean(x, _longest(x)[0]), t=1,
    *, learning_rate, clipping_threshold=1.0, eps1=1e-30, eps2=0.001,
):  # fmt: skip
    """Nothing bounds the rate; R and C go along the two longest dimensions, by default of 128 or more.

    ``optax.adafactor``; eps1 is its ``eps``, and eps2 nobody can choose. What is
    shorter it does not factor, unless ``min_dim_size_to_factor`` says so.
    """
    longer, longest = _longest(x)
    alpha = maximum(eps2, rms(x)) * learning_rate
    beta2 = 1 - t**-0.8
    R = beta2 * R + (1 - beta2) * _mean(g**2 + eps1, longest)
    C = beta2 * C + (1 - beta2) * _mean(g**2 + eps1, longer)
    V = R / _mean(R, longer) * C
    u = g / sqrt(V)
    return x - alpha * u / maximum(1.0, rms(u) / clipping_threshold), R, C


@rule(each="matrix")
def muon(x, g, v, t, *, learning_rate, beta=0.95, eps=1e-8, weight_decay=0.0):
    """The bias is removed, and wide matrices get the factor.

    ``optax.contrib.muon``. Its weights have a row for each input, as the layers of
    JAX's libraries have; those of PyTorch, and of the paper, have a column.
    """
    rows, columns = x.shape
    v = beta * v + (1 - beta) * g
    o = (1 - beta) * g / (1 - beta**t) + beta * v / (1 - beta ** (t + 1))
    o = newton_schulz(o / (norm(o) + eps))
    return x - learning_rate * (sqrt(max(1, columns / rows)) * o + weight_decay * x), v


RATE = {"lr": "learning_rate"}
BETAS = {"beta1": "b1", "beta2": "b2"}
MOMENTS = {"m": "mu", "v": "nu"}

_MAXIMUM_OF_V_HAT = (
    "without its bias another v is the largest; bias_correction_mu=False, bias_correction_nu=False make it the paper's."
)


def _eps_in_the_root(at, t):
    """The paper, if eps is 0 in both, or if you pass eps_in_sqrt=False."""
    if at(t)["eps"] != 0:
        raise LookupError("eps stands inside the root; eps_in_sqrt=False puts it outside, where the paper has it.")
    return at(t)


_ADAN = "optax gives the change of the gradient the weight 1 - b2 and lets its averages start at 0."
_SOPHIA = "optax takes each step with the curvature that it had before the step."
_SCHEDULE_FREE = "Adam's correction of early steps weighs in the paper's average and decay, but not in optax's."


def _one_rate(at, t):
    """The paper, at a constant rate."""
    if at(t)["lr"] != at(1)["lr"]:
        raise LookupError(
            "optax weighs a step with the largest rate so far, and that of the next; the paper with its own."
        )
    return at(t)


def _nadam_to_paper(at, t):
    """PyTorch's with momentum_decay=1e6; never the paper's."""
    return at(t) | {"momentum_decay": 1e6}


def _nadam_from_paper(at, t):
    """The hyperparameters of a framework whose momentum is b1 from the start: 0.96**1e6 is 0."""
    now = at(t)
    if 0.96 ** now.pop("momentum_decay", 0.004) != 0:
        raise LookupError("the momentum is b1 from the start; only PyTorch lets one choose how fast it grows.")
    return now


def _radam_to_paper(at, t):
    """The paper, if you pass threshold=4 (but where rho is 4 exactly)."""
    now = at(t)
    if now["threshold"] == 4:  # the paper's
        del now["threshold"]
    return now


def _radam_from_paper(at, t):
    """With the paper's threshold, or that of another framework."""
    return {"threshold": 4.0} | at(t)


_LATE = "optax takes each step a gradient late."


def _lars_without_decay(at, t):
    """The paper, if nothing decays and x is not all zeros."""
    if at(t)["weight_decay"] != 0:
        raise LookupError("the norm of gradient and decay together is not the sum of their norms.")
    return at(t)


def _adafactor_to_paper(at, t):
    """The paper, as long as the rate is below 1 / sqrt(t), if the last two dimensions are the longest."""
    if at(t)["lr"] > t**-0.5:
        raise LookupError(f"the paper bounds the rate by 1 / sqrt(t), which is less than {at(t)['lr']} at step {t}.")
    return at(t)


def _adafactor_from_paper(at, t):
    """A rate that keeps below the paper's bound by itself."""
    now = at(t)
    if now["eps2"] != 0.001:
        raise LookupError("eps2 is 0.001 in optax.")
    return now | {"lr": min(now["lr"], t**-0.5)}


_AHEAD = "optax frees the velocity of its bias, for one step more than there were, and multiplies wide matrices."

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
        to_paper=_eps_in_the_root,
        from_paper=_eps_in_the_root,
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
    "lion": Dialect(
        optimizer="optax.lion",
        rule=optimizers.lion,
        names=RATE | BETAS | {"weight_decay": "weight_decay"},
        state={"m": "mu"},
    ),
    "adan": Dialect(
        optimizer="optax.adan",
        rule=adan,
        names=RATE | BETAS | {"beta3": "b3", "eps": "eps", "eps_root": "eps_root", "weight_decay": "weight_decay"},
        state={"m": "m", "v": "v", "n": "n", "previous": "g"},
        to_paper=_ADAN,
        from_paper=_ADAN,
    ),
    "sophia": Dialect(
        optimizer="optax.contrib.sophia",
        rule=sophia,
        names=RATE
        | BETAS
        | {"gamma": "gamma", "eps": "eps", "weight_decay": "weight_decay", "update_every": "update_interval"},
        state={"m": "mu", "h": "nu"},
        to_paper=_SOPHIA,
        from_paper=_SOPHIA,
    ),
    "schedule_free_sgd": Dialect(
        optimizer="optax.contrib.schedule_free_sgd",
        rule=schedule_free_sgd,
        names=RATE | {"beta1": "b1", "weight_decay": "weight_decay"},
        state={"z": "z"},
        to_paper=_one_rate,
        from_paper=_one_rate,
    ),
    "schedule_free_adamw": Dialect(
        optimizer="optax.contrib.schedule_free_adamw",
        rule=schedule_free_adamw,
        names=RATE | BETAS | {"eps": "eps", "weight_decay": "weight_decay"},
        state={"z": "z", "v": "nu"},
        to_paper=_SCHEDULE_FREE,
        from_paper=_SCHEDULE_FREE,
    ),
    "nadam": Dialect(
        optimizer="optax.nadam",
        rule=nadam,
        names=RATE | BETAS | {"eps": "eps"},
        state=MOMENTS,
        to_paper=_nadam_to_paper,
        from_paper=_nadam_from_paper,
    ),
    "radam": Dialect(
        optimizer="optax.radam",
        rule=radam,
        names=RATE | BETAS | {"eps": "eps", "threshold": "threshold"},
        state=MOMENTS,
        to_paper=_radam_to_paper,
        from_paper=_radam_from_paper,
    ),
    "centered_rmsprop": Dialect(
        optimizer="optax.rmsprop",
        rule=optimizers.centered_rmsprop,
        names=RATE | {"rho": "decay", "momentum": "momentum", "eps": "eps"},
        fixed={"centered": True},
        state={"v": "nu", "m": "mu", "step": "trace"},
    ),
    "rprop": Dialect(
        optimizer="optax.rprop",
        rule=rprop,
        names=RATE
        | {
            "eta_minus": "eta_minus",
            "eta_plus": "eta_plus",
            "min_step_size": "min_step_size",
            "max_step_size": "max_step_size",
        },
        state={"last": "prev_updates", "size": "step_sizes"},
        to_paper=_LATE,
        from_paper=_LATE,
    ),
    "lars": Dialect(
        optimizer="optax.lars",
        rule=lars,
        names=RATE | {"momentum": "momentum", "weight_decay": "weight_decay", "trust_coefficient": "trust_coefficient"},
        state={"v": "trace"},
        to_paper=_lars_without_decay,
        from_paper=_lars_without_decay,
    ),
    "lamb": Dialect(
        optimizer="optax.lamb",
        rule=optimizers.lamb,
        names=RATE | BETAS | {"eps": "eps", "weight_decay": "weight_decay"},
        state=MOMENTS,
    ),
    "adafactor": Dialect(
        optimizer="optax.adafactor",
        rule=adafactor,
        names=RATE | {"eps1": "eps", "eps2": None, "clip_threshold": "clipping_threshold"},
        # A Python float as decay_rate would make a float32 of beta2, even in float64: 3e-7 after 1,000 steps.
        fixed={"min_dim_size_to_factor": 1, "decay_rate": float64(0.8)},
        to_paper=_adafactor_to_paper,
        from_paper=_adafactor_from_paper,
    ),
    "muon": Dialect(
        optimizer="optax.contrib.muon",
        rule=muon,
        names=RATE | {"momentum": "beta", "eps": "eps", "weight_decay": "weight_decay"},
        state={"v": "mu"},
        to_paper=_AHEAD,
        from_paper=_AHEAD,
    ),
}
