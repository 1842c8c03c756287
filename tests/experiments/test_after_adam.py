"""Lion drifts and rests where the closed forms say; rank one keeps sums and is nearest; nets in a stack learn what they
learn alone, with every kind of rule; costs are what a hand counts."""

from functools import partial

import numpy as np
import pytest

from lib.data import digits
from lib.experiments.adam_family import batch_losses, many_digits
from lib.experiments.after_adam import (
    at_average,
    divergence,
    drift_factor,
    factored,
    kept,
    mean_sign,
    muon_as_large,
    muon_for,
    noise_left,
    operations,
    rest_of_lion,
    shuffled_losses,
    train_nets,
    weights_at,
)
from lib.experiments.sparse_features import Examples, one_pass
from lib.experiments.vanishing_gradients import train_stack
from lib.networks import cross_entropy, dense_layers, forward, he, relu, stack, value_and_grad
from lib.optimizers import (
    Optimizer,
    adafactor,
    adam,
    adamw,
    adan,
    gradient_descent,
    lamb,
    lars,
    lion,
    momentum,
    muon,
    schedule_free_adamw,
    schedule_free_sgd,
    shampoo,
)
from lib.optimizers.schedule_free import evaluation_point
from lib.schedules import cosine
from lib.training import train

# A sign in noise


@pytest.mark.parametrize("betas", [(0.9, 0.99), (0.5, 0.9), (0.95, 0.98)])
def test_what_is_left_of_the_noise(betas):
    """From the weights of the rule itself: what a single gradient of 1, k steps ago, adds to c."""
    beta1, beta2 = betas
    weights, m = [1 - beta1], 1 - beta2
    for _ in range(5000):
        weights.append(beta1 * m)
        m *= beta2
    assert noise_left(beta1, beta2) == pytest.approx(np.sqrt((np.array(weights) ** 2).sum()), rel=1e-9)


@pytest.mark.parametrize("signal", [0.0, 0.05, 0.3])
def test_the_mean_sign_is_how_far_lion_walks(signal):
    draw, x, m = np.random.default_rng(0), np.zeros(400), np.zeros(400)
    start_at = x
    for t in range(2500):
        x, m = lion(x, signal + draw.standard_normal(400), m, lr=1.0)
        start_at = x if t == 499 else start_at
    # A walk scatters by less than 7 a root of a step: 2000 steps, 400 walks, three standard errors.
    assert (start_at - x).mean() / 2000 == pytest.approx(mean_sign(signal, 1.0), abs=3 * 7 / np.sqrt(2000 * 400))


def test_the_factor_is_the_slope_at_no_signal():
    assert drift_factor() == pytest.approx(mean_sign(1e-6, 1.0) / 1e-6, rel=1e-6)
    assert drift_factor() == pytest.approx(mean_sign(3e-6, 3.0) / 1e-6, rel=1e-6)
    assert drift_factor(0.0, 0.5) == pytest.approx(np.sqrt(2 / np.pi))


def test_lion_rests_where_step_and_decay_cancel():
    x = rest_of_lion(2.0, 1.5, 0.7, 4.0)
    assert 0 < x < 1.5
    assert mean_sign(2.0 * (x - 1.5), 4.0) + 0.7 * x == pytest.approx(0, abs=1e-12)
    q = drift_factor()
    assert rest_of_lion(1.0, 1.0, q * 0.5, 100.0) == pytest.approx(1 / (1 + 0.5 * 100), rel=2e-3)
    assert rest_of_lion(1.0, 1.0, 0.0, 1.0) == pytest.approx(1.0)


# Rank one


def test_rank_one_keeps_the_sums_and_is_adafactors():
    v = np.random.default_rng(0).standard_normal((5, 7)) ** 2
    V = factored(v)
    assert np.linalg.matrix_rank(V) == 1
    for axis in (0, 1):
        np.testing.assert_allclose(V.sum(axis=axis), v.sum(axis=axis), rtol=1e-12)
    g = np.sqrt(v)
    x, *_ = adafactor(0 * g, g, np.zeros((5, 1)), np.zeros((1, 7)), 1, lr=1.0, clip_threshold=1e9, eps2=1.0)
    np.testing.assert_allclose(-x, g / np.sqrt(V), rtol=1e-12)


def test_rank_one_is_exact_for_one_example_and_nearest_for_many():
    draw = np.random.default_rng(0)
    one = np.outer(draw.standard_normal(5), draw.standard_normal(7)) ** 2
    np.testing.assert_allclose(factored(one), one, rtol=1e-12)
    v = draw.standard_normal((5, 7)) ** 2
    best = divergence(v, factored(v))
    assert best > 0 == pytest.approx(divergence(v, v))
    for _ in range(200):
        row, column = np.exp(0.1 * draw.standard_normal((5, 1))), np.exp(0.1 * draw.standard_normal((1, 7)))
        assert divergence(v, factored(v) * row * column) > best


# Nets in a stack


def two_nets():
    x, y, *_ = many_digits([0, 1], 96)
    return x, y, [dense_layers((64, 6, 10), he, seed) for seed in range(2)]


def test_an_epoch_sees_each_example_once():
    x, y, nets = two_nets()
    seen = []
    inputs = np.arange(96.0)[None, :, None] * np.ones((2, 1, 64))

    def losses(params, step):
        return shuffled_losses(inputs, y, 32)(params, step)

    spy = {"W1": np.zeros((2, 64, 10)), "b1": np.zeros((2, 1, 10))}
    spy["W1"][:, 0, 0] = 1.0  # the first logit tells which example it is
    for step in range(3):
        order = np.random.default_rng([11, 0]).permuted(np.tile(np.arange(96), (2, 1)), axis=1)
        rows = order[:, step * 32 : (step + 1) * 32]
        z = np.zeros((2, 32, 10))
        z[..., 0] = rows
        logp = z - np.log(np.exp(z - z.max(-1, keepdims=True)).sum(-1, keepdims=True)) - z.max(-1, keepdims=True)
        each = np.arange(2)[:, None]
        expected = -np.take_along_axis(logp, y[each, rows][..., None], -1)[..., 0].mean(-1)
        np.testing.assert_allclose(losses(spy, step), expected, rtol=1e-9)
        seen.append(rows)
    assert (np.sort(np.concatenate(seen, axis=1), axis=1) == np.arange(96)).all()
    a, b = (shuffled_losses(x, y, 96)(stack(nets), step) for step in (0, 1))
    np.testing.assert_allclose(a, b, rtol=1e-12)  # all examples: no order
    with pytest.raises(ValueError, match="batch must be at most the 96 examples, got 97"):
        shuffled_losses(x, y, 97)


RULES = {
    gradient_descent: (0.1, {}),
    momentum: (0.02, {}),
    adamw: (0.01, {"weight_decay": 0.3}),
    lion: (0.001, {}),
    adan: (0.01, {}),
    schedule_free_adamw: (0.01, {}),
    lars: (10.0, {}),
    lamb: (0.02, {}),
    adafactor: (0.05, {}),
    shampoo: (0.1, {}),
}


@pytest.mark.parametrize("which", RULES, ids=lambda rule: rule.__name__)
def test_nets_in_a_stack_learn_what_they_learn_alone(which):
    x, y, nets = two_nets()
    lr, fixed = RULES[which]
    fall = partial(cosine, lr=1.0, steps=8)
    losses = shuffled_losses(x, y, 32)
    params, state = train_nets(
        losses, stack(nets * 2), which, [lr, lr, lr / 2, lr / 2], steps=8, factor=fall, **fixed
    )  # fmt: skip
    seed, step = 1, iter(range(9))

    def objective(p):
        t = next(step)
        order = np.random.default_rng([11, t // 3]).permuted(np.tile(np.arange(96), (2, 1)), axis=1)
        rows = order[seed, t % 3 * 32 : (t % 3 + 1) * 32]
        flat = lambda q: {name: a[0] if name[0] == "b" else a for name, a in q.items()}
        return value_and_grad(lambda q: cross_entropy(forward(flat(q), x[seed, rows], relu)[-1], y[seed, rows]))(p)

    net = {name: np.atleast_2d(a) for name, a in nets[seed].items()}
    optimizer = Optimizer(which, lr=partial(cosine, lr=lr / 2, steps=8), **fixed)
    history = train(objective, net, optimizer, steps=8)
    for name, a in history.params[-1].items():
        np.testing.assert_allclose(params[name][2 + seed], a, rtol=1e-7, atol=1e-9)
    if which is schedule_free_adamw:
        mean = at_average(params, state)["W1"][2 + seed]
        z = optimizer.state["W1"]["z"]
        np.testing.assert_allclose(mean, evaluation_point(history.params[-1]["W1"], z), rtol=1e-7, atol=1e-9)
        assert abs(mean - params["W1"][2 + seed]).max() > 1e-4


def test_it_is_train_stack_where_both_can():
    x, y, nets = two_nets()
    losses = batch_losses(x, y, 16)
    _, theirs = train_stack(losses, stack(nets), adam, [0.01, 0.02], steps=5)
    ours, _ = train_nets(losses, stack(nets), adam, [0.01, 0.02], steps=5)
    np.testing.assert_array_equal(ours["W1"], theirs["W1"])


def test_a_net_that_diverged_is_left_alone():
    x, y, nets = two_nets()
    params, _ = train_nets(shuffled_losses(x, y, 32), stack(nets), shampoo, [1e30, 0.1], steps=6)
    alone, _ = train_nets(shuffled_losses(x[1:], y[1:], 96), stack(nets[1:]), shampoo, [0.1], steps=2)
    assert np.isfinite(params["W1"][1]).all()
    assert np.isfinite(alone["W1"]).all()


def test_one_rate_a_run():
    x, y, nets = two_nets()
    with pytest.raises(ValueError, match=r"one rate a run, 2 in all, got shape \(3,\)"):
        train_nets(shuffled_losses(x, y, 32), stack(nets), lamb, [1.0] * 3, steps=1)


@pytest.mark.parametrize("shape", [(32, 32), (16, 32), (64, 32)])
def test_muons_steps_as_large_as_adamws(shape):
    draw = np.random.default_rng(0)
    x, g, v = draw.standard_normal((3, *shape))
    new, velocity = muon_as_large(x, g, v, lr=0.1)
    direction, theirs = muon(x, g, v, lr=1.0)
    direction = (x - direction) / max(1, shape[0] / shape[1]) ** 0.5
    np.testing.assert_allclose(x - new, 0.1 * 0.2 * max(shape) ** 0.5 * direction, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(velocity, theirs)
    assert 0.1 < np.sqrt(((x - new) ** 2).mean()) / 0.1 < 0.3  # AdamW's on noise: 0.23
    shrunk, _ = muon_as_large(x, g, v, lr=0.1, weight_decay=0.5)
    np.testing.assert_allclose(new - shrunk, 0.1 * 0.5 * x, rtol=1e-9)


def test_muon_gets_the_parameters_that_are_named_and_adamw_the_rest():
    x, y, _ = two_nets()
    nets = [dense_layers((64, 6, 6, 10), he, seed) for seed in range(2)]
    losses = shuffled_losses(x, y, 32)
    assert muon_for("W2") | {"W2": adamw} == muon_for()
    mixed, state = train_nets(losses, stack(nets), muon_for("W2"), [0.01, 0.02], steps=1)
    adamws, _ = train_nets(losses, stack(nets), adamw, [0.01, 0.02], steps=1)
    muons, _ = train_nets(losses, stack(nets), muon_for("W1", "W2"), [0.01, 0.02], steps=1)
    for name in mixed:
        np.testing.assert_array_equal(mixed[name], (muons if name == "W2" else adamws)[name])
    assert abs(mixed["W2"] - adamws["W2"]).max() > 1e-3 < abs(muons["W1"] - adamws["W1"]).max()
    assert (state["W2"].keys(), state["W1"].keys()) == ({"v"}, {"m", "v"})


def test_one_run_is_judged_at_several_ends():
    """Each end is what `one_pass` ends with on so many examples; schedule-free learning is judged at its average."""
    draw, rates = np.random.default_rng(0), np.array([0.5, 0.1])
    examples = Examples(draw.standard_normal((80, 3)), (draw.random(80) < 0.5).astype(float))
    fall = partial(cosine, lr=1.0, steps=4)
    for which in adamw, schedule_free_sgd:
        for end, w in zip((1, 4), weights_at((1, 4), which, examples, rates, fall, batch=16), strict=True):
            z = []
            part = Examples(examples.x[: 16 * end], examples.y[: 16 * end])
            watch = lambda t, state, z=z: z.append(state[0])
            theirs = one_pass(which, part, lambda t: rates * fall(t), batch=16, watch=watch)
            theirs = evaluation_point(theirs, z[-1]) if which is schedule_free_sgd else theirs
            np.testing.assert_allclose(w, theirs, rtol=1e-12)
    with pytest.raises(ValueError, match="6 steps need 96 examples, got 80"):
        weights_at((6,), adamw, examples, rates, fall, batch=16)


# What a step costs


@pytest.mark.parametrize(("which", "numbers"), [(lion, 12), (adamw, 24), (adan, 48), (adafactor, 7), (muon, 12),
                                                (shampoo, 9 + 16), (lamb, 24)])  # fmt: skip
def test_what_is_kept(which, numbers):
    assert kept(which, 3, 4) == numbers


def test_operations_by_hand():
    """Gradient descent multiplies and subtracts; momentum does both twice; Lion: two averages of three operations, a
    sign, a decay of two, and two more for the step."""
    assert operations(gradient_descent, 3, 4) == 2 * 12
    assert operations(momentum, 3, 4) == 4 * 12
    assert operations(lion, 3, 4) == 11 * 12
    # Two norms, of a product, a sum and a root, then comparisons and a quotient of numbers, and one more product.
    more = operations(lamb, 30, 40) - operations(adamw, 30, 40)
    assert 4 * 1200 <= more < 4 * 1200 + 20


def test_matrix_products_are_counted():
    """For r = 4 rows, c = 6 columns: five times X X^T, A A and A X, two sums and three products with a number beside
    them; twelve operations for each entry in Muon's own lines, and two with a norm."""
    products = 5 * 2 * (2 * 4 * 4 * 6 + 4**3)
    assert operations(muon, 4, 6) == products + 5 * (3 * 16 + 2 * 24) + 12 * 24 + 2


def test_the_digits_are_the_seeds_own():
    x, y, *_ = many_digits([3], 96)
    data = digits(seed=3)
    assert {tuple(row) for row in x[0]} <= {tuple(row) for row in data.x_train}
    assert y.shape == (1, 96)
