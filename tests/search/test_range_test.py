"""The range test's rates, losses and end are what it says, and each reading is read where its definition says."""

import math
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.dialects.torch import momentum as torch_momentum
from lib.optimizers import Optimizer, adam, gradient_descent, momentum
from lib.schedules import linear
from lib.search.range_test import RangeTest, geometric, range_test, reach, smooth, smooth_both_ways
from lib.training import train

CURVATURE = 5.0


def parabola(params):
    """CURVATURE * x**2 / 2, summed over one array."""
    (x,) = params
    return float(CURVATURE * (x**2).sum() / 2), [CURVATURE * x]


def walk(rule=gradient_descent, **given):
    """A test on the parabola, each loss as it is."""
    options = {"low": 0.01, "high": 1.0, "steps": 50, "beta": 0.0, "blow_up": math.inf} | given
    return range_test(parabola, [np.array([3.0])], rule, **options)


def scripted(losses, **given):
    """A test that sees these losses, whatever the parameters; the first of them before the first step."""
    rest = iter(losses)
    objective = lambda params: (next(rest), [np.ones_like(params[0])])
    options = {"low": 1e-3, "high": 10.0, "steps": len(losses) - 1, "beta": 0.0} | given
    return range_test(objective, [np.zeros(1)], gradient_descent, **options)


def curve(smoothed, rates=None, beta=0.0):
    """A result with this smoothed loss."""
    rates = np.geomspace(1e-3, 10, len(smoothed)) if rates is None else rates
    return RangeTest(rates, np.array(smoothed), np.array(smoothed), beta, "")


# ---------- the rates ----------


def test_rates_rise_by_equal_factors_from_low_to_high():
    rates = walk().rates
    assert rates[0] == pytest.approx(0.01, rel=1e-15)
    assert rates[-1] == 1.0
    np.testing.assert_allclose(rates[1:] / rates[:-1], 100 ** (1 / 49), rtol=1e-13)


def test_rates_rise_in_a_straight_line():
    rates = walk(shape=linear).rates
    np.testing.assert_allclose(rates, np.linspace(0.01, 1, 50), rtol=1e-14)


def test_geometric_stays_at_its_end_and_takes_arrays():
    t = np.arange(8)
    np.testing.assert_allclose(geometric(t, lr=0.1, steps=4, end=1.6), [0.1, 0.2, 0.4, 0.8, 1.6, 1.6, 1.6, 1.6])
    assert geometric(2, lr=0.1, steps=4, end=1.6) == pytest.approx(0.4)


# ---------- the losses ----------


@pytest.mark.parametrize("shape", [geometric, linear])
def test_a_loss_belongs_to_the_rate_of_the_step_before_it(shape):
    """On a parabola, step t multiplies x by 1 - lr[t] * CURVATURE."""
    result = walk(shape=shape)
    factors = 1 - result.rates * CURVATURE
    expected = CURVATURE * (3 * np.cumprod(factors)) ** 2 / 2
    np.testing.assert_allclose(result.losses, expected, rtol=1e-12)


@pytest.mark.parametrize("shape", [geometric, linear])
@pytest.mark.parametrize("steps", [20, 50, 200])
def test_on_a_parabola_the_edge_is_the_last_rate_below_the_limit(shape, steps):
    result = walk(shape=shape, steps=steps)
    assert result.edge == result.rates[result.rates < 2 / CURVATURE].max()
    assert result.tenth == result.edge / 10


def test_it_leaves_the_parameters_alone_and_starts_afresh():
    x = np.array([3.0])
    first, second = (
        range_test(parabola, [x], momentum, low=0.01, high=0.5, steps=30, momentum=0.5, beta=0.0) for _ in range(2)
    )
    np.testing.assert_array_equal(first.losses, second.losses)
    assert x == 3.0


def test_hyperparameters_arrive():
    slow, fast = (walk(momentum, momentum=m).losses[5] for m in (0.0, 0.9))
    assert slow == pytest.approx(walk().losses[5])
    assert fast < slow


def test_it_is_training_with_a_schedule():
    result = walk(adam, beta1=0.8)
    schedule = partial(geometric, lr=0.01, end=1.0, steps=49)
    history = train(parabola, [np.array([3.0])], Optimizer(adam, lr=schedule, beta1=0.8), steps=50)
    np.testing.assert_array_equal(result.rates, history.rates)
    np.testing.assert_array_equal(result.losses, history.losses[1:])


@pytest.mark.parametrize(
    ("rule", "make"),
    [
        (gradient_descent, lambda x, lr: torch.optim.SGD([x], lr=lr)),
        (torch_momentum, lambda x, lr: torch.optim.SGD([x], lr=lr, momentum=0.9)),
        (adam, lambda x, lr: torch.optim.Adam([x], lr=lr)),
    ],
)
def test_agrees_with_torch(rule, make):
    x = torch.tensor([3.0], dtype=torch.float64, requires_grad=True)
    optimizer = make(x, 0.01)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=100 ** (1 / 49))
    rates, losses = [], []
    for _ in range(50):
        optimizer.zero_grad()
        (CURVATURE * x**2 / 2).sum().backward()
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
        losses.append(float((CURVATURE * x.detach() ** 2 / 2).sum()))
    result = walk(rule, **({"momentum": 0.9} if rule is torch_momentum else {}))
    np.testing.assert_allclose(result.rates, rates, rtol=50 * 2.0**-52)  # torch rounds once a step
    # Each of 50 steps is rounded; where x passes near zero, a loss is smaller than what it was made of.
    np.testing.assert_allclose(result.losses, losses, rtol=1e-9, atol=1e-13)


# ---------- smoothing ----------


@given(
    st.lists(st.floats(0, 100, allow_nan=False), min_size=1, max_size=40),
    st.floats(0, 0.99),
)
def test_smooth_is_a_weighted_mean_of_the_losses_so_far(losses, beta):
    smoothed = smooth(losses, beta)
    for n in range(1, len(losses) + 1):
        weights = beta ** np.arange(n - 1, -1, -1.0)
        assert smoothed[n - 1] == pytest.approx(weights @ losses[:n] / weights.sum(), rel=1e-9, abs=1e-9)


def test_smooth_agrees_with_pandas():
    losses = np.random.default_rng(0).uniform(0, 3, 300)
    expected = pd.Series(losses).ewm(alpha=0.05, adjust=True).mean()
    np.testing.assert_allclose(smooth(losses, 0.95), expected, rtol=1e-13)


def test_smooth_begins_at_the_first_loss_and_keeps_a_constant():
    np.testing.assert_allclose(smooth([2.5] * 30, 0.9), 2.5, rtol=1e-14)
    assert smooth([4.0, 0.0], 0.9)[0] == pytest.approx(4.0)
    np.testing.assert_array_equal(smooth([3.0, 1.0, 2.0], 0.0), [3, 1, 2])


def test_the_result_holds_the_smoothed_losses():
    result = walk(beta=0.8)
    np.testing.assert_array_equal(result.smoothed, smooth(result.losses, 0.8))
    assert result.beta == 0.8


def test_smooth_both_ways_is_a_convolution_with_powers_of_beta():
    losses = np.random.default_rng(0).uniform(0, 3, 150)
    kernel = 0.8 ** np.abs(np.arange(-149, 150))
    around = lambda values: np.convolve(values, kernel)[149:-149]
    np.testing.assert_allclose(smooth_both_ways(losses, 0.8), around(losses) / around(np.ones(150)), rtol=1e-13)
    np.testing.assert_array_equal(smooth_both_ways([3.0, 1.0, 2.0], 0.0), [3, 1, 2])


def test_smooth_trails_a_ramp_and_smooth_both_ways_does_not():
    ramp = np.arange(400.0)
    np.testing.assert_allclose(smooth(ramp, 0.8)[200:], ramp[200:] - 0.8 / 0.2, rtol=1e-9)
    np.testing.assert_allclose(smooth_both_ways(ramp, 0.8)[150:250], ramp[150:250], rtol=1e-9)


def test_both_ways_changes_the_average_and_the_readings_alone():
    result = walk(beta=0.5)
    both = result.both_ways(0.6)
    np.testing.assert_array_equal(both.smoothed, smooth_both_ways(result.losses, 0.6))
    assert both.beta == 0.6
    np.testing.assert_array_equal(both.losses, result.losses)
    np.testing.assert_array_equal(both.rates, result.rates)
    assert both.reason == result.reason


# ---------- the end ----------


def test_it_ends_when_the_loss_has_blown_up():
    losses = [5, 4, 3, 2, 1, 2, 3, 4, 4.5, 9, 9, 9]
    result = scripted(losses)
    np.testing.assert_array_equal(result.losses, [4, 3, 2, 1, 2, 3, 4, 4.5])  # 4.5 is more than four times 1
    assert len(result.rates) == 8
    assert "more than 4 times its lowest, 1" in result.reason
    assert len(scripted(losses, blow_up=2.5).losses) == 6
    whole = scripted(losses, blow_up=math.inf)
    assert len(whole.losses) == 11
    assert "limit of 11 steps" in whole.reason


def test_the_first_loss_before_any_step_does_not_count():
    assert len(scripted([0.1, 5, 4, 3, 2, 1]).losses) == 5


def test_it_is_the_smoothed_loss_that_blows_up():
    losses = [3, 3, 3, 3, 3, 13, 3, 3, 3, 3, 3]
    assert len(scripted(losses).losses) == 5
    assert len(scripted(losses, beta=0.6).losses) == 10


def test_a_loss_that_is_not_finite_is_left_out():
    result = scripted([3.0, 2.0, 1.5, 1.0, math.inf, 1.0], blow_up=math.inf)
    np.testing.assert_array_equal(result.losses, [2, 1.5, 1])
    assert len(result.rates) == 3
    assert "loss inf" in result.reason


# ---------- readings ----------


def test_the_steepest_is_steepest_per_factor_of_the_rate():
    rates = np.geomspace(1e-3, 10, 81)
    for center in 0.01, 0.1, 1.0:
        step_down = 2 - np.tanh(np.log(rates / center))
        assert curve(step_down, rates).steepest == pytest.approx(center)
    # On rates in a straight line the same curve is steepest at the same rate.
    straight = np.linspace(1e-3, 10, 2001)
    assert curve(2 - np.tanh(np.log(straight / 1.0)), straight).steepest == pytest.approx(1.0, rel=0.02)


def test_the_readings_of_a_curve():
    rates = np.array([0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064])
    result = curve([5.0, 4.9, 4.0, 2.0, 1.0, 0.9, 6.0], rates)
    assert result.edge == 0.032
    assert result.tenth == pytest.approx(0.0032)
    assert result.steepest == 0.008
    assert result.start == 0.004  # a tenth of 4.1 below 5 is 4.59


def test_a_fall_after_the_edge_is_not_the_steepest():
    assert curve([5.0, 4.5, 3.0, 2.0, 9.0, 9.0, 2.5]).steepest == curve([0] * 7).rates[2]


def test_readings_leave_out_what_is_no_average_yet():
    smoothed = [9.0, 1.0, 8.0, 8.0, 7.0, 4.5, 4.0, 3.0, 6.0]
    rates = np.geomspace(1e-3, 10, 9)
    assert curve(smoothed, rates, beta=0.0).edge == rates[1]
    assert curve(smoothed, rates, beta=2 / 3).edge == rates[7]
    assert curve(smoothed, rates, beta=0.0).steepest == rates[0]
    assert curve(smoothed, rates, beta=2 / 3).steepest == rates[4]
    assert curve(smoothed, rates, beta=2 / 3).start == rates[4]


@pytest.mark.parametrize(("beta", "expected"), [(0.0, 1), (0.5, 2), (0.9, 10), (0.98, 50)])
def test_reach(beta, expected):
    assert reach(beta) == expected


def test_an_edge_that_was_not_reached_is_an_error():
    with pytest.raises(ValueError, match="edge: still falling at 10; test higher rates"):
        _ = curve([5, 4, 3, 2]).edge
    with pytest.raises(ValueError, match=r"edge: only rising from 0\.001 on; test lower rates"):
        _ = curve([1, 2, 3, 4]).edge
    with pytest.raises(ValueError, match="still falling"):
        _ = curve([5, 4, 3, 2]).tenth
    with pytest.raises(ValueError, match="only rising"):  # from the first average on
        _ = curve([9, 1, 2, 3, 4, 5], beta=2 / 3).edge


# ---------- errors ----------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"low": 0.0}, "range_test: low must be a finite number > 0"),
        ({"high": math.inf}, "range_test: high must be a finite number > 0"),
        ({"low": 1.0, "high": 1.0}, "range_test: low must be less than high, got 1 and 1"),
        ({"steps": 2.5}, "range_test: steps must be a whole number >= 1"),
        ({"steps": 11, "beta": 0.9}, "range_test: steps must be more than 11 for an average of beta 0.9, got 11"),
        ({"beta": 1.0}, r"range_test: beta must be a number in \[0, 1\)"),
        ({"blow_up": 1.0}, "range_test: blow_up must be a number > 1"),
        ({"blow_up": math.nan}, "range_test: blow_up must be a number > 1"),
    ],
)
def test_a_number_out_of_range(given, message):
    with pytest.raises(ValueError, match=message):
        walk(**given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"low": "0.1"}, "range_test: low must be"),
        ({"shape": 0.5}, "range_test: shape must be a schedule from lr to end"),
        ({"lr": 0.1}, "range_test: lr is what the test varies; pass low and high"),
        ({"momemtum": 0.9}, "did you mean 'momentum'"),
    ],
)
def test_an_argument_of_another_type(given, message):
    with pytest.raises(TypeError, match=message):
        walk(momentum, **given)


def test_a_test_that_cannot_be_read():
    with pytest.raises(ValueError, match="the loss at params is inf; start where it is finite"):
        scripted([math.inf, 1.0, 1.0, 1.0])
    with pytest.raises(ValueError, match=r"blew up in 1 steps, fewer than an average needs; begin below 0\.001"):
        scripted([1.0, 1.0, math.nan, 1.0])
    with pytest.raises(ValueError, match=r"the loss -1 is negative; add a constant to it, or pass blow_up=inf"):
        scripted([1.0, 1.0, -1.0, 1.0])
    assert scripted([1.0, 1.0, -1.0, 1.0], blow_up=math.inf).edge > 0


@pytest.mark.parametrize("beta", [-0.1, 1.0])
def test_smooth_checks_beta(beta):
    with pytest.raises(ValueError, match="smooth: beta must be"):
        smooth([1.0], beta)
    with pytest.raises(ValueError, match="smooth_both_ways: beta must be"):
        smooth_both_ways([1.0], beta)
