"""What the judges of every chapter have to do: pass the right answer, name each typical mistake, wait for an answer."""

import pytest


def exercise_tests(check, right, wrong):
    """Three tests, to be named ``test_...`` in the file of a chapter.

    Args:
        check: the chapter's exercises.
        right: pairs (number, answer).
        wrong: triples (number, answer, words that the verdict must hold).
    """

    def verdict(capsys, number, answer):
        check(number, answer)
        return capsys.readouterr().out

    @pytest.mark.parametrize(("number", "answer"), right)
    def a_right_answer_passes(capsys, number, answer):
        assert verdict(capsys, number, answer).startswith(f"Exercise {number}: right.")

    @pytest.mark.parametrize(("number", "answer", "hint"), wrong)
    def a_mistake_is_named(capsys, number, answer, hint):
        message = verdict(capsys, number, answer)
        assert message.startswith(f"Exercise {number}: not yet.")
        assert hint in message

    @pytest.mark.parametrize("number", sorted({number for number, *_ in right}))
    def every_exercise_starts_open(capsys, number):
        assert "replace the dots" in verdict(capsys, number, ...)

    return a_right_answer_passes, a_mistake_is_named, every_exercise_starts_open
