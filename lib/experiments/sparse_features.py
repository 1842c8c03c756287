"""What the chapter on Adagrad is measured on: features of very different frequency, a logistic loss on them, one pass
over them with any rule at many rates, and the online game of which Adagrad's regret bound speaks.

Weights are stacked: an array (d, runs) holds one column for each run.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_array, issparse
from scipy.special import expit

from lib.checks import COUNT, LENGTH, NON_NEGATIVE, check_range
from lib.optimizers.rule import bare_step, first_state


class Examples(NamedTuple):
    """``x``: (n, d), dense or sparse; ``y``: (n,), labels 0 and 1."""

    x: np.ndarray | csr_array
    y: np.ndarray


def zipf(d: int, exponent: float = 1.1) -> np.ndarray:
    """The probabilities (d,) of ``d`` words: that of rank r is in proportion to r ** -exponent."""
    d, exponent = check_range(COUNT, "d", d, "zipf"), check_range(NON_NEGATIVE, "exponent", exponent, "zipf")
    weights = np.arange(1, d + 1) ** -exponent
    return weights / weights.sum()


def bags_of_words(n: int, truth: np.ndarray, rng: np.random.Generator, length: int = 30) -> Examples:
    """``n`` texts of ``length`` words that Zipf's law draws, and labels that a logistic model with weights ``truth``
    (d,) draws: 1 with probability sigmoid(x @ truth). An entry of ``x`` says how often a word is in a text."""
    n, length = check_range(COUNT, "n", n, "bags_of_words"), check_range(COUNT, "length", length, "bags_of_words")
    words = rng.choice(len(truth), size=(n, length), p=zipf(len(truth)))
    row = np.repeat(np.arange(n), length)
    x = csr_array((np.ones(n * length), (row, words.ravel())), shape=(n, len(truth)))
    return Examples(x, (rng.random(n) < expit(x @ truth)).astype(float))


def log_loss(w: np.ndarray, examples: Examples) -> np.ndarray:
    """The mean logistic loss of each column of ``w`` (d, runs): an array (runs,)."""
    z = examples.x @ w
    return (np.logaddexp(0, z) - examples.y[:, None] * z).mean(axis=0)


def gradient(w: np.ndarray, examples: Examples) -> np.ndarray:
    """The gradient of `log_loss`, column by column: an array like ``w``."""
    x, y = examples
    return x.T @ (expit(x @ w) - y[:, None]) / len(y)


def one_pass(rule: Callable, examples: Examples, rates, batch: int = 32, watch: Callable | None = None, **settings):
    """Step through the examples once, in their order, from weights of zero, at all rates at once.

    Args:
        rule: of ``lib.optimizers``.
        examples: what to learn; those after the last whole batch are left out.
        rates: (runs,), learning rates; or a function of the step, counted from 0, that returns them.
        batch: examples a step.
        watch: called after each step with its number, from 1, and the rule's state, a list of arrays (d, runs).
        settings: other hyperparameters of the rule.

    Returns:
        The weights (d, runs) after the pass. Those of a run that diverges are not finite.

    Raises:
        ValueError: there are fewer examples than make a batch.
    """
    batch = check_range(COUNT, "batch", batch, "one_pass")
    (n, d), schedule = examples.x.shape, rates if callable(rates) else lambda step: rates
    if n < batch:
        raise ValueError(f"one_pass: examples are {n}, fewer than a batch of {batch}; draw more.")
    w = np.zeros((d, len(schedule(0))))
    given = rule.defaults | settings | {"lr": np.asarray(schedule(0))}
    state = first_state(rule, w, given)
    with np.errstate(over="ignore", invalid="ignore"):  # a run that diverges ends in inf or nan
        for step in range(n // batch):
            rows = slice(step * batch, (step + 1) * batch)
            g = gradient(w, Examples(examples.x[rows], examples.y[rows]))
            w, state = bare_step(rule, w, g, state, step + 1, **given | {"lr": np.asarray(schedule(step))})
            if watch:
                watch(step + 1, list(state.values()))
    return w


class Game(NamedTuple):
    """What an online game ended with; arrays (runs,), or (d, runs) where coordinates are told apart.

    ``loss``: the sum of the losses paid. ``G``: the sum of the squared gradients, by coordinate. ``farthest``: the
    largest distance of a coordinate from the best point, over all rounds.
    """

    loss: np.ndarray
    G: np.ndarray
    farthest: np.ndarray


def play(rule: Callable, examples: Examples, rates, best: np.ndarray, box: float = 1.0) -> Game:
    """The online game: in each round a point is chosen, then one example is revealed and its loss paid, then the rule
    steps, and each coordinate is brought back into [-box, box].

    Args:
        rule: of ``lib.optimizers``; its eps, if it has one, is 0, as in the theory, with 0 / 0 = 0.
        examples: dense.
        rates: as in `one_pass`.
        best: (d,), the point to which distances are measured.
        box: half the width of what is allowed.

    Raises:
        TypeError: the examples are sparse.
    """
    if issparse(examples.x):
        raise TypeError("play: examples.x must be dense; pass examples.x.toarray().")
    box = check_range(LENGTH, "box", box, "play")
    schedule = rates if callable(rates) else lambda step: rates
    w = np.zeros((examples.x.shape[1], len(schedule(0))))
    state, squares = first_state(rule, w, {}), np.zeros_like(w)
    loss, farthest = np.zeros(w.shape[1]), np.zeros(w.shape[1])
    exact = {"eps": 0.0} if "eps" in rule.defaults else {}
    with np.errstate(invalid="ignore"):  # 0 / 0, where a feature has not been seen yet
        for step, (x, y) in enumerate(zip(*examples, strict=True)):
            z = x @ w
            loss += np.logaddexp(0, z) - y * z
            farthest = np.maximum(farthest, abs(w - best[:, None]).max(axis=0))
            g = np.outer(x, expit(z) - y)
            new, state = bare_step(rule, w, g, state, step + 1, **exact | {"lr": np.asarray(schedule(step))})
            w = np.clip(np.where(g == 0, w, new), -box, box)
            squares += g**2
    return Game(loss, squares, farthest)


def best_in_hindsight(examples: Examples, box: float = 1.0) -> tuple[np.ndarray, float]:
    """The point of [-box, box] ** d with the smallest sum of losses, (d,), and that sum."""
    n, d = examples.x.shape
    total = minimize(
        lambda w: (n * log_loss(w[:, None], examples)[0], n * gradient(w[:, None], examples)[:, 0]),
        np.zeros(d), jac=True, method="L-BFGS-B", bounds=[(-box, box)] * d,
        options={"maxiter": 10_000, "maxfun": 100_000, "ftol": 1e-14, "gtol": 1e-7},
    )  # fmt: skip
    return total.x, float(total.fun)
