"""The two claims that each rule's test file makes, one line a case: it agrees with the frameworks, wrong forms do not.

Open loop, float64, 1,000 steps of at most about 0.01, parameters of 0 to 4 dimensions that start near 1.
``lib.referees`` derives the bound of 1e-14 there, and lists what is wider and why.

The gradients are of one size, or of any size from 1e-8 to 1e4; in one recording they are constant, sparse, of flipping
sign, or zero for a long while, under a rate that changes at each step.

The state is compared, too, as a share of its largest value. Where a gradient is constant, an average comes to rest and
each step rounds it the same way: 1,000 times half an ulp, which is 2**-53 of a number at most.

Where eps, or Keras' start of G, outweighs the gradients (Adadelta, and Adagrad in Keras and optax, at 1e-8), every rule
is gradient descent: there only the other sizes tell rules apart.
"""

import itertools
import os

import pytest

from lib.checks import ELSEWHERE, has_range
from lib.dialects import DIALECTS, PAPER, translate
from lib.optimizers.rule import named_for
from lib.referees import BOUND, RECORDINGS, WIDER, compare, hyperparameters_for, judge, record, replay, shapes_for, task

STATE_BOUND = 1000 * 2**-53
SIDES = {"paper": PAPER} | DIALECTS
BACKEND = os.environ.get("KERAS_BACKEND", "tensorflow")


def agrees(name, **bounds):
    """A test that the rule ``name`` equals that of each framework which has it, parameters and state.

    Args:
        name: of the rule.
        bounds: another bound than that of ``lib.referees`` for a framework, and in a comment the cause.
    """

    @pytest.mark.parametrize("recording", RECORDINGS)
    @pytest.mark.parametrize("framework", [framework for framework in DIALECTS if name in DIALECTS[framework]])
    def test(framework, recording):
        judgment = judge(framework, name, *task(name, recording))
        bound, _ = WIDER.get((name, framework), (BOUND, None))
        assert judgment.absolute <= bounds.get(framework, bound), judgment
        assert judgment.states.keys() == DIALECTS[framework][name].state.keys()
        assert max(judgment.states.values(), default=0) <= STATE_BOUND, judgment

    return test


def disagrees(name, framework="torch", **wrong_rules):
    """A test that each of ``wrong_rules`` is told apart from the framework's ``name``: the proof can fail."""

    @pytest.mark.parametrize("wrong", wrong_rules)
    def test(wrong):
        rule, right = wrong_rules[wrong], DIALECTS[framework][name].rule
        if not hasattr(rule, "state"):  # not a rule by itself: it takes what the right one takes
            vars(rule).update(vars(right))  # it stands in for that rule
        recording = record(200, (1e-8, 1e4), shapes=shapes_for(right))
        judgment = judge(framework, name, recording, hyperparameters_for(name), rule=rule)
        assert judgment.absolute > 1e6 * BOUND, judgment

    return test


def translates(name, bound=BOUND, **overrides):
    """A test that between every two dialects of a rule, the paper's among them, the mapping makes them agree, or that
    there is none.

    Args:
        name: of the rule.
        bound: of the deviation.
        overrides: hyperparameters for the test, instead of the proofs'.
    """
    exponential = lambda rate: lambda step: rate * 0.99**step
    steps = lambda rate: lambda step: rate * 0.5 ** (step // 100)
    having = [side for side in SIDES if name in SIDES[side]]
    pairs = list(itertools.permutations(having, 2))

    @pytest.mark.parametrize(
        "changing", [None, exponential, steps], ids=["constant rate", "changing rate", "rate in steps"]
    )
    @pytest.mark.parametrize(("source", "target"), pairs)
    def test(source, target, changing):
        source, target = SIDES[source][name], SIDES[target][name]
        recording = record(300, 1.0, shapes=shapes_for(source.rule))
        hyperparameters = hyperparameters_for(name, 1.0) | overrides
        spoken = {ELSEWHERE.get(theirs, theirs): value for theirs, value in source.rule.defaults.items()}
        hyperparameters = {key: hyperparameters.get(key, spoken.get(key)) for key in source.names if has_range(key)}
        if changing:
            rate = hyperparameters["lr"]
            hyperparameters["lr"] = changing(rate)
        path = lambda dialect, given: replay(dialect.rule, recording, **named_for(dialect.rule, given))
        try:
            theirs = path(target, translate(source, target, hyperparameters))
        except KeyError:
            raise
        except LookupError:  # then the same hyperparameters do not make them agree
            same = {key: value for key, value in hyperparameters.items() if key in target.names}
            assert compare(path(source, hyperparameters), path(target, same)).absolute > 100 * bound
        else:
            assert compare(path(source, hyperparameters), theirs).absolute <= bound

    return test
