"""Nadam: Adam whose momentum looks one step ahead, as Nesterov's does, and grows from half of beta1 to beta1."""

from lib.arrays import sqrt
from lib.optimizers.rule import rule


@rule
def nadam(x, g, m, v, mu_product=1.0, t=1, *, lr=0.002, beta1=0.9, beta2=0.999, eps=1e-8):
    """Nadam; ``mu_product`` is what the momentum has come to: mu_1 mu_2 ... mu_t.

    Source: Dozat 2016, "Incorporating Nesterov Momentum into Adam", Algorithm 2, with
    the schedule of mu that is quoted from it. The factor beta2 that is printed there
    in v_hat, and neither in Dozat's report of 2015 nor in his code, is left out. lr
    and beta1 are those of his code, beta2 and eps those of Adam.
    """
    mu = beta1 * (1 - 0.5 * 0.96 ** (t / 250))
    mu_next = beta1 * (1 - 0.5 * 0.96 ** ((t + 1) / 250))
    mu_product = mu_product * mu
    m = mu * m + (1 - mu) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = mu_next * m / (1 - mu_product * mu_next) + (1 - mu) * g / (1 - mu_product)
    v_hat = v / (1 - beta2**t)
    return x - lr * m_hat / (sqrt(v_hat) + eps), m, v, mu_product
