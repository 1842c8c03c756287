"""The exercises of the chapter on gradient descent."""

import math

import numpy as np

from lib.exercises import Exercises, Wrong, mistaken, near, result_of, several
from lib.landscapes import quadratic, saddle
from lib.optimizers import gradient_descent

check = Exercises()

# Exercises 2 and 4: the curvatures of f(x, y) = (5 x**2 + 4 x y + 2 y**2) / 2.
SMALLEST, LARGEST = np.linalg.eigvalsh([[5, 2], [2, 2]])


@check.exercise(1)
def one_step(answer):
    """The point (array of 2) after one step of rate 0.1 from (1, -1) on f(x, y) = x**2 + x y + 2 y**2."""
    start, g, lr = np.array([1.0, -1.0]), np.array([1.0, -3.0]), 0.1
    mistaken(answer, start + lr * g, "You climbed: the step goes against the gradient, so subtract.")
    mistaken(answer, g, "That is the gradient itself. Multiply it by the rate and subtract it from the point.")
    mistaken(answer, -lr * g, "That is the step alone. Add it to the point you started from.")
    mistaken(answer, start - g, "You subtracted the whole gradient; the rate is 0.1.")
    mistaken(answer, start - lr * np.array([2, -4]), "The term xy has slopes, too: y along x, and x along y.")
    mistaken(answer, start - lr * g / math.sqrt(10), "Leave the gradient as long as it is: its length counts.")
    near(answer, start - lr * g, hint="Take both partial derivatives at (1, -1), multiply by 0.1, subtract.")
    return "The gradient there is (1, -3), so you move by (-0.1, +0.3)."


@check.exercise(2)
def largest_rate(answer):
    """The rate above which gradient descent diverges on the quadratic with curvatures `SMALLEST` and `LARGEST`."""
    mistaken(answer, 1 / LARGEST, "That is 1/lambda_max (or a factor 1/2 was lost): you can go twice as far.")
    mistaken(answer, 2 / SMALLEST, "That is 2/lambda_min. The steepest direction sets the limit, not the flattest.")
    mistaken(answer, 1 / SMALLEST, "That is 1/lambda_min. The steepest direction sets the limit, not the flattest.")
    mistaken(answer, 2 / (SMALLEST + LARGEST), "That is the best rate. How far can you go before the walk grows?")
    mistaken(answer, 2 / 5, "5 is an entry of the matrix, not a curvature: the term xy turns the steepest direction "
             "away from the axes. Take the largest eigenvalue.")  # fmt: skip
    mistaken(answer, LARGEST, "That is the largest curvature; the limit is 2 divided by it.")
    mistaken(answer, 0.33, "Give three decimals.", 1e-9)
    near(answer, 2 / LARGEST, 1e-3, "Find the eigenvalues: their sum is 5 + 2, their product 5*2 - 2*2.")
    return "The curvatures are 1 and 6. At 2/6, each step along the steepest direction lands as far on the other side."


@check.exercise(3)
def descend(answer):
    """A function (gradient, x, lr, steps) -> array (steps + 1, n): the start, then the point after each step."""
    # The second problem differs in everything, so that no number of the first one can be written into the function.
    for gradient, start, lr, steps in [
        (lambda point: np.array(saddle.gradient(*point)), np.array([1.0, 0.5]), 0.1, 20),
        (lambda point: np.array([1.0, 2.0, 3.0]) * point, np.array([2.0, -1.0, 0.5]), 0.05, 7),
    ]:
        expected = [start]
        for _ in range(steps):
            expected.append(gradient_descent(expected[-1], gradient(expected[-1]), lr=lr))
        given = start.copy()
        path = result_of(answer, gradient, given, lr, steps)
        if not np.array_equal(given, start):
            raise Wrong("The caller's array has changed: `x -= ...` writes into it, `x = x - ...` makes a new one.")
        _judge_path(path, np.stack(expected))
    return "It walks exactly as the library's rule does."


def _judge_path(path, expected):
    """Raise `Wrong` unless ``path`` is ``expected``, an array (steps + 1, n)."""
    steps = len(expected) - 1
    path = np.asarray(path, dtype=float)
    if path.ndim == 0:
        raise Wrong(f"One number came back; the path is an array of shape (steps + 1, n) = {expected.shape}.")
    if path.shape == expected[0].shape:
        raise Wrong("Only one point came back. Keep every point, and return them as one array.")
    if len(path) in (steps, steps + 2):
        raise Wrong(f"{steps} steps visit {steps + 1} points, the start among them; yours has {len(path)}.")
    if path.shape != expected.shape:
        raise Wrong(f"The path has shape {path.shape}, expected (steps + 1, n) = {expected.shape}.")
    if (path == path[0]).all():
        raise Wrong("All points are the same: the walk stands still, or one array was stored many times.")
    if np.allclose(path[1] - path[0], expected[0] - expected[1]):
        raise Wrong("The first step goes uphill: subtract the gradient.")
    if np.allclose(np.diff(path, axis=0), path[1] - path[0]):
        raise Wrong("Every step is the same as the first: take the gradient anew at each point.")
    first = int(np.argmax(~np.isclose(path, expected).all(axis=1)))
    near(path, expected, hint=f"Point {first} of the path is the first to differ from x - lr * gradient(x).")


@check.exercise(4)
def best_rate(answer):
    """(the best constant rate, its factor a step) on the quadratic of exercise 2."""
    rate, factor = several(answer, "(rate, factor)")
    mistaken(rate, 1 / LARGEST, "1/lambda_max leaves the flattest direction slower than it need be: go further.")
    mistaken(rate, 2 / LARGEST, "At 2/lambda_max the walk no longer converges.")
    mistaken(rate, 1 / (SMALLEST + LARGEST), "A factor 2 is missing from the rate.")
    mistaken(rate, 0.29, "Give the rate to three decimals.", 1e-9)
    near(rate, 2 / (SMALLEST + LARGEST), 1e-3, "Rate: solve 1 - rate * lambda_min = -(1 - rate * lambda_max).")
    best = (LARGEST - SMALLEST) / (LARGEST + SMALLEST)
    mistaken(factor, 1 - SMALLEST / LARGEST, "The rate is right, but this factor belongs to the rate 1/lambda_max.")
    mistaken(factor, -best, "The rate is right. The factor is a size: take the absolute value.")
    mistaken(factor, 1 - best, "The rate is right. This is what a step removes; the factor is what it leaves.")
    mistaken(factor, 0.71, "The rate is right. Give the factor to three decimals, too.", 1e-9)
    near(factor, best, 1e-3, "The rate is right. Factor: |1 - rate * lambda|, the same for both curvatures.")
    return "Both directions now shrink alike, by 5/7 a step."


@check.exercise(5)
def steps_needed(answer):
    """The fewest steps that surely shrink the error a million times at the best constant rate, condition number 100."""
    exact = math.log(1e-6) / math.log(99 / 101)
    steps = math.ceil(exact)
    mistaken(answer, exact, "Steps are whole: round up.", 1e-4)
    mistaken(answer, steps - 1, f"After {steps - 1} steps the error is still above a millionth: round up.", 1e-4)
    mistaken(answer, math.ceil(math.log(1e-6) / math.log(0.99)), "That is for the rate 1/lambda_max, not the best.")
    mistaken(
        answer, math.ceil(exact / 2), "By then the loss has fallen a million times, the error a thousand times.", 3e-3
    )
    mistaken(answer, math.ceil(exact / math.log(10)), "One logarithm is to base 10, the other natural.", 5e-3)
    near(answer, steps, 0, "Find the least number: solve (99/101)**t = 1e-6 for t, and round up.")
    return "That is about kappa/2 steps for each factor e, nearly 7 kappa in all."


@check.exercise(6)
def slope_gradient(answer):
    """A function (w, x, y) -> derivative of mean((y - w x)**2) / 2 with respect to w (float)."""
    x = np.random.default_rng(0).standard_normal(30)
    y, h = 2 * x + 0.5, 1e-5

    def loss(w):
        return np.mean((y - w * x) ** 2) / 2

    for w in (0.7, 3.0):  # on either side of the minimum, where the derivative has either sign
        true, given = (loss(w + h) - loss(w - h)) / (2 * h), result_of(answer, w, x, y)
        mistaken(given, -true, f"At w = {w:g} it points uphill: compare its sign with the central difference.")
        mistaken(given, 2 * true, "Twice too large: the 1/2 in the loss cancels the 2 of the square.")
        mistaken(given, len(x) * true, "That is the sum over the data; the loss is their mean.")
        if np.ndim(given) > 0:
            raise Wrong(
                f"One number is asked for, the mean over the data; an array of shape {np.shape(given)} came back."
            )
        near(given, true, 1e-6,
             f"On test data at w = {w:g} it gives {float(given):.6g}, the central difference {true:.6g}.")  # fmt: skip
    return "It agrees with the central difference."


@check.exercise(7)
def two_rates(answer):
    """Two rates that, used one after the other, reach the minimum of the quadratic with curvatures 1 and 100."""
    several(answer, "(first rate, second rate)")
    landscape = quadratic(100)
    point = np.array(landscape.start)
    for lr in answer:
        point = gradient_descent(point, np.array(landscape.gradient(*point)), lr=float(lr))
    if np.allclose(point, 0, atol=1e-9):
        return "Each rate is 1 over one curvature, so each step settles one direction for good."
    if max(answer) <= 2 / 100:
        raise Wrong("Both rates respect 2/lambda_max. That limit is for a rate used for ever; one step may exceed it.")
    left = " and ".join(axis for axis, distance in zip("xy", abs(point), strict=True) if distance > 1e-9)
    raise Wrong(f"Not yet at 0: {left}. For which rate is 1 - rate * lambda zero in that direction?")


@check.exercise(8)
def slope_of_a_loss(answer):
    """The derivative, by the score, of the cross-entropy of an example of class 0 whose score is 2."""
    right = 1 / (1 + math.exp(-2))
    mistaken(answer, right - 1, "That is the slope for an example of class 1.")
    mistaken(answer, -right, "The size is right. The score is too high, so the loss must rise with it.")
    mistaken(answer, math.log(1 + math.exp(2)), "That is the cross-entropy itself.")
    mistaken(answer, right * (1 - right), "That is the slope of the probability. Divide by the probability of class 0.")
    mistaken(answer, 2 * right**2 * (1 - right), "That is the slope of the squared error.")
    mistaken(answer, 0.88, "Give three digits.", 1e-9)
    near(answer, right, 1e-3, "The right class has the probability 1 - p; differentiate -ln(1 - p) by s.")
    return "Prediction minus target again: p - 0."
