"""The ranks of `lib.experiments.ranks` under Ray Train, which starts them where there is room, on a cluster too, and
starts all anew from the last checkpoint when a process or a machine is lost.

    params = train_on_ray(steps=200, workers=2, storage="runs/ray")
"""

import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from ray import train
from ray.train.torch import TorchTrainer

from lib import checkpoints
from lib.checks import COUNT, WHOLE, check_range
from lib.experiments.ranks import EVERY, new_optimizer, training
from lib.machine import ROOT
from lib.search.ray import connected

WHERE = "train_on_ray"
KEPT = "checkpoint.npz"


def train_on_ray(
    steps: int,
    workers: int,
    storage,
    *,
    name: str = "ranks",
    pause: float = 0.0,
    address: str | None = None,
    failures: int = 3,
) -> dict[str, np.ndarray]:
    """Train the net of `lib.experiments.ranks` in so many ranks, with a checkpoint every `EVERY` steps.

    Args:
        steps: a multiple of `EVERY`.
        workers: ranks, each with a processor.
        storage: a folder, which all machines of a cluster share.
        name: of the run, a folder in ``storage``. If there is one, it goes on from its last checkpoint.
        pause: seconds to wait after each step, so that there is time to kill somebody.
        address: of a cluster, "host:port"; None: Ray runs here, and ends with the function.
        failures: how often ranks may be lost.

    Returns:
        the parameters after the last step.

    Raises:
        TypeError, ValueError: an argument is out of range, or no cluster answers at the address.
        ray.train.TrainingFailedError: ranks were lost too often.
    """
    if check_range(COUNT, "steps", steps, WHERE) % EVERY:
        raise ValueError(f"{WHERE}: steps must be a multiple of {EVERY}, or the last has no checkpoint; got {steps}.")
    workers = check_range(COUNT, "workers", workers, WHERE)
    check_range(WHOLE, "failures", failures, WHERE)
    trainer = TorchTrainer(
        _rank,
        train_loop_config={"steps": steps, "pause": pause},
        scaling_config=train.ScalingConfig(num_workers=workers, resources_per_worker={"CPU": 1}),
        run_config=train.RunConfig(
            name=name,
            storage_path=str(Path(storage).absolute()),
            failure_config=train.FailureConfig(max_failures=failures),
            checkpoint_config=train.CheckpointConfig(num_to_keep=2),
            worker_runtime_env={"env_vars": {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}},
        ),
    )
    with connected(address, workers, WHERE):
        last = trainer.fit().checkpoint
    with last.as_directory() as folder:
        return checkpoints.load(Path(folder, KEPT), new_optimizer()).params


def _rank(config):
    """What Ray runs in each process, in a group that it has made."""
    torch.set_num_threads(1)
    last = train.get_checkpoint()
    with last.as_directory() if last else tempfile.TemporaryDirectory() as begin:
        for params, optimizer in training(config["steps"], Path(begin, KEPT)):
            time.sleep(config["pause"])
            if optimizer.t % EVERY == 0:
                with tempfile.TemporaryDirectory() as folder:
                    first = dist.get_rank() == 0
                    if first:
                        checkpoints.save(Path(folder, KEPT), params, optimizer)
                    kept = train.Checkpoint.from_directory(folder) if first else None
                    train.report({"step": optimizer.t, "process": os.getpid()}, checkpoint=kept)
