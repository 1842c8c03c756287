"""The schedule-free rules are those of Defazio et al. Optax's SGD is, too, at a constant rate; its AdamW frees v of
its bias and not the rate; Keras' leaves beta1 out."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax as optax_itself
import pytest

from lib.arrays import sqrt
from lib.dialects import DIALECTS, PAPER, keras, optax, translate
from lib.optimizers import Optimizer, rule, schedule_free_adamw, schedule_free_sgd
from lib.optimizers.rule import named_for
from lib.optimizers.schedule_free import evaluation_point
from lib.referees import WIDER, compare, hyperparameters_for, judge, record, referee
from lib.referees import replay as replay_rule
from tests.optimizers.proofs import BACKEND, BOUND, agrees, disagrees, translates

# With the multiplication by 1 / beta1 in place of our division the deviation falls from 315 ulps to 55, and with XLA's
# fused multiply-adds on our side, too, to 42.
DRIFT, _ = WIDER["schedule_free_adamw", "optax"]

test_sgd_agrees = agrees("schedule_free_sgd")
# In Keras' order of operations nothing is left, as is tested below. On JAX it divides as optax does.
KERAS_ON_JAX = BACKEND == "jax"
test_adamw_agrees = agrees("schedule_free_adamw", **{"keras": DRIFT} if KERAS_ON_JAX else {})
test_adamw_translates = translates("schedule_free_adamw")


@rule
def _as_keras_means_it(
    x, g, z="x", v=0.0, t=1, *,
    learning_rate=0.0025, beta_1=0.9, beta_2=0.999, epsilon=1e-8, weight_decay=0.0,
):  # fmt: skip
    """What keras.optimizers.ScheduleFreeAdamW computes on JAX, whose arrays do not change behind its back."""
    x = x - learning_rate * weight_decay * x
    average = evaluation_point(x, z, beta1=beta_1)
    v = beta_2 * v + (1 - beta_2) * g**2
    v_hat = v / (1 - beta_2**t)
    z = z - learning_rate * g / (sqrt(v_hat) + epsilon)
    average = (1 - 1 / t) * average + 1 / t * z
    return (1 - beta_1) * z + beta_1 * average, z, v


@pytest.fixture(autouse=True)
def keras_on_jax(monkeypatch):
    if KERAS_ON_JAX:
        theirs = replace(DIALECTS["keras"]["schedule_free_adamw"], rule=_as_keras_means_it)
        monkeypatch.setitem(DIALECTS["keras"], "schedule_free_adamw", theirs)


def _sgd(decay_at_x=True, power=2, interpolated=True, late=False, decoupled=False):
    def schedule_free_sgd(x, g, z, total, max_lr, *, learning_rate, b1, weight_decay):
        average = evaluation_point(x, z, beta1=b1) if interpolated else x
        old, z = z, z - learning_rate * (g + weight_decay * (x if decay_at_x else z))
        max_lr = np.maximum(max_lr, learning_rate)
        total = total + max_lr**power
        c = max_lr**power / total
        average = (1 - c) * average + c * (old if late else z)
        return b1 * average + (1 - b1) * z, z, total, max_lr

    return schedule_free_sgd


def _adamw(correct=True, outside=True, decay_at_x=True):
    def schedule_free_adamw(x, g, z, v, total, max_lr, t, *, learning_rate, b1, b2, eps, weight_decay):
        average = evaluation_point(x, z, beta1=b1)
        v = b2 * v + (1 - b2) * g**2
        v_hat = v / (1 - b2**t) if correct else v
        step = g / (np.sqrt(v_hat) + eps if outside else np.sqrt(v_hat + eps))
        z = z - learning_rate * (step + weight_decay * (x if decay_at_x else z))
        total = total + learning_rate**2
        c = learning_rate**2 / total
        average = (1 - c) * average + c * z
        return b1 * average + (1 - b1) * z, z, v, total, max_lr

    return schedule_free_adamw


test_sgd_disagrees = disagrees(
    "schedule_free_sgd",
    framework="optax",
    decay_at_z=_sgd(decay_at_x=False),
    x_is_the_average=_sgd(interpolated=False),
    average_of_the_old_z=_sgd(late=True),
)
test_adamw_disagrees = disagrees(
    "schedule_free_adamw",
    framework="optax",
    paper=schedule_free_adamw,
    no_bias_correction=_adamw(correct=False),
    eps_in_the_root=_adamw(outside=False),
    decay_at_z=_adamw(decay_at_x=False),
    keras=keras.schedule_free_adamw,
)
test_keras_disagrees = disagrees(
    "schedule_free_adamw", framework="keras", paper=schedule_free_adamw, as_keras_means_it=_as_keras_means_it
)


@pytest.mark.parametrize(
    ("right", "theirs"), [(_sgd(), optax.schedule_free_sgd), (_adamw(), optax.schedule_free_adamw)]
)
def test_the_right_form_of_the_wrong_ones_is_right(right, theirs):
    vars(right).update(vars(theirs))  # it stands in for that rule
    paths = [replay_rule(f, record(50, 1.0), learning_rate=0.01, weight_decay=0.1) for f in (right, theirs)]
    assert compare(*paths).absolute <= BOUND


# ---------- optax and the paper ----------


def test_optax_s_sgd_is_the_paper_s_at_a_constant_rate():
    """A rising one, too, would weigh alike, were it not, given as a schedule, that of the next step that weighs."""
    theirs, ours, recording = DIALECTS["optax"]["schedule_free_sgd"], PAPER["schedule_free_sgd"], record(200, 1.0)
    others = {"beta1": 0.9, "weight_decay": 0.1}
    rising, falling = ({"lr": lambda step, b=b: 0.01 * b**step} | others for b in (1.01, 0.99))
    constant = {"lr": 0.01} | others

    def paths(given):
        return (replay_rule(f.rule, recording, **named_for(f.rule, given)) for f in (ours, theirs))

    for pair in ((theirs, ours), (ours, theirs)):
        assert translate(*pair, constant) == constant
        for changing in rising, falling:
            with pytest.raises(LookupError, match="optax weighs a step with the largest rate so far, and that of the"):
                translate(*pair, changing)
    assert compare(*paths(constant)).absolute <= BOUND
    assert compare(*paths(rising)).absolute <= BOUND
    assert compare(*paths(falling)).absolute > 1e-3


def test_optax_weighs_a_step_with_the_rate_of_the_next():
    """Given a schedule. Rebuilt at each step with a number, as the referee does, it has one rate."""
    rate, recording = lambda t: 0.001 * (t + 1), record(50, 1.0, shapes=((3,),))
    with jax.enable_x64(True):
        x = jax.numpy.asarray(recording.start[0])
        transformation = optax_itself.contrib.schedule_free_sgd(rate, b1=0.9)
        state, path = transformation.init(x), []
        for (g,) in recording.gradients:
            updates, state = transformation.update(jax.numpy.asarray(g), state, x)
            x = optax_itself.apply_updates(x, updates)
            path.append(np.asarray(x))
    assert compare(replay_rule(optax.schedule_free_sgd, recording, learning_rate=rate), np.stack(path)).absolute > 1e-5

    def one_ahead(x, g, z, total, max_lr, t, *, learning_rate):
        average = evaluation_point(x, z, beta1=0.9)
        z, max_lr = z - learning_rate * g, max(max_lr, rate(t))
        total = total + max_lr**2
        average = average + max_lr**2 / total * (z - average)
        return 0.9 * average + 0.1 * z, z, total, max_lr

    x, z, total, max_lr = recording.start[0], recording.start[0], 0.0, 0.0
    for t, (g,) in enumerate(recording.gradients, start=1):
        x, z, total, max_lr = one_ahead(x, g, z, total, max_lr, t, learning_rate=rate(t - 1))
    assert np.abs(x - path[-1]).max() <= BOUND


def test_optax_s_adamw_is_the_paper_s_without_a_bias_to_correct():
    """At beta2 = 0: the rest of the paper's algorithm is proved against optax itself."""
    given = hyperparameters_for("schedule_free_adamw", 1.0) | {"beta2": 0.0}
    assert judge("optax", "schedule_free_adamw", record(1000, 1.0), given, rule=schedule_free_adamw).absolute <= DRIFT


def test_there_is_no_way_from_optax_s_adamw_to_the_paper():
    theirs, ours = DIALECTS["optax"]["schedule_free_adamw"], PAPER["schedule_free_adamw"]
    for pair in ((theirs, ours), (ours, theirs)):
        with pytest.raises(LookupError, match="Adam's correction of early steps weighs in the paper's average"):
            translate(*pair, hyperparameters_for("schedule_free_adamw"))


def test_optax_takes_a_schedule_of_its_own_a_step_apart():
    """Given to optax itself, a schedule sets the rate of a step, but the next step's weighs it in the average."""
    lr = lambda step: 0.01 * (step + 1)
    recording, optimizer = record(20, 1.0, shapes=((5,),)), optax_itself.contrib.schedule_free_sgd(lr)
    path, ahead, x, z, total = [], [], recording.start[0], recording.start[0], 0.0
    with jax.enable_x64(True):
        params = jnp.asarray(recording.start[0])
        state = optimizer.init(params)
        for step, (g,) in enumerate(recording.gradients):
            updates, state = optimizer.update(jnp.asarray(g), state, params)
            params = optax_itself.apply_updates(params, updates)
            path.append(np.asarray(params))
            average, z = evaluation_point(x, z), z - lr(step) * g
            total = total + lr(step + 1) ** 2
            average = average + lr(step + 1) ** 2 / total * (z - average)
            x = 0.1 * z + 0.9 * average
            ahead.append(x)
    assert compare(np.stack(ahead), np.stack(path)).absolute <= BOUND
    assert compare(replay_rule(schedule_free_sgd, recording, lr=lr), np.stack(path)).absolute > 1e-3


def test_the_evaluation_point_is_optax_s():
    recording, optimizer = record(50, 1.0, shapes=((5,),)), optax_itself.contrib.schedule_free_sgd(0.01, b1=0.8)
    ours, x = Optimizer(schedule_free_sgd, lr=0.01, beta1=0.8), recording.start
    with jax.enable_x64(True):
        params = jnp.asarray(x[0])
        state = optimizer.init(params)
        for gradients in recording.gradients:
            x = ours.step(x, gradients)
            updates, state = optimizer.update(jnp.asarray(gradients[0]), state, params)
            params = optax_itself.apply_updates(params, updates)
        theirs = np.asarray(optax_itself.contrib.schedule_free_eval_params(state, params))
    assert np.abs(evaluation_point(x[0], ours.state[0]["z"], beta1=0.8) - theirs).max() <= BOUND


# ---------- Keras ----------


def test_keras_is_the_paper_s_with_beta1_1():
    """Which is out of range. At a constant rate, without decay and beta2, x is then the average of all z."""
    g, x = np.random.default_rng(0).normal(size=(30, 4)), np.ones(4)
    paper, theirs = [x, x, 0.0, 0.0], [x, x, 0.0]
    for t in range(1, 31):
        paper = schedule_free_adamw(paper[0], g[t - 1], *paper[1:], t, lr=0.01, beta1=1.0, beta2=0.0)
        theirs = keras.schedule_free_adamw(theirs[0], g[t - 1], *theirs[1:], t, learning_rate=0.01, beta_2=0.0)
        np.testing.assert_allclose(paper[0], theirs[0], rtol=0, atol=BOUND)


@pytest.mark.skipif(KERAS_ON_JAX, reason="on JAX beta1 counts")
def test_in_keras_order_of_operations_nothing_is_left(monkeypatch):
    """Its average, found from x and the new z, and beta1 in float32: both without effect but for rounding. Not in a
    graph, where TensorFlow multiplies by 1 / beta1.
    """
    step_by_step = lambda optimizer, params: lambda gradients: optimizer.apply(gradients, params)
    monkeypatch.setattr(referee("keras"), "_compiled", step_by_step)

    def schedule_free_adamw(x, g, z, v, t, *, learning_rate, beta_1, beta_2, epsilon, weight_decay):
        beta_1 = float(np.float32(beta_1))
        x = x - x * weight_decay * learning_rate
        v = v + (g * g - v) * (1 - beta_2)
        z = z - learning_rate * g / (np.sqrt(v / (1 - beta_2**t)) + epsilon)
        average = (x - (1 - beta_1) * z) / beta_1
        average = (1 - 1 / t) * average + 1 / t * z
        return (1 - beta_1) * z + beta_1 * average, z, v

    vars(schedule_free_adamw).update(vars(keras.schedule_free_adamw))  # it stands in for that rule
    given = hyperparameters_for("schedule_free_adamw", 1.0)
    judgment = judge("keras", "schedule_free_adamw", record(100, 1.0), given, rule=schedule_free_adamw)
    assert judgment.absolute == max(judgment.states.values()) == 0.0


def test_there_is_no_way_from_keras_to_the_paper():
    theirs = DIALECTS["keras"]["schedule_free_adamw"]
    for pair in ((theirs, PAPER["schedule_free_adamw"]), (PAPER["schedule_free_adamw"], theirs)):
        with pytest.raises(LookupError, match="for which beta1 would have to be 1"):
            translate(*pair, hyperparameters_for("schedule_free_adamw"))


# ---------- the paper's ----------


def _run(optimizer, recording):
    """Our x, z and average after each step, (steps, coordinates) each, for a recording with one parameter."""
    x, beta1, seen = recording.start, optimizer.hyperparameters["beta1"], []
    for gradients in recording.gradients:
        x = optimizer.step(x, gradients)
        z = optimizer.state[0]["z"]
        seen.append((x[0], z, evaluation_point(x[0], z, beta1=beta1)))
    return [np.stack(a) for a in zip(*seen, strict=True)]


def test_sgd_by_hand():
    """Two steps on gradients 4 and 8 with beta1 = 1/2 and rates 1/4 and 1/2, whose squares weigh 1 to 4."""
    x, z, total = schedule_free_sgd(np.array([2.0]), np.array([4.0]), np.array([2.0]), 0.0, lr=0.25, beta1=0.5)
    assert (float(z[0]), float(x[0]), float(total)) == (1.0, 1.0, 0.0625)  # the first average is the first z
    x, z, total = schedule_free_sgd(x, np.array([8.0]), z, total, lr=0.5, beta1=0.5)
    assert (float(z[0]), float(total)) == (-3.0, 0.3125)
    average = 1 / 5 * 1 + 4 / 5 * -3
    assert float(evaluation_point(x, z, beta1=0.5)[0]) == pytest.approx(average, rel=1e-15)
    assert float(x[0]) == pytest.approx((average - 3) / 2, rel=1e-15)


def test_adamw_by_hand():
    """Two steps with lr = 1, beta1 = beta2 = 1/2, eps = 0 and weight_decay = 1/4; the squared rates are 1/2 and 3/4."""
    given = {"lr": 1.0, "beta1": 0.5, "beta2": 0.5, "eps": 0.0, "weight_decay": 0.25}
    x, z, v, total = schedule_free_adamw(np.array([4.0]), np.array([-2.0]), np.array([2.0]), 0.0, 0.0, 1, **given)
    assert float(v[0]) == 2.0
    assert float(z[0]) == pytest.approx(2 - 0.5**0.5 * (-(2**0.5) + 0.25 * 4), rel=1e-15)
    assert float(x[0]) == pytest.approx(float(z[0]), rel=1e-15)  # the first average is the first z
    assert total == pytest.approx(0.5, rel=1e-15)
    x2, z2, v, total = schedule_free_adamw(x, np.array([4.0]), z, v, total, 2, **given)
    assert float(v[0]) == 9.0
    assert float(z2[0]) == pytest.approx(float(z[0] - 0.75**0.5 * (4 / 3 + 0.25 * x[0])), rel=1e-15)
    assert total == pytest.approx(1.25, rel=1e-15)
    average = 2 / 5 * z + 3 / 5 * z2
    assert float(evaluation_point(x2, z2, beta1=0.5)[0]) == pytest.approx(float(average[0]), rel=1e-14)


@pytest.mark.parametrize("lr", [0.01, lambda step: 0.01 * 0.9**step, lambda step: 0.01 * step], ids=["constant",
                                "falling", "warming up from 0"])  # fmt: skip
@pytest.mark.parametrize("rule", [schedule_free_sgd, schedule_free_adamw])
def test_the_average_is_of_all_z_weighted_with_the_squared_rates(rule, lr):
    recording, rates = record(100, 1.0, shapes=((5,),)), np.array([lr(t) if callable(lr) else lr for t in range(100)])
    if rule is schedule_free_adamw:
        rates = rates * np.sqrt(1 - 0.999 ** np.arange(1, 101))
    x, z, average = _run(Optimizer(rule, lr=lr), recording)
    start = int(rates[0] == 0)  # until the first rate above 0 nothing moves
    weights = rates[:, None] ** 2
    expected = (np.cumsum(weights * z, axis=0) / np.maximum(np.cumsum(weights, axis=0), 1e-300))[start:]
    np.testing.assert_allclose(average[start:], expected, rtol=0, atol=BOUND)
    np.testing.assert_allclose(x, 0.1 * z + 0.9 * average, rtol=0, atol=BOUND)
    for resting in x[:start]:
        np.testing.assert_allclose(resting, recording.start[0], rtol=0, atol=BOUND)


@pytest.mark.parametrize("t", [1, 2, 7])
def test_adamw_steps_from_z_as_keras_adam_without_memory(t):
    """Which is the paper's "epsilon hat" form of Adam, and is proved; but for the decay, which is at x."""
    g, z, v = np.random.default_rng(t).uniform(0.5, 2, (3, 6))
    x, rate = np.linspace(-1, 1, 6), 0.01 * np.sqrt(1 - 0.999**t)
    _, new, new_v, _ = schedule_free_adamw(x, g, z, v, 0.0, t, lr=0.01, eps=0.1, weight_decay=0.1)
    adams, _, adams_v = keras.adam(z, g, 0.0, v, t, learning_rate=0.01, beta_1=0.0, epsilon=0.1)
    np.testing.assert_allclose(new, adams - rate * 0.1 * x, rtol=1e-15, atol=1e-15)
    np.testing.assert_array_equal(new_v, adams_v)


def test_its_average_settles_where_gradient_descent_does_not():
    """On a bowl with noisy gradients, at a constant rate: the promise in the name."""
    draw = np.random.default_rng(0)
    optimizer, x, z = Optimizer(schedule_free_sgd, lr=0.2), [np.full(200, 3.0)], np.full(200, 3.0)
    for _ in range(1000):
        noise = draw.normal(size=200)
        x, z = optimizer.step(x, [x[0] + noise]), z - 0.2 * (z + noise)
    average = evaluation_point(x[0], optimizer.state[0]["z"])
    assert np.mean(average**2) < np.mean(z**2) / 10


def test_x_and_z_may_be_given_by_name():
    assert evaluation_point(z=2.0, x=1.0, beta1=0.5) == evaluation_point(1.0, 2.0, beta1=0.5) == 0.0
    with pytest.raises(TypeError):
        evaluation_point(1.0, 2.0, 0.5)
