"""A run that was stopped ends as if it had not been; a job does what it says; what moves is what happened."""

import itertools
import xml.etree.ElementTree as xml

import numpy as np
import pytest
from scipy.stats import bootstrap

from lib import agent as parts
from lib.agent import greedy_episodes, replay
from lib.experiments import agent, records
from lib.experiments.agent import (
    ACTIONS,
    AGENT,
    EVERY,
    FIRST,
    PUBLISHED,
    RATES,
    STARTS,
    STEPS,
    UPDATES,
    WORLDS,
    film,
    interquartile_mean,
    interval,
    jobs,
    joints,
    optimizer_of,
)
from lib.experiments.runs import Run, attempt
from lib.figures import STYLES
from lib.machine import ROOT
from tests.players import PLAYERS


def job(**changes):
    (it,) = jobs(1, small=True)
    return it | changes


def numbers(what, **run):
    row, wrong = attempt(AGENT, what, run)
    assert row, wrong
    return row["numbers"]


# ---------- runs ----------


@pytest.mark.parametrize(
    ("name", "optimizer"),
    [("CartPole-v1", "momentum"), ("CartPole-v1", "centered_rmsprop"), ("Acrobot-v1", "adam")],
)
def test_a_stopped_run_goes_on_to_the_bit(name, optimizer, tmp_path, monkeypatch):
    """The ring, here of 300 transitions, has gone round when the run is stopped."""
    for constant, value in {"CAPACITY": 300, "FIRST": 200, "EVERY": {name: 200}, "EPISODES": 5}.items():
        monkeypatch.setattr(agent, constant, value)
    what = job(environment=name, optimizer=optimizer, copy_every=70, steps=800)
    run = {"path": tmp_path / "run.npz", "of": {}}
    unbroken, keep = numbers(what), Run.keep

    def stop(self, evaluation, **state):
        if evaluation == 2:
            raise InterruptedError
        keep(self, evaluation, **state)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "keep", stop)
        assert "InterruptedError" in attempt(AGENT, what, run)[1]
    assert numbers(what, **run) == unbroken
    assert len(unbroken["returns"]) == 4
    assert numbers(what | {"seed": 1})["values"] != unbroken["values"]


def test_agents_learn():
    """At random a pole falls after some 20 steps; within 4,000 steps the best of two agents holds it twice as long."""
    rows = [numbers(job(seed=seed)) for seed in (0, 1)]
    assert max(max(row["returns"]) for row in rows) > 40
    for row in rows:
        assert row["area"] == np.mean(row["returns"]) == row["last"]
        assert all(0 <= ended <= 20 for ended in row["ended"])
    assert rows[0]["actions"]
    assert "actions" not in rows[1]


def test_a_run_has_its_schedule(monkeypatch):
    """Exploration falls on a line, learning begins late, four updates a step of all, each reward in its unit."""
    seen, learned, rewards = [], [], []
    look, add = parts.explore, parts.ReplayBuffer.add

    def learn(self, these):
        learned.append(len(these.actions))
        self.params = self.params | {"W3": np.ones_like(self.params["W3"])}

    monkeypatch.setattr(agent, "explore", lambda q, epsilon, rng: (seen.append(epsilon), look(q, epsilon, rng))[1])
    monkeypatch.setattr(agent.Agent, "learn", learn)
    monkeypatch.setattr(parts.ReplayBuffer, "add", lambda self, it: (rewards.extend(it.rewards), add(self, it)))
    plain, scaled = numbers(job(steps=9600, unit=1.0)), numbers(job(steps=9600, unit=0.25))
    steps = np.arange(0, 9600, 8)
    assert seen[:1200] == seen[1200:] == [np.interp(t, [1000, 8000], [1, 0.05]) for t in steps]
    assert seen[0] == 1
    assert seen[1199] == 0.05
    assert learned == [128] * 2 * 4 * sum(steps >= 1000)
    half = len(rewards) // 2
    assert set(rewards[:half]) == {1.0}
    assert set(rewards[half:]) == {0.25}
    assert plain["returns"] == scaled["returns"]  # which are told as the environment gives them
    assert plain["values"][0] == 0  # before it learns, it expects nothing
    assert plain["values"][-1] > 0.1
    np.testing.assert_allclose(scaled["values"], np.multiply(plain["values"], 4), atol=0.005)  # three decimals are kept


def test_a_run_that_diverges_has_a_row():
    row = numbers(job(optimizer="gradient_descent", lr=1e30, steps=1600))
    assert len(row["returns"]) == 2
    assert row["returns"][1] >= 8  # no pole falls sooner


def test_jobs():
    all_jobs = jobs(2, small=False)
    assert len(all_jobs) == len({str(it) for it in all_jobs})
    assert [it["seed"] for it in all_jobs] == sorted(it["seed"] for it in all_jobs)
    late = [it for it in jobs(6, small=False) if it["seed"] == 5]  # on the cart, ten seeds compare the optimizers
    assert {it["environment"] for it in late} == {"CartPole-v1"}
    assert len(late) == sum(map(len, RATES.values()))
    for name, environment, seed in itertools.product(RATES, ACTIONS, (0, 1)):
        rates = {it["lr"] for it in all_jobs if (it["optimizer"], it["environment"]) == (name, environment)}
        assert rates >= set(RATES[name])
        assert any(it == it | {"seed": seed, "environment": environment, "optimizer": name} for it in all_jobs)
    assert RATES.keys() <= STYLES.keys()
    assert any(it == it | PUBLISHED for it in all_jobs)
    assert AGENT.tolerance(all_jobs[0]) is None


def test_the_optimizer_of_a_job():
    published = optimizer_of(job(**PUBLISHED))
    assert published.rule.__name__ == "centered_rmsprop"
    assert published.hyperparameters == {"lr": 0.00025, "rho": 0.95, "momentum": 0.0, "eps": 0.01 / 1024}
    assert optimizer_of(job(lr=0.5)).hyperparameters == {"lr": 0.5, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
    assert optimizer_of(job(eps=0.125)).hyperparameters["eps"] == 0.125


# ---------- what a few runs say ----------


def test_interquartile_mean():
    scores = np.random.default_rng(0).permutation([100.0, 1, 2, 3, 4, 5, 6, 7, 8, -1000])
    assert interquartile_mean(scores) == np.mean([2, 3, 4, 5, 6, 7])  # of ten, two are left out at each end


def test_interval_is_scipys():
    """Percentiles of 4,000 draws err by some hundredth of the width of 95 %; a tenth is allowed."""
    scores = np.random.default_rng(1).normal(size=12)
    theirs = bootstrap((scores,), interquartile_mean, n_resamples=4000, method="percentile", rng=2)
    low, high = interval(scores, draws=4000)
    assert abs(low - theirs.confidence_interval.low) < 0.1 * (high - low)
    assert abs(high - theirs.confidence_interval.high) < 0.1 * (high - low)
    assert low < interquartile_mean(scores) < high
    inner = interval(scores, level=0.5, draws=4000)
    assert low < inner[0] < inner[1] < high


def test_runs_are_drawn_again_within_their_task():
    """Two tasks whose runs are all alike leave nothing to chance, however far they are apart; and each has draws of its
    own: had these two the same, one would make up for the other."""
    assert interval([[0.0] * 8, [1.0] * 8]).tolist() == [0.5, 0.5]
    scores = np.linspace(-1, 1, 8)
    low, high = interval([scores, -scores])
    assert low < -0.1
    assert high > 0.1


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: interval([1.0], level=1), r"interval: level must be a number in \(0, 1\), got 1"),
        (lambda: interval([1.0], draws=0), "interval: draws must be a whole number >= 1, got 0"),
        (lambda: interval([]), r"there is no score in an array of shape \(1, 0\)"),
        (lambda: joints("Pendulum-v1", np.zeros((1, 3))), "one of CartPole-v1, Acrobot-v1, got 'Pendulum-v1'"),
        (lambda: film("Pendulum-v1", {}, ""), "one of CartPole-v1, Acrobot-v1, got 'Pendulum-v1'"),
    ],
)
def test_errors(call, words):
    with pytest.raises(ValueError, match=words):
        call()


# ---------- the agent, moving ----------


def episode(name):
    return greedy_episodes(PLAYERS[name], name, 1, STARTS)


def test_what_was_done_is_what_is_replayed():
    actions = numbers(job(steps=800))["actions"]
    seen = replay("CartPole-v1", STARTS, actions)
    with pytest.raises(ValueError, match=f"ends after {len(actions)} of"):
        replay("CartPole-v1", STARTS, [*actions, 0])
    assert len(seen) == len(actions) + 1


def test_joints():
    """Links keep their length, 1; and an episode ends where Gymnasium says: the pole at 12 degrees, the tip above 1."""
    cart = joints("CartPole-v1", (seen := episode("CartPole-v1").observations[0]))
    pole = cart[:, 1] - cart[:, 0]
    np.testing.assert_allclose(np.hypot(*pole.T), 1, rtol=1e-6)  # float32
    assert (cart[:, 0] == np.stack([seen[:, 0], 0 * seen[:, 0]], 1)).all()
    tilt = np.degrees(np.arctan2(*pole.T))
    assert abs(tilt[:-1]).max() <= 12 < abs(tilt[-1])
    assert np.sign(tilt[-1]) == np.sign(seen[-1, 2])
    arm = joints("Acrobot-v1", episode("Acrobot-v1").observations[0])
    np.testing.assert_allclose(np.hypot(*np.moveaxis(np.diff(arm, axis=1), 2, 0)), 1, rtol=1e-6)
    assert (arm[:, 0] == 0).all()
    assert arm[:-1, 2, 1].max() <= 1 < arm[-1, 2, 1]
    hanging = joints("Acrobot-v1", np.array([[1.0, 0, 0, 1, 0, 0]]))  # the second link to the right, at a right angle
    assert hanging.tolist() == [[[0, 0], [0, -1], [1, -1]]]


@pytest.mark.parametrize(("name", "moving"), [("CartPole-v1", 2), ("Acrobot-v1", 1)])
def test_film(name, moving):
    """It is well-formed, fetches nothing, and goes from the first step to the last in its time."""
    seen = episode(name).observations[0]
    text = film(name, {"a < b": (seen, "#123456"), "cut": (seen[:2], "red")}, 'the "agent"')
    page = xml.fromstring(text)
    assert "http" not in text
    assert [it.text for it in page.iter("text")] == ["a < b", "cut"]
    assert page.find("svg").get("aria-label") == 'the "agent"'
    lines = [line for line in page.iter("polyline") if line.find("animate") is not None]
    assert len(lines) == 2 * moving
    pale = [line.get("points") for line in page.iter("polyline") if line.get("opacity")]
    assert pale == [line.find("animate").get("values").split(";")[-1] for line in lines]
    seconds = agent.STAGES[name][0]
    left, _, _, top = agent.STAGES[name][1]
    for line, steps in zip(lines, [len(seen) - 1] * moving + [1] * moving, strict=True):
        moves = line.find("animate")
        assert float(moves.get("dur").rstrip("s")) == pytest.approx(seconds * steps, abs=0.006)
        assert moves.get("values").startswith(line.get("points") + ";")
    tips = [lines[moving - 1].find("animate").get("values").split(";")[i].split()[-1].split(",") for i in (0, -1)]
    for tip, expected in zip(tips, joints(name, seen)[[0, -1], -1], strict=True):
        assert np.abs(np.array(tip, float) - 100 * (expected - [left, top]) * [1, -1]).max() <= 0.5 + 1e-9


def test_a_film_needs_an_episode():
    assert "<g" not in film("CartPole-v1", {}, "nothing")


# ---------- the record ----------


RECORD = records.read(ROOT / "results" / "agent.json")
CART, ACROBOT = ACTIONS


@pytest.fixture(scope="module")
def areas():
    """The area of every run, by its job; where it names no eps, 0."""
    rows = records.table(RECORD["rows"]).fillna({"eps": 0})
    return rows.set_index(["environment", "unit", "copy_every", "optimizer", "eps", "lr", "seed"])["area"].sort_index()


def middle(areas, environment=CART, unit=0.01, copy_every=100):
    """The interquartile mean over the seeds of every optimizer, eps and rate."""
    return areas.loc[environment, unit, copy_every].groupby(["optimizer", "eps", "lr"]).agg(interquartile_mean)


OWN = dict.fromkeys(RATES, 0) | {"centered_rmsprop": PUBLISHED["eps"]}


@pytest.mark.parametrize(
    "what", [{"lr": 1e-4}, PUBLISHED, {"environment": ACROBOT, "optimizer": "momentum", "lr": 0.03}]
)
def test_rows_begin_as_recorded(what):
    """The first two measurements; before the second it has learned something. The same bits where the record was made,
    elsewhere within three times the range over seeds."""
    what = job(**what)
    what |= {"steps": 2 * EVERY[what["environment"]]}
    start = {key: value for key, value in what.items() if key not in ("seed", "steps")}
    rows = [row for row in RECORD["rows"] if start.items() <= row["job"].items()]
    old = next(row["numbers"] for row in rows if row["job"]["seed"] == 0)
    found, place = numbers(what), records.place(AGENT, "cpu")
    here = {name: RECORD[name] for name in place} == place
    for series in "returns", "values", "ended":
        for at in 0, 1:
            then = [row["numbers"][series][at] for row in rows]
            allowed = 0 if here else 3 * (max(then) - min(then))
            assert abs(found[series][at] - old[series][at]) <= allowed, series
    assert found["values"][1] != 0


def test_which_optimizer_is_best_at_the_edge_of_its_rates(areas):
    """The chapter says so of the published rule on Acrobot; there must be no other."""
    best = {(it, name): middle(areas, it)[name, OWN[name]].idxmax() for it in ACTIONS for name in RATES}
    edge = {key: lr for key, lr in best.items() if lr in (RATES[key[1]][0], RATES[key[1]][-1])}
    assert edge == {(ACROBOT, "centered_rmsprop"): 0.008}


def test_the_lesson_of_the_record(areas):
    """The unit of the reward, and of eps, decide whether the published rule learns."""
    name, eps, lr = (PUBLISHED[key] for key in ("optimizer", "eps", "lr"))
    assert middle(areas)[name, eps, lr] > 200
    assert middle(areas, unit=1.0)[name, eps, lr] < 20
    assert middle(areas)[name, 0.01, lr] < 50


def test_rare_copies_see_one_step_further_each():
    """What the net expects at the end is 100 (1 - gamma**k) in period k, where copies are rare enough for it to fit."""
    for copy_every in 400, 1600:
        changed = [row for row in RECORD["rows"] if row["job"]["copy_every"] == copy_every]
        updates = (STEPS[CART] - FIRST) // WORLDS * UPDATES
        expected = 100 * (1 - 0.99 ** (updates // copy_every + 1))
        assert len(changed) == 5
        for row in changed:
            assert row["numbers"]["values"][-1] == pytest.approx(expected, rel=0.1)
