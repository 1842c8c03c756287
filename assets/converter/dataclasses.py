"""Stands in for ``dataclasses`` in the browser: MicroPython keeps no annotations, so a class takes any keyword."""


def dataclass(**options):
    def made(cls):
        def __init__(self, **given):
            for name, value in given.items():
                setattr(self, name, value)

        cls.__init__ = __init__
        return cls

    return made


def field(default_factory):
    return default_factory()  # one for all, which nobody changes: the class is frozen


def replace(it, **changes):
    given = dict(it.__dict__)
    given.update(changes)
    return type(it)(**given)
