"""The exercises of the chapter on curvature.

A typical mistake is recognized by making it: `MISTAKES` holds the damped step with one error each, and an answer that
agrees with one of them is told which.
"""

from functools import partial

import numpy as np
from scipy.special import expit

from lib.curvature import newton
from lib.exercises import Exercises, Wrong, convict, mistaken, name_mistake, near, result_of, several
from lib.optimizers import adam, gradient_descent, muon, shampoo, soap
from lib.optimizers.rule import bare_step, first_state

check = Exercises()


def steps_of(rule, gradients, **hyperparameters):
    """The steps that ``rule`` takes on matrices of gradients, at a rate of 1 and, where it has one, an eps near 0.

    Args:
        rule: of the exercise on who is who.
        gradients: one a step, array (steps, rows, columns).

    Returns:
        array of the shape of ``gradients``, positive downhill.
    """
    gradients, steps = np.asarray(gradients, dtype=float), []
    exact = {"eps": 1e-12} if "eps" in rule.defaults else {}
    given = rule.defaults | {"lr": 1.0} | exact | hyperparameters
    x = np.zeros_like(gradients[0])  # where each step starts, so that a short one keeps its digits
    state = first_state(rule, x, given)
    for t, g in enumerate(gradients, start=1):
        moved, state = bare_step(rule, x, g, state, t, **given)
        steps.append(-moved)
    return np.array(steps)


# Exercise 1: the damped step from memory.


def multiplies(g, H, damping):
    return (H + damping * np.eye(len(g))) @ g


def not_damped(g, H, damping):
    return np.linalg.solve(H, g)


def damped_everywhere(g, H, damping):
    return np.linalg.solve(H + damping, g)


def damped_the_other_way(g, H, damping):
    return np.linalg.solve(H - damping * np.eye(len(g)), g)


def diagonal_only(g, H, damping):
    return g / (np.diag(H) + damping)


def added_afterwards(g, H, damping):
    return np.linalg.solve(H, g) + damping * g


def inverted_entries(g, H, damping):
    return (1 / (H + damping * np.eye(len(g)))) @ g


def leads_up(g, H, damping):
    return -newton(g, H, damping)


MISTAKES = {
    multiplies: "You multiply by the matrix; the step solves a system with it.",
    not_damped: "The damping is missing.",
    damped_everywhere: "You add the damping to every entry of H; it belongs on the diagonal: damping * np.eye(len(g)).",
    damped_the_other_way: "The damping is added to the curvatures.",
    diagonal_only: "You divide by the diagonal; the other entries count, too.",
    added_afterwards: "The damping belongs into the matrix, before you solve.",
    inverted_entries: "An inverse is not the matrix of the inverse entries.",
    leads_up: "Your step leads uphill: in this chapter a step is subtracted.",
}


@check.exercise(1)
def from_memory(answer):
    """A function (g, H, damping) -> step: Newton's, damped."""
    rng = np.random.default_rng(0)
    tasks = []
    for damping in 0.5, 3.0:
        A = rng.standard_normal((4, 4))
        tasks.append((rng.standard_normal(4), A @ A.T + np.eye(4), damping))
    together = lambda step: np.concatenate([np.asarray(result_of(step, *task), dtype=float).ravel() for task in tasks])
    answers, right = together(answer), together(newton)
    if answers.shape != right.shape:
        raise Wrong("Return the step, an array of the shape of g.")
    name_mistake(answers, together, newton, MISTAKES)
    near(answers, right, 1e-9, "It is not the library's step. Solve (H + damping I) step = g.")
    return "Equal to the library's, for two matrices and two dampings."


# Exercise 2: for ever to and fro.


@check.exercise(2)
def to_and_fro(answer):
    """The y > 0 from which Newton's steps on the saddle go to -y and back for ever."""
    mistaken(answer, 1 / np.sqrt(3), "There the curvature is 0: the step has no end. Where does it lead to -y?")
    mistaken(answer, 1.0, "That is the minimum: there it stays.")
    mistaken(answer, 0.0, "That is the saddle: there it stays. y > 0 is asked for.")
    mistaken(answer, 0.2, "2 y**2 = 1 - 3 y**2: you have y**2.")
    near(answer, 1 / np.sqrt(5), 1e-4, "Solve 2 y**3 / (3 y**2 - 1) = -y for y > 0.")
    return "Nearer to the axis than this, Newton goes to the saddle."


# Exercise 3: gamma is a length.


@check.exercise(3)
def sophia_counts(answer):
    """Steps of Sophia, without averages, from 1 until within 0.001 of a minimum at 0; rate 0.02, gamma 0.05."""
    mistaken(answer, 48, "That is the clipped part, from 1 to 0.04. How many more to 0.001?", 1e-6)
    mistaken(answer, 8, "That is the last part, from 0.04 to 0.001. How many clipped steps before?", 1e-6)
    mistaken(answer, 50, "So signs alone would walk. From 0.05 on, a step is a share 0.02 / 0.05 of the rest.", 1e-6)
    mistaken(answer, 14, "So many, if no step were clipped. None is longer than the rate.", 1e-6)
    mistaken(answer, 55, "48 clipped steps end at 0.04; 0.04 * 0.6**7 is still above 0.001.", 1e-6)
    near(answer, 56, 1e-6, "Clipped from 1 to below 0.05, 0.02 a step; then each step leaves 1 - 0.02 / 0.05.")
    return "The curvature does not enter: that is the point of dividing by it."


# Exercise 4: two Fishers.


@check.exercise(4)
def two_fishers(answer):
    """(Fisher, empirical): the first entries for the example x = (1, 2), label 1, to which the model gives p = 0.2."""
    true, empirical = several(answer, "(Fisher, empirical)")
    mistaken(
        [true, empirical], [0.64, 0.16], "The other way round: the Fisher matrix does not look at the label.", 1e-6
    )
    mistaken(true, 0.2, "p (1 - p), not p.", 1e-6)
    mistaken(true, 0.04, "The mean of (label - p)**2 over labels that the model draws: p (1 - p).", 1e-6)
    near(true, 0.16, 1e-6, "The Fisher matrix is p (1 - p) x x^T; its first entry has x = 1.")
    mistaken(empirical, 0.16, "With the label that is there, not with one drawn: (1 - p)**2.", 1e-6)
    mistaken(empirical, 0.04, "The label is 1, so the gradient is (p - 1) x.", 1e-6)
    mistaken(empirical, 0.8, "The gradient's first entry is -0.8; the matrix holds products of entries.", 1e-6)
    near(empirical, 0.64, 1e-6, "The gradient is (p - 1) x; its square stands in the first entry.")
    return "The model is surprised, and the empirical matrix takes its surprise for curvature."


# Exercise 5: a coin in two coordinates.


@check.exercise(5)
def coin(answer):
    """(in p, in the logit): the p after one natural gradient step at rate 1, from 0.2, when 60 % are heads."""
    p, logit = several(answer, "(in p, in the logit)")
    mistaken(p, 0.2 + 2.5, "That is the gradient's step. Divide it by the Fisher information 1 / (p (1 - p)).", 1e-3)
    mistaken(p, 0.2 + 0.4 * 0.16**2, "The gradient has 1 / (p (1 - p)) in it already.", 1e-3)
    near(p, 0.6, 1e-3, "In p: the gradient is (p - 0.6) / (p (1 - p)), the Fisher information 1 / (p (1 - p)).")
    mistaken(logit, np.log(0.25) + 2.5, "p is right. In the logit you gave z; which p is that?", 1e-3)
    mistaken(logit, expit(np.log(0.25) + 0.4), "p is right. In z, divide the gradient by p (1 - p), too.", 1e-3)
    mistaken(logit, 0.6, "p is right. In z the step is the same to first order only.", 1e-3)
    near(logit, expit(np.log(0.25) + 2.5), 1e-3, "p is right. z = log(0.25) + 0.4 / 0.16, and p = 1 / (1 + exp(-z)).")
    return "Of one step of finite length the two coordinates tell different stories; of many small ones the same."


# Exercise 6: the first step of Shampoo.


@check.exercise(6)
def first_step(answer):
    """The Euclidean length of Shampoo's first step, eps 0, rate 0.1, on a 2 by 2 gradient of singular values 3, 4."""
    mistaken(answer, 0.5, "That is gradient descent's. Shampoo divides by roots of the gradient's own size.")
    mistaken(answer, 0.1, "Each of the two singular values becomes the rate.")
    mistaken(answer, 0.2, "That is Adagrad's, a rate for each of four entries. Shampoo makes singular values alike.")
    mistaken(answer, 0.1 * np.hypot(1 / 3, 1 / 4), "That would be square roots on both sides; they are fourth roots.")
    mistaken(answer, 0.1 * np.hypot(3**0.5, 2.0), "That is a fourth root on one side; there is one on each.")
    mistaken(answer, np.sqrt(2), "And the rate?")
    near(
        answer,
        0.1 * np.sqrt(2),
        1e-4,
        "L = U S**2 U^T, so its fourth root takes the root of S on the left; so on the right.",
    )
    return "All directions of the gradient are made equally long: what Muon does, nearly, with its velocity."


# Exercise 7: who is who.

FAMILY = {"gradient descent": gradient_descent, "Adam": adam, "Shampoo": shampoo, "SOAP": soap, "Muon": muon}
suspects = {name: partial(steps_of, rule) for name, rule in zip("ABC", (soap, adam, shampoo), strict=True)}
# name: (who it is, what tells it from the others)
NAMES = {
    "gradient descent": (None, "a gradient twice as large"),
    "Adam": ("B", "a single gradient"),
    "Shampoo": ("C", "one gradient, many times"),
    "SOAP": ("A", "a single gradient"),
    "Muon": (None, "one gradient, many times"),
}


@check.exercise(7)
def who_is_who(answer):
    convict(answer, suspects, NAMES, "give it {} and compare with the library's")
    return "Waiting, rotation and a clock that slows: each rule has its mark."
