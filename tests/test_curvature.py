"""Newton, Gauss and Newton, Levenberg and Marquardt, and the Fisher matrix: against PyTorch's derivatives and SciPy."""

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares, minimize

from lib.curvature import (
    backtrack,
    descend,
    empirical_fisher,
    fisher,
    gauss_newton,
    hessian_of,
    least_damping,
    levenberg_marquardt,
    newton,
    saddle_free,
    softmax_hessian,
)
from lib.landscapes import LANDSCAPES, beale, ravine, rosenbrock, saddle

RNG = np.random.default_rng(0)


def of(landscape):
    """Its value, gradient and Hessian as functions of a point."""
    gradient = lambda x: np.array(landscape.gradient(*x))
    return lambda x: landscape.value(*x), gradient, lambda x: hessian_of(gradient, x)


def torch_hessian(landscape, x):
    return torch.func.hessian(lambda p: landscape.value(p[0], p[1]))(torch.tensor(x)).numpy()


def symmetric(curvatures, seed=0):
    Q = np.linalg.qr(np.random.default_rng(seed).standard_normal((len(curvatures),) * 2)).Q
    return Q * curvatures @ Q.T


# ---------- steps ----------


def test_newton_by_hand():
    """H = (5 2; 2 2) is inverted by (2 -2; -2 5) / 6."""
    np.testing.assert_allclose(newton(np.array([7.0, 4.0]), np.array([[5.0, 2.0], [2.0, 2.0]])), [1.0, 1.0], rtol=1e-14)


def test_newton_solves_its_equation_with_the_damping_on_the_diagonal():
    H, g = symmetric([-3.0, 0.5, 2.0, 100.0]), RNG.standard_normal(4)
    for damping in 0.0, 5.0, 1e3:
        step = newton(g, H, damping)
        theirs = torch.linalg.solve(torch.tensor(H) + damping * torch.eye(4, dtype=torch.float64), torch.tensor(g))
        np.testing.assert_allclose(step, theirs.numpy(), rtol=1e-11)


def test_on_a_quadratic_one_step_is_enough():
    _, gradient, hessian = of(ravine)
    x = np.array([-2.0, 1.0])
    np.testing.assert_allclose(x - newton(gradient(x), hessian(x)), 0, atol=1e-8)


def test_great_damping_makes_it_gradient_descent():
    H, g = symmetric([-3.0, 0.5, 2.0]), RNG.standard_normal(3)
    np.testing.assert_allclose(newton(g, H, 1e8), g / 1e8, rtol=1e-6)


def test_newton_s_walk_does_not_know_the_coordinates():
    A, H, g = RNG.standard_normal((3, 3)), symmetric([1.0, 10.0, 100.0]), RNG.standard_normal(3)
    there = newton(A.T @ g, A.T @ H @ A)  # x = A z
    np.testing.assert_allclose(A @ there, newton(g, H), rtol=1e-9)


def test_saddle_free_is_newton_with_the_sizes_of_the_curvatures():
    curvatures, g = np.array([-3.0, 0.5, 2.0]), RNG.standard_normal(3)
    np.testing.assert_allclose(saddle_free(g, symmetric(curvatures)), newton(g, symmetric(abs(curvatures))), rtol=1e-12)
    np.testing.assert_allclose(
        saddle_free(g, symmetric(curvatures), 1.0), newton(g, symmetric(abs(curvatures)), 1.0), rtol=1e-12
    )


@pytest.mark.parametrize("step", [newton, saddle_free])
@pytest.mark.parametrize(("g", "H"), [(np.zeros((2, 1)), np.eye(2)), (np.zeros(3), np.eye(2)), (np.zeros(2), 1.0)])
def test_shapes_are_checked(step, g, H):
    with pytest.raises(ValueError, match="flatten"):
        step(g, H)


def test_least_damping():
    assert least_damping(symmetric([-3.0, 2.0]), 0.5) == pytest.approx(3.5)
    assert least_damping(symmetric([1.0, 2.0]), 0.5) == 0
    with pytest.raises(ValueError, match="floor"):
        least_damping(np.eye(2), 0.0)


def test_backtrack():
    """On x**2 from 1, a step of 2 lands as high as before, one of 1 at the minimum."""
    f = lambda x: float(x @ x)
    x = np.array([1.0])
    assert backtrack(f, x, np.array([2.0]), 4.0) == 0.5
    assert backtrack(f, x, np.array([1.0]), 2.0) == 1.0
    assert backtrack(f, x, np.array([8.0]), 16.0) == 0.125
    assert backtrack(f, x, np.array([-1.0]), 2.0) == 0  # uphill
    assert backtrack(f, x, np.array([1.9]), 3.8, enough=0.3) == 0.5  # 1 lowers f by 0.19, less than 0.3 * 3.8
    for slope, enough in ((-1.0, 0.1), (1.0, 1.0)):
        with pytest.raises(ValueError, match="backtrack"):
            backtrack(f, x, x, slope, enough)


@pytest.mark.parametrize("name", LANDSCAPES)
def test_hessian_of_against_pytorch(name):
    landscape = LANDSCAPES[name]
    gradient = of(landscape)[1]
    for x in np.random.default_rng(0).uniform(*np.transpose(landscape.window), (20, 2)):
        theirs = torch_hessian(landscape, x)
        # Rounding of a gradient over 2 h, and h**2 / 6 times a fourth derivative.
        np.testing.assert_allclose(hessian_of(gradient, x), theirs, rtol=1e-6, atol=1e-6 * abs(theirs).max())


@pytest.mark.parametrize(
    ("landscape", "start"), [(rosenbrock, (-1.2, 1.0)), (beale, (1.0, 1.5)), (saddle, (-1.6, 0.3))]
)
def test_descend_ends_where_scipy_ends(landscape, start):
    f, gradient, hessian = of(landscape)
    path = descend(f, gradient, hessian, start, 60)
    theirs = minimize(f, start, jac=gradient, hess=hessian, method="trust-exact", options={"gtol": 1e-10})
    np.testing.assert_allclose(path[-1], theirs.x, atol=1e-6)
    heights = np.array([f(x) for x in path])
    assert (np.diff(heights) <= 0).all()
    assert path.shape == (61, 2)


def test_newton_alone_goes_to_the_saddle():
    _, gradient, hessian = of(saddle)
    for y, end in ((0.44, 0.0), (0.9, 1.0)):
        x = np.array([-1.6, y])
        for _ in range(30):
            x = x - newton(gradient(x), hessian(x))
        np.testing.assert_allclose(x, [0.0, end], atol=1e-6)


def test_digits_double():
    """Near a minimum each error is about the square of the last."""
    f, gradient, hessian = of(rosenbrock)
    errors = np.linalg.norm(descend(f, gradient, hessian, (-1.2, 1.0), 40) - 1, axis=1)
    late = errors[(errors < 0.1) & (errors > 1e-7)]
    assert len(late) >= 2
    assert (late[1:] < 20 * late[:-1] ** 2).all()


# ---------- curvature of a model ----------


def small_model(seed=0):
    """A softmax of a net of tanh, as a PyTorch function of its parameters, and points, labels and parameters."""
    rng = np.random.default_rng(seed)
    x, y = torch.tensor(rng.standard_normal((7, 3))), torch.tensor(rng.integers(0, 4, 7))
    w = torch.tensor(rng.standard_normal(3 * 2 + 2 * 4))
    logits = lambda w: torch.tanh(x @ w[:6].reshape(3, 2)) @ w[6:].reshape(2, 4)
    return logits, x, y, w


def test_gauss_newton_against_pytorch():
    """J^T S J, each factor from PyTorch's own derivatives; and the Hessian less the part in which the outputs bend."""
    logits, _, y, w = small_model()
    loss = lambda z: torch.nn.functional.cross_entropy(z, y)
    J = torch.func.jacrev(logits)(w)
    p = torch.softmax(logits(w), dim=1).numpy()
    ours = gauss_newton(J.numpy(), softmax_hessian(p))
    S = torch.func.hessian(loss)(logits(w))
    np.testing.assert_allclose(ours, torch.einsum("nka,nkml,mlb->ab", J, S, J).numpy(), atol=1e-14)
    bend = torch.einsum("nk,nkab->ab", torch.func.grad(loss)(logits(w)), torch.func.hessian(logits)(w))
    hessian = torch.func.hessian(lambda w: loss(logits(w)))(w)
    np.testing.assert_allclose(ours, (hessian - bend).numpy(), atol=1e-14)
    assert abs(bend).max() > 0.01
    assert np.linalg.eigvalsh(ours).min() > -1e-14 > np.linalg.eigvalsh(hessian.numpy()).min()


def test_softmax_hessian_against_pytorch():
    z = torch.tensor(RNG.standard_normal((1, 5)))
    theirs = torch.func.hessian(lambda z: torch.nn.functional.cross_entropy(z[None], torch.tensor([2])))(z[0])
    np.testing.assert_allclose(softmax_hessian(torch.softmax(z, dim=1).numpy())[0], theirs.numpy(), atol=1e-15)


def test_the_fisher_matrix_is_the_gauss_newton_matrix():
    logits, _, _, w = small_model(1)
    J, p = torch.func.jacrev(logits)(w).numpy(), torch.softmax(logits(w), dim=1).numpy()
    np.testing.assert_allclose(fisher(J, p), gauss_newton(J, softmax_hessian(p)), atol=1e-14)


def test_the_fisher_matrix_is_an_average_over_drawn_labels():
    logits, _, _, w = small_model(2)
    J, p = torch.func.jacrev(logits)(w).numpy(), torch.softmax(logits(w), dim=1).numpy()
    rng, draws = np.random.default_rng(0), []
    for _ in range(4000):
        labels = (p.cumsum(axis=1) > rng.random((len(p), 1))).argmax(axis=1)
        draws.append(empirical_fisher(np.einsum("nk,nka->na", p - np.eye(4)[labels], J)))
    error = np.std(draws, axis=0) / len(draws) ** 0.5
    assert (abs(np.mean(draws, axis=0) - fisher(J, p)) < 5 * error + 1e-15).all()


def test_the_empirical_fisher_is_another_matrix():
    logits, _, y, w = small_model()
    J, p = torch.func.jacrev(logits)(w).numpy(), torch.softmax(logits(w), dim=1).numpy()
    gradients = np.einsum("nk,nka->na", p - np.eye(4)[y.numpy()], J)
    ours = empirical_fisher(gradients)
    np.testing.assert_allclose(ours, np.mean([np.outer(g, g) for g in gradients], axis=0), atol=1e-15)
    assert abs(ours - fisher(J, p)).max() > 0.1 * abs(ours).max()


def test_levenberg_marquardt_against_scipy():
    """The same fit of a decay, from where a step without damping would lead up."""
    t = np.linspace(0, 3, 20)
    y = 2 * np.exp(-1.5 * t) + 0.05 * np.sin(7 * t)
    residuals = lambda w: w[0] * np.exp(-w[1] * t) - y
    jacobian = lambda w: np.stack([np.exp(-w[1] * t), -w[0] * t * np.exp(-w[1] * t)], axis=1)
    start = [0.5, 5.0]
    path = levenberg_marquardt(residuals, jacobian, start, 60)
    theirs = least_squares(residuals, start, jacobian, method="lm", xtol=1e-15, ftol=1e-15, gtol=1e-15)
    np.testing.assert_allclose(path[-1], theirs.x, atol=1e-7)
    losses = [residuals(w) @ residuals(w) for w in path]
    assert (np.diff(losses) <= 0).all()
    assert path.shape == (61, 2)


def test_levenberg_marquardt_moves_its_damping():
    """A linear fit is reached at once but for the damping, which shrinks."""
    A, b = RNG.standard_normal((6, 2)), RNG.standard_normal(6)
    path = levenberg_marquardt(lambda w: A @ w - b, lambda w: A, np.zeros(2), 2, damping=1.0, factor=100.0)
    first = np.linalg.solve(A.T @ A + np.eye(2), A.T @ b)
    np.testing.assert_allclose(path[1], first, rtol=1e-12)
    second = first - np.linalg.solve(A.T @ A + 0.01 * np.eye(2), A.T @ (A @ first - b))
    np.testing.assert_allclose(path[2], second, rtol=1e-10)


@pytest.mark.parametrize(("name", "value"), [("steps", 0), ("damping", 0.0), ("factor", 0.5)])
def test_levenberg_marquardt_checks_its_numbers(name, value):
    given = {"steps": 3, "damping": 1.0, "factor": 10.0} | {name: value}
    with pytest.raises(ValueError, match=name):
        levenberg_marquardt(lambda w: w, lambda w: np.eye(2), np.ones(2), **given)
