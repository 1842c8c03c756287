"""The judges of the page on tools: the right answer passes, each typical mistake is named."""

import numpy as np

from lib.exercises.tools import check
from tests.exercises.judging import exercise_tests


def resume(x, g, v, t):
    v = 0.9 * v - 0.1 / np.sqrt(t + 1) * g
    return x + v, v, t + 1


RIGHT = [
    (1, (10, 0.9)),
    (1, [10.0, 0.9]),
    (2, ["rate", "validation loss", "update ratio"]),
    (3, (0.005, 0)),
    (3, (3 / 603, 0.0)),
    (4, (0.3103, 0.01316)),
    (5, resume),
    (6, (6151.6, 0.03901)),
]

WRONG = [
    (1, (22, 0.9), "draws an average"),
    (1, (14, 0.9), "share of the old average"),
    (1, (8, 0.9), "stands at 2"),
    (1, (9, 0.9), "the rest of 22"),
    (1, (10, 0.1), "share of the new value"),
    (1, (10, 0.5), "2 w + 22 (1 - w) = 4"),
    (1, 10, "Two numbers are asked for"),
    (2, "rate", "A list of three names"),
    (2, ["loss", "validation loss", "update ratio"], "none of the curves"),
    (2, ["gradient norm", "validation loss", "update ratio"], "set wrongly"),
    (2, ["rate", "gradient norm", "update ratio"], "computed on the training set"),
    (2, ["rate", "validation loss", "gradient norm"], "layer by layer"),
    (3, (0.3, 0), "600 seconds"),
    (3, (0.5, 0), "in percent"),
    (3, (0.01, 0), "from save to save"),
    (3, (0.005, 0.005), "At which moment".lower()),
    (4, (0.45, 0.0132), "the step is all three"),
    (4, (1.5 / 31.5, 0.0132), "9 operators for each"),
    (4, (0.2, 0.0132), "over the whole"),
    (4, (0.3103, 0.4 / 30), "the step is all three"),
    (4, (0.3103, 0.02), "0.4 ms"),
    (5, lambda x, g, v, t: None, "returned None"),
    (5, lambda x, g, v, t: x, "Return three things"),
    (5, lambda x, g, v, t: (x, 0.9 * v - 0.1 * g, t + 1), "24 steps have been taken"),
    (5, lambda x, g, v, t: (x, 0.9 * v - 0.1 / t**0.5 * g, t + 1), "number t + 1"),
    (5, lambda x, g, v, t: (x, -0.02 * g, t + 1), "is forgotten"),
    (5, lambda x, g, v, t: (x, v, t + 1), "0.9 of the old one"),
    (5, lambda x, g, v, t: (x + v, 0.9 * v - 0.02 * g, t + 1), "by the new velocity"),
    (5, lambda x, g, v, t: (*resume(x, g, v, t)[:2], t), "t must say so"),
    (6, (194_530, 0.039), "fails a thousand times as often"),
    (6, (4349.9, 0.039), "you left out the 2"),
    (6, (794.2, 0.039), "120 seconds"),
    (6, (3600, 0.039), "in seconds"),
    (6, (6151.6, 0.0195), "failures cost as much again"),
    (6, (6151.6, 3.901), "not percent"),
    (6, (6151.6, 0.5), "s / P, and P / (2 F)"),
]

test_a_right_answer_passes, test_a_mistake_is_named, test_every_exercise_starts_open = exercise_tests(
    check, RIGHT, WRONG
)
