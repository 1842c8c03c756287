"""The exercises of the chapter on population based training."""

import numpy as np

from lib.exercises import Exercises, Wrong, convict, mistaken, near, result_of, several

check = Exercises()

PLACE = 1.2 - 2 * 0.81 * 0.96**100
WITH_H = 1.2 - 0.81 - 0.81 * 0.96**200


@check.exercise(1)
def by_hand(answer):
    """(Q of exploit alone by place, by place and h) at a rate of 0.02 and 100 steps."""
    place, with_h = several(answer, "(place alone, place and h)")
    mistaken(place, 1.2 - 2 * 0.81 * 0.98**100, "Place: that is the rate 0.01; a step multiplies by 1 - 2 * 0.02.")
    mistaken(place, 1.2 - 2 * 0.81 * 0.96**50, "Place: theta is squared in Q, so the exponent doubles.")
    mistaken(place, 1.2 - 2 * 0.81 * 0.96**200, "Place: no coordinate is moved in all 100 steps, each in half of them.")
    mistaken(place, WITH_H, "Place: the line of the best changes sides; each coordinate is moved in half of the steps.")
    near(place, PLACE, 1e-3, "Place: each coordinate is moved in half of the 100 steps.")
    mistaken(with_h, PLACE, "With h: after the first copy both climbers move one and the same coordinate.")
    mistaken(with_h, 0.39 - 0.81 * 0.96**100, "With h: here one coordinate gets all 100 steps.")
    near(with_h, WITH_H, 1e-3, "With h: one coordinate stays at 0.9, the other is moved in all 100 steps.")
    return "Twice the rate for half the steps: nearly the numbers of the text."


@check.exercise(2)
def truncation(answer):
    """A function (scores, share, random) -> parents."""
    for members, share in (10, 0.2), (7, 0.3), (20, 0.5):
        scores = np.random.default_rng(members).permutation(members) / 7.0
        order, cut = np.argsort(scores), int(share * members)
        low, high = order[:cut], order[-cut:]
        seen = np.zeros(members, dtype=int)
        for seed in range(60):
            parents = np.asarray(result_of(answer, scores.copy(), share, np.random.default_rng(seed)))
            if parents.shape != (members,):
                raise Wrong(f"Return one parent a member, {members}; got shape {parents.shape}.")
            others = order[cut:]
            if np.isin(parents[high], low).any():
                raise Wrong("The highest copy the lowest: argsort begins with the lowest.")
            if (parents[low] == low).all():
                raise Wrong("The lowest do not copy anybody.")
            if (parents[others] != others).any():
                raise Wrong("Those above the lowest share keep themselves.")
            if not np.isin(parents[low], high).all():
                raise Wrong("The lowest copy one of the highest share, the numbers order[-cut:].")
            seen[parents[low]] += 1
        if (seen[high] == 0).any():
            raise Wrong("Draw the parent among all of the highest share; one of them is never copied.")
        if cut > 1 and all(
            len(set(np.asarray(answer(scores.copy(), share, np.random.default_rng(seed)))[low])) == 1
            for seed in range(30)
        ):
            raise Wrong("All of the lowest copy one and the same: draw a parent for each of them.")
    return "As many copies as the share says, each of one of the best."


@check.exercise(3)
def copies(answer):
    """(copies of truncation, of a tournament) in a round of 20 members."""
    truncated, tournament = several(answer, "(truncation, tournament)")
    mistaken(truncated, 8, "Truncation: the lowest fifth copies; the highest fifth is only copied.", 1e-9)
    near(truncated, 4, 1e-9, "Truncation: a fifth of 20.")
    mistaken(tournament, 20, "Tournament: who meets a worse one keeps itself.", 1e-9)
    mistaken(
        tournament, 9.5, "Tournament: nobody meets itself, so the other one is better in exactly half of all pairs."
    )
    near(tournament, 10, 1e-9, "Tournament: in each pair of two members one is the better.")
    return "A tournament selects about as hard, and explores more."


@check.exercise(4)
def drift(answer):
    """How many explorations by 0.8 or 1.2 halve a rate, on the geometric mean."""
    mistaken(answer, np.log(2) / -np.log(0.96), "0.96 is the effect of two explorations, one of each kind.", 1e-2)
    mistaken(answer, np.log(2) / -np.log(0.8), "Every other exploration multiplies by 1.2.", 1e-2)
    near(answer, 2 * np.log(2) / -np.log(0.96), 0.02, "Each multiplies by the root of 0.8 * 1.2.")
    return "With 0.8 and 1.25 there is no drift."


@check.exercise(5)
def looks(answer):
    """By what share looks of 337 examples raise the cost of 1000 steps with 4 examples."""
    mistaken(answer, 20 * 337 / 4000, "A look is a forward pass alone; a step costs three of them an example.", 1e-3)
    mistaken(answer, 337 / 12_000, "There are 20 looks.", 1e-3)
    mistaken(answer, 12_000 / 6740, "The other way round: the looks, as a share of the steps.", 1e-3)
    mistaken(answer, 6740 / (6740 + 12_000), "That is their share of all; how much do they add to the steps?", 1e-3)
    near(answer, 6740 / 12_000, 1e-3, "Steps: 1000 * 4 * 3 forward passes. Looks: 20 * 337.")
    return "At batches of 4 a look is dear: more than half as much again."


@check.exercise(6)
def line(answer):
    """A function (parents, member) -> members from the first round to the last."""
    for seed in range(5):
        draw = np.random.default_rng(seed)
        parents = draw.integers(0, 6, (7, 6))
        parents[0] = np.arange(6)
        for member in range(6):
            found, now = [], member
            for row in parents[::-1]:
                found.append(now)
                now = row[now]
            found = found[::-1]
            given = list(np.ravel(result_of(answer, parents.copy(), member)))
            if given == found:
                continue
            if given == found[::-1] and given != found:
                raise Wrong("That runs from the last round to the first: turn it round.")
            if len(given) != len(found):
                raise Wrong(f"One member a round is asked for, {len(found)} in all, the last of them the one given.")
            if given == list(parents[:, member]):
                raise Wrong("Those are the parents of one member; follow the parent's own parent.")
            raise Wrong(f"For {parents.tolist()} and member {member} the line is {found}, not {given}.")
    return "With the settings at these places it is the schedule."


# Exercise 7: a round of exploit and explore with one fault.


def _parents(scores):
    """The lowest copies the highest."""
    parents = np.arange(len(scores))
    parents[np.argmin(scores)] = np.argmax(scores)
    return parents


def _tried(rates, random):
    return np.clip(rates * random.choice([0.8, 1.2], len(rates)), 1e-3, 10)


def _everybody_explores(weights, velocities, rates, scores, random):
    parents = _parents(scores)
    return weights[parents], velocities[parents], _tried(rates[parents], random)


def _velocity_stays(weights, velocities, rates, scores, random):
    parents = _parents(scores)
    copies = parents != np.arange(len(scores))
    return weights[parents], velocities, np.where(copies, _tried(rates[parents], random), rates)


def _only_weights(weights, velocities, rates, scores, random):
    parents = _parents(scores)
    copies = parents != np.arange(len(scores))
    return weights[parents], velocities[parents], np.where(copies, _tried(rates, random), rates)


suspects = {"A": _everybody_explores, "B": _velocity_stays, "C": _only_weights}
# fault: (who has it, what brings it to light)
FAULTS = {
    "everybody explores": ("A", "rates of members that copy nobody"),
    "velocity stays behind": ("B", "a velocity of its own for each member"),
    "only weights are copied": ("C", "a rate of its own for each member: the copy's is near its old one"),
    "a parent may be the worst": (None, "several orders of the scores"),
    "rates leave the space": (None, "rates near 0.001 and 10"),
}


@check.exercise(7)
def which_fault(answer):
    convict(answer, suspects, FAULTS, "give it {} and see what comes back")
    return "All three would train; none is Algorithm 1."


@check.exercise(8)
def how_fast(answer):
    """The best power of the factors at 5 steps a round, on a quadratic without flat directions."""
    if answer not in (1, 0.3, 0.1, 0.03):
        raise Wrong("One of 1, 0.3, 0.1 and 0.03 is asked for.")
    mistaken(answer, 0.1, "That is the best one with flat directions; run it with curvatures from 0.1 on.", 1e-9)
    mistaken(answer, 0.03, "So slow that the rate is still high at the end. Run it.", 1e-9)
    mistaken(answer, 1, "Nearly, but even here the rate falls too soon. Take ten seeds, and their median.", 1e-9)
    return "Where nothing takes long to show, the rate may fall sooner: the best speed hangs on the problem."
