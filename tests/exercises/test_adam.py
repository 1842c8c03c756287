"""The judges of the Adam chapter: a right answer passes, and each typical mistake is told its own name."""

import math

import numpy as np
import pytest

from lib.dialects import keras
from lib.exercises import adam as exercises
from lib.exercises.adam import BUGS, GRADIENTS, MISTAKES, RATE, START, check, longest, steps_of, suspects
from lib.optimizers import adam

GROWTH = 0.999 / 0.9
SILENCE = [0.0] * 6000


@pytest.fixture
def verdict(capsys):
    """A function that has an answer judged and returns what was printed."""

    def verdict(number, answer):
        check(number, answer)
        return capsys.readouterr().out

    return verdict


def _name(rule):
    return rule.__name__


def after_two_steps(rule):
    return START - steps_of(rule, GRADIENTS, lr=RATE).sum()


def test_steps_of_is_the_difference_of_positions():
    x, m, v = 1.0, 0.0, 0.0
    for t, g in enumerate(GRADIENTS, start=1):
        x, m, v = adam(x, g, m, v, t, lr=RATE)
    assert x == pytest.approx(after_two_steps(adam), abs=1e-15)


def test_the_mistakes_are_mistakes_and_differ_from_each_other():
    gradients = exercises.trial()
    paths = [steps_of(rule, gradients, lr=1.0) for rule in (adam, *MISTAKES)]
    for i, a in enumerate(paths):
        for b in paths[:i]:
            assert abs(a - b).max() > 1e-8


@pytest.mark.parametrize(
    ("mistake", "step"),
    [
        (exercises.no_correction, lambda g, m, v, eps: m * g / (v**0.5 * g + eps)),
        (exercises.t_stays_at_1, lambda g, m, v, eps: m / 0.1 * g / ((v / 0.001) ** 0.5 * g + eps)),
        (exercises.t_one_ahead, lambda g, m, v, eps: m / 0.271 * g / ((v / (1 - 0.999**3)) ** 0.5 * g + eps)),
        (exercises.only_m_corrected, lambda g, m, v, eps: g / (v**0.5 * g + eps)),
        (exercises.only_v_corrected, lambda g, m, v, eps: m * g / (g + eps)),
        (exercises.corrected_averages_kept, lambda g, m, v, eps: g / m / (g / v**0.5 + eps)),
        (exercises.eps_inside_the_root, lambda g, m, v, eps: g / (g**2 + eps) ** 0.5),
        (exercises.eps_left_out, lambda g, m, v, eps: 1.0),
        (exercises.eps_outside_the_parentheses, lambda g, m, v, eps: 1.0 - eps),
        (exercises.eps_hat, lambda g, m, v, eps: g / (g + eps / v**0.5)),
        (exercises.no_root, lambda g, m, v, eps: g / (g**2 + eps)),
        (exercises.wrong_way, lambda g, m, v, eps: -g / (g + eps)),
    ],
)
def test_a_mistake_is_what_its_name_says(mistake, step):
    # Two steps on a constant gradient g leave m = (1 - beta1**2) g and v = (1 - beta2**2) g**2.
    g, eps = 1e-4, 1e-8
    second = steps_of(mistake, [g, g], lr=1.0)[1]
    assert second == pytest.approx(step(g, 1 - 0.9**2, 1 - 0.999**2, eps), rel=1e-10)


def test_eps_hat_is_keras():
    gradients = exercises.trial()
    ours, theirs = (steps_of(rule, gradients, lr=1.0) for rule in (exercises.eps_hat, keras.adam))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=0)


RIGHT = {
    1: after_two_steps(adam),
    2: (44, 4603),
    3: adam,
    4: lambda eps, beta2, t: eps / (1 - beta2**t) ** 0.5,
    5: {"A": "t stays at 1", "B": "betas swapped", "C": "eps inside the root"},
    6: SILENCE + list(GROWTH ** np.arange(80)),
    7: 3751,
}


@pytest.mark.parametrize("number", RIGHT)
def test_right(verdict, number):
    assert verdict(number, RIGHT[number]).startswith(f"Exercise {number}: right.")


@pytest.mark.parametrize("number", RIGHT)
def test_open(verdict, number):
    assert "replace the dots" in verdict(number, ...)


# On two gradients an eps that only moves x by 1e-8 cannot be told from none.
@pytest.mark.parametrize("mistake", [m for m in MISTAKES if m is not exercises.eps_outside_the_parentheses], ids=_name)
def test_exercise_1_names_the_mistake(verdict, mistake):
    assert MISTAKES[mistake] in verdict(1, after_two_steps(mistake))


@pytest.mark.parametrize("mistake", MISTAKES, ids=_name)
def test_exercise_3_names_the_mistake(verdict, mistake):
    assert MISTAKES[mistake] in verdict(3, mistake)


def test_exercise_2_is_the_first_step_within_one_percent():
    for beta in 0.9, 0.99, 0.999:
        t = exercises.settled(beta)
        assert beta**t < 0.01 <= beta ** (t - 1)


def in_place(x, g, m, v, t, **hyperparameters):
    m *= 0.9
    m += 0.1 * g
    return adam(x, g, m, v, t, **hyperparameters)


def from_zero(x, g, m, v, t, **hyperparameters):
    return adam(x, g, m, v, t - 1, **hyperparameters)


def slightly_off(x, g, m, v, t, **hyperparameters):
    return adam(x, g, m, v, t, **hyperparameters | {"beta2": 0.9990001})


def not_squared(x, g, m, v, t, *, lr, beta1, beta2, eps):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g
    return x - lr * m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + eps), m, v


def math_root(x, g, m, v, t, **hyperparameters):
    math.sqrt(v)
    return adam(x, g, m, v, t, **hyperparameters)


# Right at lr = 1, x = 0 and the default hyperparameters, and nowhere else.
def lr_forgotten(x, g, m, v, t, *, lr, **others):
    return adam(x, g, m, v, t, lr=1, **others)


def x_forgotten(x, g, m, v, t, **hyperparameters):
    return adam(0 * x, g, m, v, t, **hyperparameters)


def defaults_written_in(x, g, m, v, t, *, lr, **others):
    return adam(x, g, m, v, t, lr=lr)


def lr_squared(x, g, m, v, t, *, lr, **others):
    return adam(x, g, m, v, t, lr=lr**2, **others)


def another_order(x, g, m, v, t, *, lr, beta1, beta2, eps):
    m = m + (1 - beta1) * (g - m)
    v = v + (1 - beta2) * (g * g - v)
    return x - lr / (1 - beta1**t) * m / (np.sqrt(v) / np.sqrt(1 - beta2**t) + eps), m, v


def test_exercise_3_takes_adam_in_another_order(verdict):
    assert "right" in verdict(3, another_order)


WRONG = [
    (1, START - steps_of(adam, GRADIENTS, lr=RATE)[0], "after the first step"),
    (1, 0.9, "after the first step"),
    (1, 0.8734, "seven decimals"),
    (1, after_two_steps(adam) + 1e-5, "seven decimals"),
    (1, after_two_steps(adam) + 1e-3, "line by line"),
    (1, (1.0, 2.0), "One number"),
    (1, "x", "A number or an array was expected"),
    (2, (4603, 44), "wrong order"),
    (2, (10, 1000), "windows"),
    (2, (43, 4602), "too early"),
    (2, (43.71, 4602.9), "round up"),
    (2, (50, 5000), "logarithm of both sides"),
    (2, (44, 4605), "logarithm of beta itself"),
    (2, (47, 4606), "logarithm of beta itself"),
    (2, 44, "Two numbers"),
    (3, from_zero, "first step has t = 1"),
    (3, in_place, "changes its argument m in place"),
    (3, slightly_off, "leaves the library's path at step 2 "),
    (3, lambda *a, **k: 0.0, "a tuple of 3"),
    (3, lambda *a, **k: list(adam(*a, **k)), "a tuple of 3"),
    (3, math_root, "use np.sqrt"),
    (3, not_squared, "v averages the squares"),
    (3, lr_forgotten, "every hyperparameter"),
    (3, x_forgotten, "every hyperparameter"),
    (3, defaults_written_in, "every hyperparameter"),
    (3, lr_squared, "every hyperparameter"),
    (3, 0.1, "function itself"),
    (3, lambda *a, **k: ..., "still returns the dots"),
    (4, 1e-8, "function itself"),
    (4, lambda eps, beta2, t: None, "returned None"),
    (4, lambda eps, beta2, t: ..., "still returns the dots"),
    (4, lambda eps, beta2, t: eps, "same number"),
    (4, lambda eps, beta2, t: eps * (1 - beta2**t) ** 0.5, "other way round"),
    (4, lambda eps, beta2, t: eps / (1 - beta2**t), "root is missing"),
    (4, lambda eps, beta2, t: eps / (1 - beta2) ** 0.5, "first step only"),
    (4, lambda eps, beta2, t: eps / (1 - beta2 ** (t + 1)) ** 0.5, "one ahead"),
    (4, lambda eps, beta2, t: eps / (1 - beta2 ** (t - 1)) ** 0.5, "one behind"),
    (4, lambda eps, beta2, t: 2 * eps, "beta2 = 0"),
    (5, RIGHT[5] | {"A": "root missing"}, "A is innocent of 'root missing'"),
    (5, RIGHT[5] | {"A": "eps outside the parentheses"}, "first gradient of 1e-8"),
    (5, RIGHT[5] | {"B": "no idea"}, "not on the list"),
    (5, "A", "A dict"),
    (6, [1.0] * 30, "steady gradient from the start"),
    (6, [*SILENCE, 1.0], "one gradient after a silence"),
    (6, SILENCE + [1.0] * 12, "constant gradient after a silence"),
    (6, SILENCE + list(1.05 ** np.arange(60)), "Cauchy-Schwarz"),
    (6, SILENCE + list(2.0 ** np.arange(60)), "not at the rate"),
    (6, list(GROWTH ** np.arange(80)), "begin with a long silence"),
    (6, SILENCE + list(GROWTH ** -np.arange(80)), "only the last step counts"),
    (6, SILENCE + list(GROWTH ** np.arange(19)), "Cauchy-Schwarz"),
    (6, [0.0] * 2000 + list(GROWTH ** np.arange(80)), "lengthen the silence"),
    (6, [0.0] * 1200 + list(GROWTH ** np.arange(80)), "lengthen the silence"),
    (6, [0.0, 0.0], "no gradient"),
    (6, [[1.0]], "A list"),
    (7, 1000, "window of v"),
    (7, 10, "window of m"),
    (7, 4498, "its *root*"),
    (7, 10655, "weight of 1 - beta2"),
    (7, 2301, "0.7 rates"),
    (7, 3750, "round up"),
    (7, 3750.6, "round up"),
    (7, 3752, "set 1 / sqrt(v) = 0.9"),
    (7, 3740, "set 1 / sqrt(v) = 0.9"),
    (7, (1, 2), "shape"),
    (7, "x", "A number or an array was expected"),
]  # fmt: skip


def test_exercise_6_takes_a_step_within_one_percent_of_the_bound(verdict):
    history = SILENCE + list(1.146 ** np.arange(80))
    share = steps_of(adam, history, lr=1.0, eps=1e-100)[-1] / longest()
    assert 0.99 < share < 0.9905  # so near that a slip of a thousandth in the judge shows
    assert "right" in verdict(6, history)


@pytest.mark.parametrize(("number", "answer", "hint"), WRONG)
def test_wrong(verdict, number, answer, hint):
    said = verdict(number, answer)
    assert "not yet" in said
    assert hint in said


def test_every_suspect_has_its_bug():
    assert steps_of(suspects["A"], np.ones(12), lr=1.0)[-1] == pytest.approx(
        (1 - 0.9**12) / 0.1 / ((1 - 0.999**12) / 0.001) ** 0.5, rel=1e-6
    )
    spike = np.eye(1, 101)[0]  # each step after it, m keeps 0.999 of itself and the root of v only 0.9**0.5
    later = steps_of(suspects["B"], spike, lr=1.0)
    correction = (1 - 0.9**101) ** 0.5 / (1 - 0.999**101) * 0.001 / 0.1**0.5
    assert later[-1] == pytest.approx(correction * (0.999 / 0.9**0.5) ** 100, rel=1e-4)
    assert steps_of(suspects["C"], [1e-6], lr=1.0)[0] == pytest.approx(1e-6 / (1e-12 + 1e-8) ** 0.5)
    outside = exercises.eps_outside_the_parentheses
    assert steps_of(outside, [1e-8], lr=1.0)[0] == pytest.approx(1) != steps_of(adam, [1e-8], lr=1.0)[0]
    assert {guilty for guilty, _ in BUGS.values()} == {*suspects, None}


def test_no_history_beats_the_longest_step():
    draw = np.random.default_rng(0)
    beta1, beta2, t = 0.9, 0.999, 4000
    k = np.arange(t)
    share = (1 - beta1) * beta1**k, (1 - beta2) * beta2**k
    correction = (1 - beta2**t) ** 0.5 / (1 - beta1**t)
    best = GROWTH**-k
    histories = best * (1 + 0.1 * draw.standard_normal((200, t)))
    steps = correction * histories @ share[0] / np.sqrt(histories**2 @ share[1])
    reached = correction * best @ share[0] / np.sqrt(best**2 @ share[1])
    assert steps.max() < reached < longest() < 1.02 * reached


def test_a_spike_is_remembered_as_long_as_exercise_7_says():
    history, k = np.ones(20_000), exercises.recovered()
    history[10_000] = exercises.SPIKE
    steps = steps_of(adam, history, lr=1.0, eps=0.0)[10_000:]
    np.testing.assert_allclose(steps, exercises.steps_after_spike(10_000), rtol=1e-4)  # the correction is over by then
    late = np.flatnonzero(steps[100:] >= exercises.SHARE)[0] + 100  # the first steps are long, for m has the spike, too
    assert late == k
