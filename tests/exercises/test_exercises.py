"""`check` tells open, right, wrong and failing answers apart; `near` accepts the number and nothing else."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from lib.exercises import Exercises, Wrong, expect_path, expect_step, name_mistake, near, result_of, walked
from lib.optimizers import adam, lion, schedule_free_sgd


@pytest.fixture
def check():
    check = Exercises()

    @check.exercise(1)
    def double(answer):
        if answer == 3:
            raise Wrong("That is the number itself.")
        near(answer, 6.0, hint="Twice three.")
        return "Twice three is six."

    @check.exercise(2)
    def doubling_function(answer):
        near(answer(3.0), 6.0)

    return check


def verdict(capsys, check, number, answer):
    assert check(number, answer) is None  # nothing for the notebook to show below the verdict
    return capsys.readouterr().out


@pytest.mark.parametrize(
    "answer", [..., (1.0, ...), [..., ...], [1.0, (2.0, ...)], {"a": 1.0, "b": ...}, {"a": [1.0, ...]}]
)
def test_an_open_answer_is_still_to_come(capsys, check, answer):
    assert (
        verdict(capsys, check, 1, answer) == "Exercise 1: replace the dots with your answer and run the cell again.\n"
    )


def test_a_right_answer_says_why(capsys, check):
    assert verdict(capsys, check, 1, 6.0) == "Exercise 1: right. Twice three is six.\n"


def test_a_judge_may_have_nothing_to_add(capsys, check):
    assert verdict(capsys, check, 2, lambda x: 2 * x) == "Exercise 2: right.\n"


def test_a_wrong_answer_says_why(capsys, check):
    assert verdict(capsys, check, 1, 3) == "Exercise 1: not yet. That is the number itself.\n"
    assert verdict(capsys, check, 1, 7) == "Exercise 1: not yet. Twice three.\n"


def test_an_answer_that_raises_says_what(capsys, check):
    def broken(x):
        raise ArithmeticError("cannot double")

    assert verdict(capsys, check, 2, broken) == "Exercise 2: your answer raised ArithmeticError: cannot double\n"


def test_an_answer_of_the_wrong_kind_says_what(capsys, check):
    assert (
        verdict(capsys, check, 2, 6.0) == "Exercise 2: your answer raised TypeError: 'float' object is not callable\n"
    )


def test_the_reader_may_interrupt(check):
    def endless(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check(2, endless)


@pytest.mark.parametrize("number", [0, 3, "1", None])
def test_an_unknown_number_is_named(check, number):
    with pytest.raises(KeyError, match=rf"there is no exercise {number}; this chapter has \[1, 2\]"):
        check(number, 1)


def test_a_number_has_one_judge(check):
    with pytest.raises(ValueError, match="two judges for exercise 2"):
        check.exercise(2)


def test_a_judge_stays_a_function(check):
    def judge(answer):
        return "Yes."

    assert check.exercise(3)(judge) is judge


def test_chapters_do_not_share_their_exercises(check):
    with pytest.raises(KeyError, match=r"this chapter has \[\]"):
        Exercises()(1, 1)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (2, 2.0),
        (2.0, 2),
        (np.float32(2), 2.0),
        (np.array(2.0), 2.0),
        (torch.tensor(2.0), 2.0),
        (2.0 + 1.9e-6, 2.0),  # the tolerance is 1e-6 of the size of the number ...
        (2e9 + 1900, 2e9),
        (0.9e-6, 0.0),  # ... and at least 1e-6
        ([1, 2], [1.0, 2.0]),
        ((1, 2), np.array([1.0, 2.0])),
        (torch.tensor([1.0, 2.0]), [1.0, 2.0]),
        ([[1.0], [2.0]], np.array([[1.0], [2.0]])),
    ],
    ids=repr,
)
def test_near_accepts(answer, expected):
    near(answer, expected)


@pytest.mark.parametrize(
    ("answer", "expected", "words"),
    [
        (2.0 + 2.1e-6, 2.0, "is not the value asked for"),
        (2e9 + 2100, 2e9, "is not the value asked for"),
        (1.1e-6, 0.0, "is not the value asked for"),
        (-2.0, 2.0, r"-2\.0 is not the value asked for"),
        (math.nan, 2.0, "nan is not the value asked for"),
        (math.inf, 2.0, "inf is not the value asked for"),
        ([1.0, 2.1], [1.0, 2.0], "is not the value asked for"),
        ([2.0, 1.0], [1.0, 2.0], "is not the value asked for"),
        ([2.0], 2.0, r"has shape \(1,\), expected \(\)"),
        (2.0, [2.0, 2.0], r"has shape \(\), expected \(2,\)"),
        ([1.0, 2.0], [[1.0, 2.0]], r"has shape \(2,\), expected \(1, 2\)"),
        ("2.0", 2.0, r"A number or an array was expected, not '2\.0'"),
        (None, 2.0, "A number or an array was expected, not None"),
        (math.sqrt, 2.0, "A number or an array was expected"),
        ([1.0, [2.0]], [1.0, 2.0], "A number or an array was expected"),
        (2j, 2.0, "A number or an array was expected, not 2j"),
        ({}, 2.0, "A number or an array was expected"),
        ([], [2.0], r"has shape \(0,\), expected \(1,\)"),
    ],
    ids=repr,
)
def test_near_refuses(answer, expected, words):
    with pytest.raises(Wrong, match=words):
        near(answer, expected)


def test_near_takes_a_tolerance():
    near(2.1, 2.0, tolerance=0.06)
    near(2.0, 2.0, tolerance=0.0)
    with pytest.raises(Wrong):
        near(2.1, 2.0, tolerance=0.04)


def test_near_gives_the_hint():
    with pytest.raises(Wrong, match=r"^Look at the sign\.$"):
        near(-2.0, 2.0, hint="Look at the sign.")
    for answer in ([2.0], "2.0"):
        with pytest.raises(Wrong, match=r"expected.* Look at the sign\.$"):
            near(answer, 2.0, hint="Look at the sign.")


def test_near_takes_exact_fractions():
    with pytest.raises(Wrong):
        near(Fraction(1, 3), 1 / 2)
    near(Fraction(1, 2), 1 / 2)


def test_result_of_is_what_the_function_returns():
    assert result_of(lambda x, *, by: by * x, 3, by=2) == 6
    assert result_of(np.zeros, 2).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (6.0, "hand in the function itself"),
        (lambda: None, r"returned None: is there a return at its end\?"),
        (lambda: ..., "still returns the dots: write your answer"),
        (lambda: (1.0, ...), "still returns the dots"),
        (lambda: {"a": [...]}, "still returns the dots"),
    ],
)
def test_result_of_refuses(function, words):
    with pytest.raises(Wrong, match=words):
        result_of(function)


def in_place(x, g, v, t, *, lr):
    v += g
    return x, v


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x, g, v, t, *, lr: (x, v, v), "a tuple of 2, the new x and v: return x, v."),
        (lambda x, g, v, t, *, lr: [x, v], "a tuple of 2"),
        (lambda x, g, v, t, *, lr: None, "returned None"),
        (in_place, "changes its argument v in place"),
    ],
)
def test_a_step_that_is_none(function, words):
    arrays = lambda: {"x": np.zeros(2), "g": np.ones(2), "v": np.zeros(2)}
    expect_step(lambda x, g, v, t, *, lr: (x - lr * t * g, v + g), arrays(), 1, lr=0.1)
    with pytest.raises(Wrong, match=words):
        expect_step(function, arrays(), 1, lr=0.1)


@pytest.mark.parametrize(("rule", "starts", "counts"), [(adam, [0, 0], True), (lion, [0], False)])
def test_a_walk_calls_a_step_as_the_rule_is_called(rule, starts, counts):
    calls = []

    def step(x, g, *others, lr):
        calls.append([*x, *g, *(value for other in others for value in np.atleast_1d(other)), lr])
        state = others[:-1] if counts else others
        return x - g, *(a + 5 for a in state)

    path = walked(step, rule, np.array([[1.0], [-3.0]]), lr=0.1)
    assert path.tolist() == [[1.0], [4.0]]
    assert calls == [
        [2.0, 1.0, *starts, *[1] * counts, 0.1],
        [1.0, -3.0, *(start + 5 for start in starts), *[2] * counts, 0.1],
    ]


def test_a_walk_of_a_rule_whose_state_starts_elsewhere():
    """Schedule-free: the average starts where the parameter does."""
    step = lambda x, g, z, *others, **given: (z, z - g, *others[: len(schedule_free_sgd.state) - 1])
    assert walked(step, schedule_free_sgd, np.ones((3, 2)), **schedule_free_sgd.defaults)[:, 0].tolist() == [2, 1, 0]


def test_a_path_that_leaves_says_where():
    right = np.ones((4, 2))
    expect_path(right + 1e-13, right)
    with pytest.raises(Wrong, match="at step 3 of 4"):
        expect_path(right + 1e-8 * (np.arange(4) >= 2)[:, None], right)


def test_a_mistake_is_named_unless_it_does_no_harm():
    twice, same, lost = lambda x: 2 * x, lambda x: x, lambda x: np.nan
    mistakes = {same: "harmless", lost: "nan", twice: "twice"}
    name_mistake(3.0, lambda rule: rule(3.0), lambda x: x, mistakes)
    name_mistake(7.0, lambda rule: rule(3.0), lambda x: x, mistakes)
    with pytest.raises(Wrong, match="twice"):
        name_mistake(6.0, lambda rule: rule(3.0), lambda x: x, mistakes)
