"""Stands in for ``lib/optimizers/__init__.py`` in the browser: each rule is imported from its own file."""
