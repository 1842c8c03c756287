"""`Optimizer` steps as its rule says; what it cannot step it refuses in words, and then nothing has changed."""

import copy
import math
import pickle
import warnings
from collections import OrderedDict, namedtuple
from fractions import Fraction
from functools import partial

import jax
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.checks import ENLARGEMENT, FRACTION, POSITIVE, RANGES
from lib.dialects import keras
from lib.optimizers import (
    RULES,
    Optimizer,
    adadelta,
    adagrad,
    adam,
    gradient_descent,
    momentum,
    nesterov,
    rmsprop,
    rule,
)
from lib.optimizers.rule import first_state
from lib.referees import SHAPES, record
from lib.schedules import step as step_schedule

every_rule = pytest.mark.parametrize("name", RULES)
# What others need, a matrix or a curvature, is given them in test_rule.py.
ANY_SHAPE = {name: f for name, f in RULES.items() if f.each != "matrix" and not f.takes_curvature}
any_shape = pytest.mark.parametrize("name", ANY_SHAPE)
RATES = {"momentum": [nesterov, momentum], "beta1": [adam], "beta2": [adam], "rho": [rmsprop, adadelta]}


def bits(value):
    """Whatever it is, as something that is equal only if every bit is; keeps NaN, -0.0, dtype and container apart."""
    if isinstance(value, dict):
        return type(value), [(key, bits(item)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return type(value), [bits(item) for item in value]
    if isinstance(value, torch.Tensor):
        return "torch", value.dtype, value.shape, value.detach().clone().view(-1).tolist().__repr__()
    if isinstance(value, np.ndarray):
        return "numpy", value.dtype, value.shape, value.tobytes()
    return type(value), repr(value)


def refused(optimizer, params, grads, error, words):
    """The step raises ``error`` with ``words`` in its message, without a warning, and nothing has changed."""
    before = bits(params), bits(grads), bits(optimizer.state), optimizer.t, bits(optimizer.hyperparameters)
    with pytest.raises(error, match=words) as raised, warnings.catch_warnings(action="error"):
        optimizer.step(params, grads)
    assert (bits(params), bits(grads), bits(optimizer.state), optimizer.t, bits(optimizer.hyperparameters)) == before
    return str(raised.value)


def trained(rule=adam, **hyperparameters):
    """An optimizer three steps on its way with parameters w, of shape (2, 3), and b, of shape (3,); and the two."""
    optimizer = Optimizer(rule, **hyperparameters)
    params = {"w": np.ones((2, 3)), "b": np.zeros(3)}
    for t in range(1, 4):
        params = optimizer.step(params, {"w": np.full((2, 3), 1.0 * t), "b": np.arange(3.0)})
    return optimizer, params


def ones(params):
    return {name: np.ones_like(x) for name, x in params.items()}


# ---------- a step ----------


@any_shape
def test_a_step_is_the_rule_applied_to_each_parameter(name):
    f, rng = RULES[name], np.random.default_rng(0)
    optimizer = Optimizer(f, lr=0.1)
    params = {"w": rng.normal(size=(2, 3)), "b": rng.normal(size=3), "s": np.array(0.5)}
    by_hand = {key: [x, *first_state(f, x, f.defaults | {"lr": 0.1}).values()] for key, x in params.items()}
    for t in range(1, 6):
        grads = {key: np.asarray(rng.normal(size=x.shape)) for key, x in params.items()}
        params = optimizer.step(params, grads)
        for key, (x, *state) in by_hand.items():
            new = f(x, grads[key], *state, *([t] if f.counts_steps else []), **f.defaults | {"lr": 0.1})
            by_hand[key] = list(new) if f.state else [new]
            assert bits(params[key]) == bits(np.asarray(by_hand[key][0]))
            assert bits(optimizer.state[key]) == bits(
                dict(zip(f.state, map(np.asarray, by_hand[key][1:]), strict=True))
            )
        assert optimizer.t == t


def test_a_new_optimizer_has_no_state():
    assert (Optimizer(adam).t, Optimizer(adam).state) == (0, {})


def test_state_starts_where_the_signature_says():
    optimizer = Optimizer(keras.adagrad, learning_rate=1.0, epsilon=0.0)
    (x,) = optimizer.step([np.zeros(2)], [np.full(2, 0.5)])
    assert optimizer.state[0]["G"] == pytest.approx(np.full(2, 0.35))
    assert x == pytest.approx(np.full(2, -0.5 / 0.35**0.5))


@any_shape
def test_the_same_steps_give_the_same_bits(name):
    runs = []
    for _ in range(2):
        optimizer, params = trained(RULES[name], lr=0.1)
        runs.append((bits(params), bits(optimizer.state)))
    assert runs[0] == runs[1]


@any_shape
def test_nothing_that_was_given_changes(name):
    optimizer = Optimizer(RULES[name])
    params, grads = [np.ones(2), np.array(3.0)], [np.full(2, 0.5), np.array(-1.0)]
    for a in params + grads:
        a.setflags(write=False)
    for _ in range(3):
        before = bits(params), bits(grads), bits(optimizer.state)
        old_state = optimizer.state
        new = optimizer.step(params, grads)
        assert (bits(params), bits(grads), bits(old_state)) == before
        for a, b in zip(new, params, strict=True):
            assert not np.shares_memory(a, b)
        for a in new:
            a.setflags(write=False)
        params = new


def test_each_parameter_has_its_own_state():
    optimizer, _ = trained()
    assert optimizer.state.keys() == {"w", "b"}
    assert optimizer.state["w"]["m"].shape == (2, 3)
    assert optimizer.state["b"]["v"].shape == (3,)


def test_names_do_not_depend_on_their_order():
    optimizer, params = trained()
    other = copy.deepcopy(optimizer)
    grads = {"w": np.ones((2, 3)), "b": np.full(3, 2.0)}
    backwards = lambda d: dict(reversed(d.items()))
    assert bits(other.step(backwards(params), backwards(grads))) == bits(backwards(optimizer.step(params, grads)))


@any_shape
def test_an_optimizer_can_be_copied_and_stored(name):
    optimizer, params = trained(RULES[name])
    for other in copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer)):
        assert bits(other.step(params, ones(params))) == bits(copy.deepcopy(optimizer).step(params, ones(params)))


# ---------- containers ----------


def test_a_list_gives_a_list_and_positions_are_the_names():
    optimizer = Optimizer(adam)
    assert type(optimizer.step([np.ones(1), np.ones(2)], [np.ones(1), np.ones(2)])) is list
    assert list(optimizer.state) == [0, 1]


def test_a_tuple_gives_a_tuple():
    assert type(Optimizer(adam).step((np.ones(1),), (np.ones(1),))) is tuple


def test_a_tuple_of_gradients_fits_a_list_and_the_other_way_round():
    assert type(Optimizer(adam).step([np.ones(1)], (np.ones(1),))) is list
    assert type(Optimizer(adam).step((np.ones(1),), [np.ones(1)])) is tuple


def test_a_namedtuple_gives_a_namedtuple():
    Layer = namedtuple("Layer", "w b")
    new = Optimizer(gradient_descent, lr=1.0).step(Layer(np.ones(2), np.ones(1)), Layer(np.ones(2), np.zeros(1)))
    assert isinstance(new, Layer)
    assert (new.w.tolist(), new.b.tolist()) == ([0, 0], [1])


def test_a_dict_gives_a_dict_in_the_order_of_the_parameters():
    params, grads = {"b": np.ones(1), "a": np.ones(1)}, {"a": np.ones(1), "b": np.zeros(1)}
    new = Optimizer(gradient_descent, lr=1.0).step(params, grads)
    assert {key: x.tolist() for key, x in new.items()} == {"b": [1.0], "a": [0.0]}
    assert list(new) == ["b", "a"]
    assert isinstance(Optimizer(adam).step(OrderedDict(params), grads), dict)


def test_keys_may_be_anything():
    params = {0: np.ones(1), ("layer", 1): np.ones(1), None: np.ones(1), "b": np.ones(1)}
    assert list(Optimizer(adam).step(params, params)) == [0, ("layer", 1), None, "b"]
    refused(
        Optimizer(adam), params, {0: np.ones(1), "b": np.ones(1)}, KeyError, r"no entry for \[\('layer', 1\), None\]"
    )


# ---------- saving and resuming ----------


@every_rule
def test_a_run_goes_on_where_it_was_saved(name, tmp_path):
    """Through a file, under a changing rate: every number as if nothing had happened."""
    f = RULES[name]
    recording = record(20, 1.0, shapes=((4, 3), (2, 5)) if f.each == "matrix" else SHAPES)

    def steps(optimizer, params, numbers):
        for i in numbers:
            given = [recording.gradients[i], *([recording.curvatures[i]] if f.takes_curvature else [])]
            params = optimizer.step(params, *given)
        return params

    make = lambda: Optimizer(f, lr=lambda step: 0.1 / (1 + step))
    unbroken = make()
    expected = steps(unbroken, recording.start, range(20))

    first = make()
    params = steps(first, recording.start, range(10))
    arrays = {f"{key} {name}": a for key, state in first.state.items() for name, a in state.items()}
    np.savez(tmp_path / "saved.npz", t=first.t, **{f"{key} x": x for key, x in enumerate(params)}, **arrays)

    saved, second = np.load(tmp_path / "saved.npz"), make()
    second.t = int(saved["t"])
    second.state = {key: {name: saved[f"{key} {name}"] for name in f.state} for key in range(len(params))}
    params = steps(second, [saved[f"{key} x"] for key in range(len(params))], range(10, 20))
    assert bits(params) == bits(expected)
    assert bits(second.state) == bits(unbroken.state)
    assert second.t == unbroken.t == 20


def test_a_state_that_does_not_fit_is_named():
    optimizer = Optimizer(adam)
    optimizer.t, optimizer.state = 3, {0: {"m": np.zeros(2), "v": np.zeros(3)}}
    words = r"params\[0\] is float64\(2,\), but this optimizer's state for it is m float64\(2,\), v float64\(3,\)"
    refused(optimizer, [np.zeros(2)], [np.ones(2)], ValueError, words)
    optimizer.state = {0: {"v": np.zeros(2), "m": np.zeros(2)}}
    refused(optimizer, [np.zeros(2)], [np.ones(2)], ValueError, "state for it is v float64.*, m float64")


# ---------- what a rule steps ----------


@rule(each="matrix")
def _turned(x, g, L=lambda x: np.eye(x.shape[0]), *, lr=0.1):
    return x - lr * L @ g, L


def test_a_rule_for_matrices_steps_nothing_else():
    optimizer = Optimizer(_turned)
    assert optimizer.step([np.zeros((2, 3))], [np.ones((2, 3))])[0].tolist() == [[-0.1] * 3] * 2
    assert optimizer.state[0]["L"].shape == (2, 2)
    words = r"params\[0\] has shape \(3,\), but _turned steps matrices; reshape it to two dimensions, or step it with"
    refused(Optimizer(_turned), [np.zeros(3)], [np.ones(3)], ValueError, words)


@rule
def _curved(x, g, curvature, h, *, lr=0.1):
    return x - lr * g / curvature, h + curvature


def test_a_rule_that_takes_curvature_is_given_it():
    optimizer = Optimizer(_curved, lr=1.0)
    (x,) = optimizer.step([np.zeros(2)], [np.array([1.0, 2.0])], [np.array([2.0, 8.0])])
    assert x.tolist() == [-0.5, -0.25]
    assert optimizer.state[0]["h"].tolist() == [2.0, 8.0]
    refused(optimizer, [x], [x], TypeError, r"_curved takes curvatures; pass step\(params, grads, curvatures\)")
    with pytest.raises(TypeError, match="adam does not take curvatures; leave them out"):
        Optimizer(adam).step([x], [x], [x])
    with pytest.raises(ValueError, match=r"curvatures\[0\] has shape \(3,\), params\[0\] \(2,\)"):
        optimizer.step([x], [x], [np.ones(3)])
    with pytest.raises(ValueError, match="curvatures has 0 arrays for 1 parameters"):
        optimizer.step([x], [x], [])
    with pytest.raises(ValueError, match=r"curvatures\[0\] has 1 of 2 entries that are not finite"):
        optimizer.step([x], [x], [np.array([1.0, np.nan])])


def test_a_state_may_start_at_the_parameter_a_hyperparameter_or_another_number():
    @rule
    def f(x, g, z="x", size="lr", p=1.0, *, lr=0.1):
        return x - lr * g, z, size, p

    optimizer = Optimizer(f, p=3, lr=lambda step: 0.5 / (1 + step))
    optimizer.step([np.array([7.0, 8.0])], [np.ones(2)])
    assert {key: a.tolist() for key, a in optimizer.state[0].items()} == {"z": [7, 8], "size": [0.5, 0.5], "p": [3, 3]}
    with pytest.raises(TypeError, match="f: p must be a finite number, got 'x'"):
        Optimizer(f, p="x")
    with pytest.raises(TypeError, match="unknown hyperparameter 'z'"):
        Optimizer(f, z=1.0)


# ---------- kinds of arrays ----------


def above_float16(name):
    """An optimizer whose eps is not 0 in float16, and whose rate has a square there that PyTorch can divide by: it
    multiplies by the reciprocal, and float16 ends at 65,504."""
    return Optimizer(RULES[name], lr=0.5, **{"eps": 1e-3} if "eps" in RULES[name].defaults else {})


def shapes_of_state(name, x):
    return [a.shape for a in first_state(RULES[name], x, RULES[name].defaults).values()]


@any_shape
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (0,), (0, 3)])
def test_numpy_arrays_stay_arrays_of_their_dtype_and_shape(name, dtype, shape):
    params = [np.ones(shape, dtype)]
    optimizer, shapes = above_float16(name), [shape, *shapes_of_state(name, params[0])]
    for _ in range(3):
        params = optimizer.step(params, [np.full(shape, 0.5, dtype)])
        for a, its in zip([*params, *optimizer.state[0].values()], shapes, strict=True):
            assert type(a) is np.ndarray
            assert (a.dtype, a.shape) == (dtype, its)


@any_shape
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(), (2, 3), (0,)])
def test_tensors_keep_their_dtype_and_shape(name, dtype, shape):
    params = [torch.ones(shape, dtype=dtype)]
    optimizer, shapes = above_float16(name), [shape, *shapes_of_state(name, params[0])]
    for _ in range(3):
        params = optimizer.step(params, [torch.full(shape, 0.5, dtype=dtype)])
        for a, its in zip([*params, *optimizer.state[0].values()], shapes, strict=True):
            assert isinstance(a, torch.Tensor)
            assert (a.dtype, a.shape, a.requires_grad) == (dtype, its, False)


@any_shape
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_jax_arrays_keep_their_dtype(name, dtype):
    with jax.enable_x64(True):
        optimizer, params = Optimizer(RULES[name], lr=np.float64(0.01)), [jax.numpy.ones((2, 3), dtype)]
        shapes = [(2, 3), *shapes_of_state(name, params[0])]
        params = optimizer.step(params, [jax.numpy.full((2, 3), 0.5, dtype)])
        for a, its in zip([*params, *optimizer.state[0].values()], shapes, strict=True):
            assert isinstance(a, jax.Array)
            assert (a.dtype, a.shape) == (dtype, its)


@any_shape
@pytest.mark.parametrize("number", [np.float64, np.float32, np.longdouble, Fraction])
def test_a_rate_of_any_kind_promotes_nothing(name, number):
    """A NumPy float64 times a float32 array is a float64 array; a plain float is not."""
    hyperparameters = {key: number(value) for key, value in RULES[name].defaults.items()}
    optimizer = Optimizer(RULES[name], **hyperparameters)
    (x,) = optimizer.step([np.ones(3, np.float32)], [np.ones(3, np.float32)])
    assert x.dtype == np.float32
    assert {a.dtype for a in optimizer.state[0].values()} <= {np.dtype(np.float32)}


@any_shape
@pytest.mark.parametrize("number", [np.float64, np.float32, np.longdouble, Fraction])
def test_a_schedule_that_returns_any_kind_of_number_promotes_nothing(name, number):
    optimizer = Optimizer(RULES[name], lr=lambda step: number(1) / number(4 + step))
    (x,) = optimizer.step([np.ones(3, np.float32)], [np.ones(3, np.float32)])
    assert x.dtype == np.float32


def test_a_numpy_rate_is_the_plain_rate():
    plain = Optimizer(adam, lr=0.1).step([np.ones(3)], [np.arange(3.0)])
    assert bits(Optimizer(adam, lr=np.float64(0.1)).step([np.ones(3)], [np.arange(3.0)])) == bits(plain)


@any_shape
def test_the_layout_of_an_array_does_not_matter(name):
    x, g = np.arange(12.0).reshape(3, 4), np.linspace(-1, 1, 12).reshape(3, 4)
    expected = bits(Optimizer(RULES[name]).step([x.copy()], [g.copy()])[0].tolist())
    for other in (np.asfortranarray, lambda a: np.repeat(a, 2, axis=1)[:, ::2], lambda a: a[::-1].copy()[::-1]):
        assert bits(Optimizer(RULES[name]).step([other(x)], [other(g)])[0].tolist()) == expected


@any_shape
def test_a_parameter_may_be_its_own_gradient(name):
    x = np.array([1.0, -2.0])
    expected = Optimizer(RULES[name]).step([x], [x.copy()])
    assert bits(Optimizer(RULES[name]).step([x], [x])) == bits(expected)
    assert x.tolist() == [1.0, -2.0]


def test_a_rate_of_zero_goes_nowhere_but_state_goes_on():
    optimizer = Optimizer(adam, lr=0)
    (x,) = optimizer.step([np.array([1.0, -2.0])], [np.ones(2)])
    assert x.tolist() == [1.0, -2.0]
    assert optimizer.state[0]["m"] == pytest.approx([0.1, 0.1])
    assert optimizer.t == 1


def test_a_numpy_scalar_becomes_an_array():
    (x,) = Optimizer(gradient_descent, lr=0.5).step([np.float64(1.0)], [np.float64(1.0)])
    assert bits(x) == bits(np.array(0.5))


def test_two_types_of_one_library_go_together():
    frozen = torch.nn.Parameter(torch.ones(2), requires_grad=False)
    (x,) = Optimizer(gradient_descent, lr=0.5).step([frozen], [torch.ones(2)])
    assert x.tolist() == [0.5, 0.5]
    (x,) = Optimizer(gradient_descent, lr=0.5).step([np.array(1.0)], [np.float64(1.0)])
    assert bits(x) == bits(np.array(0.5))


# ---------- hyperparameters ----------


@any_shape
def test_without_hyperparameters_the_defaults_hold(name):
    assert Optimizer(RULES[name]).hyperparameters_at(0) == RULES[name].defaults
    assert Optimizer(RULES[name], lr=0.5).hyperparameters_at(7) == RULES[name].defaults | {"lr": 0.5}


def test_every_hyperparameter_may_be_a_schedule():
    optimizer = Optimizer(adam, lr=lambda step: 0.1 / (1 + step), beta1=lambda step: 0.5 + 0.1 * step)
    assert optimizer.hyperparameters_at(3) == {"lr": 0.1 / 4, "beta1": 0.8, "beta2": 0.999, "eps": 1e-8}


def test_schedules_count_steps_from_zero():
    asked = []
    optimizer = Optimizer(gradient_descent, lr=lambda step: asked.append(step) or 0.1)
    for _ in range(3):
        optimizer.step([np.zeros(1)], [np.ones(1)])
    assert asked == [0, 1, 2]


def test_a_schedule_sets_the_step():
    optimizer = Optimizer(gradient_descent, lr=partial(step_schedule, lr=1.0, every=1, gamma=0.5))
    params = [np.zeros(1)]
    for position in (-1.0, -1.5, -1.75):
        params = optimizer.step(params, [np.ones(1)])
        assert params[0].tolist() == [position]


BAD = [(-0.1, ValueError), (math.nan, ValueError), (math.inf, ValueError), (-math.inf, ValueError), ("0.9", TypeError),
       (None, TypeError), (True, TypeError), (np.array(0.1), TypeError), (torch.tensor(0.1), TypeError),
       ([0.1], TypeError), (0.1j, TypeError), (np.float64("nan"), ValueError),
       (np.float32(-1), ValueError)]  # fmt: skip
BAD_FRACTION = [*BAD, (1.0, ValueError), (1, ValueError), (1.5, ValueError), (np.float32(1), ValueError)]
BAD_HYPERPARAMETERS = [
    (f, name, value, error)
    for f in ANY_SHAPE.values()
    for name in f.defaults
    for value, error in (BAD_FRACTION if f.ranges.get(name, RANGES[name]) is FRACTION else BAD)
    if not (RANGES[name] is POSITIVE and value == math.inf)
]


@pytest.mark.parametrize(
    ("f", "name", "value", "error"), BAD_HYPERPARAMETERS, ids=lambda v: getattr(v, "__name__", repr(v))
)
def test_a_bad_hyperparameter_is_named(f, name, value, error):
    with pytest.raises(error, match=f"^{f.__name__}: {name} must be a") as raised:
        Optimizer(f, **{name: value})
    assert repr(value) in str(raised.value)
    good = 1.0 if RANGES[name] is ENLARGEMENT else 0.5
    optimizer = Optimizer(f, **{name: lambda step: value if step == 2 else good})
    params = [np.ones(2)]
    for _ in range(2):
        params = optimizer.step(params, [np.ones(2)])
    words = f"^{f.__name__}, schedule at step 2: {name} must be a"
    assert repr(value) in refused(optimizer, params, [np.ones(2)], error, words)


@pytest.mark.parametrize("name", ["momentum", "beta1", "beta2", "rho"])
def test_a_memory_may_be_all_but_one(name):
    for f in RATES[name]:
        for value in (0, 0.0, 0.9, math.nextafter(1, 0), np.float32(0.9)):
            Optimizer(f, **{name: value}).step([np.ones(2)], [np.ones(2)])


def test_a_step_goes_on_after_a_bad_value_of_a_schedule():
    values = iter([0.5, -1.0, 0.5])
    optimizer = Optimizer(gradient_descent, lr=lambda step: next(values))
    params = optimizer.step([np.zeros(1)], [np.ones(1)])
    refused(optimizer, params, [np.ones(1)], ValueError, "schedule at step 1: lr must be")
    assert optimizer.step(params, [np.ones(1)])[0].tolist() == [-1.0]


def test_an_error_in_a_schedule_passes_through_and_changes_nothing():
    optimizer = Optimizer(momentum, lr=lambda step: 1 / (1 - step))
    params = optimizer.step([np.zeros(1)], [np.ones(1)])
    refused(optimizer, params, [np.ones(1)], ZeroDivisionError, "division")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"bta1": 0.9}, "adam: unknown hyperparameter 'bta1'; did you mean 'beta1'"),
        ({"epsilon": 1e-8}, "unknown hyperparameter 'epsilon'; did you mean 'eps'"),
        ({"learning_rate": 0.1}, "unknown hyperparameter 'learning_rate'; it takes lr, beta1, beta2, eps"),
        ({"momentum": 0.9}, "unknown hyperparameter 'momentum'"),
        ({"t": 1}, "unknown hyperparameter 't'"),
        ({"q": 0.0}, "unknown hyperparameter 'q'"),
    ],
)
def test_an_unknown_hyperparameter_gets_a_suggestion(given, words):
    with pytest.raises(TypeError, match=words):
        Optimizer(adam, **given)


def test_a_missing_hyperparameter_is_named():
    bare = rule(lambda x, g, *, lr: x - lr * g)
    with pytest.raises(TypeError, match=r"has no default for lr; pass lr=\.\.\."):
        Optimizer(bare)
    assert Optimizer(bare, lr=1.0).step([np.ones(1)], [np.ones(1)])[0].tolist() == [0.0]


class _LooksLikeOne:
    state = defaults = counts_steps = None


@pytest.mark.parametrize(
    "thing", [None, "adam", 0.1, lambda x, g: x, np.sqrt, torch.optim.Adam, Optimizer(adam), Optimizer, _LooksLikeOne()]
)
def test_what_is_not_a_rule_is_named(thing):
    with pytest.raises(TypeError, match=r"rule must be an update rule such as lib\.optimizers\.adam") as raised:
        Optimizer(thing)
    assert repr(thing) in str(raised.value)


# ---------- containers that cannot be stepped ----------

CONTAINERS = [
    ([], [], ValueError, "params is empty; pass at least one"),
    ({}, {}, ValueError, "params is empty"),
    ((), (), ValueError, "params is empty"),
    ([np.ones(1)], {"w": np.ones(1)}, TypeError, "same kind of container, got list and dict"),
    ({"w": np.ones(1)}, [np.ones(1)], TypeError, "same kind of container, got dict and list"),
    ([np.ones(1)], [], ValueError, "grads has 0 arrays for 1 parameters; pass one for each"),
    ([np.ones(1)], [np.ones(1)] * 2, ValueError, "grads has 2 arrays for 1 parameters"),
    ([np.ones(1)] * 3, [np.ones(1)] * 2, ValueError, "grads has 2 arrays for 3 parameters"),
    ({"w": np.ones(1), "b": np.ones(1)}, {"w": np.ones(1)}, KeyError, r"grads has no entry for \['b'\]; pass one"),
    ({"w": np.ones(1)}, {"w": np.ones(1), "W": np.ones(1)}, KeyError, r"grads has entries for \['W'\] that"),
    ({"w": np.ones(1)}, {}, KeyError, r"grads has no entry for \['w'\]"),
    (np.ones(2), np.ones(2), TypeError, r"params must be a list.*ndarray.*put a single array in a list: \[params\]"),
    ([np.ones(2)], np.ones(2), TypeError, r"grads must be a list.*put a single array in a list: \[grads\]"),
    (torch.ones(2), torch.ones(2), TypeError, r"params must be a list.*got Tensor"),
    (1.0, 1.0, TypeError, "params must be a list.*got float 1.0"),
    (None, [np.ones(1)], TypeError, "params must be a list.*got NoneType None"),
    ([np.ones(1)], None, TypeError, "grads must be a list.*got NoneType None"),
    ("w", "w", TypeError, "params must be a list.*got str 'w'"),
    ((x for x in [np.ones(1)]), [np.ones(1)], TypeError, r"params must be a list.*got generator.*list\(params\)"),
    ({1.0}, {1.0}, TypeError, r"params must be a list.*got set.*list\(params\)"),
]  # fmt: skip


@pytest.mark.parametrize(("params", "grads", "error", "words"), CONTAINERS, ids=[words for *_, words in CONTAINERS])
def test_a_container_that_cannot_be_stepped_is_named(params, grads, error, words):
    refused(Optimizer(adam), params, grads, error, words)


# ---------- entries that cannot be stepped ----------

ENTRIES = [  # parameter, gradient, error, words; each in the place of "b" after a good "w" and before a good "z"
    (1.0, np.array(1.0), TypeError, r"params\['b'\] must be an array, got 1\.0; wrap it: np\.asarray\(.*float\)"),
    (np.array(1.0), 1.0, TypeError, r"grads\['b'\] must be an array, got 1\.0"),
    ([1.0, 2.0], [1.0, 2.0], TypeError, r"params\['b'\] must be an array, got \[1\.0, 2\.0\]"),
    (np.ones(1), None, TypeError, r"grads\['b'\] must be an array, got None; has the gradient been computed"),
    (None, np.ones(1), TypeError, r"params\['b'\] must be an array, got None"),
    (np.ones(2), "up", TypeError, r"grads\['b'\] must be an array, got 'up'"),
    (np.ones(2), np.ones(3), ValueError, r"grads\['b'\] has shape \(3,\), params\['b'\] \(2,\); they must be equal"),
    (np.ones(2), np.array(1.0), ValueError, r"grads\['b'\] has shape \(\), params\['b'\] \(2,\)"),
    (np.ones((2, 1)), np.ones((1, 2)), ValueError, r"shape \(1, 2\), params\['b'\] \(2, 1\)"),
    (np.ones(2), np.ones(2, np.float32), TypeError, r"grads\['b'\] has dtype float32, params\['b'\] float64; convert"),
    (np.ones(2, np.float32), np.ones(2), TypeError, r"grads\['b'\] has dtype float64, params\['b'\] float32"),
    (np.ones(2), np.ones(2, int), TypeError, r"grads\['b'\] has dtype int64, params\['b'\] float64; convert"),
    (np.ones(2, int), np.ones(2, int), TypeError, r"params\['b'\] has dtype int64.*convert it to a real float"),
    (np.ones(2, bool), np.ones(2, bool), TypeError, r"params\['b'\] has dtype bool"),
    (np.ones(2, complex), np.ones(2, complex), TypeError, r"params\['b'\] has dtype complex128.*real floating"),
    (np.ones(2), np.ones(2, complex), TypeError, r"grads\['b'\] has dtype complex128"),
    (np.full(2, "a"), np.full(2, "a"), TypeError, r"params\['b'\] has dtype <U1"),
    (np.ones(2), np.ma.masked_equal([1.0, 2.0], 1), TypeError, r"grads\['b'\] must be a plain array.*fill it"),
    (np.ones(2, object), np.ones(2, object), TypeError, r"params\['b'\] has dtype object"),
    (np.ones(2), torch.ones(2, dtype=torch.float64), TypeError, r"grads\['b'\] is a torch array, params\['b'\] a num"),
    (torch.ones(2, dtype=torch.float64), np.ones(2), TypeError, r"grads\['b'\] is a numpy array, params\['b'\] a tor"),
    (torch.ones(2, dtype=torch.int32), torch.ones(2, dtype=torch.int32), TypeError, r"\['b'\] has dtype torch\.int32"),
    (torch.ones(2), torch.ones(2, dtype=torch.float64), TypeError, r"grads\['b'\] has dtype torch\.float64"),
    (torch.ones(2), torch.ones(3), ValueError, r"grads\['b'\] has shape \(3,\)"),
    (torch.ones(2, requires_grad=True), torch.ones(2), ValueError, r"params\['b'\] tracks gradients.*\.detach\(\)"),
    (torch.ones(2), torch.ones(2, requires_grad=True), ValueError, r"grads\['b'\] tracks gradients.*\.detach\(\)"),
    (torch.nn.Parameter(torch.ones(2)), torch.ones(2), ValueError, r"params\['b'\] tracks gradients"),
]  # fmt: skip


@pytest.mark.parametrize(("x", "g", "error", "words"), ENTRIES, ids=[words for *_, words in ENTRIES])
def test_an_entry_that_cannot_be_stepped_is_named(x, g, error, words):
    params = {"w": np.ones(2), "b": x, "z": np.ones(1)}
    grads = {"w": np.ones(2), "b": g, "z": np.ones(1)}
    for f in (gradient_descent, adam):
        refused(Optimizer(f), params, grads, error, words)
    words = words.replace("'b'", "1")
    refused(Optimizer(adam), list(params.values()), list(grads.values()), error, words)


@pytest.mark.parametrize(
    ("g", "words"),
    [
        (np.array([[1, 2, math.nan], [4, 5, 6]]), r"has 1 of 6 entries that are not finite, the first nan at \(0, 2\)"),
        (np.array([[1, 2, 3], [math.inf, math.nan, -math.inf]]), r"has 3 of 6 .*the first inf at \(1, 0\)"),
        (np.array([-math.inf] * 4), r"has 4 of 4 .*the first -inf at \(0,\)"),
        (np.array(math.nan), r"has 1 of 1 .*the first nan at \(\)"),
        (np.array([1, math.inf], np.float32), r"has 1 of 2 .*the first inf at \(1,\)"),
        (np.array([1, math.inf], np.float16), r"has 1 of 2 .*the first inf at \(1,\)"),
        (torch.tensor([[1.0], [math.nan]]), r"has 1 of 2 .*the first nan at \(1, 0\)"),
        (torch.tensor(math.inf), r"has 1 of 1 .*the first inf at \(\)"),
        (torch.tensor([math.inf, 0], dtype=torch.bfloat16), r"has 1 of 2 .*the first inf at \(0,\)"),
        (jax.numpy.array([0.0, math.nan]), r"has 1 of 2 .*the first nan at \(1,\)"),
    ],
    ids=repr,
)
@any_shape
def test_a_gradient_that_is_not_finite_changes_nothing(name, g, words):
    """In the second of three parameters, on the way: nothing is half stepped."""
    like = jax.numpy if isinstance(g, jax.Array) else torch if isinstance(g, torch.Tensor) else np
    params = [like.ones(2), like.ones_like(g), like.ones(3)]
    optimizer = Optimizer(RULES[name], lr=0.1)
    for _ in range(2):
        params = optimizer.step(params, [like.ones_like(x) for x in params])
    grads = [like.ones(2), g, like.ones(3)]
    message = refused(optimizer, params, grads, ValueError, r"^grads\[1\] " + words)
    assert "no step was taken. Lower the learning rate or clip the gradient" in message


@any_shape
def test_after_a_refusal_the_walk_goes_on_as_if_nothing_had_been(name):
    steady, params = trained(RULES[name], lr=0.1)
    shaken = copy.deepcopy(steady)
    for bad in ({"w": np.ones((2, 3)), "b": np.full(3, math.nan)}, {"w": np.ones((2, 3))}, [], None):
        with pytest.raises((ValueError, KeyError, TypeError)):
            shaken.step(params, bad)
    assert bits(shaken.step(params, ones(params))) == bits(steady.step(params, ones(params)))
    assert bits(shaken.state) == bits(steady.state)


# ---------- a set of parameters that changes ----------


@any_shape
@pytest.mark.parametrize(
    "change",
    [
        lambda p: {"w": p["w"]},
        lambda p: p | {"extra": np.ones(1)},
        lambda p: {"w": p["w"], "B": p["b"]},
        lambda p: list(p.values()),
    ],
    ids=["fewer", "more", "renamed", "a list"],
)
def test_a_changed_set_of_parameters_is_named(name, change):
    optimizer, params = trained(RULES[name])
    params = change(params)
    grads = [np.ones_like(x) for x in params] if isinstance(params, list) else ones(params)
    words = r"this optimizer holds state for \['w', 'b'\], got .*use one Optimizer for each set of parameters"
    refused(optimizer, params, grads, KeyError, words)


@pytest.mark.parametrize("name", sorted(ANY_SHAPE.keys() - {"gradient_descent"}))
@pytest.mark.parametrize(
    ("b", "words"),
    [
        (np.zeros(4), r"params\['b'\] is float64\(4,\), but this optimizer's state for it is \w+ float64\(\d*,?\)"),
        (np.zeros((3, 1)), r"params\['b'\] is float64\(3, 1\)"),
        (np.zeros(3, np.float32), r"params\['b'\] is float32\(3,\), .*float64\(3,\).*; use a new Optimizer"),
    ],
    ids=["shape", "dimensions", "dtype"],
)
def test_a_changed_shape_or_dtype_is_named(name, b, words):
    optimizer, params = trained(RULES[name])
    params = {"w": params["w"], "b": b}
    refused(optimizer, params, ones(params), ValueError, words)


# ---------- numbers that run away ----------


@pytest.mark.parametrize(
    ("f", "x", "g", "words"),
    [
        (
            adam,
            0.0,
            1e200,
            r"adam: after this step v has 1 of 2 .*the first inf at \(1,\).*largest entry .* is 1e\+200",
        ),
        (adam, 0.0, -1e200, r"after this step v has 1 of 2 .* is 1e\+200"),
        (rmsprop, 0.0, 1e200, "rmsprop: after this step v has 1 of 2"),
        (adagrad, 0.0, 1e200, "adagrad: after this step G has 1 of 2"),
        (adadelta, 0.0, 1e200, "adadelta: after this step v has 1 of 2"),
        (gradient_descent, 1e308, -1e308, r"gradient_descent: after this step params\[0\] has 1 of 2"),
        (momentum, 1e308, -1e308, r"momentum: after this step params\[0\] has 1 of 2"),
        (nesterov, 1e308, -1e308, r"nesterov: after this step params\[0\] has 1 of 2"),
    ],
)
def test_a_step_that_overflows_is_an_error_and_not_a_frozen_or_lost_parameter(f, x, g, words):
    """With v = inf, Adam would never move that entry again; a parameter of inf is lost."""
    refused(Optimizer(f, lr=2.0), [np.array([1.0, x])], [np.array([1.0, g])], FloatingPointError, words)


@pytest.mark.parametrize("like", [np.float16, np.float32, torch.float16, torch.float32], ids=repr)
def test_narrow_dtypes_overflow_sooner(like):
    g = 300.0 if like in (np.float16, torch.float16) else 2e19
    make = (
        (lambda v: torch.tensor([v], dtype=like)) if isinstance(like, torch.dtype) else (lambda v: np.array([v], like))
    )
    refused(Optimizer(adam, eps=1e-3), [make(1.0)], [make(g)], FloatingPointError, "its dtype .*use a wider dtype")
    Optimizer(gradient_descent, lr=0.1).step([make(1.0)], [make(g)])


@pytest.mark.parametrize("f", [adagrad, rmsprop, adam])
def test_nothing_divided_by_nothing_is_an_error(f):
    words = r"after this step params\[0\] has 1 of 2 .*the first nan at \(1,\).*raise eps"
    refused(Optimizer(f, eps=0.0), [np.ones(2)], [np.array([1.0, 0.0])], FloatingPointError, words)


@any_shape
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_parameter_that_is_not_finite_is_named(name, bad):
    params = [np.ones(1), np.array([1.0, bad])]
    words = rf"params\[1\] has 1 of 2 entries that are not finite, the first {bad} at \(1,\)"
    refused(Optimizer(RULES[name]), params, [np.ones(1), np.ones(2)], ValueError, words)


@any_shape
@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    x=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=4),
    g=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=4, max_size=4),
    lr=st.floats(0, 1e308),
)
def test_no_finite_input_leads_to_a_number_that_is_not_finite(name, x, g, lr):
    optimizer, params, g = Optimizer(RULES[name], lr=lr), [np.array(x)], [np.array(g[: len(x)])]
    with warnings.catch_warnings(action="error"):
        for _ in range(3):
            before = bits(params), bits(optimizer.state), optimizer.t
            try:
                params = optimizer.step(params, g)
            except FloatingPointError:
                assert (bits(params), bits(optimizer.state), optimizer.t) == before
                return
            for a in [*params, *optimizer.state[0].values()]:
                assert np.isfinite(a).all()


# ---------- rules that break their word ----------


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (lambda x, g, v, *, lr=0.1: x, r"must return \(x, v\), got array"),
        (lambda x, g, v, *, lr=0.1: (x,), r"must return \(x, v\), got \("),
        (lambda x, g, v, *, lr=0.1: (x, v, v), r"must return \(x, v\)"),
        (lambda x, g, v, *, lr=0.1: [x, v], r"must return \(x, v\), got \["),
        (lambda x, g, v, *, lr=0.1: None, r"must return \(x, v\), got None"),
        (lambda x, g, *, lr=0.1: (x, g), r"made params\['w'\]|must return \(x\)"),
        (lambda x, g, *, lr=0.1: x.sum(), r"made params\['w'\] float64\(\) out of float64\(2,\)"),
        (lambda x, g, *, lr=0.1: x.astype(np.float32), r"made params\['w'\] float32\(2,\) out of float64\(2,\)"),
        (lambda x, g, v, *, lr=0.1: (x, v[:1]), r"made v float64\(1,\) out of float64\(2,\); a rule must keep"),
    ],
)
def test_a_rule_that_returns_something_else_is_told_so(broken, words):
    refused(Optimizer(rule(broken)), {"w": np.ones(2)}, {"w": np.ones(2)}, TypeError, words)


def test_an_error_in_a_rule_passes_through_and_changes_nothing():
    @rule
    def fragile(x, g, v, *, lr=0.1):
        if x.shape == (3,):
            raise ArithmeticError("inside the rule")
        return x - lr * g, v + g

    optimizer, params = Optimizer(fragile), {"w": np.ones(2), "b": np.ones(3)}
    refused(optimizer, params, ones(params), ArithmeticError, "inside the rule")
    assert optimizer.state == {}
