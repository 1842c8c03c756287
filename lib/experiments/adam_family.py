"""What the chapter on Adam's family is measured on: where two kinds of weight decay come to rest, a family of games
that Adam loses, how much RAdam trusts its second moment, and digits for a stack of nets that differ in seed and
hyperparameters alone."""

from collections.abc import Callable

import numpy as np
from scipy.special import gammaln

from lib.checks import COUNT, LENGTH, SHARE, check_range
from lib.data import digits
from lib.experiments.generalization import few_digits
from lib.networks import forward, log_softmax, relu
from lib.optimizers import adam
from lib.optimizers.rule import bare_step, first_state, rule

# Where a weight comes to rest


def rest_of_l2(curvature, minimum, decay) -> np.ndarray:
    """Where Adam with L2 decay rests on the loss curvature / 2 * (x - minimum)**2, its gradients with symmetric noise:
    where the mean gradient of loss and decay together is 0, whatever it is divided by.

    Args:
        curvature, minimum, decay: numbers or arrays of one shape; curvature > 0, decay >= 0.
    """
    return curvature * minimum / (curvature + decay)


def rest_of_decoupled(curvature, minimum, decay, noise) -> np.ndarray:
    """Where AdamW rests on the same loss, its gradients with noise of standard deviation ``noise``: where the mean
    step, the mean gradient over its root mean square, and the decay cancel. The walk's own trembling is left out, so
    it holds for small rates.

    Args:
        curvature, minimum, decay, noise: numbers or arrays of one shape; all but the minimum >= 0, and the curvature
            > 0.

    Returns:
        array. Without noise it is ``minimum``, or, if that is farther out, the point at a distance of 1 / decay.
    """
    h, far, decay, noise = np.broadcast_arrays(*(np.asarray(a, float) for a in (curvature, minimum, decay, noise)))
    near, far = np.zeros(far.shape), far.copy()  # bisection: the answer lies between 0 and the minimum
    pull = h * far  # the slope of the loss at x is h * x - pull
    for _ in range(100):
        x = (near + far) / 2
        slope = h * x - pull
        size = np.sqrt(noise**2 + slope**2)
        step = slope / np.where(size > 0, size, 1) + decay * x
        inside = step * np.sign(pull) < 0
        near, far = np.where(inside, x, near), np.where(inside, far, x)
    return (near + far) / 2


# The games that Adam loses


def spiked(C: int, rounds: int) -> np.ndarray:
    """The slopes (rounds,) of a game of linear losses: C in the first of every C rounds, -1 in the others. All C of
    them add up to 1, so that on [-1, 1] the best point is -1.

    Source: Reddi et al. 2018, arXiv 1904.09237: C = 3 is that of their Theorem 1 with C = 3, C = 101 a tenth of that of
    their figure 1.
    """
    C, rounds = check_range(COUNT, "C", C, "spiked"), check_range(COUNT, "rounds", rounds, "spiked")
    return np.where(np.arange(rounds) % C == 0, float(C), -1.0)


def play_linear(rule: Callable, slopes, rates, **settings) -> np.ndarray:
    """Play a game of linear losses on [-1, 1] from 0, at rates that fall as 1 / sqrt(t).

    Args:
        rule: of ``lib.optimizers``.
        slopes: (rounds,), or (rounds, runs) where the games differ.
        rates: (runs,), the rates of the first round.
        settings: other hyperparameters of the rule.

    Returns:
        array (rounds + 1, runs): where each run stood before round 1, 2, ... and after the last.
    """
    slopes, rates = np.asarray(slopes, dtype=float), np.asarray(rates, dtype=float)
    slopes = slopes[:, None] if slopes.ndim == 1 else slopes
    x = np.zeros(np.broadcast_shapes(slopes.shape[1:], rates.shape))
    hyperparameters = rule.defaults | settings
    state, path = first_state(rule, x, hyperparameters), [x]
    for t, slope in enumerate(slopes, start=1):
        x, state = bare_step(rule, x, slope + 0 * x, state, t, **hyperparameters | {"lr": rates / np.sqrt(t)})
        x = np.minimum(np.maximum(x, -1.0), 1.0)
        path.append(x)
    return np.array(path)


def drift(C: int, beta1: float, beta2: float) -> float:
    """How far Adam goes toward the best point in C rounds of the game `spiked`, in rates, once its averages repeat
    themselves every C rounds. It is negative where Adam walks the wrong way.

    Raises:
        ValueError: ``C`` is not a whole number >= 1, or a beta is not a number in [0, 1).
    """
    C = check_range(COUNT, "C", C, "drift")
    beta1, beta2 = (
        check_range(SHARE, name, b, "drift") if b else 0.0 for name, b in (("beta1", beta1), ("beta2", beta2))
    )
    ages = np.arange(C)  # rounds since the spike

    def average(beta, spike, other):
        first = other + (spike - other) * (1 - beta) / (1 - beta**C)  # in the round of the spike
        return other + (first - other) * beta**ages

    return float((average(beta1, C, -1.0) / np.sqrt(average(beta2, C**2, 1.0))).sum())


def first_lost(beta1: float, beta2: float) -> int:
    """The smallest C, above 2, at which Adam walks the wrong way in the game `spiked`."""
    C = 3
    while drift(C, beta1, beta2) >= 0:
        C += 1
    return C


# Adamax


def power_mean(gradients, p: float, beta2: float = 0.999) -> np.ndarray:
    """What Adam's denominator would be with a power p in place of 2, after each gradient: v**(1/p), where
    v = beta2**p v + (1 - beta2**p) abs(g)**p.

    Args:
        gradients: (steps,), none of them 0.
        p: > 0.

    Source: Kingma & Ba 2015, arXiv 1412.6980, section 7.1. Powers are taken of quotients, so that none overflows.
    """
    p, beta2 = check_range(LENGTH, "p", p, "power_mean"), check_range(SHARE, "beta2", beta2, "power_mean")
    sizes, root, roots = abs(np.asarray(gradients, dtype=float)), 0.0, []
    weight = -np.expm1(p * np.log(beta2))
    for size in sizes:
        top = max(beta2 * root, size)
        root = top * ((beta2 * root / top) ** p + weight * (size / top) ** p) ** (1 / p)
        roots.append(root)
    return np.array(roots)


def longest_of_adamax(beta1: float = 0.9, beta2: float = 0.999) -> float:
    """What no step of Adamax exceeds, in rates, whatever the gradients, if beta1 < beta2."""
    return (1 - beta1) / (1 - beta1 / beta2)


# RAdam


def trusted(t, beta2: float = 0.999) -> np.ndarray:
    """RAdam's rho: how many gradients ``v_hat`` averages in effect after ``t`` of them.

    Source: Liu et al. 2020, arXiv 1908.03265, Algorithm 2.
    """
    t = np.asarray(t, dtype=float)
    return 2 / (1 - beta2) - 1 - 2 * t * beta2**t / (1 - beta2**t)


def variance_of_scale(rho) -> np.ndarray:
    """The variance of 1 / sqrt(mean of rho squared standard normal numbers), for rho > 2: by the mean and the mean
    square of the inverse of a chi-distributed number.

    Source: Liu et al. 2020, arXiv 1908.03265, section 3.
    """
    rho = np.asarray(rho, dtype=float)
    mean = np.sqrt(rho / 2) * np.exp(gammaln((rho - 1) / 2) - gammaln(rho / 2))
    return rho / (rho - 2) - mean**2


def variance_to_first_order(rho) -> np.ndarray:
    """`variance_of_scale` to first order, for rho > 4, as RAdam uses it.

    Source: Liu et al. 2020, arXiv 1908.03265.
    """
    rho = np.asarray(rho, dtype=float)
    return rho / (2 * (rho - 2) * (rho - 4))


def rectification(t, beta2: float = 0.999) -> np.ndarray:
    """What RAdam multiplies Adam's step by: the root of the least variance over that of step ``t``; nan where it does
    not divide, rho <= 4."""
    rho = trusted(t, beta2)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = variance_to_first_order(2 / (1 - beta2) - 1) / variance_to_first_order(rho)
        return np.where(rho > 4, np.sqrt(ratio), np.nan)


@rule
def warmed_adam(x, g, m, v, t, *, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8, warmup_steps=2000):
    """Adam whose rate rises in a straight line over ``warmup_steps``.

    Source: Ma & Yarats 2021, arXiv 1910.04209, who advise 2 / (1 - beta2) of them.
    """
    share = np.minimum(1.0, t / warmup_steps)
    return adam(x, g, m, v, t, lr=lr * share, beta1=beta1, beta2=beta2, eps=eps)


# Digits for a stack of nets


def few_with_wrong_labels(n: int, seeds, wrong: float) -> tuple[np.ndarray, ...]:
    """For each seed ``n`` digits to learn from and as many to choose by, a share ``wrong`` of whose labels is drawn
    anew.

    Returns:
        x, y, x_validation, y_validation, of shape (seeds, n, 64) or (seeds, n).
    """
    return tuple(np.stack(part) for part in zip(*(few_digits(n, n, seed, wrong) for seed in seeds), strict=True))


def many_digits(seeds, train: int = 1100) -> tuple[np.ndarray, ...]:
    """For each seed ``train`` digits to learn from, the rest of the training set to choose by, and 450 to judge by.

    Returns:
        x, y, x_validation, y_validation, x_test, y_test, with an axis for the seeds in front.
    """
    train, parts = check_range(COUNT, "train", train, "many_digits"), []
    for seed in seeds:
        data = digits(seed=seed)
        order = np.random.default_rng(seed).permutation(len(data.y_train))
        of, to_choose = order[:train], order[train:]
        parts.append((data.x_train[of], data.y_train[of], data.x_train[to_choose], data.y_train[to_choose],
                      data.x_test, data.y_test))  # fmt: skip
    return tuple(np.stack(part) for part in zip(*parts, strict=True))


def batch_losses(x, y, batch: int) -> Callable:
    """The losses of a stack of nets, for `lib.experiments.vanishing_gradients.train_stack`: the cross-entropy of each
    on ``batch`` examples, drawn for each seed and step. Runs are ordered by setting, and within it by seed.

    Args:
        x, y: (seeds, n, features) and (seeds, n).
    """
    batch = check_range(COUNT, "batch", batch, "batch_losses")
    seeds, n = y.shape
    each, one_hot = np.arange(seeds)[:, None], np.eye(10)[y]

    def losses(params, step):
        rows = np.random.default_rng([7, step]).integers(0, n, (seeds, batch))
        settings = params["W1"].shape[0] // seeds
        inputs, targets = (np.tile(a[each, rows], (settings, 1, 1)) for a in (x, one_hot))
        logp = log_softmax(forward(params, inputs, relu)[-1])
        return -(logp * targets).sum(axis=-1).mean(axis=-1)

    return losses


def judged(params: dict, x, y) -> tuple[np.ndarray, np.ndarray]:
    """The loss and the share of wrong answers of each net of a stack on its seed's examples; one that diverged, or that
    is worse than a guess, counts as a guess.

    Args:
        params: of the nets, ordered by setting, and within it by seed.
        x, y: (seeds, n, features) and (seeds, n).

    Returns:
        two arrays (settings, seeds).
    """
    seeds = len(y)
    of_setting = {name: p.reshape(-1, seeds, *p.shape[1:]) for name, p in params.items()}
    with np.errstate(all="ignore"):
        logp = log_softmax(forward(of_setting, x, relu)[-1])
        loss = -(logp * np.eye(10)[y]).sum(axis=-1).mean(axis=-1)
    lost = ~(loss < np.log(10))
    wrong = (logp.argmax(axis=-1) != y).mean(axis=-1)
    return np.where(lost, np.log(10), loss), np.where(lost, 0.9, wrong)
