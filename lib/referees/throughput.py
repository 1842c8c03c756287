"""Populations as one stack of arrays and as processes under Ray Tune: steps a second, memory, and what a kill costs.

    python -m lib.referees.throughput [--device cuda] [--parts stack ray large toy failures] [--again]

What is timed trains the same: the nets of `lib.experiments.population.Digits` by population based training, with a
checkpoint after each round. The clock runs from the end of the first round to the end of the last: what it takes to
start nets, and processes, is told apart. Each measurement has a process of its own, one thread for sums and products
in it and in those that it starts, and takes turns with nothing else; memory is that which is no file's and not shared.

- ``stack``     `train_population`: 1 to 4,096 members, NumPy and PyTorch in one process, NumPy `Spread` over two
- ``ray``       `train_population_on_ray` on two processors: a whole one for each member, so that members take turns in
  two processes that stay; and so small a share that each of 64 could have a process, which Ray ends and starts again
- ``large``     a population of 65,536, against the memory that the others let expect
- ``toy``       runs of ours and of Ray's with other seeds, on the paper's toy: are their scores of one distribution?
- ``failures``  two nodes of Ray, one of which is killed; and, three times, a driver that is killed and started again

The record is written after each row. One that was stopped goes on where it was; with ``--again`` each row of these
parts is measured anew, and until then the old one stands.
"""

import argparse
import json
import math
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from datetime import date, datetime
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import scipy.stats
from tqdm import tqdm

from lib.experiments.population import Digits, Toy
from lib.machine import ROOT, machine, versions
from lib.search.population import ancestors, train_population
from lib.search.spread import Spread
from lib.search.strategies import AddNoise, Perturb, Truncation
from lib.search.workers import asynchronous

SIZES = (1, 4, 16, 64, 256, 1024, 4096)
STEPS = 50  # of a round
LONG = 1000  # of a long round, in which Ray's cost of a round is spread over more steps
WORK = {"cpu": 400_000, "cuda": 4_000_000}  # member-steps of a measurement
LARGE = 65_536
TOY = {"members": 8, "rounds": 10, "steps": 10}
OURS, RAYS = 20, 10  # runs of the toy
ROUNDS = {"node": 60, "driver": 40}  # of four members, of 50 steps, while one of these is killed
KILLS = 3  # of drivers
TIMES = 3  # that the two that are compared are measured, in turn
PARTS = ("stack", "ray", "large", "toy", "failures")
NO_MEMBERS = ("ray::IDLE", "ray::DashboardAgent", "ray::RuntimeEnvAgent")  # of Ray's processes
MARK = "STEP_SIZE_STARTED"
SPREAD, UNDER_RAY = "numpy, 2 processes", ("Ray, in turns", "Ray, a process a member")  # ways of rows


class Timed:
    """A task that notes when each round ended."""

    def __init__(self, task):
        self.task, self.space, self.start, self.advance = task, task.space, task.start, task.advance
        self.ended = []

    def __repr__(self):
        return repr(self.task)

    def score(self, state):
        scores = self.task.score(state)
        self.ended.append(time.perf_counter())
        return scores


def digits(library="numpy", device="cpu"):
    """The task."""
    if library == "numpy":
        return Digits()
    import array_api_compat.torch as library
    import torch

    torch.set_num_threads(1)
    return Digits(library=library, device=device, block=None if device == "cuda" else Digits.block)


def stack(
    library: str,
    members: int,
    steps: int = STEPS,
    device: str = "cpu",
    rounds: int | None = None,
    processes: int = 1,
) -> dict:
    """Member-steps a second of `train_population`; of one process, also the bytes that a member adds to the largest
    memory held."""
    task = digits(library, device)
    with tempfile.TemporaryDirectory() as folder, Spread(task, processes) if processes > 1 else nullcontext(task) as it:
        task = Timed(it)
        began = time.perf_counter()
        train_population(task, processes, 2, 2, path=Path(folder, "warm.npz"))  # what is there before the first member
        start = time.perf_counter() - began if processes > 1 else 0.0
        before, task.ended = _held(device), []
        rounds = rounds or max(4, min(400, WORK[device] // (members * steps)))
        began = time.perf_counter()
        train_population(task, members, rounds, steps, path=Path(folder, "run.npz"))
        whole = time.perf_counter() - began + start
    rate = members * steps * (rounds - 1) / (task.ended[-1] - task.ended[0])
    found = {"rounds": rounds, "rate": rate, "whole": members * steps * rounds / whole}
    return found | ({"bytes a member": (_held(device) - before) / members} if processes == 1 else {})


def _held(device):
    """The largest memory that this process has held, in bytes. It is read where Linux keeps it: ``ru_maxrss`` would
    begin at what the process that started this one has held."""
    if device == "cuda":
        import torch

        return torch.cuda.max_memory_allocated()
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) * 1024


def under_ray(members: int, steps: int, rounds: int, cpus: float) -> dict:
    """Member-steps a second of `train_population_on_ray` on two processors, of those that the run needs: it does some
    that it discards. With the largest memory that Ray's processes hold together.

    Args:
        cpus: the share of a processor that a member claims, and so how many could train at the same time.
    """
    from lib.search.ray import read_rounds, train_population_on_ray

    with tempfile.TemporaryDirectory() as storage, _watched() as peak:
        began = time.time()
        train_population_on_ray(digits(), members, rounds, steps, storage=storage, workers=2, cpus=cpus)
        whole = time.time() - began
        times = [row["time"] for row in read_rounds(storage)]
    needed = members * rounds
    rate = (needed - members) * steps / (times[-1] - times[members - 1])
    done = {"rounds": rounds, "rate": rate, "whole": needed * steps / whole, "discarded rounds": len(times) - needed}
    return done | {"processes": peak["processes"], "bytes a member": peak["bytes"] / members}


@contextmanager
def _watched():
    """The largest memory, shared memory and files aside, of all processes below this one, and how many train."""
    peak, over = {"bytes": 0, "processes": 0}, threading.Event()

    def look():
        while not over.wait(0.5):
            held, training = 0, 0
            for process in psutil.Process().children(recursive=True):
                with suppress(psutil.Error):
                    memory = process.memory_info()
                    held += memory.rss - memory.shared
                training += _trains(process)
            peak["bytes"], peak["processes"] = max(peak["bytes"], held), max(peak["processes"], training)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()


# Processes that may be killed


@contextmanager
def processes():
    """A function that starts a process, and one that lists all those that are alive of it, of what it started, and so
    on. After the block none is, however it ends: Ray's agents outlive a driver that is killed, and have no parent then.
    They are known by a mark in their environment, which passes on."""
    marks = {}

    def start(command, **options):
        mark = uuid.uuid4().hex
        environment = (options.pop("env", None) or os.environ) | {MARK: mark}
        process = subprocess.Popen(command, start_new_session=True, env=environment, **options)
        marks[process.pid] = mark
        return process

    def alive(*started):
        wanted = {marks[process.pid] for process in started} if started else set(marks.values())
        return [process for process in psutil.process_iter() if _mark(process) in wanted]

    try:
        yield start, alive
    finally:
        end(alive)


def _mark(process):
    """None if it is dead, or the kernel's. A process whose program is being loaded shows no environment for a moment;
    one that still shows none after many looks has none."""
    with suppress(psutil.Error):
        for _ in range(100):
            if process.status() == psutil.STATUS_ZOMBIE or process.memory_info().vms == 0:
                return None
            if environment := process.environ():
                return environment.get(MARK)
            time.sleep(0.001)
    return None


def end(alive, *started) -> None:
    """Kill what ``alive`` of `processes` lists, each by its number, until it lists nothing."""
    while doomed := alive(*started):
        for process in doomed:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(doomed, timeout=5)


def wait_for(condition, seconds: float, what: str):
    """What ``condition()`` returns as soon as that is true.

    Raises:
        TimeoutError: it does not become true in time.
    """
    over = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > over:
            raise TimeoutError(f"throughput: {what} did not come within {seconds:.0f} s.")
        time.sleep(0.2)
    return found


def replays(record, task, steps, seed=0) -> bool:
    """Whether the weights of each member are, to the bit, those that its schedule makes from a fresh start."""
    from lib.search.population import Run, begin, taken

    first = begin(Run(task, record.scores.shape[1], 1, steps, seed=seed))[0]
    same = []
    for member in range(record.scores.shape[1]):
        line = ancestors(record, member)
        state = {name: taken(a, line[:1, 1]) for name, a in first.items()}
        for at in line:
            settings = {name: values[at[0], [at[1]]] for name, values in record.settings.items()}
            state = task.advance(state, settings, steps)
        same += [np.array_equal(a[0], record.state[name][member]) for name, a in state.items()]
    return all(same)


# Ours and Ray's


def toy(explore: str) -> dict:
    """The best last scores of runs with other seeds, ours of members that end their rounds almost together, as Ray's
    do; and the p-value of the test by Mann and Whitney that they are of one distribution."""
    import ray

    from lib.search.ray import train_population_on_ray

    given = TOY | {"exploit": Truncation(0.25), "explore": {"perturb": Perturb(), "noise": AddNoise(0.1)}[explore]}
    mine, its = [], []
    for seed in range(OURS):
        speeds = np.random.default_rng(seed).uniform(0.9, 1.1, TOY["members"])
        mine.append(asynchronous(Toy(), **given, seed=seed, speeds=speeds).scores[-1].max())
    ray.init(
        "local",
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=10**8,
        log_to_driver=False,
        logging_level="error",
        _node_ip_address="127.0.0.1",
    )
    try:
        for seed in range(OURS, OURS + RAYS):
            with tempfile.TemporaryDirectory() as storage:
                record = train_population_on_ray(Toy(), **given, seed=seed, storage=storage)
            its.append(record.scores[-1].max())
    finally:
        ray.shutdown()
    medians = {"median of ours": np.median(mine).item(), "median of Ray's": np.median(its).item()}
    return medians | {"p": scipy.stats.mannwhitneyu(mine, its).pvalue.item(), "ours": mine, "Ray's": its}


# Failures


class SlowDigits(Digits):
    """A round takes a while, so that a kill finds it in the middle."""

    def advance(self, state, settings, steps):
        time.sleep(0.3)
        return super().advance(state, settings, steps)


def drive(storage, killed, address=None):
    """The run of `failures`, or what is missing of it."""
    from lib.search.ray import train_population_on_ray

    workers = None if address else 2
    return train_population_on_ray(
        SlowDigits(), 4, ROUNDS[killed], STEPS, storage=storage, address=address, workers=workers
    )


def failures(killed: str, seconds: float = 150) -> dict:
    """What is left of a run of four members, when ``killed`` was killed with SIGKILL: a "node", one of two, while
    members trained there; or the "driver", with all of Ray that it had started, after which it is started again.

    Raises:
        TimeoutError, RuntimeError: something that must come did not come.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, processes() as (start, alive):
        storage, token = Path(folder, "storage"), Path(folder, "token")
        token.write_text(os.urandom(32).hex())
        secret = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token), "RAY_USAGE_STATS_ENABLED": "0"}
        os.environ.update(secret | {"PYTHONPATH": str(ROOT)})  # before Ray is imported, which reads it then
        from lib.search.ray import read_rounds

        def driver(address=None):
            code = f"from lib.referees.throughput import drive; drive({str(storage)!r}, {killed!r}, {address!r})"
            return start([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        kill = {"node": _kill_node, "driver": _kill_driver}[killed]
        found = kill(folder, start, alive, driver, lambda: read_rounds(storage), seconds)
        record, done = drive(storage, killed), read_rounds(storage)  # it is there: this trains nothing
    return found | {
        "members": record.scores.shape[1],
        "rounds": record.scores.shape[0],
        "rounds behind the weights": [len(ancestors(record, i)) for i in range(record.scores.shape[1])],
        "rounds done": len(done),
        "rounds done twice": done_twice(done),
        "weights replay to the bit": replays(record, Digits(), STEPS),
    }


def done_twice(rows: list[dict]) -> int:
    """How many rounds members did anew, since they were set back to a state of their own: from there a member does
    again, with the same settings, a round that it had done, and then all that it had done since. A member that copied
    has other settings, and its rounds are not among these."""
    twice, done = 0, {}
    for row in rows:
        its = done.setdefault(row["member"], [])
        same = [i for i, it in enumerate(its) if (it["from"], it["settings"]) == (row["from"], row["settings"])]
        if same:
            twice += len(its) - same[-1]
        its.append(row)
    return twice


def _kill_node(folder, start, alive, driver, rows, seconds):
    import ray

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--node-ip-address=127.0.0.1"]
    command += ["--num-cpus=2", "--object-store-memory=100000000"]

    def node(name, *options):
        told = Path(folder, name)
        with open(told, "w") as out:
            started = start([*command, *options], cwd=ROOT, stdout=out, stderr=subprocess.STDOUT)
        wait_for(lambda: "Ray runtime started" in told.read_text(), seconds, f"the {name} node")
        return started

    node("head", "--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={folder}/ray")
    second = node("second", f"--address=127.0.0.1:{port}")
    ray.init(f"127.0.0.1:{port}", log_to_driver=False, logging_level="error")
    nodes = lambda: sum(it["Alive"] for it in ray.nodes())
    wait_for(lambda: nodes() == 2, seconds, "the second node")
    drives = driver(f"127.0.0.1:{port}")
    wait_for(lambda: _fewest(rows()) >= 5, seconds, "five rounds of each member")
    there, before, began = sum(map(_trains, alive(second))), len(rows()), time.time()
    end(alive, second)
    wait_for(lambda: nodes() == 1, seconds, "word of the node's end")
    noticed, meanwhile = time.time(), len(rows()) - before
    wait_for(lambda: _fewest(rows(), noticed), seconds, "a round of each member on the node that is left")
    wait_for(lambda: drives.poll() is not None, seconds, "the end of the run")
    ray.shutdown()
    if drives.returncode:
        raise RuntimeError("throughput: the driver failed.")
    return {
        "members that trained there": there,
        "rounds done when it was killed": before,
        "rounds done until it was noticed": meanwhile,
        "seconds until it was noticed": noticed - began,
        "seconds until each member had gone on": _all_went_on(rows(), noticed) - began,
    }


def _kill_driver(folder, start, alive, driver, rows, seconds):
    drives = begun(driver, rows, 80, seconds)
    ended = len(alive())
    drives.kill()
    drives.wait()
    end(alive)
    before, began = len(rows()), time.time()
    drives = begun(driver, rows, before + 4, seconds)
    wait_for(lambda: drives.poll() is not None, seconds, "the end of the run")
    if drives.returncode:
        raise RuntimeError("throughput: the second driver failed.")
    return {
        "processes that were killed": ended,
        "rounds done when it was killed": before,
        "seconds until each member had gone on": _all_went_on(rows(), began) - began,
    }


def begun(drive, rows, many, seconds, tries=3):
    """A driver that has come to so many rounds: on a busy machine Ray gives up at times, and is started again.

    Raises:
        TimeoutError, RuntimeError: it has not.
    """
    for _ in range(tries):
        driver = drive()
        wait_for(lambda it=driver: len(rows()) >= many or it.poll() is not None, seconds, "the first rounds")
        if len(rows()) >= many:
            return driver
    raise RuntimeError(f"throughput: Ray did not start, {tries} times.")


def _fewest(rows, since=0.0):
    """How many rounds each of four members has ended, at least, since a time."""
    counts = Counter(row["member"] for row in rows if row["time"] > since)
    return min(counts[i] for i in range(4))


def _all_went_on(rows, since):
    """When each member had ended a round after a time."""
    return max({row["member"]: row["time"] for row in reversed(rows) if row["time"] > since}.values())


def _trains(process) -> bool:
    """Whether a process is one in which Ray trains members."""
    try:
        name = " ".join(process.cmdline())
    except psutil.Error:
        return False
    return name.startswith("ray::") and not name.startswith(NO_MEMBERS)


# The record


def jobs(parts, device) -> list[dict]:
    """What is to be measured: for each row, its part and its arguments."""
    libraries = ("numpy", "torch") if device == "cpu" else ("torch",)
    alone = {"part": "stack", "steps": STEPS, "processes": 1}
    rows = [alone | {"library": name, "members": n} for name in libraries for n in SIZES]
    if device == "cpu":
        two = alone | {"library": "numpy", "processes": 2}
        rows += [two | {"members": n} for n in SIZES if n not in (1, 64)]
        rows += [it | {"library": "numpy", "members": 64, "steps": LONG} for it in (alone, two)]
        names = "members", "steps", "rounds", "cpus"
        ray = lambda *plan: {"part": "ray"} | dict(zip(names, plan, strict=True))
        for run in range(TIMES):
            rows += [it | {"run": run} for it in (two | {"members": 64}, ray(64, STEPS, 6, 1))]
        rows += [ray(4, STEPS, 20, 1), ray(16, STEPS, 10, 1), ray(64, LONG, 3, 1), ray(64, STEPS, 4, 2 / 64)]
        rows.append({"part": "large", "library": "numpy", "members": LARGE, "steps": 10, "rounds": 3})
        rows += [{"part": "toy", "explore": explore} for explore in ("perturb", "noise")]
        rows.append({"part": "failures", "killed": "node"})
        rows += [{"part": "failures", "killed": "driver", "run": run} for run in range(KILLS)]
    return [row for row in rows if row["part"] in parts]


MEASURES = {"stack": stack, "ray": under_ray, "large": stack, "toy": toy, "failures": failures}


def measure(job: dict, device: str) -> dict:
    """The row of a job: what it was given and what was found."""
    given = {name: value for name, value in job.items() if name not in ("part", "run")}
    if job["part"] in ("stack", "large"):
        given["device"] = device
    now = {"at": datetime.now().strftime("%Y-%m-%d %H:%M"), "load before": round(os.getloadavg()[0], 2)}
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        found = process.submit(MEASURES[job["part"]], **given).result()
    return job | now | {name: _rounded(value) for name, value in found.items()}


def _rounded(value):
    if isinstance(value, list):
        return [_rounded(it) for it in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def way(row: dict) -> str:
    """How the members of a row were trained."""
    if row["part"] == "ray":
        return UNDER_RAY[row["cpus"] < 1]
    return f"{row['library']}, {row['processes']} processes" if row["processes"] > 1 else row["library"]


def middles(rows: list[dict]) -> pd.DataFrame:
    """Member-steps a second between rounds, ``rate``, and with the start, ``whole``, by the way, the members and the
    steps of a round; the medians of what was measured several times."""
    return timed(rows).groupby(["way", "members", "steps"]).median()


def timed(rows: list[dict]) -> pd.DataFrame:
    """The same, each measurement apart: also by its ``run``."""
    keys, rates = ["way", "members", "steps", "run"], ["rate", "whole"]
    rows = [{"run": 0} | it | {"way": way(it)} for it in rows if it["part"] in ("stack", "ray")]
    return pd.DataFrame(rows, columns=keys + rates).set_index(keys)


def summary(rows: list[dict]) -> dict:
    """What follows from the rows: the ratios of NumPy's stack of 64 members, in two processes, to Ray, each to what was
    measured after it, and of several their median; and how many members memory allows.

    The memory of n members is a n + b: from the two largest stacks.
    """
    found, rates = {}, timed(rows)
    for its in UNDER_RAY:
        if not {SPREAD, its} <= set(rates.index.get_level_values("way")):
            continue  # not measured yet
        ratios = rates.loc[SPREAD] / rates.loc[its]
        for steps, ratio in ratios.dropna().xs(64).groupby("steps").median().iterrows():
            found[f"ratio of rates to {its}, {steps} steps a round"] = _rounded(ratio["rate"])
            found[f"ratio of whole runs to {its}, {steps} steps a round"] = _rounded(ratio["whole"])
    held = {it["members"]: it["bytes a member"] for it in rows if it["part"] == "stack" and way(it) == "numpy"}
    if held.keys() >= set(SIZES[-2:]):
        small, large = SIZES[-2:]
        a_member = (large * held[large] - small * held[small]) / (large - small)
        memory = psutil.virtual_memory().total
        found["bytes a member"] = round(a_member)
        found["memory of the machine, GB"] = round(memory / 1e9, 1)
        found["largest population"] = int(memory / a_member)
    for it in rows:
        if it["part"] == "large":
            found["bytes a member of the large one"] = round(it["bytes a member"])
    for it in rows:
        if it["part"] == "toy":
            found[f"p of the toy, {it['explore']}"] = it["p"]
    kills = [it for it in rows if it["part"] == "failures"]
    if kills:
        found["kills"] = len(kills)
        found["kills after which the weights replay"] = sum(it["weights replay to the bit"] for it in kills)
        found["rounds done twice, at most"] = max(it["rounds done twice"] for it in kills)
    return found


def table(rows: list[dict]) -> pd.DataFrame:
    """Member-steps a second of stacks and of Ray, as text."""
    rates = middles(rows)["rate"].xs(STEPS, level="steps").unstack("way")
    return rates.map(lambda rate: "" if math.isnan(rate) else f"{rate:,.0f}")


def main(arguments=None) -> None:
    parser = argparse.ArgumentParser(prog="python -m lib.referees.throughput", description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="where stacks compute")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure; all by default")
    parser.add_argument("--again", action="store_true", help="forget the rows that there are of these parts")
    given = parser.parse_args(arguments)
    if given.device == "cuda":
        import torch

        if not torch.cuda.is_available():
            parser.error("--device cuda: PyTorch sees no GPU here.")
    path = ROOT / "results" / ("throughput.json" if given.device == "cpu" else "throughput-cuda.json")
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    is_of = lambda row, job: all(row.get(name) == value for name, value in job.items())
    wanted = jobs(given.parts, given.device)
    if not given.again:
        wanted = [job for job in wanted if not any(is_of(row, job) for row in rows)]
    for job in tqdm(wanted, desc="rows", file=sys.stderr):
        rows = [row for row in rows if not is_of(row, job)] + [measure(job, given.device)]
        record = {
            "command": f"OMP_NUM_THREADS=1 python -m lib.referees.throughput --device {given.device}",
            "date": date.today().isoformat(),
            "unit": "rate: member-steps a second, from the end of the first round to that of the last; whole: with the "
            "start; load: of the system, before the row was measured, at the hour that it tells",
            "seeds": f"0; of the toy, ours 0 to {OURS - 1}, Ray's {OURS} to {OURS + RAYS - 1}",
            "machine": machine(given.device),
            "versions": versions("numpy", "torch", "ray", "scipy", "array-api-compat"),
            "summary": summary(rows),
            "rows": rows,
        }
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(record, indent=1) + "\n")
    if rows:
        print(table(rows).to_string())
        print("\nMember-steps a second. " + "; ".join(f"{name}: {it:,}" for name, it in summary(rows).items()) + ".")
        print(f"Written to {path.relative_to(ROOT)}.")


if __name__ == "__main__":
    main()
