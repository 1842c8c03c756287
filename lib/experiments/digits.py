"""Six optimizers on handwritten digits at nine rates: what one rate for all says, and what each one's own says.

    python -m lib.experiments digits

A net with one hidden layer, batches of 32, no schedule. The record, ``results/digits.json``, has for each optimizer,
rate and seed the mean loss on the training and on the test set, and the accuracy on the latter, after the last epoch;
and the test loss after each. The seed draws the net and the batches; the split of the data is the same for all.
"""

import functools
import itertools
import math

from lib import data
from lib.experiments.runs import Experiment, Run
from lib.networks import accuracy, cross_entropy, dense_layers, forward, he, relu, value_and_grad
from lib.optimizers import RULES, Optimizer
from lib.stochastic_gradients import batches

RATES = (1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1.0)
# The largest rate, of these, at which roundings do not grow; above it, each processor has runs of its own.
STABLE = {"gradient_descent": 0.3, "momentum": 0.1, "adagrad": 1.0, "rmsprop": 0.01, "adadelta": 1.0, "adam": 0.03}
HIDDEN, BATCH = 32, 32


def jobs(seeds: int, small: bool) -> list[dict]:
    """Each optimizer at each rate with each seed; the small version has every other rate, and fewer epochs."""
    rates, epochs = (RATES[::2], 3) if small else (RATES, 10)
    grid = itertools.product(STABLE, rates, range(seeds))
    return [{"optimizer": name, "lr": lr, "epochs": epochs, "seed": seed} for name, lr, seed in grid]


split = functools.cache(data.digits)


def loss(params, x, y):
    """The mean cross-entropy of the examples."""
    return cross_entropy(forward(params, x, relu)[-1], y)


def train(job: dict, run: Run) -> dict:
    """The numbers of a job."""
    x, y, x_test, y_test = split()
    params = dense_layers([x.shape[1], HIDDEN, 10], he, job["seed"])
    optimizer, losses = Optimizer(RULES[job["optimizer"]], lr=job["lr"]), []
    if run.state:
        params, losses = run.state["params"], run.state["losses"]
        optimizer.t, optimizer.state = run.state["t"], run.state["optimizer"]
    an_epoch = math.ceil(len(x) / BATCH)
    draws = itertools.islice(batches(len(x), BATCH, job["seed"]), optimizer.t, None)
    for epoch in run.bar(job["epochs"]):
        for batch in itertools.islice(draws, an_epoch):
            _, grads = value_and_grad(lambda params, it=batch: loss(params, x[it], y[it]))(params)
            params = optimizer.step(params, grads)
        losses.append(float(loss(params, x_test, y_test)))
        run.log(epoch + 1, **{"test loss": losses[-1]})
        run.keep(epoch, params=params, losses=losses, t=optimizer.t, optimizer=optimizer.state)
    return {
        "train loss": float(loss(params, x, y)),
        "test loss": losses[-1],
        "test accuracy": accuracy(forward(params, x_test, relu)[-1], y_test),
        "test losses": losses,
    }


def tolerance(job: dict) -> dict | None:
    """Roundings, with a wide margin; none, where they grow."""
    if job["lr"] <= STABLE[job["optimizer"]]:
        return {"train loss": 1e-9, "test loss": 1e-9, "test losses": 1e-9}


DIGITS = Experiment(
    "digits",
    "Six optimizers on handwritten digits, each at nine rates.",
    cost="a minute or two of one core",
    jobs=jobs,
    train=train,
    packages=("numpy", "scikit-learn"),
    seeds=10,
    tolerance=tolerance,
)
