"""The judges of the chapter on Adam's successors: the right answer passes, each typical mistake is named."""

import numpy as np
import pytest

from lib.exercises.after_adam import FACTORS, FAMILY, MISTAKES, NAMES, G, check, steps_of, suspects
from lib.experiments.after_adam import drift_factor, factored
from lib.optimizers import adan, lamb, lion, muon
from lib.optimizers.muon import newton_schulz
from tests.exercises.judging import exercise_tests


def ours(x, g, m, *, lr, beta1, beta2, weight_decay):
    c = m + (1 - beta1) * (g - m)
    return (1 - lr * weight_decay) * x - lr * np.sign(c), m + (1 - beta2) * (g - m)


def in_place(x, g, m, **given):
    m *= 0.9
    return lion(x, g, m, **given)


U, S, VT = np.linalg.svd(G, full_matrices=False)
Q = drift_factor()
REACH = 0.3182
NAMED = {"A": "LAMB", "B": "Adan", "C": "Muon"}

RIGHT = [
    (1, (2.08, -0.366)),
    (1, [np.float64(2.08), -0.366]),
    (2, ours),
    (2, lion),
    (3, (0.001 / Q, 0.1 * Q)),
    (3, (0.00015, 0.67)),
    (4, 8 * 1.01**100),
    (4, 21.64),
    (4, 21.6),
    (5, (-0.12 - REACH, -0.12 + REACH)),
    (5, (-0.44, 0.20)),
    (6, factored),
    (6, lambda v: np.outer(v.sum(1), v.sum(0)) / v.sum()),
    (7, -U @ VT),
    (7, (-U @ VT).tolist()),
    (7, np.round(-U @ VT, 3)),
    (8, (-0.2, -0.21)),
    (9, NAMED),
]

WRONG = [
    (1, 2.08, "Two numbers"),
    (1, (1.88, -0.366), "sign of the gradient"),
    (1, (1.986, -0.366), "take its sign"),
    (1, (2.1, -0.366), "decay is missing"),
    (1, (1.9, -0.366), "multiplied by the rate"),
    (1, (3, -0.366), "is negative"),
    (1, (2.08, -0.06), "beta1 only mixes"),
    (1, (2.08, -0.406), "not signs"),
    (1, (2.08, 1), "0.01 * 3"),
    (2, 1, "function itself"),
    (2, lambda *a, **k: ..., "still returns the dots"),
    (2, lambda x, *a, **k: x, "return x, m"),
    (2, in_place, "changes its argument m"),
    *((2, mistake, hint) for mistake, hint in MISTAKES.items()),
    (2, lambda x, g, m, **k: lion(x, g, m, **k | {"lr": 0.11}), "at step 1 of 50"),
    (3, 1, "Two numbers"),
    (3, (0.001 / 19**0.5, 0.1), "equally long"),
    (3, (0.001 * Q, 0.1 * Q), "other way round"),
    (3, (0.001, 0.1 * Q), "over drift_factor()"),
    (3, (0.001 / Q, 0.1), "Keep rate times decay"),
    (3, (0.001 / Q, 0.1 / Q), "goes up"),
    (3, (0.001 / Q, 1), "0.0001"),
    (4, 16, "powers"),
    (4, 8 * np.e, "many small steps"),
    (4, 9, "not as the rate"),
    (4, 10, "multiplies the norm"),
    (5, 1, "Two numbers"),
    (5, (0.20, -0.44), "comes first"),
    (5, (-REACH, REACH), "its middle"),
    (5, (-0.22, -0.02), "61 percent"),
    (5, (-0.316, 0.076), "for many seeds"),
    (5, (-0.398, 0.158), "three degrees of freedom"),
    (5, (-0.355, 0.115), "on each side"),
    (5, (-0.279, 0.039), "again"),
    (5, (-1, 0.76), "3.18 standard errors"),
    (6, 1, "function itself"),
    (6, lambda v: None, "returned None"),
    (6, lambda v: v.mean(1) * v.mean(), "as a column"),
    *((6, mistake, hint) for mistake, hint in FACTORS.items()),
    (6, lambda v: v + 1, "over the mean of all"),
    (7, 1.0, "shape of G"),
    (7, -np.sign(G), "more than 1"),
    (7, U @ VT, "Uphill"),
    (7, -G / np.linalg.norm(G), "Euclidean norm"),
    (7, -G / S[0], "may be 1, too"),
    (7, -newton_schulz(G / np.linalg.norm(G)), "come near"),
    (7, 0 * G, "the least is"),
    (8, 1, "Two numbers"),
    (8, (-0.3, -0.21), "that is z"),
    (8, (-0.21, -0.21), "no z in it"),
    (8, (-0.15, -0.21), "the start is not averaged"),
    (8, (0.2, -0.21), "downhill is negative"),
    (8, (1, 1), "equal weights"),
    (8, (-0.2, -0.29), "other way round"),
    (8, (-0.2, -0.3), "That is z"),
    (8, (-0.2, -0.2), "between z and the average"),
    (8, (-0.2, 1), "0.1 z + 0.9 average"),
    (9, "Muon", "A dict"),
    (9, NAMED | {"A": "Adam"}, "not on the list"),
    (9, NAMED | {"A": "Adafactor"}, "an x twice as large"),
    (9, NAMED | {"B": "Lion"}, "a small gradient after a large one"),
]

test_a_right_answer_passes, test_a_mistake_is_named, test_every_exercise_starts_open = exercise_tests(
    check, RIGHT, WRONG
)


def run(rule, gradients, x):
    return np.array(steps_of(rule, gradients, x))


def test_suspects_are_who_they_are():
    g, x = np.random.default_rng(0).standard_normal((2, 3, 4))
    for name, rule in zip("ABC", (lamb, adan, muon), strict=True):
        np.testing.assert_array_equal(suspects[name]([g, 2 * g], x), steps_of(rule, [g, 2 * g], x))
        assert FAMILY[NAMED[name]] is rule
        assert NAMES[NAMED[name]][0] == name


@pytest.mark.parametrize("name", FAMILY)
def test_what_brings_them_to_light(name):
    """The table of the solution tells all six apart."""
    g, x = np.random.default_rng(0).standard_normal((2, 3, 3))

    def marks(rule):
        first, double = run(rule, [g], x)[0], run(rule, [g], 2 * x)[0]
        s = np.linalg.svd(first, compute_uv=False)
        second = run(rule, [100 * g, g], x)[1]
        sizes = np.linalg.norm(double), np.linalg.norm(second)
        return np.array([*(a / np.linalg.norm(first) for a in sizes), s[-1] / s[0]])

    mine = marks(FAMILY[name])
    for other, rule in FAMILY.items():
        assert other == name or abs(marks(rule) - mine).max() > 0.05
