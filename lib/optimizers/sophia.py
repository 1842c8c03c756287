"""Sophia: Newton's step, one coordinate at a time, and never longer than the rate.

Beside the rule stand the paper's two estimates of the curvature it takes. Neither needs a Hessian, and neither knows
where gradients come from.
"""

from lib.arrays import like, maximum, minimum, where
from lib.optimizers.rule import rule


@rule
def sophia(
    x, g, curvature, m, h, t,
    *, lr=1e-4, beta1=0.96, beta2=0.99, gamma=0.01, eps=1e-12, weight_decay=0.1, update_every=10
):  # fmt: skip
    """Sophia; ``m`` and ``h`` are moving averages of the gradient and of curvature,
    of which every ``update_every``-th, from the first on, is used.

    Source: Liu et al. 2023, arXiv 2305.14342; gamma is that of Sophia-H, and
    the paper tunes lr and weight_decay: these are its authors' code's.
    """
    m = beta1 * m + (1 - beta1) * g
    fresh = beta2 * h + (1 - beta2) * curvature
    h = where((t - 1) % update_every == 0, fresh, h)
    step = maximum(minimum(m / maximum(gamma * h, eps), 1.0), -1.0)
    return x - lr * (step + weight_decay * x), m, h


def hutchinson(params, hessian_vector_product, generator) -> list:
    """An estimate of the diagonal of the Hessian, right on average, whatever the loss.

    Source: Liu et al. 2023, arXiv 2305.14342, its Hutchinson estimator.

    Args:
        params: list of arrays, of any library.
        hessian_vector_product: takes such a list and returns the Hessian times it.
        generator: of NumPy, for the random numbers.
    """
    u = [like(x, generator.standard_normal(tuple(x.shape))) for x in params]
    return [a * b for a, b in zip(u, hessian_vector_product(u), strict=True)]


def gauss_newton_bartlett(logits, gradients, generator) -> list:
    """An estimate of the diagonal of the Gauss-Newton matrix of a cross-entropy: never negative, and as cheap as a
    gradient.

    Source: Liu et al. 2023, arXiv 2305.14342.

    Args:
        logits: of the model for a batch: array (batch, classes), of any library.
        gradients: takes labels, an integer array (batch,), and returns the gradients of the mean loss over the batch
            with these labels: a list of arrays.
        generator: of NumPy, for the labels, which are drawn from the model's own probabilities.
    """
    noise = like(logits, generator.gumbel(size=tuple(logits.shape)))
    labels = (logits + noise).argmax(1)  # each with its softmax probability
    return [len(logits) * g * g for g in gradients(labels)]
