"""lamb is Algorithm 2 of You et al., and optax's; Keras decays outside the ratio of norms."""

import numpy as np
import pytest

from lib.dialects import keras
from lib.optimizers import adamw, lamb, rule
from lib.referees import Recording, hyperparameters_for, judge, record, replay
from tests.optimizers.proofs import BOUND, agrees, disagrees, translates

test_agrees = agrees("lamb")
test_translates = translates("lamb")
test_translates_without_decay = translates("lamb", weight_decay=0.0)


def norm(a):
    return np.sqrt((a * a).sum())


def _wrong(ratio=lambda x, u, adam_step: norm(x) / norm(u), correct=True, l2=False, decay=1.0):
    @rule(each="array")
    def wrong(x, g, m, v, t, *, lr, beta1, beta2, eps, weight_decay):
        g = g + l2 * weight_decay * x
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
        m_hat, v_hat = (m / (1 - beta1**t), v / (1 - beta2**t)) if correct else (m, v)
        adam_step = m_hat / (np.sqrt(v_hat) + eps)
        u = adam_step + decay * weight_decay * x
        return x - lr * ratio(x, u, adam_step) * u, m, v

    return wrong


test_disagrees = disagrees(
    "lamb",
    framework="optax",
    adamw=adamw,
    decay_outside_the_ratio=keras.lamb,
    decay_in_the_gradient=_wrong(l2=True, decay=0.0),
    no_decay=_wrong(decay=0.0),
    norm_of_the_step_without_its_decay=_wrong(lambda x, u, adam_step: norm(x) / norm(adam_step)),
    not_divided_by_a_norm=_wrong(lambda x, u, adam_step: norm(x)),
    sums_of_sizes_for_norms=_wrong(lambda x, u, adam_step: abs(x).sum() / abs(u).sum()),
    a_ratio_for_each_entry=_wrong(lambda x, u, adam_step: abs(x) / abs(u)),
    ratio_turned_over=_wrong(lambda x, u, adam_step: norm(u) / norm(x)),
    ratio_of_at_most_one=_wrong(lambda x, u, adam_step: min(norm(x) / norm(u), 1.0)),
    no_bias_correction=_wrong(correct=False),
)


def test_the_right_form_of_the_wrong_ones_is_right():
    recording, hyperparameters = record(50), hyperparameters_for("lamb")
    np.testing.assert_allclose(
        replay(_wrong(), recording, **hyperparameters), replay(lamb, recording, **hyperparameters), rtol=0, atol=BOUND
    )


def test_by_hand():
    """With beta1 = beta2 = 1/2 the first m_hat is g and v_hat is g**2; eps = 1 makes (3/5, 4/5) of g = (3/2, 4)."""
    first = {"lr": 0.125, "beta1": 0.5, "beta2": 0.5, "eps": 1.0}
    x, g = np.array([3.0, 4.0]), np.array([1.5, 4.0])
    new, m, v = lamb(x, g, 0.0, 0.0, 1, weight_decay=0.0, **first)
    assert (m.tolist(), v.tolist()) == ([0.75, 2.0], [1.125, 8.0])
    np.testing.assert_allclose(new, x - 0.125 * 5 * np.array([0.6, 0.8]), rtol=1e-15)
    # The decay adds (4, -3) / 5: u = (7, 1) / 5, of norm sqrt(2).
    new, _, _ = lamb(np.array([4.0, -3.0]), g, 0.0, 0.0, 1, weight_decay=0.2, **first)
    np.testing.assert_allclose(new, [4 - 0.125 * 5 * 1.4 / 2**0.5, -3 - 0.125 * 5 * 0.2 / 2**0.5], rtol=1e-15)


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_a_step_is_as_long_as_the_rate_times_the_norm(size):
    draw = np.random.default_rng(0)
    x, g = size * draw.normal(size=(4, 5)), draw.normal(size=(4, 5))
    new, *_ = lamb(x, g, 0.0, 0.0, 1, lr=0.25)
    assert norm(new - x) == pytest.approx(0.25 * norm(x), rel=1e-14)


def test_without_decay_and_eps_the_bias_of_the_averages_does_not_matter():
    """It scales the whole update, and the ratio of norms undoes that; with a decay, or eps, it does."""
    recording, hyperparameters = record(200, 1.0), {"lr": 0.01, "beta1": 0.9, "beta2": 0.999}
    for eps, weight_decay, alike in ((0.0, 0.0, True), (0.1, 0.0, False), (0.0, 0.1, False)):
        given = hyperparameters | {"eps": eps, "weight_decay": weight_decay}
        apart = np.abs(replay(lamb, recording, **given) - replay(_wrong(correct=False), recording, **given)).max()
        assert (apart < 1e-13) if alike else (apart > 1e-3)


# ---------- where a norm is 0 ----------


def test_zeros_take_adam_s_step():
    """phi(0) may be any number in the paper. Were it 0, a bias that starts at zero would never move."""
    new, *_ = lamb(np.zeros(3), np.array([2.0, -3.0, 0.5]), 0.0, 0.0, 1, lr=0.25, eps=0.0)
    np.testing.assert_allclose(new, [-0.25, 0.25, -0.25], rtol=1e-15)


def test_an_update_of_zero_moves_nothing():
    x = np.array([3.0, -4.0])
    for start in (x, 0 * x):
        new, m, v = lamb(start, 0 * x, 0.0, 0.0, 1, weight_decay=0.0, eps=0.1)
        np.testing.assert_array_equal(new, start)
        assert not m.any()
        assert not v.any()


@pytest.mark.parametrize("framework", ["keras", "optax"])
def test_where_a_norm_is_zero_the_frameworks_have_a_ratio_of_one_too(framework):
    """One parameter starts at zero; the other two have no gradient, hence no update, for three steps."""
    draw = np.random.default_rng(0)
    start = [np.zeros(3), draw.normal(size=2), np.zeros((2, 2))]
    gradients = [[draw.normal(size=a.shape) * (i > 2 or k == 0) for k, a in enumerate(start)] for i in range(30)]
    # From zero, the length of a step shows Keras' casts, which elsewhere the ratio undoes; these betas lose nothing.
    hyperparameters = hyperparameters_for("lamb", 1.0) | {"weight_decay": 0.0, "beta1": 0.5, "beta2": 0.75}
    assert judge(framework, "lamb", Recording(start, gradients), hyperparameters).absolute <= BOUND
