"""What holds for every update rule of the book and of the dialects: it is a pure function of arrays, element-wise if it
says so, with the symmetries of its equation. And what `rule` reads off a signature."""

import inspect
import math

import jax
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from lib.checks import FACTOR, RANGES, check_number, check_range
from lib.dialects import DIALECTS, keras, optax
from lib.optimizers import RULES, Optimizer, adagrad, adam, gradient_descent, rule, schedule_free_sgd
from lib.optimizers.rule import bare_step, first_state, named_for

ALL = RULES | {
    f"{framework} {name}": dialect.rule
    for framework, dialects in DIALECTS.items()
    for name, dialect in dialects.items()
    if dialect.rule.__module__ == f"lib.dialects.{framework}"  # optax takes its rules from the other two
}


def rules(*each, but=()):
    """The tests of rules that step each of these on its own: "entry", "array", "matrix"."""
    return pytest.mark.parametrize("name", [name for name, f in ALL.items() if f.each in each and name not in but])


every_rule = rules("entry", "array", "matrix")
every_rule_of_any_shape = rules("entry", "array")
every_elementwise_rule = rules("entry")
every_array_rule = rules("array")
few = settings(deadline=None, max_examples=25, derandomize=True)

# Gradients whose squares neither overflow nor vanish, and numbers that are exact in float32: their squares are exact in
# float64, so that pow, which Python floats use for g**2, and a product, which arrays use, round the same.
sizes = st.floats(1e-6, 1e6) | st.floats(-1e6, -1e-6)
short = st.floats(2**-20, 2**20, width=32) | st.floats(-(2**20), -(2**-20), width=32)
powers_of_two = st.integers(-20, 20).map(lambda k: 2.0**k)


def gradients(elements=sizes, dims=1):
    """Arrays (steps, *shape): what a parameter meets in three steps."""
    shape = array_shapes(min_dims=dims, max_dims=dims, max_side=5).map(lambda shape: (3, *shape))
    return shape.flatmap(lambda shape: arrays(np.float64, shape, elements=elements))


def defaults(rule):
    """Its hyperparameters, with a rate for those of optax, which gives most of its own none."""
    return {key: 0.001 if value is inspect.Parameter.empty else value for key, value in rule.defaults.items()}


def walk(rule, x, gradients, **hyperparameters):
    """[x, *state] after a step along each of ``gradients``; their sizes are the curvatures, if it takes any."""
    hyperparameters = defaults(rule) | named_for(rule, hyperparameters)
    state = first_state(rule, x, hyperparameters).values()
    for t, g in enumerate(gradients, start=1):
        given = [g, abs(g)] if rule.takes_curvature else [g]
        new = rule(x, *given, *state, *([t] if rule.counts_steps else []), **hyperparameters)
        x, *state = new if state else (new,)
    return [x, *state]


def same(ours, theirs):
    """Bit for bit, but for the sign of a zero."""
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def at_rest(name, x, start):
    """That ``x`` has not moved; bit for bit, but for rules that take it apart, into an average and z, at each step."""
    apart = "z" in ALL[name].state
    np.testing.assert_allclose(x, start, rtol=3 * 2**-52 * apart, atol=0)


def start(g):
    return np.linspace(-1, 2, g[0].size).reshape(g[0].shape)


# ---------- a pure function ----------


@every_rule_of_any_shape
def test_nothing_that_a_rule_is_given_changes(name):
    f = ALL[name]
    given = [np.array([1.0, -2.0, 0.5]) + i for i in range(2 + f.takes_curvature + len(f.state))]
    before = [a.copy() for a in given]
    for a in given:
        a.setflags(write=False)  # an operation in place would raise
    new = f(*given, *([3] if f.counts_steps else []), **defaults(f))
    same(given, before)
    for a in new if f.state else (new,):
        assert not any(np.shares_memory(a, b) for b in given)


@every_rule_of_any_shape
def test_the_same_arguments_give_the_same_bits(name):
    g = np.random.default_rng(0).normal(size=(5, 40))
    same(walk(ALL[name], start(g), g), walk(ALL[name], start(g), g))


@every_rule_of_any_shape
def test_a_rule_gives_back_its_parameter_and_its_state(name):
    f = ALL[name]
    arrays = (np.ones(3) for _ in range(2 + f.takes_curvature + len(f.state)))
    new = f(*arrays, *([1] if f.counts_steps else []), **defaults(f))
    assert isinstance(new, tuple) == bool(f.state)
    assert len(new if f.state else (new,)) == 1 + len(f.state)


@every_rule_of_any_shape
@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3), (2, 1, 3), (0,), (0, 2)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_shape_and_dtype_are_kept(name, shape, dtype):
    x = np.ones(shape, dtype)
    states = first_state(ALL[name], x, defaults(ALL[name])).values()
    for a, begin in zip(walk(ALL[name], x, [0.5 * x] * 3, lr=0.5), [x, *states], strict=True):
        assert (a.shape, a.dtype) == (begin.shape, dtype)


@every_rule_of_any_shape
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_torch_dtypes_are_kept(name, dtype):
    x = torch.ones(2, 3, dtype=dtype)
    states = first_state(ALL[name], x, defaults(ALL[name])).values()
    for a, begin in zip(walk(ALL[name], x, [0.5 * x] * 3, lr=0.5), [x, *states], strict=True):
        assert (a.shape, a.dtype) == (begin.shape, dtype)


@every_rule_of_any_shape
def test_a_bare_step_is_the_equation(name):
    f, gradients = ALL[name], np.random.default_rng(0).normal(size=(4, 5))
    if f.takes_curvature:
        pytest.skip("a bare step takes no curvature")
    x = start(gradients)
    state = first_state(f, x, defaults(f))
    for t, g in enumerate(gradients, start=1):
        x, state = bare_step(f, x, g, state, t, **defaults(f))
    same([x, *state.values()], walk(f, start(gradients), gradients))
    assert list(state) == list(f.state)


def test_runs_that_diverge_do_not_touch_the_others():
    x, rates = np.array([1e300, 1.0]), np.array([1e300, 0.1])
    with np.errstate(over="ignore"):
        after, _ = bare_step(gradient_descent, x, x, {}, 1, lr=rates)
    assert after.tolist() == [-np.inf, 0.9]


# ---------- element by element ----------


@every_elementwise_rule
@few
@given(data=st.data(), g=gradients())
def test_a_rule_commutes_with_permutation(name, data, g):
    order = data.draw(st.permutations(range(g.shape[1])))
    x = start(g)
    same(walk(ALL[name], x[order], g[:, order]), [a[order] for a in walk(ALL[name], x, g)])


@every_elementwise_rule
@few
@given(data=st.data(), g=gradients())
def test_a_rule_commutes_with_concatenation(name, data, g):
    cut = data.draw(st.integers(0, g.shape[1]))
    x = start(g)
    left, right = walk(ALL[name], x[:cut], g[:, :cut]), walk(ALL[name], x[cut:], g[:, cut:])
    same([np.concatenate(pair) for pair in zip(left, right, strict=True)], walk(ALL[name], x, g))


@every_elementwise_rule
@few
@given(g=gradients(dims=2))
def test_a_rule_does_not_see_the_layout(name, g):
    x = start(g)
    expected = walk(ALL[name], x, g)
    same([a.T for a in walk(ALL[name], x.T, g.transpose(0, 2, 1))], expected)  # not contiguous
    same([a[::-1] for a in walk(ALL[name], x[::-1], g[:, ::-1])], expected)  # negative strides
    same([a.reshape(x.shape) for a in walk(ALL[name], x.ravel(), [row.ravel() for row in g])], expected)


# ---------- symmetries of the equations ----------


@every_rule_of_any_shape
@few
@given(g=gradients())
def test_a_rule_knows_no_left_or_right(name, g):
    """With x and g turned around the walk is turned around: no absolute value, no lost sign."""
    x = start(g)
    there, back = walk(ALL[name], x, g), walk(ALL[name], -x, -g)
    np.testing.assert_array_equal(back[0], -there[0])
    same(map(np.abs, back[1:]), map(np.abs, there[1:]))


@rules("entry", "array", but=("lars", "optax lars"))  # whose velocity grows with the norm
@few
@given(g=gradients(), shift=sizes)
def test_the_state_does_not_depend_on_where_x_is(name, g, shift):
    places = [value == "x" for value in ALL[name].state.values()]  # a state that starts at x moves along with it
    there, here = (walk(ALL[name], x, g)[1:] for x in (start(g) + shift, start(g)))
    same(*([a for a, place in zip(state, places, strict=True) if not place] for state in (there, here)))


@every_rule_of_any_shape
def test_the_first_step_goes_down(name):
    g = np.array([[1e-3, -1.0, 1e3]])
    x = np.full(3, 1.0 * (ALL[name].each == "array"))  # LARS does not step zeros
    g = np.repeat(g, 2 if name == "optax rprop" else 1, axis=0)  # which takes each step a gradient late
    np.testing.assert_array_equal(np.sign(walk(ALL[name], x, g)[0] - x), -np.sign(g[0]))


@every_rule_of_any_shape
@few
@given(g=gradients())
def test_a_rate_of_zero_goes_nowhere(name, g):
    unbounded = {"min_step_size": 0.0} if "min_step_size" in ALL[name].defaults else {}
    at_rest(name, walk(ALL[name], start(g), g, lr=0.0, **unbounded)[0], start(g))


@every_rule_of_any_shape
def test_without_a_gradient_nothing_moves(name):
    x = np.array([1.0, -2.0])
    no_decay = {"weight_decay": 0.0} if "weight_decay" in ALL[name].defaults else {}
    at_rest(name, walk(ALL[name], x, np.zeros((3, 2)), **no_decay)[0], x)


@pytest.mark.parametrize(
    "name",
    ["gradient_descent", "momentum", "nesterov", "torch momentum", "torch nesterov",
     "radam", "torch radam", "optax radam"],  # in its first steps
)  # fmt: skip
@few
@given(g=gradients(), scale=powers_of_two)
def test_linear_rules_see_only_the_product_of_rate_and_gradient(name, g, scale):
    origin = np.zeros_like(g[0])
    x = walk(ALL[name], origin, scale * g, lr=0.25)[0]
    np.testing.assert_array_equal(x, walk(ALL[name], origin, g, lr=scale * 0.25)[0])
    np.testing.assert_array_equal(x, scale * walk(ALL[name], origin, g, lr=0.25)[0])


@pytest.mark.parametrize(
    "name",
    ["adagrad", "rmsprop", "adam", "adamw", "amsgrad", "adamax", "torch amsgrad", "torch adamax",
     "keras rmsprop", "keras adam", "keras adamw", "keras amsgrad", "optax amsgrad",
     "nadam", "torch nadam", "keras nadam", "optax nadam", "centered_rmsprop", "torch centered_rmsprop"],
)  # fmt: skip
@few
@given(g=gradients(), scale=powers_of_two)
def test_adaptive_rules_do_not_see_the_size_of_gradients(name, g, scale):
    """With eps = 0; bit for bit, since a power of two rounds nothing."""
    x = start(g)
    expected = walk(ALL[name], x, g, eps=0.0)[0]
    np.testing.assert_array_equal(walk(ALL[name], x, scale * g, eps=0.0)[0], expected)


@few
@given(g=gradients(), scale=powers_of_two)
def test_adadelta_scales_with_its_eps(g, scale):
    """Gradients times c and eps times c squared make steps c times as long: eps has the units of v and of u."""
    origin = np.zeros_like(g[0])
    x = walk(RULES["adadelta"], origin, g, eps=2.0**-20)[0]
    np.testing.assert_array_equal(walk(RULES["adadelta"], origin, scale * g, eps=scale**2 * 2.0**-20)[0], scale * x)


@pytest.mark.parametrize(
    "name",
    ["gradient_descent", "rprop", "adagrad", "rmsprop", "centered_rmsprop", "adadelta",
     "adam", "adamw", "amsgrad", "adamax", "nadam", "radam"],
)  # fmt: skip
@few
@given(g=gradients(), scale=powers_of_two)
def test_a_step_is_as_long_as_the_rate_says(name, g, scale):
    origin = np.zeros_like(g[0])
    x = walk(ALL[name], origin, g[:1], lr=0.25)[0]
    np.testing.assert_array_equal(walk(ALL[name], origin, g[:1], lr=scale * 0.25)[0], scale * x)


# ---------- one rule, any array ----------


@every_rule_of_any_shape
@few
@given(g=gradients())
def test_torch_gives_what_numpy_gives(name, g):
    ours = walk(ALL[name], start(g), g)
    theirs = walk(ALL[name], torch.tensor(start(g)), torch.tensor(g))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(b.numpy(), a, rtol=4e-15, atol=4e-15)


@every_rule_of_any_shape
def test_jax_gives_what_numpy_gives(name):
    g = np.random.default_rng(0).normal(size=(3, 50)) * 10.0 ** np.linspace(-6, 6, 50)
    ours = walk(ALL[name], start(g), g)
    with jax.enable_x64(True):
        theirs = walk(ALL[name], jax.numpy.asarray(start(g)), jax.numpy.asarray(g))
        for a, b in zip(ours, theirs, strict=True):
            assert b.dtype == "float64"
            np.testing.assert_allclose(b, a, rtol=4e-15, atol=4e-15)


@rules("entry", but=("adadelta",))  # which squares a step, and that is not short
@few
@given(g=gradients(short))
def test_plain_floats_give_what_numpy_gives_to_the_bit(name, g):
    """The playgrounds run the rules on plain floats."""
    arrays = walk(ALL[name], start(g), g)
    for i, x in enumerate(start(g).tolist()):
        floats = walk(ALL[name], x, g[:, i].tolist())
        assert {type(a) for a in floats} == {float}
        assert floats == [a[i] for a in arrays]


@every_elementwise_rule
@few
@given(g=gradients())
def test_any_floats_give_what_numpy_gives(name, g):
    arrays = walk(ALL[name], start(g), g)
    for i, x in enumerate(start(g).tolist()):
        np.testing.assert_allclose(walk(ALL[name], x, g[:, i].tolist()), [a[i] for a in arrays], rtol=4e-15, atol=4e-15)


# ---------- rules that see a whole array ----------

norms = pytest.mark.parametrize("name", ["lars", "lamb", "keras lamb", "optax lars"])
factored = pytest.mark.parametrize("name", ["adafactor", "torch adafactor", "optax adafactor"])


def nearly(ours, theirs):
    """But for the order in which 25 squares at most are added, three times: 3 * 25 roundings of half an ulp."""
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=75 * 2**-53, atol=75 * 2**-53)


def scale_free(name):
    """What makes the steps of an array rule grow with the norm of x, and not with anything else."""
    zeros = named_for(ALL[name], dict.fromkeys(("weight_decay", "eps", "eps1", "eps2"), 0.0))
    return {key: zero for key, zero in zeros.items() if key in ALL[name].defaults}


@every_array_rule
def test_a_rule_for_arrays_sees_the_other_entries(name):
    x, g = np.array([1.0, 2.0, -1.0]), np.array([[1.0, 2.0, -4.0]])
    apart = [walk(ALL[name], x[i : i + 1], g[:, i : i + 1], lr=0.5)[0] for i in range(3)]
    assert np.abs(walk(ALL[name], x, g, lr=0.5)[0] - np.concatenate(apart)).max() > 1e-4


@every_array_rule
@few
@given(data=st.data(), g=gradients())
def test_the_entries_of_a_vector_may_change_places(name, data, g):
    order, x = data.draw(st.permutations(range(g.shape[1]))), start(g)
    moved = [a[order] if a.shape == x.shape else a for a in walk(ALL[name], x, g)]
    nearly(walk(ALL[name], x[order], g[:, order]), moved)


@norms
@few
@given(data=st.data(), g=gradients(dims=2))
def test_a_norm_does_not_see_the_layout(name, data, g):
    order, x = data.draw(st.permutations(range(g[0].size))), start(g)
    moved = [a.ravel()[order] for a in walk(ALL[name], x, g)]
    nearly(walk(ALL[name], x.ravel()[order], g.reshape(3, -1)[:, order]), moved)


@factored
@few
@given(data=st.data(), g=gradients(dims=2))
def test_rows_and_columns_may_change_places(name, data, g):
    x = start(g)
    rows, columns = (data.draw(st.permutations(range(side))) for side in x.shape)
    here, there = walk(ALL[name], x, g), walk(ALL[name], x[rows][:, columns], g[:, rows][:, :, columns])
    means = [a[rows] if a.shape == (len(rows), 1) else a for a in here[1:]]  # whichever of the two is the rows'
    means = [a[:, columns] if a.shape == (1, len(columns)) else a for a in means]
    nearly(there, [here[0][rows][:, columns], *means])


@factored
@few
@given(g=gradients(dims=2))
def test_rows_may_be_columns(name, g):
    x, R, C = walk(ALL[name], start(g), g)
    turned = walk(ALL[name], start(g).T, g.transpose(0, 2, 1))
    nearly([turned[0].T], [x])
    assert sorted(a.size for a in turned[1:]) == sorted((R.size, C.size))
    longest_first = name.startswith("optax") and x.shape[0] != x.shape[1]  # it does not care which are called rows
    nearly([a.T for a in turned[1:]], [R, C] if longest_first else [C, R])


@every_array_rule
@few
@given(g=gradients(), scale=powers_of_two)
def test_a_step_grows_with_the_array(name, g, scale):
    """Without decay, and where eps2 is no bound; bit for bit, since a power of two rounds nothing."""
    x = start(g)
    larger = walk(ALL[name], scale * x, g, **scale_free(name))[0]
    np.testing.assert_array_equal(larger, scale * walk(ALL[name], x, g, **scale_free(name))[0])


@every_array_rule
@few
@given(g=gradients(), scale=powers_of_two)
def test_a_step_does_not_grow_with_the_gradients(name, g, scale):
    """Without decay and eps."""
    x = start(g)
    expected = walk(ALL[name], x, g, **scale_free(name))[0]
    np.testing.assert_array_equal(walk(ALL[name], x, scale * g, **scale_free(name))[0], expected)


@every_array_rule
@few
@given(g=gradients(dims=2))
def test_an_array_moves_by_no_more_than_its_norm_times_the_rate(name, g):
    x, full_trust = start(g), {"trust_coefficient": 1.0} if "lars" in name else {}
    step = walk(ALL[name], x, g[:1], lr=0.25, **scale_free(name), **full_trust)[0] - x
    assert np.linalg.norm(step) <= 0.25 * np.linalg.norm(x) * (1 + 1e-14)


# ---------- rules that step matrices ----------

every_matrix_rule = rules("matrix")
# Sides that differ by one at most, so that SOAP has a basis to itself: test_soap.py says why.
every_shape = pytest.mark.parametrize("shape", [(1, 1), (1, 2), (3, 2), (2, 3), (3, 3)])


def matrices(shape, steps=14, seed=0):
    """A start and gradients, one a step: enough for SOAP to change its bases."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape), rng.standard_normal((steps, *shape))


def close(ours, theirs):
    """But for the signs of eigenvectors, which are arbitrary."""
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(np.abs(np.asarray(a)), np.abs(np.asarray(b)), rtol=1e-12, atol=1e-12)


@every_matrix_rule
@pytest.mark.parametrize("step", [1, 2, 11])  # at which SOAP makes its bases, keeps them, and changes them
def test_nothing_that_a_matrix_rule_is_given_changes(name, step):
    f, (x, g) = ALL[name], matrices((3, 2), steps=step)
    given = [*walk(f, x, g[:-1]), g[-1]]
    given.insert(1, given.pop())
    before = [a.copy() for a in given]
    for a in given:
        a.setflags(write=False)
    new = f(*given, *([step] if f.counts_steps else []), **defaults(f))
    same(given, before)
    assert not any(np.shares_memory(a, b) for a in new for b in given)
    same(new, f(*given, *([step] if f.counts_steps else []), **defaults(f)))


@every_matrix_rule
@every_shape
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_matrices_keep_shape_and_dtype(name, shape, dtype):
    x, g = (a.astype(dtype) for a in matrices(shape))
    first, *states = walk(ALL[name], x, g)
    assert (first.shape, first.dtype) == (shape, dtype)
    assert np.isfinite(first).all()
    for a, begin in zip(states, first_state(ALL[name], x, defaults(ALL[name])).values(), strict=True):
        assert (a.shape, a.dtype) == (begin.shape, dtype)


@every_matrix_rule
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_torch_matrices_keep_their_dtype(name, dtype):
    x, g = (torch.tensor(a, dtype=dtype) for a in matrices((3, 2)))
    assert {a.dtype for a in walk(ALL[name], x, g)} == {dtype}


@every_matrix_rule
@every_shape
def test_torch_and_jax_give_what_numpy_gives_for_matrices(name, shape):
    x, g = matrices(shape)
    ours = walk(ALL[name], x, g)
    close(ours, walk(ALL[name], torch.tensor(x), torch.tensor(g)))
    with jax.enable_x64(True):
        theirs = walk(ALL[name], jax.numpy.asarray(x), jax.numpy.asarray(g))
        assert {a.dtype.name for a in theirs} == {"float64"}
        close(ours, theirs)


@every_matrix_rule
def test_a_matrix_rule_does_not_see_the_layout(name):
    x, g = matrices((3, 2))
    close(walk(ALL[name], np.asfortranarray(x), np.asfortranarray(g)), walk(ALL[name], x, g))
    there = walk(ALL[name], x[::-1, ::-1].copy(), g[:, ::-1, ::-1].copy())
    close(walk(ALL[name], x[::-1, ::-1], g[:, ::-1, ::-1]), there)


@every_matrix_rule
@every_shape
def test_a_matrix_rule_knows_no_left_or_right(name, shape):
    x, g = matrices(shape)
    there, back = walk(ALL[name], x, g), walk(ALL[name], -x, -g)
    np.testing.assert_array_equal(back[0], -there[0])
    close(back[1:], there[1:])


@every_matrix_rule
def test_at_rate_zero_or_without_gradients_a_matrix_stays(name):
    x, g = matrices((3, 2))
    np.testing.assert_array_equal(walk(ALL[name], x, g, lr=0.0)[0], x)
    still = {"weight_decay": 0.0} if "weight_decay" in ALL[name].defaults else {}
    np.testing.assert_array_equal(walk(ALL[name], x, 0 * g, **still)[0], x)


@every_matrix_rule
def test_where_a_matrix_is_does_not_matter_to_the_state(name):
    x, g = matrices((3, 2))
    same(walk(ALL[name], x + 5, g)[1:], walk(ALL[name], x, g)[1:])


# ---------- what `rule` reads off a signature ----------


@every_rule
def test_a_rule_states_its_whole_signature(name):
    f = ALL[name]
    names = list(inspect.signature(f).parameters)
    given = ["x", "g", *(["curvature"] if f.takes_curvature else [])]
    assert names == [*given, *f.state, *(["t"] if f.counts_steps else []), *f.defaults]


@every_rule
def test_defaults_are_in_range_and_every_rule_has_a_rate(name):
    assert {"lr", "learning_rate"} & ALL[name].defaults.keys()
    for hyperparameter, value in defaults(ALL[name]).items():
        assert check_number(hyperparameter, value, name) == value
    for hyperparameter, range_ in ALL[name].ranges.items():
        assert check_range(range_, hyperparameter, defaults(ALL[name])[hyperparameter], name)


def test_a_rule_may_have_a_range_of_its_own():
    """Schedule-free finds its average from x and z, which with beta1 = 0 are one; with beta1 = 1, x is the average."""
    for f, name in ((schedule_free_sgd, "beta1"), (optax.schedule_free_adamw, "b1")):
        assert Optimizer(f, **{"learning_rate" if name == "b1" else "lr": 0.1, name: 1.0}).hyperparameters[name] == 1.0
        with pytest.raises(ValueError, match=rf"{name} must be a number in \(0, 1\], got 0"):
            Optimizer(f, **{name: 0.0})
    with pytest.raises(ValueError, match=r"schedule at step 1: beta1 must be a number in \(0, 1\], got 0"):
        Optimizer(schedule_free_sgd, beta1=lambda step: 0.0).hyperparameters_at(1)
    with pytest.raises(TypeError, match="unknown hyperparameter 'beta3'"):
        rule(lambda x, g, *, lr: x, beta3=FACTOR)


@every_rule
def test_every_rule_names_its_source(name):
    assert ALL[name].__doc__


def test_rules_by_name():
    for name, f in RULES.items():
        assert f.__name__ == name


def test_state_starts_at_zero_or_where_the_signature_says():
    assert gradient_descent.state == {}
    assert adam.state == {"m": 0.0, "v": 0.0}
    assert adagrad.state == {"G": 0.0}
    assert keras.adagrad.state == {"G": 0.1}


def test_only_a_rule_that_takes_t_counts_steps():
    assert adam.counts_steps is True
    assert gradient_descent.counts_steps is False


def test_the_function_itself_is_unchanged():
    def f(x, g, v=0.5, *, lr=0.1):
        return x - lr * g, v

    assert rule(f) is f
    assert (f.state, f.counts_steps, f.defaults) == ({"v": 0.5}, False, {"lr": 0.1})
    assert f(1.0, 2.0, 3.0) == (0.8, 3.0)


def test_a_hyperparameter_may_lack_a_default():
    assert rule(lambda x, g, *, lr: x - lr * g).defaults == {"lr": inspect.Parameter.empty}


def test_a_step_counter_may_be_all_the_state():
    f = rule(lambda x, g, t, *, lr=0.1: x - lr / math.sqrt(t) * g)
    assert (f.state, f.counts_steps) == ({}, True)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda g, x, *, lr=0.1: x, r"a rule takes \(x, g, its state.*not \(g, x, \*, lr=0.1\)"),
        (lambda x, *, lr=0.1: x, r"a rule takes \(x, g"),
        (lambda x, t, g: x, r"a rule takes \(x, g"),
        (lambda x, g, t, v, *, lr=0.1: x, r"a rule takes \(x, g"),
        (lambda: 0, r"a rule takes \(x, g"),
        (lambda x, g, /, *, lr=0.1: x, r"a rule takes \(x, g"),
        (lambda x, g, *state, lr=0.1: x, r"a rule takes \(x, g.*not \(x, g, \*state, lr=0.1\)"),
        (lambda x, g, **hyperparameters: x, r"a rule takes \(x, g"),
        (lambda x, g, lr=0.1: x, r"lr is a hyperparameter; put it behind a star: \(\.\.\., \*, lr=\.\.\.\)"),
        (
            lambda x, g, v=None, *, lr=0.1: x,
            "v must start at a number, at 'x', at one of the hyperparameters .*; got None",
        ),
        (
            lambda x, g, *, step_size=0.1: x,
            r"give the hyperparameter 'step_size' a range in lib\.checks\.RANGES",
        ),
    ],
)
def test_a_signature_that_is_no_rule_is_named(function, words):
    assert "step_size" not in RANGES
    with pytest.raises(TypeError, match=words):
        rule(function)
    assert not hasattr(function, "state")
