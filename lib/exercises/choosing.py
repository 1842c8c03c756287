"""The exercises of the page on choosing a learning rate."""

from math import isclose

import numpy as np

from lib.exercises import Exercises, Wrong, mistaken, near, result_of, several

check = Exercises()


@check.exercise(1)
def three_rates(answer):
    """Three rates to train at, from an edge of 0.4 that the usual average reads for Adam."""
    rates = np.sort(np.asarray(several(answer, "(low, middle, high)"), dtype=float))
    near(rates[2] / rates[1], 3.0, 0.2, "A factor of 3 apart: finer is wasted before you know the power of ten.")
    near(rates[1] / rates[0], 3.0, 0.2, "A factor of 3 apart: finer is wasted before you know the power of ten.")
    mistaken(rates[1], 0.4, "There the loss is about to burst, and the usual average reads that too late.", 0.02)
    mistaken(rates[1], 0.1, "A quarter is the share if the average looks both ways; this one trails.", 0.02)
    mistaken(rates[1], 0.2, "A half is the share for gradient descent.", 0.02)
    near(rates[1], 0.04, 0.005, "The one in the middle: which share of the edge, for Adam and an average that trails?")
    return "A tenth of an edge that was read too high."


@check.exercise(2)
def batch_and_rate(answer):
    """(rate for batches of 256, rate for batches of 16,384), from 0.05 at 32 and a noise scale of 2,000."""
    first, second = several(answer, "(at 256, at 16384)")
    best = lambda batch: 0.05 * (1 + 2000 / 32) / (1 + 2000 / batch)
    mistaken(first, 0.05, "The old rate is now lower than it may be: a larger batch is less noisy.")
    mistaken(first, 0.05 / 8, "A larger batch is less noisy: the rate may rise.")
    mistaken(first, 0.4, "In proportion is the rule far below the noise scale; the formula gives somewhat less.")
    near(first, best(256), 0.005, "at 256: the best rate goes as 1 / (1 + noise scale / batch).")
    mistaken(second, 0.05 * 512, "In proportion, far above the noise scale? There a larger batch gains nothing.", 0.01)
    near(second, best(16384), 0.02, "at 16384: the same formula, with a batch above the noise scale.")
    return "Then three rates around it: a formula is no measurement."


FLAWS = {
    "A": ("one rate for both", "are both at a rate that suits them?"),
    "B": ("chosen on the test set", "what was the setting chosen by?"),
    "C": ("within the spread", "how far apart are two seeds of one setting?"),
}
CHOICES = [*(flaw for flaw, _ in FLAWS.values()), "not the whole schedule"]


@check.exercise(3)
def flaws(answer):
    """{report: its flaw}."""
    _matched(answer, FLAWS, CHOICES)
    return "None of the three tells which is better."


def _matched(answer, expected, choices):
    """Raise `Wrong` unless ``answer`` has what is ``expected``, {letter: (choice, question that leads to it)}."""
    if not isinstance(answer, dict) or answer.keys() != expected.keys():
        asked = ", ".join(f'"{letter}": ...' for letter in expected)
        raise Wrong(f"A dict is asked for: {{{asked}}}.")
    for letter, choice in answer.items():
        if choice not in choices:
            raise Wrong(f"{letter}: {choice!r} is not on the list: {', '.join(choices)}.")
        right, question = expected[letter]
        if choice != right:
            raise Wrong(f"{letter}: ask yourself: {question}")


@check.exercise(4)
def chooser(answer):
    """A function that takes ``train`` and returns the best rate, inside of what it tried."""
    for best, bursts in (0.0123, np.inf), (0.7, np.inf), (2e-5, np.inf), (0.03, np.inf), (0.01, 0.02), (2e-5, 2e-4):
        seen = {}

        def train(rate, best=best, bursts=bursts, seen=seen):
            if any(isclose(rate, old, rel_tol=1e-6) for old in seen):
                raise Wrong(f"Your function trains at {rate:.3g} twice: keep what is known.")
            if len(seen) > 30:
                raise Wrong("Your function trains more than 30 times: does it ever stop?")
            seen[rate] = np.inf if rate > bursts else 0.1 + abs(np.log(rate / best))
            return seen[rate]

        found = result_of(answer, train)
        if not seen:
            raise Wrong("Your function never calls train.")
        match = [rate for rate in seen if isclose(found, rate, rel_tol=1e-6)]
        if not match:
            raise Wrong(f"It returns {found!r}, a rate that it did not train at.")
        if seen[match[0]] == np.inf:
            raise Wrong(f"It returns {found:.3g}, where the training diverged: if all do, the lowest is the edge.")
        top = min(seen, key=seen.get)
        if match[0] != top:
            raise Wrong(f"It returns {found:.3g}, but {top:.3g} had the lower loss.")
        if top in (min(seen), max(seen)):
            raise Wrong("The rate that it returns is at the edge of what it tried.")
        need = 3 + max(0, round(abs(np.log(best / 0.01)) / np.log(3)))
        if len(seen) > need + 1:
            raise Wrong(f"It trains {len(seen)} times where {need} suffice: a factor of 3 each, and only on one side.")
    return "Three trainings, and one more for each time that the best is at the edge."


MOVES = {
    "A": ("another net", "how far did the loss fall in the test?"),
    "B": ("clip at 5", "what does one such gradient leave in v, and what is the usual size?"),
    "C": ("a lower rate, judged on both", "what does a higher rate cost that the new examples do not show?"),
    "D": ("a test of lower rates", "at which rate did the test begin, and was the net still whole when it got there?"),
}
POSSIBLE = [*(move for move, _ in MOVES.values()), "a longer schedule"]


@check.exercise(5)
def first_move(answer):
    """{situation: what to do first}."""
    _matched(answer, MOVES, POSSIBLE)
    return "Two of the four are questions of the rate."
