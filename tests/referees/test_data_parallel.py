"""Data-parallel training by PyTorch and by Keras takes the steps of this book's, and of one worker."""

import numpy as np
import pytest

from lib.experiments.ranks import run_ranks, trained_alone
from lib.referees.data_parallel import trained_by_ddp, trained_by_keras

STEPS = 215  # six epochs and a third, each with a last batch of 27, which divides by neither 2 nor 4
ROUNDINGS = 1e-13  # sums of 40 terms in another order, at a rate at which the training does not magnify them


@pytest.mark.parametrize("size", [2, 4])
def test_pytorch(size):
    alone, paths = trained_alone(STEPS), run_ranks(trained_by_ddp, size, STEPS)
    assert len(paths) == size
    assert all(np.array_equal(path, paths[0]) for path in paths)
    assert np.abs(paths[0] - alone).max() < ROUNDINGS


def test_keras():
    (path,) = run_ranks(trained_by_keras, 1, STEPS, 2)
    assert np.abs(path - trained_alone(STEPS)).max() < ROUNDINGS
