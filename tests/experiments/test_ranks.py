"""Real processes that average gradients take the steps of one; and none outlives the block that started it."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
import torch.distributed as dist

from lib import checkpoints
from lib.experiments import ranks as module
from lib.experiments.ranks import (
    RankFailed,
    all_reduce,
    keep_training,
    new_optimizer,
    ranks,
    returned,
    ring_all_reduce,
    run_ranks,
    trained,
    trained_alone,
)
from lib.experiments.second_order import flat
from lib.referees.throughput import processes, wait_for
from tests.conftest import ROOT

STEPS = 215  # six epochs and a third, each with a last batch of 27
ROUNDINGS = 1e-13  # sums of 40 terms in another order, at a rate at which the training does not magnify them
LIMIT = 240  # seconds, for a machine that does much else

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="gloo and signals are not tried on Windows")


@pytest.fixture(scope="module")
def alone():
    return trained_alone(STEPS)


# Functions that ranks run


def who():
    return dist.get_rank(), dist.get_world_size(), os.getpid()


def sums():
    mine = np.arange(5.0) + 10 * dist.get_rank()
    return all_reduce(mine), ring_all_reduce(mine), mine


def fails():
    if dist.get_rank() == 1:
        raise ValueError("as wanted")
    dist.barrier()


def sleeps():
    time.sleep(600)


def ends():
    os._exit(3 * dist.get_rank())


# Training


@pytest.mark.parametrize("size", [2, 4])
def test_ranks_train_as_one_worker_does(alone, size):
    """At each step; and all ranks have the same parameters, to the bit. Neither divides the last batch of an epoch."""
    paths = run_ranks(trained, size, STEPS, limit=LIMIT)
    assert len(paths) == size
    assert all(np.array_equal(path, paths[0]) for path in paths)
    assert paths[0].shape == alone.shape == (STEPS, 64 * 32 + 32 + 32 * 10 + 10)
    assert np.abs(paths[0] - alone).max() < ROUNDINGS
    assert np.abs(alone[-1] - alone[0]).max() > 0.1


def test_ring_of_processes(alone):
    """This book's ring, over the network."""
    paths = run_ranks(trained, 3, 40, ring_all_reduce, limit=LIMIT)
    assert all(np.array_equal(path, paths[0]) for path in paths)
    assert np.abs(paths[0] - alone[:40]).max() < ROUNDINGS


def test_sums():
    for by_torch, by_ring, mine in run_ranks(sums, 3, limit=LIMIT):
        assert by_torch.tolist() == by_ring.tolist() == (3 * np.arange(5.0) + 30).tolist()
        assert mine[0] in (0, 10, 20)  # its own was left alone


def test_goes_on_from_a_checkpoint(alone, tmp_path):
    """As when all ranks were started anew, by a command that trains for longer, and with another number of ranks."""
    run_ranks(keep_training, 2, tmp_path, 25, limit=LIMIT)
    optimizer = new_optimizer()
    checkpoints.load(tmp_path / "checkpoint.npz", optimizer)
    assert optimizer.t == 20
    run_ranks(keep_training, 3, tmp_path, 40, limit=LIMIT)
    params, _, _ = checkpoints.load(tmp_path / "final.npz", optimizer)
    assert optimizer.t == 40
    assert np.abs(flat(params) - alone[39]).max() < ROUNDINGS


def test_goes_on_and_does_not_begin_anew(alone, tmp_path):
    """To begin anew would give the same bits: a checkpoint with other parameters in it tells the two apart."""
    run_ranks(keep_training, 2, tmp_path, 20, limit=LIMIT)
    optimizer = new_optimizer()
    params, _, _ = checkpoints.load(tmp_path / "checkpoint.npz", optimizer)
    checkpoints.save(tmp_path / "checkpoint.npz", {name: 2 * x for name, x in params.items()}, optimizer)
    run_ranks(keep_training, 2, tmp_path, 30, limit=LIMIT)
    params, _, _ = checkpoints.load(tmp_path / "final.npz", optimizer)
    assert np.abs(flat(params) - alone[29]).max() > 0.1


# Processes


def test_each_has_its_number_and_its_process():
    them = run_ranks(who, 3, limit=LIMIT)
    assert [(rank, size) for rank, size, _ in them] == [(0, 3), (1, 3), (2, 3)]
    pids = {pid for _, _, pid in them}
    assert len(pids) == 3
    assert not any(map(psutil.pid_exists, pids))


def test_an_error_ends_all():
    with ranks(fails, 3) as started, pytest.raises(RankFailed, match=r"in rank 1:(.|\n)*ValueError: as wanted"):
        returned(started, LIMIT)
    assert not any(it.process.is_alive() for it in started)


def test_a_process_that_ends_ends_all():
    with ranks(sleeps, 2) as started:
        wait_for(lambda: all(it.process.is_alive() for it in started), LIMIT, "two processes")
        os.kill(started[1].process.pid, signal.SIGKILL)
        with pytest.raises(RankFailed, match="rank 1 ended before it was done, exit code -9"):
            returned(started, LIMIT)
    assert not any(it.process.is_alive() for it in started)
    with pytest.raises(RankFailed, match="exit code 0"):
        run_ranks(ends, 1, limit=LIMIT)


def test_waiting_has_an_end():
    with ranks(sleeps, 2) as started, pytest.raises(TimeoutError, match="no end of rank 0, 1 within 0 s"):
        returned(started, 0)
    assert not any(it.process.is_alive() for it in started)


def test_who_does_not_meet_tries_again(monkeypatch):
    """Here no rank finds its store; each try is a group of its own, and other errors are not tried again."""
    tried = []

    def unmet(started, limit):
        tried.append([it.process.pid for it in started])
        raise module._NotMet("ranks: in rank 0: no store") if len(tried) < 3 else RankFailed("ranks: in rank 0: other")

    monkeypatch.setattr(module, "returned", unmet)
    with pytest.raises(RankFailed, match="other"):
        run_ranks(who, 1, tries=5)
    assert len({pid for pids in tried for pid in pids}) == 3
    tried.clear()
    with pytest.raises(RankFailed, match="no store"):
        run_ranks(who, 1, tries=2)
    assert len(tried) == 2


def test_a_rank_that_is_alone_says_so(tmp_path):
    """The other of two never comes."""
    words, its = multiprocessing.Pipe(duplex=False)
    given = (its, str(tmp_path / "store"), 0, 2, 1.0, who, ())
    process = multiprocessing.get_context("forkserver").Process(target=module._live, args=given, daemon=True)
    process.start()
    assert words.poll(LIMIT)
    kind, what = words.recv()
    assert kind == "not met"
    assert "Error" in what
    process.join(LIMIT)
    assert process.exitcode == 0


def test_arguments():
    with pytest.raises(ValueError, match="size must be a whole number >= 1, got 0"):
        run_ranks(who, 0)
    with pytest.raises(ValueError, match="seconds must be a finite number > 0, got 0"):
        run_ranks(who, 1, seconds=0)
    with pytest.raises(ValueError, match="tries must be a whole number >= 1, got 0"):
        run_ranks(who, 1, tries=0)


def test_a_store_that_outlives_a_restart_is_refused(tmp_path, monkeypatch, capsys):
    """Under torchrun, which says so in the environment."""
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "3")
    with pytest.raises(SystemExit):
        module.main([str(tmp_path / "new")])
    assert "TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 in the environment" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_the_end_of_the_parent_ends_the_ranks(tmp_path):
    """Even if it is killed."""
    code = ("from lib.experiments.ranks import ranks; from tests.experiments.test_ranks import sleeps\n"
            "if __name__ == '__main__':\n"
            "    with ranks(sleeps, 2) as started:\n"
            "        print(*[it.process.pid for it in started], flush=True); started[0].words.recv()\n")  # fmt: skip
    (tmp_path / "parent.py").write_text(code)
    with processes() as (start, alive):
        command = [sys.executable, str(tmp_path / "parent.py")]
        parent = start(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True)
        pids = list(map(int, parent.stdout.readline().split()))
        assert len(pids) == 2
        assert {it.pid for it in alive()} >= set(pids)
        parent.kill()
        wait_for(lambda: not alive(), LIMIT, "the end of all")
