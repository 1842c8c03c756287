"""Small nets that several tests train. A process of its own can, too: no framework is imported here."""

import os
import time

from lib.experiments.population import Digits
from lib.optimizers import adam
from lib.search.space import LogUniform, Uniform

SMALL = Digits(adam, {"lr": LogUniform(1e-4, 0.1), "beta1": Uniform(0.5, 0.99)}, hidden=4, batch=8)


class Slow(Digits):
    """In a process whose environment says so, a round takes ``PAUSE`` seconds, so that a kill finds it in the middle,
    and leaves a dot in the file ``DIARY``."""

    def advance(self, state, settings, steps):
        if "DIARY" in os.environ:
            with open(os.environ["DIARY"], "a") as file:
                file.write(".")
        time.sleep(float(os.environ.get("PAUSE", 0)))
        return super().advance(state, settings, steps)


SLOW = Slow(SMALL.rule, SMALL.space, hidden=4, batch=8)
