"""The judges of the chapter on linear regression: a right answer passes, and each typical mistake is told its name."""

import numpy as np
import pytest

from lib.exercises.linear_regression import check
from lib.experiments.linear_regression import curvatures, keras_data, pytorch_data, tensorflow1_data
from tests.exercises.judging import exercise_tests


def gradient(w, b, x, y):
    residual = w * x + b - y
    return 2 * (residual * x).mean(), 2 * residual.mean()


def scaled(by):
    return lambda w, b, x, y: tuple(by * part for part in gradient(w, b, x, y))


def decay(stays, slope):
    """The factor at which ``stays`` of an error stay, where the first rate times the curvature is ``slope``."""
    total = -np.log(stays) / slope
    return total / (1 + total)


def step(params, gradients, lr):
    return {key: p - lr * gradients[key] for key, p in params.items()}


def step_in_place(params, gradients, lr):
    for key in params:
        params[key] -= lr * gradients[key]
    return params


def step_fills_the_dictionary(params, gradients, lr):
    for key in params:
        params[key] = params[key] - lr * gradients[key]
    return params


def step_of_floats(params, gradients, lr):
    own = {key: p.copy() for key, p in params.items()}
    return step_in_place(own, gradients, lr)


def step_rounds(params, gradients, lr):
    return {key: (p - lr * gradients[key]).astype(p.dtype) for key, p in params.items()}


def step_scales_gradients(params, gradients, lr):
    for g in gradients.values():
        g *= lr
    return {key: p - gradients[key] for key, p in params.items()}


CURVATURE = 8 * (tensorflow1_data()[0] ** 2).mean()
LOWEST, HIGHEST = curvatures(keras_data()[0])

RIGHT = [
    (1, gradient),
    (1, lambda *args: np.array(gradient(*args))),
    (1, lambda *args: [np.full((1, 1), part) for part in gradient(*args)]),
    (2, 2 / HIGHEST),
    (2, round(2 / HIGHEST, 4)),
    (3, 50),
    (4, 19 / 16),
    (5, 0.1),
    (5, np.float64(0.1)),
    (5, 2 / sum(t**-0.5 for t in range(1, 101))),
    (6, 0),
    (6, np.float64(1e-17)),
    (6, np.zeros((1, 1))),
    (7, decay(0.01, 0.01 * CURVATURE)),
    (7, round(decay(0.01, 0.01 * CURVATURE), 4)),
    (8, step),
    (8, lambda params, gradients, lr: step_in_place({k: p.astype(float) for k, p in params.items()}, gradients, lr)),
]

WRONG = [
    (1, 3.0, "function itself"),
    (1, lambda *args: None, "return at its end"),
    (1, lambda *args: 2 * args[2], "not 100"),
    (1, lambda *args: (args[2], args[3]), "not shape (100, 1) and (100, 1). Have you taken the mean over the samples?"),
    (1, lambda *args: args[0], "not shape ()"),
    (1, lambda *args: (*gradient(*args), 0), "not 3"),
    (1, scaled(-1), "wrong sign"),
    (1, scaled(0.5), "factor 2"),
    (1, scaled(100), "gradient of the sum"),
    (1, scaled(50), "half the sum"),
    (1, lambda *args: gradient(*args)[::-1], "w first"),
    (1, lambda *args: (gradient(*args)[1],) * 2, "by its x"),
    (1, lambda w, b, x, y: (2 * (w * x + b - y).mean() * x.mean(), gradient(w, b, x, y)[1]), "product of the means"),
    (1, lambda *args: (gradient(*args)[0], 0.1), "dL/db is off"),
    (1, lambda *args: (0.1, gradient(*args)[1]), "dL/dw is off"),
    (2, 1 / HIGHEST, "can go beyond"),
    (2, 2 / LOWEST, "lambda_min"),
    (2, 2 / (LOWEST + HIGHEST), "best rate"),
    (2, 2 / curvatures(pytorch_data()[0])[-1], "other data set"),
    (2, 4 / HIGHEST, "without its factor 2"),
    (2, HIGHEST, "2 divided by it"),
    (2, 0.123, "largest entry of curvatures"),
    (3, 100, "takes half of it back"),
    (3, 200, "smaller, not larger"),
    (3, 0.02, "divisor"),
    (3, 2, "an n in its denominator"),
    (3, 1, "changes its length"),
    (3, 49, "divide one by the other"),
    (4, 1, "make up for it"),
    (4, 1.375, "on [0, 1)"),
    (4, 1.25, "4/3"),
    (4, 0.1875, "part that the noise adds"),
    (4, 1.75, "lose a 2"),
    (4, 2.375, "slope 2 theta*"),
    (4, 1.5, "E[x] E[u]"),
    (5, 0.02, "Adam's budget"),
    (5, 0.2, "early steps are longer"),
    (5, 0.01, "cover about 0.2"),
    (5, 10, "Upside down"),
    (5, 0.4, "belongs below"),
    (5, 0.09, "Add up rate"),
    (5, 0.112, "Add up rate"),
    (6, 2.057349, "right program"),
    (6, np.full((1, 1), 2.057349), "right program"),
    (6, pytorch_data()[1].mean(), "intercept learns"),
    (6, 0.5, "(100, 100)"),
    (6, None, "(100, 100)"),
    (6, float("nan"), "(100, 100)"),
    (6, [float("nan")], "(100, 100)"),
    (6, "nan", "number or an array was expected"),
    (7, decay(0.99, 0.01 * CURVATURE), "99 %"),
    (7, decay(0.01, 0.005 * CURVATURE), "brings down a 2"),
    (7, decay(0.01, 0.0025 * CURVATURE), "4 x**2"),
    (7, decay(0.01, CURVATURE), "0.01 got lost"),
    (7, decay(0.1, 0.01 * CURVATURE), "10 %"),
    (7, 1, "Without a decay"),
    (7, 0.9, "add up to"),
    (8, 3.0, "function itself"),
    (8, lambda params, gradients, lr: None, "return at its end"),
    (8, step_in_place, "caller's arrays were changed"),
    (8, lambda params, gradients, lr: step_in_place(dict(params), gradients, lr), "copy of the dictionary"),
    (8, step_fills_the_dictionary, "new dictionary"),
    (8, step_of_floats, "whole numbers fails"),
    (8, step_rounds, "rounded to whole numbers"),
    (8, step_scales_gradients, "gradients were changed"),
    (8, lambda params, gradients, lr: step(params, gradients, -lr), "climbs"),
    (8, lambda params, gradients, lr: step(params, gradients, 2 * lr), "- lr * gradients['w']"),
    (8, lambda params, gradients, lr: step(params, gradients, lr)["w"], "keys ['w', 'b']"),
    (8, lambda params, gradients, lr: {k: p.ravel() for k, p in step(params, gradients, lr).items()}, "after the step"),
]


test_right, test_wrong, test_open = exercise_tests(check, RIGHT, WRONG)


def test_exercise_6_is_what_numpy_does(capsys):
    """Gradient descent on the (100, 100) table of residuals, gradients as autodiff would give them."""
    x, y = pytorch_data()
    w = b = 0.0
    for _ in range(200):
        residual = w * x + b - y[:, 0]
        assert residual.shape == (100, 100)
        w, b = w - 0.4 * 2 * (residual * x).mean(), b - 0.4 * 2 * residual.mean()
    assert b == pytest.approx(y.mean(), abs=1e-9)
    check(6, w)
    assert "right." in capsys.readouterr().out


def test_exercise_5_is_what_adagrad_covers():
    """A gradient of constant sign and size, the longest way there is."""
    way = sum(0.1 / np.sqrt(t) for t in range(1, 101))
    assert way == pytest.approx(2, rel=0.08)


def test_exercise_7_is_what_gradient_descent_leaves():
    x, y = tensorflow1_data()
    optimum = (x * (y - 1)).sum() / (2 * (x**2).sum())
    theta, gamma = 0.0, decay(0.01, 0.01 * CURVATURE)
    for t in range(1, 4000):
        theta -= 0.01 * gamma**t * (4 * x * (2 * x * theta + 1 - y)).mean()
    # The exponential replaces a product: log(1 - z) = -z - z**2/2 ..., with z = 0.024 and less.
    assert 1 - theta / optimum == pytest.approx(0.01, rel=0.1)
