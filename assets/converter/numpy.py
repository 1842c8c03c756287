"""Stands in for ``numpy`` in the browser, for the sake of one number of ``lib/dialects/optax.py``."""

float64 = float
