"""The judges of the chapter on many machines: the right answer passes, each typical mistake is named."""

import numpy as np
import pytest

from lib.exercises.many_machines import FAULTS, MEANS, check, samplers
from lib.experiments.many_machines import around_a_ring, delayed_descent, largest_stable_rate, mean_step_time
from tests.exercises.judging import exercise_tests


def mean(gradients, sizes):
    return np.average(gradients, axis=0, weights=sizes)


def path(gradient, x, lr, delay, steps):
    xs = [x]
    for _ in range(steps):
        xs.append(xs[-1] - lr * gradient(xs[max(0, len(xs) - 1 - delay)]))
    return xs


def two_old(gradient, x, lr, delay, steps):
    return path(gradient, x, lr, max(delay - 1, 0), steps)


RIGHT_CULPRITS = {suspect: fault for fault, (suspect, _) in FAULTS.items() if suspect}

test_right, test_wrong, test_open = exercise_tests(
    check,
    right=[
        (1, mean),
        (2, (700, 3200)),
        (3, lambda rank, size: (rank + 1) % size),
        (4, (mean_step_time(8), mean_step_time(8, 2))),
        (4, (2.718, 1.429)),
        (5, largest_stable_rate(10, 3)),
        (5, 0.0445),
        (6, path),
        (7, RIGHT_CULPRITS),
    ],
    wrong=[
        *((1, wrong, hint) for wrong, hint in MEANS.items()),
        (1, lambda gradients, sizes: 2 * mean(gradients, sizes), "Each mean times its size"),
        (2, (3200, 700), "wrong order"),
        (2, (350, 3200), "Twice around"),
        (2, (800, 3200), "One chunk fewer"),
        (2, (5600, 3200), "an eighth of the gradient"),
        (2, (175, 3200), "4 bytes"),
        (2, (1, 3200), "2 (n - 1) chunks"),
        (2, (700, 400), "each of eight workers"),
        (2, (700, 6400), "what does it send"),
        (2, (700, 1), "to each of eight"),
        (3, lambda rank, size: rank + 1, "after the last comes chunk 0"),
        (3, lambda rank, size: rank, "sends first"),
        (3, lambda rank, size: (rank - 1) % size, "arrives last"),
        (3, lambda rank, size: 7, "Follow chunk j"),
        (4, (1.429, 2.718), "wrong order"),
        (4, (1, 1.429), "slowest of eight"),
        (4, (0.125, 1.429), "the fastest"),
        (4, (np.log(8), 1.429), "add the fractions"),
        (4, (5, 1.429), "1/8 + 1/7"),
        (4, (2.718, mean_step_time(10)), "slowest of ten"),
        (4, (2.718, mean_step_time(6, 2)), "begins with 1/10"),
        (4, (2.718, 5), "1/10 + 1/9"),
        (5, 0.2, "without delay"),
        (5, 0.05, "one over the workers"),
        (5, largest_stable_rate(10, 4), "three steps lie"),
        (5, largest_stable_rate(1, 3), "Divide by the curvature"),
        (5, 0.2 * np.sin(180 / 14), "radians"),
        (5, largest_stable_rate(20, 3), "factor of 2"),
        (5, 0.2 * np.pi / 14, "Keep the sine"),
        (5, 0.0449, "Keep the sine"),
        (5, 0.0446, "with the delay tau"),
        (5, 0.0444, "with the delay tau"),
        (5, 1.0, "with the delay tau"),
        (6, lambda *given: path(*given)[1:], "the start first"),
        (6, lambda gradient, x, lr, delay, steps: path(gradient, x, lr, 0, steps), "fresh gradients"),
        (6, lambda gradient, x, lr, delay, steps: path(gradient, x, lr, delay + 1, steps), "One step too old"),
        (6, two_old, "fresh gradients"),
        (6, lambda gradient, x, lr, delay, steps: path(gradient, x, lr / 2, delay, steps), "leaves the library's path"),
        (7, RIGHT_CULPRITS | {"A": "examples are left out at the end"}, "A is innocent"),
        (7, RIGHT_CULPRITS | {"B": "bad luck"}, "not on the list"),
    ],
)


def test_numbers_of_the_exercises():
    """What the judges take for right comes out of the library, and of a simulation."""
    _, sent = around_a_ring([np.zeros(800, dtype=np.float32)] * 8)
    assert sent[0] / (800 * 4) * 400 == 700
    times = np.sort(np.random.default_rng(0).exponential(size=(100_000, 10)), axis=1)
    assert times[:, 7].mean() == pytest.approx(mean_step_time(8, 2), abs=0.01)
    walk = lambda lr: abs(delayed_descent(lambda x: 10 * x, np.array(1.0), lr, 3, 5000)[-1])
    assert walk(0.0440) < 1e-3 < 1 < walk(0.0450)


def test_suspects_have_their_faults():
    taken = {name: [[sampler(epoch, rank, 3, 12) for rank in range(3)] for epoch in range(2)]
             for name, sampler in samplers.items()}  # fmt: skip
    everyone = lambda epoch: sorted(np.concatenate(epoch).tolist())
    assert everyone(taken["A"][0]) != list(range(12))
    assert taken["A"][0][0].tolist() != taken["A"][1][0].tolist()
    assert all(np.array_equal(its, taken["B"][0][0]) for its in taken["B"][0])
    assert everyone(taken["C"][0]) == list(range(12))
    assert taken["C"][0][1].tolist() == taken["C"][1][1].tolist()
