"""The judges of the chapter on generalization: the right answer passes, each typical mistake is named."""

import numpy as np

from lib.exercises.generalization import check
from lib.experiments.generalization import ridge
from tests.exercises.judging import exercise_tests


def solved(gram_by=None, target_by=None, add=np.eye):
    """Ridge with other divisors, or with another matrix added."""

    def weights(features, target, decay):
        n = len(target)
        gram = features.T @ features / (gram_by or n)
        return np.linalg.solve(gram + decay * add(len(gram)), features.T @ target / (target_by or n))

    return weights


def patient(losses, patience):
    return len(losses) - 1 - int(np.argmin(losses)) >= patience


def rises_in_a_row(losses, patience):
    return len(losses) > patience and all(np.diff(losses[-patience - 1 :]) >= 0)


def last_of_equals(losses, patience):
    return int(np.argmin(losses[::-1])) >= patience


draws = np.random.default_rng(0).binomial(100, 0.5, (3000, 100)).max(axis=1).mean() / 100

RIGHT = [
    (1, ["overfitting", "just right", "underfitting"]),
    (1, ("overfitting", "just right", "underfitting")),
    (1, ["Overfitting", "Just right", "Underfitting"]),
    (2, (4, 2, 6.25)),
    (3, ridge),
    (3, solved()),
    (4, ["A", "C", "D"]),
    (4, ("d", "a", "c")),
    (4, "ACD"),
    (5, (2000, 1 - 0.9995**2000)),
    (5, (2000, 0.632)),
    (5, (2000, 0.63)),
    (6, patient),
    (6, lambda losses, patience: np.bool_(patient(losses, patience))),
    (7, (0.25, 16)),
    (8, [[-0.5, 1.5], [-1.25, 1.25]]),
    (8, (np.array([-0.5, 1.5]), np.array([-1.251, 1.249]))),
    (9, draws),
]

WRONG = [
    (1, "overfitting", "A list of three"),
    (1, ["overfitting", "fine", "underfitting"], "each one of"),
    (1, ["underfitting", "just right", "overfitting"], "no underfitting"),
    (1, ["overfitting", "just right", "overfitting"], "by heart"),
    (1, ["overfitting", "underfitting", "underfitting"], "what is possible"),
    (2, (4, 2), "Three numbers"),
    (2, (-2, 2, 6.25), "squared"),
    (2, (1, 2, 6.25), "square it"),
    (2, (4, 8 / 3, 6.25), "Divide by 4"),
    (2, (4, np.sqrt(2), 6.25), "standard deviation"),
    (2, (4, 3, 6.25), "their own mean"),
    (2, (4, 2, 6), "noise as well"),
    (2, (4, 2, 6.5), "square of its standard deviation"),
    (2, (4, 2, 7), "Add squared bias"),
    (3, lambda *_: ..., "still returns the dots"),
    (3, solved(gram_by=1, target_by=1), "by the examples, too"),
    (3, solved(add=lambda n: np.zeros((n, n))), "Add the decay to the diagonal"),
    (3, solved(target_by=64), "not twice"),
    (3, solved(target_by=1), "target by the number"),
    (3, solved(add=lambda n: np.ones((n, n))), "times np.eye"),
    (3, solved(add=lambda n: 2 * np.eye(n)), "Solve"),
    (4, 3, "list of letters"),
    (4, ["A", "F"], "from A to E"),
    (4, ["A", "B", "C", "D"], "no test patient"),
    (4, ["A", "C", "D", "E"], "before the cut"),
    (4, ["A", "D"], "the epoch"),
    (4, ["A", "C"], "neighbors"),
    (4, ["C", "D"], "which pictures"),
    (4, [], "the epoch"),
    (5, 2000, "Two numbers"),
    (5, (100, 0.632), "one step takes"),
    (5, (5, 0.632), "do not multiply"),
    (5, (200, 0.632), "The product of rate and steps"),
    (5, (2000, 0.5), "what the decay keeps"),
    (5, (2000, 0.368), "still missing"),
    (5, (2000, 0.7), "Each step leaves"),
    (6, lambda losses, patience: ..., "still returns the dots"),
    (6, lambda losses, patience: False, "Two looks without a new low"),
    (6, lambda losses, patience: losses[-1] > min(losses), "less than the patience"),
    (6, rises_in_a_row, "not below the best"),
    (6, last_of_equals, "no new low"),
    (6, lambda losses, patience: len(losses) - 1 - int(np.argmin(losses)) == patience, "long enough"),
    (6, lambda losses, patience: bool(np.argmin(losses)) and patient(losses, patience), "the first look"),
    (6, lambda losses, patience: True, "nothing to compare"),
    (7, 0.25, "Two numbers"),
    (7, (0.125, 16), "best"),
    (7, (4, 16), "Upside down"),
    (7, (0.3, 16), "Solve"),
    (7, (0.25, 4), "not less"),
    (7, (0.25, 8), "half the rate"),
    (8, (2, 1), "pair of pairs"),
    (8, [[2, 1, 0], [1, 1, 1]], "pair of pairs"),
    (8, [[-1.25, 1.25], [-0.5, 1.5]], "wrong order"),
    (8, [[-1, 3], [-1.25, 1.25]], "how far"),
    (8, [[1, 2], [-1.25, 1.25]], "only row"),
    (8, [[-0.5, 1.5], [-1, 1]], "how far"),
    (8, [[-0.5, 1.5], [2.5, 2.5]], "negative"),
    (8, [[-0.5, 1.5], [-0.5, 1.5]], "the signs"),
    (9, 0.5, "picked for its luck"),
    (9, 0.55, "luckier"),
    (9, 1.0, "Even the luckiest"),
    (9, 0.7, "Draw 100 binomials"),
]


test_a_right_answer_passes, test_a_mistake_is_named, test_every_exercise_starts_open = exercise_tests(
    check, RIGHT, WRONG
)
