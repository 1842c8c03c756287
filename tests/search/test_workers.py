"""Members that are ready each in its own time: nothing is read half written, and a kill costs a round of one member."""

import os
import signal
import subprocess
import sys
from typing import ClassVar

import numpy as np
import pytest

from lib.experiments.population import HANDICAPPED, Digits, Toy
from lib.referees.throughput import processes, wait_for
from lib.search.__main__ import EXPLOITS, EXPLORES
from lib.search.population import ancestors, train_population
from lib.search.space import Uniform
from lib.search.strategies import AddNoise, BinaryTournament, Perturb, Resample, Truncation, TTest
from lib.search.workers import asynchronous, work
from tests.conftest import ROOT
from tests.kills import KILLS, killed
from tests.search.mixed import Mixed
from tests.search.nets import SLOW, SMALL
from tests.search.test_population import bits, replayed

RUN = {"members": 4, "rounds": 6, "steps": 3, "exploit": BinaryTournament(), "explore": Resample(0.3, Perturb())}
SPEEDS = [1.0, 2.0, 0.7, 3.0]


def clocked(task=SMALL, speeds=SPEEDS, **change):
    return asynchronous(task, speeds=speeds, **RUN | change)


def check(record, task=SMALL, steps=3, seed=0):
    """Each member's weights are those that its schedule makes, to the bit: nothing was mixed, lost or half read."""
    members = record.scores.shape[1]
    for member in range(members):
        alone = replayed(task, record, member, steps, seed)
        for name, a in alone.items():
            assert (a[0] == record.state[name][member]).all(), (member, name)
    assert (record.scores[-1] == task.score(record.state)).all()


# ---------- a simulated clock ----------


@pytest.mark.parametrize("exploit", [Truncation(0.4), BinaryTournament(), TTest(0.5)], ids=repr)
def test_lineage_holds(exploit):
    record = clocked(exploit=exploit, rounds=9)
    assert (record.parents != np.arange(4)).any()
    check(record)


def test_a_member_copies_what_another_has_left():
    """A slow member goes on from a late round of a fast one: nobody copies from the future, nor waits."""
    record = clocked(rounds=9)
    ended = (np.arange(9)[:, None] + 1) / SPEEDS
    began = ended - 1 / np.array(SPEEDS)
    copies = [(r, i) for r, i in np.ndindex(9, 4) if record.parents[r, i] != i]
    assert copies
    ahead = 0
    for r, i in copies:
        parent, round = record.parents[r, i], record.parent_rounds[r, i]
        assert ended[round, parent] <= began[r, i] + 1e-12
        ahead += round > r - 1
    assert ahead > 0
    lengths = {len(ancestors(record, member)) for member in range(4)}
    assert lengths != {9}


def test_first_come_first_served():
    """Until a member has left something nobody copies it; the first one to end a round has no choice."""
    seen = []

    def watch(history, random):
        seen.append(history.shape)
        return np.arange(history.shape[1])

    clocked(exploit=watch, rounds=3)
    assert seen[:4] == [(1, 1), (1, 2), (1, 2), (1, 3)]  # member 3, then 1, 3 again, then 0


def test_no_two_rounds_draw_alike():
    drawn = []

    def draw(history, random):
        drawn.append(random.random())
        return np.arange(history.shape[1])

    clocked(exploit=draw)
    assert len(set(drawn)) == len(drawn) == 4 * 5


def test_members_without_exploit_are_those_of_a_run_in_step():
    alone = {"exploit": None, "explore": None}
    one, other = clocked(**alone), train_population(SMALL, **RUN | alone)
    assert bits(one) == bits(other)


def test_the_toy_arrives():
    given = {"members": 2, "rounds": 30, "steps": 10, "exploit": BinaryTournament(), "explore": AddNoise(0.1)}
    reached = [
        asynchronous(Toy(0.02), speeds=[1, 1.3], settings=HANDICAPPED, copy_settings=False, seed=seed, **given)
        for seed in range(20)
    ]
    assert np.median([record.scores[-1].max() for record in reached]) > 1.19


def test_same_arguments_same_record():
    assert bits(clocked()) == bits(clocked())
    assert bits(clocked()) != bits(clocked(seed=1))
    assert bits(clocked()) != bits(clocked(speeds=[1.0] * 4))


@KILLS
@pytest.mark.parametrize("events", [0, 1, 7, 15, 23])
def test_a_clock_that_is_killed_goes_on(events, tmp_path):
    """Before the move of the checkpoint that the event left: it is lost, and comes again alike."""
    killed(("replace", events), asynchronous, Mixed(), **RUN, speeds=SPEEDS, folder=tmp_path)
    assert sum(len(np.load(file)["log/scores"]) for file in tmp_path.glob("*.npz")) == events
    assert bits(clocked(Mixed(), folder=tmp_path)) == bits(clocked(Mixed()))


@KILLS
@pytest.mark.parametrize("bytes", [1, 2000])
def test_a_checkpoint_that_is_half_written_is_no_checkpoint(bytes, tmp_path):
    killed(("write", bytes), asynchronous, Mixed(), **RUN, speeds=SPEEDS, folder=tmp_path)
    assert [file.suffix for file in tmp_path.iterdir()] == [".partial"]
    assert bits(clocked(Mixed(), folder=tmp_path)) == bits(clocked(Mixed()))


# ---------- processes ----------


TWELVE = {"members": 5, "rounds": 12, "steps": 3}
BY_NAME = {"exploit": "tournament", "explore": "resample"}  # what they mean to `python -m lib.search`
TWELVE_HERE = TWELVE | {"exploit": EXPLOITS["tournament"], "explore": EXPLORES["resample"]}


def command(folder, worker, workers):
    """What starts a worker."""
    given = TWELVE | BY_NAME | {"folder": folder, "worker": worker, "workers": workers}
    words = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    return [sys.executable, "-m", "lib.search", "population", "tests.search.nets:SLOW", *words]


def rounds_done(folder, i):
    file = folder / f"member-{i}.npz"
    return len(np.load(file)["log/scores"]) if file.exists() else 0


@KILLS
def test_a_worker_is_killed_and_started_again_while_the_others_go_on(tmp_path):
    """Three times. Each kill costs a round at most: all in all no more are begun than are needed, and three."""
    folder, diary = tmp_path / "runs", tmp_path / "diary"
    slowly = os.environ | {"PAUSE": "0.1", "DIARY": str(diary)}
    with processes() as (start, _):
        begin = lambda worker: start(command(folder, worker, 3), cwd=ROOT, env=slowly, stdout=subprocess.DEVNULL)
        workers = [begin(worker) for worker in range(3)]  # 0 has the members 0 and 3, 1 has 1 and 4, 2 has 2
        for kill in range(3):
            wait_for(lambda kill=kill: rounds_done(folder, 0) >= 2 * kill + 2, 120, "rounds of member 0")
            workers[0].kill()
            assert workers[0].wait() == -signal.SIGKILL
            workers[0] = begin(0)
        assert [process.wait(120) for process in workers] == [0, 0, 0]
    assert 5 * 12 <= len(diary.read_text()) <= 5 * 12 + 3
    record = work(SLOW, **TWELVE_HERE, folder=folder)
    assert record.scores.shape == (12, 5)
    assert (record.parents != np.arange(5)).any()
    check(record)
    assert not list(folder.glob("*.partial"))


@KILLS
def test_the_others_go_on_without_one_that_is_dead(tmp_path):
    with processes() as (start, _):
        slowly = os.environ | {"PAUSE": "0.1"}
        begin = lambda worker: start(command(tmp_path, worker, 2), cwd=ROOT, env=slowly, stdout=subprocess.DEVNULL)
        one, other = begin(0), begin(1)
        wait_for(lambda: rounds_done(tmp_path, 0) >= 1, 120, "a round of member 0")
        one.kill()
        assert other.wait(120) == 0
    assert rounds_done(tmp_path, 1) == 12 > rounds_done(tmp_path, 0) >= 1
    assert work(SLOW, **TWELVE_HERE, folder=tmp_path, worker=1, workers=2) is None  # what is left is not its own
    check(work(SLOW, **TWELVE_HERE, folder=tmp_path, worker=0, workers=2))


def test_the_member_that_is_furthest_behind_is_first(tmp_path):
    """However often a worker is stopped: none of its members waits for another to end."""

    class Stops(Digits):
        rounds = 0

        def advance(self, state, settings, steps):
            type(self).rounds += 1
            if self.rounds % 2 == 0:
                raise KeyboardInterrupt
            return super().advance(state, settings, steps)

    for _ in range(6):
        with pytest.raises(KeyboardInterrupt):
            work(Stops(SMALL.rule, SMALL.space, hidden=4, batch=8), **RUN, folder=tmp_path)
    assert [rounds_done(tmp_path, i) for i in range(4)] == [2, 2, 1, 1]


class Counts:
    """A task whose score is the number of rounds that the weights have behind them, and which trains no more than
    ``left`` of them."""

    space: ClassVar = {"lr": Uniform(0, 1)}

    def __init__(self, left):
        self.left = left

    def __repr__(self):
        return "Counts()"

    def start(self, seeds):
        return {"rounds": np.zeros(len(seeds))}

    def advance(self, state, settings, steps):
        if self.left == 0:
            raise Enough
        self.left -= 1
        return {"rounds": state["rounds"] + 1}

    def score(self, state):
        return state["rounds"]


class Enough(Exception):
    """No more rounds are to be trained."""


def test_a_worker_sees_each_round_of_another(tmp_path):
    """After each round of this one's the other does one, whose score this one sees after its next."""
    run = {"members": 2, "rounds": 6, "steps": 1, "explore": None, "folder": tmp_path, "workers": 2}
    seen, others = [], []

    def watch(history, random):
        if not others:
            seen.append(history[-1].tolist())
            others.append(1)
            with pytest.raises(Enough):
                work(Counts(1), **run, exploit=watch, worker=others[0])
            others.clear()
        return np.arange(history.shape[1])

    work(Counts(6), **run, exploit=watch, worker=0)
    assert seen == [[1], [2, 1], [3, 2], [4, 3], [5, 4]]


def test_one_worker_twice(tmp_path):
    """Each member has one process; when that ends, another may take it."""
    pytest.importorskip("fcntl", reason="no fcntl, so nothing locks a member here: two workers may train it at once")

    class Twice(Digits):
        def advance(self, state, settings, steps):
            with pytest.raises(ValueError, match=r"work: member 0 in .* has another process; wait for it or end it"):
                work(SMALL, **RUN, folder=tmp_path)
            return super().advance(state, settings, steps)

    work(Twice(SMALL.rule, SMALL.space, hidden=4, batch=8), **RUN | {"rounds": 1}, folder=tmp_path)
    assert work(SMALL, **RUN | {"rounds": 1}, folder=tmp_path).scores.shape == (1, 4)


# ---------- what is refused ----------


@pytest.fixture
def folder(tmp_path):
    work(SMALL, **RUN | {"rounds": 1}, folder=tmp_path)
    return tmp_path


def test_damage(folder):
    file = folder / "member-2.npz"
    file.write_bytes(file.read_bytes()[:-30])
    with pytest.raises(ValueError, match=r"member-2\.npz is damaged.*; delete it, and what it holds is trained anew"):
        work(SMALL, **RUN | {"rounds": 1}, folder=folder)
    file.unlink()
    assert work(SMALL, **RUN | {"rounds": 1}, folder=folder).scores.shape == (1, 4)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rounds": 2}, r"member-0\.npz is of a run of 1 rounds, not 2"),
        ({"rounds": 1, "members": 5}, r"member-0\.npz holds a run whose members is 4, not 5"),
        ({"rounds": 1, "seed": 5}, "whose seed is 0, not 5"),
        ({"rounds": 1, "worker": 2, "workers": 2}, "worker must be a whole number from 0 to 1, got 2"),
        ({"rounds": 1, "workers": 0}, "workers must be a whole number >= 1, got 0"),
    ],
)
def test_another_run(folder, change, words):
    with pytest.raises(ValueError, match=words):
        work(SMALL, **RUN | change, folder=folder)


def test_a_worker_leaves_the_files_of_a_run_in_step_alone(tmp_path):
    train_population(SMALL, **RUN, path=tmp_path / "member-0.npz")
    with pytest.raises(ValueError, match=r"member-0\.npz is no checkpoint that lib\.search\.workers wrote"):
        work(SMALL, **RUN, folder=tmp_path)


@pytest.mark.parametrize(
    ("speeds", "words"),
    [([1, 2], "speeds must be one a member, 4; got 2"), ([1, 2, 0, 1], "a speed must be a finite number > 0, got 0")],
)
def test_bad_speeds(speeds, words):
    with pytest.raises(ValueError, match=words):
        clocked(speeds=speeds)
