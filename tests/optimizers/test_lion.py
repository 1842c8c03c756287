"""lion is Algorithm 2 of Chen et al., and that of Keras and optax."""

import numpy as np

from lib.optimizers import lion
from lib.referees import record, replay
from tests.optimizers.proofs import BACKEND, BOUND, agrees, disagrees, translates

# Keras rounds x twice a step, once as it shrinks, and constant gradients lead x beyond 2, where ulps are twice as long.
# On TensorFlow the rate is a float32, and there is less to round.
test_agrees = agrees("lion", keras=BOUND if BACKEND == "tensorflow" else 2 * BOUND)
test_translates = translates("lion")


def _wrong(swapped=False, new=False, l2=False, decay=True, decay_after=False):
    def lion(x, g, m, *, lr, beta1, beta2, weight_decay):
        beta1, beta2 = (beta2, beta1) if swapped else (beta1, beta2)
        g = g + weight_decay * x if l2 else g
        c, m = beta1 * m + (1 - beta1) * g, beta2 * m + (1 - beta2) * g
        step = lr * np.sign(m if new else c)
        if decay_after:
            return (x - step) * (1 - lr * weight_decay), m
        return x - step - (0.0 if l2 or not decay else lr * weight_decay * x), m

    return lion


WRONG = {
    "swapped_betas": _wrong(swapped=True),
    "sign_of_the_new_average": _wrong(new=True),
    "decay_through_the_gradient": _wrong(l2=True),
    "no_decay": _wrong(decay=False),
    "decay_of_the_new_x": _wrong(decay_after=True),
}
test_disagrees = disagrees("lion", framework="optax", **WRONG)
test_keras_disagrees = disagrees("lion", framework="keras", **WRONG)


def test_the_right_form_of_the_wrong_ones_is_right():
    x, g, m = np.random.default_rng(0).normal(size=(3, 20))
    given = {"lr": 0.5, "beta1": 0.875, "beta2": 0.75, "weight_decay": 0.25}
    ours, other = lion(x, g, m, **given), _wrong()(x, g, m, **given)
    np.testing.assert_allclose(ours, other, rtol=1e-15, atol=1e-15)


def test_by_hand():
    """Two steps on gradients 4 and -2 with beta1 = 1/2, beta2 = 3/4, lr = 1/4, weight_decay = 1/2."""
    given = {"lr": 0.25, "beta1": 0.5, "beta2": 0.75, "weight_decay": 0.5}
    x, m = lion(np.array([2.0]), np.array([4.0]), 0.0, **given)
    assert (float(x[0]), float(m[0])) == (2 - 0.25 * (1 + 0.5 * 2), 1.0)
    x, m = lion(x, np.array([-2.0]), m, **given)  # 1/2 * 1 + 1/2 * -2 is negative
    assert (float(x[0]), float(m[0])) == (1.5 - 0.25 * (-1 + 0.5 * 1.5), 0.75 * 1 - 0.25 * 2)


def test_every_entry_steps_as_far_as_the_rate_says():
    path = replay(lion, record(200), lr=0.25)
    np.testing.assert_allclose(np.abs(np.diff(path, axis=0)), 0.25, rtol=0, atol=np.spacing(np.abs(path).max()))


def test_equal_betas_are_the_sign_of_the_average():
    """Then c is the new m: the sign of momentum."""
    recording = record(100, 1.0)
    path = replay(lion, recording, lr=2.0**-7, beta1=0.75, beta2=0.75)
    x, m = (np.concatenate([np.ravel(a) for a in recording.start]) * k for k in (1.0, 0.0))
    for gradients, theirs in zip(recording.gradients, path, strict=True):
        m = 0.75 * m + 0.25 * np.concatenate([np.ravel(g) for g in gradients])
        x = x - 2.0**-7 * np.sign(m)
        np.testing.assert_array_equal(x, theirs)
