"""l2 is what weight_decay does in torch.optim, decoupled what it does in Keras and in AdamW; optax has both, by the
place in the chain. Which rule they are made of makes no difference.

Keras casts the rate, the decay and some hyperparameters to float32: it is given numbers that float32 holds.
"""

import inspect
from dataclasses import replace

import jax
import numpy as np
import optax
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.checks import ELSEWHERE
from lib.dialects import DIALECTS
from lib.optimizers import RULES, Optimizer, adam, adamw, decoupled, gradient_descent, l2, momentum, rule
from lib.optimizers.rule import named_for
from lib.referees import compare, hyperparameters_for, record, referee
from lib.referees.around import path, run, run_keras, run_optax, run_torch
from lib.referees.keras import float32
from tests.optimizers.proofs import BOUND

DECAY = 0.1

# Frameworks whose optimizer for a rule takes a weight decay that the rule itself does not have. Not Nadam, which holds
# some of its numbers in float32 (test_nadam.py); nor rules whose step depends on x, of which more below.
TAKE_IT = [
    (framework, name)
    for framework in ("torch", "keras")
    for name, dialect in DIALECTS[framework].items()
    if "weight_decay" not in dialect.rule.defaults and dialect.rule.each == "entry" and name not in ("nadam", "rprop")
]


def with_decay(framework, name):
    """The dialect, with a name for weight_decay, and hyperparameters that float32 holds."""
    dialect = DIALECTS[framework][name]
    given = (
        hyperparameters_for(name, 1.0) | {"weight_decay": DECAY} | {key: 0.125 for key in "G" if key in dialect.names}
    )
    given = {key: float32(value) for key, value in given.items()}
    return replace(dialect, names=dialect.names | {"weight_decay": "weight_decay"}), given


def theirs(framework, name, recording):
    dialect, given = with_decay(framework, name)
    if framework == "torch":
        return run_torch(lambda params: referee("torch").make(dialect, params, given), recording)
    return run_keras(dialect.optimizer.rsplit(".", 1)[1], recording, **dialect.arguments(given))


def ours(combinator, framework, name, recording):
    dialect, given = with_decay(framework, name)
    return run(combinator(dialect.rule), recording, **named_for(dialect.rule, given))


def apart(a, b):
    return compare(path(a), path(b)).absolute


# ---------- what the frameworks do ----------


@pytest.mark.parametrize(("framework", "name"), TAKE_IT)
def test_torch_decays_through_the_gradient_and_keras_beside_the_step(framework, name):
    recording = record(300, 1.0)
    right, wrong = (l2, decoupled) if framework == "torch" else (decoupled, l2)
    reference = list(theirs(framework, name, recording))
    assert apart(ours(right, framework, name, recording), reference) <= BOUND
    if name == "gradient_descent":  # the one rule where they are the same
        assert apart(ours(wrong, framework, name, recording), reference) <= BOUND
    else:
        assert apart(ours(wrong, framework, name, recording), reference) > 1e-2


def test_the_frameworks_are_all_here():
    frameworks, names = zip(*TAKE_IT, strict=True)
    assert set(frameworks) == {"torch", "keras"}
    assert {"gradient_descent", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam"} <= set(names)


RATE = {"constant": 0.01, "changing": lambda step: 2.0**-7 * (1 + step % 3)}
ADAMW = {"beta1": 0.875, "beta2": 1 - 2.0**-10, "eps": 1e-8, "weight_decay": 0.125}  # float32 holds these


@pytest.mark.parametrize("rate", RATE)
@pytest.mark.parametrize("framework", DIALECTS)
def test_decoupled_adam_is_adamw(framework, rate):
    """torch and Keras shrink x first, optax and we beside the step: for Adam's step, which does not depend on x, the
    same. At a changing rate, each decay is scaled by the rate of its own step."""
    lr = RATE[rate] if callable(RATE[rate]) else float32(RATE[rate])
    recording = record(100 if framework == "keras" else 1000, 1.0)  # Keras takes 10 ms a step
    reference = referee(framework).run("adamw", recording, lr=lr, **ADAMW)
    plain = DIALECTS[framework]["adam"].rule
    assert apart(run(decoupled(plain), recording, **named_for(plain, {"lr": lr} | ADAMW)), reference) <= BOUND


def test_decoupled_adam_is_the_books_adamw():
    recording, given = record(1000), {"lr": 0.01, "weight_decay": DECAY}
    assert apart(run(decoupled(adam), recording, **given), run(adamw, recording, **given)) <= BOUND


@pytest.mark.parametrize("schedule", [lambda t: 1.0, lambda t: 0.99**t])
def test_sgdw_of_the_paper(schedule):
    """Algorithm 1 with lines 6 and 9 in turn, literally. Its lambda of line 9 is the first rate times weight_decay."""
    alpha, beta, recording = 0.001, 0.9, record(1000, 1.0)

    def sgd_with_momentum(lambda6, lambda9):
        theta = [a.copy() for a in recording.start]
        m = [np.zeros_like(a) for a in theta]
        for t, gradients in enumerate(recording.gradients):
            for i, gradient in enumerate(gradients):
                g = gradient + lambda6 * theta[i]
                m[i] = beta * m[i] + schedule(t) * alpha * g
                theta[i] = theta[i] - m[i] - schedule(t) * lambda9 * theta[i]
            yield np.concatenate([a.ravel() for a in theta])

    given = {"lr": lambda step: schedule(step) * alpha, "momentum": beta, "weight_decay": DECAY}
    for made, paper in (l2(momentum), (DECAY, 0.0)), (decoupled(momentum), (0.0, alpha * DECAY)):
        assert compare(path(run(made, recording, **given)), np.stack(list(sgd_with_momentum(*paper)))).absolute <= BOUND


SCALE = {"adam": optax.scale_by_adam(), "momentum": optax.trace(0.9)}


@pytest.mark.parametrize("name", SCALE)
def test_in_optax_the_place_in_the_chain_decides(name):
    recording, lr = record(1000, 1.0), 0.001
    plain = DIALECTS["optax"][name].rule
    steps, decay = optax.scale_by_learning_rate(lr), optax.add_decayed_weights(DECAY)
    given = named_for(plain, {"lr": lr}) | {"weight_decay": DECAY}
    before = list(run_optax(optax.chain(decay, SCALE[name], steps), recording))
    between = list(run_optax(optax.chain(SCALE[name], decay, steps), recording))
    assert apart(run(l2(plain), recording, **given), before) <= BOUND
    # optax adds decay and step before it adds them to x: one rounding where we have two. The second, half an ulp of x
    # at most, has the same sign for long, as the decay hardly changes. Added in optax's order, as in adamw, it is gone.
    assert apart(run(decoupled(plain), recording, **given), between) <= 1000 * 2**-53
    if name == "adam":
        assert apart(run(adamw, recording, **given), between) <= BOUND / 10
    assert apart(before, between) > 1e-3


def test_in_optax_a_decay_after_the_rate_makes_weights_grow():
    """There the step has its sign already, and the decay is added: x grows by its tenth at each step."""
    recording = record(50, 1e-8)
    after = run_optax(optax.chain(optax.sgd(0.01), optax.add_decayed_weights(DECAY)), recording)
    start = np.concatenate([a.ravel() for a in recording.start])
    np.testing.assert_allclose(path(after)[-1], start * (1 + DECAY) ** 50, rtol=1e-8)


# ---------- the proof can fail ----------


def _wrong(form):
    def wrong(x, g, m, v, t, *, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay):
        given = {"lr": lr, "beta1": beta1, "beta2": beta2, "eps": eps}
        if form == "l2":
            return adam(x, g + weight_decay * x, m, v, t, **given)
        new, *state = adam(x, g, m, v, t, **given)
        lost = {
            "right": lr * weight_decay * x,
            "without the rate": weight_decay * x,
            "halved": lr * weight_decay / 2 * x,
            "after the step": lr * weight_decay * new,
            "rate twice": lr**2 * weight_decay * x,
            "growing": -lr * weight_decay * x,
        }[form]
        return new - lost, *state

    return rule(wrong)


@pytest.mark.parametrize("form", ["l2", "without the rate", "halved", "after the step", "rate twice", "growing"])
def test_a_wrong_form_is_not_torchs_adamw(form):
    recording, given = record(200, 1.0), {"lr": 0.01, "weight_decay": DECAY}
    reference = list(run_torch(lambda params: torch.optim.AdamW(params, **given), recording))
    assert apart(run(_wrong("right"), recording, **given), reference) <= BOUND
    assert apart(run(_wrong(form), recording, **given), reference) > 1e-6  # "after the step" is off by lr**2 * decay


def shrunk_first(f):
    """Keras' order, and that of torch's AdamW: the step starts from an x that has shrunk."""
    rate = next(name for name in f.defaults if ELSEWHERE.get(name, name) == "lr")

    def before(x, g, *others, weight_decay, **hyperparameters):
        return f(x - hyperparameters[rate] * weight_decay * x, g, *others, **hyperparameters)

    before.__signature__ = inspect.signature(decoupled(f))
    return rule(before, each=f.each)


def test_where_a_step_depends_on_x_the_order_matters():
    """A step of Adafactor's is as long as x. The paper decays beside it, and so do we; Keras shrinks x first."""
    recording = record(200, 1.0)
    reference = list(theirs("keras", "adafactor", recording))
    assert apart(ours(shrunk_first, "keras", "adafactor", recording), reference) <= BOUND
    assert apart(ours(decoupled, "keras", "adafactor", recording), reference) > 1e-4
    assert apart(ours(decoupled, "keras", "adam", recording), ours(shrunk_first, "keras", "adam", recording)) <= BOUND


# ---------- laws ----------

numbers = st.floats(-1e3, 1e3)
small = st.floats(0, 1)
few = settings(deadline=None, max_examples=100, derandomize=True)


@few
@given(x=numbers, g=numbers, lr=small, decay=small)
def test_for_gradient_descent_both_are_one(x, g, lr, decay):
    """Each side rounds at most five times, no number larger than the sum of the sizes: ten roundings of 2**-53."""
    a, b = (made(gradient_descent)(x, g, lr=lr, weight_decay=decay) for made in (l2, decoupled))
    assert abs(a - b) <= 10 * 2**-53 * (abs(x) + lr * abs(g) + lr * decay * abs(x)) + 1e-300


PLAIN = {name: f for name, f in RULES.items() if "weight_decay" not in f.defaults}
plain_rules = pytest.mark.parametrize("name", PLAIN)
both = pytest.mark.parametrize("combinator", [l2, decoupled])


def arguments(f, x):
    """What ``f`` takes besides hyperparameters, for an array x, in a later step than the first."""
    curvature, time = ([x * x] if f.takes_curvature else []), ([3] if f.counts_steps else [])
    return [x, x / 2, *curvature, *(abs(s) for s in _state(f, x).values()), *time]


def _state(f, x):
    optimizer = Optimizer(f, lr=0.01, **({"weight_decay": 0.0} if "weight_decay" in f.defaults else {}))
    optimizer.step([x], [x / 2], [x * x] if f.takes_curvature else None)
    return optimizer.state[0]


@both
@plain_rules
def test_without_decay_nothing_changes(combinator, name):
    f, x = PLAIN[name], np.array([[1.0, -2.0], [0.5, 3.0]])
    plain, decayed = (
        made(*arguments(f, x), lr=0.01, **h) for made, h in ((f, {}), (combinator(f), {"weight_decay": 0.0}))
    )
    for a, b in zip(*([new] if not f.state else new for new in (plain, decayed)), strict=True):
        np.testing.assert_array_equal(a, b)


@plain_rules
def test_decoupled_leaves_the_state_alone(name):
    f, x = PLAIN[name], np.array([[1.0, -2.0], [0.5, 3.0]])
    plain, decayed = f(*arguments(f, x), lr=0.5), decoupled(f)(*arguments(f, x), lr=0.5, weight_decay=0.25)
    if f.state:
        for a, b in zip(plain[1:], decayed[1:], strict=True):
            np.testing.assert_array_equal(a, b)
        plain, decayed = plain[0], decayed[0]
    np.testing.assert_array_equal(decayed, plain - 0.125 * x)


@both
def test_by_hand(combinator):
    """x = 2, g = 1, lr = 1/2, momentum 1/2, velocity 1: the decay of 1/4 enters the velocity, or does not."""
    x, v = combinator(momentum)(2.0, 1.0, 1.0, lr=0.5, momentum=0.5, weight_decay=0.25)
    assert (x, v) == ((1.75, -0.25) if combinator is l2 else (1.75, 0.0))
    x, v = combinator(momentum)(x, 1.0, v, lr=0.5, momentum=0.5, weight_decay=0.25)
    assert (x, v) == ((1.75 - 0.84375, -0.84375) if combinator is l2 else (1.75 - 0.5 - 0.21875, -0.5))


# ---------- rules in full standing ----------


@both
@plain_rules
def test_what_is_made_is_a_rule(combinator, name):
    f = PLAIN[name]
    made = combinator(f)
    for attribute in ("state", "each", "counts_steps", "takes_curvature", "ranges"):
        assert getattr(made, attribute) == getattr(f, attribute)
    assert made.defaults == f.defaults | {"weight_decay": inspect.Parameter.empty}
    assert list(inspect.signature(made).parameters) == [*inspect.signature(f).parameters, "weight_decay"]
    assert made.__name__ == f"{combinator.__name__}({name})"
    assert inspect.getdoc(f) in made.__doc__
    assert not hasattr(f, "weight_decay")


@both
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_an_optimizer_steps_it_in_any_dtype(combinator, dtype):
    optimizer = Optimizer(combinator(adam), lr=0.5, weight_decay=0.25)
    (x,) = optimizer.step([np.ones(3, dtype)], [np.ones(3, dtype)])
    assert x.dtype == dtype
    assert optimizer.state[0].keys() == {"m", "v"}


@both
def test_the_decay_may_be_a_schedule(combinator):
    optimizer = Optimizer(combinator(gradient_descent), lr=0.5, weight_decay=lambda step: [0.0, 1.0][step])
    params = optimizer.step([np.ones(1)], [np.zeros(1)])
    assert params[0] == 1.0
    assert optimizer.step(params, [np.zeros(1)])[0] == 0.5


@both
def test_torch_and_jax_give_what_numpy_gives(combinator):
    recording, made = record(5, 1.0), combinator(adam)
    given = {"lr": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": DECAY}
    expected = path(run(made, recording, **given))[-1]
    for array in torch.tensor, jax.numpy.asarray:
        with jax.enable_x64(True):
            optimizer, params = Optimizer(made, **given), [array(a) for a in recording.start]
            for gradients in recording.gradients:
                params = optimizer.step(params, [array(g) for g in gradients])
        got = np.concatenate([np.asarray(a).ravel() for a in params])
        np.testing.assert_allclose(got, expected, rtol=4e-15, atol=4e-15)


@both
def test_it_can_be_traced(combinator):
    x = np.array([1.0, -2.0], np.float32)
    made = lambda x, g, m, v, t: combinator(adam)(x, g, m, v, t, weight_decay=DECAY)
    for a, b in zip(jax.jit(made)(x, x, x, x * x, 3), made(x, x, x, x * x, 3), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


# ---------- errors ----------


@both
def test_a_missing_decay_is_named(combinator):
    with pytest.raises(TypeError, match=r"\w+\(adam\) has no default for weight_decay; pass weight_decay=..."):
        Optimizer(combinator(adam))


@both
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_a_wrong_decay_is_named(combinator, value):
    with pytest.raises(ValueError, match=r"\w+\(adam\): weight_decay must be a finite number >= 0, got"):
        Optimizer(combinator(adam), weight_decay=value)


@both
@pytest.mark.parametrize("what", ["adam", None, Optimizer(adam), lambda x, g: x])
def test_what_is_no_rule_is_named(combinator, what):
    with pytest.raises(TypeError, match=r": rule must be an update rule such as lib.optimizers.adam, not "):
        combinator(what)


@both
@pytest.mark.parametrize("has_it", [adamw, l2(adam), decoupled(adam)])
def test_a_rule_decays_once_only(combinator, has_it):
    with pytest.raises(TypeError, match=r"has a weight decay of its own; use it as it is"):
        combinator(has_it)


def test_decoupled_needs_a_rate():
    without = rule(lambda x, g: x - g)
    with pytest.raises(TypeError, match="decoupled: <lambda> has no learning rate that could scale the decay; try l2"):
        decoupled(without)
    assert l2(without)(2.0, 1.0, weight_decay=0.25) == 0.5


@pytest.mark.parametrize("other", ["beta1", "momentum"])
def test_decoupled_finds_the_rate_wherever_it_stands(other):
    """Before it or after it in the alphabet."""
    f = {"beta1": lambda x, g, *, beta1, lr: x - lr * g, "momentum": lambda x, g, *, momentum, lr: x - lr * g}[other]
    assert decoupled(rule(f))(2.0, 1.0, **{other: 0.5}, lr=0.25, weight_decay=0.5) == 2 - 0.25 - 0.25
