"""The exercises of the chapter on linear regression."""

import math

import numpy as np

from lib.exercises import Exercises, Wrong, mistaken, near, result_of
from lib.experiments.linear_regression import curvatures, keras_data, pytorch_data, tensorflow1_data

check = Exercises()

PYTORCH, KERAS = pytorch_data(), keras_data()


@check.exercise(1)
def gradient(answer):
    """Function (w, b, x, y) -> (dL/dw, dL/db) of the mean squared error; w and b numbers, x and y arrays (n, 1)."""
    x, y = pytorch_data(7)
    w, b = 0.3, -0.4
    given = result_of(answer, w, b, x.copy(), y.copy())
    try:
        given = np.array([float(np.asarray(part).squeeze()) for part in given])
    except (TypeError, ValueError):
        parts = given if isinstance(given, tuple | list) else [given]
        shapes = " and ".join(str(np.shape(part)) for part in parts)
        raise Wrong(
            f"Two numbers are expected, (dL/dw, dL/db), not shape {shapes}. Have you taken the mean over the samples?"
        ) from None
    residual = w * x + b - y
    expected = np.array([2 * (residual * x).mean(), 2 * residual.mean()])
    if given.shape != (2,):
        raise Wrong(f"Two numbers are expected, (dL/dw, dL/db), not {len(given)}.")
    mistaken(given, -expected, "Both have the wrong sign: the residual is the prediction minus y.")
    mistaken(given, expected / 2, "Both are half of what they should be: the square brings down a factor 2.")
    mistaken(given, expected * len(x), "That is the gradient of the sum; the loss is the mean over the samples.")
    mistaken(given, expected * len(x) / 2, "That is the gradient of half the sum; the loss is the mean.")
    mistaken(given, expected[::-1], "The two are in the wrong order: w first.")
    mistaken(given, expected[[1, 1]], "Your dL/dw is dL/db: inside the mean, multiply each residual by its x.")
    mistaken(given, [2 * residual.mean() * x.mean(), expected[1]], "dL/db is right. In dL/dw take the mean of the "
             "products residual * x, not the product of the means.")  # fmt: skip
    wrong = [name for name, bad in zip(("dL/dw", "dL/db"), ~np.isclose(given, expected), strict=True) if bad]
    near(given, expected, hint=f"{' and '.join(wrong)} is off. Write L as a mean and differentiate one term of it.")
    return "Two lines, and every optimizer of this chapter can run on them."


@check.exercise(2)
def largest_rate(answer):
    """The rate at which gradient descent stops converging on `keras_data`."""
    lowest, highest = curvatures(KERAS[0])
    mistaken(answer, 1 / highest, "1 / lambda_max settles the steepest direction at once. You can go beyond.")
    mistaken(answer, 2 / lowest, "2 / lambda_min is right for the flattest direction, too large for the steepest.")
    mistaken(answer, 2 / (lowest + highest), "That is the best rate. The question is how far you can go.")
    mistaken(answer, 2 / curvatures(PYTORCH[0])[-1], "That is for the other data set. The curvature depends on x "
             "alone, but it does depend on x: use keras_data().")  # fmt: skip
    mistaken(answer, 4 / highest, "That is for half squares, which leave the Hessian without its factor 2.")
    mistaken(answer, highest, "That is the largest curvature. The limit on the rate is 2 divided by it.")
    near(answer, 2 / highest, 1e-3, "2 divided by the largest entry of curvatures(x), with x of keras_data().")
    return "You needed x for it, and neither y nor a single training run."


@check.exercise(3)
def sum_or_mean(answer):
    """What to divide the rate by when the loss changes from the mean of squares to half their sum; n = 100."""
    mistaken(answer, 100, "From mean to sum is a factor n = 100, but the 1/2 takes half of it back.")
    mistaken(answer, 200, "The 1/2 makes the gradient smaller, not larger.")
    mistaken(answer, 0.02, "That is what the rate is multiplied by. The question asks for the divisor.")
    mistaken(answer, 2, "The 1/2 is not the only change: the mean has an n in its denominator.")
    mistaken(answer, 1, "The minimum stays where it is, but the gradient that leads there changes its length.")
    near(answer, 50, hint="Write both gradients and divide one by the other.")
    return "The gradient is n/2 = 50 times longer, so the same path needs a rate 50 times smaller."


@check.exercise(4)
def missing_intercept(answer):
    """theta* of the model 2 x theta + 1 on y = 2 x + 1 + u, x uniform on [0, 2), u uniform on [0, 1), as n grows."""
    mistaken(answer, 1, "Right for noise of mean 0. Here it has mean 1/2, and theta has to make up for it.")
    mistaken(answer, 1.375, "That is for x on [0, 1): both means change with the range. (Or a factor 2 got lost.)")
    mistaken(answer, 1.25, "The mean of x**2 is not the square of the mean of x: for x uniform on [0, 2) it is 4/3.")
    mistaken(answer, 0.1875, "That is the part that the noise adds. Without noise theta* would be 1.")
    mistaken(answer, 1.75, "The terms of the denominator are (2 x)**2, those of the numerator 2 x u: do not lose a 2.")
    mistaken(answer, 2.375, "That is the slope 2 theta*. The question asks for theta*.")
    near(answer, 1.1875, 1e-3, "theta* - 1 = E[x] E[u] / (2 E[x**2]).")
    return "The farther the points are from zero, the less a missing intercept costs the slope."


@check.exercise(5)
def adagrad_budget(answer):
    """The rate at which Adagrad's steps, lr / sqrt(t), add up to about 2 in 100 steps."""
    mistaken(answer, 0.02, "That is Adam's budget, rate times steps. Adagrad's steps shrink, as 1/sqrt(t).")
    mistaken(answer, 0.2, "The sum of 1/sqrt(t) is about 2 sqrt(T), not sqrt(T): the early steps are longer.")
    mistaken(answer, 0.01, "There a hundred steps cover about 0.2, as the chapter reckons.")
    mistaken(answer, 10, "Upside down: the rate is the distance divided by 2 sqrt(T).")
    mistaken(answer, 0.4, "The 2 of the sum belongs below: the distance divided by 2 sqrt(T).")
    near(answer, 0.1, 0.008, "Add up rate / sqrt(t) over 100 steps, about 2 * rate * sqrt(100).")
    return "And it is not enough: near the optimum the steps shrink further. A budget rules rates out, never in."


@check.exercise(6)
def flat_targets(answer):
    """The slope learned where y of shape (100,) meets predictions of shape (100, 1); the data of `pytorch_data`."""
    x, y = PYTORCH
    slope = np.linalg.lstsq(np.column_stack([x, np.ones(100)]), y)[0][0, 0]
    answer = np.squeeze(answer)  # as a training loop leaves it: (1, 1), (1,) or a number
    mistaken(answer, slope, "That is the slope of the right program. What is the shape of (100, 1) minus (100,)?")
    mistaken(answer, y.mean(), "That is what the intercept learns. And the slope?")
    near(answer, 0, 0.01, "The residuals form a (100, 100) table: each x meets every y. Which slope fits it best?")
    return "Every x is paired with every y, so x tells nothing about y. The loss falls, stops, and looks like noise."


@check.exercise(7)
def lasting_decay(answer):
    """gamma at which 1 % of the error stays under gradient descent at rate 0.01 gamma^t, on `tensorflow1_data`."""
    curvature = 8 * (tensorflow1_data()[0] ** 2).mean()

    def gamma(stays, slope):
        total = -math.log(stays) / slope  # gamma / (1 - gamma)
        return total / (1 + total)

    slope = 0.01 * curvature
    mistaken(answer, gamma(0.99, slope), "There 99 % of the error stays; 1 % of it should.", 1e-4)
    mistaken(answer, gamma(0.01, slope / 2), "That is for half the curvature: the square brings down a 2.", 1e-4)
    mistaken(answer, gamma(0.01, slope / 4), "The input is 2x: its square is 4 x**2.", 1e-4)
    mistaken(answer, gamma(0.01, curvature), "That is for a rate of gamma^t: a factor 0.01 got lost.", 1e-4)
    mistaken(answer, gamma(0.1, slope), "There 10 % of the error stays; the logarithm is that of 0.01.", 1e-4)
    mistaken(answer, 1, "Without a decay nothing stays. How much decay leaves 1 %?", 1e-4)
    hint = "The rates add up to 0.01 gamma / (1 - gamma); that sum times the curvature is the logarithm of 100."
    near(answer, gamma(0.01, slope), 1e-4, hint)
    return "A decay must suit the length of the way: at 0.9 four fifths of the error stay, here a hundredth."


@check.exercise(8)
def step(answer):
    """Function (params, gradients, lr) -> params after a step of gradient descent, which leaves its arguments alone."""
    gradients = {"w": np.array([[0.5]]), "b": np.array([-3.0])}
    given = {key: g.copy() for key, g in gradients.items()}
    for start in {"w": np.array([[2.0]]), "b": np.array([1.0])}, {"w": np.array([[2]]), "b": np.array([1])}:
        params, whole = dict(start), start["w"].dtype.kind == "i"
        arrays = {key: p.copy() for key, p in start.items()}
        try:
            result = result_of(answer, params, given, 0.1)
        except TypeError as error:
            if whole:
                raise Wrong(
                    "A start of whole numbers fails: -= cannot write fractions into an array of integers."
                ) from error
            raise
        if any(params[key] is not p for key, p in start.items()):
            raise Wrong("You put new arrays into the caller's dictionary; return a new dictionary.")
        if any(not np.array_equal(start[key], p) for key, p in arrays.items()):
            raise Wrong(
                "The caller's arrays were changed. A copy of the dictionary holds the same arrays, and -= writes into "
                "them; p - lr * g makes a new one."
            )
        if any(not np.array_equal(given[key], g) for key, g in gradients.items()):
            raise Wrong("The caller's gradients were changed.")
        if not isinstance(result, dict) or result.keys() != start.keys():
            raise Wrong(f"Return a dictionary with the keys {list(start)}.")
        for key, p in arrays.items():
            new, right = np.asarray(result[key], dtype=float), p - 0.1 * gradients[key]
            if new.shape != right.shape:
                raise Wrong(f"params[{key!r}] has shape {p.shape}, and {new.shape} after the step.")
            if np.allclose(new, p + 0.1 * gradients[key]):
                raise Wrong("It climbs: step against the gradient.")
            if whole and np.array_equal(new, np.trunc(right)):
                raise Wrong("From whole numbers the step is rounded to whole numbers: convert to float, not back.")
            near(new, right, 1e-12, f"params[{key!r}] should be params[{key!r}] - lr * gradients[{key!r}].")
    return "Two runs from this start begin at the same place."
