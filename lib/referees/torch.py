"""torch.optim as a referee: its optimizers, driven over a recording."""

import contextlib
import importlib
from collections.abc import Callable, Iterator

import numpy as np
import torch

from lib.dialects import Dialect
from lib.dialects.torch import DIALECTS
from lib.referees.recording import Moment, Recording, flat


def make(dialect: Dialect, params, hyperparameters: dict):
    """torch's optimizer for a rule, with hyperparameters (numbers) under the book's names."""
    module, name = dialect.optimizer.rsplit(".", 1)
    return getattr(importlib.import_module(module), name)(params, **dialect.arguments(hyperparameters))


# What torch computes less precisely than in double, by rule, though parameters are double.
ROUNDS = {
    "muon": "Newton-Schulz runs in bfloat16.",
}


@contextlib.contextmanager
def _double(dtype):
    """Let an optimizer compute as precisely as parameters of ``dtype``: in double, if those are.

    NAdam keeps the product of its momenta in float32 unless float64 is the default dtype. Muon calls bfloat16().
    """
    before, cast = torch.get_default_dtype(), torch.Tensor.bfloat16
    if dtype == torch.float64:
        torch.set_default_dtype(dtype)
        torch.Tensor.bfloat16 = torch.Tensor.clone
    try:
        yield
    finally:
        torch.set_default_dtype(before)
        torch.Tensor.bfloat16 = cast


def run(
    name: str, recording: Recording, array: Callable = torch.tensor, as_it_is: bool = False, **hyperparameters
) -> Iterator[Moment]:
    """Where torch.optim is after each step through a recording.

    Args:
        name: of the rule, as in ``lib.dialects.torch.DIALECTS``.
        recording: start and gradients; parameters take their dtype.
        array: makes a tensor of a NumPy array: of another dtype, or on another device.
        as_it_is: whether what torch rounds to less than double (`ROUNDS`) stays so; else it is double, as the rest.
        hyperparameters: all of the rule's, under the book's names; numbers, or schedules.
    """
    dialect = DIALECTS[name]
    at = lambda step: {key: value(step) if callable(value) else value for key, value in hyperparameters.items()}
    schedules = any(map(callable, hyperparameters.values()))
    params = [array(a).requires_grad_() for a in recording.start]
    optimizer = make(dialect, params, at(0))
    for step, gradients in enumerate(recording.gradients):
        if schedules:
            optimizer.param_groups[0].update(dialect.arguments(at(step)))
        for p, g in zip(params, gradients, strict=True):
            p.grad = array(g)
        with contextlib.nullcontext() if as_it_is else _double(params[0].dtype):
            optimizer.step()
        states = [optimizer.state[p] for p in params]
        counts = {int(s["step"]) for s in states if "step" in s}
        yield Moment(
            flat(params),
            {ours: flat(s[theirs] for s in states) for ours, theirs in dialect.state.items()},
            counts.pop() if counts else None,
        )


def replay(name: str, recording: Recording, **hyperparameters) -> np.ndarray:
    """The path that torch.optim takes through a recording: array (steps, coordinates). Arguments as in `run`."""
    return np.stack([moment.params for moment in run(name, recording, **hyperparameters)])
