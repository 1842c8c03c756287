"""The exercises of the chapter on Adam's family.

A typical mistake is recognized by making it: `MISTAKES` holds AdamW with one error each, and an answer that agrees with
one of them is told which.
"""

from functools import partial

import numpy as np

from lib.exercises import (
    Exercises,
    Wrong,
    convict,
    expect_path,
    expect_step,
    mistaken,
    name_mistake,
    near,
    several,
    walked,
)
from lib.experiments.adam_family import drift, first_lost, longest_of_adamax
from lib.optimizers import adam, adamax, adamw, amsgrad, nadam, radam
from lib.optimizers.rule import bare_step, first_state

check = Exercises()


def steps_of(rule, gradients, **hyperparameters):
    """The steps (positive downhill for a positive gradient) that ``rule`` takes on ``gradients``, at a rate of 1 and an
    eps of 0 unless told otherwise.

    Args:
        rule: of the family, or something with the signature of one.
        gradients: one a step, none of them 0 at the first: array (steps,) or (steps, *shape of the parameter).

    Returns:
        array of the shape of ``gradients``.
    """
    gradients, steps = np.asarray(gradients, dtype=float), []
    given = rule.defaults | {"lr": 1.0, "eps": 0.0} | hyperparameters
    x = np.zeros_like(gradients[0])  # where each step starts, so that a short one keeps its digits
    state = first_state(rule, x, given)
    for t, g in enumerate(gradients, start=1):
        moved, state = bare_step(rule, x, g, state, t, **given)
        steps.append(-moved)
    return np.array(steps)


# Exercise 1: one step, two decays.


@check.exercise(1)
def one_step(answer):
    """(with L2, with AdamW): where x is after the first step from 2, gradient 0.5, rate 0.1, decay 0.1, eps 0."""
    l2, decoupled = several(answer, "(with L2, with AdamW)")
    mistaken(l2, 1.93, "With L2: 0.1 times the gradient is gradient descent. Adam's first step is one rate long.", 1e-6)
    mistaken(l2, 1.88, "With L2 the decay is part of the gradient, and the first step divides by that: one rate.", 1e-6)
    near(l2, 1.9, 1e-6, "With L2: the gradient is 0.5 + 0.1 * 2, and the first step its sign times the rate.")
    mistaken(decoupled, 1.9, "With AdamW x shrinks as well, by rate times decay times x.", 1e-6)
    mistaken(decoupled, 1.7, "The decay is multiplied by the rate, too: 0.1 * 0.1 * 2.", 1e-6)
    mistaken(decoupled, 2 - 0.1 - 0.01, "The decay takes a share of x, which is 2.", 1e-6)
    mistaken(decoupled, 2 * 0.99 + 0.1, "You walk uphill: the step is subtracted.", 1e-6)
    near(decoupled, 1.88, 1e-6, "With AdamW: one rate for the gradient's sign, and 0.1 * 0.1 * 2 for the decay.")
    return "Unless the decay turns the gradient's sign, the first step of Adam with L2 does not know that there is one."


# Exercise 2: AdamW from memory.


def l2_instead(x, g, m, v, t, *, weight_decay, **given):
    return adam(x, g + weight_decay * x, m, v, t, **given)


def no_decay(x, g, m, v, t, *, weight_decay, **given):
    return adam(x, g, m, v, t, **given)


def decay_without_rate(x, g, m, v, t, *, weight_decay, **given):
    new, m, v = adam(x, g, m, v, t, **given)
    return new - weight_decay * x, m, v


def decay_grows(x, g, m, v, t, *, weight_decay, **given):
    return adamw(x, g, m, v, t, weight_decay=-weight_decay, **given)


def decay_divided(x, g, m, v, t, *, lr, weight_decay, **given):
    new, m, v = adam(x, g, m, v, t, lr=lr, **given)
    v_hat = v / (1 - given["beta2"] ** t)
    return new - lr * weight_decay * x / (np.sqrt(v_hat) + given["eps"]), m, v


def decays_after(x, g, m, v, t, *, lr, weight_decay, **given):
    new, m, v = adam(x, g, m, v, t, lr=lr, **given)
    return new * (1 - lr * weight_decay), m, v


def no_correction(x, g, m, v, t, **given):
    return adamw(x, g, m, v, np.inf, **given)


def eps_inside(x, g, m, v, t, *, lr, beta1, beta2, eps, weight_decay):
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
    step = m / (1 - beta1**t) / np.sqrt(v / (1 - beta2**t) + eps)
    return (1 - lr * weight_decay) * x - lr * step, m, v


def wrong_way(x, g, m, v, t, *, lr, weight_decay, **given):
    new, m, v = adam(x, g, m, v, t, lr=-lr, **given)
    return new - lr * weight_decay * x, m, v


MISTAKES = {
    l2_instead: "That is L2: the decay went through the gradient. Leave g alone, and shrink x beside the step.",
    no_decay: "That is Adam: weight_decay has to take its share of x.",
    decay_without_rate: "The decay is multiplied by the rate here, as in the frameworks: lr * weight_decay * x.",
    decay_grows: "The decay pushes x away from 0: it is subtracted.",
    decay_divided: "The decay is divided by the root of v: take it out of the quotient.",
    decays_after: "Here the x that decays has made its step already; take the share of the old x.",
    no_correction: "The averages keep their bias: divide m by 1 - beta1**t and v by 1 - beta2**t.",
    eps_inside: "Your eps stands under the root: add it to the root.",
    wrong_way: "You walk uphill: the step is subtracted.",
}


@check.exercise(2)
def from_memory(answer):
    """A function (x, g, m, v, t, *, lr, beta1, beta2, eps, weight_decay) -> (x, m, v): a step of AdamW."""
    given = adamw.defaults | {"lr": 0.1, "weight_decay": 0.5}
    gradients = np.random.default_rng(0).standard_normal((50, 3)) * np.array([1e-3, 1.0, 1e3])
    first = {"x": np.ones(3), "g": gradients[0].copy(), "m": np.full(3, 0.1), "v": np.ones(3)}
    expect_step(answer, first, 1, **given)
    walk = lambda step: walked(step, adamw, gradients, **given)
    with np.errstate(all="ignore"):
        path = walk(answer)
    name_mistake(path, walk, adamw, MISTAKES)
    expect_path(path, walk(adamw), 1e-9)
    return f"Equal to the library's over {len(gradients)} steps, for gradients of every size."


# Exercise 3: half-lives.


@check.exercise(3)
def half_lives(answer):
    """(with L2, with AdamW): steps until a weight is halved, with nothing but noise of size 50 as its gradient, at a
    rate of 0.001 and a decay of 0.1."""
    l2, decoupled = several(answer, "(with L2, with AdamW)")
    steps = np.log(2) / 1e-4
    mistaken(decoupled, 1 / 1e-4, "A share 1 - 1e-4 is left of each step: how often until a half is left?", 1e-3)
    mistaken(decoupled, 0.5 / 1e-4, "Each step takes its share of what is left: powers of 1 - 1e-4.", 1e-3)
    mistaken(decoupled, np.log(2) / 0.1, "The frameworks multiply the decay by the rate.", 1e-2)
    near(decoupled, steps, 0.02, "With AdamW each step leaves a share 1 - 0.001 * 0.1.")
    mistaken(l2, steps, "AdamW's is right. With L2 the decay is divided by the size of the gradients, 50.", 2e-3)
    mistaken(l2, steps / 50, "AdamW's is right. Dividing the decay by 50 makes it slower.", 2e-3)
    mistaken(l2, 2500 * steps, "AdamW's is right. Adam divides by the root of v, 50, not by v.", 2e-3)
    near(l2, 50 * steps, 0.02, "AdamW's is right. With L2 each step leaves a share 1 - 0.001 * 0.1 / 50.")
    return "The same decay, and one of the two takes fifty times as long: it depends on what the gradients are."


# Exercise 4: where they rest.


@check.exercise(4)
def rests(answer):
    """(with L2, with AdamW): where x rests, on average, with curvature 2, minimum 3, noise 100 and decay 0.1."""
    l2, decoupled = several(answer, "(with L2, with AdamW)")
    mistaken(l2, 0.5, "For L2 the noise does not matter: the mean gradient is 0, whatever it is divided by.")
    mistaken(l2, 3, "With L2 the decay moves the minimum: 2 (x - 3) + 0.1 x = 0.")
    near(l2, 6 / 2.1, 5e-3, "With L2: 2 (x - 3) + 0.1 x = 0.")
    mistaken(decoupled, 6 / 2.1, "L2's is right. AdamW divides the gradient by the noise, and not the decay.")
    mistaken(decoupled, 6 / (2 + 0.1 * 1e4), "L2's is right. Adam divides by the root of the mean square, 100.")
    mistaken(decoupled, 6 / (2 + 0.1 / 100), "L2's is right. The noise divides the gradient, not the decay.", 1e-4)
    near(decoupled, 0.5, 5e-3, "L2's is right. With AdamW: 2 (x - 3) / 100 + 0.1 x = 0.")
    return "Where the data say little, AdamW believes the decay. L2 weighs them as if nothing were known of the noise."


# Exercise 5: where a short window fails.


@check.exercise(5)
def where_it_fails(answer):
    """The smallest C above 2 at which Adam with betas of 0.9 and 0.95 goes the wrong way in the game of C rounds."""
    right = first_lost(0.9, 0.95)
    mistaken(answer, first_lost(0.0, 0.95), "That is without momentum: beta1 is 0.9.", 1e-9)
    mistaken(answer, first_lost(0.9, 0.999), "That is at beta2 = 0.999; here it is 0.95.", 1e-9)
    mistaken(answer, right - 1, "There the drift is still positive: one more.", 1e-9)
    mistaken(answer, round(2 * np.sqrt(20)), "That is the rule of thumb, without momentum: ask drift.", 1e-9)
    near(answer, right, 1e-9, "Count C up from 3 until drift(C, 0.9, 0.95) is negative.")
    return f"At {right - 1} it goes {drift(right - 1, 0.9, 0.95):.3f} rates a cycle the right way, then the wrong one."


# Exercise 6: Adamax's longest step.


@check.exercise(6)
def longest(answer):
    """A history of gradients whose last step is within 0.01 % of the longest that Adamax can take."""
    history = np.asarray(answer, dtype=float)
    if history.ndim != 1 or not 1 <= len(history) <= 20_000 or not np.isfinite(history).all() or history[0] == 0:
        raise Wrong("Up to 20,000 numbers are asked for, one gradient a step, the first of them not 0.")
    last, bound = abs(steps_of(adamax, history)[-1]), longest_of_adamax()
    if last <= 1 + 1e-9:
        raise Wrong(
            f"The last step is {last:.4f} rates long. A constant gradient gives 1. The gradients before have to be "
            "larger than the last, and u must have forgotten that: how fast may they fall?"
        )
    if last < (1 - 1e-4) * bound:
        raise Wrong(
            f"{last:.4f} rates: more than 1, and the bound is {bound:.4f}. Let them fall as fast as u does, and for "
            "longer."
        )
    return f"The last step is {last:.4f} rates long; the bound is {bound:.4f}, where the paper says 1."


# Exercise 7: RAdam that never divides.


@check.exercise(7)
def never_divides(answer):
    """The largest beta2 at which the paper's RAdam never divides by the root of v."""
    mistaken(answer, 2 / 3, "That is with a threshold of 5, as in PyTorch and optax; the paper's is 4.", 1e-3)
    mistaken(answer, 0.5, "There rho_inf is 3. What is it at the threshold?", 1e-3)
    mistaken(answer, 0.8, "2 / (1 - beta2) - 1 = 4 gives 1 - beta2 = 0.4.", 1e-3)
    near(answer, 0.6, 1e-6, "rho grows to 2 / (1 - beta2) - 1. When is that 4?")
    return "From there down RAdam is gradient descent with an average, and its rate is no length any more."


# Exercise 8: who is who.

FAMILY = {"AMSGrad": amsgrad, "Adamax": adamax, "Nadam": nadam, "RAdam": radam, "Adam": adam}
suspects = {name: partial(steps_of, rule) for name, rule in zip("ABC", (radam, adamax, amsgrad), strict=True)}
# name: (who it is, what tells it from the others)
NAMES = {
    "AMSGrad": ("C", "a single gradient"),
    "Adamax": ("B", "a gradient of 1 after one of 100"),
    "Nadam": (None, "a single gradient"),
    "RAdam": ("A", "a first gradient of 100"),
    "Adam": (None, "gradients of 100 and 1, and the first steps"),
}


@check.exercise(8)
def who_is_who(answer):
    convict(answer, suspects, NAMES, "give it {} and compare with the library's")
    return "Their steps give them away; a falling loss would not."
