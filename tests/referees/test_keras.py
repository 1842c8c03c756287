"""The account of Keras' float32 casts is complete: casts, and nothing else, separate its rules from ours."""

import math

import numpy as np
import pytest

from lib.dialects.keras import adam
from lib.optimizers.rule import named_for
from lib.referees import BOUND, DIALECTS, WIDER, compare, hyperparameters_for, judge, record, replay, shapes_for
from lib.referees import keras as referee
from lib.referees.recording import flat

CAST = [name for name in DIALECTS["keras"] if name != "adadelta"]  # adadelta's lr is 1, and it casts nothing else
DECIMAL = {"lion": {"lr": 0.01}}  # its proof has a rate that float32 holds


@pytest.mark.parametrize("name", CAST)
def test_decimal_hyperparameters_are_cast(name):
    rule, hyperparameters = DIALECTS["keras"][name].rule, hyperparameters_for(name, 1.0) | DECIMAL.get(name, {})
    recording = record(200, 1.0, shapes=shapes_for(rule))
    theirs = referee.replay(name, recording, **hyperparameters)
    unaccounted = compare(replay(rule, recording, **named_for(rule, hyperparameters)), theirs).absolute
    accounted = judge("keras", name, recording, hyperparameters).absolute
    assert accounted <= WIDER.get((name, "keras"), (BOUND, None))[0]
    assert unaccounted > 1e4 * max(accounted, 1e-15)


def short(number):
    """``number`` rounded to ten bits: float32 holds it exactly, so there is nothing to cast away."""
    mantissa, exponent = math.frexp(number)
    return math.ldexp(round(1024 * mantissa) / 1024, exponent)


# Adagrad's start, 0.1, and Nadam's 0.96 are cast regardless.
@pytest.mark.parametrize("name", sorted(DIALECTS["keras"].keys() - {"adagrad", "nadam"}))
def test_hyperparameters_that_float32_holds_leave_nothing_to_account_for(name):
    rule, names = DIALECTS["keras"][name].rule, DIALECTS["keras"][name].names
    # One without a name Keras keeps at its default, and so must we.
    given = {key: short(value) if names[key] else value for key, value in hyperparameters_for(name, 1.0).items()}
    recording = record(200, 1.0, shapes=shapes_for(rule))
    ours = replay(rule, recording, **named_for(rule, given))
    assert compare(ours, referee.replay(name, recording, **given)).absolute <= 1e-14


def test_float64_hyperparameters_are_not_cast():
    """NumPy's float64 in place of Python's float, and a rate that is a function, pass Keras uncast."""
    tf, recording = referee.tensorflow(), record(200, 1.0)
    variables = [tf.Variable(a) for a in recording.start]
    theirs = tf.keras.optimizers.Adam(lambda: np.float64(0.01), np.float64(0.9), np.float64(0.999), 1e-8)
    for gradients in recording.gradients:
        theirs.apply_gradients(zip(map(tf.constant, gradients), variables, strict=True))
    ours = replay(adam, recording, learning_rate=0.01, epsilon=1e-8)[-1]
    assert np.abs(ours - flat(variables)).max() <= 1e-14
