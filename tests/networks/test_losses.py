"""The losses are torch's and Keras', in value and gradient."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch

from lib.networks import accuracy, cross_entropy, huber, log_softmax, mean_squared_error
from tests.networks.frameworks import ours, random_params, same, tensorflows, torchs

LABELS = np.array([0, 3, 1, 1, 2])
PARAMS = random_params({"x": (5, 4)})
TARGETS = random_params({"y": (5, 4)}, seed=1)["y"]


def test_mean_squared_error_agrees():
    mine = ours(lambda p: mean_squared_error(p["x"], TARGETS), PARAMS)
    same(mine, torchs(lambda p: torch.nn.functional.mse_loss(p["x"], torch.tensor(TARGETS)), PARAMS))
    same(mine, tensorflows(lambda p: tf.reduce_mean(keras.losses.mean_squared_error(TARGETS, p["x"])), PARAMS))


def test_huber_agrees():
    params = {"x": TARGETS + np.array([[-3.0, -1.0, -0.5, 0.0], [0.25, 0.999, 1.001, 40.0]] * 5)[:5]}
    mine = ours(lambda p: huber(p["x"], TARGETS), params)
    same(mine, torchs(lambda p: torch.nn.functional.huber_loss(p["x"], torch.tensor(TARGETS)), params))
    same(mine, tensorflows(lambda p: tf.reduce_mean(keras.losses.huber(TARGETS, p["x"])), params))


def test_cross_entropy_agrees():
    for scale in 1.0, 1e3:  # of large logits a softmax written plainly overflows
        mine = ours(lambda p, s=scale: cross_entropy(p["x"] * s, LABELS), PARAMS)
        torchs_loss = lambda x: torch.nn.functional.cross_entropy(x, torch.tensor(LABELS))
        keras_loss = lambda x: keras.losses.sparse_categorical_crossentropy(LABELS, x, from_logits=True)
        same(mine, torchs(lambda p, s=scale, loss=torchs_loss: loss(p["x"] * s), PARAMS))
        same(mine, tensorflows(lambda p, s=scale, loss=keras_loss: tf.reduce_mean(loss(p["x"] * s)), PARAMS))


def test_log_softmax_agrees():
    np.testing.assert_allclose(
        log_softmax(PARAMS["x"]), torch.log_softmax(torch.tensor(PARAMS["x"]), dim=1).numpy(), rtol=1e-14
    )


def test_log_softmax_of_a_stack_is_that_of_its_nets():
    each = [PARAMS["x"], PARAMS["x"][::-1], 3 * PARAMS["x"]]
    np.testing.assert_array_equal(log_softmax(np.stack(each)), [log_softmax(logits) for logits in each])


def test_accuracy():
    logits = np.eye(4)[LABELS]
    assert accuracy(logits, LABELS) == 1.0
    assert accuracy(logits, [0, 3, 1, 0, 0]) == 0.6


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mean_squared_error(np.ones((5, 1)), np.ones(5)), r"\(5, 1\), targets \(5,\)"),
        (lambda: huber(np.ones((5, 1)), np.ones(5)), r"huber: .*\(5, 1\), targets \(5,\); make them equal"),
        (lambda: cross_entropy(np.ones((3, 2)), [0, 1]), "3 whole numbers from 0 to 1"),
        (lambda: cross_entropy(np.ones((2, 2)), [0, 2]), "2 whole numbers from 0 to 1"),
        (lambda: cross_entropy(np.ones((2, 2)), [-1, 1]), "2 whole numbers from 0 to 1"),
        (lambda: cross_entropy(np.ones((2, 2)), [0.0, 1.0]), "dtype float64"),
        (lambda: cross_entropy(np.ones((2, 2)), np.eye(2, dtype=int)), r"shape \(2, 2\)"),
    ],
)
def test_errors(call, words):
    with pytest.raises(ValueError, match=words):
        call()
