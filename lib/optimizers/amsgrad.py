"""AMSGrad: Adam with a denominator that never shrinks."""

from lib.arrays import maximum, sqrt
from lib.optimizers.rule import rule


@rule
def amsgrad(x, g, m, v, v_max, *, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    """AMSGrad; ``v_max`` is the largest ``v`` so far. No bias is removed.

    Source: Reddi, Kale & Kumar 2018, arXiv 1904.09237, Algorithm 2, where v_max is
    called v hat; with a constant beta1, and x free to go anywhere, so that nothing
    is projected. The paper has no eps and divides 0 by 0 until the first gradient
    that is not 0. Here eps stands where Adam has it, and x stays where it is until
    then; eps = 0 is the paper. The paper leaves lr open and takes a beta2 of 0.99
    or 0.999; the defaults are Adam's.
    """
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    v_max = maximum(v_max, v)
    return x - lr * m / (sqrt(v_max) + eps), m, v, v_max
