"""How fast a step is, and how much memory it takes: ours against torch.optim, Keras and optax, all in one run.

    python -m lib.referees.speed [--device cuda] [--sizes 10 10000 ...] [RULE ...]

Ours run five times: the rule alone, on NumPy (on a GPU, on PyTorch); the same compiled by JAX, as optax is;
`Optimizer.step`, which runs it with all its checks; and `Compiled`, which makes one kernel of it, for PyTorch and, on a
CPU, for NumPy. Each round times every contender once, in an order drawn anew, so that a busy moment of the machine
falls on all alike, and the smallest time of all rounds counts. Where large arrays come to lie in memory makes a step up
to a quarter faster or slower, for as long as they lie there; so a million and ten million parameters are measured in
five processes. Where contenders fill most of the memory, the system moves pages about under them; so with a hundred
million two of them run at a time, beside PyTorch's `Compiled`, three times. A contender's time is the median of its
multiples of that `Compiled`'s. All may use all cores.

Beside the times stands the floor: the bytes that a step must move, over the bandwidth of this machine, measured in the
same rounds. Memory is what a step takes beyond what lies there before it, at its peak.

The record is written after each row; a run that was stopped goes on where it was, and ``--again`` starts anew.
"""

import argparse
import functools
import json
import math
import os
import random
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from multiprocessing import get_context
from pathlib import Path

import jax
import numpy as np
import optax
import pandas as pd
import psutil
import torch
from tqdm import tqdm

from lib.compiled import Compiled
from lib.dialects import DIALECTS
from lib.machine import ROOT, machine, versions
from lib.optimizers import RULES, Optimizer
from lib.optimizers.rule import first_state
from lib.referees import keras as keras_referee
from lib.referees import optax as optax_referee
from lib.referees import torch as torch_referee

SIZES = (10, 10_000, 1_000_000, 10_000_000, 100_000_000)
# The rules that torch and Keras have, entry by entry; of these, from a million parameters on, those that torch fuses.
MEASURED = [name for name in DIALECTS["torch"] if RULES[name].each == "entry" and name in DIALECTS["keras"]]
FUSED = ("gradient_descent", "momentum", "nesterov", "adagrad", "adam", "adamw", "amsgrad")
HUGE = 50_000_000  # parameters from which on contenders are measured two at a time
FEW = 100_000  # parameters up to which `Optimizer`, which looks at every entry, takes part
# What is timed for the floor, and the arrays that it moves: on a CPU a sum in place, since a copy there reads what it
# overwrites, unseen; on a GPU a copy.
BANDWIDTH = "bandwidth"
# PyTorch's. It takes part in every process, so that the others' times can be compared across them.
REFERENCE = "our Compiled"
MOVES = {"cpu": 3, "cuda": 2}


def contenders(name: str, size: int, dtype: str, device: str = "cpu", only=None) -> dict:
    """For each contender a function without arguments that takes one step with ``size`` parameters.

    Args:
        name: of a rule in `MEASURED`.
        size: entries of the one parameter.
        dtype: "float32" or "float64".
        device: "cpu", or "cuda", where only ours and torch take part.
        only: names of those to make; all by default.
    """
    draw = np.random.default_rng(0)
    x, g = (draw.standard_normal(size, dtype) for _ in range(2))
    hyperparameters = RULES[name].defaults
    tensor = lambda: torch.tensor(x, device=device)
    gradient = torch.from_numpy(g).to(device)
    given = lambda: (x, g) if device == "cpu" else (tensor(), gradient)
    torchs = lambda flavor: _torch(name, tensor(), gradient.clone(), flavor, hyperparameters)  # some write into it
    make = {BANDWIDTH: lambda: _bandwidth(tensor()), "our rule": lambda: _rule(name, *given(), hyperparameters)}
    if size <= FEW:
        make["our Optimizer"] = lambda: _optimizer(Optimizer(RULES[name]), *given())
    make[REFERENCE] = lambda: _optimizer(Compiled(RULES[name]), tensor(), gradient)
    if device == "cpu":
        make["our Compiled, NumPy"] = lambda: _optimizer(Compiled(RULES[name]), x.copy(), g)
    make |= {f"torch {flavor}": functools.partial(torchs, flavor) for flavor in ("default", "foreach", "fused")}
    if device == "cpu":
        kerases = functools.partial(_keras, name, x, g, hyperparameters)
        make |= {f"keras {flavor}": functools.partial(kerases, flavor) for flavor in ("eager", "tf.function")}
        if name in DIALECTS["optax"]:
            make["optax"] = lambda: _optax(name, x, g, hyperparameters)
            make["our rule, jax.jit"] = lambda: _jitted(name, x, g, hyperparameters)
    return {key: step for key in make if (only is None or key in only) and (step := make[key]())}


def _bandwidth(a):
    b = torch.zeros_like(a)
    return (lambda: a.add_(b)) if a.device.type == "cpu" else (lambda: b.copy_(a))


def _rule(name, x, g, hyperparameters):
    rule, now = RULES[name], [1]
    state = list(first_state(rule, x, hyperparameters).values())

    def step():  # state goes from step to step, as in a training loop
        new = rule(x, g, *state, *(now if rule.counts_steps else ()), **hyperparameters)
        state[:] = new[1:] if state else ()
        now[0] += 1

    return step


def _optimizer(optimizer, x, g):
    params, grads = [x], [g]
    return lambda: optimizer.step(params, grads)


def _torch(name, x, g, flavor, hyperparameters):
    x.requires_grad_().grad = g
    optimizer = torch_referee.make(DIALECTS["torch"][name], [x], hyperparameters)
    if flavor != "default" and flavor not in optimizer.defaults:
        return None
    flags = {"foreach": flavor == "foreach", "fused": flavor == "fused"} if flavor != "default" else {}
    optimizer.param_groups[0].update({flag: on for flag, on in flags.items() if flag in optimizer.defaults})
    try:
        optimizer.step()
    except RuntimeError:  # this optimizer has no fused kernel
        return None
    return optimizer.step


def _keras(name, x, g, hyperparameters, flavor):
    tf = keras_referee.tensorflow()
    variable, gradient = tf.Variable(x), tf.constant(g)
    optimizer = keras_referee.make(DIALECTS["keras"][name], hyperparameters)
    optimizer.build([variable])
    step = lambda: optimizer.apply_gradients([(gradient, variable)])
    return step if flavor == "eager" else tf.function(step)


def _optax(name, x, g, hyperparameters):
    transformation = optax_referee.make(DIALECTS["optax"][name], hyperparameters)

    def update(params, state, gradient):
        updates, state = transformation.update(gradient, state, params)
        return optax.apply_updates(params, updates), state

    return _jax(update, transformation.init, x, g)


def _jitted(name, x, g, hyperparameters):
    rule = RULES[name]

    def update(params, state, gradient):
        *state, t = state
        new = rule(params, gradient, *state, *((t,) if rule.counts_steps else ()), **hyperparameters)
        params, *state = new if state else (new,)
        return params, (*state, t + 1)

    return _jax(update, lambda params: (*first_state(rule, params, hyperparameters).values(), jax.numpy.array(1)), x, g)


def _jax(update, first, x, g):
    """A step of ``update``, (params, state, gradient) -> (params, state), from the state ``first(params)``."""
    with jax.enable_x64(x.dtype == np.float64):
        params, gradient = jax.numpy.asarray(x), jax.numpy.asarray(g)
        now = [params.copy(), first(params)]
    compiled = jax.jit(update, donate_argnums=(0, 1))  # what was is overwritten, as everywhere else

    def step():
        with jax.enable_x64(x.dtype == np.float64):
            now[:] = compiled(*now, gradient)
            now[0].block_until_ready()

    return step


def measure(steps: dict, size: int = 1, device: str = "cpu") -> dict[str, float]:
    """Seconds a call of each function, the smallest over all rounds; fewer of these where steps are of a large size."""
    best = dict.fromkeys(steps, math.inf)
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    few = size <= FEW
    rounds, calls = (40, 20) if few else (20, 1) if size < HUGE else (10, 1)
    calls = max(calls, 5) if device == "cuda" else calls
    for step in steps.values():
        step()
    for _ in range(rounds):
        for name in random.sample(list(steps), len(steps)):
            wait()
            start = time.perf_counter()
            for _ in range(calls):
                steps[name]()
            wait()
            best[name] = min(best[name], (time.perf_counter() - start) / calls)
    return best


def peak(step, device: str = "cpu") -> int | None:
    """Bytes that a step holds at its peak, beyond those that are held before it; None where nobody can tell."""
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not reset.exists():
        return None
    kilobytes = lambda key: int(status.read_text().split(f"{key}:")[1].split()[0])
    reset.write_text("5")  # the highest mark is from now on that of now
    before = kilobytes("VmRSS")
    step()
    return 1024 * max(0, kilobytes("VmHWM") - before)


def sample(name: str, size: int, dtype: str, device: str, only=None) -> tuple[dict, dict]:
    """Seconds a step of each contender, and of large sizes the bytes that a step holds at its peak."""
    torch.set_num_threads(os.cpu_count() or 1)
    steps = contenders(name, size, dtype, device, only)
    seconds = measure(steps, size, device)
    del steps[BANDWIDTH]
    # Below, what the allocator keeps in reserve would hide it.
    return seconds, {key: peak(step, device) for key, step in steps.items()} if size >= 10_000_000 else {}


def processes(size: int, device: str) -> list:
    """The contenders of each process: all, or of huge arrays two beside `REFERENCE`, so that most memory stays free."""
    if size <= FEW:
        return [None]
    if size < HUGE or device == "cuda":
        return 5 * [None]
    pairs = [("our rule", "torch default"), ("torch foreach", "torch fused"), ("keras eager", "keras tf.function"),
             ("optax", "our rule, jax.jit"), ("our Compiled, NumPy",)]  # fmt: skip
    return 3 * [{BANDWIDTH, REFERENCE, *pair} for pair in pairs]


def alone(function, *arguments):
    """What ``function`` returns in a process of its own, which gives all memory back."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(function, *arguments).result()


def together(times: list[dict]) -> dict:
    """Seconds a step of each contender, of those of several processes: the median of its multiples of `REFERENCE`'s."""
    reference = statistics.median(it[REFERENCE] for it in times)
    names = dict.fromkeys(key for it in times for key in it)
    return {key: reference * statistics.median(it[key] / it[REFERENCE] for it in times if key in it) for key in names}


def row(name: str, size: int, dtype: str, device: str) -> dict:
    """Times in microseconds, the floor among them, and peaks in bytes a parameter."""
    given = name, size, dtype, device
    samples = [sample(*given) if size <= FEW else alone(sample, *given, only) for only in processes(size, device)]
    times, held = zip(*samples, strict=True)
    median = together(times)
    seconds = median.pop(BANDWIDTH)
    itemsize, arrays = np.dtype(dtype).itemsize, 1 + len(RULES[name].state)
    moved = itemsize * size * (2 * arrays + 1)  # x and the state are read and written, the gradient is read
    bandwidth = MOVES[device] * itemsize * size / seconds
    found = {"dtype": dtype, "size": size, "rule": name, "floor": moved / bandwidth} | median
    found = {key: round(1e6 * it, 2) if isinstance(it, float) else it for key, it in found.items()}
    if held := {key: it for holds in held for key, it in holds.items()}:
        found["GB/s"] = round(bandwidth / 1e9, 1)
        found["peak"] = {key: None if it is None else round(it / size, 2) for key, it in held.items()}
    return found


def rows_wanted(rules, sizes, device) -> list[tuple]:
    """(name, size, dtype) of every row, in order."""
    dtypes = lambda size: ("float32", "float64") if size <= FEW else ("float32",)
    chosen = lambda size: [name for name in rules if size <= FEW or name in FUSED]
    return [(name, size, dtype) for size in sizes for dtype in dtypes(size) for name in chosen(size)]


def lacking(name: str, size: int, dtype: str, device: str) -> str:
    """Why a row cannot be measured here: the memory that the contenders of a process take together; or nothing."""
    itemsize, states = np.dtype(dtype).itemsize, len(RULES[name].state)
    if device == "cuda":
        arrays, free = 12 + 5 * states, torch.cuda.mem_get_info()[0]
    else:  # what is there for the asking, files in the page cache included
        arrays, free = (34 + 10 * states if size < HUGE else 17 + 3 * states), psutil.virtual_memory().available
    needed = arrays * size * itemsize
    words = f"{name} of {size:,}: contenders take {needed / 1e9:.0f} GB, {free / 1e9:.0f} GB are free; left out."
    return words if needed > free else ""


def ratios(rows: list[dict]) -> pd.DataFrame:
    """Times as multiples of the fastest of ours, the rule or a `Compiled`, as text; of rows of a record."""
    table = pd.DataFrame(rows).drop(columns=["peak", "GB/s"], errors="ignore")
    table["floor"] = table["floor"].where(table["size"] > FEW)  # with few bytes, the call is what was measured
    table = table.assign(size=table["size"].map("{:,}".format)).set_index(["rule", "dtype", "size"])
    ours = [key for key in table if key == "our rule" or key.startswith(REFERENCE)]
    table = table.div(table[ours].min(axis=1), axis=0)
    return table.map(lambda ratio: "" if math.isnan(ratio) else f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}")


def peaks(rows: list[dict]) -> pd.DataFrame:
    """What steps of large sizes hold at their peak, in bytes a parameter, as text; of rows of a record."""
    rows = [{"rule": it["rule"], "size": f"{it['size']:,}"} | it["peak"] for it in rows if "peak" in it]
    table = pd.DataFrame(rows).set_index(["rule", "size"])
    return table.map(lambda held: "" if held is None or math.isnan(held) else f"{held:.1f}")


def main(arguments=None) -> None:
    parser = argparse.ArgumentParser(prog="python -m lib.referees.speed", description=__doc__.splitlines()[0])
    parser.add_argument("rules", nargs="*", metavar="RULE", help=f"which of {', '.join(MEASURED)}; all by default")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="where all compute")
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES, help="how many parameters")
    parser.add_argument("--again", action="store_true", help="forget the record that there is")
    given = parser.parse_args(arguments)
    if strangers := set(given.rules) - set(MEASURED):
        parser.error(f"no rule {', '.join(sorted(strangers))}; choose among {', '.join(MEASURED)}.")
    if given.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: PyTorch sees no GPU here.")
    path = ROOT / "results" / ("speed.json" if given.device == "cpu" else "speed-cuda.json")
    rows = json.loads(path.read_text())["rows"] if path.exists() and not given.again else []
    wanted = rows_wanted(given.rules or MEASURED, given.sizes, given.device)
    done = {(it["rule"], it["size"], it["dtype"]) for it in rows}
    for name, size, dtype in tqdm([it for it in wanted if it not in done], desc="rows", file=sys.stderr):
        if reason := lacking(name, size, dtype, given.device):
            tqdm.write(reason)
            continue
        rows.append(row(name, size, dtype, given.device))
        record = {
            "command": f"python -m lib.referees.speed --device {given.device}",
            "date": date.today().isoformat(),
            "unit": "microseconds a step, smallest of interleaved rounds, all cores; from 1,000,000 parameters on "
            "the median of the multiples of our Compiled in several processes; peaks in bytes a parameter",
            "machine": machine(given.device),
            "versions": versions("numpy", "torch", "tensorflow", "keras", "jax", "optax"),
            "rows": rows,
        }
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(record, indent=1) + "\n")
    if rows:
        print(ratios(rows).to_string())
        print(f"\nTimes as multiples of the fastest of ours. Written to {path.relative_to(ROOT)}.")


if __name__ == "__main__":
    main()
