"""Stands in for ``lib/arrays.py`` in the browser, where there are no arrays: a rule steps one float at a time."""

from math import sqrt  # noqa: F401
