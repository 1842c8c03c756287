"""What becomes of a training when one of its ranks is killed, or hangs.

    python -m lib.referees.killed_ranks

The record, ``results/killed_ranks.json``, has each case three times:

- ``killed``    of three ranks that add up gradients by gloo, one gets SIGKILL: when do the others notice?
- ``hanging``   one gets SIGSTOP instead, as if its machine hung: the others wait for `PATIENCE` seconds
- ``torchrun``  a rank of two gets SIGKILL under torchrun, in the middle: is the training, which goes on from its last
  checkpoint, that of ranks whom nobody killed?
- ``ray``       the same under Ray Train
- ``old store`` after a restart one rank comes late, and torchrun keeps the store in which the ranks tell where they are
- ``new store`` the same, with a new store for each start
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch.distributed as dist

from lib import checkpoints
from lib.experiments.command import main
from lib.experiments.ranks import EVERY, all_reduce, loopback, new_optimizer, ranks, returned, run_ranks, trained
from lib.experiments.runs import Experiment, Run, chaotic
from lib.experiments.second_order import flat
from lib.machine import ROOT
from lib.referees.throughput import begun, processes, wait_for

MODULE = "lib.referees.killed_ranks"
PATIENCE = 5.0  # seconds for which a rank waits for one that hangs; gloo's default is 30 minutes
STEPS, PAUSE = 60, 0.1  # of a training, and the seconds it waits after each of them
LATE, MEETINGS = 3.0, 6  # seconds that a rank comes after the other, and how often that is tried
LIMIT = 240.0  # seconds for what must come


# Who notices


def sums(folder) -> dict:
    """A rank that adds up vectors until something fails, and then leaves: what that was, and when.

    Who waits for a dead rank itself fails at once; who waits for one of those, when that has left.
    """
    mine, done = Path(folder, str(dist.get_rank())), 0
    while True:
        try:
            all_reduce(np.ones(1000))
        except RuntimeError as error:
            # Its words have addresses and paths in them, so here are but some of them.
            told = re.search(r"connection (reset|closed) by peer|timed? ?out", str(error), re.IGNORECASE)
            at = time.monotonic()
            dist.destroy_process_group()  # as at the end of a program: who waits for this one learns of it
            return {"sums": done, "at": at, "told": told[0].lower() if told else str(error)}
        done += 1
        mine.touch()
        time.sleep(0.01)


def noticed(number: int, patience: float) -> dict:
    """When two ranks notice that the third got a signal: the seconds, and whether each was told of its connection.
    (The clock ``time.monotonic`` is the same in all processes of a machine.)"""
    with tempfile.TemporaryDirectory() as folder, ranks(sums, 3, folder, seconds=patience) as started:
        wait_for(lambda: len(list(Path(folder).iterdir())) == 3, LIMIT, "the first sums")
        time.sleep(0.5)
        signaled, began = lambda: os.kill(started[2].process.pid, number), time.monotonic()
        signaled()
        told = lambda: all(it.words.poll() for it in started[:2])
        # A stopped process goes on if anyone, such as a shell, continues it: it is stopped again.
        wait_for(lambda: told() or (number == signal.SIGSTOP and signaled()), LIMIT, "word of the others")
        found = returned(started[:2], LIMIT)
    return {
        "ranks that noticed": len(found),
        "seconds until the first": min(it["at"] for it in found) - began,
        "seconds until the last": max(it["at"] for it in found) - began,
        "told of the connection": sum("connection" in it["told"] for it in found),
    }


# Who goes on


def elastic(restarts: int) -> list[str]:
    """torchrun, with two ranks of this machine."""
    ranks = ["--nproc-per-node", "2", "--max-restarts", str(restarts), "--rdzv-backend", "c10d"]
    here = ["--rdzv-endpoint", "127.0.0.1:0", "--local-addr", "127.0.0.1"]
    return [sys.executable, "-m", "torch.distributed.run", *ranks, *here]


def environment(new_store: bool = True) -> dict[str, str]:
    """That of torchrun, which without ``new_store`` keeps the addresses of ranks that are dead."""
    own = {"PYTHONPATH": str(ROOT), "GLOO_SOCKET_IFNAME": loopback(), "OMP_NUM_THREADS": "1"}
    return os.environ | own | {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": str(int(new_store))}


def torchrun(folder) -> list[str]:
    """The command that trains in two ranks under torchrun."""
    program = ["-m", "lib.experiments.ranks", str(folder)]
    return elastic(3) + program + f"--steps {STEPS} --pause {PAUSE} --seconds 120".split()


def under_ray(folder) -> list[str]:
    """The command that trains in two ranks under Ray Train."""
    return [sys.executable, "-c", f"from {MODULE} import drive; drive({str(folder)!r})"]


def drive(folder) -> None:
    from lib.experiments.ray_ranks import train_on_ray

    params = train_on_ray(STEPS, 2, folder, pause=PAUSE)
    checkpoints.save(Path(folder, "final.npz"), params, new_optimizer())


# How to start them, and what the command line of a rank says.
LAUNCHERS = {"torchrun": (torchrun, "lib.experiments.ranks"), "ray": (under_ray, "ray::RayTrainWorker")}


def restarted(launcher: str, wait: float = 0.0) -> dict:
    """Kill a rank ``wait`` seconds after its third checkpoint, and compare what is trained in the end with what two
    ranks train in peace. (After the first Ray begins anew: it takes note of a checkpoint a second or two later.)

    Raises:
        RuntimeError, TimeoutError: it did not come to its end, or began at the first step again.
    """
    command, title = LAUNCHERS[launcher]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, processes() as (start, alive):

        def launch():
            with open(Path(folder, "words"), "w") as words:
                return start(command(folder), cwd=folder, env=environment(), stdout=words, stderr=subprocess.STDOUT)

        seen = {}  # when it left checkpoints, by their moments and paths

        def saved():
            for path in Path(folder).glob("**/checkpoint.npz"):
                with contextlib.suppress(FileNotFoundError):  # Ray keeps the last two
                    at = path.stat().st_mtime
                    seen[at, path] = at
            return seen

        running = begun(launch, saved, 3, LIMIT)
        time.sleep(wait)
        # A launcher's own command line may hold the name, too; the ranks are the youngest.
        them = sorted((it for it in alive() if title in " ".join(it.cmdline())), key=lambda it: it.create_time())
        them[-1].kill()
        killed = time.time()
        later = lambda: [at for at in saved().values() if at > killed + PAUSE]
        ended = lambda: saved() and running.poll() is not None
        wait_for(lambda: later() or ended(), LIMIT, "a checkpoint after the kill")
        wait_for(ended, LIMIT, "the end of the training")
        if running.returncode or not later():
            raise RuntimeError(f"{launcher} failed: {Path(folder, 'words').read_text()[-8000:]}")
        if len(later()) == STEPS // EVERY:  # the bits would be the same
            raise RuntimeError(f"{launcher} has trained again from the first step, not from a checkpoint.")
        params, _, _ = checkpoints.load(Path(folder, "final.npz"), new_optimizer())
    peaceful = run_ranks(trained, 2, STEPS)[0][-1]
    return {
        "seconds from the kill to the next checkpoint": min(later()) - killed,
        "checkpoints made again": len(seen) - STEPS // EVERY,
        "equal to the bit": int(np.array_equal(flat(params), peaceful)),
        "largest deviation": float(np.abs(flat(params) - peaceful).max()),
    }


# Who meets again


def meet() -> None:
    """A rank under torchrun. When all have met, rank 1 gets SIGKILL; after the restart it comes `LATE` seconds late."""
    again, rank = os.environ["TORCHELASTIC_RESTART_COUNT"] != "0", int(os.environ["RANK"])
    if again and rank == 1:
        time.sleep(LATE)
    dist.init_process_group("gloo", timeout=timedelta(seconds=20))
    dist.barrier()
    if not again and rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if not again:
        dist.barrier()  # in vain
    dist.destroy_process_group()


def met_again(new_store: bool, times: int = 1) -> dict:
    """How often two ranks find each other after a restart; else one is refused, or both wait to be called.

    Raises:
        RuntimeError: something else went wrong.
    """
    found = {"met again": 0, "refused": 0, "waited in vain": 0}
    program = ["--no-python", sys.executable, "-c", f"from {MODULE} import meet; meet()"]
    for _ in range(times):
        with processes() as (start, _):
            running = start(elastic(1) + program, env=environment(new_store), stderr=subprocess.PIPE, text=True)
            _, words = running.communicate(timeout=LIMIT)
        if running.returncode and "Gloo connectFullMesh failed" not in words:
            raise RuntimeError(f"torchrun failed: {words[-8000:]}")
        refused = "refused" if "Connection refused" in words else "waited in vain"
        found[refused if running.returncode else "met again"] += 1
    return found


def jobs(seeds: int, small: bool) -> list[dict]:
    """The small version is that of one rank that is killed."""
    return [{"case": case, "seed": seed} for case in (["killed"] if small else CASES) for seed in range(seeds)]


CASES = {
    "killed": lambda wait: noticed(signal.SIGKILL, 120.0),
    "hanging": lambda wait: noticed(signal.SIGSTOP, PATIENCE),
    "torchrun": lambda wait: restarted("torchrun", wait),
    "ray": lambda wait: restarted("ray", wait),
    "old store": lambda wait: met_again(new_store=False, times=MEETINGS),
    "new store": lambda wait: met_again(new_store=True, times=MEETINGS),
}


def train(job: dict, run: Run) -> dict:
    """The numbers of a job; its seed draws the moment of the kill."""
    return CASES[job["case"]](np.random.default_rng(job["seed"]).uniform(0, EVERY * PAUSE))


KILLED_RANKS = Experiment(
    "killed_ranks",
    "What becomes of a training when one of its ranks is killed, or hangs.",
    cost="a quarter of an hour",
    jobs=jobs,
    train=train,
    packages=("numpy", "torch", "ray"),
    tolerance=chaotic,
    version=2,
)

if __name__ == "__main__":
    main([KILLED_RANKS], ["killed_ranks", *sys.argv[1:]], module=MODULE)
