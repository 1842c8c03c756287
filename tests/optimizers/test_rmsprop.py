"""rmsprop is Hinton's slide with eps outside the root (PyTorch); Keras and optax put it inside."""

import numpy as np

from lib.optimizers import rmsprop
from tests.optimizers.proofs import agrees, disagrees, translates

test_agrees = agrees("rmsprop")
test_translates = translates("rmsprop")
test_disagrees = disagrees(
    "rmsprop",
    eps_in_the_root=lambda x, g, v, *, lr, rho, eps: (x - lr * g / np.sqrt((v := rho * v + (1 - rho) * g**2) + eps), v),
    swapped_weights=lambda x, g, v, *, lr, rho, eps: (x - lr * g / (np.sqrt(v := (1 - rho) * v + rho * g**2) + eps), v),
    average_of_gradients=lambda x, g, v, *, lr, rho, eps: (
        x - lr * g / (np.abs(v := rho * v + (1 - rho) * g) + eps),
        v,
    ),
    frozen_average=lambda x, g, v, *, lr, rho, eps: (x - lr * g / (np.sqrt((1 - rho) * g**2) + eps), v),
)
test_keras_disagrees = disagrees("rmsprop", framework="keras", paper=rmsprop)


def test_by_hand():
    x, v = rmsprop(np.array([1.0]), np.array([4.0]), np.array([2.0]), lr=0.5, rho=0.5, eps=0.0)
    assert (float(x[0]), float(v[0])) == (1 - 2 / 3, 9.0)
