"""The few functions that an update rule needs beyond arithmetic, for whatever kind of array it is given.

NumPy, PyTorch (CPU or CUDA) and JAX arrays all work, and so do plain floats: a rule is written once.
"""

import math

from array_api_compat import array_namespace, is_array_api_obj


def sqrt(a):
    """Element-wise square root of ``a`` (a float, or an array of any library), in the dtype of ``a``."""
    return array_namespace(a).sqrt(a) if is_array_api_obj(a) else math.sqrt(a)
