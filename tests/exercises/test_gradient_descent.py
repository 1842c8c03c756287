"""The judges of the chapter on gradient descent: the right answer passes, each typical mistake is named."""

import numpy as np

from lib.exercises.gradient_descent import check
from tests.exercises.judging import exercise_tests


def verdict(capsys, number, answer) -> str:
    check(number, answer)
    return capsys.readouterr().out.strip()


def path_of(gradient, x, lr, steps, sign=-1):
    path = [x]
    for _ in range(steps):
        path.append(path[-1] + sign * lr * gradient(path[-1]))
    return np.array(path)


def in_place(gradient, x, lr, steps):
    path = [x.copy()]
    for _ in range(steps):
        x -= lr * gradient(x)
        path.append(x.copy())
    return np.array(path)


def stored_many_times(gradient, x, lr, steps):
    x, path = x.copy(), []
    for _ in range(steps + 1):
        path.append(x)
        x -= lr * gradient(x)
    return np.array(path)


def half_rate_later(gradient, x, lr, steps):
    path = path_of(gradient, x, lr, steps)
    return np.vstack([path[:3], path_of(gradient, path[2], lr / 2, steps - 2)[1:]])


RIGHT = [
    (1, (0.9, -0.7)),
    (1, np.array([0.9, -0.7])),
    (2, 1 / 3),
    (2, 0.3333),
    (3, path_of),
    (3, lambda *args: path_of(*args).tolist()),
    (4, (2 / 7, 5 / 7)),
    (4, [0.2857, 0.7143]),
    (5, 691),
    (5, np.int64(691)),
    (6, lambda w, x, y: np.mean((w * x - y) * x)),
    (7, (1, 0.01)),
    (7, (0.01, 1)),
    (8, 0.8808),
    (8, 0.881),
]

WRONG = [
    (1, (1.1, -1.3), "climbed"),
    (1, (1, -3), "gradient itself"),
    (1, (-0.1, 0.3), "step alone"),
    (1, (0, 2), "rate is 0.1"),
    (1, (0.8, -0.6), "xy"),
    (1, (1 - 0.1 / 10**0.5, -1 + 0.3 / 10**0.5), "length counts"),
    (1, (0, 0), "partial derivatives"),
    (1, 0.9, "partial derivatives"),
    (2, 1 / 6, "twice as far"),
    (2, 2, "2/lambda_min"),
    (2, 1, "1/lambda_min"),
    (2, 2 / 7, "best rate"),
    (2, 0.4, "entry of the matrix"),
    (2, 6, "2 divided by it"),
    (2, 0.34, "their product"),
    (2, 0.33, "three decimals"),
    (2, "a third", "A number"),
    (3, 5, "function itself"),
    (3, lambda gradient, x, lr, steps: None, "returned None"),
    (3, in_place, "caller's array"),
    (3, lambda *args: path_of(*args)[-1], "Only one point"),
    (3, lambda *args: path_of(*args)[1:], "21 points"),
    (3, lambda *args: path_of(*args).T, "shape (2, 21)"),
    (3, stored_many_times, "stored many times"),
    (3, lambda *args: path_of(*args, sign=1), "uphill"),
    (3, lambda gradient, x, lr, steps: path_of(lambda _: gradient(x), x, lr, steps), "anew at each point"),
    (3, half_rate_later, "Point 3"),
    (3, lambda *args: path_of(*args)[-1, 0], "One number"),
    (3, lambda gradient, x, lr, steps: path_of(gradient, x, 0.1, steps), "Point 1 "),
    (3, lambda gradient, x, lr, steps: path_of(gradient, x, lr, 20), "shape (21, 3)"),
    (4, 2 / 7, "Two numbers"),
    (4, (1 / 6, 5 / 6), "go further"),
    (4, (1 / 3, 1), "no longer converges"),
    (4, (1 / 7, 6 / 7), "factor 2"),
    (4, (0.3, 0.8), "lambda_max)"),
    (4, (2 / 7, 5 / 6), "belongs to the rate"),
    (4, (2 / 7, -5 / 7), "absolute value"),
    (4, (2 / 7, 2 / 7), "what it leaves"),
    (4, (0.29, 0.71), "rate to three decimals"),
    (4, (0.286, 0.71), "factor to three decimals"),
    (4, (2 / 7, 0.5), "same for both"),
    (5, 690, "round up"),
    (5, np.log(1e-6) / np.log(99 / 101), "whole"),
    (5, 1375, "1/lambda_max"),
    (5, 346, "the error a thousand"),
    (5, 345, "the error a thousand"),
    (5, 300, "base 10"),
    (5, 692, "least number"),
    (6, 2, "function itself"),
    (6, lambda w, x, y: np.mean((y - w * x) * x), "uphill"),
    (6, lambda w, x, y: 2 * np.mean((w * x - y) * x), "Twice"),
    (6, lambda w, x, y: np.sum((w * x - y) * x), "mean"),
    (6, lambda w, x, y: np.mean(w * x - y), "it gives -"),
    (6, lambda w, x, y: -abs(np.mean((w * x - y) * x)), "At w = 3 it points uphill"),
    (6, lambda w, x, y: (w * x - y) * x, "shape (30,)"),
    (6, lambda w, x, y: None, "returned None"),
    (7, 0.02, "Two numbers"),
    (7, (0.0198, 0.0198), "may exceed it"),
    (7, (1, 1), "at 0: y."),
    (7, (0.01, 0.03), "at 0: x."),
    (7, (0.5, 0.03), "at 0: x and y."),
    (8, -0.1192, "class 1"),
    (8, -0.8808, "too high"),
    (8, 2.1269, "cross-entropy itself"),
    (8, 0.105, "slope of the probability"),
    (8, 0.185, "squared error"),
    (8, 0.88, "three digits"),
    (8, 0.5, "differentiate"),
]


test_a_right_answer_passes, test_a_mistake_is_named, test_every_exercise_starts_open = exercise_tests(
    check, RIGHT, WRONG
)


def test_an_array_made_for_two_coordinates_fails_on_three(capsys):
    def only_two(gradient, x, lr, steps):
        path = np.zeros((21, 2))
        path[:] = path_of(gradient, x, lr, 20)
        return path

    assert "not yet" not in verdict(capsys, 3, path_of)
    assert "raised ValueError" in verdict(capsys, 3, only_two)


def test_an_answer_that_raises_is_reported(capsys):
    assert "raised TypeError" in verdict(capsys, 3, lambda x: x)
