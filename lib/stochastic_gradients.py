"""Stochastic gradients: the loss of a few examples at a time, and how noisy its gradient is.

An example loss has the signature ``loss(params, x, y)`` and returns the mean over the examples it is given.
"""

from collections.abc import Callable, Iterator

import numpy as np

from lib.checks import COUNT, check_range
from lib.networks import value_and_grad


def batches(n: int, size: int, seed: int = 0, drop_last: bool = False) -> Iterator[np.ndarray]:
    """The indices of one batch after another, without end: each epoch shuffles all ``n`` examples and cuts them up.

    Args:
        n: how many examples there are.
        size: how many make a batch; the last of an epoch holds what is left.
        seed: of the shuffling.
        drop_last: whether a last batch of fewer than ``size`` is left out.

    Yields:
        array (size,) of int64.

    Raises:
        ValueError: ``size`` is not a whole number from 1 to ``n``.
    """
    n, size = check_range(COUNT, "n", n, "batches"), check_range(COUNT, "size", size, "batches")
    if size > n:
        raise ValueError(f"batches: size must be at most n = {n}, got {size}.")
    return _batches(n, size, np.random.default_rng(seed), drop_last)


def _batches(n, size, rng, drop_last):
    while True:
        order = rng.permutation(n)
        for first in range(0, n, size):
            batch = order[first : first + size]
            if len(batch) == size or not drop_last:
                yield batch


def stochastic(loss: Callable, x, y, batches: Iterator[np.ndarray]) -> Callable:
    """An objective for `lib.training.train`: the loss of the next batch, and its gradient.

    Args:
        loss: function (params, x, y) -> mean loss of these examples.
        x, y: arrays with one example a row.
        batches: indices, as `batches` yields them.
    """

    def objective(params):
        batch = next(batches)
        return value_and_grad(lambda params: loss(params, x[batch], y[batch]))(params)

    return objective


def gradients(loss: Callable, params: dict, x, y) -> np.ndarray:
    """The gradient of each example by itself: array (examples, parameters), all arrays of ``params`` in one row."""

    def row(i):
        _, grads = value_and_grad(lambda params: loss(params, x[i : i + 1], y[i : i + 1]))(params)
        return np.concatenate([g.ravel() for g in grads.values()])

    return np.array([row(i) for i in range(len(x))])


def noise_scale(gradients: np.ndarray) -> float:
    """The simple noise scale tr(S) / |G|**2, a number of examples: in a batch of that size the noise is as large as
    the gradient.

    G is the mean of the rows of ``gradients``, S their covariance.

    Args:
        gradients: (examples, parameters), two examples at least.

    Source: McCandlish et al. 2018, arXiv 1812.06162, equation 2.9.
    """
    return float(gradients.var(axis=0, ddof=1).sum() / (gradients.mean(axis=0) ** 2).sum())


def hessian_vector_product(loss: Callable, params: dict, x, y, h: float = 1e-6) -> Callable:
    """A function of a direction v, an array (parameters,), that returns H v, with the Hessian H of the loss at
    ``params``: by central differences of the gradient, ``h`` (a length) to either side; the
    smaller, the fewer kinks of a ReLU lie between.
    """

    def gradient(move):
        moved, used = {}, 0
        for name, a in params.items():
            moved[name] = a + move[used : used + a.size].reshape(a.shape)
            used += a.size
        _, grads = value_and_grad(lambda params: loss(params, x, y))(moved)
        return np.concatenate([g.ravel() for g in grads.values()])

    def product(v):
        step = h / np.linalg.norm(v)
        return (gradient(step * v) - gradient(-step * v)) / (2 * step)

    return product


def curved_noise_scale(gradients: np.ndarray, hessian: Callable, draws: int, seed: int = 0) -> float:
    """The noise scale tr(H S) / (G . H G), in which each direction counts as much as it is curved.

    For the trace all rows, less their mean, are added up with random signs: of such a sum u, divided by the root of
    their number, u . H u has the mean tr(H S).

    Args:
        gradients: (examples, parameters), as for `noise_scale`.
        hessian: function v -> H v, as `hessian_vector_product` makes it.
        draws: over how many draws of signs the trace is averaged.

    Source: McCandlish et al. 2018, arXiv 1812.06162, equation 2.8; the trace as in Hutchinson 1989,
    "A Stochastic Estimator of the Trace of the Influence Matrix for Laplacian Smoothing Splines".
    """
    n, G = len(gradients), gradients.mean(axis=0)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (draws, n))
    sums = signs @ (gradients - G) / np.sqrt(n - 1)
    return float(np.mean([u @ hessian(u) for u in sums]) / (G @ hessian(G)))


def noise_scale_from_norms(small: float, large: float, b_small: int, b_large: int) -> float:
    """The simple noise scale from nothing but the mean squared norms of gradients of batches of two sizes.

    Args:
        small, large: mean of |g|**2 over batches of ``b_small`` and of ``b_large`` examples. Each estimate below is
            unbiased; their quotient is not.

    Raises:
        ValueError: ``b_large`` is not larger than ``b_small``.

    Source: McCandlish et al. 2018, arXiv 1812.06162, appendix A.
    """
    if not b_small < b_large:
        raise ValueError(f"noise_scale_from_norms: b_large must be larger than b_small = {b_small}, got {b_large}.")
    squared_gradient = (b_large * large - b_small * small) / (b_large - b_small)
    covariance = (small - large) / (1 / b_small - 1 / b_large)
    return covariance / squared_gradient
