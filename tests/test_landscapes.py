"""Every landscape's gradient is the derivative of its height, and its minima are where it is lowest."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.landscapes import LANDSCAPES, Landscape, quadratic

landscapes = pytest.mark.parametrize("landscape", LANDSCAPES.values(), ids=list(LANDSCAPES))


def points(landscape, n=200, seed=0):
    """``n`` random points (x, y) in the landscape's window, one row each."""
    low, high = np.array(landscape.window).T
    return np.random.default_rng(seed).uniform(low, high, (n, 2))


def hessian(landscape, x, y, h=1e-5):
    """Second derivatives by central differences of the gradient."""
    gradient = lambda x, y: np.array(landscape.gradient(x, y))
    across = (gradient(x + h, y) - gradient(x - h, y)) / (2 * h)
    up = (gradient(x, y + h) - gradient(x, y - h)) / (2 * h)
    return np.array([across, up])


@landscapes
def test_gradient_is_the_complex_step_derivative(landscape):
    """f(x + ih) has imaginary part h f'(x), without the cancellation of a difference: exact to rounding."""
    for x, y in points(landscape):
        h = 1e-30
        expected = landscape.value(x + h * 1j, y).imag / h, landscape.value(x, y + h * 1j).imag / h
        scale = 1 + abs(expected[0]) + abs(expected[1])
        assert np.abs(np.subtract(landscape.gradient(x, y), expected)).max() <= 1e-13 * scale


@landscapes
def test_gradient_is_what_torch_derives(landscape):
    at = torch.tensor(points(landscape), requires_grad=True)
    landscape.value(at[:, 0], at[:, 1]).sum().backward()
    ours = np.stack(landscape.gradient(*points(landscape).T), axis=1)
    np.testing.assert_allclose(ours, at.grad.numpy(), rtol=1e-12, atol=1e-12)


@landscapes
def test_floats_and_arrays_give_the_same_numbers(landscape):
    at = points(landscape, 20)
    heights, (across, up) = landscape.value(*at.T), landscape.gradient(*at.T)
    assert heights.shape == across.shape == up.shape == (20,)
    for i, (x, y) in enumerate(at.tolist()):
        # Powers of arrays may round otherwise than powers of floats.
        assert landscape.value(x, y) == pytest.approx(heights[i], rel=1e-13)
        assert landscape.gradient(x, y) == pytest.approx((across[i], up[i]), rel=1e-12, abs=1e-12)


@landscapes
def test_the_gradient_vanishes_at_the_minima(landscape):
    assert landscape.minima
    for minimum in landscape.minima:
        assert np.abs(landscape.gradient(*minimum)).max() <= 1e-13


@landscapes
def test_the_minima_are_minima(landscape):
    for minimum in landscape.minima:
        curvatures = np.linalg.eigvalsh(hessian(landscape, *minimum))
        assert curvatures.min() > 0.1


@landscapes
def test_the_minima_are_the_lowest_points_and_there_are_no_others(landscape):
    (x0, x1), (y0, y1) = landscape.window
    x, y = np.meshgrid(np.linspace(x0, x1, 401), np.linspace(y0, y1, 401))
    height = landscape.value(x, y)
    lowest = landscape.value(*landscape.minima[0])
    for minimum in landscape.minima:
        assert landscape.value(*minimum) == pytest.approx(lowest, abs=1e-12)
    assert height.min() >= lowest - 1e-12
    # Where the grid comes within 1e-3 of the lowest height, a listed minimum is near.
    for at in zip(x[height < lowest + 1e-3], y[height < lowest + 1e-3], strict=True):
        assert min(math.dist(at, minimum) for minimum in landscape.minima) < 0.15


@landscapes
def test_the_window_shows_the_start_and_the_minima(landscape):
    (x0, x1), (y0, y1) = landscape.window
    for x, y in [landscape.start, *landscape.minima]:
        assert x0 < x < x1
        assert y0 < y < y1


@landscapes
def test_the_start_is_worth_walking_from(landscape):
    assert landscape.value(*landscape.start) > landscape.value(*landscape.minima[0]) + 0.1
    assert np.abs(landscape.gradient(*landscape.start)).max() > 1e-3


@landscapes
def test_arrays_are_left_alone(landscape):
    x, y = points(landscape, 5).T.copy()
    before = x.copy(), y.copy()
    landscape.value(x, y), landscape.gradient(x, y)
    np.testing.assert_array_equal((x, y), before)


@settings(deadline=None, max_examples=50, derandomize=True)
@given(st.floats(1, 1e6), st.floats(-10, 10), st.floats(-10, 10))
def test_the_curvatures_of_a_quadratic_are_one_and_its_condition_number(k, x, y):
    landscape = quadratic(k)
    np.testing.assert_allclose(hessian(landscape, x, y, h=1.0), [[1, 0], [0, k]], rtol=1e-9, atol=1e-9 * k)
    assert landscape.value(x, y) == pytest.approx((x**2 + k * y**2) / 2)


def test_published_values():
    """Heights at the customary starting points, from More, Garbow & Hillstrom 1981 (problems 1 and 5)."""
    assert LANDSCAPES["rosenbrock"].value(-1.2, 1.0) == pytest.approx(24.2)
    assert LANDSCAPES["beale"].value(1.0, 1.0) == pytest.approx(1.5**2 + 2.25**2 + 2.625**2)
    assert LANDSCAPES["himmelblau"].value(0.0, 0.0) == 11**2 + 7**2


def test_the_bowl_and_the_ravine_are_as_steep_as_they_say():
    assert LANDSCAPES["bowl"].gradient(1.0, 1.0) == (1.0, 2)
    assert LANDSCAPES["ravine"].gradient(1.0, 1.0) == (1.0, 50)


def test_the_saddle_point_is_a_saddle_point():
    saddle = LANDSCAPES["saddle"]
    assert saddle.gradient(0.0, 0.0) == (0.0, 0.0)
    down, up = np.linalg.eigvalsh(hessian(saddle, 0.0, 0.0))
    assert down < 0 < up


@pytest.mark.parametrize("k", [0.5, 0, -1, math.nan, math.inf])
def test_a_quadratic_needs_a_condition_number(k):
    with pytest.raises(ValueError, match=f"condition_number must be a finite number >= 1, got {k}"):
        quadratic(k)


def test_repr_names_the_landscape():
    assert repr(LANDSCAPES["bowl"]) == "Landscape(bowl)"
    assert all(isinstance(landscape, Landscape) for landscape in LANDSCAPES.values())
