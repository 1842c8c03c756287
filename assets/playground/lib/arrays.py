"""Stands in for ``lib/arrays.py`` in the browser, where there are no arrays: a rule steps one float at a time."""

from math import cos, log, sqrt  # noqa: F401

maximum, minimum = max, min


def sign(a):
    return float((a > 0) - (a < 0))


def where(condition, a, b):
    return a if condition else b
