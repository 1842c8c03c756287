"""What the chapter on curvature is measured on: gradients and Jacobians against backpropagation and PyTorch."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from lib.arrays import inverse_root
from lib.curvature import gauss_newton, hessian_of, softmax_hessian
from lib.experiments.second_order import (
    bernoulli,
    choose_directions,
    fisher_diagonal,
    flat,
    lazy_shampoo,
    loss_and_gradients,
    mean_squares,
    outputs,
    some_digits,
    squares,
    train_net,
    two_features,
    two_layers,
    unflat,
    wave_fit,
    with_ones,
)
from lib.experiments.vanishing_gradients import wave
from lib.networks import cross_entropy, forward, tanh
from lib.networks.backpropagation import value_and_grad
from lib.optimizers import Optimizer, adam, gradient_descent, shampoo, soap, sophia

LOSSES = {
    squares: lambda z, y: ((z - y) ** 2).mean() / 2,
    bernoulli: torch.nn.functional.binary_cross_entropy_with_logits,
}


@pytest.mark.parametrize("ours", LOSSES, ids=lambda ours: ours.__name__)
def test_losses_of_one_output_against_pytorch(ours):
    z, y = np.random.default_rng(0).standard_normal((2, 3, 7))
    y = (y > 0).astype(float)
    loss, slope, curvature = ours(z, y)
    assert loss.shape == (3,)
    for i in range(3):
        theirs = lambda a, i=i: LOSSES[ours](a, torch.tensor(y[i]))
        at = torch.tensor(z[i])
        assert loss[i] == pytest.approx(float(theirs(at)), rel=1e-13)
        np.testing.assert_allclose(slope[i] / 7, torch.func.grad(theirs)(at).numpy(), rtol=1e-12, atol=1e-16)
        second = torch.func.hessian(theirs)(at).numpy()
        np.testing.assert_allclose(np.diag(curvature[i]) / 7, second, rtol=1e-12, atol=1e-16)


def test_a_share_of_the_labels_is_flipped():
    (x, right), (same, wrong) = two_features(4000, 0), two_features(4000, 0, 0.2)
    assert (x == same).all()
    assert (right != wrong).mean() == pytest.approx(0.2, abs=0.02)


def test_wave_fit_against_pytorch():
    residuals, jacobian = wave_fit(4)
    x, y = (torch.tensor(a) for a in wave())
    w = np.random.default_rng(0).standard_normal(13)

    def theirs(w):
        h = torch.tanh(x * w[:4] + w[4:8])
        return (h @ w[8:12] + w[12] - y[:, 0]) / 4

    np.testing.assert_allclose(residuals(w), theirs(torch.tensor(w)).numpy(), atol=1e-14)
    np.testing.assert_allclose(jacobian(w), torch.func.jacrev(theirs)(torch.tensor(w)).numpy(), atol=1e-14)
    mse = ((4 * residuals(w)) ** 2).mean()
    assert residuals(w) @ residuals(w) == pytest.approx(mse)


def example(seed=0, n=30, hidden=5):
    x, y = some_digits(seed, n)
    params = two_layers(seed, hidden)
    params = {name: a + 0.1 * np.random.default_rng(seed).standard_normal(a.shape) for name, a in params.items()}
    return params, x, y


def test_gradients_against_backpropagation():
    params, x, y = example()

    def loss(split):
        return cross_entropy(forward(split, x, tanh)[-1], y)

    split = {f"{kind}{k}": params[f"W{k}"][rows] for k in (1, 2) for kind, rows in (("W", slice(-1)), ("b", -1))}
    theirs, grads = value_and_grad(loss)(split)
    ours, gradients = loss_and_gradients(params, x, y)
    assert ours == pytest.approx(theirs, rel=1e-13)
    for k in 1, 2:
        np.testing.assert_allclose(gradients[f"W{k}"][:-1], grads[f"W{k}"], atol=1e-14)
        np.testing.assert_allclose(gradients[f"W{k}"][-1], grads[f"b{k}"], atol=1e-14)


def test_mean_squares_one_by_one():
    params, x, y = example(n=8)
    weights = np.arange(8.0)
    each = [flat(loss_and_gradients(params, x[i : i + 1], y[i : i + 1])[1]) ** 2 for i in range(8)]
    np.testing.assert_allclose(mean_squares(params, x, y), np.mean(each, axis=0), rtol=1e-10, atol=1e-18)
    np.testing.assert_allclose(mean_squares(params, x, y, weights), weights @ each / 8, rtol=1e-10, atol=1e-18)


def test_fisher_diagonal_is_that_of_the_gauss_newton_matrix():
    params, x, _ = example(n=6, hidden=3)

    def logits(v):
        h = torch.tanh(torch.tensor(with_ones(x)) @ v[: 65 * 3].reshape(65, 3))
        return torch.cat([h, torch.ones(6, 1, dtype=h.dtype)], dim=1) @ v[65 * 3 :].reshape(4, 10)

    v = torch.tensor(flat(params))
    J, p = torch.func.jacrev(logits)(v).numpy(), np.exp(outputs(params, x)[1])
    theirs = np.diag(gauss_newton(J, softmax_hessian(p)))
    np.testing.assert_allclose(fisher_diagonal(params, x), theirs, rtol=1e-9, atol=1e-18)


def test_flat_and_back():
    params = two_layers(0)
    back = unflat(flat(params), params)
    assert all((back[name] == a).all() for name, a in params.items())
    assert params["W1"].shape == (65, 20)
    assert params["W2"].shape == (21, 10)
    assert not params["W1"][-1].any()


@pytest.mark.parametrize(
    ("rule", "lr"), [(adam, 0.01), (shampoo, 0.1), (soap, 0.01), (sophia, 0.01), (lazy_shampoo, 0.01)]
)
@pytest.mark.parametrize("batch", [0, 32])
def test_training_lowers_the_loss(rule, lr, batch):
    losses = train_net(rule, 0, lr, 20, batch)
    assert losses.shape == (5,)
    assert losses[-1] < 0.8 * losses[0]
    assert (losses == train_net(rule, 0, lr, 20, batch)).all()


def test_kept_digits_cannot_be_written_to():
    x, y = some_digits(0, 20)
    assert x is some_digits(0, 20)[0]
    for a in x, y:
        with pytest.raises(ValueError, match="read-only"):
            a[0] = 1


def test_the_seed_chooses_the_directions():
    """Small diagonals of the seed in the place of zeros, and nothing else in the state."""
    params = two_layers(0)
    one, same, other, none = (Optimizer(soap, lr=0.1) for _ in range(4))
    choose_directions(one, params, 1e-8, 0)
    choose_directions(same, params, 1e-8, 0)
    choose_directions(other, params, 1e-8, 1)
    choose_directions(none, params, 0.0, 0)
    for name, x in params.items():
        for key, n in (("L", x.shape[0]), ("R", x.shape[1])):
            a = one.state[name][key]
            assert a.shape == (n, n)
            assert (a == np.diag(np.diag(a))).all()
            assert ((np.diag(a) >= 1e-8) & (np.diag(a) <= 2e-8)).all()
            assert len(set(np.diag(a))) == n
            assert (a == same.state[name][key]).all()
            assert (a != other.state[name][key]).any()
            assert not none.state[name][key].any()
        assert not any(one.state[name][key].any() for key in ("m", "v", "Q_L", "Q_R"))
    with pytest.raises(ValueError, match="size"):
        choose_directions(one, params, -1.0, 0)


@pytest.mark.parametrize(("floor", "apart"), [(0.0, True), (1e-8, False)])
def test_rounding_chooses_soaps_basis_unless_the_seed_does(floor, apart, monkeypatch):
    """Weights changed by 1e-12 change the losses after twenty steps by more than 1e-4, or by less than 1e-6."""
    losses = train_net(soap, 0, 0.1, 20, floor=floor)
    changed = {name: (1 + 1e-12) * a for name, a in two_layers(0).items()}
    monkeypatch.setattr("lib.experiments.second_order.two_layers", lambda seed: changed)
    others = train_net(soap, 0, 0.1, 20, floor=floor)
    change = abs(np.log(others / losses)).max()
    assert change > 1e-4 if apart else change < 1e-6


def test_training_that_diverges_ends_in_inf():
    assert np.isinf(train_net(gradient_descent, 0, 1e6, 40)[-1])


def test_lazy_shampoo_by_hand():
    """Two steps; the second has the roots of the first, and the averages are freed of bias."""
    rng = np.random.default_rng(0)
    x, g1, g2 = rng.standard_normal((3, 2, 3))
    zero = np.zeros((2, 2)), np.zeros((3, 3))
    given = {"lr": 0.5, "beta1": 0.5, "beta2": 0.75, "eps": 0.01, "every": 2}
    first, m, L, R, a, b = lazy_shampoo(x, g1, 0 * x, *zero, *zero, 1, **given)
    left, right = inverse_root(g1 @ g1.T, 4, 0.01), inverse_root(g1.T @ g1, 4, 0.01)
    np.testing.assert_allclose(first, x - 0.5 * left @ g1 @ right, rtol=1e-12)
    second, m, L, R, a, b = lazy_shampoo(first, g2, m, L, R, a, b, 2, **given)
    np.testing.assert_allclose(second, first - 0.5 * left @ ((g1 / 4 + g2 / 2) / 0.75) @ right, rtol=1e-12)
    third, *_ = lazy_shampoo(second, 0 * g1, m, L, R, a, b, 3, **given)
    L = (0.75**2 * g1 @ g1.T + 0.75 * g2 @ g2.T) * 0.25 / (1 - 0.75**3)
    R = (0.75**2 * g1.T @ g1 + 0.75 * g2.T @ g2) * 0.25 / (1 - 0.75**3)
    average = (g1 / 8 + g2 / 4) / (1 - 0.5**3)
    step = inverse_root(L, 4, 0.01) @ average @ inverse_root(R, 4, 0.01)
    np.testing.assert_allclose(third, second - 0.5 * step, rtol=1e-10)


# What chapters/curvature.ipynb says of more runs than it shows

quarters = lambda first, last: 10 ** np.arange(first, last + 0.1, 0.25)  # rates
middle = lambda losses: np.exp(np.log(losses).mean(axis=-1))


def best_of_shampoo(rates, **given):
    """The loss after 100 steps at the best rate, none at an end: the geometric mean of three seeds."""
    losses = [[train_net(lazy_shampoo, seed, lr, 100, **given)[-1] for seed in range(3)] for lr in rates]
    means = middle(np.array(losses))
    assert 0 < means.argmin() < len(rates) - 1
    return means.min()


def test_no_eps_mends_roots_that_wait_for_ten_steps():
    """It stays more than eight times the loss of roots that are renewed at each step."""
    fresh = best_of_shampoo(quarters(-0.25, 0.25), every=1, eps=1e-6)
    for eps in 1e-8, 1e-5, 1e-4, 1e-3:
        assert best_of_shampoo(quarters(-1.25, 0), every=10, eps=eps) > 8 * fresh


@pytest.mark.parametrize("seed", [1, 2])
def test_what_adam_knows_of_the_curvature_in_other_nets(seed):
    (x, y), params = some_digits(seed), two_layers(seed)
    slope = lambda v: flat(loss_and_gradients(unflat(v, params), x, y)[1])
    assert (np.linalg.eigvalsh(hessian_of(slope, flat(params))) < -1e-4).sum() > 300
    optimizer = Optimizer(adam, lr=0.03, beta1=0.95, beta2=0.95)
    for _ in range(60):
        params = optimizer.step(params, loss_and_gradients(params, x, y)[1])
    size = abs(np.diag(hessian_of(slope, flat(params))))
    ratio = lambda d: np.exp(np.log(d / size).mean())
    order = lambda d: spearmanr(d, size)[0]
    true, empirical, g = fisher_diagonal(params, x), mean_squares(params, x, y), slope(flat(params))
    v = g**2 + (empirical - g**2) / 20  # of batches of 20
    assert order(true) > 0.9 > max(order(empirical), order(v)) > min(order(empirical), order(v)) > 0.8
    assert 0.5 < ratio(true) < 1
    assert 1 / 200 < ratio(empirical) < 1 / 50
    assert ratio(v) < 1e-3
    assert 0.5 < ratio(np.sqrt(v)) < 2
