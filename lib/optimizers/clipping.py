"""Gradient clipping: pure functions of all gradients, called before the step.

    params = optimizer.step(params, clip_by_global_norm(grads, limit=1.0))

Gradients come in a list, tuple or dict of arrays (NumPy, PyTorch or JAX) and leave in one of the same kind, new arrays
of the same dtypes. What is within the limit does not change, to the bit. No square overflows or vanishes on the way to
a norm, in float16 either. Where an entry is not finite, nothing is shortened: `Optimizer.step` refuses what is left.
"""

import functools

import numpy as np

from lib.arrays import maximum, minimum, namespace, sqrt, where
from lib.checks import POSITIVE, check_number, check_range
from lib.optimizers.containers import map_arrays, unpack


def clip_by_value(grads, limit):
    """Each entry, or ``limit`` with its sign where it is larger, even infinite. This
    turns the gradient.

    Source: Mikolov 2012, "Statistical Language Models Based on Neural Networks", as
    told by Pascanu et al. 2013, arXiv 1211.5063, section 3.1. Elsewhere:
    ``torch.nn.utils.clip_grad_value_``, Keras' ``clipvalue``, ``optax.clip``.
    """
    limit = check_number("limit", limit, "clip_by_value")
    return map_arrays(lambda g: maximum(minimum(g, limit), -limit), grads=grads)


def clip_by_norm(grads, limit):
    """Each array, shortened to the norm ``limit`` where its norm is larger. This turns
    the gradient as a whole.

    Elsewhere: Keras' ``clipnorm``; for an array of n entries,
    ``optax.clip_by_block_rms`` of limit / sqrt(n).
    """
    limit = check_number("limit", limit, "clip_by_norm")
    return map_arrays(lambda g: _shorten(g, _norm([g]), limit), grads=grads)


def clip_by_global_norm(grads, limit, eps=0.0):
    """All arrays, shortened by one factor to the norm ``limit`` where the norm of all
    their entries is larger.

    Source: Pascanu et al. 2013, arXiv 1211.5063, Algorithm 1. Elsewhere: Keras'
    ``global_clipnorm``, ``optax.clip_by_global_norm``, and
    ``torch.nn.utils.clip_grad_norm_``, which adds ``eps`` = 1e-6 to the norm.
    """
    limit = check_number("limit", limit, "clip_by_global_norm")
    eps = check_number("eps", eps, "clip_by_global_norm")
    norm = _norm([g for (g,) in unpack(grads=grads).values()])
    return map_arrays(lambda g: _shorten(g, norm, limit, eps), grads=grads)


def clip_adaptively(grads, params, limit, eps=1e-3):
    """Each unit's gradient, shortened to ``limit`` times the norm of the unit's weights
    where its norm is larger. A norm of weights counts as ``eps`` at least.

    The units of a parameter ``x`` of two or more dimensions are ``x[0]``, ``x[1]``,
    ...: in PyTorch's layout the weights that lead to one neuron, or one filter. Any
    other parameter is one unit.

    Source: Brock et al. 2021, arXiv 2102.06171, section 4. Elsewhere:
    ``optax.adaptive_grad_clip``, which has the units of two or four dimensions in the
    last one; there an ``x`` with one entry along all others is one unit.
    """
    limit = check_number("limit", limit, "clip_adaptively")
    eps = check_range(POSITIVE, "eps", eps, "clip_adaptively")

    def clip(g, x):
        axes = tuple(range(1, len(x.shape))) or None
        largest, norm = _norm([x], axes)
        return _shorten(g, _norm([g], axes), limit * maximum(largest * norm, eps))

    return map_arrays(clip, grads=grads, params=params)


@np.errstate(all="ignore")  # what NumPy would warn of is handled here, or by `Optimizer.step`
def _norm(arrays, axes=None):
    """The largest size of an entry of ``arrays`` (1 if all are 0), and in units of it the norm of all entries.

    Of each array if there are ``axes``, along which it is taken.
    """
    arrays = [_wide(a) for a in arrays if 0 not in a.shape]
    along = {"axis": axes, "keepdims": axes is not None}
    largest = functools.reduce(maximum, [namespace(a).max(abs(a), **along) for a in arrays], 0.0)
    largest = where(largest > 0, largest, 1.0)
    return largest, sqrt(sum(namespace(a).sum((a / largest) ** 2, **along) for a in arrays))


@np.errstate(all="ignore")
def _shorten(g, norm, limit, eps=0.0):
    """``g`` times ``limit / (norm + eps)`` where that is less than 1."""
    largest, norm = norm
    shorter = _wide(g) / largest * (limit / maximum(norm + eps / largest, 1.0))  # a norm below 1 is 0, and so is g
    return namespace(g).astype(where(largest * norm + eps > limit, shorter, _wide(g)), g.dtype)


def _wide(a):
    """``a``, in float32 if its dtype is narrower."""
    xp = namespace(a)
    return xp.astype(a, xp.float32) if xp.finfo(a.dtype).bits < 32 else a
