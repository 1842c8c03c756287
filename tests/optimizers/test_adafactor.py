"""adafactor is Algorithms 4 to 6 of Shazeer & Stern, and Keras'; PyTorch uses eps1 otherwise, optax bounds no rate."""

import numpy as np
import pytest
import torch

from lib.arrays import column_means, row_means
from lib.dialects import DIALECTS
from lib.dialects import optax as optax_dialect
from lib.dialects import torch as torch_dialect
from lib.optimizers import Optimizer, adafactor, rule
from lib.optimizers.rule import named_for
from lib.referees import Recording, hyperparameters_for, judge, record, referee, replay
from tests.optimizers.proofs import BOUND, STATE_BOUND, agrees, disagrees, translates

FRAMEWORKS = ["torch", "keras", "optax"]
BOUNDED = {"lr": 0.1}  # from step 100 on, 1 / sqrt(t) is less

test_agrees = agrees("adafactor")
test_translates = translates("adafactor", **BOUNDED)


def rms(a):
    return np.sqrt((a * a).mean())


def given(size=1.0, **hyperparameters):
    return hyperparameters_for("adafactor", size) | hyperparameters


def _wrong(
    rows=row_means, columns=column_means, second=lambda R, C: R / column_means(R) * C, beta2=lambda t: 1 - t**-0.8,
    size=lambda x, eps2: max(eps2, rms(x)), bound=min, clip=lambda u, d: u / max(1.0, rms(u) / d), step=lambda t: t,
):  # fmt: skip
    """The rule, with a part of it replaced."""

    @rule(each="array")
    def wrong(
        x, g, R=lambda x: 0 * rows(x), C=lambda x: 0 * columns(x), t=1, *, lr, eps1, eps2, clip_threshold
    ):  # fmt: skip
        t, b = step(t), beta2(step(t))
        R = b * R + (1 - b) * rows(g**2 + eps1)
        C = b * C + (1 - b) * columns(g**2 + eps1)
        return x - size(x, eps2) * bound(lr, t**-0.5) * clip(g / np.sqrt(second(R, C)), clip_threshold), R, C

    return wrong


test_disagrees = disagrees(
    "adafactor",
    not_factored=_wrong(rows=lambda a: a, columns=lambda a: a, second=lambda R, C: R),
    rows_only=_wrong(second=lambda R, C: R),
    one_moment_for_the_array=_wrong(rows=lambda a: a.mean(), columns=lambda a: a.mean(), second=lambda R, C: R),
    not_normalized=_wrong(second=lambda R, C: R * C),
    constant_memory=_wrong(beta2=lambda t: 0.999),
    shorter_memory=_wrong(beta2=lambda t: 1 - t**-0.5),
    no_scale=_wrong(size=lambda x, eps2: 1.0),
    norm_for_scale=_wrong(size=lambda x, eps2: np.sqrt((x * x).sum())),
    no_clipping=_wrong(clip=lambda u, d: u),
    each_entry_clipped=_wrong(clip=lambda u, d: np.clip(u, -d, d)),
    always_normalized=_wrong(clip=lambda u, d: u / rms(u)),
    t_one_ahead=_wrong(step=lambda t: t + 1),
)


def test_the_right_form_of_the_wrong_ones_is_right():
    for framework in ("torch", "optax"):
        assert judge(framework, "adafactor", record(50), given(1e4), rule=_wrong()).absolute <= BOUND


# ---------- what the proofs' hyperparameters hide ----------


@pytest.mark.parametrize("framework", ["torch", "keras"])
def test_the_rate_is_bounded_by_one_over_the_root_of_t(framework):
    """At lr = 0.01 no one would notice in the first 10,000 steps."""
    recording = record(120, 1.0)
    assert judge(framework, "adafactor", recording, given(**BOUNDED)).absolute <= BOUND
    unbounded = _wrong(bound=lambda lr, root: lr)
    assert judge(framework, "adafactor", recording, given(**BOUNDED), rule=unbounded).absolute > 1e-3


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_an_array_counts_as_no_smaller_than_eps2(framework):
    """Parameters that start near 0.000001, 0.0001 and 0.01; eps2 is 0.001."""
    recording = record(60, 1.0, shapes=[(2, 3), (3,), (2, 2)])
    start = [scale * a for scale, a in zip((1e-6, 1e-4, 1e-2), recording.start, strict=True)]
    recording = Recording(start, recording.gradients)
    assert judge(framework, "adafactor", recording, given()).absolute <= BOUND
    unbounded = _wrong(size=lambda x, eps2: rms(x))
    assert judge(framework, "adafactor", recording, given(), rule=unbounded).absolute > 1e-5


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("hyperparameters", [{"eps1": 0.25}, {"clip_threshold": 1.25}, {"eps2": 2.0}], ids=str)
def test_another_value_of_each_hyperparameter(framework, hyperparameters):
    if framework == "optax" and "eps2" in hyperparameters:
        pytest.skip("optax lets nobody choose eps2")
    recording = record(60, 1.0)
    assert judge(framework, "adafactor", recording, given(**hyperparameters)).absolute <= BOUND
    apart = np.abs(replay(adafactor, recording, **given()) - replay(adafactor, recording, **given(**hyperparameters)))
    assert apart.max() > 1e-3


def test_pytorch_decays_after_it_has_taken_rms_of_x():
    recording, hyperparameters = record(200, 1.0), given(weight_decay=0.5)
    assert judge("torch", "adafactor", recording, hyperparameters).absolute <= BOUND


def test_keras_decays_before():
    """As in all its optimizers, and as a share of the unbounded rate. The numbers are exact in float32."""
    lr, weight_decay, recording = 2.0**-6, 0.5, record(60, 1.0)

    module = referee("keras").keras()
    params = [module.Variable(a, dtype=a.dtype) for a in recording.start]
    optimizer = module.optimizers.Adafactor(lr, weight_decay=weight_decay)
    x = list(recording.start)
    states = [[adafactor.state["R"](a), adafactor.state["C"](a)] for a in x]
    for t, gradients in enumerate(recording.gradients, start=1):
        optimizer.apply([module.ops.convert_to_tensor(g) for g in gradients], params)
        for i, g in enumerate(gradients):
            x[i], *states[i] = adafactor(x[i] - lr * weight_decay * x[i], g, *states[i], t, lr=lr)
    for ours, theirs in zip(x, params, strict=True):
        np.testing.assert_allclose(theirs.numpy(), ours, rtol=0, atol=BOUND)


# ---------- PyTorch's eps1 ----------


def test_pytorch_s_eps1_outweighs_small_gradients_of_matrices():
    """Its default is 2**-52 in float64; gradients of 1e-8 have a smaller mean square. A vector feels its square."""
    recording, default = record(200, 1e-8), given(eps1=2.0**-52)
    assert judge("torch", "adafactor", recording, default).absolute <= BOUND
    apart = replay(adafactor, recording, **given()) - replay(torch_dialect.adafactor, recording, lr=0.01)
    sizes = [a.size for a in recording.start]
    matrices = np.repeat([a.ndim > 1 for a in recording.start], sizes)
    assert np.abs(apart)[:, matrices].max() > 1e-3
    assert np.abs(apart)[:, ~matrices].max() <= 1e-13  # the paper's eps1 = 1e-30 is a part in 1e14 of their squares


def test_the_paper_s_eps1_is_nothing_to_pytorch_in_float32():
    """Its square is 0 there, and an entry without a gradient 0 / 0; its root, which the mapping gives, is safe."""
    to_torch = DIALECTS["torch"]["adafactor"].from_paper
    for eps1, safe in ((1e-30, False), (to_torch(lambda t: given(), 1)["eps1"], True)):
        x = torch.ones(2, requires_grad=True)
        x.grad = torch.tensor([0.0, 1.0])
        torch.optim.Adafactor([x], eps=(eps1, 1e-3)).step()
        assert bool(x.isfinite().all()) is safe
    assert np.isfinite(Optimizer(adafactor).step([np.ones(2, np.float32)], [np.array([0, 1], np.float32)])[0]).all()


# ---------- optax ----------


def test_optax_factors_the_two_longest_dimensions():
    """The others, and the paper's rule here, the last two."""
    recording = record(60, 1.0, shapes=[(4, 3, 2), (3, 2), (2, 2, 1)])
    assert judge("optax", "adafactor", recording, given()).absolute <= BOUND
    apart = replay(adafactor, recording, **given()) - replay(optax_dialect.adafactor, recording, learning_rate=0.01)
    assert np.abs(apart)[:, :24].max() > 1e-3  # the first; of (2, 2, 1) the longest are not the last two either
    assert np.abs(apart)[:, 24:30].max() <= BOUND
    assert np.abs(apart)[:, 30:].max() > 1e-3
    assert judge("torch", "adafactor", recording, given()).absolute <= BOUND
    assert judge("keras", "adafactor", recording, given()).absolute <= BOUND


def test_optax_does_not_bound_the_rate():
    recording = record(120, 1.0)
    assert judge("optax", "adafactor", recording, given(**BOUNDED)).absolute <= BOUND
    assert judge("optax", "adafactor", recording, given(**BOUNDED), rule=adafactor).absolute > 1e-3


def test_the_memory_of_optax_is_a_float32_unless_its_exponent_is_a_float64(monkeypatch):
    recording, dialect = record(200, 1.0), DIALECTS["optax"]["adafactor"]
    assert judge("optax", "adafactor", recording, given()).absolute <= BOUND
    monkeypatch.setitem(dialect.fixed, "decay_rate", 0.8)
    assert 1e-10 < judge("optax", "adafactor", recording, given()).absolute < 1e-5


# ---------- state ----------


def run_torch(recording):
    params = [torch.tensor(a).requires_grad_() for a in recording.start]
    optimizer = referee("torch").make(DIALECTS["torch"]["adafactor"], params, given())
    for gradients in recording.gradients:
        for p, g in zip(params, gradients, strict=True):
            p.grad = torch.tensor(g)
        optimizer.step()
    states = [optimizer.state[p] for p in params]
    return [(s["row_var"], s["col_var"]) if "row_var" in s else (s["variance"], s["variance"].mean()) for s in states]


def run_keras(recording):
    module = referee("keras").keras()
    params = [module.Variable(a, dtype=a.dtype) for a in recording.start]
    optimizer = referee("keras").make(DIALECTS["keras"]["adafactor"], given())
    optimizer.build(params)
    for gradients in recording.gradients:
        optimizer.apply([module.ops.convert_to_tensor(g) for g in gradients], params)
    # It keeps V, too, as large as the parameter: factoring saves Keras no memory.
    assert [v.shape for v in optimizer._v] == [p.shape for p in params]
    R, C, V = ([a.numpy() for a in state] for state in (optimizer._r, optimizer._c, optimizer._v))
    return [(r, c) if v.ndim > 1 else (v, v.mean()) for r, c, v in zip(R, C, V, strict=True)]


def run_optax(recording):
    import jax
    import optax

    with jax.enable_x64(True):
        params = [jax.numpy.asarray(a) for a in recording.start]
        transformation = referee("optax").make(DIALECTS["optax"]["adafactor"], given())
        state = transformation.init(params)
        for gradients in recording.gradients:
            _, state = transformation.update([jax.numpy.asarray(g) for g in gradients], state, params)
    R, C, V = (map(np.asarray, optax.tree.get(state, name)) for name in ("v_row", "v_col", "v"))
    return [(r, c) if p.ndim > 1 else (v, v.mean()) for p, r, c, v in zip(params, R, C, V, strict=True)]


@pytest.mark.parametrize("run", [run_torch, run_keras, run_optax])
def test_the_state_is_the_frameworks_(run):
    """They keep the second moment of a vector, which is R, and not its mean, which is C."""
    recording = record(30, (1e-4, 1e4))
    optimizer, params = Optimizer(adafactor, **given()), recording.start
    for gradients in recording.gradients:
        params = optimizer.step(params, gradients)
    for ours, theirs in zip(optimizer.state.values(), run(recording), strict=True):
        for a, b in zip(ours.values(), theirs, strict=True):
            assert a.size == np.asarray(b).size
            np.testing.assert_allclose(a.ravel(), np.ravel(b), rtol=STATE_BOUND)


def test_the_state_of_a_matrix_is_a_number_for_each_row_and_column():
    optimizer = Optimizer(adafactor)
    optimizer.step([np.ones((30, 20)), np.ones((2, 3, 4)), np.ones(5), np.ones(())],
                   [np.ones((30, 20)), np.ones((2, 3, 4)), np.ones(5), np.ones(())])  # fmt: skip
    shapes = [tuple(a.shape for a in state.values()) for state in optimizer.state.values()]
    assert shapes == [((30, 1), (1, 20)), ((2, 3, 1), (2, 1, 4)), ((5,), ()), ((), ())]


# ---------- by hand ----------


def test_zeros_move_by_eps2_times_the_rate():
    new, _, _ = adafactor(np.zeros(2), np.array([4.0, -4.0]), np.zeros(2), np.zeros(()), 1, lr=0.25, eps2=0.5)
    np.testing.assert_allclose(new, [-0.125, 0.125], rtol=1e-15)


def test_by_hand():
    """RMS(x) = 2, and the squares of the first gradient have row means 5/2, 25/2, column means 5, 10: mean 15/2."""
    x, g = np.array([[2.0, -2.0], [2.0, 2.0]]), np.array([[1.0, 2.0], [3.0, 4.0]])
    new, R, C = adafactor(x, g, np.zeros((2, 1)), np.zeros((1, 2)), 1, lr=0.25, clip_threshold=4.0)
    V = np.array([[5 / 3, 10 / 3], [25 / 3, 50 / 3]])
    np.testing.assert_allclose(R, [[2.5], [12.5]], rtol=1e-15)
    np.testing.assert_allclose(C, [[5.0, 10.0]], rtol=1e-15)
    np.testing.assert_allclose(new, x - 0.5 * g / np.sqrt(V), rtol=1e-15)
    # The mean of u**2 is (3/5 + 6/5 + 27/25 + 24/25) / 4 = 24/25.
    new, _, _ = adafactor(x, g, np.zeros((2, 1)), np.zeros((1, 2)), 1, lr=0.25, clip_threshold=0.5)
    np.testing.assert_allclose(new, x - 0.5 * g / np.sqrt(V) * 0.5 / np.sqrt(0.96), rtol=1e-15)
    # Step 32: beta2 = 1 - 1/16, and 1 / sqrt(32) is less than the rate.
    new, R, C = adafactor(x, 0 * g, R, C, 32, lr=0.25)
    np.testing.assert_allclose(R, [[2.5 * 15 / 16], [12.5 * 15 / 16]], rtol=1e-14)
    np.testing.assert_array_equal(new, x)
    new, _, _ = adafactor(x, g, np.ones((2, 1)), np.ones((1, 2)), 32, lr=0.25)
    R, C = 15 / 16 + np.array([[2.5], [12.5]]) / 16, 15 / 16 + np.array([[5.0, 10.0]]) / 16
    u = g / np.sqrt(R * C / R.mean())
    np.testing.assert_allclose(new, x - 2 / np.sqrt(32) * u / max(1, rms(u)), rtol=1e-14)


def test_squares_of_rank_one_are_factored_without_loss():
    """The first step is then sign descent, as long as the rate times RMS(x)."""
    g = np.outer([1.0, -3.0, 0.5], [2.0, 4.0, -1.0, 0.25])
    x = np.full((3, 4), 2.0)
    new, _, _ = adafactor(x, g, *(adafactor.state[key](x) for key in "RC"))
    np.testing.assert_allclose(new, x - 0.02 * np.sign(g), rtol=1e-15)


def test_a_vector_is_a_matrix_of_one_column():
    recording = record(60, 1.0, shapes=[(5,)])
    column = Recording([recording.start[0][:, None]], [[g[:, None]] for (g,) in recording.gradients])
    np.testing.assert_array_equal(replay(adafactor, recording), replay(adafactor, column))


def test_the_second_moment_of_a_vector_is_kept_in_full():
    """Algorithm 5, written out."""
    draw = np.random.default_rng(0)
    x, v, optimizer = draw.normal(size=4), np.zeros(4), Optimizer(adafactor)
    params = [x]
    for t in range(1, 50):
        g = draw.normal(size=4)
        params = optimizer.step(params, [g])
        v = (1 - t**-0.8) * v + t**-0.8 * (g**2 + 1e-30)
        u = g / np.sqrt(v)
        x = x - max(1e-3, rms(x)) * min(0.01, t**-0.5) * u / max(1, rms(u))
        np.testing.assert_allclose(params[0], x, rtol=0, atol=BOUND)


def test_an_entry_without_a_gradient_does_not_move_in_float32_either():
    """eps1 = 1e-30 is above float32's smallest number, but its square is not: R * C would be 0, and V 0 / 0."""
    for dtype in (np.float32, np.float64):
        x, g = np.ones((2, 3), dtype), np.zeros((2, 3), dtype)
        new, R, C = adafactor(x, g, *(adafactor.state[key](x) for key in "RC"))
        np.testing.assert_array_equal(new, x)
        assert (R > 0).all()
        assert (C > 0).all()


@pytest.mark.parametrize(("dtype", "steps"), [(torch.float32, 1000), (torch.bfloat16, 100)], ids=str)
def test_agrees_in_low_precision(dtype, steps):
    """A random walk of 2 x 1,000 roundings, each of 0.3 ulp, as for other rules; but ulps of the largest entry that the
    array has had. Its steps are in proportion to its size, and what was rounded at size 13 is there when it is 2 again.
    """
    array = lambda a: torch.tensor(a, dtype=dtype)
    recording, hyperparameters = record(steps, 1.0), given(lr=0.05)
    theirs = referee("torch").replay("adafactor", recording, array=array, **hyperparameters)
    mine = replay(
        torch_dialect.adafactor, recording, array=array, **named_for(torch_dialect.adafactor, hyperparameters)
    )
    ends = np.cumsum([a.size for a in recording.start])[:-1]
    for ours, right in zip(np.split(mine, ends, axis=1), np.split(theirs, ends, axis=1), strict=True):
        largest = np.maximum.accumulate(np.abs(right).max(axis=1, initial=1.0))
        assert (np.abs(ours - right).max(axis=1) / (torch.finfo(dtype).eps * largest)).max() <= 13.5
