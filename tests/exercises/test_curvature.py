"""The judges of the chapter on curvature: the right answer passes, each typical mistake is named."""

import numpy as np
import pytest
from scipy.special import expit

from lib.curvature import hessian_of, newton
from lib.exercises.curvature import FAMILY, MISTAKES, NAMES, check, steps_of, suspects
from lib.landscapes import saddle
from lib.optimizers import shampoo, sophia
from tests.exercises.judging import exercise_tests


def ours(g, H, damping):
    return np.linalg.inv(H + damping * np.eye(len(g))) @ g


CULPRITS = {"A": "SOAP", "B": "Adam", "C": "Shampoo"}

RIGHT = [
    (1, ours),
    (1, newton),
    (2, 5**-0.5),
    (2, 0.4472),
    (3, 56),
    (4, (0.16, 0.64)),
    (5, (0.6, 0.753)),
    (5, (0.6, expit(np.log(0.25) + 2.5))),
    (6, 0.1 * 2**0.5),
    (6, 0.1414),
    (7, CULPRITS),
]

WRONG = [
    (1, 1, "function itself"),
    (1, lambda g, H, damping: ..., "still returns the dots"),
    (1, lambda g, H, damping: None, "returned None"),
    (1, lambda g, H, damping: 1.0, "shape of g"),
    *((1, mistake, hint) for mistake, hint in MISTAKES.items()),
    (1, lambda g, H, damping: newton(g, H, 2 * damping), "not the library's step"),
    (2, 3**-0.5, "curvature is 0"),
    (2, 1, "minimum"),
    (2, 0, "That is the saddle"),
    (2, 0.2, "you have y**2"),
    (2, 0.5, "Solve 2 y**3"),
    (3, 48, "clipped part"),
    (3, 8, "last part"),
    (3, 50, "signs alone"),
    (3, 14, "if no step were clipped"),
    (3, 55, "still above"),
    (3, 100, "Clipped from 1"),
    (4, 0.16, "Two numbers"),
    (4, (0.64, 0.16), "other way round"),
    (4, (0.2, 0.64), "not p"),
    (4, (0.04, 0.64), "that the model draws"),
    (4, (0.5, 0.64), "x x^T"),
    (4, (0.16, 0.16), "not with one drawn"),
    (4, (0.16, 0.04), "The label is 1"),
    (4, (0.16, 0.8), "products of entries"),
    (4, (0.16, 0.5), "its square"),
    (5, 0.6, "Two numbers"),
    (5, (2.7, 0.7), "gradient's step"),
    (5, (0.2 + 0.4 * 0.0256, 0.7), "in it already"),
    (5, (0.5, 0.7), "In p:"),
    (5, (0.6, np.log(0.25) + 2.5), "which p"),
    (5, (0.6, expit(np.log(0.25) + 0.4)), "In z, divide"),
    (5, (0.6, 0.6), "to first order only"),
    (5, (0.6, 0.9), "z = log(0.25)"),
    (6, 0.5, "gradient descent's"),
    (6, 0.1, "Each of the two"),
    (6, 0.2, "Adagrad's"),
    (6, 0.1 * np.hypot(1 / 3, 1 / 4), "fourth roots"),
    (6, 0.1 * 7**0.5, "one on each"),
    (6, 2**0.5, "And the rate?"),
    (6, 0.3, "root of S"),
    (7, "SOAP", "A dict"),
    (7, CULPRITS | {"A": "nonsense"}, "'nonsense' is not on the list"),
    (7, CULPRITS | {"A": "Muon"}, "A is innocent of 'Muon'"),
    (7, {"A": "Adam", "B": "SOAP", "C": "Shampoo"}, "A is innocent"),
]


test_a_right_answer_passes, test_a_mistake_is_named, test_every_exercise_starts_open = exercise_tests(
    check, RIGHT, WRONG
)


@pytest.mark.parametrize("step", MISTAKES, ids=lambda step: step.__name__)
def test_a_mistake_is_one(step):
    A = np.random.default_rng(0).standard_normal((4, 4))
    g, H = np.arange(1.0, 5.0), A @ A.T + np.eye(4)
    assert not np.allclose(step(g, H, 0.5), newton(g, H, 0.5), rtol=1e-3)


def test_to_and_fro_by_stepping():
    gradient = lambda x: np.array(saddle.gradient(*x))
    x = np.array([0.0, 5**-0.5])
    moved = x - newton(gradient(x), hessian_of(gradient, x))
    np.testing.assert_allclose(moved, -x, atol=1e-6)


def test_sophia_by_stepping():
    for curvature in 0.3, 700.0:
        x, m, h, t = np.array([1.0]), np.zeros(1), np.zeros(1), 0
        given = {"lr": 0.02, "gamma": 0.05, "beta1": 0.0, "beta2": 0.0, "weight_decay": 0.0, "update_every": 1}
        while abs(x[0]) >= 0.001:
            t += 1
            x, m, h = sophia(x, curvature * x, np.array([curvature]), m, h, t, **given)
        assert t == 56


def test_the_coin_by_derivatives():
    loss = lambda p: -0.6 * np.log(p) - 0.4 * np.log(1 - p)
    slope = (loss(0.2 + 1e-6) - loss(0.2 - 1e-6)) / 2e-6
    information = 1 / (0.2 * 0.8)
    assert 0.2 - slope / information == pytest.approx(0.6, abs=1e-6)
    in_z = lambda z: loss(expit(z))
    z = np.log(0.25)
    slope = (in_z(z + 1e-6) - in_z(z - 1e-6)) / 2e-6
    assert expit(z - slope / 0.16) == pytest.approx(expit(np.log(0.25) + 2.5), abs=1e-6)


def test_the_first_step_of_shampoo():
    U, V = (np.linalg.qr(np.random.default_rng(seed).standard_normal((2, 2))).Q for seed in (0, 1))
    g = U * [3.0, 4.0] @ V.T
    x, *_ = shampoo(np.zeros((2, 2)), g, np.zeros((2, 2)), np.zeros((2, 2)), lr=0.1, eps=1e-20)
    assert np.linalg.norm(x) == pytest.approx(0.1 * 2**0.5)


def test_experiments_tell_everybody_apart():
    rng = np.random.default_rng(0)
    g = rng.standard_normal((2, 2))
    experiments = [[g], [2 * g], [g] * 9]
    prints = {
        name: np.concatenate([steps_of(rule, e).ravel() for e in experiments]).round(4) for name, rule in FAMILY.items()
    }
    assert len({tuple(p) for p in prints.values()}) == len(FAMILY) == len(NAMES)
    for suspect, name in CULPRITS.items():
        found = np.concatenate([suspects[suspect](e).ravel() for e in experiments]).round(4)
        assert (found == prints[name]).all()


def test_steps_are_differences_of_positions():
    gradients = np.random.default_rng(0).standard_normal((3, 2, 2))
    x, L, R, positions = np.zeros((2, 2)), np.zeros((2, 2)), np.zeros((2, 2)), [np.zeros((2, 2))]
    for g in gradients:
        x, L, R = shampoo(x, g, L, R, lr=1.0, eps=1e-20)
        positions.append(x)
    np.testing.assert_allclose(steps_of(shampoo, gradients), -np.diff(positions, axis=0), rtol=1e-9)
