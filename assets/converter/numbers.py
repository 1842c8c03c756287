"""Stands in for ``numbers`` in the browser, which has no kinds of numbers but these."""

Integral = int
Real = (int, float)
