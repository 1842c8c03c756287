"""The exercises of the chapter on Adadelta.

A typical mistake is recognized by making it: `MISTAKES` holds Adadelta with one error each, and an answer that agrees
with one of them is told which.
"""

import numpy as np

from lib.arrays import sqrt
from lib.exercises import Exercises, Wrong, convict, expect_path, expect_step, mistaken, name_mistake, near, several
from lib.optimizers import adadelta

check = Exercises()


def steps_of(rule, gradients, lr=1.0, rho=0.95, eps=1e-6):
    """The steps (in parameter units, positive downhill for a positive gradient) that ``rule`` takes on ``gradients``.

    Args:
        rule: Adadelta, or something with its signature.
        gradients: one a step: array (steps,) or (steps, *shape of the parameter).

    Returns:
        array of the shape of ``gradients``.
    """
    gradients, steps = np.asarray(gradients, dtype=float), []
    v, u = np.zeros_like(gradients[0]), np.zeros_like(gradients[0])
    for g in gradients:
        # The parameter starts each step at zero: next to a large one, a small step would lose its digits.
        moved, v, u = rule(np.zeros_like(g), g, v, u, lr=lr, rho=rho, eps=eps)
        steps.append(-moved)
    return np.array(steps)


def steps_left_out(x, g, v, u, *, lr, rho, eps):
    v = rho * v + (1 - rho) * g**2
    return x - lr * g / sqrt(v + eps), v, u


def faded_first(x, g, v, u, *, lr, rho, eps):
    v = rho * v + (1 - rho) * g**2
    step = sqrt(rho * u + eps) / sqrt(v + eps) * g
    return x - lr * step, v, rho * u + (1 - rho) * step**2


def old_squares(x, g, v, u, *, lr, rho, eps):
    step = sqrt(u + eps) / sqrt(v + eps) * g
    return x - lr * step, rho * v + (1 - rho) * g**2, rho * u + (1 - rho) * step**2


def eps_outside(x, g, v, u, *, lr, rho, eps):
    v = rho * v + (1 - rho) * g**2
    step = (sqrt(u) + eps) / (sqrt(v) + eps) * g
    return x - lr * step, v, rho * u + (1 - rho) * step**2


def eps_above_only(x, g, v, u, *, lr, rho, eps):
    v = rho * v + (1 - rho) * g**2
    step = sqrt(u + eps) / sqrt(v) * g
    return x - lr * step, v, rho * u + (1 - rho) * step**2


def eps_below_only(x, g, v, u, *, lr, rho, eps):
    v = rho * v + (1 - rho) * g**2
    step = sqrt(u) / sqrt(v + eps) * g
    return x - lr * step, v, rho * u + (1 - rho) * step**2


def gradients_in_u(x, g, v, u, *, lr, rho, eps):
    v = rho * v + (1 - rho) * g**2
    step = sqrt(u + eps) / sqrt(v + eps) * g
    return x - lr * step, v, rho * u + (1 - rho) * g**2


def rate_in_u(x, g, v, u, *, lr, rho, eps):
    v = rho * v + (1 - rho) * g**2
    step = lr * sqrt(u + eps) / sqrt(v + eps) * g
    return x - step, v, rho * u + (1 - rho) * step**2


def u_forgotten(x, g, v, u, *, lr, rho, eps):
    x, v, _ = adadelta(x, g, v, u, lr=lr, rho=rho, eps=eps)
    return x, v, u


def sums(x, g, v, u, *, lr, rho, eps):
    v = v + g**2
    step = sqrt(u + eps) / sqrt(v + eps) * g
    return x - lr * step, v, u + step**2


def roots_missing(x, g, v, u, *, lr, rho, eps):
    v = rho * v + (1 - rho) * g**2
    step = (u + eps) / (v + eps) * g
    return x - lr * step, v, rho * u + (1 - rho) * step**2


def shares_swapped(x, g, v, u, *, lr, rho, eps):
    return adadelta(x, g, v, u, lr=lr, rho=1 - rho, eps=eps)


def wrong_way(x, g, v, u, *, lr, rho, eps):
    return adadelta(x, g, v, u, lr=-lr, rho=rho, eps=eps)


MISTAKES = {
    steps_left_out: "That is RMSProp: the root of the squared steps, sqrt(u + eps), has to stand where its rate does.",
    faded_first: "u has faded before it is used: take the u that came in, and average after the step.",
    old_squares: "The v under the step is the old one: average g**2 into it first. (Only u lags behind.)",
    eps_outside: "eps stands outside the roots: both belong inside, sqrt(u + eps) and sqrt(v + eps).",
    eps_above_only: "eps is missing beside v.",
    eps_below_only: "eps is missing beside u: from u = 0 the walk never starts.",
    gradients_in_u: "u averages squared gradients; it has to average squared steps.",
    rate_in_u: "The rate has gone into u: average the step without lr, as all three frameworks do.",
    u_forgotten: "u comes back as it came in: average the squared step into it.",
    sums: "v and u are sums; averages forget: rho times the old, 1 - rho times the new.",
    roots_missing: "The roots are missing.",
    shares_swapped: "The shares are swapped: rho is the share of the old average that is kept.",
    wrong_way: "You walk uphill: the step is subtracted.",
}


@check.exercise(1)
def two_steps(answer):
    """Where Adadelta is after gradients of 4 and 2, from x = 3, with rho = 0.5 and eps = 1."""
    made_by = lambda rule: 3 - steps_of(rule, [4.0, 2.0], rho=0.5, eps=1.0).sum()
    mistaken(answer, 3 - 4 / 3, "That is after the first step; one more is to come.", 1e-4)
    mistaken(answer, 2 * np.sqrt(17 / 63), "That is the length of the second step; where does it lead?", 1e-4)
    name_mistake(answer, made_by, adadelta, MISTAKES, 1e-4)
    near(answer, made_by(adadelta), 1e-3, "v is 8, then 6; u is 0, then 8/9, when it is used. Add 1 to each.")
    return "The second gradient is half the first, and the step not much shorter: u had grown meanwhile."


@check.exercise(2)
def from_memory(answer):
    """A function (x, g, v, u, *, lr, rho, eps) -> (x, v, u): a step of Adadelta."""
    gradients = np.random.default_rng(0).standard_normal((20, 4)) * np.array([1e-4, 1e-2, 1.0, 1e4])
    settings = {"lr": 0.5, "rho": 0.8, "eps": 1e-3}
    first = {"x": np.zeros(4), "g": gradients[0].copy(), "v": np.ones(4), "u": np.ones(4)}
    expect_step(answer, first, **settings)
    with np.errstate(all="ignore"):
        steps = steps_of(answer, gradients, **settings)
    name_mistake(steps, lambda rule: steps_of(rule, gradients, **settings), adadelta, MISTAKES)
    expect_path(steps, steps_of(adadelta, gradients, **settings))
    start = np.array([1.0, -2.0]), np.array([0.3, 0.1]), np.array([4.0, 0.0]), np.array([1.0, 0.5])
    for other in ({"lr": 2.0, "rho": 0.9, "eps": 0.01}, {"lr": 1.0, "rho": 0.5, "eps": 1e-6}):
        ours, theirs = adadelta(*start, **other), answer(*start, **other)
        if not all(np.allclose(a, b) for a, b in zip(theirs, ours, strict=True)):
            raise Wrong("Right for one x, lr, rho and eps only: use them as you are given them.")
    return f"Equal to the library's over {len(gradients)} steps, for gradients of every size."


@check.exercise(3)
def first_steps(answer):
    """PyTorch's first step over Keras', with the defaults of both, for a gradient that is not small."""
    mistaken(answer, 1000, "That is the ratio of the rates alone; rho and eps differ, too.", 1e-9)
    mistaken(answer, 2e-7**0.5, "The other way round: how many times is PyTorch's the longer?", 1e-6)
    mistaken(answer, 1000 * 10**0.5, "rho differs, too: v starts at (1 - rho) g**2.", 1e-3)
    mistaken(answer, 1000 / 2**0.5, "eps differs, too.", 1e-3)
    mistaken(answer, 5000, "eps and 1 - rho stand under a root.", 1e-3)
    mistaken(answer, 1000 * 20**0.5, "1 - rho is in the denominator.", 1e-3)
    near(answer, 1000 * 5**0.5, 3e-3, "A first step is lr sqrt(eps / (1 - rho)).")
    return "A thousand for the rate, the root of 10 for eps, and one over the root of 2 for rho."


def _steps_for(way, rho=0.95, eps=1e-6):
    return int(np.searchsorted(np.cumsum(steps_of(adadelta, np.full(3000, 1e6), rho=rho, eps=eps)), way)) + 1


@check.exercise(4)
def reach(answer):
    """How many steps a way of 5 takes at rho = 0.95, eps = 1e-6, where the gradient keeps its size."""
    mistaken(answer, 5 / (1e-6 / 0.05) ** 0.5, "That is at the length of the first step; steps grow.", 1e-2)
    mistaken(answer, 5000, "A step is not sqrt(eps): the first is sqrt(eps / (1 - rho)), and they grow.", 1e-2)
    mistaken(
        answer,
        (1.5 * 5 / 5e-8**0.5) ** (2 / 3),
        "Steps do not grow from 0: at first they are sqrt(eps / (1 - rho)).",
        1e-2,
    )
    near(answer, _steps_for(5.0), 0.05, "Sum sqrt(eps (1 / (1 - rho) + (1 - rho) t)) over t.")
    return "RMSProp at a rate of 0.001 needs some 5000. Ten times the way takes Adadelta less than six times the steps."


@check.exercise(5)
def units(answer):
    """(eps beside u, eps beside v) for the same walk in millimeters as in meters with 1e-6 and 1e-6."""
    above, below = several(answer, "(eps beside u, eps beside v)")
    mistaken(above, 1e-3, "Beside u: a step is 1000 times as many millimeters; eps stands beside its square.", 1e-9)
    mistaken(above, 1e-12, "Beside u: the other way round; in millimeters steps are larger numbers.", 1e-15)
    near(above, 1.0, 1e-9, "Beside u: u is in square millimeters; turn square meters into them.")
    if not 0 < below < 2e-12:
        raise Wrong(
            "The first is right. Beside v: in millimeters gradients are 1000 times smaller; eps is beside squares."
        )
    near(
        below * 1e12, 1.0, 1e-6, "The first is right. Beside v stands the square of a gradient, per square millimeter."
    )
    return "A library has one eps, and a rate: eps = 1e-12 and lr = 1e6 take this walk: lr**2 multiplies the upper eps."


@check.exercise(6)
def never_written_back(answer):
    """The rate at which RMSProp takes the steps of an Adadelta (lr = 1, eps = 1e-6) whose u stays 0."""
    mistaken(answer, 1.0, "lr is 1, and sqrt(u + eps) multiplies it; what is that, if u is 0 for ever?", 1e-9)
    mistaken(answer, 1e-6, "The root of eps, not eps.", 1e-9)
    mistaken(
        answer, 20**0.5 * 1e-3, "That is the first step. RMSProp, too, divides by the root of 1 - rho there.", 1e-4
    )
    near(answer, 0.001, 1e-9, "u = 0 leaves sqrt(0 + eps) in the place of the rate.")
    return "A fault that does not crash: it trains, as RMSProp does."


@check.exercise(7)
def rare(answer):
    """The step of a gradient in every second step over that of one in a thousand, at rho = 0.95."""
    mistaken(answer, 500, "Not by how often they come.", 1e-9)
    mistaken(answer, 500**0.5, "That would be a rule that sums. Adadelta forgets both v and u.", 1e-3)
    mistaken(answer, 1.0, "Nearly. But after one empty step a part of u is still there.", 1e-9)
    mistaken(answer, 1.95, "The root is missing.", 1e-3)
    near(answer, 1.95**0.5, 1e-2, "Put n = 2 and n = 1000 into the formula for a gradient in every n-th step.")
    return "Five hundred times as rare, and the steps differ by less than a half."


# Exercise 8: three wrong Adadeltas, known by what they do.
suspects = {"A": sums, "B": rate_in_u, "C": roots_missing}
# bug: (who has it, what brings it to light)
BUGS = {
    "steps left out": (None, "a single gradient of 1"),
    "rate counted in u": ("B", "a rate of 10"),
    "eps outside the roots": (None, "a single gradient of 1"),
    "sums instead of averages": ("A", "a constant gradient for 50 steps"),
    "roots missing": ("C", "a gradient of 100 instead of 1"),
    "gradients in u": (None, "two gradients of 1"),
}


@check.exercise(8)
def which_bug(answer):
    convict(answer, suspects, BUGS, "give it {} and compare with the right Adadelta")
    return "B agrees with Adadelta to the last bit at a rate of 1, the default."


@check.exercise(9)
def spike(answer):
    """How many times as long as the last a step is whose gradient is 100 after many of 1, at rho = 0.95, u >> eps."""
    mistaken(answer, 100, "v takes in the large gradient before the step.", 1e-9)
    mistaken(answer, 1, "v takes in a share of 1 - rho of the large square only.", 1e-9)
    mistaken(answer, 100 / 500.95, "The root is missing.", 1e-3)
    mistaken(answer, 1.95**0.5, "That is by how much the root of u has grown after that step.", 1e-3)
    near(answer, 100 / np.sqrt(500.95), 1e-2, "v is 1 before, and 0.95 + 0.05 * 100**2 under the step; u is as before.")
    return (
        "However large the gradient, a step is at most 1 / sqrt(1 - rho) times the root mean square of the last ones."
    )
