"""The benchmark times the contenders that it names; how fast they are is for `make bench` to say, not for a test."""

import itertools

import numpy as np
import pytest
import torch

from lib.referees import speed


@pytest.mark.parametrize("name", speed.MEASURED)
def test_contenders_take_steps(name):
    steps = speed.contenders(name, 10, "float32")
    assert {
        "our rule",
        "our Optimizer",
        "torch default",
        "torch foreach",
        "keras eager",
        "keras tf.function",
    } <= steps.keys()
    for step in steps.values():
        step()


def test_every_contender_steps_the_same_parameters(monkeypatch):
    """One step of each from one start: their parameters agree, so their times are of the same work."""
    seen = []
    stepped = speed.Optimizer.step
    monkeypatch.setattr(
        speed.Optimizer, "step", lambda self, x, g: seen.append(stepped(self, x, g)[0]) or stepped(self, x, g)
    )
    tensors, make = [], torch.tensor
    monkeypatch.setattr(speed.torch, "tensor", lambda *a, **k: tensors.append(make(*a, **k)) or tensors[-1])
    steps = speed.contenders("gradient_descent", 10, "float64")
    steps["our Optimizer"]()
    for tensor in tensors[::2]:  # each parameter is followed by its gradient; one step was taken to warm up
        assert np.abs(tensor.detach().numpy() - seen[0]).max() <= 1e-15


def test_measure_keeps_the_smallest_time(monkeypatch):
    clock = itertools.chain([0.0, 5.0], itertools.accumulate(itertools.repeat(1.0), initial=10.0))
    monkeypatch.setattr(speed.time, "perf_counter", lambda: next(clock))
    calls = []
    best = speed.measure({"a": lambda: calls.append("a")})
    assert best == {"a": 1.0 / speed.CALLS}
    assert len(calls) == 1 + speed.ROUNDS * speed.CALLS
