"""The judges of the chapter on 120 breeds: the right answer passes, each typical mistake is named."""

import numpy as np

from lib.exercises.breeds import best, check, own, reached
from tests.exercises.judging import exercise_tests


def gradient(x, delta):
    _, rows, columns = delta.shape
    places = np.ndindex(3, 3)
    return np.reshape([(x[:, a : a + rows, b : b + columns] * delta).sum() for a, b in places], (3, 3))


def permuted(W, height, width, channels):
    return W.reshape(height, width, channels, -1).transpose(3, 2, 0, 1).reshape(W.shape[1], -1)


BEFORE = reached("adam", 0.001, "test") - reached("momentum", 0.001, "test")
AFTER = own("adam", "test") - own("momentum", "test")

RIGHT = [
    (1, (51_264, 13_107_200)),
    (2, gradient),
    (2, lambda x, delta: gradient(x, delta).tolist()),
    (3, (0.0015625, 0.00015625, 0.003)),
    (3, [0.1 / 64, 0.01 / 64, 0.003]),
    (4, permuted),
    (4, lambda W, h, w, c: np.moveaxis(W.T.reshape(-1, h, w, c), -1, 1).reshape(W.shape[1], -1)),
    (5, 3.255e-4),
    (6, 4756),
    (6, 4800),
    (7, AFTER / BEFORE),
    (7, round(AFTER / BEFORE, 2)),
]

WRONG = [
    (1, (51_200, 13_107_200), "a bias for each output"),
    (1, (25 * 64 + 64, 13_107_200), "all 32 channels"),
    (1, (256 * 51_264, 13_107_200), "has the same ones"),
    (1, (800, 13_107_200), "then the biases"),
    (1, (51_264, 144 * 51_200), "not 12 x 12"),
    (1, (51_264, 256 * 51_264), "multiplies nothing"),
    (1, (51_264, 51_200), "used once"),
    (1, 51_264, "Two numbers are asked for"),
    (2, lambda x, delta: gradient(x, delta)[None], "shape of the filter"),
    (2, lambda x, delta: gradient(x, delta) / 4, "no mean to take"),
    (2, lambda x, delta: gradient(x, delta) / 20, "Sum over the places"),
    (2, lambda x, delta: gradient(x, delta)[::-1, ::-1], "flipped"),
    (2, lambda x, delta: gradient(x, delta).T, "exchanged"),
    (2, lambda x, delta: gradient(x[:1], delta[:1]), "the shifted image times delta"),
    (2, lambda x, delta: None, "returned None"),
    (3, (6.4, 0.01 / 64, 0.003), "must make up for it"),
    (3, (0.1, 0.01 / 64, 0.003), "64 times as long"),
    (3, (0.0125, 0.01 / 64, 0.003), "a root is for"),
    (3, (0.01, 0.01 / 64, 0.003), "the same step"),
    (3, (0.1 / 64, 0.01, 0.003), "a sum of gradients, and each"),
    (3, (0.1 / 64, 0.1, 0.003), "undoes a factor of 64"),
    (3, (0.1 / 64, 0.01 / 64, 0.003 / 64), "their ratio"),
    (3, (0.1 / 64, 0.01 / 64, 0.003 / 8), "their ratio"),
    (3, (0.1 / 64, 0.01 / 64, 0.03), "when all gradients grow alike"),
    (3, (0.1 / 64, 0.003), "Three numbers are asked for"),
    (4, lambda W, h, w, c: W, "outputs first"),
    (4, lambda W, h, w, c: permuted(W, h, w, c).T, "The order of the rows is right"),
    (4, lambda W, h, w, c: W.ravel(), "(outputs, inputs)"),
    (4, lambda W, h, w, c: W.T, "still listed pixel by pixel"),
    (4, lambda W, h, w, c: W.reshape(h, w, c, -1).transpose(3, 2, 1, 0).reshape(W.shape[1], -1), "column by column"),
    (4, lambda W, h, w, c: W.reshape(c, h, w, -1).transpose(3, 1, 2, 0).reshape(W.shape[1], -1), "take them apart as"),
    (4, lambda W, h, w, c: permuted(W, h, w, c)[::-1], "then put channels first"),
    (5, 1.2 / 4096, "mean of 0.9"),
    (5, 1.2 / 64 / 0.9, "drawn by lot"),
    (5, 1 / 4096 / 0.9, "One deviation is 1.2"),
    (5, 4096 * 0.9 / 1.2, "The other way round"),
    (5, 0.001, "to be one deviation"),
    (6, 2400, "the errors of both"),
    (6, 1189, "two errors, not one"),
    (6, 9512, "Variances are added"),
    (6, 69, "square both sides"),
    (6, 1000, "is to be 0.02"),
    (7, 1 - AFTER / BEFORE, "the share that goes"),
    (7, AFTER, "divide it by the lead"),
    (7, BEFORE, "which part of it is left"),
    (7, 0.5, "each at its own rate"),
]
if not np.isclose(best("adam", "test", "test") - best("momentum", "test", "test"), AFTER):
    WRONG.append((7, (best("adam", "test", "test") - best("momentum", "test", "test")) / BEFORE, "half that chooses"))

test_right, test_wrong, test_open = exercise_tests(check, RIGHT, WRONG)
