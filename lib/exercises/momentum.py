"""The exercises of the chapter on momentum and Nesterov's method."""

import math

import numpy as np

from lib.exercises import Exercises, Wrong, mistaken, near
from lib.optimizers import momentum, nesterov

check = Exercises()


@check.exercise(1)
def two_steps(answer):
    """Where the heavy ball is after two steps on f(x) = x**2 from x = 1, with rate 0.1 and momentum 0.5."""
    x, v = 1.0, 0.0
    for _ in range(2):
        x, v = momentum(x, 2 * x, v, lr=0.1, momentum=0.5)
    mistaken(answer, 0.64, "That is gradient descent: the second velocity keeps half of the first.", 1e-9)
    mistaken(answer, 0.5, "The second gradient is taken where you are by then, at 0.8.", 1e-9)
    mistaken(answer, 0.8, "That is after one step.", 1e-9)
    mistaken(answer, -0.26, "That is the second velocity; add it to 0.8.", 1e-9)
    mistaken(answer, 1.46, "You climbed: the gradient is subtracted.", 1e-9)
    mistaken(answer, 0.62, "The rate belongs to the gradient alone: half of the old velocity is kept.", 1e-9)
    mistaken(answer, 0.77, "The slope of x**2 is 2x, not x.", 1e-9)
    near(answer, x, hint="Velocity first: v = 0.5 v - 0.1 * 2x. Then x = x + v. Twice.")
    return "The second step is longer than the first although the slope is less: 0.26 after 0.2."


@check.exercise(2)
def terminal(answer):
    """(length of a step in the end, first step within 1 % of it) on a slope of 3, rate 0.01, momentum 0.98."""
    if np.shape(answer) != (2,):
        raise Wrong("Two numbers are asked for: (length of a step, number of the step).")
    length, step = answer
    mistaken(length, 0.03, "That is the first step. All later ones add what is left of the earlier ones.")
    mistaken(length, -1.5, "That is the velocity; a length is not negative.")
    mistaken(length, 50, "That is the sum of the weights; multiply it by the rate and the slope.")
    near(length, 1.5, hint="Length: sum 1 + 0.98 + 0.98**2 + ..., times rate and slope.")
    exact = math.log(0.01) / math.log(0.98)
    mistaken(step, 50, "The length is right. 50 = 1/(1 - 0.98) steps reach only about 63 % of it.", 1e-9)
    mistaken(step, exact, "The length is right. Steps are whole: round up.", 1e-4)
    mistaken(step, math.floor(exact), "The length is right. One step later, it is within 1 %.", 1e-9)
    near(step, math.ceil(exact), 0, "The length is right. After t steps the share 1 - 0.98**t of it is reached.")
    return "The larger the momentum, the faster the walk in the end, and the longer it takes to get going."


@check.exercise(3)
def best_settings(answer):
    """(rate, momentum) that are best for the heavy ball on a quadratic with curvatures from 4 to 100."""
    if np.shape(answer) != (2,):
        raise Wrong("Two numbers are asked for: (rate, momentum).")
    rate, mu = answer
    mistaken(rate, 2 / 104, "That is the best rate of gradient descent.")
    mistaken(rate, 1 / 100, "That is the rate of Nesterov's method.")
    mistaken(rate, 2 / 12, "The bracket is squared.")
    near(rate, 1 / 36, 1e-3, "Rate: (2 / (sqrt(4) + sqrt(100)))**2, to three digits.")
    mistaken(mu, 2 / 3, "The rate is right. This is the root of the momentum, the factor per step.")
    mistaken(mu, (24 / 26) ** 2, "The rate is right. The momentum has the root of kappa = 25 in it.")
    near(mu, 4 / 9, 1e-3, "The rate is right. Momentum: ((sqrt(kappa) - 1) / (sqrt(kappa) + 1))**2 with kappa = 25.")
    return "Every direction now shrinks by sqrt(4/9) = 2/3 a step; gradient descent manages 24/26."


@check.exercise(4)
def from_memory(answer):
    """A function (x, g, v, *, lr, momentum) -> (x, v): a step of Nesterov's method, `x` being the point ahead."""
    if not callable(answer):
        raise Wrong("Hand in the function itself: check(4, my_nesterov).")
    draw = np.random.default_rng(0)
    gradients = draw.standard_normal((20, 3))
    mine = [(np.ones(3), np.zeros(3))]
    ours, ball, no_memory = list(mine), list(mine), list(mine)
    for g in gradients:
        given = answer(*mine[-1][:1], g, *mine[-1][1:], lr=0.1, momentum=0.9)
        if given is ...:
            raise Wrong("Your function still returns the dots: write the rule in their place.")
        if not isinstance(given, tuple) or len(given) != 2:
            raise Wrong("Return the new x and the new v: return x, v.")
        mine.append(given)
        ours.append(nesterov(*ours[-1][:1], g, *ours[-1][1:], lr=0.1, momentum=0.9))
        ball.append(momentum(*ball[-1][:1], g, *ball[-1][1:], lr=0.1, momentum=0.9))
        no_memory.append((no_memory[-1][0] - 0.1 * g, no_memory[-1][1]))
    x, path, v = (np.array([p[i] for p in ps]) for ps, i in ((mine, 0), (ours, 0), (mine, 1)))
    if np.allclose(x, [p[0] for p in ball]):
        raise Wrong("That is the heavy ball. Nesterov's x goes one gradient further along the new velocity.")
    if np.allclose(x, [p[0] for p in no_memory]):
        raise Wrong("That is gradient descent: is the new velocity returned, and used?")
    if np.allclose(x[1] - x[0], path[0] - path[1]):
        raise Wrong("The first step goes uphill: the gradient is subtracted.")
    if np.allclose(x, path) and not np.allclose(v, [p[1] for p in ours]):
        if np.allclose(-0.1 * v, [p[1] for p in ours]):
            return "Equal to the library's over 20 steps, with the rate outside the velocity, as PyTorch has it."
        raise Wrong("x is right, but the velocity that comes back is not the one of the equation.")
    first = int(np.argmax(~np.isclose(x, path).all(axis=1)))
    near(x, path, hint=f"Step {first} is the first to differ. First v, then x = x + momentum * v - lr * g.")
    return "Equal to the library's over 20 steps."


@check.exercise(5)
def port(answer):
    """(factor for the velocity when the rate falls from 0.1 to 0.02, inside velocity for the outside one 5 at 0.1)."""
    if np.shape(answer) != (2,):
        raise Wrong("Two numbers are asked for: (factor, velocity).")
    factor, velocity = answer
    mistaken(factor, 5, "That is old over new. At the lower rate the outside form's old velocity counts for less.")
    mistaken(factor, 0.02, "The factor is a quotient of two rates.")
    near(factor, 0.2, hint="Factor: momentum correction, new rate over old rate.")
    mistaken(velocity, 0.5, "The factor is right. The inside velocity is a step, and steps go against the gradient.")
    mistaken(velocity, -50, "The factor is right. The outside velocity lacks the rate: multiply by it.")
    mistaken(velocity, -5, "The factor is right. The outside velocity lacks the rate: multiply by it.")
    near(velocity, -0.5, hint="The factor is right. Velocity: compare x + v with x - lr * v.")
    return "Port a checkpoint without this, and the first steps are ten times as long, and lead uphill."


@check.exercise(6)
def rings(answer):
    """The momentum above which the heavy ball swings where the rate times the curvature is 0.01."""
    mistaken(answer, 0.9, "That is its root.", 1e-9)
    mistaken(answer, 1.21, "That is the other solution: a momentum is below 1.", 1e-9)
    mistaken(answer, 0.99, "Solve (1 - sqrt(mu))**2 = 0.01: the root is of mu, the square of the bracket.", 1e-9)
    near(answer, 0.81, 1e-6, "The left border of the middle case: (1 - sqrt(mu))**2 = 0.01.")
    return "At 0.9, the default of most people, a direction as flat as this one already swings."


@check.exercise(7)
def arrives(answer):
    """(rate, momentum >= 0.3) with which the heavy ball arrives on the function of Lessard, Recht and Packard."""
    if np.shape(answer) != (2,):
        raise Wrong("Two numbers are asked for: (rate, momentum).")
    lr, mu = (float(part) for part in answer)
    if not 0.3 <= mu < 1:
        raise Wrong(f"The momentum must be at least 0.3 and below 1, and is {mu:g}.")
    x, v = np.linspace(3.07, 3.46, 40), np.zeros(40)
    with np.errstate(all="ignore"):
        for _ in range(200):
            slope = np.where(x < 1, 25 * x, np.where(x < 2, x + 24, 25 * x - 24))
            x, v = momentum(x, slope, v, lr=lr, momentum=mu)
    if not np.isfinite(x).all() or abs(x).max() > 1e3:
        raise Wrong(f"Diverged: where the curvature is 25 the limit is 2 * (1 + mu) / 25 = {2 * (1 + mu) / 25:.3f}.")
    late = (abs(x) > 1e-6).sum()
    if late:
        hint = "they circle" if abs(x).max() > 0.1 else "they are still on their way"
        raise Wrong(f"{late} of 40 walks are farther than 1e-6 from 0 after 200 steps: {hint}.")
    return "All 40 walks arrive."
