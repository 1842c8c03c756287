"""The judges of the page on choosing a rate: the right answer passes, each typical mistake is named."""

from lib.exercises.choosing import check
from tests.exercises.judging import exercise_tests


def choose(train, rates=sorted):
    tried = {rate: train(rate) for rate in (0.01 / 3, 0.01, 0.03)}
    while True:
        best = min(rates(tried), key=tried.get)
        if best == min(tried):
            tried[best / 3] = train(best / 3)
        elif best == max(tried):
            tried[best * 3] = train(best * 3)
        else:
            return best


def first_of_equals(train):
    """Of rates that all diverge it takes the one that it tried first, which soon is not the lowest."""
    return choose(train, rates=list)


def only_three(train):
    tried = {rate: train(rate) for rate in (0.01 / 3, 0.01, 0.03)}
    return min(tried, key=tried.get)


def worst(train):
    tried = {0.01 * 3.0**k: train(0.01 * 3.0**k) for k in range(-8, 6)}
    return max(tried, key=tried.get)


def everything(train):
    tried = {0.01 * 3.0**k: train(0.01 * 3.0**k) for k in range(-8, 6)}
    return min(tried, key=tried.get)


def again_and_again(train):
    while True:
        rate = choose(train)
        train(rate)


def for_ever(train):
    rate = 0.01
    while True:
        train(rate := rate * 1.01)


FLAWS = {"A": "one rate for both", "B": "chosen on the test set", "C": "within the spread"}
MOVES = {"A": "another net", "B": "clip at 5", "C": "a lower rate, judged on both", "D": "a test of lower rates"}

RIGHT = [
    (1, [0.04 / 3, 0.04, 0.12]),
    (1, (0.013, 0.04, 0.12)),
    (1, [0.12, 0.04, 0.0133]),
    (2, (0.36, 2.83)),
    (2, (0.05 * 63.5 / 8.8125, 0.05 * 63.5 / (1 + 2000 / 16384))),
    (3, FLAWS),
    (4, choose),
    (5, MOVES),
]

WRONG = [
    (1, [0.03, 0.04, 0.05], "A factor of 3 apart"),
    (1, [0.4 / 3, 0.4, 1.2], "about to burst"),
    (1, [0.1 / 3, 0.1, 0.3], "looks both ways"),
    (1, [0.2 / 3, 0.2, 0.6], "for gradient descent"),
    (1, [0.001, 0.003, 0.009], "which share of the edge"),
    (1, 0.04, "Three numbers are asked for"),
    (2, (0.05, 2.83), "lower than it may be"),
    (2, (0.00625, 2.83), "the rate may rise"),
    (2, (0.4, 2.83), "somewhat less"),
    (2, (1.0, 2.83), "1 / (1 + noise scale / batch)"),
    (2, (0.36, 25.6), "gains nothing"),
    (2, (0.36, 0.36), "the same formula"),
    (2, 0.36, "Two numbers are asked for"),
    (3, "A", "A dict is asked for"),
    (3, FLAWS | {"A": "bad luck"}, "not on the list"),
    (3, FLAWS | {"A": "within the spread"}, "a rate that suits them"),
    (3, FLAWS | {"B": "within the spread"}, "chosen by"),
    (3, FLAWS | {"C": "not the whole schedule"}, "two seeds of one setting"),
    (4, lambda train: 0.01, "never calls train"),
    (4, lambda train: (train(0.01), 0.02)[1], "did not train at"),
    (4, first_of_equals, "where the training diverged"),
    (4, only_three, "at the edge of what it tried"),
    (4, worst, "had the lower loss"),
    (4, everything, "suffice"),
    (4, again_and_again, "twice"),
    (4, for_ever, "does it ever stop"),
    (5, ["another net"], 'A dict is asked for: {"A": ..., "B": ..., "C": ..., "D": ...}'),
    (5, MOVES | {"A": "prayer"}, "not on the list"),
    (5, MOVES | {"A": "a longer schedule"}, "how far did the loss fall"),
    (5, MOVES | {"B": "another net"}, "leave in v"),
    (5, MOVES | {"C": "a longer schedule"}, "new examples do not show"),
    (5, MOVES | {"D": "another net"}, "did the test begin"),
]

test_a_right_answer_passes, test_a_mistake_is_named, test_every_exercise_starts_open = exercise_tests(
    check, RIGHT, WRONG
)
