"""gradient_descent is x - lr g, and so is each framework's SGD."""

import numpy as np

from lib.optimizers import gradient_descent
from tests.optimizers.proofs import agrees, disagrees, translates

test_agrees = agrees("gradient_descent")
test_translates = translates("gradient_descent")
test_disagrees = disagrees(
    "gradient_descent",
    ascent=lambda x, g, *, lr: x + lr * g,
    decayed_rate=lambda x, g, *, lr: x - 0.9 * lr * g,
    no_rate=lambda x, g, *, lr: x - 1e-6 * np.sign(g),
)


def test_by_hand():
    assert gradient_descent(np.array([1.0, -2.0]), np.array([0.5, 4.0]), lr=0.25).tolist() == [0.875, -3.0]
