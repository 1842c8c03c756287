"""The judges of the chapter on momentum: the right answer passes, each typical mistake is named."""

import numpy as np

from lib.exercises.momentum import check
from tests.exercises.judging import exercise_tests


def verdict(capsys, number, answer) -> str:
    check(number, answer)
    return capsys.readouterr().out.strip()


def ours(x, g, v, *, lr, momentum):
    v = momentum * v - lr * g
    return x + momentum * v - lr * g, v


def in_place(x, g, v, *, lr, momentum):
    v *= momentum
    v -= lr * g
    x += momentum * v - lr * g
    return x, v


def rate_outside(x, g, v, *, lr, momentum):
    v = momentum * v + g
    return x - lr * (g + momentum * v), v


def heavy_ball(x, g, v, *, lr, momentum):
    v = momentum * v - lr * g
    return x + v, v


def no_gradient_ahead(x, g, v, *, lr, momentum):
    v = momentum * v - lr * g
    return x + momentum * v, v


RIGHT = [
    (1, 0.54),
    (1, np.float64(0.54)),
    (2, (1.5, 228)),
    (3, (1 / 36, 4 / 9)),
    (3, (0.0278, 0.444)),
    (4, ours),
    (4, in_place),
    (5, (0.2, -0.5)),
    (6, 0.81),
    (7, 0.6),
    (7, 0.8),
    (8, 0.36 / 2.6),
    (8, 0.1385),
    (9, 0.001),
]

WRONG = [
    (1, 0.64, "gradient descent"),
    (1, 0.5, "where you are by then"),
    (1, 0.8, "after one step"),
    (1, -0.26, "add it to 0.8"),
    (1, 1.46, "climbed"),
    (1, 0.62, "gradient alone"),
    (1, 0.77, "2x, not x"),
    (1, 0.55, "Velocity first"),
    (2, 1.5, "Two numbers"),
    (2, (0.03, 228), "first step"),
    (2, (-1.5, 228), "not negative"),
    (2, (50, 228), "sum of the weights"),
    (2, (1.4, 228), "rate and slope"),
    (2, (1.5, 50), "63 %"),
    (2, (1.5, np.log(0.01) / np.log(0.98)), "round up"),
    (2, (1.5, 227), "One step later"),
    (2, (1.5, 300), "1 - 0.98**t"),
    (3, 1 / 36, "Two numbers"),
    (3, (2 / 104, 4 / 9), "gradient descent"),
    (3, (1 / 100, 4 / 6), "Nesterov"),
    (3, (2 / 12, 4 / 9), "squared"),
    (3, (0.03, 4 / 9), "three digits"),
    (3, (1 / 35, 4 / 9), "three digits"),
    (3, (1 / 36, 2 / 3), "root of the momentum"),
    (3, (1 / 36, (24 / 26) ** 2), "root of kappa"),
    (3, (1 / 36, 0.9), "kappa = 25"),
    (4, 1, "function itself"),
    (4, lambda x, g, v, *, lr, momentum: ..., "still returns the dots"),
    (4, lambda x, g, v, *, lr, momentum: x - lr * g, "return x, v"),
    (4, heavy_ball, "heavy ball"),
    (4, lambda x, g, v, *, lr, momentum: (x - lr * g, v), "gradient descent"),
    (4, lambda x, g, v, *, lr, momentum: ours(x, -g, v, lr=lr, momentum=momentum), "Step 1 is"),
    (4, lambda x, g, v, *, lr, momentum: ours(x, g, v, lr=lr, momentum=0.9), "Step 1 is"),
    (4, rate_outside, "Step 1 is"),
    (4, no_gradient_ahead, "Step 1 is"),
    (4, lambda x, g, v, *, lr, momentum: (ours(x, g, v, lr=lr, momentum=momentum)[0], v), "Step 2 is"),
    (5, 0.2, "Two numbers"),
    (5, (5, -0.5), "old over new"),
    (5, (0.02, -0.5), "quotient"),
    (5, (0.3, -0.5), "momentum correction"),
    (5, (0.2, 0.5), "against the gradient"),
    (5, (0.2, -50), "lacks the rate"),
    (5, (0.2, -5), "lacks the rate"),
    (5, (0.2, 1), "x + v"),
    (6, 0.9, "its root"),
    (6, 1.21, "other solution"),
    (6, 0.99, "square of the bracket"),
    (6, 0.8, "left border"),
    (7, (1 / 9, 0.6), "One number"),
    (7, 1.0, "below 1"),
    (7, -0.1, "at least 0"),
    (7, 0.38, "above the limit"),
    (7, 4 / 9, "40 of 40 walks are farther than 1e-6 from 0, and they are not coming nearer"),
    (7, 0.5, "32 of 40 walks"),
    (7, 0.95, "still on their way"),
    (8, 0.2, "gradient descent"),
    (8, 0.1, "usual rate"),
    (8, 10, "the curvature"),
    (8, 0.36, "other limit"),
    (9, 0.4, "divide where"),
    (9, 0.019, "not by 0.95"),
    (9, 0.02, "20 times"),
    (9, 0.01, "rate / (1 - momentum)"),
]


test_a_right_answer_passes, test_a_mistake_is_named, test_every_exercise_starts_open = exercise_tests(
    check, RIGHT, WRONG
)


def test_a_velocity_that_is_not_the_equations_is_noticed(capsys):
    kept = []

    def hidden(x, g, v, *, lr, momentum):
        x, new = ours(x, g, kept[-1] if kept else v, lr=lr, momentum=momentum)
        kept.append(new)
        return x, np.zeros(3)

    assert "not the one of the equation" in verdict(capsys, 4, hidden)
