"""Steps to a loss against the batch, from 16 examples to the whole training set: what more machines can save.

    python -m lib.experiments batches

The net of `lib.experiments.digits`, constant rates, in factors of two. The record, ``results/batches.json``, has for
each optimizer, batch, rate and seed how many steps it took until the mean loss of all training images was at most
`GOAL`, looked at after each step, or None if it did not get there in `MOST`; and the accuracy on the test set then. The
largest batches also have rows with a warm-up. Decays and the trust coefficient are the defaults of the rules.
"""

import itertools
from functools import partial

import numpy as np
import pandas as pd

from lib.experiments.digits import HIDDEN, loss, split
from lib.experiments.records import table
from lib.experiments.runs import Experiment, Run, chaotic
from lib.networks import accuracy, dense_layers, forward, he, relu, value_and_grad
from lib.optimizers import RULES, Optimizer
from lib.schedules import constant, warm_up
from lib.stochastic_gradients import batches

GOAL, MOST = 0.1, 1000
KEEP = 100  # steps between two checkpoints
BATCHES = (16, 32, 64, 128, 256, 512, 1024, 1347)  # the last is the whole training set
POWERS = {  # of two: the rates
    "gradient_descent": range(-4, 2),
    "momentum": range(-7, 2),
    "adam": range(-8, -2),
    "lars": range(0, 9),
    "lamb": range(-9, -1),
}
WARMED = ("momentum", "lars", "lamb")  # at the whole batch, for so many steps:
WARM_UP = 10
LOST = {"steps": None, "test accuracy": None}


def jobs(seeds: int, small: bool) -> list[dict]:
    """The small version has three batches, and every other rate."""
    found = []
    for name, powers in POWERS.items():
        for batch, power in itertools.product(BATCHES[::3] if small else BATCHES, powers[::2] if small else powers):
            for warmup in (0, WARM_UP) if name in WARMED and batch >= 1024 else (0,):
                job = {"optimizer": name, "batch": batch, "lr": 2.0**power, "warmup": warmup}
                found += [job | {"seed": seed} for seed in range(seeds)]
    return found


def train(job: dict, run: Run) -> dict:
    """The numbers of a job."""
    (x, y, x_test, y_test), lr = split(), job["lr"]
    if job["warmup"]:  # the first step has a share of the rate, too
        start = lr / (job["warmup"] + 1)
        lr = partial(warm_up, then=partial(constant, lr=lr), steps=job["warmup"], start=start)
    params, optimizer = (
        dense_layers([x.shape[1], HIDDEN, 10], he, job["seed"]),
        Optimizer(RULES[job["optimizer"]], lr=lr),
    )
    burst = 10 * float(loss(params, x, y))
    if run.state:
        params, optimizer.t, optimizer.state = run.state["params"], run.state["t"], run.state["optimizer"]
    draws = itertools.islice(batches(len(x), job["batch"], job["seed"]), optimizer.t, None)
    for part in run.bar(MOST // KEEP, "parts"):
        for batch in itertools.islice(draws, KEEP):
            _, grads = value_and_grad(lambda params, it=batch: loss(params, x[it], y[it]))(params)
            try:
                params = optimizer.step(params, grads)
            except FloatingPointError:
                return LOST
            now = float(loss(params, x, y))
            if now <= GOAL:
                found = accuracy(forward(params, x_test, relu)[-1], y_test)
                return {"steps": optimizer.t, "test accuracy": found}
            if not now < burst:
                return LOST
        run.log(optimizer.t, **{"train loss": now})
        run.keep(part, params=params, t=optimizer.t, optimizer=optimizer.state)
    return LOST


def mean_steps(rows: list[dict], warmup: int = 0) -> pd.DataFrame:
    """The mean of the steps over the seeds, by optimizer and batch (rows) and rate (columns); nan where a seed did not
    arrive."""
    frame = table([row for row in rows if row["job"]["warmup"] == warmup])
    frame["steps"] = pd.to_numeric(frame["steps"])
    cells = frame.groupby(["optimizer", "batch", "lr"])["steps"].agg(lambda it: np.mean(it.to_numpy(float)))
    return cells.unstack("lr")


def tuned(rows: list[dict], warmup: int = 0) -> pd.DataFrame:
    """The rate of the fewest steps, the smaller of two, with the steps, by optimizer and batch; and whether it is
    inside of what was tried."""
    found = {}
    for key, cells in mean_steps(rows, warmup).iterrows():
        tried = [2.0**power for power in POWERS[key[0]]]
        lr = float(cells.idxmin())
        found[key] = {"lr": lr, "steps": cells[lr], "inside": tried[0] < lr < tried[-1]}
    frame = pd.DataFrame.from_dict(found, orient="index")
    frame.index = pd.MultiIndex.from_tuples(frame.index, names=["optimizer", "batch"])
    return frame


LARGE_BATCHES = Experiment(
    "batches",
    "Steps to a training loss on digits against the batch, five optimizers.",
    cost="ten minutes of one core",
    jobs=jobs,
    train=train,
    packages=("numpy", "scikit-learn"),
    seeds=3,
    tolerance=chaotic,
)
