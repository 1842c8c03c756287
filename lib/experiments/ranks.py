"""Real processes that train together: each is a *rank* of a group of ``torch.distributed``.

    paths = run_ranks(trained, 2, 200)        two processes of this machine, which talk by gloo
    export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
    torchrun --standalone --nproc-per-node 2 --max-restarts 3 -m lib.experiments.ranks runs/ranks

The second command starts all ranks anew, from the last checkpoint in the folder, when one ends; with ``--nnodes``,
``--rdzv-backend c10d`` and ``--rdzv-endpoint`` on several machines that share the folder. The net and the data are
those of `lib.experiments.digits`; gradients and steps are this book's. `lib.referees.data_parallel` has those of the
frameworks.
"""

import argparse
import contextlib
import itertools
import multiprocessing
import os
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
import torch
import torch.distributed as dist

from lib import checkpoints
from lib.checks import COUNT, LENGTH, check_range
from lib.experiments.digits import HIDDEN, loss, split
from lib.experiments.many_machines import averaged_gradient, ring_sum, shards
from lib.experiments.runs import end_with_parent
from lib.experiments.second_order import flat, unflat
from lib.networks import dense_layers, he
from lib.optimizers import Optimizer, momentum
from lib.stochastic_gradients import batches

BATCH = 40  # 1,347 examples leave 27 for the last batch of an epoch: shards that differ in size
LR, MOMENTUM = 1 / 32, 7 / 8  # exact in float32, too, through which Keras sends them
EVERY = 10  # steps between two checkpoints


# Processes


class RankFailed(RuntimeError):
    """A rank raised an error, or its process ended."""


class _NotMet(RankFailed):
    """The ranks did not find each other: nothing has begun."""


class Rank(NamedTuple):
    """A process, and the connection by which it says at its end how that was, ("returned", what) for example."""

    process: BaseProcess
    words: Connection


@contextlib.contextmanager
def ranks(function: Callable, size: int, *args, seconds: float = 120.0) -> Iterator[list[Rank]]:
    """Start ``size`` processes that call ``function(*args)`` in one group. After the block none is left, however it
    ends.

    They are copies of one that has loaded PyTorch, and so start in a fraction of a second; they meet in a file, talk
    over this machine's loopback, and have one thread each.

    Args:
        function: of a module, no lambda; it returns what pickle can pass on.
        seconds: for which a rank waits for the others, in each sum, before that is an error.

    Raises:
        TypeError, ValueError: ``size`` or ``seconds`` is out of range.
    """
    size = check_range(COUNT, "size", size, "ranks")
    seconds = check_range(LENGTH, "seconds", seconds, "ranks")
    has_server = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if has_server else "spawn")
    if has_server:
        context.set_forkserver_preload(["torch.distributed", "lib.experiments.ranks"])
    started = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            for rank in range(size):
                words, its = context.Pipe(duplex=False)
                given = (its, str(Path(folder, "store")), rank, size, seconds, function, args)
                process = context.Process(target=_live, args=given, daemon=True)
                process.start()
                its.close()
                started.append(Rank(process, words))
            yield started
        finally:
            for it in started:
                it.process.kill()
                it.process.join()
                it.words.close()


def _live(words, store, rank, size, seconds, function, args):
    end_with_parent()
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = loopback()
    try:
        meeting = {"store": dist.FileStore(store, size), "timeout": timedelta(seconds=seconds)}
        dist.init_process_group("gloo", rank=rank, world_size=size, **meeting)
    except Exception:
        words.send(("not met", traceback.format_exc()))
        return
    try:
        end = "returned", function(*args)
    except Exception:
        end = "raised", traceback.format_exc()
    words.send(end)
    multiprocessing.parent_process().join()  # who leaves now could break the others' last sum


def loopback() -> str:
    """The name of the network interface of 127.0.0.1."""
    interfaces = psutil.net_if_addrs().items()
    return next(name for name, addresses in interfaces if any(it.address == "127.0.0.1" for it in addresses))


def returned(started: list[Rank], limit: float) -> list:
    """What the function of `ranks` returned in each, in their order.

    Raises:
        RankFailed: one raised an error, or was killed.
        TimeoutError: one has not come to its end after ``limit`` seconds.
    """
    results, over = {}, time.monotonic() + limit
    waiting = {it.words: rank for rank, it in enumerate(started)}
    while waiting:
        ready = wait(waiting, timeout=max(0.0, over - time.monotonic()))
        if not ready:
            late = ", ".join(map(str, sorted(waiting.values())))
            raise TimeoutError(
                f"ranks: no end of rank {late} within {limit:g} s; allow more, or look what it waits for."
            )
        for words in ready:
            rank = waiting.pop(words)
            try:
                kind, what = words.recv()
            except EOFError:
                process = started[rank].process
                process.join()
                ended = f"ranks: the process of rank {rank} ended before it was done, exit code {process.exitcode}."
                raise RankFailed(ended) from None
            if kind != "returned":
                raise (_NotMet if kind == "not met" else RankFailed)(f"ranks: in rank {rank}:\n{what}")
            results[rank] = what
    return [results[rank] for rank in range(len(started))]


def run_ranks(function: Callable, size: int, *args, seconds: float = 120.0, limit: float = 600.0, tries: int = 3):
    """Call a function in ``size`` processes of one group, wait, and return what it returned in each.

    Args:
        function, size, args, seconds: as for `ranks`.
        limit: seconds for all of it.
        tries: how often they may fail to meet, as on a crowded machine; another error is raised at once.

    Raises:
        TypeError, ValueError: an argument is out of range.
        RankFailed, TimeoutError: as `returned`.
    """
    for left in reversed(range(check_range(COUNT, "tries", tries, "run_ranks"))):
        with ranks(function, size, *args, seconds=seconds) as started:
            try:
                return returned(started, limit)
            except _NotMet:
                if not left:
                    raise


# Training


def all_reduce(vector: np.ndarray) -> np.ndarray:
    """The sum of the vectors of all ranks, by ``torch.distributed``."""
    total = torch.from_numpy(vector.copy())
    dist.all_reduce(total)
    return total.numpy()


def ring_all_reduce(vector: np.ndarray) -> np.ndarray:
    """The same by this book's `ring_sum`: ``torch.distributed`` only carries the chunks."""
    rank, size = dist.get_rank(), dist.get_world_size()
    program, arrived = ring_sum(rank, size, vector), None
    while True:
        try:
            leaving = torch.from_numpy(program.send(arrived))
        except StopIteration as end:
            return end.value
        coming = torch.empty_like(leaving)
        sending = dist.isend(leaving, (rank + 1) % size)
        dist.recv(coming, (rank - 1) % size)
        sending.wait()
        arrived = coming.numpy()


def shared_gradient(params, x, y, batch, add=all_reduce):
    """The gradient of a batch, in each rank of a group, of which each computes that of its shard.

    Args:
        params: dict of arrays.
        x, y: one example a row.
        batch: indices of examples.
        add: function (d,) -> (d,), the sum over the ranks.
    """
    part = shards(batch, dist.get_world_size())[dist.get_rank()]
    gradient = averaged_gradient(loss, params, x, y, [part])
    return unflat(add(flat(gradient) * (len(part) / len(batch))), gradient)


def beginning():
    """The data, the parameters and the batches that each rank begins with, all of one seed."""
    x, y, _, _ = split()
    return x, y, dense_layers([x.shape[1], HIDDEN, 10], he, seed=0), batches(len(x), BATCH, seed=0)


def new_optimizer() -> Optimizer:
    """That of each rank."""
    return Optimizer(momentum, lr=LR, momentum=MOMENTUM)


def training(steps, path=None, add=all_reduce):
    """What each rank of a group runs. It goes on from the checkpoint ``path``, if that is there.

    Yields:
        (parameters, optimizer) after each step; they are the same in all ranks.
    """
    (x, y, params, draws), optimizer = beginning(), new_optimizer()
    if path is not None and Path(path).exists():
        params, _, _ = checkpoints.load(path, optimizer)
    for batch in itertools.islice(draws, optimizer.t, steps):
        params = optimizer.step(params, shared_gradient(params, x, y, batch, add))
        yield params, optimizer


def trained(steps: int, add: Callable = all_reduce) -> np.ndarray:
    """The parameters after each step of `training`, (steps, d)."""
    return np.array([flat(params) for params, _ in training(steps, add=add)])


def trained_alone(steps: int) -> np.ndarray:
    """The same by one worker, without a group, on whole batches: what all others must equal."""
    (x, y, params, draws), optimizer, path = beginning(), new_optimizer(), []
    for batch in itertools.islice(draws, steps):
        params = optimizer.step(params, averaged_gradient(loss, params, x, y, [batch]))
        path.append(flat(params))
    return np.array(path)


def keep_training(folder, steps: int, pause: float = 0.0) -> None:
    """Train in a group that may be started anew at any moment; rank 0 leaves ``checkpoint.npz`` every `EVERY` steps and
    ``final.npz`` at the end, in a folder that all ranks see.

    Args:
        pause: seconds to wait after each step, so that there is time to kill somebody.
    """
    folder = Path(folder)
    for params, optimizer in training(steps, folder / "checkpoint.npz"):
        time.sleep(pause)
        if dist.get_rank() == 0 and optimizer.t % EVERY == 0:
            checkpoints.save(folder / "checkpoint.npz", params, optimizer)
        if dist.get_rank() == 0 and optimizer.t == steps:
            checkpoints.save(folder / "final.npz", params, optimizer)
    dist.barrier()


def main(arguments=None) -> None:
    """For torchrun, which tells each process its rank and where the others are."""
    parser = argparse.ArgumentParser(prog="torchrun -m lib.experiments.ranks", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="for checkpoints; all ranks must see it")
    parser.add_argument("--steps", type=int, default=200, help="of training; 200 by default")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds to wait after each step")
    parser.add_argument("--seconds", type=float, default=120.0, help="for which a rank waits for another")
    given = parser.parse_args(arguments)
    # The store in which ranks tell where they listen. One that outlives a restart still has the dead ones' places.
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True" and os.environ["TORCHELASTIC_MAX_RESTARTS"] != "0":
        parser.error(
            "torchrun keeps one store over all restarts, in which a rank may find where a dead one was: give it a new "
            "one each time, by TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 in the environment and --standalone or "
            "--rdzv-backend c10d (https://github.com/pytorch/pytorch/issues/135712); or say --max-restarts 0"
        )
    given.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    dist.init_process_group("gloo", timeout=timedelta(seconds=given.seconds))
    keep_training(given.folder, given.steps, given.pause)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
