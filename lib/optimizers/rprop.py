"""Rprop: for each parameter a step of its own, longer while the gradient keeps its sign, shorter when it flips."""

from lib.arrays import maximum, minimum, sign, where
from lib.optimizers.rule import rule


@rule
def rprop(
    x, g, last, step, size="lr",
    *, lr=0.1, eta_minus=0.5, eta_plus=1.2, min_step_size=1e-6, max_step_size=50.0,
):  # fmt: skip
    """Rprop with backtracking: when the gradient flips, the last step is taken back.

    ``last`` is the last gradient, or 0 after a flip, so that the next step keeps its
    ``size``, which starts at lr. For gradients of the whole data, not of mini-batches.
    Source: Riedmiller & Braun 1993, "A direct adaptive method for faster
    backpropagation learning: The RPROP algorithm". It is called Rprop+ by Igel &
    Hüsken 2000, "Improving the Rprop Learning Algorithm".
    """
    agreement = sign(g) * sign(last)
    size = where(agreement > 0, minimum(eta_plus * size, max_step_size), size)
    size = where(agreement < 0, maximum(eta_minus * size, min_step_size), size)
    step = where(agreement < 0, -step, -size * sign(g))
    return x + step, where(agreement < 0, 0 * g, g), step, size
