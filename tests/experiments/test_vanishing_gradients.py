"""Nets in a stack do what they do alone; gradients through layers and time are by definition, and torch's."""

import numpy as np
import pytest
import tensorflow as tf
import torch

from lib.experiments.vanishing_gradients import (
    CURES,
    Net,
    centered,
    cliff,
    clip_each_by_norm,
    fit,
    gradients_through_time,
    layer_sizes,
    recall,
    recurrent_net,
    stack,
    step_through,
    sweep,
    train_stack,
    wave,
)
from lib.networks import Variable, backpropagate, dense_layers, forward, he, lecun, relu, tanh, value_and_grad
from lib.optimizers import Optimizer, adam, clip_by_global_norm, gradient_descent, momentum, muon, rmsprop, sophia
from lib.training import train

X, Y = wave()
NETS = CURES | {"layer norm, residual": Net(relu, he, normalize="layer", residual=True)}
SIZES = [1, 5, 5, 5, 1]


def alone(net, params, rule, lr, steps, clip=None):
    """One net, trained by the book's loop; its losses."""
    options = {"normalize": net.normalize, "residual": net.residual}
    loss = value_and_grad(lambda p: ((forward(p, X, net.activation, **options)[-1] - Y) ** 2).mean())

    def objective(p):
        value, grads = loss(p)
        return value, clip(grads) if clip else grads

    return train(objective, params, Optimizer(rule, lr=lr), steps=steps).losses


@pytest.mark.parametrize("rule", [gradient_descent, momentum, rmsprop, adam])
@pytest.mark.parametrize(
    "cure",
    ["tanh, LeCun", "sigmoid, Glorot, batch norm", "layer norm, residual", "sigmoid − 1/2, Glorot, residual"],
)
def test_a_net_in_a_stack_trains_as_alone(cure, rule):
    net, rates = NETS[cure], [1e-3, 3e-3, 1e-3]
    nets = [dense_layers(SIZES, net.initializer, seed, normalized=net.normalize is not None) for seed in (0, 0, 1)]
    history, _ = train_stack(fit(net, X, Y), stack(nets), rule, rates, steps=12)
    for run, (params, lr) in enumerate(zip(nets, rates, strict=True)):
        # Some hundred roundings, which twelve steps magnify.
        np.testing.assert_allclose(history[:, run], alone(net, params, rule, lr, 12), rtol=1e-9)


def test_clipping_in_a_stack_is_clipping_alone():
    net = CURES["tanh, N(0, 1)"]
    nets = [dense_layers(SIZES, net.initializer, seed) for seed in (0, 1)]
    clip = lambda grads: clip_each_by_norm(grads, 0.05)
    history, _ = train_stack(fit(net, X, Y), stack(nets), gradient_descent, [0.1, 0.2], steps=10, clip=clip)
    for run, lr in enumerate((0.1, 0.2)):
        losses = alone(net, nets[run], gradient_descent, lr, 10, lambda g: clip_by_global_norm(g, 0.05))
        np.testing.assert_allclose(history[:, run], losses, rtol=1e-10)
        assert not np.allclose(losses, alone(net, nets[run], gradient_descent, lr, 10), rtol=1e-3)  # it did clip


def test_the_clipped_cures_clip():
    rng = np.random.default_rng(0)
    grads = {"W": 100 * rng.standard_normal((3, 4, 2)), "b": 0.5 * np.ones((3, 1, 2))}
    by_value = CURES["ReLU, He, residual, clipped by value"].clip(grads)
    for name, g in by_value.items():
        np.testing.assert_array_equal(g, grads[name].clip(-1, 1))
    by_norm = CURES["ReLU, He, residual, clipped by norm"].clip(grads)
    np.testing.assert_allclose(sum((g**2).sum(axis=(1, 2)) for g in by_norm.values()), 10.0**2, rtol=1e-14)


def test_clipping_is_all_that_sets_the_clipped_cures_apart():
    plain = CURES["ReLU, He, residual"]
    for how in "value", "norm":
        clipped = CURES[f"ReLU, He, residual, clipped by {how}"]
        assert clipped._replace(clip=None) == plain
        size = {"depth": 16, "width": 12, "steps": 5}
        assert np.isfinite(sweep(clipped, gradient_descent, [0.01], [0], **size)).all()
        assert np.isinf(sweep(plain, gradient_descent, [0.01], [0], **size)).all()


def test_each_run_is_clipped_by_its_own_norm():
    rng = np.random.default_rng(0)
    grads = {"W": rng.standard_normal((4, 3, 2)), "b": rng.standard_normal((4, 1, 2))}
    for g in grads.values():
        g *= np.array([10.0, 1e-3, 0.0, 1e3])[:, None, None]
    clipped = clip_each_by_norm(grads, 1.0)
    for run in range(4):
        one = clip_by_global_norm({name: g[run] for name, g in grads.items()}, limit=1.0)
        for name, g in one.items():
            np.testing.assert_allclose(clipped[name][run], g, rtol=1e-14)
    with pytest.raises(ValueError, match="clip_each_by_norm: limit must be a number > 0"):
        clip_each_by_norm(grads, 0.0)


def test_a_run_that_diverges_disturbs_no_other():
    net = CURES["ReLU, He"]
    nets = stack([dense_layers(SIZES, he, seed=0)] * 2)
    with_it, _ = train_stack(fit(net, X, Y), nets, gradient_descent, [0.01, 1e6], steps=30)
    without, _ = train_stack(fit(net, X, Y), nets, gradient_descent, [0.01, 0.01], steps=30)
    assert not np.isfinite(with_it[-1, 1])
    np.testing.assert_array_equal(with_it[:, 0], without[:, 0])


def test_train_stack_returns_where_it_ended():
    net = CURES["tanh, LeCun"]
    start = stack([dense_layers(SIZES, lecun, seed) for seed in range(2)])
    history, params = train_stack(fit(net, X, Y), start, adam, [0.01, 0.02], steps=5)
    assert history.shape == (6, 2)
    np.testing.assert_array_equal(fit(net, X, Y)(params, 0), history[-1])
    assert not np.array_equal(params["W1"], start["W1"])


def test_sweep():
    losses = sweep(CURES["ReLU, He"], gradient_descent, [0.01, 1e6], range(3), depth=4, width=6, steps=20)
    assert losses.shape == (2, 3)
    assert np.isfinite(losses[0]).all()
    assert (losses[1] == np.inf).all()
    alone = sweep(CURES["ReLU, He"], gradient_descent, [0.01], [2], depth=4, width=6, steps=20)
    np.testing.assert_allclose(losses[0, 2], alone[0, 0], rtol=1e-12)


def test_centered():
    z = np.linspace(-3, 3, 7)
    np.testing.assert_allclose(centered(z), np.tanh(z / 2) / 2, atol=1e-16)


def test_layer_sizes():
    params = dense_layers(SIZES, lecun, seed=0)
    sizes = layer_sizes(params, Net(tanh, lecun), X, Y)
    _, grads = value_and_grad(lambda p: ((forward(p, X, tanh)[-1] - Y) ** 2).mean())(params)
    outputs = forward(params, X, tanh)
    for k in range(1, 5):
        assert np.isclose(sizes["weights"][k - 1], np.sqrt((grads[f"W{k}"] ** 2).sum()), rtol=1e-13)
        assert np.isclose(sizes["forward"][k - 1] ** 2, (outputs[k - 1] ** 2).mean(), rtol=1e-13)
    back = 2 * (outputs[-1] - Y) / Y.size
    for k in (4, 3, 2, 1):
        assert np.isclose(sizes["backward"][k - 1], np.linalg.norm(back), rtol=1e-12)
        slope = 1.0 if k == 4 else 1 - outputs[k - 1] ** 2
        back = (back * slope) @ params[f"W{k}"].T


# Through time


def test_gradients_through_time_are_torchs():
    params = recurrent_net("rnn", 6, 3, gain=1.2)
    rng = np.random.default_rng(7)
    inputs, v = torch.tensor(rng.standard_normal((9, 4, 2))), rng.standard_normal((4, 6))
    v = torch.tensor(v / np.linalg.norm(v, axis=1, keepdims=True))
    w, u, b = (torch.tensor(params[name]) for name in "WUb")
    states = [torch.zeros(4, 6, dtype=torch.float64, requires_grad=True)]
    for x in inputs:
        states.append(torch.tanh(x @ w + states[-1] @ u + b))
    grads = torch.autograd.grad((states[-1] * v).sum(), states)
    expected = [float(g.square().sum(dim=1).mean().sqrt()) for g in grads]
    np.testing.assert_allclose(gradients_through_time("rnn", params, 9, seed=7, batch=4), expected, rtol=1e-12)


def test_a_gate_carries_its_share():
    """Where nothing else depends on the state, each step multiplies by the gate."""
    for kind, bias in ("lstm", 3.0), ("lstm", -1.0), ("gru", 3.0), ("gru", -1.0):
        params = recurrent_net(kind, 8, 0, gate=bias)
        params |= {name: 0 * p for name, p in params.items() if name[0] == "U" or name in ("Wf", "Wz")}
        gate = 1 / (1 + np.exp(-bias))
        np.testing.assert_allclose(gradients_through_time(kind, params, 30), gate ** np.arange(30, -1, -1), rtol=1e-12)


def test_a_recurrent_stack_is_its_nets():
    for kind in "rnn", "lstm", "gru":
        nets = [recurrent_net(kind, 4, seed, gate=1.0) for seed in range(2)]
        both = recall(kind, 6)(stack(nets), 3)
        each = [recall(kind, 6)(stack([net]), 3)[0] for net in nets]
        np.testing.assert_allclose(both, each, rtol=1e-13)


def test_recall_asks_for_the_first_number():
    """A cell that writes only where the flag is set, and keeps what it wrote, has almost no loss."""
    params = {name: np.zeros((2 if name[0] == "W" else 1, 1)) for name in ("Wi", "Wf", "Wo", "Wc")}
    params |= {f"U{g}": np.zeros((1, 1)) for g in "ifoc"} | {f"b{g}": np.zeros(1) for g in "ifoc"}
    params["Wi"][1], params["bi"][:], params["bf"][:], params["bo"][:] = 80.0, -40.0, 40.0, 40.0
    params["Wc"][0] = 40.0
    params |= {"V": np.array([[1 / np.tanh(1.0)]]), "d": np.zeros(1)}
    assert recall("lstm", 12)(stack([params]), 0)[0] < 1e-20
    silent = params | {"V": np.zeros((1, 1))}
    assert recall("lstm", 12)(stack([silent]), 0)[0] == 1.0
    constant = params | {"V": np.zeros((1, 1)), "d": np.array([0.5])}  # says 1/2: tells what was asked
    losses = [recall("lstm", 12)(stack([constant]), step)[0] for step in range(4)]
    assert len(set(losses)) > 1  # new sequences at every step


def test_step_through_starts_where_it_is_told():
    state = np.full((3, 4), 0.5)
    states = step_through("gru", recurrent_net("gru", 4, 0, gate=40.0), np.zeros((5, 3, 2)), state)
    assert len(states) == 6
    np.testing.assert_allclose(states[-1], state, rtol=1e-12)


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_recurrent_net(kind):
    params = recurrent_net(kind, 5, 0, gain=0.7, gate=2.0)
    name = {"rnn": "U", "lstm": "Uf", "gru": "Uz"}[kind]
    np.testing.assert_allclose(np.linalg.svd(params[name], compute_uv=False), 0.7, rtol=1e-12)
    if kind != "rnn":
        assert (params[{"lstm": "bf", "gru": "bz"}[kind]] == 2.0).all()
    assert params["V"].shape == (5, 1)


W_AND_B = np.array([5.0, 4.7, 3.0, 4.972]), np.array([-2.3, -2.4, -1.0, -2.595])  # the last lies on the cliff


def test_cliff_is_torchs_and_tensorflows():
    loss, dw, db = cliff(*W_AND_B)
    w, b = (torch.tensor(p, requires_grad=True) for p in W_AND_B)
    x = torch.full_like(w, 0.5)
    for _ in range(50):
        x = w * torch.sigmoid(x) + b
    theirs = (torch.sigmoid(x) - 0.7) ** 2
    grads = torch.autograd.grad(theirs.sum(), (w, b))
    with tf.GradientTape() as tape:
        w, b = (tf.Variable(p) for p in W_AND_B)
        x = tf.fill((4,), tf.constant(0.5, tf.float64))
        for _ in range(50):
            x = w * tf.sigmoid(x) + b
        total = tf.reduce_sum((tf.sigmoid(x) - 0.7) ** 2)
    by_tf = tape.gradient(total, (w, b))
    # On the cliff fifty steps magnify a rounding by as much as the gradient is long, about 1e3.
    np.testing.assert_allclose(loss, theirs.detach(), rtol=1e-9)
    for mine, by_torch, tfs in zip((dw, db), grads, by_tf, strict=True):
        np.testing.assert_allclose(mine, by_torch, rtol=1e-8)
        np.testing.assert_allclose(mine, tfs, rtol=1e-8)
    assert np.hypot(dw, db)[-1] > 100 * np.hypot(dw, db)[0]


def test_cliff_of_numbers_and_length():
    loss, dw, _ = cliff(5.0, -2.3, steps=3)
    h = 1e-6
    slope = (cliff(5.0 + h, -2.3, steps=3)[0] - cliff(5.0 - h, -2.3, steps=3)[0]) / (2 * h)
    assert np.isclose(dw, slope, rtol=1e-6)
    assert loss.shape == ()


def test_gradient_of_a_sum_of_losses_is_every_runs():
    nets = stack([dense_layers(SIZES, lecun, seed) for seed in range(3)])
    variables = {name: Variable(p) for name, p in nets.items()}
    backpropagate(fit(CURES["tanh, LeCun"], X, Y)(variables, 0).sum())
    for seed in range(3):
        one = dense_layers(SIZES, lecun, seed)
        _, grads = value_and_grad(lambda p: ((forward(p, X, tanh)[-1] - Y) ** 2).mean())(one)
        for name, g in grads.items():
            np.testing.assert_allclose(variables[name].gradient[seed].reshape(g.shape), g, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize(
    ("rule", "rates", "words"),
    [
        (muon, [0.1, 0.1], "steps a whole matrix"),
        (sophia, [0.1, 0.1], "takes curvature"),
        (adam, [0.1], "2 in all"),
        (adam, 0.1, "one rate a run"),
    ],
)
def test_errors(rule, rates, words):
    nets = stack([dense_layers(SIZES, lecun, seed) for seed in range(2)])
    with pytest.raises(ValueError, match=words):
        train_stack(fit(CURES["tanh, LeCun"], X, Y), nets, rule, rates, steps=1)
