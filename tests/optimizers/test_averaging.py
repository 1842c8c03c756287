"""ema is the average of torch's AveragedModel, Keras' use_ema and optax; polyak is AveragedModel as it comes;
accumulate gives the step of the large batch, as Keras, optax and a careful user of torch do."""

from collections import namedtuple
from fractions import Fraction

import jax
import numpy as np
import optax
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch.optim.swa_utils import get_ema_multi_avg_fn

from lib.optimizers import (
    Optimizer,
    accumulate,
    adam,
    clip_by_global_norm,
    ema,
    gradient_descent,
    momentum,
    polyak,
)
from lib.referees import compare, record
from lib.referees.around import path, run, run_keras, run_optax, run_torch
from tests.optimizers.proofs import BOUND

RATE = 2.0**-7  # float32 holds it
DECAYS = [0.9, 0.99, 0.999]


def sgd(params):
    return torch.optim.SGD(params, lr=RATE)


def plain(decay):
    return lambda average, params, t: ema(average, params, decay=decay)


def corrected(decay):
    return lambda average, params, t: ema(average, params, t, decay=decay)


def apart(a, b, key=None):
    return compare(path(a, key), path(b, key)).absolute


def averages(recording, average, **given):
    return list(run(gradient_descent, recording, average=average, lr=RATE, **given))


# ---------- ema in the frameworks ----------


@pytest.mark.parametrize("decay", DECAYS)
def test_torch(decay):
    recording = record(300, 1.0)
    reference = run_torch(sgd, recording, average=get_ema_multi_avg_fn(decay))
    assert apart(averages(recording, plain(decay)), reference, "average") <= BOUND


@pytest.mark.parametrize("decay", DECAYS)
def test_keras(decay):
    recording = record(300, 1.0)
    reference = list(run_keras("SGD", recording, learning_rate=RATE, use_ema=True, ema_momentum=decay))
    mine = averages(recording, plain(decay))
    assert apart(mine, reference) <= BOUND  # the training does not see the average
    assert apart(mine, reference, "average") <= BOUND


@pytest.mark.parametrize("decay", DECAYS)
def test_optax(decay):
    """Its average of parameters is a function, as ours. It begins where one likes: here after a step."""
    mine = averages(record(300, 1.0), plain(decay))
    theirs = []
    with jax.enable_x64(True):
        for x in path(mine):
            x = jax.numpy.asarray(x)
            theirs.append(optax.incremental_update(x, theirs[-1], 1 - decay) if theirs else x)
    assert compare(path(mine, "average"), np.stack(theirs)).absolute <= BOUND


def bound_corrected(decay, path):
    """1 - decay**t loses digits where decay**t is near 1: half an ulp of it (2**-54), as a share of what is left at the
    second step. Dividing a sum of weights by it, as the paper does, shows them; a share of the way to x does not."""
    return BOUND + 2**-54 / (1 - decay**2) * np.abs(path).max()


@pytest.mark.parametrize("decay", DECAYS)
def test_optax_without_the_bias_of_the_start(decay):
    mine = averages(record(300, 1.0), corrected(decay))
    theirs, transformation = [], optax.ema(decay, debias=True)
    with jax.enable_x64(True):
        state = transformation.init(jax.numpy.asarray(path(mine)[0]))
        for x in path(mine):
            average, state = transformation.update(jax.numpy.asarray(x), state)
            theirs.append(np.asarray(average))
    assert compare(path(mine, "average"), np.stack(theirs)).absolute <= bound_corrected(decay, path(mine))


@pytest.mark.parametrize("decay", DECAYS)
def test_the_paper_s_form(decay):
    """Kingma & Ba, section 7.2: an average that starts at 0, divided by what it lacks."""
    mine = averages(record(300, 1.0), corrected(decay))
    raw, theirs = 0.0, []
    for t, x in enumerate(path(mine), start=1):
        raw = decay * raw + (1 - decay) * x
        theirs.append(raw / (1 - decay**t))
    assert compare(path(mine, "average"), np.stack(theirs)).absolute <= bound_corrected(decay, path(mine))


def test_the_digits_that_the_paper_s_form_loses():
    """The second average of two neighbors, against exact arithmetic."""
    decay, x = 0.999, [1.5, 1.5 + 2**-7]
    exact = [Fraction(a) for a in (decay, *x)]
    right = (exact[0] * exact[1] + exact[2]) / (1 + exact[0])
    paper = (decay * (1 - decay) * x[0] + (1 - decay) * x[1]) / (1 - decay**2)
    (mine,) = ema(ema([np.array(0.0)], [np.array(x[0])], 1, decay=decay), [np.array(x[1])], 2, decay=decay)
    assert abs(Fraction(float(mine)) - right) <= 2**-52
    assert abs(Fraction(paper) - right) > 2**-47


def test_keras_may_put_the_average_in_the_parameters_place():
    recording = record(300, 1.0)
    given_ = {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 5}
    reference = list(run_keras("SGD", recording, learning_rate=RATE, **given_))
    mine = averages(recording, plain(0.9), overwrite=5)
    # Now the roundings of the average enter the parameters: three more a step than the proofs allow for. Keras
    # multiplies average and parameters, we their difference. In its order the deviation is gone.
    assert apart(mine, reference) <= 2 * BOUND
    assert apart(mine, reference, "average") <= 2 * BOUND
    in_order = lambda average, params, t: [0.9 * a + (1 - 0.9) * x for a, x in zip(average, params, strict=True)]
    assert apart(averages(recording, in_order, overwrite=5), reference) <= BOUND / 10
    assert apart(averages(recording, plain(0.9)), reference) > 0.1


def test_keras_moves_the_average_at_each_micro_batch():
    """Though the parameters stand still: with gradients accumulated over k of them, the memory is decay**k a step."""
    recording, decay, every = record(300, 1.0), 0.9, 3
    reference = list(
        run_keras("SGD", recording, learning_rate=RATE, use_ema=True, ema_momentum=decay,
                  gradient_accumulation_steps=every)
    )  # fmt: skip
    mine = averages(recording, plain(decay), every=every)[every - 1 :]
    assert apart(mine, reference[every - 1 :]) <= BOUND
    assert apart(mine, reference[every - 1 :], "average") > 1e-2
    faster = averages(recording, plain(decay**every), every=every)[every - 1 :: every]
    at_last = reference[2 * every - 2 :: every]  # after the last micro-batch that still has the parameters of a step
    assert apart(faster[: len(at_last)], at_last, "average") <= BOUND


# ---------- polyak ----------


def test_torch_averages_all_alike_if_nothing_is_said():
    recording = record(300, 1.0)
    assert apart(averages(recording, polyak), run_torch(sgd, recording), "average") <= BOUND


def test_polyak_is_the_mean():
    mine = averages(record(300, 1.0), polyak)
    means = np.cumsum(path(mine), axis=0) / np.arange(1, 301)[:, None]
    assert compare(path(mine, "average"), means).absolute <= BOUND


def test_polyak_is_the_corrected_average_that_forgets_nothing():
    """As decay goes to 1, each share (1 - decay) / (1 - decay**t) goes to 1 / t."""
    recording = record(100, 1.0)
    nearly = averages(recording, corrected(1 - 2.0**-30))
    assert apart(averages(recording, polyak), nearly, "average") < 1e-6


# ---------- accumulate in the frameworks ----------


@pytest.mark.parametrize("every", [1, 3, 4])
def test_torch_sums_what_the_user_divides(every):
    recording = record(300, 1.0)
    reference = run_torch(lambda params: torch.optim.Adam(params, lr=RATE), recording, every=every)
    assert apart(run(adam, recording, every=every, lr=RATE), reference) <= BOUND


@pytest.mark.parametrize("every", [2, 3, 4])
def test_keras_accumulates_the_mean(every):
    recording = record(300, 1.0)
    mine = list(run(momentum, recording, every=every, lr=RATE, momentum=0.875))
    reference = list(run_keras("SGD", recording, learning_rate=RATE, momentum=0.875, gradient_accumulation_steps=every))
    assert apart(mine, reference) <= BOUND
    assert [moment.t for moment in mine] == [moment.t for moment in reference]


@pytest.mark.parametrize("every", [2, 3, 4])
def test_optax_accumulates_the_mean_in_float32_unless_told_otherwise(every):
    recording = record(300, 1.0)
    mine = list(run(adam, recording, every=every, lr=RATE))
    told = optax.MultiSteps(optax.adam(RATE), every, accumulator_dtype=None)
    assert apart(mine, run_optax(told, recording)) <= BOUND
    assert apart(mine, run_optax(optax.MultiSteps(optax.adam(RATE), every), recording)) > 1e-10


# ---------- the proof can fail ----------

WRONG = {
    "swapped weights": lambda a, x, t: [(1 - 0.9) * b + 0.9 * y for b, y in zip(a, x, strict=True)],
    "the last": lambda a, x, t: x,
    "the first": lambda a, x, t: a,
    "without the bias": corrected(0.9),
    "all alike": polyak,
    "another decay": plain(0.91),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_average_is_not_torchs(wrong):
    recording = record(200, 1.0)
    reference = list(run_torch(sgd, recording, average=get_ema_multi_avg_fn(0.9)))
    assert apart(averages(recording, plain(0.9)), reference, "average") <= BOUND
    wrong = path(averages(recording, WRONG[wrong]), "average")
    assert np.abs(wrong - path(reference, "average")).max() > 1e-4


def test_an_average_that_starts_a_step_early_is_not_torchs():
    recording = record(200, 1.0)
    reference = path(run_torch(sgd, recording, average=get_ema_multi_avg_fn(0.9)), "average")
    average, early = recording.start, []
    for x in path(averages(recording, plain(0.9))):
        average = ema([np.concatenate([a.ravel() for a in average])], [x], decay=0.9)
        early.append(average[0])
    assert compare(np.stack(early), reference).absolute > 1e-3


def test_the_sum_is_not_the_mean():
    """It is gradient descent at a rate times k; Adam hardly sees it."""
    recording, every = record(99, 1.0), 3
    mine = list(run(gradient_descent, recording, every=every, lr=RATE))
    total = optax.MultiSteps(optax.sgd(RATE), every, use_grad_mean=False, accumulator_dtype=None)
    summed = list(run_optax(total, recording))
    assert apart(mine, summed) > 1e-2
    assert apart(run(gradient_descent, recording, every=every, lr=every * RATE), summed) <= BOUND


def test_a_step_for_each_micro_batch_is_not_one_for_all():
    recording = record(99, 1.0)
    assert apart(run(adam, recording, lr=RATE), run(adam, recording, every=3, lr=RATE)) > 1e-2


# ---------- what is one large batch, and what is not ----------


def network(seed=0):
    """A small network's parameters, and twelve examples."""
    draw = torch.Generator().manual_seed(seed)
    rand = lambda *shape: torch.randn(*shape, generator=draw, dtype=torch.float64)
    return {"w": rand(4, 5), "b": rand(5), "v": rand(5)}, rand(12, 4), rand(12)


def gradient(params, x, y, normalize=False):
    """Of the mean squared error over the examples."""
    params = {key: p.clone().requires_grad_() for key, p in params.items()}
    hidden = torch.tanh(x @ params["w"] + params["b"])
    if normalize:
        hidden = (hidden - hidden.mean(0)) / (hidden.std(0) + 1e-5)
    ((hidden @ params["v"] - y) ** 2).mean().backward()
    return {key: p.grad for key, p in params.items()}


def largest_difference(a, b):
    return max(float((a[key] - b[key]).abs().max()) for key in a)


@pytest.mark.parametrize("sizes", [[12], [6, 6], [4, 4, 4], [1] * 12, [5, 4, 3], [1, 11]])
def test_micro_batches_make_up_the_large_batch(sizes):
    params, x, y = network()
    parts = zip(x.split(sizes), y.split(sizes), strict=True)
    mean = accumulate((gradient(params, *part) for part in parts), sizes=sizes)
    assert largest_difference(mean, gradient(params, x, y)) <= 1e-14


def test_without_their_sizes_unequal_micro_batches_do_not():
    params, x, y = network()
    parts = [gradient(params, *part) for part in zip(x.split([1, 11]), y.split([1, 11]), strict=True)]
    assert largest_difference(accumulate(parts), gradient(params, x, y)) > 0.1


def test_with_batch_normalization_they_do_not():
    params, x, y = network()
    parts = [gradient(params, *part, normalize=True) for part in zip(x.split(4), y.split(4), strict=True)]
    assert largest_difference(accumulate(parts), gradient(params, x, y, normalize=True)) > 0.1


def test_clipped_one_by_one_they_do_not():
    params, x, y = network()
    parts = [gradient(params, *part) for part in zip(x.split(4), y.split(4), strict=True)]
    whole = gradient(params, x, y)
    limit = 0.5
    assert largest_difference(clip_by_global_norm(accumulate(parts), limit), clip_by_global_norm(whole, limit)) <= 1e-14
    one_by_one = accumulate(clip_by_global_norm(part, limit) for part in parts)
    assert largest_difference(one_by_one, clip_by_global_norm(whole, limit)) > 0.01


# ---------- laws ----------

few = settings(deadline=None, max_examples=100, derandomize=True)
finite = st.floats(-1e100, 1e100)
some = arrays(np.float64, (3,), elements=finite)
decays = st.floats(0, 1, exclude_max=True)
counts = st.integers(1, 10**6)


@few
@given(x=some, decay=decays, t=st.none() | counts)
def test_the_average_of_a_constant_is_the_constant_to_the_bit(x, decay, t):
    np.testing.assert_array_equal(ema([x], [x], t, decay=decay)[0], x)
    np.testing.assert_array_equal(polyak([x], [x], t or 1)[0], x)


@few
@given(a=some, x=some, decay=decays, t=st.none() | counts)
def test_an_average_lies_between(a, x, decay, t):
    """But for the rounding of a difference, and of what is added."""
    for average in (ema([a], [x], t, decay=decay)[0], polyak([a], [x], t or 1)[0]):
        slack = 2**-51 * np.maximum(abs(a), abs(x))
        assert (average >= np.minimum(a, x) - slack).all()
        assert (average <= np.maximum(a, x) + slack).all()


@few
@given(x=some, decay=decays)
def test_without_the_bias_the_first_average_is_what_is_averaged(x, decay):
    for start in x, np.zeros(3):
        np.testing.assert_array_equal(ema([start], [x], 1, decay=decay)[0], x)
        np.testing.assert_array_equal(polyak([start], [x], 1)[0], x)


@few
@given(x=some)
def test_without_memory_the_average_is_the_last(x):
    np.testing.assert_array_equal(ema([np.zeros(3)], [x], decay=0.0)[0], x)


@few
@given(g=some, k=st.integers(1, 30), data=st.data())
def test_equal_gradients_are_one_to_the_bit(g, k, data):
    sizes = data.draw(st.none() | st.lists(st.integers(1, 1000), min_size=k, max_size=k))
    (mean,) = accumulate([[g]] * k, sizes)
    np.testing.assert_array_equal(mean, g)
    steps = [Optimizer(adam).step([np.ones(3)], [given_])[0] for given_ in (g / 1e90, mean / 1e90)]
    np.testing.assert_array_equal(*steps)


@few
@given(
    grads=arrays(np.float64, st.tuples(st.integers(1, 12), st.just(3)), elements=st.floats(-1e3, 1e3)), data=st.data()
)
def test_accumulate_is_the_weighted_mean(grads, data):
    """Each of k steps rounds three times, numbers no larger than the difference of two gradients."""
    sizes = data.draw(st.lists(st.integers(1, 1000), min_size=len(grads), max_size=len(grads)))
    slack = 2**-53 * 8 * len(grads) * np.abs(grads).max(initial=1e-300)
    (mean,) = accumulate([[g] for g in grads])
    np.testing.assert_allclose(mean, grads.mean(axis=0), rtol=0, atol=slack)
    (mean,) = accumulate(([g] for g in grads), sizes)
    np.testing.assert_allclose(mean, np.average(grads, axis=0, weights=sizes), rtol=0, atol=slack)


def test_by_hand():
    a, x = [np.array([8.0])], [np.array([0.0])]
    assert ema(a, x, decay=0.75)[0] == 6
    assert ema(a, x, 1, decay=0.5)[0] == 0
    assert ema(a, x, 2, decay=0.5)[0] == 8 - 8 * 0.5 / 0.75
    assert polyak(a, x, 4)[0] == 6
    assert accumulate([a, x])[0] == 4
    assert accumulate([a, x], sizes=[3, 1])[0] == 6


def test_a_sum_that_would_overflow_has_a_mean():
    (mean,) = accumulate([[np.array([6e4], np.float16)]] * 4)
    assert mean[0] == np.float16(6e4)


def test_a_narrow_average_stands_still_and_a_wide_one_does_not():
    """bfloat16 has 8 binary digits: a thousandth of the way from 1 to 1.5 is less than half the way to the next number.
    An average in float32 of parameters in bfloat16 goes on."""
    params = [torch.full((1,), 1.5, dtype=torch.bfloat16)]
    for dtype, moves in (torch.bfloat16, False), (torch.float32, True):
        average = [torch.ones(1, dtype=dtype)]
        for _ in range(1000):
            average = ema(average, params, decay=0.999)
        assert average[0].dtype == dtype
        assert (average[0].item() != 1) == moves
    assert average[0].item() == pytest.approx(1.5 - 0.5 * 0.999**1000, rel=1e-4)


# ---------- with an Optimizer ----------


def test_around_an_optimizer():
    """As the docstring of the module has it."""
    target, params, optimizer = np.array([1.0, -1.0]), [np.zeros(2)], Optimizer(adam, lr=0.1)
    average, steps = params, []
    for _ in range(50):
        grads = accumulate([params[0] - target + shift] for shift in (-0.5, 0.5))
        params = optimizer.step(params, grads)
        average = ema(average, params, optimizer.t, decay=0.9)
        steps.append(params[0])
    assert optimizer.t == 50
    weights = 0.9 ** np.arange(49, -1, -1)
    np.testing.assert_allclose(average[0], weights @ np.stack(steps) / weights.sum(), rtol=1e-13)


# ---------- any array, any container ----------

make = pytest.mark.parametrize("make", [np.asarray, torch.as_tensor, jax.numpy.asarray], ids=["numpy", "torch", "jax"])
FUNCTIONS = {
    "ema": lambda a, x: ema(a, x, decay=0.75),
    "corrected": lambda a, x: ema(a, x, 2, decay=0.75),
    "polyak": lambda a, x: polyak(a, x, 4),
    "accumulate": lambda a, x: accumulate([a, x]),
}
every_function = pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)


@every_function
@make
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0,)])
def test_dtype_shape_and_library_are_kept(function, make, dtype, shape):
    a, x = (make(np.full(shape, value, dtype)) for value in (2.0, 4.0))
    (average,) = function([a], [x])
    assert type(average) is type(a)
    assert (average.dtype, tuple(average.shape)) == (a.dtype, shape)
    assert ((average > 2) & (average < 4)).all()


Pair = namedtuple("Pair", "w b")


@every_function
@pytest.mark.parametrize("container", [list, tuple, Pair._make, lambda a: dict(zip("wb", a, strict=True))])
def test_the_container_is_kept_and_so_is_what_is_in_it(function, container):
    a, x = container([np.full(2, 2.0), np.array(2.0)]), container([np.full(2, 4.0), np.array(4.0)])
    average = function(a, x)
    assert type(average) is type(a)
    for given_, value in ((a, 2.0), (x, 4.0)):
        for entry in given_.values() if isinstance(given_, dict) else given_:
            assert (entry == value).all()


@every_function
def test_it_can_be_traced(function):
    a, x = [np.array([2.0], np.float32)], [np.array([4.0], np.float32)]
    np.testing.assert_allclose(jax.jit(function)(a, x)[0], function(a, x)[0], rtol=1e-6)


# ---------- errors ----------


@pytest.mark.parametrize("decay", [1.0, -0.1, 2, float("nan")])
def test_a_wrong_decay_is_named(decay):
    with pytest.raises(ValueError, match=r"ema: decay must be a number in \[0, 1\), got"):
        ema([np.ones(2)], [np.ones(2)], decay=decay)


@pytest.mark.parametrize("t", [0, -1, 1.5])
@pytest.mark.parametrize("function", [ema, polyak])
def test_a_wrong_count_is_named(function, t):
    with pytest.raises(ValueError, match=rf"{function.__name__}: t must be a whole number >= 1, got {t}"):
        function([np.ones(2)], [np.ones(2)], t)


@pytest.mark.parametrize("function", [lambda a, x: ema(a, x), lambda a, x: polyak(a, x, 2)])
def test_what_does_not_fit_is_named(function):
    with pytest.raises(ValueError, match=r"params\[0\] has shape \(3,\), average\[0\] \(2,\); they must be equal"):
        function([np.ones(2)], [np.ones(3)])
    with pytest.raises(KeyError, match=r"average has \['w'\], params \['v'\]"):
        function({"w": np.ones(2)}, {"v": np.ones(2)})
    with pytest.raises(ValueError, match=r"params\[0\] tracks gradients; pass the tensor's .detach\(\)"):
        function([torch.ones(2)], [torch.ones(2, requires_grad=True)])


def test_gradients_that_do_not_fit_are_named():
    g = [np.ones(2)]
    with pytest.raises(ValueError, match=r"mean\[0\] has shape \(2,\), gradients\[1\]\[0\] \(3,\)"):
        accumulate([g, [np.ones(3)]])
    with pytest.raises(TypeError, match=r"gradients\[0\] must be a list, tuple or dict of arrays, got ndarray"):
        accumulate(g)
    with pytest.raises(ValueError, match="gradients is empty; pass those of at least one micro-batch"):
        accumulate([])
    with pytest.raises(ValueError, match="accumulate: there are more gradients than the 1 sizes; pass one for each"):
        accumulate([g, g], sizes=[1])
    with pytest.raises(ValueError, match="accumulate: 3 sizes for 2 gradients; pass one for each"):
        accumulate([g, g], sizes=[1, 2, 3])
    with pytest.raises(ValueError, match=r"accumulate: sizes\[1\] must be a whole number >= 1, got 0"):
        accumulate([g, g], sizes=[1, 0])


def test_the_decay_is_given_by_name_and_the_number_may_be():
    a, x = [np.zeros(1)], [np.ones(1)]
    assert ema(a, x, t=1, decay=0.5)[0] == 1
    with pytest.raises(TypeError, match="positional"):
        ema(a, x, 1, 0.5)
