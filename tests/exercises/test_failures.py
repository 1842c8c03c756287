"""The judges of the failure gallery: the right answer passes, each typical mistake is named; each fault is there."""

import numpy as np
import pytest

from lib.exercises.failures import (
    FLAT,
    LOSSES,
    PERIODIC,
    REDUCTIONS,
    RETURNING,
    STILL,
    _descended,
    accumulating,
    averaging,
    check,
)
from lib.experiments.failures import fit, gradient_norms
from lib.experiments.generalization import few_digits
from lib.networks import dense_layers, he
from lib.optimizers import Optimizer, gradient_descent
from tests.exercises.judging import exercise_tests


def guilty(faults):
    return {who: fault for fault, (who, _) in faults.items()}


def first_only(a, b, steps, lr):
    return _descended(a, b, 1, lr)


def uphill(a, b, steps, lr):
    return -_descended(a, b, 1, lr)


RIGHT = [
    (1, guilty(STILL)),
    (2, np.log(np.e + 999) - 0.9),
    (2, 6.01),
    (3, _descended),
    (4, (750, 7.2)),
    (4, [750.0, 7.2]),
    (5, 0.06 / 2.2),
    (5, 0.02727),
    (5, 0.0273),
    (6, 16),
    (7, guilty(RETURNING)),
    (8, guilty(REDUCTIONS)),
]

WRONG = [
    (1, "dead units", "A dict"),
    (1, guilty(STILL) | {"A": "zero weights"}, "A is innocent of 'zero weights': print .start"),
    (1, guilty(STILL) | {"C": "dead units"}, "C is innocent of 'dead units': compare the gradients"),
    (1, guilty(STILL) | {"B": "asleep"}, "'asleep' is not on the list"),
    (2, 6.908, "guessing costs"),
    (2, 6.9095, "only a tenth is wrong"),
    (2, 1.561, "ten classes"),
    (2, 0.0, "no score is above 1"),
    (2, 5.91, "every answer right"),
    (2, 5.3185, "not nothing"),
    (2, 6.0, "wrong, it has the score 0"),
    (2, 6.02, "wrong, it has the score 0"),
    (3, 1, "A function is asked for"),
    (3, lambda a, b, steps, lr: None, "return at its end"),
    (3, lambda a, b, steps, lr: ..., "still returns the dots"),
    (3, lambda a, b, steps, lr: 0.0, "shape (3,)"),
    (3, accumulating, "sum of all gradients"),
    (3, averaging, "still holds old ones"),
    (3, first_only, "compute it in the loop"),
    (3, uphill, "uphill"),
    (3, lambda a, b, steps, lr: _descended(a, b, steps, lr / 2), "After 1 step it is not"),
    (3, lambda a, b, steps, lr: _descended(a, b, steps, 0.3), "lr = 0.3 only"),
    (4, 750, "Two numbers"),
    (4, (30, 7.2), "batches"),
    (4, (37_500, 7.2), "number of examples"),
    (4, (1500, 7.2), "50 examples"),
    (4, (75, 7.2), "30 epochs"),
    (4, (750, 180), "number of steps"),
    (4, (750, 7), "whole number of epochs"),
    (4, (750, 6), "30 steps each"),
    (4, (750, 5), "six cuts"),
    (5, 0.02459, "its root"),
    (5, 0.013636, "twice that"),
    (5, 0.3, "negative"),
    (5, 73.333, "the curvature"),
    (5, 0.025, "not a multiple"),
    (5, 0.03, "multiplied by 1 - 0.03"),
    (5, 0.0272, "multiplied by 1 - 0.03"),
    (6, 32, "rounds to nearest"),
    (6, 8, "less than half"),
    (6, 32_768, "all its digits"),
    (6, 4, "exponent alone"),
    (6, 64, "np.float16"),
    (7, guilty(RETURNING) | {"A": "restarts"}, "multiple of 40"),
    (7, guilty(RETURNING) | {"A": "not shuffled"}, "places of an epoch"),
    (7, guilty(RETURNING) | {"C": "short last batch"}, "last of 11 batches"),
    (8, guilty(REDUCTIONS) | {"A": "mean"}, "single examples"),
    (8, guilty(REDUCTIONS) | {"B": "sum"}, "twice over"),
    (8, guilty(REDUCTIONS) | {"C": "batch norm"}, "single examples"),
]


test_a_right_answer_passes, test_a_mistake_is_named, test_every_exercise_starts_open = exercise_tests(
    check, RIGHT, WRONG
)


def digits():
    return few_digits(500, 1, seed=1)[:2]


def test_all_three_end_near_the_loss_of_guessing():
    for run in FLAT.values():
        assert run.loss(run.params, *digits()) == pytest.approx(np.log(10), rel=0.05)


def test_each_does_not_move_for_its_own_reason():
    before = {name: list(gradient_norms(run.loss, run.start, *digits()).values()) for name, run in FLAT.items()}
    after = {name: list(gradient_norms(run.loss, run.params, *digits()).values()) for name, run in FLAT.items()}
    who = {fault: name for fault, (name, _) in STILL.items()}
    assert not any(before[who["zero weights"]])
    vanishing = before[who["vanishing gradient"]]
    assert 0 < vanishing[0] < 0.01 * vanishing[-1]
    assert min(before[who["dead units"]]) > 0.1
    assert not any(after[who["dead units"]])


def test_what_returns_has_its_period():
    rises = {name: np.diff(np.log(losses)) for name, losses in PERIODIC.items()}
    who = {fault: name for fault, (name, _) in RETURNING.items()}
    largest = lambda name, count: np.sort(np.argsort(rises[name])[-count:]) + 1
    assert set(largest(who["short last batch"], 3) % 11) == {0}
    restarts = largest(who["restarts"], 2)
    assert all(min(abs(t - 41), abs(t - 81)) < 8 for t in restarts)
    waves = rises[who["not shuffled"]][44:110].reshape(-1, 11)  # six epochs, folded: each like the mean of all
    mean = waves.mean(axis=0)
    assert all(np.corrcoef(wave, mean)[0, 1] > 0.7 for wave in waves)


def test_the_two_tests_tell_the_losses():
    x, y = digits()
    who = {fault: name for fault, (name, _) in REDUCTIONS.items()}
    start = dense_layers([64, 32, 10], he, seed=0, normalized=True)
    params = fit(LOSSES[who["batch norm"]], start, Optimizer(gradient_descent, lr=0.1), (x, y), steps=100).params
    whole = {k: f(params, x[:20], y[:20]) for k, f in LOSSES.items()}
    twice = {k: f(params, np.tile(x[:20], (2, 1)), np.tile(y[:20], 2)) / whole[k] for k, f in LOSSES.items()}
    alone = {k: np.mean([f(params, x[[i]], y[[i]]) for i in range(20)]) / whole[k] for k, f in LOSSES.items()}
    assert twice[who["sum"]] == pytest.approx(2)
    assert twice[who["mean"]] == pytest.approx(1)
    assert alone[who["mean"]] == pytest.approx(1)
    assert alone[who["batch norm"]] > 2


def test_sixteen_is_the_smallest():
    alive = [scale for scale in 2.0 ** np.arange(12) if np.float16(3e-9 * scale) > 0]
    assert alive[0] == 16
