"""The loop stops on the right step for the right reason, and its history is what happened."""

import functools
import math
import warnings
from functools import partial

import numpy as np
import pytest
import torch

from lib.landscapes import LANDSCAPES, bowl, quadratic, rosenbrock
from lib.optimizers import RULES, Optimizer, adam, gradient_descent, momentum, rule
from lib.schedules import step
from lib.training import EarlyStopping, gradient_norm_below, loss_below, objective, plateau, train


def half_square(params):
    """sum(x**2) / 2 over one array: with rate 1/2, gradient descent halves x at each step."""
    (x,) = params
    return float((x**2).sum()) / 2, [x.copy()]


def halve(**options):
    """From x = 8: x is 8, 4, 2, 1, ..., the loss 32, 8, 2, 1/2, ..., and the gradient's norm equals x."""
    return train(half_square, [np.array([8.0])], Optimizer(gradient_descent, lr=0.5), **{"steps": 20} | options)


def scripted(losses, gradient=1.0):
    """An objective that returns these losses one after another, whatever the parameters."""
    rest = iter(losses)
    return lambda params: (next(rest), [np.full_like(x, gradient) for x in params])


def run(losses, **options):
    options = {"steps": len(losses) - 1} | options
    return train(scripted(losses), [np.zeros(1)], Optimizer(gradient_descent, lr=0.1), **options)


# ---------- the limit ----------


def test_without_a_rule_it_takes_the_steps_it_was_told():
    history = halve(steps=3)
    assert (history.stopped_by, history.steps) == ("steps", 3)
    assert history.reason == "the limit of 3 steps"


@pytest.mark.parametrize("steps", [0, -1, 2.0, math.nan])
def test_steps_must_be_a_whole_number(steps):
    with pytest.raises(ValueError, match=f"train: steps must be a whole number >= 1, got {steps}"):
        halve(steps=steps)


@pytest.mark.parametrize("steps", ["3", None, True])
def test_steps_must_be_a_number(steps):
    with pytest.raises(TypeError, match="train: steps must be a whole number"):
        halve(steps=steps)


# ---------- history ----------


def test_the_history_is_the_run():
    history = halve(steps=3)
    assert history.losses == [32.0, 8.0, 2.0, 0.5]
    assert history.gradient_norms == [8.0, 4.0, 2.0, 1.0]
    assert history.rates == [0.5, 0.5, 0.5]
    assert [params[0].tolist() for params in history.params] == [[8.0], [4.0], [2.0], [1.0]]
    assert history.path.tolist() == [[8.0], [4.0], [2.0], [1.0]]


def test_the_history_holds_plain_floats():
    history = train(objective(bowl), [np.ones(2, np.float32)], Optimizer(adam, lr=np.float32(0.5)), steps=2)
    for numbers in (history.losses, history.gradient_norms, history.rates):
        assert {type(number) for number in numbers} == {float}


def test_the_gradient_norm_is_that_of_all_parameters_together():
    two = lambda params: (1.0, [np.array([1.0, -2.0]), np.array(2.0)])
    history = train(two, [np.zeros(2), np.array(0.0)], Optimizer(gradient_descent), steps=1)
    assert history.gradient_norms[0] == 3.0


@pytest.mark.parametrize("size", [1e-200, 1e-30, 1e30, 1e200])
def test_the_gradient_norm_neither_overflows_nor_underflows(size):
    history = train(
        lambda params: (0.0, [size * np.array([3.0, 4.0])]),
        [np.zeros(2)],
        Optimizer(gradient_descent, lr=0.0),
        steps=1,
    )
    assert history.gradient_norms[0] == pytest.approx(5 * size, rel=1e-15)
    assert history.stopped_by == "steps"


@pytest.mark.parametrize("gradient", [[0.0, 0.0], [1.0, 1.0], [0.0, -1.0], [-1.0, -2.0]])
def test_the_gradient_norm_at_and_around_a_minimum(gradient):
    history = train(
        lambda params: (0.0, [np.array(gradient)]), [np.zeros(2)], Optimizer(gradient_descent, lr=0.0), steps=1
    )
    assert history.gradient_norms[0] == pytest.approx(math.hypot(*gradient), rel=1e-15, abs=0)
    assert history.stopped_by == "steps"


def test_an_empty_parameter_has_no_gradient():
    empty = lambda params: (1.0, [np.zeros(0), np.ones(1)])
    history = train(empty, [np.zeros(0), np.zeros(1)], Optimizer(gradient_descent), steps=1)
    assert history.gradient_norms == [1.0, 1.0]


def test_the_history_follows_a_schedule():
    optimizer = Optimizer(gradient_descent, lr=partial(step, lr=0.4, every=2, gamma=0.5))
    assert train(half_square, [np.ones(1)], optimizer, steps=5).rates == [0.4, 0.4, 0.2, 0.2, 0.1]


def test_the_history_is_a_copy():
    kept = np.array([8.0])

    def shifting_in_place(params):
        kept[:] = params[0]
        return half_square([kept])

    history = train(shifting_in_place, [kept], Optimizer(gradient_descent, lr=0.5), steps=2)
    kept[:] = -1
    assert history.path.tolist() == [[8.0], [4.0], [2.0]]


def test_parameters_are_not_kept_unless_wanted():
    history = halve(steps=2, keep_params=False)
    assert history.params == []
    assert history.losses == [32.0, 8.0, 2.0]
    with pytest.raises(ValueError, match="keep_params=True"):
        _ = history.path


def test_a_path_is_that_of_a_single_parameter():
    two = lambda params: (1.0, [np.ones(1), np.ones(1)])
    history = train(two, [np.zeros(1), np.zeros(1)], Optimizer(gradient_descent), steps=1)
    with pytest.raises(ValueError, match=r"read the others from history\.params"):
        _ = history.path
    history = train(lambda p: (1.0, {"w": np.ones(1)}), {"w": np.zeros(1)}, Optimizer(gradient_descent), steps=1)
    with pytest.raises(ValueError, match=r"history\.params"):
        _ = history.path


def test_the_parameters_given_are_left_alone():
    start = np.array([8.0])
    params = [start]
    train(half_square, params, Optimizer(adam, lr=0.5), steps=3)
    assert params[0] is start
    assert start.tolist() == [8.0]


def test_two_runs_are_equal():
    assert halve(steps=5) == halve(steps=5)


# ---------- stopping rules ----------


def test_loss_below_stops_when_the_loss_is_below():
    history = halve(stop=[loss_below(2.0)])  # the loss is 2 after two steps, which is not below 2
    assert (history.stopped_by, history.steps) == ("loss_below", 3)
    assert history.reason == "loss 0.5 is below 2, after 3 steps"


def test_gradient_norm_below_stops_when_the_norm_is_below():
    history = halve(stop=[gradient_norm_below(2.0)])
    assert (history.stopped_by, history.steps) == ("gradient_norm_below", 3)
    assert history.reason == "gradient norm 1 is below 2, after 3 steps"


PLATEAUS = {  # losses, patience, min_delta, steps after which it stops (None: never)
    "flat": ([1, 1, 1, 1], 1, 0.0, 1),
    "flat, patient": ([1, 1, 1, 1, 1], 3, 0.0, 3),
    "falling": ([5, 4, 3, 2, 1], 1, 0.0, None),
    "falling by exactly min_delta is no progress": ([5, 4, 3, 2, 1], 1, 1.0, 1),
    "falling by more than min_delta": ([5, 4, 3, 2, 1], 1, 0.99, None),
    "slow, measured over the whole of patience": ([5, 4.5, 4, 3.5, 3], 2, 0.9, None),
    "one bad step in two": ([5, 6, 4, 5, 3], 2, 0.0, None),
    "one bad step, no patience": ([5, 6, 4, 5, 3], 1, 0.0, 1),
    "stuck after progress": ([5, 3, 4, 3.5, 3, 3], 2, 0.0, 3),
    "stuck after long progress": ([9, 8, 7, 6, 5, 5, 5, 5], 2, 0.0, 6),
    "the best counts, not the last": ([5, 1, 2, 1.5, 1.2, 1.1], 3, 0.0, 4),
}


@pytest.mark.parametrize("case", PLATEAUS)
def test_plateau_stops_when_the_best_loss_no_longer_falls(case):
    losses, patience, min_delta, steps = PLATEAUS[case]
    history = run(losses, stop=[plateau(patience, min_delta)])
    if steps is None:
        assert (history.stopped_by, history.steps) == ("steps", len(losses) - 1)
    else:
        assert (history.stopped_by, history.steps) == ("plateau", steps)
        assert history.reason == f"no progress of more than {min_delta:g} in {patience} steps, after {steps} steps"


STOPS = {  # validation losses, patience, every, (steps taken, best step)
    "two looks without a new low": ([5, 3, 4, 6, 1], 2, 1, (3, 1)),
    "no patience": ([5, 6, 1, 1], 1, 1, (1, 0)),
    "an equal loss is no new low": ([5, 3, 3, 3, 1], 2, 1, (3, 1)),
    "a new low in time": ([5, 6, 4, 5, 3, 4, 4], 2, 1, (6, 4)),
    "looks are counted, not steps": ([5, 3, 4, 6, 1], 2, 3, (9, 3)),
    "patience never runs out": ([5, 6, 7, 4], 3, 1, None),
    "no number is no low": ([5, math.nan, 4, math.nan, 6, 1], 2, 1, (4, 2)),
    "a first look that is no number never wins": ([math.nan, 4, 3, 5, 6, 1], 2, 1, (4, 2)),
    "nothing but no numbers": ([math.nan, math.nan, math.nan, 1], 2, 1, (2, 0)),
}


@pytest.mark.parametrize("case", STOPS)
def test_early_stopping_waits_for_a_new_low(case):
    losses, patience, every, expected = STOPS[case]
    rest = iter(losses)
    rule = EarlyStopping(lambda params: next(rest), patience, every)
    steps = (len(losses) - 1) * every
    history = run([1.0] * (steps + 1), stop=[rule])
    taken, best = expected or (steps, steps)
    assert (history.stopped_by, history.steps) == ("EarlyStopping" if expected else "steps", taken)
    np.testing.assert_array_equal(rule.losses, losses[: taken // every + 1])
    assert rule.step == best
    assert rule.params is history.params[best]
    if expected:
        numbers = [loss for loss in rule.losses if not math.isnan(loss)]
        lowest = f"no lower validation loss than {min(numbers, default=math.inf):g}, seen after {best} steps"
        assert history.reason == f"{lowest}, after {taken} steps"


def test_early_stopping_looks_at_the_parameters():
    rule = EarlyStopping(lambda params: abs(float(params[0][0]) - 2), patience=2)
    assert halve(stop=[rule]).steps == 4  # x is 8, 4, 2, 1, 1/2
    np.testing.assert_array_equal(rule.params, [[2.0]])


def test_early_stopping_needs_parameters():
    with pytest.raises(ValueError, match="this run keeps no parameters; train with keep_params=True"):
        halve(stop=[EarlyStopping(lambda params: 1.0, 2)], keep_params=False)


def test_to_a_plateau_any_fall_is_progress_unless_told_otherwise():
    assert run([1.0, 1.0 - 1e-12, 1.0 - 2e-12], stop=[plateau(1)]).stopped_by == "steps"


def test_a_rule_may_hold_before_the_first_step():
    history = halve(stop=[loss_below(100)])
    assert (history.stopped_by, history.steps, history.rates) == ("loss_below", 0, [])
    assert history.path.tolist() == [[8.0]]


def test_a_rule_that_holds_at_the_limit_is_the_reason():
    history = halve(steps=3, stop=[loss_below(1.0)])
    assert (history.stopped_by, history.steps) == ("loss_below", 3)


def test_the_first_rule_that_holds_is_the_reason():
    assert halve(stop=[loss_below(2.0), gradient_norm_below(2.0)]).stopped_by == "loss_below"
    assert halve(stop=[gradient_norm_below(2.0), loss_below(2.0)]).stopped_by == "gradient_norm_below"


def test_divergence_comes_before_every_rule():
    assert run([math.nan, 1.0], stop=[lambda history: "always"]).stopped_by == "diverged"
    assert run([0.0, -math.inf], stop=[loss_below(-1)]).stopped_by == "diverged"


def test_a_rule_of_ones_own():
    def third(history):
        return "third step" if history.steps == 3 else None

    history = halve(stop=[third])
    assert (history.stopped_by, history.steps, history.reason) == ("third", 3, "third step, after 3 steps")
    assert halve(stop=[functools.partial(third)]).stopped_by == "partial"


def test_the_rules_may_come_from_a_generator():
    assert halve(stop=(loss_below(threshold) for threshold in (-1, 2.0))).stopped_by == "loss_below"


def test_a_rule_by_itself_is_not_a_list():
    with pytest.raises(TypeError, match=r"stop must be a list of stopping rules.*put a single one in a list"):
        halve(stop=loss_below(1))


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: loss_below(math.nan), ValueError, "loss_below: threshold must be a finite number, got nan"),
        (lambda: loss_below("1"), TypeError, "loss_below: threshold must be a finite number, got '1'"),
        (lambda: gradient_norm_below(-1), ValueError, "gradient_norm_below: threshold must be .* >= 0, got -1"),
        (lambda: plateau(0), ValueError, "plateau: patience must be a whole number >= 1, got 0"),
        (lambda: EarlyStopping(3.0, 1), TypeError, "validation_loss must be a function of the parameters, got 3.0"),
        (lambda: EarlyStopping(sum, 0), ValueError, "EarlyStopping: patience must be a whole number >= 1, got 0"),
        (lambda: EarlyStopping(sum, 1, 0), ValueError, "EarlyStopping: every must be a whole number >= 1, got 0"),
        (lambda: plateau(1.5), ValueError, "plateau: patience must be a whole number >= 1, got 1.5"),
        (lambda: plateau(3, -0.1), ValueError, "plateau: min_delta must be a finite number >= 0, got -0.1"),
        (lambda: plateau(3, None), TypeError, "plateau: min_delta must be a finite number >= 0, got None"),
        (lambda: halve(divergence=0), ValueError, "train: divergence must be a number > 0, got 0"),
        (lambda: halve(divergence=math.nan), ValueError, "train: divergence must be a number > 0, got nan"),
        (lambda: halve(divergence="big"), TypeError, "train: divergence must be a number > 0, got 'big'"),
    ],
)
def test_a_bad_threshold_is_named(make, error, words):
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize("make", [loss_below, gradient_norm_below, lambda n: plateau(3, n)])
def test_thresholds_may_be_numpy_numbers(make):
    assert halve(steps=2, stop=[make(np.float32(0.0))]).stopped_by == "steps"


# ---------- divergence ----------


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_has_diverged(loss):
    history = run([1.0, 1.0, loss], steps=9)
    assert (history.stopped_by, history.steps) == ("diverged", 2)
    assert f"loss {loss:.4g}" in history.reason
    assert "after 2 steps" in history.reason


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_has_diverged(bad):
    def broken(params):
        return 1.0, [np.array([1.0, bad]), np.ones(1)]

    history = train(broken, [np.zeros(2), np.zeros(1)], Optimizer(adam), steps=9)
    assert (history.stopped_by, history.steps, history.losses) == ("diverged", 0, [1.0])
    assert "gradient norm" in history.reason


@pytest.mark.parametrize(
    ("losses", "diverged"),
    [
        ([2.0, 2.0 + 20.0], False),  # above by 10 times the first loss, exactly
        ([2.0, 22.1], True),
        ([0.0, 10.0], False),  # a first loss below 1 counts as 1
        ([0.0, 10.1], True),
        ([-5.0, 45.0], False),
        ([-5.0, 45.1], True),
        ([100.0, -1e9], False),
    ],
)
def test_divergence_is_measured_from_the_first_loss(losses, diverged):
    history = run(losses, divergence=10)
    assert (history.stopped_by == "diverged") is diverged
    if diverged:
        assert history.reason == f"loss {losses[1]:.4g} after 1 steps, from {losses[0]:.4g}"


def test_a_million_times_the_first_loss_has_diverged_unless_told_otherwise():
    assert run([2.0, 2e6]).stopped_by == "steps"
    assert run([2.0, 2.1e6]).stopped_by == "diverged"


def test_divergence_can_be_switched_off():
    assert run([1.0, 1e300], divergence=math.inf).stopped_by == "steps"


def test_a_rate_beyond_the_limit_diverges_on_the_step_that_theory_says():
    """On x**2 / 2 with rate 3, x doubles and turns at each step: the loss is 4**t / 2."""
    history = train(half_square, [np.ones(1)], Optimizer(gradient_descent, lr=3.0), steps=100, divergence=1000)
    assert (history.stopped_by, history.steps) == ("diverged", 6)  # (4**6 - 1) / 2 > 1000 > (4**5 - 1) / 2


@pytest.mark.parametrize("name", [name for name, f in RULES.items() if f.each != "matrix" and not f.takes_curvature])
@pytest.mark.parametrize("landscape", LANDSCAPES)
def test_a_run_with_any_rate_ends_without_warning_or_error(name, landscape):
    with warnings.catch_warnings(action="error"):
        for lr in (1e-3, 1.0, 1e3, 1e100, 1e308):
            start = np.array(LANDSCAPES[landscape].start)
            history = train(
                objective(LANDSCAPES[landscape]), [start], Optimizer(RULES[name], lr=lr), steps=30, divergence=math.inf
            )
            assert history.stopped_by in ("steps", "diverged")
            assert len(history.losses) == len(history.params) == len(history.rates) + 1 == history.steps + 1
            assert all(np.isfinite(params[0]).all() for params in history.params)


def test_a_step_that_overflows_has_diverged():
    history = train(lambda params: (1.0, [np.full(1, 1e200)]), [np.zeros(1)], Optimizer(adam), steps=9)
    assert (history.stopped_by, history.steps, history.rates) == ("diverged", 0, [])
    assert "adam: after this step" in history.reason
    assert history.reason.endswith("This was step 1.")


# ---------- containers, libraries, resuming ----------


def test_a_tuple_of_gradients_fits_a_list_of_parameters():
    history = train(
        lambda params: (1.0, tuple(params)), [np.array([8.0])], Optimizer(gradient_descent, lr=0.5), steps=1
    )
    assert history.params[1][0].tolist() == [4.0]


@pytest.mark.parametrize("kind", [list, tuple, dict])
def test_the_container_is_kept(kind):
    start = {"w": np.ones(2), "b": np.ones(())}
    params = start if kind is dict else kind(start.values())
    like = lambda values: dict(zip(start, values, strict=True)) if kind is dict else kind(values)

    def quadratics(params):
        arrays = list(params.values() if kind is dict else params)
        return float(sum((a**2).sum() for a in arrays)) / 2, like(arrays)

    history = train(quadratics, params, Optimizer(momentum, lr=0.1), steps=3)
    assert all(type(params) is kind for params in history.params)
    assert history.losses[-1] < history.losses[0]


def test_torch_tensors():
    def with_autograd(params):
        (x,) = (p.clone().requires_grad_() for p in params)
        loss = rosenbrock.value(*x)
        return loss.detach(), torch.autograd.grad(loss, [x])

    start = torch.tensor([-1.2, 1.0], dtype=torch.float64)
    theirs = train(with_autograd, [start], Optimizer(adam, lr=0.02), steps=50)
    ours = train(objective(rosenbrock), [start.numpy()], Optimizer(adam, lr=0.02), steps=50)
    assert type(theirs.params[-1][0]) is torch.Tensor
    np.testing.assert_allclose(theirs.losses, ours.losses, rtol=1e-9)
    np.testing.assert_allclose(theirs.path, ours.path, rtol=1e-9)
    assert start.tolist() == [-1.2, 1.0]


def test_an_optimizer_goes_on_from_where_it_is():
    whole = train(objective(rosenbrock), [np.array([-1.2, 1.0])], Optimizer(adam, lr=0.02), steps=40)
    optimizer = Optimizer(adam, lr=0.02)
    first = train(objective(rosenbrock), [np.array([-1.2, 1.0])], optimizer, steps=15)
    second = train(objective(rosenbrock), first.params[-1], optimizer, steps=25)
    assert optimizer.t == 40
    assert first.losses[:-1] + second.losses == whole.losses
    np.testing.assert_array_equal(np.concatenate([first.path[:-1], second.path]), whole.path)


def test_a_rule_without_a_rate_has_no_rates():
    @rule
    def sign(x, g):
        return x - np.sign(g)

    history = train(half_square, [np.array([3.0])], Optimizer(sign), steps=2)
    assert history.path.tolist() == [[3.0], [2.0], [1.0]]
    assert all(math.isnan(rate) for rate in history.rates)


# ---------- objectives ----------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("landscape", LANDSCAPES.values(), ids=list(LANDSCAPES))
def test_a_landscape_is_an_objective(landscape, dtype):
    point = np.array(landscape.start, dtype)
    loss, (gradient,) = objective(landscape)([point])
    assert loss == landscape.value(*point)
    assert gradient.tolist() == list(landscape.gradient(*point))
    assert (gradient.shape, gradient.dtype) == ((2,), dtype)


def test_a_landscape_is_an_objective_for_tensors():
    loss, (gradient,) = objective(quadratic(3))([torch.tensor([1.0, 2.0])])
    assert (float(loss), gradient.tolist()) == (6.5, [1.0, 6.0])


@pytest.mark.parametrize(
    "params", [[np.zeros(3)], [np.zeros(2), np.zeros(2)], [], [0.0], {"x": np.zeros(2)}, [np.zeros((2, 2))]], ids=repr
)
def test_a_landscape_takes_one_point(params):
    with pytest.raises(ValueError, match=r"params must be \[point\]"):
        objective(bowl)(params)


@pytest.mark.parametrize(
    ("result", "error", "words"),
    [
        (None, TypeError, r"objective must return \(loss, gradients\), got None"),
        (1.0, TypeError, r"objective must return \(loss, gradients\), got 1.0"),
        ((1.0,), TypeError, r"objective must return \(loss, gradients\)"),
        ((1.0, [np.ones(1)], 2), TypeError, r"objective must return \(loss, gradients\)"),
        (("high", [np.ones(1)]), TypeError, "a number as its loss, got 'high'"),
        ((None, [np.ones(1)]), TypeError, "a number as its loss, got None"),
        ((1j, [np.ones(1)]), TypeError, "a number as its loss, got 1j"),
        ((np.ones(2), [np.ones(1)]), TypeError, "a number as its loss"),
        ((torch.ones(2), [np.ones(1)]), TypeError, "a number as its loss"),
        (([np.ones(1)], 1.0), TypeError, "objective must return"),  # the wrong way round
        ((1.0, np.ones(1)), TypeError, r"grads must be a list.*put a single array in a list: \[grads\]"),
        ((1.0, None), TypeError, "grads must be a list"),
        ((1.0, [None]), TypeError, "arrays as its gradients, got None"),
        ((1.0, [2.0]), TypeError, "arrays as its gradients, got 2.0"),
        ((1.0, []), ValueError, "grads has 0 arrays for 1 parameters"),
        ((1.0, {"w": np.ones(1)}), TypeError, "same kind of container"),
        ((1.0, [np.ones(2)]), ValueError, r"grads\[0\] has shape \(2,\)"),
        ((1.0, [np.ones(1, np.float32)]), TypeError, r"grads\[0\] has dtype float32"),
    ],
    ids=repr,
)
def test_an_objective_that_returns_something_else_is_told_so(result, error, words):
    with pytest.raises(error, match=words):
        train(lambda params: result, [np.zeros(1)], Optimizer(gradient_descent), steps=1)


def test_an_error_in_the_objective_passes_through():
    def broken(params):
        raise ZeroDivisionError("inside the objective")

    with pytest.raises(ZeroDivisionError, match="inside the objective"):
        train(broken, [np.zeros(1)], Optimizer(gradient_descent), steps=1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((bowl, [np.ones(2)], Optimizer(adam)), r"objective must be a function, got Landscape.*objective\("),
        ((objective(bowl), [np.ones(2)], adam), r"optimizer must be an Optimizer, got <function adam.*Optimizer\(adam"),
    ],
)
def test_the_likely_first_mistakes_are_named(arguments, words):
    with pytest.raises(TypeError, match=words):
        train(*arguments, steps=1)


def test_a_stopping_rule_is_no_text():
    with pytest.raises(TypeError, match="stop must be a list of stopping rules, got 'plateau'"):
        train(objective(bowl), [np.ones(2)], Optimizer(adam), steps=1, stop="plateau")


def test_the_norm_of_many_entries_survives_half_precision():
    gradient = np.ones(100_000, dtype=np.float16)
    history = train(lambda params: (0.0, [gradient]), [gradient], Optimizer(gradient_descent), steps=1)
    assert history.gradient_norms[0] == pytest.approx(100_000**0.5, rel=1e-3)
    assert history.stopped_by == "steps"
