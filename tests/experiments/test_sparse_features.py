"""Words follow Zipf's law and labels the model; the loss and its gradient are the logistic ones; a pass and a game step
each column as the rule does alone; the best point in hindsight is the best."""

import numpy as np
import pytest
from scipy.special import expit, logit

from lib.experiments.sparse_features import (
    Examples,
    bags_of_words,
    best_in_hindsight,
    gradient,
    log_loss,
    one_pass,
    play,
    zipf,
)
from lib.optimizers import adagrad, adam, gradient_descent, rmsprop


@pytest.fixture
def texts():
    rng = np.random.default_rng(0)
    return bags_of_words(96, rng.standard_normal(50), rng, length=10)


def dense(examples):
    return Examples(examples.x.toarray(), examples.y)


# The data


def test_zipf():
    p = zipf(1000, 1.1)
    assert p.shape == (1000,)
    assert p.sum() == pytest.approx(1, abs=1e-12)
    assert p[0] / p[9] == pytest.approx(10**1.1)


@pytest.mark.parametrize(("d", "exponent"), [(0, 1.1), (10, -1.0), (2.5, 1.0)])
def test_zipf_refuses(d, exponent):
    with pytest.raises(ValueError, match="zipf: "):
        zipf(d, exponent)


def test_texts_have_their_length_and_words_their_frequency():
    examples = bags_of_words(4000, np.zeros(20), np.random.default_rng(1), length=30)
    assert examples.x.shape == (4000, 20)
    np.testing.assert_array_equal(examples.x.sum(axis=1), 30)
    # The share of a word in 120,000 draws has a standard deviation of at most sqrt(.25 / 120,000) = .0015.
    np.testing.assert_allclose(examples.x.sum(axis=0) / 120_000, zipf(20), rtol=0, atol=5 * 0.0015)


def test_labels_follow_the_model():
    truth = np.array([0.3, -0.2, 0.1])
    examples = bags_of_words(20_000, truth, np.random.default_rng(2), length=5)
    expected = expit(examples.x @ truth)
    high = expected > np.median(expected)
    for group in (high, ~high):
        # Two standard errors of a share of half of 20,000 are at most 2 * sqrt(.25 / 5,000) = .014.
        assert examples.y[group].mean() == pytest.approx(expected[group].mean(), abs=0.02)
    assert expected[high].mean() - expected[~high].mean() > 0.1  # so that the two could not be exchanged


def test_a_seed_gives_the_same_texts():
    one, two = (bags_of_words(5, np.ones(9), np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(dense(one).x, dense(two).x)
    np.testing.assert_array_equal(one.y, two.y)


# The loss


def test_loss_by_hand():
    examples = Examples(np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([1.0, 0.0]))
    w = np.array([[0.0, 1.0], [0.0, 1.0]])
    by_hand = [np.log(2), (np.log1p(np.exp(-1)) + np.log1p(np.exp(2))) / 2]
    np.testing.assert_allclose(log_loss(w, examples), by_hand, rtol=1e-14)


def test_loss_does_not_overflow():
    examples = Examples(np.array([[1.0]]), np.array([0.0]))
    np.testing.assert_allclose(log_loss(np.array([[1e4, -1e4]]), examples), [1e4, 0.0])


def test_gradient_is_the_slope_of_the_loss(texts):
    w, h = np.random.default_rng(4).standard_normal((50, 2)), 1e-5
    for i in (0, 1, 49):
        e = np.zeros_like(w)
        e[i] = h
        slope = (log_loss(w + e, texts) - log_loss(w - e, texts)) / (2 * h)
        np.testing.assert_allclose(gradient(w, texts)[i], slope, rtol=0, atol=1e-9)
    np.testing.assert_allclose(gradient(w, texts), gradient(w, dense(texts)), rtol=0, atol=1e-15)


# A pass


def alone(rule, examples, lr, batch):
    """The pass at a single rate, in plain loops."""
    w = np.zeros(examples.x.shape[1])
    state = [np.zeros_like(w) for _ in rule.state]
    for t, start in enumerate(range(0, len(examples.y) - batch + 1, batch), start=1):
        x, y = examples.x[start : start + batch], examples.y[start : start + batch]
        g = x.T @ (expit(x @ w) - y) / batch
        time = (t,) if rule.counts_steps else ()
        new = rule(w, g, *state, *time, **rule.defaults | {"lr": lr(t - 1)})
        w, *state = new if state else (new,)
    return w


@pytest.mark.parametrize("rule", [gradient_descent, adagrad, adam])
def test_a_pass_steps_each_column_alone(texts, rule):
    rates = [0.01, 0.3]
    together = one_pass(rule, texts, rates, batch=20)  # 16 texts are left over
    for column, rate in enumerate(rates):
        single = alone(rule, dense(texts), lambda step, rate=rate: rate, 20)
        np.testing.assert_allclose(together[:, column], single, rtol=0, atol=1e-13)
    assert abs(together).max() > 0.01


def test_a_pass_follows_a_schedule(texts):
    falling = lambda step: 1 / np.sqrt(step + 1)
    together = one_pass(gradient_descent, texts, lambda step: falling(step) * np.ones(1))
    np.testing.assert_allclose(together[:, 0], alone(gradient_descent, dense(texts), falling, 32), rtol=0, atol=1e-13)


def test_a_pass_takes_settings_and_is_watched(texts):
    seen = []
    one_pass(rmsprop, texts, [0.1], watch=lambda t, state: seen.append((t, state[0].copy())), rho=0.0)
    assert [t for t, _ in seen] == [1, 2, 3]
    first = gradient(np.zeros((50, 1)), Examples(texts.x[:32], texts.y[:32]))
    np.testing.assert_allclose(seen[0][1], first**2, rtol=1e-13)  # rho = 0 keeps the last square alone


def test_a_pass_that_diverges_ends(texts):
    w = one_pass(gradient_descent, Examples(100 * texts.x, texts.y), [1e308])
    assert not np.isfinite(w).all()


def test_a_pass_needs_a_batch(texts):
    with pytest.raises(ValueError, match="examples are 96, fewer than a batch of 100"):
        one_pass(gradient_descent, texts, [0.1], batch=100)


# The game


def test_a_game_by_hand():
    examples = Examples(np.array([[1.0, 0.0], [2.0, 0.0]]), np.array([1.0, 1.0]))
    game = play(adagrad, examples, [0.25, 10.0], best=np.array([1.0, 0.5]), box=1.0)
    # Round 1: all weights are 0, the gradient is -1/2, Adagrad steps by the rate, and 10 is brought back to 1.
    w = np.array([0.25, 1.0])
    second = 2 * (expit(2 * w) - 1)
    np.testing.assert_allclose(game.loss, np.log(2) + np.log1p(np.exp(-2 * w)), rtol=1e-14)
    np.testing.assert_allclose(game.G, [0.25 + second**2, [0, 0]], rtol=1e-14)  # the second feature never came
    np.testing.assert_allclose(game.farthest, [1, 1])


def test_a_game_measures_every_coordinate():
    examples = Examples(np.eye(2), np.ones(2))
    game = play(gradient_descent, examples, lambda step: np.ones(1), best=np.array([0.0, -0.75]))
    np.testing.assert_allclose(game.farthest, [0.75])


def test_a_game_wants_dense_examples(texts):
    with pytest.raises(TypeError, match="toarray"):
        play(adagrad, texts, [0.1], np.zeros(50))


def test_the_best_point_for_one_feature():
    examples = Examples(np.ones((10, 1)), np.repeat([1.0, 0.0], [7, 3]))
    w, loss = best_in_hindsight(examples)
    assert w[0] == pytest.approx(logit(0.7), abs=1e-6)
    assert loss == pytest.approx(-7 * np.log(0.7) - 3 * np.log(0.3), abs=1e-10)
    w, _ = best_in_hindsight(examples, box=0.5)
    assert w[0] == 0.5  # logit(0.7) = 0.85 lies outside


def test_nothing_is_better_than_the_best_point():
    rng = np.random.default_rng(5)
    x = rng.standard_normal((200, 6))
    examples = Examples(x, (rng.random(200) < expit(x @ rng.uniform(-2, 2, 6))).astype(float))
    w, loss = best_in_hindsight(examples)
    assert abs(w).max() == 1.0  # some coordinate is held by the box
    others = np.clip(w[:, None] + 0.1 * rng.standard_normal((6, 500)), -1, 1)
    assert (200 * log_loss(others, examples) > loss).all()
    slope = gradient(w[:, None], examples)[:, 0]
    assert (abs(slope[abs(w) < 1]) < 1e-6).all()
    assert (slope * w <= 1e-6)[abs(w) == 1].all()  # beyond the box it would go on falling
