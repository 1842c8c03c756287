"""A rule compiled for NumPy takes the rule's steps bit for bit; it is compiled once, steps in place, and what it cannot
step it refuses in words, and then nothing has changed."""

import functools
import itertools
import math
import platform
import re
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import torch

from lib import arrays
from lib.checks import ELSEWHERE
from lib.compiled import Compiled
from lib.compiled import numpy as compiled
from lib.dialects import DIALECTS
from lib.optimizers import RULES, Optimizer, adam, decoupled, gradient_descent, l2, lion, momentum, rule, sophia
from lib.optimizers.rule import first_state
from lib.referees.recording import flat, record
from tests.compiled.bad_rules import looks, looks_at_g, takes_the_larger, takes_the_root
from tests.conftest import ROOT
from tests.optimizers.test_optimizer import bits

STEPS = 200
DTYPES = ["float64", "float32"]
ENTRY = {name: f for name, f in RULES.items() if f.each == "entry"}
DIALECT = {f"{framework} {name}": it.rule for framework, table in DIALECTS.items() for name, it in table.items()}
ALL = ENTRY | {name: f for name, f in DIALECT.items() if f.each == "entry" and f not in ENTRY.values()}
ALL |= {"l2(adam)": l2(adam), "decoupled(momentum)": decoupled(momentum)}
WHOLE = [name for name, f in RULES.items() if f.each != "entry"]

every_dtype = pytest.mark.parametrize("dtype", DTYPES)
record = functools.cache(record)


# ---------- it takes the rule's steps ----------


@pytest.mark.parametrize("name", ALL)
@every_dtype
def test_bit_for_bit(name, dtype):
    """Gradients of every size, with patterns, rates from a schedule; parameters, and all that a rule remembers."""
    f, recording = ALL[name], record(STEPS, (1e-8, 1e4), dtype=np.dtype(dtype), patterns=True)
    rates = [key for key in f.defaults if ELSEWHERE.get(key, key) == "lr"]
    decay = {"weight_decay": 0.01} if "weight_decay" in f.defaults else {}
    fast = Compiled(f, **decay, **dict.fromkeys(rates, lambda step: 0.01 * (1 + math.sin(step))))
    params, x = [a.copy() for a in recording.start], flat(recording.start)
    expected = [x, *first_state(f, x, fast.hyperparameters_at(0)).values()]
    for t in range(STEPS):
        given = [recording.gradients[t], *[recording.curvatures[t]] * f.takes_curvature]
        numbers, counted = fast.hyperparameters_at(t), [t + 1] * f.counts_steps
        fast.step(params, *given)
        with np.errstate(all="ignore"):
            new = f(expected[0], *map(flat, given), *expected[1:], *counted, **numbers)
        expected = list(new) if f.state else [new]
        ours = [flat(params), *(flat(s[key] for s in fast.state.values()) for key in f.state)]
        assert bits(ours) == bits(expected), t
    assert (flat(params) != x).mean() > 0.5


SPECIAL = [-2.5, -1.0, -0.0, 0.0, 0.3, 1.0, 7.0, math.inf, -math.inf, math.nan]
ENTRIES = np.array([*itertools.product(SPECIAL, repeat=2)])


OPERATIONS = {
    "absolute": lambda a, b: abs(a), "add": lambda a, b: a + b, "bitwise_and": lambda a, b: 1.0 * ((a > 0) & (b > 0)),
    "bitwise_or": lambda a, b: a * ((a > 0) | (b > 0)), "divide": lambda a, b: a / b,
    "equal": lambda a, b: a + (a == b), "greater": lambda a, b: arrays.where(a > b, 3, b),
    "greater_equal": lambda a, b: arrays.where(a >= b, 3, b), "less": lambda a, b: arrays.where(a < b, 3, b),
    "less_equal": lambda a, b: arrays.where(a <= b, 3, b), "multiply": lambda a, b: a * b, "negative": lambda a, b: -a,
    "not_equal": lambda a, b: a - (a != b), "reciprocal": lambda a, b: 2 / a + b**-1, "square": lambda a, b: a**2,
    "subtract": lambda a, b: a - b, "maximum": lambda a, b: arrays.maximum(a, b),
    "minimum": lambda a, b: arrays.minimum(a, b), "sign": lambda a, b: arrays.sign(a),
    "sqrt": lambda a, b: arrays.sqrt(a), "where": lambda a, b: arrays.where(a, b, -1.0),
    "cos": lambda a, b: arrays.cos(a), "log": lambda a, b: arrays.log(a), "power": lambda a, b: a**b,
    "floor_divide": lambda a, b: a // b, "remainder": lambda a, b: a % b,
}  # fmt: skip
# NumPy computes them some entries at a time, numba one by one, and none to the last bit: both to within 4 ulps.
NOT_EXACT = {"cos", "log", "power"}


@pytest.mark.parametrize("name", compiled.OF_ENTRIES)
@every_dtype
def test_every_operation_of_entries(name, dtype):
    """Of zeros, infinities and nan as well."""

    @rule
    def changed(x, g, *, lr=1.0):
        return lr * OPERATIONS[name](x, g)

    x, g = ENTRIES.T.astype(dtype).copy()
    with np.errstate(all="ignore"):
        expected = OPERATIONS[name](x, g)
    Compiled(changed).step([x], [g])
    np.testing.assert_allclose(x, expected, rtol=4 * np.finfo(dtype).eps if name in NOT_EXACT else 0, atol=0)


@pytest.mark.parametrize("name", compiled.OF_ENTRIES)
def test_every_operation_of_numbers(name):
    """As Python computes it in the rule: of floats, and with the number of the step, which is a whole one."""
    for a, b in itertools.product([0.5, 2.0, 3.25], repeat=2):

        @rule
        def moved(x, g, t, *, lr=a, eps=b):
            return x + (OPERATIONS[name](lr, eps) + OPERATIONS[name](t, eps)) * g

        x = np.zeros(1)
        Compiled(moved).step([x], [np.ones(1)])
        assert x == OPERATIONS[name](a, b) + OPERATIONS[name](1, b)


# ---------- shapes and threads ----------


@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 0), (5,), (3, 7), (2, 1, 3), (2, 3, 2, 5)])
@every_dtype
def test_every_shape(shape, dtype):
    draw = np.random.default_rng(0)
    x = np.asarray(draw.standard_normal(shape), dtype)
    fast, slow, params = Compiled(adam, lr=0.1), Optimizer(adam, lr=0.1), [x.copy()]
    for _ in range(3):
        g = np.asarray(draw.standard_normal(shape), dtype)
        assert fast.step([x], [g])[0] is x
        params = slow.step(params, [g])
        assert bits(x) == bits(params[0])


@every_dtype
@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_large_arrays_are_stepped_by_all_threads(dtype, count, monkeypatch):
    """And equally: above the size from which on there are several, and just below."""
    monkeypatch.setattr(compiled.numba.config, "NUMBA_NUM_THREADS", count)
    monkeypatch.setattr(compiled, "SMALL", 2**15)
    calls, in_parts = [], compiled.Kernel._step_in_parts
    monkeypatch.setattr(
        compiled.Kernel, "_step_in_parts", lambda self, *given: calls.append(len(given[0][0])) or in_parts(self, *given)
    )
    draw = np.random.default_rng(0)
    for size in (compiled.SMALL - 1, compiled.SMALL, 2 * compiled.SMALL + 5):
        x, g = (draw.standard_normal(size).astype(dtype) for _ in range(2))
        fast, slow, params = Compiled(adam, lr=0.1), Optimizer(adam, lr=0.1), [x.copy()]
        for _ in range(2):
            fast.step([x], [g])
            params = slow.step(params, [g])
        assert bits(x) == bits(params[0])
    assert calls == [compiled.SMALL] * 2 + [2 * compiled.SMALL + 5] * 2


def test_threads_compute_at_the_same_time():
    """While one computes, the interpreter goes on: it is not held."""
    assert compiled._kernel(adam, np.dtype("float32")).update.targetoptions["nogil"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not fork")
def test_a_forked_process_has_threads_of_its_own():
    program = """
import os, numba, numpy as np
from lib.compiled import Compiled, numpy as compiled
from lib.optimizers import adam
numba.config.NUMBA_NUM_THREADS = 2
x = np.ones(compiled.SMALL)
optimizer = Compiled(adam)
optimizer.step([x], [x.copy()])
child = os.fork()
optimizer.step([x], [x.copy()])
if child:
    assert os.waitpid(child, 0)[1] == 0
print(x.sum())
"""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, timeout=100, cwd=ROOT
    )
    assert run.returncode == 0, run.stderr
    one, other = run.stdout.split()
    assert one == other


# ---------- it is compiled once, and well ----------


def test_neither_step_nor_schedule_nor_length_nor_number_compiles_again(monkeypatch):
    made, compile_ = [], compiled.numba.njit
    monkeypatch.setattr(compiled.numba, "njit", lambda *a, **k: made.append(a) or compile_(*a, **k))
    compiled._kernel.cache_clear()
    for lr in (0.1, lambda step: 0.1 / (1 + step)):
        for length in (1, 2, 7, 0, 300):
            optimizer, x = Compiled(adam, lr=lr, beta1=0.5 / (1 + length)), np.ones(length)
            for _ in range(3):
                optimizer.step([x], [x / 2])
    assert len(made) == 1
    Compiled(adam).step([np.ones(2, "float32")], [np.ones(2, "float32")])
    Compiled(momentum).step([np.ones(2)], [np.ones(2)])
    assert len(made) == 3
    for every in (2, 3):
        Compiled(sophia, update_every=every).step([np.ones(2)], [np.ones(2)], [np.ones(2)])
    assert len(made) == 4


@pytest.mark.parametrize("name", ALL)
def test_what_follows_from_numbers_is_computed_once_a_step(name):
    """By Python: no power, which takes as long as all else, is left to the loop."""
    numbers, update = compiled._kernel(ALL[name], np.dtype("float32")).source.split("\n\n\n")
    assert ("**" in numbers) == ALL[name].counts_steps or name in ("adan", "sophia")
    assert "**" not in update


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="another processor's instructions")
@pytest.mark.parametrize("name", ALL)
@every_dtype
def test_several_entries_are_stepped_at_a_time(name, dtype):
    (code,) = compiled._kernel(ALL[name], np.dtype(dtype)).update.inspect_asm().values()
    assert re.search(rf"\bv?(mul|sub)p{'s' if dtype == 'float32' else 'd'}\b", code)


def test_equal_operations_are_done_once():
    source = compiled._kernel(RULES["radam"], np.dtype("float32")).source
    assert source.count("= beta2 ** t\n") == 1


# ---------- it steps in place ----------


@pytest.mark.parametrize("name", ENTRY)
@pytest.mark.parametrize("size", [100_000, compiled.SMALL])
def test_a_step_allocates_nothing(name, size):
    """Nothing but Python's own small objects."""
    f, x = ENTRY[name], np.ones(size, "float32")
    given = [[x], [x.copy()], *[[x.copy()]] * f.takes_curvature]
    optimizer = Compiled(f)
    optimizer.step(*given)
    tracemalloc.start()
    try:
        optimizer.step(*given)
        assert tracemalloc.get_traced_memory()[1] < 40_000
    finally:
        tracemalloc.stop()


def test_params_and_state_change_in_place():
    params = {"w": np.ones((2, 3)), "s": np.array(2.0)}
    grads = {name: np.full_like(x, 0.5) for name, x in params.items()}
    optimizer = Compiled(adam, lr=0.1)
    assert optimizer.step(params, grads) is params
    all_of = lambda: [*params.values(), *(s for state in optimizer.state.values() for s in state.values())]
    before, values = all_of(), [a.copy() for a in all_of()]
    optimizer.step(params, grads)
    assert all(a is b for a, b in zip(all_of(), before, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(before, values, strict=True))
    assert all((g == 0.5).all() for g in grads.values())
    assert optimizer.t == 2


def test_state_that_starts_at_x_is_a_copy():
    x = np.ones(3)
    optimizer = Compiled(RULES["schedule_free_sgd"])
    optimizer.step([x], [x.copy()])
    assert not np.shares_memory(optimizer.state[0]["z"], x)


@every_dtype
def test_a_gradient_that_is_the_parameter(dtype):
    """That of half the square of x."""
    x = np.linspace(-1, 1, 101).astype(dtype)
    fast, slow, params = Compiled(adam, lr=0.1), Optimizer(adam, lr=0.1), [x.copy()]
    for _ in range(3):
        fast.step([x], [x])
        params = slow.step(params, params)
        assert bits(x) == bits(params[0])


def test_a_gradient_may_be_a_number_of_numpys():
    """Which NumPy makes of an array without dimensions, if it computes with it."""
    x = np.array(2.0)
    Compiled(gradient_descent, lr=0.5).step([x], [2 * x])
    assert x == 0.0
    refused(Compiled(momentum), [x], [np.float32(1)], TypeError, r"grads\[0\] is float32 \(\), its parameter float64")


def test_a_gradient_may_be_read_only():
    x, g = np.ones(3), np.full(3, 0.5)
    g.flags.writeable = False
    Compiled(gradient_descent, lr=0.5).step([x], [g])
    assert (x == 0.75).all()


def test_who_keeps_t_and_state_can_go_on():
    x, g = np.linspace(-1, 1, 5), np.linspace(2, 3, 5)
    first = Compiled(adam, lr=0.1)
    for _ in range(2):
        first.step([x], [g])
    kept, t, y = {0: {key: s.copy() for key, s in first.state[0].items()}}, first.t, x.copy()
    first.step([x], [g])
    second, slow = Compiled(adam, lr=0.1), Optimizer(adam, lr=0.1)
    slow.state, slow.t = {0: {key: s.copy() for key, s in kept[0].items()}}, t
    (z,) = slow.step([y], [g])
    second.state, second.t = kept, t
    second.step([y], [g])
    assert bits(x) == bits(y) == bits(z)


def test_several_parameters_of_both_dtypes_and_libraries():
    """Each as if it were alone."""
    make = lambda: (np.ones(3), np.ones((2, 2), "float32"), torch.ones(4), np.array(2.0), torch.ones(1).double())
    params, alone = make(), make()
    together, singles = Compiled(momentum), [Compiled(momentum) for _ in alone]
    for t in range(3):
        assert together.step(params, tuple(x * 0 + t for x in params)) is params
        for one, x in zip(singles, alone, strict=True):
            one.step([x], [x * 0 + t])
    assert bits(params) == bits(alone)


def test_what_is_not_finite_goes_through():
    for f in (adam, lion):
        x, g = np.ones(40), np.ones(40)
        g[3], g[39] = math.nan, math.inf
        Compiled(f, lr=0.5).step([x], [g])
        assert np.isnan(x[3])
        assert np.isfinite(x[:3]).all()


def test_pytorch_is_not_loaded():
    program = (
        "import sys, numpy as np; from lib.compiled import Compiled; from lib.optimizers import adam; x = np.ones(2); "
        "Compiled(adam).step([x], [x + 1]); assert 'numba' in sys.modules and 'torch' not in sys.modules"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100, cwd=ROOT)
    assert run.returncode == 0, run.stderr


# ---------- what is refused ----------


def refused(optimizer, params, grads, error, words, *curvatures):
    """The step raises ``error`` with ``words`` in its message, and nothing has changed."""
    before = bits(params), bits(grads), bits(optimizer.state), optimizer.t
    with pytest.raises(error, match=words):
        optimizer.step(params, grads, *curvatures)
    assert (bits(params), bits(grads), bits(optimizer.state), optimizer.t) == before


ONES = np.ones((2, 3))
LOCKED = np.broadcast_to(np.ones(()), (1,))
SHIFTED = np.frombuffer(bytearray(17), "u1")[1:].view("float64")


@pytest.mark.parametrize(
    ("bad", "grad", "error", "words"),
    [
        ([1.0], [1.0], TypeError, r"params\[1\] must be a NumPy array or a PyTorch tensor, got list; .*Optimizer"),
        (1.0, 1.0, TypeError, r"params\[1\] must be a NumPy array or a PyTorch tensor, got float"),
        (np.float64(1.0), np.float64(1.0), TypeError, r"params\[1\] must be a NumPy array .* got float64"),
        (ONES, torch.ones(2, 3).double(), TypeError, r"grads\[1\] must be a NumPy array, like its .*, got Tensor"),
        (ONES, None, TypeError, r"grads\[1\] must be a NumPy array, like its parameter, got NoneType"),
        (ONES.astype("float16"), ONES.astype("float16"), TypeError, r"params\[1\] has dtype float16, but only float32"),
        (ONES.astype(int), ONES.astype(int), TypeError, r"params\[1\] has dtype int64"),
        (ONES.astype(">f8"), ONES.astype(">f8"), TypeError, r"params\[1\] has dtype >f8"),
        (ONES, ONES.astype("float32"), TypeError, r"grads\[1\] is float32 \(2, 3\), its parameter float64 \(2, 3\)"),
        (ONES, ONES[:1], ValueError, r"grads\[1\] is float64 \(1, 3\), its parameter float64 \(2, 3\)"),
        (ONES.T, ONES.T.copy(), ValueError, r"params\[1\] is not contiguous in memory, .*; use .copy\(\)"),
        (ONES, np.broadcast_to(1.0, (2, 3)), ValueError, r"grads\[1\] is not contiguous"),
        (SHIFTED, SHIFTED.copy(), ValueError, r"params\[1\] is not contiguous in memory, or not aligned"),
        (LOCKED, LOCKED.copy(), ValueError, r"params\[1\] may not be written to; use .copy\(\)"),
        (np.ma.masked_array(ONES), ONES, TypeError, r"params\[1\] must be a plain array, got MaskedArray; .*filled"),
        (ONES, np.ma.masked_array(ONES), TypeError, r"grads\[1\] must be a plain array, got MaskedArray; .*filled"),
        (ONES.view(np.matrix), ONES, TypeError, r"params\[1\] must be a plain array, got matrix; use .view\("),
    ],
)  # fmt: skip
def test_what_cannot_be_stepped(bad, grad, error, words):
    """It stands behind a parameter that could be stepped, and is not."""
    refused(Compiled(momentum), [np.ones(2), bad], [np.ones(2), grad], error, words)


def test_one_array_twice():
    x = np.ones(2)
    for twin in (x, x.reshape(2, 1)):
        grads = {"in": x + 1, "out": twin + 1}
        refused(Compiled(momentum), {"in": x, "out": twin}, grads, ValueError, "'out'.*'in'.*pass it once")
    empty = np.ones(0)
    Compiled(momentum).step([empty, empty], [empty, empty])


def test_curvatures():
    x = np.ones(2)
    refused(Compiled(sophia), [x], [x + 1], TypeError, "sophia takes curvatures")
    for curvatures, words in [
        ([x.astype("float32")], r"curvatures\[0\] is float32"), ([x, x], "2 arrays for 1"),
        ([[1.0, 1.0]], r"curvatures\[0\] must be a NumPy array"),
    ]:  # fmt: skip
        refused(Compiled(sophia), [x], [x + 1], (TypeError, ValueError), words, curvatures)
    refused(Compiled(sophia), [1.0], [1.0], TypeError, r"params\[0\] must be a NumPy array or", [1.0])
    refused(Compiled(adam), [x], [x + 1], TypeError, "adam does not take curvatures", [x])


def test_other_parameters_than_before():
    x = np.ones(2)
    optimizer = Compiled(momentum)
    optimizer.step([x], [x + 1])
    refused(optimizer, [x, x + 1], [x, x], KeyError, r"holds state for \[0\], got \[0, 1\]; use one Compiled")
    refused(optimizer, [np.ones(3)], [np.ones(3)], ValueError, "use a new Optimizer for a changed parameter")
    refused(optimizer, [torch.ones(2).double()], [torch.ones(2).double()], ValueError, "use a new Optimizer for")
    for bad in (np.ones((2, 2))[:, 0], np.broadcast_to(1.0, 2), np.ma.masked_array(x)):
        optimizer.state = {0: {"v": bad}}
        refused(optimizer, [x], [x + 1], ValueError, r"state\[0\]\['v'\] must be a contiguous NumPy array")


def test_a_schedule_out_of_range():
    optimizer, x = Compiled(momentum, lr=lambda step: 0.5 - step), np.ones(2)
    optimizer.step([x], [x + 1])
    refused(optimizer, [x], [x + 1], ValueError, "schedule at step 1: lr must be")


def test_a_number_that_cannot_be_computed():
    """A rate of 0, by which this rule divides: Python's error, as in the rule, and no array of either dtype steps."""
    inverse = rule(lambda x, g, *, lr: x - 1 / lr * g)
    params = [np.ones(2), np.ones(2, "float32")]
    refused(Compiled(inverse, lr=0.0), params, [x.copy() for x in params], ZeroDivisionError, "division by zero")


@pytest.mark.parametrize("name", WHOLE)
def test_rules_that_see_whole_arrays(name):
    """The remedy that the message names works: the tensor has the array's memory."""
    x, g = np.eye(2, 3), np.ones((2, 3))
    words = f"{name} sees whole arrays, .* lib.optimizers.Optimizer steps it; .* torch.from_numpy"
    refused(Compiled(RULES[name]), [x], [g], TypeError, words)
    if name == "lamb":
        Compiled(RULES[name]).step([torch.from_numpy(x)], [torch.from_numpy(g)])
        assert (x != np.eye(2, 3)).all()


def looks_at_an_item(x, g, *, lr=0.1):
    return x - lr.item() * g


def sees_the_mean(x, g, *, lr=0.1):
    return x - lr * g.mean()


def sees_the_sum(x, g, *, lr=0.1):
    return x - lr * g.sum()


def sees_the_shape(x, g, *, lr=0.1):
    return x - lr * g if x.shape[0] > 1 else x


def sees_the_length(x, g, *, lr=0.1):
    return x - lr * x.shape[0] * g


def sees_the_size(x, g, *, lr=0.1):
    return x - lr * x.size * g


def turns_it(x, g, *, lr=0.1):
    return x - lr * g.T


def sorts_it(x, g, *, lr=0.1):
    return x - lr * np.sort(g)


def views_it(x, g, *, lr=0.1):
    return x - lr * g[...]


def forgets_its_state(x, g, m, *, lr=0.1):
    return x - lr * g


def returns_a_number(x, g, m, *, lr=0.1):
    return x - lr * g, 1.0


def returns_the_rate(x, g, m, *, lr=0.1):
    return x - lr * g, lr


def returns_a_condition(x, g, m, *, lr=0.1):
    return x - lr * g, m > 0


def has_its_own_array(x, g, *, lr=0.1):
    return x - lr * np.ones(4) * g


def has_numpys_number(x, g, *, lr=0.1):
    return x - np.float64(0.5) * lr * g


def takes_the_sine(x, g, *, lr=0.1):
    return x - lr * np.sin(g)


@pytest.mark.parametrize(
    ("f", "words"),
    [
        *((f, "looks at the value of an array or a number: replace if, max, float, math by functions of lib.arrays")
          for f in (looks, takes_the_root, takes_the_larger, looks_at_an_item)),
        *((f, r"does not step every entry on its own: mark it with @rule\(each='array'\)")
          for f in (looks_at_g, sees_the_mean, sees_the_sum, sees_the_shape, sees_the_length, sees_the_size, turns_it,
                    views_it)),
        *((f, r"must return \(x, m\), of the dtypes and shapes they came in")
          for f in (forgets_its_state, returns_a_number, returns_the_rate, returns_a_condition)),
        (has_its_own_array, "computes with a ndarray; compiled are arrays that it is given, and Python's numbers"),
        (has_numpys_number, "computes with a float64; compiled are"),
        (sorts_it, "numpy.sort is not known to lib.compiled.numpy.OF_ENTRIES"),
        (takes_the_sine, "numpy.sin is not known to lib.compiled.numpy.OF_ENTRIES"),
    ],
)  # fmt: skip
def test_rules_that_cannot_be_compiled(f, words):
    refused(Compiled(rule(f)), [np.ones((2, 2))], [np.ones((2, 2))], TypeError, f"{f.__name__}:? .*{words}")


# ---------- old values that come back ----------


def passes_on(x, g, last, before, *, lr=0.5):
    return x - lr * g, x, last


def swaps(x, g, a=1.0, b=2.0, *, lr=0.5):
    return x - lr * g, b, a


@pytest.mark.parametrize("f", [passes_on, swaps])
def test_an_old_array_that_comes_back(f):
    """All are read before one is written."""
    x, f = np.arange(9.0).reshape(3, 3), rule(f)
    fast, slow, params = Compiled(f), Optimizer(f), [x.copy()]
    for t in range(3):
        fast.step([x], [x * 0 + t])
        params = slow.step(params, [x * 0 + t])
        assert bits(x) == bits(params[0])
        assert bits(fast.state) == bits(slow.state)
