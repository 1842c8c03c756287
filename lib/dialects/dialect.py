"""What a dialect of a rule is: how a framework calls it, computes it, and agrees with the paper or does not."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from math import sqrt

from lib.checks import check_names, has_range

Numbers = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How a framework says one of the book's rules.

    A mapping from or to the paper's rule is a function ``(at, t)`` that returns the hyperparameters of the other side
    at step ``t``, counted from 1; ``at(t)`` is those of this side, under the book's names, at any step. It raises
    LookupError, with the reason, for hyperparameters that have no equal on the other side.

    Attributes:
        optimizer: what makes it in the framework, by its full name.
        rule: what it computes: the paper's rule, or that of the dialect where it differs.
        names: the framework's names for the book's hyperparameters, and for a state whose start it lets one choose; the
            entry of a tuple has a number: ``betas[0]``. None is the name of what the framework lets nobody choose.
        fixed: arguments that make the framework's optimizer this rule: ``amsgrad=True``.
        state: what the framework calls the rule's state. A state that it does not keep is left out.
        to_paper, from_paper: mappings to and from the hyperparameters with which the paper's rule takes the same steps,
            or the reason why there are none (but in a corner, maybe, such as a momentum of 0). Without either, the
            hyperparameters are the same. The first line of the docstring of ``to_paper`` says who takes the same steps.
    """

    optimizer: str
    rule: Callable
    names: dict[str, str | None]
    fixed: dict = field(default_factory=dict)
    state: dict[str, str] = field(default_factory=dict)
    to_paper: Callable[[Callable[[int], Numbers], int], Numbers] | str | None = None
    from_paper: Callable[[Callable[[int], Numbers], int], Numbers] | str | None = None

    def arguments(self, hyperparameters: dict) -> dict:
        """The framework's arguments for hyperparameters under the book's names.

        Raises:
            KeyError: the framework has no name for one of them.
        """
        arguments, tuples = dict(self.fixed), {}
        for ours, value in hyperparameters.items():
            name, _, index = (self.names[ours] or "").rstrip("]").partition("[")
            if not name:
                continue
            if index:
                tuples.setdefault(name, {})[int(index)] = value
            else:
                arguments[name] = value
        return arguments | {name: tuple(entries[i] for i in sorted(entries)) for name, entries in tuples.items()}


def translate(source: Dialect, target: Dialect, hyperparameters: dict) -> dict:
    """The hyperparameters, under the book's names, with which ``target`` takes the steps of ``source``.

    Args:
        source, target: dialects of one rule, or of the paper, as in ``lib.dialects.PAPER``.
        hyperparameters: all that can be chosen in ``source``, since defaults differ: numbers, or schedules, which are
            functions of the step, counted from 0. The start of a state may be among them.

    Returns:
        Numbers, and functions of the step where what the target needs changes with it. What a mapping takes for granted
        of parameters and gradients, its docstring says; nobody checks it.

    Raises:
        LookupError: there are none; the message says why. What comes with a schedule raises it at the step where there
            are none any more.
        KeyError: a hyperparameter is missing.
        TypeError: one is unknown.
    """
    check_names(hyperparameters, source.names, source.optimizer)
    needed = [name for name, theirs in source.names.items() if theirs and has_range(name)]
    if missing := [name for name in needed if name not in hyperparameters]:
        raise KeyError(f"hyperparameters lacks {', '.join(missing)}; add it: defaults differ between frameworks.")
    if source.rule is target.rule:
        return hyperparameters
    try:
        for mapping in (source.to_paper, target.from_paper):
            if isinstance(mapping, str):
                raise LookupError(mapping)
            if mapping is not None:
                hyperparameters = _map(mapping, hyperparameters)
        for name, value in hyperparameters.items():
            if name not in target.names:
                raise LookupError(f"{name}, here {value!r}, cannot be chosen in {target.optimizer}.")
    except KeyError:  # a fault in a mapping is no reason
        raise
    except LookupError as reason:
        raise LookupError(f"{source.optimizer} and {target.optimizer} cannot be made to agree: {reason}") from None
    return hyperparameters


def _map(mapping, hyperparameters: dict) -> dict:
    """``hyperparameters`` sent through ``mapping``; what comes out different from step to step is a schedule."""

    def at(t):
        return {name: value(t - 1) if callable(value) else value for name, value in hyperparameters.items()}

    # A schedule may change what comes out at any step: then all that the mapping computes is a schedule, too, and only
    # what it hands on, the very number that it was given, is none. A bound that sinks with the step, such as
    # Adafactor's on the rate, may be felt late; how late, the first step's hyperparameters tell.
    scheduled = any(map(callable, hyperparameters.values()))
    now, horizon = at(1), () if scheduled else (10**6,)
    first, *later = (mapping(at, t) for t in (1, 2, *horizon))
    with contextlib.suppress(LookupError):
        later.append(mapping(lambda t: now, 10**18))

    def changes(name):
        given = hyperparameters.get(name)
        if not has_range(name):  # where a state starts
            return False
        computed = scheduled and first[name] is not given
        return callable(given) or computed or any(mapped[name] != first[name] for mapped in later)

    return {
        name: (lambda step, name=name: mapping(at, step + 1)[name]) if changes(name) else value
        for name, value in first.items()
    }


def rate_outside(at, t):
    """The paper, at a constant rate; else with the momentum lr[t] / lr[t-1] times as large, if that is less than 1."""
    now, before = at(t), at(max(t - 1, 1))
    if now["momentum"] == 0:
        return now
    if now["lr"] == 0:  # x rests, and so must the velocity
        return now | {"momentum": 0.0}
    if before["lr"] == 0:
        raise LookupError(f"a rate of 0 wipes out a velocity that has it inside, and step {t} comes after one.")
    return now | {"momentum": _below_one(now["momentum"] * now["lr"] / before["lr"], t)}


def rate_inside(at, t):
    """A velocity without the rate in it, from one with it."""
    now, before = at(t), at(max(t - 1, 1))
    if now["momentum"] == 0:
        return now
    if now["lr"] == 0:
        raise LookupError(f"at a rate of 0, as at step {t}, a velocity with the rate inside may still move x.")
    return now | {"momentum": _below_one(now["momentum"] * before["lr"] / now["lr"], t)}


def _below_one(momentum, t):
    if momentum >= 1:
        raise LookupError(f"the rate changes so fast that at step {t} the momentum would have to be {momentum:.4g}.")
    return momentum


def constant_rate(at, t):
    """The paper, at a constant rate."""
    if at(t)["lr"] != at(1)["lr"] and at(t)["momentum"] != 0:
        raise LookupError("where the rate stands, inside the velocity or outside, matters as soon as it changes.")
    return at(t)


def eps_hat(at, t):
    """The paper with eps / sqrt(1 - beta2**t)."""
    now = at(t)
    return now | {"eps": now["eps"] / sqrt(1 - now["beta2"] ** t)}


def eps_corrected(at, t):
    """eps before the bias of v is removed, from eps after it."""
    now = at(t)
    return now | {"eps": now["eps"] * sqrt(1 - now["beta2"] ** t)}


def no_eps(at, t, but=""):
    """The paper, if eps is 0 in both."""
    now = at(t)
    if now["eps"] != 0:
        raise LookupError(f"eps inside the root has no equal outside it, unless it is 0{but}.")
    return now
