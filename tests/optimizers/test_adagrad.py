"""adagrad is Duchi's diagonal form with eps outside the root (PyTorch); Keras and optax put it inside."""

import numpy as np

from lib.optimizers import adagrad
from tests.optimizers.proofs import agrees, disagrees, translates

test_agrees = agrees("adagrad")
test_translates = translates("adagrad")
test_disagrees = disagrees(
    "adagrad",
    eps_in_the_root=lambda x, g, G, *, lr, eps: (x - lr * g / np.sqrt((G := G + g**2) + eps), G),
    forgetting=lambda x, g, G, *, lr, eps: (x - lr * g / (np.sqrt(G := 0.9 * G + 0.1 * g**2) + eps), G),
    old_sum=lambda x, g, G, *, lr, eps: (x - lr * g / (np.sqrt(G) + np.abs(g) + eps), G + g**2),
    no_root=lambda x, g, G, *, lr, eps: (x - lr * g / ((G := G + g**2) + eps), G),
)
test_keras_disagrees = disagrees(
    "adagrad",
    framework="keras",
    # Keras' start of 0.1 outweighs an eps of 1e-7 wherever it stands, so the start is what tells it from the paper.
    start_at_zero=lambda x, g, G, *, learning_rate, epsilon: (
        x - learning_rate * g / np.sqrt(G - np.float32(0.1) + g**2 + epsilon),
        G + g**2,
    ),
)


def test_by_hand():
    x, G = adagrad(np.array([1.0]), np.array([3.0]), np.array([16.0]), lr=0.5, eps=0.0)
    assert (float(x[0]), float(G[0])) == (0.7, 25.0)
