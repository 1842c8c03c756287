"""Population based training with members that are ready each in its own time, as published: on a simulated clock, and
as processes that share nothing but a folder.

`python -m lib.search population` starts the processes of `work` here (``--workers 2``), or is one of them (``--worker 0
--workers 2``), on any machine that shares the folder.

Source: Jaderberg et al. 2017, arXiv 1711.09846, Algorithm 1.
"""

from collections.abc import Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lib.arrays import namespace
from lib.checks import COUNT, LENGTH, check_range
from lib.search.population import (
    RECENT,
    WHERE,
    Record,
    Run,
    advance_and_score,
    begin,
    columns_of,
    exploit_and_explore,
    load,
    record_of,
    restored,
    rows_of,
    save,
    taken,
)

try:
    import fcntl
except ImportError:  # Windows: nothing keeps two processes from one member there
    fcntl = None

FORMAT = "step-size population member"


class Member(NamedTuple):
    """What a member leaves for the others, and for itself: its ``state``, as a stack of one, and the ``settings``
    (1,) with which it goes on; ``origin``: the member and the round that the state comes from; ``history``: the last
    scores of its line; ``log``: what `Record` has of it, a row a round."""

    state: dict
    settings: dict
    origin: tuple[int, int]
    history: np.ndarray
    log: list


def _first(run, settings=None):
    """All members before their first round."""
    state, settings = begin(run, settings)
    one = lambda arrays, i: {name: taken(a, np.array([i])) for name, a in arrays.items()}
    return [Member(one(state, i), one(settings, i), (i, -1), np.empty(0), []) for i in range(run.members)]


def _turn(run, i, board):
    """Member ``i`` after one more round: the loop of Algorithm 1. ``board`` holds what each member last left."""
    own = board[i]
    state, score = advance_and_score(run, own.state, own.settings)
    row = {"scores": score[0], "parents": own.origin[0], "parent_rounds": own.origin[1]}
    log = [*own.log, row | {name: values[0] for name, values in own.settings.items()}]
    own = Member(state, own.settings, (i, len(own.log)), np.append(own.history, score)[-RECENT:], log)
    if len(log) == run.rounds:
        return own
    places = [j for j in range(run.members) if j == i or board[j].log]
    seen = [own if j == i else board[j] for j in places]
    place, length = places.index(i), min(len(member.history) for member in seen)
    history = np.stack([member.history[-length:] for member in seen], axis=1)
    settings = {name: np.concatenate([member.settings[name] for member in seen]) for name in own.settings}
    random = np.random.default_rng([run.seed, len(log), i])
    parents, settings = exploit_and_explore(run, history, settings, random)
    parent = seen[parents[place]]
    settings = {name: values[[place]] for name, values in settings.items()}
    return parent._replace(settings=settings, log=log)


def _gathered(board):
    """The record of a run that is over."""
    columns = [columns_of(member.log) for member in board]
    log = {name: np.stack([c[name] for c in columns], axis=1) for name in columns[0]}
    states = {name: [member.state[name] for member in board] for name in board[0].state}
    return record_of(log, {name: namespace(rows[0]).concat(rows, axis=0) for name, rows in states.items()})


def _leave(folder, run, i, member):
    numbers = {"rounds": run.rounds, "member": member.origin[0], "round": member.origin[1]}
    numbers = {name: np.array(value) for name, value in numbers.items()}
    parts = {"numbers": numbers, "history": {"scores": member.history}, "log": columns_of(member.log)}
    save(_file(folder, i), run, FORMAT, state=member.state, settings=member.settings, **parts)


def _look(folder, run, i, first):
    """What member ``i`` last left in the folder; ``first``, if it has left nothing."""
    path = _file(folder, i)
    try:
        kept = load(path, run, FORMAT, "lib.search.workers")
    except FileNotFoundError:
        return first
    rounds, *origin = (int(kept["numbers"][name]) for name in ("rounds", "member", "round"))
    if rounds != run.rounds:  # after its last round a member does not exploit, so a longer run is another one
        raise ValueError(f"{WHERE}: {path} is of a run of {rounds} rounds, not {run.rounds}; ask for as many.")
    state = restored(kept["state"], first.state, path)
    return Member(state, kept["settings"], tuple(origin), kept["history"]["scores"], rows_of(kept["log"]))


def _stamp(folder, i):
    """What changes whenever member ``i`` leaves something; None, as long as it has not."""
    try:
        about = _file(folder, i).stat()
    except FileNotFoundError:
        return None
    return about.st_ino, about.st_mtime_ns, about.st_size


def _file(folder, i):
    return Path(folder) / f"member-{i}.npz"


def asynchronous(
    task, members: int, rounds: int, steps: int, *, speeds: Sequence[float], folder=None, settings=None, **options
) -> Record:
    """Train members of different speeds, on a clock that is simulated: the same arguments give the same record.

    A member that has ended a round compares itself at once with what the others left when they last ended one, and so
    Algorithm 1 has it: what it leaves is already the copy, with the settings that the copy will try.

    Args:
        task, members, rounds, steps, settings: as for `train_population`; every member does all the rounds.
        speeds: rounds of each member in a unit of time. Of those that end a round together, the lowest number is first.
        folder: in which each member keeps a checkpoint; it must exist. If they are there, the run goes on from them.
        options: ``exploit``, ``explore``, ``seed``, ``copy_settings``, as for `train_population`.

    Raises:
        TypeError, ValueError: as for `train_population`; there is not one speed > 0 a member.
    """
    run = Run(task, members, rounds, steps, **options)
    speeds = [check_range(LENGTH, "a speed", speed, "asynchronous") for speed in speeds]
    if len(speeds) != members:
        raise ValueError(f"asynchronous: speeds must be one a member, {members}; got {len(speeds)}.")
    board = _first(run, settings)
    if folder is not None:
        board = [_look(folder, run, i, first) for i, first in enumerate(board)]
    while busy := [i for i in range(members) if len(board[i].log) < rounds]:
        i = min(busy, key=lambda i: ((len(board[i].log) + 1) / speeds[i], i))
        board[i] = _turn(run, i, board)
        if folder is not None:
            _leave(folder, run, i, board[i])
    return _gathered(board)


def work(
    task, members: int, rounds: int, steps: int, *, folder, worker: int = 0, workers: int = 1, settings=None, **options
) -> Record | None:
    """Be one of several processes that train a population and know of each other by a folder alone.

    Nobody coordinates. The worker trains the members whose number leaves the rest ``worker`` when divided by
    ``workers``, always the one that is furthest behind. After a round it looks at what the others last left, and leaves
    the member's checkpoint. A worker that was killed, at any moment, lost no more than the round it was in; started
    again, it goes on. A folder that several machines share serves as well, if moving a file is atomic there.

    Args:
        task, members, rounds, steps, settings: as for `train_population`.
        folder: in which each member keeps a checkpoint; it must exist.
        worker, workers: the number of this one, from 0, and how many there are.
        options: ``exploit``, ``explore``, ``seed``, ``copy_settings``, as for `train_population`.

    Returns:
        The record, if all members are done; else None.

    Raises:
        TypeError, ValueError: as for `train_population`; ``worker`` is not one of ``workers``; or another process has
            one of its members.
    """
    run = Run(task, members, rounds, steps, **options)
    check_range(COUNT, "workers", workers, "work")
    check_range((f"a whole number from 0 to {workers - 1}", lambda v: v in range(workers)), "worker", worker, "work")
    first, mine = _first(run, settings), range(worker, members, workers)
    with ExitStack() as locks:
        for i in mine:
            locks.enter_context(_alone(folder, i))
        board, seen = list(first), [None] * members
        while True:
            for j in range(members):
                now = _stamp(folder, j)
                if now != seen[j]:  # it has left something since
                    board[j], seen[j] = _look(folder, run, j, first[j]), now
            i = min(mine, key=lambda i: len(board[i].log), default=None)  # the one that is furthest behind
            if i is None or len(board[i].log) == rounds:
                break
            _leave(folder, run, i, _turn(run, i, board))
    return _gathered(board) if all(len(member.log) == rounds for member in board) else None


@contextmanager
def _alone(folder, i):
    """The member is this process's until the block ends or the process does, however that comes."""
    with open(_file(folder, i).with_suffix(".lock"), "w") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ValueError(f"work: member {i} in {folder} has another process; wait for it or end it.") from None
        for left in Path(folder).glob(f"{_file(folder, i).name}.*.partial"):  # by one that was killed as it wrote
            left.unlink()
        yield
