"""sophia is Algorithm 3 of Liu et al., optax's is a step late, and the paper's two estimates are right on average."""

import jax
import numpy as np
import pytest
import torch

from lib.dialects import PAPER, optax, translate
from lib.dialects.optax import DIALECTS
from lib.optimizers import Optimizer, sophia
from lib.optimizers.sophia import gauss_newton_bartlett, hutchinson
from lib.referees import compare, hyperparameters_for, record, replay
from tests.optimizers.proofs import agrees, disagrees

test_agrees = agrees("sophia")


def same_way(steps):
    """What two orders of the operations of a step may differ by: clipped steps are all of one length, so that each is
    rounded the same way as the last, by half an ulp of an x below 4."""
    return steps * 2**-52


def _other(late=True, correct=True, every=True, phase=1, clip=1.0, scaled=True, l2=False):
    def sophia(x, g, curvature, m, h, t, *, learning_rate, b1, b2, gamma, eps, weight_decay, update_interval):
        g = g + weight_decay * x if l2 else g
        m, old = b1 * m + (1 - b1) * g, h
        if not every or (t - phase) % update_interval == 0:
            h = b2 * h + (1 - b2) * curvature
        scale = (gamma if scaled else 1.0) * (old if late else h)
        step = np.clip(m / ((1 - b1**t) if correct else 1.0) / np.maximum(scale, eps), -clip, clip)
        return x - learning_rate * step - (0.0 if l2 else learning_rate * weight_decay * x), m, h

    return sophia


test_optax_disagrees = disagrees(
    "sophia",
    framework="optax",
    paper=sophia,
    not_late=_other(late=False),
    no_bias_correction=_other(correct=False),
    every_step=_other(every=False),
    at_multiples_of_the_interval=_other(phase=0),
    another_bound=_other(clip=2.0),
    no_gamma=_other(scaled=False),
    decay_through_the_gradient=_other(l2=True),
)


def test_the_right_form_of_the_wrong_ones_is_right():
    right = _other()
    vars(right).update(vars(optax.sophia))  # it stands in for that rule
    paths = [replay(f, record(100), learning_rate=0.01, gamma=0.5) for f in (right, optax.sophia)]
    assert compare(*paths).absolute <= same_way(100)


def test_there_is_no_way_from_optax_to_the_paper():
    paper = PAPER["sophia"]
    for pair in ((DIALECTS["sophia"], paper), (paper, DIALECTS["sophia"])):
        with pytest.raises(LookupError, match="optax takes each step with the curvature that it had before"):
            translate(*pair, hyperparameters_for("sophia"))


# ---------- the paper's ----------


def _algorithm_3(recording, eta, beta1, beta2, gamma, eps, decay, k):
    """The paper's, line by line."""
    theta, m, h, path = recording.start[0], 0.0, 0.0, []
    for t, ((g,), (estimate,)) in enumerate(zip(recording.gradients, recording.curvatures, strict=True), start=1):
        m = beta1 * m + (1 - beta1) * g
        if t % k == 1:
            h = beta2 * h + (1 - beta2) * estimate
        theta = theta - eta * decay * theta
        theta = theta - eta * np.clip(m / np.maximum(gamma * h, eps), -1, 1)
        path.append(theta)
    return np.stack(path)


@pytest.mark.parametrize("scale", [(1e-8, 1e4), 1.0], ids=str)
def test_the_paper_s_algorithm(scale):
    recording = record(300, scale, shapes=((8,),))
    given = {"beta1": 0.96, "beta2": 0.99, "gamma": 0.5, "eps": 1e-12}
    ours = replay(sophia, recording, lr=0.01, **given, weight_decay=0.1, update_every=10)
    assert compare(ours, _algorithm_3(recording, 0.01, *given.values(), 0.1, 10)).absolute <= same_way(300)


def test_by_hand():
    """Three steps with beta1 = beta2 = gamma = lr = 1/2 and no decay; the second curvature is not used."""
    given = {"lr": 0.5, "beta1": 0.5, "beta2": 0.5, "gamma": 0.5, "eps": 0.25, "weight_decay": 0.0, "update_every": 2}
    state, step = (0.0, 0.0), lambda *a: [float(b[0]) for b in sophia(*map(np.array, a[:3]), *a[3:], **given)]
    x, *state = step([8.0], [2.0], [16.0], *state, 1)  # m = 1, h = 8: a quarter
    assert (x, state) == (8 - 0.5 * 0.25, [1.0, 8.0])
    x, *state = step([8.0], [-33.0], [1000.0], *state, 2)  # m = -16: clipped
    assert (x, state) == (8.5, [-16.0, 8.0])
    x, *state = step([8.0], [16.125], [-9.0], *state, 3)  # m = 1/16; h < 0: eps instead
    assert (x, state) == (8 - 0.5 * 0.25, [0.0625, -0.5])


def test_decay_is_beside_the_step():
    given = {"lr": 0.5, "weight_decay": 0.5, "beta1": 0.0, "eps": 1.0}
    assert sophia(np.array([8.0]), np.array([0.5]), np.array([0.0]), 0.0, 0.0, 1, **given)[0].tolist() == [5.75]


def test_without_memory_or_clip_it_is_newton_s_method():
    """On a bowl whose axes are the coordinates one step is enough."""
    curvature, x = np.array([2.0, 8.0]), np.array([0.5, -0.25])
    given = {"beta1": 0.0, "beta2": 0.0, "gamma": 1.0, "weight_decay": 0.0, "update_every": 1}
    assert sophia(x, curvature * x, curvature, 0.0, 0.0, 1, lr=1.0, **given)[0].tolist() == [0.0, 0.0]


def test_against_negative_curvature_it_is_the_sign_of_the_average():
    g, curvature = np.array([3.0, -4.0]), np.array([-1.0, -1e9])
    new, *_ = sophia(np.zeros(2), g, curvature, 0.0, 0.0, 1, lr=0.5)
    assert new.tolist() == [-0.5, 0.5]


# ---------- the estimates ----------

# A symmetric matrix over the five entries of two parameters of shapes (2,) and (3, 1), and the product with it.
HESSIAN = np.random.default_rng(1).normal(size=(5, 5))
HESSIAN = HESSIAN + HESSIAN.T
PARAMS = [np.zeros(2), np.zeros((3, 1))]


def _product(u):
    v = HESSIAN @ np.concatenate([a.ravel() for a in u])
    return [v[:2], v[2:].reshape(3, 1)]


def _flat(arrays):
    return np.concatenate([np.asarray(a).ravel() for a in arrays])


def _within_its_spread(draws, expected):
    """Whether the mean of the draws, (draws, coordinates), is within five standard errors of what is expected."""
    error = draws.std(axis=0, ddof=1) / len(draws) ** 0.5
    assert (np.abs(draws.mean(axis=0) - expected) < 5 * error).all()
    assert (error < 0.1 * np.abs(expected).max()).all()  # else anything would be within it


def test_hutchinson_is_the_diagonal_on_average():
    generator = np.random.default_rng(0)
    draws = np.stack([_flat(hutchinson(PARAMS, _product, generator)) for _ in range(20_000)])
    _within_its_spread(draws, np.diag(HESSIAN))


def test_hutchinson_takes_normal_numbers():
    """As in the paper; of a Hessian of 1 they leave their squares, of mean 1 and variance 2. Signs would leave 1."""
    (squares,) = hutchinson([np.zeros(100_000)], lambda u: u, np.random.default_rng(0))
    assert squares.mean() == pytest.approx(1, abs=0.03)
    assert squares.var() == pytest.approx(2, abs=0.2)


def _loss(x):
    return (x**4).sum() / 12 + x.prod()


def test_hutchinson_with_pytorch_s_hessian_vector_product():
    x = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    product = lambda u: [torch.autograd.functional.hvp(_loss, x, u[0])[1]]
    generator = np.random.default_rng(0)
    draws = np.stack([hutchinson([x], product, generator)[0].numpy() for _ in range(2000)])
    _within_its_spread(draws, x.numpy() ** 2)  # the product adds nothing to the diagonal


def test_hutchinson_with_jax_s_hessian_vector_product():
    x = jax.numpy.asarray([1.0, -2.0, 0.5], dtype="float32")
    product = jax.jit(lambda u: [jax.jvp(jax.grad(_loss), (x,), (u[0],))[1]])
    generator = np.random.default_rng(0)
    draws = [hutchinson([x], product, generator)[0] for _ in range(2000)]
    assert draws[0].dtype == "float32"
    _within_its_spread(np.stack(draws), np.asarray(x) ** 2)


# Softmax regression: eight points of three features, four classes. It is linear in W, so that the Gauss-Newton matrix
# is the Hessian, the same for all labels.
POINTS = np.random.default_rng(2).normal(size=(8, 3))
W = np.random.default_rng(3).normal(size=(4, 3))
LOGITS = POINTS @ W.T
P = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)


def _gradients(labels):
    return [(P - np.eye(4)[labels]).T @ POINTS / len(POINTS)]


def test_gauss_newton_bartlett_is_the_diagonal_on_average():
    diagonal = (P * (1 - P)).T @ POINTS**2 / len(POINTS)
    generator = np.random.default_rng(0)
    draws = np.stack([_flat(gauss_newton_bartlett(LOGITS, _gradients, generator)) for _ in range(20_000)])
    assert (draws >= 0).all()
    _within_its_spread(draws, diagonal.ravel())


def test_the_diagonal_is_that_of_the_hessian():
    def loss(w):
        logits = torch.tensor(POINTS) @ w.T
        return torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2, 3, 3, 2, 1, 0]))

    hessian = torch.autograd.functional.hessian(loss, torch.tensor(W)).reshape(12, 12).numpy()
    np.testing.assert_allclose(np.diag(hessian), ((P * (1 - P)).T @ POINTS**2 / len(POINTS)).ravel(), rtol=1e-12)


@pytest.mark.parametrize("like", [np.asarray, torch.tensor, jax.numpy.asarray], ids=["numpy", "torch", "jax"])
def test_labels_are_drawn_from_the_model(like):
    """And are whole numbers of the library of the logits."""
    logits, seen = np.tile(np.log([0.1, 0.2, 0.7]), (20_000, 1)), []
    gauss_newton_bartlett(like(logits), lambda labels: seen.append(labels) or [], np.random.default_rng(0))
    assert type(seen[0]) is type(like(logits))
    assert np.bincount(np.asarray(seen[0])) / 20_000 == pytest.approx([0.1, 0.2, 0.7], abs=0.02)


def test_an_optimizer_takes_what_the_estimates_make():
    generator, params = np.random.default_rng(0), [np.ones(2), np.ones((3, 1))]
    optimizer = Optimizer(sophia, lr=0.5)
    new = optimizer.step(params, _product(params), hutchinson(params, _product, generator))
    assert [a.shape for a in new] == [(2,), (3, 1)]


def test_hutchinson_needs_a_product_for_each_parameter():
    with pytest.raises(ValueError, match="shorter"):
        hutchinson(PARAMS, lambda u: u[:-1], np.random.default_rng(0))
