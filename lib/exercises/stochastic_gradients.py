"""The answers to the exercises of chapters/stochastic_gradients.ipynb."""

import numpy as np

from lib.exercises import Exercises, Wrong, convict, mistaken, near, result_of, several

check = Exercises()


@check.exercise(1)
def count(answer):
    kept, dropped = several(answer, "(steps with the last batch kept, steps without it)")
    mistaken((kept, dropped), (16, 15), "That is one epoch; there are five.", 1e-9)
    mistaken((kept, dropped), (75, 80), "The right numbers in the wrong order: dropping a batch saves a step.", 1e-9)
    mistaken(kept, 5000 / 64, "Steps are whole numbers, in each epoch: round 1000/64 first.", 1e-9)
    mistaken(kept, 79, "Round in each epoch: each ends with its own short batch.", 1e-9)
    near(kept, 80, 1e-9, "How many batches hold 1,000 examples, if the last may be short? Five times that.")
    near(dropped, 75, 1e-9, "How many full batches of 64 are there in 1,000 examples? Five times that.")
    return "Dropped examples come back: the next epoch is shuffled anew."


@check.exercise(2)
def half_the_noise(answer):
    noise, size = several(answer, "(noise at B = 9, batch size)")
    mistaken(noise, 4, "That is the mean square; take the root.", 1e-9)
    mistaken(noise, 36 / np.sqrt(9), "Divide the trace by B first, then take the root of it all.", 1e-9)
    near(noise, 2, 1e-6, "The root of the trace divided by B.")
    mistaken(size, 18, "Twice the batch halves the variance; the noise is its root.", 1e-9)
    mistaken(size, 81, "Nine times is too much: the noise would fall to a third.", 1e-9)
    near(size, 36, 1e-9, "The noise falls like one over the root of B.")
    return "Four times the price for half the noise: that is why large batches disappoint."


@check.exercise(3)
def deal(answer):
    n, size = 10, 4
    dealt = result_of(answer, n, size, np.random.default_rng(0))
    if not isinstance(dealt, list | tuple) or not all(np.ndim(batch) == 1 for batch in dealt):
        raise Wrong(f"A list of index arrays was expected, not {dealt!r}.")
    lengths = [len(batch) for batch in dealt]
    everyone = sorted(int(i) for batch in dealt for i in batch)
    if len(set(everyone)) < len(everyone):
        raise Wrong("Some example comes twice in one epoch: shuffle once and deal, do not draw anew for each batch.")
    if everyone != list(range(n)):
        raise Wrong(f"The epoch holds {everyone}, not each of 0, ..., {n - 1}.")
    if lengths != [4, 4, 2]:
        raise Wrong(f"Of 10 examples batches of 4 have the sizes 4, 4 and 2; yours have {lengths}.")
    first = [int(answer(n, size, np.random.default_rng(seed))[0][0]) for seed in range(60)]
    if first == sorted(first) or len(set(first)) < 5:
        raise Wrong("With another generator the order is the same: shuffle the examples with rng.")
    if len(set(first)) < n:
        raise Wrong("Some examples never come first: shuffle the examples themselves, not the finished batches.")
    rng = np.random.default_rng(0)
    if [list(b) for b in answer(n, size, rng)] == [list(b) for b in answer(n, size, rng)]:
        raise Wrong("Two epochs in a row have one order: draw it from the rng you are given, not from a new one.")
    return "Each epoch deals every card once, in a new order."


def _same_order(n, size, rng):
    order = rng.permutation(n)
    while True:
        for first in range(0, n, size):
            yield order[first : first + size]


def _with_replacement(n, size, rng):
    while True:
        for first in range(0, n, size):
            yield rng.integers(0, n, min(size, n - first))


def _same_dropped(n, size, rng):
    full = n - n % size
    while True:
        order = rng.permutation(full)
        for first in range(0, full, size):
            yield order[first : first + size]


dealers = {"A": _same_order, "B": _with_replacement, "C": _same_dropped}
# fault: (who has it, how to see it)
FAULTS = {
    "draws with replacement": ("B", "count how often each index comes in one epoch"),
    "same order in every epoch": ("A", "deal two epochs and compare them"),
    "same examples always dropped": ("C", "deal many epochs and look who never comes"),
    "short batch first": (None, "look at the lengths within one epoch"),
    "wrong sizes": (None, "look at the lengths: 4, 4 and a rest"),
}


@check.exercise(4)
def three_dealers(answer):
    convict(answer, dealers, FAULTS, "{}")
    return "C is the worst: nobody ever learns from the last examples, and no loss of a batch shows it."


@check.exercise(5)
def two_norms(answer):
    mistaken(answer, 5.0 / 1.4, "Both norms hold noise and gradient: separate them first.", 1e-9)
    mistaken(answer, 1 / 40, "Upside down: the trace over the squared gradient.", 1e-9)
    mistaken(answer, np.sqrt(40), "Both are squares already: no root.", 1e-9)
    mistaken(answer, 4.0, "That would be the trace divided by 10: what is the trace itself?", 1e-9)
    near(answer, 40, 1e-6, "Solve |G|^2 + trace/10 = 5 and |G|^2 + trace/100 = 1.4.")
    return "Batches of 10 are four fifths noise, batches of 100 two sevenths."


@check.exercise(6)
def eight_times(answer):
    linear, best = several(answer, "(rate by the scaling rule, best rate)")
    mistaken((linear, best), (0.24, 0.8), "The right numbers in the wrong order: the rule asks for more.", 1e-6)
    mistaken(linear, 0.1 * np.sqrt(8), "That is the root; the linear rule multiplies by 8.", 1e-6)
    near(linear, 0.8, 1e-9, "The linear rule: eight times the batch, eight times the rate.")
    mistaken(best, 0.3, "That is the best rate without noise; a batch of 256 has some.", 1e-9)
    mistaken(best, 0.1 / (1 + 64 / 256), "0.1 is the best rate at 32; find the best one without noise first.", 1e-9)
    mistaken(best, 0.8, "At 256 the batch is far above the noise scale: there the linear rule has ended.", 1e-9)
    near(best, 0.24, 1e-6, "Find the best rate without noise from 0.1 = rate / (1 + 64/32), then put in 256.")
    return "The scaling rule asks for more than three times as much, and more than is best without any noise."


@check.exercise(7)
def buy_time(answer):
    steps, examples = several(answer, "(steps, examples)")
    mistaken((steps, examples), (30_000, 300), "The right numbers in the wrong order.", 1e-6)
    mistaken(steps, 200 * 3, "That is the factor of the examples: the larger the batch, the fewer the steps.", 1e-6)
    mistaken(steps, 10_000 / 100, "That is the least examples in batches of 100, which are too noisy for it.", 1e-3)
    near(steps, 300, 1e-4, "The noise scale is the least examples over the least steps; then the equation for S.")
    near(examples, 30_000, 1e-4, "Examples are batch size times steps.")
    return "Half as many steps again as the least, and three times the examples."


@check.exercise(8)
def floor(answer):
    mistaken(answer, 0.1 * 3 / (2 * 1.8 * 0.01), "sigma is squared in the floor.", 1e-6)
    mistaken(answer, 0.1 * 9 / (2 * 2 * 0.01), "The bracket is 2 - eta lambda, not 2.", 1e-6)
    mistaken(answer, 0.1 * 9 / (1.8 * 0.01), "Divide by the curvature as well.", 1e-6)
    mistaken(answer, 0.25, "That is the variance with a single example.", 1e-6)
    if np.ndim(answer) == 0 and answer > 25 and float(answer).is_integer():
        raise Wrong("That batch does it, but a smaller one does, too.")
    near(answer, 25, 1e-6, "Solve 0.1 * 9 / (B * 2 * (2 - 0.2)) = 0.01 for B.")
    return "Or a twenty-fifth of the rate, nearly: the floor depends on their quotient."


@check.exercise(9)
def secret_rate(answer):
    mean, larger = several(answer, "(rate for the mean, rate for the sum with 200)")
    mistaken(mean, 0.002 / 50, "The other way round: the mean is 50 times smaller, so the rate is larger.", 1e-9)
    near(mean, 0.1, 1e-9, "The sum over 50 examples is 50 times their mean.")
    mistaken(larger, 0.008, "The sum over 200 is four times as large: divide.", 1e-9)
    mistaken(larger, 0.1, "That is the rate for the mean.", 1e-9)
    near(larger, 0.0005, 1e-6, "The rate times the number of examples must stay what it is.")
    return "With the mean you would not have had to change anything."
