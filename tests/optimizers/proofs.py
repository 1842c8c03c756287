"""The two claims that each rule's test file makes, one line a case: it agrees with the frameworks, wrong forms do not.

Open loop, float64, 1,000 steps of at most about 0.01, parameters of 0 to 3 dimensions that start near 1. The bound of
1e-14 is 45 ulps there. Two sides round 1,000 times each, by some 0.3 ulp: a random walk of 0.3 * sqrt(2000) = 13 ulps.

Where eps, or Keras' start of G, outweighs the gradients (Adadelta, and Adagrad in Keras and optax, at 1e-8), every rule
is gradient descent: there only the other sizes tell rules apart.
"""

import functools

import pytest

from lib.optimizers import RULES
from lib.referees import DIALECTS, hyperparameters_for, judge, record

BOUND = 1e-14
SCALES = {"1e-8 to 1e4": (1e-8, 1e4), "1e-8": 1e-8, "1": 1.0, "1e4": 1e4}

record = functools.cache(record)


def agrees(name, bound=BOUND):
    """A test that the rule ``name`` equals each framework's, at each size of gradients."""

    @pytest.mark.parametrize("scale", SCALES)
    @pytest.mark.parametrize("framework", DIALECTS)
    def test(framework, scale):
        largest = max(SCALES[scale]) if isinstance(SCALES[scale], tuple) else SCALES[scale]
        deviation = judge(framework, name, record(1000, SCALES[scale]), hyperparameters_for(name, largest))
        assert deviation.absolute <= bound, deviation

    return test


def disagrees(name, framework="torch", **wrong_rules):
    """A test that each of ``wrong_rules`` is told apart from the framework's ``name``: the proof can fail."""

    @pytest.mark.parametrize("wrong", wrong_rules)
    def test(wrong):
        rule = wrong_rules[wrong]
        rule.state, rule.counts_steps, rule.defaults = RULES[name].state, RULES[name].counts_steps, RULES[name].defaults
        deviation = judge(framework, name, record(200, (1e-8, 1e4)), hyperparameters_for(name), ours=rule)
        assert deviation.absolute > 1e6 * BOUND, deviation

    return test
