"""Rules that step PyTorch's tensors, on the CPU and on a GPU where there is one, agree with PyTorch's own optimizers
there: with those it takes by default, and with its fused kernels. On a GPU Keras joins through its PyTorch backend.

    KERAS_BACKEND=torch pytest tests/referees/test_cuda.py
"""

from dataclasses import replace

import pytest
import torch

from lib.dialects.keras import DIALECTS as KERAS
from lib.dialects.torch import DIALECTS as TORCH
from lib.optimizers import RULES
from lib.referees import BOUND, WIDER, judge, task
from lib.referees.speed import FUSED
from tests.optimizers.proofs import BACKEND, STATE_BOUND

on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no GPU")
devices = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=on_a_gpu)])
recordings = pytest.mark.parametrize("recording", ["every_size", "patterns"])


def agrees(framework, name, recording, device):
    judgment = judge(framework, name, *task(name, recording), array=lambda a: torch.tensor(a, device=device))
    bound, _ = WIDER.get((name, framework), (BOUND, None))
    if framework == "keras":  # it shrinks x as PyTorch does, adds a step in two parts, rounds a constant step
        bound = max(bound, WIDER["adamw", "torch"][0] if "weight_decay" in RULES[name].defaults else 2 * BOUND)
    assert judgment.absolute <= bound, judgment
    assert max(judgment.states.values(), default=0) <= STATE_BOUND, judgment


@devices
@recordings
@pytest.mark.parametrize("name", TORCH)
def test_torch_agrees(name, recording, device):
    agrees("torch", name, recording, device)


@devices
@recordings
@pytest.mark.parametrize("name", FUSED)
def test_torch_fused_agrees(name, recording, device, monkeypatch):
    monkeypatch.setitem(TORCH, name, replace(TORCH[name], fixed=TORCH[name].fixed | {"fused": True}))
    agrees("torch", name, recording, device)


@on_a_gpu
@pytest.mark.skipif(BACKEND != "torch", reason="Keras is not on PyTorch: set KERAS_BACKEND=torch")
@recordings
@pytest.mark.parametrize("name", KERAS)
def test_keras_agrees(name, recording):
    agrees("keras", name, recording, "cuda")


@devices
def test_eps_inside_the_root_does_not_agree(device):
    recording, hyperparameters = task("rmsprop", "every_size", 50)
    array = lambda a: torch.tensor(a, device=device)
    assert judge("torch", "rmsprop", recording, hyperparameters, KERAS["rmsprop"].rule, array).absolute > 1e-6
