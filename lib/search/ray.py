"""Past one machine: the same tasks and spaces under Ray Tune, each member in a process of its own.

    record = train_population_on_ray(Digits(), members=16, rounds=20, steps=50, storage="runs/digits")
    record = train_population_on_ray(..., address="10.0.0.1:6379")      the same on a cluster

With no address, Ray runs on this machine alone, and ends with the function. On a cluster all nodes must have this book,
the same token (``RAY_AUTH_TOKEN_PATH``) and ``storage``, a folder that they share.

The same arguments do not give the same record: which member ends a round first, and so whom it can copy, is up to the
machines. What is certain is what a record says: trained again with its schedule, each member comes to the same weights.

What is not done by Ray's own means, since there they fail (Ray 2.60):

- After a restore its list of copies, ``pbt_global.txt``, is overwritten. Here each round has a line in ``rounds.jsonl``
  of its own, with a name and that of the round it went on from.
- A member whose score is nan is left alone by its scheduler, for ever. Here nan is told as -inf, which copies.
- Its perturbation leaves the space, and multiplies whole numbers. Here `lib.search.strategies` explores.
- Members that take turns can starve the one that they copy, and train in vain. `Turns` gives each its turn.
- Synchronous training stalls when it is restored, so members exploit each in its own time; see `train_population`
  for a run in step.
"""

import json
import math
import os
import random
import socket
import time
import uuid
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler, PopulationBasedTraining

from lib.arrays import namespace
from lib.checks import COUNT, LENGTH, check_range
from lib.search.population import Record, Run, advance_and_score, begin, load, record_of, restored, save, taken
from lib.search.search import Trial
from lib.search.space import Choice, Integers, LogUniform, Uniform
from lib.search.strategies import Perturb, Truncation

WHERE = "train_population_on_ray"
FORMAT = "step-size population on Ray"
EXPERIMENT = "ray"  # the folder of Ray's own files
STORE = 100_000_000  # bytes of shared memory for Ray's objects; a member's state does not go through it


class Member(tune.Trainable):
    """A stack of one member, which Ray trains, stops, moves and copies; its checkpoints are those of
    `lib.checkpoints`."""

    def setup(self, config, run):
        self.run, self.template = run, run.task.start(np.array([0]))
        self.reset_config(config)

    def reset_config(self, new_config):
        """Be another member, in the same process: that saves starting one."""
        member = new_config["member"]
        self.settings = {name: np.array([value]) for name, value in member["settings"].items()}
        self._read(member["first"])
        return True

    def step(self):
        """A round."""
        self.state, score = advance_and_score(self.run, self.state, self.settings)
        went_on_from, self.node, self.rounds = self.node, uuid.uuid4().hex, self.rounds + 1
        return {
            "rounds": self.rounds,
            "score": -math.inf if math.isnan(score[0]) else score[0].item(),
            "node": self.node,
            "from": went_on_from,
            "settings": {name: values[0].item() for name, values in self.settings.items()},
        }

    def save_checkpoint(self, checkpoint_dir):
        _leave(Path(checkpoint_dir) / "member.npz", self.run, self.state, self.rounds, self.node)

    def load_checkpoint(self, checkpoint):
        self._read(Path(checkpoint) / "member.npz")

    def _read(self, path):
        self.state, self.rounds, self.node = _look(path, self.run, self.template)


def _leave(path, run, state, rounds, node):
    save(path, run, FORMAT, state=state, numbers={"rounds": np.array(rounds), "node": np.array(node)})


def _look(path, run, template):
    kept = load(path, run, FORMAT, "lib.search.ray")
    return restored(kept["state"], template, path), int(kept["numbers"]["rounds"]), str(kept["numbers"]["node"])


class Rounds(tune.Callback):
    """Writes a line of ``rounds.jsonl`` for each round that a member ends. It begins with the line's end, so that one
    that a killed process left half written spoils no other."""

    def __init__(self, path):
        self.path = path

    def on_trial_result(self, iteration, trials, trial, result, **info):
        row = {name: result[name] for name in ("rounds", "node", "from", "settings", "score")}
        with open(self.path, "a", encoding="utf-8") as file:
            file.write("\n" + json.dumps({"member": number(trial.trial_id), "time": time.time()} | row))


def read_rounds(storage) -> list[dict]:
    """All rounds that were ended in a run on Ray, the discarded ones too, in their order: ``member``, ``rounds`` (how
    many its weights have behind them), ``node`` and ``from`` (its name and that of the round it went on from),
    ``settings``, ``score``, and the ``time`` at which the driver was told."""
    rows = []
    path = Path(storage) / "rounds.jsonl"
    for line in path.read_text(encoding="utf-8").split("\n") if path.exists() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:  # empty, or half written when the process was killed
            continue
    return rows


def ray_space(space) -> dict:
    """A space of this book as one of Ray, for its own search algorithms."""
    makes = {
        Uniform: lambda it: tune.uniform(it.low, it.high),
        LogUniform: lambda it: tune.loguniform(it.low, it.high),
        Integers: lambda it: tune.randint(it.low, it.high + 1),
        Choice: lambda it: tune.choice(list(it.options)),
    }
    return {name: makes[type(dimension)](dimension) for name, dimension in space.items()}


class Turns(PopulationBasedTraining):
    """Where members take turns, the one that has trained for the fewest rounds is next. Ray's rule takes a copy to be
    as young as what it copied, so one that copies again and again can keep from its turn the very member it copies."""

    def __init__(self, **options):
        super().__init__(**options)
        self.trained = Counter()

    def on_trial_result(self, tune_controller, trial, result):
        self.trained[trial.trial_id] += 1
        return super().on_trial_result(tune_controller, trial, result)

    def choose_trial_to_run(self, tune_controller):
        waiting = [it for it in tune_controller.get_trials() if it.status in ("PENDING", "PAUSED")]
        return min(waiting, key=lambda it: self.trained[it.trial_id], default=None)


def population_scheduler(run) -> PopulationBasedTraining:
    """Ray's population based training with the exploit and the explore of a `Run`.

    Ray draws from the module ``random`` of the process that drives, and so does this.

    Raises:
        ValueError: the run has no `Truncation`, no explore, or does not copy settings; Ray knows nothing else.
    """
    if not isinstance(run.exploit, Truncation) or run.explore is None or not run.copy_settings:
        raise ValueError(
            f"{WHERE}: exploit must be a Truncation, explore not None and copy_settings True, which is all that Ray "
            f"can do; got {run.exploit!r}, {run.explore!r} and {run.copy_settings!r}. lib.search.workers takes others."
        )
    cut = max(1, int(run.exploit.share * run.members + 1e-9))

    def explored(config):
        member = config["member"]
        settings = {name: np.array([value]) for name, value in member["settings"].items()}
        tried = run.explore(settings, run.task.space, np.random.default_rng(random.getrandbits(64)))
        return config | {"member": member | {"settings": {name: values[0].item() for name, values in tried.items()}}}

    return Turns(
        time_attr="rounds",
        metric="score",
        mode="max",
        perturbation_interval=1,
        quantile_fraction=(cut - 0.5) / run.members if run.members > 1 else 0.5,  # of which Ray takes the ceiling
        custom_explore_fn=explored,
        log_config=False,
    )


def train_population_on_ray(
    task,
    members: int,
    rounds: int,
    steps: int,
    *,
    storage,
    exploit=Truncation(),  # noqa: B008, it is frozen
    explore=Perturb(),  # noqa: B008
    seed: int = 0,
    settings=None,
    synchronous: bool = False,
    address: str | None = None,
    cpus: float = 1,
    workers: int | None = None,
    failures: int = 10,
) -> Record:
    """Train a population under Ray Tune, asynchronously. Begins with the states and settings of `train_population`.

    Args:
        task, members, rounds, steps, explore, seed, settings: as for `train_population`; ``seed`` of the beginning.
        exploit: a `Truncation`.
        storage: a folder for the run, made if missing. If a run is there, it goes on: the driver may have been killed
            at any moment. What members did since Ray last wrote down the state of the whole, they do again; it does so
            every 10 s, or as ``TUNE_GLOBAL_CHECKPOINT_S`` in the environment says. Ray keeps all checkpoints; the
            folder may go when the record is there. Ray's files in it are pickles: restore none that others can write
            to.
        synchronous: must be False.
        address: of a cluster, "host:port"; None: Ray runs here.
        cpus: of a member while it trains. Are there more members than that gives place to, they take turns.
        workers: processors of this machine that Ray may use; None: all.
        failures: how often a member may lose its process, or its node, and go on from its last checkpoint.

    Returns:
        A record as of `train_population`, in which round r of a member is that after which its weights had r + 1 rounds
        behind them. A member that copied from one that was further skipped rounds: there its score is nan. One that
        went back did rounds twice: the one stands that lives on in a member of the last round, or else the last.

    Raises:
        TypeError, ValueError: an argument is out of range, or the storage holds another run.
        RuntimeError: a member failed too often.
    """
    if synchronous:
        raise ValueError(
            f"{WHERE}: synchronous must be False: Ray's synchronous training stalls when it is restored. For a run in "
            "step that can be killed, take lib.search.population.train_population(path=...)."
        )
    run = Run(task, members, rounds, steps, exploit, explore, seed)
    scheduler = population_scheduler(run)
    state, nodes = _trained(run, settings, scheduler, storage, address, cpus, workers, failures)
    return _record(run, read_rounds(storage), nodes, state, storage)


def search_on_ray(
    task,
    n: int,
    rounds: int,
    steps: int,
    *,
    storage,
    eta: int = 4,
    seed: int = 0,
    address: str | None = None,
    cpus: float = 1,
    workers: int | None = None,
    failures: int = 10,
) -> list[Trial]:
    """Search with Ray Tune's ASHA. It stops the trainings that are worse than most at a rung, where
    `lib.search.halving.ASHA` pauses them and takes up the best later: the form that Li et al. call the stopping one.

    Args:
        n: trainings; their settings are those of the members of `train_population` with this seed.
        rounds: of a training that comes to the end.
        steps: of a round, the unit in which rungs are counted: 1, eta, eta^2, ...
        eta: one in so many goes on.
        storage, address, cpus, workers, failures: as for `train_population_on_ray`.

    Returns:
        A trial for every round, in the order in which they ended: budget in steps, loss minus the score.

    Source: Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", arXiv 1810.05934.

    Raises:
        TypeError, ValueError, RuntimeError: as for `train_population_on_ray`.
    """
    run = Run(task, n, rounds, steps, f"ASHA, eta {check_range(COUNT, 'eta', eta, 'search_on_ray')}", None, seed)
    check_range(COUNT, "rounds", rounds, "search_on_ray")
    scheduler = ASHAScheduler(time_attr="rounds", metric="score", mode="max", max_t=rounds, reduction_factor=eta)
    _trained(run, None, scheduler, storage, address, cpus, workers, failures)
    rows = {(row["member"], row["rounds"]): row for row in read_rounds(storage)}  # of a round done twice, the last
    return [Trial(row["member"], row["settings"], row["rounds"] * steps, -row["score"]) for row in rows.values()]


def _trained(run, settings, scheduler, storage, address, cpus, workers, failures):
    """The last states of all members, and the names of their last rounds; what the storage holds is not trained."""
    check_range(LENGTH, "cpus", cpus, WHERE)
    check_range(COUNT, "failures", failures, WHERE)
    if workers is not None:
        check_range(COUNT, "workers", workers, WHERE)
    storage, (state, settings) = Path(storage).absolute(), begin(run, settings)
    if (storage / "run.npz").exists():
        _check_same(run, settings, storage)
    last, template = storage / "last.npz", run.task.start(np.array([0]))
    if not last.exists():
        ended = [
            _look(path, run, template)
            for path in _fitted(run, state, settings, scheduler, storage, address, cpus, workers, failures)
        ]
        states = [state for state, _, _ in ended]
        state = {name: namespace(a).concat([state[name] for state in states], axis=0) for name, a in template.items()}
        save(last, run, FORMAT, state=state, numbers={"nodes": np.array([node for _, _, node in ended])})
    kept = load(last, run, FORMAT, "lib.search.ray")
    return restored(kept["state"], template, last), kept["numbers"]["nodes"].tolist()


def _fitted(run, state, settings, scheduler, storage, address, cpus, workers, failures):
    """Run to the end, or on to it; the paths of the last checkpoints."""
    begun = str(storage / EXPERIMENT)
    with connected(address, workers):
        trainable = tune.with_resources(tune.with_parameters(Member, run=run), {"cpu": cpus})
        if _restorable(Path(begun)):
            tuner = tune.Tuner.restore(begun, trainable=trainable, resume_errored=True)
        else:
            tuner = tune.Tuner(
                trainable,
                param_space={"member": tune.grid_search(_begun(run, state, settings, storage))},
                tune_config=tune.TuneConfig(scheduler=scheduler, reuse_actors=True, trial_dirname_creator=_folder),
                run_config=tune.RunConfig(
                    name=EXPERIMENT,
                    storage_path=str(storage),
                    stop={"rounds": run.rounds},
                    callbacks=[Rounds(storage / "rounds.jsonl")],
                    checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1, checkpoint_at_end=True),
                    failure_config=tune.FailureConfig(max_failures=failures),
                    verbose=0,
                ),
            )
        results = tuner.fit()
    if results.errors:
        raise RuntimeError(f"{WHERE}: a member failed {failures} times and once more: {results.errors[0]}")
    by_number = {number(result.metrics["trial_id"]): result for result in results}
    return [Path(by_number[i].checkpoint.path) / "member.npz" for i in range(run.members)]


def _folder(trial):
    return f"member-{number(trial.trial_id)}"  # Ray's would hold all settings, and be too long


def number(trial_id: str) -> int:
    """The number of a member, from Ray's name for it; the order of its trials is another one after a restore."""
    return int(trial_id.rsplit("_", 1)[1])


def _restorable(folder) -> bool:
    """Whether Ray can go on from a folder. A state that was being written when the driver was killed goes."""
    for state in sorted(folder.glob("experiment_state-*.json"), reverse=True):
        try:
            json.loads(state.read_text())
        except ValueError:
            state.unlink()
        else:
            return tune.Tuner.can_restore(str(folder))
    return False


def _begun(run, state, settings, storage):
    """What each member is told, its first state lying in the storage."""
    storage.mkdir(parents=True, exist_ok=True)
    (storage / "rounds.jsonl").unlink(missing_ok=True)
    members = []
    for i in range(run.members):
        first = storage / f"first-{i}.npz"
        _leave(first, run, {name: taken(a, np.array([i])) for name, a in state.items()}, 0, "")
        members.append({"settings": {name: values[i].item() for name, values in settings.items()}, "first": str(first)})
    save(storage / "run.npz", run, FORMAT, settings=settings, numbers={"rounds": np.array(run.rounds)})
    return members


def _check_same(run, settings, storage):
    kept = load(storage / "run.npz", run, FORMAT, "lib.search.ray")
    if (rounds := int(kept["numbers"]["rounds"])) != run.rounds:
        raise ValueError(f"{WHERE}: {storage} holds a run of {rounds} rounds, not {run.rounds}; ask for as many.")
    if any(np.any(kept["settings"][name] != values) for name, values in settings.items()):
        raise ValueError(f"{WHERE}: {storage} was begun with other settings; begin with those, or choose another one.")


@contextmanager
def connected(address, workers, where=WHERE):
    """Ray, on this machine alone, with so many workers, or at an address; what is there already is used, and stays.
    ``where`` begins the error messages."""
    quiet = {
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AIR_NEW_OUTPUT": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    }
    before = {name: os.environ.get(name) for name in quiet}
    os.environ.update({name: value for name, value in quiet.items() if before[name] is None})
    ours = not ray.is_initialized()
    if ours:
        here = {"num_cpus": workers, "object_store_memory": STORE, "include_dashboard": False}
        here |= {"_node_ip_address": "127.0.0.1"}
        if address:
            _check_answers(address, where)
        try:
            ray.init(address or "local", log_to_driver=False, logging_level="error", **({} if address else here))
        except ConnectionError as error:
            if not address:
                raise
            raise ValueError(
                f"{where}: no Ray cluster lets this process in at the address {address!r} ({error}); is the token in "
                "RAY_AUTH_TOKEN_PATH that of its nodes?"
            ) from None
    try:
        yield
    finally:
        if ours:
            ray.shutdown()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)


def _check_answers(address, where):
    """Asks first, since Ray waits for minutes where nobody is, and then ends the process."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"{where}: address must be host:port of a Ray cluster, got {address!r}.")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise ValueError(f"{where}: nobody answers at the address {address!r} ({error}); start a node there: ray start "
                         "--head.") from None  # fmt: skip


def _record(run, rows, last, state, storage):
    """The rounds of a run, of which ``last`` are those that its members ended with."""
    rows = {row["node"]: row for row in rows}
    lines = [_line(rows, node, storage) for node in last]
    shape = run.rounds, run.members
    cells = np.full(shape, None, dtype=object)
    for row in rows.values():
        cells[row["rounds"] - 1, row["member"]] = row
    for round, row in enumerate(cells):
        alive = {line[round]["node"]: line[round] for line in lines}
        own = {it["member"]: it for it in reversed(alive.values())}
        others = [it for it in alive.values() if own[it["member"]] is not it]  # of a member that did the round twice:
        free = [i for i in range(run.members) if i not in own]  # they get the place of one that nobody goes on from
        row[list(own)] = list(own.values())
        row[free[: len(others)]] = others
    place = {row["node"]: at for at, row in np.ndenumerate(cells) if row}
    scores, parents, parent_rounds = np.full(shape, np.nan), np.empty(shape, dtype=int), np.empty(shape, dtype=int)
    values = {name: [] for name in run.task.space}
    for (round, i), row in np.ndenumerate(cells):
        before = round - 1, i
        parent_rounds[round, i], parents[round, i] = place.get(row["from"], before) if row else before
        if row and row["score"] > -math.inf:
            scores[round, i] = row["score"]
        for name, its in values.items():
            its.append((row or lines[i][round])["settings"][name])
    settings = {name: np.array(its).reshape(shape) for name, its in values.items()}
    return record_of({"scores": scores, "parents": parents, "parent_rounds": parent_rounds} | settings, state)


def _line(rows, node, storage):
    """The rounds that a member's weights went through, from the first."""
    line = []
    while node:
        if node not in rows:
            raise ValueError(f"{WHERE}: {storage}/rounds.jsonl is damaged, a round is missing; train anew, elsewhere.")
        line.append(rows[node])
        node = rows[node]["from"]
    return line[::-1]
