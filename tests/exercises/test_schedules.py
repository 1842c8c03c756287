"""The judges of the chapter on schedules: the right answer passes, each typical mistake is named."""

from functools import partial
from math import cos, exp, pi

import numpy as np

from lib.exercises.schedules import check
from lib.schedules import cosine, linear, warm_up
from tests.exercises.judging import exercise_tests


def ours(t, *, lr, steps, end):
    return end + (lr - end) * (1 + cos(pi * min(t, steps) / steps)) / 2


def wave(t, *, lr, steps, end):
    return end + (lr - end) * (1 + cos(pi * t / steps)) / 2


RIGHT = [
    (1, 0.5 ** (1 / 1260)),
    (1, np.float64(0.99945)),
    (2, 0.8179),
    (2, exp(-0.2)),
    (3, [5, 20, 65, 200]),
    (3, np.array([5, 20, 65, 200])),
    (4, ours),
    (5, ("inverse_time", 0.1)),
    (5, ("inverse time", 0.1)),
    (6, {"A": "time", "B": "noise", "C": "neither"}),
    (7, partial(warm_up, steps=5, then=partial(cosine, lr=0.1, steps=95))),
    (7, lambda t: 0.02 * t if t < 5 else 0.05 * (1 + cos(pi * min(t - 5, 95) / 95))),
    (8, 0.001),
    (9, (0.1, cosine(300, lr=0.1, steps=400))),
    (9, (0.1, 0.01464)),
    (9, (0.1, 0.0146)),
]

WRONG = [
    (1, 0.5 ** (1 / 30), "factor an epoch"),
    (1, 0.5 ** (1 / 42), "one epoch of 42"),
    (1, exp(-1 / 1260), "1/e"),
    (1, 0.5, "every step"),
    (1, 0.999, "Too few digits"),
    (1, 0.99, "number of steps in 30 epochs"),
    (2, 1 - 0.8179, "what is left"),
    (2, 0.0, "finite number"),
    (2, exp(-2), "multiply it by the curvature"),
    (2, 0.99, "not of the first alone"),
    (2, 0.5, "exp(-sum)"),
    (3, 10, "a list"),
    (3, [0, 5, 20, 65, 200], "Step 0 is the start"),
    (3, [5, 15, 45, 135], "lengths of the runs"),
    (3, [5, 15, 35, 75, 155], "t_mult = 2"),
    (3, list(range(5, 251, 5)), "t_mult = 1"),
    (3, list(range(5, 250, 5)), "t_mult = 1"),
    (3, [4, 19, 64, 199], "last steps"),
    (3, [6, 21, 66, 201], "count from 0"),
    (3, [5, 20, 65], "5 * 3**i"),
    (3, [], "5 * 3**i"),
    (4, 0.1, "function itself"),
    (4, lambda t, **_: ..., "still returns the dots"),
    (4, linear, "straight line"),
    (4, lambda t, *, lr, steps, end: cosine(t, lr=lr, steps=steps), "at 0 instead"),
    (4, lambda t, *, lr, steps, end: end + cosine(t, lr=lr, steps=steps), "lr + end"),
    (4, wave, "rises again"),
    (4, lambda t, *, lr, steps, end: lr, "At step 1 it gives 0.3"),
    (5, "inverse_time", "A name and a number"),
    (5, (0.1, "inverse_time"), "A name and a number"),
    (5, ("exponential", 0.93), "halve in the next ten"),
    (5, ("linear", 40), "finite time"),
    (5, ("step", 10), "one over the rate"),
    (5, ("inverse_time", 1), "every is 1"),
    (5, ("inverse_time", 10), "one over the number"),
    (5, ("inverse_time", 0.2), "Solve"),
    (6, "B", "A dict"),
    (6, {"A": "time", "B": "noise"}, "A dict"),
    (6, {"A": "time", "B": "cut", "C": "neither"}, "you have 'cut'"),
    (6, {"A": "noise", "B": "noise", "C": "neither"}, "still falling"),
    (6, {"A": "neither", "B": "noise", "C": "neither"}, "still falls"),
    (6, {"A": "time", "B": "time", "C": "neither"}, "more than half"),
    (6, {"A": "time", "B": "noise", "C": "noise"}, "sinks with the rate"),
    (6, {"A": "time", "B": "noise", "C": "time"}, "has not moved"),
    (7, 0.1, "function itself"),
    (7, partial(warm_up, steps=5, then=partial(cosine, lr=0.1, steps=100)), "at step 105"),
    (7, partial(warm_up, steps=5, then=partial(cosine, lr=0.1, steps=100), runs_on=True), "ran on beneath"),
    (7, partial(cosine, lr=0.1, steps=100), "cosine alone"),
    (7, partial(warm_up, steps=6, then=partial(cosine, lr=0.1, steps=94)), "At step 1 it gives"),
    (8, 0.01, "after the fourth loss"),
    (8, 0.1, "enough for a cut"),
    (8, 0.0001, "starts the count anew"),
    (8, 0.05, "count from 0"),
    (9, 0.1, "Two numbers"),
    (9, (0.0146, 0.0146), "counts its steps from 0"),
    (9, (0.1, 0.1 * (1 + cos(pi / 4)) / 2), "300 are over"),
    (9, (0.1, 0.025), "straight line"),
    (9, (0.1, 0.05), "at step 300"),
]

test_a_right_answer_passes, test_a_mistake_is_named, test_every_exercise_starts_open = exercise_tests(
    check, RIGHT, WRONG
)
