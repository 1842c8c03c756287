"""Schedules give the frameworks' rates at every step, and each wrong form is told apart from them; they are what their
equations say, on steps of any kind, and refuse numbers that make no sense.

Deviations are counted in units of 2**-52 of the largest rate: a number as large as that is rounded by half a unit at
most.
"""

import functools
import inspect
import itertools
import json
import math
import re
from fractions import Fraction
from functools import partial
from types import SimpleNamespace

import hypothesis.strategies as st
import jax
import numpy as np
import optax
import pytest
import torch
from hypothesis import assume, given, settings

from lib.dialects.schedules import COUNTERPARTS
from lib.optimizers import Optimizer, gradient_descent
from lib.referees import schedules as referee
from lib.referees.keras import keras, tensorflow
from lib.referees.schedules import (
    STEPS,
    book_rates,
    compare,
    counterparts,
    in_full,
    in_words,
    losses,
    until,
)
from lib.schedules import (
    SCHEDULES,
    OnLoss,
    constant,
    cosine,
    cosine_restarts,
    exp_range,
    exponential,
    inverse_sqrt,
    inverse_time,
    linear,
    multi_step,
    noam,
    one_cycle,
    polynomial,
    reduce_on_plateau,
    restart_on_loss,
    schedule,
    step,
    triangular,
    triangular2,
    warm_up,
    warmup_stable_decay,
)

FRAMEWORKS = ("torch", "keras", "optax")
EPS = 2.0**-52

rates = functools.cache(referee.rates)

# ---------- the frameworks ----------

# What can follow a warm-up, or be held down by it, each from a rate and from 0.
FOLLOWERS = [
    partial(constant, lr=0.3),
    partial(step, lr=0.3, every=30),
    partial(multi_step, lr=0.3, milestones=[0, 60], gamma=0.7),
    partial(exponential, lr=0.3, gamma=0.99),
    partial(inverse_time, lr=0.3, decay_rate=0.7),
    partial(linear, lr=0.3, steps=90, end=0.01),
    partial(linear, lr=0.01, steps=90, end=0.3),
    partial(polynomial, lr=0.3, steps=90, power=2.5),
    partial(cosine, lr=0.3, steps=80),
    partial(cosine, lr=0.3, steps=80, end=0.01),
    partial(cosine_restarts, lr=0.3, steps=15, t_mult=3, end=0.01),
    partial(triangular2, lr=0.3, start=0.01, steps_up=11),
    partial(exp_range, lr=0.3, start=0.01, steps_up=11, gamma=0.99),
    partial(noam, d_model=512, warmup_steps=40),
    partial(inverse_sqrt, lr=0.3, warmup_steps=40),
    partial(warmup_stable_decay, lr=0.3, steps=90, warmup_steps=10, decay_steps=30),
    partial(one_cycle, lr=0.3, steps=90),
    partial(warm_up, steps=5, then=partial(constant, lr=0.3)),
]
FOLLOWED = [
    partial(warm_up, steps=10, start=start, then=then, runs_on=runs_on)
    for then in FOLLOWERS
    for start in (0.0, 0.0003, 0.5)
    for runs_on in (False, True)
    if then(0) > 0 or not runs_on
]

# Beside those of the tables: the shortest of each kind, changes at the first step, and what the tables leave out.
CASES = [
    *referee.SHOWN,
    partial(step, lr=0.3, every=1, gamma=0.9),
    partial(multi_step, lr=0.3, milestones=[0, 1, 2, 200], gamma=0.7),
    partial(exponential, lr=0.3, gamma=0.99),
    partial(inverse_time, lr=0.3, decay_rate=0.7),
    partial(linear, lr=0.01, steps=90, end=0.3),
    partial(linear, lr=0.3, steps=1),
    partial(linear, lr=0.3, steps=90),
    partial(polynomial, lr=0.3, steps=1, power=2),
    partial(polynomial, lr=0.3, steps=90, power=0.7, end=0.01),
    partial(cosine, lr=0.3, steps=1, end=0.01),
    partial(cosine, lr=0.3, steps=10),
    partial(cosine_restarts, lr=0.3, steps=1, t_mult=2),
    partial(cosine_restarts, lr=0.3, steps=1, t_mult=3),
    partial(cosine, lr=0.3, steps=90, end=0.03),
    partial(warm_up, steps=10, start=0.03, then=partial(cosine, lr=0.3, steps=80, end=0.03)),
    partial(warm_up, steps=10, start=0.03, then=partial(cosine, lr=0.01, steps=80, end=0.3)),
    partial(cosine_restarts, lr=0.3, steps=15, end=0.01),
    partial(cosine_restarts, lr=0.3, steps=15, gamma=0.7, end=0.01),
    partial(cosine_restarts, lr=0.3, steps=7, t_mult=2, gamma=0.7, end=0.01),
    partial(triangular, lr=0.3, start=0.0, steps_up=1),
    partial(triangular2, lr=0.3, start=0.01, steps_up=20),
    partial(warm_up, steps=1, start=0.01, then=partial(exponential, lr=0.3, gamma=0.99)),
    partial(warm_up, steps=10, start=0.01, then=partial(cosine, lr=0.3, steps=80)),
    partial(warm_up, steps=10, then=partial(constant, lr=0.3)),
    partial(warm_up, steps=10, then=partial(cosine, lr=0.3, steps=80, end=0.01)),
    partial(warm_up, steps=10, start=0.01, then=partial(step, lr=0.3, every=30)),
    partial(warm_up, steps=10, start=0.01, then=partial(multi_step, lr=0.3, milestones=[5, 60]), runs_on=True),
    partial(warm_up, steps=10, start=0.01, then=partial(exponential, lr=0.3, gamma=0.99), runs_on=True),
    partial(warmup_stable_decay, lr=0.3, steps=90, warmup_steps=50, decay_steps=40, end=0.01),
    partial(warmup_stable_decay, lr=0.3, steps=90, warmup_steps=1, decay_steps=1),
    partial(warmup_stable_decay, lr=0.3, steps=90, warmup_steps=10, decay_steps=30, end=0.01, shape=cosine),
    partial(one_cycle, lr=0.3, steps=90, shape=linear),
    partial(one_cycle, lr=0.3, steps=90, three_phase=True),
    partial(one_cycle, lr=0.3, steps=2, pct_start=0.5),
    partial(reduce_on_plateau, lr=0.5, gamma=0.5, patience=1, rtol=2**-5, end=2**-9),
    partial(reduce_on_plateau, lr=0.5, gamma=0.5, patience=4, rtol=0.0, atol=2**-7, cooldown=1),
    partial(reduce_on_plateau, lr=0.5, gamma=0.5, patience=2, rtol=0.0, atol=2**-4, cooldown=5),
]


PAIRS = [
    pytest.param(framework, case, counterpart, id=f"{framework}-{in_full(case)}-{counterpart.code.split('(')[0]}")
    for case in [*CASES, *FOLLOWED]
    for framework in FRAMEWORKS
    for counterpart in counterparts(framework, case)
]

# A rate computed from the step alone takes at most eight operations on each side, each of which rounds by half a unit.
CLOSED = 8.0

RECURSIVE = {"StepLR", "MultiStepLR", "ExponentialLR", "LinearLR", "PolynomialLR", "SequentialLR", "ChainedScheduler"}


def bound(framework, case, counterpart):
    """How many units the roundings of both sides can add up to."""
    name, numbers = counterpart.code.split("(")[0], referee.arguments(case)
    if name in RECURSIVE:
        return CLOSED + 1.5 * STEPS  # torch makes each rate from the last one, by up to three operations
    if name == "CosineAnnealingLR":
        # The step after the end leads away from height 0. There 1 + cos(pi t / T) is about (pi / T)**2 / 2. It is
        # rounded by a quarter of a unit, and its angle by half a unit: as shares of it, on both sides, by (T / pi)**2
        # and 2 t units. The shares stay, while it grows to 2.
        return CLOSED + 1.5 * STEPS + (numbers["steps"] / math.pi) ** 2 + 2 * STEPS
    if name == "CosineDecayRestarts":
        return CLOSED + STEPS / numbers["steps"]  # it counts runs, and takes the difference to a whole number
    if name == "CyclicLR":  # likewise in cycles, and divides by the share that is the way up, or down
        up, down = numbers["steps_up"], numbers["steps_down"] or numbers["steps_up"]
        return CLOSED + 2 * STEPS / min(up, down)
    return 0.0 if case.func is reduce_on_plateau else CLOSED


@pytest.mark.parametrize(("framework", "case", "counterpart"), PAIRS)
def test_rates_are_the_frameworks(framework, case, counterpart):
    """At every step up to the last one for which the counterpart promises it, and at that one's successor no longer."""
    ours, theirs = book_rates(case), rates(framework, case, counterpart)
    if counterpart.ahead:
        assert len(compare(ours, theirs).steps)
        ours, theirs = ours[counterpart.ahead :], theirs[: -counterpart.ahead]
    last = until(framework, case, counterpart)
    result = compare(ours, theirs)
    assert result.deviation <= bound(framework, case, counterpart)
    assert (result.steps > last).all()
    assert last >= STEPS - 1 or last + 1 in result.steps or "may" in counterpart.differs


@pytest.mark.parametrize(("framework", "case", "counterpart"), [p for p in PAIRS if p.values[2].computes])
def test_what_it_computes_instead(framework, case, counterpart):
    ours = book_rates(partial(counterpart.computes, **case.keywords))
    result = compare(ours, rates(framework, case, counterpart))
    assert not len(result.steps)
    assert result.deviation <= bound(framework, case, counterpart)


def formula(case):
    """The rate as torch computes it from the step alone and not from the last rate; None if it has no such formula."""
    counterpart = counterparts("torch", case)[0]
    _, scheduler = referee._torch_pair(counterpart.code, counterpart, case)
    if not hasattr(scheduler, "_get_closed_form_lr"):
        return None

    def rate(t):
        scheduler.last_epoch = t
        return scheduler._get_closed_form_lr()[0]

    return rate


FORMULAS = [case for case in CASES if counterparts("torch", case) and formula(case)]


def test_torch_has_formulas():
    assert {case.func for case in FORMULAS} == {step, multi_step, exponential, linear, polynomial, cosine}


@pytest.mark.parametrize("case", FORMULAS, ids=in_full)
def test_torchs_closed_forms_are_closer(case):
    result = compare(book_rates(case), np.array(list(map(formula(case), range(STEPS)))))
    assert (result.steps > until("torch", case, counterparts("torch", case)[0])).all()
    # the closed form of ExponentialLR raises a rounded number to a power: half a unit of the exponent for each step
    rounded = STEPS / 2 if case.func is exponential and case.keywords.get("every", 1) > 1 else 0
    assert result.deviation <= CLOSED + rounded


@pytest.mark.parametrize("case", [c for c in referee.SHOWN if c.func in SCHEDULES.values()], ids=in_full)
def test_keras_computes_in_float32_unless_its_first_rate_is_a_float64(case):
    for counterpart in counterparts("keras", case):
        if case.func is constant:
            return
        exact, single = (rates("keras", case, counterpart, number=number) for number in (np.float64, float))
        result = compare(exact, single, sure=1e-5)
        assert not len(result.steps)
        assert 0 < result.deviation * EPS <= bound("keras", case, counterpart) * 2**-23


def test_every_counterpart_is_tried():
    tried = {id(pair.values[2]) for pair in PAIRS}
    for found in itertools.chain(*(by_framework.values() for by_framework in COUNTERPARTS.values())):
        assert all(id(counterpart) in tried for counterpart in found), found


def test_every_schedule_has_its_counterparts():
    assert COUNTERPARTS.keys() == SCHEDULES.keys() | {"reduce_on_plateau"}
    assert {case.func.__name__ for case in referee.SHOWN} == COUNTERPARTS.keys()


# ---------- wrong forms ----------


@pytest.mark.parametrize("late", [-1, 1])
@pytest.mark.parametrize("case", [c for c in referee.SHOWN if c.func in SCHEDULES.values()][1:], ids=in_full)
def test_one_step_early_or_late_is_told_apart(case, late):
    shifted = np.array([case(max(t + late, 0)) for t in range(STEPS)])
    for framework in ("torch", "optax"):
        for counterpart in counterparts(framework, case):
            assert len(compare(shifted, rates(framework, case, counterpart)).steps) > 2


@pytest.mark.parametrize(
    ("framework", "case", "counterpart"), [p for p in PAIRS if p.values[2].blind and p.values[1] in referee.SHOWN]
)
def test_carrying_over_names_and_defaults_goes_wrong(framework, case, counterpart):
    """At more than the steps at which the right code goes wrong, if it does."""
    ours = book_rates(case)
    right, blind = (compare(ours, rates(framework, case, counterpart, blind=b)) for b in (False, True))
    assert set(blind.steps) > set(right.steps)


def _then(wrong):
    """A faulty warm-up for the numbers of a right one."""
    return lambda t, *, then, steps, start=0.0: wrong(t, then, steps, start)


def _cos(x):
    return (1 + math.cos(math.pi * x)) / 2


WRONG = {
    "source document 002: an exponential decay that is polynomial": (
        exponential, lambda t, *, lr, gamma, every=1: lr * max(1 - t / 100, 0) ** gamma),
    "a step that counts from 1": (step, lambda t, *, lr, every, gamma: lr * gamma ** ((t + 1) // every)),
    "a step after its boundary": (step, lambda t, *, lr, every, gamma: lr * gamma ** (max(t - 1, 0) // every)),
    "a change after the milestone": (
        multi_step, lambda t, *, lr, milestones, gamma: lr * gamma ** sum(t > m for m in milestones)),
    "d2l's TensorFlow tab of old: the rate returns after the last milestone": (
        multi_step, lambda t, *, lr, milestones, gamma: lr * gamma ** (milestones[0] <= t <= milestones[-1])),
    "a line that arrives a step early": (
        linear, lambda t, *, lr, steps, end: linear(t, lr=lr, steps=steps - 1, end=end)),
    "a line that arrives a step late": (
        linear, lambda t, *, lr, steps, end: linear(t, lr=lr, steps=steps + 1, end=end)),
    "a power that arrives a step early": (
        polynomial, lambda t, *, lr, steps, power: polynomial(t, lr=lr, steps=steps - 1, power=power)),
    "the end as the lowest rate, not as the last": (
        polynomial, lambda t, *, lr, steps, power: max(polynomial(t, lr=lr, steps=steps, power=power), 0.01)),
    "a cosine that arrives a step early": (
        cosine, lambda t, *, lr, steps, end: cosine(t, lr=lr, steps=steps - 1, end=end)),
    "a quarter of the wave": (
        cosine, lambda t, *, lr, steps, end: end + (lr - end) * math.cos(math.pi / 2 * min(t / steps, 1))),
    "a restart a step late": (
        cosine_restarts, lambda t, *, lr, steps, t_mult, end: cosine_restarts(
            t, lr=lr, steps=steps + 1, t_mult=t_mult, end=end)),
    "runs of one length": (
        cosine_restarts, lambda t, *, lr, steps, t_mult, end: end + (lr - end) * _cos(t % steps / steps)),
    "runs that lengthen by the first": (
        cosine_restarts, lambda t, *, lr, steps, t_mult, end: end + (lr - end) * _cos(
            next((t - b) / n for b, n in ((sum(range(k)) * steps, k * steps) for k in range(1, 9)) if t < b + n))),
    "up and down exchanged": (
        triangular, lambda t, *, lr, start, steps_up, steps_down: triangular(
            t, lr=lr, start=start, steps_up=steps_down, steps_down=steps_up)),
    "half as high from the first cycle on": (
        triangular2, lambda t, *, lr, start, steps_up, steps_down: start + 0.5 * (triangular2(
            t, lr=lr, start=start, steps_up=steps_up, steps_down=steps_down) - start)),
    "half the rate, not half the height": (
        triangular2, lambda t, *, lr, start, steps_up, steps_down: triangular(
            t, lr=lr, start=start, steps_up=steps_up, steps_down=steps_down) * 0.5 ** (t // (steps_up + steps_down))),
    "lower by cycles, not by steps": (
        exp_range, lambda t, *, lr, start, steps_up, steps_down, gamma: start + (triangular(
            t, lr=lr, start=start, steps_up=steps_up, steps_down=steps_down) - start)
        * gamma ** (t // (steps_up + steps_down))),
    "a warm-up that begins with its second step": (
        warm_up, _then(lambda t, then, steps, start: then(t - steps) if t >= steps else
                       start + (then(0) - start) * (t + 1) / steps)),
    "a warm-up that ends a step late": (
        warm_up, _then(lambda t, then, steps, start: warm_up(t, then=then, steps=steps + 1, start=start))),
    "a warm-up after which the schedule has run on": (
        warm_up, _then(lambda t, then, steps, start: then(t) if t >= steps else
                       start + (then(0) - start) * t / steps)),
    "a schedule that skips its first step": (
        warm_up, _then(lambda t, then, steps, start: then(t - steps + 1) if t >= steps else
                       start + (then(0) - start) * t / steps)),
    "Vaswani's steps counted from 0": (
        noam, lambda t, *, d_model, warmup_steps: noam(max(t - 1, 0), d_model=d_model, warmup_steps=warmup_steps)),
    "a turn that is not at warmup_steps": (
        inverse_sqrt, lambda t, *, lr, warmup_steps: inverse_sqrt(t, lr=lr, warmup_steps=warmup_steps + 1)),
    "a decay that begins a step early": (
        warmup_stable_decay, lambda t, *, lr, steps, warmup_steps, decay_steps: warmup_stable_decay(
            t, lr=lr, steps=steps, warmup_steps=warmup_steps, decay_steps=decay_steps + 1)),
    "a plateau that is a step shorter": (
        warmup_stable_decay, lambda t, *, lr, steps, warmup_steps, decay_steps: warmup_stable_decay(
            t, lr=lr, steps=steps - 1, warmup_steps=warmup_steps, decay_steps=decay_steps)),
    "a cycle of steps - 1": (
        one_cycle, lambda t, *, lr, steps, **more: one_cycle(t, lr=lr, steps=steps - 1, **more)),
    "a peak a step late": (
        one_cycle, lambda t, *, lr, steps, **more: one_cycle(t, lr=lr, steps=steps, pct_start=0.3 + 1 / steps, **more)),
    "an end in shares of the peak": (
        one_cycle, lambda t, *, lr, steps, **more: one_cycle(t, lr=lr, steps=steps, final_div_factor=400, **more)),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_forms_are_told_apart(wrong):
    right, faulty = WRONG[wrong]
    for case in [case for case in referee.SHOWN if case.func is right]:
        theirs = [rates(f, case, c) for f in ("torch", "optax") for c in counterparts(f, case)]
        assert theirs
        faults = np.array([faulty(t, **case.keywords) for t in range(STEPS)])
        for given_rates in theirs:
            before_the_end = compare(faults, given_rates).steps <= until("torch", case, counterparts("torch", case)[0])
            assert before_the_end.any()


def test_source_document_002_names_exponential_what_is_polynomial():
    """Its alpha (1 - t/T)**gamma is torch's PolynomialLR to the rounding."""
    of_002 = lambda t, alpha, T, gamma: alpha * (1 - t / T) ** gamma
    case = partial(polynomial, lr=0.3, steps=STEPS - 1, power=2.5)
    written = np.array([of_002(t, 0.3, STEPS - 1, 2.5) for t in range(STEPS)])
    result = compare(written, rates("torch", case))
    assert not len(result.steps)
    assert result.deviation <= CLOSED + 1.5 * STEPS
    exponential_rates = rates("torch", partial(exponential, lr=0.3, gamma=2.5 / 300))
    assert len(compare(written, exponential_rates).steps) > STEPS // 2


def test_source_document_002_restarts_when_sgdr_does_not():
    """By the loss: on the very same cosine, at other steps than SGDR, and not at all if the loss stays above."""
    run = partial(cosine, lr=0.3, steps=15)
    sgdr = rates("torch", partial(cosine_restarts, lr=0.3, steps=15))
    for threshold in (6.0, -1.0):
        rate, given_rates = OnLoss(restart_on_loss, then=run, loss_threshold=threshold), []
        for loss in losses():
            given_rates.append(rate(0))
            rate.tell(loss)
        restarts = np.flatnonzero(np.diff(given_rates) > 0.2) + 1
        assert len(restarts) == (threshold > 0)
        assert len(compare(np.array(given_rates), sgdr).steps) > STEPS // 2


def test_d2l_trains_with_a_scheduler_that_its_plot_has_used_up():
    """d2l-en, chapter_optimization/lr-scheduler.md, PyTorch tab: 30 epochs plotted, 30 trained, with one object."""
    trainer = torch.optim.SGD([torch.zeros(1)], lr=0.5)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(trainer, milestones=[15, 30], gamma=0.5)

    def get_lr():
        lr = scheduler.get_last_lr()[0]
        trainer.step()
        scheduler.step()
        return lr

    plotted, trained = [get_lr() for _ in range(30)], [get_lr() for _ in range(30)]
    ours = partial(multi_step, lr=0.5, milestones=[15, 30], gamma=0.5)
    assert plotted == [ours(t) for t in range(30)] == [0.5] * 15 + [0.25] * 15
    assert trained == [0.125] * 30
    assert [ours(t) for t in range(30)] == plotted  # a function of the step cannot be used up


# ---------- what the frameworks do, beyond the tables ----------


def test_torch_constantlr_is_a_warm_up():
    """Lower by a factor for the first steps: a warm-up whose shape is a polynomial of power 0."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.75)
    scheduler = torch.optim.lr_scheduler.ConstantLR(optimizer, factor=0.25, total_iters=4)
    ours = partial(warm_up, then=partial(constant, lr=0.75), start=0.1875, steps=4, shape=partial(polynomial, power=0))
    for t in range(8):
        assert optimizer.param_groups[0]["lr"] == ours(t) == (0.1875 if t < 4 else 0.75)
        optimizer.step()
        scheduler.step()


def test_torch_onecyclelr_goes_below_zero_after_its_last_step():
    theirs = rates("torch", partial(one_cycle, lr=0.3, steps=90, shape=linear))
    assert theirs[90] > 0 > theirs[91]
    assert np.isnan(theirs[92:]).all()


def test_optax_onecycle_cuts_the_way_up_to_whole_steps():
    """0.29 * 100 is a little less than 29 in binary numbers, so the peak comes at step 28."""
    case = partial(one_cycle, lr=0.3, steps=100, pct_start=0.29)
    assert not counterparts("optax", case)
    theirs = rates("optax", case, COUNTERPARTS["one_cycle"]["optax"][0])
    assert np.argmax(theirs) == 28
    assert np.argmax(book_rates(case)) == np.nanargmax(rates("torch", case)) == 29


def test_torch_and_keras_miss_restarts_that_their_logarithms_round_away():
    """floor(log(3**5, 3)) is 4: at the fifth restart the rate is the lowest, not the highest."""
    ours = partial(cosine_restarts, lr=1.0, steps=10, t_mult=3)
    restart = 10 * (3**5 - 1) // 2
    assert ours(restart) == 1.0
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=10, T_mult=3)
    scheduler.step(restart)  # told the step, it computes; otherwise it counts
    assert optimizer.param_groups[0]["lr"] == 0.0
    decay = keras().optimizers.schedules.CosineDecayRestarts
    assert float(decay(np.float64(1.0), 10, t_mul=np.float64(3.0))(restart)) == 0.0
    restart = 10 * (2**13 - 1)  # and in float32, at its defaults
    assert float(decay(1.0, 10)(restart)) == 0.0
    assert cosine_restarts(restart, lr=1.0, steps=10, t_mult=2) == 1.0


def test_keras_misses_other_restarts_in_a_graph():
    """There the logarithm is rounded otherwise: at step 7 the fourth run is to begin."""
    decay = keras().optimizers.schedules.CosineDecayRestarts(np.float64(1.0), 1, t_mul=np.float64(2.0))
    assert float(decay(np.float64(7))) == 1.0
    assert float(tensorflow().function(decay)(np.float64(7))) == 0.0


@pytest.mark.parametrize(
    ("framework", "schedule"),
    [
        ("torch", partial(warmup_stable_decay, lr=0.3, steps=90, warmup_steps=10, decay_steps=30, end=0.4)),
        ("keras", partial(cosine, lr=0.0, steps=10, end=0.3)),
        ("optax", partial(cosine, lr=0.0, steps=10, end=0.3)),
        ("optax", partial(reduce_on_plateau, lr=0.5, end=0.75)),
        ("optax", partial(reduce_on_plateau, lr=0.5, rtol=0.0)),
        *((framework, partial(reduce_on_plateau, lr=0.5, gamma=1.0)) for framework in FRAMEWORKS),
    ],
)
def test_what_a_framework_cannot_do_is_not_promised(framework, schedule):
    assert not counterparts(framework, schedule)
    for counterpart in COUNTERPARTS[schedule.func.__name__][framework]:
        try:
            theirs = rates(framework, schedule, counterpart)
        except (ValueError, TypeError, ZeroDivisionError):
            continue
        assert len(compare(book_rates(schedule), theirs).steps)


def test_of_fractions_of_a_step_nothing_is_promised():
    for fraction in (
        partial(linear, lr=0.3, steps=7.5),
        partial(multi_step, lr=0.3, milestones=[5, 7.5]),
        partial(triangular, lr=0.3, start=0.1, steps_up=7, steps_down=7.5),
        partial(warm_up, steps=2.5, then=partial(constant, lr=0.3)),
    ):
        assert not any(counterparts(framework, fraction) for framework in FRAMEWORKS)
    follows = partial(warm_up, steps=2, start=0.1, then=partial(linear, lr=0.3, steps=7.5))
    lacked = partial(warm_up, steps=2, then=partial(inverse_time, lr=0.3, decay_rate=0.5))
    assert not counterparts("torch", follows)
    assert counterparts("torch", lacked)
    assert not counterparts("optax", lacked)


def test_optax_polynomial_may_have_no_rate_after_its_end_if_jit_compiles_it():
    """XLA makes t * (1 / T) of t / T, and fuses it with the subtraction, so that 1 - T / T is not 0.

    Where the rounded 1 / T is too large, it is less than 0, and a power of it that is not whole is no number. (Some
    processors cannot fuse the two; they get 0.)
    """
    with jax.enable_x64(True):
        for T in range(43, 51):
            theirs = jax.jit(optax.polynomial_schedule(0.3, 0.0, 2.5, T))(T)
            assert not math.isnan(theirs) or Fraction(1 / T) * T > 1
            assert jax.jit(partial(polynomial, lr=0.3, steps=T, power=2.5))(T) == 0.0


def test_torch_cycles_the_momentum_along():
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.3, momentum=0.9)
    torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.3, total_steps=90)
    assert optimizer.param_groups[0]["momentum"] == 0.95


def test_the_frameworks_take_the_books_schedules():
    ours = partial(warm_up, steps=5, then=partial(cosine, lr=0.3, steps=20))
    expected = [ours(t) for t in range(30)]
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, ours)
    model = SimpleNamespace(optimizer=keras().optimizers.SGD(1.0))
    callback = keras().callbacks.LearningRateScheduler(ours)
    callback.set_model(model)
    with jax.enable_x64(True):
        descent = optax.sgd(ours)
        state, update = descent.init(jax.numpy.zeros(())), jax.jit(descent.update)
        for t, rate in enumerate(expected):
            assert optimizer.param_groups[0]["lr"] == rate
            optimizer.step()
            scheduler.step()
            step_, state = update(jax.numpy.ones(()), state)
            assert abs(float(step_) + rate) <= 4 * EPS * 0.3
            callback.on_epoch_begin(t)
            assert float(model.optimizer.learning_rate) == np.float32(rate)


# ---------- by hand ----------


def test_step_changes_on_the_step_and_not_before():
    assert [step(t, lr=8.0, every=3, gamma=0.5) for t in (0, 2, 3, 5, 6)] == [8.0, 8.0, 4.0, 4.0, 2.0]
    assert step(30, lr=1.0, every=30) == 0.1


def test_multi_step_changes_at_its_milestones():
    assert [multi_step(t, lr=8.0, milestones=[2, 5], gamma=0.5) for t in range(7)] == [8, 8, 4, 4, 4, 2, 2]


def test_exponential_and_inverse_time():
    assert [exponential(t, lr=8.0, gamma=0.25, every=2) for t in range(4)] == [8, 4, 2, 1]
    assert [inverse_time(t, lr=12.0, decay_rate=1.0, every=2) for t in (0, 2, 4, 10)] == [12, 6, 4, 2]


def test_lines_powers_and_cosines_arrive_and_stay():
    assert [linear(t, lr=5.0, steps=4, end=1.0) for t in range(6)] == [5, 4, 3, 2, 1, 1]
    assert [polynomial(t, lr=17.0, steps=4, power=2, end=1.0) for t in range(6)] == [17, 10, 5, 2, 1, 1]
    assert [cosine(t, lr=5.0, steps=2, end=1.0) for t in (0, 1, 2, 3)] == [5, 3, 1, 1]
    assert cosine(1, lr=4.0, steps=3) == pytest.approx(3.0, abs=1e-15)  # cos 60 degrees = 1/2


def test_restarts_begin_after_first_run_and_lengthen():
    rates_ = [cosine_restarts(t, lr=4.0, steps=2, t_mult=2, gamma=0.5) for t in range(15)]
    assert [rates_[t] for t in (0, 1, 2, 6, 14)] == [4, 2, 2, 1, 0.5]
    assert rates_[4] == pytest.approx(1.0)
    assert rates_.index(min(rates_[6:14])) == 13


def test_cycles():
    assert [triangular(t, lr=5.0, start=1.0, steps_up=2, steps_down=4) for t in range(8)] == [1, 3, 5, 4, 3, 2, 1, 3]
    assert [triangular2(t, lr=5.0, start=1.0, steps_up=1) for t in range(6)] == [1, 5, 1, 3, 1, 2]
    assert [exp_range(t, lr=5.0, start=1.0, steps_up=2, gamma=0.5) for t in range(5)] == [1, 2, 2, 1.25, 1]


# What stands in the signatures: torch's defaults, and 0 where nothing is to be added or left. That of the restarts is
# torch's as well as Loshchilov & Hutter's; the 4,000 steps of Vaswani et al. stand in their section 5.3.
DEFAULTS = {
    step: {"gamma": 0.1},
    multi_step: {"gamma": 0.1},
    exponential: {"every": 1},
    inverse_time: {"every": 1},
    linear: {"end": 0.0},
    polynomial: {"end": 0.0},
    cosine: {"end": 0.0},
    cosine_restarts: {"t_mult": 1, "gamma": 1.0, "end": 0.0},
    triangular: {"steps_down": None},
    triangular2: {"steps_down": None},
    exp_range: {"steps_down": None},
    warm_up: {"start": 0.0, "shape": linear, "runs_on": False},
    noam: {"warmup_steps": 4000},
    warmup_stable_decay: {"end": 0.0, "shape": linear},
    one_cycle: {
        "pct_start": 0.3,
        "div_factor": 25.0,
        "final_div_factor": 1e4,
        "shape": cosine,
        "three_phase": False,
    },
    reduce_on_plateau: {
        "best": math.inf,
        "waited": 0,
        "cooling": 0,
        "gamma": 0.1,
        "patience": 10,
        "rtol": 1e-4,
        "atol": 0.0,
        "cooldown": 0,
        "end": 0.0,
    },
    restart_on_loss: {"waited": 0, "last": math.inf},
}


@pytest.mark.parametrize(
    "function", [*SCHEDULES.values(), reduce_on_plateau, restart_on_loss], ids=lambda f: f.__name__
)
def test_defaults(function):
    parameters = inspect.signature(function).parameters.values()
    given = {p.name: p.default for p in parameters if p.default is not p.empty}
    assert given == DEFAULTS.get(function, {})


@pytest.mark.parametrize("function", SCHEDULES.values(), ids=SCHEDULES)
def test_every_schedule_is_checked(function):
    with pytest.raises(TypeError, match=f"{function.__name__}: name every number"):
        function(0, 0.1)


def test_a_default_of_none_may_be_said():
    numbers = {"lr": 1.0, "start": 0.0, "steps_up": 10}
    assert triangular(13, **numbers, steps_down=None) == triangular(13, **numbers) == 0.7


def test_warm_up_rises_to_what_follows():
    then = partial(step, lr=8.0, every=2, gamma=0.5)
    assert [warm_up(t, then=then, steps=4) for t in range(9)] == [0, 2, 4, 6, 8, 8, 4, 4, 2]
    assert [warm_up(t, then=then, steps=4, start=4.0, runs_on=True) for t in range(6)] == [4, 5, 3, 3.5, 2, 2]
    assert [warm_up(t, then=then, steps=2, shape=cosine) for t in range(3)] == [0, 4, 8]


def test_warm_ups_nest():
    twice = partial(warm_up, steps=2, then=partial(warm_up, start=2.0, steps=2, then=partial(constant, lr=6.0)))
    assert [twice(t) for t in range(6)] == [0, 1, 2, 4, 6, 6]


def test_noam_is_equation_3():
    """With its own numbers: 4,000 steps up to 512**-.5 * 4000**-.5, then down with the root of the step."""
    for step_num in (1, 100, 4000, 4001, 100_000):
        lrate = 512**-0.5 * min(step_num**-0.5, step_num * 4000**-1.5)
        assert noam(step_num - 1, d_model=512) == pytest.approx(lrate, rel=4 * EPS)
    assert max(range(8000), key=lambda t: noam(t, d_model=512)) == 3999
    for t in (0, 50, 3999, 4000, 9999):
        ours = inverse_sqrt(t, lr=512**-0.5 * 4000**-0.5, warmup_steps=4000)
        assert noam(t, d_model=512) == pytest.approx(ours, rel=8 * EPS)


def test_warmup_stable_decay_has_three_phases():
    ours = partial(warmup_stable_decay, lr=4.0, steps=10, warmup_steps=2, decay_steps=4)
    assert [ours(t) for t in range(12)] == [0, 2, 4, 4, 4, 4, 4, 3, 2, 1, 0, 0]


def test_any_function_with_two_rates_and_a_length_is_a_shape():
    one_minus_root = lambda t, *, lr, end, steps: lr + (end - lr) * np.sqrt(np.minimum(t / steps, 1))
    ours = partial(warmup_stable_decay, lr=4.0, steps=10, warmup_steps=2, decay_steps=4, shape=one_minus_root)
    assert [ours(t) for t in (5, 6, 7, 10, 11)] == [4, 4, 2, 0, 0]


def test_one_cycle_has_two_phases_or_three():
    lengths = {"lr": 8.0, "steps": 8, "pct_start": 0.25, "div_factor": 4.0, "final_div_factor": 2.0, "shape": linear}
    assert [one_cycle(t, **lengths) for t in (0, 1, 2, 5, 8, 9)] == [2, 5, 8, 4.5, 1, 1]
    assert [one_cycle(t, three_phase=True, **lengths) for t in (0, 1, 2, 3, 4, 6, 8, 9)] == [2, 5, 8, 5, 2, 1.5, 1, 1]


# ---------- laws ----------

few = settings(deadline=None, max_examples=30, derandomize=True)
some_rate = st.floats(1e-6, 10.0)
lengths = st.integers(1, 200) | st.floats(0.5, 200.0)
factors = st.floats(0.6, 1.0)  # whose 1000th power is not too small to be scaled
counts = st.integers(1, 200)
milestones = st.lists(st.integers(0, 300), min_size=1, max_size=5, unique=True).map(sorted)
shapes = st.sampled_from([linear, cosine, partial(polynomial, power=2.0)])
falling = {
    constant: {"lr": some_rate},
    step: {"lr": some_rate, "every": counts, "gamma": factors},
    multi_step: {"lr": some_rate, "milestones": milestones, "gamma": factors},
    exponential: {"lr": some_rate, "every": counts, "gamma": factors},
    inverse_time: {"lr": some_rate, "every": counts, "decay_rate": st.floats(0.0, 10.0)},
    linear: {"lr": some_rate, "steps": lengths, "end": some_rate},
    polynomial: {"lr": some_rate, "steps": lengths, "power": st.floats(0.1, 5.0), "end": some_rate},
    cosine: {"lr": some_rate, "steps": lengths, "end": some_rate},
}
periodic = {"lr": some_rate, "start": some_rate, "steps_up": lengths, "steps_down": lengths}
others = {
    cosine_restarts: {"lr": some_rate, "steps": lengths, "t_mult": st.sampled_from([1, 1.5, 2, 3]), "gamma": factors,
                      "end": some_rate},
    triangular: periodic,
    triangular2: periodic,
    exp_range: periodic | {"gamma": factors},
    inverse_sqrt: {"lr": some_rate, "warmup_steps": lengths},
    one_cycle: {"lr": some_rate, "steps": lengths, "pct_start": st.floats(0.05, 0.45), "shape": shapes,
                "three_phase": st.booleans()},
}  # fmt: skip


def filled_in(kinds):
    """Schedules of these kinds, with ``end`` and ``start`` below ``lr``."""
    return st.sampled_from(list(kinds)).flatmap(lambda f: st.builds(partial(_sorted, f), **kinds[f]))


def _sorted(function, **numbers):
    for low in {"end", "start"} & numbers.keys():
        numbers[low], numbers["lr"] = sorted([numbers[low], numbers["lr"]])
    return partial(function, **numbers)


decays = filled_in(falling)
simple = filled_in(falling | others)
stable = st.builds(
    lambda lr, up, flat, down, shape: partial(
        warmup_stable_decay, lr=lr, steps=up + flat + down, warmup_steps=up, decay_steps=down, shape=shape
    ),
    some_rate, counts, counts, counts, shapes,
)  # fmt: skip
warmed = st.builds(
    lambda then, steps, share, shape, runs_on: partial(
        warm_up, then=then, steps=steps, start=share * then(0), shape=shape, runs_on=runs_on
    ),
    decays, lengths, st.just(0.0) | st.floats(1e-3, 1.0), shapes, st.booleans(),
)  # fmt: skip
anything = simple | stable | warmed
times = st.lists(st.integers(0, 1000) | st.floats(0, 1000), min_size=1, max_size=20)


def largest(schedule):
    """The rate in units of which its roundings are counted."""
    return schedule.keywords["lr"] if "lr" in schedule.keywords else schedule.keywords["then"](0)


def scaled(schedule, c):
    """``schedule`` with every rate in its arguments times ``c``."""
    change = {key: c * value for key, value in schedule.keywords.items() if key in ("lr", "end", "start")}
    if "then" in schedule.keywords:
        change["then"] = scaled(schedule.keywords["then"], c)
    return partial(schedule.func, **schedule.keywords | change)


@few
@given(schedule=anything, t=times, power=st.integers(-20, 20))
def test_rates_scale_with_the_rates_in_the_arguments(schedule, t, power):
    """Bit for bit: a power of two rounds nothing."""
    for one in t:
        assert scaled(schedule, 2.0**power)(one) == 2.0**power * schedule(one)


@few
@given(schedule=anything, t=times)
def test_an_array_gives_what_its_steps_give(schedule, t):
    """To the rounding of cos and of powers, which NumPy computes otherwise for arrays: some units."""
    one_by_one = np.array([schedule(one) for one in t])
    slack = 8 * EPS * max(largest(schedule), 1e-30)
    np.testing.assert_allclose(schedule(np.array(t)), one_by_one, rtol=1e-12, atol=slack)
    assert schedule(np.array(t)[:, None]).shape == (len(t), 1)
    np.testing.assert_allclose(schedule(torch.tensor(t, dtype=torch.float64)), one_by_one, rtol=1e-12, atol=slack)


@few
@given(schedule=anything, t=times)
def test_rates_stay_between_the_lowest_and_the_highest(schedule, t):
    highest = largest(schedule)
    lowest = min([value for key, value in schedule.keywords.items() if key in ("end", "start")], default=0.0)
    lowest = lowest if schedule.func is not warm_up else 0.0
    for one in t:
        assert lowest * (1 - 4 * EPS) <= schedule(one) <= highest * (1 + 4 * EPS)


@few
@given(schedule=decays, t=times)
def test_a_decay_does_not_rise(schedule, t):
    given_rates = [schedule(one) for one in sorted(t)]
    for before, after in itertools.pairwise(given_rates):
        assert after <= before + 2 * EPS * schedule.keywords["lr"]


@few
@given(schedule=filled_in({f: falling[f] for f in (linear, polynomial, cosine)}), more=st.floats(0, 1000))
def test_a_decay_with_an_end_reaches_it_and_stays(schedule, more):
    steps, end = (schedule.keywords[key] for key in ("steps", "end"))
    assert schedule(0) == pytest.approx(schedule.keywords["lr"], rel=4 * EPS)
    assert schedule(steps) == pytest.approx(end, rel=4 * EPS)
    assert schedule(steps + more) == schedule(steps)


def boundaries(schedule):
    """Where one phase of a schedule ends and the next begins."""
    numbers = referee.arguments(schedule)
    if schedule.func is one_cycle:
        rise = numbers["pct_start"] * numbers["steps"]
        return [rise, 2 * rise, numbers["steps"]]
    if schedule.func is warmup_stable_decay:
        return [numbers["warmup_steps"], numbers["steps"] - numbers["decay_steps"], numbers["steps"]]
    if schedule.func is warm_up:
        return [numbers["steps"]]
    up, down = numbers["steps_up"], numbers["steps_down"]
    return [up, up + down, 2 * up + down]


@few
@given(schedule=filled_in({f: others[f] for f in (one_cycle, triangular)}) | stable | warmed)
def test_no_phase_begins_with_a_jump(schedule):
    """Just before and just after a boundary the rates are nearly the same."""
    numbers = schedule.keywords
    if schedule.func is warm_up:  # what follows may jump itself: at a milestone at 0, or at the boundary if it runs on
        assume(numbers["then"].func is not multi_step)
        assume(numbers["then"].func is not step or not numbers["runs_on"])
    for boundary in boundaries(schedule):
        before, after = schedule(boundary * (1 - 1e-9)), schedule(boundary * (1 + 1e-9))
        assert abs(after - before) <= 1e-6 * largest(schedule)


@few
@given(schedule=filled_in({triangular: periodic}), t=st.integers(0, 100), cycles=st.integers(1, 5))
def test_a_triangle_repeats(schedule, t, cycles):
    period = schedule.keywords["steps_up"] + schedule.keywords["steps_down"]
    slack = 1e-12 * schedule.keywords["lr"] * (1 + 1000 / min(schedule.keywords["steps_up"], 1))
    assert schedule(t + cycles * period) == pytest.approx(schedule(t), abs=slack)


@few
@given(then=decays, steps=counts, t=st.integers(0, 500))
def test_after_the_warm_up_the_schedule_begins(then, steps, t):
    assert warm_up(steps + t, then=then, steps=steps) == then(t)
    assert warm_up(steps + t, then=then, steps=steps, start=0.0, runs_on=True) == then(steps + t)


@few
@given(steps=st.integers(1, 1000), t_mult=st.integers(1, 10), run=st.integers(0, 30))
def test_no_restart_is_missed(steps, t_mult, run):
    begin = steps * sum(t_mult**i for i in range(run))
    assume(begin < 2**50)
    ours = partial(cosine_restarts, lr=1.0, steps=steps, t_mult=t_mult)
    assert ours(begin) == ours(np.array([begin]))[0] == 1.0
    if steps * t_mult**run > 1:
        length = steps * t_mult ** max(run - 1, 0)
        assert begin == 0 or ours(begin - 1) < 0.5 + 0.5 * math.cos(math.pi * (length - 1) / length) + 1e-9
        assert ours(begin + 1) < 1.0 or steps * t_mult**run > 1e7


# ---------- kinds of steps ----------

ALL = {in_full(case): case for case in CASES if case.func in SCHEDULES.values()}
every_schedule = pytest.mark.parametrize("name", ALL)


@every_schedule
def test_arrays_of_any_library_give_the_rates(name):
    ours, t = ALL[name], np.arange(STEPS)
    expected = book_rates(ours)
    slack = {"rtol": 0, "atol": CLOSED * EPS * expected.max()}
    np.testing.assert_allclose(ours(t), expected, **slack)
    np.testing.assert_allclose(ours(torch.tensor(t, dtype=torch.float64)), expected, **slack)
    assert ours(t.reshape(3, -1)).shape == (3, STEPS // 3)
    assert ours(np.arange(0)).shape == (0,)
    with jax.enable_x64(True):
        np.testing.assert_allclose(ours(jax.numpy.arange(STEPS)), expected, **slack)
        np.testing.assert_allclose(jax.jit(ours)(jax.numpy.arange(STEPS)), expected, **slack)
    whole = ours(torch.arange(STEPS))  # whole steps make torch and JAX compute in float32
    assert whole.dtype == torch.float32
    # t / steps, and 1 - t / steps, come with half a unit of float32 each; exponents and phases magnify it by STEPS
    np.testing.assert_allclose(whole, expected, rtol=0, atol=STEPS * 2**-23 * expected.max())


@every_schedule
@pytest.mark.parametrize("t", [0, 5, 2.5, np.int64(5), np.float32(2.5)], ids=repr)
def test_one_step_gives_one_number(name, t):
    assert isinstance(ALL[name](t), float | np.floating)
    # a float32 is computed with in float32: CLOSED units of 2**-23
    assert abs(float(ALL[name](t)) - float(ALL[name](float(t)))) <= CLOSED * 2**-23 * ALL[name](np.arange(STEPS)).max()


@every_schedule
def test_an_array_of_steps_is_left_alone(name):
    t = np.arange(10)
    ALL[name](t)
    assert t.tolist() == list(range(10))


@every_schedule
def test_an_optimizer_follows_it_from_step_zero(name):
    optimizer, params = Optimizer(gradient_descent, lr=ALL[name]), [np.zeros(1)]
    for t in range(5):
        new = optimizer.step(params, [np.ones(1)])
        assert new[0] == params[0] - ALL[name](t)
        params = new


def test_the_source_on_a_page_is_the_equation():
    assert "return lr * gamma ** (t // every)" in inspect.getsource(step)
    for name, function in SCHEDULES.items():
        assert function.__name__ == name
        assert max(map(len, inspect.getsource(function).split('"""')[1].splitlines())) <= 85


def test_every_docstring_names_the_counterparts():
    for name, by_framework in COUNTERPARTS.items():
        documented = inspect.getdoc(SCHEDULES.get(name, reduce_on_plateau))
        for found in by_framework.values():
            constructor = found[0].code.split("(")[0]
            assert constructor in documented or constructor in ("lr", "LambdaLR"), (name, constructor)


# ---------- by the loss ----------


def told(rate, *losses_):
    """The rates before each of the losses, and after the last."""
    given_rates = [rate(0)]
    for loss in losses_:
        rate.tell(loss)
        given_rates.append(rate(0))
    return given_rates


def test_the_rate_is_cut_after_as_many_losses_as_patience():
    rate = OnLoss(reduce_on_plateau, lr=8.0, gamma=0.5, patience=2)
    assert told(rate, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5) == [8, 8, 8, 4, 4, 2, 2, 2, 1]
    assert rate.state == {"lr": 1.0, "best": 0.5, "waited": 0, "cooling": 0}


def test_who_has_waited_longer_than_patience_is_cut_at_once():
    rate = OnLoss(reduce_on_plateau, lr=1.0, best=1.0, waited=7, patience=3)
    rate.tell(2.0)
    assert rate(0) == 0.1


def test_an_improvement_has_a_size():
    few_better = [1.0, 0.9375, 0.875, 0.8125]
    assert told(OnLoss(reduce_on_plateau, lr=8.0, patience=1, gamma=0.5, rtol=0.0), *few_better)[-1] == 8.0
    assert told(OnLoss(reduce_on_plateau, lr=8.0, patience=1, gamma=0.5, atol=0.0625), *few_better)[-1] < 8.0
    assert told(OnLoss(reduce_on_plateau, lr=8.0, patience=1, gamma=0.5, rtol=0.0625), *few_better)[-1] < 8.0
    # equal is not better; and the best loss is kept, so that small steps add up to an improvement
    assert told(OnLoss(reduce_on_plateau, lr=8.0, patience=1, gamma=0.5, rtol=0.0), 1.0, 1.0) == [8, 8, 4]
    assert told(OnLoss(reduce_on_plateau, lr=8.0, patience=9, rtol=0.0, atol=0.1), *few_better)[-1] == 8.0


def test_after_a_cut_as_many_losses_do_not_count():
    rate = OnLoss(reduce_on_plateau, lr=8.0, gamma=0.5, patience=1, cooldown=2)
    assert told(rate, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0) == [8, 8, 4, 4, 4, 2, 2]


def test_the_rate_has_a_lowest_value():
    rate = OnLoss(reduce_on_plateau, lr=8.0, gamma=0.5, patience=1, end=3.0)
    assert told(rate, 1.0, 1.0, 1.0, 1.0) == [8, 8, 4, 3, 3]


def _plateau(strict=False, forget=False, cool=0, order=False):
    """`reduce_on_plateau` with a fault."""

    def wrong(loss, lr, best=math.inf, waited=0, cooling=0, *, gamma, patience, rtol, atol=0.0, cooldown=0, end=0.0):
        if forget:
            best = loss if waited else best
        lr, best, waited, cooling = reduce_on_plateau(
            loss, lr, best, waited, cooling, gamma=gamma, patience=patience + strict, rtol=0.0 if order else rtol,
            atol=0.0 if order else atol, cooldown=max(cooldown + cool, 0), end=end)  # fmt: skip
        return lr, best, waited, cooling

    return wrong


@pytest.mark.parametrize(
    "fault", [{"strict": True}, {"forget": True}, {"cool": 1}, {"cool": -1}, {"order": True}], ids=str
)
def test_faults_in_the_plateau_are_told_apart(fault):
    case = referee.SHOWN[-1]
    theirs = rates("torch", case)
    for rule, agrees in ((_plateau(), True), (_plateau(**fault), False)):
        given_rates = told(OnLoss(rule, **case.keywords), *losses())[:-1]
        assert (not len(compare(np.array(given_rates), theirs).steps)) is agrees


def test_torch_ignores_cuts_by_less_than_its_eps():
    case = partial(reduce_on_plateau, lr=1e-8, gamma=0.5, patience=1, rtol=2**-5)
    blind = counterparts("torch", case)[0].blind.replace("patience=patience", "patience=patience - 1")
    optimizer, scheduler = referee._torch_pair(blind, counterparts("torch", case)[0], case)
    for _ in range(5):
        scheduler.step(1.0)
    assert optimizer.param_groups[0]["lr"] == 1e-8
    assert told(OnLoss(reduce_on_plateau, **case.keywords), *[1.0] * 5)[-1] < 1e-9


def test_keras_counts_the_last_loss_of_its_cooldown():
    """Its cooldowns 0 and 1 are one and the same; both are the book's 0."""
    at = lambda cooldown: rates("keras", partial(referee.SHOWN[-1], cooldown=cooldown), blind=True, steps=60).tolist()
    assert at(0) == at(1) != at(2)


def test_restarts_happen_when_the_loss_comes_to_the_threshold():
    rate = OnLoss(restart_on_loss, then=partial(linear, lr=8.0, steps=8), loss_threshold=0.5)
    assert told(rate, 1.0, 0.75, 0.5, 0.25, 0.5, 0.75, 0.25) == [8, 7, 6, 8, 7, 6, 5, 8]
    assert rate.state == {"lr": 8.0, "waited": 0, "last": 0.25}


@pytest.mark.parametrize(
    ("rule", "numbers"),
    [
        (reduce_on_plateau, {"lr": 0.5, "patience": 2, "cooldown": 1, "gamma": 0.5}),
        (restart_on_loss, {"then": partial(cosine, lr=0.5, steps=30), "loss_threshold": 6.0}),
    ],
)
def test_a_saved_rate_goes_on_as_if_it_had_not_stopped(rule, numbers):
    unbroken = told(OnLoss(rule, **numbers), *losses())
    first = OnLoss(rule, **numbers)
    head = told(first, *losses()[:50])
    saved = json.loads(json.dumps(first.state))
    assert head[:-1] + told(OnLoss(rule, **numbers | saved), *losses()[50:]) == unbroken
    second = OnLoss(rule, **numbers)
    second.state = saved
    assert head[:-1] + told(second, *losses()[50:]) == unbroken


def test_an_optimizer_follows_the_loss():
    rate = OnLoss(reduce_on_plateau, lr=1.0, gamma=0.5, patience=1)
    optimizer, params = Optimizer(gradient_descent, lr=rate), [np.zeros(1)]
    for expected in (1.0, 1.0, 0.5, 0.25):
        new = optimizer.step(params, [np.ones(1)])
        assert params[0] - new[0] == expected
        params = new
        rate.tell(1.0)


@pytest.mark.parametrize("loss", [1, 1.0, np.float32(1), np.array(1.0), torch.tensor(1.0), jax.numpy.asarray(1.0)],
                         ids=lambda loss: type(loss).__name__)  # fmt: skip
def test_a_loss_is_any_single_number(loss):
    rate = OnLoss(reduce_on_plateau, lr=0.1)
    rate.tell(loss)
    assert rate.state["best"] == 1.0
    assert {type(value) for value in rate.state.values()} <= {int, float}


# ---------- bad input ----------


@pytest.mark.parametrize(
    ("function", "arguments", "error", "words"),
    [
        (step, {"lr": -0.1}, ValueError, r"step: lr must be a finite number >= 0, got -0.1"),
        (step, {"lr": math.nan}, ValueError, r"step: lr must be .*got nan"),
        (step, {"lr": "0.1"}, TypeError, r"step: lr must be .*got '0.1' of type str"),
        (step, {"lr": None}, TypeError, r"step: lr must be .*got None of type NoneType"),
        (step, {"every": 0}, ValueError, r"step: every must be a whole number >= 1, got 0"),
        (step, {"every": 2.5}, ValueError, r"step: every must be a whole number >= 1, got 2.5"),
        (step, {"every": True}, TypeError, r"step: every must be .*got True"),
        (step, {"gamma": 0}, ValueError, r"step: gamma must be a number in \(0, 1\], got 0"),
        (step, {"gamma": 1.1}, ValueError, r"step: gamma must be .*got 1.1"),
        (step, {"evry": 3}, TypeError, r"step: unknown hyperparameter 'evry'; did you mean 'every'"),
        (step, {"t": -1}, ValueError, r"step: t must be a step >= 0, got -1"),
        (step, {"t": "3"}, TypeError, r"step: t must be a step or an array of steps, got '3'"),
        (step, {"t": np.array([1, -1])}, ValueError, r"step: t must be a step >= 0"),
        (multi_step, {"milestones": [30, 10]}, ValueError,
         r"multi_step: milestones must increase, got \[30, 10\]; pass \[10.0, 30.0\]"),
        (multi_step, {"milestones": [10, 10]}, ValueError, r"milestones must increase, got \[10, 10\]; pass \[10.0\]"),
        (multi_step, {"milestones": []}, ValueError, r"milestones is empty; name a step, or use constant"),
        (multi_step, {"milestones": 30}, TypeError, r"milestones must be a list of steps, got 30 of type int"),
        (multi_step, {"milestones": [-1]}, ValueError, r"milestones\[0\] must be a finite number >= 0, got -1"),
        (multi_step, {"milestones": [1, "2"]}, TypeError, r"milestones\[1\] must be .*got '2' of type str"),
        (linear, {"steps": 0}, ValueError, r"linear: steps must be a finite number > 0, got 0"),
        (cosine, {"steps": -1}, ValueError, r"cosine: steps must be a finite number > 0, got -1"),
        (cosine, {"steps": math.inf}, ValueError, r"cosine: steps must be a finite number > 0, got inf"),
        (cosine, {"end": -0.1}, ValueError, r"cosine: end must be a finite number >= 0, got -0.1"),
        (cosine, {"T_max": 10}, TypeError, r"cosine: unknown hyperparameter 'T_max'; it takes lr, steps, end"),
        (polynomial, {"power": -1}, ValueError, r"polynomial: power must be a finite number >= 0, got -1"),
        (inverse_time, {"decay_rate": -1}, ValueError, r"decay_rate must be a finite number >= 0, got -1"),
        (cosine_restarts, {"t_mult": 0.5}, ValueError, r"t_mult must be a finite number >= 1, got 0.5"),
        (triangular, {"steps_up": 0}, ValueError, r"triangular: steps_up must be a finite number > 0, got 0"),
        (triangular, {"steps_down": 0}, ValueError, r"triangular: steps_down must be a finite number > 0, got 0"),
        (warm_up, {"steps": 0}, ValueError, r"warm_up: steps must be a finite number > 0, got 0"),
        (warm_up, {"then": 0.1}, TypeError,
         r"warm_up: then must be a schedule, as in then=partial\(cosine, lr=0.1, steps=100\); got 0.1"),
        (warm_up, {"then": cosine}, TypeError, r"cosine: no value for lr, steps; fill it in: partial\(cosine, lr="),
        (warm_up, {"shape": "cos"}, TypeError, r"warm_up: shape must be a schedule, as in shape=cosine; got 'cos'"),
        (warm_up, {"runs_on": 1}, TypeError, r"warm_up: runs_on must be True or False, got 1 of type int"),
        (warm_up, {"runs_on": True, "then": partial(linear, lr=0.0, end=0.1, steps=9)}, ValueError,
         r"warm_up: then must begin with a rate > 0 if it runs on"),
        (warmup_stable_decay, {"warmup_steps": 80}, ValueError,
         r"warmup_stable_decay: warmup_steps \+ decay_steps must be at most steps; got .*steps=100.0, "
         r"warmup_steps=80.0, decay_steps=30.0"),
        (one_cycle, {"pct_start": 1.0}, ValueError, r"one_cycle: pct_start must be a number in \(0, 1\), got 1.0"),
        (one_cycle, {"pct_start": 0.6, "three_phase": True}, ValueError,
         r"one_cycle: pct_start must be less than 0.5 if there are three phases; got .*pct_start=0.6"),
        (one_cycle, {"pct_start": 0.5, "three_phase": True}, ValueError,
         r"one_cycle: pct_start must be less than 0.5 if there are three phases; got .*pct_start=0.5"),
        (one_cycle, {"three_phase": "yes"}, TypeError, r"one_cycle: three_phase must be True or False, got 'yes'"),
        (noam, {"d_model": 0}, ValueError, r"noam: d_model must be a whole number >= 1, got 0"),
        (noam, {"warmup_steps": 0}, ValueError, r"noam: warmup_steps must be a finite number > 0, got 0"),
    ],
    ids=lambda value: getattr(value, "__name__", "-".join(value) if isinstance(value, dict) else ""),
)  # fmt: skip
def test_a_bad_value_is_named(function, arguments, error, words):
    right = {
        step: {"lr": 0.1, "every": 3},
        multi_step: {"lr": 0.1, "milestones": [3]},
        warm_up: {"steps": 3, "then": partial(constant, lr=0.1)},
        warmup_stable_decay: {"lr": 0.1, "steps": 100, "warmup_steps": 10, "decay_steps": 30},
        noam: {"d_model": 512},
        inverse_time: {"lr": 0.1, "decay_rate": 1},
        polynomial: {"lr": 0.1, "steps": 9, "power": 2},
        triangular: {"lr": 0.1, "start": 0.0, "steps_up": 3},
    }.get(function, {"lr": 0.1, "steps": 9})
    function(0, **right)
    with pytest.raises(error, match=words):
        function(**{"t": 0} | right | arguments)


def test_a_missing_value_is_named_with_the_remedy():
    with pytest.raises(TypeError, match=r"constant: no value for lr; fill it in: partial\(constant, lr=\.\.\.\)"):
        constant(0)
    with pytest.raises(TypeError, match=r"step: no value for lr, every; fill it in: partial\(step, lr=\.\.\., every="):
        step(0)


def test_a_schedule_given_without_its_numbers_fails_on_the_first_step():
    with pytest.raises(TypeError, match="constant: no value for lr"):
        Optimizer(gradient_descent, lr=constant).step([np.zeros(1)], [np.zeros(1)])


def test_numbers_are_named():
    with pytest.raises(
        TypeError, match=r"step: name every number, as in partial\(step, lr=..., every=..., gamma=...\)"
    ):
        partial(step, 0.1, every=3)(0)


def test_a_new_schedule_gets_its_checks_from_the_decorator():
    @schedule
    def halve(t, *, lr):
        return lr / 2**t

    assert halve(np.arange(3), lr=1).tolist() == [1.0, 0.5, 0.25]
    with pytest.raises(ValueError, match="halve: lr must be"):
        halve(0, lr=-1)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"lr": -1}, ValueError, r"reduce_on_plateau: lr must be a finite number >= 0, got -1"),
        ({}, TypeError, r"reduce_on_plateau: no value for lr; fill it in: partial\(reduce_on_plateau, lr="),
        ({"lr": 0.1, "patience": 0}, ValueError, r"patience must be a whole number >= 1, got 0"),
        ({"lr": 0.1, "cooldown": -1}, ValueError, r"cooldown must be a whole number >= 0, got -1"),
        ({"lr": 0.1, "cooldown": 1.5}, ValueError, r"cooldown must be a whole number >= 0, got 1.5"),
        ({"lr": 0.1, "rtol": 1.0}, ValueError, r"rtol must be a number in \[0, 1\), got 1.0"),
        ({"lr": 0.1, "factor": 0.5}, TypeError, r"reduce_on_plateau: unknown hyperparameter 'factor'"),
        ({"lr": 0.1, "best": "low"}, TypeError, r"best must be a number, not nan, got 'low'"),
    ],
    ids=str,
)
def test_bad_numbers_for_a_rate_by_the_loss_are_named(arguments, error, words):
    with pytest.raises(error, match=words):
        OnLoss(reduce_on_plateau, **arguments)


@pytest.mark.parametrize("rule", ["plateau", cosine, lambda loss: loss, None])
def test_what_is_no_rule_for_losses_is_refused(rule):
    with pytest.raises(TypeError, match=r"rule must be a function \(loss, lr, \.\.\.\), like reduce_on_plateau; got"):
        OnLoss(rule, lr=0.1)


def test_a_rule_that_loses_a_part_of_its_state_is_noticed():
    def forgetful(loss, lr, waited=0):
        return (lr,)

    rate = OnLoss(forgetful, lr=0.1)
    with pytest.raises(ValueError, match="shorter"):
        rate.tell(1.0)
    assert rate.state == {"lr": 0.1, "waited": 0}


def test_a_loss_that_is_no_number_changes_nothing():
    rate = OnLoss(reduce_on_plateau, lr=0.1)
    rate.tell(1.0)
    before = dict(rate.state)
    with pytest.raises(ValueError, match="reduce_on_plateau: loss must be a number, not nan, got nan"):
        rate.tell(math.nan)
    with pytest.raises((TypeError, ValueError)):
        rate.tell(np.zeros(2))
    assert rate.state == before


# ---------- the referee ----------


def test_a_comparison_can_fail():
    ours = np.array([1.0, 0.5, 0.25])
    result = compare(ours, np.array([1.0, 0.5 + EPS, 0.75]))
    assert (result.deviation, result.steps.tolist(), result.gap) == (1.0, [2], 0.5)
    missing = compare(ours, np.array([1.0, 0.5, np.nan]))
    assert missing.steps.tolist() == [2]
    assert math.isnan(missing.gap)
    for bad in (ours[:2], np.array([np.nan, 1.0, 1.0]), np.zeros(3)):
        with pytest.raises(ValueError, match="rates to compare must be as many, finite, and not all 0"):
            compare(bad, ours)


def test_steps_in_words():
    assert in_words(np.array([], dtype=int)) == ""
    assert in_words(np.array([3])) == "3"
    assert in_words(np.array([0, 1, 2, 5, 7, 8])) == "0–2, 5, 7–8"
    assert in_words(np.arange(0, 20, 2)) == "10 steps from 0 on"


def test_the_tables():
    shown = [case for case in referee.SHOWN if case.func in (multi_step, cosine)]
    proof, pitfalls = referee.proof(shown), referee.pitfalls(shown)
    assert proof.index.tolist() == [(case.func.__name__, title) for case in shown for title in referee.TITLES.values()]
    assert (proof.deviation.astype(float) <= CLOSED).all()
    row = proof.loc[("cosine", "PyTorch")].to_dict()
    assert float(row.pop("deviation")) > 0
    assert row == {
        "ours": "cosine(lr=0.3, steps=90, end=0.01)",
        "counterpart": "CosineAnnealingLR(optimizer, T_max=steps, eta_min=end)",
        "only": "",
        "differs at": "91–200",
        "by up to": "0.29",
        "because": "The rate rises again after the end.",
    }
    assert pitfalls.loc[("multi_step", "Keras"), "differs at"] == "20, 60–61, 90"
    assert pitfalls.loc[("multi_step", "Keras"), "by up to"] == "0.09"


def test_what_holds_under_a_condition_says_so():
    for found in itertools.chain(*(by_framework.values() for by_framework in COUNTERPARTS.values())):
        for counterpart in found:
            numbers = re.sub(
                r"shape is \w+|(and )?not (three_phase|runs_on)|and three_phase|(inner\.)?lr > 0|and",
                "",
                counterpart.when,
            )
            assert (numbers.strip() in ("", "True")) == (counterpart.only == ""), counterpart
            assert counterpart.until == "inf" or counterpart.differs, counterpart


def test_a_lowest_rate_above_the_rate_does_not_raise_it():
    """As in PyTorch and Keras."""
    assert reduce_on_plateau(2.0, 0.01, best=1.0, waited=9, patience=10, end=0.1)[0] == 0.01
