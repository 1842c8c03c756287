"""Member-steps are counted once, memory is a member's, and the record says what follows from it."""

import json
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import scipy.stats

from lib.experiments.population import Toy
from lib.machine import ROOT
from lib.referees import throughput
from lib.referees.throughput import (
    KILLS,
    LARGE,
    LONG,
    ROUNDS,
    SIZES,
    STEPS,
    Timed,
    done_twice,
    end,
    jobs,
    processes,
    replays,
    stack,
    summary,
)
from lib.search.population import train_population

RECORD = json.loads((ROOT / "results" / "throughput.json").read_text())


def test_the_clock_runs_between_rounds():
    class Slow(Toy):
        def advance(self, state, settings, steps):
            time.sleep(0.05)
            return super().advance(state, settings, steps)

    task = Timed(Slow())
    record = train_population(task, 2, 4, 10)
    assert (record.scores == train_population(Toy(), 2, 4, 10).scores).all()
    assert len(task.ended) == 4
    assert 0.15 <= task.ended[-1] - task.ended[0] < 5


@pytest.mark.skipif(sys.platform != "linux", reason="its memory is read where Linux keeps it")
def test_a_stack_is_measured():
    """What 3,000 members hold, by a process of its own: their state at least, and no more than a dozen times that."""
    job = {"part": "stack", "library": "numpy", "members": 3000, "steps": 1, "rounds": 2, "processes": 1}
    found = throughput.measure(job, "cpu")
    state = 2 * 4 * (64 * 32 + 32 + 32 * 10 + 10)
    assert state < found["bytes a member"] < 12 * state
    assert found["rate"] > 0
    assert found["rounds"] == 2


def test_rate_counts_the_rounds_that_were_timed(monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(throughput.time, "perf_counter", lambda: float(next(clock)))
    found = stack("numpy", 2, 3, rounds=5)
    assert found["rate"] == 2 * 3 * 4 / 4
    assert found["whole"] == 2 * 3 * 5 / 6  # and the two looks at the clock around


def test_processes_share_a_stack():
    found = stack("numpy", 3, 4, rounds=3, processes=2)
    assert found["rate"] > 0
    assert found["whole"] < found["rate"]  # Pythons were started
    assert "bytes a member" not in found


def test_what_follows():
    def row(part, n, rate, run, **of):
        about = {"part": part, "members": n, "steps": STEPS, "rate": rate, "whole": rate / 2}
        return about | of | ({} if run is None else {"run": run})

    stacks = [(64, 1, 100.0, None), (64, 2, 900.0, 0), (64, 2, 90.0, 1), (64, 2, 80.0, 2)]
    stacks += [(n, 1, 100.0, None) for n in SIZES[-2:]]
    rows = [
        row("stack", n, rate, run, library="numpy", processes=processes) | {"bytes a member": 10 + 100 / n}
        for n, processes, rate, run in stacks
    ]
    rays = [(16, 1, 15.0, None), (64, 1, 10.0, 0), (64, 1, 90.0, 1), (64, 1, 10.0, 2), (64, 1 / 32, 2.0, None)]
    rows += [row("ray", n, rate, run, cpus=cpus) for n, cpus, rate, run in rays]
    found = summary(rows)
    assert {name: value for name, value in found.items() if name.startswith("ratio")} == {
        f"ratio of rates to Ray, in turns, {STEPS} steps a round": 8,  # 90, 1 and 8
        f"ratio of whole runs to Ray, in turns, {STEPS} steps a round": 8,
        f"ratio of rates to Ray, a process a member, {STEPS} steps a round": 450,
        f"ratio of whole runs to Ray, a process a member, {STEPS} steps a round": 450,
    }
    assert found["bytes a member"] == 10
    assert found["largest population"] == pytest.approx(found["memory of the machine, GB"] * 1e8, rel=0.01)
    assert throughput.table(rows).loc[64].to_dict() == {
        "numpy": "100", "numpy, 2 processes": "90", "Ray, in turns": "10", "Ray, a process a member": "2"
    }  # fmt: skip


def test_every_job_is_in_the_record():
    done = list(RECORD["rows"])
    for job in jobs(throughput.PARTS, "cpu"):
        assert any(all(row.get(name) == value for name, value in job.items()) for row in done), job
    assert RECORD["summary"] == summary(done) | {
        name: RECORD["summary"][name] for name in ("memory of the machine, GB", "largest population")
    }


def test_how_far_from_rays():
    """The goal: 50 times the member-steps a second of Ray's process a member, on the same two processors. It is about
    met against Ray's faster way too, members that take turns in two processes that stay; not with rounds of 1,000."""
    ratio = RECORD["summary"]
    for its in throughput.UNDER_RAY:
        assert ratio[f"ratio of whole runs to {its}, {STEPS} steps a round"] >= 50
    assert ratio[f"ratio of rates to Ray, a process a member, {STEPS} steps a round"] >= 50
    assert 40 < ratio[f"ratio of rates to Ray, in turns, {STEPS} steps a round"] < 60
    assert 5 < ratio[f"ratio of rates to Ray, in turns, {LONG} steps a round"] < 25
    runs = [row for row in RECORD["rows"] if row.get("members") == 64 and "run" in row and row["steps"] == STEPS]
    assert [row["part"] for row in runs] == ["stack", "ray"] * throughput.TIMES  # in turn


def test_memory_grows_as_expected():
    """A population of 65,536 holds what the slope from 1,024 to 4,096 members lets expect."""
    expected, held = (RECORD["summary"][name] for name in ("bytes a member", "bytes a member of the large one"))
    assert held == pytest.approx(expected, rel=0.3)
    assert RECORD["summary"]["largest population"] > LARGE


def test_ours_and_rays_are_of_one_distribution():
    """At the level of 5 % for two tests: by Bonferroni 2.5 % each."""
    rows = [row for row in RECORD["rows"] if row["part"] == "toy"]
    assert [row["explore"] for row in rows] == ["perturb", "noise"]
    for row in rows:
        assert len(row["ours"]) >= 20
        assert len(row["Ray's"]) >= 8
        assert row["p"] == pytest.approx(scipy.stats.mannwhitneyu(row["ours"], row["Ray's"]).pvalue, abs=1e-5)
        assert row["p"] > 0.025
        assert row["median of ours"] == pytest.approx(np.median(row["ours"]), abs=1e-5)
        assert row["median of Ray's"] == pytest.approx(np.median(row["Ray's"]), abs=1e-5)
        assert np.std(row["ours"]) > 0.01  # else they would be alike whatever they did


def test_a_kill_loses_nothing():
    """All members come to the end, with the weights that their schedules make. What is done twice is what was done
    since Ray last wrote down the state of the whole: nothing, if the driver lives."""
    rows = [row for row in RECORD["rows"] if row["part"] == "failures"]
    assert [row["killed"] for row in rows] == ["node"] + ["driver"] * KILLS
    for row in rows:
        assert row["weights replay to the bit"] is True
        assert row["rounds behind the weights"] == [row["rounds"]] * row["members"] == [ROUNDS[row["killed"]]] * 4
        assert 0 < row["rounds done when it was killed"] < row["members"] * row["rounds"]
        assert row["rounds done twice"] <= row["rounds done when it was killed"]
        if row["killed"] == "node":
            assert row["rounds done twice"] == 0
            assert row["members that trained there"] > 0
            assert 0 < row["seconds until it was noticed"] < row["seconds until each member had gone on"]
    assert RECORD["summary"]["kills"] == RECORD["summary"]["kills after which the weights replay"] == len(rows)


def test_rounds_are_done_twice_after_a_member_was_set_back():
    """Member 0 does rounds a, b and c, is set back to a, and does the last two anew, under other names; then it copies
    member 1 twice. Member 1 does the same as one of 0's rounds, and is set back to its start."""
    lines = {0: [("", 1), ("a", 1), ("b", 1), ("a", 1), ("B", 1), ("x", 2), ("x", 3)], 1: [("", 1), ("a", 1), ("", 1)]}
    rows = [
        {"member": member, "from": before, "settings": {"lr": lr}}
        for member, line in lines.items()
        for before, lr in line
    ]
    assert done_twice(rows[:7]) == 2
    assert done_twice(rows) == 2 + 2
    assert done_twice(rows[:3]) == 0


def test_all_have_gone_on_when_the_last_has():
    rows = [{"member": i, "time": float(time)} for time, i in enumerate([0, 1, 2, 3, 0, 0, 1, 2, 0, 3, 3])]
    assert throughput._all_went_on(rows, 3.5) == 9
    assert throughput._fewest(rows) == 2
    assert throughput._fewest(rows, 6.5) == 0


def test_a_row_stands_until_it_is_measured_again(tmp_path, monkeypatch):
    """Nothing is measured that is there; with --again everything of these parts is, and other rows stay."""
    (tmp_path / "results").mkdir()
    monkeypatch.setattr(throughput, "ROOT", tmp_path)
    file, asked = tmp_path / "results" / "throughput.json", []

    def measure(job, device):
        asked.append(job)
        assert len(json.loads(file.read_text())["rows"]) == len(RECORD["rows"])
        return next(row for row in RECORD["rows"] if job.items() <= row.items()) | {"at": "now"}

    monkeypatch.setattr(throughput, "measure", measure)
    file.write_text(json.dumps(RECORD))
    throughput.main([])
    assert asked == []
    throughput.main(["--parts", "ray", "--again"])
    assert asked == jobs(["ray"], "cpu")
    rows = json.loads(file.read_text())["rows"]
    assert [row["part"] for row in rows if row.get("at") == "now"] == ["ray"] * len(asked)
    assert [row for row in rows if row["part"] != "ray"] == [row for row in RECORD["rows"] if row["part"] != "ray"]


def test_a_driver_that_does_not_start_is_started_again(monkeypatch):
    monkeypatch.setattr(throughput, "wait_for", lambda condition, *_: None)
    drivers = iter("abc")
    assert throughput.begun(lambda: next(drivers), iter([[], [1], [1]]).__next__, 1, 1) == "b"
    with pytest.raises(RuntimeError, match="Ray did not start, 3 times"):
        throughput.begun(lambda: None, list, 1, 1)


def test_replays_tells_what_is_false():
    record = train_population(Toy(), 4, 6, 5)
    assert replays(record, Toy(), 5)
    assert not replays(record, Toy(), 6)
    settings = {name: values.copy() for name, values in record.settings.items()}
    settings["h0"][3] *= 1.001
    assert not replays(record._replace(settings=settings), Toy(), 5)


def test_processes_leave_nothing():
    """Neither a process, nor one that it started, nor one whose parent is gone."""
    grandchild = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])"
    with processes() as (start, alive):
        orphans = start([sys.executable, "-c", grandchild])
        orphans.wait(30)
        other = start([sys.executable, "-c", "import time; time.sleep(60)"], stdout=subprocess.DEVNULL)
        assert len(alive()) == 2
        assert [process.pid for process in alive(other)] == [other.pid]
        end(alive, other)
        assert len(alive()) == 1
    assert alive() == []


def test_a_process_that_is_being_loaded_is_known():
    """Linux shows its environment a moment after it has started; that of a dead one, or of the kernel, never."""

    class Process:
        def __init__(self, *environments, status="running", size=1):
            self.environ = iter(environments).__next__
            self.status = lambda: status
            self.memory_info = lambda: SimpleNamespace(vms=size)

    marked = {throughput.MARK: "its"}
    assert throughput._mark(Process({}, {}, marked)) == "its"
    assert throughput._mark(Process({}, {"another": "name"})) is None
    assert throughput._mark(Process(status=psutil.STATUS_ZOMBIE)) is None
    assert throughput._mark(Process(size=0)) is None
    assert throughput._mark(Process(*100 * [{}])) is None


def test_waiting_ends():
    with pytest.raises(TimeoutError, match="what never is did not come within 0 s"):
        throughput.wait_for(lambda: False, 0, "what never is")


def test_a_gpu_that_is_missing(monkeypatch, capsys):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit):
        throughput.main(["--device", "cuda"])
    assert "--device cuda: PyTorch sees no GPU here" in capsys.readouterr().err
