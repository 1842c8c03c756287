"""Where torch does not fuse operations, our rules, in its order of operations, equal torch's bit for bit: 1,000 steps,
parameters and state. So order and fusing are all that separates the two."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from lib.dialects.torch import DIALECTS
from lib.optimizers.rule import named_for
from lib.referees import compare, hyperparameters_for, record, replay, shapes_for, task
from lib.referees import torch as referee
from tests.conftest import ROOT
from tests.optimizers.torch_order import REORDERED, in_torchs_order

ULPS = 13  # a random walk of 2 x 1,000 roundings, each of some 0.3 ulp


@pytest.fixture(scope="module")
def deviations():
    """What ``torch_order.py`` measures in a process in which torch fuses nothing."""
    child = subprocess.run(
        [sys.executable, "-m", "tests.optimizers.torch_order"],
        cwd=ROOT,
        env=os.environ | {"ATEN_CPU_CAPABILITY": "default"},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(child.stdout)


@pytest.mark.parametrize("dtype", ["torch.float64", "torch.float32"])
@pytest.mark.parametrize("name", DIALECTS)
def test_zero_ulps(deviations, name, dtype):
    assert deviations[dtype][name].keys() == {"x", *DIALECTS[name].state}
    assert set(deviations[dtype][name].values()) == {0.0}


@pytest.mark.parametrize("name", REORDERED)
def test_only_the_order_is_another(name):
    """Otherwise a rule could be reordered into torch's, and differ from the one on the page."""
    recording, hyperparameters = task(name, "every_size")
    readable, reordered = (
        replay(rule, recording, array=torch.tensor, **named_for(rule, hyperparameters))
        for rule in (DIALECTS[name].rule, in_torchs_order(name))
    )
    # torch rounds x twice a step: for AdamW's decay and for the rest, for the two parts of Nadam's step.
    bound = {"adamw": 1e-13, "nadam": 3e-14}.get(name, 1e-14)
    assert 0 < compare(readable, reordered).absolute <= bound


def test_torch_rounds_some_square_roots_up_or_down_where_numpy_takes_the_nearest():
    x = np.random.default_rng(0).uniform(1, 4, 100_000)
    root = torch.tensor(x).sqrt().numpy()
    assert (np.abs(root - np.sqrt(x)) <= np.spacing(root)).all()


@pytest.mark.parametrize(("dtype", "steps"), [(torch.float32, 1000), (torch.bfloat16, 100)], ids=str)
@pytest.mark.parametrize("name", [name for name, dialect in DIALECTS.items() if dialect.rule.each == "entry"])
def test_agrees_in_low_precision(name, dtype, steps):
    """Both sides in float32 or bfloat16, with torch as it is: apart by a few units in the last place, as in float64.

    A step is about 0.05, six units in the last place of a bfloat16 near 1: much of it is rounded away, on both sides
    alike. torch computes each statement in float32 and rounds once; ours rounds at every operation.
    """
    array = lambda a: torch.tensor(a, dtype=dtype)
    rule, hyperparameters = DIALECTS[name].rule, hyperparameters_for(name, 1.0)
    recording = record(steps, 1.0, shapes=shapes_for(rule))
    hyperparameters["lr"] *= 1 if name == "adadelta" else 5
    theirs = referee.replay(name, recording, array=array, **hyperparameters)
    mine = replay(rule, recording, array=array, **named_for(rule, hyperparameters))
    compare(mine, theirs)  # refuses what does not move
    # AdamW's factor 1 - lr * weight_decay is rounded once, to float32, and then shrinks x by that error at every step.
    bound = steps / 2 if "weight_decay" in hyperparameters else ULPS
    if name == "nadam":  # torch adds its step in two parts: one rounding of x a step that ours does not share
        bound *= 4
    unit = torch.finfo(dtype).eps * np.maximum(1, np.abs(theirs))
    assert (np.abs(mine - theirs) / unit).max() <= bound
