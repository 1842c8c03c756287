"""The answers to the exercises of chapters/adam.ipynb.

A typical mistake is recognized by making it: `MISTAKES` holds Adam with one error each, and an answer that agrees with
one of them is told which.
"""

import math

import numpy as np

from lib.arrays import sqrt
from lib.exercises import (
    Exercises,
    Wrong,
    convict,
    expect_path,
    expect_step,
    mistaken,
    name_mistake,
    near,
    result_of,
    several,
)
from lib.optimizers import adam
from lib.optimizers.rule import named_for

check = Exercises()

DEFAULTS = adam.defaults


def betas_swapped(x, g, m, v, t, *, lr, beta1, beta2, eps):
    return adam(x, g, m, v, t, lr=lr, beta1=beta2, beta2=beta1, eps=eps)


def no_correction(x, g, m, v, t, **hyperparameters):
    return adam(x, g, m, v, math.inf, **hyperparameters)


def t_stays_at_1(x, g, m, v, t, **hyperparameters):
    return adam(x, g, m, v, 1, **hyperparameters)


def t_one_ahead(x, g, m, v, t, **hyperparameters):
    return adam(x, g, m, v, t + 1, **hyperparameters)


def only_m_corrected(x, g, m, v, t, *, lr, eps, **betas):
    _, m, v = adam(x, g, m, v, t, **betas)
    return x - lr * m / (1 - betas["beta1"] ** t) / (sqrt(v) + eps), m, v


def only_v_corrected(x, g, m, v, t, *, lr, eps, **betas):
    _, m, v = adam(x, g, m, v, t, **betas)
    return x - lr * m / (sqrt(v / (1 - betas["beta2"] ** t)) + eps), m, v


def corrected_averages_kept(x, g, m, v, t, **hyperparameters):
    x, m, v = adam(x, g, m, v, t, **hyperparameters)
    return x, m / (1 - hyperparameters["beta1"] ** t), v / (1 - hyperparameters["beta2"] ** t)


def eps_inside_the_root(x, g, m, v, t, *, lr, eps, **betas):
    _, m, v = adam(x, g, m, v, t, **betas)
    return x - lr * m / (1 - betas["beta1"] ** t) / sqrt(v / (1 - betas["beta2"] ** t) + eps), m, v


def eps_outside_the_parentheses(x, g, m, v, t, *, eps, **hyperparameters):
    x, m, v = adam(x, g, m, v, t, eps=0, **hyperparameters)
    return x + eps, m, v


def eps_hat(x, g, m, v, t, *, eps, **hyperparameters):
    return adam(x, g, m, v, t, eps=eps / math.sqrt(1 - hyperparameters["beta2"] ** t), **hyperparameters)


def eps_left_out(x, g, m, v, t, *, eps, **hyperparameters):
    return adam(x, g, m, v, t, eps=0, **hyperparameters)


def no_root(x, g, m, v, t, *, lr, eps, **betas):
    _, m, v = adam(x, g, m, v, t, **betas)
    return x - lr * m / (1 - betas["beta1"] ** t) / (v / (1 - betas["beta2"] ** t) + eps), m, v


def wrong_way(x, g, m, v, t, *, lr, **hyperparameters):
    return adam(x, g, m, v, t, lr=-lr, **hyperparameters)


MISTAKES = {
    betas_swapped: "You have swapped the betas: beta1 belongs to the average of gradients, beta2 to that of squares.",
    no_correction: "The bias correction is missing: divide m by 1 - beta1**t and v by 1 - beta2**t.",
    t_stays_at_1: "t does not move: it is the number of the step, so the second step has t = 2.",
    t_one_ahead: "t runs one ahead: the first step has t = 1.",
    only_m_corrected: "Only m is corrected; v starts at zero as well, so divide it by 1 - beta2**t.",
    only_v_corrected: "Only v is corrected; m starts at zero as well, so divide it by 1 - beta1**t.",
    corrected_averages_kept: "Keep the plain m and v from step to step; the corrected ones serve one step only.",
    eps_inside_the_root: "eps stands inside the root; in Algorithm 1 it is added after the root is taken.",
    eps_left_out: "eps is left out; here the gradients are small enough for it to count.",
    eps_outside_the_parentheses: "eps stands outside the parentheses, so it moves x itself: write m / (sqrt(v) + eps).",
    eps_hat: "This is the form with eps-hat, Keras' dialect; Algorithm 1 adds eps to the root of the *corrected* v.",
    no_root: "The root is missing: divide by sqrt(v_hat) + eps.",
    wrong_way: "You walk uphill: the step is subtracted.",
}


def steps_of(rule, gradients, **hyperparameters):
    """The steps (in parameter units, positive downhill for a positive gradient) that ``rule`` takes on ``gradients``.

    Args:
        rule: Adam, or something with its signature.
        gradients: one gradient a step: array (steps,) or (steps, *shape of the parameter).
        hyperparameters: those that differ from Adam's defaults.
    """
    gradients, steps = np.asarray(gradients, dtype=float), []
    given = DEFAULTS | hyperparameters
    given = named_for(rule, given) if hasattr(rule, "defaults") else given  # a dialect's rule has names of its own
    m = v = np.zeros_like(gradients[0])
    for t, g in enumerate(gradients, start=1):
        # The parameter starts each step at zero: next to a large one, a small step would lose its digits.
        moved, m, v = rule(np.zeros_like(g), g, m, v, t, **given)
        steps.append(-moved)
    return np.array(steps)


# Exercise 1: two steps by hand.
START, RATE, GRADIENTS = 1.0, 0.1, (2e-4, -1e-4)


@check.exercise(1)
def two_steps(answer):
    if np.shape(answer) != ():
        raise Wrong("One number is asked for: x after two steps.")
    first, second = steps_of(adam, GRADIENTS, lr=RATE)
    name_mistake(answer, lambda rule: START - steps_of(rule, GRADIENTS, lr=RATE).sum(), adam, MISTAKES, 1e-7)
    mistaken(answer, START - first, "This is x after the first step; take one more.", 1e-5)
    if np.asarray(answer).dtype.kind in "iuf" and 1e-7 < abs(answer - (START - first - second)) < 5e-4:
        raise Wrong("Near, but seven decimals are asked for: keep every digit until the end.")
    near(answer, START - first - second, 1e-7, "Compare m, v, m_hat and v_hat with the solution, line by line.")
    return "The second gradient points back, but the average still points on, so x moves on, by a shorter step."


# Exercise 2: how long the correction matters.
def settled(beta, share=0.01):
    """The first step at which an average with ``beta`` is less than ``share`` below its corrected value."""
    return math.floor(math.log(share) / math.log(beta)) + 1


@check.exercise(2)
def correction_is_over(answer):
    given = tuple(float(step) for step in several(answer, "(step for m, step for v)"))
    betas = DEFAULTS["beta1"], DEFAULTS["beta2"]
    m, v = map(settled, betas)
    windows = [1 / (1 - beta) for beta in betas]
    mistaken(given, (v, m), "The right numbers in the wrong order: v has the longer memory.", 1e-9)
    mistaken(given, windows, "The windows 1 / (1 - beta): after one, 1/e of the bias is still there.", 1e-9)
    mistaken(given, (m - 1, v - 1), "One step too early: beta**t is still above 0.01 there.", 1e-9)
    if given != (round(given[0]), round(given[1])) and np.allclose(given, (m, v), atol=1):
        raise Wrong("Steps are whole numbers: round up.")
    if 0 < given[1] - v <= 4:
        raise Wrong("Near: 1 - beta is only about -log(beta). Take the logarithm of beta itself.")
    near(given, (m, v), 1e-9, "Solve beta**t < 0.01 for t: take the logarithm of both sides and mind its sign.")
    return "For all these steps v is not v_hat: many a run ends before the correction does."


# Exercise 3: Adam from memory.
def trial(steps=100, seed=0):
    """What a rule is tried on: gradients (steps, 4) whose coordinates differ in size by eleven orders of magnitude."""
    return np.random.default_rng(seed).standard_normal((steps, 4)) * np.array([1e-8, 1e-4, 1.0, 1e3])


@check.exercise(3)
def from_memory(answer):
    gradients = trial()
    with np.errstate(all="ignore"):
        _expect_pure(answer, gradients[0])
        if np.any(answer(np.zeros(4), gradients[0], np.zeros(4), np.zeros(4), 1, **DEFAULTS)[2] < 0):
            raise Wrong("Your v is negative: v averages the squares, g**2.")
        given = steps_of(answer, gradients, lr=1.0)
    if not np.isfinite(given[0]).all():
        raise Wrong("The first step is not a number: 1 - beta**t is zero at t = 0, but the first step has t = 1.")
    name_mistake(given, lambda rule: steps_of(rule, gradients, lr=1.0), adam, MISTAKES)
    expect_path(given, steps_of(adam, gradients, lr=1.0), 1e-9)
    rng = np.random.default_rng(1)
    x, g, m = rng.normal(size=(3, 4))
    v, odd = rng.random(4), {"lr": 0.3, "beta1": 0.8, "beta2": 0.95, "eps": 1e-3}
    for ours, theirs in zip(answer(x, g, m, v, 7, **odd), adam(x, g, m, v, 7, **odd), strict=True):
        if not np.allclose(ours, theirs, rtol=1e-9, atol=1e-12):
            raise Wrong(
                "Right at lr = 1 from x = 0 with the defaults only: use x and every hyperparameter you are given."
            )
    return f"Equal to the library's over {len(gradients)} steps, for gradients of every size."


# Exercise 4: from Keras' epsilon to PyTorch's.
@check.exercise(4)
def epsilon_for_torch(answer):
    same = "With beta2 = 0 nothing is averaged: both forms need the same eps."
    near(result_of(answer, 1e-7, 0.0, 3) / 1e-7, 1.0, 1e-9, same)
    for eps, beta2, t in (1e-7, 0.999, 100), (1e-3, 0.9, 7), (1e-7, 0.999, 1):
        given, root = float(answer(eps, beta2, t)) / eps, math.sqrt(1 - beta2**t)
        for value, hint in {
            1.0: "The same number: then the two differ at every step, and most at the first.",
            root: "The other way round: this takes PyTorch's eps to Keras'. Divide instead of multiplying.",
            1 / root**2: "The root is missing: eps stands beside sqrt(v), so it scales as sqrt(1 - beta2**t) does.",
            1 / math.sqrt(1 - beta2): "Right at the first step only; the factor depends on t.",
            1 / math.sqrt(1 - beta2 ** (t + 1)): "t runs one ahead: the first step has t = 1.",
            1 / math.sqrt(1 - beta2 ** (t - 1)) if t > 1 else math.inf: "t runs one behind: the first step has t = 1.",
        }.items():
            if math.isclose(given, value, rel_tol=1e-9) and not math.isclose(value, 1 / root, rel_tol=1e-9):
                raise Wrong(hint)
        near(given * root, 1.0, 1e-9, "Set the two denominators equal: sqrt(v_hat) + eps, and (sqrt(v) + eps_hat).")
    return "The factor changes at every step: no constant eps makes the two frameworks agree."


# Exercise 5: three wrong Adams, known by what they do.
def _suspect(rule):
    def suspect(x, g, m, v, t, **hyperparameters):
        return rule(x, g, m, v, t, **DEFAULTS | hyperparameters)

    return suspect


suspects = {"A": _suspect(t_stays_at_1), "B": _suspect(betas_swapped), "C": _suspect(eps_inside_the_root)}
# bug: (who has it, what brings it to light)
BUGS = {
    "betas swapped": ("B", "one gradient, then zeros"),
    "no bias correction": (None, "a single gradient"),
    "t stays at 1": ("A", "a constant gradient for 1000 steps"),
    "eps inside the root": ("C", "gradients of 1e-6"),
    "eps outside the parentheses": (None, "a first gradient of 1e-8, on which this bug takes a step of a whole rate,"),
    "root missing": (None, "the same gradients times ten"),
}


@check.exercise(5)
def which_bug(answer):
    convict(answer, suspects, BUGS, "give it {} and compare with the right Adam")
    return "None of the three crashes, and each can lower a loss: only a comparison finds them."


# Exercise 6: the longest step, in units of the rate, at eps = 0.
def longest_after_one(beta1=DEFAULTS["beta1"], beta2=DEFAULTS["beta2"]):
    """One gradient after an endless silence: the bound in section 2.1 of the paper."""
    return (1 - beta1) / math.sqrt(1 - beta2)


def longest_after_steady(beta1=DEFAULTS["beta1"], beta2=DEFAULTS["beta2"]):
    """The longest step on a constant gradient after an endless silence."""
    return max((1 - beta1**k) / math.sqrt(1 - beta2**k) for k in range(1, 1000))


def longest(beta1=DEFAULTS["beta1"], beta2=DEFAULTS["beta2"]):
    """The least upper bound over all histories of gradients, after an endless silence; see the chapter's proof."""
    return longest_after_one(beta1, beta2) / math.sqrt(1 - beta1**2 / beta2)


@check.exercise(6)
def make_it_jump(answer):
    gradients = np.asarray(answer, dtype=float)
    if gradients.ndim != 1 or not 1 <= len(gradients) <= 20_000 or not np.isfinite(gradients).all():
        raise Wrong("A list of 1 to 20,000 finite gradients of one parameter is asked for.")
    if not gradients.any():
        raise Wrong("With no gradient there is no step.")
    silent, grows = not gradients[:1000].any(), 0 < 1.001 * abs(gradients[-2:][0]) < abs(gradients[-1])
    gradients = gradients / abs(gradients).max()
    step, free = (abs(steps_of(rule, gradients, lr=1.0, eps=1e-100)[-1]) for rule in (adam, no_correction))
    said = f"The last step is {step:.3f} rates long"
    if silent and step < 0.99 * longest() and free > 0.999 * longest():
        raise Wrong(f"{said}: these gradients are right, but the correction is not over yet; lengthen the silence.")
    if step < 1 and silent:
        raise Wrong(
            f"{said}: the silence is there, but only the last step counts, so let the gradients grow towards it."
        )
    if grows and not silent and step < 0.99 * longest():
        raise Wrong(f"{said}: growing gradients help, once v has forgotten all others; begin with a long silence.")
    if grows and step < longest_after_steady():
        raise Wrong(f"{said}: they grow, but not at the rate that helps most; equality in Cauchy-Schwarz names it.")
    for bound, hint in {
        1.0: "a steady gradient from the start gives no more; v must forget first, so begin with a long silence.",
        longest_after_one(): "one gradient after a silence gives no more, whatever its size; send several.",
        longest_after_steady(): "a constant gradient after a silence gives no more; let the gradients change.",
        0.99 * longest() / 1.001: "you are near; equality in Cauchy-Schwarz names the ratio of successive gradients.",
    }.items():
        if step < bound * 1.001:
            raise Wrong(f"{said}: {hint}")
    return f"{said}; the bound is {longest():.3f}."


# Exercise 7: how long a spike is remembered.
SPIKE, SHARE = 100.0, 0.9


def steps_after_spike(steps, beta1=DEFAULTS["beta1"], beta2=DEFAULTS["beta2"], spike=SPIKE):
    """The steps in rates, at eps = 0, of a parameter whose gradients are 1 for ever, but for one of ``spike``, k = 0 to
    ``steps - 1`` steps after that one."""
    k = np.arange(steps)
    m = 1 + (spike - 1) * (1 - beta1) * beta1**k
    v = 1 + (spike**2 - 1) * (1 - beta2) * beta2**k
    return m / np.sqrt(v)


def recovered(share=SHARE, beta2=DEFAULTS["beta2"], spike=SPIKE):
    """The first k, once m has forgotten the spike, at which the step is ``share`` rates or longer."""
    return math.ceil(math.log((1 - beta2) * (spike**2 - 1) / (1 / share**2 - 1)) / -math.log(beta2))


@check.exercise(7)
def spike_forgotten(answer):
    beta2, excess = DEFAULTS["beta2"], 1 / SHARE**2 - 1
    per_step, height = -math.log(beta2), (1 - beta2) * (SPIKE**2 - 1)
    for value, hint in {
        1 / (1 - beta2): "That is the window of v; the square of a large spike takes several windows to fade.",
        1 / (1 - DEFAULTS["beta1"]): "That is the window of m; it is v that lasts.",
        math.log(height / (1 / SHARE - 1)) / per_step: "You compare v with 1/0.9; the step is one over its *root*.",
        math.log(height / (1 - beta2) / excess) / per_step: "The spike enters v with a weight of 1 - beta2, which is "
        "missing.",
        math.log(height) / per_step: "There v is 2 and the step 0.7 rates; wait until it is 0.9.",
    }.items():
        mistaken(answer, value, hint)
    right = recovered()
    if np.ndim(answer) == 0 and np.asarray(answer).dtype.kind in "iuf" and right - 1 <= answer < right:
        raise Wrong("Nearly: steps are whole numbers, and at this one the step is still below 0.9; round up.")
    hint = "Write down v k steps after the spike, and set 1 / sqrt(v) = 0.9; m is 1 again long before."
    near(answer, right, 1e-9, hint)
    return "For one batch the parameter is slowed down for thousands: v forgets squares, with a window of 1000."


def _expect_pure(rule, gradient):
    """Raise `Wrong` if ``rule`` does not return (x, m, v), or changes the arrays that it is given."""
    zeros = np.zeros_like
    try:
        expect_step(
            rule,
            {"x": zeros(gradient), "g": gradient.copy(), "m": zeros(gradient), "v": zeros(gradient)},
            1,
            **DEFAULTS,
        )
    except TypeError as error:
        if "converted to Python scalars" not in str(error):
            raise
        raise Wrong("x, g, m and v are arrays, and math.sqrt takes a number only: use np.sqrt.") from error
