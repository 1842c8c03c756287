"""The exercises of the chapter on grid, random and adaptive search.

A typical mistake is recognized by making it: each function below has one error, and an answer that agrees with one of
them is told which.
"""

import math

import numpy as np

from lib.exercises import Exercises, convict, mistaken, near, several

check = Exercises()


@check.exercise(1)
def how_many(answer):
    """How many draws find one of the best 1 percent with a chance of 95 percent."""
    mistaken(answer, 59, "That is for the best 5 percent; the best 1 percent are asked for.", 1e-2)
    mistaken(answer, 95, "Chances do not add up: two draws may both be among the best, or neither.", 1e-9)
    mistaken(answer, 100, "One in a hundred is among the best, on average; but 100 draws may well miss it.", 1e-9)
    mistaken(answer, 5, "Turned around: p is 0.01, and 1 - P is 0.05.", 0.2)
    mistaken(answer, 298, "Round up: 298 draws are just too few.", 3e-4)
    near(answer, 299, 1e-9, "Solve 1 - 0.99**n = 0.95, and round up.")
    return "Five times as many as for the best 5 percent. The number of dimensions does not come in."


@check.exercise(2)
def a_grid(answer):
    """(trainings, rates) of a grid with five values of each of four settings."""
    trainings, rates = several(answer, "(trainings, rates)")
    mistaken(trainings, 20, "Every combination is tried: multiply.", 1e-9)
    mistaken(trainings, 1024, "Turned around: five values to the power of four settings.", 1e-9)
    near(trainings, 625, 1e-9, "Every combination is tried: multiply the numbers of values.")
    mistaken(rates, 625, "The trainings are right. But each rate is tried with all values of the others.", 1e-9)
    mistaken(rates, 125, "The trainings are right. 125 is how often each rate is tried.", 1e-9)
    near(rates, 5, 1e-9, "The trainings are right. How many values of the rate are on the grid?")
    return "A random search of 625 trainings tries 625 rates."


@check.exercise(3)
def cost(answer):
    """(from scratch, resumed) epochs of halving: 81 trainings from 1 epoch to 81, one in three going on."""
    anew, resumed = several(answer, "(from scratch, resumed)")
    mistaken(anew, 81 * 81, "That is what 81 trainings to the end cost; most of these end early.", 1e-9)
    mistaken(anew, 324, "There are five rungs: 81 trainings, then 27, 9, 3 and 1.", 1e-9)
    mistaken(anew, 297, "That is the other one: from scratch every rung pays for all of its epochs.", 1e-9)
    mistaken(anew, 121, "That is the number of trainings; each takes as many epochs as its rung says.", 1e-9)
    near(anew, 405, 1e-9, "Each of five rungs costs trainings times epochs, the same for all.")
    mistaken(resumed, 405, "From scratch is right. If a training goes on, it pays for the new epochs alone.", 1e-9)
    near(resumed, 297, 1e-9, "From scratch is right. Resumed: one that goes on from 3 to 9 epochs pays for 6.")
    return "81 settings were tried for the price of fewer than four whole trainings."


@check.exercise(4)
def improvement(answer):
    """How many times as high expected improvement is at a as at b: gamma 0.2, densities 2, 0.5 at a, and 3, 3 at b."""
    mistaken(answer, 0.4, "Turned around: that is b's over a's.", 1e-9)
    mistaken(answer, 4, "That is the ratio of ratios: put each into good / (gamma good + (1 - gamma) bad).", 1e-9)
    mistaken(answer, 2 / 3, "That compares good densities alone; the bad ones count as well.", 1e-2)
    near(answer, 2.5, 1e-6, "The right side of the equation at each, then the quotient.")
    return "b lies where most good ones were, and most bad ones, too. TPE tries a."


@check.exercise(5)
def promotion(answer):
    """(ASHA's, halving's): the sums of the losses of those that go on, which arrive as 5, 3, 4, 1, 2, 6; eta 3."""
    asha, halving = several(answer, "(asha, halving)")
    mistaken(asha, 3, "That is who would go on if ASHA waited for all; it does not, and takes back nobody.", 1e-9)
    mistaken(asha, 11, "The first to arrive may not go on yet: of one, one third is none, rounded down.", 1e-9)
    mistaken(asha, 4, "Asked after the sixth, two may go on: one of them has not.", 1e-9)
    near(asha, 6, 1e-9, "After each arrival: the best third of those that have come, rounded down, less those gone on.")
    mistaken(halving, 6, "ASHA's is right. Halving lets two of six go on.", 1e-9)
    near(halving, 3, 1e-9, "ASHA's is right. Halving takes the two lowest of all six.")
    return "The loss of 3 went on though two better ones came later: the price of not waiting."


# Exercise 6: three wrong halvings, known by whom they let go on.


def halving(losses, eta=3):
    """Who is at each rung: lists of numbers, the lowest loss first.

    Args:
        losses: (trainings, rungs).
    """
    losses = np.asarray(losses, dtype=float)
    going, found = list(range(len(losses))), []
    for rung in range(losses.shape[1]):
        going = sorted(going, key=lambda i: (math.isnan(losses[i, rung]), losses[i, rung]))
        found.append(going)
        going = going[: len(going) // eta]
    return found


def old_losses(losses, eta=3):
    losses = np.asarray(losses, dtype=float)
    return halving(np.repeat(losses[:, :1], losses.shape[1], axis=1), eta)


def diverged_first(losses, eta=3):
    return halving(np.nan_to_num(np.asarray(losses, dtype=float), nan=-np.inf), eta)


def revives(losses, eta=3):
    losses = np.asarray(losses, dtype=float)
    everyone = [halving(losses[:, rung : rung + 1], eta)[0] for rung in range(losses.shape[1])]
    return [numbers[: len(losses) // eta**rung] for rung, numbers in enumerate(everyone)]


suspects = {"A": revives, "B": old_losses, "C": diverged_first}
# bug: (who has it, what brings it to light)
BUGS = {
    "compares the losses of the first rung for ever": ("B", "losses whose order changes at the second rung"),
    "takes back what was stopped": ("A", "a training that is last at the first rung and first at the second"),
    "a diverged training counts as the best": ("C", "a loss of nan"),
    "lets the highest losses go on": (None, "losses in a known order"),
    "lets one in two go on": (None, "nine trainings: count them at each rung"),
}


@check.exercise(6)
def which_bug(answer):
    convict(answer, suspects, BUGS, "give it {} and see who goes on")
    return "All three return some net at the end, and none raises an error."


@check.exercise(7)
def curse(answer):
    """How far below the truth the best of 30 losses lies, if all nets are equal and noise is normal, std 0.1."""
    mistaken(answer, 0.1 / math.sqrt(30), "That is the error of the mean of 30; the lowest is asked for.", 1e-3)
    mistaken(answer, 0.0, "Each single loss is right on average; the lowest of 30 is not.", 1e-6)
    mistaken(answer, 0.1, "That is the error of one loss; you look at the lowest of 30.", 1e-6)
    mistaken(answer, -0.2043, "How far below: a positive number.", 0.006)
    mistaken(answer, 0.1 * math.sqrt(2 * math.log(30)), "That is a bound, near for very many; 30 are few.", 0.006)
    near(answer, 0.2043, 0.006, "Draw 30 normal numbers many times, and take the mean of the lowest.")
    return "Two standard deviations, for the luck of being chosen; though its settings were no better."
