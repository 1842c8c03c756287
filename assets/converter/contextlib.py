"""Stands in for ``contextlib`` in the browser."""


class suppress:
    def __init__(self, *exceptions):
        self.exceptions = exceptions

    def __enter__(self):
        return self

    def __exit__(self, kind, *others):
        return kind is not None and issubclass(kind, self.exceptions)
