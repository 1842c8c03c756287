"""The command line: searches and populations that go on after a kill, and errors that name the remedy."""

import json
import subprocess
import sys
import time
from typing import NamedTuple

import numpy as np
import pytest

from lib.experiments.population import Toy
from lib.referees.throughput import end, processes, wait_for
from lib.search.__main__ import METHODS, best_members, main, rounds_done
from lib.search.population import train_population
from lib.search.search import RandomSearch, Together, best, search
from lib.search.space import Uniform
from lib.search.strategies import BinaryTournament
from lib.search.workers import work
from tests.conftest import ROOT

TASK = "lib.experiments.population:Toy"
RUN = {"members": 4, "rounds": 6, "steps": 10}


class Bowl(NamedTuple):
    space: dict
    loss: object


BOWLS = {"round": Bowl({"x": Uniform(-1, 1), "y": Uniform(-1, 1)}, lambda it, budget: it["x"] ** 2 + it["y"] ** 2)}


class SlowToy(Toy):
    """A round takes a while, so that a kill finds it in the middle."""

    def advance(self, state, settings, steps):
        time.sleep(0.1)
        return super().advance(state, settings, steps)


def options(**given):
    return [word for name, value in given.items() for word in (f"--{name}", str(value))]


def command(*words):
    return [sys.executable, "-m", "lib.search", *words]


# ---------- search ----------


@pytest.mark.parametrize("method", METHODS)
def test_every_method_searches(method, tmp_path, capsys):
    file = tmp_path / "study.jsonl"
    main(["search", TASK, *options(method=method, trials=12, budget=20, file=file)])
    out, progress = capsys.readouterr()
    rows = [line.split() for line in out.splitlines()]
    assert rows[0] == ["trial", "loss", "budget", "h0", "h1"]
    losses = [float(row[1]) for row in rows[1:]]
    assert losses == sorted(losses)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert min(line["loss"] for line in lines if line["number"] == int(rows[1][0])) == pytest.approx(
        losses[0], abs=1e-6
    )
    assert f"{len(lines)}/" in progress or method == "median"
    main(["search", TASK, *options(method=method, trials=12, budget=20, file=file)])
    assert capsys.readouterr().out == out


def test_it_is_the_search_of_the_library(tmp_path, capsys):
    main(["search", TASK, *options(method="random", trials=9, budget=20, seed=3, file=tmp_path / "a.jsonl")])
    found = best(search(RandomSearch(Toy().space, 9, 3, 20), Together(Toy())))
    assert capsys.readouterr().out.splitlines()[1].split()[0] == str(found.number)


def test_a_problem_inside_a_dict(tmp_path, capsys):
    main(["search", f"{__name__}:BOWLS.round", *options(method="grid", trials=9, file=tmp_path / "a.jsonl")])
    assert capsys.readouterr().out.splitlines()[1].split()[1:] == ["0.0", "0.0", "0.0"]


# ---------- populations ----------


def test_a_population_in_step(tmp_path, capsys):
    main(["population", TASK, *options(**RUN, seed=2, exploit="tournament", folder=tmp_path)])
    out, progress = capsys.readouterr()
    record = train_population(Toy(), **RUN, seed=2, exploit=BinaryTournament())
    assert out == best_members(record).to_string(index=False, justify="right") + "\n"
    assert "24/24" in progress
    assert float(out.splitlines()[1].split()[1]) == pytest.approx(record.scores[-1].max(), abs=1e-6)


def test_workers_are_those_of_the_library(tmp_path, capsys):
    """Two processes; the first of them is started by hand as well, and has nothing left to do."""
    main(["population", TASK, *options(**RUN, workers=2, folder=tmp_path)])
    out = capsys.readouterr().out
    record = work(Toy(), **RUN, folder=tmp_path)
    assert out == best_members(record).to_string(index=False, justify="right") + "\n"
    main(["population", TASK, *options(**RUN, workers=2, worker=0, folder=tmp_path)])
    assert capsys.readouterr().out == out
    assert rounds_done(tmp_path) == 24


def test_workers_that_are_started_by_hand(tmp_path, capsys):
    """The one that ends last has the table; the other cannot."""
    given = ["population", TASK, *options(**RUN, exploit="tournament", workers=2, folder=tmp_path / "runs")]
    main([*given, "--worker", "0"])
    assert capsys.readouterr().out == ""
    main([*given, "--worker", "1"])
    record = work(Toy(), **RUN, exploit=BinaryTournament(), folder=tmp_path / "runs")
    assert capsys.readouterr().out == best_members(record).to_string(index=False, justify="right") + "\n"


@pytest.mark.parametrize("workers", [None, 2])
def test_a_population_that_is_killed_goes_on(workers, tmp_path):
    """With SIGKILL, and its workers too; started again it ends with the rounds that were asked for."""
    given = command("population", "tests.search.test_main:SlowToy", *options(**RUN | {"rounds": 12}, folder=tmp_path))
    given += options(workers=workers) if workers else []
    if sys.platform == "win32":
        pytest.skip("Windows has no SIGKILL")
    with processes() as (start, alive):
        first = start(given, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: rounds_done(tmp_path) >= 8, 120, "the first rounds")
        first.kill()
        first.wait()
        end(alive)
        done = rounds_done(tmp_path)
        assert 8 <= done < 48
        again = start(given, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, progress = again.communicate(timeout=200)
    assert again.returncode == 0, progress
    assert len(out.splitlines()) == 5
    assert f"{done}/48" in progress.decode()
    assert rounds_done(tmp_path) == 48
    if not workers:
        with np.load(tmp_path / "population.npz") as kept:
            assert (kept["log/scores"] == train_population(Toy(), **RUN | {"rounds": 12}).scores).all()


def test_a_search_that_is_killed_goes_on(tmp_path):
    file = tmp_path / "study.jsonl"
    given = command("search", "tests.search.test_main:SlowToy", *options(method="tpe", trials=30, budget=20, file=file))
    with processes() as (start, alive):
        start(given, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        lines = lambda: file.read_text().splitlines() if file.exists() else []
        wait_for(lambda: len(lines()) >= 8, 120, "the first trials")
        end(alive)
        kept = lines()[:8]
        assert len(lines()) < 30
        again = start(given, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        again.communicate(timeout=200)
    assert again.returncode == 0
    assert lines()[:8] == kept
    whole = tmp_path / "whole.jsonl"
    main(["search", TASK, *options(method="tpe", trials=30, budget=20, file=whole)])
    assert lines() == whole.read_text().splitlines()


# ---------- errors ----------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["search", "nonsense", "--file", "F"], "'nonsense' names nothing; write module:name"),
        (["search", "lib.nonsense:X", "--file", "F"], "there is no module lib.nonsense"),
        (["search", "lib.search.space:Nowhere", "--file", "F"], "lib.search.space has no Nowhere; is it spelled right"),
        (["search", TASK, "--file", "F", "--trials", "4"], "--budget is missing: for how many steps to train"),
        (["search", TASK, "--file", "F", "--budget", "4"], "--trials is missing: --method tpe needs it"),
        (["search", TASK, "--file", "F", "--trials", "0"], "--trials: must be a whole number >= 1, got '0'"),
        (["search", TASK, "--file", "F", "--method", "luck"], "invalid choice: 'luck'"),
        (["search", "lib.search.space:LogUniform", "--file", "F"], "missing 2 required positional arguments"),
        (["population", "lib.search.space:grid", "F"], "required: --members, --rounds, --steps, --folder"),
        (["population", "math:pi", *options(**RUN, folder="F")], "'math:pi' is no task: it has no space"),
        (["population", TASK, *options(**RUN, folder="F", address="x:1")], "--address is Ray's; add --ray"),
        (["population", TASK, *options(**RUN, folder="F", worker=2, workers=2)], "--worker 2 must be less than"),
        (["population", TASK, *options(**RUN, folder="F", workers=2), "--ray"], "not allowed with argument --workers"),
        (["population", TASK, *options(**RUN, folder="F", address="127.0.0.1:1"), "--ray"], "nobody answers at"),
    ],
)
def test_what_is_refused(words, said, tmp_path, capsys):
    words = [str(tmp_path / "F") if word == "F" else word for word in words]
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    assert said in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"members": 5}, "whose members is 4, not 5"),
        ({"workers": 2}, "holds a run in step, not with --workers; go on so, or choose another folder"),
    ],
)
def test_another_run_in_the_folder(change, said, tmp_path, capsys):
    main(["population", TASK, *options(**RUN, folder=tmp_path)])
    with pytest.raises(SystemExit):
        main(["population", TASK, *options(**RUN | change, folder=tmp_path)])
    assert said in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["population", TASK, *options(**RUN, folder=tmp_path), "--ray"])
    assert "holds a run in step, not with --ray" in capsys.readouterr().err


def test_a_worker_that_fails_says_why(tmp_path, capsys):
    work(Toy(), 4, 1, 10, folder=tmp_path)
    with pytest.raises(SystemExit):
        main(["population", TASK, *options(**RUN, workers=2, folder=tmp_path)])
    assert "is of a run of 1 rounds, not 6; ask for as many" in capsys.readouterr().err
