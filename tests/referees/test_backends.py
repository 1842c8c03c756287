"""Keras on PyTorch and on JAX takes the steps that it takes on TensorFlow: every rule proved on each backend."""

import os
import re
import subprocess
import sys

import pytest

from lib.dialects.keras import DIALECTS
from tests.conftest import ROOT


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_every_rule_agrees(backend):
    """A process has one backend, so each gets its own. Gradients of every size; and the patterns, at changing rates."""
    child = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/optimizers",
         "-k", "agrees and keras and (patterns or every_size)"],
        cwd=ROOT,
        env=os.environ | {"KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert child.returncode == 0, child.stdout[-4000:]
    assert int(re.search(r"(\d+) passed", child.stdout)[1]) >= 2 * len(DIALECTS)


@pytest.mark.parametrize("backend", ["tensorflow", "torch", "jax"])
def test_the_backend_is_the_one_that_was_asked_for(backend):
    child = subprocess.run(
        [sys.executable, "-c", "from lib.referees.keras import keras; print(keras().backend.backend())"],
        cwd=ROOT,
        env=os.environ | {"KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=True,
    )
    assert child.stdout.split() == [backend]
