"""amsgrad is Algorithm 2 of Reddi, Kale & Kumar; the frameworks correct for bias, each in a way of its own."""

from dataclasses import replace

import numpy as np
import pytest

from lib.dialects import PAPER, keras, optax, torch, translate
from lib.optimizers import Optimizer, adam, amsgrad
from lib.optimizers.rule import named_for
from lib.referees import compare, judge, record, replay
from tests.optimizers.proofs import BOUND, RECORDINGS, agrees, disagrees, task, translates

test_agrees = agrees("amsgrad")
test_translates = translates("amsgrad")
test_translates_from_other_betas = translates("amsgrad", beta1=0.0, beta2=0.9, eps=0.01)


def _wrong(maximum=np.maximum, of_v_hat=False, correct_m=True, correct_v=True, eps_in_root=False):
    """PyTorch's form, with a fault if asked for."""

    def amsgrad(x, g, m, v, v_max, t, *, lr, beta1, beta2, eps):
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
        c1, c2 = 1 - beta1**t if correct_m else 1, 1 - beta2**t if correct_v else 1
        v_max = maximum(v_max, v / c2 if of_v_hat else v)
        v_hat = v_max if of_v_hat else v_max / c2
        return x - lr * m / c1 / (np.sqrt(v_hat + eps) if eps_in_root else np.sqrt(v_hat) + eps), m, v, v_max

    return amsgrad


test_disagrees = disagrees(
    "amsgrad",
    adam=_wrong(maximum=lambda old, new: new),
    maximum_of_the_last_two=lambda x, g, m, v, v_max, t, *, lr, beta1, beta2, eps: (
        x
        - lr
        * (m := beta1 * m + (1 - beta1) * g)
        / (1 - beta1**t)
        / (np.sqrt(np.maximum(v, new := beta2 * v + (1 - beta2) * g**2) / (1 - beta2**t)) + eps),
        m,
        new,
        np.maximum(v_max, new),
    ),
    smallest=_wrong(maximum=lambda old, new: np.where(old > 0, np.minimum(old, new), new)),
    eps_in_the_root=_wrong(eps_in_root=True),
    no_correction_of_m=_wrong(correct_m=False),
    no_correction_of_v=_wrong(correct_v=False),
    optax=_wrong(of_v_hat=True),
    keras=keras.amsgrad,
)
test_keras_disagrees = disagrees("amsgrad", framework="keras", torch=torch.amsgrad)
test_optax_disagrees = disagrees("amsgrad", framework="optax", torch=torch.amsgrad)


def test_the_right_form_of_the_wrong_ones_is_right():
    """`_wrong` with no fault planted is PyTorch's form, so that what `test_disagrees` rejects is the fault."""
    x, g, m, v, v_max = np.random.default_rng(0).uniform(1, 2, (5, 50))
    ours = _wrong()(x, g, m, v, v_max, 3, **torch.amsgrad.defaults)
    for mine, theirs in zip(ours, torch.amsgrad(x, g, m, v, v_max, 3), strict=True):
        assert np.abs(mine - theirs).max() <= np.spacing(1.0)


@pytest.mark.parametrize("framework", ["torch", "keras", "optax"])
def test_no_framework_has_the_paper_s_form_by_default(framework):
    judgment = judge(framework, "amsgrad", *task("amsgrad", "1", 50), rule=amsgrad)
    assert judgment.absolute > 1e-3


@pytest.mark.parametrize("recording", RECORDINGS)
def test_optax_without_its_corrections_is_the_paper(monkeypatch, recording):
    uncorrected = {"bias_correction_mu": False, "bias_correction_nu": False}
    dialect = replace(optax.DIALECTS["amsgrad"], rule=amsgrad, fixed=uncorrected, to_paper=None, from_paper=None)
    monkeypatch.setitem(optax.DIALECTS, "amsgrad", dialect)
    judgment = judge("optax", "amsgrad", *task("amsgrad", recording))
    assert judgment.absolute <= BOUND
    assert judgment.states.keys() == {"m", "v", "v_max"}


def test_no_rate_maps_optax_to_the_paper():
    """Two entries, and eps = 0: at the second step each would need a rate of its own."""
    x, gradients = np.zeros(2), np.array([[1.0, 1.0], [1.0, 0.0]])
    steps = {}
    for f in (amsgrad, optax.amsgrad):
        state = [np.zeros(2)] * 3
        for t, g in enumerate(gradients, start=1):
            new, *state = f(x, g, *state, *([t] if f.counts_steps else []), **named_for(f, {"lr": 0.01, "eps": 0.0}))
        steps[f] = new
    needed = steps[optax.amsgrad] / steps[amsgrad]
    assert needed == pytest.approx([np.sqrt(1 - 0.999**2) / 0.19, np.sqrt(1 - 0.999) / 0.19], rel=1e-9)


def test_by_hand():
    """Two steps on gradients 4 and 0 with beta1 = 1/2, beta2 = 3/4, lr = 1/2, eps = 1: v falls, v_max does not."""
    at = {"lr": 0.5, "beta1": 0.5, "beta2": 0.75, "eps": 1.0}
    x, m, v, v_max = amsgrad(np.array([1.0]), np.array([4.0]), 0.0, 0.0, 0.0, **at)
    assert [float(a[0]) for a in (x, m, v, v_max)] == [1 - 0.5 * 2 / 3, 2.0, 4.0, 4.0]
    x, m, v, v_max = amsgrad(np.array([1.0]), np.array([0.0]), m, v, v_max, **at)
    assert [float(a[0]) for a in (x, m, v, v_max)] == [1 - 0.5 * 1 / 3, 1.0, 3.0, 4.0]


def test_until_the_first_gradient_it_stays_where_the_paper_divides_0_by_0():
    params, nothing = [np.array([1.0])], [np.zeros(1)]
    assert Optimizer(amsgrad).step(params, nothing)[0] == 1.0
    with pytest.raises(FloatingPointError):
        Optimizer(amsgrad, eps=0.0).step(params, nothing)
    optimizer = Optimizer(amsgrad, eps=0.0)
    moved = optimizer.step(params, [np.ones(1)])
    assert np.isfinite(optimizer.step(moved, nothing)[0])


def test_it_finds_the_end_that_adam_runs_away_from():
    """The example of the paper's section 3: every third gradient is C = 3, the others -1, and x stays within [-1, 1].

    The best x is -1. Adam ends at +1, with beta1 = 0, beta2 = 1 / (1 + C**2) and a rate that falls as 1 / sqrt(t).
    """
    ends = {}
    for f in (adam, amsgrad):
        optimizer = Optimizer(f, lr=lambda step: 0.5 / np.sqrt(step + 1), beta1=0.0, beta2=0.1)
        params = [np.zeros(1)]
        for t in range(1, 3001):
            params = [x.clip(-1, 1) for x in optimizer.step(params, [np.array([3.0 if t % 3 == 1 else -1.0])])]
        ends[f] = float(params[0][0])
    assert ends[adam] > 0.98
    assert ends[amsgrad] < -0.98


@pytest.mark.parametrize("dialect", [torch.DIALECTS["amsgrad"], keras.DIALECTS["amsgrad"]], ids=["torch", "keras"])
@pytest.mark.parametrize("to_paper", [True, False], ids=["to the paper", "from the paper"])
def test_the_mappings_to_the_paper_itself(dialect, to_paper):
    """With an eps as large as the gradients. Between two frameworks, a fault on the way to the paper could cancel."""
    paper = PAPER["amsgrad"]
    source, target = (dialect, paper) if to_paper else (paper, dialect)
    given = {"lr": lambda step: 0.01 * 0.99**step, "beta1": 0.9, "beta2": 0.999, "eps": 1e-3}
    translated = translate(source, target, given)
    ours, theirs = (
        replay(side.rule, record(200, 1e-3), **named_for(side.rule, hyperparameters))
        for side, hyperparameters in ((source, given), (target, translated))
    )
    assert compare(ours, theirs).absolute <= BOUND
