"""A compiled rule takes the rule's steps, bit for bit but for one rounding that has a cause; it is compiled once, steps
in place, and what it cannot step it refuses in words, and then nothing has changed."""

import functools
import math
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from lib.compiled import Compiled
from lib.compiled import torch as compiled
from lib.optimizers import RULES, Optimizer, adafactor, adam, gradient_descent, lion, momentum, nesterov, rule, sophia
from lib.optimizers.rule import first_state
from lib.referees import hyperparameters_for
from lib.referees.recording import MATRICES, SHAPES, flat, record
from tests.compiled.bad_rules import looks, looks_at_g, takes_the_larger, takes_the_root
from tests.optimizers.test_optimizer import bits

STEPS = 1000
# Rules that Python steers by the number of the step: SOAP does something else at the first, and at every tenth.
REFUSED = {"soap"}
COMPILED = {name: f for name, f in RULES.items() if name not in REFUSED}
DTYPES = {"float64": torch.float64, "float32": torch.float32}

every_rule = pytest.mark.parametrize("name", COMPILED)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
entry_rules = pytest.mark.parametrize("name", [name for name, f in COMPILED.items() if f.each == "entry"])

record = functools.cache(record)


def task(name, dtype):
    """A recording of gradients of every size, with patterns, and hyperparameters of which the rate changes."""
    f = RULES[name]
    shapes = MATRICES[:2] if f.each == "matrix" else SHAPES
    if f.each != "entry" and dtype == "float32":
        shapes = shapes[:2]  # each shape takes a compilation
    recording = record(STEPS, (1e-8, 1e4), shapes, dtype=np.dtype(dtype), patterns=True)
    hyperparameters = hyperparameters_for(name)
    rate = hyperparameters["lr"] / 10
    return recording, hyperparameters | {"lr": lambda step: rate * (1 + math.sin(step)) / 2}


def given(recording, step, f, array):
    """What a step is given besides parameters: gradients, and curvatures if the rule takes them."""
    arrays = [recording.gradients[step], *([recording.curvatures[step]] if f.takes_curvature else [])]
    return [[array(a) for a in each] for each in arrays]


# ---------- it takes the rule's steps ----------


class Inverting(np.ndarray):
    """An array that, divided by a number, is multiplied by the number's reciprocal."""

    def __truediv__(self, other):
        return self * (1 / other) if isinstance(other, int | float) else super().__truediv__(other)

    def __array_function__(self, function, types, arguments, keywords):
        new = super().__array_function__(function, types, arguments, keywords)
        return new.view(Inverting) if isinstance(new, np.ndarray) else new  # np.where forgets what it was given


# What one rounding more costs in 1,000 steps, in ulps of 1. Steps are at most about 0.01: it changes a last digit of
# parameters now and then. These three rules divide the parameter itself, by 1 + lr * weight_decay or by beta1; it is
# between 2 and 4 at most, and each step may round it otherwise, by half an ulp.
BOUNDS = dict.fromkeys(["adan", "schedule_free_sgd", "schedule_free_adamw"], 1000)


def after(f, arrays, t, numbers):
    """What the rule makes of [x, g, ..., *state]."""
    new = f(*arrays, *[t] * f.counts_steps, **numbers)
    return list(new) if f.state else [new]


@entry_rules
@every_dtype
def test_reciprocals_are_all_that_differs(name, dtype):
    """With them, NumPy takes the same steps, bit for bit; without, it ends up close by."""
    f, (recording, hyperparameters) = RULES[name], task(name, dtype)
    fast = Compiled(f, **hyperparameters)
    params = [torch.tensor(a) for a in recording.start]
    x = flat(recording.start)  # a rule that steps every entry on its own does not see the shapes
    plain = [x, *first_state(f, x, fast.hyperparameters_at(0)).values()]
    exact, moved, apart = [a.view(Inverting) for a in plain], False, 0
    for t in range(STEPS):
        numbers, others = fast.hyperparameters_at(t), [*map(flat, given(recording, t, f, np.asarray))]
        fast.step(params, *given(recording, t, f, torch.tensor))
        ours = [flat(params), *(flat(s[key] for s in fast.state.values()) for key in f.state)]
        plain = after(f, [plain[0], *others, *plain[1:]], t + 1, numbers)
        exact = [a.view(Inverting) for a in after(f, [exact[0], *others, *exact[1:]], t + 1, numbers)]
        assert all(map(np.array_equal, ours, exact)), t
        moved, apart = moved | (ours[0] != x), max(apart, np.abs(ours[0] - plain[0]).max())
    assert moved.mean() > 0.5  # in float32 a rate for the largest gradients does not let the smallest move a parameter
    assert apart <= BOUNDS.get(name, 10) * np.finfo(dtype).eps


@pytest.mark.parametrize("name", [name for name, f in COMPILED.items() if f.each != "entry"])
@every_dtype
def test_rules_that_see_whole_arrays_sum_in_another_order(name, dtype):
    """A sum of n terms differs by n ulps at most, and by as large a share a step of about 0.01. A state that sums over
    all steps, as Shampoo's do, gathers one more a step."""
    f, (recording, hyperparameters) = RULES[name], task(name, dtype)
    fast, slow = Compiled(f, **hyperparameters), Optimizer(f, **hyperparameters)
    array = torch.tensor if f.each == "matrix" else np.asarray  # whose LAPACK may choose other eigenvectors
    params, theirs = [torch.tensor(a) for a in recording.start], [array(a) for a in recording.start]
    for t in range(STEPS // 4):
        fast.step(params, *given(recording, t, f, torch.tensor))
        theirs = slow.step(theirs, *given(recording, t, f, array))
        pairs = [(flat(params), flat(theirs))]
        pairs += [(flat(s[key] for s in o.state.values()) for o in (fast, slow)) for key in f.state]
        for ours, right in pairs:
            assert np.abs(ours - right).max() <= (10 + t) * np.finfo(dtype).eps * max(1, np.abs(right).max())
    assert (flat(params) != flat(recording.start)).any()


# ---------- it is compiled once ----------


@pytest.fixture
def compilations(monkeypatch):
    """A list that grows with each compilation, by its options."""
    made, compile_ = [], torch._inductor.standalone_compile

    def counted(*args, options):
        made.append(options["config_patches"])
        return compile_(*args, options=options)

    monkeypatch.setattr(torch._inductor, "standalone_compile", counted)
    compiled._kernel.cache_clear()
    yield made
    compiled._kernel.cache_clear()


def step_with(optimizer, *lengths, dtype=torch.float64):
    params = [torch.ones(n, dtype=dtype) for n in lengths]
    return optimizer.step(params, [torch.full_like(x, 0.5) for x in params])


def test_neither_step_nor_schedule_nor_length_compiles_again(compilations):
    for lr in (0.1, lambda step: 0.1 / (1 + step)):
        for length in (1, 2, 7, 0, 300, compiled.SMALL - 1):
            optimizer = Compiled(adam, lr=lr, beta1=0.5 / (1 + length))
            for _ in range(3):
                step_with(optimizer, length)
    assert len(compilations) == 1
    step_with(Compiled(adam), 1, dtype=torch.float32)
    step_with(Compiled(momentum), 1)
    assert len(compilations) == 3


def test_whole_numbers_are_compiled_in(compilations):
    """Sophia's curvature counts at every update_every-th step."""
    ours = []
    for every in (2, 3, 2):
        optimizer, x = Compiled(sophia, update_every=every), torch.ones(3, dtype=torch.float64)
        for _ in range(4):
            optimizer.step([x], [x / 2], [x])
        ours.append(optimizer.state[0]["h"].sum())
    assert ours[0] == ours[2] > ours[1]
    assert len(compilations) == 2


def test_rules_that_see_whole_arrays_are_compiled_for_each_shape(compilations):
    optimizer = Compiled(adafactor)
    params = [torch.ones(2, 3), torch.ones(3, 2), torch.ones(2, 3)]
    optimizer.step(params, [x / 2 for x in params])
    assert len(compilations) == 2


@contextmanager
def threads(n):
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    yield
    torch.set_num_threads(before)


def test_large_arrays_are_stepped_by_all_threads(compilations):
    """And equally."""
    paths, length = [], 2 * compiled.SMALL + 7
    for n in (1, 2):
        with threads(n):
            optimizer, x = Compiled(adam), torch.linspace(-1, 1, length)
            optimizer.step([x], [x.flip(0)])
            paths.append(x)
    assert paths[0].equal(paths[1])
    assert [options["cpp.threads"] for options in compilations] == [1, 2]


# ---------- it steps in place ----------


@entry_rules
def test_a_step_allocates_nothing(name):
    """Nothing but the handful of numbers that the kernel is given, and they fit into one page."""
    f = COMPILED[name]
    x = torch.ones(100_000)
    given = [[x], [x.clone()], *[[x.clone()]] * f.takes_curvature]
    optimizer = Compiled(f)
    optimizer.step(*given)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        optimizer.step(*given)
    allocated = [event.self_cpu_memory_usage for event in profiled.events() if event.name == "[memory]"]
    assert allocated
    assert max(allocated) < 4096


def test_params_and_state_change_in_place():
    params = {"w": torch.ones(2, 3), "s": torch.tensor(2.0)}
    optimizer = Compiled(adam, lr=0.1)
    grads = {name: torch.full_like(x, 0.5) for name, x in params.items()}
    assert optimizer.step(params, grads) is params
    tensors = [*params.values(), *(s for state in optimizer.state.values() for s in state.values())]
    addresses, values = [a.data_ptr() for a in tensors], [a.clone() for a in tensors]
    optimizer.step(params, grads)
    now = [*params.values(), *(s for state in optimizer.state.values() for s in state.values())]
    assert [a.data_ptr() for a in now] == addresses
    assert not any(a.equal(b) for a, b in zip(now, values, strict=True))
    assert all((g == 0.5).all() for g in grads.values())
    assert optimizer.t == 2


def test_state_that_starts_at_x_is_a_copy():
    x = torch.ones(3)
    optimizer = Compiled(RULES["schedule_free_sgd"])
    optimizer.step([x], [x.clone()])
    assert optimizer.state[0]["z"].data_ptr() != x.data_ptr()


@pytest.mark.parametrize("shape", [(), (1,), (0,), (2, 0), (5,), (2, 1, 3)])
@every_dtype
def test_every_shape(shape, dtype):
    x = torch.full(shape, 1.0, dtype=DTYPES[dtype])
    Compiled(gradient_descent, lr=0.5).step([x], [torch.full_like(x, 0.5)])
    assert x.equal(torch.full_like(x, 0.75))


def test_a_model_in_training():
    """Parameters are leaves that require gradients; autograd notices that they have changed."""
    model = torch.nn.Linear(3, 2)
    params = dict(model.named_parameters())
    before = {name: x.detach().clone() for name, x in params.items()}
    loss = model(torch.ones(4, 3)).square().sum()
    loss.backward(retain_graph=True)
    grads = {name: x.grad for name, x in params.items()}
    Compiled(gradient_descent, lr=0.5).step(params, grads)
    for name, x in params.items():
        assert x.requires_grad
        assert x.is_leaf
        assert x.detach().equal(before[name] - 0.5 * grads[name])
    weight = model.weight
    loss = (weight * weight).sum()
    Compiled(gradient_descent).step([weight], [torch.ones_like(weight)])
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_what_is_not_finite_goes_through():
    for f in (adam, lion):
        x, g = torch.ones(40), torch.ones(40)
        g[3], g[39] = math.nan, math.inf
        Compiled(f, lr=0.5).step([x], [g])
        assert x.isnan()[3]
        assert x[:3].isfinite().all()


def test_who_keeps_t_and_state_can_go_on():
    x, g = torch.linspace(-1, 1, 5), torch.linspace(2, 3, 5)
    first = Compiled(adam, lr=0.1)
    for _ in range(2):
        first.step([x], [g])
    kept, t, y = {0: {key: s.clone() for key, s in first.state[0].items()}}, first.t, x.clone()
    first.step([x], [g])
    second = Compiled(adam, lr=0.1)
    second.state, second.t = kept, t
    second.step([y], [g])
    assert x.equal(y)


# ---------- many arrays, long arrays ----------


def test_small_arrays_are_stepped_together(monkeypatch):
    """Each as if it were alone: of one dtype or another, curved or not."""
    shapes = [(3,), (), (2, 2), (0,), (7,), (1, 3), (5,)]
    calls, update = [], compiled.Kernel.step_together
    monkeypatch.setattr(compiled, "SMALL", 8)
    monkeypatch.setattr(
        compiled.Kernel, "step_together", lambda self, bundle, n: calls.append(bundle) or update(self, bundle, n)
    )
    for f in (sophia, nesterov):
        ours = [torch.arange(math.prod(s), dtype=d).reshape(s) + 1 for s in shapes for d in DTYPES.values()]
        alone = [x.clone() for x in ours]
        singles = [Compiled(f, lr=0.1) for _ in ours]
        together = Compiled(f, lr=0.1)
        for t in range(3):
            grads = [x * 0.5 + t for x in ours]
            curved = [[x.abs() for x in ours]] * f.takes_curvature
            calls.clear()
            together.step(ours, grads, *curved)
            assert max(map(len, calls)) > 1
            assert all(sum(arrays[0].numel() for arrays in bundle) <= 8 for bundle in calls)
            assert sum(map(len, calls)) == len(ours)
            for i, (one, x) in enumerate(zip(singles, alone, strict=True)):
                one.step([x], [grads[i]], *([c[i]] for c in curved))
                assert x.equal(ours[i])
                for key in f.state:
                    assert one.state[0][key].equal(together.state[i][key])


def test_longest_arrays_are_stepped_part_by_part(monkeypatch):
    expected, x = torch.linspace(-1, 1, 25), torch.linspace(-1, 1, 25)
    for y in (expected, x):
        optimizer = Compiled(adam, lr=0.1)
        for _ in range(2):
            optimizer.step([y], [torch.linspace(3, 4, 25)])
        monkeypatch.setattr(compiled, "LONGEST", 10)
    assert x.equal(expected)


# ---------- what is refused ----------


def refused(optimizer, params, grads, error, words):
    """The step raises ``error`` with ``words`` in its message, and nothing has changed."""
    before = bits(params), bits(grads), bits(optimizer.state), optimizer.t
    with pytest.raises(error, match=words):
        optimizer.step(params, grads)
    assert (bits(params), bits(grads), bits(optimizer.state), optimizer.t) == before


ONES = torch.ones(2, 3)
FREE = torch.ones(2, 3, requires_grad=True)


@pytest.mark.parametrize(
    ("bad", "grad", "error", "words"),
    [
        ([1.0], [1.0], TypeError, r"params\[1\] must be a NumPy array or a PyTorch tensor, got list; .*Optimizer"),
        (ONES, np.ones((2, 3)), TypeError, r"grads\[1\] must be a PyTorch tensor, like its parameter, got ndarray"),
        (ONES.half(), ONES.half(), TypeError, r"params\[1\] has dtype torch.float16, but only float32 and float64"),
        (ONES.int(), ONES.int(), TypeError, r"params\[1\] has dtype torch.int32"),
        (ONES, ONES.double(), TypeError, r"grads\[1\] is torch.float64 \(2, 3\) on cpu, its parameter torch.float32"),
        (ONES, ONES[:1], ValueError, r"grads\[1\] is torch.float32 \(1, 3\) on cpu, its parameter .* \(2, 3\)"),
        (ONES, ONES.to("meta"), ValueError, r"grads\[1\] is .* on meta, its parameter .* on cpu; they must be equal"),
        (ONES.mT, ONES.mT.contiguous(), ValueError, r"params\[1\] is not contiguous in memory; use .contiguous\(\)"),
        (ONES, torch.ones(()).expand(2, 3), ValueError, r"grads\[1\] is not contiguous"),
        (ONES, ONES.to_sparse(), TypeError, r"grads\[1\] has the layout torch.sparse_coo; convert it: .to_dense\(\)"),
        (FREE * 2, ONES, ValueError, r"params\[1\] was computed from other tensors"),
        (ONES, None, TypeError, r"grads\[1\] must be a PyTorch tensor, .*, got NoneType"),
    ],
)
def test_what_cannot_be_stepped(bad, grad, error, words):
    """It stands behind a parameter that could be stepped, and is not."""
    good = torch.ones(2)
    optimizer = Compiled(momentum)
    with pytest.raises(error, match=words):
        optimizer.step([good, bad], [torch.ones(2), grad])
    assert good.equal(torch.ones(2))
    assert (optimizer.t, optimizer.state) == (0, {})


def test_one_tensor_twice():
    x = torch.ones(2)
    refused(Compiled(momentum), {"in": x, "out": x}, {"in": x + 1, "out": x}, ValueError, "'out'.*'in'.*pass it once")


def test_curvatures():
    x = torch.ones(2)
    refused(Compiled(sophia), [x], [x + 1], TypeError, "sophia takes curvatures")
    for curvatures, words in [([x.double()], r"curvatures\[0\] is torch.float64"), ([x, x], "2 arrays for 1")]:
        with pytest.raises((TypeError, ValueError), match=words):
            Compiled(sophia).step([x], [x + 1], curvatures)
    with pytest.raises(TypeError, match="adam does not take curvatures"):
        Compiled(adam).step([x], [x + 1], [x])
    assert x.equal(torch.ones(2))


def test_other_parameters_than_before():
    x = torch.ones(2)
    optimizer = Compiled(momentum)
    optimizer.step([x], [x + 1])
    refused(optimizer, [x, x + 1], [x, x], KeyError, r"holds state for \[0\], got \[0, 1\]; use one Compiled")
    refused(optimizer, [torch.ones(3)], [torch.ones(3)], ValueError, "use a new Optimizer for a changed parameter")
    optimizer.state = {0: {"v": torch.ones(2, 2)[:, 0]}}
    refused(optimizer, [x], [x + 1], ValueError, r"state\[0\]\['v'\] must be contiguous and on cpu")


def test_a_schedule_out_of_range():
    optimizer, x = Compiled(momentum, lr=lambda step: 0.5 - step), torch.ones(2)
    optimizer.step([x], [x + 1])
    refused(optimizer, [x], [x + 1], ValueError, "schedule at step 1: lr must be")


def test_a_number_that_cannot_be_computed():
    """A rate of 0, by which this rule divides."""
    inverse = rule(lambda x, g, *, lr: x - 1 / lr * g)
    refused(Compiled(inverse, lr=0.0), [torch.ones(2)], [torch.ones(2)], ZeroDivisionError, "division by zero")


def test_without_a_compiler():
    constant = np.random.default_rng().uniform()  # no earlier run has compiled this rule

    @rule
    def new(x, g, *, lr=0.1):
        return x - lr * constant * g

    options = {"cpp.cxx": (None, "no-such-compiler"), "force_disable_caches": True}
    with torch._inductor.config.patch(options):
        refused(
            Compiled(new), [torch.ones(2)], [torch.ones(2)], RuntimeError, r"new could not be compiled.*install g\+\+"
        )


def sees_the_mean(x, g, *, lr=0.1):
    return x - lr * g.mean()


def sees_the_shape(x, g, *, lr=0.1):
    return x - lr * g if x.shape[0] > 1 else x


def sees_the_length(x, g, *, lr=0.1):
    return x - lr * x.shape[0] * g


def forgets_its_state(x, g, m, *, lr=0.1):
    return x - lr * g


def widens_its_state(x, g, m, *, lr=0.1):
    return x - lr * g, m.to(torch.complex64)


def returns_a_number(x, g, m, *, lr=0.1):
    return x - lr * g, 1.0


def uses_another_function(x, g, *, lr=0.1):
    return x - lr.exp() * g


@pytest.mark.parametrize(
    ("f", "words"),
    [
        *((f, "looks at the value of an array or a number: replace if, max, float, math by functions of lib.arrays")
          for f in (looks, takes_the_root, takes_the_larger, looks_at_g)),
        *((f, r"does not step every entry on its own: mark it with @rule\(each='array'\)")
          for f in (sees_the_mean, sees_the_shape, sees_the_length)),
        *((f, r"must return \(x, m\), of the dtypes and shapes they came in")
          for f in (forgets_its_state, widens_its_state, returns_a_number)),
        (uses_another_function, "exp.* of numbers is not known to lib.compiled.torch.OF_NUMBERS"),
    ],
)  # fmt: skip
def test_rules_that_cannot_be_compiled(f, words):
    refused(Compiled(rule(f)), [torch.ones(2, 2)], [torch.ones(2, 2)], TypeError, f"{f.__name__}:? .*{words}")


@pytest.mark.parametrize("name", REFUSED)
def test_rules_of_the_book_that_cannot_be_compiled(name):
    refused(Compiled(RULES[name]), [torch.ones(2, 2)], [torch.ones(2, 2)], TypeError, f"{name} cannot be compiled")


# ---------- what the compiler gets wrong ----------


def passes_on(x, g, last, before, *, lr=0.5):
    return x - lr * g, x, last


def swaps(x, g, a=1.0, b=2.0, *, lr=0.5):
    return x - lr * g, b, a


def turns(x, g, last, *, lr=0.5):
    return x - lr * g, x.mT


@pytest.mark.parametrize("f", [rule(passes_on), rule(swaps), rule(each="matrix")(turns)])
def test_an_old_array_that_comes_back(f):
    """Inductor drops a copy of an array that is overwritten before the copy is read."""
    x = torch.arange(9.0).reshape(3, 3)
    fast, slow, params = Compiled(f), Optimizer(f), [x.clone()]
    for t in range(3):
        fast.step([x], [x * 0 + t])
        params = slow.step(params, [x * 0 + t])
        assert x.equal(params[0])
        for key in f.state:
            assert fast.state[0][key].equal(slow.state[0][key])


# ---------- on a GPU ----------


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@every_rule
@every_dtype
def test_gpu(name, dtype):
    """There a product and a sum round once together, and float32 is divided to within 2 ulps: each of a rule's some 20
    operations may differ by that much, as a share of which a step of 0.01 differs; for the rest see `BOUNDS`."""
    f, (recording, hyperparameters) = RULES[name], task(name, dtype)
    fast, slow = Compiled(f, **hyperparameters), Optimizer(f, **hyperparameters)
    on_gpu = lambda a: torch.tensor(a, device="cuda")
    array = on_gpu if f.each == "matrix" else np.asarray
    params, theirs = [on_gpu(a) for a in recording.start], [array(a) for a in recording.start]
    for t in range(STEPS // 4):
        fast.step(params, *given(recording, t, f, on_gpu))
        theirs = slow.step(theirs, *given(recording, t, f, array))
        assert np.abs(flat(params) - flat(theirs)).max() <= max(BOUNDS.get(name, 0), 100) * np.finfo(dtype).eps
