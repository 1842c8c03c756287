"""Experiments for tests, in three libraries; their command line: ``python -m tests.experiments.toys ROOT ...``."""

import os
import sys
import time
from pathlib import Path

import numpy as np

from lib.experiments.command import main
from lib.experiments.runs import Experiment
from lib.optimizers import RULES, Optimizer

START = {"w": np.array([3.0, -2.0]), "b": np.array([1.0])}
FAIL, LOG = "TOYS_FAIL", "TOYS_LOG"  # environment: which optimizer fails, and when; where epochs are noted


def jobs(seeds, small, pause, epochs):
    names = ("momentum", "adam")  # which is not the order of letters
    return [{"optimizer": name, "lr": lr, "seed": seed}
            for seed in range(seeds) for name in names for lr in ((0.01,) if small else (0.1, 0.01))]  # fmt: skip


def fail(job, epoch):
    if os.environ.get(FAIL) == f"{job['optimizer']} {epoch}":
        raise RuntimeError(f"as wanted, in epoch {epoch}")


def note(job, epoch):
    """Tell of each epoch that is kept."""
    if os.environ.get(LOG):
        with open(os.environ[LOG], "a") as file:
            file.write(f"{job['optimizer']} {job['lr']} {job['seed']} {epoch}\n")


def train(job, run):
    """Noisy descent to 0: the losses, the last one's inverse, and a number that is not finite."""
    optimizer, random = Optimizer(RULES[job["optimizer"]], lr=job["lr"]), np.random.default_rng(job["seed"])
    params, losses = START, []
    if run.state:
        params, random, losses = run.state["params"], run.state["random"], run.state["losses"]
        optimizer.t, optimizer.state = run.state["t"], run.state["optimizer"]
    for epoch in run.bar(job["epochs"]):
        for _ in range(5):
            grads = {name: x + random.standard_normal(x.shape) for name, x in params.items()}
            params = optimizer.step(params, grads)
        time.sleep(job["pause"])
        losses.append(float(sum((x**2).sum() for x in params.values())))
        run.log(epoch, loss=losses[-1])
        fail(job, epoch)
        run.keep(epoch, params=params, random=random, losses=losses, t=optimizer.t, optimizer=optimizer.state)
        note(job, epoch)
    return {
        "loss": np.float64(losses[-1]),
        "losses": np.array(losses),
        "inverse": np.float64(np.inf),
        "steps": optimizer.t,
    }


def tolerance(job):
    return {"loss": 1e-3, "losses": 1e-3} if job["lr"] == 0.01 else None


def torch_train(job, run):
    import torch

    random = torch.Generator().manual_seed(job["seed"])
    net = torch.nn.Linear(3, 2)
    torch.nn.init.uniform_(net.weight, generator=random)
    torch.nn.init.zeros_(net.bias)
    optimizer = getattr(torch.optim, job["optimizer"])(net.parameters(), lr=0.01)
    if run.state:
        net.load_state_dict(run.state["net"])
        optimizer.load_state_dict(run.state["optimizer"])
        random.set_state(run.state["random"])
    for epoch in run.bar(4):
        x = torch.randn(8, 3, generator=random)
        optimizer.zero_grad()
        loss = ((net(x) - x[:, :2]) ** 2).mean()
        loss.backward()
        optimizer.step()
        fail(job, epoch)
        run.keep(epoch, net=net.state_dict(), optimizer=optimizer.state_dict(), random=random.get_state())
        note(job | {"lr": 0}, epoch)
    return {"weights": [float(w) for w in net.weight.detach().ravel()], "loss": float(loss.detach())}


def keras_train(job, run):
    from lib.referees.keras import tensorflow

    tf = tensorflow()
    random = np.random.default_rng(job["seed"])
    w = tf.keras.Variable(random.standard_normal((3, 2)), dtype="float32")
    optimizer = getattr(tf.keras.optimizers, job["optimizer"])(learning_rate=0.01)
    optimizer.build([w])
    variables = [w, *optimizer.variables]
    if run.state:
        random = run.state["random"]
        for variable, value in zip(variables, run.state["variables"], strict=True):
            variable.assign(value)
    for epoch in run.bar(4):
        x = tf.constant(random.standard_normal((8, 3)), "float32")
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((x @ w - x[:, :2]) ** 2)
        optimizer.apply(tape.gradient(loss, [w.value]), [w])
        fail(job, epoch)
        run.keep(epoch, variables=[v.numpy() for v in variables], random=random)
        note(job | {"lr": 0}, epoch)
    return {"weights": w.numpy().ravel(), "loss": float(loss)}


def named(*names):
    return lambda seeds, small: [{"optimizer": name, "seed": 0} for name in names]


TOY = Experiment(
    "toy",
    "Two optimizers on a bowl.",
    "a second",
    jobs,
    train,
    seeds=2,
    options={"pause": (0.0, "seconds that an epoch takes longer"), "epochs": (6, "how many")},
    tolerance=tolerance,
)
TORCH = Experiment("torch", "PyTorch.", "a second", named("Adam", "SGD"), torch_train, packages=("torch",),
                   devices=("cpu", "cuda"))  # fmt: skip
KERAS = Experiment("keras", "Keras.", "a second", named("Adam", "RMSprop"), keras_train, packages=("keras",))
TOYS = (TOY, TORCH, KERAS)

if __name__ == "__main__":
    main(TOYS, sys.argv[2:], Path(sys.argv[1]))
