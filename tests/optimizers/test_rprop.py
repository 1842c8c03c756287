"""rprop is Riedmiller & Braun's, with backtracking; torch rests instead (iRprop-), and optax is a gradient late."""

import numpy as np
import pytest
import torch

from lib.dialects import DIALECTS, optax
from lib.dialects import torch as torch_dialect
from lib.optimizers import Optimizer, rprop
from lib.referees import hyperparameters_for, judge, record, referee
from lib.referees import recording as ours
from tests.optimizers.proofs import RECORDINGS, disagrees, task, translates

test_translates = translates("rprop")


@pytest.mark.parametrize("recording", RECORDINGS)
@pytest.mark.parametrize("framework", ["torch", "optax"])
def test_agrees(framework, recording):
    """To the last bit: products and sums of the same numbers in the same order."""
    if (framework, recording) == ("optax", "patterns"):
        pytest.skip("optax stands still where the gradient flips at each step; the next test compares")
    judgment = judge(framework, "rprop", *task("rprop", recording))
    assert judgment.absolute == 0
    assert judgment.states == dict.fromkeys(DIALECTS[framework]["rprop"].state, 0)


def test_optax_stands_still_where_the_gradient_flips_at_each_step():
    recording, hyperparameters = task("rprop", "patterns")
    theirs = np.stack([moment.params for moment in referee("optax").run("rprop", recording, **hyperparameters)])
    hyperparameters["learning_rate"] = hyperparameters.pop("lr")
    mine = np.stack([moment.params for moment in ours.run(optax.rprop, recording, **hyperparameters)])
    assert (mine == theirs).all()
    flipping = np.arange(mine.shape[1]) % 4 == 2
    moved = (mine != ours.flat(recording.start)).any(axis=0)
    assert (moved == ~flipping).all()


def _wrong(late=False, zeroed=True, product=np.multiply, bounded=True, swapped=False, flipped=lambda size, g: 0 * g):
    """torch's rule, a fault planted."""

    def rprop(x, g, last, size, *, lr, eta_minus, eta_plus, min_step_size, max_step_size):
        agreement, down, up = product(g, last), *((eta_plus, eta_minus) if swapped else (eta_minus, eta_plus))
        size = np.where(agreement > 0, up * size, np.where(agreement < 0, down * size, size))
        size = np.clip(size, min_step_size, max_step_size) if bounded else size
        step = np.where(agreement < 0, flipped(size, g), size * np.sign(g))
        return x - step, np.where((agreement < 0) & zeroed, 0, g), size

    return rprop


test_disagrees = disagrees(
    "rprop",
    paper=rprop,
    rprop_minus=_wrong(zeroed=False, flipped=lambda size, g: size * np.sign(g)),
    reduced_twice=_wrong(zeroed=False),
    no_rest=_wrong(flipped=lambda size, g: size * np.sign(g)),
    unbounded=_wrong(bounded=False),
    factors_swapped=_wrong(swapped=True),
    no_memory=_wrong(product=lambda g, last: g * g),
)


def _torchs(*arguments, learning_rate, **hyperparameters):
    return torch_dialect.rprop(*arguments, lr=learning_rate, **hyperparameters)


test_optax_disagrees = disagrees("rprop", framework="optax", torch=_torchs)


def test_the_right_form_of_the_wrong_ones_is_right():
    right = _wrong()
    vars(right).update(vars(torch_dialect.rprop))  # it stands in for that rule
    recording, hyperparameters = record(50), hyperparameters_for("rprop")
    assert (ours.replay(right, recording, **hyperparameters)
            == ours.replay(torch_dialect.rprop, recording, **hyperparameters)).all()  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "steps"),
    [
        # The size is halved as the gradient flips; the step after is as long as it then is.
        (rprop, [-0.1, -0.12, -0.144, +0.144, -0.072, -0.0864]),
        (torch_dialect.rprop, [-0.1, -0.12, -0.144, 0, -0.072, -0.0864]),
        (optax.rprop, [0, -0.1, -0.12, 0, 0, -0.072]),
    ],
    ids=["paper", "torch", "optax"],
)
def test_by_hand(rule, steps):
    rate = {"learning_rate" if rule is optax.rprop else "lr": 0.1}
    optimizer, x = Optimizer(rule, **rate), [np.array([1.0])]
    for g, step in zip([3.0, 1.0, 0.1, -2.0, 5.0, 1.0], steps, strict=True):
        before, x = x, optimizer.step(x, [np.array([g])])
        assert x[0] - before[0] == pytest.approx(step, abs=1e-15)


def test_the_paper_s_cases_one_by_one():
    """The three cases of the update, as the paper has them, for each parameter on its own."""
    draw = np.random.default_rng(0)
    gradients = draw.standard_normal((200, 20)) * (draw.random((200, 20)) < 0.9)  # some of them 0
    optimizer, x = Optimizer(rprop, lr=0.1, max_step_size=0.3), [np.zeros(20)]
    path = np.stack([(x := optimizer.step(x, [g]))[0] for g in gradients])
    for i in range(20):
        w, size, last, change = 0.0, 0.1, 0.0, 0.0
        for t, g in enumerate(gradients[:, i]):
            if last * g > 0:
                size = min(size * 1.2, 0.3)
                change, last = -np.sign(g) * size, g
            elif last * g < 0:
                size = max(size * 0.5, 1e-6)
                change, last = -change, 0.0
            else:
                change, last = -np.sign(g) * size, g
            w += change
            assert path[t, i] == w


def test_the_rate_is_the_first_size_and_nothing_else():
    schedule = lambda step: 0.1 / (1 + step)
    recording = record(20)
    assert (ours.replay(rprop, recording, lr=schedule) == ours.replay(rprop, recording, lr=0.1)).all()


@pytest.mark.parametrize("rule", [rprop, torch_dialect.rprop], ids=["paper", "torch"])
def test_only_the_sign_of_a_gradient_counts(rule):
    start, gradients = record(50).start, record(50).gradients
    signs = ours.Recording(start, [[np.sign(g) for g in arrays] for arrays in gradients])
    assert (ours.replay(rule, record(50)) == ours.replay(rule, signs)).all()


def test_sizes_stay_within_their_bounds():
    size, last, step = 0.1, 0.0, 0.0
    for _ in range(100):
        _, last, step, size = rprop(0.0, 1.0, last, step, size)
    assert size == 50.0
    for t in range(200):
        _, last, step, size = rprop(0.0, (-1.0) ** t, last, step, size)
    assert size == 1e-6


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_torch_does_not_see_that_very_small_gradients_agree(dtype):
    """Their product is zero; the paper's rule, here, multiplies signs."""
    tiny = 1e-30 if dtype is torch.float32 else 1e-200
    p = torch.ones(1, dtype=dtype, requires_grad=True)
    optimizer = torch.optim.Rprop([p], lr=0.1)
    mine, x = Optimizer(rprop, lr=0.1), [torch.ones(1, dtype=dtype)]
    for _ in range(5):
        p.grad = torch.full((1,), tiny, dtype=dtype)
        optimizer.step()
        x = mine.step(x, [torch.full((1,), tiny, dtype=dtype)])
    assert float(optimizer.state[p]["step_size"]) == pytest.approx(0.1)
    assert float(mine.state[0]["size"]) == pytest.approx(0.1 * 1.2**4)
