"""What the chapter on curvature is measured on: fits of two features, a net that fits a wave,
and a net for digits whose layers are one matrix each, so that rules for matrices step all of it.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from scipy.special import expit

from lib.arrays import columns_by_columns, inverse_root, rows_by_rows
from lib.checks import COUNT, FRACTION, NON_NEGATIVE, check_range
from lib.data import digits
from lib.experiments.vanishing_gradients import wave
from lib.networks import dense_layers, lecun, log_softmax
from lib.optimizers import Optimizer, rule
from lib.optimizers.rule import first_state
from lib.optimizers.sophia import gauss_newton_bartlett

# Two features, and losses of one output


def two_features(n: int, seed: int, flipped: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 2) whose features go together, the second three times as large as the first, and labels (n,), 0 or 1,
    that a logistic model with weights (1, 0.5) draws. A share ``flipped`` of them is turned around."""
    n, flipped = check_range(COUNT, "n", n, "two_features"), check_range(FRACTION, "flipped", flipped, "two_features")
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 2)) @ np.array([[1.0, 2.4], [0.0, 1.8]])
    y = rng.random(n) < expit(x @ [1.0, 0.5])
    return x, (y ^ (rng.random(n) < flipped)).astype(float)


def squares(z, y) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Half the mean square of ``z`` - ``y`` over the last axis, and of each example slope and curvature in ``z``."""
    r = z - y
    return (r**2).mean(axis=-1) / 2, r, np.ones_like(r)


def bernoulli(z, y) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The mean logistic loss of logits ``z`` over the last axis, and of each example slope and curvature in ``z``."""
    p = expit(z)
    return (np.logaddexp(0, z) - y * z).mean(axis=-1), p - y, p * (1 - p)


# A small net that fits a wave


def wave_fit(units: int) -> tuple[Callable, Callable]:
    """A net of one hidden layer of tanh on `wave`: its residuals, whose squares add up to the mean squared error, and
    their Jacobian.

    Returns:
        two functions of the parameters, an array (3 units + 1,): W1, b1, W2, b2, one behind the other. They return
        arrays (n,) and (n, 3 units + 1).
    """
    units = check_range(COUNT, "units", units, "wave_fit")
    x, y = wave()
    root = np.sqrt(len(x))

    def hidden(w):
        return np.tanh(x * w[:units] + w[units : 2 * units])

    def residuals(w):
        return (hidden(w) @ w[2 * units : 3 * units] + w[-1] - y[:, 0]) / root

    def jacobian(w):
        h = hidden(w)
        into = (1 - h**2) * w[2 * units : 3 * units]  # d output / d sum of each unit
        return np.hstack([into * x, into, h, np.ones_like(x)]) / root

    return residuals, jacobian


# A net for digits, one matrix a layer


def with_ones(a):
    """``a`` (n, features) with a column of ones, so that the last row of a matrix of weights is a bias."""
    return np.hstack([a, np.ones((len(a), 1))])


def two_layers(seed: int, hidden: int = 20) -> dict:
    """A net of 64 inputs, ``hidden`` units and 10 classes, LeCun's weights: ``W1`` (65, hidden), ``W2`` (hidden + 1,
    10), each with the biases as its last row."""
    net = dense_layers((64, hidden, 10), lecun, seed)
    return {f"W{k}": np.vstack([net[f"W{k}"], net[f"b{k}"]]) for k in (1, 2)}


@cache
def some_digits(seed: int, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """``n`` digits, (n, 64), and their labels, (n,), others for each seed; kept, so they cannot be written to."""
    data = digits(seed=seed)
    x, y = data.x_train[:n], data.y_train[:n]
    x.flags.writeable = y.flags.writeable = False
    return x, y


def outputs(params: dict, x) -> tuple[np.ndarray, np.ndarray]:
    """The hidden units, (n, hidden), and the logarithms of the probabilities, (n, 10)."""
    h = np.tanh(with_ones(x) @ params["W1"])
    return h, log_softmax(with_ones(h) @ params["W2"])


def _into_sums(params, h, logp, labels):
    """For each example the slopes of its loss in the sums of both layers: (n, hidden), (n, 10)."""
    top = np.exp(logp) - np.eye(10)[labels]
    return top @ params["W2"][:-1].T * (1 - h**2), top


def loss_and_gradients(params: dict, x, labels) -> tuple[float, dict]:
    """The mean cross-entropy and its gradients."""
    h, logp = outputs(params, x)
    below, top = _into_sums(params, h, logp, labels)
    loss = -logp[np.arange(len(x)), labels].mean()
    return float(loss), {"W1": with_ones(x).T @ below / len(x), "W2": with_ones(h).T @ top / len(x)}


def mean_squares(params: dict, x, labels, weights=1.0) -> np.ndarray:
    """The mean over the examples of the squared gradient of each, times its weight, as one vector (d,)."""
    h, logp = outputs(params, x)
    below, top = _into_sums(params, h, logp, labels)
    weights = np.broadcast_to(weights, len(x))[:, None]
    parts = with_ones(x**2).T @ (weights * below**2), with_ones(h**2).T @ (weights * top**2)
    return flat({"W1": parts[0], "W2": parts[1]}) / len(x)


def fisher_diagonal(params: dict, x) -> np.ndarray:
    """The diagonal of the Fisher matrix, (d,): squared gradients for all labels, each with its probability."""
    p = np.exp(outputs(params, x)[1])
    return sum(mean_squares(params, x, np.full(len(x), label), p[:, label]) for label in range(10))


def flat(params: dict) -> np.ndarray:
    """All arrays as one vector (d,)."""
    return np.concatenate([a.ravel() for a in params.values()])


def unflat(v, params: dict) -> dict:
    """The vector ``v`` (d,) as arrays of the shapes of ``params``."""
    ends = np.cumsum([a.size for a in params.values()])
    parts = np.split(v, ends[:-1])
    return {name: part.reshape(a.shape) for (name, a), part in zip(params.items(), parts, strict=True)}


def choose_directions(optimizer: Optimizer, params: dict, size: float, seed: int) -> None:
    """Before its first step let SOAP's ``L`` and ``R`` be diagonals of random numbers between ``size`` and twice that,
    where they would be 0. Of a gradient that leaves out directions the eigenvectors along these are then chosen by the
    diagonals; they would be chosen by rounding.
    """
    size, rng = check_range(NON_NEGATIVE, "size", size, "choose_directions"), np.random.default_rng([seed, 2])
    for name, x in params.items():
        state = first_state(optimizer.rule, x, optimizer.hyperparameters)
        sums = {key: size * np.diag(rng.uniform(1, 2, len(state[key]))) for key in ("L", "R")}
        optimizer.state[name] = state | sums


def train_net(
    rule: Callable, seed: int, lr: float, steps: int, batch: int = 0, look: int = 5, floor: float = 0.0, **given
) -> np.ndarray:
    """Train `two_layers` on `some_digits`.

    Args:
        rule: any of ``lib.optimizers``; one that takes curvature gets the estimate of Gauss, Newton and Bartlett on
            the batch.
        seed: of net, digits and batches.
        lr, given: the rule's hyperparameters, numbers or, as in `Optimizer`, functions of the step.
        steps: how many.
        batch: examples a step, drawn with replacement; 0 for all.
        look: steps between two looks.
        floor: for SOAP, the size in `choose_directions`; 0 for a rule that has no directions to choose.

    Returns:
        The loss over all examples after 0, look, 2 look, ... steps; inf from where it diverged.
    """
    (x, y), params, optimizer = some_digits(seed), two_layers(seed), Optimizer(rule, lr=lr, **given)
    if floor:
        choose_directions(optimizer, params, floor, seed)
    rng, losses = np.random.default_rng([seed, 1]), np.full(steps // look + 1, np.inf)
    for t in range(steps + 1):
        if t % look == 0:
            losses[t // look], _ = loss_and_gradients(params, x, y)
            if not losses[t // look] < 1e3:
                losses[t // look] = np.inf
                break
        rows = rng.integers(0, len(x), batch) if batch else slice(None)
        _, grads = loss_and_gradients(params, x[rows], y[rows])
        curvatures = ()
        if rule.takes_curvature:
            curvatures = (_curvatures(params, x[rows], grads, rng, t % optimizer.hyperparameters["update_every"] == 0),)
        try:
            params = optimizer.step(params, grads, *curvatures)
        except (FloatingPointError, ValueError):  # a step or a gradient that is not finite
            break
    return losses


def _curvatures(params, x, grads, rng, wanted):
    if not wanted:
        return {name: np.zeros_like(g) for name, g in grads.items()}
    gradients = lambda labels: loss_and_gradients(params, x, labels)[1].values()
    estimates = gauss_newton_bartlett(outputs(params, x)[1], gradients, rng)
    return dict(zip(params, estimates, strict=True))


@rule(each="matrix")
def lazy_shampoo(
    x, g, m, L=rows_by_rows, R=columns_by_columns,
    root_L=rows_by_rows, root_R=columns_by_columns, t=1, *,
    lr=0.01, beta1=0.95, beta2=0.95, eps=1e-6, every=10,
):  # fmt: skip
    """Shampoo with averages for sums, as SOAP has them, whose roots are computed anew
    every so many steps.

    Source: Gupta et al. 2018, arXiv 1802.09568, Algorithm 1, for the roots; averages,
    momentum and waiting as in Vyas et al. 2024, arXiv 2409.11321.
    """
    m = beta1 * m + (1 - beta1) * g
    L = beta2 * L + (1 - beta2) * (g @ g.mT)
    R = beta2 * R + (1 - beta2) * (g.mT @ g)
    if (t - 1) % every == 0:
        root_L = inverse_root(L / (1 - beta2**t), 4, eps)
        root_R = inverse_root(R / (1 - beta2**t), 4, eps)
    step = root_L @ (m / (1 - beta1**t)) @ root_R
    return x - lr * step, m, L, R, 1 * root_L, 1 * root_R
