"""The judges of the chapter on population based training: the right answer passes, each typical mistake is named."""

import numpy as np
import pytest
import scipy.stats

from lib.exercises import population as exercises
from lib.exercises.population import FAULTS, PLACE, WITH_H, check, losses_of, suspects
from lib.experiments.population import HANDICAPPED, Toy
from lib.search.population import train_population
from lib.search.strategies import BinaryTournament
from tests.exercises.judging import exercise_tests

PLAIN, STOPPED = losses_of("constant"), losses_of("early stopping")
AHEAD = np.mean(PLAIN) - np.mean(STOPPED)
PAIRED = scipy.stats.sem(PLAIN - STOPPED)
FORGOTTEN = np.hypot(scipy.stats.sem(PLAIN), scipy.stats.sem(STOPPED))
SUM = scipy.stats.sem(PLAIN) + scipy.stats.sem(STOPPED)


def truncation(scores, share, random):
    order = np.argsort(scores)
    cut = int(share * len(scores))
    parents = np.arange(len(scores))
    parents[order[:cut]] = random.choice(order[-cut:], cut)
    return parents


def one_by_one(scores, share, random):
    cut = int(share * len(scores))
    order = list(np.argsort(scores))
    return [int(random.choice(order[-cut:])) if i in order[:cut] else i for i in range(len(scores))]


def upside_down(scores, share, random):
    return truncation(-scores, share, random)


def nobody(scores, share, random):
    return np.arange(len(scores))


def the_best_only(scores, share, random):
    parents = truncation(scores, share, random)
    return np.where(parents != np.arange(len(scores)), np.argmax(scores), parents)


def one_for_all(scores, share, random):
    parents = truncation(scores, share, random)
    order = np.argsort(scores)
    return np.where(parents != np.arange(len(scores)), random.choice(order[-int(share * len(scores)) :]), parents)


def everybody(scores, share, random):
    return random.choice(np.argsort(scores)[-int(share * len(scores)) :], len(scores))


def ranked_once(scores, share, random):
    rank, cut = np.argsort(scores), int(share * len(scores))
    return np.where(rank < cut, random.choice(np.argsort(scores)[-cut:], len(scores)), np.arange(len(scores)))


def rounded_up(scores, share, random):
    return truncation(scores, np.ceil(share * len(scores)) / len(scores) + 1e-9, random)


def of_another_generator(scores, share, random):
    return truncation(scores, share, np.random.default_rng())


def each_once(scores, share, random):
    order, cut = np.argsort(scores), int(share * len(scores))
    parents = np.arange(len(scores))
    parents[order[:cut]] = random.permutation(order[-cut:])
    return parents


def of_all_better(scores, share, random):
    order = np.argsort(scores)
    cut = int(share * len(scores))
    parents = np.arange(len(scores))
    parents[order[:cut]] = random.choice(order[cut:], cut)
    return parents


def line(parents, member):
    found = []
    for row in parents[::-1]:
        found.append(member)
        member = row[member]
    return found[::-1]


RIGHT = [
    (1, (PLACE, WITH_H)),
    (1, [1.155, 0.389]),
    (1, [1.155, 0.39]),
    (2, truncation),
    (2, one_by_one),
    (3, (AHEAD / PAIRED, AHEAD / FORGOTTEN)),
    (3, [round(AHEAD / PAIRED, 2), round(AHEAD / FORGOTTEN, 2)]),
    (4, 4165.5),
    (4, 4166),
    (5, 6740 / 150),
    (5, 45),
    (6, line),
    (6, lambda parents, member: np.array(line(parents, member))),
    (7, {"A": "everybody explores", "B": "velocity stays behind", "C": "only weights are copied"}),
    (8, 0.3),
    (8, np.float64(0.3)),
]

WRONG = [
    (1, 1.2, "Two numbers are asked for"),
    (1, (1.2 - 0.81 * (0.98**100 + 0.98**80), WITH_H), "that is the rate 0.01"),
    (1, (1.2 - 0.81 * (0.96**50 + 0.96**40), WITH_H), "theta is squared"),
    (1, (1.2 - 1.62 * 0.96**90, WITH_H), "cannot be halved"),
    (1, (1.2 - 1.62 * 0.96**180, WITH_H), "no coordinate is moved in all"),
    (1, (WITH_H, WITH_H), "changes sides"),
    (1, (1.0, WITH_H), "how many of the nine rounds"),
    (1, (PLACE, PLACE), "after the first copy"),
    (1, (PLACE, 0.39 - 0.81 * 0.96**90), "exponent doubles"),
    (1, (PLACE, 0.5), "one coordinate stays at 0.9"),
    (2, upside_down, "argsort begins with the lowest"),
    (2, nobody, "The lowest do not copy"),
    (2, the_best_only, "one of them is never copied"),
    (2, one_for_all, "All of the lowest copy one and the same"),
    (2, everybody, "keep themselves"),
    (2, ranked_once, "members, not ranks"),
    (2, rounded_up, "keep themselves"),
    (2, of_another_generator, "draw from `random`"),
    (2, each_once, "Two may copy the same"),
    (2, of_all_better, "one of the highest share"),
    (2, lambda scores, share, random: [0], "one parent a member"),
    (2, lambda scores, share, random: None, "returned None"),
    (3, 1.7, "Two numbers are asked for"),
    (3, (-AHEAD / PAIRED, AHEAD / FORGOTTEN), "lower is better"),
    (3, (AHEAD / PAIRED / 20**0.5, AHEAD / FORGOTTEN), "the root of 20"),
    (3, (AHEAD, AHEAD / FORGOTTEN), "that is the difference"),
    (3, (AHEAD / FORGOTTEN, AHEAD / PAIRED), "the error of the 20 differences"),
    (3, (3.0, AHEAD / FORGOTTEN), "the mean of the 20 differences"),
    (3, (AHEAD / np.std(PLAIN - STOPPED) * 20**0.5, AHEAD / FORGOTTEN), "with n - 1"),
    (3, (AHEAD / PAIRED, -AHEAD / FORGOTTEN), "lower is better"),
    (3, (AHEAD / PAIRED, AHEAD / FORGOTTEN / 20**0.5), "the root of 20"),
    (3, (AHEAD / PAIRED, AHEAD / SUM), "variances are added"),
    (3, (AHEAD / PAIRED, 3.0), "the sum of those of both"),
    (4, 70.7, "that was our folder"),
    (4, 5000, "what is written"),
    (4, 25_000, "every member writes"),
    (4, 2500, "Only a fifth"),
    (4, 12_500, "Adam keeps two moments"),
    (4, 6.94, "600 seconds"),
    (4, 10_000, "M checkpoints written"),
    (5, 6740 / 50, "a forward pass alone"),
    (5, 337 / 150, "There are 20 looks"),
    (5, 6740 * 0.05 / 3000, "other way round"),
    (5, 6740 * 19 / 3000, "5 % of all"),
    (5, 4, "1000 * 3 passes"),
    (6, lambda parents, member: line(parents, member)[::-1], "turn it round"),
    (6, lambda parents, member: line(parents, member)[1:], "One member a round"),
    (6, lambda parents, member: parents[:, member], "the parent's own parent"),
    (6, lambda parents, member: [member] * len(parents), "the line is"),
    (7, {"A": "everybody explores"}, "one fault for each suspect"),
    (7, {"A": "velocity stays behind", "B": "velocity stays behind", "C": "only weights are copied"}, "A is innocent"),
    (7, {"A": "everybody explores", "B": "rates leave the space", "C": "only weights are copied"}, "B is innocent"),
    (7, {"A": "everybody explores", "B": "magic", "C": "only weights are copied"}, "not on the list"),
    (8, 0.1, "with flat directions"),
    (8, 0.03, "still high"),
    (8, 1, "falls too soon"),
    (8, 0.2, "One of 1, 0.3, 0.1 and 0.03"),
]

test_right, test_wrong, test_open = exercise_tests(check, RIGHT, WRONG)


def test_the_numbers_of_the_first_are_those_of_the_run():
    given = {"exploit": BinaryTournament(), "explore": None, "settings": HANDICAPPED}
    for copied, expected in (False, PLACE), (True, WITH_H):
        record = train_population(Toy(0.02), 2, 9, 10, **given, copy_settings=copied)
        assert record.scores[-1].max() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", suspects)
def test_a_suspect_has_its_fault_and_no_other(name):
    draw, x = np.random.default_rng(0), np.arange(4.0)
    weights, velocities, rates = suspects[name](x, 10 + x, 1 + 3 * x, np.array([2.0, 0.0, 3.0, 1.0]), draw)
    assert weights.tolist() == [0, 2, 2, 3]
    fault = next(fault for fault, (who, _) in FAULTS.items() if who == name)
    assert (velocities.tolist() == [10, 12, 12, 13]) == (fault != "velocity stays behind")
    assert (rates[[0, 2, 3]].tolist() == [1, 7, 10]) == (fault != "everybody explores")
    assert (rates[1] / 7 == pytest.approx(0.8) or rates[1] / 7 == pytest.approx(1.2)) == (
        fault != "only weights are copied"
    )


def test_a_line_is_told_in_plain_numbers(capsys):
    check(6, lambda parents, member: np.full(len(parents), member))
    assert "np." not in capsys.readouterr().out


def test_every_fault_is_somebodys_or_nobodys():
    assert {who for who, _ in exercises.FAULTS.values()} == {*suspects, None}
