"""Square roots, finiteness and namespaces for whatever kind of array a rule is given."""

import math
import warnings

import numpy as np
import pytest
import torch

from lib.arrays import all_finite, namespace, sqrt


def test_a_float_gives_a_float():
    assert sqrt(2.0) == math.sqrt(2.0)
    assert type(sqrt(2.0)) is float


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_numpy_keeps_its_dtype_and_rounds_as_numpy_does(dtype):
    a = np.array([[0.0, 2.0], [3.0, 1e4]], dtype)
    assert sqrt(a).dtype == dtype
    np.testing.assert_array_equal(sqrt(a), np.sqrt(a))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_torch_keeps_its_dtype(dtype):
    a = torch.tensor([0.0, 2.0, 3.0], dtype=dtype)
    assert sqrt(a).dtype == dtype
    assert torch.equal(sqrt(a), a.sqrt())


def test_jax_stays_jax():
    jnp = pytest.importorskip("jax.numpy")
    root = sqrt(jnp.asarray([4.0, 9.0]))
    assert type(root) is type(jnp.asarray(0.0))
    assert root.tolist() == [2.0, 3.0]


def test_the_float_path_rounds_like_the_array_path():
    values = np.random.default_rng(0).uniform(0, 10, 1000)
    assert [sqrt(float(v)) for v in values] == sqrt(values).tolist()


def test_the_argument_is_left_alone():
    a = np.array([4.0, 9.0])
    sqrt(a)
    assert a.tolist() == [4.0, 9.0]


@pytest.mark.parametrize("like", [np.asarray, torch.tensor, lambda a: pytest.importorskip("jax.numpy").asarray(a)])
def test_the_namespace_is_that_of_the_array(like):
    a = like([4.0, 9.0])
    assert namespace(a).sqrt(a).tolist() == [2.0, 3.0]
    assert type(namespace(a).asarray([1.0])) is type(a)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_one_entry_that_is_not_finite_is_found_wherever_it_is(dtype, bad):
    for place in range(6):
        a = np.linspace(-1, 1, 6).reshape(2, 3).astype(dtype)
        assert all_finite(a)
        a.flat[place] = bad
        assert not all_finite(a)
        assert not all_finite(a.T)
        assert not all_finite(torch.tensor(a.astype(float)))
    assert not all_finite(np.array(bad, dtype))
    assert not all_finite(np.array([math.inf, -math.inf, bad], dtype))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_largest_numbers_are_finite_though_their_squares_are_not(dtype):
    with warnings.catch_warnings(action="error"):
        assert all_finite(np.full(5, np.finfo(dtype).max))
        assert all_finite(-np.full((2, 3), np.finfo(dtype).max))


@pytest.mark.parametrize("a", [np.zeros(0), np.zeros((0, 3)), torch.zeros(0)], ids=repr)
def test_an_array_without_entries_is_finite(a):
    assert all_finite(a)


def test_all_finite_is_a_plain_bool():
    for a in (np.ones(2), np.array([math.inf]), torch.ones(2), torch.tensor([math.nan])):
        assert type(all_finite(a)) is bool
