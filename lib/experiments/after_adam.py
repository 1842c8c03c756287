"""What the chapter on Adam's successors is measured on: how fast a sign drifts in noise, how good rank one is, what a
step costs, and stacks of nets for rules that see a whole array."""

from collections.abc import Callable

import numpy as np
from scipy.special import erf

from lib.arrays import column_means, row_means, sqrt
from lib.checks import COUNT, check_range
from lib.experiments.sparse_features import Examples, gradient
from lib.networks import Variable, backpropagate, forward, log_softmax, relu
from lib.optimizers import adamw, muon
from lib.optimizers.rule import bare_step, first_state, rule
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
    losses: Callable, params: dict, rule, rates, *, steps: int, factor: Callable | None = None, **fixed
) -> tuple[dict, dict]:
    """Train every net of a stack at a rate of its own, with any rule and a schedule. What
    `lib.experiments.vanishing_gradients.train_stack` does for rules that step each entry alone, this does for all: a
    rule that sees a whole array sees those of one net at a time.

    Args:
        losses: function (params, step) -> Variable (runs,).
        params: dict of arrays (runs, ..., ...).
        rule: of ``lib.optimizers``, one that takes no curvature, or a dict with one for each of the parameters.
        rates: (runs,).
        steps: steps to take.
        factor: function of the step, counted from 0: what the rates are multiplied by.
        fixed: other hyperparameters of the rules.

    Returns:
        The parameters after the last step, and for each of them the rule's state, a dict of arrays (runs, ...). A net
        that diverged stays where it did, or is not finite; the others do not notice.

    Raises:
        ValueError: there is not one rate a run.
    """
    runs, rates = len(next(iter(params.values()))), np.asarray(rates, dtype=float)
    if rates.shape != (runs,):
        raise ValueError(f"train_nets: rates must hold one rate a run, {runs} in all, got shape {rates.shape}.")
    rules = rule if isinstance(rule, dict) else dict.fromkeys(params, rule)
    state = {}
    for name, x in params.items():
        begins = [first_state(rules[name], net, rules[name].defaults | fixed) for net in x]
        state[name] = {key: np.stack([begin[key] for begin in begins]) for key in rules[name].state}
    with np.errstate(all="ignore"):  # a rate that is too large is part of the picture
        for t in range(steps):
            variables = {name: Variable(x) for name, x in params.items()}
            backpropagate(losses(variables, t).sum())
            now = rates * (factor(t) if factor else 1.0)
            params, old = {}, state
            for name, variable in variables.items():
                step = _net_by_net if rules[name].each == "matrix" else _side_by_side
                params[name], state[name] = step(
                    rules[name], variable.value, variable.gradient, old[name], t + 1, now, fixed
                )  # fmt: skip
    return params, state


class OfEachNet(np.ndarray):
    """A stack of arrays (runs, rows, columns) of which the sum and the mean are each net's own, (runs, 1, 1): a rule
    that sees a whole array, by its norm, takes a step with each of them at once."""

    def sum(self, axis=(-2, -1), keepdims=True):
        return super().sum(axis=axis, keepdims=keepdims)

    def mean(self, axis=(-2, -1), keepdims=True):
        return super().mean(axis=axis, keepdims=keepdims)


def _side_by_side(rule, x, g, state, t, rates, fixed):
    """A step of a rule that sees entries, or the sums and means of an array: (parameters, state), stacked."""
    kind = OfEachNet if rule.each == "array" else np.ndarray
    x, g, state = x.view(kind), g.view(kind), {key: a.view(kind) for key, a in state.items()}
    x, state = bare_step(rule, x, g, state, t, **rule.defaults | fixed | {"lr": rates[:, None, None]})
    return np.asarray(x), {key: np.asarray(a) for key, a in state.items()}


def _net_by_net(rule, x, g, state, t, rates, fixed):
    """The same of a rule that takes matrices. A net that has diverged is left."""
    given, made = rule.defaults | fixed, []
    for run, lr in enumerate(rates):
        net, slope, own = x[run], g[run], {key: a[run] for key, a in state.items()}
        if np.isfinite(net).all() and abs(slope).max() < 1e100:
            net, own = bare_step(rule, net, slope, own, t, **given | {"lr": float(lr)})
        made.append((net, own))
    nets, states = zip(*made, strict=True)
    return np.stack(nets), {key: np.stack([own[key] for own in states]) for key in state}


def at_average(params: dict, state: dict, beta1: float = 0.9) -> dict:
    """Where a stack that schedule-free learning has trained is to be evaluated.

    Args:
        params, state: what `train_nets` returned.
        beta1: that of the training.
    """
    return {name: evaluation_point(x, state[name]["z"], beta1=beta1) for name, x in params.items()}


@rule(each="matrix")
def muon_as_large(x, g, v, *, lr=0.001, momentum=0.95, weight_decay=0.0):
    """Muon, its steps as large as AdamW's, so that one rate serves both.

    Source: Liu et al. 2025, arXiv 2502.16982, for the factor.
    """
    rows, columns = x.shape
    as_large = 0.2 * sqrt(max(rows, columns)) / sqrt(max(1, rows / columns))
    return muon(x, g, v, lr=lr * as_large, momentum=momentum, weight_decay=weight_decay / as_large)


def muon_for(*names: str) -> dict:
    """The rules of a net of three layers, for `train_nets`: Muon for the parameters of these names, AdamW for the rest.

    Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks", for who gets what.
    """
    return {name: muon_as_large if name in names else adamw for name in ("W1", "b1", "W2", "b2", "W3", "b3")}


# One run, several ends


def weights_at(ends, rule: Callable, examples: Examples, rates, factor: Callable, batch: int = 32) -> list[np.ndarray]:
    """Where a logistic model is to be evaluated after each of ``ends`` steps of one run, at all rates at once: at its
    weights, or, in schedule-free learning, at their average.

    Args:
        ends: numbers of steps, rising.
        rule: of ``lib.optimizers``, one that steps entries. It starts at weights of zero.
        examples: what to learn, in their order, ``batch`` of them a step.
        rates: array (runs,).
        factor: function of the step, counted from 0: what the rates are multiplied by.

    Returns:
        arrays (d, runs), one for each end.

    Raises:
        ValueError: there are too few examples for the last end.
    """
    if len(examples.y) < batch * ends[-1]:
        raise ValueError(f"weights_at: {ends[-1]} steps need {batch * ends[-1]} examples, got {len(examples.y)}.")
    w, found = np.zeros((examples.x.shape[1], len(rates))), []
    state = first_state(rule, w, rule.defaults)
    for t in range(ends[-1]):
        rows = slice(batch * t, batch * (t + 1))
        g = gradient(w, Examples(examples.x[rows], examples.y[rows]))
        w, state = bare_step(rule, w, g, state, t + 1, **rule.defaults | {"lr": rates * factor(t)})
        if t + 1 in ends:
            found.append(evaluation_point(w, state["z"]) if "z" in state else w)
    return found


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
