"""radam is Algorithm 2 of Liu et al.; torch and optax rectify from rho = 5 on, not from 4, and torch moves eps."""

import jax
import numpy as np
import pytest

from lib.dialects import optax
from lib.dialects import torch as torch_dialect
from lib.optimizers import adam, radam
from lib.referees import compare, hyperparameters_for, judge, record, referee, replay
from tests.optimizers.proofs import BOUND, agrees, disagrees, translates

test_agrees = agrees("radam")
test_translates = translates("radam")


def _wrong(threshold=5.0, root=np.sqrt, rectified=True, corrected=True, freed=True):
    """torch's rule, a fault planted."""

    def radam(x, g, m, v, t, *, lr, beta1, beta2, eps):
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
        m_hat = m / (1 - beta1**t) if corrected else m
        rho_inf = 2 / (1 - beta2) - 1
        rho = rho_inf - 2 * t * beta2**t / (1 - beta2**t)
        if rho <= threshold:
            return x - lr * m_hat, m, v
        r = root((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho)) if rectified else 1
        c = np.sqrt(1 - beta2**t) if freed else 1
        return x - lr * r * c * m_hat / (np.sqrt(v) + eps), m, v

    return radam


test_disagrees = disagrees(
    "radam",
    paper=radam,
    adam=adam,
    threshold_6=_wrong(threshold=6.0),
    no_rectification=_wrong(rectified=False),
    rectification_without_its_root=_wrong(root=lambda r: r),
    no_bias_correction_before_the_threshold=_wrong(corrected=False),
    v_not_freed_of_its_bias=_wrong(freed=False),
)


def _paper(*arguments, learning_rate, b1, b2, eps, threshold):
    return radam(*arguments, lr=learning_rate, beta1=b1, beta2=b2, eps=eps)


test_optax_disagrees = disagrees("radam", framework="optax", paper=_paper)


@pytest.mark.parametrize("scale", [1e-8, 1.0, (1e-8, 1e4)])
def test_optax_with_a_threshold_of_4_is_the_paper_s(scale):
    recording, hyperparameters = record(200, scale), hyperparameters_for("radam")
    theirs = referee("optax").replay("radam", recording, **hyperparameters, threshold=4.0)
    assert compare(replay(radam, recording, **hyperparameters), theirs).absolute <= BOUND


def test_the_right_form_of_the_wrong_ones_is_right():
    right = _wrong()
    vars(right).update(vars(radam))  # it stands in for that rule
    ours, theirs = (replay(f, record(50, 1.0)) for f in (right, torch_dialect.radam))
    assert compare(ours, theirs).absolute <= 1e-15


def test_by_hand():
    """Before the threshold, momentum freed of its bias; after it, r times Adam.

    With beta2 = 9/10, rho_inf is 19; at t = 10, rho = 19 - 20 p / (1 - p) with p = 9/10 to the tenth.
    """
    given = {"lr": 0.5, "beta1": 0.5, "beta2": 0.9, "eps": 0.0}
    x, m, v = radam(np.array([1.0]), np.array([4.0]), 0.0, 0.0, 1, **given)
    assert (float(x[0]), float(m[0])) == (1 - 0.5 * 4, 2.0)
    assert float(v[0]) == pytest.approx(1.6)
    p = 0.9**10
    rho = 19 - 20 * p / (1 - p)
    assert 4 < rho < 19
    r = ((rho - 4) * (rho - 2) * 19 / (15 * 17 * rho)) ** 0.5
    x, m, v = radam(np.array([1.0]), np.array([4.0]), 2.0, 9.0, 10, **given)
    assert (float(m[0]), float(v[0])) == (3.0, pytest.approx(9.7))
    assert float(x[0]) == pytest.approx(1 - 0.5 * r * (3 / (1 - 0.5**10)) / (9.7 / (1 - p)) ** 0.5)


@pytest.mark.parametrize(
    ("rule", "first"),
    [(radam, 5), (torch_dialect.radam, 6), (lambda *a: optax.radam(*a, learning_rate=0.001), 6)],
    ids=["paper", "torch", "optax"],
)
def test_the_first_steps_grow_with_the_gradient(rule, first):
    """With beta2 = 0.999 a gradient of 1000 makes steps of 1000 rates, until the second moment is trusted."""
    x, m, v = 0.0, 0.0, 0.0
    for t in range(1, 10):
        before = x
        x, m, v = rule(x, 1000.0, m, v, t)
        length = (before - x) / 0.001
        assert length == pytest.approx(1000.0) if t < first else length < 1.0


def test_in_the_long_run_it_is_adam():
    """rho comes to rho_inf, and r to 1."""
    x, y = (rule(np.array([1.0]), np.array([2.0]), 0.5, 3.0, 20_000, lr=0.1)[0] for rule in (radam, adam))
    assert x == pytest.approx(y, rel=1e-6)
    assert x != y


@pytest.mark.parametrize("beta2", [0.0, 1 / 3, 0.5, 0.6, 0.7])
def test_a_short_memory_is_never_trusted(beta2):
    """rho stays below rho_inf, which up to beta2 = 0.6 is at most 4; there r would be 0 / 0, or the root of less."""
    recording = record(100, 1.0)  # after which, at beta2 = 0.6, rho is rounded to 4
    path = replay(radam, recording, lr=0.01, beta2=beta2)
    momentum = replay(radam, recording, lr=0.01, beta2=0.0)
    assert (path == momentum).all() == (beta2 <= 0.6)


@pytest.mark.parametrize("rule", [radam, torch_dialect.radam], ids=["paper", "torch"])
def test_the_step_may_be_traced(rule):
    """No branch of Python's depends on t: a compiled step serves them all, and its gradients are numbers."""
    with jax.enable_x64(True):
        compiled = jax.jit(rule)
        x, m, v = (jax.numpy.zeros(3),) * 3
        y, n, w = (np.zeros(3),) * 3
        for t in range(1, 12):
            g = np.array([1.0, -2.0, 1e-3]) * t
            x, m, v = compiled(x, g, m, v, t)
            y, n, w = rule(y, g, n, w, t)
            np.testing.assert_allclose(x, y, rtol=1e-13)
        assert compiled._cache_size() == 1


def test_where_rho_is_5_exactly_torch_does_not_rectify():
    """As it is, rounded, at step 6 with this beta2."""
    beta2 = 0.8397685748659791
    assert 2 / (1 - beta2) - 1 - 2 * 6 * beta2**6 / (1 - beta2**6) == 5
    given = hyperparameters_for("radam", 1.0) | {"beta2": beta2}
    assert judge("torch", "radam", record(6, 1.0), given).absolute <= BOUND
