"""The judges of the chapter on stochastic gradients: the right answer passes, each typical mistake is named."""

import numpy as np

from lib.exercises.stochastic_gradients import check
from tests.exercises.judging import exercise_tests


def epoch(n, size, rng):
    order = rng.permutation(n)
    return [order[i : i + size] for i in range(0, n, size)]


def plain_lists(n, size, rng):
    return [list(batch) for batch in epoch(n, size, rng)]


def drawn(n, size, rng):
    return [rng.integers(0, n, size) for _ in range(-(-n // size))]


def unshuffled(n, size, rng):
    return [np.arange(n)[i : i + size] for i in range(0, n, size)]


def batches_shuffled(n, size, rng):
    parts = unshuffled(n, size, rng)[:-1]
    rng.shuffle(parts)
    return [*parts, np.arange(n)[8:]]


def own_generator(n, size, rng):
    seed = rng.bit_generator.seed_seq.entropy
    return epoch(n, size, np.random.default_rng(seed))


def short(n, size, rng):
    return epoch(n, size, rng)[:-1]


RIGHT = [
    (1, (80, 75)),
    (2, (2, 36)),
    (2, np.array([2.0, 36.0])),
    (3, epoch),
    (3, plain_lists),
    (4, {"A": "same order in every epoch", "B": "draws with replacement", "C": "same examples always dropped"}),
    (5, 40),
    (6, (0.8, 0.24)),
    (7, (300, 30_000)),
    (8, 25),
    (9, (0.1, 0.0005)),
]

WRONG = [
    (1, 80, "Two numbers"),
    (1, (16, 15), "one epoch"),
    (1, (75, 80), "wrong order"),
    (1, (78.125, 75), "whole numbers"),
    (1, (79, 75), "in each epoch"),
    (1, (80, 80), "full batches"),
    (1, (85, 75), "may be short"),
    (2, 2, "Two numbers"),
    (2, (4, 36), "take the root"),
    (2, (12, 36), "Divide the trace"),
    (2, (3, 36), "trace divided by B"),
    (2, (2, 18), "halves the variance"),
    (2, (2, 81), "to a third"),
    (2, (2, 9), "root of B"),
    (3, lambda n, size, rng: ..., "still returns the dots"),
    (3, lambda n, size, rng: np.arange(n), "list of index arrays"),
    (3, drawn, "comes twice"),
    (3, short, "not each of 0"),
    (3, lambda n, size, rng: epoch(n, size + 1, rng), "the sizes 4, 4 and 2"),
    (3, unshuffled, "order is the same"),
    (3, lambda n, size, rng: epoch(n, size, np.random.default_rng(0)), "order is the same"),
    (3, batches_shuffled, "order is the same"),
    (3, own_generator, "one order"),
    (4, "A", "A dict with one fault"),
    (4, {"A": "short batch first"}, "A dict with one fault"),
    (4, {"A": "no fault", "B": "wrong sizes", "C": "wrong sizes"}, "'no fault' is not on the list"),
    (4, {"A": "draws with replacement", "B": "wrong sizes", "C": "wrong sizes"}, "count how often"),
    (
        4,
        {"A": "same order in every epoch", "B": "short batch first", "C": "wrong sizes"},
        "look at the lengths",
    ),
    (5, 5 / 1.4, "separate them"),
    (5, 1 / 40, "Upside down"),
    (5, np.sqrt(40), "no root"),
    (5, 4.0, "trace itself"),
    (5, 10, "Solve"),
    (6, 0.8, "Two numbers"),
    (6, (0.1 * 8**0.5, 0.24), "That is the root"),
    (6, (0.4, 0.24), "eight times the rate"),
    (6, (0.24, 0.8), "wrong order"),
    (6, (0.8, 0.3), "has some"),
    (6, (0.8, 0.08), "without noise first"),
    (6, (0.8, 0.8), "has ended"),
    (6, (0.8, 0.2), "put in 256"),
    (7, 300, "Two numbers"),
    (7, (30_000, 300), "wrong order"),
    (7, (600, 30_000), "the fewer the steps"),
    (7, (100, 10_000), "too noisy"),
    (7, (200, 30_000), "least examples over"),
    (7, (300, 10_000), "batch size times steps"),
    (8, 0.1 * 3 / (2 * 1.8 * 0.01), "squared"),
    (8, 22.5, "not 2"),
    (8, 50, "curvature"),
    (8, 26, "smaller one does"),
    (8, 0.25, "single example"),
    (8, 24, "Solve"),
    (9, 0.1, "Two numbers"),
    (9, (0.00004, 0.0005), "other way round"),
    (9, (1, 0.0005), "50 times their mean"),
    (9, (0.1, 0.008), "divide"),
    (9, (0.1, 0.1), "for the mean"),
    (9, (0.1, 0.002), "stay what it is"),
]


test_a_right_answer_passes, test_a_mistake_is_named, test_every_exercise_starts_open = exercise_tests(
    check, RIGHT, WRONG
)
