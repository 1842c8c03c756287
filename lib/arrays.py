"""The few functions that an update rule needs beyond arithmetic, for whatever kind of array it is given.

NumPy, PyTorch (CPU or CUDA) and JAX arrays all work, and the element-wise ones take plain floats too: a rule is written
once.
"""

import math

import array_api_compat
import array_api_compat.numpy
import numpy as np


def namespace(a):
    """The functions of ``a``'s array library, under the array API's names; for NumPy's arrays without a search."""
    return array_api_compat.numpy if type(a) is np.ndarray else array_api_compat.array_namespace(a)


def _elementwise(name, of_floats, meaning):
    """The array API's function ``name``, for arrays of any library, mixed with numbers or not, and for plain floats."""
    of_numpy = getattr(np, name)

    def function(*arguments):
        for a in arguments:
            if isinstance(a, np.ndarray | np.generic):
                return of_numpy(*arguments)
            if array_api_compat.is_array_api_obj(a):
                return getattr(namespace(a), name)(*arguments)
        return of_floats(*arguments)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{meaning}, element by element, in the dtype of the array."
    return function


sqrt = _elementwise("sqrt", math.sqrt, "The square root of ``a``")
log = _elementwise("log", math.log, "The natural logarithm of ``a``")
cos = _elementwise("cos", math.cos, "The cosine of ``a``")
sign = _elementwise("sign", lambda a: float((a > 0) - (a < 0)), "-1, 0 or 1, as ``a`` is negative, zero or positive")
maximum = _elementwise("maximum", max, "The larger of ``a`` and ``b``")
minimum = _elementwise("minimum", min, "The smaller of ``a`` and ``b``")
_where = _elementwise(
    "where", lambda condition, a, b: a if condition else b, "``a`` where the condition holds, else ``b``"
)


def where(condition, a, b):
    """``a`` where the condition, an array or a bool, holds, else ``b``, element by element: always a new array."""
    for array in (a, b):
        if isinstance(condition, bool) and array_api_compat.is_torch_array(array):  # which takes no bool
            condition = namespace(array).asarray(condition, device=array.device)
    return _where(condition, a, b)


def like(a, numbers):
    """NumPy's ``numbers`` as an array of the library of ``a``, with its dtype, on its device."""
    return namespace(a).asarray(numbers, dtype=a.dtype, device=array_api_compat.device(a))


def norm(a):
    """The Euclidean norm of all entries of ``a``: an array without dimensions, in the dtype of ``a``."""
    return sqrt((a * a).sum())


def rms(a):
    """The root of the mean square of all entries of ``a``: an array without dimensions, in the dtype of ``a``."""
    return sqrt(_mean(a * a))


def rows_by_rows(a):
    """A square matrix of zeros with as many rows as the matrix ``a`` has rows, in the dtype of ``a``."""
    return like(a, np.zeros((a.shape[0], a.shape[0])))


def columns_by_columns(a):
    """A square matrix of zeros with as many rows as the matrix ``a`` has columns, in the dtype of ``a``."""
    return like(a, np.zeros((a.shape[1], a.shape[1])))


def eigenvectors(a):
    """The eigenvectors of a symmetric matrix, as columns, that of the largest eigenvalue first; signs are arbitrary."""
    xp = namespace(a)
    return xp.astype(xp.flip(xp.linalg.eigh(_wide(a)).eigenvectors, axis=1), a.dtype)


def orthonormal(a):
    """The columns of ``a``, each made a unit vector at right angles to those before it (QR); signs are arbitrary."""
    xp = namespace(a)
    return xp.astype(xp.linalg.qr(_wide(a)).Q, a.dtype)


def inverse_root(a, p, eps):
    """(a + eps I)^(-1/p) of a symmetric matrix ``a`` that has no negative eigenvalues but by rounding.

    eps is added to the eigenvalues, so that no rounding of ``a`` brings one below it.
    """
    xp = namespace(a)
    eigenvalues, vectors = xp.linalg.eigh(_wide(a))
    roots = (xp.clip(eigenvalues, min=0) + eps) ** (-1 / p)
    return xp.astype(vectors * roots @ vectors.mT, a.dtype)


def _wide(a):
    """``a``, in float32 if it has 16 bits: LAPACK decomposes nothing shorter."""
    xp = namespace(a)
    return xp.astype(a, xp.float32) if xp.finfo(a.dtype).bits < 32 else a


def ratio(a, b, otherwise):
    """``a / b``, and ``otherwise`` where ``a`` or ``b`` is 0; in the dtype of ``a``."""
    both = (a != 0) & (b != 0)
    return where(both, a / where(both, b, 1.0), otherwise)


def row_means(a):
    """The mean of each row, along the last axis, which stays; a vector, or a number, is its own rows."""
    return _mean(a, axis=-1, keepdims=True) if a.ndim > 1 else a


def column_means(a):
    """The mean of each column, along the axis before the last, which stays; a vector is one column."""
    return _mean(a, axis=-2, keepdims=True) if a.ndim > 1 else _mean(a)


def _mean(a, **along):
    """The mean; 0 of no entries."""
    return a.sum(**along) if 0 in a.shape else a.mean(**along)


def all_finite(a) -> bool:
    """Whether every entry of ``a`` (an array of any library) is a finite number."""
    if type(a) is np.ndarray and math.isfinite(np.vdot(a, a)):  # one quick pass; squares that overflow ask again below
        return True
    xp = namespace(a)
    return bool(xp.all(xp.isfinite(a)))
