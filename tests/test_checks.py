"""Every hyperparameter has one range, its bounds stand where the words say, and a wrong value is named in the error."""

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch

from lib.checks import COUNT, FACTOR, FINITE, FRACTION, NON_NEGATIVE, POSITIVE, RANGES, check_names, check_number

from lib.checks import LENGTH, SHARE, WHOLE, check_range, check_step  # isort: skip

TINY, BELOW_ONE, ABOVE_ONE = 5e-324, math.nextafter(1, 0), math.nextafter(1, 2)
LARGEST = 1.7976931348623157e308

# range: (numbers inside, numbers outside), with the nearest floats on both sides of each bound
BOUNDS = {
    "FINITE": (FINITE, [0.0, -LARGEST, LARGEST], [math.inf, -math.inf]),
    "POSITIVE": (POSITIVE, [TINY, 1.0, math.inf], [0.0, -TINY]),
    "NON_NEGATIVE": (NON_NEGATIVE, [0, 0.0, -0.0, TINY, 1, LARGEST], [-TINY, -1, math.inf, -math.inf]),
    "FRACTION": (FRACTION, [0, 0.0, TINY, 0.9, BELOW_ONE], [-TINY, -0.1, 1, 1.0, ABOVE_ONE, math.inf]),
    "FACTOR": (FACTOR, [TINY, 0.5, 1, 1.0], [0, 0.0, -0.5, ABOVE_ONE, math.inf]),
    "COUNT": (COUNT, [1, 2, 10**6], [0, -1, 1.0, 2.5, math.inf]),
    "WHOLE": (WHOLE, [0, 1, 10**6], [-1, 0.0, 2.5, math.inf]),
    "LENGTH": (LENGTH, [TINY, 1, 2.5, LARGEST], [0, 0.0, -1, math.inf]),
    "SHARE": (SHARE, [TINY, 0.5, BELOW_ONE], [0, 0.0, 1, 1.0, -0.5]),
}
INSIDE = [(range_, value) for range_, inside, _ in BOUNDS.values() for value in inside]
OUTSIDE = [(range_, value) for range_, _, outside in BOUNDS.values() for value in outside]

NOT_NUMBERS = ["0.9", None, True, False, 1j, [0.1], (0.1,), {}, Decimal("0.1"), np.array(0.1), np.array([0.1]),
               np.True_, torch.tensor(0.1), math.sqrt]  # fmt: skip


@pytest.mark.parametrize(("range_", "value"), INSIDE)
def test_a_number_inside_is_returned(range_, value):
    assert check_range(range_, "beta", value, "here") == value


@pytest.mark.parametrize(("range_", "value"), OUTSIDE)
def test_a_number_outside_is_a_value_error_that_says_all(range_, value):
    with pytest.raises(ValueError, match="here: beta must be") as error:
        check_range(range_, "beta", value, "here")
    assert range_[0] in str(error.value)
    assert repr(value) in str(error.value)


@pytest.mark.parametrize("name", BOUNDS)
def test_nan_is_in_no_range(name):
    with pytest.raises(ValueError, match="got nan"):
        check_range(BOUNDS[name][0], "beta", math.nan, "here")


@pytest.mark.parametrize("value", NOT_NUMBERS, ids=repr)
@pytest.mark.parametrize("name", RANGES)
def test_what_is_not_a_number_is_a_type_error(name, value):
    with pytest.raises(TypeError, match=f"here: {name} must be a") as error:
        check_number(name, value, "here")
    assert repr(value) in str(error.value)
    assert type(value).__name__ in str(error.value)


@pytest.mark.parametrize(
    "number", [np.float64(0.5), np.float32(0.5), np.float16(0.5), np.longdouble(0.5), Fraction(1, 2)]
)
def test_any_kind_of_number_becomes_a_plain_float(number):
    assert type(check_number("lr", number, "here")) is float
    assert check_number("lr", number, "here") == 0.5


@pytest.mark.parametrize("name", ["every", "cooldown"])
def test_a_count_becomes_a_plain_int(name):
    assert type(check_number(name, np.int64(3), "here")) is int
    assert check_number(name, np.int64(3), "here") == 3


def test_a_rate_is_a_float_even_when_it_is_whole():
    assert type(check_number("lr", 1, "here")) is float


def test_a_whole_number_beyond_floats_is_out_of_range():
    with pytest.raises(ValueError, match="lr must be a finite number"):
        check_number("lr", 10**400, "here")


def test_a_fraction_that_rounds_to_one_is_out_of_range():
    with pytest.raises(ValueError, match="beta1 must be"):
        check_number("beta1", Fraction(10**30 - 1, 10**30), "here")


@pytest.mark.parametrize(
    ("name", "range_"),
    [("lr", NON_NEGATIVE), ("eps", NON_NEGATIVE), ("momentum", FRACTION), ("beta1", FRACTION), ("beta2", FRACTION),
     ("rho", FRACTION), ("gamma", FACTOR), ("every", COUNT)],
)  # fmt: skip
def test_each_hyperparameter_has_its_range(name, range_):
    assert RANGES[name] is range_


def test_names_that_are_allowed_pass():
    check_names(["lr", "eps"], ["lr", "beta1", "eps"], "adam")
    check_names([], ["lr"], "adam")


@pytest.mark.parametrize(
    ("given", "suggested"), [("beta_1", "beta1"), ("beat2", "beta2"), ("epsilon", "eps"), ("LR", "lr")]
)
def test_a_misspelt_name_gets_a_suggestion(given, suggested):
    with pytest.raises(TypeError, match=f"adam: unknown hyperparameter '{given}'; did you mean '{suggested}'"):
        check_names([given], ["lr", "beta1", "beta2", "eps"], "adam")


def test_a_name_like_no_other_gets_the_list():
    with pytest.raises(TypeError, match="unknown hyperparameter 'weight_decay'; it takes lr, rho"):
        check_names(["lr", "weight_decay"], ["lr", "rho"], "rmsprop")
    with pytest.raises(TypeError, match=r"unknown hyperparameter 'lr'; it takes none\."):
        check_names(["lr"], [], "a rule without numbers")


@pytest.mark.parametrize(
    "t", [0, 5, 2.5, np.int64(3), np.arange(4), np.arange(0), torch.arange(3), np.array(2)], ids=repr
)
def test_steps_and_arrays_of_steps_pass(t):
    check_step(t, "here")


def test_a_step_that_jax_has_not_computed_yet_passes():
    jax = pytest.importorskip("jax")
    assert jax.jit(lambda t: (check_step(t, "here"), t)[1])(3) == 3


@pytest.mark.parametrize("t", [-1, -0.5, math.nan, math.inf, np.array([0, -1]), np.array([0.0, np.nan])], ids=repr)
def test_a_negative_or_infinite_step_is_a_value_error(t):
    with pytest.raises(ValueError, match="here: t must be a step >= 0, got"):
        check_step(t, "here")


@pytest.mark.parametrize("t", ["3", None, True, [0, 1], 1j], ids=repr)
def test_what_is_not_a_step_is_a_type_error(t):
    with pytest.raises(TypeError, match="here: t must be a step or an array of steps, got"):
        check_step(t, "here")
