"""From the equation to the metal, rung by rung: seconds a step, on one core, of ever fewer passes over memory.

    python -m lib.referees.metal

writes ``results/metal.json``, from which the page draws. Two parts. The ladder: Adam in float32 at every size, as
written, in place, in chunks, as one kernel, and by torch, Keras and optax. The rules: each rule that steps entry by
entry, as written and as one kernel, at a few sizes.

Everybody has one core, so that passes are compared and not threads. Each round times every contender once, in an order
drawn anew, and a process keeps the smallest time of its rounds. There are several processes, because where arrays come
to lie in memory matters for as long as they lie there: the record has a time of each. In all stands the same sum in
place, whose bytes over its time are the bandwidth.

What "memory kept" changes is the allocator. By default the C library takes the memory of a large array from the system
and gives it back when the array is gone, so each new array is made of pages that were never touched. Told to keep what
is freed, it hands out the same pages again.
"""

import argparse
import ctypes
import json
import math
import os
import random
import resource
import statistics
import sys
import time
from datetime import date

import numpy as np
import torch
from tqdm import tqdm

from lib.experiments.metal import CHUNK, adam_in_chunks, adam_in_place
from lib.machine import ROOT, machine, versions
from lib.optimizers import RULES
from lib.referees import speed

RECORD = ROOT / "results" / "metal.json"
SIZES = (10, 100, 1000, 10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)
FEW_SIZES = (10, 1000, 1_000_000, 10_000_000)
ENTRYWISE = [name for name, rule in RULES.items() if rule.each == "entry" and not rule.takes_curvature]
KEPT = "our rule, memory kept"
RUNGS = ("our rule", "in place", "in chunks", "our Compiled, NumPy")
OTHERS = ("torch default", "torch foreach", "torch fused", "keras eager", "keras tf.function", "optax")
ROUNDS, AT_LEAST = 10, 0.002  # seconds that a reading takes, for clocks do not tell microseconds


def rung(step, size: int):
    """A function without arguments that takes one step of Adam with ``size`` parameters, by ``step``."""
    draw = np.random.default_rng(0)
    x, g = (draw.standard_normal(size, "float32") for _ in range(2))
    m, v = np.zeros_like(x), np.zeros_like(x)
    a, b = (np.empty(CHUNK if step is adam_in_chunks else size, "float32") for _ in range(2))
    now = [0]

    def take():
        now[0] += 1
        step(x, g, m, v, now[0], a, b)

    return take


def ladder(size: int, kept: bool = False) -> dict:
    """The contenders of a size, by name; with the memory kept the rule alone, beside the bandwidth."""
    if kept:
        only = {speed.BANDWIDTH, "our rule"}
        made = speed.contenders("adam", size, "float32", only=only)
        return {speed.BANDWIDTH: made[speed.BANDWIDTH], KEPT: made["our rule"]}
    made = speed.contenders("adam", size, "float32", only={speed.BANDWIDTH, *RUNGS, *OTHERS})
    return made | {"in place": rung(adam_in_place, size), "in chunks": rung(adam_in_chunks, size)}


def rules(size: int) -> dict:
    """Every rule twice, as written and as one kernel, by "rule: way"."""
    steps = {}
    for name in ENTRYWISE:
        made = speed.contenders(name, size, "float32", only={speed.BANDWIDTH, "our rule", "our Compiled, NumPy"})
        steps[speed.BANDWIDTH] = made.pop(speed.BANDWIDTH)
        steps |= {f"{name}: {way}": step for way, step in made.items()}
    return steps


def measure(steps: dict, rounds: int = ROUNDS) -> dict[str, float]:
    """Seconds a call of each function, the smallest of all rounds; a reading is of so many calls as take 2 ms."""
    best, calls = dict.fromkeys(steps, math.inf), {}
    for name, step in steps.items():
        step()  # compiles, and touches what was never touched
        start = time.perf_counter()
        step()
        calls[name] = max(1, min(100, round(AT_LEAST / (time.perf_counter() - start))))
    for _ in range(rounds):
        for name in random.sample(list(steps), len(steps)):
            step = steps[name]
            start = time.perf_counter()
            for _ in range(calls[name]):
                step()
            best[name] = min(best[name], (time.perf_counter() - start) / calls[name])
    return best


def faults(step) -> int:
    """Pages that a call touches for the first time."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def keep_memory() -> None:
    """Tell the C library to keep what is freed, in this process: M_MMAP_MAX = 0, a huge M_TRIM_THRESHOLD."""
    mallopt = ctypes.CDLL(None).mallopt
    if not (mallopt(-4, 0) and mallopt(-1, 2**31 - 1)):
        raise OSError("this C library has no such options of mallopt; measure on Linux with glibc.")


def sample(part: str, rounds: int = ROUNDS) -> list[dict]:
    """A process's times of a part, "ladder", "kept" or "rules": for each size, microseconds by contender."""
    torch.set_num_threads(1)
    if part == "kept":
        keep_memory()
    found = []
    for size in FEW_SIZES if part == "rules" else SIZES:
        steps = rules(size) if part == "rules" else ladder(size, kept=part == "kept")
        times = {name: round(1e6 * it, 3) for name, it in measure(steps, rounds).items()}
        touched = {} if part == "rules" else {name: faults(step) for name, step in steps.items()}
        found.append({"size": size, "times": times, "pages": touched})
    return found


def one_core() -> None:
    """Give this process and those that it starts one core and one thread."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def merged(samples: list[list[dict]]) -> list[dict]:
    """Of several processes' samples of a part: for each size the times of each contender, one a process, and pages."""
    rows = []
    for of_size in zip(*samples, strict=True):
        row = {"size": of_size[0]["size"]}
        row["times"] = {name: [it["times"][name] for it in of_size] for name in of_size[0]["times"]}
        if touched := of_size[0]["pages"]:
            row["pages"] = {name: round(statistics.median(it["pages"][name] for it in of_size)) for name in touched}
        rows.append(row)
    return rows


def main(arguments=None) -> None:
    parser = argparse.ArgumentParser(prog="python -m lib.referees.metal", description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=5, help="of the ladder; the rules take part in three fewer")
    given = parser.parse_args(arguments)
    if given.processes < 4:
        parser.error(f"--processes must be at least 4, got {given.processes}")
    one_core()
    wanted = given.processes * ["ladder", "kept"] + (given.processes - 3) * ["rules"]
    samples: dict[str, list] = {}
    for part in tqdm(wanted, desc="processes", file=sys.stderr):
        samples.setdefault(part, []).append(speed.alone(sample, part))
    record = {
        "command": "python -m lib.referees.metal",
        "date": date.today().isoformat(),
        "unit": "microseconds a step, one core, float32: of each process the smallest of its interleaved rounds; pages "
        "are those that a step touches for the first time",
        "machine": machine(),
        "versions": versions("numpy", "numba", "torch", "tensorflow", "keras", "jax", "optax"),
    } | {part: merged(found) for part, found in samples.items()}
    RECORD.parent.mkdir(exist_ok=True)
    RECORD.write_text(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
