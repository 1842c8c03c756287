"""adam is Algorithm 1 of Kingma & Ba, PyTorch's and optax's; Keras adds eps before it removes the bias of v."""

import inspect

import numpy as np
import pytest

from lib.dialects import keras
from lib.optimizers import adam, rule
from lib.referees import record, replay
from tests.optimizers.proofs import BOUND, agrees, disagrees, translates

test_agrees = agrees("adam")
test_translates = translates("adam")


def _wrong(beta1_for_v=False, correct=True, eps_in_root=False, step=lambda t: t):
    def adam(x, g, m, v, t, *, lr, beta1, beta2, eps):
        b1, b2 = (beta2, beta1) if beta1_for_v else (beta1, beta2)
        m, v, t = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2, step(t)
        m_hat, v_hat = (m / (1 - b1**t), v / (1 - b2**t)) if correct else (m, v)
        denominator = np.sqrt(v_hat + eps) if eps_in_root else np.sqrt(v_hat) + eps
        return x - lr * m_hat / denominator, m, v

    return adam


test_disagrees = disagrees(
    "adam",
    swapped_betas=_wrong(beta1_for_v=True),
    no_bias_correction=_wrong(correct=False),
    eps_in_the_root=_wrong(eps_in_root=True),
    t_never_counts=_wrong(step=lambda t: 1),
    t_one_ahead=_wrong(step=lambda t: t + 1),
    keras=keras.adam,
)
test_keras_disagrees = disagrees("adam", framework="keras", paper=adam)


def test_the_right_form_of_the_wrong_ones_is_right():
    """`_wrong` with no fault planted is adam, so that what `test_disagrees` rejects is the fault."""
    right = _wrong()
    right.__signature__ = inspect.signature(adam)
    right = rule(right)
    assert (replay(right, record(50)) == replay(adam, record(50))).all()


def test_by_hand():
    """Two steps on gradients 4 and -2 with beta1 = 1/2, beta2 = 3/4, lr = 1/2, eps = 1."""
    x, m, v = adam(np.array([1.0]), np.array([4.0]), 0.0, 0.0, 1, lr=0.5, beta1=0.5, beta2=0.75, eps=1.0)
    assert (float(m[0]), float(v[0]), float(x[0])) == (2.0, 4.0, 1 - 0.5 * 4 / 5)
    x, m, v = adam(x, np.array([-2.0]), m, v, 2, lr=0.5, beta1=0.5, beta2=0.75, eps=1.0)
    assert (float(m[0]), float(v[0])) == (0.0, 4.0)
    assert float(x[0]) == 0.6


def test_first_step_is_the_rate():
    x, _, _ = adam(np.zeros(3), np.array([1e-3, -1.0, 1e3]), 0.0, 0.0, 1, lr=0.1, eps=0.0)
    assert x == pytest.approx([-0.1, 0.1, -0.1], rel=1e-15)


def test_the_eps_that_maps_keras_to_the_paper():
    """Keras' eps, divided by sqrt(1 - beta2**t) at each step, is the paper's."""
    recording = record(200, 1e-7)
    theirs = replay(keras.adam, recording, learning_rate=0.01, epsilon=1e-7)
    ours = replay(adam, recording, lr=0.01, eps=lambda step: 1e-7 / np.sqrt(1 - 0.999 ** (step + 1)))
    assert np.abs(ours - theirs).max() <= BOUND
