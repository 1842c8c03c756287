"""The few functions that an update rule needs beyond arithmetic, for whatever kind of array it is given.

NumPy, PyTorch (CPU or CUDA) and JAX arrays all work, and so do plain floats: a rule is written once.
"""

import math

import array_api_compat
import array_api_compat.numpy
import numpy as np


def namespace(a):
    """The functions of ``a``'s array library, under the array API's names; for NumPy's arrays without a search."""
    return array_api_compat.numpy if type(a) is np.ndarray else array_api_compat.array_namespace(a)


def sqrt(a):
    """Element-wise square root of ``a`` (a float, or an array of any library), in the dtype of ``a``."""
    if isinstance(a, np.ndarray):
        return np.sqrt(a)
    return namespace(a).sqrt(a) if array_api_compat.is_array_api_obj(a) else math.sqrt(a)


def all_finite(a) -> bool:
    """Whether every entry of ``a`` (an array of any library) is a finite number."""
    if type(a) is np.ndarray and math.isfinite(np.vdot(a, a)):  # one quick pass; squares that overflow ask again below
        return True
    xp = namespace(a)
    return bool(xp.all(xp.isfinite(a)))
