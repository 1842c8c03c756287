"""Linear regression: three data sets, the mean squared error, and what least squares knows about both.

The data are those of three published programs, drawn as they draw them: from NumPy's legacy generator, whose numbers
NumPy has frozen, ``x`` first and the noise after it.

Everywhere ``x`` has shape (n, d): n samples of d features; ``y`` has shape (n, 1); the parameters are
``{"w": (d, 1), "b": (1,)}``, the shapes of a Keras ``Dense(1)``. All are float64, unless the data that you bring are
float32.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from lib.landscapes import Landscape
from lib.optimizers.rule import bare_step, first_state


def tensorflow1_data(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """100 samples of ``y = 2 x + 1 + noise``, ``x`` and noise uniform on [0, 1): the noise has mean 1/2.

    The program that this comes from sets no seed; 0 is this book's.

    Returns:
        x and y, both of shape (100, 1).
    """
    random = np.random.RandomState(seed)
    x = random.rand(100, 1)
    return x, 2 * x + 1 + random.rand(100, 1)


def keras_data(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """100 samples of ``y = 3 x + 2 + 0.5 noise``, ``x`` and noise standard normal.

    Returns:
        x and y, both of shape (100, 1).
    """
    random = np.random.RandomState(seed)
    x = random.randn(100, 1)
    return x, 3 * x + 2 + random.randn(100, 1) * 0.5


def pytorch_data(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """100 samples of ``y = 2 x + 1 + 0.5 noise``, ``x`` and noise standard normal.

    Returns:
        x and y, both of shape (100, 1).
    """
    random = np.random.RandomState(seed)
    x = random.randn(100, 1)
    return x, 2 * x + 1 + 0.5 * random.randn(100, 1)


def zeros(features: int = 1, dtype=float) -> dict[str, np.ndarray]:
    """The start of every run: ``w`` and ``b`` zero."""
    return {"w": np.zeros((features, 1), dtype), "b": np.zeros(1, dtype)}


def mean_squared_error(x, y) -> Callable:
    """The objective of a straight line, the mean of ``(x @ w + b - y)**2``.

    Returns:
        For `lib.training.train`, a function ``params -> (loss, gradients)``: a
        float, and a dict like ``params``. It raises a ValueError where ``w`` is
        not (d, 1) or ``b`` not (1,): NumPy would broadcast other shapes into an
        (n, n) array of residuals and return the mean of that. Where data and
        parameters are float32, so is all that it computes.

    Raises:
        ValueError: ``x`` or ``y`` has the wrong shape, is empty, or holds a
            number that is not finite.
    """
    x, y = _checked(x, y)

    def loss_and_gradients(params):
        w, b = params["w"], params["b"]
        if np.shape(w) != (x.shape[1], 1) or np.shape(b) != (1,):
            expected = f"w must have shape {(x.shape[1], 1)} and b (1,)"
            raise ValueError(f"{expected}, got {np.shape(w)} and {np.shape(b)}.")
        residual = x @ w + b - y
        dw, db = 2 * x.T @ residual / len(x), 2 * residual.mean(axis=0)
        return (residual**2).mean(), {"w": dw, "b": db}

    return loss_and_gradients


def least_squares(x, y) -> dict[str, np.ndarray]:
    """The parameters with the smallest mean squared error (Legendre 1805).

    Of several such, the shortest vector.

    Raises:
        ValueError: as `mean_squared_error`.
    """
    x, y = _checked(x, y)
    solution = np.linalg.lstsq(_with_ones(x), y)[0]
    return {"w": solution[:-1], "b": solution[-1]}


def hessian(x) -> np.ndarray:
    """Second derivatives of the mean squared error: (d + 1, d + 1), w's before b's.

    They do not depend on ``y`` or on the parameters: the loss is a quadratic.

    Raises:
        ValueError: as `mean_squared_error`.
    """
    a = _with_ones(_checked_x(x))
    return 2 * a.T @ a / len(a)


def curvatures(x) -> np.ndarray:
    """Eigenvalues of the `hessian`, (d + 1,), smallest first.

    Gradient descent shrinks the error along eigenvector i by ``1 - lr * curvature[i]`` a step, so it is stable below
    ``2 / curvature[-1]``; ``curvature[-1] / curvature[0]`` is the condition number.
    """
    return np.linalg.eigvalsh(hessian(x))


def landscape(x, y, window) -> Landscape:
    """The mean squared error of one feature as a surface over (w, b), to be drawn; its minimum is `least_squares`.

    Args:
        x, y: arrays of shape (n, 1).
        window: ((w_min, w_max), (b_min, b_max)), the part to draw.

    Raises:
        ValueError: ``x`` has more than one feature, or as `mean_squared_error`.
    """
    x, y = _checked(x, y)
    if x.shape[1] != 1:
        raise ValueError(f"a surface over (w, b) needs one feature, x has {x.shape[1]}.")
    best, half = least_squares(x, y), hessian(x) / 2
    w0, b0 = float(best["w"][0, 0]), float(best["b"][0])
    lowest, _ = mean_squared_error(x, y)(best)
    # Around its minimum a quadratic is its lowest value plus its second-order term, and nothing else.
    return Landscape(
        "mean squared error",
        value=lambda w, b: (
            lowest + half[0, 0] * (w - w0) ** 2 + 2 * half[0, 1] * (w - w0) * (b - b0) + half[1, 1] * (b - b0) ** 2
        ),
        gradient=lambda w, b: (
            2 * (half[0, 0] * (w - w0) + half[0, 1] * (b - b0)),
            2 * (half[0, 1] * (w - w0) + half[1, 1] * (b - b0)),
        ),
        minima=[(w0, b0)],
        window=window,
        start=(0.0, 0.0),
    )


def sweep(
    rule: Callable, rates: Sequence[float], data: Iterable[tuple[np.ndarray, np.ndarray]], *, steps: int, **fixed
) -> np.ndarray:
    """Train a line on every data set at every rate at once, from w = b = 0.

    An elementwise rule steps an array of (data sets, rates) runs at one call, each with a rate of its own.

    Args:
        rule: an update rule of ``lib.optimizers`` that steps each entry on its own, and needs no curvature.
        rates: learning rates.
        data: data sets (x, y) with one feature.
        steps: steps to take, at least 1.
        fixed: other hyperparameters of the rule.

    Returns:
        The losses, array (steps + 1, data sets, rates); a run that diverged ends in inf or nan.

    Raises:
        ValueError: a rule that is not elementwise or takes curvature, nothing to run, a data set with several features,
            or as `mean_squared_error`.
    """
    if rule.each != "entry" or rule.takes_curvature:
        why = "takes curvature" if rule.takes_curvature else f"steps a whole {rule.each}, here of runs that are apart"
        raise ValueError(f"sweep cannot run {rule.__name__}, which {why}; train with one Optimizer a rate instead.")
    pairs, rates = [_checked(x, y) for x, y in data], np.asarray(rates, dtype=float)
    if not pairs or rates.ndim != 1 or not len(rates) or steps < 1:
        raise ValueError("sweep needs at least one data set, a list of at least one rate, and at least one step.")
    if any(x.shape[1] != 1 for x, _ in pairs):
        raise ValueError(f"every data set must have one feature, got x of shapes {[x.shape for x, _ in pairs]}.")
    lowest = np.array([[mean_squared_error(x, y)(least_squares(x, y))[0]] for x, y in pairs])
    # Rounded, so that every machine starts from the same bits: some rules end in cycles that magnify the last one.
    h = np.stack([hessian(x) for x, _ in pairs]).round(12)[..., None]  # (data sets, 2, 2, 1)
    best = np.stack([np.append(*least_squares(x, y).values()) for x, y in pairs]).round(12)[..., None]
    params = {name: np.zeros((len(pairs), len(rates))) for name in ("w", "b")}
    hyperparameters = rule.defaults | fixed | {"lr": rates}
    state = {name: first_state(rule, p, hyperparameters) for name, p in params.items()}
    losses = np.empty((steps + 1, len(pairs), len(rates)))
    with np.errstate(over="ignore", invalid="ignore"):  # a rate that is too large is part of the picture
        for t in range(steps + 1):
            # The loss is a quadratic, so its Hessian gives gradient and loss without another look at the data.
            w, b = params["w"] - best[:, 0], params["b"] - best[:, 1]
            grads = {"w": h[:, 0, 0] * w + h[:, 0, 1] * b, "b": h[:, 1, 0] * w + h[:, 1, 1] * b}
            losses[t] = lowest + (grads["w"] * w + grads["b"] * b) / 2
            for name, g in grads.items():
                params[name], state[name] = bare_step(rule, params[name], g, state[name], t + 1, **hyperparameters)
    return losses


def settled(losses: np.ndarray, threshold) -> np.ndarray:
    """The first step from which a run stays at or below ``threshold``; inf if it ends above it.

    A run that swings through the threshold has not settled, so a lucky passage does not count.

    Args:
        losses: array (steps + 1, ...).
        threshold: a number, or an array that broadcasts against ``losses[0]``.
    """
    above = ~(np.asarray(losses) <= threshold)  # nan is above
    after_last = len(above) - np.argmax(above[::-1], axis=0)
    return np.where(above[-1], np.inf, np.where(above.any(axis=0), after_last, 0))


def _floating(a) -> np.ndarray:
    """float32 stays float32; all else becomes float64."""
    a = np.asarray(a)
    return a if a.dtype == np.float32 else a.astype(float, copy=False)


def _checked_x(x) -> np.ndarray:
    x = _floating(x)
    if x.ndim != 2 or 0 in x.shape:
        raise ValueError(f"x must have shape (samples, features), at least one of each, got {x.shape}.")
    if not np.isfinite(x).all():
        raise ValueError(f"x has {np.count_nonzero(~np.isfinite(x))} entries that are not finite (nan or inf).")
    return x


def _checked(x, y) -> tuple[np.ndarray, np.ndarray]:
    x, y = _checked_x(x), _floating(y)
    if y.shape != (len(x), 1):
        raise ValueError(f"y must have shape {(len(x), 1)}, one row a sample of x, got {y.shape}.")
    if not np.isfinite(y).all():
        raise ValueError(f"y has {np.count_nonzero(~np.isfinite(y))} entries that are not finite (nan or inf).")
    return x, y


def _with_ones(x: np.ndarray) -> np.ndarray:
    """The design matrix (n, d + 1): a column of ones behind the features, which b multiplies."""
    return np.column_stack([x, np.ones(len(x))])
