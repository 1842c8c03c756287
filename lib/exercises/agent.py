"""The exercises of the chapter on an agent."""

import math

import numpy as np

from lib.exercises import Exercises, Wrong, mistaken, near, result_of, several

check = Exercises()


@check.exercise(1)
def far_enough(answer):
    """(periods until the net can expect 90 of 100, steps of practice that takes with a copy every 400 updates)."""
    periods, steps = several(answer, "(periods, steps)")
    needed = math.ceil(math.log(0.1) / math.log(0.99))
    mistaken(periods, math.ceil(math.log(0.9) / math.log(0.99)), "periods: that is where 10 of the 100 are seen.", 0)
    mistaken(periods, math.log(0.1) / math.log(0.99), "periods: a whole number is asked for; round up.", 1e-4)
    near(periods, needed, 0, "periods: 1 - 0.99**k is to be 0.9 or more.")
    mistaken(steps, needed * 400, "steps: those are updates; four of them come with eight steps.", 0)
    mistaken(steps, needed * 400 / 4, "steps: those are steps of all eight environments together; each counts.", 0)
    begins = "steps: that is where the period begins; its targets are met at its end."
    mistaken(steps, (needed - 1) * 400 / 4 * 8, begins, 0)
    near(steps, needed * 400 / 4 * 8, 0, "steps: periods times 400 updates, of which four come with eight steps.")
    return "With copies so rare, 24,000 steps show it a quarter."


@check.exercise(2)
def targets_by_hand(answer):
    """(double, not double, terminated): targets from net (1.2, 2.0, 1.9), copy (1.5, 1.1, 1.8), r = 1, gamma = 0.9."""
    double, single, over = several(answer, "(double, not double, terminated)")
    mistaken(double, 2.8, "double: the net chooses, but the copy says what the chosen action is worth.")
    mistaken(double, 2.71, "double: the other way round; the net chooses, the copy says what it is worth.")
    mistaken(double, 2.62, "double: that is the copy's own choice; here the net chooses.")
    near(double, 1.99, 1e-6, "double: the action that the net prefers, valued by the copy, discounted; and the reward.")
    mistaken(single, 2.8, "not double: the copy alone chooses and values.")
    near(single, 2.62, 1e-6, "not double: the largest value of the copy, discounted; and the reward.")
    near(over, 1, 1e-6, "terminated: nothing comes any more; what is left of the target?")
    return "What one of them overrates, the other one seldom does."


@check.exercise(3)
def epsilon_translated(answer):
    """(with the mean over 128, with the sum over 128), if epsilon was 0.01 within the root with the sum over 32."""
    mean, total = several(answer, "(mean over 128, sum over 128)")
    mistaken(mean, 0.01 / 32, "mean: within the root stand squares; 32 counts squared, too.", 1e-7)
    for wrong in 0.01 / 128, 0.01 / 128**2:
        mistaken(mean, wrong, "mean: without noise it is as large whether of 32 or of 128; what was their sum?", 1e-7)
    mistaken(mean, 0.01, "mean: the gradient is 32 times smaller than that sum, epsilon is not.", 1e-7)
    near(mean, 0.01 / 32**2, 1e-7, "mean: by which factor are gradients smaller? Multiply epsilon by its square.")
    mistaken(total, 0.04, "sum: without noise the gradient is 4 times as large, and within the root stand squares.")
    mistaken(total, 0.01, "sum: of 128 examples it is 4 times as large as of 32.")
    near(total, 0.16, 1e-6, "sum: by which factor are gradients larger? Multiply epsilon by its square.")
    return "Without a word on sum or mean, an epsilon is half a number."


@check.exercise(4)
def targets(answer):
    """A function (rewards, best, terminated, truncated, discount) -> targets; ``best``: worth of the next action."""
    rng = np.random.default_rng(0)
    rewards, best = rng.normal(size=(2, 8))
    terminated, truncated = np.arange(8) % 4 == 1, np.arange(8) % 4 >= 2
    truncated[1] = True  # it may fall at the very step that is the last one
    for discount in 0.9, 0.7:
        given = result_of(answer, rewards.copy(), best.copy(), terminated.copy(), truncated.copy(), discount)
        given = np.asarray(given)
        if given.shape != (8,):
            raise Wrong(f"One target a step is asked for, shape (8,); got {given.shape}.")
        with_end = lambda over: rewards + discount * np.where(over, 0, best)  # noqa: B023
        mistaken(given, with_end(terminated | truncated), "Cut off is not over: what would have come counts.", 1e-9)
        mistaken(given, with_end(False), "Where the pole fell there is nothing more to come.", 1e-9)
        mistaken(given, with_end(terminated & ~truncated), "Where it fell and was cut off, it fell.", 1e-9)
        mistaken(given, rewards + np.where(terminated, 0, best), "What comes later is discounted.", 1e-9)
        hint = "The reward, and the worth of what comes, discounted by the discount given, unless it is over."
        near(given, with_end(terminated), 1e-9, hint)
    return "The limit of time is the program's, not the world's."


@check.exercise(5)
def cut_for_end(answer):
    """The one value of a held pole that is the mean of its 500 targets if the cut counts as an end, gamma = 0.99."""
    to_come = 100 * (1 - 0.99 ** np.arange(1, 501))
    mistaken(answer, 100, "That is a pole held for ever; here the last target has nothing to come.", 1e-3)
    mistaken(answer, to_come[-1], "That is what the first step is worth; the later ones have less to come.", 1e-3)
    mistaken(answer, 250, "That is not discounted.", 1e-2)
    really = "That is the mean of what the steps really are worth; targets are made of what the net says of the next"
    mistaken(answer, to_come.mean(), f"{really} step, which looks the same.", 2e-3)
    near(
        answer,
        1 / (1 - 0.99 * 499 / 500),
        5e-4,
        "Of 500 targets 499 are 1 + 0.99 V, one is 1. Set V equal to the mean.",
    )
    return "A sixth of its worth is gone, and what it sees does not tell it why."


@check.exercise(6)
def drawn_again(answer):
    """(draws of a step in its life, chance that a batch holds one twice): 128 of 10,000, four batches a time."""
    often, twice = several(answer, "(draws of a step, chance of a pair)")
    mistaken(often, 128 * 4 / 10_000, "draws: those are of one step of all eight; for how many does it live?", 1e-4)
    mistaken(often, 512, "draws: it lives for 10,000 steps, and eight come at a time.")
    near(often, 64, 1e-3, "draws: it lives for 1,250 steps of all eight, with four batches each.")
    chance = 1 - np.prod(1 - np.arange(128) / 10_000)
    mistaken(twice, 1 - chance, "chance: that is the chance of no pair.", 5e-3)
    mistaken(twice, 128 / 10_000, "chance: that is of one step and a batch; count pairs within the batch.", 1e-3)
    near(twice, chance, 1e-2, "chance: 1 - (1 - 1/10,000) (1 - 2/10,000) ... (1 - 127/10,000).")
    return "Every step teaches some sixty times, and every second batch holds one twice."


@check.exercise(7)
def five_runs(answer):
    """(IQM of 9, 240, 260, 310, 480, share of draws of five that miss the best)."""
    iqm, missed = several(answer, "(interquartile mean, share)")
    mistaken(iqm, 260, "mean: that is the median; a quarter of five, rounded down, is left out at each end.", 1e-4)
    mistaken(iqm, 259.8, "mean: that is the mean of all; the ends are left out.", 1e-4)
    near(iqm, 270, 1e-4, "mean: leave out the lowest and the highest.")
    mistaken(missed, 1 - 0.8**5, "share: that is of the draws that hold it.", 5e-3)
    mistaken(missed, 0.2, "share: of five draws, each misses it with 4/5.", 1e-3)
    mistaken(missed, 0.8, "share: that is one draw of five.", 1e-3)
    near(missed, 0.8**5, 5e-3, "share: five draws, and each of them misses it with the chance 4/5.")
    return "A third of all draws does not know the best run: so wide is what five runs say."
