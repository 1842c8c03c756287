"""A run that goes on from a checkpoint is the run that was never stopped, and no kill or damage passes unseen."""

import io
import json
import os
import pickle
import signal
import zipfile

import numpy as np
import pytest
import torch

from lib import checkpoints
from lib.checkpoints import load, save
from lib.optimizers import RULES, Optimizer, adam, gradient_descent, momentum

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


class Dying(io.FileIO):
    """A file whose process is killed as soon as so many bytes have been written."""

    left = 0

    def write(self, data):
        written = super().write(memoryview(data).cast("B")[: self.left])
        self.left -= written
        if self.left == 0:
            die()
        return written


def die(*args):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on Windows")
@pytest.mark.parametrize("moment", [1, 300, 2000, "fsync", "replace"])
def test_a_kill_at_any_moment_leaves_the_old_file_whole(saved, moment, monkeypatch):
    """After so many bytes, before they are on the disk, or before the move."""
    file, params, optimizer, random = saved
    newer = steps(params, optimizer, random, 1)
    if isinstance(moment, int):
        monkeypatch.setattr(Dying, "left", moment)
        monkeypatch.setattr(checkpoints, "open", Dying, raising=False)
    else:
        monkeypatch.setattr(checkpoints.os, moment, die)
    child = os.fork()
    if child == 0:
        try:
            save(file, newer, optimizer, random)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    monkeypatch.undo()
    resumed = Optimizer(adam, **NUMBERS)
    assert bits(load(file, resumed).params, resumed) == (bits(params, resumed)[0], 3)
    save(file, newer, optimizer)  # what the dead process left lies in nobody's way
    assert bits(load(file, resumed).params, resumed) == bits(newer, optimizer)


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
