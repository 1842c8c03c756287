"""The table that chapters show holds what was compared."""

import importlib
import inspect
from dataclasses import FrozenInstanceError
from functools import partial

import numpy as np
import pytest

from lib.dialects import PAPER, Dialect, translate
from lib.optimizers import RULES
from lib.optimizers.rule import named_for
from lib.referees import DIALECTS, hyperparameters_for, proof, record, referee, replay, shapes_for
from lib.schedules import constant, exponential


@pytest.mark.parametrize("framework", DIALECTS)
def test_a_dialect_holds_only_rules_that_differ(framework):
    """By more than the names of the hyperparameters: on some gradients it takes other steps than the paper's."""
    assert DIALECTS[framework].keys() <= RULES.keys()
    for name, dialect in DIALECTS[framework].items():
        if dialect.rule is not RULES[name]:
            apart = []
            for size, rate in (1e-3, 0.01), (1e-17, 1.0):  # at usual sizes and rates, all Adafactors are one
                recording = record(50, size, shapes=shapes_for(dialect.rule))
                given = hyperparameters_for(name, 1e-3) | {"lr": lambda step, rate=rate: rate * 0.9**step}
                paths = [replay(f, recording, **named_for(f, given)) for f in (RULES[name], dialect.rule)]
                apart.append(np.abs(paths[0] - paths[1]).max())
            assert max(apart) > 1e-10, name


@pytest.mark.parametrize("framework", DIALECTS)
def test_a_dialect_s_defaults_are_the_framework_s(framework):
    for name, dialect in DIALECTS[framework].items():
        parameters = inspect.signature(maker(dialect)).parameters
        for ours, theirs in dialect.names.items():
            if theirs is None:
                continue
            argument, _, index = theirs.rstrip("]").partition("[")
            default = parameters[argument].default
            default = default[int(index)] if index else default
            if argument == "momentum" and default in (0, None):  # off; a rule that has momentum has it switched on
                continue
            if default in (None, inspect.Parameter.empty):  # the framework chooses, or leaves it to the caller
                continue
            if framework in dialect.rule.__module__:
                (spoken,) = named_for(dialect.rule, {ours: None})
                mine = dialect.rule.defaults.get(spoken, dialect.rule.state.get(spoken))
                assert mine == default, (name, theirs)


def maker(dialect):
    """What makes a dialect's optimizer in its framework."""
    module, name = dialect.optimizer.rsplit(".", 1)
    return getattr(importlib.import_module(module), name)


def test_proof_of_adam():
    table = proof("adam", steps=50)
    deviation = table.deviation.astype(float)
    by_cause = dict(zip(table.cause, deviation, strict=True))
    assert by_cause["eps is added before the bias of v is removed."] > 1e-4
    assert 1e-9 < by_cause["Keras casts to float32."] < 1e-4
    assert by_cause["Rounding, casts accounted for."] <= 1e-14
    assert deviation["PyTorch"].max() <= 1e-14
    assert deviation["optax"].max() <= 1e-14


def test_proof_names_a_cause_only_where_there_is_one():
    """Adadelta at rate 1 gives Keras nothing to cast, and no framework has a dialect of it."""
    assert set(proof("adadelta", steps=20).cause) == {"Rounding."}


def test_proof_of_an_unknown_rule():
    with pytest.raises(KeyError, match="choose one of gradient_descent, momentum"):
        proof("adamm")


# Translations


def test_the_framework_s_arguments():
    given = {"lr": 0.1, "beta2": 0.9, "beta1": 0.8}
    assert DIALECTS["torch"]["adam"].arguments(given) == {"lr": 0.1, "betas": (0.8, 0.9)}
    assert DIALECTS["torch"]["amsgrad"].arguments({"lr": 0.1}) == {"amsgrad": True, "lr": 0.1}
    assert DIALECTS["keras"]["muon"].arguments({"lr": 0.1, "eps": 1e-7}) == {"learning_rate": 0.1}  # it has no such
    with pytest.raises(KeyError, match="momentum"):
        DIALECTS["torch"]["adam"].arguments({"momentum": 0.9})


def test_a_dialect_is_made_by_name():
    with pytest.raises(TypeError):
        Dialect("torch.optim.Adam", RULES["adam"], {})


def test_a_dialect_does_not_change():
    with pytest.raises(FrozenInstanceError):
        DIALECTS["torch"]["adam"].rule = RULES["adamw"]


def test_what_nobody_can_choose_hides_nothing_after_it():
    it = Dialect(optimizer="", rule=RULES["adam"], names={"eps": None, "lr": "rate"})
    assert it.arguments({"eps": 1e-8, "lr": 0.1}) == {"rate": 0.1}


@pytest.mark.parametrize("name", ["momentum", "nesterov", "rmsprop", "adam"])
@pytest.mark.parametrize(("there", "back"), [("torch", "keras"), ("keras", "torch")])
def test_no_step_before_the_first_is_asked_for(name, there, back):
    """The book's schedules refuse it."""
    given = hyperparameters_for(name) | {"lr": partial(exponential, lr=0.1, gamma=0.99), "eps": 0.0}
    source, target = DIALECTS[there][name], DIALECTS[back][name]
    try:
        translated = translate(source, target, {key: given[key] for key in source.names})
    except KeyError:
        raise
    except LookupError:
        translated = {}
    assert all(callable(value) or value == given[key] for key, value in translated.items())


def test_what_differs_at_the_first_step_alone_is_a_schedule():
    half_at_first = lambda at, t: {"lr": at(t)["lr"] * (0.5 if t == 1 else 1.0)}
    source = Dialect(optimizer="", rule=RULES["lion"], names={"lr": "lr"}, to_paper=half_at_first)
    target = Dialect(optimizer="", rule=RULES["adam"], names={"lr": "lr"})
    translated = translate(source, target, {"lr": 0.1})
    assert [translated["lr"](step) for step in range(3)] == [0.05, 0.1, 0.1]


def test_a_rate_that_stays_for_a_while_changes_the_momentum_when_it_falls():
    """The first two steps do not tell that anything will change."""
    torch, keras = DIALECTS["torch"]["momentum"], DIALECTS["keras"]["momentum"]
    translated = translate(torch, keras, {"lr": lambda step: 0.1 * 0.5 ** (step // 30), "momentum": 0.9})
    assert [translated["momentum"](step) for step in (0, 29, 30, 31)] == [0.9, 0.9, 0.45, 0.9]


def test_what_is_handed_on_stays_a_number():
    torch, keras = DIALECTS["torch"]["adam"], DIALECTS["keras"]["adam"]
    given = {"lr": lambda step: 0.1, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
    translated = translate(torch, keras, given)
    assert (translated["beta1"], translated["beta2"]) == (0.9, 0.999)
    assert translated["eps"](0) == pytest.approx(1e-8 * 0.001**0.5)


@pytest.mark.parametrize("rate", [0.0005, 0.01])
def test_a_bound_that_is_felt_late_makes_a_schedule(rate):
    """1 / sqrt(t) is below 0.0005 from step 4,000,001 on."""
    keras, optax = DIALECTS["keras"]["adafactor"], DIALECTS["optax"]["adafactor"]
    translated = translate(keras, optax, {"lr": rate, "eps1": 1e-30, "eps2": 0.001, "clip_threshold": 1.0})
    assert translated["lr"](0) == rate
    assert translated["lr"](10**8 - 1) == 1e-4


def test_a_rate_of_zero_has_a_translation_or_a_reason():
    torch, keras = DIALECTS["torch"]["momentum"], DIALECTS["keras"]["momentum"]
    ends = {"lr": lambda step: 0.1 if step < 5 else 0.0, "momentum": 0.9}
    assert translate(torch, keras, ends)["momentum"](5) == translate(torch, keras, ends)["momentum"](6) == 0
    with pytest.raises(
        LookupError, match="at a rate of 0, as at step 6, a velocity with the rate inside may still move x"
    ):
        translate(keras, torch, ends)["momentum"](5)
    starts = {"lr": lambda step: 0.1 * (step > 0), "momentum": 0.9}
    with pytest.raises(
        LookupError, match="a rate of 0 wipes out a velocity that has it inside, and step 2 comes after"
    ):
        translate(torch, keras, starts)
    rises = {"lr": lambda step: 0.1 * (1 + step), "momentum": 0.9}
    with pytest.raises(LookupError, match=r"at step 2 the momentum would have to be 1\.8"):
        translate(torch, keras, rises)
    rises = {"lr": lambda step: 0.1 * (1 + step), "momentum": 0.5}
    with pytest.raises(LookupError, match=r"at step 2 the momentum would have to be 1\."):
        translate(torch, keras, rises)


def test_the_paper_has_its_own_hyperparameters_and_no_others():
    theirs, given = DIALECTS["optax"]["radam"], {"lr": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
    assert translate(PAPER["radam"], theirs, given) == given | {"threshold": 4.0}
    assert translate(theirs, PAPER["radam"], given | {"threshold": 4.0}) == given
    for other in 3.0, 5.0:
        with pytest.raises(
            LookupError, match=rf"cannot be made to agree: threshold, here {other}, cannot be chosen in lib"
        ):
            translate(theirs, PAPER["radam"], given | {"threshold": other})
    with pytest.raises(LookupError, match=r"momentum_decay, here 1\.0, cannot be chosen in lib\.optimizers\.nadam"):
        translate(DIALECTS["keras"]["nadam"], PAPER["nadam"], given)


@pytest.mark.parametrize("momentum_decay", [0.0, 0.004, 1.0, 2.0])
def test_keras_nadam_is_torch_s_with_a_momentum_decay_of_1(momentum_decay):
    given = {"lr": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
    pair = DIALECTS["torch"]["nadam"], DIALECTS["keras"]["nadam"]
    if momentum_decay == 1:
        assert translate(*pair, given | {"momentum_decay": momentum_decay}) == given
        return
    with pytest.raises(LookupError, match="the momentum grows as 1 - 0"):
        translate(*pair, given | {"momentum_decay": momentum_decay})


@pytest.mark.parametrize("momentum_decay", [0.0, 0.004, 300.0, 1e6])
def test_optax_nadam_is_torch_s_whose_momentum_is_there_at_once(momentum_decay):
    given = {"lr": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
    torch, optax = DIALECTS["torch"]["nadam"], DIALECTS["optax"]["nadam"]
    assert translate(optax, torch, given) == given | {"momentum_decay": 1e6}
    if momentum_decay == 1e6:
        assert translate(torch, optax, given | {"momentum_decay": momentum_decay}) == given
        return
    with pytest.raises(LookupError, match="the momentum is b1 from the start"):
        translate(torch, optax, given | {"momentum_decay": momentum_decay})


def test_a_schedule_of_one_rate_is_a_constant_rate():
    """Whichever numbers it makes of it; and the book's schedules have no step -1."""
    free = DIALECTS["optax"]["schedule_free_sgd"], PAPER["schedule_free_sgd"]
    ahead = DIALECTS["torch"]["nesterov"], PAPER["nesterov"]
    for rate in (lambda step: (step + 1) / (100 * step + 100), partial(constant, lr=0.01)):
        assert translate(*free, {"lr": rate, "beta1": 0.9, "weight_decay": 0.0})["lr"](9) == 0.01
        assert translate(*ahead, {"lr": rate, "momentum": 0.9})["lr"](9) == 0.01


def test_keras_adagrad_starts_where_the_paper_s_does_if_told():
    pair, given = (PAPER["adagrad"], DIALECTS["keras"]["adagrad"]), {"lr": 0.01, "eps": 0.0}
    assert translate(*pair, given) == given | {"G": 0.0}
    assert translate(*pair, given | {"G": 0.5}) == given | {"G": 0.5}
    assert translate(*reversed(pair), given | {"G": 0.5}) == given | {"G": 0.5}
    assert translate(*reversed(pair), {"lr": 0.01, "eps": 0.25}) == given | {"G": 0.1 + 0.25}


@pytest.mark.parametrize("eps2", [0.0005, 0.001, 0.002])
def test_optax_s_adafactor_has_one_eps2(eps2):
    optax, given = DIALECTS["optax"]["adafactor"], {"lr": 0.01, "eps1": 1e-30, "clip_threshold": 1.0}
    if eps2 == 0.001:
        assert translate(PAPER["adafactor"], optax, given | {"eps2": eps2})["lr"](0) == 0.01
        return
    with pytest.raises(LookupError, match=r"eps2 is 0\.001 in optax"):
        translate(PAPER["adafactor"], optax, given | {"eps2": eps2})


def test_what_optax_lets_nobody_choose_is_what_it_computes_with():
    assert DIALECTS["optax"]["adafactor"].rule.defaults["eps2"] == 0.001
    assert DIALECTS["optax"]["schedule_free_sgd"].rule.defaults["weight_decay"] == 0.0


def test_adafactor_s_eps1_is_torch_s_squared():
    assert DIALECTS["torch"]["adafactor"].rule.defaults["eps1"] == np.finfo(np.float64).eps
    given = {"lr": 0.01, "eps1": 1e-3, "eps2": 1e-3, "clip_threshold": 1.0}
    torch, paper = DIALECTS["torch"]["adafactor"], PAPER["adafactor"]
    assert translate(torch, paper, given | {"weight_decay": 0.0}) == given | {"eps1": pytest.approx(1e-6)}
    there = {"eps1": pytest.approx(10**-1.5), "weight_decay": 0.0}
    assert translate(paper, torch, given) == given | there
    with pytest.raises(LookupError, match="the paper's Adafactor has no weight decay"):
        translate(torch, paper, given | {"weight_decay": 0.1})


@pytest.mark.parametrize("threshold", [4.0, 6.0])
def test_torch_s_radam_has_one_threshold(threshold):
    given = {"lr": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "threshold": threshold}
    with pytest.raises(LookupError, match="the threshold of rho is 5 and cannot be chosen"):
        translate(DIALECTS["optax"]["radam"], DIALECTS["torch"]["radam"], given)
    given["threshold"] = 5.0
    assert "threshold" not in translate(DIALECTS["optax"]["radam"], DIALECTS["torch"]["radam"], given)


@pytest.mark.parametrize("change", [-0.01, 0.01])
def test_torch_s_muon_is_the_paper_s_while_the_momentum_is_constant(change):
    given = {"lr": 0.01, "momentum": lambda step: 0.5 + change * step, "eps": 0.0, "weight_decay": 0.0}
    for pair in (DIALECTS["torch"]["muon"], PAPER["muon"]), (PAPER["muon"], DIALECTS["torch"]["muon"]):
        with pytest.raises(LookupError, match="an average of gradients is in proportion to their sum as long as"):
            translate(*pair, given)
        constant = lambda step: (step + 1) / (2 * step + 2)
        assert translate(*pair, given | {"momentum": constant})["momentum"](9) == 0.5


def test_what_every_side_of_a_rule_has_is_handed_on():
    for name, rule in RULES.items():
        assert set(rule.defaults) <= PAPER[name].names.keys()
        assert PAPER[name].arguments(rule.defaults) == rule.defaults
    assert PAPER["adagrad"].names["G"] == "G"


def test_a_missing_hyperparameter_is_no_reason():
    with pytest.raises(KeyError, match="hyperparameters lacks beta1, eps; add it: defaults differ between frameworks"):
        translate(DIALECTS["keras"]["adam"], DIALECTS["torch"]["adam"], {"lr": 0.01, "beta2": 0.9})
    given = {"lr": 0.01, "beta1": 0.9, "beta2": 0.9, "eps": 1e-8}
    with pytest.raises(KeyError, match="hyperparameters lacks weight_decay; add it"):  # of one rule, too
        translate(DIALECTS["torch"]["adamw"], DIALECTS["optax"]["adamw"], given)


def test_an_unknown_hyperparameter_is_named():
    with pytest.raises(TypeError, match=r"torch\.optim\.Adam: unknown hyperparameter 'epsilon'; did you mean 'eps'"):
        translate(DIALECTS["torch"]["adam"], DIALECTS["keras"]["adam"], {"lr": 0.01, "epsilon": 1e-7})


@pytest.mark.parametrize("name", ["momentum", "nesterov"])
def test_without_velocity_it_does_not_matter_where_the_rate_stands(name):
    torch, keras = DIALECTS["torch"][name], DIALECTS["keras"][name]
    given = {"lr": lambda step: 0.1 * step, "momentum": 0.0}
    for pair in (torch, keras), (keras, torch):
        translated = translate(*pair, given)
        momentum = translated["momentum"]
        assert [translated["lr"](t) for t in range(3)] == [0, 0.1, 0.2]
        assert (momentum(1) if callable(momentum) else momentum) == 0


@pytest.mark.parametrize("gamma", [0.99, 1.01])
def test_nesterov_s_rate_may_neither_fall_nor_rise(gamma):
    given = {"lr": lambda step: 0.01 * gamma**step, "momentum": 0.9}
    with pytest.raises(LookupError, match="matters as soon as it changes"):
        translate(DIALECTS["torch"]["nesterov"], DIALECTS["keras"]["nesterov"], given)


def test_a_momentum_of_zero_leaves_the_old_velocity_in_the_frameworks():
    """It is not 0 times the velocity that they keep, as in the equation."""
    recording, momentum = record(20, 1.0, shapes=((3,),)), lambda step: 0.0 if 5 <= step < 10 else 0.9
    for framework in "torch", "keras":
        rule = DIALECTS[framework]["momentum"].rule
        theirs = referee(framework).replay("momentum", recording, lr=0.0078125, momentum=momentum)
        apart = np.abs(replay(rule, recording, lr=0.0078125, momentum=momentum) - theirs)
        assert apart[:10].max() < 1e-6 < 1e-3 < apart[10:].max()
