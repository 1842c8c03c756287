"""The net of the chapter on dialects: one and the same in three frameworks, and an optimizer's state that moves."""

import numpy as np
import optax
import pytest
import torch

from lib.dialects import DIALECTS
from lib.experiments.dialects import (
    batches,
    distance,
    error_rate,
    in_keras,
    in_optax,
    in_torch,
    into_keras,
    into_optax,
    start,
    state_of_torch,
    way,
)
from lib.referees.keras import keras

LR = 2**-5  # which float32 holds


def three(data, params=None, scale=1.0):
    params = params or start()
    return (
        in_torch(params, data, lambda p: torch.optim.SGD(p, lr=LR), scale=scale),
        in_keras(params, data, lambda: keras().optimizers.SGD(LR), scale=scale),
        in_optax(params, data, optax.sgd(LR), scale=scale),
    )


def test_gradient_descent_is_one_and_the_same_in_all_three():
    ours, *others = three(batches(20))
    assert way(ours, start()) > 0.05
    for other in others:
        assert distance(ours, other) < 1e-14
        np.testing.assert_allclose(ours.losses, other.losses, rtol=1e-12)


def test_the_loss_by_hand():
    (x, y), params = batches(1)[0], start()
    sums = np.tanh(x @ params[0] + params[1]) @ params[2] + params[3]
    right = (np.log(np.exp(sums).sum(axis=1)) - (sums * y).sum(axis=1)).mean()
    for run in three([(x, y)], scale=0.5):
        assert run.losses[0] == pytest.approx(0.5 * right, rel=1e-12)


def test_batches_are_digits():
    (x, y), *others = batches(3, size=5)
    assert (x.shape, y.shape, len(others)) == ((5, 64), (5, 10), 2)
    assert (y.sum(axis=1) == 1).all()
    assert not np.array_equal(x, others[0][0])
    with pytest.raises(ValueError, match="batches: steps"):
        batches(0)


def test_an_untrained_net_guesses():
    assert 0.7 < error_rate(start()) < 1
    trained = in_torch(start(), batches(200), lambda p: torch.optim.SGD(p, lr=0.3))
    assert error_rate(trained.params) < 0.15


def test_before_is_called_before_each_step():
    seen = []
    before = lambda t, optimizer: seen.append(t)
    in_torch(start(), batches(3), lambda p: torch.optim.SGD(p, lr=LR), before)
    in_keras(start(), batches(3), lambda: keras().optimizers.SGD(LR), before)
    assert seen == [1, 2, 3, 1, 2, 3]


def test_a_scheduler_steps_after_each_batch():
    def make(p):
        optimizer = torch.optim.SGD(p, lr=LR)
        return optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 2)

    assert in_torch(start(), batches(4), make).optimizer.param_groups[0]["lr"] == pytest.approx(LR / 100)


CLEAN = {"lr": 2**-8, "beta1": 0.875, "beta2": 1 - 2**-10, "eps": 0.0, "weight_decay": 2**-3}  # for float32


@pytest.mark.parametrize("lost", [None, "m", "v", "t"])
def test_a_state_that_moves_goes_on(lost):
    """With eps = 0 all three take the same AdamW steps; without a part of the state they do not."""
    data, dialects = batches(40), {side: DIALECTS[side]["adamw"] for side in DIALECTS}
    arguments = {side: dialects[side].arguments(CLEAN) for side in DIALECTS}
    make = lambda p: torch.optim.AdamW(p, **arguments["torch"])
    whole, half = in_torch(start(), data, make), in_torch(start(), data[:20], make)
    state = state_of_torch(half.optimizer, dialects["torch"])
    assert state["t"] == 20
    if lost:
        state[lost] = 0 if lost == "t" else [0 * a for a in state[lost]]
        if lost == "v":
            state[lost] = [a + 1e-3 for a in state[lost]]

    def load(t, optimizer):
        if t == 1:
            into_keras(optimizer, dialects["keras"], state)

    in_k = in_keras(half.params, data[20:], lambda: keras().optimizers.AdamW(**arguments["keras"]), load)
    in_o = in_optax(
        half.params,
        data[20:],
        optax.adamw(**arguments["optax"]),
        lambda fresh: into_optax(fresh, dialects["optax"], state),
    )
    for run in in_k, in_o:
        apart = distance(run, whole) / way(whole, half.params)
        assert apart > 1e-3 if lost else apart < 1e-10
