"""The search for good settings: what a search asks, what it costs, and grid, random and quasi-random search.

    space = {"lr": LogUniform(1e-4, 1.0), "momentum": Uniform(0.0, 0.99)}
    trials = search(RandomSearch(space, n=30, seed=0), objective, file="study.jsonl")
    best(trials).settings

An *objective* is a function (settings, budget) -> loss. ``settings`` is a dict of a number or a text for each dimension
of the space; ``budget``, a whole number or None, says for how long to train; lower losses are better. A training that
diverged is a bad one and no error: its loss may be nan or infinite. The objective must be a function of its arguments,
noise included, or a search that goes on from its file would not be the one that was killed. What trains several
settings at once, and goes on with a training that it has begun, has a method ``losses`` instead: see `Together`.

A *method* has ``ask()``, a generator. It yields a list of trials without losses and is sent their losses, the
infinite ones as inf. Its draws come from its ``seed`` and nothing else. Being asked and told is all it does, so that
training side by side, counting costs and going on from a file are written once, here, for all methods.
"""

import json
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import qmc

from lib.arrays import namespace
from lib.checks import COUNT, WHOLE, check_range
from lib.search.population import taken
from lib.search.space import Dimension, at_shares, check_space, grid


class Trial(NamedTuple):
    """``number``: of the training, from 0; one that goes on for longer comes again, with its number and the larger
    ``budget``, counted from its start. ``loss``: a number, inf for a training that diverged, None before it is known.
    """

    number: int
    settings: dict
    budget: int | None = None
    loss: float | None = None


def search(method, objective, file=None) -> list[Trial]:
    """Ask the objective for what the method asks for, until it asks no more.

    Args:
        method: such as `RandomSearch`.
        objective: a function (settings, budget) -> loss, or an object with ``losses(trials)``, their losses (n,).
        file: of the study, in a folder that exists. Each trial is one line of it, written as soon as its loss is known
            and safe on the disk before the next begins. If it is there, the search goes on from it, or takes more
            trials, and asks for no loss that it holds. It does not know the objective: keep a file for each, and let
            one process at a time write to it.

    Returns:
        all trials, in the order in which they were asked for.

    Raises:
        TypeError: a loss is not a number.
        ValueError: the file is damaged, or of another search.
    """
    known = iter(() if file is None else _read(file))
    asking, trials = method.ask(), []
    asked = next(asking, None)
    while asked is not None:
        done = [_same(trial, line, file) for trial, line in zip(asked, known, strict=False)]
        for part in _parts(objective, asked[len(done) :]):
            told = _evaluated(objective, part)
            if file is not None:
                _append(file, told, method)
            done += told
        trials += done
        try:
            asked = asking.send(np.array([trial.loss for trial in done]))
        except StopIteration:
            asked = None
    return trials


def _parts(objective, trials):
    """Those that are evaluated at once: all, or each alone."""
    together = hasattr(objective, "losses")
    return [trials] * bool(trials) if together else [[trial] for trial in trials]


def _evaluated(objective, trials):
    if hasattr(objective, "losses"):
        losses = np.asarray(objective.losses(trials)).tolist()
    else:
        losses = [objective(dict(trial.settings), trial.budget) for trial in trials]
    if len(losses) != len(trials):
        raise ValueError(f"search: losses must give one a trial, {len(trials)}; got {len(losses)}.")
    return [trial._replace(loss=_checked(loss)) for trial, loss in zip(trials, losses, strict=True)]


def _checked(loss):
    if isinstance(loss, bool) or not isinstance(loss, Real):
        raise TypeError(f"search: the objective must return a number, got {loss!r} of type {type(loss).__name__}.")
    return float(loss) if math.isfinite(loss) else math.inf


# The file of a study


def _append(file, trials, method):
    seed = getattr(method, "seed", None)
    lines = [
        json.dumps(
            {
                "number": trial.number,
                "settings": trial.settings,
                "budget": trial.budget,
                "loss": trial.loss if math.isfinite(trial.loss) else None,  # JSON has no infinity
                "seed": seed,
            }
        )
        for trial in trials
    ]
    with open(file, "a", encoding="utf-8", newline="\n") as out:
        out.write("".join(line + "\n" for line in lines))
        out.flush()
        os.fsync(out.fileno())


def _read(file):
    """The trials of a file. A last line without its end was being written when the search was killed: it goes."""
    path = Path(file)
    contents = path.read_bytes() if path.exists() else b""
    whole = contents[: contents.rfind(b"\n") + 1]
    trials = [_trial(line, f"{file}, line {i}") for i, line in enumerate(whole.split(b"\n")[:-1], 1)]
    if whole != contents:
        if not trials and not contents.startswith(b'{"number": '[: len(contents)]):  # somebody's text: keep it
            raise ValueError(f"search: {file} is no file of a study; move it away, or name another.")
        os.truncate(path, len(whole))
    return trials


def _trial(line, where):
    try:
        read = json.loads(line)
        number, settings, budget, loss = (read[key] for key in Trial._fields)
        return Trial(number, dict(settings), budget, math.inf if loss is None else _checked(loss))
    except (KeyError, TypeError, ValueError):
        problem = "is damaged, or of no study; delete from this line on, or name another file"
        raise ValueError(f"search: {where} {problem}.") from None


def _same(trial, line, file):
    """The line of the file, if it holds what is asked for; another processor may have rounded otherwise."""

    def alike(a, b):
        return math.isclose(a, b, rel_tol=1e-9) if isinstance(a, float) and isinstance(b, float) else a == b

    ours, theirs = ({"number": it.number, "budget": it.budget, **it.settings} for it in (trial, line))
    if ours.keys() != theirs.keys() or not all(alike(ours[name], theirs[name]) for name in ours):
        raise ValueError(f"search: {file} is of another search: it has {line}, where this one asks for {trial}.")
    return line


# What was found, and at what cost


def best(trials: list[Trial]) -> Trial:
    """The trial with the lowest loss; of equal ones, the first."""
    return min(trials, key=lambda trial: trial.loss)


def spent(trials: list[Trial], resumed: bool = True) -> np.ndarray:
    """What had been spent after each trial: the sum of budgets, or the number of trials where they have none.

    Args:
        resumed: whether a training that comes again goes on, and costs only what is new, or starts anew.

    Returns:
        array (n,) of whole numbers.
    """
    before, costs = {}, []
    for trial in trials:
        budget = 1 if trial.budget is None else trial.budget
        costs.append(budget - before.get(trial.number, 0) * resumed)
        before[trial.number] = budget
    return np.cumsum(costs, dtype=int)


def best_so_far(trials: list[Trial], value: Callable[[Trial], float] | None = None) -> np.ndarray:
    """Of the trial that was the best after each trial, the loss.

    Args:
        value: what to give of it instead, such as its loss without noise or on the test set. It need not fall.

    Returns:
        float64 array (n,); inf until a training has not diverged.
    """
    found, values = None, []
    for trial in trials:
        if found is None or trial.loss < found.loss:
            found = trial
            now = trial.loss if value is None or trial.loss == math.inf else value(trial)
        values.append(now)
    return np.array(values, dtype=float)


def quartiles(curves, costs) -> np.ndarray:
    """Over searches with several seeds, the quartiles and the median of what each had when so much was spent.

    Args:
        curves: a pair of arrays for each search, as `spent` and `best_so_far` give them.
        costs: (m,), of which each column is one.

    Returns:
        float64 array (3, m): lower quartile, median, upper quartile; nan where a search has no finite value yet.
    """
    rows = []
    for at, values in curves:
        place = np.searchsorted(at, costs, side="right") - 1
        rows.append(np.where((place >= 0) & np.isfinite(values)[place], values[place], np.nan))
    return np.quantile(rows, [0.25, 0.5, 0.75], axis=0)


class Together:
    """The objective of a task of `lib.search.population`: trains the trials it is given side by side, as one stack, and
    goes on with those that it has begun. The loss is minus the score.

    The states live in memory. In a search that goes on from its file a training begins anew when its next budget is
    asked for: its seed is its number, so it comes to the same state.
    """

    def __init__(self, task):
        self.task, self.states = task, {}

    def losses(self, trials: list[Trial]) -> np.ndarray:
        """float64 (n,), of trials with budgets, in steps."""
        losses = np.empty(len(trials))
        begun = [self.states.get(trial.number, (0, None))[0] for trial in trials]
        for spans in sorted({(trial.budget, done) for trial, done in zip(trials, begun, strict=True)}):
            places = [i for i, trial in enumerate(trials) if (trial.budget, begun[i]) == spans]
            numbers = [trials[i].number for i in places]
            if spans[1]:
                rows = [self.states[number][1] for number in numbers]
                state = {name: namespace(a).concat([row[name] for row in rows], axis=0) for name, a in rows[0].items()}
            else:
                state = self.task.start(np.array(numbers))
            settings = {name: np.array([trials[i].settings[name] for i in places]) for name in trials[0].settings}
            state = self.task.advance(state, settings, spans[0] - spans[1])
            losses[places] = -np.asarray(self.task.score(state))
            for row, number in enumerate(numbers):
                one = {name: taken(a, np.array([row])) for name, a in state.items()}
                self.states[number] = spans[0], one
        return losses


# Methods


def settings_of(columns: dict[str, np.ndarray]) -> list[dict]:
    """One dict of Python numbers and texts for each row of a dict of arrays (n,)."""
    return [dict(zip(columns, row, strict=True)) for row in zip(*(a.tolist() for a in columns.values()), strict=True)]


def _trials(columns, budget):
    return [Trial(number, settings, budget) for number, settings in enumerate(settings_of(columns))]


def check_search(method) -> None:
    """Raise unless the fields that methods have in common are in range."""
    where = type(method).__name__
    check_space(method.space, where)
    for name, range_ in {"n": COUNT, "seed": WHOLE, "budget": COUNT}.items():
        value = getattr(method, name, None)
        if value is not None and not isinstance(value, dict):
            check_range(range_, name, value, where)


@dataclass(frozen=True)
class GridSearch:
    """Every combination of ``n`` values of each dimension.

    Args:
        n: a whole number, or a dict with one for each dimension; see `lib.search.space.grid`.
        seed: of the order in which they are tried; None for that of the grid, in which the last dimension changes
            fastest and the first one stays for long at its end.
        budget: of each trial.

    Raises:
        TypeError, ValueError: an argument is out of range.
    """

    space: dict[str, Dimension]
    n: int | dict[str, int]
    seed: int | None = None
    budget: int | None = None

    def __post_init__(self):
        check_search(self)

    def ask(self) -> Iterator[list[Trial]]:
        columns = grid(self.space, self.n)
        if self.seed is not None:
            order = np.random.default_rng(self.seed).permutation(len(next(iter(columns.values()))))
            columns = {name: a[order] for name, a in columns.items()}
        yield _trials(columns, self.budget)


@dataclass(frozen=True)
class RandomSearch:
    """``n`` settings drawn from the space. A search with a larger ``n`` begins with the same ones.

    Source: Bergstra & Bengio 2012, "Random Search for Hyper-Parameter Optimization", JMLR 13:281-305.

    Raises:
        TypeError, ValueError: an argument is out of range.
    """

    space: dict[str, Dimension]
    n: int
    seed: int = 0
    budget: int | None = None

    def __post_init__(self):
        check_search(self)

    def ask(self) -> Iterator[list[Trial]]:
        shares = self.shares(np.random.default_rng(self.seed))
        yield _trials(at_shares(self.space, shares), self.budget)

    def shares(self, random: np.random.Generator) -> np.ndarray:
        """(n, dimensions) of [0, 1], onto which the space puts its settings."""
        return random.random((self.n, len(self.space)))


class QuasiRandomSearch(RandomSearch):
    """A `RandomSearch` with other shares: the first ``n`` points of a Sobol sequence that is scrambled at random. They
    are random like draws, but evenly spread, in each dimension alone too. The best spread has an ``n`` that is a power
    of two.

    Source: Bergstra & Bengio 2012, "Random Search for Hyper-Parameter Optimization", JMLR 13:281-305, section 4; the
    sequence is that of ``scipy.stats.qmc.Sobol``.
    """

    def shares(self, random):
        sequence = qmc.Sobol(len(self.space), rng=random)
        return sequence.random_base2((self.n - 1).bit_length())[: self.n]
