"""The recipe for a rate: its trainings are those of the loop, and it ends with a rate inside of what it tried."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from lib.data import digits
from lib.experiments import choosing
from lib.experiments.choosing import TASKS, Losses, Task, first_guess, follow, train_nets, warmed_cosine
from lib.experiments.generalization import few_digits
from lib.networks import cross_entropy
from lib.optimizers import Optimizer, adam, momentum, muon, sophia
from lib.stochastic_gradients import batches, stochastic
from lib.training import train

SHORT = {name: replace(task, steps=20) for name, task in TASKS.items()}


@pytest.mark.parametrize("rule", [adam, momentum], ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("name", TASKS)
def test_a_stack_trains_like_the_loop(name, rule):
    """Each net of a stack is the net that `train` gives at that rate."""
    task, rates = SHORT[name], [0.002, 0.02]
    x, y, x_valid, y_valid = few_digits(900, 400, seed=1)
    loss = lambda params, x, y: cross_entropy(task.logits(params, x), y)
    ours = train_nets(task, rates, seed=1, rule=rule)
    schedule = warmed_cosine(task.steps)
    for rate, valid, test in zip(rates, *ours, strict=True):
        optimizer = Optimizer(rule, lr=partial(schedule, lr=rate))
        objective = stochastic(loss, x, y, batches(len(x), task.batch, 1))
        history = train(objective, task.start(1), optimizer, steps=task.steps)
        assert valid == pytest.approx(loss(history.params[-1], x_valid, y_valid), rel=1e-9)
        assert test == pytest.approx(loss(history.params[-1], digits().x_test, digits().y_test), rel=1e-9)


def test_the_schedule_rises_and_falls_to_nothing():
    rates = np.array([warmed_cosine(100)(t, 2.0) for t in range(101)])
    assert rates[0] == pytest.approx(0.2)
    assert rates.argmax() == 10
    assert rates[10] == pytest.approx(2.0)
    assert (np.diff(rates[10:]) < 0).all()
    assert rates[100] == pytest.approx(0, abs=1e-12)


def test_a_run_that_diverges_is_infinitely_bad():
    losses = train_nets(SHORT["wide"], [0.01, 1e200], seed=0, rule=momentum)
    assert losses.valid[1] == losses.test[1] == np.inf > losses.valid[0]


@pytest.mark.parametrize("rule", [muon, sophia])
def test_rules_that_cannot_be_stacked(rule):
    with pytest.raises(ValueError, match=f"train_nets: rule must step each entry .* {rule.__name__} does not"):
        train_nets(SHORT["linear"], [0.1], seed=0, rule=rule)


@pytest.fixture
def valley(monkeypatch):
    """Trainings that cost nothing: the loss is lowest at a rate that the test names."""

    def made(best, guess):
        seen = []

        def train_nets(task, rates, seed, rule, **numbers):
            seen.extend(rates)
            loss = np.log(np.array(rates) / best) ** 2
            return Losses(loss, -np.array(rates))

        monkeypatch.setattr(choosing, "train_nets", train_nets)
        monkeypatch.setattr(choosing, "first_guess", lambda *args, **numbers: guess)
        return seen

    return made


@pytest.mark.parametrize(("best", "trained"), [(0.01, 3), (0.016, 3), (0.03, 4), (0.3, 6), (0.0001, 7)])
def test_it_goes_on_while_the_best_is_at_the_edge(valley, best, trained):
    seen = valley(best, 0.01)
    found = follow(Task((64, 10), steps=50), seed=0, tests=40)
    assert len(seen) == len(found.tried) == trained
    assert min(found.tried) < found.rate < max(found.tried)
    assert abs(np.log(found.rate / best)) <= np.log(3) / 2 + 1e-9
    assert found.steps == 40 + 50 * trained
    assert list(found.tried) == sorted(found.tried)
    assert found.test == -found.rate


def test_the_guess_is_a_share_of_the_edge():
    task = SHORT["linear"]
    assert first_guess(task, 0, share=0.5) == pytest.approx(2 * first_guess(task, 0, share=0.25))
    assert 1e-3 < first_guess(task, 0) < 1


@pytest.mark.parametrize("share", [0, -1.0])
def test_a_share_out_of_range(share):
    with pytest.raises(ValueError, match="first_guess: share must be a finite number > 0"):
        first_guess(SHORT["linear"], 0, share=share)
