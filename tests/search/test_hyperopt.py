"""Hyperopt's TPE asks for what Hyperopt's own loop asks for."""

import hyperopt
import numpy as np
import pytest

from lib.search.hyperopt import HyperoptSearch, in_hyperopt
from lib.search.search import search
from tests.search.test_optuna import SPACE, loss


def test_settings_are_those_of_its_own_loop():
    theirs = []

    def objective(settings):
        theirs.append(settings)
        return loss(settings)

    hyperopt.fmin(
        objective,
        in_hyperopt(SPACE),
        algo=hyperopt.tpe.suggest,
        max_evals=35,
        rstate=np.random.default_rng(3),
        show_progressbar=False,
        verbose=False,
    )
    ours = [trial.settings for trial in search(HyperoptSearch(SPACE, 35, seed=3), loss)]
    assert ours == theirs


def test_settings_lie_in_the_space_and_are_pythons():
    for trial in search(HyperoptSearch(SPACE, 40), loss):
        assert [type(value) for value in trial.settings.values()] == [float, float, int, str]
        for name, dimension in SPACE.items():
            assert 0 <= dimension.share(np.array(trial.settings[name])) <= 1


def test_bad_arguments():
    with pytest.raises(ValueError, match="n must be a whole number >= 1"):
        HyperoptSearch(SPACE, 0)
