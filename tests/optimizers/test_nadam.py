"""nadam is Dozat's Algorithm 2; in the frameworks m forgets at the rate beta1, and each has a schedule of its own."""

import math

import numpy as np
import pytest
import torch

from lib.dialects import keras, optax
from lib.dialects import torch as torch_dialect
from lib.optimizers import Optimizer, nadam, rule
from lib.referees import compare, hyperparameters_for, judge, record, replay
from lib.referees import torch as torch_referee
from tests.optimizers.proofs import BOUND, agrees, disagrees, task, translates

test_agrees = agrees("nadam")
test_translates = translates("nadam")


def _wrong(forget=lambda beta1, mu: beta1, psi=0.004, product=lambda P, mu: P * mu, ahead=1, v_factor=1.0):
    def nadam(x, g, m, v, mu_product, t, *, lr, beta1, beta2, eps, momentum_decay=None):
        mu, mu_next = (beta1 * (1 - 0.5 * 0.96 ** (psi * s)) for s in (t, t + ahead))
        b, P = forget(beta1, mu), product(mu_product, mu)
        m, v = b * m + (1 - b) * g, beta2 * v + (1 - beta2) * g**2
        m_hat = mu_next * m / (1 - P * mu_next) + (1 - mu) * g / (1 - P)
        return x - lr * m_hat / (np.sqrt(v_factor * v / (1 - beta2**t)) + eps), m, v, P

    return nadam


test_disagrees = disagrees(
    "nadam",
    paper=nadam,
    m_forgets_at_the_rate_mu=_wrong(forget=lambda beta1, mu: mu),
    keras_schedule=_wrong(psi=1.0),
    momentum_from_the_start=_wrong(psi=1e6),
    no_product=_wrong(product=lambda P, mu: 0 * P + mu),
    no_look_ahead=_wrong(ahead=0),
    the_factor_printed_in_algorithm_2=_wrong(v_factor=0.999),
)


def _keras(function):
    return lambda *a, learning_rate, beta_1, beta_2, epsilon: function(
        *a, lr=learning_rate, beta1=beta_1, beta2=beta_2, eps=epsilon
    )


test_keras_disagrees = disagrees(
    "nadam",
    framework="keras",
    paper=_keras(nadam),
    torch_schedule=_keras(_wrong()),
    momentum_from_the_start=_keras(_wrong(psi=1e6)),
)
test_optax_disagrees = disagrees(
    "nadam",
    framework="optax",
    no_look_ahead=lambda x, g, m, v, t, *, learning_rate, b1, b2, eps: (
        x - learning_rate * (m := b1 * m + (1 - b1) * g) / (1 - b1**t)
        / (np.sqrt((v := b2 * v + (1 - b2) * g**2) / (1 - b2**t)) + eps),
        m,
        v,
    ),
)  # fmt: skip


def test_the_right_form_of_the_wrong_ones_is_right():
    """`_wrong` with no fault planted is torch's rule, so that what `test_disagrees` rejects is the fault."""
    right = _wrong()
    vars(right).update(vars(nadam))  # it stands in for that rule
    recording, hyperparameters = record(50), hyperparameters_for("nadam")
    ours, theirs = (replay(f, recording, **hyperparameters) for f in (right, torch_dialect.nadam))
    assert compare(ours, theirs).absolute <= BOUND


@pytest.mark.parametrize("recording", ["every_size", "1", "patterns"])
def test_in_two_parts_as_torch_adds_it_the_step_deviates_less(recording):
    @rule
    def in_two_parts(x, g, m, v, mu_product=1.0, t=1, *, lr, beta1, beta2, eps):
        mu, mu_next = (beta1 * (1 - 0.5 * 0.96 ** (0.004 * s)) for s in (t, t + 1))
        mu_product = mu_product * mu
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
        denominator = np.sqrt(v / (1 - beta2**t)) + eps
        x = x - lr * (1 - mu) / (1 - mu_product) * g / denominator
        return x - lr * mu_next / (1 - mu_product * mu_next) * m / denominator, m, v, mu_product

    assert judge("torch", "nadam", *task("nadam", recording), rule=in_two_parts).absolute <= BOUND / 4


def test_by_hand():
    """Step 250, where mu = beta1 (1 - 0.96 / 2): with beta1 = 1/2 that is 0.26."""
    x, m, v, mu_product = nadam(
        np.array([1.0]), np.array([4.0]), 2.0, 8.0, 0.5, 250, lr=0.5, beta1=0.5, beta2=0.75, eps=1.0
    )
    assert mu_product == pytest.approx(0.13)
    assert float(m[0]) == pytest.approx(0.26 * 2 + 0.74 * 4)
    assert float(v[0]) == 10.0
    mu_next = 0.5 - 0.25 * 0.96**1.004
    m_hat = mu_next * 3.48 / (1 - 0.13 * mu_next) + 0.74 * 4 / 0.87
    assert float(x[0]) == pytest.approx(1 - 0.5 * m_hat / (10**0.5 + 1))  # 0.75**250 is nothing beside 1


def test_the_paper_s_sums_and_products_written_out():
    """Each gradient enters m with 1 - mu of its own step times the mu of all later ones."""
    gradients = np.random.default_rng(0).standard_normal((300, 5))
    steps = np.arange(1, 302)
    mu = 0.99 * (1 - 0.5 * 0.96 ** (steps / 250))
    optimizer, x = Optimizer(nadam, lr=0.1, beta1=0.99, eps=1e-3), [np.zeros(5)]
    for t, g in enumerate(gradients, start=1):
        before, x = x, optimizer.step(x, [g])
        m = sum((1 - mu[i]) * np.prod(mu[i + 1 : t]) * gradients[i] for i in range(t))
        v = sum(0.001 * 0.999 ** (t - 1 - i) * gradients[i] ** 2 for i in range(t))
        m_hat = mu[t] * m / (1 - np.prod(mu[: t + 1])) + (1 - mu[t - 1]) * g / (1 - np.prod(mu[:t]))
        step = 0.1 * m_hat / (np.sqrt(v / (1 - 0.999**t)) + 1e-3)
        assert before[0] - x[0] == pytest.approx(step, abs=1e-13)


def test_the_average_is_freed_of_its_bias_in_the_paper_only():
    """With a gradient of 1 throughout, m / (1 - mu_product) is 1 at each step; torch's m starts at a sixth of that."""
    shares = {}
    for function in (nadam, torch_dialect.nadam):
        m, v, P = 0.0, 0.0, 1.0
        for t in range(1, 100):
            _, m, v, P = function(0.0, 1.0, m, v, P, t)
            shares.setdefault(function, []).append(m / (1 - P))
    assert shares[nadam] == pytest.approx([1.0] * 99, rel=1e-14)
    assert shares[torch_dialect.nadam][0] == pytest.approx(0.1 / (1 - 0.9 * (1 - 0.5 * 0.96**0.004)))


def test_the_first_step_of_each_dialect():
    """In rates: mu_2 m / (1 - mu_1 mu_2) + 1, where m is 1 - mu_1 in the paper and 1 - beta1 elsewhere."""

    def step(speed, forgets=0.9):
        mu, mu_next = (0.9 * (1 - 0.5 * 0.96 ** (speed * t)) for t in (1, 2))
        return 1 + mu_next * (1 - (forgets or mu)) / (1 - mu * mu_next)

    assert -nadam(0.0, 1.0, 0.0, 0.0, 1.0, 1, lr=1.0, eps=0.0)[0] == pytest.approx(step(1 / 250, None))
    assert -torch_dialect.nadam(0.0, 1.0, 0.0, 0.0, 1.0, 1, lr=1.0, eps=0.0)[0] == pytest.approx(step(0.004))
    assert -keras.nadam(0.0, 1.0, 0.0, 0.0, 1.0, 1, learning_rate=1.0, epsilon=0.0)[0] == pytest.approx(step(1))
    assert -optax.nadam(0.0, 1.0, 0.0, 0.0, 1, learning_rate=1.0, eps=0.0)[0] == pytest.approx(step(math.inf))


def test_torch_keeps_the_product_in_float32_unless_float64_is_its_default():
    """The referee lets it be float64: otherwise the deviation would be ten thousand times as large."""
    p = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    p.grad = torch.ones(1, dtype=torch.float64)
    optimizer = torch.optim.NAdam([p])
    optimizer.step()
    assert optimizer.state[p]["exp_avg"].dtype == torch.float64
    assert optimizer.state[p]["mu_product"].dtype == torch.float32
    recording, hyperparameters = record(200, 1.0), hyperparameters_for("nadam", 1.0)
    ours = replay(torch_dialect.nadam, recording, **hyperparameters)
    theirs = torch_referee.replay("nadam", recording, as_it_is=True, **hyperparameters)
    assert compare(ours, theirs).absolute > 1e4 * BOUND
    assert compare(ours, torch_referee.replay("nadam", recording, **hyperparameters)).absolute <= BOUND
    assert torch.get_default_dtype() == torch.float32
