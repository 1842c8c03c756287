"""The judges of the chapter on vanishing gradients: the right answer passes, each typical mistake is named."""

import math

import numpy as np

from lib.exercises.vanishing_gradients import check
from tests.exercises.judging import exercise_tests


def gradients(hs, weights, delta):
    found = []
    for h, w in zip(reversed(hs), reversed(weights), strict=True):
        found.insert(0, h.T @ delta)
        delta = (delta @ w.T) * (1 - h**2)
    return found


def without_slope(hs, weights, delta):
    found = []
    for h, w in zip(reversed(hs), reversed(weights), strict=True):
        found.insert(0, h.T @ delta)
        delta = delta @ w.T
    return found


def wrong_slope(hs, weights, delta):
    found = []
    for h, w in zip(reversed(hs), reversed(weights), strict=True):
        found.insert(0, h.T @ delta)
        delta = (delta @ w.T) * (1 - h)
    return found


def stuck(hs, weights, delta):
    second = (delta @ weights[2].T) * (1 - hs[2] ** 2)
    return [hs[0].T @ second, hs[1].T @ second, hs[2].T @ delta]


GATE = 0.5 ** (1 / 50)
NORM = np.array([0.3, 4.0]) / np.hypot(0.3, 4.0)

RIGHT = [
    (1, 0.25**10),
    (1, 9.537e-7),
    (1, 9.5e-7),
    (2, 0.9**50),
    (2, 0.00515),
    (2, 0.0052),
    (3, 1 / 52),
    (3, 0.01923),
    (3, 0.0192),
    (4, gradients),
    (4, lambda *given: tuple(gradients(*given))),
    (5, (1.1**20, 0.1**20)),
    (5, (6.727, 1e-20)),
    (5, (6.7, 1e-20)),
    (6, (NORM, (0.3, 1.0))),
    (6, ((0.0748, 0.997), (0.3, 1.0))),
    (7, math.log(GATE / (1 - GATE))),
    (7, 4.27),
    (7, 4.3),
    (8, 10),
    (9, math.log(199) / 4),
    (9, 1.3233),
    (9, 1.32),
]

WRONG = [
    (1, 0.5**10, "product of the outputs"),
    (1, 2.5, "not added"),
    (1, 0.25, "one unit"),
    (1, 0.25**9, "nine factors"),
    (1, 0.0, "Ten factors"),
    (1, 1e-6, "Ten factors"),
    (2, 0.81**50, "mean square. The norm"),
    (2, 0.9, "one layer"),
    (2, 0.9**49, "49 factors"),
    (2, 0.0057, "49 factors"),
    (2, 1.0, "not safe"),
    (2, 0.1, "n times the variance"),
    (3, 0.02, "He's"),
    (3, 0.01, "LeCun's"),
    (3, 1 / 60, "squared"),
    (3, math.sqrt(1 / 52), "standard deviation"),
    (3, 1 / 1.04, "number of units"),
    (3, 0.0193, "half of the time"),
    (4, 1, "function itself"),
    (4, lambda hs, weights, delta: ..., "still returns the dots"),
    (4, lambda hs, weights, delta: delta, "list of three"),
    (4, lambda *given: gradients(*given)[::-1], "wrong order"),
    (4, lambda *given: [g.T for g in gradients(*given)], "h.T @ delta"),
    (4, lambda hs, weights, delta: gradients(hs, weights, 2 * delta), "wrong already"),
    (4, without_slope, "slope of tanh"),
    (4, wrong_slope, "1 - h**2"),
    (4, stuck, "last two layers are right"),
    (5, 1.1**20, "Two numbers"),
    (5, (0.1**20, 1.1**20), "wrong way round"),
    (5, (3.0, 0.1**20), "only the beginning"),
    (5, (1 + 0.1**20, 0.1**20), "around each layer"),
    (5, (2.0, 0.1**20), "factor is 1 + w"),
    (5, (1.1**20, 0.0), "factor is w"),
    (6, (1.0, 2.0), "Two vectors"),
    (6, ((0.3, 1.0), NORM), "comes second"),
    (6, (np.array([0.3, 4.0]) / 4.3, (0.3, 1.0)), "root of the sum"),
    (6, ((0.075, 1.0), (0.3, 1.0)), "largest entry"),
    (6, ((0.1, 0.9), (0.3, 1.0)), "limit / norm"),
    (6, (NORM, (1.0, 1.0)), "below the limit stays"),
    (6, (NORM, (0.3, 4.0)), "on its own"),
    (7, GATE, "That is the gate"),
    (7, 0.986, "That is the gate"),
    (7, -4.27, "The sign"),
    (7, 0.0, "after one step"),
    (7, -math.log(GATE / (1 - GATE)), "The sign"),
    (7, 1.0, "log(f / (1 - f))"),
    (8, math.log(1e6) / math.log(4), "round up"),
    (8, 9.97, "round up"),
    (8, 9, "still above"),
    (8, 14, "began at 1"),
    (8, 11, "0.01 / 4**k"),
    (9, math.log(199), "Divide by 2 s"),
    (9, math.log(199) / 2, "s = 2"),
    (9, math.log(200) / 4, "denominator"),
    (9, 1.325, "denominator"),
    (9, 1.0, "s/u0 - 1"),
]

test_a_right_answer_passes, test_a_mistake_is_named, test_every_exercise_starts_open = exercise_tests(
    check, RIGHT, WRONG
)


def test_what_the_verdicts_say_is_so():
    turned = np.degrees(np.arccos(NORM @ [0.3, 1.0] / np.hypot(0.3, 1.0)))
    assert 12 < turned < 13
    assert 0.73 < 1 / (1 + math.exp(-1)) < 0.735
    assert 1e-7 < (1 / (1 + math.exp(-1))) ** 50 < 1 / 5e6
    assert 20.8 < math.log10(11**20) < 21
    assert 3.75e-8 < 0.01 / 4**9 < 3.85e-8
