"""A search asks for what its method says, survives a kill at any moment, and counts what it cost."""

import json
import math
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import scipy.stats
from scipy.stats import qmc

from lib.search.halving import ASHA, Hyperband, SuccessiveHalving
from lib.search.search import (
    GridSearch,
    QuasiRandomSearch,
    RandomSearch,
    Together,
    Trial,
    best,
    best_so_far,
    quartiles,
    search,
    spent,
)
from lib.search.space import Choice, Integers, LogUniform, Uniform
from lib.search.stopping import MedianStopping
from lib.search.tpe import TPE
from tests.conftest import ROOT

SPACE = {"lr": LogUniform(1e-4, 1.0), "momentum": Uniform(0.0, 0.99)}
MIXED = {**SPACE, "layers": Integers(1, 3), "activation": Choice("relu", "tanh")}


def valley(settings, budget):
    """Its floor is at lr = 0.01 and momentum = 0.9; training for longer brings it nearer; a high rate diverges."""
    if settings["lr"] > 0.1:
        return math.nan
    distance = math.log10(settings["lr"] / 0.01) ** 2 + (settings["momentum"] - 0.9) ** 2
    return distance + 1 / (budget or 1)


METHODS = [
    GridSearch(SPACE, 4),
    GridSearch(MIXED, 2, seed=1),
    RandomSearch(MIXED, 12, seed=3),
    QuasiRandomSearch(MIXED, 12, seed=3),
    SuccessiveHalving(MIXED, 9, 9, seed=3),
    Hyperband(MIXED, 9, seed=3, passes=2),
    ASHA(MIXED, 20, budget=9, seed=3, workers=3),
    MedianStopping(MIXED, 8, budget=6, every=2, seed=3),
    TPE(MIXED, 20, seed=3, startup=5),
]
by_name = {"ids": lambda method: type(method).__name__}


# ---------- what the methods ask for ----------


@pytest.mark.parametrize("method", METHODS, **by_name)
def test_settings_are_plain_and_inside(method):
    trials = search(method, valley)
    for trial in trials:
        for name, value in trial.settings.items():
            assert type(value) in (int, float, str)
            method.space[name].share(value)
    assert search(method, valley) == trials


def test_grid_has_every_combination_in_any_order():
    ordered, shuffled, other = (search(GridSearch(SPACE, 3, seed=seed), valley) for seed in (None, 0, 1))
    at = lambda trials: [tuple(trial.settings.values()) for trial in trials]
    rates = SPACE["lr"].grid(3).tolist()
    assert at(ordered) == [(rate, m) for rate in rates for m in SPACE["momentum"].grid(3).tolist()]
    assert at(shuffled) != at(ordered) != at(other) != at(shuffled)
    assert sorted(at(shuffled)) == at(ordered)


def test_a_longer_random_search_begins_alike():
    short, long = (search(RandomSearch(MIXED, n, seed=5), valley) for n in (7, 20))
    assert short == long[:7]
    assert search(RandomSearch(MIXED, 7, seed=6), valley) != short


def test_random_search_finds_the_best_twentieth_as_often_as_it_must():
    """In 1 - 0.95^n of the searches. A binomial test at 1e-6, of a count that the seeds fix."""
    one, n, searches = {"u": Uniform(0, 1)}, 30, 400
    hits = sum(best(search(RandomSearch(one, n, seed), lambda s, _: s["u"])).loss < 0.05 for seed in range(searches))
    assert scipy.stats.binomtest(hits, searches, 1 - 0.95**n).pvalue > 1e-6


def test_quasi_random_points_are_scipys_and_lie_one_in_each_cell():
    unit = {"a": Uniform(0, 1), "b": Uniform(0, 1)}
    points = np.array([list(trial.settings.values()) for trial in search(QuasiRandomSearch(unit, 16, 2), lambda *_: 0)])
    np.testing.assert_array_equal(points, qmc.Sobol(2, rng=np.random.default_rng(2)).random(16))
    for column in points.T:
        assert sorted((column * 16).astype(int)) == list(range(16))
    odd = search(QuasiRandomSearch(unit, 11, 2), lambda *_: 0)
    np.testing.assert_array_equal([list(trial.settings.values()) for trial in odd], points[:11])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandomSearch(SPACE, 0), "RandomSearch: n must be a whole number >= 1, got 0"),
        (lambda: QuasiRandomSearch(SPACE, 3, -1), "seed must be a whole number >= 0, got -1"),
        (lambda: GridSearch(SPACE, 3, budget=0), "budget must be a whole number >= 1, got 0"),
        (lambda: RandomSearch({}, 3), "RandomSearch: space must have a dimension at least"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_loss_is_a_number():
    with pytest.raises(TypeError, match="the objective must return a number, got None of type NoneType"):
        search(RandomSearch(SPACE, 3), lambda *_: None)
    diverged = [math.nan, math.inf, -math.inf, np.float32(np.nan)]
    trials = search(RandomSearch(SPACE, 4), lambda *_: diverged.pop())
    assert [trial.loss for trial in trials] == [math.inf] * 4


# ---------- a study that survives ----------


class Killed(Exception):
    pass


def counted(asked, until=math.inf):
    def objective(settings, budget):
        if len(asked) >= until:
            raise Killed
        asked.append((tuple(settings.values()), budget))
        return valley(settings, budget)

    return objective


@pytest.mark.parametrize("method", METHODS, **by_name)
@pytest.mark.parametrize("torn", [False, True])
def test_a_killed_search_asks_for_nothing_twice_and_ends_alike(method, torn, tmp_path):
    file, asked = tmp_path / "study.jsonl", []
    unbroken = search(method, valley)
    for kill in (0, 1, 4, 7):
        with pytest.raises(Killed):
            search(method, counted(asked, kill), file)
        if torn:
            with open(file, "ab") as out:
                out.write(b'{"number": 3, "settings": {"lr": 0.0')
    assert len(asked) == 7
    resumed = search(method, counted(asked), file)
    assert resumed == unbroken
    assert len(asked) == len(unbroken)
    assert asked == [(tuple(trial.settings.values()), trial.budget) for trial in unbroken]
    again = file.read_bytes()
    assert search(method, counted(asked), file) == unbroken
    assert file.read_bytes() == again


@pytest.mark.parametrize("cut", [1, 10, 200])
def test_a_last_line_without_its_end_is_asked_for_again(cut, tmp_path):
    file, method = tmp_path / "study.jsonl", RandomSearch(MIXED, 5)
    unbroken, asked = search(method, valley, file), []
    file.write_bytes(file.read_bytes()[:-cut])
    lost = 5 - file.read_bytes().count(b"\n")
    assert search(method, counted(asked), file) == unbroken
    assert len(asked) == lost >= 1
    assert file.read_bytes().count(b"\n") == 5


def test_each_line_is_on_the_disk_before_the_next_training(tmp_path):
    file = tmp_path / "study.jsonl"
    lines = lambda: file.read_bytes().count(b"\n") if file.exists() else 0
    seen = []
    search(RandomSearch(SPACE, 4), lambda *_: seen.append(lines()) or 0.0, file)
    assert seen == [0, 1, 2, 3]


def test_each_line_is_synced(monkeypatch, tmp_path):
    """What was written may still be lost with the power; what was synced may not."""
    file, synced = tmp_path / "study.jsonl", []
    monkeypatch.setattr("os.fsync", lambda _: synced.append(file.read_bytes().count(b"\n")))
    search(RandomSearch(SPACE, 4), valley, file)
    assert synced == [1, 2, 3, 4]


def test_what_a_line_holds(tmp_path):
    file = tmp_path / "study.jsonl"
    trials = search(RandomSearch(SPACE, 20, seed=8, budget=2), valley, file)
    lines = [json.loads(line, parse_constant=pytest.fail) for line in file.read_text().splitlines()]
    losses = [trial.loss if math.isfinite(trial.loss) else None for trial in trials]
    assert None in losses
    assert lines == [
        {"number": i, "settings": trial.settings, "budget": 2, "loss": loss, "seed": 8}
        for i, (trial, loss) in enumerate(zip(trials, losses, strict=True))
    ]


def test_a_longer_search_goes_on_from_a_shorter_one(tmp_path):
    file, asked = tmp_path / "study.jsonl", []
    search(RandomSearch(SPACE, 5), valley, file)
    assert search(RandomSearch(SPACE, 8), counted(asked), file) == search(RandomSearch(SPACE, 8), valley)
    assert len(asked) == 3
    assert search(RandomSearch(SPACE, 6), pytest.fail, file) == search(RandomSearch(SPACE, 6), valley)


def test_the_file_of_another_search(tmp_path):
    file = tmp_path / "study.jsonl"
    search(RandomSearch(SPACE, 5, seed=1), valley, file)
    held = file.read_bytes()
    for other in RandomSearch(SPACE, 5, seed=2), RandomSearch(SPACE, 5, seed=1, budget=3), GridSearch(SPACE, 2):
        with pytest.raises(ValueError, match=r"study\.jsonl is of another search"):
            search(other, pytest.fail, file)
    assert file.read_bytes() == held


def test_the_file_of_a_search_with_one_more_dimension(tmp_path):
    file = tmp_path / "study.jsonl"
    search(GridSearch(SPACE, 1), lambda *_: 0.0, file)  # whose one rate is asked for below, too
    with pytest.raises(ValueError, match="is of another search"):
        search(GridSearch({"lr": SPACE["lr"]}, 1), pytest.fail, file)


def test_another_processor_may_round_otherwise(tmp_path):
    file, method = tmp_path / "study.jsonl", RandomSearch(SPACE, 3)
    first = search(method, valley, file)[0]
    for rate, accepted in [(math.nextafter(first.settings["lr"], 1), True), (first.settings["lr"] * (1 + 1e-6), False)]:
        line = {"number": 0, "settings": {**first.settings, "lr": rate}, "budget": None, "loss": 7.0, "seed": 0}
        file.write_text(json.dumps(line) + "\n")
        if accepted:
            assert search(method, valley, file)[0] == first._replace(settings=line["settings"], loss=7.0)
        else:
            with pytest.raises(ValueError, match="of another search"):
                search(method, valley, file)


KILLED = """
import os, signal, sys
from lib.search.search import search
from lib.search.space import Uniform
from lib.search.tpe import TPE

asked = 0
def objective(settings, budget):
    global asked
    asked += 1
    if asked == 6:
        os.kill(os.getpid(), signal.SIGKILL)
    return settings["u"]

search(TPE({"u": Uniform(0, 1)}, 15), objective, sys.argv[1])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no such signal")
def test_a_process_that_is_killed(tmp_path):
    file, asked, method = tmp_path / "study.jsonl", [], TPE({"u": Uniform(0, 1)}, 15)
    process = subprocess.run([sys.executable, "-c", KILLED, str(file)], cwd=ROOT, env={**os.environ, "PYTHONPATH": "."})
    assert process.returncode == -signal.SIGKILL
    objective = lambda settings, budget: asked.append(1) or settings["u"]
    assert search(method, objective, file) == search(method, lambda settings, budget: settings["u"])
    assert len(asked) == 10


@pytest.mark.parametrize("line", [b"\x00\xff", b"[1]", b"7", b'{"number": 1}', b'{"number"', b""])
def test_a_damaged_line(line, tmp_path):
    file = tmp_path / "study.jsonl"
    search(RandomSearch(SPACE, 3), valley, file)
    lines = file.read_bytes().split(b"\n")
    file.write_bytes(b"\n".join([lines[0], line, *lines[2:]]))
    with pytest.raises(ValueError, match=r"study\.jsonl, line 2 is damaged, or of no study"):
        search(RandomSearch(SPACE, 3), pytest.fail, file)


def test_a_loss_in_the_file_that_is_no_number(tmp_path):
    file = tmp_path / "study.jsonl"
    file.write_text('{"number": 0, "settings": {}, "budget": null, "loss": "low", "seed": 0}\n')
    with pytest.raises(ValueError, match="line 1 is damaged"):
        search(RandomSearch(SPACE, 3), pytest.fail, file)


@pytest.mark.parametrize("text", ["my notes", "my notes\n", "# Title\n\nText"])
def test_a_file_that_is_no_study_stays(text, tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"notes\.txt"):
        search(RandomSearch(SPACE, 3), pytest.fail, file)
    assert file.read_text() == text


# ---------- training side by side ----------


class Descent:
    """Gradient descent on x^2 / 2, from a start that the seed draws."""

    def __init__(self):
        self.steps = 0

    def start(self, seeds):
        return {"x": np.array([np.random.default_rng(int(seed)).uniform(1, 2) for seed in seeds])}

    def advance(self, state, settings, steps):
        self.steps += steps * len(state["x"])
        x = state["x"]
        for _ in range(steps):
            x = x - settings["lr"] * x
        return {"x": x}

    def score(self, state):
        return -(state["x"] ** 2) / 2


def descended(settings, budget, number):
    task = Descent()
    state = task.advance(task.start([number]), {"lr": np.array([settings["lr"]])}, budget)
    return -task.score(state)[0]


RATES = {"lr": LogUniform(1e-3, 1.0)}


def test_trainings_go_on_side_by_side_as_each_would_alone(tmp_path):
    task, method = Descent(), Hyperband(RATES, 9, seed=1)
    trials = search(method, Together(task), tmp_path / "whole.jsonl")
    assert [trial.loss for trial in trials] == [descended(t.settings, t.budget, t.number) for t in trials]
    assert task.steps == spent(trials)[-1] < spent(trials, resumed=False)[-1]
    lines = (tmp_path / "whole.jsonl").read_bytes().splitlines(keepends=True)
    for kept in 0, 2, 5, 9, 12, len(lines):  # also in the middle of a rung
        (tmp_path / "killed.jsonl").write_bytes(b"".join(lines[:kept]))
        assert search(method, Together(Descent()), tmp_path / "killed.jsonl") == trials
        assert (tmp_path / "killed.jsonl").read_bytes() == b"".join(lines)


def test_a_task_that_answers_for_too_few():
    class Few:
        def losses(self, trials):
            return np.zeros(len(trials) - 1)

    with pytest.raises(ValueError, match="losses must give one a trial, 3; got 2"):
        search(RandomSearch(SPACE, 3), Few())


# ---------- costs and curves ----------


def test_spent():
    trials = [Trial(0, {}, 2), Trial(1, {}, 2), Trial(1, {}, 6), Trial(2, {}, 9)]
    assert spent(trials).tolist() == [2, 4, 8, 17]
    assert spent(trials, resumed=False).tolist() == [2, 4, 10, 19]
    assert spent([Trial(0, {}), Trial(1, {})]).tolist() == [1, 2]


def test_best_so_far():
    losses = [math.inf, 3.0, 5.0, 3.0, 2.0, math.inf]
    trials = [Trial(i, {}, None, loss) for i, loss in enumerate(losses)]
    assert best(trials).number == 4
    assert best(trials[:4]).number == 1
    assert best_so_far(trials).tolist() == [math.inf, 3, 3, 3, 2, 2]
    assert best_so_far(trials, lambda trial: 10 * trial.number).tolist() == [math.inf, 10, 10, 10, 40, 40]


def test_quartiles():
    curves = [(np.array([2, 4]), np.array([math.inf, value])) for value in (1.0, 2.0, 3.0, 4.0, 9.0)]
    curves += [(np.array([1, 5]), np.array([8.0, 0.0]))]
    result = quartiles(curves, [0, 3, 4, 5, 100])
    assert np.isnan(result[:, :2]).all()
    assert result[:, 2].tolist() == np.quantile([1, 2, 3, 4, 9, 8], [0.25, 0.5, 0.75]).tolist()
    assert result[:, 3].tolist() == result[:, 4].tolist() == np.quantile([1, 2, 3, 4, 9, 0], [0.25, 0.5, 0.75]).tolist()
