"""Stands in for ``collections.abc`` in the browser: names for annotations, which MicroPython does not read."""

Callable = Iterable = None
