"""Schedules equal PyTorch's at every step, take arrays of steps, and refuse numbers that make no sense."""

import inspect
import math
from functools import partial

import numpy as np
import pytest
import torch

from lib.optimizers import Optimizer, gradient_descent
from lib.schedules import constant, schedule, step

SCHEDULES = {"constant": partial(constant, lr=0.3), "step": partial(step, lr=0.3, every=7, gamma=0.5)}


def torch_rates(lr, scheduler, steps):
    """The rates that a torch scheduler gives, one a step."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=lr)
    scheduler = scheduler(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def test_constant_is_torch_without_a_schedule():
    theirs = torch_rates(0.3, partial(torch.optim.lr_scheduler.LambdaLR, lr_lambda=lambda t: 1.0), 50)
    assert [constant(t, lr=0.3) for t in range(50)] == theirs


@pytest.mark.parametrize("gamma", [1, 0.9, 0.5, 0.1])
@pytest.mark.parametrize("every", [1, 2, 7, 30, 200])
def test_step_is_torch_steplr(every, gamma):
    theirs = torch_rates(0.3, partial(torch.optim.lr_scheduler.StepLR, step_size=every, gamma=gamma), 100)
    ours = [step(t, lr=0.3, every=every, gamma=gamma) for t in range(100)]
    # StepLR multiplies the last rate, the equation raises gamma to a power: up to 100 roundings between them.
    assert ours == pytest.approx(theirs, rel=1e-14, abs=0)


@pytest.mark.parametrize("every", [1, 7])
def test_step_is_torch_lambdalr_to_the_bit(every):
    theirs = torch_rates(0.3, partial(torch.optim.lr_scheduler.LambdaLR, lr_lambda=lambda t: 0.9 ** (t // every)), 100)
    assert [step(t, lr=0.3, every=every, gamma=0.9) for t in range(100)] == theirs


def test_step_changes_on_the_step_and_not_before():
    assert [step(t, lr=8.0, every=3, gamma=0.5) for t in (0, 2, 3, 5, 6)] == [8.0, 8.0, 4.0, 4.0, 2.0]


def test_step_divides_by_ten_unless_told_otherwise():
    assert step(30, lr=1.0, every=30) == 0.1


@pytest.mark.parametrize("name", SCHEDULES)
def test_an_array_of_steps_gives_an_array_of_rates(name):
    one_by_one = [SCHEDULES[name](t) for t in range(40)]
    assert SCHEDULES[name](np.arange(40)).tolist() == one_by_one
    assert SCHEDULES[name](np.arange(40).reshape(5, 8)).shape == (5, 8)
    assert SCHEDULES[name](np.arange(0)).shape == (0,)
    assert SCHEDULES[name](torch.arange(40)).tolist() == pytest.approx(one_by_one, rel=1e-6)  # torch divides in float32


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("t", [0, 5, np.int64(5)])
def test_one_step_gives_one_number(name, t):
    assert isinstance(SCHEDULES[name](t), float)


def test_an_array_of_steps_is_left_alone():
    t = np.arange(10)
    step(t, lr=0.1, every=3)
    assert t.tolist() == list(range(10))


@pytest.mark.parametrize(
    ("hyperparameters", "error", "words"),
    [
        ({"lr": -0.1}, ValueError, r"step: lr must be a finite number >= 0, got -0.1"),
        ({"lr": math.nan}, ValueError, r"step: lr must be .*got nan"),
        ({"lr": "0.1"}, TypeError, r"step: lr must be .*got '0.1' of type str"),
        ({"every": 0}, ValueError, r"step: every must be a whole number >= 1, got 0"),
        ({"every": 2.5}, ValueError, r"step: every must be a whole number >= 1, got 2.5"),
        ({"every": True}, TypeError, r"step: every must be .*got True"),
        ({"gamma": 0}, ValueError, r"step: gamma must be a number in \(0, 1\], got 0"),
        ({"gamma": 1.1}, ValueError, r"step: gamma must be .*got 1.1"),
        ({"evry": 3}, TypeError, r"step: unknown hyperparameter 'evry'; did you mean 'every'"),
        ({"t": -1}, ValueError, r"step: t must be a step >= 0, got -1"),
        ({"t": "3"}, TypeError, r"step: t must be a step or an array of steps, got '3'"),
        ({"t": np.array([1, -1])}, ValueError, r"step: t must be a step >= 0"),
    ],
    ids=str,
)
def test_a_bad_value_is_named(hyperparameters, error, words):
    with pytest.raises(error, match=words):
        step(**{"t": 0, "lr": 0.1, "every": 3} | hyperparameters)


def test_a_missing_value_is_named_with_the_remedy():
    with pytest.raises(TypeError, match=r"constant: no value for lr; fill it in: partial\(constant, lr=\.\.\.\)"):
        constant(0)
    with pytest.raises(TypeError, match=r"step: no value for lr, every; fill it in: partial\(step, lr=\.\.\., every="):
        step(0)


def test_a_schedule_given_without_its_numbers_fails_on_the_first_step():
    with pytest.raises(TypeError, match="constant: no value for lr"):
        Optimizer(gradient_descent, lr=constant).step([np.zeros(1)], [np.zeros(1)])


def test_an_optimizer_follows_a_schedule_from_step_zero():
    optimizer = Optimizer(gradient_descent, lr=partial(step, lr=1.0, every=2, gamma=0.5))
    params = [np.zeros(1)]
    for rate in (1.0, 1.0, 0.5, 0.5, 0.25):
        new = optimizer.step(params, [np.ones(1)])
        assert params[0] - new[0] == rate
        params = new


def test_the_source_on_a_page_is_the_equation():
    assert "return lr * gamma ** (t // every)" in inspect.getsource(step)
    assert step.__name__ == "step"
    assert "StepLR" in step.__doc__


def test_a_new_schedule_gets_its_checks_from_the_decorator():
    @schedule
    def halve(t, *, lr):
        return lr / 2**t

    assert halve(np.arange(3), lr=1).tolist() == [1.0, 0.5, 0.25]
    with pytest.raises(ValueError, match="halve: lr must be"):
        halve(0, lr=-1)


def test_numbers_are_named():
    with pytest.raises(
        TypeError, match=r"step: name every number, as in partial\(step, lr=..., every=..., gamma=...\)"
    ):
        partial(step, 0.1, every=3)(0)
