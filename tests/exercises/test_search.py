"""The judges of the chapter on search: the right answer passes, each typical mistake is named."""

import math

import numpy as np
import pytest

from lib.exercises.search import BUGS, check, halving, suspects
from lib.search.halving import SuccessiveHalving, promotable
from lib.search.search import search, spent
from lib.search.space import Uniform
from tests.exercises.judging import exercise_tests

CULPRITS = {
    "A": "takes back what was stopped",
    "B": "compares the losses of the first rung for ever",
    "C": "a diverged training counts as the best",
}


RIGHT = [
    (1, 299),
    (2, (625, 5)),
    (2, [625, 5.0]),
    (3, (405, 297)),
    (4, 2.5),
    (5, (6, 3)),
    (6, CULPRITS),
    (7, 0.204),
    (7, 0.2),
]

WRONG = [
    (1, 59, "best 5 percent"),
    (1, 95, "do not add up"),
    (1, 100, "may well miss"),
    (1, 5, "Turned around"),
    (1, 250, "round up"),
    (1, 298, "just too few"),
    (1, 298.07, "just too few"),
    (2, 625, "Two numbers"),
    (2, (20, 5), "multiply"),
    (2, (1024, 5), "Turned around"),
    (2, (600, 5), "numbers of values"),
    (2, (625, 625), "each rate"),
    (2, (625, 125), "how often"),
    (2, (625, 4), "on the grid"),
    (3, (6561, 297), "to the end"),
    (3, (324, 297), "five rungs"),
    (3, (297, 405), "the other one"),
    (3, (121, 297), "number of trainings"),
    (3, (400, 297), "the same for all"),
    (3, (405, 405), "new epochs alone"),
    (3, (405, 300), "pays for 6"),
    (4, 0.4, "Turned around"),
    (4, 4, "ratio of ratios"),
    (4, 0.667, "good densities alone"),
    (4, 3, "the quotient"),
    (5, 6, "Two numbers"),
    (5, (3, 3), "waited for all"),
    (5, (11, 3), "may not go on yet"),
    (5, (4, 3), "after the sixth"),
    (5, (7, 3), "rounded down"),
    (5, (6, 6), "two of six"),
    (5, (6, 1), "two lowest"),
    (6, "revives", "A dict"),
    (6, CULPRITS | {"A": "nonsense"}, "'nonsense' is not on the list"),
    (6, CULPRITS | {"A": "lets one in two go on"}, "A is innocent"),
    (6, CULPRITS | {"C": "takes back what was stopped"}, "C is innocent"),
    (7, 0.1 / math.sqrt(30), "mean of 30"),
    (7, 0, "on average"),
    (7, 0.1, "error of one"),
    (7, -0.204, "positive number"),
    (7, 0.26, "very many"),
    (7, 0.3, "many times"),
]

test_a_right_answer_passes, test_a_mistake_is_named, test_every_exercise_starts_open = exercise_tests(
    check, RIGHT, WRONG
)


def test_the_number_of_draws():
    assert 1 - 0.99**299 > 0.95 > 1 - 0.99**298


@pytest.mark.parametrize(("resumed", "cost"), [(False, 405), (True, 297)])
def test_the_cost_by_searching(resumed, cost):
    trials = search(SuccessiveHalving({"u": Uniform(0, 1)}, 81, 81), lambda settings, budget: settings["u"])
    assert spent(trials, resumed)[-1] == cost


def test_the_curse_by_drawing():
    draws = np.random.default_rng(0).standard_normal((200_000, 30))
    assert -0.1 * draws.min(axis=1).mean() == pytest.approx(0.2043, abs=5e-4)


def test_halving_is_the_librarys():
    losses = np.random.default_rng(0).random((9, 3))
    budgets = {1: 0, 3: 1, 9: 2}
    trials = search(
        SuccessiveHalving({"u": Uniform(0, 1)}, 9, 9),
        type("Known", (), {"losses": lambda self, trials: [losses[t.number, budgets[t.budget]] for t in trials]})(),
    )
    at = [{trial.number for trial in trials if trial.budget == budget} for budget in budgets]
    assert [set(numbers) for numbers in halving(losses)] == at


@pytest.mark.parametrize("name", suspects)
def test_the_experiment_that_is_named_tells_the_suspect(name):
    turned = np.array([np.arange(9), np.arange(9)[::-1], np.arange(9)]).T
    late = np.array([np.arange(9), [1, 2, 3, 4, 5, 6, 7, 8, 0], np.arange(9)]).T
    diverged = turned.astype(float)
    diverged[4] = np.nan
    experiments = {
        "losses whose order changes at the second rung": turned,
        "a training that is last at the first rung and first at the second": late,
        "a loss of nan": diverged,
    }
    (experiment,) = (experiment for guilty, experiment in BUGS.values() if guilty == name)
    assert suspects[name](experiments[experiment]) != halving(experiments[experiment])


def test_who_goes_on_by_the_library():
    arrived, promoted = {}, []
    for number, loss in enumerate([5, 3, 4, 1, 2, 6]):
        arrived[number] = loss
        if (going := promotable(arrived, set(promoted), 3)) is not None:
            promoted.append(going)
    assert [arrived[number] for number in promoted] == [3, 1, 2]
