"""Under Ray Tune: its decisions are ours, where they can be; a record tells the truth; a kill loses nothing."""

import json
import math
import random
import socket
import subprocess
import sys
import time
import types

import numpy as np
import pytest
from ray.tune.schedulers import ASHAScheduler, PopulationBasedTraining
from ray.tune.schedulers.pbt import _explore

from lib import checkpoints
from lib.experiments.population import Digits, Toy
from lib.optimizers import adam
from lib.referees.throughput import processes, replays
from lib.search import ray as tuned
from lib.search.halving import ASHA, promotable
from lib.search.population import Run, ancestors, begin, survivors, train_population
from lib.search.space import Choice, Integers, LogUniform, Uniform
from lib.search.strategies import BinaryTournament, Perturb, Truncation
from tests.conftest import ROOT

SPACE = {"lr": LogUniform(1e-3, 1.0), "momentum": Uniform(0.0, 0.99)}
RUNS = pytest.mark.skipif(sys.platform == "win32", reason="Ray's nodes are not tried on Windows")


class FromRandom:
    """A generator that draws from the module ``random``, as Ray does, one number after another."""

    def __init__(self, seed, skip=False):
        self.random_, self.skip = random.Random(seed), skip

    def random(self, n):
        return np.array([self.random_.random() for _ in range(n)])

    def choice(self, values, n):
        drawn = []
        for _ in range(n):
            if self.skip:  # Ray first draws whether to resample
                self.random_.random()
            drawn.append(self.random_.choice(list(values)))
        return np.array(drawn)


# ---------- whom to copy ----------


class Trial:
    """What Ray's scheduler asks of one of its trials."""

    status, PENDING = "RUNNING", "PENDING"

    def __init__(self, i, config=None):
        self.trial_id, self.experiment_tag, self.config = f"abc_{i:05d}", str(i), config
        manager = types.SimpleNamespace(checkpoint_config=types.SimpleNamespace(num_to_keep=None))
        self.run_metadata = types.SimpleNamespace(checkpoint_manager=manager)
        self.evaluated_params = {}

    def is_finished(self):
        return False

    def set_experiment_tag(self, tag):
        pass

    def set_config(self, config):
        self.config = config


class Controller:
    """What Ray's scheduler asks of whom it schedules for; notes what it is told to do."""

    search_alg = None

    def __init__(self, trials):
        self.trials, self.saved, self.paused = trials, [], []

    def get_trials(self):
        return self.trials

    get_live_trials = get_trials

    def _schedule_trial_save(self, trial, result):
        self.saved.append(trial)
        return f"the checkpoint of {trial.trial_id}"

    def pause_trial(self, trial, should_checkpoint):
        self.paused.append(trial)


def scheduled(run, settings):
    """Ray's scheduler of a run, and its trials."""
    scheduler = tuned.population_scheduler(run)
    configs = [
        {"member": {"settings": {name: values[i].item() for name, values in settings.items()}, "first": str(i)}}
        for i in range(run.members)
    ]
    controller = Controller([Trial(i, config) for i, config in enumerate(configs)])
    for trial in controller.trials:
        scheduler.on_trial_add(controller, trial)
    return scheduler, controller


def lowest_and_highest(exploit, scores):
    """Those that copy, and those that may be copied, by our `Truncation`."""
    copies, copied = set(), set()
    for seed in range(200):
        parents = exploit(scores[None], np.random.default_rng(seed))
        lower = np.flatnonzero(parents != np.arange(len(scores)))
        copies |= set(lower.tolist())
        copied |= set(parents[lower].tolist())
    return copies, copied


@pytest.mark.parametrize("share", [0.2, 0.25, 0.29, 0.5])
@pytest.mark.parametrize("members", [2, 3, 5, 8, 10, 16])
def test_the_same_members_copy_and_are_copied(members, share):
    run = Run(Toy(), members, 2, 1, Truncation(share))
    scheduler, controller = scheduled(run, begin(run)[1])
    for seed in range(3):
        scores = np.random.default_rng(seed).standard_normal(members)
        for trial, score in zip(controller.trials, scores, strict=True):
            scheduler._trial_state[trial].last_score = score
        places = [{controller.trials.index(trial) for trial in part} for part in scheduler._quantiles()]
        assert places == list(lowest_and_highest(Truncation(share), scores))


def test_a_stream_of_results_is_decided_alike():
    """Each member in its own time; who reports, saves if it is among the best, and copies if it is among the worst: as
    ours would, that sees the same scores. And what it tries is what ours tries, of the same draws."""
    run = Run(Toy(), 8, 40, 1, Truncation(0.25), Perturb())
    scheduler, controller = scheduled(run, begin(run)[1])
    draw, board, copies, keeps = np.random.default_rng(0), np.full(8, np.nan), 0, 0
    rounds = [0] * 8
    for _ in range(300):
        i = int(draw.integers(8)) if min(rounds) else rounds.index(0)  # each reports once, then anyone
        rounds[i] += 1
        board[i] = draw.standard_normal()
        trial = controller.trials[i]
        controller.saved, controller.paused = [], []
        before = random.getstate()
        clock = max(state.last_train_time for state in scheduler._trial_state.values()) + 1
        scheduler.on_trial_result(controller, trial, {"rounds": clock, "score": board[i]})
        if min(rounds) == 0:
            continue
        lowest, highest = lowest_and_highest(run.exploit, board)
        assert (trial in controller.saved) == (i in highest)
        if i not in lowest:
            assert not controller.paused
            continue
        random.setstate(before)
        best = sorted(highest, key=lambda j: board[j])
        parent = controller.trials[best[random.choice(range(len(best)))]]
        if scheduler._trial_state[parent].last_checkpoint is None:  # it became one of the best by others' falling
            assert not controller.paused
            keeps += 1
            continue
        tried = run.explore(
            {name: np.array([value]) for name, value in parent.config["member"]["settings"].items()},
            run.task.space,
            np.random.default_rng(random.getrandbits(64)),
        )
        assert controller.paused == [trial]
        assert trial.config["member"]["settings"] == {name: values[0].item() for name, values in tried.items()}
        copies += 1
    assert copies > 40
    assert keeps < copies


def test_of_a_share_ray_alone_takes_more():
    """It rounds up, ours down: with eight members and a share of 0.2 two copy instead of one."""
    alone = PopulationBasedTraining(
        time_attr="rounds", metric="score", mode="max", quantile_fraction=0.2, custom_explore_fn=dict
    )
    for i in range(8):
        trial = Trial(i)
        alone._trial_state[trial] = types.SimpleNamespace(last_score=float(i))
    assert [len(part) for part in alone._quantiles()] == [2, 2]
    assert len(lowest_and_highest(Truncation(0.2), np.arange(8.0))[0]) == 1


def test_a_member_that_diverged_copies():
    """Ray leaves out one whose score is nan; told as -inf, it is the lowest."""
    run = Run(Toy(), 4, 2, 1, Truncation(0.25))
    scheduler, controller = scheduled(run, begin(run)[1])
    for worst in math.nan, -math.inf:
        for trial, score in zip(controller.trials, [worst, 1.0, 2.0, 3.0], strict=True):
            scheduler._trial_state[trial].last_score = score
        lower = scheduler._quantiles()[0]
        assert (lower == [controller.trials[0]]) == (worst == -math.inf)


def test_a_copy_does_not_take_the_turn_of_the_one_it_copies():
    """Member 0 copies member 1, which is one round old; Ray would call it as young, and let it go first, ever again."""
    run = Run(Toy(), 2, 9, 1, Truncation(0.5))
    scheduler, controller = scheduled(run, begin(run)[1])
    copier, copied = controller.trials
    scheduler.on_trial_result(controller, copied, {"rounds": 1, "score": 1.0})
    for rounds in 1, 2:
        scheduler.on_trial_result(controller, copier, {"rounds": rounds, "score": 0.0})
    copier.status = copied.status = "PAUSED"
    scheduler._trial_state[copier].last_train_time = scheduler._trial_state[copied].last_train_time
    assert scheduler.choose_trial_to_run(controller) is copied
    assert PopulationBasedTraining.choose_trial_to_run(scheduler, controller) is copier


# ---------- what to try next ----------


@pytest.mark.parametrize("seed", range(20))
def test_rays_own_perturbation_is_ours_but_leaves_the_space(seed):
    space = SPACE | {"batch": Choice(16, 32, 64)}
    at = {"lr": 0.9, "momentum": 0.3, "batch": 32}
    mutations = tuned.ray_space(SPACE) | {"batch": [16, 32, 64]}
    random.seed(seed)
    theirs, _ = _explore(at, mutations, 0.0, (0.8, 1.2), None)
    settings = {name: np.array([value]) for name, value in at.items()}
    ours = Perturb()(settings, space, FromRandom(seed, skip=True))
    assert ours["lr"][0] == min(theirs["lr"], 1.0)
    assert ours["momentum"][0] == min(theirs["momentum"], 0.99)
    assert ours["batch"][0] == theirs["batch"]


def test_that_it_does_leave_it():
    found = set()
    for seed in range(20):
        random.seed(seed)
        found.add(_explore({"lr": 0.9}, tuned.ray_space({"lr": SPACE["lr"]}), 0.0, (0.8, 1.2), None)[0]["lr"] > 1)
    assert found == {True, False}


def test_a_space_is_rays():
    space = SPACE | {"layers": Integers(1, 3), "rule": Choice("adam", "momentum")}
    drawn = [{name: it.sample() for name, it in tuned.ray_space(space).items()} for _ in range(300)]
    for name, dimension in space.items():
        values = np.array([one[name] for one in drawn])
        shares = dimension.share(values)  # or it says what lies outside
        assert abs(np.mean(shares) - 0.5) < 5 * 0.3 / math.sqrt(300)
    assert {one["layers"] for one in drawn} == {1, 2, 3}


# ---------- which trainings go on ----------


def test_asha_is_decided_alike_or_more_mildly():
    """One stream of results, of trainings that come to the rungs in their own time. At each arrival ours says whether
    the training is among the best one in eta; if so, Ray lets it go on too. Ray compares with those before it alone,
    and with a place between two of them, and so lets some more go on: the first one, for one, always."""
    eta, budget, n = 3, 27, 400
    ray = ASHAScheduler(time_attr="rounds", metric="score", mode="max", max_t=budget, reduction_factor=eta)
    bracket = ray._brackets[0]
    rungs = sorted(int(milestone) for milestone, _ in bracket._rungs)
    ours = ASHA(SPACE, 1000, budget, eta)
    budgets, asking = set(), ours.ask()
    trials = next(asking)
    draw = np.random.default_rng(0)
    for _ in range(999):
        budgets.add(trials[0].budget)
        trials = asking.send(draw.random(1))
    assert rungs == sorted(budgets) == [1, 3, 9, 27]
    alike = milder = 0
    known = {rung: {} for rung in rungs}
    controller = Controller([])
    for number in range(n):
        trial, quality = Trial(number), draw.standard_normal()
        ray.on_trial_add(controller, trial)
        for rung in rungs[:-1]:
            loss = quality + draw.standard_normal() / rung
            known[rung][number] = loss
            others = set(known[rung]) - {number}
            goes_on = promotable(known[rung], others, eta) == number
            theirs = ray.on_trial_result(controller, trial, {"rounds": rung, "score": -loss}) == "CONTINUE"
            assert theirs or not goes_on
            alike, milder = alike + (theirs == goes_on), milder + (theirs != goes_on)
            if not theirs:
                break
    assert alike + milder > 500
    assert 0 < milder < 0.05 * alike


# ---------- why not in step ----------


def test_a_restored_scheduler_in_step_has_nobody_to_run():
    """Its counters are at zero again while the trainings are at round 6: after the first round it waits for round 6 to
    be passed, and for that nobody is let run. A scheduler that was not restored has somebody."""
    for first, stalls in (1, False), (6, True):
        run = Run(Toy(), 2, 9, 1)
        _, controller = scheduled(run, begin(run)[1])
        ray = PopulationBasedTraining(
            time_attr="rounds",
            metric="score",
            mode="max",
            perturbation_interval=1,
            custom_explore_fn=dict,
            log_config=False,
            synch=True,
        )
        for trial in controller.trials:
            ray.on_trial_add(controller, trial)
            trial.status = "PAUSED"
        for score, trial in enumerate(controller.trials):
            trial.checkpoint = trial.temporary_state = types.SimpleNamespace(saving_to=None)
            trial.run_metadata.checkpoint_manager._latest_checkpoint_result = None
            ray.on_trial_result(controller, trial, {"rounds": first, "score": float(score)})
        assert (ray.choose_trial_to_run(controller) is None) == stalls


def test_in_step_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"stalls when it is restored.*train_population\(path=\.\.\.\)"):
        tuned.train_population_on_ray(Toy(), 2, 2, 2, storage=tmp_path, synchronous=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"exploit": BinaryTournament()}, "exploit must be a Truncation.*lib.search.workers takes others"),
        ({"explore": None}, "explore not None"),
        ({"cpus": 0}, "cpus must be a finite number > 0, got 0"),
        ({"workers": 0}, "workers must be a whole number >= 1, got 0"),
        ({"failures": 0}, "failures must be a whole number >= 1, got 0"),
    ],
)
def test_what_is_refused(change, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        tuned.train_population_on_ray(Toy(), 2, 2, 2, storage=tmp_path, **change)


# ---------- a member, without Ray's processes ----------

SMALL = Digits(adam, {"lr": LogUniform(1e-4, 0.1), "beta1": Uniform(0.5, 0.99)}, hidden=4, batch=8)


def members(run, folder):
    """All members of a run, begun, as Ray would make them."""
    state, settings = begin(run)
    return [{"member": it} for it in tuned._begun(run, state, settings, folder)]


def member(run, config):
    made = tuned.Member.__new__(tuned.Member)
    made.setup(config, run)
    return made


def test_a_member_goes_on_elsewhere_to_the_bit(tmp_path):
    """Three rounds here; or one here, a checkpoint, and two in a process that was another member before."""
    run = Run(SMALL, 3, 3, 5)
    configs = members(run, tmp_path)
    here, there = member(run, configs[1]), member(run, configs[2])
    there.step()
    results = [here.step()]
    here.save_checkpoint(tmp_path)
    results += [here.step(), here.step()]
    assert there.reset_config(configs[1])
    assert there.rounds == 0
    there.load_checkpoint(tmp_path)
    again = [there.step(), there.step()]
    assert [it["score"] for it in again] == [it["score"] for it in results[1:]]
    assert again[0]["from"] == results[1]["from"] == results[0]["node"]
    for name, a in here.state.items():
        assert (a == there.state[name]).all()
    alone = train_population(SMALL, 3, 3, 5, exploit=None, explore=None)
    assert [it["score"] for it in results] == alone.scores[:, 1].tolist()


def test_a_checkpoint_is_checked(tmp_path):
    run = Run(SMALL, 2, 3, 5)
    made = member(run, members(run, tmp_path)[0])
    made.save_checkpoint(tmp_path)
    file = tmp_path / "member.npz"
    assert np.load(file, allow_pickle=False)["state/x"].shape[0] == 1
    with pytest.raises(ValueError, match="whose task is"):
        member(Run(Toy(), 2, 3, 5), members(Run(Toy(), 2, 3, 5), tmp_path)[0]).load_checkpoint(tmp_path)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(checkpoints.Damaged):
        made.load_checkpoint(tmp_path)


def test_a_score_that_is_nan_is_told_as_the_worst(tmp_path):
    class Diverges(Toy):
        def score(self, state):
            return np.full(len(state["theta"]), np.nan)

    run = Run(Diverges(), 1, 1, 1)
    assert member(run, members(run, tmp_path)[0]).step()["score"] == -math.inf


# ---------- the record ----------


def row(member, rounds, node, before, score=0.0, h0=0.5):
    return {"member": member, "rounds": rounds, "node": node, "from": before, "score": score,
            "settings": {"h0": h0, "h1": 0.5}}  # fmt: skip


def test_a_record_of_members_that_go_back_and_ahead():
    """Member 1 trained its second round twice, and both live on: the first one in member 0, which copied it. Member 2
    copied a third round, having done one of its own; nobody has its score in between."""
    rows = [
        row(0, 1, "a1", ""), row(1, 1, "b1", ""), row(2, 1, "c1", ""),
        row(1, 2, "b2", "b1", 2.0, 0.1), row(0, 2, "a2", "a1", -math.inf), row(0, 3, "a3", "b2", 3.0),
        row(1, 2, "B2", "a1", 2.5, 0.2), row(1, 3, "B3", "B2", 4.0), row(1, 4, "B4", "B3", 5.0),
        row(0, 4, "a4", "a3", 6.0), row(2, 4, "c4", "a3", 7.0),
    ]  # fmt: skip
    run = Run(Toy(), 3, 4, 1)
    state = {"theta": np.zeros((3, 2))}
    record = tuned._record(run, rows, ["a4", "B4", "c4"], state, "here")
    assert record.scores.shape == (4, 3)
    lines = [[tuple(at) for at in ancestors(record, i)] for i in range(3)]
    for line, nodes in zip(lines, (["b1", "b2", "a3", "a4"], ["a1", "B2", "B3", "B4"], ["b1", "b2", "a3", "c4"]),
                           strict=True):  # fmt: skip
        its = {it["node"]: it for it in rows}
        assert [record.scores[at] for at in line] == [its[node]["score"] for node in nodes]
        assert [record.settings["h0"][at] for at in line] == [its[node]["settings"]["h0"] for node in nodes]
    assert np.isnan(record.scores[2, 2])
    assert survivors(record).sum() == 9
    with pytest.raises(ValueError, match=r"rounds\.jsonl is damaged, a round is missing"):
        tuned._record(run, rows[1:], ["a4", "B4", "c4"], state, "here")


def test_a_line_half_written_spoils_no_other(tmp_path):
    trial = types.SimpleNamespace(trial_id="abc_00007")
    told = tuned.Rounds(tmp_path / "rounds.jsonl")
    for score in 1.0, 2.0:
        told.on_trial_result(0, [], trial, row(0, 1, "a", "", score))
        with open(tmp_path / "rounds.jsonl", "a") as file:
            file.write('\n{"member": 3, "rou')
    assert [(it["member"], it["score"]) for it in tuned.read_rounds(tmp_path)] == [(7, 1.0), (7, 2.0)]


def test_a_state_half_written_is_passed_over(tmp_path):
    (tmp_path / "tuner.pkl").write_bytes(b"")
    older, newer = tmp_path / "experiment_state-2026-01-01.json", tmp_path / "experiment_state-2026-01-02.json"
    newer.write_text('{"trial_da')
    assert not tuned._restorable(tmp_path)
    older.write_text(json.dumps({}))
    newer.write_text('{"trial_da')
    assert tuned._restorable(tmp_path)
    assert not newer.exists()


# ---------- Ray's processes ----------

LIMIT = 300  # seconds
DRIVER = """
import sys
from lib.experiments.population import Toy
from lib.search.ray import train_population_on_ray

train_population_on_ray(Toy(), 2, 3, 10, storage=sys.argv[1], workers=2)
"""


@RUNS
def test_a_run_and_another_one_in_its_place(tmp_path, monkeypatch):
    """The only run of the suite that starts Ray: what is slow fails. On a busy machine a node may take longer to start
    than the 30 s that Ray waits; then it is tried again. What a kill costs, `lib.referees.throughput` tells."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    over = time.monotonic() + LIMIT
    with processes() as (start, alive):
        while not (tmp_path / "last.npz").exists():
            driver = start([sys.executable, "-c", DRIVER, str(tmp_path)], cwd=ROOT, stderr=subprocess.PIPE, text=True)
            try:
                said = driver.communicate(timeout=max(1, over - time.monotonic()))[1]
            except subprocess.TimeoutExpired:
                pytest.fail(f"Ray took more than {LIMIT} s to train two members for three rounds.")
            assert driver.returncode == 0 or "timed out" in said.lower(), said
    assert alive() == []
    given = {"members": 2, "rounds": 3, "steps": 10, "storage": tmp_path}
    record = tuned.train_population_on_ray(Toy(), **given)
    assert replays(record, Toy(), 10)
    assert [len(ancestors(record, i)) for i in range(2)] == [3, 3]
    for change, words in {
        "rounds": "a run of 3 rounds, not 9",
        "members": "whose members is 2, not 9",
        "seed": "whose seed is 0, not 9",
    }.items():
        with pytest.raises(ValueError, match=words):
            tuned.train_population_on_ray(Toy(), **given | {change: 9})


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("nowhere", "address must be host:port of a Ray cluster, got 'nowhere'"),
        ("127.0.0.1:1", "nobody answers at the address '127.0.0.1:1' .*start a node there"),
        ("127.0.0.1:99999", "nobody answers at the address '127.0.0.1:99999'"),
    ],
)
def test_an_address_where_nobody_is(address, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        tuned.train_population_on_ray(Toy(), 2, 2, 2, storage=tmp_path, address=address)
    assert not (tmp_path / "run.npz").exists()


def test_a_cluster_that_lets_nobody_in(tmp_path, monkeypatch):
    """Somebody listens, but Ray says what it says of a wrong token."""

    def refuse(*_, **__):
        raise ConnectionError("Failed to connect to Ray cluster")

    monkeypatch.setattr(tuned.ray, "init", refuse)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(ValueError, match=r"lets this process in.*Failed.*is the token in RAY_AUTH_TOKEN_PATH that"):
            tuned.train_population_on_ray(Toy(), 2, 2, 2, storage=tmp_path, address=address)
