"""Square roots, finiteness and namespaces for whatever kind of array a rule is given."""

import math
import warnings

import numpy as np
import pytest
import torch

from lib.arrays import (
    all_finite,
    columns_by_columns,
    eigenvectors,
    inverse_root,
    namespace,
    orthonormal,
    rows_by_rows,
    sqrt,
)


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


# ---------- matrices ----------

every_library = pytest.mark.parametrize(
    "array",
    [np.asarray, torch.tensor, lambda a: pytest.importorskip("jax.numpy").asarray(a)],
    ids=["numpy", "torch", "jax"],
)


def symmetric(*eigenvalues):
    """A matrix with these eigenvalues, and its eigenvectors in their order."""
    n = len(eigenvalues)
    U = np.linalg.qr(np.random.default_rng(0).standard_normal((n, n))).Q
    return U * np.array(eigenvalues) @ U.T, U


@every_library
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_square_matrices_of_zeros_are_as_the_sides_of_another_matrix(array, dtype):
    a = array(np.ones((3, 2), dtype))
    for square, n in (rows_by_rows(a), 3), (columns_by_columns(a), 2):
        assert type(square) is type(a)
        assert (square.shape, square.dtype) == ((n, n), a.dtype)
        assert not np.asarray(square).any()


@every_library
def test_eigenvectors_come_with_that_of_the_largest_eigenvalue_first(array):
    P, U = symmetric(2.0, 9.0, 0.5)
    Q = np.asarray(eigenvectors(array(P.astype("float32"))))
    np.testing.assert_allclose(np.abs(Q.T @ U[:, [1, 0, 2]]), np.eye(3), atol=1e-5)


@every_library
def test_columns_become_orthonormal_each_from_itself_and_those_before_it(array):
    a = np.random.default_rng(0).standard_normal((4, 3)).astype("float32")
    Q = np.asarray(orthonormal(array(a)))
    np.testing.assert_allclose(Q.T @ Q, np.eye(3), atol=1e-5)
    np.testing.assert_allclose(np.tril(Q.T @ a, -1), 0, atol=1e-5)


@every_library
@pytest.mark.parametrize("p", [1, 2, 4])
def test_the_inverse_root_to_the_power_is_the_inverse(array, p):
    P, _ = symmetric(2.0, 9.0, 0.5)
    root = np.asarray(inverse_root(array(P.astype("float32")), p, 0.25), float)
    np.testing.assert_allclose(np.linalg.matrix_power(root, p) @ (P + 0.25 * np.eye(3)), np.eye(3), atol=1e-5)


def test_the_inverse_root_of_a_diagonal_matrix_is_that_of_its_entries():
    root = inverse_root(np.diag([15.0, 80.0, 0.0]), 4, 1.0)
    np.testing.assert_allclose(root, np.diag([1 / 2, 1 / 3, 1.0]), atol=1e-15)


def test_what_rounding_leaves_below_zero_counts_as_zero():
    P, U = symmetric(4.0, -1e-12, 1.0)
    root = inverse_root(P, 2, 1e-14)
    np.testing.assert_allclose(U.T @ root @ U, np.diag([0.5, 1e7, 1.0]), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_matrices_of_16_bits_are_decomposed_in_float32_and_stay_of_16_bits(dtype):
    """Neither LAPACK nor torch decomposes them; the entries of an exact result of 0 and 1 need no more."""
    a = torch.diag(torch.tensor([2.0, 3.0], dtype=dtype))
    for b in eigenvectors(a), orthonormal(a), inverse_root(a, 4, 0.0):
        assert b.dtype == dtype
    assert eigenvectors(a).abs().tolist() == [[0.0, 1.0], [1.0, 0.0]]
    if dtype == torch.float16:
        assert eigenvectors(a.numpy()).dtype == orthonormal(a.numpy()).dtype == np.float16
        assert inverse_root(a.numpy(), 4, 0.0).dtype == np.float16
