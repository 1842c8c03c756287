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
sign = _elementwise("sign", lambda a: float((a > 0) - (a < 0)), "-1, 0 or 1, as ``a`` is negative, zero or positive")
maximum = _elementwise("maximum", max, "The larger of ``a`` and ``b``")
minimum = _elementwise("minimum", min, "The smaller of ``a`` and ``b``")
where = _elementwise(
    "where", lambda condition, a, b: a if condition else b, "``a`` where the condition holds, else ``b``"
)


def norm(a):
    """The Euclidean norm of all entries of ``a``: an array without dimensions, in the dtype of ``a``."""
    return sqrt((a * a).sum())


def rms(a):
    """The root of the mean square of all entries of ``a``: an array without dimensions, in the dtype of ``a``."""
    return sqrt((a * a).mean())


def all_finite(a) -> bool:
    """Whether every entry of ``a`` (an array of any library) is a finite number."""
    if type(a) is np.ndarray and math.isfinite(np.vdot(a, a)):  # one quick pass; squares that overflow ask again below
        return True
    xp = namespace(a)
    return bool(xp.all(xp.isfinite(a)))
