"""Stands in for ``lib/optimizers/rule.py`` in the browser: MicroPython cannot read a signature, so what the real one
attaches to a rule is read in CPython when the book is built (``assets/vendor.py``), which also puts the real
``named_for`` below."""

from lib.checks import ELSEWHERE  # noqa: F401


class rule:
    """A rule, or the decorator that makes one: functions of MicroPython take no attributes."""

    def __init__(self, function=None, each="entry", **ranges):
        self.function, self.each, self.ranges = function, each, ranges

    def __call__(self, *arguments, **hyperparameters):
        if self.function is None:
            self.function = arguments[0]
            return self
        return self.function(*arguments, **hyperparameters)
