"""Stands in for ``collections`` in the browser, for the sake of ``collections.abc``."""

from ucollections import OrderedDict  # noqa: F401 - MicroPython's own
