"""Optuna's methods ask for what Optuna asks for, and ours decide as its pruners do where the rule is the same."""

import math

import numpy as np
import optuna
import pytest
from scipy.special import ndtr
from scipy.stats import truncnorm

from lib.search.optuna import OptunaSearch, suggest
from lib.search.search import GridSearch, best, search
from lib.search.space import Choice, Integers, LogUniform, Uniform
from lib.search.tpe import Parzen

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


# TPE: in one dimension, told the same random numbers, ours tries what Optuna's tries, if ours has the broad Gaussian of
# Optuna's mixture in place of the uniform part

BROAD = truncnorm(-0.5, 0.5, 0.5, 1)


class Numbers:
    """Optuna's random numbers, as our draw asks for them; its broad part is the last, our uniform part the first."""

    def __init__(self, seed):
        self.state = np.random.RandomState(seed)

    def integers(self, n, size):
        self.part = (self.state.choice(n, size, p=np.full(n, 1 / n)) + 1) % n
        return self.part

    def random(self, size):
        u = self.state.uniform(size=size)
        return np.where(self.part == 0, BROAD.ppf(u), u)


def tried_by_ours(good, bad, seed, kind):
    """Of 1,000 candidates the one with the highest ratio of densities, which are of the class ``kind``."""
    densities = kind(good), kind(bad)
    u = densities[0].draw(Numbers(seed), 1000)
    likely = [it.density(u) + (BROAD.pdf(u) - 1) / (1 + len(it.centers)) for it in densities]
    return u[(likely[0] / likely[1]).argmax()]


def tried_by_optuna(good, bad, seed):
    """By `sample_independent`, a method of every sampler. One trial in ten is good."""
    distribution = optuna.distributions.FloatDistribution(0, 1)
    study = optuna.create_study()
    study.add_trials(
        optuna.trial.create_trial(value=float(i), params={"u": u}, distributions={"u": distribution})
        for i, u in enumerate([*good, *bad])
    )
    with pytest.warns(FutureWarning, match="consider_endpoints"):
        sampler = optuna.samplers.TPESampler(
            seed=seed, multivariate=False, consider_endpoints=True, n_ei_candidates=1000
        )
    running = optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING)
    return sampler.sample_independent(study, running, "u", distribution)


def with_stds(stds):
    """A `Parzen` with other deviations: a function of gaps and n."""

    class Faulty(Parzen):
        def __init__(self, points):
            super().__init__(points)
            self.stds = stds(np.diff(self.centers, prepend=0, append=1), len(points))
            self.below = ndtr(-self.centers / self.stds)
            self.area = ndtr((1 - self.centers) / self.stds) - self.below

    return Faulty


class NotCutOff(Parzen):
    def density(self, u):
        self.area = np.ones_like(self.area)
        return super().density(u)


class CountedTwice(Parzen):
    def density(self, u):
        n = len(self.centers)
        return (super().density(u) * (n + 1) + 1) / (n + 2)


FAULTS = {
    "no floor": with_stds(lambda gaps, n: np.maximum(gaps[:-1], gaps[1:])),
    "a floor of 1/(n + 1)": with_stds(lambda gaps, n: np.maximum(np.maximum(gaps[:-1], gaps[1:]), 1 / (n + 1))),
    "the smaller gap": with_stds(lambda gaps, n: np.maximum(np.minimum(gaps[:-1], gaps[1:]), 1 / (n + 2))),
    "the gap before": with_stds(lambda gaps, n: np.maximum(gaps[:-1], 1 / (n + 2))),
    "not cut off": NotCutOff,
    "the uniform part counted twice": CountedTwice,
}


@pytest.mark.parametrize("fault", [None, *FAULTS])
def test_tpe_tries_what_optunas_tries(fault):
    """After 30 histories of 10, 20 or 27 trials; to 1e-9, as Optuna has other formulas for the same quantiles. Each
    fault shows in several histories."""
    apart = []
    for seed in range(30):
        n = (10, 20, 27)[seed % 3]
        u, places = np.random.default_rng(seed).random(n), math.ceil(n / 10)
        good, bad = sorted(u[:places].tolist()), sorted(u[places:].tolist())
        ours = tried_by_ours(good, bad, seed, FAULTS.get(fault, Parzen))
        apart.append(abs(ours - tried_by_optuna(good, bad, seed)))
    different = np.sum(np.array(apart) > 1e-9)
    assert (different >= 5) if fault else (different == 0)


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
