"""The answers to the exercises of chapters/many_machines.ipynb."""

import numpy as np

from lib.exercises import Exercises, Wrong, convict, expect_path, mistaken, name_mistake, near, result_of, several
from lib.experiments.many_machines import delayed_descent, largest_stable_rate, mean_step_time

check = Exercises()

MEGABYTES = 400  # of 100 million gradients in float32


def _mean(gradients, sizes):
    return np.asarray(sizes) @ gradients / np.sum(sizes)


# A wrong mean: what its author should look at.
MEANS = {
    lambda gradients, sizes: gradients.mean(
        axis=0
    ): "That is the mean of the means; a large shard must count for more.",
    lambda gradients, sizes: gradients.sum(axis=0): "That is the sum; its rate would be as many times too high.",
    lambda gradients, sizes: np.asarray(sizes) @ gradients: "Divide by the size of the whole batch.",
    lambda gradients, sizes: np.asarray(sizes) @ gradients / len(sizes): "Divide by the examples, not by the workers.",
    lambda gradients, sizes: (1 / np.asarray(sizes)) @ gradients / (1 / np.asarray(sizes)).sum(): (
        "Upside down: the larger a shard, the more its mean counts."
    ),
}


@check.exercise(1)
def one_mean(answer):
    """A function (gradients (workers, d), sizes) -> (d,)."""
    for sizes in [14, 13, 13], [7, 7, 7, 6], [5, 5], [3]:
        gradients = np.random.default_rng(len(sizes)).standard_normal((len(sizes), 4))
        given = result_of(answer, gradients.copy(), list(sizes))
        name_mistake(given, lambda rule, g=gradients, n=sizes: rule(g, n), _mean, MEANS)
        near(given, _mean(gradients, sizes), 1e-12, "Each mean times its size, added up, by the size of the batch.")
    return "So is the gradient of the batch made, whoever computed which part of it."


@check.exercise(2)
def traffic(answer):
    """Megabytes that a worker of 8 sends by the ring, and that a server sends to 8 workers."""
    ring, server = several(answer, "(megabytes by the ring, megabytes of the server)")
    mistaken((ring, server), (3200, 700), "The right numbers in the wrong order: the ring comes first.", 1e-6)
    mistaken(ring, 7 / 8 * MEGABYTES, "Twice around: once to add up, once to tell everybody.", 1e-6)
    mistaken(ring, 2 * MEGABYTES, "One chunk fewer in each half: nobody sends the last one on.", 1e-6)
    mistaken(ring, 14 * MEGABYTES, "What travels is a chunk, an eighth of the gradient.", 1e-6)
    mistaken(ring, 2 * 7 / 8 * 100, "A number in float32 has 4 bytes.", 1e-6)
    near(ring, 700, 1e-9, "2 (n - 1) chunks of an n-th of 400 megabytes.")
    mistaken(server, MEGABYTES, "It sends the mean to each of eight workers.", 1e-6)
    mistaken(server, 16 * MEGABYTES, "That is what comes in and what goes out together; what does it send?", 1e-6)
    near(server, 3200, 1e-9, "The whole mean, 400 megabytes, to each of eight.")
    return "With 80 workers the server sends ten times as much, a worker of the ring an eighth more."


@check.exercise(3)
def finished_chunk(answer):
    """A function (rank, size) -> the number of the chunk whose sum a worker of the ring has after the first half."""
    for size in 2, 3, 5, 8:
        for rank in range(size):
            given = result_of(answer, rank, size)
            expected = (rank + 1) % size
            if rank == size - 1:
                mistaken(given, size, "Chunks are counted from 0, around the ring: after the last comes chunk 0.", 1e-9)
            if given == rank != expected:
                raise Wrong("Its own chunk is the one that it sends first; others finish that.")
            if given == (rank - 1) % size != expected:
                raise Wrong("That one it passes on first of all that arrive; which one arrives last?")
            near(given, expected, 1e-9, f"Follow chunk j on its way from worker j, {size - 1} times to the right.")
    return "Chunk j ends with the left neighbor of the worker with whom it began."


@check.exercise(4)
def backups(answer):
    """The mean of the slowest of 8, and of the eighth of 10, exponential times of mean 1."""
    without, with_two = several(answer, "(without backups, with two)")
    right = mean_step_time(8), mean_step_time(8, 2)
    mistaken((without, with_two), right[::-1], "The right numbers in the wrong order: backups save time.", 1e-4)
    mistaken(without, 1.0, "That is the mean of one worker; you wait for the slowest of eight.", 1e-4)
    mistaken(without, 1 / 8, "That is the mean of the fastest; you wait for the slowest.", 1e-4)
    mistaken(without, np.log(8), "The logarithm is near for many workers; for eight add the fractions up.", 1e-4)
    near(without, right[0], 1e-3, "1/8 + 1/7 + ... + 1.")
    mistaken(with_two, mean_step_time(10), "That is the slowest of ten; two need not come.", 1e-4)
    mistaken(with_two, mean_step_time(6, 2), "Ten compute and eight must come: the sum begins with 1/10.", 1e-4)
    near(with_two, right[1], 1e-3, "1/10 + 1/9 + ... + 1/3: the last two terms are those that you do not wait for.")
    return "A quarter more machines nearly halve the time of a step: the last two are the dearest."


@check.exercise(5)
def late(answer):
    """The largest stable rate of four workers in turn where the curvature is 10."""
    limit = largest_stable_rate(10.0, 3)
    mistaken(answer, 0.2, "That is the limit without delay.", 1e-4)
    mistaken(answer, 0.05, "Near, but the limit does not fall exactly as one over the workers.", 1e-4)
    mistaken(answer, largest_stable_rate(10.0, 4), "Four in turn: three steps lie between taking and bringing.", 1e-4)
    mistaken(answer, 10 * limit, "Divide by the curvature.", 1e-4)
    mistaken(answer, 0.2 * np.sin(180 / 14), "The sine takes radians: pi / 14.", 1e-4)
    mistaken(answer, limit / 2, "A factor of 2 is missing.", 1e-4)
    mistaken(answer, 0.2 * np.pi / 14, "Keep the sine: that is its angle.", 1e-4)
    near(answer, limit, 6e-5, "2 sin(pi / (2 (2 tau + 1))) by the curvature, with the delay tau of four in turn.")
    return "Less than a quarter of the limit of one worker. So much for four times the gradients a second."


def _fresh(gradient, x, lr, delay, steps):
    return delayed_descent(gradient, x, lr, 0, steps)


def _one_more(gradient, x, lr, delay, steps):
    return delayed_descent(gradient, x, lr, delay + 1, steps)


@check.exercise(6)
def delayed(answer):
    """A function (gradient, x, lr, delay, steps) -> (steps + 1,): the path of descent with old gradients."""
    for delay in 0, 1, 4:
        given = (lambda x: 3 * x, 1.0, 0.07, delay, 25)
        path = np.asarray(result_of(answer, *given), dtype=float)
        if path.shape != (26,):
            raise Wrong(f"Return {26} numbers for 25 steps, the start first; got shape {path.shape}.")
        if delay:
            mistaken(path, _fresh(*given), "These are steps by fresh gradients; take those of delay steps ago.", 1e-9)
        mistaken(path, _one_more(*given), "One step too old: without delay the gradient is that of x itself.", 1e-9)
        expect_path(path[:, None], delayed_descent(*given)[:, None])
    return "A list that remembers the last few places is all that asynchrony is, if workers take turns."


def _first(epoch, rank, size, n):
    return np.random.default_rng([epoch, rank]).permutation(n)[rank::size]


def _second(epoch, rank, size, n):
    return np.random.default_rng(epoch).permutation(n)[: n // size]


def _third(epoch, rank, size, n):
    return np.random.default_rng(0).permutation(n)[rank::size]


# Their names tell nothing, as a reader may look.
samplers = {"A": _first, "B": _second, "C": _third}
# fault: (who has it, how to see it)
FAULTS = {
    "all ranks take the same examples": ("B", "compare the examples of two ranks in one epoch"),
    "each rank shuffles by itself": ("A", "count how often each example comes in one epoch, over all ranks"),
    "same order in every epoch": ("C", "compare two epochs of one rank"),
    "examples are left out at the end": (None, "look who never comes, over many epochs"),
}


@check.exercise(7)
def three_samplers(answer):
    """{sampler: fault}"""
    convict(answer, samplers, FAULTS, "{}")
    return "B is the worst: with size ranks you pay for so many, and train on the batches of one."
