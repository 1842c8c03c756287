"""Learning-rate schedules: pure functions of the step, which is counted from 0.

Give one to an optimizer with its numbers filled in:

    Optimizer(adam, lr=partial(step, lr=0.1, every=30))

One that goes from ``lr`` to ``end`` in ``steps``, like `linear` and `cosine`, is also a shape of which others are made:

    partial(warm_up, steps=5, shape=cosine, then=partial(step, lr=0.1, every=30))

`SCHEDULES` lists them by name. What sets the rate by the loss is no function of the step; it stands at the end of the
file, with `OnLoss`, which makes a rate of it.
"""

import functools
import inspect
from functools import partial
from math import inf, isnan, pi
from numbers import Real

from lib.arrays import cos, log, maximum, minimum, sqrt, where
from lib.checks import NON_NEGATIVE, check_names, check_number, check_range, check_step

# ---------- what a schedule is ----------


def _check_milestones(name, value, where):
    if not isinstance(value, list | tuple):
        raise TypeError(f"{where}: {name} must be a list of steps, got {value!r} of type {type(value).__name__}.")
    steps = [check_range(NON_NEGATIVE, f"{name}[{i}]", step, where) for i, step in enumerate(value)]
    if not steps:
        raise ValueError(f"{where}: {name} is empty; name a step, or use constant.")
    if sorted(set(steps)) != steps:
        raise ValueError(f"{where}: {name} must increase, got {value!r}; pass {sorted(set(steps))!r}.")
    return steps


def _check_schedule(name, value, where):
    if not callable(value):
        hint = "partial(cosine, lr=0.1, steps=100)" if name == "then" else "cosine"
        raise TypeError(f"{where}: {name} must be a schedule, as in {name}={hint}; got {value!r}.")
    return value


def _check_flag(name, value, where):
    if not isinstance(value, bool):
        raise TypeError(f"{where}: {name} must be True or False, got {value!r} of type {type(value).__name__}.")
    return value


def _check_any_number(name, value, where):
    return check_range(("a number, not nan", lambda v: not isnan(v)), name, value, where)


# The arguments that are no numbers. The numbers have their ranges in lib.checks.
_CHECKS = {
    "milestones": _check_milestones,  # the steps at which the rate changes
    "then": _check_schedule,  # the schedule that follows
    "shape": _check_schedule,  # how the rate goes from lr to end in so many steps
    "runs_on": _check_flag,  # whether the schedule that follows counts the steps before it, too
    "three_phase": _check_flag,  # whether the cycle is over before the rate falls to its end
}

# What the arguments of a schedule must fulfill together.
_FITS = {
    "warm_up": (
        "then must begin with a rate > 0 if it runs on",
        lambda then, runs_on, **_: not runs_on or then(0) > 0,
    ),
    "warmup_stable_decay": (
        "warmup_steps + decay_steps must be at most steps",
        lambda steps, warmup_steps, decay_steps, **_: warmup_steps + decay_steps <= steps,
    ),
    "one_cycle": (
        "pct_start must be less than 0.5 if there are three phases",
        lambda pct_start, three_phase, **_: pct_start < 0.5 or not three_phase,
    ),
}


def _checked(given: dict, signature: dict, where: str, checks=None) -> dict:
    """``given``, numbers as plain ones, if it is what ``signature`` asks for: a dict of name to default.

    ``checks`` has functions ``(name, value, where)`` for some of the names.
    """
    checks = _CHECKS | (checks or {})
    check_names(given, signature, where)
    if missing := [key for key, default in signature.items() if default is inspect.Parameter.empty
                   and key not in given]:  # fmt: skip
        fill_in = ", ".join(f"{key}=..." for key in missing)
        raise TypeError(f"{where}: no value for {', '.join(missing)}; fill it in: partial({where}, {fill_in}).")
    return {
        key: value if value is signature[key] is None else checks.get(key, check_number)(key, value, where)
        for key, value in given.items()
    }


def schedule(function):
    """Check a schedule's arguments on each call; its body then is the equation alone.

    ``t`` is a step >= 0 and gives one rate, or an array of steps and gives an array of rates.

    Raises (when the schedule is called):
        TypeError: an argument is unknown or missing, or of a wrong type.
        ValueError: an argument is out of range, or does not fit the others.
    """
    name = function.__name__
    signature = {p.name: p.default for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY}
    condition, holds = _FITS.get(name, ("", lambda **_: True))

    @functools.wraps(function)
    def checked(t, *unnamed, **given):
        if unnamed:
            fill_in = ", ".join(f"{key}=..." for key in signature)
            raise TypeError(f"{name}: name every number, as in partial({name}, {fill_in}); got {(t, *unnamed)!r}.")
        given = _checked(given, signature, name)
        if not holds(**signature | given):
            numbers = ", ".join(f"{key}={value!r}" for key, value in given.items() if not callable(value))
            raise ValueError(f"{name}: {condition}; got {numbers}.")
        check_step(t, name)
        return function(t, **given) + 0 * t  # an array of steps gives a rate for each of them

    return checked


def in_turn(t, schedules, lengths):
    """The rate at ``t`` of schedules that follow each other and count from 0, each.

    Args:
        t: a step or an array of steps.
        schedules: functions of the step.
        lengths: for how many steps each of them lasts; the last one lasts for ever.
    """
    first, *others = schedules
    if not others:
        return first(t)
    length, *lengths = lengths
    later = in_turn(maximum(t - length, 0), others, lengths)
    return where(t < length, first(t), later)


# ---------- decay ----------


@schedule
def constant(t, *, lr):
    """The same rate at every step.

    optax ``constant_schedule``; Keras takes the number itself. torch's
    ``ConstantLR`` is something else: a lower rate for the first steps.
    """
    return lr


@schedule
def step(t, *, lr, every, gamma=0.1):
    """``lr``, multiplied by ``gamma`` after each ``every`` steps.

    torch ``StepLR``; Keras ``ExponentialDecay`` and optax ``exponential_decay``
    with ``staircase=True``.
    """
    return lr * gamma ** (t // every)


@schedule
def multi_step(t, *, lr, milestones, gamma=0.1):
    """``lr``, multiplied by ``gamma`` at each of the ``milestones``.

    torch ``MultiStepLR``, Keras ``PiecewiseConstantDecay``, optax
    ``piecewise_constant_schedule``.
    """
    return lr * gamma ** sum((t >= milestone for milestone in milestones), 0 * t)


@schedule
def exponential(t, *, lr, gamma, every=1):
    """``lr``, multiplied by ``gamma`` in the course of each ``every`` steps.

    torch ``ExponentialLR``, Keras ``ExponentialDecay``, optax
    ``exponential_decay``.
    """
    return lr * gamma ** (t / every)


@schedule
def inverse_time(t, *, lr, decay_rate, every=1):
    """``lr`` over a number that grows by ``decay_rate`` in each ``every`` steps.

    Keras ``InverseTimeDecay``.
    """
    return lr / (1 + decay_rate * t / every)


@schedule
def linear(t, *, lr, steps, end=0.0):
    """From ``lr`` to ``end`` in a straight line, then ``end``.

    torch ``LinearLR``, Keras ``PolynomialDecay(power=1)``, optax
    ``linear_schedule``.
    """
    left = maximum(steps - t, 0) / steps
    return left * lr + (1 - left) * end


@schedule
def polynomial(t, *, lr, steps, power, end=0.0):
    """From ``lr`` to ``end`` along a power of the share of steps left, then ``end``.

    torch ``PolynomialLR``, Keras ``PolynomialDecay``, optax
    ``polynomial_schedule``.
    """
    left = maximum(steps - t, 0) / steps
    return end + (lr - end) * left**power


@schedule
def cosine(t, *, lr, steps, end=0.0):
    """From ``lr`` to ``end`` along half a wave of the cosine, then ``end``.

    Source: Loshchilov & Hutter 2017, arXiv 1608.03983, equation 5, for one run.
    torch ``CosineAnnealingLR``, Keras ``CosineDecay``, optax
    ``cosine_decay_schedule``.
    """
    x = minimum(t, steps) / steps
    return end + (lr - end) * (1 + cos(pi * x)) / 2


# ---------- restarts and cycles ----------


def run_of(t, first, t_mult):
    """The run that step ``t`` is in: its number, its length, and the steps since.

    Run 0 has length ``first``; each is ``t_mult`` times as long as the last.
    """
    if t_mult == 1:
        return t // first, first, t % first
    begin = lambda i: first * (t_mult**i - 1) / (t_mult - 1)
    # The logarithm may err where it is a whole number: at the restarts.
    nearest = (log(1 + (t_mult - 1) * t / first) / log(t_mult) + 0.5) // 1
    i = where(begin(nearest) > t, nearest - 1, nearest)
    return i, first * t_mult**i, t - begin(i)


@schedule
def cosine_restarts(t, *, lr, steps, t_mult=1, gamma=1.0, end=0.0):
    """A cosine from ``lr`` toward ``end``, begun anew after ``steps``.

    The next run is ``t_mult`` times as long, and ``gamma`` times as high.
    Source: SGDR, Loshchilov & Hutter 2017, arXiv 1608.03983, equation 5; there
    gamma is 1. torch ``CosineAnnealingWarmRestarts``, Keras
    ``CosineDecayRestarts``, optax ``sgdr_schedule``.
    """
    i, T_i, T_cur = run_of(t, steps, t_mult)
    return end + (lr - end) * gamma**i * (1 + cos(pi * T_cur / T_i)) / 2


def triangle(t, steps_up, steps_down):
    """How high, from 0 to 1, a wave of triangles is at step ``t``; how many are over."""
    steps_down = steps_down or steps_up
    period = steps_up + steps_down
    height = minimum(t % period / steps_up, (period - t % period) / steps_down)
    return height, t // period


@schedule
def triangular(t, *, lr, start, steps_up, steps_down=None):
    """From ``start`` up to ``lr`` and down again, for ever.

    Without ``steps_down``, the way down is as long as the way up.
    Source: Smith 2017, arXiv 1506.01186. torch ``CyclicLR``.
    """
    height, _ = triangle(t, steps_up, steps_down)
    return start + (lr - start) * height


@schedule
def triangular2(t, *, lr, start, steps_up, steps_down=None):
    """``triangular``, each cycle half as high as the one before.

    Source: Smith 2017, arXiv 1506.01186. torch ``CyclicLR(mode="triangular2")``.
    """
    height, cycle = triangle(t, steps_up, steps_down)
    return start + (lr - start) * height * 0.5**cycle


@schedule
def exp_range(t, *, lr, start, steps_up, gamma, steps_down=None):
    """``triangular``, lower by a factor ``gamma`` at each step.

    As torch ``CyclicLR(mode="exp_range")`` has it: ``start`` stays. In Smith 2017,
    arXiv 1506.01186, both bounds fall.
    """
    height, _ = triangle(t, steps_up, steps_down)
    return start + (lr - start) * height * gamma**t


# ---------- warm-up ----------


@schedule
def warm_up(t, *, then, steps, start=0.0, shape=linear, runs_on=False):
    """From ``start`` to the first rate of ``then`` in ``steps``; then ``then``.

    ``then`` counts from 0 when the warm-up is over: torch ``SequentialLR``, optax
    ``join_schedules``; with a cosine, Keras ``CosineDecay``. If it ``runs_on``, it
    counts from the first step, and the warm-up holds it down: torch
    ``ChainedScheduler``.
    """
    if runs_on:
        return then(t) * shape(t, lr=start / then(0), end=1.0, steps=steps)
    rise = partial(shape, lr=start, end=then(0), steps=steps)
    return in_turn(t, [rise, then], [steps])


@schedule
def noam(t, *, d_model, warmup_steps=4000):
    """A linear warm-up, then the inverse square root of the number of the step.

    ``d_model`` is the width of the model. Source: Vaswani et al. 2017, arXiv
    1706.03762, equation 3, whose steps count from 1.
    """
    step_num = t + 1
    return d_model**-0.5 * minimum(step_num**-0.5, step_num * warmup_steps**-1.5)


@schedule
def inverse_sqrt(t, *, lr, warmup_steps):
    """``noam`` with a rate instead of a width: ``lr`` is where it turns.

    Source: Vaswani et al. 2017, arXiv 1706.03762, equation 3, rescaled.
    """
    step_num = t + 1
    return lr * minimum(step_num / warmup_steps, sqrt(warmup_steps / step_num))


@schedule
def warmup_stable_decay(t, *, lr, steps, warmup_steps, decay_steps, end=0.0,
                        shape=linear):  # fmt: skip
    """Up to ``lr`` in a line, ``lr`` for long, down to ``end`` in the last steps.

    Source: Hu et al. 2024, arXiv 2404.06395, equation 1, whose W, T and S are
    warmup_steps, steps - decay_steps and steps. torch ``SequentialLR``, optax
    ``join_schedules``.
    """
    up = partial(linear, lr=0.0, end=lr, steps=warmup_steps)
    stable = partial(constant, lr=lr)
    down = partial(shape, lr=lr, end=end, steps=decay_steps)
    stable_steps = steps - warmup_steps - decay_steps
    return in_turn(t, [up, stable, down], [warmup_steps, stable_steps])


@schedule
def one_cycle(t, *, lr, steps, pct_start=0.3, div_factor=25.0, final_div_factor=1e4,
              shape=cosine, three_phase=False):  # fmt: skip
    """Up to ``lr`` in a share ``pct_start`` of the steps, down to almost nothing.

    Source: Smith & Topin 2017, arXiv 1708.07120: three phases, straight lines. In
    two phases and with a cosine as fastai has it. torch ``OneCycleLR``, optax
    ``cosine_onecycle_schedule`` and ``linear_onecycle_schedule``.
    """
    start, rise = lr / div_factor, pct_start * steps
    end = start / final_div_factor
    up = partial(shape, lr=start, end=lr, steps=rise)
    if not three_phase:
        down = partial(shape, lr=lr, end=end, steps=steps - rise)
        return in_turn(t, [up, down], [rise])
    down = partial(shape, lr=lr, end=start, steps=rise)
    out = partial(shape, lr=start, end=end, steps=steps - 2 * rise)
    return in_turn(t, [up, down, out], [rise, rise])


SCHEDULES = {
    f.__name__: f
    for f in (constant, step, multi_step, exponential, inverse_time, linear, polynomial, cosine, cosine_restarts,
              triangular, triangular2, exp_range, warm_up, noam, inverse_sqrt, warmup_stable_decay, one_cycle)
}  # fmt: skip


# ---------- by the loss ----------


def reduce_on_plateau(loss, lr, best=inf, waited=0, cooling=0, *, gamma=0.1,
                      patience=10, rtol=1e-4, atol=0.0, cooldown=0, end=0.0):  # fmt: skip
    """``lr``, multiplied by ``gamma`` after ``patience`` losses without improvement.

    To improve, a loss must fall below the best one by the share ``rtol`` of it and
    by ``atol``. ``cooldown`` losses after a cut do not count. ``end`` is the lowest
    rate. torch ``ReduceLROnPlateau``, Keras' callback of that name, optax
    ``contrib.reduce_on_plateau``.
    """
    improved = loss < (1 - rtol) * best - atol
    best = loss if improved else best
    waited = 0 if improved or cooling else waited + 1
    cooling = max(cooling - 1, 0)
    if waited >= patience:
        lr, waited, cooling = max(gamma * lr, min(lr, end)), 0, cooldown
    return lr, best, waited, cooling


def restart_on_loss(loss, lr, waited=0, last=inf, *, then, loss_threshold):
    """The rates of ``then``, begun anew when the loss falls to a threshold.

    As it is sometimes taught. It is not SGDR, which sees no loss.
    """
    waited = 0 if loss <= loss_threshold < last else waited + 1
    return then(waited), waited, loss


class OnLoss:
    """A rate that changes with the loss: call it for the rate, tell it each loss.

        rate = OnLoss(reduce_on_plateau, lr=0.1, patience=5)
        optimizer = Optimizer(adam, lr=rate)
        for ...:
            params = optimizer.step(params, grads)
            rate.tell(loss)

    Args:
        rule: `reduce_on_plateau`, `restart_on_loss`, or another function ``(loss, lr, its state, *, its numbers)`` that
            returns the new rate and the rest of the new state.
        given: the rule's numbers, and what its state starts with. A rate that is not given is the first of ``then``.

    Attributes:
        state: a dict of plain numbers, the rate ``lr`` among them. Whoever keeps it can go on with it in another run:
            ``OnLoss(reduce_on_plateau, patience=5, **state)``.

    Raises:
        TypeError: ``rule`` is no such function; an argument is unknown or missing, or of a wrong type.
        ValueError: an argument is out of range.
    """

    def __init__(self, rule, **given):
        parameters = list(inspect.signature(rule).parameters.values()) if callable(rule) else []
        if [p.name for p in parameters[:2]] != ["loss", "lr"]:
            raise TypeError(f"OnLoss: rule must be a function (loss, lr, ...), like reduce_on_plateau; got {rule!r}.")
        if "lr" not in given and callable(given.get("then")):
            given["lr"] = given["then"](0)
        signature = {p.name: p.default for p in parameters[1:]}
        states = [p.name for p in parameters[1:] if p.kind is p.POSITIONAL_OR_KEYWORD]
        numbers = signature | _checked(given, signature, rule.__name__, dict.fromkeys(states[1:], _check_any_number))
        self.rule = rule
        self.state = {key: numbers.pop(key) for key in states}
        self.hyperparameters = numbers

    def __call__(self, step):
        """The rate now; it depends on the losses told, not on ``step``."""
        return self.state["lr"]

    def tell(self, loss) -> None:
        """Take in the loss after a step, or after an epoch: a number, or an array of one.

        Raises:
            TypeError: it is no number.
            ValueError: it is nan. The state is as before.
        """
        loss = _check_any_number("loss", loss if isinstance(loss, Real) else float(loss), self.rule.__name__)
        new = self.rule(loss, *self.state.values(), **self.hyperparameters)
        self.state = dict(zip(self.state, new, strict=True))
