"""Who is killed is noticed at once, who hangs after a time; what goes on from a checkpoint is what would have been."""

import signal
import sys

import numpy as np
import pytest

from lib.experiments import records
from lib.experiments.records import table
from lib.referees import killed_ranks
from lib.referees.killed_ranks import (
    CASES,
    EVERY,
    KILLED_RANKS,
    MEETINGS,
    PATIENCE,
    PAUSE,
    jobs,
    met_again,
    noticed,
    restarted,
)
from tests.conftest import ROOT

RECORD = records.read(ROOT / "results" / "killed_ranks.json")
ROWS = table(RECORD["rows"])


# Alive: without a look at the clock but where waiting is the point


def test_a_killed_rank_is_noticed():
    found = noticed(signal.SIGKILL, 600.0)
    assert found["ranks that noticed"] == 2
    assert found["told of the connection"] >= 1
    assert 0 < found["seconds until the first"] <= found["seconds until the last"] < 300


def test_a_hanging_rank_is_noticed_when_patience_ends():
    found = noticed(signal.SIGSTOP, 2.0)
    assert found["ranks that noticed"] == 2
    assert found["seconds until the first"] > 1.5


@pytest.mark.parametrize("launcher", ["torchrun", "ray"])
def test_what_goes_on_is_what_would_have_been(launcher, monkeypatch):
    """Ray is told to take note of checkpoints at once: on a slow machine it could miss three."""
    monkeypatch.setenv("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.2")
    assert restarted(launcher, 0.3)["equal to the bit"] == 1


def test_ranks_meet_again_after_a_restart():
    """With an old store some do not: see the record."""
    assert met_again(new_store=True) == {"met again": 1, "refused": 0, "waited in vain": 0}


@pytest.mark.parametrize(
    ("words", "outcome"),
    [
        ("Gloo connectFullMesh failed with timed out connecting: SO_ERROR: Connection refused", "refused"),
        ("Gloo connectFullMesh failed with Connect timeout", "waited in vain"),
    ],
)
def test_outcomes_of_meetings(words, outcome, monkeypatch):
    failing = f"import sys; sys.exit({words!r})"
    monkeypatch.setattr(killed_ranks, "elastic", lambda restarts: [sys.executable, "-c", failing])
    found = met_again(new_store=True, times=2)
    assert found.pop(outcome) == 2
    assert not any(found.values())
    monkeypatch.setattr(killed_ranks, "elastic", lambda restarts: [sys.executable, "-c", "import no_such_module"])
    with pytest.raises(RuntimeError, match=r"(?s)torchrun failed: .*no_such_module"):
        met_again(new_store=True)


# The record


def test_each_case_three_times():
    assert sorted(ROWS.groupby("case").size().items()) == sorted((case, 3) for case in CASES)
    assert {tuple(row["job"].values()) for row in RECORD["rows"]} == {tuple(it.values()) for it in jobs(3, small=False)}
    assert [it["case"] for it in jobs(2, small=True)] == ["killed"] * 2
    assert RECORD["command"].startswith("python -m lib.referees.killed_ranks ")


def test_the_lesson_of_the_record():
    killed, hanging = (ROWS[ROWS.case == case] for case in ("killed", "hanging"))
    assert (killed["seconds until the last"] < PATIENCE / 2).all()
    assert (killed["told of the connection"] == 2).all()
    assert (hanging["seconds until the first"] > PATIENCE - 0.5).all()
    assert (hanging["told of the connection"] == 0).all()
    restarts = ROWS[ROWS.case.isin(["torchrun", "ray"])]
    assert (restarts["equal to the bit"] == 1).all()
    assert (restarts["largest deviation"] == 0).all()
    assert (restarts["seconds from the kill to the next checkpoint"] > PAUSE).all()


def test_an_old_store_holds_the_addresses_of_the_dead():
    old, new = (ROWS[ROWS.case == f"{which} store"] for which in ("old", "new"))
    outcomes = ["met again", "refused", "waited in vain"]
    assert (ROWS.loc[[*old.index, *new.index], outcomes].sum(axis=1) == MEETINGS).all()
    assert (new["met again"] == MEETINGS).all()
    assert 0 < old["met again"].sum() < len(old) * MEETINGS - 3
    assert old["refused"].sum() > 0


def test_the_seed_draws_the_moment(monkeypatch):
    """Before the next checkpoint."""
    waits = []
    monkeypatch.setitem(CASES, "ray", lambda wait: waits.append(wait) or {})
    for seed in range(20):
        KILLED_RANKS.train({"case": "ray", "seed": seed}, None)
    assert 0 < min(waits) < max(waits) < EVERY * PAUSE
    assert np.std(waits) > 0.1


def test_a_launcher_that_fails_says_why(monkeypatch):
    monkeypatch.setitem(killed_ranks.LAUNCHERS, "torchrun", (lambda folder: ["false"], "nothing"))
    with pytest.raises(RuntimeError, match="did not start, 3 times"):
        restarted("torchrun")
