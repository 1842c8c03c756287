"""Optuna's methods ask for what Optuna asks for, and ours decide as its pruners do where the rule is the same."""

import math

import numpy as np
import optuna
import pytest

from lib.search.optuna import OptunaSearch, suggest
from lib.search.search import GridSearch, best, search
from lib.search.space import Choice, Integers, LogUniform, Uniform

SPACE = {"lr": LogUniform(1e-4, 1.0), "momentum": Uniform(0, 0.99), "units": Integers(2, 9), "kind": Choice("a", "b")}


def loss(settings, budget=None):
    return (math.log10(settings["lr"]) + 2) ** 2 + settings["units"] / 10 + (settings["kind"] == "b")


def curve(settings, budget):
    return loss(settings) + 1 / budget


def theirs(n, sampler):
    """What Optuna's own loop asks for."""
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: loss(suggest(trial, SPACE)), n_trials=n)
    return [trial.params for trial in study.trials]


@pytest.mark.parametrize(
    ("name", "sampler"),
    [
        ("tpe", optuna.samplers.TPESampler),
        ("tpe apart", lambda seed: optuna.samplers.TPESampler(seed=seed, multivariate=False)),
        ("random", optuna.samplers.RandomSampler),
    ],
)
def test_settings_are_those_of_its_own_loop(name, sampler):
    trials = search(OptunaSearch(SPACE, 25, seed=3, sampler=name), loss)
    assert [trial.settings for trial in trials] == theirs(25, sampler(seed=3))
    assert [trial.number for trial in trials] == list(range(25))


def test_settings_lie_in_the_space():
    for trial in search(OptunaSearch(SPACE, 40, sampler="random"), loss):
        for name, dimension in SPACE.items():
            assert 0 <= dimension.share(np.array(trial.settings[name])) <= 1


@pytest.mark.parametrize("name", ["median", "hyperband"])
def test_a_pruner_stops_as_in_its_own_loop(name):
    pruner = {
        "median": optuna.pruners.MedianPruner(),
        "hyperband": optuna.pruners.HyperbandPruner(1, 9, reduction_factor=3),
    }[name]
    study = optuna.create_study(study_name="seed 1", sampler=optuna.samplers.RandomSampler(seed=1), pruner=pruner)

    def objective(trial):
        settings = suggest(trial, SPACE)
        for step in range(1, 10):
            trial.report(curve(settings, step), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return curve(settings, 9)

    study.optimize(objective, n_trials=30)
    trials = search(OptunaSearch(SPACE, 30, 1, budget=9, sampler="random", pruner=name), curve)
    last = {trial.number: trial.budget for trial in trials}
    assert [last[number] for number in range(30)] == [trial.last_step for trial in study.trials]
    assert len(set(last.values())) > 1


def test_it_goes_on_from_its_file(tmp_path):
    method = OptunaSearch(SPACE, 20, seed=5)
    whole = search(method, loss, tmp_path / "whole.jsonl")
    lines = (tmp_path / "whole.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "cut.jsonl").write_text("".join(lines[:13]))
    assert search(method, loss, tmp_path / "cut.jsonl") == whole


def test_a_training_that_diverges_is_a_bad_one():
    trials = search(OptunaSearch(SPACE, 20), lambda settings, _: math.inf if settings["lr"] > 0.1 else loss(settings))
    assert best(trials).loss < math.inf


def test_our_grid_is_optunas():
    space = {name: SPACE[name] for name in ("lr", "units", "kind")}
    counts = {"lr": 4, "units": 3, "kind": 2}
    ours = {tuple(trial.settings.values()) for trial in search(GridSearch(space, counts), loss)}
    values = {name: space[name].grid(n).tolist() for name, n in counts.items()}
    study = optuna.create_study(sampler=optuna.samplers.GridSampler(values, seed=0))
    study.optimize(lambda trial: loss(suggest(trial, space)), n_trials=24)
    assert {tuple(trial.params.values()) for trial in study.trials} == ours
    assert len(ours) == 24


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sampler": "best"}, "sampler must be one of"),
        ({"pruner": "best", "budget": 3}, "pruner must be one of"),
        ({"pruner": "median"}, "budget must be a whole number"),
        ({"n": 0}, "n must be a whole number >= 1"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        OptunaSearch(**{"space": SPACE, "n": 5, **arguments})
