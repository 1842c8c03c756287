"""The judges of the chapter on the range test: the right answer passes, each typical mistake is named."""

import numpy as np

from lib.exercises.range_test import best_outcome, check, recorded, unknown_task
from lib.optimizers import gradient_descent
from lib.search.range_test import range_test, smooth
from tests.exercises.judging import exercise_tests

RATES, LOSSES = recorded()
SMOOTHED = smooth(LOSSES, 0.9)


def least(values):
    return RATES[9 + values[9:].argmin()]


STEEPEST, EDGE = least(np.gradient(SMOOTHED, np.log(RATES))), least(SMOOTHED)


def average(start=lambda losses: 0.0, divide=lambda beta, t: 1 - beta**t, weight=lambda beta: beta):
    def function(losses, beta):
        a, out = start(losses), []
        for t, loss in enumerate(losses, start=1):
            a = weight(beta) * a + (1 - weight(beta)) * loss
            out.append(a / divide(weight(beta), t))
        return out

    return function


N = 230 / np.log(1e5)


def on_unknown(seed, **options):
    return range_test(*unknown_task(seed), gradient_descent, high=10.0, **options)


TESTED = [on_unknown(seed, low=1e-4, steps=200) for seed in range(4)] + [on_unknown(1, low=1e-6, steps=300)]

RIGHT = [
    (1, 10 ** (6 / 120)),
    (1, 1.122),
    (2, smooth),
    (2, average()),
    (3, (40, 12.595 / 40)),
    (3, (40, 0.315)),
    (4, -N * np.pi**2 / 2 / np.log(10)),
    (4, -42.8),
    (5, (STEEPEST, EDGE)),
    (6, 10**0.6),
    (6, 3.98),
    (6, 4.0),
    (7, 133),
    (8, {"A": "too short", "B": "flat start", "C": "too low"}),
    (9, best_outcome()[0]),
    *[(9, result.both_ways().edge) for result in TESTED],
    *[(9, result.edge / 2) for result in TESTED],
]

WRONG = [
    (1, 10 ** (6 / 121), "120 gaps"),
    (1, (10 - 1e-5) / 120, "straight line"),
    (1, 10 ** (5 / 120), "six powers"),
    (1, 1e6 / 120, "take a root"),
    (1, 1.5, "factor**120"),
    (2, 0.9, "function itself"),
    (2, lambda losses, beta: ..., "returns nothing yet"),
    (2, lambda losses, beta: losses.mean(), "six averages"),
    (2, average(divide=lambda beta, t: 1), "leans toward zero"),
    (2, average(divide=lambda beta, t: 1 - beta ** (t + 1)), "Off by one"),
    (2, average(start=lambda losses: losses[0], divide=lambda beta, t: 1), "starts at the first loss"),
    (2, average(weight=lambda beta: 1 - beta), "share of the old average"),
    (2, lambda losses, beta: losses, "losses themselves"),
    (2, lambda losses, beta: smooth(losses, beta) + np.eye(6)[2], "Average 2 should be 1.934, yours is 2.934"),
    (3, 40, "Two numbers"),
    (3, (20, 0.315), "not 1 over it"),
    (3, (2, 0.315), "|1 - rate * curvature|"),
    (3, (40, 0.05), "only stopped falling"),
    (3, (40, 0.1), "where D is zero"),
    (3, (40, 4.591 / 40), "straight line"),
    (3, (40, 1.0), "where D is zero again"),
    (4, 42.8, "power is negative"),
    (4, -21.4, "the loss is its square"),
    (4, -98.6, "divided by ln(10)"),
    (4, -10, "D(2)"),
    (5, 0.02, "Two numbers"),
    (5, (STEEPEST, RATES[LOSSES.argmin()]), "luck"),
    (5, (STEEPEST, EDGE / 10), "a tenth of it"),
    (5, (STEEPEST, 1.0), "lowest smoothed loss"),
    (5, (least(np.gradient(SMOOTHED, RATES)), EDGE), "per unit of the rate"),
    (5, (least(np.gradient(LOSSES, np.log(RATES))), EDGE), "before you take the slope"),
    (5, (0.5, EDGE), "np.gradient"),
    (6, 49, "number of steps"),
    (6, 10 ** (50 * 6 / 490), "beta / (1 - beta)"),
    (6, 0.6, "10 to that"),
    (6, 2.0, "of 490"),
    (7, 132, "132 gaps"),
    (7, 131.13, "whole numbers"),
    (7, 131, "still more than 1"),
    (7, 58, "base 10"),
    (7, 100, "less than 1"),
    (8, "A", "A dict"),
    (8, {"A": "too short", "B": "flat start"}, "A dict"),
    (8, {"A": "late", "B": "flat start", "C": "too low"}, "you have 'late'"),
    (8, {"A": "too noisy", "B": "flat start", "C": "too low"}, "repeats well"),
    (8, {"A": "too low", "B": "flat start", "C": "too low"}, "the range was right"),
    (8, {"A": "too short", "B": "too noisy", "C": "too low"}, "more than it trembles"),
    (8, {"A": "too short", "B": "too low", "C": "too low"}, "anything to read"),
    (8, {"A": "too short", "B": "flat start", "C": "too short"}, "still falling"),
    (9, [0.1, 0.2], "One rate"),
    (9, "0.1", "One rate"),
    (9, 0.0, "a number > 0"),
    (9, 1e-6, "Yours is too low"),
    (9, TESTED[1].steepest, "Yours is too low"),
    (9, 1.0, "Yours is too high"),
    (9, 1e9, "the loss overflows"),
]

test_a_right_answer_passes, test_a_mistake_is_named, test_every_exercise_starts_open = exercise_tests(
    check, RIGHT, WRONG
)
