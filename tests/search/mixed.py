"""A task that imports next to nothing, for a process of its own."""

from dataclasses import dataclass, field

import numpy as np

from lib.search.space import Choice, Integers, Uniform


@dataclass(frozen=True)
class Mixed:
    """A task whose settings are of every kind: the score counts steps, each ``by`` times a factor that has a name."""

    space: dict = field(
        default_factory=lambda: {"by": Integers(1, 9), "factor": Choice("one", "ten"), "plus": Uniform(0, 1)}
    )

    def start(self, seeds):
        return {"sum": np.zeros(len(seeds))}

    def advance(self, state, settings, steps):
        gained = settings["by"] * np.where(settings["factor"] == "ten", 10, 1) + settings["plus"]
        return {"sum": state["sum"] + steps * gained}

    def score(self, state):
        return state["sum"]
