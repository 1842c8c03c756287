"""Stands in for ``lib/arrays.py`` in the browser, where there are no arrays: a rule steps one float at a time, and one
that needs an array is read, but not run."""

from math import sqrt  # noqa: F401

maximum, minimum = max, min


def sign(a):
    return float((a > 0) - (a < 0))


def where(condition, a, b):
    return a if condition else b


def _of_an_array(*arguments):
    raise TypeError("there are no arrays on a page.")


norm = ratio = rms = row_means = column_means = namespace = like = _of_an_array
