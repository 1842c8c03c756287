"""Many machines, from scratch and in one process: shards of a batch, their sum around a ring, and what waiting costs.

A *worker* is a machine, or a process of one; each has all parameters and a shard of every batch. The same with real
processes is in `lib.experiments.ranks`, and under Ray Train in `lib.experiments.ray_ranks`.
"""

import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from lib.checks import COUNT, LENGTH, POSITIVE, WHOLE, check_range
from lib.networks import value_and_grad
from lib.optimizers import Optimizer
from lib.optimizers.averaging import accumulate

# Gradients of shards


def shards(batch: np.ndarray, workers: int) -> list[np.ndarray]:
    """A batch in as many parts as there are workers, their sizes at most one apart, the larger ones first.

    Args:
        batch: indices of examples, (B,).

    Raises:
        TypeError, ValueError: ``workers`` is not a whole number from 1 to B.
    """
    workers = check_range(COUNT, "workers", workers, "shards")
    if workers > len(batch):
        raise ValueError(
            f"shards: workers must be at most the {len(batch)} examples of the batch, got {workers}; a worker without "
            "examples has no gradient. Take a larger batch, or leave out the last one of an epoch (drop_last=True)."
        )
    return np.array_split(batch, workers)


def averaged_gradient(loss, params, x, y, parts, weighted=True):
    """The gradient of a batch from those of its shards, each of which a worker could compute.

    Args:
        loss: function (params, x, y) -> the mean over these examples.
        params: dict of arrays.
        x, y: one example a row.
        parts: of the batch, as `shards` makes them.
        weighted: by how many examples a shard has. Without, the mean of means is the mean of the batch only if all
            shards are equally large.
    """

    def gradient(part):
        return value_and_grad(lambda params: loss(params, x[part], y[part]))(params)[1]

    sizes = [len(part) for part in parts] if weighted else None
    return accumulate(map(gradient, parts), sizes)


def data_parallel(
    loss: Callable, params, x, y, batches: Iterable[np.ndarray], workers: int, optimizer: Optimizer
) -> Iterator[dict]:
    """The parameters after each step of synchronous data-parallel training. All workers take the same step, so there
    is one copy of the parameters here. Arguments as of `shards` and `averaged_gradient`."""
    for batch in batches:
        gradients = averaged_gradient(loss, params, x, y, shards(batch, workers))
        params = optimizer.step(params, gradients)
        yield params


# A sum around a ring


def ring_sum(rank: int, size: int, vector: np.ndarray):
    """The program of one worker of a ring all-reduce: what it yields goes to its right neighbor, what comes back is
    from its left one. It returns the sum of the vectors of all.

    Each vector is cut into ``size`` chunks. In the first half (reduce-scatter) chunk j travels once around, from worker
    j on, and everyone adds its own to it; in the second (all-gather) the sums travel around. The workers send
    2 (size - 1) chunks each, whatever their number, less than 2 vectors.

    Args:
        rank: of this worker, 0 to size - 1.
        size: how many workers there are.
        vector: (d,); it is left alone.

    Source: Patarasuk & Yuan 2009, doi 10.1016/j.jpdc.2008.09.002.
    """
    chunks = np.pad(vector, (0, -len(vector) % size)).reshape(size, -1)
    for step in range(size - 1):
        chunks[(rank - step - 1) % size] += yield chunks[(rank - step) % size]
    for step in range(size - 1):
        chunks[(rank - step) % size] = yield chunks[(rank - step + 1) % size]
    return chunks.ravel()[: len(vector)]


def around_a_ring(vectors: list[np.ndarray]) -> tuple[list[np.ndarray], list[int]]:
    """Run `ring_sum` for as many workers as there are vectors, in step.

    Args:
        vectors: all (d,), of one dtype.

    Returns:
        what each worker has at the end, (d,); and the bytes that each has sent.

    Raises:
        ValueError: there is no vector, or they differ in shape or dtype.
    """
    kinds = {(a.shape, a.dtype) for a in vectors}
    if len(kinds) != 1 or vectors[0].ndim != 1:
        raise ValueError(f"around_a_ring: vectors must have one axis, one length and one dtype, got {kinds or 'none'}.")
    size = len(vectors)
    programs = [ring_sum(rank, size, a) for rank, a in enumerate(vectors)]
    sums, sent, arrived = [], [0] * size, [None] * size
    while not sums:
        leaving = []
        for rank, program in enumerate(programs):
            try:
                chunk = program.send(arrived[rank])
            except StopIteration as end:
                sums.append(end.value)
            else:
                sent[rank] += chunk.nbytes
                leaving.append(chunk)
        arrived = leaving[-1:] + leaving[:-1]
    return sums, sent


# Waiting for the slowest


def step_times(random: np.random.Generator, workers: int, backups: int, steps: int, draw: Callable) -> np.ndarray:
    """How long synchronous steps take, if each waits for the first ``workers`` of ``workers + backups``.

    Args:
        draw: function (random, shape) -> how long each worker computes, in any unit of time.

    Returns:
        (steps,)

    Source: Chen et al. 2016, arXiv 1604.00981, section 3.
    """
    check_range(COUNT, "workers", workers, "step_times")
    check_range(WHOLE, "backups", backups, "step_times")
    check_range(COUNT, "steps", steps, "step_times")
    return np.sort(draw(random, (steps, workers + backups)), axis=1)[:, workers - 1]


def mean_step_time(workers: int, backups: int = 0) -> float:
    """The mean of `step_times` for exponential times of mean 1: 1 / (workers + backups) + ... + 1 / (backups + 1).

    After k have come, those that are left, n - k, forget how long they have computed: the next comes after a time of
    mean 1 / (n - k). Without backups this is the harmonic number, which grows like a logarithm.
    """
    check_range(COUNT, "workers", workers, "mean_step_time")
    check_range(WHOLE, "backups", backups, "mean_step_time")
    return sum(1 / left for left in range(backups + 1, workers + backups + 1))


# Not waiting at all


def delayed_descent(gradient: Callable, x: np.ndarray, lr: float, delay: int, steps: int) -> np.ndarray:
    """Gradient descent with gradients taken ``delay`` steps ago: x_t = x_{t-1} - lr gradient(x_{t-1-delay}).

    So go asynchronous workers, ``delay + 1`` of them, that take turns: each brings a gradient of the parameters that it
    fetched when it came last. What would lie before the start is the start.

    Args:
        gradient: function of an array -> an array of its shape.
        x: the start, of any shape.

    Returns:
        (steps + 1, *x.shape)

    Source: Lian et al. 2015, arXiv 1506.08272, with the same delay at every step.
    """
    check_range(LENGTH, "lr", lr, "delayed_descent")
    delay = check_range(WHOLE, "delay", delay, "delayed_descent")
    steps = check_range(COUNT, "steps", steps, "delayed_descent")
    path = [np.asarray(x, dtype=float)] * (delay + 1)
    for _ in range(steps):
        path.append(path[-1] - lr * gradient(path[-1 - delay]))
    return np.array(path[delay:])


def largest_stable_rate(curvature: float, delay: int) -> float:
    """Below which rate `delayed_descent` converges where the second derivative is ``curvature``.

    x_t = z^t goes on for ever if z^(delay + 1) - z^delay + lr curvature = 0. At the limit a root is on the unit circle,
    z = exp(i w): then lr curvature = 2 sin(w / 2) with (delay + 1/2) w = pi / 2. Without delay it is 2 / curvature.

    Raises:
        TypeError, ValueError: ``curvature`` is no number > 0, or ``delay`` no whole number >= 0.
    """
    check_range(POSITIVE, "curvature", curvature, "largest_stable_rate")
    check_range(WHOLE, "delay", delay, "largest_stable_rate")
    return 2 * math.sin(math.pi / (2 * (2 * delay + 1))) / curvature
