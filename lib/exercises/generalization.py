"""The answers to the exercises of chapters/generalization.ipynb."""

import numpy as np

from lib.exercises import Exercises, Wrong, mistaken, near, result_of, several
from lib.experiments.generalization import ridge as closed_form

check = Exercises()


@check.exercise(1)
def read_the_gap(answer):
    words = ["overfitting", "just right", "underfitting"]
    answer = [str(word).strip().lower() for word in answer] if isinstance(answer, list | tuple) else []
    if len(answer) != 3 or not set(answer) <= set(words):
        raise Wrong(f"A list of three is asked for, each one of {', '.join(map(repr, words))}.")
    if answer[0] == "underfitting":
        raise Wrong("Model A has learned its training data all but perfectly: that is no underfitting.")
    if answer[2] == "overfitting":
        raise Wrong("Model C is as bad on its training data: there is nothing it has learned by heart.")
    if answer != words:
        raise Wrong("Compare the two errors of each first, then the training error with what is possible, 0.04.")
    return "A large gap is overfitting, two large errors are underfitting."


@check.exercise(2)
def decompose(answer):
    bias, variance, total = several(answer, "(squared bias, variance, expected error)")
    mistaken(bias, 1, "That is the bias; square it.", 1e-9)
    mistaken(bias, -1, "That is the bias; square it.", 1e-9)
    near(bias, 4, 1e-9, "The mean prediction less the truth, squared.")
    mistaken(variance, 8 / 3, "Divide by 4, not 3: these four stand for all data sets.", 1e-9)
    mistaken(variance, np.sqrt(2), "That is the standard deviation.", 1e-9)
    near(variance, 2, 1e-9, "The mean squared distance of the predictions from their own mean.")
    mistaken(total, 6, "New targets have noise as well.", 1e-9)
    mistaken(total, 6.5, "The noise counts with its variance, the square of its standard deviation.", 1e-9)
    near(total, 6.25, 1e-9, "Add squared bias, variance, and the variance of the noise.")
    return "The noise is the part that no model can take away."


@check.exercise(3)
def write_ridge(answer):
    draw = np.random.default_rng(0)
    features, target = draw.standard_normal((8, 3)), draw.standard_normal(8)
    given, right = result_of(answer, features, target, 0.2), closed_form(features, target, 0.2)
    mistaken(given, closed_form(features, target, 0.2 / 8), "Divide features.T @ features by the examples, too.", 1e-9)
    mistaken(given, closed_form(features, target, 0), "Add the decay to the diagonal.", 1e-9)
    mistaken(given, right / 8, "Divide features.T @ target once, not twice.", 1e-9)
    mistaken(given, right * 8, "Divide features.T @ target by the number of examples, too.", 1e-9)
    whole = np.linalg.solve(features.T @ features / 8 + 0.2, features.T @ target / 8)
    mistaken(given, whole, "Add the decay to the diagonal alone: times np.eye(3).", 1e-9)
    near(given, right, 1e-9, "Solve (H + decay I) w = features.T @ target / n.")
    return "One line, and no learning rate."


@check.exercise(4)
def which_leak(answer):
    try:
        letters = {str(letter).strip().upper() for letter in answer}
    except TypeError:
        letters = {""}
    if not letters <= set("ABCDE"):
        raise Wrong('A list of letters from A to E is asked for, such as ["A", "B"].')
    if "B" in letters:
        raise Wrong("B: no test patient had a say before the one test at the end.")
    if "E" in letters:
        raise Wrong("E: the copies are of training pictures alone. It would leak if they were made before the cut.")
    if "C" not in letters:
        raise Wrong("C: by what was the epoch chosen?")
    if "D" not in letters:
        raise Wrong("D: after the shuffle, where are the neighbors of a test day?")
    if "A" not in letters:
        raise Wrong("A: which pictures is the mean made of? It does little harm, but the test set had a say.")
    return "Cut first, by patient or by date; do everything else with the training part."


@check.exercise(5)
def steps_for_decay(answer):
    steps, share = several(answer, "(steps, share learned)")
    mistaken(steps, 100, "That is the time, 1 / decay; one step takes 0.05 of it.", 1e-9)
    mistaken(steps, 5, "Divide by the rate, do not multiply.", 1e-9)
    near(steps, 2000, 1e-9, "The product of rate and steps stands for one over the decay.")
    mistaken(share, 0.5, "That is what the decay keeps; how much have that many steps learned?", 1e-9)
    mistaken(share, (1 - 0.05 * 0.01) ** 2000, "That is what is still missing.", 5e-3)
    near(share, 1 - (1 - 0.05 * 0.01) ** 2000, 2.5e-3, "Each step leaves 1 - rate * curvature of what is missing.")
    return "Near enough to call it one method, not near enough to call it equal."


@check.exercise(6)
def write_the_rule(answer):
    cases = [
        ([3.0], 1, False, "After one look there is nothing to compare."),
        ([3.0, 2.0, 2.5], 2, False, "One look without a new low is less than the patience of 2."),
        ([3.0, 2.0, 2.5, 2.4], 2, True, "Two looks without a new low: 2.4 is below 2.5, but not below the best, 2.0."),
        ([3.0, 2.0, 2.5, 1.0], 2, False, "1.0 is a new low."),
        ([3.0, 2.0, 2.0], 1, True, "An equal loss is no new low."),
        ([3.0, 2.0, 2.5, 2.6, 2.7], 2, True, "Longer than the patience is long enough."),
        ([2.0, 3.0, 4.0], 2, True, "The low may be the first look."),
    ]
    for losses, patience, right, why in cases:
        given = result_of(answer, list(losses), patience)
        if bool(given) != right:
            raise Wrong(f"With losses {losses} and patience {patience} it said {given!r}. {why}")
    return "And go back to the parameters of the lowest."


@check.exercise(7)
def edge(answer):
    rate, half = several(answer, "(rate, sharpness at half of it)")
    mistaken(rate, 0.125, "That is 1 / sharpness, the rate that is best; the edge is at 2 / sharpness.", 1e-9)
    mistaken(rate, 4, "Upside down: 2 over the sharpness.", 1e-9)
    near(rate, 0.25, 1e-9, "Solve 2 / rate = 8.")
    mistaken(half, 4, "A lower rate allows more sharpness, not less.", 1e-9)
    near(half, 16, 1e-9, "2 over half the rate.")
    return "If training gets there: a sharpness that never rises so far feels no edge."


@check.exercise(8)
def two_solutions(answer):
    near(np.shape(answer), (2, 2), hint="A pair of pairs is asked for: [weights of gradient descent, of Adagrad].")
    least, sign = answer
    mistaken((sign, least), ((-0.5, 1.5), (-1.25, 1.25)), "The right solutions in the wrong order.", 5e-3)
    mistaken(least, (-1, 3), "The right direction; how far until the example is fitted?", 5e-3)
    near(least, (-0.5, 1.5), 5e-3, "Every gradient is a multiple of the only row of X, from zero to where it fits.")
    mistaken(sign, (-1, 1), "The right direction; how far until the example is fitted?", 5e-3)
    mistaken(sign, (2.5, 2.5), "It fits, but one coordinate of the first step is negative.", 5e-3)
    near(sign, (-1.25, 1.25), 5e-3, "Adagrad goes along the signs of the first step, to where the example is fitted.")
    return "Both fit. Which one is right, no training loss can say."


@check.exercise(9)
def best_of_many(answer):
    mistaken(answer, 0.5, "That is what a new example will show; the best of 100 has been picked for its luck.", 1e-3)
    mistaken(answer, 0.55, "That is one standard deviation; the best of 100 is luckier.", 1e-3)
    mistaken(answer, 1.0, "Even the luckiest of 100 does not guess 100 examples right.", 1e-3)
    counts = np.arange(101)
    log_choose = np.cumsum(np.log(np.r_[1.0, (100 - counts[:-1]) / counts[1:]]))
    below = np.cumsum(np.exp(log_choose - 100 * np.log(2)))
    exact = float((counts * np.diff(np.r_[0, below**100])).sum() / 100)
    near(answer, exact, 0.006, "Draw 100 binomials of 100 trials, take the largest, and average over many draws.")
    return "Nothing was learned. It is what choosing by a test set adds."
