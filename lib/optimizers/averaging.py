"""Averages of weights, and of the gradients of micro-batches: pure functions around the step.

    average = params
    for micro_batches in batches:
        grads = accumulate(gradient(params, examples) for examples in micro_batches)
        params = optimizer.step(params, grads)
        average = ema(average, params, optimizer.t, decay=0.999)

Parameters and gradients come in a list, tuple or dict of arrays (NumPy, PyTorch or JAX) and leave in one of the same
kind, new arrays of the dtypes of the average. The training never sees the average: evaluate with it.
"""

from lib.arrays import namespace
from lib.checks import COUNT, FRACTION, check_range
from lib.optimizers.containers import map_arrays


def ema(average, params, t=None, *, decay=0.999):
    """The exponential moving average of weights:
    decay * average + (1 - decay) * params.

    Without ``t`` the average forgets its start slowly. PyTorch and Keras start with the
    parameters after the first step: ``average = params`` there. With ``t``, the
    number of this average counted from 1, the start has no weight: it is the average
    that starts at 0, divided by 1 - decay**t, without the detour.

    Source: Kingma & Ba 2015, arXiv 1412.6980, section 7.2. Elsewhere:
    ``torch.optim.swa_utils.get_ema_multi_avg_fn(decay)``, Keras' ``ema_momentum``,
    ``optax.incremental_update`` of 1 - decay; with ``t``, ``optax.ema``.
    """
    decay = check_range(FRACTION, "decay", decay, "ema")
    share = 1 - decay
    if t is not None:
        share = share / (1 - decay ** check_range(COUNT, "t", t, "ema"))
    return map_arrays(_toward(share), average=average, params=params)


def polyak(average, params, t):
    """The mean of the weights after each of ``t`` steps; ``average`` is that of the first
    t - 1.

    Source: Polyak & Juditsky 1992, "Acceleration of Stochastic Approximation by
    Averaging". Elsewhere: PyTorch's ``AveragedModel`` if nothing else is said, there
    for stochastic weight averaging (Izmailov et al. 2018, arXiv 1803.05407).
    """
    share = 1 / check_range(COUNT, "t", t, "polyak")
    return map_arrays(_toward(share), average=average, params=params)


def accumulate(gradients, sizes=None):
    """The mean of the gradients of micro-batches: that of the one large batch which they
    make up.

    So it is where the loss is a mean over examples that do not see each other; not
    with batch normalization, and not if each gradient is clipped first. Micro-batches
    that differ in size need their ``sizes``.

    Elsewhere: Keras' ``gradient_accumulation_steps``, ``optax.MultiSteps``. PyTorch
    sums in ``.grad``; there, divide each loss by the number of micro-batches.

    Args:
        gradients: an iterable of lists, tuples or dicts of arrays, all alike, of which
            one at a time is held.
        sizes: a list with the number of examples behind each gradient (or of tokens,
            if it is these that the loss is a mean over).

    Raises:
        TypeError, KeyError, ValueError: there is no gradient, or not one size for
            each, or they do not fit together.
    """
    mean, total = None, 0
    for i, grads in enumerate(gradients):
        if sizes is not None and i == len(sizes):
            raise ValueError(f"accumulate: there are more gradients than the {len(sizes)} sizes; pass one for each.")
        size = 1 if sizes is None else check_range(COUNT, f"sizes[{i}]", sizes[i], "accumulate")
        total += size
        move, named = _toward(size / total), {f"gradients[{i}]": grads, "mean": grads if mean is None else mean}
        mean = map_arrays(lambda g, m, move=move: move(m, g), **named)
    if mean is None:
        raise ValueError("accumulate: gradients is empty; pass those of at least one micro-batch.")
    if sizes is not None and len(sizes) > i + 1:
        raise ValueError(f"accumulate: {len(sizes)} sizes for {i + 1} gradients; pass one for each.")
    return mean


def _toward(share):
    """A function that moves ``a`` by a share of the way to ``b``: where they are equal, not by a bit."""
    return lambda a, b: namespace(a).astype(a + share * (b - a), a.dtype)
