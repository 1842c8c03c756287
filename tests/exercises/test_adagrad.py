"""The judges of the chapter on Adagrad: the right answer passes, each typical mistake is named."""

import numpy as np
import pytest

from lib.dialects import keras
from lib.exercises import adagrad as exercises
from lib.exercises.adagrad import BUGS, MISTAKES, check, steps_of, suspects
from lib.optimizers import adagrad
from tests.exercises.judging import exercise_tests


def ours(x, g, G, *, lr, eps):
    G = G + g * g
    return x - lr / (G**0.5 + eps) * g, G


def in_place(x, g, G, *, lr, eps):
    G += g**2
    return x - lr * g / (np.sqrt(G) + eps), G


def two(rule):
    return 1 - steps_of(rule, [3.0, 4.0], lr=0.5).sum()


CULPRITS = {"A": "one sum for all parameters", "B": "forgets", "C": "rate falls with the step alone"}

RIGHT = [
    (1, 0.1),
    (1, np.float64(0.1)),
    (2, ours),
    (2, adagrad),
    (3, 62_866),
    (3, 62_500),  # 2 sqrt(T) for the sum
    (3, 62_866 * 1.01),
    (3, 62_866 * 0.99),
    (4, 20),
    (5, (2 / 13, 26)),
    (5, [0.1538, 26.0]),
    (6, 0.299),
    (6, 0.3 - 0.001),
    (7, 1 / 90),
    (7, 0.0111),
    (8, CULPRITS),
    (9, 3333),
]

WRONG = [
    (1, 0.5, "first step"),
    (1, 0.4, "where does it lead"),
    (1, 1.9, "uphill"),
    (1, two(exercises.gradient_descent_instead), "gradient descent"),
    (1, two(exercises.no_root), "root is missing"),
    (1, two(exercises.forgets), "RMSProp"),
    (1, two(exercises.last_only), "Only the last"),
    (1, two(exercises.sizes_summed), "Sum squares"),
    (1, two(exercises.clock), "1/sqrt(t)"),
    (1, 0.2, "G is 9, then 25"),
    (2, 1, "function itself"),
    (2, lambda x, g, G, *, lr, eps: ..., "still returns the dots"),
    (2, lambda x, g, G, *, lr, eps: x - lr * g, "return x, G"),
    (2, in_place, "changes its argument G"),
    *((2, mistake, hint) for mistake, hint in MISTAKES.items()),
    (2, lambda x, g, G, *, lr, eps: adagrad(x, g, 2 * G, lr=lr, eps=eps), "at step 2 of 20"),
    (2, lambda x, g, G, *, lr, eps: ours(0, g, G, lr=lr, eps=eps), "from x = 0 at lr = 1 only"),
    (2, lambda x, g, G, *, lr, eps: ours(x, g, G, lr=1.0, eps=eps), "from x = 0 at lr = 1 only"),
    (3, 500, "constant rate"),
    (3, 250, "square it"),
    (3, 250_000, "not sqrt(T)"),
    (3, 62_000, "0.02 sqrt(T)"),
    (4, 400, "their roots"),
    (4, 0.05, "other way round"),
    (4, 100, "25 times"),
    (4, 25, "how often"),
    (4, 40, "counts appearances"),
    (5, 2 / 13, "Two numbers"),
    (5, (2 / 169, 26), "root is missing"),
    (5, (2 / 19, 26), "sum of sizes"),
    (5, (4 / 13, 26), "D is 2"),
    (5, (6.5, 26), "Upside down"),
    (5, (0.2, 26), "derivative"),
    (5, (2 / 13, 36.77), "Adagrad promises"),
    (5, (2 / 13, 13), "Both terms"),
    (5, (2 / 13, 20), "Put it into"),
    (6, 0.3, "The same start"),
    (6, 0.301, "other way round"),
    (6, 0.268, "no root of its own"),
    (6, 0.3 - 1e-6, "not squared"),
    (6, 0.29, "start + squares + 0.001"),
    (7, 0.01, "same rate"),
    (7, 0.009, "other way round"),
    (7, 0.01 / 0.81, "under the root"),
    (7, 0.02, "0.9 sqrt(G)"),
    (7, 0.0112, "0.9 sqrt(G)"),
    (8, "forgets", "A dict"),
    (8, CULPRITS | {"A": "nonsense"}, "'nonsense' is not on the list"),
    (8, CULPRITS | {"B": "old sum"}, "B is innocent of 'old sum'"),
    (8, {"A": "forgets", "B": "one sum for all parameters", "C": "root missing"}, "A is innocent"),
    (9, 9999, "a quarter under the root"),
    (9, 100, "its square"),
    (9, 29_997, "Upside down"),
    (9, 5000, "t + 9999"),
]


test_a_right_answer_passes, test_a_mistake_is_named, test_every_exercise_starts_open = exercise_tests(
    check, RIGHT, WRONG
)


def test_steps_are_differences_of_positions():
    x, G, positions = np.array([1.0]), np.zeros(1), [1.0]
    for g in (3.0, -4.0, 12.0):
        x, G = adagrad(x, np.array([g]), G, lr=0.5, eps=0.0)
        positions.append(x[0])
    np.testing.assert_allclose(steps_of(adagrad, [3.0, -4.0, 12.0], lr=0.5), -np.diff(positions), rtol=1e-12)


@pytest.mark.parametrize("rule", MISTAKES, ids=lambda rule: rule.__name__)
def test_a_mistake_is_one(rule):
    gradients = np.random.default_rng(0).standard_normal((20, 4)) * np.array([1e-8, 1e-3, 1.0, 1e4])
    with np.errstate(all="ignore"):
        steps = steps_of(rule, gradients, eps=1e-8)
    assert not np.allclose(steps, steps_of(adagrad, gradients, eps=1e-8), rtol=1e-3, atol=0)


@pytest.mark.parametrize("name", suspects)
def test_the_experiment_that_is_named_tells_the_suspect(name):
    experiments = {
        "two parameters with gradients of 1 and 100": [[1.0, 100.0]],
        "a constant gradient for 100 steps": np.ones(100),
        "a gradient of 100 instead of 1": [100.0],
    }
    (experiment,) = (experiment for guilty, experiment in BUGS.values() if guilty == name)
    given = experiments[experiment]
    apart = abs(steps_of(suspects[name], given) - steps_of(adagrad, given)).max()
    assert apart > 0.1


def test_how_far_by_summing():
    way = np.cumsum(0.01 / np.sqrt(np.arange(1.0, 70_000)))
    assert np.searchsorted(way, 5.0) + 1 == 62_866


def test_the_port_by_stepping():
    gradients = np.random.default_rng(0).standard_normal(20)
    ours, G = np.zeros(1), np.full(1, 0.3)
    theirs, keras_G = np.zeros(1), np.full(1, 0.299)
    for g in gradients:
        ours, G = adagrad(ours, g, G, lr=0.1, eps=0.0)
        theirs, keras_G = keras.adagrad(theirs, g, keras_G, learning_rate=0.1, epsilon=0.001)
    np.testing.assert_allclose(theirs, ours, rtol=1e-12)


def test_the_spike_by_stepping():
    t = np.arange(1, 5000)
    with_it = steps_of(adagrad, [100.0, *np.ones(4998)])
    assert t[1:][with_it[1:] >= (0.5 - 1e-9) / np.sqrt(t[1:])][0] == 3333
