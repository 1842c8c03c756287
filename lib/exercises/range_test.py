"""The exercises of the chapter on the learning-rate range test."""

import functools

import numpy as np

from lib.data import digits
from lib.exercises import Exercises, Wrong, mistaken, near, several
from lib.networks import cross_entropy, dense_layers, forward, he, relu
from lib.optimizers import Optimizer, gradient_descent
from lib.search.range_test import smooth
from lib.stochastic_gradients import batches, stochastic
from lib.training import train

check = Exercises()


# ---------- what exercises 5 and 9 give ----------


def recorded() -> tuple[np.ndarray, np.ndarray]:
    """Rates and losses of a test of 160 steps from 1e-4 to 10, with noise: two arrays."""
    rates = np.geomspace(1e-4, 10, 160)
    quiet = 1.5 - np.tanh(np.log(rates / 0.02)) + (rates / 2.5) ** 2
    noise = np.random.default_rng(7).standard_normal(len(rates))
    return rates, quiet * np.exp(0.06 * noise)


def _net_loss(params, x, y):
    return cross_entropy(forward(params, x, relu)[-1], y)


def unknown_task(seed: int = 0) -> tuple:
    """An objective and the parameters to start from: digits whose pixels somebody has scaled."""
    data = digits()
    x = 6.0 * data.x_train
    objective = stochastic(_net_loss, x, data.y_train, batches(len(x), 32, seed=seed))
    return objective, dense_layers([64, 32, 10], he, seed)


@functools.cache
def outcome(lr: float) -> float:
    """The mean loss of the last 50 of 200 steps of gradient descent at the rate ``lr`` on `unknown_task`."""
    objective, params = unknown_task(seed=1)
    run = train(objective, params, Optimizer(gradient_descent, lr=lr), steps=200, keep_params=False)
    return float(np.mean(run.losses[-50:])) if run.stopped_by == "steps" else np.inf


TRIED = tuple(2.0**k for k in range(-14, 1))


def best_outcome() -> tuple[float, float]:
    """(rate, loss) of the best of the rates of `TRIED`."""
    best = min(TRIED, key=outcome)
    return best, outcome(best)


# ---------- judges ----------


@check.exercise(1)
def factor(answer):
    """The factor a step from 1e-5 to 10 in 121 steps."""
    mistaken(answer, 10 ** (6 / 121), "121 steps have 120 gaps between them.", 1e-4)
    mistaken(answer, (10 - 1e-5) / 120, "That is what a straight line adds; here each step multiplies.", 1e-3)
    mistaken(answer, 10 ** (5 / 120), "From 1e-5 to 10 it is six powers of ten, not five.", 1e-4)
    mistaken(answer, 1e6 / 120, "The factors multiply, so take a root.", 1e-3)
    near(answer, 10 ** (6 / 120), 1e-4, "Solve factor**120 = 10 / 1e-5.")
    return "Twenty steps for each power of ten."


@check.exercise(2)
def from_memory(answer):
    """A function (losses, beta) -> the smoothed losses."""
    if not callable(answer):
        raise Wrong("Hand in the function itself: check(2, my_smooth).")
    losses, beta = np.array([3.0, 1.0, 2.0, 5.0, 0.5, 0.25]), 0.8
    given = answer(losses, beta)
    if given is None or given is ...:
        raise Wrong("Your function returns nothing yet: write the average in place of the dots.")
    given = np.asarray(given, dtype=float)
    if given.shape != losses.shape:
        raise Wrong(f"Six losses should give six averages; yours have shape {given.shape}.")

    def average(start, weight, divide):
        a, out = start, []
        for t, loss in enumerate(losses, start=1):
            a = weight * a + (1 - weight) * loss
            out.append(a / divide(t))
        return np.array(out)

    if np.allclose(given, average(0.0, beta, lambda t: 1.0)):
        raise Wrong("It leans toward zero: divide by 1 - beta**t.")
    if np.allclose(given, average(0.0, beta, lambda t: 1 - beta ** (t + 1))):
        raise Wrong("Off by one: after the first loss the divisor is 1 - beta, or else it shows 3 as less than 3.")
    if np.allclose(given, average(losses[0], beta, lambda t: 1.0)):
        raise Wrong("It starts at the first loss, which then counts as much as all losses before it would have.")
    if np.allclose(given, average(0.0, 1 - beta, lambda t: 1 - (1 - beta) ** t)):
        raise Wrong("beta is the share of the old average that is kept, not that of the new loss.")
    if np.allclose(given, losses):
        raise Wrong("Those are the losses themselves.")
    if not np.allclose(given, smooth(losses, beta)):
        first = int(np.argmax(~np.isclose(given, smooth(losses, beta))))
        raise Wrong(f"Average {first} should be {smooth(losses, beta)[first]:.4g}, yours is {given[first]:.4g}.")
    return "Equal to the library's. A constant loss comes out as it went in."


@check.exercise(3)
def limit(answer):
    """(curvature, rate at which the loss is back) of a parabola whose test is lowest at 0.05."""
    curvature, back = several(answer, "(curvature, rate)")
    mistaken(curvature, 20, "The lowest loss is at 2 over the curvature, not 1 over it.")
    near(curvature, 40, 1e-3, "The loss falls as long as |1 - rate * curvature| < 1.")
    mistaken(back, 0.05, "The first is right. At 0.05 it has only stopped falling.")
    mistaken(back, 0.1, "The first is right. Twice the limit would be soon; look where D is zero again.")
    mistaken(back, 4.591 / 40, "The first is right. That is where a rate that rises in a straight line would be.")
    near(back, 12.595 / 40, 2e-3, "The first is right. Then rate * curvature is where D is zero again.")
    return "More than six times the limit, and no larger number of steps brings it nearer."


@check.exercise(4)
def depth(answer):
    """The power of ten by which a direction's loss has fallen at its limit: 1e-4 to 10 in 231 steps."""
    steps_per_e = 230 / np.log(1e5)
    right = -steps_per_e * np.pi**2 / 2 / np.log(10)
    mistaken(answer, -right, "The size is right; it fell, so the power is negative.", 0.01)
    mistaken(answer, right / 2, "That is how far x has come; the loss is its square.", 0.01)
    mistaken(
        answer,
        right * np.log(10),
        "Once too often or too seldom divided by ln(10): N = 230 / ln(1e5), and the answer is a power of ten.",
        0.01,
    )
    near(answer, right, 0.01, "N = 230 / ln(1e5), and at the limit D(2) = pi**2 / 4.")
    return "From there the burst has to climb all the way back before anyone sees it."


@check.exercise(5)
def read(answer):
    """(steepest, edge) of the recorded test, smoothed with beta 0.9, without the first nine."""
    steepest, edge = several(answer, "(steepest, edge)")
    rates, losses = recorded()
    smoothed = smooth(losses, 0.9)
    late = slice(9, None)
    least = lambda values: rates[late][np.argmin(values[late])]
    mistaken(edge, rates[losses.argmin()], "That is the lowest single loss: luck. Smooth first.", 1e-6)
    mistaken(
        edge, least(smoothed) / 10, "The edge is where the smoothed loss is lowest; a tenth of it is another reading."
    )
    near(edge, least(smoothed), 1e-6, "The edge is the rate of the lowest smoothed loss, with beta 0.9.")
    per_rate = least(np.gradient(smoothed, rates))
    mistaken(steepest, per_rate, "That is steepest per unit of the rate. Small rates lie close together, so any "
             "wiggle is steep there. Take the slope over the logarithm.", 1e-6)  # fmt: skip
    mistaken(steepest, least(np.gradient(losses, np.log(rates))), "Smooth the losses before you take the slope.", 1e-6)
    near(steepest, least(np.gradient(smoothed, np.log(rates))), 1e-6, "The edge is right. Steepest: the least of "
         "np.gradient(smoothed, np.log(rates)), leaving out the first nine.")  # fmt: skip
    return "The curve without noise is steepest at 0.02: noise and the average have moved the reading."


@check.exercise(6)
def lag(answer):
    """The factor by which beta 0.98 is late in 491 steps over six powers of ten."""
    mistaken(answer, 49, "That is the number of steps it trails. By which factor does the rate rise in them?")
    mistaken(
        answer, 10 ** (50 * 6 / 490), "Nearly: the mean age of the losses in the average is beta / (1 - beta).", 1e-3
    )
    mistaken(answer, 49 * 6 / 490, "That is the power of ten; the factor is 10 to that.", 1e-3)
    near(answer, 10 ** (49 * 6 / 490), 0.01, "The average trails by beta / (1 - beta) = 49 steps, of 490 for 1e6.")
    return "A test that takes ten times as long is late by a factor of 1.15 only."


@check.exercise(7)
def outside(answer):
    """The least number of steps from 1e-5 to 10 for which 0.9 * (factor a step) is below 1."""
    mistaken(answer, 132, "So many gaps are right; how many steps have 132 gaps between them?", 1e-9)
    mistaken(answer, 131, "At 131 gaps the momentum is still more than 1.", 1e-9)
    mistaken(answer, np.log(1e6) / np.log(1 / 0.9), "Steps are whole numbers, and one more than the gaps.", 1e-3)
    mistaken(answer, 58, "That is the logarithm to base 10 in one place and the natural one in the other.", 0.02)
    near(answer, 133, 1e-9, "The rate grows by r = 1e6 ** (1 / gaps) a step; 0.9 * r must be less than 1.")
    return "With 100 steps PyTorch's momentum sums without end, and the loss bursts before its time."


@check.exercise(8)
def which(answer):
    """A dict: what is wrong with each of the tests A, B, C."""
    words = ("flat start", "too short", "too low", "too noisy")
    if not isinstance(answer, dict) or sorted(answer) != ["A", "B", "C"]:
        raise Wrong('A dict with one of the four findings for each of "A", "B" and "C" is asked for.')
    if unknown := [word for word in answer.values() if word not in words]:
        raise Wrong(f"The findings are {', '.join(words)}; you have {unknown[0]!r}.")
    if answer["A"] == "too noisy":
        raise Wrong("A repeats well from seed to seed. What moved when it got more steps?")
    if answer["A"] != "too short":
        raise Wrong("A fell and rose again, so the range was right. What moved when it got more steps?")
    if answer["B"] == "too noisy":
        raise Wrong("B's readings scatter, true. But does its loss ever fall by more than it trembles?")
    if answer["B"] != "flat start":
        raise Wrong("B never left the loss of a guess, at any rate, and then burst. Is there anything to read?")
    if answer["C"] != "too low":
        raise Wrong("C was still falling at its last rate.")
    return "A wants more steps, C a higher end. B wants another net: no rate mends it."


@check.exercise(9)
def find(answer):
    """A rate for `unknown_task`: its loss after 200 steps may be half as high again as the best."""
    if np.ndim(answer) or isinstance(answer, str):
        raise Wrong("One rate is asked for: a number.")
    rate = float(answer)
    if not (0 < rate < np.inf):
        raise Wrong("A rate is a number > 0.")
    loss, (best_rate, best) = outcome(rate), best_outcome()
    if loss > 1.5 * best:
        what = f"the mean loss of the last 50 steps is {loss:.2g}" if np.isfinite(loss) else "the loss overflows"
        side = "too low" if rate < best_rate else "too high"
        raise Wrong(f"At {rate:.3g} {what}; another rate reaches {best:.2g}. Yours is {side}.")
    return f"It reaches {loss:.2g}; the best of {len(TRIED)} rates reaches {best:.2g}."
