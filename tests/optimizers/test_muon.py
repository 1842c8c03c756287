"""muon is the algorithm of Jordan et al.; each framework has a dialect of it, and PyTorch rounds it to bfloat16."""

import math

import keras
import numpy as np
import optax
import pytest
import torch

from lib.dialects import DIALECTS
from lib.dialects import keras as keras_dialect
from lib.dialects import optax as optax_dialect
from lib.dialects import torch as torch_dialect
from lib.optimizers import Optimizer, muon
from lib.optimizers.muon import newton_schulz
from lib.referees import compare, hyperparameters_for, record, replay, shapes_for
from lib.referees import torch as torch_referee
from lib.referees.recording import flat
from tests.optimizers.proofs import BOUND, agrees, disagrees, translates

SHAPES = shapes_for(muon)
test_agrees = agrees("muon")
test_translates = translates("muon")


def _wrong(nesterov=True, steps=5, coefficients=(3.4445, -4.7750, 2.0315), tall=lambda rows, columns: rows / columns,
           size=np.linalg.norm, decay_of_rate=True):  # fmt: skip
    def orthogonalized(X):
        a, b, c = coefficients
        for _ in range(steps):
            A = X @ X.T
            X = a * X + (b * A + c * A @ A) @ X
        return X

    def muon(x, g, v, *, lr, momentum, eps, weight_decay):
        v = momentum * v + (1 - momentum) * g
        o = (1 - momentum) * g + momentum * v if nesterov else v
        factor = math.sqrt(max(1, tall(*x.shape)))
        decay = (lr if decay_of_rate else 1) * weight_decay * x
        return x - lr * factor * orthogonalized(o / np.maximum(size(o), eps)) - decay, v

    return muon


test_disagrees = disagrees(
    "muon",
    without_nesterov=_wrong(nesterov=False),
    four_steps=_wrong(steps=4),
    coefficients_that_converge=_wrong(coefficients=(15 / 8, -10 / 8, 3 / 8)),
    a_factor_for_wide_matrices=_wrong(tall=lambda rows, columns: columns / rows),
    no_factor=_wrong(tall=lambda rows, columns: 1),
    decay_without_the_rate=_wrong(decay_of_rate=False),
    the_largest_singular_value_for_the_norm=_wrong(size=lambda o: np.linalg.norm(o, 2)),
)


def test_the_right_form_of_the_wrong_ones_is_right():
    right, given = _wrong(), {"lr": 0.01, "momentum": 0.95, "eps": 1e-7, "weight_decay": 0.1}
    x, g, v = np.random.default_rng(0).standard_normal((3, 4, 2))
    for ours, wrong in zip(torch_dialect.muon(x, g, v, **given), right(x, g, v, **given), strict=True):
        np.testing.assert_allclose(ours, wrong, rtol=1e-13)


# ---------- Newton and Schulz ----------


def polynomial(s):
    """What five steps make of a singular value."""
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    return s


@pytest.mark.parametrize("shape", [*SHAPES, (3, 3), (5, 2), (30, 20), (1, 1)])
def test_five_steps_change_singular_values_and_nothing_else(shape):
    X = np.random.default_rng(0).standard_normal(shape)
    X /= np.linalg.norm(X)
    U, s, V = np.linalg.svd(X, full_matrices=False)
    np.testing.assert_allclose(newton_schulz(X), U * polynomial(s) @ V, atol=1e-13)


def test_singular_values_come_out_about_1():
    """Between 0.68 and 1.21, if they are a 500th of the norm or more."""
    s = polynomial(np.linspace(1 / 500, 1, 100_000))
    assert 0.68 < s.min() < s.max() < 1.21


@pytest.mark.parametrize("shape", SHAPES)
def test_a_step_moves_all_directions_alike(shape):
    rng, rows, columns = np.random.default_rng(0), *shape
    optimizer, x = Optimizer(muon, lr=1.0), np.zeros(shape)
    for _ in range(10):
        (new,) = optimizer.step([x], [rng.standard_normal(shape)])
        lengths = np.linalg.svd(new - x, compute_uv=False) / math.sqrt(max(1, rows / columns))
        assert 0.68 < lengths.min() <= lengths.max() < 1.21
        x = new


def test_by_hand():
    """One entry, gradients 1 and -3, momentum 1/2: v = 1, then -5/2; ahead of it 3/2, then -17/4. The sign counts."""
    one, step = np.ones((1, 1)), polynomial(1.0)
    x, v = muon(one, one, 0 * one, lr=0.5, momentum=0.5, eps=0.0, weight_decay=0.25)
    assert (x.item(), v.item()) == (pytest.approx(1 - 0.5 * (step + 0.25)), 1.0)
    x, v = muon(one, -3 * one, v, lr=0.5, momentum=0.5, eps=0.0, weight_decay=0.0)
    assert (x.item(), v.item()) == (pytest.approx(1 + 0.5 * step), -2.5)
    (x, _), (narrow, _) = (muon(one * a, a, 0 * a, eps=0.0) for a in (np.ones((4, 1)), np.ones((1, 4))))
    assert (one - x)[0, 0] == pytest.approx(2 * (one - narrow)[0, 0], rel=1e-14)  # sqrt(4 / 1) for the tall one


# ---------- symmetries ----------


@pytest.mark.parametrize(("m", "n"), SHAPES)
def test_gradients_turned_turn_the_steps(m, n):
    """With U G V^T for each gradient G the steps are U step V^T: Muon knows no axes."""
    U, V = (np.linalg.qr(np.random.default_rng(k).standard_normal((k, k))).Q for k in (m, n))
    recording = record(60, 1.0, shapes=((m, n),))
    turned = type(recording)(
        [U @ x @ V.T for x in recording.start], [[U @ g @ V.T for g in step] for step in recording.gradients]
    )
    there = replay(muon, recording, weight_decay=0.1).reshape(60, m, n)
    back = replay(muon, turned, weight_decay=0.1).reshape(60, m, n)
    np.testing.assert_allclose(back, U @ there @ V.T, atol=2e-14)


def test_the_size_of_gradients_does_not_matter():
    small, large = record(60, 1.0, shapes=SHAPES), record(60, 2.0**20, shapes=SHAPES)  # the same draws, times 2**20
    np.testing.assert_array_equal(replay(muon, large, eps=0.0), replay(muon, small, eps=0.0))


# ---------- PyTorch: bfloat16 ----------


def in_bfloat16(x, g, v, *, lr, momentum, eps, weight_decay):
    """PyTorch's dialect with Newton-Schulz in bfloat16, as torch multiplies: a product and a sum are rounded once."""
    v = v.lerp(g, 1 - momentum)
    X = g.lerp(v, momentum).bfloat16()
    X = X.T if len(X) > len(X.T) else X
    X = X / X.norm().clamp(min=eps)
    for _ in range(5):
        A = X @ X.T
        X = torch.addmm(X, torch.addmm(A, A, A, beta=-4.7750, alpha=2.0315), X, beta=3.4445)
    X = (X if X.shape == x.shape else X.T).to(x.dtype)
    return x - lr * (math.sqrt(max(1, x.shape[0] / x.shape[1])) * X + weight_decay * x), v


def _as(rule, right):
    vars(rule).update(vars(right))  # it stands in for that rule
    return rule


@pytest.mark.parametrize("size", [1e-8, 1.0, 1e4])
def test_bfloat16_is_all_that_separates_torch_from_its_dialect(size):
    """What it costs: half the entries of a step are off by some 0.5 percent of the rate, the worst by up to 15."""
    recording, given = record(200, size, shapes=(*SHAPES, (3, 3), (5, 2))), hyperparameters_for("muon")
    theirs = torch_referee.replay("muon", recording, as_it_is=True, **given)
    rounded = replay(_as(in_bfloat16, torch_dialect.muon), recording, array=torch.tensor, **given)
    assert compare(rounded, theirs).absolute <= BOUND
    exact = replay(torch_dialect.muon, recording, **given)
    off = np.abs(np.diff(theirs, axis=0) - np.diff(exact, axis=0)) / given["lr"]
    assert 0.001 < np.median(off) < 0.01
    assert 0.02 < off.max() < 0.3


def test_the_least_norm_is_felt_by_gradients_below_it():
    """At 1e-8 eps = 1e-7 shortens the steps of PyTorch and of the paper, and not by the same."""
    recording, given = record(50, 1e-9, shapes=SHAPES), hyperparameters_for("muon")
    assert compare(replay(torch_dialect.muon, recording, **given), replay(muon, recording, **given)).absolute > 1e-3


@pytest.mark.parametrize("lr", [0.01, lambda step: 0.01 * 0.99**step], ids=["constant rate", "changing rate"])
def test_without_eps_torch_and_the_paper_agree(lr):
    dialect, recording = DIALECTS["torch"]["muon"], record(300, 1.0, shapes=SHAPES)
    given = {"lr": lr, "momentum": 0.95, "eps": 0.0, "weight_decay": 0.1}
    for mapping in (dialect.to_paper, dialect.from_paper):
        assert mapping(lambda t: given, 7) == given
        with pytest.raises(LookupError, match="least norm"):
            mapping(lambda t: given | {"eps": 1e-7}, 7)
        with pytest.raises(LookupError, match="as long as the momentum is constant"):
            mapping(lambda t: given | {"momentum": 1 - 1 / t}, 7)
    assert compare(replay(torch_dialect.muon, recording, **given), replay(muon, recording, **given)).absolute <= BOUND


def test_with_a_changing_momentum_they_do_not():
    recording = record(300, 1.0, shapes=SHAPES)
    given = {"lr": 0.01, "momentum": lambda step: 0.85 + 0.1 * min(step / 100, 1), "eps": 0.0, "weight_decay": 0.1}
    assert compare(replay(torch_dialect.muon, recording, **given), replay(muon, recording, **given)).absolute > 1e-4


# ---------- Keras and optax: the length of a step ----------

GIVEN = {"momentum": 0.95, "weight_decay": 0.1}


def torch_path(recording, dtype=torch.float64, **arguments):
    """torch.optim.Muon with any arguments, Newton-Schulz in float64."""
    params = [torch.tensor(x).requires_grad_() for x in recording.start]
    optimizer, path = torch.optim.Muon(params, **arguments), []
    for gradients in recording.gradients:
        for p, g in zip(params, gradients, strict=True):
            p.grad = torch.tensor(g)
        with torch_referee._double(dtype):
            optimizer.step()
        path.append(flat(params))
    return np.stack(path)


def test_torch_can_be_told_to_step_as_far_as_keras_does():
    """adjust_lr_fn = "match_rms_adamw" is Keras' rms_rate = 0.2; eps aside, the two then agree."""
    recording = record(200, 1.0, shapes=(*SHAPES, (3, 3), (5, 2)))
    theirs = torch_path(recording, lr=0.01, eps=0.0, adjust_lr_fn="match_rms_adamw", **GIVEN)
    ours = replay(keras_dialect.muon, recording, learning_rate=0.01, eps=0.0, **GIVEN)
    assert compare(ours, theirs).absolute <= BOUND
    plain = torch_path(recording, lr=0.01, eps=0.0, **GIVEN)
    assert compare(ours, plain).absolute > 1e-3


def test_so_can_optax():
    recording = record(200, 1.0, shapes=((4, 4),))
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):
        params = list(map(jax.numpy.asarray, recording.start))
        transform = optax.contrib.muon(0.01, weight_decay=0.1, consistent_rms=0.2)
        state, step = transform.init(params), jax.jit(transform.update)
        for gradients in recording.gradients:
            updates, state = step(list(map(jax.numpy.asarray, gradients)), state, params)
            params = optax.apply_updates(params, updates)
    plain = 0.2 * math.sqrt(4)  # the factor that the dialect lacks, in the rate and out of the decay
    ours = replay(optax_dialect.muon, recording, learning_rate=0.01 * plain, weight_decay=0.1 / plain)
    assert np.abs(ours[-1] - flat(params)).max() <= BOUND


def keras_path(shapes, dtype, make, steps=20):
    recording = record(steps, 1.0, shapes=shapes, dtype=dtype)
    variables = [keras.Variable(x, dtype=dtype) for x in recording.start]
    optimizer, path = make(), []
    optimizer.build(variables)
    for gradients in recording.gradients:
        optimizer.apply(list(map(keras.ops.convert_to_tensor, gradients)), variables)
        path.append(flat(map(keras.ops.convert_to_numpy, variables)))
    return recording, np.stack(path)


def test_keras_untouched_in_float32():
    """The referee adds a cast to Keras' Muon for float64; in float32 Keras' own agrees with the dialect, too."""
    shapes = (*SHAPES, (3, 2), (3, 5))
    recording, theirs = keras_path(shapes, "float32", lambda: keras.optimizers.Muon(0.01, **GIVEN))
    ours = replay(keras_dialect.muon, recording, learning_rate=0.01, **GIVEN)
    assert compare(ours, theirs).absolute <= BOUND * 2**29  # float32 has 29 bits less


def test_keras_lacks_a_cast_for_float64_on_tensorflow():
    """If this fails, Keras has mended it: take `_muon` out of lib/referees/keras.py."""
    with pytest.raises(Exception, match="expected to be a double tensor but is a float tensor"):
        keras_path(SHAPES, "float64", keras.optimizers.Muon)


def test_keras_epsilon_is_not_that_of_muon():
    make = lambda **given: keras_path(SHAPES[:2], "float32", lambda: keras.optimizers.Muon(0.01, **given), steps=5)[1]
    np.testing.assert_array_equal(make(), make(epsilon=1.0))


@pytest.mark.parametrize(("shape", "name"), [((3,), "bias"), ((2, 3, 2), "kernel"), ((3, 4), "embeddings")])
def test_keras_steps_with_adamw_what_is_no_matrix_or_is_called_an_embedding(shape, name):
    recording = record(20, 1.0, shapes=(shape,), dtype=np.float32)
    x = keras.Variable(recording.start[0], name=name)
    optimizer = keras.optimizers.Muon(0.01)
    optimizer.build([x])
    for (g,) in recording.gradients:
        optimizer.apply([keras.ops.convert_to_tensor(g)], [x])
    adamw = replay(keras_dialect.adamw, recording, learning_rate=0.01)
    assert np.abs(adamw[-1] - flat([keras.ops.convert_to_numpy(x)])).max() <= BOUND * 2**29


def test_eps_is_added_to_the_norm():
    g = np.array([[3.0, 0.0], [0.0, 4.0]])  # with Nesterov's momentum of 0, o has the norm 5
    x, _ = muon(0 * g, g, 0 * g, lr=1.0, momentum=0.0, eps=3.0)
    np.testing.assert_array_equal(x, -newton_schulz(g / 8))
