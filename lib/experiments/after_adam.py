"""What the chapter on Adam's successors is measured on: how fast a sign drifts in noise, how good rank one is, what a
step costs, and stacks of nets for rules that see a whole array."""

from collections.abc import Callable

import numpy as np
from scipy.special import erf

from lib.arrays import column_means, row_means, sqrt
from lib.checks import COUNT, check_range
from lib.networks import Variable, backpropagate, forward, log_softmax, relu
from lib.optimizers import adamw, muon
from lib.optimizers.rule import first_state, rule
from lib.optimizers.schedule_free import evaluation_point

# A sign in noise


def noise_left(beta1: float = 0.9, beta2: float = 0.99) -> float:
    """The standard deviation of what Lion takes the sign of, where gradients are noise of standard deviation 1."""
    return float(np.sqrt((1 - beta1) ** 2 + beta1**2 * (1 - beta2) / (1 + beta2)))


def mean_sign(signal, noise, beta1: float = 0.9, beta2: float = 0.99):
    """The mean step of Lion, in rates, on gradients of mean ``signal`` and normal noise of standard deviation
    ``noise`` > 0, numbers or arrays, once m has forgotten where it began."""
    return erf(np.asarray(signal) / (np.sqrt(2) * noise_left(beta1, beta2) * noise))


def drift_factor(beta1: float = 0.9, beta2: float = 0.99) -> float:
    """How many times as far Lion drifts as Adam, at equal rates, where noise is large against the signal."""
    return float(np.sqrt(2 / np.pi)) / noise_left(beta1, beta2)


def rest_of_lion(curvature: float, minimum: float, decay: float, noise: float) -> float:
    """Where Lion rests on the loss curvature / 2 * (x - minimum)**2, its gradients with normal noise: where its mean
    step and the decay cancel, at a small rate.

    Args:
        curvature, minimum, noise: > 0.
        decay: >= 0.
    """
    near, far = 0.0, float(minimum)  # bisection: the step is negative near 0, positive at the minimum
    for _ in range(100):
        x = (near + far) / 2
        outside = mean_sign(curvature * (x - minimum), noise) + decay * x > 0
        near, far = (near, x) if outside else (x, far)
    return x


# Rank one


def factored(v: np.ndarray) -> np.ndarray:
    """What Adafactor puts in the place of a matrix (rows, columns) of positive numbers: the product of the means of its
    rows and of its columns, over the mean of all. Rows and columns of it add up to those of ``v``.

    Source: Shazeer & Stern 2018, arXiv 1804.04235, section 3.
    """
    return row_means(v) / column_means(row_means(v)) * column_means(v)


def divergence(v: np.ndarray, other: np.ndarray) -> float:
    """The generalized Kullback-Leibler divergence of ``other`` from ``v``, both of positive numbers: the sum of
    v log(v / other) - v + other. Among products of a column and a row `factored` has the least.

    Source: Shazeer & Stern 2018, arXiv 1804.04235, section 3.
    """
    return float((v * np.log(v / other) - v + other).sum())


# Nets in a stack


def shuffled_losses(x, y, batch: int) -> Callable:
    """The losses of a stack of nets with ReLU, for `train_nets`: the cross-entropy of each on a batch. Every epoch goes
    through all examples once, in an order of its own. Runs are ordered by setting, and within it by seed.

    Args:
        x, y: (seeds, n, features) and (seeds, n).
        batch: what is left over of n at the end of an epoch is not used.

    Raises:
        ValueError: there are fewer examples than make a batch.
    """
    batch, (seeds, n) = check_range(COUNT, "batch", batch, "shuffled_losses"), y.shape
    if batch > n:
        raise ValueError(f"shuffled_losses: batch must be at most the {n} examples, got {batch}.")
    each, one_hot = np.arange(seeds)[:, None], np.eye(10)[y]

    def losses(params, step):
        epoch, part = divmod(step, n // batch)
        order = np.random.default_rng([11, epoch]).permuted(np.tile(np.arange(n), (seeds, 1)), axis=1)
        rows = order[:, part * batch : (part + 1) * batch]
        settings = params["W1"].shape[0] // seeds
        inputs, targets = (np.tile(a[each, rows], (settings, 1, 1)) for a in (x, one_hot))
        logp = log_softmax(forward(params, inputs, relu)[-1])
        return -(logp * targets).sum(axis=-1).mean(axis=-1)

    return losses


def train_nets(
    losses: Callable, params: dict, rule: Callable, rates, *, steps: int, factor: Callable | None = None, **fixed
) -> tuple[dict, dict]:
    """Train every net of a stack at a rate of its own, with any rule and a schedule. What
    `lib.experiments.vanishing_gradients.train_stack` does for rules that step each entry alone, this does for all: a
    rule that sees a whole array sees those of one net at a time.

    Args:
        losses: function (params, step) -> Variable (runs,).
        params: dict of arrays (runs, ..., ...).
        rule: of ``lib.optimizers``, one that takes no curvature.
        rates: (runs,).
        steps: steps to take.
        factor: function of the step, counted from 0: what the rates are multiplied by.
        fixed: other hyperparameters of the rule.

    Returns:
        The parameters after the last step, and for each of them the rule's state, a dict of arrays (runs, ...). A net
        that diverged stays where it did, or is not finite; the others do not notice.

    Raises:
        ValueError: there is not one rate a run.
    """
    runs, rates = len(next(iter(params.values()))), np.asarray(rates, dtype=float)
    if rates.shape != (runs,):
        raise ValueError(f"train_nets: rates must hold one rate a run, {runs} in all, got shape {rates.shape}.")
    settings = rule.defaults | fixed
    state = {}
    for name, x in params.items():
        begins = [first_state(rule, net, settings) for net in x]
        state[name] = [np.stack([begin[key] for begin in begins]) for key in rule.state]
    with np.errstate(all="ignore"):  # a rate that is too large is part of the picture
        for t in range(steps):
            variables = {name: Variable(x) for name, x in params.items()}
            backpropagate(losses(variables, t).sum())
            now, time = rates * (factor(t) if factor else 1.0), [t + 1] if rule.counts_steps else []
            params = {}
            for name, variable in variables.items():
                arrays = variable.value, variable.gradient, *state[name]
                if rule.each == "entry":
                    new = rule(*arrays, *time, **settings | {"lr": now[:, None, None]})
                    new = new if rule.state else (new,)
                else:
                    new = _net_by_net(rule, arrays, time, settings, now)
                params[name], *state[name] = new
    return params, {name: dict(zip(rule.state, values, strict=True)) for name, values in state.items()}


def _net_by_net(rule, arrays, time, settings, rates):
    """A step of a rule that sees a whole array: (parameters, *state), stacked. A net that has diverged is left."""
    made = []
    for (x, g, *state), lr in zip(zip(*arrays, strict=True), rates, strict=True):
        sound = np.isfinite(x).all() and abs(g).max() < 1e100
        made.append(rule(x, g, *state, *time, **settings | {"lr": float(lr)}) if sound else (x, *state))
    return [np.stack(part) for part in zip(*made, strict=True)]


def at_average(params: dict, state: dict, beta1: float = 0.9) -> dict:
    """Where a stack that schedule-free learning has trained is to be evaluated.

    Args:
        params, state: what `train_nets` returned.
        beta1: that of the training.
    """
    return {name: evaluation_point(x, state[name]["z"], beta1=beta1) for name, x in params.items()}


def _muon_or_adamw(mine, x, g, m, v, t, lr, momentum, weight_decay):
    """A step of Muon as long as AdamW's where the array is ``mine``, else one of AdamW."""
    if not mine:
        return adamw(x, g, m, v, t, lr=lr, weight_decay=weight_decay)
    rows, columns = x.shape
    as_large = 0.2 * sqrt(max(rows, columns)) / sqrt(max(1, rows / columns))
    x, m = muon(x, g, m, lr=lr * as_large, momentum=momentum, weight_decay=weight_decay / as_large)
    return x, m, v


@rule(each="matrix")
def muon_with_adamw(x, g, m, v, t, *, lr=0.001, momentum=0.95, weight_decay=0.0):
    """Muon for the hidden layers of a net, and AdamW for the rest, at one rate: for
    biases, of one row here, for the input layer, of 64 rows, and the output layer, of
    ten columns.

    Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural
    networks", for who gets what; Liu et al. 2025, arXiv 2502.16982, for the factor that
    makes Muon's steps as large as AdamW's. ``m`` is Muon's velocity, too.
    """
    mine = x.shape[0] not in (1, 64) and x.shape[1] != 10
    return _muon_or_adamw(mine, x, g, m, v, t, lr, momentum, weight_decay)


@rule(each="matrix")
def muon_from_the_first(x, g, m, v, t, *, lr=0.001, momentum=0.95, weight_decay=0.0):
    """`muon_with_adamw`, with Muon for the input layer, too."""
    mine = x.shape[0] != 1 and x.shape[1] != 10
    return _muon_or_adamw(mine, x, g, m, v, t, lr, momentum, weight_decay)


def starting_at_zero(rule: Callable) -> Callable:
    """``rule`` for parameters that start at zero, as those of `lib.experiments.sparse_features.one_pass` do: a state
    that starts at the parameters is given as the number 0."""

    def same(*arguments, **hyperparameters):
        return rule(*arguments, **hyperparameters)

    vars(same).update(vars(rule))
    same.state = {key: 0.0 if value == "x" else value for key, value in rule.state.items()}
    return same


# What a step costs


def kept(rule: Callable, rows: int, columns: int) -> int:
    """How many numbers a rule keeps from one step for the next, for a matrix."""
    return sum(a.size for a in first_state(rule, np.zeros((rows, columns)), rule.defaults).values())


def operations(rule: Callable, rows: int, columns: int) -> int:
    """Additions, multiplications, divisions, roots and comparisons in a step with a matrix, counted as it runs.

    Decompositions are not counted: not for Shampoo and SOAP.
    """
    count = 0

    class Counted(np.ndarray):
        def __array_ufunc__(self, ufunc, method, *inputs, out=None, **keywords):
            nonlocal count
            inputs = [np.asarray(a) if isinstance(a, np.ndarray) else a for a in inputs]
            if out is not None:
                keywords["out"] = tuple(np.asarray(a) for a in out)
            result = getattr(ufunc, method)(*inputs, **keywords)
            of_each = 2 * inputs[0].shape[-1] if ufunc is np.matmul else 1
            count += of_each * (np.size(inputs[0]) if method == "reduce" else np.size(result))
            return np.asarray(result).view(Counted)

        def __array_function__(self, function, types, arguments, keywords):  # where is no ufunc
            nonlocal count
            result = super().__array_function__(function, types, arguments, keywords)
            count += np.size(result)
            return np.asarray(result).view(Counted)

    draw = np.random.default_rng(0)
    x, g = draw.standard_normal((2, rows, columns))
    state = first_state(rule, x, rule.defaults).values()
    arrays = [np.array(a).view(Counted) for a in (x, g, *state)]
    rule(*arrays, *([2] if rule.counts_steps else []), **rule.defaults)
    return count
