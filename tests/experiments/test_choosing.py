"""The recipe for a rate: its trainings are those of the loop, those of fine-tuned nets, too, and it ends with a rate
inside of what it tried.
"""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from lib.data import digits
from lib.experiments import choosing
from lib.experiments.choosing import (
    MOST,
    TASKS,
    Losses,
    Task,
    adapt,
    first_guess,
    follow,
    pretrain,
    rate_test,
    train_nets,
    turned,
    warmed_cosine,
)
from lib.experiments.generalization import few_digits
from lib.networks import cross_entropy
from lib.optimizers import Optimizer, adam, momentum, muon, sophia
from lib.stochastic_gradients import batches, stochastic
from lib.training import train

SHORT = {name: replace(task, steps=20) for name, task in TASKS.items()}


def loss_of(task):
    return lambda params, x, y: cross_entropy(task.logits(params, x), y)


def trained(task, params, x, y, seed, rule, rate):
    """The parameters that the book's loop ends with."""
    optimizer = Optimizer(rule, lr=partial(warmed_cosine(task.steps), lr=rate))
    objective = stochastic(loss_of(task), x, y, batches(len(x), task.batch, seed))
    return train(objective, params, optimizer, steps=task.steps).params[-1]


@pytest.mark.parametrize("rule", [adam, momentum], ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("name", TASKS)
def test_a_stack_trains_like_the_loop(name, rule):
    """Each net of a stack is the net that `train` gives at that rate."""
    task, rates = SHORT[name], [0.002, 0.02]
    x, y, x_valid, y_valid = few_digits(900, 400, seed=1)
    loss = loss_of(task)
    for rate, *ours in zip(rates, *train_nets(task, rates, seed=1, rule=rule), strict=True):
        params = trained(task, task.start(1), x, y, 1, rule, rate)
        data = digits()
        seen = (x_valid, y_valid), (data.x_test, data.y_test), (x, y)
        assert ours == pytest.approx([loss(params, *those) for those in seen], rel=1e-9)


def test_the_schedule_rises_and_falls_to_nothing():
    rates = np.array([warmed_cosine(100)(t, 2.0) for t in range(101)])
    assert rates[0] == pytest.approx(0.2)
    assert rates.argmax() == 10
    assert rates[10] == pytest.approx(2.0)
    assert (np.diff(rates[10:]) < 0).all()
    assert rates[100] == pytest.approx(0, abs=1e-12)


def test_a_run_that_diverges_is_infinitely_bad():
    losses = train_nets(SHORT["wide"], [0.01, 1e200], seed=0, rule=momentum)
    assert losses.valid[1] == losses.test[1] == losses.train[1] == np.inf > losses.valid[0]


@pytest.mark.parametrize("rule", [muon, sophia])
def test_rules_that_cannot_be_stacked(rule):
    with pytest.raises(ValueError, match=f"train_nets: rule must step each entry .* {rule.__name__} does not"):
        train_nets(SHORT["linear"], [0.1], seed=0, rule=rule)


@pytest.fixture
def valley(monkeypatch):
    """Trainings that cost nothing: the loss is lowest at a rate that the test names."""

    def made(best, guess, bursts=np.inf):
        seen = []

        def train_nets(task, rates, seed, rule, **numbers):
            seen.extend(rates)
            loss = np.where(np.array(rates) > bursts, np.inf, np.log(np.array(rates) / best) ** 2)
            return Losses(loss, -np.array(rates), loss)

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


def test_where_all_diverge_it_goes_down(valley):
    """Equally bad are the three first rates, and the two after them."""
    seen = valley(1e-5, 0.01, bursts=5e-5)
    found = follow(Task((64, 10)), seed=0)
    assert seen == pytest.approx([0.01 / 3, 0.01, 0.03, *(0.01 / 3.0**k for k in range(2, 8))])
    assert found.rate == pytest.approx(0.01 / 3.0**6)


@pytest.mark.parametrize("guess", [1e9, 1e-12])
def test_it_gives_up(valley, guess):
    seen = valley(0.01, guess, bursts=1.0)
    with pytest.raises(ValueError, match=f"follow: after {MOST} trainings the best rate, .* is still at the edge"):
        follow(Task((64, 10)), seed=0)
    assert len(seen) == MOST


def test_the_guess_is_a_share_of_the_edge():
    task = SHORT["linear"]
    assert first_guess(task, 0, share=0.5) == pytest.approx(2 * first_guess(task, 0, share=0.25))
    assert 1e-3 < first_guess(task, 0) < 1


@pytest.mark.parametrize("share", [0, -1.0])
def test_a_share_out_of_range(share):
    with pytest.raises(ValueError, match="first_guess: share must be a finite number > 0"):
        first_guess(SHORT["linear"], 0, share=share)


def test_a_range_test_without_an_edge():
    with pytest.raises(ValueError, match="edge: still falling"):
        _ = rate_test(TASKS["deep"], 0, high=1e-3).both_ways().edge


def test_what_the_range_test_is_told():
    some, none = (rate_test(SHORT["deep"], 0, momentum, low=1e-4, high=1e-2, steps=30, momentum=m) for m in (0.9, 0.0))
    assert some.rates == pytest.approx(np.geomspace(1e-4, 1e-2, 30))
    assert none.losses[-1] > some.losses[-1]


def test_turned():
    x = digits().x_train[:7]
    quarter = np.rot90(x.reshape(7, 8, 8), axes=(1, 2)).reshape(7, 64)
    assert turned(x, 90) == pytest.approx(quarter, abs=1e-12)
    assert turned(x, 0) == pytest.approx(x, abs=1e-12)
    assert turned(np.full((1, 64), 3.0), 15) == pytest.approx(np.full((1, 64), 3.0))
    assert np.abs(turned(x, 30) - x).mean() > np.abs(turned(x, 10) - x).mean() > 0.1


def test_fine_tuning_is_the_loop_on_turned_digits():
    """From a net that was trained upright, on the first few of its digits."""
    task, degrees = replace(SHORT["gated"], batch=16), 30
    x, y, x_valid, y_valid = few_digits(900, 400, seed=2)
    loss, data = loss_of(task), digits()
    upright = pretrain(task, 0.01, seed=2)
    expected = trained(task, task.start(2), x, y, 2, adam, 0.01)
    for name, p in expected.items():
        assert upright[name] == pytest.approx(p, rel=1e-9, abs=1e-12)
    params = trained(task, expected, turned(x[:48], degrees), y[:48], 2, adam, 0.003)
    ours = adapt(task, upright, [0.0, 0.003], seed=2, degrees=degrees, examples=48)
    seen = (turned(x_valid, degrees), y_valid), (turned(data.x_test, degrees), data.y_test), (data.x_test, data.y_test)
    for run, p in enumerate((expected, params)):
        assert [those[run] for those in ours] == pytest.approx([loss(p, *those) for those in seen], rel=1e-8)


@pytest.mark.parametrize("examples", [31, 901, 40.5])
def test_examples_out_of_range(examples):
    with pytest.raises(ValueError, match="adapt: examples must be"):
        adapt(SHORT["wide"], SHORT["wide"].start(0), [0.01], 0, degrees=15, examples=examples)
