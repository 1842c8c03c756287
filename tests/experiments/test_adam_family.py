"""Weights rest where the closed forms say; the games are the papers' and are lost where the drift says; RAdam's trust
is the rule's own; nets in a stack learn what they learn alone."""

import numpy as np
import pytest

from lib.data import digits
from lib.experiments.adam_family import (
    batch_losses,
    drift,
    few_with_wrong_labels,
    first_lost,
    judged,
    longest_of_adamax,
    many_digits,
    play_linear,
    power_mean,
    rectification,
    rest_of_decoupled,
    rest_of_l2,
    spiked,
    trusted,
    variance_of_scale,
    variance_to_first_order,
    warmed_adam,
)
from lib.experiments.vanishing_gradients import train_stack
from lib.networks import accuracy, cross_entropy, dense_layers, forward, he, relu, stack, value_and_grad
from lib.optimizers import Optimizer, adam, adamax, adamw, amsgrad, gradient_descent, l2, radam
from lib.training import train

# Where a weight comes to rest


def walked(rule, curvature, minimum, noise, decay, lr=0.005, steps=8000, walkers=300):
    """The mean of many walks over the last half of their steps, and its standard error."""
    draw, x = np.random.default_rng(0), np.zeros(walkers)
    m = v = np.zeros(walkers)
    total = np.zeros(walkers)
    for t in range(1, steps + 1):
        g = curvature * (x - minimum) + noise * draw.standard_normal(walkers)
        x, m, v = rule(x, g, m, v, t, **rule.defaults | {"lr": lr, "weight_decay": decay})
        total += x if t > steps // 2 else 0
    mean = total / (steps - steps // 2)
    return mean.mean(), mean.std() / walkers**0.5


@pytest.mark.parametrize(("curvature", "noise"), [(1.0, 1.0), (3.0, 1.0), (1.0, 4.0)])
def test_walks_rest_where_the_closed_forms_say(curvature, noise):
    mean, error = walked(l2(adam), curvature, 1.0, noise, 0.5)
    assert mean == pytest.approx(rest_of_l2(curvature, 1.0, 0.5), abs=5 * error + 0.01)
    mean, error = walked(adamw, curvature, 1.0, noise, 0.5)
    # What is left out is the walk's trembling, a variance of about lr noise / (2 curvature) = 0.01 at most.
    assert mean == pytest.approx(rest_of_decoupled(curvature, 1.0, 0.5, noise), abs=5 * error + 0.01)


def test_without_noise_the_decay_is_a_wall():
    np.testing.assert_allclose(rest_of_decoupled(2.0, [3.0, -3.0, 0.5], 1.0, 0.0), [1.0, -1.0, 0.5], atol=1e-12)


def test_under_strong_noise_the_decay_is_that_of_l2_times_the_noise():
    np.testing.assert_allclose(rest_of_decoupled(2.0, 3.0, 0.1, 1e4), rest_of_l2(2.0, 3.0, 0.1 * 1e4), rtol=1e-4)


def test_without_decay_both_rest_in_the_minimum():
    assert rest_of_l2(2.0, -3.0, 0.0) == -3
    assert rest_of_decoupled(2.0, -3.0, 0.0, 5.0) == pytest.approx(-3)


def test_the_papers_adamw_and_the_frameworks():
    """The paper's form, schedule (alpha u + lambda x), and the library's."""
    rng = np.random.default_rng(0)
    x = paper = np.array([1.0])
    m = v = n = w = np.zeros(1)
    for t in range(1, 50):
        g, schedule = rng.standard_normal(1), 1 / t
        x, m, v = adamw(x, g, m, v, t, lr=schedule * 0.002, weight_decay=0.05)
        moved, n, w = adam(np.zeros(1), g, n, w, t, lr=1.0)
        paper = paper - schedule * (0.002 * -moved + 1e-4 * paper)
    np.testing.assert_allclose(x, paper, rtol=1e-12)


# The games


def test_the_games_are_the_papers():
    np.testing.assert_array_equal(spiked(3, 7), [3, -1, -1, 3, -1, -1, 3])
    figure = 10 * spiked(101, 202)
    assert (figure[[0, 101]] == 1010).all()
    assert (np.delete(figure, [0, 101]) == -10).all()
    assert spiked(101, 101).sum() == pytest.approx(1)


@pytest.mark.parametrize("C", [0, 2.5])
def test_the_games_refuse(C):
    with pytest.raises(ValueError, match="C must be"):
        spiked(C, 10)


def test_a_game_by_hand():
    path = play_linear(gradient_descent, [1.0, -2.0, 5.0], [0.5, 0.1])
    second = np.array([-0.5, -0.1]) + 2 * np.array([0.5, 0.1]) / np.sqrt(2)
    third = np.maximum(second - 5 * np.array([0.5, 0.1]) / np.sqrt(3), -1)
    np.testing.assert_allclose(path, [[0, 0], [-0.5, -0.1], second, third], rtol=1e-14)
    assert third[0] == -1 < third[1]


@pytest.mark.parametrize("rule", [adam, amsgrad])
def test_runs_side_by_side_are_those_alone(rule):
    slopes = np.random.default_rng(0).standard_normal((50, 2))
    both = play_linear(rule, slopes, [0.1, 0.3], beta2=0.9)
    for i, rate in enumerate((0.1, 0.3)):
        np.testing.assert_array_equal(both[:, i], play_linear(rule, slopes[:, i], [rate], beta2=0.9)[:, 0])


def test_theorem_1():
    theirs = {"beta1": 0.0, "beta2": 0.1, "eps": 0.0}
    slopes = spiked(3, 3000)
    assert play_linear(adam, slopes, [0.5], **theirs)[-1, 0] > 0.99
    assert play_linear(amsgrad, slopes, [0.5], **theirs)[-1, 0] < -0.99


@pytest.mark.parametrize(("C", "beta1", "beta2"), [(3, 0.0, 0.1), (5, 0.9, 0.9), (40, 0.9, 0.99), (12, 0.0, 0.99)])
def test_the_drift_is_what_adam_walks_in_a_cycle(C, beta1, beta2):
    """At a constant rate of 1, averages settled: from v at hand after many cycles, step by step."""
    x = m = v = 0.0
    cycles = 200
    for t, g in enumerate(spiked(C, cycles * C)):
        if t == (cycles - 1) * C:
            x = 0.0
        x, m, v = adam(x, g, m, v, 10**9, lr=1.0, beta1=beta1, beta2=beta2, eps=0.0)
    assert -x == pytest.approx(drift(C, beta1, beta2), rel=1e-6)


def test_the_first_game_that_is_lost():
    for beta1, beta2 in ((0.0, 0.9), (0.9, 0.99), (0.9, 0.999)):
        C = first_lost(beta1, beta2)
        assert drift(C, beta1, beta2) < 0 <= drift(C - 1, beta1, beta2)


# Adamax


def test_the_power_mean_is_adams_at_2_and_adamaxs_in_the_limit():
    g = np.random.default_rng(0).standard_normal(200)
    v, u, two, many = 0.0, 0.0, [], []
    m = 0.0
    for t, each in enumerate(g, start=1):
        v = 0.99**2 * v + (1 - 0.99**2) * each**2
        _, m, u = adamax(0.0, each, m, u, t, beta2=0.99)
        two.append(v**0.5)
        many.append(u)
    np.testing.assert_allclose(power_mean(g, 2, 0.99), two, rtol=1e-12)
    apart = [abs(power_mean(g, p, 0.99) / many - 1).max() for p in (32, 256, 4096)]
    assert apart[0] > 4 * apart[1] > 16 * apart[2]
    assert apart[2] < 0.01


def test_the_longest_step_of_adamax_is_reached():
    m, u = 0.0, 0.0
    for t in range(1, 401):
        x, m, u = adamax(0.0, 0.999**t, m, u, t, lr=1.0, eps=0.0)
    assert -x == pytest.approx(longest_of_adamax(), rel=1e-4)


# RAdam


@pytest.mark.parametrize("beta2", [0.9, 0.999])
def test_the_rectification_is_the_rules(beta2):
    """RAdam's step on a constant gradient of 1, on which Adam's is 1."""
    steps, m, v = [], 0.0, 0.0
    for t in range(1, 60):
        x, m, v = radam(np.zeros(1), np.ones(1), m, v, t, lr=1.0, beta2=beta2, eps=0.0)
        steps.append(-x[0])
    t = np.arange(1, 60)
    expected = np.where(trusted(t, beta2) > 4, rectification(t, beta2), 1.0)
    np.testing.assert_allclose(steps, expected, rtol=1e-10)


def test_what_is_trusted():
    assert trusted(1) == pytest.approx(1)
    assert trusted(10**6) == pytest.approx(1999)
    assert (trusted(np.array([4, 5])) > 4).tolist() == [False, True]


@pytest.mark.parametrize("rho", [5, 10, 100])
def test_the_variance_by_drawing(rho):
    draw = np.random.default_rng(0).standard_normal((100_000, rho))
    scale = 1 / np.sqrt((draw**2).mean(axis=1))
    assert scale.var() == pytest.approx(variance_of_scale(rho), rel={5: 0.15, 10: 0.05, 100: 0.02}[rho])


def test_the_variance_to_first_order():
    assert variance_to_first_order(1000) == pytest.approx(variance_of_scale(1000), rel=0.01)


def test_a_warm_up_is_adam_at_a_rising_rate():
    rng, x, y = np.random.default_rng(0), np.ones(2), np.ones(2)
    m = v = n = w = np.zeros(2)
    for t in range(1, 20):
        g = rng.standard_normal(2)
        x, m, v = warmed_adam(x, g, m, v, t, lr=0.1, warmup_steps=8)
        y, n, w = adam(y, g, n, w, t, lr=0.1 * min(1, t / 8))
    np.testing.assert_allclose(x, y, rtol=1e-14)


# Digits


def test_digits_of_each_seed():
    x, y, x_val, y_val, x_test, y_test = many_digits([0, 1])
    assert x.shape == (2, 1100, 64)
    assert y.shape == (2, 1100)
    assert y_val.shape == (2, 247)
    assert x_test.shape == (2, 450, 64)
    data = digits(seed=1)
    assert sorted(map(tuple, np.concatenate([x[1], x_val[1]]))) == sorted(map(tuple, data.x_train))
    np.testing.assert_array_equal(y_test[1], data.y_test)


def test_few_digits_with_wrong_labels():
    x, y, x_val, y_val = few_with_wrong_labels(100, range(3), 0.2)
    assert x.shape == x_val.shape == (3, 100, 64)
    assert y.shape == y_val.shape == (3, 100)
    clean = few_with_wrong_labels(100, range(3), 0.0)[1]
    assert 0.1 < (y != clean).mean() < 0.26


def test_nets_in_a_stack_learn_what_they_learn_alone():
    """A net of one seed at one setting, beside others, against the book's loop on the same batches."""
    x, y, *_ = few_with_wrong_labels(60, range(2), 0.2)
    nets = [dense_layers((64, 5, 10), he, seed) for seed in range(2)]
    rates, losses = np.array([0.01, 0.01, 0.05, 0.05]), batch_losses(x, y, 16)
    _, params = train_stack(losses, stack(nets * 2), adamw, rates, steps=10, weight_decay=0.3)

    step, seed = iter(range(11)), 1

    def objective(p):
        rows = np.random.default_rng([7, next(step)]).integers(0, 60, (2, 16))[seed]
        return value_and_grad(lambda q: cross_entropy(forward(q, x[seed, rows], relu)[-1], y[seed, rows]))(p)

    alone = train(objective, nets[seed], Optimizer(adamw, lr=0.05, weight_decay=0.3), steps=10)
    np.testing.assert_allclose(params["W1"][3], alone.params[-1]["W1"], rtol=0, atol=1e-12)
    loss, wrong = judged(params, x, y)
    logits = forward(alone.params[-1], x[seed], relu)[-1]
    assert loss.shape == wrong.shape == (2, 2)
    assert loss[1, seed] == pytest.approx(cross_entropy(logits, y[seed]), abs=1e-10)
    assert wrong[1, seed] == pytest.approx(1 - accuracy(logits, y[seed]))


def test_what_diverged_counts_as_a_guess():
    x, y, *_ = few_with_wrong_labels(60, range(2), 0.0)
    params = stack([dense_layers((64, 5, 10), he, seed) for seed in range(2)])
    params["W2"] = params["W2"] * np.array([1.0, np.nan])[:, None, None]
    loss, wrong = judged(params, x, y)
    assert (loss[0, 1], wrong[0, 1]) == (np.log(10), 0.9)
