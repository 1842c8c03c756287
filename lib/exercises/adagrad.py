"""The exercises of the chapter on Adagrad.

A typical mistake is recognized by making it: `MISTAKES` holds Adagrad with one error each, and an answer that agrees
with one of them is told which.
"""

import numpy as np

from lib.arrays import sqrt
from lib.exercises import Exercises, Wrong, convict, expect_path, expect_step, mistaken, name_mistake, near, several
from lib.optimizers import adagrad

check = Exercises()


def steps_of(rule, gradients, lr=1.0, eps=0.0):
    """The steps (in parameter units, positive downhill for a positive gradient) that ``rule`` takes on ``gradients``.

    Args:
        rule: Adagrad, or something with its signature.
        gradients: one a step: array (steps,) or (steps, *shape of the parameter).

    Returns:
        array of the shape of ``gradients``.
    """
    gradients, steps = np.asarray(gradients, dtype=float), []
    G = np.zeros_like(gradients[0])
    for g in gradients:
        # The parameter starts each step at zero: next to a large one, a small step would lose its digits.
        moved, G = rule(np.zeros_like(g), g, G, lr=lr, eps=eps)
        steps.append(-moved)
    return np.array(steps)


def gradient_descent_instead(x, g, G, *, lr, eps):
    return x - lr * g, G + g**2


def no_root(x, g, G, *, lr, eps):
    G = G + g**2
    return x - lr * g / (G + eps), G


def old_sum(x, g, G, *, lr, eps):
    return x - lr * g / (sqrt(G) + eps), G + g**2


def forgets(x, g, G, *, lr, eps):
    G = 0.9 * G + 0.1 * g**2
    return x - lr * g / (sqrt(G) + eps), G


def last_only(x, g, G, *, lr, eps):
    return x - lr * g / (abs(g) + eps), g**2


def sizes_summed(x, g, G, *, lr, eps):
    G = G + abs(g)
    return x - lr * g / (G + eps), G


def one_sum_for_all(x, g, G, *, lr, eps):
    G = G + (g**2).sum()
    return x - lr * g / (sqrt(G) + eps), G


def clock(x, g, G, *, lr, eps):
    G = G + 1  # counts the steps
    return x - lr * g / sqrt(G), G


def eps_inside_the_root(x, g, G, *, lr, eps):
    G = G + g**2
    return x - lr * g / sqrt(G + eps), G


def eps_left_out(x, g, G, *, lr, eps):
    return adagrad(x, g, G, lr=lr, eps=0.0)


def root_kept(x, g, G, *, lr, eps):
    G = sqrt(G + g**2)
    return x - lr * g / (G + eps), G


def wrong_way(x, g, G, *, lr, eps):
    return adagrad(x, g, G, lr=-lr, eps=eps)


MISTAKES = {
    gradient_descent_instead: "That is gradient descent: divide the gradient by the root of G.",
    no_root: "The root is missing: divide by sqrt(G) + eps.",
    old_sum: "The sum is the old one: add g**2 to G before you divide.",
    forgets: "G forgets: that is RMSProp's average. Adagrad's G is a sum.",
    last_only: "Only the last gradient is left in G: add its square to what was there.",
    sizes_summed: "Sum squares, and take the root of the sum; you have summed sizes.",
    one_sum_for_all: "One sum for all coordinates: leave out the .sum(), each coordinate has its own G.",
    clock: "That is a rate that falls as 1/sqrt(t) for all: the sizes of the gradients have to go into G.",
    eps_inside_the_root: "eps stands inside the root, as in Keras; in the paper it is added after the root is taken.",
    eps_left_out: "eps is left out; here some gradients are small enough for it to count.",
    root_kept: "What goes back as G is its root: keep the sum of squares, take the root for the step only.",
    wrong_way: "You walk uphill: the step is subtracted.",
}


@check.exercise(1)
def two_steps(answer):
    """Where Adagrad is after gradients of 3 and 4, from x = 1 at a rate of 0.5, with eps = 0."""
    mistaken(answer, 0.5, "That is after the first step; one more is to come.", 1e-9)
    mistaken(answer, 0.4, "That is the length of the second step; where does it lead?", 1e-9)
    name_mistake(answer, lambda rule: 1 - steps_of(rule, [3.0, 4.0], lr=0.5).sum(), adagrad, MISTAKES, 1e-6)
    near(answer, 0.1, hint="G is 9, then 25. A step is 0.5 times the gradient over the root of G.")
    return "The second gradient is the larger one, and its step the shorter: 0.4 after 0.5."


@check.exercise(2)
def from_memory(answer):
    """A function (x, g, G, *, lr, eps) -> (x, G): a step of Adagrad."""
    gradients = np.random.default_rng(0).standard_normal((20, 4)) * np.array([1e-8, 1e-3, 1.0, 1e4])
    first = {"x": np.zeros(4), "g": gradients[0].copy(), "G": np.ones(4)}
    expect_step(answer, first, lr=1.0, eps=1e-8)
    with np.errstate(all="ignore"):
        steps = steps_of(answer, gradients, eps=1e-8)
    name_mistake(steps, lambda rule: steps_of(rule, gradients, eps=1e-8), adagrad, MISTAKES)
    expect_path(steps, steps_of(adagrad, gradients, eps=1e-8))
    x, g, G = np.array([1.0, -2.0]), np.array([0.3, 0.1]), np.array([4.0, 0.0])
    ours = adagrad(x, g, G, lr=0.3, eps=0.01)
    if not all(np.allclose(a, b) for a, b in zip(answer(x, g, G, lr=0.3, eps=0.01), ours, strict=True)):
        raise Wrong("Right from x = 0 at lr = 1 only: use x, lr and eps as you are given them.")
    return f"Equal to the library's over {len(gradients)} steps, for gradients of every size."


@check.exercise(3)
def reach(answer):
    """How many steps Adagrad needs for a way of 5 at a rate of 0.01, where the gradient is always 1."""
    mistaken(answer, 500, "That is the number at a constant rate; the t-th step of Adagrad is 0.01 / sqrt(t).", 1e-6)
    mistaken(answer, 250, "That is the root of the number: square it.", 1e-2)
    mistaken(answer, 250_000, "The sum of 1 / sqrt(t) up to T is about 2 sqrt(T), not sqrt(T).", 1e-2)
    near(answer, 62_866, 0.0101, "The sum of 0.01 / sqrt(t) up to T is about 0.02 sqrt(T).")
    return "At a constant rate 500 steps would do. Half the rate costs Adagrad four times the steps."


@check.exercise(4)
def own_clock(answer):
    """By what factor the rate of a word in one of 400 texts is above that of a word in every text, after 10,000."""
    mistaken(answer, 400, "That is the ratio of the sums G; the rates go with their roots.", 1e-9)
    mistaken(answer, 1 / 20, "The other way round: how many times is the rare word's rate the larger?", 1e-9)
    mistaken(answer, 100, "That is the root of 10,000; the rare word has been seen, too, 25 times.", 1e-9)
    mistaken(answer, 25, "That is how often the rare word was seen.", 1e-9)
    near(answer, 20, 1e-6, "G counts appearances: 10,000 of one word, 10,000 / 400 of the other.")
    return "The number of texts cancels: the ratio stays at the root of the ratio of frequencies."


@check.exercise(5)
def hindsight(answer):
    """(best fixed rate, what it promises) for gradients 3, 4, 12 and a distance of at most 2."""
    rate, promise = several(answer, "(rate, promise)")
    mistaken(rate, 2 / 169, "The root is missing: D over the root of G.")
    mistaken(rate, 2 / 19, "G is the sum of squares, 169; 19 is the sum of sizes.")
    mistaken(rate, 4 / 13, "D is 2; its square comes in where the bound is differentiated, and leaves again.")
    mistaken(rate, 13 / 2, "Upside down: the larger the gradients, the smaller the rate.")
    near(rate, 2 / 13, 1e-3, "Rate: where the derivative of D**2 / (2 lr) + lr G / 2 is zero.")
    mistaken(promise, 26 * np.sqrt(2), "The rate is right. This is what Adagrad promises, which does not know G yet.")
    mistaken(promise, 13, "The rate is right. Both terms count: at the best rate they are equal.")
    near(promise, 26, 1e-3, "The rate is right. Put it into D**2 / (2 lr) + lr G / 2.")
    return "Adagrad, which learns of the same gradients one by one, promises sqrt(2) times as much at D / sqrt(2)."


@check.exercise(6)
def port(answer):
    """Keras' initial_accumulator_value, beside epsilon=0.001, for PyTorch's initial_accumulator_value=0.3, eps=0."""
    mistaken(answer, 0.3, "The same start: but Keras adds 0.001 to it under the root, and PyTorch adds nothing.", 1e-9)
    mistaken(answer, 0.301, "The other way round: Keras' epsilon comes on top of its start.", 1e-9)
    mistaken(answer, 0.3 - 0.001**0.5, "Keras' epsilon stands inside the root, next to G: no root of its own.")
    mistaken(answer, 0.3 - 0.001**2, "Keras' epsilon stands inside the root, next to G: it is not squared.", 1e-9)
    near(answer, 0.299, 1e-9, "PyTorch divides by the root of 0.3 + squares, Keras of start + squares + 0.001.")
    return "Exact at every step: a start and an epsilon inside the root are one number."


@check.exercise(7)
def called_rmsprop(answer):
    """The rate at which Adagrad takes the steps of x - 0.01 g / sqrt(0.81 G) with a G that sums."""
    mistaken(answer, 0.01, "At the same rate the steps would be shorter: the root of 0.81 is in the denominator.", 1e-9)
    mistaken(answer, 0.009, "The other way round: dividing by 0.9 makes steps longer.", 1e-9)
    mistaken(answer, 0.01 / 0.81, "0.81 stands under the root.", 1e-6)
    near(answer, 0.01 / 0.9, 2e-5, "sqrt(0.81 G) = 0.9 sqrt(G).")
    return "A factor on a sum that never forgets is a rate, not a memory."


# Exercise 8: three wrong Adagrads, known by what they do.
suspects = {"A": one_sum_for_all, "B": forgets, "C": clock}
# bug: (who has it, what brings it to light)
BUGS = {
    "one sum for all parameters": ("A", "two parameters with gradients of 1 and 100"),
    "forgets": ("B", "a constant gradient for 100 steps"),
    "rate falls with the step alone": ("C", "a gradient of 100 instead of 1"),
    "old sum": (None, "a single gradient"),
    "root missing": (None, "a gradient of 100 instead of 1"),
    "only the last gradient": (None, "a gradient of 1 after one of 100"),
}


@check.exercise(8)
def which_bug(answer):
    convict(answer, suspects, BUGS, "give it {} and compare with the right Adagrad")
    return "A and C have no rate for each parameter, and B is RMSProp: all three lower a loss."


@check.exercise(9)
def one_bad_step(answer):
    """The step at which, after one gradient of 100 and then 1 for ever, a step is half of what it would have been."""
    mistaken(
        answer, 9999, "There the step is 1 / sqrt(2) of what it would be: a half needs a quarter under the root.", 2e-3
    )
    mistaken(answer, 100, "The spike counts with its square.", 1e-2)
    mistaken(answer, 30_000, "Upside down: t / (t + 9999) shall be a quarter, not three quarters.", 2e-2)
    near(answer, 3333, 1e-3, "Without the spike G is t, with it t + 9999; a step goes with 1 / sqrt(G).")
    return "One gradient a hundred times too large is felt for thousands of steps; RMSProp would have forgotten it."
