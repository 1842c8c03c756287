"""The record of steps against the batch comes out again, also of a run that was stopped; and what it says."""

import numpy as np
import pytest

from lib.experiments import records
from lib.experiments.batches import BATCHES, LARGE_BATCHES, LOST, POWERS, WARM_UP, jobs, mean_steps, tuned
from lib.experiments.runs import Run, attempt
from tests.conftest import ROOT

RECORD = records.read(ROOT / "results" / "batches.json")
BEST = tuned(RECORD["rows"])


def job(optimizer, batch, lr, warmup=0, seed=0):
    return {"optimizer": optimizer, "batch": batch, "lr": lr, "warmup": warmup, "seed": seed}


CALM = [("gradient_descent", 64, 0.5), ("momentum", 256, 0.125), ("adam", 128, 2**-6), ("lars", 512, 8.0),
        ("lamb", 32, 2**-7), ("momentum", 1347, 0.25, WARM_UP)]  # fmt: skip


@pytest.mark.parametrize("what", CALM)
def test_rows_come_out_again(what):
    """At calm rates, where roundings do not grow."""
    row, wrong = attempt(LARGE_BATCHES, job(*what), {})
    assert row, wrong
    found = records.same(RECORD, [row], lambda job: {"steps": 0, "test accuracy": 1e-12})
    assert found["same"].all(), found


def test_a_run_that_bursts_is_lost():
    assert attempt(LARGE_BATCHES, job("momentum", 16, 2.0), {})[0]["numbers"] == LOST
    assert attempt(LARGE_BATCHES, job("lars", 16, 256.0), {})[0]["numbers"] == LOST


@pytest.mark.parametrize(("optimizer", "lr", "warmup"), [("momentum", 2**-7, 0), ("lamb", 2**-9, WARM_UP)])
def test_a_stopped_run_goes_on_to_the_bit(optimizer, lr, warmup, tmp_path, monkeypatch):
    what, run = job(optimizer, 1024, lr, warmup), {"path": tmp_path / "run.npz", "of": {}}
    unbroken, _ = attempt(LARGE_BATCHES, what, {})
    assert unbroken["numbers"]["steps"] > 200
    keep = Run.keep

    def stop(self, part, **state):
        if part == 1:
            raise InterruptedError
        keep(self, part, **state)

    monkeypatch.setattr(Run, "keep", stop)
    assert "InterruptedError" in attempt(LARGE_BATCHES, what, run)[1]
    monkeypatch.undo()
    assert attempt(LARGE_BATCHES, what, run)[0]["numbers"] == unbroken["numbers"]


def test_jobs():
    assert len(jobs(3, small=False)) == len(RECORD["rows"])
    there = [row["job"] for row in RECORD["rows"]]
    assert all(it in there for it in jobs(3, small=False))
    assert {it["batch"] for it in jobs(1, small=True)} == set(BATCHES[::3])


def test_means_leave_out_rates_at_which_a_seed_is_lost():
    def row(lr, steps, seed, warmup=0):
        numbers = {"steps": steps, "test accuracy": 1.0}
        return {"job": job("adam", 16, lr, warmup, seed), "numbers": numbers, "seconds": 0, "megabytes": 0}

    tried = (2**-8, (10, 30)), (2**-7, (5, 7)), (2**-6, (2, None))
    rows = [row(lr, steps, seed) for lr, its in tried for seed, steps in enumerate(its)]
    rows.append(row(2**-8, 1, 0, WARM_UP))
    means = mean_steps(rows).loc[("adam", 16)]
    assert means.tolist()[:2] == [20, 6]
    assert np.isnan(means[2**-6])
    assert tuned(rows).loc[("adam", 16)].to_dict() == {"lr": 2**-7, "steps": 6, "inside": True}
    assert not tuned(rows[:2]).loc[("adam", 16), "inside"]
    assert mean_steps(rows, WARM_UP).loc[("adam", 16)].tolist() == [1]


# What the chapter says of it


def test_no_best_rate_is_at_an_edge():
    assert BEST["inside"].all()
    assert len(BEST) == len(POWERS) * len(BATCHES)


def saved(optimizer, of=BATCHES[0], to=BATCHES[-1]):
    return BEST.loc[(optimizer, of), "steps"] / BEST.loc[(optimizer, to), "steps"]


def test_steps_saved():
    """Twice the batch saves half of the steps at first, and hardly any at last."""
    for optimizer in POWERS:
        assert 1.5 < saved(optimizer, 16, 32) < 2.1
        assert saved(optimizer, 512, 1347) < 1.5
        assert saved(optimizer) < 10 < 1347 / 16 / 5
    assert saved("gradient_descent") < 4.2
    assert saved("lars") > saved("lamb") > saved("momentum") > saved("adam") > saved("gradient_descent")


def test_rates_follow_neither_rule():
    grown = {name: BEST.loc[(name, 1347), "lr"] / BEST.loc[(name, 16), "lr"] for name in POWERS}
    assert grown == {"gradient_descent": 4, "momentum": 16, "adam": 2, "lars": 16, "lamb": 8}


def test_a_warm_up_did_not_save_steps():
    warmed = tuned(RECORD["rows"], WARM_UP)
    for optimizer, batch in warmed.index:
        assert warmed.loc[(optimizer, batch), "steps"] > BEST.loc[(optimizer, batch), "steps"] - 1
    plain = mean_steps(RECORD["rows"]).loc[("momentum", 1024)]
    assert np.isnan(plain[2.0])
    assert mean_steps(RECORD["rows"], WARM_UP).loc[("momentum", 1024), 2.0] < 100
