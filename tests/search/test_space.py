"""A dimension's shares and values are each other's inverse, and its draws follow its distribution."""

import dataclasses
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from lib.search.space import Choice, Integers, LogUniform, Uniform, at_shares, check_space, grid

DIMENSIONS = [
    Uniform(-2.0, 5.0),
    Uniform(0.0, 0.99),
    LogUniform(1e-4, 3.0),
    LogUniform(1e-300, 1e300),
    Integers(-1, 5),
    Choice(16, 32, 64),
    Choice("relu", "tanh"),
]
STEPS = [it for it in DIMENSIONS if isinstance(it, Integers | Choice)]
SMOOTH = [it for it in DIMENSIONS if it not in STEPS]
SPACE = {"lr": LogUniform(1e-3, 1.0), "layers": Integers(1, 3), "activation": Choice("relu", "tanh")}


# ---------- shares and values ----------


@pytest.mark.parametrize("dimension", SMOOTH, ids=repr)
def test_the_ends_are_the_bounds_exactly(dimension):
    assert (dimension.at(0), dimension.at(1)) == (dimension.low, dimension.high)
    assert (dimension.share(dimension.low), dimension.share(dimension.high)) == (0, 1)
    within = dimension.at(np.linspace(0, 1, 1001))
    assert ((within >= dimension.low) & (within <= dimension.high)).all()
    assert (np.diff(within) > 0).all()


def test_rounding_leads_out_of_no_interval():
    narrow = Uniform(0.1, math.nextafter(0.1, 1))
    values = narrow.at(np.linspace(0, 1, 1001))
    assert set(values) == {narrow.low, narrow.high}
    narrow.share(values)
    narrow = LogUniform(0.1, 0.1 + 1e-15)
    narrow.share(narrow.at(np.linspace(0, 1, 1001)))


def test_quantiles():
    assert Uniform(-2, 5).at(0.25) == -0.25
    assert LogUniform(0.01, 100).at(0.5) == pytest.approx(1, rel=1e-15)
    assert LogUniform(0.01, 100).share(10.0) == pytest.approx(0.75, rel=1e-15)
    assert Integers(1, 4).at([0, 0.249, 0.25, 0.5, 0.99, 1]).tolist() == [1, 1, 2, 3, 4, 4]
    assert Choice("a", "b").at([0.4, 0.6]).tolist() == ["a", "b"]
    assert Integers(1, 4).share([1, 4]).tolist() == [0.125, 0.875]


@pytest.mark.parametrize("dimension", DIMENSIONS, ids=repr)
@given(u=st.floats(0, 1))
def test_share_is_the_inverse(dimension, u):
    value = dimension.at(u)
    if dimension in STEPS:
        assert abs(dimension.share(value) - u) <= 0.5 / dimension.count + 1e-15
        assert dimension.at(dimension.share(value)) == value
    else:  # the roundings of the logarithms of the bounds, as parts of their difference
        assert dimension.share(value) == pytest.approx(u, abs=4e-15)


@pytest.mark.parametrize("dimension", DIMENSIONS, ids=repr)
def test_any_shape(dimension):
    u = np.linspace(0, 1, 6).reshape(2, 3)
    values = dimension.at(u)
    assert values.shape == dimension.share(values).shape == (2, 3)
    assert [dimension.at(it) for it in u.ravel()] == values.ravel().tolist()
    assert np.ndim(dimension.at(0.3)) == np.ndim(dimension.share(dimension.at(0.3))) == 0
    assert dimension.draw(np.random.default_rng(0), (4, 5)).shape == (4, 5)


def test_dtypes():
    assert Uniform(0, 1).at([0.5]).dtype == LogUniform(1, 2).at([0.5]).dtype == np.float64
    assert Integers(0, 3).at([0.5]).dtype == Choice(1, 2).at([0.5]).dtype == np.int64
    assert Choice(1, 2.5).at([0.0]).dtype == np.float64
    assert Choice("a", "bc").at([0.0]).dtype.kind == "U"


# ---------- draws ----------


@pytest.mark.parametrize(
    ("dimension", "distribution"),
    [
        (Uniform(-2, 5), scipy.stats.uniform(-2, 7)),
        (LogUniform(1e-4, 3), scipy.stats.loguniform(1e-4, 3)),
    ],
    ids=["uniform", "loguniform"],
)
def test_draws_follow_the_distribution(dimension, distribution):
    draws = dimension.draw(np.random.default_rng(0), 4000)
    assert scipy.stats.kstest(draws, distribution.cdf).pvalue > 0.01
    u = np.linspace(0.01, 0.99, 99)
    np.testing.assert_allclose(dimension.at(u), distribution.ppf(u), rtol=1e-13)


@pytest.mark.parametrize("dimension", STEPS, ids=repr)
def test_each_step_is_as_likely(dimension):
    values, counts = np.unique(dimension.draw(np.random.default_rng(0), 4000), return_counts=True)
    assert len(values) == dimension.count
    assert scipy.stats.chisquare(counts).pvalue > 0.01


def test_a_draw_takes_one_number_a_value():
    one, other = np.random.default_rng(0), np.random.default_rng(0)
    for dimension in DIMENSIONS:
        dimension.draw(one, 3)
        other.random(3)
    assert one.bit_generator.state == other.bit_generator.state


# ---------- grids and neighbors ----------


def test_grid():
    np.testing.assert_allclose(LogUniform(0.01, 100).grid(5), [0.01, 0.1, 1, 10, 100], rtol=1e-14)
    assert Uniform(0, 1).grid(3).tolist() == [0, 0.5, 1]
    assert Uniform(0, 1).grid(1).tolist() == [0.5]
    assert Integers(1, 9).grid(3).tolist() == [1, 5, 9]
    assert Integers(1, 3).grid(10).tolist() == [1, 2, 3]
    assert Integers(1, 3).grid(1).tolist() == [2]
    assert Choice("a", "b", "c").grid(2).tolist() == ["a", "c"]


@pytest.mark.parametrize("dimension", STEPS, ids=repr)
@pytest.mark.parametrize("n", range(1, 9))
def test_a_grid_has_no_value_twice(dimension, n):
    assert len(set(dimension.grid(n).tolist())) == min(n, dimension.count)


def test_neighbors_stay_inside():
    assert Integers(1, 3).neighbor([1, 2, 3], 1).tolist() == [2, 3, 3]
    assert Integers(1, 3).neighbor([1, 2, 3], -1).tolist() == [1, 1, 2]
    assert Choice("a", "b", "c").neighbor(["a", "b", "c"], [1, -1, 1]).tolist() == ["b", "a", "c"]


# ---------- spaces ----------


def test_settings_at_shares():
    settings = at_shares(SPACE, [[0, 0, 0], [1, 1, 1], [0.5, 0.5, 0.2]])
    assert settings["lr"].tolist()[:2] == [1e-3, 1.0]
    assert settings["layers"].tolist() == [1, 3, 2]
    assert settings["activation"].tolist() == ["relu", "tanh", "relu"]
    points = scipy.stats.qmc.Sobol(3, rng=np.random.default_rng(0)).random(8)
    assert sorted(at_shares(SPACE, points)["activation"]) == ["relu"] * 4 + ["tanh"] * 4


def test_grid_of_a_space():
    settings = grid(SPACE, {"lr": 2, "layers": 3, "activation": 5})
    assert settings["lr"].tolist() == [1e-3] * 6 + [1.0] * 6
    assert settings["layers"].tolist() == [1, 1, 2, 2, 3, 3] * 2
    assert settings["activation"].tolist() == ["relu", "tanh"] * 6
    assert len(grid(SPACE, 3)["lr"]) == 3 * 3 * 2


# ---------- what is no dimension ----------


@pytest.mark.parametrize("dimension", DIMENSIONS, ids=repr)
def test_dimensions_do_not_change(dimension):
    name = "options" if isinstance(dimension, Choice) else "low"
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(dimension, name, 1)
    assert eval(repr(dimension)) == dimension
    assert hash(eval(repr(dimension))) == hash(dimension)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Uniform(1, 1), ValueError, "Uniform: low must be less than high, got 1.0 and 1.0"),
        (lambda: Uniform(0, math.inf), ValueError, "Uniform: high must be a finite number, got inf"),
        (lambda: Uniform("0", 1), TypeError, "Uniform: low must be a finite number, got '0' of type str"),
        (lambda: LogUniform(0, 1), ValueError, "LogUniform: low must be a finite number > 0, got 0"),
        (lambda: LogUniform(0.1, math.nan), ValueError, "high must be a finite number > 0, got nan"),
        (
            lambda: LogUniform(0.1, math.nextafter(0.1, 1)),
            ValueError,
            "LogUniform: low and high have the same logarithm",
        ),
        (lambda: Integers(0, 2.5), ValueError, "Integers: high must be a whole number, got 2.5"),
        (lambda: Integers(3, 2), ValueError, "Integers: low must be less than high, got 3 and 2"),
        (lambda: Choice(), ValueError, "two or more that differ"),
        (lambda: Choice(1), ValueError, "two or more that differ"),
        (lambda: Choice(1, 2, 1.0), ValueError, "two or more that differ"),
        (lambda: Choice(1, "a"), TypeError, "all numbers, or all texts.*search by name"),
        (lambda: Choice(math.tanh, math.exp), TypeError, "search by name"),
        (lambda: Choice(1.0, math.inf), ValueError, "options must be finite"),
    ],
)
def test_bad_bounds(make, error, words):
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize("dimension", DIMENSIONS, ids=repr)
@pytest.mark.parametrize("u", [-0.1, 1.1, math.nan])
def test_a_share_outside(dimension, u):
    with pytest.raises(ValueError, match=f"the share {u!r} lies outside"):
        dimension.at([0.5, u])


@pytest.mark.parametrize(
    ("dimension", "value", "words"),
    [
        (Uniform(0, 1), 1.5, r"Uniform\(low=0.0, high=1.0\): the value 1.5 is outside"),
        (LogUniform(0.1, 1), math.nan, "the value nan is outside"),
        (Integers(1, 3), 4, "the value 4 is outside"),
        (Integers(1, 3), 1.5, "the value 1.5 is outside"),
        (Choice(1, 2), 3, r"Choice\(1, 2\): the value 3 is not among the options"),
        (Choice("a", "b"), "c", "the value 'c' is not among the options"),
    ],
)
def test_a_value_that_the_dimension_does_not_have(dimension, value, words):
    with pytest.raises(ValueError, match=words):
        dimension.share(value)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: check_space([], "search"), TypeError, "search: space must be a dict of name to dimension"),
        (lambda: check_space({}, "search"), ValueError, "search: space must have a dimension"),
        (lambda: check_space({"lr": (0, 1)}, "search"), TypeError, r"space\['lr'\] must be a dimension .*got \(0, 1\)"),
        (lambda: check_space({1: Uniform(0, 1)}, "search"), TypeError, r"space\[1\]"),
        (lambda: at_shares(SPACE, np.zeros((4, 2))), ValueError, r"a column for each of lr, .*\(n, 3\); got \(4, 2\)"),
        (lambda: at_shares(SPACE, np.zeros(3)), ValueError, r"got \(3,\)"),
        (lambda: grid(SPACE, {"lr": 2}), ValueError, "n must have a number for each of lr, layers, activation"),
        (lambda: grid(SPACE, 0), ValueError, "n must be a whole number >= 1"),
        (lambda: Uniform(0, 1).grid(2.5), ValueError, "grid: n must be a whole number >= 1, got 2.5"),
    ],
)
def test_bad_spaces(make, error, words):
    with pytest.raises(error, match=words):
        make()
