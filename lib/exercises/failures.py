"""The exercises of the failure gallery: runs and losses with a fault in them, to be named, and a loop to be mended.

`FLAT`, `PERIODIC` and `LOSSES` are what the reader examines.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from lib.exercises import Exercises, Wrong, convict, mistaken, near, result_of, several
from lib.experiments.failures import fit, in_order
from lib.experiments.generalization import few_digits
from lib.networks import cross_entropy, dense_layers, forward, glorot, he, relu, sigmoid
from lib.optimizers import Optimizer, gradient_descent
from lib.schedules import cosine_restarts
from lib.stochastic_gradients import batches

check = Exercises()


class Trained(NamedTuple):
    """A run: its loss, a function (params, x, y), and the parameters before and after."""

    loss: Callable
    start: dict
    params: dict


def _loss(activation, normalize=None):
    return lambda params, x, y: cross_entropy(forward(params, x, activation, normalize=normalize)[-1], y)


def _trained(activation, start, lr, steps=60):
    run = fit(_loss(activation), start, Optimizer(gradient_descent, lr=lr), few_digits(500, 1, seed=1)[:2], steps=steps)
    return Trained(_loss(activation), start, run.params)


FLAT = {
    "A": _trained(sigmoid, dense_layers([64, 32, 32, 32, 32, 32, 10], glorot, seed=1), 0.1),
    "B": _trained(relu, dense_layers([64, 32, 10], he, seed=1), lambda t: 5.0 if t < 30 else 0.1),
    "C": _trained(relu, {k: 0 * a for k, a in dense_layers([64, 32, 10], he, seed=1).items()}, 0.1),
}
"""Three runs that end level. (Whose fault is whose, `STILL` says.)"""

# fault: (who has it, what brings it to light)
STILL = {
    "vanishing gradient": ("A", "print the norm of each layer's gradient at .start, first to last"),
    "dead units": ("B", "compare the gradients at .start and at .params"),
    "zero weights": ("C", "print .start"),
}


def _periodic(rate, drawn, ordered=False) -> np.ndarray:
    x, y = few_digits(501, 1, seed=2)[:2]
    if ordered:
        order = np.argsort(y, kind="stable")
        x, y = x[order], y[order]
    start = dense_layers([64, 32, 10], he, seed=2)
    run = fit(_loss(relu), start, Optimizer(gradient_descent, lr=rate), (x, y), drawn=drawn, steps=120, every=1)
    return run.training


PERIODIC = {
    "A": _periodic(0.4, batches(501, 50, seed=2)),
    "B": _periodic(0.1, in_order(501, 50), ordered=True),
    "C": _periodic(partial(cosine_restarts, lr=0.6, steps=40), batches(501, 50, seed=2, drop_last=True)),
}
"""The loss of all examples after each step of three runs."""

RETURNING = {
    "short last batch": ("A", "do the largest leaps all follow the last of 11 batches?"),
    "not shuffled": ("B", "at which places of an epoch of 11 batches do the largest leaps stand?"),
    "restarts": ("C", "how many steps after a multiple of 40 do the largest leaps come?"),
}

_normed = _loss(relu, "batch")
LOSSES = {
    "A": _normed,
    "B": _loss(relu),
    "C": lambda params, x, y: _loss(relu)(params, x, y) * len(y),
}
"""Three losses, functions (params, x, y)."""

REDUCTIONS = {
    "batch norm": ("A", "compare a batch with the mean over its single examples"),
    "mean": ("B", "compare a batch with the mean over its single examples, and give the batch twice over"),
    "sum": ("C", "give the batch twice over"),
}


@check.exercise(1)
def do_not_move(answer):
    """Which of FLAT has zero weights, a vanishing gradient, dead units."""
    convict(answer, FLAT, STILL, "{}")
    return "All three are level, and each wants another cure: A another net, B another rate, C another start."


@check.exercise(2)
def thousand_classes(answer):
    """The loss of 1,000 classes with softmax twice, a tenth of the answers wrong."""
    floor = np.log(np.e + 999) - 1
    mistaken(answer, np.log(1000), "So much guessing costs, and a wrong answer; only a tenth is wrong.", 5e-4)
    mistaken(answer, np.log(np.e + 9) - 0.9, "That is the loss with ten classes.", 1e-2)
    mistaken(answer, 0.0, "So low it could get with logits. Here no score is above 1, none below 0.", 1e-2)
    mistaken(answer, floor, "That is the floor, with every answer right. A tenth is wrong: what does one cost?", 5e-4)
    mistaken(answer, 0.9 * floor, "A wrong answer costs more than a right one, not nothing.", 5e-4)
    near(
        answer, floor + 0.1, 5e-4, "Right, the class has the score 1, and the 999 others 0; wrong, it has the score 0."
    )
    return "Hardly below the loss of guessing: a run that seems to learn little, and has nine in ten right."


def _problem():
    rng = np.random.default_rng(0)
    a = rng.standard_normal((60, 3))
    return a, a @ np.array([1.0, -2.0, 0.5]) + 0.1 * rng.standard_normal(60)


def _descended(a, b, steps, lr):
    w = np.zeros(a.shape[1])
    for _ in range(steps):
        w = w - lr * a.T @ (a @ w - b) / len(b)
    return w


def accumulating(a, b, steps, lr):
    """The function as the page has it: gradients are never cleared."""
    w = np.zeros(a.shape[1])
    total = np.zeros_like(w)
    for _ in range(steps):
        total += a.T @ (a @ w - b) / len(b)
        w = w - lr * total
    return w


def averaging(a, b, steps, lr):
    """A mistake: the gradients are averaged and not cleared."""
    w = np.zeros(a.shape[1])
    total = np.zeros_like(w)
    for t in range(1, steps + 1):
        total += a.T @ (a @ w - b) / len(b)
        w = w - lr * total / t
    return w


@check.exercise(3)
def find_the_line(answer):
    """A function (a, b, steps, lr) -> w: gradient descent on half the mean squared error, from zero."""
    a, b = _problem()
    for steps in 1, 2, 40:
        given = result_of(answer, a, b, steps, 0.3)
        right = _descended(a, b, steps, 0.3)
        if np.shape(given) != (3,):
            raise Wrong(f"The function should return the weights, shape (3,), not {np.shape(given)}.")
        if steps > 1:
            mistaken(given, accumulating(a, b, steps, 0.3), "It still steps with the sum of all gradients.", 1e-9)
            mistaken(given, averaging(a, b, steps, 0.3), "An average of all gradients still holds old ones.", 1e-9)
            mistaken(given, _descended(a, b, 1, 0.3), "Only the first gradient is used: compute it in the loop.", 1e-9)
        mistaken(given, -_descended(a, b, 1, 0.3), "The step goes uphill.", 1e-9)
        near(given, right, 1e-9, f"After {steps} step{'s' * (steps > 1)} it is not where gradient descent is.")
    if not np.allclose(answer(a, b, 5, 0.1), _descended(a, b, 5, 0.1)):
        raise Wrong("Right at lr = 0.3 only: use lr as it is given.")
    return "The gradient of the moment, and nothing that is older."


@check.exercise(4)
def per_batch(answer):
    """(every, epochs): 30 epochs of 25 batches in steps; when a cut by 10 every 30 steps has made a millionth."""
    every, epochs = several(answer, "(every, epochs)")
    mistaken(every, 30, "The loop counts batches: 30 of them are little more than one epoch.", 1e-9)
    mistaken(every, 37_500, "That is the number of examples; the schedule is stepped once a batch.", 1e-9)
    mistaken(every, 1500, "Batches hold 50 examples: how many of them make 1,250?", 1e-9)
    near(every, 750, 1e-9, "How many batches are 30 epochs?")
    mistaken(epochs, 180, "`every` is right. That is the number of steps; in epochs?", 1e-9)
    mistaken(epochs, 7, "`every` is right. 180 steps are not a whole number of epochs.", 1e-9)
    mistaken(epochs, 6, "`every` is right. Six cuts, 30 steps each: how many epochs?", 1e-9)
    near(epochs, 7.2, 1e-6, "`every` is right. A millionth is six cuts by ten.")
    return "The planned 180 epochs were over in 7.2."


@check.exercise(5)
def beyond(answer):
    """The largest rate where the loss grows by 1.44 a step at 0.03."""
    mistaken(answer, 0.06 / 2.44, "1.44 is the factor of the loss; that of the error is its root.", 1e-5)
    mistaken(answer, 0.03 / 2.2, "That is 1 over the curvature; the border is at twice that.", 1e-5)
    mistaken(answer, 0.3, "1 - 0.03 times the curvature is -1.2: beyond the border it is negative.", 1e-6)
    mistaken(answer, 2.2 / 0.03, "That is the curvature.", 1e-3)
    mistaken(answer, 0.03 / 1.2, "The factor is 1 - rate times curvature, not a multiple of the rate.", 1e-5)
    near(answer, 0.06 / 2.2, 5e-5, "The error is multiplied by 1 - 0.03 times the curvature, which is -1.2.")
    return "One curve was enough: 10 % too far, and each step makes the loss half as large again, nearly."


@check.exercise(6)
def out_of_range(answer):
    """The smallest power of two that saves 3e-9 in float16."""
    mistaken(answer, 32, "It survives, but so it does at half of that: float16 rounds to nearest.", 1e-9)
    mistaken(answer, 8, "3e-9 times 8 is less than half of the smallest positive number.", 1e-9)
    mistaken(answer, 32_768, "That makes it a normal number, with all its digits; it survives far below.", 1e-9)
    mistaken(answer, 4, "The exponent alone? Hand in the factor.", 1e-9)
    near(answer, 16, 1e-9, "Try np.float16(3e-9 * scale) for powers of two.")
    return "It comes out as 2**-24 / 16, a quarter too large: the last digits need a larger scale."


@check.exercise(7)
def leap(answer):
    """Which of PERIODIC has restarts, a short last batch, unshuffled examples."""
    convict(answer, PERIODIC, RETURNING, "{}")
    return "What comes back with a period has its cause in what has that period."


@check.exercise(8)
def reductions(answer):
    """Which of LOSSES is a mean, a sum, a mean with batch normalization."""
    convict(answer, LOSSES, REDUCTIONS, "{}")
    return "Two tests of one line each, and both leave the plain mean alone."
