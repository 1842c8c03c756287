"""What is worse than the median stops, and what is not goes on."""

import math

import numpy as np
import pytest

from lib.search.search import RandomSearch, best, search, spent
from lib.search.space import Uniform
from lib.search.stopping import MedianStopping, worse_than_median

UNIT = {"u": Uniform(0, 1)}


def test_the_rule():
    completed = [[4.0, 2.0, 0.0], [5.0, 3.0, 9.0], [6.0, 4.0, 9.0]]  # means of the first two: 3, 4, 5
    assert worse_than_median([7.0, 4.1], completed)
    assert not worse_than_median([7.0, 4.0], completed)  # as good as the median: not worse
    assert not worse_than_median([3.9, 7.0], completed)  # its best counts, not its last
    assert not worse_than_median([5.0], completed)
    assert worse_than_median([5.1], completed)
    assert not worse_than_median([1e9], [])
    assert worse_than_median([math.inf], completed)
    assert not worse_than_median([8.0], [[1.0], [math.inf], [math.inf]])


def test_one_that_is_stopped_is_asked_for_no_more():
    falls = lambda settings, budget: settings["u"] + 1 / budget
    method = MedianStopping(UNIT, 40, budget=20, every=4, seed=2)
    trials = search(method, falls)
    drawn = search(RandomSearch(UNIT, 40, seed=2), lambda s, _: s["u"])
    at, completed = 0, []
    for one in drawn:  # the same once more, from the rule alone
        losses = []
        for budget in (4, 8, 12, 16, 20):
            assert trials[at][:3] == (one.number, one.settings, budget)
            losses.append(trials[at].loss)
            at += 1
            if completed and min(losses) > np.median([np.mean(c[: len(losses)]) for c in completed]):
                break
        else:
            completed.append(losses)
    assert at == len(trials)
    assert best(trials).settings == best(drawn).settings
    assert 1 < len(completed) < 40
    assert spent(trials)[-1] < 0.7 * 40 * 20


def test_bad_arguments():
    with pytest.raises(ValueError, match="budget must be a multiple of every, got 10 and 3"):
        MedianStopping(UNIT, 4, 10, 3)
    with pytest.raises(ValueError, match="every must be a whole number >= 1, got 0"):
        MedianStopping(UNIT, 4, 10, 0)
