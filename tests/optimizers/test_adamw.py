"""adamw is Algorithm 2 of Loshchilov & Hutter, PyTorch's and optax's; in Keras it is Keras' Adam that decays."""

import math

import numpy as np
import pytest

from lib.dialects import keras
from lib.optimizers import adam, adamw, rule
from lib.referees import WIDER, judge, record, replay
from tests.optimizers.proofs import BACKEND, BOUND, RECORDINGS, agrees, disagrees, task, translates

# On PyTorch Keras shrinks x as PyTorch does.
test_agrees = agrees("adamw", keras=WIDER["adamw", "torch"][0] if BACKEND == "torch" else BOUND)
test_translates = translates("adamw")


@pytest.mark.parametrize("recording", RECORDINGS)
def test_in_pytorch_s_order_the_deviation_vanishes(recording):
    @rule
    def shrunk_first(x, g, m, v, t, *, lr, beta1, beta2, eps, weight_decay):
        return adam(x * (1 - lr * weight_decay), g, m, v, t, lr=lr, beta1=beta1, beta2=beta2, eps=eps)

    assert judge("torch", "adamw", *task("adamw", recording), rule=shrunk_first).absolute <= BOUND


def _wrong(gradient=0.0, before=0.0, beside=0.0, after=0.0):
    """A decay of ``weight_decay`` times the given share of x, in one place or another."""

    def adamw(x, g, m, v, t, *, lr, weight_decay, **others):
        g = g + gradient * weight_decay * x
        new, m, v = adam(x - before * weight_decay * x, g, m, v, t, lr=lr, **others)
        new = new - lr * beside * weight_decay * x
        return new - lr * after * weight_decay * new, m, v

    return adamw


test_disagrees = disagrees(
    "adamw",
    adam=_wrong(),
    through_the_gradient=_wrong(gradient=1.0),
    not_times_the_rate=_wrong(before=1.0),
    after_the_step=_wrong(after=1.0),
    half=_wrong(beside=0.5),
    growing=_wrong(beside=-1.0),
    keras=keras.adamw,
)
test_keras_disagrees = disagrees("adamw", framework="keras", paper=adamw)


def test_the_right_form_of_the_wrong_ones_is_right():
    """`_wrong` with no fault planted is adamw, so that what `test_disagrees` rejects is the fault."""
    x, g, m, v = np.random.default_rng(0).uniform(1, 2, (4, 50))
    for ours, theirs in zip(_wrong(beside=1.0)(x, g, m, v, 3, **adamw.defaults), adamw(x, g, m, v, 3), strict=True):
        assert np.abs(ours - theirs).max() <= np.spacing(1.0)


def test_by_hand():
    """A step on a gradient of 4 with beta1 = 1/2, beta2 = 3/4, lr = 1/2, eps = 1 and weight_decay = 1/4."""
    x, m, v = adamw(
        np.array([2.0]), np.array([4.0]), 0.0, 0.0, 1, lr=0.5, beta1=0.5, beta2=0.75, eps=1.0, weight_decay=0.25
    )
    assert (float(m[0]), float(v[0]), float(x[0])) == (2.0, 4.0, 2 - 0.5 * (4 / 5 + 0.5))


def test_without_decay_it_is_adam():
    recording = record(50)
    assert (replay(adamw, recording, weight_decay=0.0) == replay(adam, recording)).all()


def test_without_a_gradient_it_shrinks_by_the_rate_times_the_decay():
    x = np.array([3.0, -2.0])
    for t in range(1, 101):
        x, m, v = adamw(x, np.zeros(2), 0.0, 0.0, t, lr=0.1, weight_decay=0.5)
    assert x == pytest.approx(np.array([3.0, -2.0]) * 0.95**100, rel=1e-13)
    assert (m == 0).all()
    assert (v == 0).all()


def test_the_paper_s_hyperparameters():
    """Line 12 of Algorithm 2 as it stands is our rule at lr = eta_t alpha and weight_decay = lambda / alpha."""
    alpha, decay = 0.01, 0.001
    schedule = lambda step: (1 + math.cos(math.pi * step / 200)) / 2 + 0.1
    recording = record(200, 1.0)
    ours = replay(adamw, recording, lr=lambda step: schedule(step) * alpha, weight_decay=decay / alpha)
    x, m, v = recording.start[1], 0.0, 0.0
    for step, gradients in enumerate(recording.gradients):
        u, m, v = adam(np.zeros(3), gradients[1], m, v, step + 1, lr=-1.0)  # m_hat / (sqrt(v_hat) + eps)
        x = x - schedule(step) * (alpha * u + decay * x)
    assert np.abs(ours[-1][1:4] - x).max() <= BOUND  # behind the parameter without dimensions
