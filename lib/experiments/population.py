"""Tasks for a population (`lib.search.population`): the toy of the paper, and a small net on digits.

All members are trained at once, as a *stack*: every array has one more axis in front, the members. The net is written
once for NumPy and PyTorch, on a CPU or a GPU.

    python -m lib.experiments.population

compares populations with random searches over schedules of a fixed shape, in equally many steps, and writes
``results/population_digits.json``; see `compare`. Stopped and started again, it goes on.
"""

import argparse
import inspect
import json
import math
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from types import ModuleType
from typing import Any

import array_api_compat.numpy
import numpy as np
from array_api_compat import to_device
from sklearn.model_selection import train_test_split
from tqdm import tqdm

from lib import data
from lib.arrays import like
from lib.checks import COUNT, LENGTH, check_names, check_range, range_of
from lib.networks import dense_layers, he, stack
from lib.optimizers import decoupled, momentum
from lib.optimizers.rule import bare_step, first_state
from lib.schedules import cosine, one_cycle
from lib.search.halving import rungs
from lib.search.population import Record, Run, begin, schedule, taken, train_population
from lib.search.space import Dimension, LogUniform, Uniform, check_space
from lib.search.strategies import BinaryTournament, Perturb, Resample, TTest


@dataclass(frozen=True)
class Toy:
    """Climb 1.2 - theta_0^2 - theta_1^2, without seeing it: a member ascends the gradient of its surrogate
    1.2 - h_0 theta_0^2 - h_1 theta_1^2, whose hyperparameters h are searched. It starts at theta = (0.9, 0.9).

    Source: Jaderberg et al. 2017, arXiv 1711.09846, figure 2, with two members of h = (1, 0) and (0, 1). The rate is
    this book's.

    Raises:
        TypeError, ValueError: ``lr`` is not a finite number > 0.
    """

    lr: float = 0.01

    def __post_init__(self):
        check_range(LENGTH, "lr", self.lr, "Toy")

    @property
    def space(self) -> dict[str, Dimension]:
        return {"h0": Uniform(0, 1), "h1": Uniform(0, 1)}

    def start(self, seeds):
        return {"theta": np.full((len(seeds), 2), 0.9)}

    def advance(self, state, settings, steps):
        theta, h = state["theta"], np.stack([settings["h0"], settings["h1"]], axis=1)
        for _ in range(steps):
            theta = theta + self.lr * -2 * h * theta
        return {"theta": theta}

    def score(self, state):
        return 1.2 - (state["theta"] ** 2).sum(axis=1)


HANDICAPPED = {"h0": np.array([1.0, 0.0]), "h1": np.array([0.0, 1.0])}  # the two members of the figure


def _searched():
    return {"lr": LogUniform(1e-3, 1.0), "momentum": Uniform(0.0, 0.99), "weight_decay": LogUniform(1e-6, 1e-1)}


def _words(function):
    """A schedule with its numbers, as in cosine(lr=1.0, steps=100); another function by its name."""
    if not isinstance(function, partial):
        return getattr(function, "__qualname__", repr(function))
    return f"{_words(function.func)}({', '.join(f'{name}={value}' for name, value in function.keywords.items())})"


@dataclass(frozen=True)
class Digits:
    """A net with one hidden layer of ReLUs on `lib.data.digits`, cross-entropy, any rule that steps each entry alone.

    The score is minus the loss on a validation set. Neither it nor the test set is trained on.

    A state holds, each with a row a member, ``x``: all parameters of a net, one after the other; the rule's state; and
    ``t``, int64, the steps that these weights have taken. Batch t is a function of t and of the task's seed: all
    members see the same batches in the same order. That is fair, for their scores then differ by their settings and
    starts and by no luck of the draw; and a copy goes on with batches that its weights have not seen in this epoch.

    Args:
        rule: of ``lib.optimizers``.
        space: what is searched of its hyperparameters.
        fixed: values of others; the rest have the rule's defaults.
        hidden: units.
        batch: examples of a step.
        dtype: "float32" or "float64".
        library: namespace of array_api_compat, such as ``array_api_compat.torch``.
        device: of that library; None is its default.
        seed: of the split and the batches.
        factor: function of the step, counted from 0, that the rate is multiplied by, such as a schedule of lr = 1;
            None: the rate stays where a round's settings put it.
        block: how many members take all steps of a round before others begin. It changes no number, but on a CPU it
            matters whether the parameters stay in the cache; None: all at once, for a GPU.

    Raises:
        TypeError, ValueError: an argument, a fixed value or an end of a dimension is out of range; the rule does not
            step each entry alone, or takes curvature; it has no such hyperparameter, or one that has no value.
    """

    rule: Callable = field(default_factory=lambda: decoupled(momentum))
    space: dict[str, Dimension] = field(default_factory=_searched)
    fixed: dict[str, float] = field(default_factory=dict)
    hidden: int = 32
    batch: int = 16
    dtype: str = "float32"
    library: ModuleType = array_api_compat.numpy
    device: Any = None
    seed: int = 0
    factor: Callable | None = None
    block: int | None = 64

    def __post_init__(self):
        rule, where = self.rule, "Digits"
        check_range(COUNT, "hidden", self.hidden, where)
        check_range(COUNT, "batch", self.batch, where)
        if self.dtype not in ("float32", "float64"):
            raise ValueError(f"{where}: dtype must be 'float32' or 'float64', got {self.dtype!r}.")
        if rule.each != "entry" or rule.takes_curvature:
            why = (
                "takes curvature" if rule.takes_curvature else f"steps a whole {rule.each}, here of nets that are apart"
            )
            raise ValueError(f"{where}: {rule.__name__} {why}; choose a rule that steps each entry alone.")
        given = [*check_space(self.space, where), *self.fixed]
        check_names(given, rule.defaults, where)
        if missing := [
            name for name, value in rule.defaults.items() if value is inspect.Parameter.empty and name not in given
        ]:
            raise ValueError(f"{where}: {rule.__name__} needs {missing[0]}; search it, or fix it.")
        ends = [(name, dimension.at(u).item()) for name, dimension in self.space.items() for u in (0, 1)]
        for name, value in [*self.fixed.items(), *ends]:
            check_range(rule.ranges.get(name) or range_of(name), name, value, where)

    def __repr__(self):
        library = self.library.__name__.rsplit(".", 1)[-1]
        return (
            f"Digits(rule={self.rule.__name__}, fixed={self.fixed}, hidden={self.hidden}, batch={self.batch}, "
            f"dtype={self.dtype}, library={library}, device={self.device}, seed={self.seed}"
            f"{', factor=' + _words(self.factor) if self.factor else ''})"
        )

    @cached_property
    def parts(self) -> dict[str, tuple]:
        """The examples: "train", "validation" and "test" to pairs of arrays (n, 64) and (n, 10), a 1 at the class."""
        split = data.digits(seed=self.seed)
        x, validation_x, y, validation_y = train_test_split(
            split.x_train, split.y_train, test_size=0.25, random_state=self.seed, stratify=split.y_train
        )
        sets = {"train": (x, y), "validation": (validation_x, validation_y), "test": (split.x_test, split.y_test)}
        return {name: (self._array(x), self._array(np.eye(10)[y])) for name, (x, y) in sets.items()}

    def start(self, seeds):
        """Nets of He's initializer, each from its own seed."""
        nets = stack([dense_layers([64, self.hidden, 10], he, int(seed)) for seed in seeds])
        x = self._array(np.concatenate([a.reshape(len(seeds), -1) for a in nets.values()], axis=1))
        state = first_state(self.rule, x, self.rule.defaults | self.fixed)
        return {"x": x, **state, "t": self.library.asarray(np.zeros(len(seeds), dtype=np.int64), device=self.device)}

    def advance(self, state, settings, steps):
        """``steps`` steps on.

        Raises:
            ValueError: the members have not all taken as many steps so far.
        """
        t = int(state["t"][0])
        if (state["t"] != t).any():
            raise ValueError("Digits: members of a stack must have taken as many steps; advance them in stacks apart.")
        batches = self._batches(t, steps)
        done = []
        for block in self._blocks(state):
            x, remembered = state["x"][block], {name: state[name][block] for name in self.rule.state}
            searched = {name: like(x, values[block])[:, None] for name, values in settings.items()}
            hyperparameters = self.rule.defaults | self.fixed | searched
            with np.errstate(all="ignore"):  # a member that diverges is part of the picture
                for step, batch in enumerate(batches, start=t + 1):
                    now = hyperparameters
                    if self.factor is not None:
                        now = now | {"lr": now["lr"] * float(self.factor(step - 1))}
                    x, remembered = bare_step(self.rule, x, self.gradient(x, *batch), remembered, step, **now)
            done.append({"x": x, **remembered, "t": state["t"][block] + steps})
        return {name: self.library.concat([block[name] for block in done], axis=0) for name in state}

    def score(self, state):
        """Minus the cross-entropy on the validation set: float64 (members,)."""
        return -self.losses(state, "validation")

    def losses(self, state, part: str) -> np.ndarray:
        """The cross-entropy of every member on a part of the data: float64 (members,)."""
        return self._mean(state, part, lambda logits, y: -(y * self._log_softmax(logits)).sum(-1))

    def accuracies(self, state, part: str) -> np.ndarray:
        """The share of a part of the data that every member gets right: float64 (members,)."""
        best = lambda a: self.library.argmax(a, axis=-1)
        return self._mean(state, part, lambda logits, y: best(logits) == best(y))

    def _mean(self, state, part, measure):
        """Of what is measured of every example."""
        (inputs, targets), means = self.parts[part], []
        with np.errstate(all="ignore"):
            for block in self._blocks(state):
                measured = measure(self._logits(state["x"][block], inputs), targets)
                means.append(np.asarray(to_device(measured, "cpu"), dtype=float).mean(axis=1))
        return np.concatenate(means)

    # The net

    def unpack(self, x) -> list:
        """Of parameters (members, all), ``W1`` (members, 64, hidden), ``b1`` (members, 1, hidden), ``W2``, ``b2``."""
        shapes, arrays, start = [(64, self.hidden), (1, self.hidden), (self.hidden, 10), (1, 10)], [], 0
        for shape in shapes:
            arrays.append(self.library.reshape(x[:, start : start + math.prod(shape)], (len(x), *shape)))
            start += math.prod(shape)
        return arrays

    def gradient(self, x, inputs, targets):
        """Of every member's mean cross-entropy, with respect to its parameters: array (members, all).

        Args:
            x: parameters, (members, all).
            inputs, targets: (batch, 64), and (batch, 10) with a 1 at the class; for all members.
        """
        xp = self.library
        w1, b1, w2, b2 = self.unpack(x)
        h = inputs @ w1 + b1
        active = h > 0
        h = h * active
        at_logits = (xp.exp(self._log_softmax(h @ w2 + b2)) - targets) / len(targets)
        at_sums = at_logits @ w2.mT * active
        parts = inputs.mT @ at_sums, at_sums.sum(1), h.mT @ at_logits, at_logits.sum(1)
        return xp.concat([xp.reshape(g, (len(x), -1)) for g in parts], axis=1)

    def _logits(self, x, inputs):
        w1, b1, w2, b2 = self.unpack(x)
        h = inputs @ w1 + b1
        return h * (h > 0) @ w2 + b2

    def _log_softmax(self, logits):
        xp = self.library
        logits = logits - xp.max(logits, axis=-1, keepdims=True)
        return logits - xp.log(xp.exp(logits).sum(-1)[..., None])

    # Batches and blocks

    def _batches(self, t, steps):
        """The pairs of inputs and targets of steps t, t + 1, ...; each epoch has an order of its own."""
        x, y = self.parts["train"]
        if self.batch > len(x):
            raise ValueError(f"Digits: batch must be at most {len(x)}, the size of the training set, got {self.batch}.")
        an_epoch = len(x) // self.batch
        orders = {
            epoch: np.random.default_rng([self.seed, epoch]).permutation(len(x))
            for epoch in range(t // an_epoch, (t + steps - 1) // an_epoch + 1)
        }
        chosen = [
            orders[step // an_epoch][step % an_epoch * self.batch :][: self.batch] for step in range(t, t + steps)
        ]
        xp = self.library
        chosen = xp.asarray(np.concatenate(chosen), device=self.device)
        pick = lambda a: xp.reshape(xp.take(a, chosen, axis=0), (steps, self.batch, -1))
        return list(zip(pick(x), pick(y), strict=True))

    def _blocks(self, state):
        members = len(state["x"])
        size = self.block or members
        return [slice(i, i + size) for i in range(0, members, size)]

    def _array(self, numbers):
        return self.library.asarray(numbers, dtype=getattr(self.library, self.dtype), device=self.device)


# The comparison, and its record

RECORD = Path(__file__).parents[2] / "results" / "population_digits.json"
STEPS, MEMBERS, ROUNDS, FRESH = 1000, 16, 20, 16
COUNTS, LENGTHS = (4, 8, 32, 64), (5, 10, 50, 100)
TIMES = (0.5, 1, 2, 4)  # of a schedule's mean rate, held constant
SHAPES = {
    "constant": None,
    "cosine": partial(cosine, lr=1.0, steps=STEPS),
    "one cycle": partial(one_cycle, lr=1.0, steps=STEPS),
}
HALVING = rungs(9 * MEMBERS, STEPS, eta=3, most=3)  # of so many trainings that the steps in all are MEMBERS * STEPS


def random_search(task, members: int, steps: int, seed: int = 0) -> Record:
    """Members that never meet: a population without exploit and explore, of one round."""
    return train_population(task, members, 1, steps, exploit=None, explore=None, seed=seed)


def halved(task, plan: list[tuple[int, int]], seed: int = 0) -> Record:
    """A random search with early stopping: members begin, and the best go on; nobody copies, no setting changes.

    Args:
        plan: how many members there are, and how many steps each has taken, at each rung; see `rungs`.

    Returns:
        the record of those that came to the end, as one round.
    """
    state, settings = begin(Run(task, plan[0][0], 1, 1, seed=seed))
    scores, taken_steps = np.zeros(plan[0][0]), 0
    for n, steps in plan:
        best = np.sort(np.argsort(np.where(np.isnan(scores), np.inf, -scores), kind="stable")[:n])
        state = {name: taken(a, best) for name, a in state.items()}
        settings = {name: values[best] for name, values in settings.items()}
        state = task.advance(state, settings, steps - taken_steps)
        scores, taken_steps = task.score(state), steps
    rows = {name: values[None] for name, values in settings.items()}
    return Record(scores[None], rows, np.arange(n)[None], np.full((1, n), -1), state)


def member_steps(plan: list[tuple[int, int]]) -> int:
    """The steps that all members take together."""
    ends = [0, *(steps for _, steps in plan)]
    return sum(n * (end - begun) for (n, end), begun in zip(plan, ends, strict=False))


def winner(record: Record) -> int:
    """The member with the best last score."""
    return int(np.nanargmax(record.scores[-1]))


def retrained(task: Digits, schedules: dict, steps: int, nets: int = FRESH, seed: int = 10**6) -> dict:
    """The state of fresh nets that are trained by schedules and never copied.

    Args:
        schedules: of each hyperparameter its values (rounds,).
        steps: in a round.
    """
    state = task.start(np.arange(seed, seed + nets))
    for values in zip(*schedules.values(), strict=True):
        state = task.advance(state, {k: np.full(nets, v) for k, v in zip(schedules, values, strict=True)}, steps)
    return state


def constants(task: Digits, schedules: dict) -> list[float]:
    """What a schedule owes to its course: the mean test loss of fresh nets that are trained by the (geometric) mean of
    each of its settings all the way, the rate `TIMES` that."""
    means = {key: np.exp(np.log(values).mean(keepdims=True)) for key, values in schedules.items()}
    at = lambda times: retrained(task, means | {"lr": times * means["lr"]}, STEPS)
    return [round(float(task.losses(at(times), "test").mean()), 5) for times in TIMES]


class NoTrend(TTest):
    """Sees the scores less the median of all members in that round."""

    def __call__(self, history, random):
        median = np.nanmedian(history, axis=1, keepdims=True)
        return super().__call__(history - median, random)


@dataclass(frozen=True)
class PerturbGap:
    """`Perturb`, with the factors on 1 - momentum."""

    def __call__(self, settings, space, random):
        moved = Perturb()(settings, space, random)
        if "momentum" in settings:
            values, ends = settings["momentum"], space["momentum"]
            values = 1 - (1 - values) * random.choice((0.8, 1.2), len(values))
            moved["momentum"] = np.clip(values, ends.low, ends.high)
        return moved


def contenders() -> dict[str, tuple]:
    """By name: a function of (task, seed) to a `Record`, the factor of its task, and its rounds."""

    def population(members=MEMBERS, rounds=ROUNDS, **options):
        return lambda task, seed: train_population(task, members, rounds, STEPS // rounds, seed=seed, **options)

    def searched(members=MEMBERS):
        return lambda task, seed: random_search(task, members, STEPS, seed)

    early = lambda task, seed: halved(task, HALVING, seed)
    found = {name: (searched(), factor, 1) for name, factor in SHAPES.items()}
    found |= {"early stopping": (early, None, 1), "early stopping, cosine": (early, SHAPES["cosine"], 1)}
    found |= {"PBT": (population(), None, ROUNDS), "PBT on a cosine": (population(), SHAPES["cosine"], ROUNDS)}
    options = {
        "tournament": {"exploit": BinaryTournament()},
        "t-test": {"exploit": TTest()},
        "t-test, no trend": {"exploit": NoTrend()},
        "no explore": {"explore": None},
        "factors 0.5, 2": {"explore": Perturb((0.5, 2.0))},
        "factors 0.8, 1.25": {"explore": Perturb((0.8, 1.25))},
        "factors on 1 - momentum": {"explore": PerturbGap()},
        "resample 0.25": {"explore": Resample(0.25, Perturb())},
    }
    found |= {f"PBT, {name}": (population(**given), None, ROUNDS) for name, given in options.items()}
    found |= {f"PBT, {n} rounds": (population(rounds=n), None, n) for n in LENGTHS}
    for n in (50, 100):  # as fast a step as 20 rounds
        slower = Perturb((0.8 ** (ROUNDS / n), 1.2 ** (ROUNDS / n)))
        found[f"PBT, {n} rounds, small factors"] = population(rounds=n, explore=slower), None, n
    found["cosine, 24 members"] = searched(24), SHAPES["cosine"], 1  # as dear as PBT with its looks
    for n in COUNTS:
        found |= {f"{name}, {n} members": (searched(n), SHAPES[name], 1) for name in ("constant", "cosine")}
        found[f"PBT, {n} members"] = population(n), None, ROUNDS
    return found


def compare(seed: int, kept: dict | None = None) -> dict:
    """All contenders on one split of the data, with one seed: losses of the winner, who is chosen on the validation
    set, on that set and on the test set; the accuracy there; and the mean test loss of `FRESH` nets that are trained by
    the winner's schedules from the beginning. All begin with the settings and the nets that the seed draws. For PBT
    also `constants`.

    Args:
        kept: what an earlier call for this seed returned; contenders that it has are not trained again.
    """
    kept = kept or {"losses": {}, "schedules": {}}
    losses, schedules = {}, {}
    for name, (train, factor, rounds) in contenders().items():
        if name in kept["losses"]:
            losses[name] = kept["losses"][name]
            schedules |= {name: kept["schedules"][name]} if name in kept["schedules"] else {}
            continue
        task = Digits(seed=seed, batch=4, factor=factor)
        record = train(task, seed)
        best = winner(record)
        found = {key: schedule(record, best, key) for key in task.space}
        fresh = task.losses(retrained(task, found, STEPS // rounds), "test")
        measured = [-record.scores[-1, best], task.losses(record.state, "test")[best]]
        measured += [task.accuracies(record.state, "test")[best], fresh.mean()]
        losses[name] = [round(float(it), 5) for it in measured]
        if "members" not in name:
            schedules[name] = {key: [float(f"{value:.4g}") for value in values] for key, values in found.items()}
    held = kept.get("constants") or constants(Digits(seed=seed, batch=4), schedules["PBT"])
    return {"seed": seed, "losses": losses, "constants": held, "schedules": schedules}


def main(arguments=None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m lib.experiments.population", description=compare.__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="how many, from 0")
    given = parser.parse_args(arguments)
    if given.seeds < 1:
        parser.error(f"--seeds must be at least 1, got {given.seeds}")
    about = {
        "command": "python -m lib.experiments.population",
        "columns": "of the winner on validation: validation loss, test loss, test accuracy; mean test loss of "
        f"{FRESH} fresh nets by its schedules",
        "constants": f"mean test loss of {FRESH} fresh nets by the means of PBT's schedules, the rate times {TIMES}",
        "steps": STEPS,
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "system": platform.system()},
        "versions": {"python": platform.python_version(), "numpy": np.__version__},
    }
    done = []
    if RECORD.exists():
        kept = json.loads(RECORD.read_text())
        if {name: kept[name] for name in about} != about:
            parser.error(f"{RECORD} was begun on another machine or by other code; delete it, and all is trained anew")
        done = kept["runs"]
    whole = [run["losses"].keys() == contenders().keys() and "constants" in run for run in done]
    todo = [seed for seed in range(max(given.seeds, len(done))) if not (seed < len(done) and whole[seed])]
    for seed in tqdm(todo, desc="seeds", file=sys.stderr):
        done[seed : seed + 1] = [compare(seed, done[seed] if seed < len(done) else None)]
        beside = RECORD.with_suffix(".partial")
        beside.write_text(json.dumps(about | {"runs": done}) + "\n")
        os.replace(beside, RECORD)


if __name__ == "__main__":
    main()
