"""Clipping is Keras' and optax's to the last digit, and torch's with its 1e-6; where norms overflow, or limits make no
sense, the frameworks part, and ours is right."""

import functools
from collections import namedtuple

import jax
import numpy as np
import optax
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from lib.optimizers import (
    Optimizer,
    adam,
    clip_adaptively,
    clip_by_global_norm,
    clip_by_norm,
    clip_by_value,
    gradient_descent,
    momentum,
)
from lib.referees import Recording, compare, record
from lib.referees.around import path, run, run_keras, run_optax, run_torch
from tests.optimizers.proofs import BOUND

RATE = 2.0**-7  # a power of two rounds nothing

# A limit that about half of the gradients of size 1 exceed: entries, norms of arrays, norms of all 38 entries.
CLIPS = {
    "value": (functools.partial(clip_by_value, limit=0.625), 0.625),
    "norm": (functools.partial(clip_by_norm, limit=2.0), 2.0),
    "global norm": (functools.partial(clip_by_global_norm, limit=6.4), 6.4),
}
RULES = {"gradient_descent": gradient_descent, "momentum": momentum, "adam": adam}


def norm(arrays):
    """The norm of all entries together, taken in float64."""
    flat = np.concatenate([np.asarray(a, dtype=float).ravel() for a in arrays])
    largest = np.abs(flat).max(initial=0)
    return largest * np.linalg.norm(flat / largest) if largest > 0 else 0.0


def apart(a, b):
    return compare(path(a), path(b)).absolute


def ours(name, recording, rule=gradient_descent, **hyperparameters):
    return run(rule, recording, clip=CLIPS[name][0], **{"lr": RATE} | hyperparameters)


# ---------- what the frameworks do ----------


@pytest.mark.parametrize("name", CLIPS)
def test_the_limits_of_the_proofs_part_the_gradients(name):
    """Else a clipping that does nothing would pass, or one that always clips."""
    changed = []
    for gradients in record(300, 1.0).gradients:
        clipped = CLIPS[name][0](gradients)
        changed += [bool((a != b).any()) for a, b in zip(gradients, clipped, strict=True)]
    assert 0.1 < np.mean(changed) < 0.9


@pytest.mark.parametrize("rule", ["SGD", "Adam"])
@pytest.mark.parametrize("name", CLIPS)
def test_keras(name, rule):
    recording, (_, limit) = record(300, 1.0), CLIPS[name]
    argument = {"value": "clipvalue", "norm": "clipnorm", "global norm": "global_clipnorm"}[name]
    if rule == "SGD":
        reference = run_keras("SGD", recording, learning_rate=RATE, **{argument: limit})
        assert apart(ours(name, recording), reference) <= BOUND
    else:  # with betas that float32 holds, and eps = 0, where Keras' form of Adam is the paper's
        betas = (0.875, 1 - 2.0**-10)
        reference = run_keras("Adam", recording, learning_rate=RATE, beta_1=betas[0], beta_2=betas[1], epsilon=0.0,
                              **{argument: limit})  # fmt: skip
        assert apart(ours(name, recording, adam, beta1=betas[0], beta2=betas[1], eps=0.0), reference) <= BOUND


@pytest.mark.parametrize("name", ["value", "global norm"])
def test_optax(name):
    recording, (_, limit) = record(300, 1.0), CLIPS[name]
    clip = {"value": optax.clip, "global norm": optax.clip_by_global_norm}[name]
    for rule, theirs in (gradient_descent, optax.sgd(RATE)), (adam, optax.adam(RATE)):
        assert apart(ours(name, recording, rule), run_optax(optax.chain(clip(limit), theirs), recording)) <= BOUND


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 3, 4)])
def test_optax_by_the_root_mean_square(shape):
    """The norm of n entries is sqrt(n) times it."""
    recording = record(200, 1.0, shapes=(shape,))
    threshold, n = 0.8, np.zeros(shape).size
    clip = functools.partial(clip_by_norm, limit=threshold * np.sqrt(n))
    reference = run_optax(optax.chain(optax.clip_by_block_rms(threshold), optax.sgd(RATE)), recording)
    assert apart(run(gradient_descent, recording, clip=clip, lr=RATE), reference) <= BOUND


def sgd(params):
    return torch.optim.SGD(params, lr=RATE)


def test_torch_by_value():
    recording, (_, limit) = record(300, 1.0), CLIPS["value"]
    reference = run_torch(sgd, recording, clip=lambda params: clip_grad_value_(params, limit))
    assert apart(ours("value", recording), reference) == 0


@pytest.mark.parametrize("limit", [6.4, 0.01])
def test_torch_adds_1e_6_to_the_norm(limit):
    """Its clipped norm is short of the limit by one part in norm / 1e-6: a dialect, with eps = 1e-6 the same."""
    recording = record(300, 1.0)
    reference = list(run_torch(sgd, recording, clip=lambda params: clip_grad_norm_(params, limit)))
    clip = functools.partial(clip_by_global_norm, limit=limit)
    same = run(gradient_descent, recording, clip=functools.partial(clip, eps=1e-6), lr=RATE)
    assert apart(same, reference) <= BOUND
    assert apart(run(gradient_descent, recording, clip=clip, lr=RATE), reference) > 1e3 * BOUND


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_how_short_torch_is(size):
    g = np.array([3.0, 4.0]) * size / 5
    tensor = torch.zeros(2, dtype=torch.float64)
    tensor.grad = torch.tensor(g)
    clip_grad_norm_([tensor], size / 2)
    (right,) = clip_by_global_norm([g], size / 2)
    assert norm([tensor.grad]) / norm([right]) == pytest.approx(size / (size + 1e-6), rel=1e-15)


def test_torch_changes_a_gradient_just_within_the_limit():
    tensor = torch.zeros(1, dtype=torch.float64)
    tensor.grad = torch.tensor([1 - 5e-7], dtype=torch.float64)
    before = tensor.grad.numpy().copy()
    clip_grad_norm_([tensor], 1.0)
    assert tensor.grad.item() == pytest.approx(before[0] * (1 - 5e-7), rel=1e-12)
    assert clip_by_global_norm([before], 1.0)[0] == before
    assert clip_by_global_norm([before], 1.0, eps=1e-6)[0] == pytest.approx(tensor.grad.item(), rel=1e-15)


def test_keras_changes_gradients_within_the_limit_by_a_rounding():
    """clip_norm * (1 / clip_norm) is not 1 for every limit."""
    assert 49 * (1 / 49) != 1
    recording = record(2, 1.0, shapes=((2,),))
    keras = [
        np.diff(path(run_keras("SGD", recording, learning_rate=1.0, global_clipnorm=limit)), axis=0)
        for limit in (49.0, 64.0)
    ]
    assert 0 < np.abs(keras[0] - keras[1]).max() < 1e-15
    assert [a.tolist() for a in clip_by_global_norm(recording.gradients[0], 49)] == [
        a.tolist() for a in recording.gradients[0]
    ]


def last_first(arrays):
    """PyTorch's layout of weights (units first) in optax's (units last), and back."""
    return [np.moveaxis(a, 0, -1) for a in arrays]


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 3, 4, 5)])
@pytest.mark.parametrize("size", [1.0, 0.0], ids=["weights", "zeros"])
def test_optax_adaptively(shape, size):
    """Which has the units in the last dimension; its three-dimensional weights are those of attention heads."""
    draw = np.random.default_rng(0)
    x, clipped = size * draw.standard_normal(shape), 0
    transformation = optax.adaptive_grad_clip(0.01, eps=1e-3)
    moved = (lambda a: a) if len(shape) < 2 else (lambda a: np.moveaxis(a, 0, -1))
    for scale in np.geomspace(1e-8, 1e4, 200):
        g = scale * draw.standard_normal(shape)
        with jax.enable_x64(True):
            given, params = (jax.numpy.asarray(moved(a)) for a in (g, x))
            theirs, _ = transformation.update(given, transformation.init(params), params)
        (ours,) = clip_adaptively([g], [x], 0.01)
        clipped += bool((ours != g).any())
        # The norms of both sides round, at most n / 2 times each; and then five operations.
        np.testing.assert_allclose(moved(ours), np.asarray(theirs), rtol=(g.size + 5) * 2**-53)
    assert 20 < clipped < 180


# ---------- the proof can fail ----------


def clip_the_step(recording, limit):
    """What clips not the gradient but the step that Adam makes of it."""
    optimizer, params, steps = Optimizer(adam, lr=RATE), recording.start, []
    for gradients in recording.gradients:
        new = optimizer.step(params, gradients)
        moved = clip_by_global_norm([a - b for a, b in zip(new, params, strict=True)], limit)
        params = [a + b for a, b in zip(params, moved, strict=True)]
        steps.append(np.concatenate([a.ravel() for a in params]))
    return np.stack(steps)


def test_clipping_the_step_is_not_clipping_the_gradient():
    recording, (_, limit) = record(200, 1.0), CLIPS["global norm"]
    right = run_torch(lambda p: torch.optim.Adam(p, lr=RATE), recording, clip=lambda p: clip_grad_norm_(p, limit))
    for wrong_limit in limit, RATE * limit:
        assert compare(clip_the_step(recording, wrong_limit), path(right := list(right))).absolute > 1e-3


WRONG = {
    "each array on its own": functools.partial(clip_by_norm, limit=6.4),
    "each entry": functools.partial(clip_by_value, limit=6.4 / np.sqrt(38)),
    "not at all": lambda grads: grads,
    "always": lambda grads: [g * 6.4 / norm(grads) for g in grads],
    "by the squared norm": lambda grads: [g * min(1, 6.4 / norm(grads) ** 2) for g in grads],
    "by the root mean square": lambda grads: [g * min(1, 6.4 / (norm(grads) / np.sqrt(38))) for g in grads],
    "without torch's eps": functools.partial(clip_by_global_norm, limit=6.4),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_form_is_not_torchs(wrong):
    recording = record(200, 1.0)
    reference = run_torch(sgd, recording, clip=lambda params: clip_grad_norm_(params, 6.4))
    assert apart(run(gradient_descent, recording, clip=WRONG[wrong], lr=RATE), reference) > 1e5 * BOUND


# ---------- laws ----------

few = settings(deadline=None, max_examples=100, derandomize=True)
finite = st.floats(allow_nan=False, allow_infinity=False)
limits = st.floats(1e-200, 1e200)
groups = st.lists(array_shapes(min_dims=0, max_dims=3, max_side=4), min_size=1, max_size=3).flatmap(
    lambda shapes: st.tuples(*(arrays(np.float64, shape, elements=finite) for shape in shapes))
)
by_norm = pytest.mark.parametrize("clip", [clip_by_norm, clip_by_global_norm])


def each(clip, grads):
    """What has a norm of its own."""
    return [[g] for g in grads] if clip is clip_by_norm else [grads]


@by_norm
@few
@given(grads=groups, limit=limits)
def test_the_norm_is_at_most_the_limit(clip, grads, limit):
    """But for rounding: n squares and sums, of all 2**-53, and five operations more."""
    n = sum(g.size for g in grads)
    for part in each(clip, clip(grads, limit)):
        assert norm(part) <= limit * (1 + (n + 5) * 2**-52)


@by_norm
@few
@given(grads=groups, limit=limits)
def test_the_norm_is_the_limit_where_it_was_larger(clip, grads, limit):
    n = sum(g.size for g in grads)
    for before, after in zip(each(clip, grads), each(clip, clip(grads, limit)), strict=True):
        if limit * (1 + 1e-12) < norm(before) < np.inf:
            assert norm(after) == pytest.approx(limit, rel=(n + 5) * 2**-52)


@by_norm
@few
@given(grads=groups, limit=limits)
def test_the_direction_is_kept(clip, grads, limit):
    """Each entry of a group is shortened by one factor; of entries below 1e-307 of the largest, digits are lost."""
    for before, after in zip(each(clip, grads), each(clip, clip(grads, limit)), strict=True):
        size = norm(before)
        if size < np.inf:
            for a, b in zip(before, after, strict=True):
                expected = a / size * limit if size > limit else a
                np.testing.assert_allclose(b, expected, rtol=1e-14, atol=1e-307 * max(limit, 1))


@by_norm
@few
@given(grads=groups, limit=limits)
def test_clipping_twice_is_clipping_once(clip, grads, limit):
    once = clip(grads, limit)
    n = sum(g.size for g in grads)
    for a, b in zip(clip(once, limit), once, strict=True):
        np.testing.assert_allclose(a, b, rtol=(n + 5) * 2**-52, atol=1e-322)


@few
@given(grads=groups, limit=limits)
def test_values_are_within_the_limit_and_stay_there(grads, limit):
    once = clip_by_value(grads, limit)
    for before, a, again in zip(grads, once, clip_by_value(once, limit), strict=True):
        assert (np.abs(a) <= limit).all()
        np.testing.assert_array_equal(a, np.where(np.abs(before) > limit, np.sign(before) * limit, before))
        np.testing.assert_array_equal(again, a)


ALL = {
    "clip_by_value": clip_by_value,
    "clip_by_norm": clip_by_norm,
    "clip_by_global_norm": clip_by_global_norm,
    "clip_adaptively": lambda grads, limit: clip_adaptively(grads, grads, limit),
}
every = pytest.mark.parametrize("clip", ALL.values(), ids=ALL)


@every
@few
@given(grads=groups)
def test_within_the_limit_nothing_changes_to_the_bit(clip, grads):
    """Even the largest numbers, whose norm is no number, are within the limit that clips none."""
    within = [np.where(np.abs(g) < 1e150, g, 0.0) * 1e-20 for g in grads]
    for limit, given_ in ((1e150, within), (np.inf, grads)):
        for a, b in zip(clip(given_, limit), given_, strict=True):
            assert a.tobytes() == np.asarray(b).tobytes()  # -0.0 too


@every
@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3), (0,), (0, 3), (3, 0)])
def test_zeros_stay_zeros(clip, shape):
    (clipped,) = clip([np.zeros(shape)], 0.5)
    assert clipped.shape == shape
    assert not clipped.any()
    both = clip([np.zeros(shape), np.array([3.0, 4.0])], 0.5)
    assert not both[0].any()


def test_by_hand():
    grads = [np.array([3.0]), np.array([[0.0, -4.0]])]
    assert [g.tolist() for g in clip_by_value(grads, 2)] == [[2.0], [[0.0, -2.0]]]
    assert [g.tolist() for g in clip_by_norm(grads, 2)] == [[2.0], [[0.0, -2.0]]]
    assert [g.tolist() for g in clip_by_norm(grads, 3.5)] == [[3.0], [[0.0, -3.5]]]
    assert [g.tolist() for g in clip_by_global_norm(grads, 2.5)] == [[1.5], [[0.0, -2.0]]]
    assert [g.tolist() for g in clip_by_global_norm(grads, 2.5, eps=5.0)] == [[0.75], [[0.0, -1.0]]]
    weights = [np.array([[30.0, 40.0], [0.0, 0.0]]), np.array([8.0, 6.0])]
    grads = [np.array([[6.0, 8.0], [6.0, 8.0]]), np.array([1.0, 0.0])]
    assert [g.tolist() for g in clip_adaptively(grads, weights, 0.1, eps=1.0)] == [
        [[3.0, 4.0], [pytest.approx(0.06), pytest.approx(0.08)]],
        [1.0, 0.0],
    ]


# ---------- what is too large, too small, or no number ----------

HARD = {  # dtype: gradients with squares that overflow, and that vanish
    "float16": ([300.0, 400.0], [3e-4, 4e-4]),
    "float32": ([3e20, 4e20], [3e-30, 4e-30]),
    "float64": ([3e200, 4e200], [3e-200, 4e-200]),
}
hard = pytest.mark.parametrize(("dtype", "which"), [(dtype, which) for dtype in HARD for which in (0, 1)])
make = pytest.mark.parametrize("array", ["numpy", "torch", "jax"])


def made(array, values, dtype):
    if array == "torch":
        return torch.tensor(values, dtype=getattr(torch, dtype))
    return jax.numpy.asarray(values, dtype=dtype) if array == "jax" else np.asarray(values, dtype=dtype)


@by_norm
@make
@hard
def test_a_square_that_overflows_or_vanishes_does_no_harm(clip, array, dtype, which):
    values = HARD[dtype][which]
    limit = norm([values]) / 3
    with jax.enable_x64(True):
        (clipped,) = clip([made(array, values, dtype)], limit)
        got = np.asarray(clipped, dtype=float)
        assert str(clipped.dtype).endswith(dtype)
    unit = np.finfo(dtype)
    np.testing.assert_allclose(got, np.array(values) / 3, rtol=10 * unit.eps, atol=unit.smallest_subnormal)


@by_norm
@make
def test_more_entries_than_float16_can_count(clip, array):
    """Its largest number is 65504."""
    (clipped,) = clip([made(array, np.ones(70_000), "float16")], 1.0)
    np.testing.assert_allclose(np.asarray(clipped, dtype=float), 70_000**-0.5, rtol=2**-11)


@pytest.mark.parametrize("dtype", HARD)
def test_a_square_that_overflows_in_the_frameworks(dtype):
    """torch, optax and Keras' clipnorm make zeros of a gradient of finite numbers, Keras' global_clipnorm nan. Only
    torch, which takes norms of float16 in float32, is right in float16."""
    values = np.array(HARD[dtype][0])
    theirs = clipped_by_the_frameworks(values, 1.0, dtype)
    right = values / norm([values])
    np.testing.assert_allclose(theirs["torch"], right if dtype == "float16" else [0, 0], rtol=1e-3)
    np.testing.assert_array_equal(theirs["clipnorm"], [0, 0])
    np.testing.assert_array_equal(theirs["global_clipnorm"], [np.nan, np.nan])
    np.testing.assert_array_equal(theirs["optax"], [0, 0])
    np.testing.assert_allclose(clip_by_global_norm([values.astype(dtype)], 1.0)[0], right, rtol=1e-3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_squares_that_vanish_in_the_frameworks(dtype):
    """optax and Keras' global_clipnorm take the norm for 0 and do not clip, whatever the limit. Keras' clipnorm makes
    zeros of the gradient, as its product with the limit vanishes; so does torch, as it divides by its 1e-6."""
    values = np.array(HARD[dtype][1])
    theirs = clipped_by_the_frameworks(values, float(norm([values]) / 3), dtype)
    for framework in "optax", "global_clipnorm":
        np.testing.assert_allclose(theirs[framework], values, rtol=1e-6, err_msg=framework)
    for framework in "torch", "clipnorm":
        np.testing.assert_array_equal(theirs[framework], [0, 0], err_msg=framework)


def clipped_by_the_frameworks(values, limit, dtype):
    """What torch, Keras' two norms and optax make of one gradient: a step from 0 at the rate 1."""
    values = np.array(values, dtype)
    recording = Recording([np.zeros_like(values)], [[values]])
    tensor = torch.zeros(2, dtype=getattr(torch, dtype))
    tensor.grad = torch.tensor(values)
    clip_grad_norm_([tensor], limit)
    keras = {
        argument: path(run_keras("SGD", recording, learning_rate=1.0, **{argument: limit}))
        for argument in ("clipnorm", "global_clipnorm")
    }
    theirs = path(run_optax(optax.chain(optax.clip_by_global_norm(limit), optax.sgd(1.0)), recording))
    return {"torch": tensor.grad.double().numpy()} | {
        key: -moved[0] for key, moved in (keras | {"optax": theirs}).items()
    }


@by_norm
@make
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_stays_so_and_the_optimizer_refuses_it(clip, array, bad):
    params, grads = [made(array, [0.0, 0.0], "float32")], [made(array, [1.0, bad], "float32")]
    clipped = clip(grads, 0.5)
    np.testing.assert_array_equal(np.asarray(clipped[0]), np.asarray(grads[0]))
    with pytest.raises(ValueError, match=r"grads\[0\] has 1 of 2 entries that are not finite"):
        Optimizer(gradient_descent).step(params, clipped)


@make
def test_by_value_an_infinite_entry_is_clipped_and_nan_is_not(array):
    (clipped,) = clip_by_value([made(array, [np.inf, -np.inf, np.nan], "float32")], 2.0)
    np.testing.assert_array_equal(np.asarray(clipped), [2.0, -2.0, np.nan])


def test_a_negative_limit_turns_torchs_and_optaxs_gradient_around():
    """Keras takes it for no limit. Here it is an error, as below."""
    tensor = torch.zeros(2, dtype=torch.float64)
    tensor.grad = torch.tensor([3.0, 4.0], dtype=torch.float64)
    clip_grad_norm_([tensor], -1.0)
    np.testing.assert_allclose(tensor.grad.numpy(), [-0.6, -0.8], rtol=1e-6)
    updates, _ = optax.clip_by_global_norm(-1.0).update([jax.numpy.asarray([3.0, 4.0])], optax.EmptyState())
    np.testing.assert_allclose(updates[0], [-0.6, -0.8], rtol=1e-6)
    recording = record(2, 1.0)
    limited = run_keras("SGD", recording, learning_rate=1.0, global_clipnorm=-1.0)
    assert apart(limited, run_keras("SGD", recording, learning_rate=1.0)) == 0


# ---------- any array, any container ----------


@every
@make
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_dtype_shape_and_library_are_kept(clip, array, dtype):
    if (array, dtype) == ("numpy", "bfloat16"):
        return
    for shape in (), (3,), (2, 3), (2, 3, 4), (0, 2):
        given_ = made(array, np.full(shape, 2.0).tolist(), dtype)
        given_ = given_.reshape(shape)
        (clipped,) = clip([given_], 0.5)
        assert type(clipped) is type(given_)
        assert (clipped.dtype, tuple(clipped.shape)) == (given_.dtype, shape)


@every
@make
def test_float64_agrees_in_every_library(clip, array):
    gradients = record(1, (1e-3, 1e3)).gradients[0]
    with jax.enable_x64(True):
        clipped = clip([made(array, g, "float64") for g in gradients], 0.25)
        for a, b in zip(clipped, clip(gradients, 0.25), strict=True):
            np.testing.assert_allclose(np.asarray(a), b, rtol=1e-14)


def test_arrays_of_several_dtypes_are_clipped_together():
    wide, narrow = clip_by_global_norm([np.array([3.0]), np.array([4.0], np.float16)], 1.0)
    assert (wide.dtype, narrow.dtype) == (np.float64, np.float16)
    assert (wide[0], narrow[0]) == (pytest.approx(0.6), np.float16(0.8))


Pair = namedtuple("Pair", "w b")


@every
@pytest.mark.parametrize("container", [list, tuple, Pair._make, lambda a: dict(zip("wb", a, strict=True))])
def test_the_container_is_kept_and_so_is_what_is_in_it(clip, container):
    given_ = container([np.array([3.0, 4.0]), np.array(5.0)])
    before = [a.copy() for a in (given_.values() if isinstance(given_, dict) else given_)]
    clipped = clip(given_, 0.25)
    assert type(clipped) is type(given_)
    if isinstance(given_, dict):
        assert clipped.keys() == given_.keys()
        given_, clipped = given_.values(), clipped.values()
    for old, was, new in zip(given_, before, clipped, strict=True):
        np.testing.assert_array_equal(old, was)
        assert not np.shares_memory(old, new)


@every
def test_it_can_be_traced(clip):
    given_ = [np.array([3.0, 4.0], np.float32), np.array([0.0], np.float32)]
    for a, b in zip(jax.jit(lambda grads: clip(grads, 0.5))(given_), clip(given_, 0.5), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


# ---------- errors ----------


@pytest.mark.parametrize("clip", [*ALL.values()], ids=ALL)
@pytest.mark.parametrize("limit", [0, 0.0, -1.0, float("nan")])
def test_a_limit_that_is_none_is_named(clip, limit):
    with pytest.raises(ValueError, match=r"^clip_\w+: limit must be a number > 0, got"):
        clip([np.ones(2)], limit)


@every
@pytest.mark.parametrize("limit", [None, "1", True, np.ones(1)])
def test_a_limit_that_is_no_number_is_named(clip, limit):
    with pytest.raises(TypeError, match=r"^clip_\w+: limit must be a number > 0, got"):
        clip([np.ones(2)], limit)


def test_a_wrong_eps_is_named():
    with pytest.raises(ValueError, match="clip_by_global_norm: eps must be a finite number >= 0, got -1"):
        clip_by_global_norm([np.ones(2)], 1.0, eps=-1)
    with pytest.raises(ValueError, match="clip_adaptively: eps must be a number > 0, got 0"):
        clip_adaptively([np.ones(2)], [np.ones(2)], 1.0, eps=0)


@every
def test_a_wrong_gradient_is_named(clip):
    with pytest.raises(TypeError, match=r"grads must be a list, tuple or dict of arrays, got ndarray .*: \[grads\]"):
        clip(np.ones(2), 1.0)
    with pytest.raises(TypeError, match=r"grads\['w'\] must be an array, got None; has the gradient been computed"):
        clip({"w": None}, 1.0)


@pytest.mark.parametrize("clip", [clip_by_norm, clip_by_global_norm], ids=["norm", "global norm"])
@pytest.mark.parametrize("g", [[np.inf, 1.0], [np.nan, 1.0], [1e-300, 1e300], [5e-324, 5e-324], [0.0, 0.0]], ids=str)
def test_numpy_has_nothing_to_warn_of(clip, g):
    with np.errstate(all="raise"):
        clip([np.array(g)], limit=1e-310)
