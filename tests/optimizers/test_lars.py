"""lars is Algorithm 1 of You, Gitman & Ginsburg; optax takes one norm of the gradient and the decay together."""

import numpy as np
import pytest

from lib.dialects import optax
from lib.optimizers import Optimizer, lars, rule
from lib.referees import Recording, hyperparameters_for, judge, record, replay
from tests.optimizers.proofs import BOUND, agrees, disagrees, translates

test_agrees = agrees("lars")
test_translates = translates("lars")
test_translates_without_decay = translates("lars", weight_decay=0.0)


def norm(a):
    return np.sqrt((a * a).sum())


def _optax(trust=lambda x, u: norm(x) / norm(u), decay=1.0, rate_outside=False):
    """optax's rule, or what is wrong with it."""

    @rule(each="array")
    def wrong(x, g, v, *, lr, momentum, weight_decay, trust_coefficient):
        u = g + decay * weight_decay * x
        inside, outside = (1.0, lr) if rate_outside else (lr, 1.0)
        v = momentum * v - inside * trust_coefficient * trust(x, u) * u
        return x + outside * v, v

    return wrong


test_disagrees = disagrees(
    "lars",
    framework="optax",
    paper=lars,
    no_trust=_optax(lambda x, u: 1.0),
    sums_of_sizes_for_norms=_optax(lambda x, u: abs(x).sum() / abs(u).sum()),
    no_decay=_optax(decay=0.0),
    a_ratio_for_each_entry=_optax(lambda x, u: abs(x) / abs(u)),
    ratio_turned_over=_optax(lambda x, u: norm(u) / norm(x)),
)


def test_the_right_form_of_the_wrong_ones_is_right():
    assert judge("optax", "lars", record(50), hyperparameters_for("lars"), rule=_optax()).absolute <= BOUND


@pytest.mark.parametrize("rate_outside", [False, True])
def test_the_rate_stands_inside_the_velocity(rate_outside):
    """In the paper and in optax; in a rule with the rate outside a changing rate would reach old gradients, too."""
    recording, hyperparameters = record(200, 1.0), hyperparameters_for("lars") | {"lr": lambda step: 0.98**step}
    apart = judge("optax", "lars", recording, hyperparameters, rule=_optax(rate_outside=rate_outside)).absolute
    assert (apart > 1e-3) if rate_outside else (apart <= BOUND)


def test_by_hand():
    """Norms 5 and 10: trust = 0.22 * 5 / (10 + 0.2 * 5) = 0.1, and the decayed gradient is (0.6, 10.8)."""
    x, g = np.array([3.0, 4.0]), np.array([0.0, 10.0])
    given = {"lr": 0.5, "momentum": 0.5, "weight_decay": 0.2, "trust_coefficient": 0.22}
    new, v = lars(x, g, np.array([1.0, 0.0]), **given)
    np.testing.assert_allclose(v, [0.5 - 0.03, -0.54], rtol=1e-14)
    np.testing.assert_allclose(new, [3.47, 3.46], rtol=1e-15)
    # optax: trust = 0.22 * 5 / the norm of (0.6, 10.8).
    new, v = optax.lars(x, g, np.zeros(2), learning_rate=0.5, momentum=0.5, weight_decay=0.2, trust_coefficient=0.22)
    np.testing.assert_allclose(v, [-0.55 / 117**0.5 * 0.6, -0.55 / 117**0.5 * 10.8], rtol=1e-14)


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_the_first_step_is_shorter_than_the_share_of_its_norm_that_an_array_is_trusted_with(size):
    """Equation 4 of the paper; without decay it is as long."""
    draw = np.random.default_rng(0)
    x, g = draw.normal(size=(4, 5)), size * draw.normal(size=(4, 5))
    for weight_decay in (0.0, 0.5):
        new, v = lars(x, g, 0.0, lr=1.0, weight_decay=weight_decay, trust_coefficient=0.25)
        assert norm(v) <= 0.25 * norm(x) * (1 + 1e-14)
    new, v = lars(x, g, 0.0, lr=1.0, weight_decay=0.0, trust_coefficient=0.25)
    assert norm(new - x) == pytest.approx(0.25 * norm(x), rel=1e-13)


# ---------- where a norm is 0 ----------


def test_zeros_stay_where_they_are():
    """The local rate is a share of the norm. What is left of the velocity moves them all the same."""
    g = np.array([2.0, -3.0])
    new, v = lars(0 * g, g, 0.0)
    assert not new.any()
    assert not v.any()
    new, v = lars(0 * g, g, np.array([1.0, 2.0]), momentum=0.5)
    assert new.tolist() == v.tolist() == [0.5, 1.0]


def test_without_a_gradient_the_decay_is_the_same_whatever_its_size():
    """Its own norm is all that it is divided by."""
    x = np.array([3.0, -4.0])
    for weight_decay in (1e-6, 1.0):
        np.testing.assert_allclose(lars(x, 0 * x, 0.0, lr=1.0, weight_decay=weight_decay)[0], 0.999 * x, rtol=1e-15)


@pytest.mark.parametrize("x", [np.array([3.0, -4.0]), np.zeros(2)])
def test_without_gradient_and_decay_nothing_moves(x):
    new, v = lars(x, np.zeros(2), 0.0, weight_decay=0.0)
    np.testing.assert_array_equal(new, x)
    assert not v.any()


def test_in_optax_zeros_move_at_the_full_rate():
    draw = np.random.default_rng(0)
    start = [np.zeros(3), draw.normal(size=2), np.zeros((2, 2))]
    gradients = [[draw.normal(size=a.shape) * (i > 2 or k == 0) for k, a in enumerate(start)] for i in range(30)]
    recording, hyperparameters = Recording(start, gradients), hyperparameters_for("lars") | {"weight_decay": 0.0}
    assert judge("optax", "lars", recording, hyperparameters).absolute <= BOUND
    first = replay(optax.lars, recording, learning_rate=1.0)[0]
    np.testing.assert_allclose(first[:3], -gradients[0][0], rtol=1e-15)
    assert not replay(lars, recording, **hyperparameters)[:, :3].any()


def test_state_is_the_velocity():
    optimizer = Optimizer(lars, lr=1.0, weight_decay=0.0, trust_coefficient=0.5)
    optimizer.step({"w": np.array([3.0, 4.0])}, {"w": np.array([0.0, -2.0])})
    np.testing.assert_allclose(optimizer.state["w"]["v"], [0.0, 2.5], rtol=1e-15)
