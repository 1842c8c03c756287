"""The judges of the chapter on Adadelta: the right answer passes, each typical mistake is named."""

import numpy as np
import pytest

from lib.exercises import adadelta as exercises
from lib.exercises.adadelta import BUGS, MISTAKES, check, steps_of, suspects
from lib.optimizers import adadelta, rmsprop
from tests.exercises.judging import exercise_tests


def ours(x, g, v, u, *, lr, rho, eps):
    v = rho * v + (1 - rho) * g * g
    step = ((u + eps) / (v + eps)) ** 0.5 * g
    return x - lr * step, v, rho * u + (1 - rho) * step * step


def in_place(x, g, v, u, *, lr, rho, eps):
    v *= rho
    return ours(x, g, v, u, lr=lr, rho=rho, eps=eps)


def two(rule):
    return 3 - steps_of(rule, [4.0, 2.0], rho=0.5, eps=1.0).sum()


CULPRITS = {"A": "sums instead of averages", "B": "rate counted in u", "C": "roots missing"}

RIGHT = [
    (1, 3 - 4 / 3 - 2 * np.sqrt(17 / 63)),
    (1, 0.6277),
    (1, 0.628),
    (2, ours),
    (2, adadelta),
    (3, 1000 * np.sqrt(5)),
    (3, 2236),
    (3, 2240),
    (3, 3.16e-3 / 1.41e-6),  # as the chapter prints both
    (4, 811),
    (4, 799),  # the rule of thumb
    (5, (1.0, 1e-12)),
    (5, [1, 1e-12]),
    (6, 0.001),
    (7, np.sqrt(1.95)),
    (7, 1.396),
    (7, 1.4),
    (8, CULPRITS),
    (9, 4.468),
    (9, 4.5),
]

WRONG = [
    (1, 3 - 4 / 3, "first step"),
    (1, 1.03892, "where does it lead"),
    (1, two(exercises.steps_left_out), "RMSProp"),
    (1, two(exercises.faded_first), "faded before it is used"),
    (1, two(exercises.eps_above_only), "missing beside v"),
    (1, two(exercises.sums), "averages forget"),
    (1, two(exercises.wrong_way), "uphill"),
    (1, 0.5, "v is 8, then 6"),
    (2, 1, "function itself"),
    (2, lambda x, g, v, u, *, lr, rho, eps: ..., "still returns the dots"),
    (2, lambda x, g, v, u, *, lr, rho, eps: x, "return x, v, u"),
    (2, in_place, "changes its argument v"),
    *((2, mistake, hint) for mistake, hint in MISTAKES.items()),
    (2, lambda x, g, v, u, *, lr, rho, eps: adadelta(x, g, v, 2 * u, lr=lr, rho=rho, eps=eps), "at step 2 of 20"),
    (2, lambda x, g, v, u, *, lr, rho, eps: ours(0, g, v, u, lr=lr, rho=rho, eps=eps), "Right for one"),
    (2, lambda x, g, v, u, *, lr, rho, eps: ours(x, g, v, u, lr=0.5, rho=rho, eps=eps), "Right for one"),
    (2, lambda x, g, v, u, *, lr, rho, eps: ours(x, g, v, u, lr=lr, rho=0.8, eps=eps), "Right for one"),
    (3, 1000, "rates alone"),
    (3, 1 / 2236, "other way round"),
    (3, 0, "A first step is"),
    (3, 0.01, "A first step is"),
    (3, 0.001, "A first step is"),
    (3, 3162.3, "rho differs"),
    (3, 707.1, "eps differs"),
    (3, 5000, "under a root"),
    (3, 4472.1, "in the denominator"),
    (3, 10, "sqrt(eps / (1 - rho))"),
    (3, 2210, "A first step is"),
    (4, 1118, "first step"),
    (4, 5000, "not sqrt(eps)"),
    (4, 1040, "do not grow from 0"),
    (4, 400, "Sum sqrt"),
    (5, 1.0, "Two numbers"),
    (5, (1e-3, 1e-9), "its square"),
    (5, (1e-12, 1.0), "other way round"),
    (5, (7.0, 1e-12), "square millimeters"),
    (5, (1.0, 1e-9), "1000 times smaller"),
    (5, (1.0, 1.5e-12), "per square millimeter"),
    (6, 1, "for ever"),
    (6, 1e-6, "The root of eps"),
    (6, 0.004472, "first step"),
    (6, 0.5, "place of the rate"),
    (7, 500, "how often"),
    (7, 22.36, "rule that sums"),
    (7, 1, "Nearly"),
    (7, 1.95, "root is missing"),
    (7, 3, "n = 1000"),
    (8, "steps left out", "A dict"),
    (8, CULPRITS | {"A": "nonsense"}, "'nonsense' is not on the list"),
    (8, CULPRITS | {"B": "gradients in u"}, "B is innocent of 'gradients in u'"),
    (9, 100, "before the step"),
    (9, 1, "share of 1 - rho"),
    (9, 0.19962, "root is missing"),
    (9, 1.3964, "has grown after"),
    (9, 50, "0.95 + 0.05"),
]


test_a_right_answer_passes, test_a_mistake_is_named, test_every_exercise_starts_open = exercise_tests(
    check, RIGHT, WRONG
)


def test_steps_are_differences_of_positions():
    x, v, u, positions = np.array([1.0]), np.zeros(1), np.zeros(1), [1.0]
    for g in (3.0, -4.0, 12.0):
        x, v, u = adadelta(x, np.array([g]), v, u, lr=0.5, rho=0.9, eps=0.1)
        positions.append(x[0])
    np.testing.assert_allclose(
        steps_of(adadelta, [3.0, -4.0, 12.0], lr=0.5, rho=0.9, eps=0.1), -np.diff(positions), rtol=1e-12
    )


@pytest.mark.parametrize("rule", MISTAKES, ids=lambda rule: rule.__name__)
def test_a_mistake_is_one(rule):
    gradients = np.random.default_rng(0).standard_normal((20, 4)) * np.array([1e-4, 1e-2, 1.0, 1e4])
    settings = {"lr": 0.5, "rho": 0.8, "eps": 1e-3}
    with np.errstate(all="ignore"):
        steps = steps_of(rule, gradients, **settings)
    assert not np.allclose(steps, steps_of(adadelta, gradients, **settings), rtol=1e-3, atol=0)


@pytest.mark.parametrize("name", suspects)
def test_the_experiment_that_is_named_tells_the_suspect(name):
    experiments = {
        "a constant gradient for 50 steps": (np.ones(50), 1.0),
        "a rate of 10": (np.ones(50), 10.0),
        "a gradient of 100 instead of 1": ([100.0], 1.0),
    }
    (experiment,) = (experiment for guilty, experiment in BUGS.values() if guilty == name)
    gradients, lr = experiments[experiment]
    theirs, right = steps_of(suspects[name], gradients, lr=lr), steps_of(adadelta, gradients, lr=lr)
    assert abs(theirs / right - 1).max() > 0.5


def test_a_sums_and_c_takes_no_roots():
    np.testing.assert_allclose(steps_of(suspects["A"], [100.0]), 1e-3, rtol=1e-6)  # sqrt(eps / g**2) g
    np.testing.assert_allclose(steps_of(suspects["C"], [100.0]), 1e-6 / (0.05 * 100), rtol=1e-6)  # eps g / (0.05 g**2)


def test_b_is_right_at_a_rate_of_1():
    gradients = np.random.default_rng(0).standard_normal(50)
    np.testing.assert_array_equal(steps_of(suspects["B"], gradients), steps_of(adadelta, gradients))


def test_first_steps_by_stepping():
    torch, keras = (steps_of(adadelta, [1e6], lr=lr, rho=rho, eps=eps)[0]
                    for lr, rho, eps in ((1.0, 0.9, 1e-6), (0.001, 0.95, 1e-7)))  # fmt: skip
    np.testing.assert_allclose(torch / keras, 1000 * 5**0.5, rtol=1e-9)


def test_how_far_by_summing():
    way = np.cumsum(steps_of(adadelta, np.full(3000, 1e6)))
    needed = np.searchsorted(way, 5.0) + 1
    assert abs(needed / 799 - 1) < 0.05  # the rule of thumb
    far = np.cumsum(steps_of(adadelta, np.full(9000, 1e6)))
    assert 5 < (np.searchsorted(far, 50.0) + 1) / needed < 6


def test_the_units_by_walking():
    def walk(scale, above, below):
        x, v, u, path = 2.0 * scale, 0.0, 0.0, []
        for _ in range(100):
            g = x / scale**2
            v = 0.95 * v + 0.05 * g**2
            step = np.sqrt((u + above) / (v + below)) * g
            x, u = x - step, 0.95 * u + 0.05 * step**2
            path.append(x / scale)
        return np.array(path)

    meters = walk(1.0, 1e-6, 1e-6)
    np.testing.assert_allclose(walk(1000.0, 1.0, 1e-12), meters, rtol=1e-12)
    x, v, u, path = 2000.0, 0.0, 0.0, []  # and as a library can do it
    for _ in range(100):
        x, v, u = adadelta(x, x / 1e6, v, u, lr=1e6, eps=1e-12)
        path.append(x / 1000)
    np.testing.assert_allclose(path, meters, rtol=1e-12)


def test_u_never_written_back_is_rmsprop():
    gradients = np.random.default_rng(0).standard_normal(50)
    theirs = steps_of(exercises.u_forgotten, gradients, eps=1e-6)
    v, steps = np.zeros(()), []
    for g in gradients:
        moved, v = rmsprop(0.0, g, v, lr=0.001, rho=0.95, eps=0.0)
        steps.append(-moved)
    np.testing.assert_allclose(theirs, steps, rtol=1e-2)  # eps beside v is a trifle here


@pytest.mark.parametrize("every", [2, 1000])
def test_rare_gradients_by_stepping(every):
    gradients = np.zeros(max(6000, 5 * every))
    gradients[::every] = 1e6
    step = steps_of(adadelta, gradients)[-every]
    rho, n = 0.95, every
    np.testing.assert_allclose(step, np.sqrt(1e-6 * (1 - rho**n) / ((1 - rho) * (1 - rho ** (n - 1)))), rtol=1e-6)


def test_the_spike_by_stepping():
    steps = steps_of(adadelta, [*np.ones(3000), 100.0], eps=1e-12)
    np.testing.assert_allclose(steps[-1] / steps[-2], 100 / np.sqrt(500.95), rtol=1e-3)
