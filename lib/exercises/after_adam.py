"""The exercises of the chapter on Adam's successors.

A typical mistake is recognized by making it: `MISTAKES` holds Lion with one error each, `FACTORS` wrong factorizations,
and an answer that agrees with one of them is told which.
"""

from functools import partial

import numpy as np
from scipy.stats import t

from lib.exercises import (
    Exercises,
    Wrong,
    convict,
    expect_path,
    expect_step,
    mistaken,
    name_mistake,
    near,
    result_of,
    several,
    walked,
)
from lib.experiments.after_adam import drift_factor, factored
from lib.optimizers import adafactor, adan, lamb, lars, lion, muon
from lib.optimizers.muon import newton_schulz
from lib.optimizers.rule import bare_step, first_state

check = Exercises()

# Exercise 1: one step of Lion.


@check.exercise(1)
def one_step(answer):
    """(x, m) after a step of Lion from x = 2, m = -0.4 with gradient 3, rate 0.1, decay 0.1 and the default betas."""
    x, m = several(answer, "(x, m)")
    mistaken(x, 1.88, "x: that is the sign of the gradient. Lion takes the sign of 0.9 m + 0.1 g.", 1e-6)
    mistaken(x, 2 - 0.1 * (-0.06 + 0.2), "x: you stepped by the interpolation itself; take its sign.", 1e-6)
    mistaken(x, 2.1, "x: the decay is missing, 0.1 * 0.1 * 2.", 1e-6)
    mistaken(x, 1.9, "x: the decay is multiplied by the rate, too.", 1e-6)
    near(
        x, 2.08, 1e-6, "x: 0.9 * -0.4 + 0.1 * 3 is negative, so x goes up by a rate, less 0.1 * 0.1 * 2 for the decay."
    )
    mistaken(m, -0.06, "x is right. m forgets with beta2, 0.99; beta1 only mixes what the sign is taken of.", 1e-6)
    mistaken(m, 0.99 * -0.4 - 0.01, "x is right. m averages gradients, not signs.", 1e-6)
    near(m, -0.366, 1e-6, "x is right. m is 0.99 * -0.4 + 0.01 * 3.")
    return "It walked uphill for this gradient: the average still remembers others."


# Exercise 2: Lion from memory.


def _lion(seen=lambda m, g, c, new: np.sign(c), swapped=False, decay=1.0, l2=False, way=1.0, kept=None):
    def step(x, g, m, *, lr, beta1, beta2, weight_decay):
        beta1, beta2 = (beta2, beta1) if swapped else (beta1, beta2)
        g = g + weight_decay * x if l2 else g
        c, new = beta1 * m + (1 - beta1) * g, beta2 * m + (1 - beta2) * g
        shrink = 0.0 if l2 else decay * weight_decay * x
        return x - lr * (way * seen(m, g, c, new) + shrink), c if kept == "c" else new

    return step


MISTAKES = {
    _lion(swapped=True): "The betas are swapped: beta1 mixes what the sign is taken of, beta2 is the memory of m.",
    _lion(lambda m, g, c, new: np.sign(new)): "The sign is taken of the new m; take it of beta1 m + (1 - beta1) g.",
    _lion(lambda m, g, c, new: np.sign(m)): "The sign is taken of the old m: this gradient takes no part.",
    _lion(lambda m, g, c, new: np.sign(g)): "The sign is taken of the gradient: m takes no part.",
    _lion(lambda m, g, c, new: c): "The sign is missing: this is momentum.",
    _lion(decay=0.0): "weight_decay has to take its share of x, lr * weight_decay * x.",
    _lion(l2=True): "The decay went through the gradient, and the sign: leave g alone, shrink x beside the step.",
    _lion(decay=-1.0): "The decay pushes x away from 0: it is subtracted.",
    _lion(way=-1.0): "You walk uphill: the step is subtracted.",
    _lion(kept="c"): "You keep what the sign was taken of: m has a memory of its own, beta2.",
}


@check.exercise(2)
def from_memory(answer):
    """A function (x, g, m, *, lr, beta1, beta2, weight_decay) -> (x, m): a step of Lion."""
    given = lion.defaults | {"lr": 0.1, "weight_decay": 0.5}
    gradients = np.random.default_rng(0).standard_normal((50, 3)) * np.array([1e-3, 1.0, 1e3])
    expect_step(answer, {"x": np.ones(3), "g": gradients[0].copy(), "m": np.full(3, 0.1)}, **given)
    walk = lambda step: walked(step, lion, gradients, **given)
    path = walk(answer)
    name_mistake(path, walk, lion, MISTAKES)
    expect_path(path, walk(lion), 1e-9)
    return f"Equal to the library's over {len(gradients)} steps; gradients of all sizes move x alike."


# Exercise 3: a recipe for Lion.


@check.exercise(3)
def port(answer):
    """(rate, decay) of Lion for AdamW's 0.001 and 0.1, where noise dominates."""
    rate, decay = several(answer, "(rate, decay)")
    factor, by_length = drift_factor(), float(np.sqrt(19))
    mistaken(rate, 0.001 / by_length, "rate: that makes the steps equally long. Make the drift equal.", 2e-6)
    near_rate = abs(rate - 0.001 / factor) <= 0.02 * 0.001 / factor
    if abs(rate - 0.001 * factor) <= 0.02 * 0.001 * factor:
        raise Wrong("rate: the other way round. Lion drifts farther at the same rate.")
    if not near_rate:
        raise Wrong("rate: 0.001 over drift_factor().")
    mistaken(decay, 0.1, "The rate is right. Keep rate times decay: that share of x is lost in a step.", 1e-3)
    mistaken(decay, 0.1 / factor, "The rate is right. Rate times decay has to stay: the decay goes up.", 1e-3)
    if abs(decay - 0.1 * factor) > 0.02 * 0.1 * factor:
        raise Wrong("The rate is right. Rate times decay has to stay what it was, 0.0001.")
    return "One factor for both, and it comes from the betas. Without noise it would be 1."


# Exercise 4: how far LAMB can get.


@check.exercise(4)
def growth(answer):
    """The largest norm that a matrix of norm 8 can have after 100 steps of LAMB at a rate of 0.01."""
    mistaken(answer, 16, "Each step may be a hundredth of the norm that the last one made: powers.")
    mistaken(answer, 8 * np.e, "Close, and the limit of many small steps; here there are 100 of 0.01.")
    mistaken(answer, 9, "A step is as long as the rate times the norm, not as the rate.")
    near(answer, 8 * 1.01**100, 3e-3, "If all steps point away from 0, each multiplies the norm by 1.01.")
    return "It can be as far off as that, or 8 / 2.7 near zero, and no farther, whatever the gradients were."


# Exercise 5: what four seeds can say.


@check.exercise(5)
def interval(answer):
    """(low, high), the 95 % interval for a mean of -0.12 with a standard error of 0.1 from 4 seeds."""
    low, high = several(answer, "(low, high)")
    if low > high:
        raise Wrong("The lower end comes first.")
    reach, quantile = (high - low) / 2, float(t.ppf(0.975, 3))
    near((low + high) / 2, -0.12, 5e-3, "The interval has its middle at the mean, -0.12.")
    mistaken(reach, 0.1, "One standard error on each side holds about 61 percent with four seeds.", 5e-3)
    mistaken(reach, 0.196, "1.96 is for many seeds. With four, Student's t has three degrees of freedom.", 5e-3)
    mistaken(reach, float(t.ppf(0.975, 4)) * 0.1, "Four seeds have three degrees of freedom, one less.", 5e-3)
    mistaken(reach, float(t.ppf(0.95, 3)) * 0.1, "That leaves 5 percent on each side; 2.5 are to be left.", 5e-3)
    mistaken(reach, quantile * 0.05, "0.1 is the error of the mean already: do not divide by 2 again.", 5e-3)
    near(reach, quantile * 0.1, 5e-3, f"On each side of the mean, {quantile:.2f} standard errors.")
    return "It holds 0, and a gain of 0.4, too: four seeds neither found the gain nor refuted it."


# Exercise 6: rank one.


def _best_in_squares(v):
    u, s, vt = np.linalg.svd(v)
    return s[0] * np.outer(u[:, 0], vt[0])


FACTORS = {
    (lambda v: v.mean(1, keepdims=True) * v.mean(0)): "Divide by the mean of all: your rows do not add up to v's.",
    (lambda v: v.sum(1, keepdims=True) * v.sum(0)): "Divide by the sum of all: your rows do not add up to v's.",
    (lambda v: v.sum(1, keepdims=True) * v.sum(0) / v.mean()): "You took sums and divided by a mean: one of the two.",
    (lambda v: v.mean(1, keepdims=True) * v.mean(0) / v.sum()): "You took means and divided by a sum: one of the two.",
    (lambda v: np.sqrt(v.mean(1, keepdims=True) * v.mean(0))): "That is a geometric mean; a product is asked for.",
    _best_in_squares: "That is best in squares, and needs all of v. From row means and column means alone:",
}


@check.exercise(6)
def rank_one(answer):
    """A function of v, a matrix of positive numbers -> the matrix that Adafactor takes for it."""
    v = np.random.default_rng(0).standard_normal((4, 6)) ** 2 + 0.01
    before = v.copy()
    result = result_of(answer, v)
    if not np.array_equal(v, before):
        raise Wrong("Your function changes v in place; make a new array.")
    if np.shape(result) != v.shape:
        raise Wrong(f"The result has shape {np.shape(result)} for a v of {v.shape}: keep the rows' means as a column.")
    name_mistake(result, lambda rule: rule(v), factored, FACTORS)
    near(result, factored(v), 1e-9, "Mean of the row times mean of the column, over the mean of all.")
    return "Its rows and columns add up to those of v, and that is all it knows of it."


# Exercise 7: the steepest direction.

G = np.array([[1.0, 2.0, 0.0], [0.0, -1.0, 3.0]])


@check.exercise(7)
def steepest(answer):
    """The X of spectral norm at most 1 whose inner product with G is least."""
    u, s, vt = np.linalg.svd(G, full_matrices=False)
    x = np.asarray(answer, dtype=float)
    if x.shape != G.shape:
        raise Wrong(f"A matrix of the shape of G, {G.shape}, is asked for.")
    mistaken(x, -newton_schulz(G / np.linalg.norm(G)), "Five steps of Newton-Schulz come near; take the exact one.")
    longest, slope = float(np.linalg.norm(x, 2)), float((G * x).sum())
    if longest > 1 + 2e-3:
        raise Wrong(f"The spectral norm of your X is {longest:.3f}, its largest singular value: more than 1.")
    mistaken(x, u @ vt, "Uphill: the least inner product is negative.", 2e-3)
    mistaken(x, -G / np.linalg.norm(G), "That is steepest in the Euclidean norm. Others of spectral norm 1 are longer.")
    mistaken(x, -G / s[0], "Its singular values are those of G; only the largest is 1. The others may be 1, too.")
    least = -s.sum()
    near(
        x,
        -u @ vt,
        2e-3,
        f"Your inner product is {slope:.3f}; the least is {least:.3f}, minus the sum of all singular values.",
    )
    return (
        f"It gains {-least:.3f}, the sum of the singular values; the Euclidean direction gains {np.linalg.norm(G):.3f}."
    )


# Exercise 8: the average, by hand.


@check.exercise(8)
def average(answer):
    """(average, x) of schedule-free SGD after three steps from 0 on a gradient of 1, at a rate of 0.1, beta1 = 0.9."""
    mean, x = several(answer, "(average, x)")
    mistaken(mean, -0.3, "average: that is z, where the steps lead. Average z's three places.", 1e-6)
    mistaken(mean, -0.21, "average: that is where the next gradient is taken. The average has no z in it.", 1e-6)
    mistaken(mean, -0.15, "average: the start is not averaged; z after steps 1, 2 and 3.", 1e-6)
    mistaken(mean, 0.2, "average: downhill is negative here.", 1e-6)
    near(mean, -0.2, 1e-6, "average: of -0.1, -0.2 and -0.3, with equal weights at a constant rate.")
    mistaken(x, -0.29, "The average is right. x is 0.9 of the average and 0.1 of z, not the other way round.", 1e-6)
    mistaken(x, -0.3, "The average is right. That is z; x lies between z and the average.", 1e-6)
    mistaken(x, -0.2, "The average is right. x lies between z and the average.", 1e-6)
    near(x, -0.21, 1e-6, "The average is right. x = 0.1 z + 0.9 average.")
    return "Three places: steps are taken at one, gradients at the second, and the third is what you keep."


# Exercise 9: who is who.


def steps_of(rule, gradients, x):
    """The steps, positive downhill, that ``rule`` takes from ``x`` at a rate of 1, without decay.

    Args:
        rule: of ``lib.optimizers``.
        gradients: list of matrices.
        x: a matrix of their shape.

    Returns:
        list of matrices.
    """
    given = rule.defaults | {"lr": 1.0} | ({"weight_decay": 0.0} if "weight_decay" in rule.defaults else {})
    x = np.asarray(x, dtype=float)
    state, steps = first_state(rule, x, given), []
    for time, g in enumerate(gradients, start=1):
        new, state = bare_step(rule, x, np.asarray(g, dtype=float), state, time, **given)
        steps.append(x - new)
        x = new
    return steps


FAMILY = {"Lion": lion, "LARS": lars, "LAMB": lamb, "Adafactor": adafactor, "Muon": muon, "Adan": adan}
suspects = {name: partial(steps_of, rule) for name, rule in zip("ABC", (lamb, adan, muon), strict=True)}
# name: (who it is, what tells it from the others)
NAMES = {
    "Lion": (None, "a small gradient after a large one"),
    "LARS": (None, "one gradient, of which its step is a multiple,"),
    "LAMB": ("A", "an x twice as large"),
    "Adafactor": (None, "an x twice as large"),
    "Muon": ("C", "one gradient, look at the singular values of the step,"),
    "Adan": ("B", "a small gradient after a large one"),
}


@check.exercise(9)
def who_is_who(answer):
    convict(answer, suspects, NAMES, "give it {} and compare with the library's")
    return "Three questions tell them apart: does x count, do the axes count, what is remembered?"
