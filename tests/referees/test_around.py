"""The drivers of what stands around a rule do what the referees do if nothing stands there, and step when due."""

import numpy as np
import optax
import pytest
import torch

from lib.optimizers import ema, gradient_descent
from lib.referees import record, referee, replay
from lib.referees.around import path, run, run_keras, run_optax, run_torch

RATE = 2.0**-7
DRIVERS = {
    "torch": lambda recording: run_torch(lambda params: torch.optim.SGD(params, lr=RATE), recording),
    "keras": lambda recording: run_keras("SGD", recording, learning_rate=RATE),
    "optax": lambda recording: run_optax(optax.sgd(RATE), recording),
}


@pytest.mark.parametrize("framework", DRIVERS)
def test_with_nothing_around_it_a_driver_is_the_referee(framework):
    recording = record(20, 1.0)
    theirs = referee(framework).replay("gradient_descent", recording, lr=RATE)
    np.testing.assert_allclose(path(DRIVERS[framework](recording)), theirs, rtol=0, atol=1e-15)


def test_with_nothing_around_it_ours_is_the_rule():
    recording = record(20, 1.0)
    np.testing.assert_array_equal(
        path(run(gradient_descent, recording, lr=RATE)), replay(gradient_descent, recording, lr=RATE)
    )


def test_ours_steps_once_in_every_few_gradients():
    moments = list(run(gradient_descent, record(7, 1.0), every=3, lr=RATE))
    assert [moment.t for moment in moments] == [0, 0, 1, 1, 1, 2, 2]
    moved = (np.diff(path(moments), axis=0) != 0).all(axis=1)
    assert moved.tolist() == [False, True, False, False, True, False]


def test_the_average_starts_with_the_first_step_and_may_take_the_parameters_place():
    average = lambda average, params, t: ema(average, params, decay=0.5)
    moments = list(run(gradient_descent, record(4, 1.0), average=average, overwrite=2, lr=RATE))
    same = [bool((moment.params == moment.state["average"]).all()) for moment in moments]
    assert same == [True, True, False, True]
