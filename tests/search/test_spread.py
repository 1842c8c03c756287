"""A stack that several processes share trains as one that is alone."""

import numpy as np
import pytest

from lib.experiments.population import Digits, Toy
from lib.search.population import train_population
from lib.search.spread import Spread


@pytest.fixture(scope="module")
def spread():
    with Spread(Digits(hidden=8), 2) as task:
        yield task


@pytest.mark.parametrize("members", [1, 2, 5])
def test_no_number_changes(spread, members):
    ours, alone = (train_population(task, members, 4, 7, seed=3) for task in (spread, Digits(hidden=8)))
    for a, b in zip(ours[:4], alone[:4], strict=True):
        np.testing.assert_equal(a, b)
    np.testing.assert_equal(ours.state, alone.state)


def test_members_train_in_processes_of_their_own(spread):
    """The state that a process returns is scored where it is; another one in the process that asks."""
    state = spread.start(np.arange(4))
    here = []
    spread.task.__dict__["score"] = lambda state: here.append(len(state["x"])) or np.zeros(len(state["x"]))
    try:
        settings = {"lr": np.full(4, 0.1), "momentum": np.full(4, 0.5), "weight_decay": np.full(4, 1e-4)}
        after = spread.advance(state, settings, 2)
        np.testing.assert_equal(spread.score(after), Digits(hidden=8).score(after))
        assert here == []
        spread.score(state)
        assert here == [4]
    finally:
        del spread.task.__dict__["score"]


def test_a_run_goes_on_without(spread, tmp_path):
    whole = train_population(Digits(hidden=8), 4, 5, 3)
    train_population(spread, 4, 2, 3, path=tmp_path / "run.npz")
    on = train_population(Digits(hidden=8), 4, 5, 3, path=tmp_path / "run.npz")
    np.testing.assert_equal(on.state, whole.state)


@pytest.mark.parametrize("processes", [0, -1, 1.5, "2", None])
def test_bad_processes(processes):
    with pytest.raises((TypeError, ValueError), match="Spread: processes must be"):
        Spread(Toy(), processes)
