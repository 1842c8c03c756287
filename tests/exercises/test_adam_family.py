"""The judges of the chapter on Adam's family: the right answer passes, each typical mistake is named."""

import numpy as np
import pytest

from lib.exercises.adam_family import FAMILY, MISTAKES, NAMES, check, steps_of, suspects
from lib.experiments.adam_family import drift, first_lost, longest_of_adamax, play_linear, spiked
from lib.optimizers import adam, adamax, adamw, l2, radam
from tests.exercises.judging import exercise_tests


def ours(x, g, m, v, t, *, lr, beta1, beta2, eps, weight_decay):
    m = m + (1 - beta1) * (g - m)
    v = v + (1 - beta2) * (g * g - v)
    step = m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + eps)
    return (1 - lr * weight_decay) * x - lr * step, m, v


def rooted(x, g, m, v, t, *, lr, beta1, beta2, eps, weight_decay):
    m = m + (1 - beta1) * (g - m)
    v = v + (1 - beta2) * (g * g - v)
    step = m / (1 - beta1**t) / np.sqrt(v / (1 - beta2**t) + eps)
    return (1 - lr * weight_decay) * x - lr * step, m, v


def in_place(x, g, m, v, t, **given):
    m *= 0.9
    return adamw(x, g, m, v, t, **given)


NAMED = {"A": "RAdam", "B": "Adamax", "C": "AMSGrad"}
FAILS = first_lost(0.9, 0.95)

RIGHT = [
    (1, (1.9, 1.88)),
    (1, [np.float64(1.9), 1.88]),
    (2, ours),
    (2, adamw),
    (3, (50 * np.log(2) / 1e-4, np.log(2) / 1e-4)),
    (3, (346_574, 6931)),
    (3, (350_000, 7000)),
    (4, (6 / 2.1, 0.5)),
    (4, (2.857, 0.5)),
    (4, (2.86, 0.4995)),
    (5, FAILS),
    (6, 0.999 ** np.arange(300)),
    (6, list(-(0.999 ** np.arange(2000)))),
    (7, 0.6),
    (8, NAMED),
]

WRONG = [
    (1, 1.9, "Two numbers"),
    (1, (1.93, 1.88), "gradient descent"),
    (1, (1.88, 1.88), "divides by that"),
    (1, (1.8, 1.88), "its sign times the rate"),
    (1, (1.9, 1.9), "x shrinks as well"),
    (1, (1.9, 1.7), "multiplied by the rate"),
    (1, (1.9, 1.89), "which is 2"),
    (1, (1.9, 2.08), "uphill"),
    (1, (1.9, 1.5), "one rate for the gradient's sign"),
    (2, 1, "function itself"),
    (2, lambda *a, **k: ..., "still returns the dots"),
    (2, lambda x, *a, **k: x, "return x, m, v"),
    (2, in_place, "changes its argument m"),
    (2, rooted, "eps stands under the root"),
    *((2, mistake, hint) for mistake, hint in MISTAKES.items()),
    (2, lambda x, g, m, v, t, **k: adamw(x, g, m, v, t + (t > 3), **k), "at step 4 of 50"),
    (3, 1, "Two numbers"),
    (3, (346_574, 10_000), "until a half is left"),
    (3, (346_574, 5000), "powers of"),
    (3, (346_574, 6.931), "by the rate"),
    (3, (346_574, 1), "leaves a share 1 - 0.001 * 0.1."),
    (3, (6931, 6931), "divided by the size of the gradients"),
    (3, (138.6, 6931), "makes it slower"),
    (3, (17_328_680, 6931), "not by v"),
    (3, (1, 6931), "0.1 / 50"),
    (3, (360_000, 6931), "0.1 / 50"),
    (3, (346_574, 7100), "leaves a share 1 - 0.001 * 0.1."),
    (4, 0.5, "Two numbers"),
    (4, (0.5, 0.5), "does not matter"),
    (4, (3, 0.5), "moves the minimum"),
    (4, (1, 0.5), "2 (x - 3) + 0.1 x = 0"),
    (4, (6 / 2.1, 6 / 2.1), "and not the decay"),
    (4, (6 / 2.1, 6 / 1002), "root of the mean square"),
    (4, (6 / 2.1, 6 / 2.001), "not the decay"),
    (4, (6 / 2.1, 1), "/ 100 + 0.1 x = 0"),
    (5, first_lost(0.0, 0.95), "without momentum"),
    (5, first_lost(0.9, 0.999), "beta2 = 0.999"),
    (5, 9, "rule of thumb"),
    (5, FAILS - 1, "still positive"),
    (5, 5, "Count C up"),
    (6, 1.0, "20,000 numbers"),
    (6, [0.0, 1.0], "the first of them not 0"),
    (6, np.ones(10), "A constant gradient gives 1"),
    (6, 0.99 ** np.arange(300), "A constant gradient gives 1"),
    (6, 0.999 ** np.arange(60), "as fast as u does, and for longer"),
    (7, 2 / 3, "the paper's is 4"),
    (7, 0.5, "rho_inf is 3"),
    (7, 0.8, "gives 1 - beta2 = 0.4"),
    (7, 0.9, "When is that 4"),
    (8, "Adam", "A dict"),
    (8, NAMED | {"A": "Lion"}, "'Lion' is not on the list"),
    (8, NAMED | {"B": "Adam"}, "B is innocent of 'Adam'"),
    (8, NAMED | {"C": "Nadam"}, "C is innocent of 'Nadam'"),
]

test_right, test_wrong, test_open = exercise_tests(check, RIGHT, WRONG)


# The answers, found another way


def test_one_step_by_stepping():
    x, zero = np.array([2.0]), np.zeros(1)
    given = {"lr": 0.1, "eps": 0.0, "weight_decay": 0.1}
    for rule, expected in ((l2(adam), 1.9), (adamw, 1.88)):
        new, *_ = rule(x, np.array([0.5]), zero, zero, 1, **rule.defaults | given)
        assert new[0] == pytest.approx(expected, abs=1e-12)


def test_where_a_short_window_fails_by_playing():
    """The sign of the drift, over whole cycles late in a game at a rate that is nearly constant."""
    for C, sign in ((FAILS - 1, -1), (FAILS, 1)):
        slopes = np.tile(spiked(C, C), 400)
        path = play_linear(adam, slopes, [1e-4], beta2=0.95, eps=0.0)[:, 0]
        assert np.sign(path[-1] - path[200 * C]) == sign, (C, drift(C, 0.9, 0.95))


def test_the_longest_step_of_adamax():
    rng = np.random.default_rng(0)
    histories = np.concatenate([rng.standard_normal((500, 300)), np.cumsum(rng.standard_normal((500, 300)), axis=0)], 1)
    assert abs(steps_of(adamax, histories)).max() < longest_of_adamax()


@pytest.mark.parametrize("beta2", [0.6, 0.59])
def test_radam_does_not_divide(beta2):
    small, large = (steps_of(radam, size * np.ones(200), beta2=beta2) for size in (1.0, 100.0))
    np.testing.assert_allclose(large, 100 * small, rtol=1e-12)


def test_radam_divides():
    small, large = (steps_of(radam, size * np.ones(200), beta2=0.61) for size in (1.0, 100.0))
    assert large[-1] == pytest.approx(small[-1])


def test_experiments_tell_the_family_apart():
    gradients = [[100.0], [100.0, 1.0], np.ones(8)]
    prints = {name: np.concatenate([steps_of(rule, g) for g in gradients]).round(6) for name, rule in FAMILY.items()}
    assert len({tuple(p) for p in prints.values()}) == len(FAMILY) == len(NAMES)
    for suspect, name in NAMED.items():
        found = np.concatenate([suspects[suspect](g) for g in gradients]).round(6)
        np.testing.assert_array_equal(found, prints[name])
