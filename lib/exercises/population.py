"""The exercises of the chapter on population based training."""

import json

import numpy as np

from lib.exercises import Exercises, Wrong, convict, mistaken, near, result_of, several
from lib.experiments.population import RECORD

check = Exercises()

PLACE = 1.2 - 0.81 * (0.96**100 + 0.96**80)
WITH_H = 1.2 - 0.81 - 0.81 * 0.96**180


@check.exercise(1)
def by_hand(answer):
    """(Q of exploit alone by place, by place and h) at a rate of 0.02 and 9 rounds of 10 steps."""
    place, with_h = several(answer, "(place alone, place and h)")
    exact = 6e-4  # of Q, so three decimals pass; half of the steps along each axis is 0.0035 away
    mistaken(place, 1.2 - 0.81 * (0.98**100 + 0.98**80), "Place: that is the rate 0.01; a step is 1 - 2 * 0.02.", exact)
    mistaken(place, 1.2 - 0.81 * (0.96**50 + 0.96**40), "Place: theta is squared in Q, so the exponent doubles.", exact)
    mistaken(place, 1.2 - 1.62 * 0.96**90, "Place: nine rounds cannot be halved; a round goes along one axis.", exact)
    mistaken(place, 1.2 - 1.62 * 0.96**180, "Place: no coordinate is moved in all 90 steps.", exact)
    mistaken(place, WITH_H, "Place: the line of the best changes sides; both coordinates are moved, in turn.", exact)
    near(place, PLACE, exact, "Place: how many of the nine rounds move one coordinate, how many the other?")
    mistaken(with_h, PLACE, "With h: after the first copy both climbers move one and the same coordinate.", exact)
    mistaken(with_h, 0.39 - 0.81 * 0.96**90, "With h: theta is squared in Q, so the exponent doubles.", exact)
    near(with_h, WITH_H, 1e-3, "With h: one coordinate stays at 0.9, the other is moved in all 90 steps.")
    return "Half of the steps along each axis would be best; nine rounds come as near as they can."


@check.exercise(2)
def truncation(answer):
    """A function (scores, share, random) -> parents."""
    for members, share in (10, 0.2), (7, 0.3), (7, 0.25), (20, 0.5):
        scores = np.random.default_rng(members).permutation(members) / 7.0
        order, cut = np.argsort(scores), int(share * members)
        low, high = order[:cut], order[-cut:]
        seen, twice = np.zeros(members, dtype=int), False
        for seed in range(60):
            parents, again = (
                np.asarray(result_of(answer, scores.copy(), share, np.random.default_rng(seed))) for _ in range(2)
            )
            if parents.shape != (members,):
                raise Wrong(f"Return one parent a member, {members}; got shape {parents.shape}.")
            others = order[cut:]
            if np.isin(parents[high], low).all():
                raise Wrong("The highest copy the lowest: argsort begins with the lowest.")
            if (parents[others] != others).any():
                raise Wrong("Those above the lowest share keep themselves; argsort gives members, not ranks.")
            if (parents[low] == low).all():
                raise Wrong("The lowest do not copy anybody.")
            if not np.isin(parents[low], high).all():
                raise Wrong("The lowest copy one of the highest share, the numbers order[-cut:].")
            if not np.array_equal(parents, again):
                raise Wrong("With equal generators it must draw the same: draw from `random`, and from nothing else.")
            seen[parents[low]] += 1
            twice |= len(set(parents[low])) < cut
        if (seen[high] == 0).any():
            raise Wrong("Draw the parent among all of the highest share; one of them is never copied.")
        if cut > 1 and all(
            len(set(np.asarray(answer(scores.copy(), share, np.random.default_rng(seed)))[low])) == 1
            for seed in range(30)
        ):
            raise Wrong("All of the lowest copy one and the same: draw a parent for each of them.")
        if cut > 1 and not twice:
            raise Wrong("Two may copy the same one: draw for each of them among all of the highest share.")
    return "As many copies as the share says, each of one of the best."


@check.exercise(3)
def read_a_result(answer):
    """By how many standard errors early stopping is ahead of constants: (seed by seed, seeds forgotten)."""
    stopped, plain = (losses_of(name) for name in ("early stopping", "constant"))
    paired, forgotten = several(answer, "(seed by seed, seeds forgotten)")
    ahead, root = (plain - stopped).mean(), np.sqrt(len(plain))
    error = (plain - stopped).std(ddof=1) / root
    apart = np.sqrt(plain.var(ddof=1) + stopped.var(ddof=1)) / root
    exact = 6e-3  # two decimals pass
    uncorrected = (plain - stopped).std() / root
    mistaken(paired, ahead / uncorrected, "Seed by seed: the deviation with n - 1, std(ddof=1).", exact)
    for given, one, which in (paired, error, "Seed by seed"), (forgotten, apart, "Seeds forgotten"):
        mistaken(given, -ahead / one, f"{which}: lower is better; ask by how much constant is higher.", exact)
        mistaken(given, ahead / one / root, f"{which}: of a mean, divide the deviation by the root of 20.", exact)
        mistaken(given, ahead, f"{which}: that is the difference; divide it by its standard error.", 1e-6)
    mistaken(paired, ahead / apart, "Seed by seed: take the error of the 20 differences.", exact)
    near(paired, ahead / error, exact, "Seed by seed: the mean of the 20 differences, by its standard error.")
    sum_of_errors = (plain.std(ddof=1) + stopped.std(ddof=1)) / root
    mistaken(forgotten, ahead / sum_of_errors, "Seeds forgotten: variances are added, not deviations.", exact)
    near(forgotten, ahead / apart, exact, "Seeds forgotten: the error's square is the sum of those of both means.")
    return "A hard seed is hard for both; in differences it drops out. Even so it is less than two errors."


def losses_of(name) -> np.ndarray:
    """Of the winners in the chapter's record, one a seed."""
    return np.array([run["losses"][name][1] for run in json.loads(RECORD.read_text())["runs"]])


@check.exercise(4)
def store(answer):
    """How many members of the large net a store serves, if scores are apart from weights."""
    size, moved = 1.2e9, 10e9 * 600
    mistaken(answer, np.sqrt(moved / size), "Only the scores are read by everybody; that was our folder.", 1e-2)
    mistaken(answer, moved / size, "That is what is written; a fifth of the members read one, too.", 1e-2)
    mistaken(answer, moved / (0.2 * size), "That is what copies read; every member writes one, too.", 1e-2)
    mistaken(answer, moved / (2 * size), "Only a fifth copy, and read a checkpoint.", 1e-2)
    mistaken(answer, moved / (0.4 * size), "Adam keeps two moments: three arrays of 100 million, 4 bytes each.", 1e-2)
    mistaken(answer, moved / 600 / (1.2 * size), "A round has 600 seconds.", 1e-2)
    near(answer, moved / (1.2 * size), 5e-3, "Per round: M checkpoints written, M/5 read, and M * M scores.")
    return "The scores are nothing beside that. For 10,000, a round has to be longer, or written less often."


@check.exercise(5)
def looks(answer):
    """In batches of which size 20 looks of 337 examples raise the cost of 1000 steps by 5 %."""
    mistaken(answer, 6740 / 50, "A look is a forward pass alone; a step costs three of them an example.", 1e-3)
    mistaken(answer, 337 / 150, "There are 20 looks.", 1e-3)
    mistaken(answer, 6740 * 0.05 / 3000, "The other way round: steps that cost 5 % of the looks.", 1e-3)
    mistaken(answer, 6740 * 19 / 3000, "That makes looks 5 % of all; they are to be 5 % of the steps.", 1e-3)
    near(answer, 6740 / 150, 2e-3, "Steps: 1000 * 3 passes an example of the batch. Looks: 20 * 337.")
    return "With batches of 4, as here, they raise it by more than half."


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
            found = np.array(found[::-1]).tolist()
            given = np.ravel(result_of(answer, parents.copy(), member)).tolist()
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
    "only weights are copied": ("C", "a rate of its own for each member"),
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
