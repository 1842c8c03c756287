"""Processes that are killed at a moment that a test chooses.

Each is a new Python: one that is forked has the locks of JAX and TensorFlow, but not their threads, and may wait for
ever. What it runs is imported there, so that is found in a module that imports no framework.
"""

import importlib
import io
import multiprocessing
import os
import signal
import sys

import pytest

from lib import checkpoints

KILLS = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL, the signal that nothing survives")
PLACES = {"fsync": "os", "replace": "os", "advance_and_score": "lib.search.population"}
SECONDS = 120  # for a process to start and to be killed, on a busy machine


class Dying(io.FileIO):
    """A file whose process is killed as soon as so many bytes have been written."""

    left = 0

    def write(self, data):
        written = super().write(memoryview(data).cast("B")[: self.left])
        self.left -= written
        if self.left == 0:
            die()
        return written


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def killed(moment: tuple[str, int], function, *args, **keywords) -> None:
    """Call a function in a process of its own, which is killed before it returns.

    Args:
        moment: ("write", n): when n bytes of a checkpoint are written; or the name of a function of `PLACES` and how
            many calls of it go well: the next one kills.
        function, args, keywords: what pickle can pass on.
    """
    child = multiprocessing.get_context("spawn").Process(target=_until, args=(moment, function, args, keywords))
    child.start()
    try:
        child.join(SECONDS)
        assert child.exitcode == -signal.SIGKILL
    finally:
        child.kill()
        child.join()


def _until(moment, function, args, keywords):
    what, n = moment
    if what == "write":
        Dying.left, checkpoints.open = n, Dying
    else:
        place, calls = importlib.import_module(PLACES[what]), iter(range(n))
        spared = getattr(place, what)
        setattr(place, what, lambda *a, **k: die() if next(calls, None) is None else spared(*a, **k))
    function(*args, **keywords)
