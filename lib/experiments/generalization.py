"""What the chapter on generalization is measured on: noisy points of a curve, a few digits, and the data on which
adaptive methods learn the wrong thing; and the closed forms that training is held against."""

from collections.abc import Callable

import numpy as np
from numpy.polynomial.legendre import legvander

from lib.checks import COUNT, NON_NEGATIVE, SHARE, check_range
from lib.data import Split, digits


def curve(x):
    """The curve behind the noisy points, sin(3.5 x)."""
    return np.sin(3.5 * x)


def polynomials(x, degree: int) -> np.ndarray:
    """The Legendre polynomials of degree 0, ..., ``degree`` at each of the numbers ``x`` in [-1, 1]: a linear model on
    these features is a polynomial of that degree.

    Returns:
        array (len(x), degree + 1).
    """
    return legvander(x, degree)


def noisy_points(n: int, noise: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """``n`` numbers, evenly spaced from -1 to 1, and the curve there plus normal noise of standard deviation
    ``noise``: two arrays (n,)."""
    n, noise = check_range(COUNT, "n", n, "noisy_points"), check_range(NON_NEGATIVE, "noise", noise, "noisy_points")
    x = np.linspace(-1, 1, n)
    return x, curve(x) + noise * rng.standard_normal(n)


def ridge(features: np.ndarray, target: np.ndarray, decay: float) -> np.ndarray:
    """The weights w at the minimum of half the mean squared error plus decay / 2 times the squared norm of w.

    Args:
        features: (examples, weights).
        target: (examples,).
        decay: the weight decay, >= 0; at 0 the features must be linearly independent.

    Returns:
        array (weights,).

    Raises:
        ValueError: ``decay`` is negative.
        numpy.linalg.LinAlgError: there is no single minimum.
    """
    decay, n = check_range(NON_NEGATIVE, "decay", decay, "ridge"), len(target)
    hessian = features.T @ features / n
    return np.linalg.solve(hessian + decay * np.eye(len(hessian)), features.T @ target / n)


def separable(labels) -> np.ndarray:
    """Examples that can be told apart by their first feature, which is the label. Two more features are 1 in all of
    them; the others belong to one example each: a single 1 if its label is 1, five of them if it is -1.

    Args:
        labels: (n,), each 1 or -1.

    Returns:
        array (n, 3 + 5 n).

    Raises:
        ValueError: a label is neither 1 nor -1.

    Source: Wilson et al. 2017, arXiv 1705.08292, section 3.3.
    """
    labels = np.asarray(labels, dtype=float)
    if not (abs(labels) == 1).all():
        raise ValueError(f"separable: labels must be 1 or -1, got {labels[abs(labels) != 1][0]:g} among them.")
    n = len(labels)
    own = np.arange(5) < np.where(labels > 0, 1, 5)[:, None]  # which of its five places an example fills
    blocks = np.zeros((n, n, 5))
    blocks[np.arange(n), np.arange(n)] = own
    return np.hstack([labels[:, None], np.ones((n, 2)), blocks.reshape(n, 5 * n)])


def accuracy_on_new(w: np.ndarray, share: float) -> float:
    """The share of new examples of `separable` that the sign of the prediction gets right, if a ``share`` of their
    labels is 1. Their own features have not been seen, so that their weights are 0: three features are left.

    Args:
        w: (weights,), as trained from 0.
    """
    right = w[0] + w[1] + w[2] > 0, -w[0] + w[1] + w[2] < 0
    return float(share * right[0] + (1 - share) * right[1])


def few_digits(n: int, validation: int, seed: int, wrong: float = 0.0) -> tuple[np.ndarray, ...]:
    """``n`` of the training digits to learn from and ``validation`` others, drawn at random.

    Args:
        wrong: with this probability a label of either set is drawn anew, from all ten.

    Returns:
        x, y, x_validation, y_validation.

    Raises:
        ValueError: there are not so many digits, or ``wrong`` is not a number in [0, 1).
    """
    n, validation = check_range(COUNT, "n", n, "few_digits"), check_range(COUNT, "validation", validation, "few_digits")
    wrong = check_range(SHARE, "wrong", wrong, "few_digits") if wrong else 0.0
    data: Split = digits()
    if n + validation > len(data.x_train):
        raise ValueError(
            f"few_digits: n + validation must be at most {len(data.x_train)}, got {n} + {validation}; take fewer."
        )
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(data.x_train))[: n + validation]
    x, y = data.x_train[chosen], data.y_train[chosen]
    y = np.where(rng.random(len(y)) < wrong, rng.integers(0, 10, len(y)), y)
    return x[:n], y[:n], x[n:], y[n:]


def sharpness(product: Callable, v: np.ndarray, steps: int) -> tuple[float, np.ndarray]:
    """The eigenvalue of the Hessian that is largest in size, by power iteration.

    Args:
        product: function v -> H v, as `lib.stochastic_gradients.hessian_vector_product` makes it.
        v: where to begin: any direction, not at a right angle to the eigenvector.
        steps: how many products to take.

    Returns:
        the eigenvalue, and the last product, from which a later call may go on.

    Source: the power method; Golub & Van Loan 2013, section 7.3.
    """
    for _ in range(check_range(COUNT, "steps", steps, "sharpness")):
        v = v / np.linalg.norm(v)
        last, v = v, product(v)
    return float(last @ v), v
