"""The frameworks' schedules as referees: which rates they give, and at which steps these are not the book's.

`proof` and `pitfalls` make the tables of a chapter.
"""

import importlib
import inspect
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from math import inf, isclose
from types import SimpleNamespace

import numpy as np
import pandas as pd

from lib import schedules
from lib.dialects.schedules import COUNTERPARTS, Counterpart
from lib.referees import TITLES
from lib.referees import keras as keras_referee

STEPS = 201
LENGTHS = {"every", "milestones", "steps", "steps_up", "steps_down", "warmup_steps", "decay_steps"}
SURE = 1e-9  # no rounding in float64 makes a larger difference, as a share of the largest rate

MODULES = {
    "torch": ["torch.optim.lr_scheduler"],
    "keras": ["keras.optimizers.schedules", "keras.callbacks"],
    "optax": ["optax.schedules", "optax.contrib"],
}

# Schedules for the tables. They are over before half of the steps are.
SHOWN = [
    partial(schedules.constant, lr=0.3),
    partial(schedules.step, lr=0.3, every=30, gamma=0.7),
    partial(schedules.multi_step, lr=0.3, milestones=[20, 60, 61, 90], gamma=0.7),
    partial(schedules.exponential, lr=0.3, every=30, gamma=0.7),
    partial(schedules.inverse_time, lr=0.3, every=30, decay_rate=0.7),
    partial(schedules.linear, lr=0.3, steps=90, end=0.01),
    partial(schedules.polynomial, lr=0.3, steps=90, power=2.5),
    partial(schedules.cosine, lr=0.3, steps=90, end=0.01),
    partial(schedules.cosine_restarts, lr=0.3, steps=15, t_mult=3, end=0.01),
    partial(schedules.triangular, lr=0.3, start=0.01, steps_up=11, steps_down=19),
    partial(schedules.triangular2, lr=0.3, start=0.01, steps_up=11, steps_down=19),
    partial(schedules.exp_range, lr=0.3, start=0.01, steps_up=11, steps_down=19, gamma=0.99),
    partial(schedules.warm_up, steps=10, then=partial(schedules.cosine, lr=0.3, steps=80)),
    partial(schedules.noam, d_model=512, warmup_steps=40),
    partial(schedules.inverse_sqrt, lr=0.3, warmup_steps=40),
    partial(schedules.warmup_stable_decay, lr=0.3, steps=90, warmup_steps=10, decay_steps=30),
    partial(schedules.one_cycle, lr=0.3, steps=90),
    partial(schedules.one_cycle, lr=0.3, steps=90, shape=schedules.linear, three_phase=True),
    partial(schedules.reduce_on_plateau, lr=0.5, gamma=0.5, patience=3, rtol=0.0, atol=2**-6, cooldown=2, end=2**-9),
]


def losses(steps: int = STEPS) -> list[float]:
    """Losses that fall and stall: multiples of 1/1024, which float32 holds, since Keras compares losses in it."""
    draw = np.random.default_rng(0)
    falls = np.where(draw.uniform(size=steps) < 0.15, draw.uniform(0, 0.2, steps), 0.0)
    return (np.round(1024 * (8 - np.cumsum(falls) + draw.uniform(0, 0.1, steps))) / 1024).tolist()


# ---------- the rates of the book and of a framework ----------


def book_rates(schedule: partial, steps: int = STEPS) -> np.ndarray:
    """The rates of a schedule with its numbers filled in, at steps 0, 1, ...; what needs losses is told `losses`."""
    if schedule.func.__name__ in COUNTERPARTS.keys() - schedules.SCHEDULES.keys():
        rate, given = schedules.OnLoss(schedule.func, **schedule.keywords), []
        for loss in losses(steps):
            given.append(rate(len(given)))
            rate.tell(loss)
        return np.array(given)
    return np.array([schedule(t) for t in range(steps)])


def counterparts(framework: str, schedule: partial) -> list[Counterpart]:
    """What ``framework`` has for a schedule with these arguments: several things, or none."""
    given = arguments(schedule)
    lengths = [length for key in LENGTHS & given.keys() for length in np.atleast_1d(given[key] or 0)]
    if any(length % 1 for length in lengths):
        return []
    found = COUNTERPARTS.get(schedule.func.__name__, {}).get(framework, [])
    return [counterpart for counterpart in found if _value(counterpart.when, framework, schedule)]


def until(framework: str, schedule: partial, counterpart: Counterpart) -> float:
    """The last step at which the counterpart's rate is the book's."""
    return _value(counterpart.until, framework, schedule)


def rates(
    framework: str,
    schedule: partial,
    counterpart: Counterpart | None = None,
    *,
    blind: bool = False,
    steps: int = STEPS,
    number=np.float64,
) -> np.ndarray:
    """The rates that ``framework`` gives at steps 0, 1, ...; nan from the step on for which it raises an error.

    Args:
        framework: "torch", "keras" or "optax".
        schedule: of the book, with its numbers filled in.
        counterpart: of the schedule; by default the first.
        blind: whether to run the counterpart's blind code.
        steps: how many.
        number: makes the numbers that Keras is given; it computes in float64 with ``np.float64``, in float32 with
            ``float``.
    """
    counterpart = counterpart or counterparts(framework, schedule)[0]
    code = counterpart.blind if blind else counterpart.code
    told = losses(steps) if schedule.func is schedules.reduce_on_plateau else None
    given = list(_DRIVERS[framework](code, counterpart, schedule, steps, told, number))
    return np.array(given + [np.nan] * (steps - len(given)), dtype=float)


def arguments(schedule: partial) -> dict:
    """All arguments of a schedule with its numbers filled in, the defaults among them."""
    parameters = inspect.signature(schedule.func).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty} | schedule.keywords


def _names(framework, schedule, number) -> dict:
    """What the book's names in the code of a counterpart stand for; ``then`` still is the book's schedule."""
    names = {key: number(value) if isinstance(value, float) else value for key, value in arguments(schedule).items()}
    if "then" in names:
        then = names["then"]
        found = next(iter(counterparts(framework, then)), None)
        ends = until(framework, then, found) if found else inf
        names["inner"] = SimpleNamespace(schedule=then.func, until=ends, **_names(framework, then, number))
        names["first"] = number(then(0))
        names["base"] = (_value(found.lr, "torch", then) if framework == "torch" else names["first"]) if found else None
    return names


def _value(expression, framework, schedule):
    known = {"inf": inf, "isclose": isclose} | schedules.SCHEDULES
    return eval(expression, known | _names(framework, schedule, float))


def _make(framework, code, schedule, number, **more):
    """What ``code`` makes in ``framework``, with the arguments of ``schedule`` and ``more`` names."""
    names = {}
    for module in MODULES[framework]:
        names |= vars(importlib.import_module(module))
    names |= _names(framework, schedule, number) | more
    if "then" in names and (found := counterparts(framework, names["then"])):
        names["then"] = _make(framework, found[0].code, names["then"], number, **more)
    return eval(code, names)


def _torch_pair(code, counterpart, schedule):
    """An optimizer, and the scheduler that sets its rate."""
    import torch

    optimizer = torch.optim.SGD([torch.zeros(1)], lr=_value(counterpart.lr, "torch", schedule))
    with warnings.catch_warnings(action="ignore"):  # schedulers before the first step of the optimizer
        return optimizer, _make("torch", code, schedule, float, optimizer=optimizer)


def _torch(code, counterpart, schedule, steps, told, number) -> Iterator[float]:
    optimizer, scheduler = _torch_pair(code, counterpart, schedule)
    for t in range(steps):
        yield optimizer.param_groups[0]["lr"]
        optimizer.step()
        try:
            scheduler.step(*told[t : t + 1] if told else ())
        except ValueError:  # OneCycleLR after its end
            return


def _keras(code, counterpart, schedule, steps, told, number) -> Iterator[float]:
    keras = keras_referee.keras()
    made = _make("keras", code, schedule, number)
    if told is None:
        yield from (float(made(t)) if callable(made) else made for t in range(steps))
        return
    optimizer = keras.optimizers.SGD(schedule.keywords["lr"])
    made.set_model(SimpleNamespace(optimizer=optimizer))
    made.on_train_begin()
    for epoch, loss in enumerate(told):
        yield float(optimizer.learning_rate)
        made.on_epoch_end(epoch, {"val_loss": loss})


def _optax(code, counterpart, schedule, steps, told, number) -> list[float]:
    import jax
    import jax.numpy as jnp

    with jax.enable_x64(True):
        made = _make("optax", code, schedule, float)
        if told is None:
            return jax.vmap(lambda t: made(t) + 0.0 * t)(jnp.arange(steps)).tolist()
        update, state, given = jax.jit(made.update), made.init(jnp.zeros(())), []
        for loss in told:  # with a gradient of 1 the update is the scale of the rate
            scale, state = update(jnp.ones(()), state, value=loss)
            given.append(schedule.keywords["lr"] * float(scale))
        return given


_DRIVERS = {"torch": _torch, "keras": _keras, "optax": _optax}


# ---------- where they differ ----------


@dataclass(frozen=True)
class Comparison:
    """Two sequences of rates.

    Attributes:
        deviation: the largest difference that is one of rounding, in units of 2**-52 of the largest rate.
        steps: those at which the rates differ by more, or one is missing.
        gap: the largest difference at these steps; nan if all are missing.
    """

    deviation: float
    steps: np.ndarray
    gap: float


def compare(ours: np.ndarray, theirs: np.ndarray, sure: float = SURE) -> Comparison:
    """Compare rates; those that lie apart by more than ``sure``, as a share of the largest, do not by rounding.

    Raises:
        ValueError: the sequences differ in length, or a rate of ours is not finite, or all are 0.
    """
    if ours.shape != theirs.shape or not np.isfinite(ours).all() or not ours.any():
        raise ValueError(f"rates to compare must be as many, finite, and not all 0; got {ours!r} and {theirs!r}.")
    apart = np.abs(ours - theirs) / np.abs(ours).max()
    differ = ~(apart <= sure)
    gaps = np.abs(ours - theirs)[differ & np.isfinite(theirs)]
    deviation = apart[~differ].max(initial=0.0) / 2**-52
    return Comparison(float(deviation), np.flatnonzero(differ), float(gaps.max()) if len(gaps) else np.nan)


def proof(shown: list[partial] = SHOWN) -> pd.DataFrame:
    """Compare schedules with all that the frameworks have for them, here and now, in float64.

    Returns:
        One row a schedule and counterpart, as text. ``deviation`` is the largest difference by rounding, in units of
        2**-52 of the largest rate; at the steps ``differs at`` the rates differ, ``by up to`` so much.
    """
    rows = []
    for schedule in shown:
        ours = book_rates(schedule)
        for framework in TITLES:
            for counterpart in counterparts(framework, schedule):
                result = compare(ours, rates(framework, schedule, counterpart))
                rows.append(_row(schedule, framework) | {
                    "ours": in_full(schedule),
                    "counterpart": counterpart.code,
                    "only": _only(counterpart),
                    "deviation": f"{result.deviation:.1f}",
                    **_differs(result),
                    "because": counterpart.differs,
                })  # fmt: skip
    return pd.DataFrame(rows).set_index(["schedule", "framework"])


def pitfalls(shown: list[partial] = SHOWN) -> pd.DataFrame:
    """What goes wrong if one carries over names and defaults: one row a schedule and counterpart, as in `proof`."""
    rows = []
    for schedule in shown:
        ours = book_rates(schedule)
        for framework in TITLES:
            for counterpart in counterparts(framework, schedule):
                if counterpart.blind:
                    result = compare(ours, rates(framework, schedule, counterpart, blind=True))
                    rows.append(
                        _row(schedule, framework)
                        | {"wrong": counterpart.blind, "right": counterpart.code}
                        | _differs(result)
                    )
    return pd.DataFrame(rows).set_index(["schedule", "framework"])


def _row(schedule, framework):
    name = lambda value: (value.func if isinstance(value, partial) else value).__name__
    kind = [f"{key}={value if value is True else name(value)}" for key, value in schedule.keywords.items()
            if callable(value) or value is True]  # fmt: skip
    title = schedule.func.__name__ + (f"({', '.join(kind)})" if kind else "")
    return {"schedule": title, "framework": TITLES[framework]}


def _only(counterpart):
    begins = f"The optimizer's own rate is {counterpart.lr}." if counterpart.lr != "lr" else ""
    return f"{counterpart.only} {begins}".strip()


def in_full(schedule) -> str:
    """The call of a schedule of ours: step(lr=0.3, every=7)."""
    text = lambda value: in_full(value) if isinstance(value, partial) else getattr(value, "__name__", repr(value))
    return f"{schedule.func.__name__}({', '.join(f'{key}={text(value)}' for key, value in schedule.keywords.items())})"


def _differs(result):
    return {"differs at": in_words(result.steps), "by up to": f"{result.gap:.2g}" if len(result.steps) else ""}


def in_words(steps) -> str:
    """Steps as text: ranges, if they are few."""
    runs = np.split(steps, np.flatnonzero(np.diff(steps) > 1) + 1) if len(steps) else []
    texts = [str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs]
    return ", ".join(texts) if len(texts) <= 4 else f"{len(steps)} steps from {steps[0]} on"
