"""Stands in for ``lib/optimizers/rule.py`` in the browser: MicroPython cannot read a signature, so what the real one
attaches to a rule is read in CPython when the book is built (``assets/vendor.py``)."""


def rule(function=None, **ranges):
    return function or rule
