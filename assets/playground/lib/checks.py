"""Stands in for ``lib/checks.py`` in the browser: a playground gets the ranges with the other facts of a rule."""

FACTOR = None
