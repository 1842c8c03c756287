"""Square roots, finiteness and namespaces for whatever kind of array a rule is given."""

import math
import warnings

import numpy as np
import pytest
import torch

from lib.arrays import (
    all_finite,
    column_means,
    columns_by_columns,
    cos,
    eigenvectors,
    inverse_root,
    like,
    log,
    maximum,
    minimum,
    namespace,
    norm,
    orthonormal,
    ratio,
    rms,
    row_means,
    rows_by_rows,
    sign,
    sqrt,
    where,
)


def test_a_float_gives_a_float():
    assert sqrt(2.0) == math.sqrt(2.0)
    assert type(sqrt(2.0)) is float


@pytest.mark.parametrize(("function", "of_floats", "of_numpy"), [(cos, math.cos, np.cos), (log, math.log, np.log)])
def test_cosines_and_logarithms_are_those_of_the_library(function, of_floats, of_numpy):
    a = np.linspace(0.5, 9.0, 20)
    assert function(2.0) == of_floats(2.0)
    assert function(2) == of_floats(2)
    np.testing.assert_array_equal(function(a), of_numpy(a))
    assert torch.equal(function(torch.tensor(a)), getattr(torch, function.__name__)(torch.tensor(a)))
    jnp = pytest.importorskip("jax.numpy")
    assert type(function(jnp.asarray(a))) is type(jnp.asarray(a))


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


# ---------- norms, ratios and means ----------


@every_library
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_norm_and_root_mean_square_are_over_all_entries(array, dtype):
    a = array(np.array([[2.0, -4.0], [4.0, 8.0]], dtype))
    for b, value in (norm(a), 10.0), (rms(a), 5.0), (norm(a[0, 1]), 4.0), (rms(a[0, 1]), 4.0):
        assert (b.shape, b.dtype, float(b)) == ((), a.dtype, value)


@every_library
@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("otherwise", [0.0, 1.0])
def test_a_ratio_of_which_a_part_is_zero_is_something_else(array, dtype, otherwise):
    a, b = array(np.array([3.0, 3.0, 0.0, 0.0, -0.0], dtype)), array(np.array([4.0, 0.0, 4.0, 0.0, 0.0], dtype))
    with warnings.catch_warnings(action="error"):
        whole, parts = ratio(a, b, otherwise), [ratio(a[i], b[i], otherwise) for i in range(5)]
    assert type(whole) is type(a)
    assert whole.dtype == a.dtype == parts[0].dtype
    assert whole.tolist() == [float(part) for part in parts] == [0.75, *4 * [otherwise]]


def test_a_ratio_of_numbers_whose_product_is_zero_is_a_ratio_still():
    assert ratio(np.float64(1e-200), np.float64(4e-200), otherwise=1.0) == 0.25
    assert ratio(1e-200, 4e-200, otherwise=1.0) == 0.25
    assert ratio(0.0, 0.0, otherwise=0.5) == 0.5


def test_a_ratio_is_traced_without_a_branch():
    jax = pytest.importorskip("jax")
    compiled = jax.jit(lambda a, b: ratio(a, b, otherwise=1.0))
    assert [float(compiled(3.0, b)) for b in (0.0, 4.0)] == [1.0, 0.75]


@every_library
def test_means_of_rows_and_columns_keep_their_place(array):
    a = array(np.arange(24, dtype="float32").reshape(2, 3, 4))
    rows, columns = row_means(a), column_means(a)
    assert rows.tolist() == np.arange(24).reshape(2, 3, 4).mean(axis=2)[:, :, None].tolist()
    assert columns.tolist() == np.arange(24).reshape(2, 3, 4).mean(axis=1)[:, None, :].tolist()
    assert rows.dtype == columns.dtype == a.dtype
    assert float(column_means(rows)[1, 0, 0]) == float(row_means(columns)[1, 0, 0]) == 17.5


@every_library
@pytest.mark.parametrize("shape", [(0,), (0, 2), (3, 0)])
def test_the_mean_of_no_entries_is_zero(array, shape):
    a = array(np.ones(shape, "float32"))
    with warnings.catch_warnings(action="error"):
        for mean in rms(a), row_means(a), column_means(a):
            assert mean.dtype == a.dtype
            assert not np.asarray(mean).any()


@every_library
def test_a_vector_is_one_column(array):
    a = array(np.array([1.0, 2.0, 6.0], "float32"))
    assert row_means(a).tolist() == a.tolist()
    assert (column_means(a).shape, float(column_means(a))) == ((), 3.0)
    assert (float(row_means(a[2])), float(column_means(a[2]))) == (6.0, 6.0)


# ---------- element by element ----------


@every_library
def test_functions_of_two_mix_arrays_and_numbers(array):
    a = array([-1.5, 0.0, 2.0])
    assert sign(a).tolist() == [-1.0, 0.0, 1.0]
    assert maximum(a, 0.5).tolist() == maximum(0.5, a).tolist() == [0.5, 0.5, 2.0]
    assert minimum(a, 0.5).tolist() == minimum(0.5, a).tolist() == [-1.5, 0.0, 0.5]
    assert where(a > 0, a, -1.0).tolist() == [-1.0, -1.0, 2.0]
    assert {f.dtype for f in (sign(a), maximum(a, 0.5), minimum(0.5, a), where(a > 0, a, -1.0))} == {a.dtype}


@every_library
@pytest.mark.parametrize("holds", [True, False])
def test_the_condition_may_be_a_bool(array, holds):
    """Of the step, say; the array is a new one all the same, so that a state is not the gradient itself."""
    a, b = array([1.0, 2.0]), array([3.0, 4.0])
    chosen = where(holds, a, b)
    assert chosen.tolist() == (a if holds else b).tolist()
    assert type(chosen) is type(a)
    assert not any(np.shares_memory(np.asarray(chosen), np.asarray(given)) for given in (a, b))


def test_functions_of_floats_give_floats():
    results = sign(-2.0), sign(0.0), maximum(1.0, 2.0), minimum(1.0, 2.0), where(True, 1.0, 2.0), where(False, 1.0, 2.0)
    assert results == (-1.0, 0.0, 2.0, 1.0, 1.0, 2.0)
    assert {type(result) for result in results} == {float}


@every_library
def test_an_array_like_another_has_its_dtype(array):
    like_it = like(array(np.ones(2, np.float32)), np.array([0.5, 0.25]))
    assert like_it.tolist() == [0.5, 0.25]
    assert like_it.dtype == array(np.ones(2, np.float32)).dtype
    assert type(like_it) is type(array(np.ones(2, np.float32)))
