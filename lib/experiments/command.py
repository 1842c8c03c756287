"""The command line of experiments: ``python -m lib.experiments``."""

import argparse
import contextlib
import fcntl
import hashlib
import json
import re
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from lib.experiments import records
from lib.experiments.runs import Experiment, differences, exact, train_all
from lib.machine import ROOT

UNITS = "seconds: of wall clock; megabytes: the largest memory that the process held, or the GPU"


def main(
    experiments: Sequence[Experiment],
    arguments: Sequence[str] | None = None,
    root: Path = ROOT,
    module: str = "lib.experiments",
) -> None:
    """List the experiments, or run one; its exit status is 0, 1 if jobs failed or a check did, 2 if nothing was begun.

    Args:
        experiments: that there are.
        arguments: those of the command line by default.
        root: of the folders ``results`` and ``runs``.
        module: that is run, for the record and the help.
    """
    parsing, commands = parser(experiments, module)
    given = parsing.parse_args(arguments)
    if given.name is None:
        width = max(len(it.name) for it in experiments)
        print("\n".join(f"{it.name:{width}}  {it.about} ({it.cost})" for it in experiments))
        print(f"\n{parsing.prog} NAME --help tells the options of one.")
        return
    experiment = next(it for it in experiments if it.name == given.name)
    try:
        sys.exit(command(experiment, given, Path(root)))
    except ValueError as error:
        commands[given.name].exit(2, f"{commands[given.name].prog}: {error}\n")
    except KeyboardInterrupt:
        commands[given.name].exit(130, "\nStopped. The same command goes on from here.\n")


def parser(experiments, module) -> tuple[argparse.ArgumentParser, dict]:
    whole = argparse.ArgumentParser(prog=f"python -m {module}", description="Run an experiment, or list them.")
    whole.set_defaults(module=module)
    names = whole.add_subparsers(dest="name", metavar="NAME")
    commands = {}
    for it in experiments:
        one = commands[it.name] = names.add_parser(it.name, help=it.about, description=f"{it.about} Cost: {it.cost}.")
        one.add_argument("--seeds", type=_count, default=it.seeds, help=f"how many, from 0; {it.seeds} by default")
        one.add_argument("--device", choices=it.devices, default=it.devices[0], help="where to train")
        one.add_argument("--small", action="store_true", help="the version of the chapter; it is not recorded")
        one.add_argument("--only", nargs="+", metavar="KEY=VALUE", default=[], help="jobs of these values; several "
                         "values of one key are alternatives")  # fmt: skip
        one.add_argument("--again", action="store_true", help="forget the rows of these jobs first, and what is kept "
                         "of them; if it is killed, start it without this")  # fmt: skip
        one.add_argument("--check", type=_count, metavar="N", help="train N of the recorded jobs anew and compare")
        one.add_argument("--jobs", type=_count, default=1, metavar="N", help="how many to train side by side")
        one.add_argument("--tensorboard", type=Path, metavar="DIR", help="where to log for TensorBoard")
        for name, (default, words) in it.options.items():
            words = f"{words}; {default} by default"
            one.add_argument(f"--{name.replace('_', '-')}", dest=name, type=type(default), default=default, help=words)
    return whole, commands


def _count(text):
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"must be a whole number >= 1, got {text!r}")
    return int(text)


def command(experiment: Experiment, given, root: Path) -> int:
    """Do what is asked, and return the exit status.

    Raises:
        ValueError: it cannot be begun; the message says why, and what helps.
    """
    if given.device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise ValueError("--device cuda: PyTorch sees no GPU here.")
    if given.small and (given.check or given.again):
        raise ValueError("--small is not recorded, so there is nothing to check or to forget; leave one of them out.")
    stem = experiment.name if given.device == "cpu" else f"{experiment.name}-{given.device}"
    path, folder = root / "results" / f"{stem}.json", root / "runs" / stem
    jobs = only(jobs_of(experiment, given), given.only)
    place = records.place(experiment, given.device)
    if given.small:
        rows, status = train(experiment, jobs, given, place)
        if rows:
            print(f"{records.summary(records.ordered(rows))}\n\nNot recorded: this is the small version.")
        return status
    with locked(folder):
        for partial in folder.glob("*.partial"):  # of writers that were killed
            partial.unlink()
        if given.check:
            return check(experiment, jobs, given, place, path, folder)
        return extend(experiment, jobs, given, place, path, folder)


def jobs_of(experiment: Experiment, given) -> list[dict]:
    """All jobs, each with the experiment's options, as JSON has them.

    Raises:
        ValueError: two are the same.
    """
    options = {name: getattr(given, name) for name in experiment.options}
    jobs = [it | options for it in experiment.jobs(seeds=given.seeds, small=given.small, **options)]
    jobs = json.loads(json.dumps(jobs))
    if twice := [job for i, job in enumerate(jobs) if job in jobs[:i]]:
        raise ValueError(f"two jobs of {experiment.name} are the same: {twice[0]}; a job must hold what sets it apart.")
    return jobs


def only(jobs: list[dict], words: Sequence[str]) -> list[dict]:
    """The jobs with these values, given as ``key=value``.

    Raises:
        ValueError: there are none.
    """
    wanted = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not any(key in job for job in jobs):
            raise ValueError(f"--only {word}: write key=value, with a key among {', '.join(jobs[0])}.")
        with contextlib.suppress(ValueError):
            value = json.loads(value)
        wanted.setdefault(key, []).append(value)
    for key, values in wanted.items():
        there = list(dict.fromkeys(json.dumps(job.get(key)) for job in jobs))
        jobs = [job for job in jobs if job.get(key) in values]
        if not jobs:
            raise ValueError(
                f"--only: no job has {key} = {' or '.join(map(str, values))}; there are {', '.join(there)}."
            )
    return jobs


@contextlib.contextmanager
def locked(folder: Path):
    """Nobody else trains in this folder meanwhile; a kill frees it.

    Raises:
        ValueError: somebody does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"another command trains in {folder}; wait for its end, or stop it.") from None
        yield


def checkpoint(folder: Path, job: dict) -> Path:
    """Where a job's state is kept: a name that can be read, and a number for the job as a whole."""
    name = re.sub(r"[^\w.]+", "-", "-".join(str(it) for it in job.values()))[:80]
    return folder / f"{name}-{hashlib.sha256(json.dumps(job).encode()).hexdigest()[:8]}.npz"


def train(experiment, jobs, given, place, folder=None, record=lambda row: None) -> tuple[list[dict], int]:
    """Train jobs, and give each row to ``record`` before its checkpoint goes; then tell what went wrong.

    Returns:
        the rows, and an exit status.
    """
    runs = []
    for job in jobs:
        run = {"device": given.device, "quiet": given.jobs > 1, "path": folder and checkpoint(folder, job)}
        events = given.tensorboard and given.tensorboard / experiment.name / checkpoint(Path(), job).stem
        runs.append((job, run | {"of": place | {"job": job, "device": given.device}, "events": events}))
    rows, failed = [], []
    for job, row, wrong in train_all(experiment, runs, given.jobs):
        if row is None:
            failed.append(f"\nFailed: {json.dumps(job)}\n{wrong.strip()}\n")
            continue
        record(row)
        rows.append(row)
        if folder:
            checkpoint(folder, job).unlink(missing_ok=True)
    sys.stderr.write("".join(failed))
    return rows, 1 if failed else 0


def extend(experiment, jobs, given, place, path, folder) -> int:
    """Train the jobs that the record lacks, and write it after each."""
    record = records.read(path) if path.exists() else {"rows": []}
    there = {name: record[name] for name in place if name in record}
    if given.again:
        record["rows"] = [row for row in record["rows"] if given.only and row["job"] not in jobs]
    if record["rows"] and (apart := differences(there, place)):
        raise ValueError(
            f"{path} was made elsewhere ({'; '.join(apart)}). With --check 5 you compare it with this machine; with "
            "--again, but without --only, you begin a new record in its place."
        )
    done = [row["job"] for row in record["rows"]]
    for job in jobs:
        if given.again or job in done:  # a kill may have come between the row and this
            checkpoint(folder, job).unlink(missing_ok=True)
    words = [f"python -m {given.module} {experiment.name} --device {given.device} --seeds {given.seeds}"]
    words += [f"--{name.replace('_', '-')} {getattr(given, name)}" for name in experiment.options]
    record |= {"about": experiment.about, "command": " ".join(words), "units": UNITS}
    record |= place | {"side by side": max(given.jobs, record.get("side by side", 1)) if done else given.jobs}
    if given.again:  # at once: after a kill, the command without --again trains them
        records.write(path, record)

    def extended(row):
        record["rows"].append(row)
        record["date"] = date.today().isoformat()
        record["seeds"] = sorted({it["job"]["seed"] for it in record["rows"] if "seed" in it["job"]})
        records.write(path, record)

    _, status = train(experiment, [job for job in jobs if job not in done], given, place, folder, extended)
    if rows := [row for row in record["rows"] if row["job"] in jobs]:
        print(f"{records.summary(records.ordered(rows))}\n\nWritten to {path}.")
    return status


def check(experiment, jobs, given, place, path, folder) -> int:
    """Train so many jobs of the record anew, from all over it, and print how far each number is off."""
    if not path.exists():
        raise ValueError(f"--check: there is no record {path}; leave out --check, and it is made.")
    record = records.read(path)
    jobs = [row["job"] for row in record["rows"] if row["job"] in jobs]
    if len(jobs) < given.check:
        raise ValueError(f"--check {given.check}: the record has {len(jobs)} of these jobs.")
    apart = differences({name: record.get(name) for name in place}, place)
    to_the_bit = not apart and given.device == "cpu"
    chosen = [jobs[i * len(jobs) // given.check] for i in range(given.check)]
    rows, status = train(experiment, chosen, given, place, folder)
    found = records.same(record, rows, exact if to_the_bit else experiment.tolerance)
    if rows:
        print(f"{found.to_string(index=False)}\n")
    where = f"The record was made elsewhere ({'; '.join(apart)})" if apart else "The record was made here"
    allowed = "no number may be off" if to_the_bit else "a number may be off by what is allowed"
    alike = not status and found["same"].all()
    print(f"{where}: {allowed}. {'All are the same.' if alike else 'NOT the same.'}")
    return 0 if alike else 1
