"""Exercises that tell right from wrong, and why. One file a chapter, named like it, holds the chapter's answers.

In such a file:

    check = Exercises()

    @check.exercise(1)
    def largest_rate(answer):
        if answer == 1.0:
            raise Wrong("1/L is the rate that is best for one curvature; how far can you go before the walk grows?")
        near(answer, 2.0)
        return "At 2/L each step lands exactly as far on the other side."

In the chapter: ``check(1, answer)``, with ``...`` for an answer that is still to come.
"""

from collections.abc import Callable

import numpy as np

from lib.optimizers.rule import first_state


class Wrong(Exception):
    """The answer is not right; the message says why and what to look at."""


class Exercises:
    """The exercises of one chapter: ``check(number, answer)`` prints a verdict."""

    def __init__(self):
        self._judges: dict[int, Callable] = {}

    def exercise(self, number: int) -> Callable:
        """Mark a function of the answer as the judge of exercise ``number``: it raises `Wrong`, or returns why the
        answer is right.

        Raises:
            ValueError: there is a judge for ``number`` already.
        """
        if number in self._judges:
            raise ValueError(f"there are two judges for exercise {number}.")

        def mark(judge):
            self._judges[number] = judge
            return judge

        return mark

    def __call__(self, number: int, answer) -> None:
        """Print whether ``answer`` (a number, array or function, as the exercise asks) solves exercise ``number``; an
        answer that is ``...``, or has ``...`` in its lists, tuples and dicts, is still to come.

        Raises:
            KeyError: there is no such exercise.
        """
        if number not in self._judges:
            raise KeyError(f"there is no exercise {number}; this chapter has {sorted(self._judges)}.")
        if _is_open(answer):
            print(f"Exercise {number}: replace the dots with your answer and run the cell again.")
            return
        try:
            print(f"Exercise {number}: right. {self._judges[number](answer) or ''}".rstrip())
        except Wrong as wrong:
            print(f"Exercise {number}: not yet. {wrong}")
        except Exception as error:  # the reader's own function failed: say so instead of a traceback into this file
            print(f"Exercise {number}: your answer raised {type(error).__name__}: {error}")


def _is_open(answer) -> bool:
    """Whether ``answer`` is the dots, or has them anywhere in its lists, tuples and dicts."""
    if isinstance(answer, dict):
        return any(map(_is_open, answer.values()))
    if isinstance(answer, list | tuple):
        return any(map(_is_open, answer))
    return answer is ...


def near(answer, expected, tolerance: float = 1e-6, hint: str = "") -> None:
    """Raise `Wrong` unless ``answer`` equals ``expected`` in shape and, within ``tolerance`` of its size, in value."""
    try:
        given = np.asarray(answer, dtype=float)
        if (
            answer is None or np.asarray(answer).dtype.kind in "SUcmM"
        ):  # NumPy makes nan of None and 2.0 of the text "2"
            raise TypeError
    except (TypeError, ValueError):
        raise Wrong(f"A number or an array was expected, not {answer!r}. {hint}".strip()) from None
    expected = np.asarray(expected, dtype=float)
    if given.shape != expected.shape:
        raise Wrong(f"The answer has shape {given.shape}, expected {expected.shape}. {hint}".strip())
    if not np.all(np.abs(given - expected) <= tolerance * np.maximum(1, np.abs(expected))):
        raise Wrong((hint or f"{answer!r} is not the value asked for.").strip())


def result_of(function, *arguments, **keywords):
    """What the reader's function returns; raise `Wrong` if that is nothing or has the dots, or if it is no function."""
    if not callable(function):
        raise Wrong("A function is asked for: hand in the function itself, without calling it.")
    result = function(*arguments, **keywords)
    if result is None:
        raise Wrong("Your function returned None: is there a return at its end?")
    if _is_open(result):
        raise Wrong("Your function still returns the dots: write your answer in their place.")
    return result


def several(answer, what: str):
    """``answer``, if it has as many numbers as ``what`` names: "(rate, momentum)"; else raise `Wrong`."""
    count = what.count(",") + 1
    if np.shape(answer) != (count,):
        raise Wrong(f"{'Two' if count == 2 else 'Three'} numbers are asked for: {what}.")
    return answer


def mistaken(answer, value, hint: str, tolerance: float = 1e-3) -> None:
    """Raise `Wrong` with ``hint`` if ``answer`` is ``value``, the outcome of a typical mistake."""
    try:
        near(answer, value, tolerance)
    except Wrong:
        return
    raise Wrong(hint)


def name_mistake(answer, made_by, right, mistakes: dict, tolerance: float = 1e-9) -> None:
    """Raise `Wrong` with the hint of the mistake that gives ``answer``, unless it is what the right rule gives, too.

    Args:
        answer: of the reader, a number or an array.
        made_by: takes a rule and returns the answer to which it leads.
        right: the right rule.
        mistakes: {rule with one error: hint}.
        tolerance: as in `near`.
    """
    with np.errstate(all="ignore"):
        expected = made_by(right)
        for mistake, hint in mistakes.items():
            outcome = made_by(mistake)
            if np.isfinite(outcome).all() and not np.allclose(outcome, expected, rtol=tolerance, atol=tolerance):
                mistaken(answer, outcome, hint, tolerance)


def expect_step(function, arrays: dict, *t, **hyperparameters) -> None:
    """Raise `Wrong` unless the reader's rule returns its new x and state, and leaves what it is given as it is.

    Args:
        function: of the reader: a step of a rule.
        arrays: {"x": array, "g": array, name of a state: array, ...}; ``t`` and hyperparameters follow.
    """
    before = {name: a.copy() for name, a in arrays.items()}
    result = result_of(function, *arrays.values(), *t, **hyperparameters)
    names = [name for name in arrays if name != "g"]
    if not isinstance(result, tuple) or len(result) != len(names):
        raise Wrong(f"Return a tuple of {len(names)}, the new {' and '.join(names)}: return {', '.join(names)}.")
    for name, a in arrays.items():
        if not np.array_equal(a, before[name]):
            raise Wrong(f"Your function changes its argument {name} in place; write {name} = ... instead.")


def walked(step, rule, gradients, **hyperparameters) -> np.ndarray:
    """The path, (steps, *shape), on which ``step`` leads a parameter from 2.

    Args:
        step: a function that is called as ``rule`` is: the reader's, ``rule`` itself, or ``rule`` with an error.
        rule: an update rule with a state and without curvature: which state, and whether steps count, it says.
        gradients: one a step, (steps, *shape).
        hyperparameters: all of them, numbers.
    """
    x, path = np.full_like(gradients[0], 2.0), []
    state = first_state(rule, x, hyperparameters).values()
    for t, g in enumerate(gradients, start=1):
        x, *state = step(x, g, *state, *((t,) if rule.counts_steps else ()), **hyperparameters)
        path.append(x)
    return np.array(path)


def expect_path(path, right, tolerance: float = 1e-12) -> None:
    """Raise `Wrong` with the first step, along axis 0, at which ``path`` is not that of the right rule, (steps, n)."""
    apart = ~np.isclose(path, right, rtol=1e-9, atol=tolerance).all(axis=1)
    if apart.any():
        raise Wrong(f"It leaves the library's path at step {apart.argmax() + 1} of {len(path)}.")


def convict(answer, suspects: dict, faults: dict, advice: str) -> None:
    """Raise `Wrong` unless ``answer`` names the fault of every suspect.

    Args:
        answer: {suspect: fault}.
        suspects: {suspect: what has the fault}.
        faults: {fault: (the suspect that has it, or None; what brings it to light)}.
        advice: what to do with an innocent one, with ``{}`` where what brings it to light is named.
    """
    if not isinstance(answer, dict) or answer.keys() != suspects.keys():
        raise Wrong(f"A dict with one fault for each suspect is asked for: {dict.fromkeys(suspects, '...')}.")
    for suspect, fault in answer.items():
        if fault not in faults:
            raise Wrong(f"{suspect}: {fault!r} is not on the list: {', '.join(faults)}.")
        guilty, light = faults[fault]
        if guilty != suspect:
            raise Wrong(f"{suspect} is innocent of {fault!r}: {advice.format(light)}.")
