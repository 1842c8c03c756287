"""rmsprop is Hinton's slide with eps outside the root (PyTorch); Keras and optax put it inside.

centered_rmsprop is Graves' equations, which Keras and optax follow; PyTorch has eps and the rate outside.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lib.dialects import optax, translate
from lib.dialects import torch as torch_dialect
from lib.optimizers import Optimizer, centered_rmsprop, rmsprop
from lib.referees import RECORDINGS, hyperparameters_for, judge, record, task
from tests.optimizers.proofs import BOUND, agrees, disagrees, translates

test_agrees = agrees("rmsprop")
test_translates = translates("rmsprop")
test_disagrees = disagrees(
    "rmsprop",
    eps_in_the_root=lambda x, g, v, *, lr, rho, eps: (x - lr * g / np.sqrt((v := rho * v + (1 - rho) * g**2) + eps), v),
    swapped_weights=lambda x, g, v, *, lr, rho, eps: (x - lr * g / (np.sqrt(v := (1 - rho) * v + rho * g**2) + eps), v),
    average_of_gradients=lambda x, g, v, *, lr, rho, eps: (
        x - lr * g / (np.abs(v := rho * v + (1 - rho) * g) + eps),
        v,
    ),
    frozen_average=lambda x, g, v, *, lr, rho, eps: (x - lr * g / (np.sqrt((1 - rho) * g**2) + eps), v),
)
test_keras_disagrees = disagrees("rmsprop", framework="keras", paper=rmsprop)


def test_by_hand():
    x, v = rmsprop(np.array([1.0]), np.array([4.0]), np.array([2.0]), lr=0.5, rho=0.5, eps=0.0)
    assert (float(x[0]), float(v[0])) == (1 - 2 / 3, 9.0)


@pytest.mark.parametrize("recording", RECORDINGS)
def test_optax_has_a_switch_that_makes_it_the_paper(monkeypatch, recording):
    dialect = replace(optax.DIALECTS["rmsprop"], rule=rmsprop, fixed={"eps_in_sqrt": False})
    monkeypatch.setitem(optax.DIALECTS, "rmsprop", dialect)
    assert judge("optax", "rmsprop", *task("rmsprop", recording)).absolute <= BOUND


def test_the_switch_is_named_where_a_translation_fails():
    given = {"lr": 0.01, "rho": 0.9, "eps": 1e-8}
    with pytest.raises(LookupError, match="eps_in_sqrt=False puts it outside, where the paper has it"):
        translate(torch_dialect.DIALECTS["rmsprop"], optax.DIALECTS["rmsprop"], given)
    assert translate(torch_dialect.DIALECTS["rmsprop"], optax.DIALECTS["rmsprop"], given | {"eps": 0.0})["eps"] == 0


# ---------- centered, with momentum ----------

test_centered_agrees = agrees("centered_rmsprop")
test_centered_translates = translates("centered_rmsprop")
test_centered_translates_without_eps = translates("centered_rmsprop", eps=0.0)


def _centered(x, g, v, m, step, *, lr, rho, momentum, eps, root=None, average=lambda m: m, looks_ahead=False):
    """Graves' rule, a fault planted."""
    root = root or (lambda spread: np.sqrt(spread + eps))
    v, m = rho * v + (1 - rho) * g**2, rho * m + (1 - rho) * g
    normalized = g / root(v - average(m) ** 2)
    step = momentum * step - lr * normalized
    return x + (momentum * step - lr * normalized if looks_ahead else step), v, m, step


def _wrong(**fault):
    def wrong(*a, lr, rho, momentum, eps):
        return _centered(*a, lr=lr, rho=rho, momentum=momentum, eps=eps, **fault)

    return wrong


test_centered_disagrees = disagrees(
    "centered_rmsprop",
    framework="optax",
    torch=_wrong(root=lambda spread: np.sqrt(spread) + 1e-4),
    not_centered=_wrong(average=lambda m: 0 * m),
    looking_ahead=_wrong(looks_ahead=True),
    no_root=_wrong(root=lambda spread: spread + 1e-4),
)
test_centered_torch_disagrees = disagrees("centered_rmsprop", paper=centered_rmsprop)


@pytest.mark.parametrize(("framework", "steps"), [("torch", 1000), ("optax", 1000), ("keras", 200)])
def test_centered_agrees_with_the_paper_s_memory(framework, steps):
    """rho = 0.95, too short for the proof's constant gradients."""
    given = hyperparameters_for("centered_rmsprop") | {"rho": centered_rmsprop.defaults["rho"]}
    assert judge(framework, "centered_rmsprop", record(steps), given).absolute <= BOUND


def test_centered_by_hand():
    x, v, m, step = centered_rmsprop(
        np.array([1.0]), np.array([4.0]), 2.0, 2.0, 0.5, lr=0.5, rho=0.5, momentum=0.5, eps=9.0
    )
    assert (float(v[0]), float(m[0])) == (9.0, 3.0)
    assert (float(step[0]), float(x[0])) == (0.25 - 2 / 3, 1 + (0.25 - 2 / 3))


def test_centered_steps_grow_without_a_spread():
    """A gradient of 1 throughout: v - m**2 falls as rho**t, so that steps grow, in the paper to lr / sqrt(eps)."""
    lengths = {}
    for rule in (centered_rmsprop, torch_dialect.centered_rmsprop):
        optimizer, x = Optimizer(rule, lr=1.0, rho=0.95, momentum=0.0), [np.zeros(1)]
        lengths[rule] = []
        for _ in range(300):
            before, x = x, optimizer.step(x, [np.ones(1)])
            lengths[rule].append((before[0] - x[0]).item())
    spread = 0.95 ** np.arange(1, 301) * (1 - 0.95 ** np.arange(1, 301))
    assert lengths[centered_rmsprop] == pytest.approx(1 / np.sqrt(spread + 1e-4), rel=1e-6)
    assert lengths[torch_dialect.centered_rmsprop] == pytest.approx(1 / (np.sqrt(spread) + 1e-8), rel=1e-6)
    assert lengths[centered_rmsprop][-1] < 100 < 2000 < lengths[torch_dialect.centered_rmsprop][-1]


def test_centered_torch_makes_numbers_that_are_none_of_constant_gradients():
    """Rounding makes v - m**2 negative for some, in ours as in torch; the paper's eps, inside the root, is larger."""
    g = np.linspace(0.001, 1, 1000, dtype=np.float32)
    p = torch.ones(1000, requires_grad=True)
    p.grad = torch.tensor(g)
    optimizer = torch.optim.RMSprop([p], lr=0.01, alpha=0.9, centered=True)
    mine, x = Optimizer(centered_rmsprop, lr=0.01, rho=0.9), [np.ones(1000, np.float32)]
    for _ in range(500):
        optimizer.step()
        x = mine.step(x, [g])
    assert 0.1 < p.isnan().float().mean() < 0.9
    assert np.isfinite(x[0]).all()
    with pytest.raises(FloatingPointError, match=r"after this step params\[0\] has \d+ of 1000 entries"):
        _walk(Optimizer(torch_dialect.centered_rmsprop, lr=0.01, rho=0.9), [np.ones(1000, np.float32)], g)


def _walk(optimizer, x, g):
    for _ in range(500):
        x = optimizer.step(x, [g])
