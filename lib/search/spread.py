"""A stack on all cores: each of several processes trains a share of the members.

    with Spread(Digits(), processes=2) as task:
        record = train_population(task, members=64, rounds=20, steps=50)

Only `train_population` meets the whole population, between rounds. Members do not meet in a round, so this changes no
number. With ``OMP_NUM_THREADS=1`` in the environment each process computes on one core.
"""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import cloudpickle
import numpy as np

from lib.arrays import namespace
from lib.checks import COUNT, check_range
from lib.search.population import taken


class Spread:
    """A task (`lib.search.population`) whose members train and are scored in several processes.

    It has the ``repr`` of the task: a run that was stopped may go on with more processes, or with none.

    Args:
        task: one that cloudpickle can send to a process.
        processes: how many. They start with the first round, and end with the block.

    Raises:
        TypeError, ValueError: ``processes`` is not a whole number >= 1.
    """

    def __init__(self, task, processes: int):
        check_range(COUNT, "processes", processes, "Spread")
        self.task, self.space, self.start, self.processes = task, task.space, task.start, processes
        # Not forked: a fork of a process that has threads, as PyTorch's and JAX's do, may hang. And the task is sent
        # once, to each as it starts: with every round it would cost as much as a round of 64 small nets.
        held = cloudpickle.dumps(task)
        self._pool = ProcessPoolExecutor(processes, get_context("spawn"), initializer=_hold, initargs=(held,))
        self._scored = None, None

    def __repr__(self):
        return repr(self.task)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._pool.shutdown()

    def advance(self, state, settings, steps):
        shares = self._shares(state)
        done = list(self._pool.map(_advance, _of(state, shares), _of(settings, shares), [steps] * len(shares)))
        state = {name: namespace(a).concat([share[name] for share, _ in done], axis=0) for name, a in state.items()}
        self._scored = state, np.concatenate([scores for _, scores in done])
        return state

    def score(self, state):
        """Of the last `advance`, whose processes scored what they had; any other state is scored here."""
        scored, scores = self._scored
        return scores if state is scored else self.task.score(state)

    def _shares(self, state):
        members = len(next(iter(state.values())))
        return np.array_split(np.arange(members), min(members, self.processes))


def _of(arrays, shares):
    return [{name: taken(a, share) for name, a in arrays.items()} for share in shares]


def _hold(task):
    global _task
    _task = cloudpickle.loads(task)


def _advance(state, settings, steps):
    state = _task.advance(state, settings, steps)
    return state, _task.score(state)
