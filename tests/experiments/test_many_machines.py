"""Shards add up to the batch, the ring to the sum; what waiting costs, and what not waiting does."""

import itertools

import numpy as np
import pytest

from lib.experiments.digits import loss, split
from lib.experiments.many_machines import (
    around_a_ring,
    averaged_gradient,
    data_parallel,
    delayed_descent,
    largest_stable_rate,
    mean_step_time,
    shards,
    step_times,
)
from lib.networks import cross_entropy, dense_layers, forward, he, relu
from lib.optimizers import Optimizer, gradient_descent, momentum
from lib.stochastic_gradients import batches

# Sums of at most 1,347 terms in another order; what training adds to that is small below the stable rate.
ROUNDINGS = 1e-13


def net(**options):
    return dense_layers([64, 32, 10], he, 0, **options)


def largest(a, b):
    return max(np.abs(a[name] - b[name]).max() for name in a)


def gradient(parts, params=None, loss=loss, **options):
    x, y, _, _ = split()
    return averaged_gradient(loss, params or net(), x, y, parts, **options)


# Gradients


@pytest.mark.parametrize("workers", [1, 2, 3, 7, 40])
def test_shards_are_the_batch(workers):
    batch = np.random.default_rng(0).permutation(100)[:40]
    parts = shards(batch, workers)
    assert np.concatenate(parts).tolist() == batch.tolist()
    sizes = [len(part) for part in parts]
    assert len(sizes) == workers
    assert max(sizes) - min(sizes) <= 1
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("workers", [2, 3, 7])
def test_the_mean_over_shards_is_the_gradient_of_the_batch(workers):
    batch = np.arange(40)
    whole, parts = gradient([batch]), shards(batch, workers)
    assert largest(gradient(parts), whole) < ROUNDINGS
    unweighted = largest(gradient(parts, weighted=False), whole)
    assert (unweighted < ROUNDINGS) == (40 % workers == 0)
    assert unweighted < ROUNDINGS or unweighted > 1e-4


def test_normalized_over_a_shard_is_not_normalized_over_the_batch():
    """Each shard has a mean and a variance of its own."""
    params, parts = net(normalized=True), shards(np.arange(40), 2)
    for normalize, equal in (("layer", True), ("batch", False)):
        normalized = lambda params, x, y, it=normalize: cross_entropy(forward(params, x, relu, normalize=it)[-1], y)
        off = largest(gradient(parts, params, normalized), gradient([np.arange(40)], params, normalized))
        assert (off < ROUNDINGS) == equal
        assert off < ROUNDINGS or off > 1e-3


@pytest.mark.parametrize(("rule", "lr"), [(gradient_descent, 0.1), (momentum, 0.03)])
@pytest.mark.parametrize("workers", [2, 5])
def test_training_is_that_of_one_worker(rule, lr, workers):
    """Over 200 steps, the last batch of an epoch, which has 27 examples, among them."""
    x, y, _, _ = split()

    def path(workers):
        draws = itertools.islice(batches(len(x), 40), 200)
        return list(data_parallel(loss, net(), x, y, draws, workers, Optimizer(rule, lr=lr)))

    assert max(itertools.starmap(largest, zip(path(1), path(workers), strict=True))) < ROUNDINGS


def test_more_workers_than_examples():
    with pytest.raises(ValueError, match=r"at most the 3 examples of the batch, got 4; .*drop_last"):
        shards(np.arange(3), 4)
    with pytest.raises(ValueError, match="whole number >= 1, got 0"):
        shards(np.arange(3), 0)


# The ring


@pytest.mark.parametrize("size", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("length", [1, 7, 24, 2410])
def test_all_have_the_sum(size, length):
    draw = np.random.default_rng(length)
    vectors = [draw.standard_normal(length) for _ in range(size)]
    before = [a.copy() for a in vectors]
    sums, sent = around_a_ring(vectors)
    assert len(sums) == size
    for a in sums:
        assert np.array_equal(a, sums[0])  # to the bit: each sum was made once, and copied
        np.testing.assert_allclose(a, np.sum(vectors, axis=0), rtol=0, atol=size * 1e-15 * np.abs(vectors).sum(0).max())
    assert np.array_equal(vectors, before)
    assert sent == [2 * (size - 1) * -(-length // size) * 8] * size


def test_each_sends_less_than_two_vectors():
    vectors = [np.ones(960, dtype=np.float32)] * 16
    sums, sent = around_a_ring(vectors)
    assert sent == [2 * 15 / 16 * 960 * 4] * 16
    assert sums[3].dtype == np.float32


def test_vectors_that_do_not_fit():
    with pytest.raises(ValueError, match="one length and one dtype"):
        around_a_ring([np.ones(3), np.ones(4)])
    with pytest.raises(ValueError, match="got none"):
        around_a_ring([])


# Waiting


def exponential(random, shape):
    return random.exponential(size=shape)


@pytest.mark.parametrize(("workers", "backups"), [(1, 0), (8, 0), (64, 0), (64, 4), (8, 8)])
def test_mean_of_the_slowest(workers, backups):
    times = step_times(np.random.default_rng(0), workers, backups, 40_000, exponential)
    error = times.std() / len(times) ** 0.5
    assert abs(times.mean() - mean_step_time(workers, backups)) < 4 * error
    assert error < 0.02


def test_step_takes_as_long_as_the_last_that_counts():
    given = lambda random, shape: np.array([[3.0, 1.0, 2.0, 9.0], [5.0, 5.0, 0.0, 1.0]])
    assert step_times(None, 4, 0, 2, given).tolist() == [9, 5]
    assert step_times(None, 3, 1, 2, given).tolist() == [3, 5]
    assert step_times(None, 2, 2, 2, given).tolist() == [2, 1]


# Not waiting


def test_workers_in_turn_are_descent_with_a_delay():
    """By hand: each of five fetches the parameters, and brings their gradient when it has its next turn."""
    gradient, x, path = (lambda x: np.array([1.0, 4.0]) * x), np.array([1.0, -2.0]), []
    fetched = [x] * 5
    for t in range(40):
        x = x - 0.03 * gradient(fetched[t % 5])
        fetched[t % 5] = x
        path.append(x)
    np.testing.assert_allclose(delayed_descent(gradient, np.array([1.0, -2.0]), 0.03, 4, 40)[1:], path, rtol=1e-13)


def test_without_delay_it_is_gradient_descent():
    path = delayed_descent(lambda x: 2 * x, np.array(1.0), 0.1, 0, 5)
    np.testing.assert_allclose(path, 0.8 ** np.arange(6), rtol=1e-14)


@pytest.mark.parametrize("delay", [0, 1, 2, 5, 15])
@pytest.mark.parametrize("curvature", [1.0, 30.0])
def test_a_delay_makes_rates_unstable(delay, curvature):
    """The walk itself, a little below the limit and a little above; and no root is outside the circle below."""
    limit = largest_stable_rate(curvature, delay)
    walk = lambda lr: np.abs(delayed_descent(lambda x: curvature * x, np.array(1.0), lr, delay, 40_000)[-100:]).max()
    assert walk(0.99 * limit) < 1e-3
    with np.errstate(over="ignore", invalid="ignore"):
        assert not walk(1.01 * limit) < 1e3
    for share in (0.999, 1.001):
        roots = np.roots([1.0, -1.0, *[0.0] * (delay - 1), share * limit * curvature] if delay else
                         [1.0, share * limit * curvature - 1.0])  # fmt: skip
        assert (np.abs(roots).max() < 1) == (share < 1)


def test_a_delay_that_is_none():
    with pytest.raises(ValueError, match="delay must be a whole number >= 0, got -1"):
        largest_stable_rate(1.0, -1)
    with pytest.raises(ValueError, match="curvature must be a number > 0, got 0"):
        largest_stable_rate(0.0, 1)
