"""tf.keras.optimizers: eps under the root (Adagrad, RMSProp) or beside the uncorrected root (Adam)."""

from lib.arrays import sqrt
from lib.optimizers.rule import rule


@rule
def adagrad(x, g, G=0.1, *, lr=0.001, eps=1e-7):
    """eps stands inside the root, and G starts at 0.1.

    ``tf.keras.optimizers.Adagrad``; the start is its ``initial_accumulator_value``.
    """
    G = G + g**2
    return x - lr * g / sqrt(G + eps), G


@rule
def rmsprop(x, g, v, *, lr=0.001, rho=0.9, eps=1e-7):
    """eps stands inside the root.

    ``tf.keras.optimizers.RMSprop``.
    """
    v = rho * v + (1 - rho) * g**2
    return x - lr * g / sqrt(v + eps), v


@rule
def adam(x, g, m, v, t, *, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-7):
    """eps is added before the bias of v is removed.

    ``tf.keras.optimizers.Adam``: the form that the paper gives at the end of its
    section 2, where eps is "epsilon hat".
    """
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    alpha = lr * sqrt(1 - beta2**t) / (1 - beta1**t)
    return x - alpha * m / (sqrt(v) + eps), m, v
