"""Population based training (PBT): many nets train at once, bad ones copy good ones, and the copies try other settings.

    record = train_population(Digits(), members=16, rounds=20, steps=50, seed=0)
    record.scores.max(), schedule(record, int(record.scores[-1].argmax()), "lr")

A *task* is what is trained: an object with

    space                               a dict of dimensions (`lib.search.space`): what is searched
    start(seeds) -> state               of as many members as there are seeds, whole numbers (members,)
    advance(state, settings, steps) -> state       so many steps on; settings: dict of arrays (members,)
    score(state) -> array (members,)    higher is better; nan, of a member that diverged, is the worst

and with a ``repr`` that tells it from other tasks. A *state* is a dict of arrays of any library, each with one axis in
front, the members: the weights, and all else that a step needs, such as moments and their count. A copy is thus one row
of every array, and nothing can be left behind. One member is a stack of one. No function may change its arguments.

No generator runs on from round to round. What is drawn in a round is a function of the seed of the run, the round and,
where members are on their own, the member's number. So there is no generator to be saved, and a run that goes on from
a checkpoint is the run that was never stopped, bit for bit.

Source: Jaderberg et al. 2017, arXiv 1711.09846, Algorithm 1. Here all members are ready at once; in
`lib.search.workers`, as published, each in its own time.
"""

from collections.abc import Callable
from numbers import Integral
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import device, to_device

from lib.arrays import like, namespace
from lib.checkpoints import read, write
from lib.checks import COUNT, WHOLE, check_range
from lib.search.space import at_shares, check_space
from lib.search.strategies import Perturb, Truncation

VERSION = 1  # of checkpoints
RECENT = 10  # scores of a line that exploit sees
WHERE = "population"  # begins the error messages


class Run(NamedTuple):
    """What is trained and how.

    Attributes:
        task: see above.
        members, rounds, steps: how many nets, rounds, and steps in a round.
        exploit: function of (history, random), such as `Truncation`; None: nobody copies.
        explore: function of (settings, space, random), such as `Perturb`, whose result the copies take; if there is no
            ``exploit``, all do. None: nothing is changed. With both None this is a random search.
        seed: of all draws; a whole number.
        copy_settings: whether a copy takes the settings with the state. The paper's algorithm does.
    """

    task: Any
    members: int
    rounds: int
    steps: int
    exploit: Callable | None = Truncation()
    explore: Callable | None = Perturb()
    seed: int = 0
    copy_settings: bool = True


class Record(NamedTuple):
    """What a run did. In round r member i went on from where ``parents[r, i]`` was after its round
    ``parent_rounds[r, i]`` (-1: from the start), trained with ``settings[...][r, i]`` and reached ``scores[r, i]``.

    Attributes:
        scores: float64 (rounds, members).
        settings: dict of arrays (rounds, members).
        parents, parent_rounds: whole numbers (rounds, members).
        state: of all members after the last round.
    """

    scores: np.ndarray
    settings: dict[str, np.ndarray]
    parents: np.ndarray
    parent_rounds: np.ndarray
    state: dict[str, Any]


def ancestors(record: Record, member: int) -> np.ndarray:
    """The line of a member: whole numbers (n, 2), the rounds and the members that its weights went through, from the
    first to the last round. In an asynchronous run n may differ from the number of rounds."""
    line, round = [], len(record.scores) - 1
    while round >= 0:
        line.append((round, member))
        round, member = record.parent_rounds[round, member], record.parents[round, member]
    return np.array(line[::-1])


def schedule(record: Record, member: int, name: str) -> np.ndarray:
    """The values of a hyperparameter that a member's weights were trained with, round by round: array (n,)."""
    return record.settings[name][tuple(ancestors(record, member).T)]


def survivors(record: Record) -> np.ndarray:
    """Whether each round of each member lives on in a member of the last round: bools (rounds, members). With
    ``parents`` and ``parent_rounds``, the edges, this is what a drawing of the tree needs."""
    alive = np.zeros(record.scores.shape, dtype=bool)
    for member in range(alive.shape[1]):
        alive[tuple(ancestors(record, member).T)] = True
    return alive


def train_population(
    task, members: int, rounds: int, steps: int,
    *, settings: dict | None = None, path=None, **options
) -> Record:  # fmt: skip
    """Train a population in step: every round all advance, are scored, and, but after the last, exploit and explore.

    Args:
        task, members, rounds, steps: see `Run`.
        settings: to begin with, dict of arrays (members,); None: drawn from the space.
        path: of a file, written after each round. If it is there, the run goes on from it. It may have been stopped at
            any moment, or have had fewer rounds.
        options: ``exploit``, ``explore``, ``seed``, ``copy_settings``, with the defaults that `Run` has.

    Raises:
        TypeError, ValueError: an argument is out of range, the task breaks its word, or the file is damaged, foreign,
            or of another run.
    """
    run = Run(task, members, rounds, steps, **options)
    state, settings = begin(run, settings)
    log = []  # a row a round
    if path is not None and Path(path).exists():
        state, settings, log = _resumed(path, run, state, settings)
    for round in range(len(log), rounds):
        parents = np.arange(members)
        if round > 0:
            random = np.random.default_rng([run.seed, round])
            history = _history(log)
            parents, settings = exploit_and_explore(run, history, settings, random)
            state = {name: taken(a, parents) for name, a in state.items()}
        state, scores = advance_and_score(run, state, settings)
        came = {"parents": parents, "parent_rounds": np.full(members, round - 1)}
        log.append({"scores": scores} | came | settings)
        if path is not None:
            save(path, run, state=state, log=columns_of(log))
    return record_of(columns_of(log), state)


def _resumed(path, run, state, settings):
    """The state, the settings and the log after the last round that a file holds, if it is of this run."""
    kept = load(path, run)
    state, log = restored(kept["state"], state, path), rows_of(kept["log"])
    if len(log) > run.rounds:
        raise ValueError(f"{WHERE}: {path} holds {len(log)} rounds, more than {run.rounds}; ask for as many.")
    if any(np.any(log[0][name] != values) for name, values in settings.items()):
        raise ValueError(f"{WHERE}: {path} was begun with other settings; begin with those, or choose another path.")
    return state, {name: log[-1][name] for name in settings}, log


def begin(run, settings=None):
    """The state and the settings of all members before the first round. A member's do not depend on how many follow."""
    for name in "members", "rounds", "steps":
        check_range(COUNT, name, getattr(run, name), WHERE)
    check_range(WHOLE, "seed", run.seed, WHERE)
    space = check_space(run.task.space, WHERE)
    if reserved := {"scores", "parents", "parent_rounds"} & set(space):
        raise ValueError(f"{WHERE}: no dimension of a space may be called {reserved.pop()!r}.")
    if settings is None:
        settings = at_shares(space, np.random.default_rng([run.seed, 0]).random((run.members, len(space))))
    elif set(settings) != set(space) or any(np.shape(values) != (run.members,) for values in settings.values()):
        raise ValueError(
            f"{WHERE}: settings must hold {run.members} values of each of {', '.join(space)}, got {settings!r}."
        )
    settings = {name: np.asarray(settings[name]) for name in space}
    for name, values in settings.items():
        space[name].share(values)  # or it says what lies outside
    seeds = np.random.SeedSequence(run.seed, spawn_key=(0,)).generate_state(run.members).astype(np.int64)
    return _checked(run, run.task.start(seeds), run.members), settings


def exploit_and_explore(run, history, settings, random):
    """Parents, and the next settings, of everybody."""
    everyone = np.arange(history.shape[1])
    parents, copies = everyone, everyone >= 0
    if run.exploit is not None:
        parents = np.asarray(run.exploit(history, random))
        if parents.shape != everyone.shape or not np.isin(parents, everyone).all():
            raise ValueError(
                f"{WHERE}: exploit must return the number of a member, 0 to {len(everyone) - 1}, for each of them; got "
                f"{parents!r}."
            )
        copies = parents != everyone
    if run.copy_settings:
        settings = {name: values[parents] for name, values in settings.items()}
    if run.explore is not None:
        new = run.explore(settings, run.task.space, random)
        settings = {key: np.where(copies, new[key], a) for key, a in settings.items()}
    return parents, settings


def _history(log):
    """The last scores of each member's line: a copy takes those of its parent, whose weights it has."""
    rows, line = [], np.arange(len(log[-1]["scores"]))
    for row in reversed(log[-RECENT:]):
        rows.append(row["scores"][line])
        line = row["parents"][line]
    return np.array(rows[::-1])


def advance_and_score(run, state, settings):
    """The state after a round, and its scores."""
    members = len(next(iter(settings.values())))
    state = _checked(run, run.task.advance(state, settings, run.steps), members)
    scores = np.asarray(run.task.score(state), dtype=float)
    if scores.shape != (members,):
        raise ValueError(f"{run.task!r}: score must return one number a member, {members}; got shape {scores.shape}.")
    return state, scores


def _checked(run, state, members):
    for name, a in state.items():
        if np.shape(a)[:1] != (members,):
            raise ValueError(
                f"{run.task!r}: state[{name!r}] must have one row a member, {members}; got shape {tuple(np.shape(a))}."
            )
    return state


def taken(a, members):
    """The rows of an array, of any library, that these members have."""
    xp = namespace(a)
    return xp.take(a, xp.asarray(members, device=device(a)), axis=0)


def rows_of(columns):
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def columns_of(rows):
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def record_of(columns, state):
    columns = dict(columns)
    scores, parents, parent_rounds = (columns.pop(name) for name in ("scores", "parents", "parent_rounds"))
    return Record(scores, columns, parents, parent_rounds, state)


# Checkpoints


def _identity(run):
    """What a run is, in words that JSON can hold. Rounds are none of it: a run may go on for longer."""
    words = {key: value for key, value in run._asdict().items() if key not in ("task", "rounds")}
    for key, value in words.items():
        if isinstance(value, Integral):
            words[key] = value if isinstance(value, bool) else int(value)
        elif value is not None:  # a strategy, or a function
            words[key] = getattr(value, "__qualname__", None) or repr(value)
    return words | {"task": repr(run.task), "space": repr(run.task.space)}


def save(path, run, format="step-size population", **groups):
    """Groups of arrays: the state, and others."""
    arrays = {
        f"{group}/{name}": np.asarray(to_device(a, "cpu")) for group in groups for name, a in groups[group].items()
    }
    write(path, arrays, {"format": format, "version": VERSION, "run": _identity(run)}, WHERE)


def load(path, run, format="step-size population", writer="train_population") -> dict[str, dict]:
    """What `save` wrote, if it was of this run."""
    remedy = "delete it, and what it holds is trained anew"
    arrays, index = read(path, format, VERSION, WHERE, writer, remedy)
    for key, value in _identity(run).items():
        if index["run"].get(key) != value:
            raise ValueError(
                f"{WHERE}: {path} holds a run whose {key} is {index['run'].get(key)!r}, not {value!r}; go on "
                "with what it was begun with, or choose another path."
            )
    groups = {}
    for key, a in arrays.items():
        group, name = key.split("/", 1)
        groups.setdefault(group, {})[name] = a
    return groups


def restored(arrays, state, path):
    """A state that was read, in the library of the first ``state``, on its device."""
    shapes = lambda state: {name: tuple(a.shape[1:]) for name, a in state.items()}
    if shapes(arrays) != shapes(state):
        raise ValueError(
            f"{WHERE}: {path} holds a state of the shapes {shapes(arrays)}, but the task makes "
            f"{shapes(state)}; give tasks that differ another repr, or choose another path."
        )
    return {name: like(state[name], a) for name, a in arrays.items()}
