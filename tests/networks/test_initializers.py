"""Every initializer has the mean, the variance and the shape of distribution that its paper says."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.networks import INITIALIZERS, glorot, he, lecun, normal, orthogonal, uniform

INPUTS, OUTPUTS = 400, 600
VARIANCE = {
    normal: 1.0,
    uniform: 1 / (3 * INPUTS),
    lecun: 1 / INPUTS,
    glorot: 2 / (INPUTS + OUTPUTS),
    he: 2 / INPUTS,
    orthogonal: 1 / OUTPUTS,
}
BOUND = {uniform: INPUTS**-0.5, glorot: np.sqrt(6 / (INPUTS + OUTPUTS))}


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("initializer", INITIALIZERS.values(), ids=INITIALIZERS)
def test_moments(initializer):
    w = initializer(rng(), INPUTS, OUTPUTS)
    variance = VARIANCE[initializer]
    assert w.shape == (INPUTS, OUTPUTS)
    assert w.dtype == np.float64
    # Of n entries the mean is off by sqrt(variance / n), the variance by variance sqrt(2 / n): five times that.
    n = INPUTS * OUTPUTS
    assert abs(w.mean()) < 5 * np.sqrt(variance / n)
    assert abs(w.var() / variance - 1) < 5 * np.sqrt(2 / n)


@pytest.mark.parametrize("initializer", INITIALIZERS.values(), ids=INITIALIZERS)
def test_shape_of_the_distribution(initializer):
    w = np.abs(initializer(rng(), INPUTS, OUTPUTS))
    if initializer in BOUND:
        assert BOUND[initializer] * 0.999 < w.max() < BOUND[initializer]
    else:  # a normal distribution has 4.55 % of its entries beyond two standard deviations
        assert abs((w > 2 * np.sqrt(VARIANCE[initializer])).mean() - 0.0455) < 0.003


@pytest.mark.parametrize(
    ("initializer", "theirs"),
    [
        (glorot, torch.nn.init.xavier_uniform_),
        (he, torch.nn.init.kaiming_normal_),
        (orthogonal, torch.nn.init.orthogonal_),
        (uniform, lambda w: torch.nn.init.kaiming_uniform_(w, a=5**0.5)),  # what torch.nn.Linear starts from
    ],
)
def test_variance_is_torchs(initializer, theirs):
    torch.manual_seed(0)
    w = torch.empty(OUTPUTS, INPUTS, dtype=torch.float64)  # torch's weights are transposed
    theirs(w)
    ours = initializer(rng(), INPUTS, OUTPUTS)
    assert abs(ours.var() / float(w.var()) - 1) < 10 * np.sqrt(2 / w.numel())
    assert abs(np.abs(ours).max() / float(w.abs().max()) - 1) < 0.2


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([0.5, 1.0, 2.0]))
def test_orthogonal(inputs, outputs, gain):
    w = orthogonal(rng(), inputs, outputs, gain=gain) / gain
    gram = w.T @ w if inputs >= outputs else w @ w.T
    np.testing.assert_allclose(gram, np.eye(min(inputs, outputs)), atol=1e-13)


def test_orthogonal_is_not_biased_by_the_signs_of_qr():
    first = [orthogonal(rng(seed), 3, 3)[0, 0] for seed in range(400)]
    assert abs(np.mean(first)) < 5 * np.sqrt(1 / 3 / 400)


def test_gain_and_std():
    np.testing.assert_array_equal(lecun(rng(), 4, 5, gain=3.0), 3 * lecun(rng(), 4, 5))
    np.testing.assert_array_equal(normal(rng(), 4, 5, std=0.1), 0.1 * normal(rng(), 4, 5))
    np.testing.assert_allclose(he(rng(), 4, 5), lecun(rng(), 4, 5, gain=2**0.5), rtol=1e-15)


@pytest.mark.parametrize("initializer", INITIALIZERS.values(), ids=INITIALIZERS)
def test_errors(initializer):
    with pytest.raises(ValueError, match=rf"{initializer.__name__}: inputs must be a whole number >= 1, got 0"):
        initializer(rng(), 0, 3)
    with pytest.raises(ValueError, match=rf"{initializer.__name__}: outputs must be a whole number >= 1, got 2.5"):
        initializer(rng(), 3, 2.5)


def test_gains_must_be_positive():
    for call in (
        lambda: lecun(rng(), 2, 2, gain=0.0),
        lambda: orthogonal(rng(), 2, 2, gain=-1.0),
        lambda: normal(rng(), 2, 2, std=0.0),
    ):
        with pytest.raises(ValueError, match="must be a number > 0"):
            call()
