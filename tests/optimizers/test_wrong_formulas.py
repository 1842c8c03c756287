"""Every wrong update rule of the four source documents, and of teaching material that many learn from, planted one by
one: each is told apart from PyTorch. Their wrong schedules are in ``tests/test_schedules.py``.
"""

import numpy as np
import pytest

from lib.optimizers import adadelta, adagrad, adam, gradient_descent, rmsprop, rule
from lib.referees import compare, record, replay
from tests.optimizers.proofs import disagrees

# ---------- Adagrad ----------


@rule
def _dynamic_descent(x, g, t, *, lr, eps):
    """000: "dynamic gradient descent (Adagrad)" is gradient descent with a rate that decays."""
    return x - lr * 0.9**t * g


test_adagrad = disagrees(
    "adagrad",
    source_000_a_rate_that_decays=_dynamic_descent,
    sources_001_002_and_003_eps_in_the_root=lambda x, g, G, *, lr, eps: (
        x - lr * g / np.sqrt((G := G + g**2) + eps),
        G,
    ),
    source_001_the_whole_matrix=lambda x, g, G, *, lr, eps: (x - lr * g / (np.sqrt((G := G + g**2).sum()) + eps), G),
)

# ---------- RMSProp ----------


@rule
def _decaying_rmsprop(x, g, v, t, *, lr, rho, eps):
    """000: the rate decays inside the algorithm."""
    v = rho * v + (1 - rho) * g**2
    return x - lr * 0.9**t * g / np.sqrt(v + eps), v


@rule
def _frozen_rmsprop(x, g, v, t, *, lr, rho, eps):
    """000 to the letter: "repeat steps 2 and 5" skips the one that updates the average."""
    v = (1 - rho) * g**2 if t == 1 else v
    return x - lr * g / np.sqrt(v + eps), v


@rule
def _shrunk_adagrad(x, g, G, *, lr, rho, eps):
    """002: a sum of all squares, times the decay rate."""
    G = G + g**2
    return x - lr * g / np.sqrt(rho * G + eps), G


test_rmsprop = disagrees(
    "rmsprop",
    source_000_the_rate_decays=_decaying_rmsprop,
    source_000_to_the_letter=_frozen_rmsprop,
    sources_001_and_003_and_fastbook_eps_in_the_root=lambda x, g, v, *, lr, rho, eps: (
        x - lr * g / np.sqrt((v := rho * v + (1 - rho) * g**2) + eps),
        v,
    ),
    source_002_a_sum=_shrunk_adagrad,
)


def test_source_002_s_rmsprop_is_adagrad():
    """At a rate 1 / sqrt(decay rate) times as large."""
    recording = record(200, 1.0)
    theirs = replay(_shrunk_adagrad, recording, lr=0.01, rho=0.9, eps=0.0)
    assert compare(replay(adagrad, recording, lr=0.01 / 0.9**0.5, eps=0.0), theirs).absolute <= 1e-14


# ---------- Adadelta ----------


@rule
def _adadelta_of_001(x, g, v, *, lr, rho, eps):
    """001: the root mean square of the steps is missing."""
    v = rho * v + (1 - rho) * g**2
    return x - lr * g / np.sqrt(v + eps), v


test_adadelta = disagrees("adadelta", source_001_without_the_steps=_adadelta_of_001)


def test_source_001_s_adadelta_is_rmsprop():
    recording = record(200, 1.0)
    theirs = replay(_adadelta_of_001, recording, lr=0.01, rho=0.9, eps=0.0)
    assert compare(replay(rmsprop, recording, lr=0.01, rho=0.9, eps=0.0), theirs).absolute <= 1e-14
    assert compare(replay(adadelta, recording, lr=1.0, rho=0.9, eps=1e-6), theirs).absolute > 0.1


# ---------- Adam ----------


def _adam(rate=lambda t: 1.0, swapped=False, corrected=True, step=lambda t: t, divide=lambda v, eps: np.sqrt(v) + eps):
    @rule
    def adam(x, g, m, v, t, *, lr, beta1, beta2, eps):
        b1, b2 = (beta2, beta1) if swapped else (beta1, beta2)
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        c1, c2 = (1 - b1 ** step(t), 1 - b2 ** step(t)) if corrected else (1, 1)
        return x - lr * rate(t) * (m / c1) / divide(v / c2, eps), m, v

    return adam


@rule
def _adam_of_d2l(x, g, m, v, t, *, lr, beta1, beta2, eps):
    """d2l-en chapter_optimization/adam.md, TensorFlow's tab: eps is added to x, and t stays 1."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    return x - lr * (m / (1 - beta1)) / np.sqrt(v / (1 - beta2)) + eps, m, v


@rule
def _adam_of_fastbook(x, g, m, v, t, *, lr, beta1, beta2, eps):
    """fastbook 16_accel_sgd.ipynb, in prose: the average of squares keeps its bias, and eps is in the root."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    return x - lr * m / (1 - beta1**t) / np.sqrt(v + eps), m, v


@rule
def _adam_of_labml(x, g, m, v, t, *, lr, beta1, beta2, eps):
    """labml_nn/optimizers/adam.py, in prose: the faster form, with an eps that lacks a root."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    eps_hat = (1 - beta2**t) * eps
    return x - lr * np.sqrt(1 - beta2**t) / (1 - beta1**t) * m / (np.sqrt(v) + eps_hat), m, v


def _in_the_root(v, eps):
    return np.sqrt(v + eps)


@rule
def _adam_of_003(x, g, m, v, t, *, lr, beta1, beta2, eps):
    """003's code: right, but Keras' form, with another eps, and not that of its own formulas."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    return x - lr * np.sqrt(1 - beta2**t) / (1 - beta1**t) * m / (np.sqrt(v) + eps), m, v


test_adam = disagrees(
    "adam",
    source_000=_adam(rate=lambda t: 0.9**t, swapped=True, corrected=False, divide=_in_the_root),
    source_000_the_rate_decays=_adam(rate=lambda t: 0.9**t),
    source_000_betas_swapped=_adam(swapped=True),
    source_000_eps_in_the_root=_adam(divide=_in_the_root),
    source_002_no_bias_correction=_adam(corrected=False),
    source_003_its_code=_adam_of_003,
    d2l=_adam_of_d2l,
    d2l_t_never_counts=_adam(step=lambda t: 1),
    labml_prose_no_root=_adam(divide=lambda v, eps: v + eps),
    labml_prose_eps_hat=_adam_of_labml,
    fastbook_prose=_adam_of_fastbook,
)


def test_the_right_form_of_the_wrong_ones_is_right():
    given = {"lr": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
    paths = [replay(f, record(50), **given) for f in (_adam(), adam)]
    assert (paths[0] == paths[1]).all()


def test_d2l_s_toy():
    """20 steps on 0.1 a**2 + 2 b**2 from (-5, -2): d2l's own numbers, wrong and right."""
    ends = {}
    for f in (_adam_of_d2l, adam):
        x, m, v = np.array([-5.0, -2.0]), np.zeros(2), np.zeros(2)
        for t in range(1, 21):
            x, m, v = f(x, np.array([0.2, 4.0]) * x, m, v, t, lr=0.01, beta1=0.9, beta2=0.999, eps=1e-6)
        ends[f] = x
    assert ends[adam] == pytest.approx([-4.800, -1.801], abs=5e-4)
    assert ends[_adam_of_d2l] == pytest.approx([-4.623, -1.626], abs=5e-4)


# ---------- the direction ----------


def test_sources_000_and_002_along_the_gradient():
    """Both say that the parameter moves along the gradient: uphill."""
    recording = record(50, 1.0)
    uphill = rule(lambda x, g, *, lr: x + lr * g)
    assert compare(replay(uphill, recording, lr=0.01), replay(gradient_descent, recording, lr=0.01)).absolute > 0.01
