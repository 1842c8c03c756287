"""The exercises of the chapter on RMSProp.

A typical mistake is recognized by making it: `MISTAKES` holds RMSProp with one error each, and an answer that agrees
with one of them is told which.
"""

import numpy as np
from scipy.optimize import brentq

from lib.arrays import sqrt, where
from lib.exercises import Exercises, Wrong, convict, expect_path, expect_step, mistaken, name_mistake, near
from lib.optimizers import rmsprop

check = Exercises()


def steps_of(rule, gradients, lr=1.0, rho=0.9, eps=0.0):
    """The steps (in parameter units, positive downhill for a positive gradient) that ``rule`` takes on ``gradients``.

    Args:
        rule: RMSProp, or something with its signature.
        gradients: one a step: array (steps,) or (steps, *shape of the parameter).

    Returns:
        array of the shape of ``gradients``.
    """
    gradients, steps = np.asarray(gradients, dtype=float), []
    v = np.zeros_like(gradients[0])
    for g in gradients:
        # The parameter starts each step at zero: next to a large one, a small step would lose its digits.
        moved, v = rule(np.zeros_like(g), g, v, lr=lr, rho=rho, eps=eps)
        steps.append(-moved)
    return np.array(steps)


def drift(gradients, rho):
    """How far RMSProp moves a parameter, in rates, in one round of gradients that come again and again.

    Args:
        gradients: those of a round, in their order.
        rho: memory of the mean of squares.
    """
    gradients, x = np.asarray(gradients, dtype=float), 0.0
    age = np.arange(len(gradients))[::-1]
    v = (1 - rho) * (rho**age * gradients**2).sum() / (1 - rho ** len(gradients))  # after many rounds
    for g in gradients:
        x, v = rmsprop(x, g, v, lr=1.0, rho=rho, eps=0.0)
    return float(x)


def gradient_descent_instead(x, g, v, *, lr, rho, eps):
    return x - lr * g, rho * v + (1 - rho) * g**2


def no_root(x, g, v, *, lr, rho, eps):
    v = rho * v + (1 - rho) * g**2
    return x - lr * g / (v + eps), v


def old_average(x, g, v, *, lr, rho, eps):
    return x - lr * g / (sqrt(v) + eps), rho * v + (1 - rho) * g**2


def never_forgets(x, g, v, *, lr, rho, eps):
    v = v + g**2
    return x - lr * g / (sqrt(v) + eps), v


def leaky_sum(x, g, v, *, lr, rho, eps):
    v = rho * v + g**2
    return x - lr * g / (sqrt(v) + eps), v


def weights_swapped(x, g, v, *, lr, rho, eps):
    v = (1 - rho) * v + rho * g**2
    return x - lr * g / (sqrt(v) + eps), v


def average_of_gradients(x, g, v, *, lr, rho, eps):
    v = rho * v + (1 - rho) * g
    return x - lr * g / (abs(v) + eps), v


def average_of_sizes(x, g, v, *, lr, rho, eps):
    v = rho * v + (1 - rho) * abs(g)
    return x - lr * g / (v + eps), v


def frozen(x, g, v, *, lr, rho, eps):
    v = where(v == 0, (1 - rho) * g**2, v)
    return x - lr * g / (sqrt(v) + eps), v


def one_average_for_all(x, g, v, *, lr, rho, eps):
    v = rho * v + (1 - rho) * (g**2).mean()
    return x - lr * g / (sqrt(v) + eps), v


def eps_inside_the_root(x, g, v, *, lr, rho, eps):
    v = rho * v + (1 - rho) * g**2
    return x - lr * g / sqrt(v + eps), v


def eps_left_out(x, g, v, *, lr, rho, eps):
    return rmsprop(x, g, v, lr=lr, rho=rho, eps=0.0)


def root_kept(x, g, v, *, lr, rho, eps):
    v = sqrt(rho * v + (1 - rho) * g**2)
    return x - lr * g / (v + eps), v


def wrong_way(x, g, v, *, lr, rho, eps):
    return rmsprop(x, g, v, lr=-lr, rho=rho, eps=eps)


MISTAKES = {
    gradient_descent_instead: "That is gradient descent: divide the gradient by the root of v.",
    no_root: "The root is missing: divide by sqrt(v) + eps.",
    old_average: "The average is the old one: take the gradient into v before you divide.",
    never_forgets: "v never forgets: that is Adagrad's sum. RMSProp's v is an average.",
    leaky_sum: "The weights do not add up to 1: the new square counts 1 - rho times.",
    weights_swapped: "The weights are swapped: rho is the share that is kept, 1 - rho that of the new square.",
    average_of_gradients: "Average the squares of the gradients, not the gradients.",
    average_of_sizes: "Average squares, and take the root of the average; you have averaged sizes.",
    frozen: "v stays what the first gradient made it: average at every step.",
    one_average_for_all: "One average for all coordinates: each coordinate has its own v.",
    eps_inside_the_root: "eps stands inside the root, as in Keras; here it is added after the root is taken.",
    eps_left_out: "eps is left out; here some gradients are small enough for it to count.",
    root_kept: "What goes back as v is its root: keep the average of squares, take the root for the step only.",
    wrong_way: "You walk uphill: the step is subtracted.",
}


@check.exercise(1)
def two_steps(answer):
    """Where RMSProp is after gradients of 15 and 16, from x = 2 at a rate of 0.6, with rho = 0.64 and eps = 0."""
    mistaken(answer, 1.0, "That is after the first step; one more is to come.", 1e-9)
    mistaken(answer, 0.8, "That is the length of the second step; where does it lead?", 1e-9)
    mistaken(
        answer,
        2 - 0.6 - 0.6 * 16 / np.sqrt((0.64 * 81 + 0.36 * 256) / (1 - 0.64**2)),
        "You have removed the bias, as Adam does; RMSProp does not.",
        1e-6,
    )
    name_mistake(answer, lambda rule: 2 - steps_of(rule, [15.0, 16.0], lr=0.6, rho=0.64).sum(), rmsprop, MISTAKES, 1e-6)
    near(answer, 0.2, hint="v is 81, then 144. A step is 0.6 times the gradient over the root of v.")
    return "The first step is a whole 1, though the rate is 0.6: at first v is only 0.36 of the square."


@check.exercise(2)
def from_memory(answer):
    """A function (x, g, v, *, lr, rho, eps) -> (x, v): a step of RMSProp."""
    gradients = np.random.default_rng(0).standard_normal((20, 4)) * np.array([1e-8, 1e-3, 1.0, 1e4])
    first = {"x": np.zeros(4), "g": gradients[0].copy(), "v": np.ones(4)}
    expect_step(answer, first, lr=1.0, rho=0.8, eps=1e-8)
    ways = [{"eps": 1e-8, "rho": rho} for rho in (0.8, 0.9)]
    for way in ways:
        with np.errstate(all="ignore"):
            steps = steps_of(answer, gradients, **way)
        name_mistake(steps, lambda rule, way=way: steps_of(rule, gradients, **way), rmsprop, MISTAKES)
    expect_path(steps, steps_of(rmsprop, gradients, **ways[-1]))
    x, g, v = np.array([1.0, -2.0]), np.array([0.3, 0.1]), np.array([4.0, 0.0])
    settings = {"lr": 0.3, "rho": 0.7, "eps": 0.01}
    if not all(
        np.allclose(a, b) for a, b in zip(answer(x, g, v, **settings), rmsprop(x, g, v, **settings), strict=True)
    ):
        raise Wrong("Right from x = 0 at lr = 1 and rho = 0.9 only: use x, lr, rho and eps as you are given them.")
    return f"Equal to the library's over {len(gradients)} steps, for gradients of every size."


@check.exercise(3)
def spike(answer):
    """How many whole steps after one gradient of 30 among gradients of 1 a step is half a rate again, at rho = 0.95."""
    mistaken(answer, 112, "The spike entered v with its share of 1 - rho: as 45, not as 900.", 0.01)
    mistaken(answer, 75, "There v is 2 and the step 1 / sqrt(2): half a rate needs v = 4.", 0.02)
    mistaken(answer, 13.5, "That is the half-life; the spike has to fall by more than half.", 0.04)
    mistaken(answer, 52, "After 52 steps v is still above 4, if only just.", 1e-9)
    mistaken(answer, 52.77, "Steps come whole: which is the first that is long enough?", 1e-3)
    near(answer, 53, 1e-9, "v - 1 begins at 44.95 and keeps 0.95 of itself a step: how many until v is 4 or less?")
    return "About four half-lives: the spike counts with its square."


@check.exercise(4)
def first_steps(answer):
    """Which step is the first that is shorter than two rates, at rho = 0.999 on gradients that keep their size."""
    mistaken(answer, 1, "That would be Adam; RMSProp's first step is some thirty rates long.", 1e-9)
    mistaken(answer, 287, "Step 287 is still a little longer than two rates.", 1e-9)
    mistaken(answer, 287.54, "Steps come whole: which is the first that is short enough?", 1e-3)
    mistaken(answer, 1386, "There v is 3/4 of g**2: the step is 1.15 rates. Two rates need 1/4.", 1e-3)
    mistaken(answer, 693, "There v is half of g**2, and the step sqrt(2) rates.", 1e-3)
    near(answer, 288, 1e-9, "v is (1 - rho**t) g**2 after t steps: when does its root exceed half of g?")
    return "The first was some thirty rates long. A longer memory makes longer first steps, and more of them."


@check.exercise(5)
def tenth_of_a_step(answer):
    """The constant gradient on which Keras' steps, with epsilon = 1e-7 and v settled, are a tenth of a rate."""
    scaled = np.asarray(answer, dtype=float) / 1e-5
    mistaken(scaled, 1e-2 / 9, "That is with epsilon outside the root, as in PyTorch.", 1e-4)
    mistaken(scaled, np.sqrt(1e3 / 3), "That is for half a rate.", 1e-3)
    mistaken(scaled, 1e-2 / 99, "The gradient stands squared under the root: take the root once more.", 1e-4)
    near(scaled, np.sqrt(1e3 / 99), 5e-3, "Solve g / sqrt(g**2 + epsilon) = 1/10 for g.")
    return "Three hundred times epsilon. Outside the root it would be a ninth of epsilon."


@check.exercise(6)
def cycle(answer):
    """The largest rate at which RMSProp, in its cycle on 50 x**2 without noise, has a loss of at most 2e-6."""
    scaled = np.asarray(answer, dtype=float) / 1e-4
    mistaken(scaled, 2.0, "That is how far the cycle is from 0; it jumps from one side to the other.", 1e-3)
    mistaken(scaled, 1.0, "The other way round: the distance is half a rate.", 1e-3)
    mistaken(scaled, 40.0, "That is for x**2 / 2; here the loss is a hundred times as large at the same x.", 1e-3)
    near(scaled, 4.0, 1e-3, "The cycle is at a distance of half a rate, here too; its loss is 50 (lr / 2)**2.")
    return "A hundred times the curvature wants a tenth of the rate: the steps do not know of it."


@check.exercise(7)
def leaky(answer):
    """The rate at which RMSProp with rho = 0.9 takes the steps of v = 0.9 v + g**2, x - 0.01 g / sqrt(v)."""
    mistaken(answer, 0.01, "At the same rate RMSProp's steps would be longer: its v is smaller.", 1e-6)
    mistaken(
        answer, 0.01 / np.sqrt(0.1), "The other way round: the sum is the larger one, its steps are shorter.", 5e-5
    )
    mistaken(answer, 0.001, "v is ten times RMSProp's; the step goes with its root.", 1e-6)
    near(answer, 0.01 * np.sqrt(0.1), 1e-5, "This v is RMSProp's divided by 1 - rho, at every step.")
    return "The same rule in other units, exact at every step. Its first step is one rate of its own."


# Exercise 8: three wrong RMSProps, known by what they do.
suspects = {"A": average_of_gradients, "B": weights_swapped, "C": never_forgets}
# bug: (who has it, what brings it to light)
BUGS = {
    "averages gradients": ("A", "gradients of 1 and -1 in turn"),
    "weights swapped": ("B", "a single gradient"),
    "never forgets": ("C", "a constant gradient for 100 steps"),
    "root missing": (None, "a gradient of 100 instead of 1"),
    "average frozen": (None, "a gradient of 1, then many of 100"),
    "one average for all": (None, "two parameters with gradients of 1 and 100"),
}


@check.exercise(8)
def which_bug(answer):
    convict(answer, suspects, BUGS, "give it {} and compare with the right RMSProp")
    return "B and C lower a loss all the same. A jumps where gradients change sign: its divisor passes through zero."


ROUND = [0.1] * 9 + [-1.0]


@check.exercise(9)
def nine_against_one(answer):
    """The rho from which on RMSProp follows the sum of nine gradients of 0.1 and one of -1."""
    right = brentq(lambda rho: drift(ROUND, rho), 0.5, 0.9999)
    mistaken(answer, 0.9, "At 0.9 the parameter still moves down: try it.", 1e-4)
    near(
        answer, right, 0.0006, "drift(ROUND, rho) changes its sign there: below it the parameter falls, above it rises."
    )
    return "Below, the one large gradient is divided by a root that it has just raised itself: the rule walks uphill."
