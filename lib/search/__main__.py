"""Searches and populations from the command line; either goes on from its file after a kill.

    python -m lib.search search lib.experiments.population:Digits --method tpe --trials 32 --budget 300 --file a.jsonl
    python -m lib.search population lib.experiments.population:Digits --members 16 --rounds 20 --steps 50 --folder runs

What is tuned is named ``module:name``: an object, or a class or function that makes one without arguments; a name with
dots goes on inside, to attributes and keys (``my_problems:PROBLEMS.valley``). A population trains a *task*
(`lib.search.population`). A search takes one too, or an object with a ``space`` and either ``loss``, a function
(settings, budget) -> number, or ``losses`` (`lib.search.search`).
"""

import argparse
import contextlib
import importlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from lib.search.halving import ASHA, Hyperband, SuccessiveHalving
from lib.search.population import Record, ancestors, train_population
from lib.search.search import GridSearch, QuasiRandomSearch, RandomSearch, Together, Trial, search
from lib.search.stopping import MedianStopping
from lib.search.strategies import AddNoise, BinaryTournament, Perturb, Resample, Truncation, TTest
from lib.search.tpe import TPE
from lib.search.workers import work

# Of (space, arguments); and which arguments they need besides the seed.
METHODS = {
    "grid": (lambda space, a: GridSearch(space, _values(space, a.trials), a.seed, a.budget), ["trials"]),
    "random": (lambda space, a: RandomSearch(space, a.trials, a.seed, a.budget), ["trials"]),
    "sobol": (lambda space, a: QuasiRandomSearch(space, a.trials, a.seed, a.budget), ["trials"]),
    "tpe": (lambda space, a: TPE(space, a.trials, seed=a.seed, budget=a.budget), ["trials"]),
    "median": (
        lambda space, a: MedianStopping(space, a.trials, a.budget, max(1, a.budget // 10), a.seed),
        ["trials", "budget"],
    ),
    "halving": (lambda space, a: SuccessiveHalving(space, a.trials, a.budget, seed=a.seed), ["trials", "budget"]),
    "hyperband": (lambda space, a: Hyperband(space, a.budget, seed=a.seed), ["budget"]),
    "asha": (lambda space, a: ASHA(space, a.trials, a.budget, seed=a.seed), ["trials", "budget"]),
}
EXPLOITS = {"truncation": Truncation(), "tournament": BinaryTournament(), "t-test": TTest(), "none": None}
EXPLORES = {
    "perturb": Perturb(),
    "resample": Resample(0.25, Perturb()),
    "noise": AddNoise(0.1),
    "none": None,
}
ROWS = 10  # of the table


def named(name: str):
    """What ``module:name`` names, made if it is a class or function.

    Raises:
        ValueError: there is no such thing.
    """
    module, _, path = name.partition(":")
    if not module or not path:
        raise ValueError(f"{name!r} names nothing; write module:name, as in lib.experiments.population:Toy.")
    sys.path.insert(0, os.getcwd())  # as for python -m
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        raise ValueError(f"{name!r}: there is no module {module} ({error}); run this in the folder it is in.") from None
    finally:
        sys.path.pop(0)
    for part in path.split("."):
        found = found[part] if isinstance(found, dict) and part in found else getattr(found, part, None)
        if found is None:
            raise ValueError(f"{name!r}: {module} has no {path}; is it spelled right?")
    return found() if isinstance(found, type) or (callable(found) and not hasattr(found, "space")) else found


def task_of(name: str):
    """The task of that name.

    Raises:
        ValueError: there is none, or it is no task.
    """
    task = named(name)
    if missing := [part for part in ("space", "start", "advance", "score") if not hasattr(task, part)]:
        raise ValueError(f"{name!r} is no task: it has no {missing[0]}; see lib.search.population.")
    return task


# Search


def search_named(given) -> str:
    """Search, and the table of the best trials."""
    problem = named(given.problem)
    if not hasattr(problem, "space"):
        raise ValueError(f"{given.problem!r} has no space, so there is nothing to search; give it one.")
    objective = problem
    if hasattr(problem, "advance"):
        if given.budget is None:
            raise ValueError(f"--budget is missing: for how many steps to train a {given.problem}.")
        objective = Together(problem)
    elif not hasattr(problem, "losses"):
        objective = getattr(problem, "loss", problem)
    make, needed = METHODS[given.method]
    for argument in needed:
        if getattr(given, argument) is None:
            raise ValueError(f"--{argument} is missing: --method {given.method} needs it.")
    method = make(problem.space, given)
    known = len(Path(given.file).read_text(encoding="utf-8").splitlines()) if Path(given.file).exists() else 0
    with tqdm(desc="trials", initial=known, total=_asked(method), file=sys.stderr) as bar:
        trials = search(method, _told(objective, bar), given.file)
    return best_trials(trials).to_string(index=False, justify="right")


class _Told:
    """An objective of several trials at once that moves a bar."""

    def __init__(self, objective, bar):
        self.objective, self.bar = objective, bar

    def losses(self, trials):
        losses = self.objective.losses(trials)
        self.bar.update(len(trials))
        return losses


def _told(objective, bar):
    if hasattr(objective, "losses"):
        return _Told(objective, bar)

    def told(settings, budget):
        loss = objective(settings, budget)
        bar.update()
        return loss

    return told


def _asked(method):
    """How many trials a method asks for, where that does not hang on the losses; else None."""
    if isinstance(method, MedianStopping):
        return None
    asking = method.ask()
    asked, trials = 0, next(asking, None)
    while trials is not None:
        asked += len(trials)
        try:
            trials = asking.send(np.arange(len(trials), dtype=float))
        except StopIteration:
            trials = None
        if isinstance(method, TPE):
            return method.n
    return asked


def _values(space, trials):
    """How many values of each dimension make a grid of at most so many trials."""
    n = 1
    while (n + 1) ** len(space) <= trials:
        n += 1
    return n


def best_trials(trials: list[Trial]) -> pd.DataFrame:
    """Of each of the best trainings the last trial, the lowest loss first."""
    last = {trial.number: trial for trial in trials}
    rows = [{"trial": it.number, "loss": it.loss, "budget": it.budget, **it.settings} for it in last.values()]
    return pd.DataFrame(rows).sort_values("loss", kind="stable").head(ROWS).dropna(axis=1, how="all")


# Population


def population_named(given) -> str | None:
    """Train, and the table of the best members; None for a worker, while others have not ended."""
    task, folder = task_of(given.task), Path(given.folder)
    run = {"members": given.members, "rounds": given.rounds, "steps": given.steps, "seed": given.seed}
    run |= {"exploit": EXPLOITS[given.exploit], "explore": EXPLORES[given.explore]}
    folder.mkdir(parents=True, exist_ok=True)
    kinds = {"with --ray": "run.npz", "with --workers": "member-*.npz", "in step": "population.npz"}
    kind = "with --ray" if given.ray else "with --workers" if given.workers else "in step"
    for other in kinds.keys() - {kind}:
        if any(folder.glob(kinds[other])):
            raise ValueError(f"--folder {folder} holds a run {other}, not {kind}; go on so, or choose another folder.")
    if given.worker is not None:
        record = work(task, **run, folder=folder, worker=given.worker, workers=given.workers)
        return None if record is None else best_members(record).to_string(index=False, justify="right")
    with following(lambda: rounds_done(folder), given.members * given.rounds):
        if given.ray:
            from lib.search.ray import train_population_on_ray

            record = train_population_on_ray(task, **run, storage=folder, address=given.address)
        elif given.workers:
            record = _with_workers(given, task, run, folder)
        else:
            record = train_population(task, **run, path=folder / "population.npz")
    return best_members(record).to_string(index=False, justify="right")


def _with_workers(given, task, run, folder):
    """Train in processes, each of which is this command with the number of a worker; one that was killed is missed, and
    its members are trained here at the end."""
    command = [sys.executable, "-m", "lib.search", "population", given.task, "--folder", str(folder)]
    for name in "members", "rounds", "steps", "seed", "exploit", "explore", "workers":
        command += [f"--{name}", str(getattr(given, name))]
    started = [
        subprocess.Popen([*command, "--worker", str(worker)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for worker in range(given.workers)
    ]
    try:
        for worker, process in enumerate(started):
            _, said = process.communicate()
            if process.returncode > 0:
                raise ValueError(f"worker {worker} failed: {said.decode().strip().splitlines()[-1]}")
    finally:
        for process in started:
            process.kill()
            process.wait()
    return work(task, **run, folder=folder)


@contextlib.contextmanager
def following(done: Callable[[], int], total: int) -> Iterator[None]:
    """A bar of what ``done`` counts, looked at twice a second: the work may be another process's."""
    over = threading.Event()
    with tqdm(desc="rounds of members", initial=done(), total=total, file=sys.stderr) as bar:

        def look():
            bar.n = min(done(), total)
            bar.refresh()

        def follow():
            while not over.wait(0.5):
                look()

        follower = threading.Thread(target=follow, daemon=True)
        follower.start()
        try:
            yield
        finally:
            over.set()
            follower.join()
            look()


def rounds_done(folder: Path) -> int:
    """How many rounds all members together have behind them, as the files of a folder tell."""
    done = 0
    for file in [folder / "population.npz", *folder.glob("member-*.npz")]:
        with contextlib.suppress(OSError, ValueError, KeyError), np.load(file, allow_pickle=False) as kept:
            done += kept["log/scores"].size
    if (folder / "rounds.jsonl").exists():
        rounds = {}
        for line in (folder / "rounds.jsonl").read_text(encoding="utf-8").split("\n"):
            with contextlib.suppress(ValueError):
                row = json.loads(line)
                rounds[row["member"]] = row["rounds"]
        done += sum(rounds.values())
    return done


def best_members(record: Record) -> pd.DataFrame:
    """The best members after the last round: score, how often their line was copied from another, last settings."""
    rows = []
    for member in range(record.scores.shape[1]):
        line = ancestors(record, member)
        last = {name: values[-1, member] for name, values in record.settings.items()}
        copies = int((line[1:, 1] != line[:-1, 1]).sum())
        rows.append({"member": member, "score": record.scores[-1, member], "copies": copies, **last})
    return pd.DataFrame(rows).sort_values("score", ascending=False, kind="stable").head(ROWS)


# The command line


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(prog="python -m lib.search", description=__doc__.split("\n")[0])
    commands = whole.add_subparsers(dest="command", required=True, metavar="search | population")
    one = commands.add_parser("search", help="look for the settings with the lowest loss")
    one.add_argument("problem", help="module:name of a problem or a task, as in lib.experiments.population:Digits")
    one.add_argument("--method", choices=METHODS, default="tpe", help="tpe by default")
    one.add_argument("--trials", type=_count, help="how many; of a grid, at most so many")
    one.add_argument("--budget", type=_count, help="for how long to train, of a task in steps")
    one.add_argument("--seed", type=_whole, default=0, help="of the search; 0 by default")
    one.add_argument("--file", required=True, help="of the study; if it is there, the search goes on from it")
    one.set_defaults(run=search_named)
    other = commands.add_parser("population", help="train a population")
    other.add_argument("task", help="module:name of a task, as in lib.experiments.population:Digits")
    for name, words in {"members": "how many", "rounds": "of each member", "steps": "of a round"}.items():
        other.add_argument(f"--{name}", type=_count, required=True, help=words)
    other.add_argument("--folder", required=True, help="of the checkpoints; if there are some, the run goes on")
    other.add_argument("--seed", type=_whole, default=0, help="0 by default")
    other.add_argument("--exploit", choices=EXPLOITS, default="truncation", help="whom to copy; truncation by default")
    other.add_argument("--explore", choices=EXPLORES, default="perturb", help="what to try next; perturb by default")
    where = other.add_mutually_exclusive_group()
    where.add_argument("--workers", type=_count, help="so many processes, each member in its own time; else in step")
    where.add_argument("--ray", action="store_true", help="under Ray Tune, each member in its own time")
    other.add_argument("--address", help="of a Ray cluster, host:port; without it Ray runs here")
    other.add_argument("--worker", type=_whole, help="be this one of the workers, from 0; start each of them yourself, "
                       "on machines that share the folder")  # fmt: skip
    other.set_defaults(run=population_named)
    return whole


def _number(least):
    def parse(text):
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(f"must be a whole number >= {least}, got {text!r}")
        return number

    return parse


_count, _whole = _number(1), _number(0)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parsing = parser()
    given = parsing.parse_args(arguments)
    if given.command == "population":
        if given.address and not given.ray:
            parsing.error("--address is Ray's; add --ray.")
        if given.worker is not None and not (given.workers and given.worker < given.workers):
            parsing.error(f"--worker {given.worker} must be less than --workers, got {given.workers}.")
    try:
        table = given.run(given)
    except (TypeError, ValueError) as error:
        parsing.exit(2, f"{parsing.prog} {given.command}: {error}\n")
    if table is not None:
        print(table)


if __name__ == "__main__":
    main()
