"""SOAP: Adam in the bases in which Shampoo's two matrices are diagonal."""

from lib.arrays import columns_by_columns, eigenvectors, orthonormal, rows_by_rows, sqrt, where
from lib.optimizers.rule import rule


def basis(P, Q, t, every):
    """The eigenvectors of ``P``, first computed in full, then estimated: every so many
    steps, one step of the power method brings their estimate ``Q`` up to date.
    """
    if t == 1:
        return eigenvectors(P)
    return orthonormal(P @ Q) if (t - 1) % every == 0 else 1 * Q


@rule(each="matrix")
def soap(
    x, g, m, v, L=rows_by_rows, R=columns_by_columns,
    Q_L=rows_by_rows, Q_R=columns_by_columns, t=1, *,
    lr=0.003, beta1=0.95, beta2=0.95, eps=1e-8, every=10,
):  # fmt: skip
    """SOAP; ``Q_L`` and ``Q_R`` are the bases, near the eigenvectors of ``L`` and ``R``.

    Source: Vyas et al. 2024, arXiv 2409.11321, Algorithms 3 and 4, with Adam's
    corrections; its defaults, and that the first gradient makes the bases and nothing
    else, from the authors' code. Their weight decay is left out.
    """
    first, steps = t == 1, max(t - 1, 1)
    m = where(first, m, beta1 * m + (1 - beta1) * g)
    v = where(first, v, beta2 * v + (1 - beta2) * (Q_L.mT @ g @ Q_R) ** 2)
    m_hat = Q_L.mT @ m @ Q_R / (1 - beta1**steps)
    v_hat = v / (1 - beta2**steps)
    step = Q_L @ (m_hat / (sqrt(v_hat) + eps)) @ Q_R.mT
    x = where(first, x, x - lr * step)
    L = beta2 * L + (1 - beta2) * (g @ g.mT)
    R = beta2 * R + (1 - beta2) * (g.mT @ g)
    return x, m, v, L, R, basis(L, Q_L, t, every), basis(R, Q_R, t, every)
