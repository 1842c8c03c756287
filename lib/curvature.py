"""Steps that know the curvature: Newton's, Gauss and Newton's, the natural gradient, and what keeps them downhill.

A point and a gradient are vectors (d,), their curvature is a matrix (d, d). A step is positive downhill: x - step.
"""

from collections.abc import Callable

import numpy as np

from lib.checks import COUNT, ENLARGEMENT, LENGTH, NON_NEGATIVE, SHARE, check_range


def newton(g, H, damping=0.0):
    """Newton's step: to where a quadratic with this gradient and this Hessian is
    level. With damping it is shorter, above all where the curvature is small.

    Source: Nocedal & Wright 2006, chapter 3.

    Args:
        g: the gradient (d,).
        H: the Hessian (d, d), or what stands in its place.
        damping: added to each curvature, so in the curvature's unit.

    Raises:
        numpy.linalg.LinAlgError: a curvature is exactly -damping; raise it.
    """
    _check_pair(g, H, "newton")
    return np.linalg.solve(H + damping * np.eye(len(g)), g)


def saddle_free(g, H, damping=0.0):
    """Newton's step with the sizes of the curvatures in their place: at first it
    leads down, and near a saddle it doubles the distance, however flat it is.

    Source: Dauphin et al. 2014, arXiv 1406.2572. Arguments as in `newton`.
    """
    _check_pair(g, H, "saddle_free")
    curvatures, directions = np.linalg.eigh(H)
    return directions @ (directions.T @ g / (abs(curvatures) + damping))


def least_damping(H, floor: float) -> float:
    """The least damping, from 0 on, with which no curvature is below ``floor``, a number > 0."""
    floor = check_range(LENGTH, "floor", floor, "least_damping")
    return max(0.0, floor - float(np.linalg.eigvalsh(H)[0]))


def backtrack(f: Callable, x, step, slope: float, enough: float = 1e-4) -> float:
    """The first of 1, 1/2, 1/4, ... of a step that lowers ``f`` by at least a
    share ``enough`` of what its slope promises; 0 if 50 halvings find none.

    Source: Nocedal & Wright 2006, chapter 3, the condition of Armijo.

    Args:
        f: takes a point, returns a number.
        x, step: arrays (d,).
        slope: by how much f falls, at x, per step: g @ step, a number >= 0.
        enough: in (0, 1).
    """
    enough = check_range(SHARE, "enough", enough, "backtrack")
    slope = check_range(NON_NEGATIVE, "slope", float(slope), "backtrack")
    before = f(x)
    for halvings in range(50):
        share = 0.5**halvings
        if f(x - share * step) <= before - enough * share * slope:
            return share
    return 0.0


def descend(f: Callable, gradient: Callable, hessian: Callable, x, steps: int, floor: float = 1e-3):
    """Newton's method with the least damping that leads down, and backtracking.

    Args:
        f, gradient, hessian: take a point (d,), return a number, (d,), (d, d).
        x: where to begin.
        steps: how many.
        floor: the least curvature that a step is divided by.

    Returns:
        The path, array (steps + 1, d).
    """
    steps = check_range(COUNT, "steps", steps, "descend")
    path = [np.asarray(x, dtype=float)]
    for _ in range(steps):
        g, H = gradient(path[-1]), hessian(path[-1])
        step = newton(g, H, least_damping(H, floor))
        share = backtrack(f, path[-1], step, max(0.0, float(g @ step)))
        path.append(path[-1] - share * step)
    return np.array(path)


def hessian_of(gradient: Callable, x, h: float = 1e-5) -> np.ndarray:
    """The Hessian at ``x``, (d, d), by central differences of the gradient: 2 d gradients.

    Args:
        gradient: takes a point (d,), returns (d,).
        h: the length to either side.
    """
    h, x = check_range(LENGTH, "h", h, "hessian_of"), np.asarray(x, dtype=float)
    columns = [(gradient(x + move) - gradient(x - move)) / (2 * h) for move in h * np.eye(len(x))]
    return (np.array(columns) + np.array(columns).T) / 2


# Curvature of a model: that of the loss, seen through the model's slopes


def gauss_newton(J, S):
    """The Gauss-Newton matrix, the mean of J^T S J: the Hessian, but for how the
    model's outputs bend. It has no negative curvature if S has none.

    Source: Schraudolph 2002, doi 10.1162/08997660260028683.

    Args:
        J: slopes of the outputs, array (examples, outputs, d).
        S: Hessians of the loss in the outputs, (examples, outputs, outputs).

    Returns:
        array (d, d).
    """
    return np.einsum("nka,nkl,nlb->ab", J, S, J, optimize=True) / len(J)


def softmax_hessian(p):
    """The Hessian of the cross-entropy in the logits; the labels do not matter.

    Args:
        p: the model's probabilities, array (examples, classes).

    Returns:
        array (examples, classes, classes).
    """
    return p[:, :, None] * np.eye(p.shape[1]) - p[:, :, None] * p[:, None, :]


def fisher(J, p):
    """The Fisher matrix of a classifier: the mean of s s^T, for the slopes s of the
    log-probability of labels that the model itself draws.

    Source: Amari 1998, doi 10.1162/089976698300017746.

    Args:
        J: slopes of the logits, array (examples, classes, d).
        p: its probabilities, array (examples, classes).

    Returns:
        array (d, d).
    """
    F = 0.0
    for label in range(p.shape[1]):
        s = np.einsum("nk,nka->na", np.eye(p.shape[1])[label] - p, J)
        F = F + (p[:, label, None] * s).T @ s
    return F / len(J)


def empirical_fisher(gradients):
    """The mean of g g^T over the examples: the Fisher matrix with the labels of the
    data in the place of the model's.

    Args:
        gradients: of each example, array (examples, d).
    """
    return gradients.T @ gradients / len(gradients)


def levenberg_marquardt(residuals: Callable, jacobian: Callable, x, steps: int, damping=1e-3, factor=10.0):
    """Gauss and Newton's method for the sum of squares of residuals, with a damping
    that grows when a step would lead up, and shrinks when it led down.

    Source: Marquardt 1963, doi 10.1137/0111030, with the identity as its scale.

    Args:
        residuals, jacobian: take a point (d,), return arrays (n,) and (n, d).
        x: where to begin.
        steps: how many to try; one that leads up is not taken.
        damping: at first; a number > 0.
        factor: what it is multiplied and divided by; more than 1.

    Returns:
        The path, array (steps + 1, d).
    """
    steps = check_range(COUNT, "steps", steps, "levenberg_marquardt")
    damping = check_range(LENGTH, "damping", damping, "levenberg_marquardt")
    factor = check_range(ENLARGEMENT, "factor", factor, "levenberg_marquardt")
    path = [np.asarray(x, dtype=float)]
    r, J = residuals(path[-1]), jacobian(path[-1])
    for _ in range(steps):
        moved = path[-1] - newton(J.T @ r, J.T @ J, damping)
        new = residuals(moved)
        if new @ new < r @ r:
            damping = max(damping / factor, 1e-12)  # less is lost in rounding
            r, J = new, jacobian(moved)
        else:
            moved, damping = path[-1], damping * factor
        path.append(moved)
    return np.array(path)


def _check_pair(g, H, where):
    if np.ndim(g) != 1 or np.shape(H) != (len(g), len(g)):
        raise ValueError(
            f"{where}: g must be a vector (d,) and H a matrix (d, d), got shapes {np.shape(g)} and {np.shape(H)}; "
            "flatten the parameters first."
        )
