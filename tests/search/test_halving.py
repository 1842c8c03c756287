"""Successive halving keeps the best, and Hyperband's brackets are those of the paper."""

import math

import numpy as np
import pytest

from lib.search.halving import ASHA, Hyperband, SuccessiveHalving, brackets, powers_in, promotable, rungs
from lib.search.search import search, spent
from lib.search.space import Uniform

UNIT = {"u": Uniform(0, 1)}


def slow(settings, budget):
    """The order of the settings is the same at each budget."""
    return settings["u"] + 1 / budget


def test_brackets_of_the_box():
    """Algorithm 1 with R = 81 and eta = 3, computed by hand: n = ceil(5 * 3^s / (s + 1))."""
    assert brackets(81) == [
        [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
        [(34, 3), (11, 9), (3, 27), (1, 81)],
        [(15, 9), (5, 27), (1, 81)],
        [(8, 27), (2, 81)],
        [(5, 81)],
    ]


def test_brackets_of_the_table():
    """Table 1 of the paper, R = 81 and eta = 3."""
    assert brackets(81, table=True) == [
        [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
        [(27, 3), (9, 9), (3, 27), (1, 81)],
        [(9, 9), (3, 27), (1, 81)],
        [(6, 27), (2, 81)],
        [(5, 81)],
    ]


@pytest.mark.parametrize("table", [False, True])
@pytest.mark.parametrize("eta", [2, 3, 4])
def test_no_bracket_costs_more_than_its_share_and_a_bit(eta, table):
    """B = (s_max + 1) R is the aim; rounding n up adds less than one training, of R at each of s + 1 rungs."""
    for budget in (1, 2, 7, 27, 81, 100, 243, 1000):
        plans = brackets(budget, eta, table)
        for plan in plans:
            assert plan[-1][1] == budget
            assert plan[0][1] >= 1
            assert all(n >= 1 for n, _ in plan)
            assert sum(n * r for n, r in plan) <= (len(plans) + len(plan)) * budget
        assert len(plans[-1]) == 1
        assert len(plans[0]) == len(plans)


def test_powers_are_counted_in_whole_numbers():
    assert math.floor(math.log(243) / math.log(3)) == 4  # the trap
    assert [powers_in(n, 3) for n in (1, 2, 3, 8, 9, 242, 243, 244)] == [0, 0, 1, 1, 2, 4, 5, 5]


def test_rungs():
    assert rungs(16, 8, eta=2) == [(16, 1), (8, 2), (4, 4), (2, 8)]
    assert rungs(4, 16, eta=2) == [(4, 4), (2, 8), (1, 16)]
    assert rungs(10, 100, eta=3) == [(10, 11), (3, 33), (1, 100)]


def test_halving_keeps_the_best_at_each_rung():
    method = SuccessiveHalving(UNIT, n=27, budget=27, seed=4)
    trials = search(method, slow)
    drawn = sorted(trial.settings["u"] for trial in trials[:27])
    at = 0
    for n, budget in rungs(27, 27):
        rung, at = trials[at : at + n], at + n
        assert sorted(trial.settings["u"] for trial in rung) == drawn[:n]
        assert {trial.budget for trial in rung} == {budget}
    assert at == len(trials) == 27 + 9 + 3 + 1
    number = {trial.number: trial.settings for trial in trials[:27]}
    assert all(number[trial.number] == trial.settings for trial in trials)
    assert spent(trials)[-1] == 27 * 1 + 9 * 2 + 3 * 6 + 1 * 18
    assert spent(trials, resumed=False)[-1] == 4 * 27


def test_what_diverged_does_not_go_on():
    diverges = lambda settings, budget: math.nan if settings["u"] < 0.5 else slow(settings, budget)
    trials = search(SuccessiveHalving(UNIT, n=27, budget=9, seed=4), diverges)
    assert any(trial.settings["u"] < 0.5 for trial in trials[:27])
    assert all(trial.settings["u"] >= 0.5 for trial in trials[27:])


def test_a_rung_is_judged_by_its_own_losses():
    """One that is good early and bad late falls at the later rung."""
    deceives = lambda settings, budget: settings["u"] if budget < 9 else 1 - settings["u"]
    trials = search(SuccessiveHalving(UNIT, n=9, budget=9, seed=0), deceives)
    drawn = sorted(trial.settings["u"] for trial in trials[:9])
    assert [trial.settings["u"] for trial in trials[9:]] == [*drawn[:3], drawn[0]]
    trials = search(SuccessiveHalving(UNIT, n=27, budget=27, seed=0), deceives)
    drawn = sorted(trial.settings["u"] for trial in trials[:27])
    assert trials[-1].settings["u"] == drawn[2]


@pytest.mark.parametrize("table", [False, True])
def test_hyperband_runs_its_brackets(table):
    trials = search(Hyperband(UNIT, 27, seed=1, passes=2, table=table), slow)
    plans = brackets(27, table=table) * 2
    assert [trial.budget for trial in trials] == [r for plan in plans for n, r in plan for _ in range(n)]
    assert {trial.number for trial in trials} == set(range(sum(plan[0][0] for plan in plans)))
    settings = {}
    for trial in trials:
        assert settings.setdefault(trial.number, trial.settings) == trial.settings
    assert len({trial.settings["u"] for trial in trials}) == len(settings)


# ---------- asynchronous ----------


def test_promotable():
    losses = {0: 5.0, 1: 3.0, 2: 4.0, 3: math.inf, 4: 1.0, 5: 9.0}
    assert promotable(losses, set(), 3) == 4
    assert promotable(losses, {4}, 3) == 1
    assert promotable(losses, {4, 1}, 3) is None
    assert promotable(losses, {4, 1}, 2) == 2
    assert promotable({0: 1.0, 1: 2.0}, set(), 3) is None
    assert promotable({}, set(), 2) is None


def test_each_job_of_one_worker_is_what_the_box_says():
    """Algorithm 2 once more, from the finished trials alone: the highest rung first, its best one in eta, or a new."""
    trials = search(ASHA(UNIT, 200, budget=27, eta=3, seed=3), slow)
    assert len(trials) == 200
    for i, trial in enumerate(trials):
        expected = (len({done.number for done in trials[:i]}), 1)
        for budget in (1, 3, 9):  # the last that holds is the highest
            rung = sorted((done.loss, done.number) for done in trials[:i] if done.budget == budget)
            gone = {done.number for done in trials[:i] if done.budget == 3 * budget}
            may = [number for _, number in rung[: len(rung) // 3] if number not in gone]
            expected = (may[0], 3 * budget) if may else expected
        assert (trial.number, trial.budget) == expected
    assert {trial.budget for trial in trials} == {1, 3, 9, 27}


def test_clock_of_one_worker_and_of_many():
    one = ASHA(UNIT, 60, budget=9, seed=1)
    trials = search(one, slow)
    np.testing.assert_array_equal(one.times(trials), spent(trials))
    many = ASHA(UNIT, 60, budget=9, seed=1, workers=4, pace=lambda settings: 1 + settings["u"])
    trials = search(many, slow)
    times = many.times(trials)
    assert (np.diff(times) >= 0).all()
    cost = np.diff(spent(trials), prepend=0) * [1 + trial.settings["u"] for trial in trials]
    assert cost.sum() / 4 <= times[-1] <= cost.sum() / 4 + cost.max()  # no worker waits while there are jobs
    for t in times:
        assert ((times - cost < t - 1e-9) & (times >= t - 1e-9)).sum() <= 4


def test_a_slow_training_holds_nobody_up():
    stuck = ASHA(UNIT, 40, budget=9, seed=1, workers=2, pace=lambda settings: 1e6 if settings["u"] < 0.05 else 1.0)
    trials = search(stuck, slow)
    assert (stuck.times(trials) < 1e6).sum() == 39
    assert max(trial.budget for trial in trials[:39]) == 9


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Hyperband(UNIT, 81, eta=1), "eta must be a whole number >= 2, got 1"),
        (lambda: Hyperband(UNIT, 81, eta=2.5), "eta must be a whole number >= 2, got 2.5"),
        (lambda: Hyperband(UNIT, 0), "budget must be a whole number >= 1, got 0"),
        (lambda: Hyperband(UNIT, 9, passes=0), "passes must be a whole number >= 1, got 0"),
        (lambda: ASHA(UNIT, 5, 9, workers=0), "workers must be a whole number >= 1, got 0"),
        (lambda: search(ASHA(UNIT, 5, 9, pace=lambda _: 0), slow), "pace must be a finite number > 0, got 0"),
        (lambda: SuccessiveHalving(UNIT, 0, 9), "n must be a whole number >= 1, got 0"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()
