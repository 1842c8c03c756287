"""A run that goes on from a checkpoint is the run that was never stopped, and no kill or damage passes unseen."""

import itertools
import json
import os
import pickle
import sys
import threading
import time
import zipfile

import numpy as np
import pytest
import torch

from lib import checkpoints
from lib.checkpoints import Damaged, listed, load, load_newest, prune, read_notes, save
from lib.optimizers import RULES, Optimizer, adam, gradient_descent, momentum
from lib.referees.throughput import processes
from lib.stochastic_gradients import batches
from tests.conftest import ROOT
from tests.kills import KILLS, killed

STARTS = {"W": np.linspace(-1, 1, 6).reshape(2, 3), "b": np.array([[0.5, -0.25]])}
NUMBERS = {"lr": 0.01}


def steps(params, optimizer, random, count):
    """As in training: what is drawn decides the gradient."""
    for _ in range(count):
        grads = {name: x + random.standard_normal(x.shape).astype(x.dtype) for name, x in params.items()}
        curved = ({name: abs(g) for name, g in grads.items()},) if optimizer.rule.takes_curvature else ()
        params = optimizer.step(params, grads, *curved)
    return params


def bits(params, optimizer):
    arrays = [*params.values(), *(a for state in optimizer.state.values() for a in state.values())]
    return [(a.dtype, a.shape, a.tobytes()) for a in map(np.asarray, arrays)], optimizer.t


@pytest.fixture
def saved(tmp_path):
    """A checkpoint of Adam after three steps: its file, the parameters, the optimizer, the generator."""
    optimizer, random = Optimizer(adam, **NUMBERS), np.random.default_rng(0)
    params = steps(STARTS, optimizer, random, 3)
    save(tmp_path / "run.npz", params, optimizer, random, epoch=1)
    return tmp_path / "run.npz", params, optimizer, random


# ---------- going on ----------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_run_that_goes_on_is_the_run_that_was_never_stopped(rule, dtype, tmp_path):
    start = {name: x.astype(dtype) for name, x in STARTS.items()}
    unbroken, random = Optimizer(rule, **NUMBERS), np.random.default_rng(0)
    params = steps(start, unbroken, random, 4)
    save(tmp_path / "run.npz", params, unbroken, random)
    params = steps(params, unbroken, random, 4)

    resumed = Optimizer(rule, **NUMBERS)
    theirs, random, _ = load(tmp_path / "run.npz", resumed)
    theirs = steps(theirs, resumed, random, 4)
    assert bits(theirs, resumed) == bits(params, unbroken)


def test_what_is_not_restored_is_missed(saved):
    """Each part matters: without it the run is another."""
    file, params, optimizer, random = saved
    steps_on = steps(params, optimizer, random, 3)
    for forgotten in "t", "state", "random":
        other = Optimizer(adam, **NUMBERS)
        theirs, draws, _ = load(file, other)
        if forgotten == "random":
            draws = np.random.default_rng(0)
        elif forgotten == "state":
            other.state = {}
        else:
            other.t = 0
        assert abs(steps(theirs, other, draws, 3)["W"] - steps_on["W"]).max() > 1e-4


def test_before_the_first_step(tmp_path):
    save(tmp_path / "run.npz", STARTS, Optimizer(adam))
    optimizer = Optimizer(adam)
    params, random, notes = load(tmp_path / "run.npz", optimizer)
    assert (optimizer.t, optimizer.state, random, notes) == (0, {}, None, {})
    assert bits(params, optimizer) == bits(STARTS, optimizer)


@pytest.mark.parametrize("params", [[np.ones(2), np.array(3.0)], (np.ones(2),), {"a/b": np.zeros((0, 2))}])
def test_containers_and_shapes(params, tmp_path):
    optimizer = Optimizer(gradient_descent)
    save(tmp_path / "run.npz", params, optimizer)
    back = load(tmp_path / "run.npz", optimizer).params
    assert type(back) is type(params)
    named = [p if isinstance(p, dict) else dict(enumerate(p)) for p in (back, params)]
    assert list(named[0]) == list(named[1])
    assert bits(named[0], optimizer) == bits(named[1], optimizer)


def test_notes_come_back(tmp_path):
    notes = {"lr": 0.1, "history": [1.0, float("inf")], "who": "mémo", "t": 5}
    save(tmp_path / "run.npz", STARTS, Optimizer(adam), **notes)
    assert load(tmp_path / "run.npz", Optimizer(adam)).notes == notes


def test_hyperparameters_may_change(saved):
    optimizer = Optimizer(adam, lr=0.5)
    load(saved[0], optimizer)
    assert (optimizer.t, optimizer.hyperparameters["lr"]) == (3, 0.5)


# ---------- kills and damage ----------


@KILLS
@pytest.mark.parametrize(
    "moment", [("write", 1), ("write", 300), ("write", 2000), ("fsync", 0), ("replace", 0)], ids=str
)
def test_a_kill_at_any_moment_leaves_the_old_file_whole(saved, moment):
    """After so many bytes, before they are on the disk, or before the move."""
    file, params, optimizer, random = saved
    newer = steps(params, optimizer, random, 1)
    killed(moment, save, file, newer, optimizer, random)
    resumed = Optimizer(adam, **NUMBERS)
    assert bits(load(file, resumed).params, resumed) == (bits(params, resumed)[0], 3)
    save(file, newer, optimizer)  # what the dead process left lies in nobody's way
    assert bits(load(file, resumed).params, resumed) == bits(newer, optimizer)
    (left,) = file.parent.glob("*.partial")
    prune(file.parent, keep=1)
    assert left.exists()  # it might have a writer
    os.utime(left, (0, time.time() - 2 * checkpoints.STALE))
    prune(file.parent, keep=1)
    assert list(file.parent.iterdir()) == [file]


def test_a_write_that_fails_leaves_the_old_one(saved, monkeypatch):
    file, params, optimizer, _ = saved
    before = file.read_bytes()

    def full(*args, **kwargs):
        args[0].write(b"half of it")
        raise OSError("No space left on device")

    monkeypatch.setattr(checkpoints.np, "savez", full)
    with pytest.raises(OSError, match="No space left"):
        save(file, params, optimizer)
    assert file.read_bytes() == before
    assert [it.name for it in file.parent.iterdir()] == ["run.npz"]


def unchanged(optimizer):
    assert (optimizer.t, optimizer.state) == (0, {})


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_half_a_file(saved, share):
    file, optimizer = saved[0], Optimizer(adam)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=r"run\.npz is damaged, or no checkpoint .*go back to an older one"):
        load(file, optimizer)
    unchanged(optimizer)


def test_one_bit_turned_round(saved):
    """Of the numbers of a parameter: the archive's checksum sees it."""
    file, params, optimizer = saved[0], saved[1], Optimizer(adam)
    whole = bytearray(file.read_bytes())
    whole[whole.index(params["W"].tobytes()) + 5] ^= 1
    file.write_bytes(whole)
    with pytest.raises(ValueError, match=r"damaged.*CRC"):
        load(file, optimizer)
    unchanged(optimizer)


def test_any_bit_turned_round(saved):
    """It is an error that says so, or the bit does not matter."""
    file, params, optimizer, _ = saved
    whole, noticed = file.read_bytes(), 0
    for bit in np.random.default_rng(0).choice(8 * len(whole), 300, replace=False):
        broken = bytearray(whole)
        broken[bit // 8] ^= 1 << bit % 8
        file.write_bytes(broken)
        resumed = Optimizer(adam, **NUMBERS)
        try:
            back = load(file, resumed).params
        except ValueError:
            unchanged(resumed)
            noticed += 1
        else:
            assert bits(back, resumed) == bits(params, optimizer)
    assert noticed > 200


class Trap:
    """Whoever unpickles it runs code."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('unpickled')",))


def test_nothing_is_unpickled(tmp_path):
    (tmp_path / "a.npz").write_bytes(pickle.dumps(Trap()))
    np.savez(tmp_path / "b.npz", index=np.array([Trap()], dtype=object))
    for name in "a.npz", "b.npz":
        with pytest.raises(ValueError, match="damaged, or no checkpoint"):
            load(tmp_path / name, Optimizer(adam))


def test_a_foreign_archive(tmp_path):
    np.savez(tmp_path / "other.npz", weights=np.ones(3))
    np.savez(tmp_path / "odd.npz", index=np.array(json.dumps({"format": "another"})))
    np.savez(tmp_path / "list.npz", index=np.array("[1]"))
    np.savez(tmp_path / "text.npz", index=np.array("no JSON"))
    np.save(tmp_path / "array.npy", np.ones(3))
    for name in "other.npz", "odd.npz", "list.npz", "text.npz":
        with pytest.raises(ValueError, match=f"{name} is no checkpoint that lib.checkpoints.save wrote"):
            load(tmp_path / name, Optimizer(adam))
    with pytest.raises(ValueError, match="damaged, or no checkpoint"):
        load(tmp_path / "array.npy", Optimizer(adam))
    with zipfile.ZipFile(tmp_path / "plain.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(ValueError, match=r"plain\.zip"):
        load(tmp_path / "plain.zip", Optimizer(adam))


def test_a_file_of_a_later_version(saved, monkeypatch):
    file, params, optimizer, _ = saved
    monkeypatch.setattr(checkpoints, "VERSION", 2)
    save(file, params, optimizer)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="has version 2, this code reads up to 1; update"):
        load(file, Optimizer(adam))


def test_another_rule(saved):
    optimizer = Optimizer(momentum)
    with pytest.raises(ValueError, match=r"saved with adam, but this optimizer steps with momentum; .*Optimizer\(adam"):
        load(saved[0], optimizer)
    unchanged(optimizer)


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.npz", Optimizer(adam))


# ---------- many checkpoints, many processes ----------


def test_a_shuffled_epoch_goes_on_where_it_stood():
    """As the docstring of `save` says it of `batches`, which has a generator of its own."""
    unbroken = list(itertools.islice(batches(10, 4, seed=3), 8))
    resumed = itertools.islice(batches(10, 4, seed=3), 4, None)  # broken off in the second epoch
    assert all((next(resumed) == batch).all() for batch in unbroken[4:])


def keep_some(folder, *names):
    for t, name in enumerate(names):
        save(folder / name, [np.array([float(t)])], Optimizer(gradient_descent), loss=float(t))


def test_checkpoints_are_listed_by_number(tmp_path):
    keep_some(
        tmp_path, "a-9.npz", "a-10.npz", "a-008.npz", "b-11.npz", "a-best.npz", "10.npz", "xa-1.npz", "a-7.npz.bak"
    )
    assert [path.name for path in listed(tmp_path, "a-")] == ["a-008.npz", "a-9.npz", "a-10.npz"]
    assert [path.name for path in listed(tmp_path)] == ["10.npz"]
    assert listed(tmp_path, "a.") == []


def test_old_ones_are_pruned_and_nothing_else(tmp_path):
    others = ["b-1.npz", "a-best.npz", "a-notes.txt.partial", "1.npz"]
    keep_some(tmp_path, "a-1.npz", "a-2.npz", "a-10.npz", *others)
    for path in tmp_path.iterdir():
        os.utime(path, (0, 0))
    prune(tmp_path, keep=2, prefix="a-")
    assert {path.name for path in tmp_path.iterdir()} == {"a-2.npz", "a-10.npz", *others}
    prune(tmp_path, keep=5, prefix="a-")
    assert len(listed(tmp_path, "a-")) == 2
    with pytest.raises(ValueError, match="keep must be a whole number >= 1, got 0"):
        prune(tmp_path, keep=0)


def test_the_newest_that_is_whole(tmp_path):
    keep_some(tmp_path, "8.npz", "9.npz", "10.npz", "11.npz")
    assert load_newest(tmp_path, Optimizer(gradient_descent)).notes == {"loss": 3.0}
    (tmp_path / "11.npz").write_bytes(b"half")
    (tmp_path / "10.npz").unlink()
    (tmp_path / "10.npz").symlink_to(tmp_path / "gone")  # as if deleted between listing and reading
    assert load_newest(tmp_path, Optimizer(gradient_descent)).notes == {"loss": 1.0}
    with pytest.raises(ValueError, match="saved with gradient_descent"):  # no damage: the caller's mistake
        load_newest(tmp_path, Optimizer(adam))
    with pytest.raises(FileNotFoundError, match=r"of 0 checkpoints b-<number>\.npz"):
        load_newest(tmp_path, Optimizer(adam), prefix="b-")


def test_notes_alone(saved, monkeypatch):
    """They are read without the arrays, so those may be damaged."""
    file, params, *_ = saved
    whole = bytearray(file.read_bytes())
    whole[whole.index(params["W"].tobytes()) + 5] ^= 1
    file.write_bytes(whole)
    assert read_notes(file) == {"epoch": 1}
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Damaged, match=r"read_notes: .*run\.npz is damaged"):
        read_notes(file)
    with pytest.raises(FileNotFoundError):
        read_notes(file.with_name("none.npz"))
    np.savez(file, index=np.array("no JSON"))
    with pytest.raises(Damaged, match=r"read_notes: .* is no checkpoint"):
        read_notes(file)


def save_often(file, k, times):
    optimizer = Optimizer(gradient_descent)
    for _ in range(times):
        save(file, [np.full(5000, float(k)), np.full(3, float(k))], optimizer, k=k)


SAVES = """
import sys
import numpy as np
from lib.checkpoints import save
from lib.optimizers import Optimizer, gradient_descent

file, k = sys.argv[1], int(sys.argv[2])
while True:
    save(file, [np.full(5000, float(k)), np.full(3, float(k))], Optimizer(gradient_descent), k=k)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows replaces no file that another process has open")
def test_who_reads_while_others_save_gets_one_whole_checkpoint(tmp_path):
    """Three processes save under one name; whoever reads meanwhile gets the arrays and the notes of one of them."""
    file = tmp_path / "run.npz"
    save_often(file, 0, 1)
    seen, optimizer = set(), Optimizer(gradient_descent)
    with processes() as (start, _):
        for k in 1, 2, 3:
            start([sys.executable, "-c", SAVES, str(file), str(k)], cwd=ROOT)
        end = time.monotonic() + 120
        while not {1, 2, 3} <= seen and time.monotonic() < end:
            params, _, notes = load(file, optimizer)
            assert {float(v) for a in params for v in a} == {float(notes["k"])}
            assert read_notes(file).keys() == {"k"}
            seen.add(notes["k"])
    assert {1, 2, 3} <= seen
    load(file, optimizer)


def test_two_threads_save_under_one_name(tmp_path):
    faults = []

    def run(k):
        try:
            save_often(tmp_path / "run.npz", k, 30)
        except OSError as error:
            faults.append(error)

    threads = [threading.Thread(target=run, args=(k,)) for k in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    params, _, notes = load(tmp_path / "run.npz", Optimizer(gradient_descent))
    assert {float(v) for a in params for v in a} == {float(notes["k"])}
    assert [path.name for path in tmp_path.iterdir()] == ["run.npz"]


# ---------- what cannot be saved ----------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"params": {"W": torch.ones(2)}}, r"params\['W'\] must be a NumPy array, got Tensor; make it one"),
        ({"params": [[1.0]]}, r"params\[0\] must be a NumPy array, got list"),
        ({"params": np.ones(2)}, "params must be a list, tuple or dict of arrays"),
        ({"random": np.random.RandomState(0)}, "random must be made by np.random.default_rng"),
        ({"random": 0}, "random must be made by np.random.default_rng, got 0"),
        ({"best": np.ones(2)}, "notes must be what JSON can hold"),
    ],
)
def test_what_cannot_be_saved(change, words, tmp_path):
    given = {"params": STARTS, "optimizer": Optimizer(adam)} | change
    with pytest.raises(TypeError, match=words):
        save(tmp_path / "run.npz", **given)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        save(tmp_path / "missing" / "run.npz", STARTS, Optimizer(adam))
