"""adadelta is Zeiler's Algorithm 1; every framework agrees, given the same rate."""

import numpy as np

from lib.optimizers import adadelta
from tests.optimizers.proofs import agrees, disagrees, translates

test_agrees = agrees("adadelta")
test_translates = translates("adadelta")


def _without_units(x, g, v, u, *, lr, rho, eps):  # the formula of source document 001: RMSProp by another name
    v = rho * v + (1 - rho) * g**2
    return x - lr * g / np.sqrt(v + eps), v, u


def _new_steps_first(x, g, v, u, *, lr, rho, eps):
    v = rho * v + (1 - rho) * g**2
    step = np.sqrt(rho * u + eps) / np.sqrt(v + eps) * g
    u = rho * u + (1 - rho) * step**2
    return x - lr * step, v, u


def _eps_outside(x, g, v, u, *, lr, rho, eps):
    v = rho * v + (1 - rho) * g**2
    step = (np.sqrt(u) + eps) / (np.sqrt(v) + eps) * g
    return x - lr * step, v, rho * u + (1 - rho) * step**2


def _gradients_for_steps(x, g, v, u, *, lr, rho, eps):
    v = rho * v + (1 - rho) * g**2
    step = np.sqrt(u + eps) / np.sqrt(v + eps) * g
    return x - lr * step, v, rho * u + (1 - rho) * g**2


test_disagrees = disagrees(
    "adadelta",
    without_units=_without_units,
    new_steps_first=_new_steps_first,
    eps_outside=_eps_outside,
    gradients_for_steps=_gradients_for_steps,
)


def test_by_hand():
    x, v, u = adadelta(np.array([1.0]), np.array([4.0]), np.array([2.0]), np.array([9.0]), lr=1.0, rho=0.5, eps=0.0)
    assert (float(x[0]), float(v[0]), float(u[0])) == (-3.0, 9.0, 12.5)
