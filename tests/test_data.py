"""The data are what their docstrings say."""

import numpy as np
import pytest
from sklearn import datasets

from lib.data import digits


def test_digits():
    data = digits()
    assert [a.shape for a in data] == [(1347, 64), (1347,), (450, 64), (450,)]
    assert data.x_train.dtype == data.x_test.dtype == np.float64
    assert abs(data.x_train.mean()) < 1e-14
    assert abs(data.x_train.var() - 1) < 1e-13
    for y in data.y_train, data.y_test:  # each class has a tenth, to within the tenth it has in all
        np.testing.assert_allclose(np.bincount(y) / len(y), 0.1, atol=0.01)


def test_every_digit_is_in_one_of_the_two_sets():
    data = digits(test_share=0.4, seed=3)
    x, y = datasets.load_digits(return_X_y=True)
    both, labels = np.vstack([data.x_train, data.x_test]), np.concatenate([data.y_train, data.y_test])
    scale = (both.max() - both.min()) / 16
    pixels = np.rint((both - both.min()) / scale)
    order = lambda x, y: np.lexsort(np.column_stack([x, y]).T)
    np.testing.assert_array_equal(pixels[order(pixels, labels)], x[order(x, y)])
    np.testing.assert_array_equal(labels[order(pixels, labels)], y[order(x, y)])


def test_the_seed_decides():
    np.testing.assert_array_equal(digits(seed=1).x_test, digits(seed=1).x_test)
    assert not np.array_equal(digits(seed=1).y_test, digits(seed=2).y_test)


def test_the_share_must_be_one():
    with pytest.raises(ValueError, match=r"digits: test_share must be a number in \(0, 1\), got 1.5"):
        digits(test_share=1.5)
