"""Problems for searches: four functions whose lowest value is known, and nets on digits, of which a table holds all.

    python -m lib.experiments.searches [--again]

trains every net of the table, in about six minutes on one core, and writes ``results/search.npz``; then it lets the
searches of Optuna and Hyperopt run on all problems and writes ``results/search.json``, with command, machine and
versions. Both files are written after each part; a run that was stopped goes on where it was, and ``--again`` starts
anew.

The table makes searches comparable: a training is looked up, so a search takes milliseconds, can be repeated with many
seeds, and the lowest loss is known.

Source: Ying et al. 2019, "NAS-Bench-101: Towards Reproducible Neural Architecture Search", arXiv 1902.09635, whose
table is of architectures.
"""

import argparse
import json
import math
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.model_selection import train_test_split
from tqdm import tqdm

from lib import data
from lib.machine import machine, versions
from lib.networks import ACTIVATIONS, Variable, backpropagate, dense_layers, forward, he, log_softmax, stack
from lib.optimizers import decoupled, momentum
from lib.optimizers.rule import bare_step, first_state
from lib.search.halving import ASHA, Hyperband, SuccessiveHalving
from lib.search.hyperopt import HyperoptSearch
from lib.search.optuna import OptunaSearch
from lib.search.search import (
    GridSearch,
    QuasiRandomSearch,
    RandomSearch,
    Trial,
    best,
    best_so_far,
    quartiles,
    search,
    settings_of,
    spent,
)
from lib.search.space import Choice, Integers, LogUniform, Uniform, at_shares
from lib.search.stopping import MedianStopping
from lib.search.tpe import TPE

RESULTS = Path(__file__).parents[2] / "results"
TABLE, RACES = RESULTS / "search.npz", RESULTS / "search.json"

# Functions whose lowest value is known


class Problem(NamedTuple):
    """``loss``: function (settings, budget) -> number, which takes no notice of the budget; ``lowest``: its minimum."""

    space: dict
    loss: Callable
    lowest: float = 0.0


def valley(settings, budget=None):
    """A stand-in for a training: lowest, 0, at a rate of 0.013 and a momentum of 0.87. Of the rate a power of ten costs
    1, of the momentum all of its range 0.12 at most."""
    return math.log10(settings["lr"] / 0.013) ** 2 + 0.15 * (settings["momentum"] - 0.87) ** 2


def branin(settings, budget=None):
    """Three minima of equal depth in a curved valley.

    Source: Dixon & Szego 1978, "The global optimization problem: an introduction"; elsewhere, "Branin-Hoo".
    """
    x, y = settings["x"], settings["y"]
    bend = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    return bend**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


# Hartmann's function of six numbers: four bells, how high, how narrow along each axis, and where.
HEIGHTS = np.array([1.0, 1.2, 3.0, 3.2])
NARROW = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
CENTERS = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def hartmann(settings, budget=None):
    """Four bells upside down, in six dimensions.

    Source: Dixon & Szego 1978, "The global optimization problem: an introduction".
    """
    x = np.array(list(settings.values()))
    return -float(HEIGHTS @ np.exp(-(NARROW * (x - CENTERS) ** 2).sum(axis=1)))


KINDS = {"a": (0.6, 0.2), "b": (0.0, 0.55), "c": (0.9, 0.8), "d": (0.3, 0.4)}  # what a kind costs, and its best share


def mixed(settings, budget=None):
    """One of four kinds, a whole number and two more: lowest, 0, at b, 6, 0.55 and 0.3. Which ``share`` is best hangs
    on the kind, so that what was learned of one kind misleads on another."""
    cost, best = KINDS[settings["kind"]]
    off = settings["share"] - best
    return cost + 0.05 * (settings["layers"] - 6) ** 2 + 4 * off**2 + (settings["x"] - 0.3) ** 2


UNIT = Uniform(0, 1)
PROBLEMS = {
    "valley": Problem({"lr": LogUniform(1e-5, 1.0), "momentum": Uniform(0.0, 0.99)}, valley),
    "Branin": Problem({"x": Uniform(-5, 10), "y": Uniform(0, 15)}, branin, 10 / (8 * math.pi)),
    "Hartmann": Problem({f"x{i}": UNIT for i in range(1, 7)}, hartmann, -3.32237),
    "mixed": Problem(
        {"kind": Choice(*KINDS), "layers": Integers(1, 8), "share": UNIT, "x": UNIT},
        mixed,
    ),
}

# Nets, and the table of all

EPOCHS = 27
TASKS = range(12)  # drawings of the digits
BATCHES, KINDS_OF_NET = (8, 16, 32, 64), ("relu", "tanh", "sigmoid")
NETS = {
    "lr": LogUniform(1e-3, 3.0),
    "batch": Choice(*BATCHES),
    "activation": Choice(*KINDS_OF_NET),
    "weight_decay": LogUniform(1e-4, 1.0),
}
CELLS = {"lr": 16, "batch": 4, "activation": 3, "weight_decay": 4}
STEP, NO_LOSS = 1e-4, 65535  # losses are stored as whole numbers of steps; this one is inf


def middle(name: str) -> np.ndarray:
    """The values of a dimension at the middles of its cells, at which the table was computed."""
    n = CELLS[name]
    return NETS[name].at((np.arange(n) + 0.5) / n)


def cell(settings: dict) -> tuple[int, ...]:
    """Where in the table a setting is: that of the cell in which it lies."""
    return tuple(_place(name, settings[name]) for name in CELLS)


@lru_cache(maxsize=2**14)  # a training that goes on is looked up again
def _place(name: str, value) -> int:
    dimension, n = NETS[name], CELLS[name]
    if isinstance(dimension, LogUniform) and dimension.low <= value <= dimension.high:  # one number: faster than NumPy
        share = math.log(value / dimension.low) / math.log(dimension.high / dimension.low)
    else:
        share = dimension.share(value)
    return min(int(share * n), n - 1)


@cache
def digits(task: int) -> dict[str, tuple]:
    """Few examples: "train" 192 and "validation" 96, each a pair of arrays (n, 64) and (n, 10), a 1 at the class; one
    in six labels of the former is wrong. The 1,509 others are "test"."""
    split = data.digits(seed=0)
    x, y = np.concatenate([split.x_train, split.x_test]), np.concatenate([split.y_train, split.y_test])
    train_x, other_x, train_y, other_y = train_test_split(x, y, train_size=192, random_state=task, stratify=y)
    validation_x, test_x, validation_y, test_y = train_test_split(
        other_x, other_y, train_size=96, random_state=task, stratify=other_y
    )
    random = np.random.default_rng([task, 0])
    n = len(train_y)
    train_y = np.where(random.random(n) < 1 / 6, (train_y + random.integers(1, 10, n)) % 10, train_y)
    parts = {"train": (train_x, train_y), "validation": (validation_x, validation_y), "test": (test_x, test_y)}
    return {name: (x, np.eye(10)[y]) for name, (x, y) in parts.items()}


def train(task: int, batch: int, activation: str, rates, decays, epochs: int = EPOCHS) -> dict[str, np.ndarray]:
    """Train nets with one hidden layer of 24 units by momentum with decoupled weight decay, side by side. All begin
    with the same weights and see the same batches.

    Args:
        task: of `digits`.
        rates, decays: arrays (nets,).

    Returns:
        the cross-entropy of every net after every epoch, arrays (nets, epochs): "validation" and "test"; inf where a
        training diverged.
    """
    parts, shape = digits(task), (-1, 1, 1)
    (x, y), n = parts["train"], len(rates)
    params = stack([dense_layers([64, 24, 10], he, task)] * n)
    rule = decoupled(momentum)
    given = rule.defaults | {"lr": np.reshape(rates, shape), "weight_decay": np.reshape(decays, shape)}
    state = {name: first_state(rule, a, given) for name, a in params.items()}
    losses = {part: np.empty((n, epochs)) for part in ("validation", "test")}

    def loss(params, x, y):
        return -(y * log_softmax(forward(params, x, ACTIVATIONS[activation])[-1])).sum(axis=-1).mean(axis=-1)

    with np.errstate(all="ignore"):  # a rate that is too large is part of the table
        for epoch in range(epochs):
            order = np.random.default_rng([task, 1, epoch]).permutation(len(x))
            for rows in order.reshape(-1, batch):
                variables = {name: Variable(a) for name, a in params.items()}
                backpropagate(loss(variables, x[rows], y[rows]).sum())
                for name, variable in variables.items():
                    params[name], state[name] = bare_step(
                        rule, params[name], variable.gradient, state[name], 1, **given
                    )
            for part in losses:
                losses[part][:, epoch] = loss(params, *parts[part])
    return {part: np.where(np.isfinite(a), a, np.inf) for part, a in losses.items()}


def train_cells(task: int, batch: int, activation: str) -> dict[str, np.ndarray]:
    """All rates and decays of the table, as it stores them: uint16 (rates, decays, epochs)."""
    rates, decays = np.meshgrid(middle("lr"), middle("weight_decay"), indexing="ij")
    found = train(task, batch, activation, rates.ravel(), decays.ravel())
    return {
        part: np.minimum(np.round(a / STEP), NO_LOSS).astype(np.uint16).reshape(*rates.shape, EPOCHS)
        for part, a in found.items()
    }


class Table:
    """What ``results/search.npz`` holds: the losses of all nets, read off instead of trained.

    Attributes:
        validation, test: float64 (tasks, rates, batches, activations, decays, epochs), to four digits after the point;
            inf for a training that diverged, or has a loss above 6.5.
    """

    def __init__(self, file=TABLE):
        with np.load(file) as stored:
            self.validation, self.test = (
                np.where(stored[part] == NO_LOSS, np.inf, stored[part] * STEP) for part in ("validation", "test")
            )


class Lookup:
    """The objective of one task. A training stops early: its loss is the lowest so far of its validation losses.

    Args:
        table: a `Table`.
        task: which drawing of the digits.
    """

    def __init__(self, table: Table, task: int):
        self.validation, self.on_test = table.validation[task], table.test[task]
        self.so_far = np.minimum.accumulate(self.validation, axis=-1)
        self.lowest = self.validation.min()

    def __call__(self, settings: dict, budget: int = EPOCHS) -> float:
        return self.so_far[cell(settings)][budget - 1]

    def test(self, trial) -> float:
        """The test loss of a trial's net as it was when its validation loss was lowest."""
        at = cell(trial.settings)
        return self.on_test[at][self.validation[at][: trial.budget].argmin()]


# Searches at equal budgets

TRIALS = 40  # of a function
BUDGET = 32 * EPOCHS  # epochs, of nets
SEEDS = range(24)  # of a function
SEEDS_OF_NETS = range(96)  # eight for each task


class MiddleGrid(GridSearch):
    """A grid with its values at the middles of equal parts of a range, where `GridSearch` goes from end to end."""

    def ask(self):
        parts = np.meshgrid(*((np.arange(self.n[name]) + 0.5) / self.n[name] for name in self.space), indexing="ij")
        settings = settings_of(at_shares(self.space, np.stack([a.ravel() for a in parts], axis=1)))
        order = np.random.default_rng(self.seed).permutation(len(settings))
        yield [Trial(number, settings[i], self.budget) for number, i in enumerate(order)]


FLAT = {  # for functions: (space, seed, n) -> method
    "grid": lambda space, seed, n: GridSearch(space, grid_of(space, n), seed=seed),
    "grid, middles": lambda space, seed, n: MiddleGrid(space, grid_of(space, n), seed=seed),
    "random": lambda space, seed, n: RandomSearch(space, n, seed),
    "Sobol": lambda space, seed, n: QuasiRandomSearch(space, n, seed),
    "TPE": lambda space, seed, n: TPE(space, n, seed),
}
FRAMEWORKS = {
    "Optuna random": lambda space, seed, n: OptunaSearch(space, n, seed, sampler="random"),
    "Optuna TPE": lambda space, seed, n: OptunaSearch(space, n, seed),
    "Optuna TPE, apart": lambda space, seed, n: OptunaSearch(space, n, seed, sampler="tpe apart"),
    "Hyperopt TPE": lambda space, seed, n: HyperoptSearch(space, n, seed),
}
STOPPING = {  # for nets: (space, seed) -> method, which would ask for more than the budget
    "median, every 1": lambda space, seed: MedianStopping(space, BUDGET, EPOCHS, 1, seed),
    "median, every 9": lambda space, seed: MedianStopping(space, BUDGET, EPOCHS, 9, seed),
    "halving": lambda space, seed: SuccessiveHalving(space, 288, EPOCHS, 3, seed),
    "Hyperband": lambda space, seed: Hyperband(space, EPOCHS, 3, seed, passes=3),
    "ASHA": lambda space, seed: ASHA(space, BUDGET, EPOCHS, 3, seed),
}
STOPPING_FRAMEWORKS = {
    "Optuna median": lambda space, seed: OptunaSearch(space, BUDGET, seed, EPOCHS, "random", "median"),
    "Optuna Hyperband": lambda space, seed: OptunaSearch(space, BUDGET, seed, EPOCHS, "random", "hyperband"),
}
RECORDED = (*FRAMEWORKS, *STOPPING_FRAMEWORKS)


@dataclass(frozen=True)
class Within:
    """A method of which no more is asked once ``cost`` is spent."""

    method: Any
    cost: int

    def ask(self):
        asking, reached, cost = self.method.ask(), {}, 0
        asked = next(asking, None)
        while asked is not None and cost < self.cost:
            losses = yield asked
            for trial in asked:
                cost += trial.budget - reached.get(trial.number, 0)
                reached[trial.number] = trial.budget
            try:
                asked = asking.send(losses)
            except StopIteration:
                return


def grid_of(space: dict, n: int) -> dict[str, int]:
    """How many values each dimension gets in the largest grid of at most ``n`` points: one more for each in turn."""
    counts = dict.fromkeys(space, 1)
    while True:
        for name, dimension in sorted(space.items(), key=lambda item: counts[item[0]]):
            more = counts | {name: counts[name] + 1}
            if math.prod(more.values()) <= n and more[name] <= getattr(dimension, "count", n):
                counts = more
                break
        else:
            return counts


class Run(NamedTuple):
    """What a search found: ``costs`` and ``regrets`` after each trial, arrays (n,), and ``about`` its end: of nets the
    losses of the one that was chosen, "validation" and "test", how many trainings "begun" and "finished", and the
    optimizer's "steps" of all; of *mixed* the "kind" that was chosen."""

    costs: np.ndarray
    regrets: np.ndarray
    about: dict


def run_on_function(name: str, method: str, seed: int) -> Run:
    """A search on one of `PROBLEMS`, by its names."""
    problem = PROBLEMS[name]
    trials = search((FLAT | FRAMEWORKS)[method](problem.space, seed, TRIALS), problem.loss)
    chosen = best(trials).settings
    about = {"kind": chosen["kind"]} if "kind" in chosen else {}
    return Run(spent(trials), best_so_far(trials) - problem.lowest, about)


def run_on_nets(table: Table, method: str, seed: int) -> Run:
    """A search for a net; seed k gets task k modulo the number of tasks."""
    lookup = Lookup(table, seed % len(TASKS))
    if method in STOPPING | STOPPING_FRAMEWORKS:
        trials = search(Within((STOPPING | STOPPING_FRAMEWORKS)[method](NETS, seed), BUDGET), lookup)
    else:
        made = (FLAT | FRAMEWORKS)[method](NETS, seed, BUDGET // EPOCHS)
        trials = [trial._replace(budget=EPOCHS) for trial in search(made, lambda settings, _: lookup(settings))]
    costs = spent(trials)
    trials, costs = [trial for trial, cost in zip(trials, costs, strict=True) if cost <= BUDGET], costs[costs <= BUDGET]
    validation, test = best_so_far(trials), best_so_far(trials, lookup.test)
    batches = np.array([trial.settings["batch"] for trial in trials])
    about = {
        "validation": validation[-1],
        "test": test[-1],
        "begun": len({trial.number for trial in trials}),
        "finished": sum(trial.budget == EPOCHS for trial in trials),
        "steps": int((np.diff(costs, prepend=0) * (192 // batches)).sum()),
    }
    return Run(costs, validation - lookup.lowest, about)


# The command


def summary(runs: list[Run]) -> dict:
    """Of one method on one problem, what is recorded: quartiles at 40 costs, and what every seed ended with."""
    costs = at_costs(max(run.costs[-1] for run in runs))
    return {
        "costs": costs.tolist(),
        "quartiles": [[float(f"{v:.4g}") for v in row] for row in quartiles([run[:2] for run in runs], costs)],
        "regrets": [float(f"{run.regrets[-1]:.6g}") for run in runs],
    } | {name: [run.about[name] for run in runs] for name in runs[0].about}


def at_costs(most: int) -> np.ndarray:
    """At most 40 costs up to the highest."""
    return np.unique(np.linspace(1, most, 40).astype(int))


def _write(file, write):
    part = file.with_name(f"{file.name}.part")
    write(part)
    os.replace(part, file)


def tabulate(file: Path, again: bool) -> None:
    """Train every net that the file does not hold yet."""
    shape = (len(TASKS), *CELLS.values(), EPOCHS)
    stored = {part: np.zeros(shape, dtype=np.uint16) for part in ("validation", "test")}
    if file.exists() and not again:
        with np.load(file) as found:
            stored = {part: found[part] for part in stored}
    parts = [(task, i, j) for task in TASKS for i in range(len(BATCHES)) for j in range(len(KINDS_OF_NET))]
    missing = [(task, i, j) for task, i, j in parts if not stored["validation"][task, :, i, j].any()]
    for task, i, j in tqdm(missing, desc="stacks of 64 nets", file=sys.stderr):
        for part, losses in train_cells(task, BATCHES[i], KINDS_OF_NET[j]).items():
            stored[part][task, :, i, j] = losses
        if (task, i, j) == missing[-1] or j == len(KINDS_OF_NET) - 1:
            _write(file, lambda part: _save(part, stored))


def _save(file, arrays):
    with open(file, "wb") as out:
        np.savez_compressed(out, **arrays)


def race(file: Path, again: bool) -> None:
    """Let the frameworks search where the file does not say yet what they found."""
    record = json.loads(file.read_text()) if file.exists() and not again else {"races": {}}
    record |= {
        "command": "python -m lib.experiments.searches",
        "seeds": {"of a function": len(SEEDS), "of nets": len(SEEDS_OF_NETS)},
        "machine": machine(),
        "versions": versions("numpy", "optuna", "hyperopt", "scikit-learn"),
    }
    table = Table()
    wanted = [(problem, method) for problem in PROBLEMS for method in FRAMEWORKS]
    wanted += [("nets", method) for method in RECORDED]
    missing = [it for it in wanted if it[1] not in record["races"].get(it[0], {})]
    for problem, method in tqdm(missing, desc="searches", file=sys.stderr):
        runs = [
            run_on_nets(table, method, seed) if problem == "nets" else run_on_function(problem, method, seed)
            for seed in (SEEDS_OF_NETS if problem == "nets" else SEEDS)
        ]
        record["races"].setdefault(problem, {})[method] = summary(runs)
        _write(file, lambda part: part.write_text(json.dumps(record, indent=1) + "\n"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train the nets of the table, and let Optuna and Hyperopt search.")
    parser.add_argument("--again", action="store_true", help="start anew")
    given = parser.parse_args()
    tabulate(TABLE, given.again)
    race(RACES, given.again)
