"""The record of six optimizers on digits comes out again, also of a run that was stopped."""

import pytest

from lib.experiments import records
from lib.experiments.digits import DIGITS, RATES, STABLE, jobs
from lib.experiments.runs import attempt
from lib.optimizers import RULES
from tests.conftest import ROOT
from tests.experiments.stopping import resumed

RECORD = records.read(ROOT / "results" / "digits.json")


def job(name, lr, seed):
    return {"optimizer": name, "lr": lr, "epochs": 10, "seed": seed}


@pytest.mark.parametrize("what", [("gradient_descent", 0.1, 7), ("momentum", 0.03, 1), ("adagrad", 0.1, 2),
                                  ("rmsprop", 0.003, 3), ("adadelta", 1.0, 4), ("adam", 0.01, 5)])  # fmt: skip
def test_rows_come_out_again(what):
    row, wrong = attempt(DIGITS, job(*what), {})
    assert row, wrong
    found = records.same(RECORD, [row], DIGITS.tolerance)
    assert found["same"].all(), found
    assert (found["allowed"] <= 1e-9).all()


@pytest.mark.parametrize("name", STABLE)
def test_a_stopped_run_goes_on_to_the_bit(name, tmp_path, monkeypatch):
    what = job(name, 0.03, 0)
    unbroken, _ = attempt(DIGITS, what, {})
    assert resumed(DIGITS, what, tmp_path, monkeypatch, epoch=4)["numbers"] == unbroken["numbers"]


def test_jobs():
    assert len(jobs(10, small=False)) == 6 * 9 * 10 == len(RECORD["rows"])
    assert {it["lr"] for it in jobs(1, small=True)} == set(RATES[::2])
    assert STABLE.keys() <= RULES.keys()


def test_the_lesson_of_the_record():
    """One rate for all says who got a good one; each at its own, the six are close to each other."""
    table = records.table(RECORD["rows"]).groupby(["optimizer", "lr"])["test accuracy"].mean().unstack()
    assert table[0.001].max() - table[0.001].min() > 0.6
    assert table.max(axis=1).min() > 0.94
    assert table.max(axis=1).max() < 0.98
