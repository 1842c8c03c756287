"""How fast a step is: every rule on NumPy against torch.optim and Keras, all in one run.

    python -m lib.referees.speed

Ours run twice: the rule alone, and `Optimizer.step`, which runs it with all its checks. Each round times every
contender once, in an order drawn anew, so that a busy moment of the machine falls on all alike; the smallest time of
all rounds counts.
"""

import json
import random
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from lib.dialects import DIALECTS
from lib.optimizers import RULES, Optimizer
from lib.optimizers.rule import start
from lib.referees import keras as keras_referee
from lib.referees import torch as torch_referee
from lib.referees.machine import ROOT, machine, versions

SIZES = (10, 1_000, 10_000)
ROUNDS, CALLS = 40, 20
# The rules that both have, entry by entry.
MEASURED = [name for name in DIALECTS["torch"] if RULES[name].each == "entry" and name in DIALECTS["keras"]]
RECORD = ROOT / "results" / "speed.json"


def contenders(name: str, size: int, dtype) -> dict:
    """For each contender a function without arguments that takes one step with ``size`` parameters."""
    draw = np.random.default_rng(0)
    x, g = draw.standard_normal(size).astype(dtype), draw.standard_normal(size).astype(dtype)
    hyperparameters = RULES[name].defaults
    steps = {}

    rule, state, time = RULES[name], list(start(RULES[name], x, hyperparameters).values()), [1]

    def bare():  # state goes from step to step, as in a training loop
        new = rule(x, g, *state, *(time if rule.counts_steps else ()), **hyperparameters)
        state[:] = new[1:] if state else ()
        time[0] += 1

    steps["our rule"] = bare
    ours, params, grads = Optimizer(rule), [x], [g]
    steps["our Optimizer"] = lambda: ours.step(params, grads)

    for flavor in ("default", "foreach", "fused"):
        tensor = torch.tensor(x, requires_grad=True)
        tensor.grad = torch.tensor(g)
        optimizer = torch_referee.make(DIALECTS["torch"][name], [tensor], hyperparameters)
        if flavor != "default":
            if flavor not in optimizer.defaults:
                continue
            optimizer.param_groups[0][flavor] = True
            if flavor == "fused":
                optimizer.param_groups[0]["foreach"] = False
        try:
            optimizer.step()
        except RuntimeError:  # this optimizer has no fused kernel
            continue
        steps[f"torch {flavor}"] = optimizer.step

    tf = keras_referee.tensorflow()
    for flavor in ("eager", "tf.function"):
        variable, gradient = tf.Variable(x), tf.constant(g)
        optimizer = keras_referee.make(DIALECTS["keras"][name], hyperparameters)
        optimizer.build([variable])

        def step(optimizer=optimizer, variable=variable, gradient=gradient):
            optimizer.apply_gradients([(gradient, variable)])

        steps[f"keras {flavor}"] = step if flavor == "eager" else tf.function(step)
    return steps


def measure(steps: dict) -> dict[str, float]:
    """Seconds a call of each function, the smallest over all rounds."""
    best = dict.fromkeys(steps, float("inf"))
    for step in steps.values():
        step()
    for _ in range(ROUNDS):
        for name in random.sample(list(steps), len(steps)):
            start = time.perf_counter()
            for _ in range(CALLS):
                steps[name]()
            best[name] = min(best[name], (time.perf_counter() - start) / CALLS)
    return best


def main() -> None:
    torch.set_num_threads(1)
    rows = []
    for dtype in ("float32", "float64"):
        for size in SIZES:
            for name in MEASURED:
                best = measure(contenders(name, size, dtype))
                rows.append({"dtype": dtype, "size": size, "rule": name}
                            | {key: round(1e6 * seconds, 2) for key, seconds in best.items()})  # fmt: skip
                print(f"{dtype} {size:>6} {name}", file=sys.stderr)
    record = {
        "command": "python -m lib.referees.speed",
        "date": date.today().isoformat(),
        "unit": "microseconds a step, smallest of interleaved rounds, one thread",
        "machine": machine(),
        "versions": versions("numpy", "torch", "tensorflow", "keras"),
        "rows": rows,
    }
    RECORD.parent.mkdir(exist_ok=True)
    RECORD.write_text(json.dumps(record, indent=1) + "\n")
    table = pd.DataFrame(rows).set_index(["dtype", "size", "rule"])
    print(table.div(table["our rule"], axis=0).round(2).to_string())
    print(f"\nTimes as multiples of our rule's. Written to {RECORD.relative_to(Path.cwd())}.")


if __name__ == "__main__":
    main()
