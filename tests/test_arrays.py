"""`sqrt` is the one function an update rule takes from outside: right, and in the caller's kind and dtype."""

import math

import numpy as np
import pytest
import torch

from lib.arrays import sqrt


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
