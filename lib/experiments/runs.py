"""How experiments run: jobs, one after another or side by side, that survive a kill and leave a record.

An `Experiment` is a list of jobs, plain dicts, and a function that trains one of them and returns its numbers:

    def train(job, run):
        params = start(job["seed"]) if run.state is None else run.state["params"]
        for epoch in run.bar(job["epochs"]):
            params = ...
            run.log(epoch, loss=...)
            run.keep(epoch, params=params)
        return {"loss": ...}

All else is done here, once. After each epoch the job's state is in ``runs/<name>/``, in an archive without pickles, and
after each job its row is in ``results/<name>.json``; each file is moved to its place whole. So a kill at any moment
costs the epoch it fell into, and the row of a job that went on is that of the job that was never stopped, to the bit.
"""

import contextlib
import math
import multiprocessing
import os
import re
import resource
import sys
import threading
import time
import traceback
import types
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from lib import checkpoints

FORMAT, VERSION = "step-size run", 1


def exact(job: dict) -> dict[str, float]:
    """No number may be off."""
    return {}


def chaotic(job: dict) -> None:
    """Roundings grow until each run is another: three times the range over seeds is allowed."""


@dataclass(frozen=True)
class Experiment:
    """What the author of an experiment writes.

    Attributes:
        name: of the command and of the record.
        about: one sentence.
        cost: of the whole, in words.
        jobs: function (seeds, small, **options) -> list of dicts of what JSON can hold, all different. A job holds all
            that its row hangs on, its seed as ``"seed"``; the options are added to each.
        train: function (job, run) -> dict of numbers, or lists of numbers; None, or what is not finite, where there is
            none. On a CPU it must give the same bits again. ``run`` is a `Run`. Import heavy libraries inside.
        packages: whose versions the record tells.
        seeds: how many, if the command does not say.
        options: its own; by name, the default value and a sentence.
        devices: "cpu", "cuda".
        tolerance: function of a job -> by the name of a number, how far off it may be on another processor or on a GPU,
            0 if not named; or None, if roundings grow until each run is another: then three times the range of the
            number over the seeds is allowed.
        version: raise it when the same job gives other numbers: what there is of earlier ones is not gone on with.
    """

    name: str
    about: str
    cost: str
    jobs: Callable[..., list[dict]]
    train: Callable[[dict, "Run"], dict]
    packages: tuple[str, ...] = ("numpy",)
    seeds: int = 3
    options: dict[str, tuple[Any, str]] = field(default_factory=dict)
    devices: tuple[str, ...] = ("cpu",)
    tolerance: Callable[[dict], dict[str, float] | None] = exact
    version: int = 1


class Run:
    """What a job's training is given; ``Run()`` keeps nothing and is silent, for a chapter.

    Args:
        device: where to train.
        path: of the checkpoint; if it is there, the run goes on from it.
        of: what the run is of; a checkpoint of something else is an error.
        events: the folder for TensorBoard's events.
        quiet: whether to show no bar.

    Attributes:
        device: where to train.
        state: what was kept last, or None: the job begins.

    Raises:
        ValueError: the checkpoint is damaged, or of another run.
    """

    def __init__(self, device="cpu", path: Path | None = None, of: dict | None = None, events=None, quiet=True):
        self.device, self.state = device, None
        self._path, self._of, self._quiet, self._writer = path, of, quiet, None
        self._next, self._logged, self._before = 0, {}, {"seconds": 0.0, "megabytes": 0.0}
        if path and path.exists():
            self._restore()
        if events:
            self._open(Path(events))
        self._began = time.perf_counter()
        _peak(device, reset=True)

    def bar(self, total: int, what: str = "epochs") -> Iterator[int]:
        """The numbers of the epochs that are left, of ``total`` from 0, with a progress bar."""
        shown = {"desc": what, "leave": False, "file": sys.stderr, "disable": self._quiet}
        with tqdm(total=total, initial=self._next, **shown) as bar:
            for epoch in range(self._next, total):
                yield epoch
                bar.update()

    def keep(self, epoch: int, **state) -> None:
        """Keep all that the training goes on from after this epoch: dicts, lists and tuples of numbers, texts, arrays
        of NumPy and PyTorch, and NumPy's generators. (Of Keras, ``[v.numpy() for v in variables]``.)

        Raises:
            TypeError: there is something else in it.
        """
        if self._path:
            arrays = {}
            logged = {tag: np.array(values) for tag, values in self._logged.items()}
            index = {"format": FORMAT, "version": VERSION, "of": self._of, "epoch": epoch, "spent": self.spent()}
            index |= {"logged": pack(logged, arrays), "state": pack(state, arrays)}
            checkpoints.write(self._path, arrays, index, where="keep")

    def log(self, step: int, **scalars: float) -> None:
        """Numbers for TensorBoard. They are kept with the state, all of them: log a few thousand, no millions."""
        for tag, value in scalars.items():
            self._logged.setdefault(tag, []).append((step, float(value), time.time()))
            if self._writer:
                self._writer.add_scalar(tag, float(value), step)

    def spent(self) -> dict:
        """Seconds, and the largest memory held, in this process and those before it that were killed."""
        seconds = self._before["seconds"] + time.perf_counter() - self._began
        megabytes = max(self._before["megabytes"], _peak(self.device))
        return {"seconds": round(seconds, 3), "megabytes": round(megabytes, 1)}

    def close(self) -> None:
        """Write the last events."""
        if self._writer:
            self._writer.close()

    def _restore(self):
        remedy = f"Delete {self._path}, and the job begins anew."
        try:
            arrays, index = checkpoints.read(self._path, FORMAT, VERSION, "run", "lib.experiments", "it cannot be used")
        except ValueError as error:
            raise ValueError(f"{error} {remedy}") from None
        if apart := differences(index["of"], self._of):
            raise ValueError(f"run: {self._path} is of another run ({'; '.join(apart)}). {remedy}")
        self.state, self._next, self._before = unpack(index["state"], arrays), index["epoch"] + 1, index["spent"]
        logged = unpack(index["logged"], arrays)
        self._logged = {tag: [(int(step), *rest) for step, *rest in a.tolist()] for tag, a in logged.items()}

    def _open(self, events):
        """Events of epochs that a kill took back must not stay: all are written anew, from what was kept."""
        # How TensorBoard is told to do without TensorFlow, which would take 8 s and 0.8 GB.
        sys.modules.setdefault("tensorboard.compat.notf", types.ModuleType("notf"))
        from torch.utils.tensorboard import SummaryWriter

        for old in events.glob("events.out.tfevents.*"):
            old.unlink()
        self._writer = SummaryWriter(events)
        for tag, values in self._logged.items():
            for step, value, at in values:
                self._writer.add_scalar(tag, value, step, walltime=at)


def _peak(device, reset=False):
    """The largest memory that this process has held since the reset, in MB; where that cannot be set, since its start.
    On a GPU, of that."""
    if device == "cuda":
        import torch

        if reset:
            torch.cuda.reset_peak_memory_stats()
        return torch.cuda.max_memory_allocated() / 1e6
    with contextlib.suppress(OSError):  # only Linux has these files
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        return int(re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


# State as arrays and JSON


def pack(tree, arrays: dict[str, np.ndarray]):
    """``tree`` as what JSON can hold; its arrays go into ``arrays``. `unpack` is the way back.

    Raises:
        TypeError: there is something that it cannot hold.
    """
    if isinstance(tree, dict):
        return {"dict": [[pack(key, arrays), pack(value, arrays)] for key, value in tree.items()]}
    if type(tree) in (list, tuple):
        return {type(tree).__name__: [pack(value, arrays) for value in tree]}
    if isinstance(tree, np.random.Generator):
        return {"generator": pack(tree.bit_generator.state, arrays)}
    kind = "torch" if hasattr(tree, "detach") else "number" if isinstance(tree, np.generic) else "array"
    if kind == "torch":
        tree = tree.detach().cpu().numpy()
    if isinstance(tree, np.ndarray | np.generic) and not tree.dtype.hasobject:
        arrays[name := f"{len(arrays)}"] = np.asarray(tree)
        return {kind: name}
    if tree is None or type(tree) in (bool, int, float, str):
        return tree
    raise TypeError(f"keep: state must be of numbers, texts and arrays, got a {type(tree).__name__}: {tree!r:.60}.")


def unpack(tree, arrays: dict[str, np.ndarray]):
    """What `pack` was given."""
    if not isinstance(tree, dict):
        return tree
    ((kind, inside),) = tree.items()
    if kind == "dict":
        return {unpack(key, arrays): unpack(value, arrays) for key, value in inside}
    if kind in ("list", "tuple"):
        return (list if kind == "list" else tuple)(unpack(value, arrays) for value in inside)
    if kind == "generator":
        state = unpack(inside, arrays)
        bits = getattr(np.random, state["bit_generator"])()
        bits.state = state
        return np.random.Generator(bits)
    if kind == "torch":
        import torch

        return torch.from_numpy(arrays[inside])
    return arrays[inside][()] if kind == "number" else arrays[inside]


def differences(old: dict, new: dict, within: str = "") -> list[str]:
    """Where two nested dicts differ, in words."""
    found = []
    for key in [*old, *(key for key in new if key not in old)]:
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            found += differences(a, b, f"{within}{key} ")
        elif a != b:
            found.append(f"{within}{key}: {a}, now {b}")
    return found


# Training


def attempt(experiment: Experiment, job: dict, run: dict) -> tuple[dict | None, str]:
    """The row of a job, and no words; or no row, and what went wrong. ``run``: the arguments of a `Run`."""
    try:
        ours = Run(**run)
    except ValueError as error:
        return None, str(error)
    try:
        numbers = {name: _plain(name, value) for name, value in experiment.train(dict(job), ours).items()}
    except Exception:
        return None, traceback.format_exc()
    finally:
        ours.close()
    return {"job": job, "numbers": numbers, **ours.spent()}, ""


def _plain(name, value):
    """A number, None, or a list of those, as JSON has them."""
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(name, it) for it in value]
    value = value.item() if isinstance(value, np.generic) else value
    if not (value is None or isinstance(value, int | float)):
        raise TypeError(f"train: {name} must be a number, a list of numbers or None, got {value!r:.60}.")
    return value if value is None or math.isfinite(value) else None


def train_all(experiment: Experiment, runs: list[tuple[dict, dict]], side: int = 1) -> Iterator[tuple]:
    """`attempt` each of (job, arguments of its run), ``side`` of them side by side, each in a process with one thread.

    Yields:
        (job, row or None, what went wrong), as they end.
    """
    with tqdm(total=len(runs), desc="jobs", file=sys.stderr) as bar:
        if side == 1:
            for job, run in runs:
                yield job, *attempt(experiment, job, run)
                bar.update()
            return
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(side, mp_context=context, initializer=end_with_parent)
        try:
            futures = {pool.submit(attempt, experiment, job, run): job for job, run in runs}
            for future in as_completed(futures):
                try:
                    yield futures[future], *future.result()
                except BrokenProcessPool:
                    yield futures[future], None, "a process was killed; was it out of memory?"
                bar.update()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def end_with_parent():
    """A process whose parent is killed must not go on beside the next command."""

    def watch():
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
