"""The exercises of the chapter on learning-rate schedules."""

from functools import partial

import numpy as np

from lib.exercises import Exercises, Wrong, mistaken, near, result_of, several
from lib.schedules import cosine, exponential, linear, warm_up

check = Exercises()


@check.exercise(1)
def half_life(answer):
    """The factor a step that halves an exponential rate every 30 epochs of 42 steps."""
    mistaken(answer, 0.5 ** (1 / 30), "That is the factor an epoch; an epoch has 42 steps.", 1e-5)
    mistaken(answer, 0.5 ** (1 / 42), "That halves the rate in one epoch of 42 steps.", 1e-5)
    mistaken(answer, np.exp(-1 / 1260), "That leaves the share 1/e after 30 epochs, not one half.", 1e-6)
    mistaken(answer, 0.5, "That halves the rate at every step.", 1e-6)
    mistaken(answer, 0.999, "Too few digits: 0.999 halves the rate in 693 steps. Five digits, please.", 1e-9)
    near(answer, 0.5 ** (1 / 1260), 1e-6, "Solve gamma**n = 1/2, with n the number of steps in 30 epochs.")
    return "A factor of 0.99945: rounded to 0.999, the rate would fall nearly twice as fast."


@check.exercise(2)
def freezes(answer):
    """The share of the error that is left for ever at curvature 0.1, rate 0.1 times 0.95 a step."""
    left = np.prod(1 - 0.1 * exponential(np.arange(2000), lr=0.1, gamma=0.95))
    mistaken(answer, 1 - left, "That is the share that is gone; what is left?", 5e-3)
    mistaken(answer, 0, "The rates add up to a finite number, so the walk stops on the way.", 5e-3)
    mistaken(answer, np.exp(-2), "The sum of the rates is right; multiply it by the curvature.", 5e-3)
    mistaken(answer, np.exp(-0.1 * 0.1), "Add up the rates of all steps, not of the first alone.", 5e-3)
    near(answer, left, 5e-3, "Multiply the factors 1 - rate * curvature of all steps, or add the rates: exp(-sum).")
    return "Twenty steps at the first rate would have done as much: 1 / (1 - 0.95)."


@check.exercise(3)
def restarts(answer):
    """The steps up to 250 at which SGDR restarts with a first run of 5 and t_mult 3."""
    try:
        given = sorted(float(step) for step in answer)
    except TypeError:
        raise Wrong("Several steps are asked for: a list.") from None
    if given and given[0] == 0:
        raise Wrong("Step 0 is the start; list the steps at which the rate jumps back.")
    for mistake, hint in [
        ([5, 15, 45, 135], "Those are the lengths of the runs; a restart comes after all runs before it."),
        ([5, 15, 35, 75, 155], "That is t_mult = 2: here each run is three times as long as the last."),
        (list(range(5, 251, 5)), "That is t_mult = 1: here each run is three times as long as the last."),
        (list(range(5, 250, 5)), "That is t_mult = 1: here each run is three times as long as the last."),
        ([4, 19, 64, 199], "Those are the last steps of the runs; the rate is high again one step later."),
        ([6, 21, 66, 201], "Schedules count from 0: the first run has the steps 0 to 4."),
    ]:
        if given == mistake:
            raise Wrong(hint)
    if given != [5, 20, 65, 200]:
        raise Wrong("Run i has 5 * 3**i steps. The restarts are at 5, 5 + 15, and so on.")
    return "Each run is longer than all runs before it together: most of the time is spent in the last."


@check.exercise(4)
def from_memory(answer):
    """A function (t, *, lr, steps, end) -> rate: half a wave of the cosine, then ``end``."""
    numbers = {"lr": 0.3, "steps": 40, "end": 0.05}
    steps = range(81)
    given = np.array([result_of(answer, t, **numbers) for t in steps], dtype=float)
    ours = np.array([cosine(t, **numbers) for t in steps])
    wave = 0.05 + 0.25 * (1 + np.cos(np.pi * np.arange(81) / 40)) / 2
    if np.allclose(given, [linear(t, **numbers) for t in steps]):
        raise Wrong("That is a straight line.")
    if np.allclose(given, [cosine(t, lr=0.3, steps=40) for t in steps]):
        raise Wrong("It ends at 0 instead of `end`.")
    if np.allclose(given, [0.05 + cosine(t, lr=0.3, steps=40) for t in steps]):
        raise Wrong("It begins at lr + end: the wave goes from lr to end, so its height is lr - end.")
    if np.allclose(given, wave):
        raise Wrong("Up to step 40 it is right. Then the rate rises again, as PyTorch's does: stop at min(t, steps).")
    if not np.allclose(given, ours):
        first = int(np.argmax(~np.isclose(given, ours)))
        raise Wrong(f"At step {first} it gives {given[first]:.4g} and should give {ours[first]:.4g}.")
    return "Equal to the library's, beyond the end as well."


@check.exercise(5)
def recorded(answer):
    """(name, its number) of the schedule whose rates at steps 0, 10, 20, 30 are 0.12, 0.06, 0.04, 0.03."""
    if not isinstance(answer, list | tuple) or len(answer) != 2 or not isinstance(answer[0], str):
        raise Wrong('A name and a number are asked for: ("linear", 90), for example.')
    name, number = answer[0].strip().replace(" ", "_"), answer[1]
    if name == "exponential":
        raise Wrong("It halves in the first ten steps, and would halve in the next ten as well: 0.03.")
    if name in ("linear", "polynomial", "cosine"):
        raise Wrong("These fall to their end in a finite time; look at one over the rate.")
    if name != "inverse_time":
        raise Wrong("Look at one over the rate: 8.33, 16.7, 25, 33.3. Which schedule is that a straight line of?")
    mistaken(number, 1, "The name is right. That would be decay_rate for every = 10; here every is 1.", 1e-9)
    mistaken(number, 10, "The name is right. That is one over the number asked for.", 1e-9)
    near(number, 0.1, 1e-9, "The name is right. Solve 0.12 / (1 + 10 * decay_rate) = 0.06.")
    return "One over the rate grows by equal amounts, and nothing else does that."


@check.exercise(6)
def cut_or_not(answer):
    """A dict: what holds each of the trainings A, B, C up: "noise", "time" or "neither"."""
    if not isinstance(answer, dict) or sorted(answer) != ["A", "B", "C"]:
        raise Wrong('A dict with a word for each of "A", "B" and "C" is asked for.')
    if unknown := [word for word in answer.values() if word not in ("noise", "time", "neither")]:
        raise Wrong(f'The words are "noise", "time" and "neither"; you have {unknown[0]!r}.')
    if answer["A"] == "noise":
        raise Wrong("A was still falling when the rate was cut. Did the cut bring it down at once?")
    if answer["A"] == "neither":
        raise Wrong("A falls by less each time, and still falls: at a tenth of the rate, 100 steps do as much as 10.")
    if answer["B"] != "noise":
        raise Wrong("B did not fall for 300 steps, and fell by more than half as soon as the rate was lower. Why?")
    if answer["C"] == "noise":
        raise Wrong("A floor of noise sinks with the rate. Did C's?")
    if answer["C"] == "time":
        raise Wrong("C has not moved for 300 steps at the high rate: more of them would not help.")
    return "Only B should be cut now. A should go on at 0.1, and C needs something else: a larger net, or better data."


@check.exercise(7)
def composed(answer):
    """A schedule: a line from 0 to 0.1 in 5 steps, then a cosine that arrives at 0 at step 100."""
    steps = range(121)
    given = np.array([result_of(answer, t) for t in steps], dtype=float)
    right, late, down = (partial(cosine, lr=0.1, steps=n) for n in (95, 100, 100))
    same = lambda schedule: np.allclose(given, [schedule(t) for t in steps])
    if same(partial(warm_up, steps=5, then=late)):
        raise Wrong("It arrives at step 105: what follows a warm-up counts from 0 when the warm-up is over.")
    if same(partial(warm_up, steps=5, then=down, runs_on=True)):
        raise Wrong("It never gets to 0.1: the cosine ran on beneath the warm-up. Leave runs_on as it is.")
    if same(down):
        raise Wrong("That is the cosine alone.")
    ours = np.array([warm_up(t, steps=5, then=right) for t in steps])
    if not np.allclose(given, ours):
        first = int(np.argmax(~np.isclose(given, ours)))
        raise Wrong(f"At step {first} it gives {given[first]:.4g} and should give {ours[first]:.4g}.")
    return "5 + 95 steps: the lengths of the parts add up."


@check.exercise(8)
def plateau(answer):
    """The rate after seven losses with patience 2, from 0.1, times 0.1."""
    mistaken(answer, 0.01, "That is after the fourth loss. The last two are no better than 0.8, either.", 1e-6)
    mistaken(answer, 0.1, "Two losses in a row that do not beat the best are enough for a cut.", 1e-6)
    mistaken(answer, 0.0001, "0.8 beats 0.9: it starts the count anew.", 1e-6)
    near(answer, 0.001, 1e-6, "Keep the best loss and the count of losses since. At two: cut, and count from 0.")
    return "A cut at the fourth loss and one at the seventh. The loss that fell between them counts afresh."


@check.exercise(9)
def resumed(answer):
    """(rate that a new optimizer begins with, rate it should have) 300 steps into a cosine of 400 from 0.1."""
    has, should = several(answer, "(rate it has, rate it should have)")
    near(has, 0.1, 1e-6, "A new optimizer counts its steps from 0: which rate is that?")
    mistaken(should, 0.1 * (1 + np.cos(np.pi / 4)) / 2, "The first is right. That is step 100: 300 are over, not left.")
    mistaken(should, 0.025, "The first is right. That is a straight line; a cosine is lower near its end.", 1e-5)
    near(should, cosine(300, lr=0.1, steps=400), 5e-3, "The first is right. The schedule at step 300.")
    return "Nearly seven times too high: what 300 steps have annealed is undone in a few."
