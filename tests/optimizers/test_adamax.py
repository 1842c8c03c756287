"""adamax is Algorithm 2 of Kingma & Ba with Keras' eps; PyTorch and optax add eps to the gradient's size."""

import numpy as np
import pytest

from lib.dialects import torch
from lib.optimizers import Optimizer, adamax
from lib.referees import judge
from tests.optimizers.proofs import BOUND, agrees, disagrees, task, translates

test_agrees = agrees("adamax")
test_translates = translates("adamax")
test_translates_without_eps = translates("adamax", eps=0.0)


def _wrong(
    eps_inside=True,
    maximum=np.maximum,
    size=np.abs,
    fade=True,
    correct_m=lambda t: t,
    correct_u=False,
    old_u=False,
):
    """PyTorch's form, with a fault if asked for."""

    def adamax(x, g, m, u, t, *, lr, beta1, beta2, eps):
        m = beta1 * m + (1 - beta1) * g
        new = maximum((beta2 if fade else 1.0) * u, size(g) + (eps if eps_inside else 0.0))
        u_hat = (u + eps if old_u else new) / (1 - beta2**t if correct_u else 1)
        return x - lr * m / (1 - beta1 ** correct_m(t)) / (u_hat if eps_inside else u_hat + eps), m, new

    return adamax


test_disagrees = disagrees(
    "adamax",
    positive_gradients_only=_wrong(size=lambda g: np.maximum(g, 0.0)),
    squares=_wrong(size=np.square),
    a_sum=_wrong(maximum=np.add),
    no_memory=_wrong(maximum=lambda old, new: new),
    no_fading=_wrong(fade=False),
    correction_of_u=_wrong(correct_u=True),
    t_one_ahead=_wrong(correct_m=lambda t: t + 1),
    last_u=_wrong(old_u=True),
)


@pytest.mark.parametrize(("framework", "rule"), [("torch", adamax), ("optax", adamax), ("keras", torch.adamax)])
def test_where_eps_stands_shows_where_gradients_are_small(framework, rule):
    assert judge(framework, "adamax", *task("adamax", "1e-8", 100), rule=rule).absolute > 1e-4


def test_the_right_form_of_the_wrong_ones_is_right():
    """`_wrong` with no fault planted is PyTorch's form, so that what `test_disagrees` rejects is the fault."""
    x, g, m, u = np.random.default_rng(0).uniform(1, 2, (4, 50))
    for ours, theirs in zip(_wrong()(x, g, m, u, 3, **torch.adamax.defaults), torch.adamax(x, g, m, u, 3), strict=True):
        assert np.abs(ours - theirs).max() <= np.spacing(1.0)


@pytest.mark.parametrize("framework", ["torch", "keras", "optax"])
def test_without_eps_all_frameworks_are_the_paper(framework):
    recording, hyperparameters = task("adamax", "1", 200)
    judgment = judge(framework, "adamax", recording, hyperparameters | {"eps": 0.0}, rule=adamax)
    assert judgment.absolute <= BOUND


def test_by_hand():
    """Two steps on gradients -4 and 1 with beta1 = 1/2, beta2 = 3/4, lr = 1/2, eps = 1."""
    at = {"lr": 0.5, "beta1": 0.5, "beta2": 0.75, "eps": 1.0}
    x, m, u = adamax(np.array([1.0]), np.array([-4.0]), 0.0, 0.0, 1, **at)
    assert [float(a[0]) for a in (x, m, u)] == [1 + 0.5 * 4 / 5, -2.0, 4.0]
    x, m, u = adamax(np.array([1.0]), np.array([1.0]), m, u, 2, **at)
    assert [float(a[0]) for a in (x, m, u)] == [1 + 0.5 * (0.5 / 0.75) / 4, -0.5, 3.0]


def test_until_the_first_gradient_it_stays_where_the_paper_divides_0_by_0():
    params, nothing = [np.array([1.0])], [np.zeros(1)]
    assert Optimizer(adamax).step(params, nothing)[0] == 1.0
    with pytest.raises(FloatingPointError):
        Optimizer(adamax, eps=0.0).step(params, nothing)


def test_the_first_step_is_the_rate():
    x, _, u = adamax(np.zeros(3), np.array([1e-3, -1.0, 1e3]), 0.0, 0.0, 1, lr=0.1, eps=0.0)
    assert x == pytest.approx([-0.1, 0.1, -0.1], rel=1e-15)
    assert u.tolist() == [1e-3, 1.0, 1e3]


def test_a_step_can_be_longer_than_the_rate():
    """The paper says of the step, at the end of section 7.1, that it is never longer than the rate.

    On gradients that fade as u does, by beta2 at each step, it is: by (1 - beta1) / (1 - beta1 / beta2) in the end.
    """
    optimizer, params = Optimizer(adamax, lr=1.0, eps=0.0), [np.zeros(1)]
    for t in range(1, 301):
        before = params
        params = optimizer.step(params, [np.array([0.999**t])])
        step, ratio = float(before[0][0] - params[0][0]), 0.9 / 0.999
        assert step == pytest.approx(0.1 * (1 - ratio**t) / (1 - ratio) / (1 - 0.9**t), rel=1e-12)
    assert step == pytest.approx(1 / 0.9910, rel=1e-4)
