"""The judges of the chapter on an agent: the right answer passes, each typical mistake is named."""

import numpy as np

from lib.exercises.agent import check
from tests.exercises.judging import exercise_tests


def targets(rewards, best, terminated, truncated, discount):
    return rewards + discount * best * ~terminated


def over(end):
    """Targets with another idea of what an end is."""
    return lambda rewards, best, terminated, truncated, discount: targets(
        rewards, best, end(terminated, truncated), truncated, discount
    )


TO_COME = 100 * (1 - 0.99 ** np.arange(1, 501))
PAIR = 1 - np.exp(np.log1p(-np.arange(128) / 10_000).sum())

RIGHT = [
    (1, (230, 184_000)),
    (2, (1.99, 2.62, 1)),
    (3, (0.01 / 1024, 0.16)),
    (3, (9.77e-6, 0.16)),
    (4, targets),
    (4, lambda r, best, over, cut, discount: np.where(over, r, r + discount * best)),
    (5, 100 / (1 + 99 / 500)),
    (5, 83.5),
    (6, (64, PAIR)),
    (6, (64, 0.56)),
    (7, (270, 0.32768)),
    (7, (270, 0.33)),
]

WRONG = [
    (1, (11, 184_000), "10 of the 100"),
    (1, (229.105, 184_000), "round up"),
    (1, (100, 184_000), "0.9 or more"),
    (1, (230, 92_000), "those are updates"),
    (1, (230, 23_000), "each counts"),
    (1, (230, 183_200), "where the period begins"),
    (1, (230, 1000), "periods times 400"),
    (1, 230, "Two numbers are asked for"),
    (2, (2.8, 2.62, 1), "the copy says what the chosen action is worth"),
    (2, (2.71, 2.62, 1), "the other way round"),
    (2, (2.62, 2.62, 1), "the copy's own choice"),
    (2, (1.1, 2.62, 1), "that the net prefers"),
    (2, (1.99, 2.8, 1), "the copy alone"),
    (2, (1.99, 1.99, 1), "the largest value of the copy"),
    (2, (1.99, 2.62, 0), "nothing comes any more"),
    (3, (0.01 / 32, 0.16), "32 counts squared"),
    (3, (0.01 / 128, 0.16), "whether of 32 or of 128"),
    (3, (0.01 / 128**2, 0.16), "whether of 32 or of 128"),
    (3, (0.01, 0.16), "epsilon is not"),
    (3, (1e-4, 0.16), "smaller?"),
    (3, (0.01 / 1024, 0.04), "4 times as large, and"),
    (3, (0.01 / 1024, 0.01), "as of 32"),
    (3, (0.01 / 1024, 1.0), "larger?"),
    (4, lambda *these: targets(*these)[:3], "One target a step"),
    (4, over(lambda terminated, truncated: terminated | truncated), "Cut off is not over"),
    (4, over(lambda terminated, truncated: terminated & False), "nothing more to come"),
    (4, over(lambda terminated, truncated: terminated & ~truncated), "it fell."),
    (4, lambda r, best, terminated, truncated, discount: r + best * ~terminated, "comes later is discounted"),
    (4, over(lambda terminated, truncated: truncated), "unless it is over"),
    (4, lambda r, best, terminated, truncated, discount: r + 0.9 * best * ~terminated, "by the discount given"),
    (4, lambda *these: None, "returned None"),
    (5, 100, "held for ever"),
    (5, 99.3, "what the first step is worth"),
    (5, 250, "not discounted"),
    (5, TO_COME.mean(), "really are worth"),
    (5, 80.3, "really are worth"),
    (5, 83.3, "Set V equal"),
    (5, 50, "Set V equal"),
    (6, (0.0512, PAIR), "for how many does it live"),
    (6, (512, PAIR), "eight come at a time"),
    (6, (10, PAIR), "1,250 steps"),
    (6, (64, 1 - PAIR), "no pair"),
    (6, (64, 0.0128), "count pairs"),
    (6, (64, 0.8), "127/10,000"),
    (7, (260, 0.328), "median"),
    (7, (259.8, 0.328), "mean of all"),
    (7, (250, 0.328), "the lowest and the highest"),
    (7, (270, 0.672), "that hold it"),
    (7, (270, 0.2), "misses it with 4/5"),
    (7, (270, 0.8), "one draw of five"),
    (7, (270, 0.5), "five draws, and each"),
]

test_right, test_wrong, test_open = exercise_tests(check, RIGHT, WRONG)
