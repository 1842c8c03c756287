"""momentum is Sutskever's form of the heavy ball, nesterov Bengio's form of Nesterov's method."""

import numpy as np
import pytest

from lib.dialects import torch as torch_dialect
from lib.optimizers import Optimizer, gradient_descent, momentum, nesterov
from lib.referees import hyperparameters_for, record, replay
from lib.referees import torch as torch_referee
from tests.optimizers.proofs import BACKEND, BOUND, agrees, disagrees, translates

test_momentum_agrees = agrees("momentum")
test_momentum_translates = translates("momentum")
test_momentum_disagrees = disagrees(
    "momentum",
    dampened=lambda x, g, v, *, lr, momentum: (x + (v := momentum * v - (1 - momentum) * lr * g), v),
    forgotten_velocity=lambda x, g, v, *, lr, momentum: (x + momentum * v - lr * g, v),
    old_velocity=lambda x, g, v, *, lr, momentum: (x + v, momentum * v - lr * g),
    looking_ahead=nesterov,
)
# Keras on PyTorch adds the gradient and the velocity to x one after the other.
test_nesterov_agrees = agrees("nesterov", keras=2 * BOUND if BACKEND == "torch" else BOUND)
test_nesterov_translates = translates("nesterov")
test_nesterov_disagrees = disagrees(
    "nesterov",
    not_looking_ahead=momentum,
    looking_from_the_old_velocity=lambda x, g, v, *, lr, momentum: (
        x + momentum * v - lr * g,
        momentum * v - lr * g,
    ),
)


def test_by_hand():
    x, v = np.array([1.0]), np.array([0.5])
    assert [float(a[0]) for a in momentum(x, x, v, lr=0.25, momentum=0.5)] == [1.0, 0.0]
    assert [float(a[0]) for a in nesterov(x, 2 * x, v, lr=0.25, momentum=0.5)] == [0.375, -0.25]


@pytest.mark.parametrize("rule", [momentum, nesterov])
def test_without_memory_it_is_gradient_descent(rule):
    recording = record(50, 1.0)
    assert (replay(rule, recording, lr=0.01, momentum=0.0) == replay(gradient_descent, recording, lr=0.01)).all()


@pytest.mark.parametrize("name", ["momentum", "nesterov"])
def test_rate_inside_and_outside_are_one_path_at_a_constant_rate_only(name):
    recording, hyperparameters = record(200, 1.0), hyperparameters_for(name, 1.0)
    paper, dialect = {"momentum": momentum, "nesterov": nesterov}[name], getattr(torch_dialect, name)
    theirs = torch_referee.replay(name, recording, **hyperparameters)
    assert np.abs(replay(paper, recording, **hyperparameters) - theirs).max() <= BOUND
    halving = hyperparameters | {"lr": lambda step: 0.01 * 0.5 ** (step // 50)}
    assert np.abs(replay(paper, recording, **halving) - replay(dialect, recording, **halving)).max() > 1e-3


def test_the_momentum_that_maps_one_form_to_the_other():
    """With mu_t = mu lr_t / lr_(t-1), the rate inside the velocity follows the rate outside through a schedule."""
    recording = record(200, 1.0)
    lr = lambda step: 0.01 * 0.5 ** (step // 50)
    mu = lambda step: 0.9 * lr(step) / lr(max(step - 1, 0))
    inside = replay(momentum, recording, lr=lr, momentum=mu)
    outside = replay(torch_dialect.momentum, recording, lr=lr, momentum=0.9)
    assert np.abs(inside - outside).max() <= BOUND


def test_state_is_the_velocity():
    optimizer = Optimizer(momentum, lr=0.25, momentum=0.5)
    optimizer.step({"w": np.ones(2)}, {"w": np.array([4.0, -4.0])})
    assert optimizer.state["w"]["v"].tolist() == [-1.0, 1.0]
