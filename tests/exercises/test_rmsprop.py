"""The judges of the chapter on RMSProp: the right answer passes, each typical mistake is named."""

import numpy as np
import pytest

from lib.dialects import keras
from lib.exercises import rmsprop as exercises
from lib.exercises.rmsprop import BUGS, MISTAKES, ROUND, check, drift, steps_of, suspects
from lib.optimizers import rmsprop
from tests.exercises.judging import exercise_tests


def ours(x, g, v, *, lr, rho, eps):
    v = v + (1 - rho) * (g * g - v)
    return x - lr / (v**0.5 + eps) * g, v


def in_place(x, g, v, *, lr, rho, eps):
    v *= rho
    v += (1 - rho) * g**2
    return x - lr * g / (np.sqrt(v) + eps), v


def two(rule):
    return 2 - steps_of(rule, [15.0, 16.0], lr=0.6, rho=0.64).sum()


CULPRITS = {"A": "averages gradients", "B": "weights swapped", "C": "never forgets"}
TURN = 0.9554  # of exercise 9; computed by stepping below

RIGHT = [
    (1, 0.2),
    (1, np.float64(0.2)),
    (2, ours),
    (2, rmsprop),
    (3, 53),
    (3, np.ceil(np.log(44.95 / 3) / np.log(1 / 0.95))),
    (4, 288),
    (5, np.sqrt(1e-7 / 99)),
    (5, 3.18e-5),
    (6, 4e-4),
    (7, 0.00316),
    (7, 0.01 * np.sqrt(0.1)),
    (8, CULPRITS),
    (9, TURN),
    (9, 0.955),
]

WRONG = [
    (1, 1.0, "first step"),
    (1, 0.8, "where does it lead"),
    (1, 2 - 0.6 - 0.6 * 16 / np.sqrt(144 / 0.5904), "removed the bias"),
    (1, two(exercises.gradient_descent_instead), "gradient descent"),
    (1, two(exercises.no_root), "root is missing"),
    (1, two(exercises.never_forgets), "Adagrad"),
    (1, two(exercises.leaky_sum), "add up to 1"),
    (1, two(exercises.weights_swapped), "swapped"),
    (1, two(exercises.average_of_sizes), "Average"),
    (1, two(exercises.frozen), "at every step"),
    (1, two(exercises.wrong_way), "uphill"),
    (1, 0.3, "v is 81, then 144"),
    (2, 1, "function itself"),
    (2, lambda x, g, v, *, lr, rho, eps: ..., "still returns the dots"),
    (2, lambda x, g, v, *, lr, rho, eps: x - lr * g, "return x, v"),
    (2, in_place, "changes its argument v"),
    *((2, mistake, hint) for mistake, hint in MISTAKES.items()),
    (2, lambda x, g, v, *, lr, rho, eps: rmsprop(x, g, 2 * v, lr=lr, rho=rho, eps=eps), "at step 2 of 20"),
    (2, lambda x, g, v, *, lr, rho, eps: ours(0, g, v, lr=lr, rho=rho, eps=eps), "from x = 0 at lr = 1"),
    (2, lambda x, g, v, *, lr, rho, eps: ours(x, g, v, lr=1.0, rho=rho, eps=eps), "from x = 0 at lr = 1"),
    (3, np.log(899 / 3) / np.log(1 / 0.95), "1 - rho"),
    (3, np.log(44.95) / np.log(1 / 0.95), "needs v = 4"),
    (3, np.log(2) / np.log(1 / 0.95), "half-life"),
    (3, 52, "still above 4"),
    (3, np.log(44.95 / 3) / np.log(1 / 0.95), "come whole"),
    (3, 54, "44.95"),
    (3, 40, "44.95"),
    (4, 1, "Adam"),
    (4, 287, "a little longer"),
    (4, np.log(3 / 4) / np.log(0.999), "come whole"),
    (4, 1386, "need 1/4"),
    (4, 693, "sqrt(2) rates"),
    (4, 289, "exceed half"),
    (5, 1e-7 / 9, "PyTorch"),
    (5, np.sqrt(1e-7 / 3), "half a rate"),
    (5, 1e-7 / 99, "once more"),
    (5, 1e-4, "Solve"),
    (6, 2e-4, "jumps"),
    (6, 1e-4, "other way round"),
    (6, 4e-3, "a hundred times"),
    (6, 1e-3, "half a rate"),
    (7, 0.01, "same rate"),
    (7, 0.0316, "other way round"),
    (7, 0.001, "its root"),
    (7, 0.02, "divided by 1 - rho"),
    (8, "averages gradients", "A dict"),
    (8, CULPRITS | {"A": "nonsense"}, "'nonsense' is not on the list"),
    (8, CULPRITS | {"B": "average frozen"}, "B is innocent of 'average frozen'"),
    (8, {"A": "never forgets", "B": "weights swapped", "C": "averages gradients"}, "A is innocent"),
    (9, 0.9, "still moves down"),
    (9, 0.99, "changes its sign"),
    (9, 0.954, "changes its sign"),
]


test_a_right_answer_passes, test_a_mistake_is_named, test_every_exercise_starts_open = exercise_tests(
    check, RIGHT, WRONG
)


def test_steps_are_differences_of_positions():
    x, v, positions = np.array([1.0]), np.zeros(1), [1.0]
    for g in (3.0, -4.0, 12.0):
        x, v = rmsprop(x, np.array([g]), v, lr=0.5, rho=0.7, eps=0.0)
        positions.append(x[0])
    np.testing.assert_allclose(steps_of(rmsprop, [3.0, -4.0, 12.0], lr=0.5, rho=0.7), -np.diff(positions), rtol=1e-12)


@pytest.mark.parametrize("rule", MISTAKES, ids=lambda rule: rule.__name__)
def test_a_mistake_is_one(rule):
    gradients = np.random.default_rng(0).standard_normal((20, 4)) * np.array([1e-8, 1e-3, 1.0, 1e4])
    with np.errstate(all="ignore"):
        steps = steps_of(rule, gradients, eps=1e-8)
    assert not np.allclose(steps, steps_of(rmsprop, gradients, eps=1e-8), rtol=1e-3, atol=0)


@pytest.mark.parametrize("name", suspects)
def test_the_experiment_that_is_named_tells_the_suspect(name):
    experiments = {
        "gradients of 1 and -1 in turn": [1.0, -1.0] * 20,
        "a single gradient": [1.0],
        "a constant gradient for 100 steps": np.ones(100),
    }
    (experiment,) = (experiment for guilty, experiment in BUGS.values() if guilty == name)
    given = experiments[experiment]
    apart = abs(steps_of(suspects[name], given) - steps_of(rmsprop, given)).max()
    assert apart > 0.1


@pytest.mark.parametrize("rho", [0.5, 0.9, 0.99])
def test_drift_by_stepping(rho):
    """Many rounds from v = 0, the last of which counts."""
    steps = steps_of(rmsprop, ROUND * 300, rho=rho)
    assert drift(ROUND, rho) == pytest.approx(-steps[-len(ROUND) :].sum(), rel=1e-9)


def test_where_the_drift_turns():
    assert drift(ROUND, TURN - 1e-4) < 0 < drift(ROUND, TURN + 1e-4)


def test_the_spike_by_stepping():
    steps = steps_of(rmsprop, [*np.ones(1000), 30.0, *np.ones(100)], rho=0.95)[1001:]
    assert np.argmax(steps >= 0.5) + 1 == 53


def test_the_first_steps_by_stepping():
    steps = steps_of(rmsprop, np.full(400, 7.0), rho=0.999)
    assert np.argmax(steps < 2) + 1 == 288


def test_a_tenth_of_a_step_by_stepping():
    x, v = np.zeros(1), np.zeros(1)
    for _ in range(300):
        before = x
        x, v = keras.rmsprop(x, np.full(1, np.sqrt(1e-7 / 99)), v, learning_rate=1.0, epsilon=1e-7)
    assert before - x == pytest.approx(0.1, rel=1e-9)


def test_the_cycle_by_stepping():
    x, v = np.ones(1), np.zeros(1)
    for _ in range(5000):
        x, v = rmsprop(x, 100 * x, v, lr=4e-4, rho=0.9, eps=0.0)
    assert 50 * x**2 == pytest.approx(2e-6, rel=1e-6)


def test_which_suspects_lower_a_loss():
    """On x**2 / 2 from 1, as the verdict says: A jumps to many times where it began, B and C come down."""
    farthest = {}
    for name, rule in suspects.items():
        x, v, path = np.ones(1), np.zeros(1), []
        for _ in range(2000):
            x, v = rule(x, x, v, lr=0.1, rho=0.9, eps=1e-8)
            path.append(abs(x[0]))
        farthest[name] = max(path[-1000:])
    assert farthest["A"] > 10
    assert max(farthest["B"], farthest["C"]) < 0.2


def test_the_leaky_sum_by_stepping():
    gradients = np.random.default_rng(0).standard_normal(30)
    leaky = steps_of(exercises.leaky_sum, gradients, lr=0.01)
    np.testing.assert_allclose(steps_of(rmsprop, gradients, lr=0.01 * np.sqrt(0.1)), leaky, rtol=1e-12)
