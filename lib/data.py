"""Real data that come with scikit-learn: nothing is read from the network."""

from typing import NamedTuple

import numpy as np
from sklearn import datasets
from sklearn.model_selection import train_test_split

from lib.checks import SHARE, check_range


class Split(NamedTuple):
    """Examples to train on and others to test on: arrays ``x...`` of shape (n, features), labels ``y...`` (n,)."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def digits(test_share: float = 0.25, seed: int = 0) -> Split:
    """1,797 handwritten digits of 8 by 8 pixels (64 features, float64) in ten classes, of equal shares in both sets.

    One shift and one scale, the same for all pixels, give those of the training set mean 0 and variance 1.

    Source: Alpaydin & Kaynak 1998, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository,
    doi 10.24432/C50P49; its test set, which is what scikit-learn has.

    Raises:
        ValueError: ``test_share`` is not a number in (0, 1).
    """
    test_share = check_range(SHARE, "test_share", test_share, "digits")
    x, y = datasets.load_digits(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=test_share, random_state=seed, stratify=y)
    mean, std = x_train.mean(), x_train.std()
    return Split((x_train - mean) / std, y_train, (x_test - mean) / std, y_test)
