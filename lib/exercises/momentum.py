"""The exercises of the chapter on momentum and Nesterov's method."""

import math

import numpy as np

from lib.exercises import Exercises, Wrong, mistaken, near, result_of, several
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
    length, step = several(answer, "(length of a step, number of the step)")
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
    rate, mu = several(answer, "(rate, momentum)")
    mistaken(rate, 2 / 104, "That is the best rate of gradient descent.")
    mistaken(rate, 1 / 100, "That is the rate of Nesterov's method.")
    mistaken(rate, 2 / 12, "The bracket is squared.")
    near(rate, 1 / 36, 6e-5, "Rate: (2 / (sqrt(4) + sqrt(100)))**2, to three digits.")
    mistaken(mu, 2 / 3, "The rate is right. This is the root of the momentum, the factor per step.")
    mistaken(mu, (24 / 26) ** 2, "The rate is right. The momentum has the root of kappa = 25 in it.")
    near(mu, 4 / 9, 1e-3, "The rate is right. Momentum: ((sqrt(kappa) - 1) / (sqrt(kappa) + 1))**2 with kappa = 25.")
    return "Every direction now shrinks by sqrt(4/9) = 2/3 a step; gradient descent manages 24/26."


@check.exercise(4)
def from_memory(answer):
    """A function (x, g, v, *, lr, momentum) -> (x, v): a step of Nesterov's method, `x` being the point ahead."""
    draw = np.random.default_rng(0)
    start, numbers = draw.standard_normal((2, 3)), {"lr": 0.07, "momentum": 0.8}  # and moving already
    mine, ours, ball, no_memory = ([tuple(start)] for _ in range(4))
    for g in draw.standard_normal((20, 3)):
        x, v = (part.copy() for part in mine[-1])  # for a function that writes into them
        given = result_of(answer, x, g.copy(), v, **numbers)
        if not isinstance(given, tuple) or len(given) != 2:
            raise Wrong("Return the new x and the new v: return x, v.")
        mine.append(given)
        for rule, path in (nesterov, ours), (momentum, ball):
            path.append(rule(path[-1][0], g, path[-1][1], **numbers))
        no_memory.append((no_memory[-1][0] - numbers["lr"] * g, no_memory[-1][1]))
    x, path, v = (np.array([p[i] for p in ps]) for ps, i in ((mine, 0), (ours, 0), (mine, 1)))
    if np.allclose(x, [p[0] for p in ball]):
        raise Wrong("That is the heavy ball. Nesterov's x goes one gradient further along the new velocity.")
    if np.allclose(x, [p[0] for p in no_memory]):
        raise Wrong("That is gradient descent: is the new velocity returned, and used?")
    if np.allclose(x, path):
        if np.allclose(v, [p[1] for p in ours]):
            return "Equal to the library's over 20 steps."
        raise Wrong("x is right, but the velocity that comes back is not the one of the equation.")
    first = int(np.argmax(~np.isclose(x, path).all(axis=1)))
    raise Wrong(f"Step {first} is the first to differ. First v, then x = x + momentum * v - lr * g.")


@check.exercise(5)
def port(answer):
    """(factor for the velocity when the rate falls from 0.1 to 0.02, inside velocity for the outside one 5 at 0.1)."""
    factor, velocity = several(answer, "(factor, velocity)")
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
def breaks_the_circle(answer):
    """A momentum with which the heavy ball, at rate 1/9, arrives on the function of Lessard, Recht and Packard."""
    if np.shape(answer) != ():
        raise Wrong("One number is asked for, a momentum.")
    mu = float(answer)
    if not 0 <= mu < 1:
        raise Wrong(f"A momentum is at least 0 and below 1, and this is {mu:g}.")
    x, v = np.linspace(3.07, 3.46, 40), np.zeros(40)
    before = x
    with np.errstate(all="ignore"):
        for step in range(200):
            before = x if step == 100 else before
            slope = np.where(x < 1, 25 * x, np.where(x < 2, x + 24, 25 * x - 24))
            x, v = momentum(x, slope, v, lr=1 / 9, momentum=mu)
    if mu < 25 / 18 - 1:
        raise Wrong("Where the curvature is 25, this rate is above the limit 2 (1 + mu) / 25.")
    late = (abs(x) > 1e-6).sum()
    if late:
        what = "still on their way" if abs(x).max() < 0.5 * abs(before).max() else "not coming nearer"
        raise Wrong(f"After 200 steps {late} of 40 walks are farther than 1e-6 from 0, and they are {what}.")
    return "All 40 walks arrive."


@check.exercise(8)
def limit_ahead(answer):
    """Where Nesterov's method diverges if the heavy ball does at 0.36, both with momentum 0.8."""
    mistaken(answer, 0.2, "That is the limit of gradient descent, 2/lambda_max with lambda_max = 10.", 1e-9)
    mistaken(answer, 0.1, "That is the usual rate of Nesterov's method, 1/lambda_max, not its limit.", 1e-9)
    mistaken(answer, 10, "That is the curvature. Now the limit of Nesterov's method for it.", 1e-9)
    near(answer, 0.36 / 2.6, 1e-4, "Find lambda_max from 2 (1 + mu) / lambda_max = 0.36, then take the other limit.")
    return "Nesterov's limit is always the heavy ball's divided by 1 + 2 mu."


@check.exercise(9)
def same_floor(answer):
    """The rate at momentum 0.95 with the floor of gradient descent at 0.02."""
    mistaken(answer, 0.4, "That is the rate that 0.02 would act like: divide where you multiplied.", 1e-9)
    mistaken(answer, 0.019, "Multiply by 1 - 0.95, not by 0.95.", 1e-9)
    mistaken(answer, 0.02, "At the same rate the floor would be 20 times as high.", 1e-9)
    near(answer, 0.001, 1e-6, "The floor depends on rate / (1 - momentum).")
    return "A twentieth of the rate: the velocity makes up for the rest."
