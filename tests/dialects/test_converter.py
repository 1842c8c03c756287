"""The code that the converter writes is run, in the framework it is for, and takes the steps of the framework it is
from."""

import itertools
import math

import numpy as np
import pytest

from lib.dialects import DIALECTS, PAPER, translate
from lib.dialects import converter as module
from lib.dialects.converter import (
    ORDER,
    SIZES,
    SWITCHED,
    TITLES,
    choices,
    convert,
    dialect_of,
    distances,
    limit,
    measurable,
    number,
    ported,
    reached,
    recorded,
    walk,
)
from lib.optimizers import RULES
from lib.optimizers.rule import named_for
from lib.referees import record, replay
from lib.referees.defaults import filled
from lib.referees.recording import MATRICES, flat

NAMES = [name for name in RULES if any(name in dialects for dialects in DIALECTS.values())]
PAIRS = [
    (name, source, target)
    for name in NAMES
    for source, target in itertools.permutations(TITLES, 2)
    if dialect_of(source, name)
]
STEPS = 12


def recording_for(name, dtype=np.float64):
    shapes = MATRICES[:2] if RULES[name].each == "matrix" else ((3,), (2, 3))
    return record(STEPS, scale=(1e-6, 1.0), shapes=shapes, dtype=dtype)


def source_path(name, source, numbers, recording):
    rule = dialect_of(source, name).rule
    return replay(rule, recording, **named_for(rule, numbers))


def run_torch(code, recording):
    import torch

    from lib.referees.torch import _double

    params = [torch.tensor(a, requires_grad=True) for a in recording.start]
    scope = {"params": params}
    exec(code, scope)
    for t, gradients in enumerate(recording.gradients, 1):
        if "before_step" in scope:
            scope["before_step"](t)
        for p, g in zip(params, gradients, strict=True):
            p.grad = torch.tensor(g)
        with _double(torch.float64):
            scope["optimizer"].step()
        yield flat(params)


def run_keras(code, recording):
    from lib.referees.keras import keras

    scope = {}
    exec(code, scope)
    params = [keras().Variable(a, dtype=a.dtype) for a in recording.start]
    scope["optimizer"].build(params)
    for gradients in recording.gradients:
        scope["optimizer"].apply([keras().ops.convert_to_tensor(g) for g in gradients], params)
        yield flat(map(keras().ops.convert_to_numpy, params))


def run_optax(code, recording):
    import jax
    import jax.numpy as jnp
    import optax

    scope = {}
    with jax.enable_x64(True):
        exec(code, scope)
        params = [jnp.asarray(a) for a in recording.start]
        state = scope["optimizer"].init(params)
        step = jax.jit(scope["optimizer"].update)
        for gradients in recording.gradients:
            updates, state = step([jnp.asarray(g) for g in gradients], state, params)
            params = optax.apply_updates(params, updates)
            yield flat(params)


def run_paper(code, recording):
    params = recording.start
    for i, grads in enumerate(recording.gradients):
        if i == 0:
            scope = {"params": params, "grads": grads}
            exec(code, scope)
            params = scope["params"]
        else:
            params = scope["optimizer"].step(params, grads)
        yield flat(params)


RUN = {"torch": run_torch, "keras": run_keras, "optax": run_optax, "paper": run_paper}
# Largest distance, as a share of the way. Keras on TensorFlow computes with hyperparameters of float32; Adam's
# 1 - beta2**t loses the most, 1e-5 of it.
CLOSE = {"torch": 1e-9, "optax": 1e-9, "paper": 1e-12, "keras": 2e-5}
# What a mapping takes for granted: gradients far above the root of eps1, which is 1.5e-8.
NEARLY = {("adafactor", "torch"): 1e-3, ("adafactor", "paper"): 1e-3, ("adafactor", "keras"): 1e-3,
          ("adafactor", "optax"): 1e-3, ("muon", "torch"): 1e-3}  # fmt: skip


@pytest.mark.parametrize(("name", "source", "target"), PAIRS, ids=map("-".join, PAIRS))
def test_the_code_runs_and_takes_the_same_steps(name, source, target):
    if RULES[name].takes_curvature:
        pytest.skip("its code needs an estimate of the Hessian")
    numbers = filled(source, name)
    found, recording = convert(name, source, target, numbers), recording_for(name)
    right = source_path(name, source, numbers, recording)
    by = "paper" if found["kind"] in ("never", "absent") else target
    path = np.stack(list(RUN[by](found["code"], recording)))
    way = np.abs(right - flat(recording.start)).max()
    assert way > 0
    apart = np.abs(path - right).max() / way
    assert apart < (CLOSE[by] if by == "paper" and by != target else NEARLY.get((name, target), CLOSE[by]))


def test_every_kind_and_every_switch_is_met():
    found = {it: convert(*it, filled(it[1], it[0]))["kind"] for it in PAIRS}
    assert set(found.values()) == {"same", "numbers", "schedule", "switch", "never", "absent"}
    assert {(target, name) for (name, _, target), kind in found.items() if kind == "switch"} == SWITCHED.keys()


@pytest.mark.parametrize(("target", "name"), SWITCHED, ids=map("-".join, SWITCHED))
def test_without_the_switch_the_steps_are_others(target, name):
    source = "torch" if target == "optax" else "keras"
    numbers, recording = filled(source, name), recording_for(name)
    found = convert(name, source, target, numbers)
    usual = DIALECTS[target][name].fixed
    code = found["code"]
    for key, value in SWITCHED[target, name].fixed.items():
        if key not in usual:
            text = f'{key}="{value}"' if isinstance(value, str) else f"{key}={value}"
            assert text in code
            assert text in found["reason"]
            code = code.replace(f", {text}", "").replace(f"{text},", "").replace(f'"{key}"', "")
    code = code.replace("static_args=(, )", "static_args=()")
    right = source_path(name, source, numbers, recording)
    path = np.stack(list(RUN[target](code, recording)))
    assert np.abs(path - right).max() / np.abs(right - flat(recording.start)).max() > 0.01


def test_a_limit_is_where_the_steps_part():
    """Below it they do, above it they do not."""
    for source, target in (("torch", "keras"), ("keras", "torch")):
        numbers = filled(source, "adafactor")
        assert limit("adafactor", source, target, numbers) == "nearly, for gradients above 1e-7"
        dialect, translated = reached("adafactor", source, target, numbers)
        for scale, parts in ((1e-8, True), (1e-6, False)):
            recording = record(50, scale=scale, shapes=((3,), (2, 3)))
            here = source_path("adafactor", source, numbers, recording)
            there = replay(dialect.rule, recording, **named_for(dialect.rule, translated))
            assert (np.abs(here - there).max() > 0.01 * np.abs(here - flat(recording.start)).max()) == parts


def test_limits_of_the_rate():
    """Momentum carries over at a constant rate, and with it where both sides have it in the same place."""
    numbers = {"lr": 0.1, "momentum": 0.9}
    assert limit("momentum", "torch", "keras", numbers) == "at a constant rate"
    assert limit("momentum", "torch", "optax", numbers) == ""
    assert limit("nesterov", "optax", "paper", numbers) == "at a constant rate"
    assert limit("momentum", "torch", "keras", numbers | {"momentum": 0.0}) == ""
    assert convert("momentum", "torch", "keras", numbers)["reason"].endswith("steps, at a constant rate.")
    slow, fast = ({"lr": lr, "eps1": 1e-30, "clip_threshold": 1.0} for lr in (1e-3, 0.1))
    assert "t ** -0.5" in limit("adafactor", "optax", "keras", slow)
    assert convert("adafactor", "optax", "keras", slow)["kind"] == "numbers"
    assert convert("adafactor", "optax", "keras", fast)["kind"] == "never"


def test_a_bound_that_is_felt_late_is_a_schedule():
    found = convert("adafactor", "keras", "optax", filled("keras", "adafactor"))
    assert (found["kind"], found["moving"]) == ("schedule", ["lr"])


@pytest.mark.parametrize(("name", "source", "target"), PAIRS, ids=map("-".join, PAIRS))
def test_the_kind_is_what_translate_finds(name, source, target):
    numbers = filled(source, name)
    found = convert(name, source, target, numbers)
    if dialect_of(target, name) is None:
        assert found["kind"] == "absent"
        return
    try:
        translated = translate(dialect_of(source, name), dialect_of(target, name), numbers)
    except LookupError as error:
        reason = str(error)
    else:
        reason = None
    assert (found["kind"] in ("never", "switch")) == (reason is not None)
    if reason:
        assert found["kind"] == "switch" or found["reason"] == reason
        return
    late = (*range(999), 10**6)  # Adafactor's rate falls from step 10**6 on, if it is 0.001
    changes = lambda key, value: callable(value) and any(abs(value(s) / numbers[key] - 1) > 1e-9 for s in late)
    assert (found["kind"] == "schedule") == any(changes(*item) for item in translated.items())


@pytest.mark.parametrize("framework", TITLES)
@pytest.mark.parametrize("name", NAMES)
def test_every_hyperparameter_is_offered(framework, name):
    if dialect := dialect_of(framework, name):
        of_rule = {ours for ours, theirs in dialect.names.items() if theirs} - {"mu_product", "total", "u", "v", "m"}
        states = set(RULES[name].state) - {"G"}
        assert set(choices(framework, name)) == of_rule - states
        assert choices(framework, name) == sorted(choices(framework, name), key=ORDER.index)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.001, "0.001"),
        (1e-7, "1e-7"),
        (1e6, "1e6"),
        (10.0, "10.0"),
        (10, "10"),
        (0.1 + 1e-7, "0.1000001"),
        (0.0, "0.0"),
        (1 / 3, None),
    ],
)
def test_numbers_are_short_and_exact(value, text):
    assert number(value) == text or text is None
    assert float(number(value)) == pytest.approx(value, rel=2e-15, abs=0)


def test_numbers_survive_being_written():
    for value in np.random.default_rng(0).uniform(-1, 1, 500) * 10.0 ** np.arange(-20, 5).repeat(20):
        assert float(number(float(value))) == pytest.approx(value, rel=2e-15, abs=0)


@pytest.mark.parametrize(
    ("numbers", "error", "words"),
    [
        ({"lr": 0.1, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}, TypeError, "unknown hyperparameter 'epsilon'"),
        ({"lr": 0.1, "beta1": 0.9, "beta2": 0.999}, KeyError, "lacks eps"),
        ({"lr": 0.1, "beta1": 1.0, "beta2": 0.999, "eps": 0.0}, ValueError, "beta1 must be a number in [0, 1)"),
        ({"lr": "0.1", "beta1": 0.9, "beta2": 0.999, "eps": 0.0}, TypeError, "lr must be"),
    ],
)
def test_a_wrong_number_is_named(numbers, error, words):
    with pytest.raises(error) as caught:
        convert("adam", "torch", "keras", numbers)
    assert words in str(caught.value)


def test_a_start_below_zero_is_refused():
    with pytest.raises(ValueError, match="G must be a finite number >= 0"):
        convert("adagrad", "keras", "torch", {"lr": 0.1, "eps": 1e-7, "G": -1.0})


def test_a_schedule_without_a_formula_is_noticed(monkeypatch):
    monkeypatch.setattr(module, "SHAPES", module.SHAPES[1:])
    with pytest.raises(RuntimeError, match="no formula"):
        convert("adam", "keras", "torch", filled("keras", "adam"))


@pytest.mark.parametrize(("name", "source", "target"), PAIRS, ids=map("-".join, PAIRS))
def test_translated_paths_are_one(name, source, target):
    found = distances(
        name, source, target, filled(source, name), filled(target, name) if dialect_of(target, name) else {}
    )
    if dialect_of(target, name) is None or not (measurable(source, name) and measurable(target, name)):
        assert found == {}
        return
    kind = convert(name, source, target, filled(source, name))["kind"]
    assert ("translated" in found) == (kind != "never")
    for first, apart in found.get("translated", []):
        assert first == pytest.approx(1, rel=1e-9) or first is None
        assert apart < 1e-12 or (apart < 1e-9 and name.startswith(("nadam", "centered")))


def test_blind_ports_by_hand():
    """The first step of RMSProp from PyTorch to Keras, with all numbers and with the rate alone."""
    given = {"lr": 0.01, "rho": 0.99, "eps": 1e-8}
    usual = {"lr": 0.001, "rho": 0.9, "eps": 1e-7}
    found = distances("rmsprop", "torch", "keras", given, usual)
    for size, (all_numbers, _), (rate_alone, _) in zip(
        SIZES, found["all numbers"], found["only the rate"], strict=True
    ):
        g = recorded(size)[0]
        ours = g / (math.sqrt(0.01 * g * g) + 1e-8)
        assert all_numbers == pytest.approx(ours / (g / math.sqrt(0.01 * g * g + 1e-8)), rel=1e-6)
        assert rate_alone == pytest.approx(ours / (g / math.sqrt(0.1 * g * g + 1e-7)), rel=1e-6)
    assert "translated" not in found


def test_a_port_carries_what_has_a_name():
    given = {"lr": 0.1, "beta1": 0.8, "beta2": 0.99, "eps": 1e-6, "momentum_decay": 0.01}
    usual = {"lr": 0.001, "beta1": 0.9, "beta2": 0.999, "eps": 1e-7}
    assert ported("nadam", "keras", given, usual) == {"lr": 0.1, "beta1": 0.8, "beta2": 0.99, "eps": 1e-6}
    assert ported("nadam", "keras", given, usual, only_the_rate=True) == usual | {"lr": 0.1}


def test_a_walk_is_the_one_of_the_rule():
    given, gradients = filled("keras", "adagrad"), recorded(0.3, 20)
    rule, x, G = DIALECTS["keras"]["adagrad"].rule, 1.0, given["G"]
    path = walk(rule, given, gradients)
    for g, there in zip(gradients, path, strict=True):
        x, G = rule(x, g, G, learning_rate=given["lr"], epsilon=given["eps"])
        assert x == there


def test_a_walk_ends_where_numbers_do():
    assert len(walk(RULES["gradient_descent"], {"lr": 1e308}, [1.0, 10.0, 1.0])) < 3


def test_recorded_gradients_are_spread():
    drawn = np.array(recorded(1.0, 2000))
    assert -1 <= drawn.min() < -0.99
    assert 1.98 < drawn.max() < 2
    assert abs(drawn.mean() - 0.5) < 0.05


def test_the_paper_is_a_side_like_the_others():
    assert convert("adam", "paper", "torch", PAPER["adam"].rule.defaults)["kind"] == "same"
