"""Which words an optimizer learns: a table of word pairs, with six optimizers, on all of the text at once.

    python -m lib.experiments words

The text is the book's own (`lib.experiments.corpus`), in words, of which the 1,000 most frequent are kept. The model is
a table ``W`` of logits, a row for each word, a column for each that may follow it: the next word has the probabilities
softmax(W[word]). Its loss over the whole text is convex, and there is no noise: what is left is how often words occur.
The record, ``results/words.json``, has for each optimizer and rate:

- ``losses``: the loss after every ten of 100 steps, in nats a word, and the ``loss`` after the last;
- ``losses by frequency``: that of the next words in each of ten groups, the most frequent first, as often;
- ``steps by frequency``: by how much a step changes a logit of such a word, the root of the mean square over the column
  of the table, the mean over every tenth step.
"""

import functools
import math

import numpy as np

from lib.experiments import corpus
from lib.experiments.runs import Experiment, Run
from lib.networks import log_softmax
from lib.optimizers import RULES, Optimizer

VOCABULARY, GROUPS, EVERY = 1000, 10, 10
RATES = {
    "gradient_descent": (100.0, 300.0, 1000.0, 3000.0, 1e4),
    "momentum": (30.0, 100.0, 300.0, 1000.0, 3000.0),
    "adagrad": (1.0, 3.0, 10.0, 30.0, 100.0),
    "rmsprop": (0.03, 0.1, 0.3, 1.0, 3.0),
    "adadelta": (300.0, 1000.0, 3000.0, 1e4, 3e4),
    "adam": (0.1, 0.3, 1.0, 3.0, 10.0),
}


# The largest rate, of these, at which roundings do not grow; above it, each processor has runs of its own.
STABLE = {"gradient_descent": 300, "momentum": 300, "adagrad": 10, "rmsprop": 0, "adadelta": 300, "adam": 10}


def jobs(seeds: int, small: bool) -> list[dict]:
    """Each optimizer at each rate; nothing is drawn, so there are no seeds. The small version has 20 steps."""
    steps = 20 if small else 100
    return [{"optimizer": name, "lr": lr, "steps": steps} for name, rates in RATES.items() for lr in rates]


@functools.cache
def pairs() -> np.ndarray:
    """How often each word follows each other one in the training text: float64 (word, next word)."""
    tokens = corpus.words(VOCABULARY).train
    counts = np.zeros((VOCABULARY, VOCABULARY))
    np.add.at(counts, (tokens[:-1], tokens[1:]), 1)
    return counts


@functools.cache
def groups() -> np.ndarray:
    """The group of each word, by how often it comes next."""
    return corpus.frequency_groups(pairs().sum(axis=0), GROUPS)


def loss_and_grad(W: np.ndarray, counts: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean cross-entropy of the pairs that ``counts`` counts, and its gradient with respect to the table ``W``."""
    logp, n = log_softmax(W), counts.sum()
    expected = counts.sum(axis=1, keepdims=True) * np.exp(logp)
    return -(counts * logp).sum() / n, (expected - counts) / n


def losses_by_frequency(logp: np.ndarray, counts: np.ndarray, group: np.ndarray) -> np.ndarray:
    """The mean cross-entropy of the pairs whose next word is in each group of words; ``logp`` is the logarithm of the
    probabilities (word, next word)."""
    each = -(counts * np.where(counts > 0, logp, 0.0)).sum(axis=0)
    return np.bincount(group, each) / np.bincount(group, counts.sum(axis=0))


def best_table(counts: np.ndarray) -> np.ndarray:
    """The logarithm of the share of each next word: what no table of logits is better than. Where a pair does not
    occur it is -inf, so a table only comes near."""
    with np.errstate(divide="ignore"):
        return np.log(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0))


def train(job: dict, run: Run) -> dict:
    """The numbers of a job."""
    counts, group = pairs(), groups()
    optimizer = Optimizer(RULES[job["optimizer"]], lr=job["lr"])
    table, found = {"W": np.zeros(counts.shape)}, {"losses": [], "by frequency": [], "steps": []}
    if run.state:
        table, found = run.state["table"], run.state["found"]
        optimizer.t, optimizer.state = run.state["t"], run.state["optimizer"]
    for epoch in run.bar(job["steps"] // EVERY):
        for _ in range(EVERY):
            before = table["W"]
            table = optimizer.step(table, {"W": loss_and_grad(before, counts)[1]})
        found["losses"].append(float(loss_and_grad(table["W"], counts)[0]))
        found["by frequency"].append(losses_by_frequency(log_softmax(table["W"]), counts, group))
        moved = ((table["W"] - before) ** 2).mean(axis=0) ** 0.5
        found["steps"].append(corpus.mean_by_group(moved, np.arange(VOCABULARY), group))
        run.log(epoch + 1, loss=found["losses"][-1])
        run.keep(epoch, table=table, found=found, t=optimizer.t, optimizer=optimizer.state)
    return {
        "loss": found["losses"][-1],
        "losses": found["losses"],
        "losses by frequency": found["by frequency"],
        "steps by frequency": np.mean(found["steps"], axis=0),
    }


def tolerance(job: dict) -> dict:
    """Roundings, with a wide margin. Where they grow nothing is compared, but for RMSProp up to the rate 0.3: near the
    end, where gradients are small, it goes to and fro around each logit, by as much."""
    if job["lr"] <= STABLE[job["optimizer"]]:
        allowed = (1e-9,) * 4
    else:
        allowed = (1e-3, 1e-2, 0.1, 0.1) if job["optimizer"] == "rmsprop" and job["lr"] <= 0.3 else (math.inf,) * 4
    return dict(zip(("loss", "losses", "losses by frequency", "steps by frequency"), allowed, strict=True))


WORDS = Experiment(
    "words",
    "A table of word pairs, with six optimizers, on all of the text at once.",
    cost="a minute or two of one core",
    jobs=jobs,
    train=train,
    seeds=1,
    tolerance=tolerance,
)
