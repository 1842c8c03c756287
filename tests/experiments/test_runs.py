"""A kill costs an epoch and changes no bit; what is not this run's is refused; what was recorded comes out again."""

import dataclasses
import json
import os
import pickle
import random
import re
import signal
import sys
import time

import numpy as np
import pytest

from lib.experiments import records
from lib.experiments.__main__ import EXPERIMENTS
from lib.experiments.command import checkpoint, locked, main
from lib.experiments.runs import Run, attempt, pack, unpack
from lib.referees.throughput import processes, wait_for
from tests.conftest import ROOT
from tests.experiments.toys import FAIL, KERAS, LOG, TORCH, TOY, TOYS

NEEDED = 2 * 2 * 2 * 6  # epochs of the toy: optimizers, rates, seeds, epochs of each


def command(root, *arguments, experiments=TOYS):
    """The exit status of a command."""
    with pytest.raises(SystemExit) as end:
        main(experiments, [str(it) for it in arguments], root)
    return end.value.code


def record_of(root, name="toy"):
    return records.read(root / "results" / f"{name}.json")


def bare(record):
    """The rows without what a run's clock and memory say."""
    return [{"job": row["job"], "numbers": row["numbers"]} for row in record["rows"]]


def numbers(record):
    return [row["numbers"] for row in record["rows"]]


def kept(root, name="toy"):
    """The checkpoints that lie there."""
    return sorted((root / "runs" / name).glob("*.npz"))


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    root = tmp_path_factory.mktemp("unbroken")
    assert command(root, "toy") == 0
    return record_of(root)


@pytest.fixture
def stopped(tmp_path, monkeypatch):
    """A folder in which Adam's jobs failed in their fourth epoch, after three were kept."""
    monkeypatch.setenv(FAIL, "adam 3")
    assert command(tmp_path, "toy") == 1
    monkeypatch.delenv(FAIL)
    return tmp_path


# ---------- kills ----------


def start(begin, root, *arguments, log=None):
    toys = [sys.executable, "-m", "tests.experiments.toys", str(root), "toy", "--pause", "0.2", *arguments]
    environment = os.environ | {LOG: str(log or ""), "PYTHONPATH": str(ROOT)}
    return begin(toys, cwd=ROOT, env=environment, stdout=-3, stderr=-3)


@pytest.mark.parametrize("side", ["1", "2"])
def test_a_kill_costs_an_epoch_and_changes_no_bit(side, tmp_path, unbroken):
    """SIGKILL, at random moments, six if it does not come to its end before; with two jobs side by side only the parent
    is killed, and both end."""
    draw, log = random.Random(0), tmp_path / "log"
    log.touch()
    noted = lambda: len(log.read_text().splitlines())
    kills = 0
    with processes() as (begin, alive):
        while True:
            running, before = start(begin, tmp_path, "--jobs", side, log=log), noted()
            if kills < 6:
                wait_for(lambda it=running, n=before: noted() > n or it.poll() is not None, 60, "an epoch")
                time.sleep(draw.uniform(0, 0.3))
                kills += running.poll() is None
                running.kill()
                wait_for(lambda: not alive(), 10, "the end of all that was started")
            if running.wait(60) == 0:
                break
            assert running.returncode == -signal.SIGKILL
    assert kills >= 3
    record = record_of(tmp_path)
    assert numbers(record) == numbers(unbroken)
    # What was kept is not trained again; a kill may come between that and the note of it.
    assert len(set(log.read_text().splitlines())) == noted() >= NEEDED - kills * int(side)
    assert kept(tmp_path) == []
    assert not list(tmp_path.rglob("*.partial"))
    assert record["side by side"] == int(side)


@pytest.mark.parametrize(("experiment", "failing"), [(TORCH, "Adam"), (TORCH, "SGD"), (KERAS, "Adam")])
def test_other_libraries_go_on_to_the_bit(experiment, failing, tmp_path, monkeypatch):
    assert command(tmp_path / "a", experiment.name) == 0
    monkeypatch.setenv(FAIL, f"{failing} 2")
    assert command(tmp_path / "b", experiment.name) == 1
    assert len(kept(tmp_path / "b", experiment.name)) == 1
    monkeypatch.delenv(FAIL)
    monkeypatch.setenv(LOG, str(tmp_path / "log"))
    assert command(tmp_path / "b", experiment.name) == 0
    assert (tmp_path / "log").read_text() == f"{failing} 0 0 2\n{failing} 0 0 3\n"
    assert ("torch" in record_of(tmp_path / "a", experiment.name)["machine"]["kernels"]) == (experiment is TORCH)
    assert bare(record_of(tmp_path / "a", experiment.name)) == bare(record_of(tmp_path / "b", experiment.name))


def test_state_comes_back_to_the_bit():
    generator = np.random.Generator(np.random.MT19937(3))
    generator.random(5)
    state = {"a": [np.arange(3.0), (1, 2.5, None)], 7: {"x": np.float32(0.1), "y": np.array(2, dtype=np.int8)},
             "random": generator, "words": ["é", True], "nan": np.nan, "large": 2**70}  # fmt: skip
    arrays = {}
    back = unpack(json.loads(json.dumps(pack(state, arrays))), arrays)
    assert back["random"].random(9).tolist() == generator.random(9).tolist()
    assert back["a"][0].tobytes() == state["a"][0].tobytes()
    assert back["a"][1] == (1, 2.5, None)
    assert type(back[7]["x"]) is np.float32
    assert back[7]["x"] == state[7]["x"]
    assert back[7]["y"].shape == ()
    assert back[7]["y"].dtype == np.int8
    assert back["words"] == ["é", True]
    assert np.isnan(back["nan"])
    assert back["large"] == 2**70


@pytest.mark.parametrize("state", [object(), {"a": np.array([object()])}, [{1, 2}], lambda x: x])
def test_no_pickle(state, tmp_path):
    with pytest.raises(TypeError, match="numbers, texts and arrays, got a"):
        Run(path=tmp_path / "a.npz", of={}).keep(0, state=state)
    assert list(tmp_path.iterdir()) == []


def test_checkpoints_hold_no_objects(stopped):
    assert len(kept(stopped)) == 4
    for path in kept(stopped):
        with np.load(path, allow_pickle=False) as archive:
            assert not any(archive[name].dtype.hasobject for name in archive.files)


def test_seconds_and_memory_of_all_tries_count(tmp_path):
    first = Run(path=tmp_path / "a.npz", of={"a": 1})
    time.sleep(0.2)
    first.keep(0)
    second = Run(path=tmp_path / "a.npz", of={"a": 1})
    time.sleep(0.1)
    assert 0.3 <= second.spent()["seconds"] < 2
    largest = first.spent()["megabytes"]
    assert 10 < largest <= second.spent()["megabytes"] + 50


@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="only Linux can forget its largest memory")
def test_memory_is_that_of_the_job():
    run = Run()
    ones = np.ones(20_000_000)
    held = run.spent()["megabytes"]
    del ones
    assert Run().spent()["megabytes"] < held - 100


# ---------- what goes wrong ----------


def test_a_job_that_fails_loses_nothing(capfd, stopped, unbroken, monkeypatch):
    said = capfd.readouterr().err
    assert said.count("Failed: ") == 4
    assert "RuntimeError: as wanted, in epoch 3" in said
    assert [row["job"]["optimizer"] for row in record_of(stopped)["rows"]] == ["momentum"] * 4
    log = stopped / "log"
    monkeypatch.setenv(LOG, str(log))
    assert command(stopped, "toy") == 0
    assert len(log.read_text().splitlines()) == 4 * 3
    assert bare(record_of(stopped)) == bare(unbroken)
    assert kept(stopped) == []


def flipped(data):
    return data[:200] + bytes([data[200] ^ 255]) + data[201:]


def foreign(change):
    """A checkpoint of a run that differs in one thing."""
    return lambda path: Run(path=path, of=change(owner(path))).keep(0)


def owner(path):
    with np.load(path, allow_pickle=False) as archive:
        return json.loads(str(archive["index"]))["of"]


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "is damaged"),
        (lambda path: path.write_bytes(flipped(path.read_bytes())), "is damaged"),
        (lambda path: path.write_bytes(b""), "is damaged"),
        (lambda path: np.savez(path.with_suffix(""), a=np.ones(3)), "is no checkpoint"),
        (lambda path: np.savez(path.with_suffix(""), index=np.array('{"format": "step-size run", "version": 9}')),
         "has version 9"),
        (lambda path: os.replace(kept(path.parents[2])[1], path), "of another run (job "),
    ],
    ids=["cut", "flipped", "empty", "other archive", "later", "another job's"],
)  # fmt: skip
def test_a_file_that_is_damaged_or_foreign_is_named(harm, words, stopped, capfd, unbroken):
    first = kept(stopped)[0]
    harm(first)
    capfd.readouterr()
    assert command(stopped, "toy") == 1
    said = capfd.readouterr().err
    assert words in said
    assert f"Delete {first}, and the job begins anew." in said
    assert "Traceback" not in said
    assert len(record_of(stopped)["rows"]) in (6, 7)  # the others went on; one had lost its file to the first
    first.unlink()
    assert command(stopped, "toy") == 0
    assert bare(record_of(stopped)) == bare(unbroken)


def test_state_of_other_code_or_another_machine_is_refused(stopped, capfd):
    newer = dataclasses.replace(TOY, version=2)
    assert command(stopped, "toy", "--only", "optimizer=adam", experiments=[newer]) == 2
    assert "version: 1, now 2" in capfd.readouterr().err
    (stopped / "results/toy.json").unlink()
    assert command(stopped, "toy", "--only", "optimizer=adam", experiments=[newer]) == 1
    said = capfd.readouterr().err
    assert said.count("is of another run (version: 1, now 2). Delete ") == 4


def edited(path, **changes):
    record = json.loads(path.read_text())
    for name, value in changes.items():
        record[name] = value
    path.write_text(json.dumps(record))
    return path.read_text()


@pytest.mark.parametrize("changed", ["processor", "kernels", "versions", "version"])
def test_a_record_made_elsewhere_is_not_gone_on_with(changed, tmp_path, capfd, unbroken):
    path = tmp_path / "results" / "toy.json"
    part = ["--only", "seed=1"]
    assert command(tmp_path, "toy", *part) == 0
    machine = record_of(tmp_path)["machine"]
    change = {
        "processor": {"machine": machine | {"processor": "Another"}},
        "kernels": {"machine": machine | {"kernels": {"blas": ["Nehalem"], "exp": "SSE"}}},
        "versions": {"versions": {"python": "3.10.0", "numpy": "1.26.0"}},
        "version": {"version": 0},
    }[changed]
    old = edited(path, **change)
    capfd.readouterr()
    for more in [], ["--again", *part[:1], "seed=0"]:
        assert command(tmp_path, "toy", *more) == 2
        said = capfd.readouterr().err
        assert f"{path} was made elsewhere (" in said
        assert ", now " in said
        assert "--again, but without --only" in said
        assert "--check" in said
        assert path.read_text() == old
    assert command(tmp_path, "toy", "--again") == 0
    assert bare(record_of(tmp_path)) == bare(unbroken)


def test_a_damaged_record_is_named(tmp_path, capfd):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "toy.json").write_text('{"rows": [')
    assert command(tmp_path, "toy") == 2
    assert f"{tmp_path}/results/toy.json is no record" in capfd.readouterr().err


def test_a_record_is_replaced_as_a_whole(tmp_path, monkeypatch, unbroken):
    path = tmp_path / "toy.json"
    records.write(path, unbroken)
    monkeypatch.setattr(os, "replace", lambda a, b: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        records.write(path, unbroken | {"rows": []})
    assert records.read(path) == unbroken


def test_two_commands_do_not_share_a_folder(tmp_path, capfd):
    with locked(tmp_path / "runs" / "toy"):
        assert command(tmp_path, "toy") == 2
    assert "another command trains in" in capfd.readouterr().err
    assert command(tmp_path, "toy", "--only", "seed=0", "lr=0.1", "optimizer=adam") == 0


def test_a_killed_process_is_told(tmp_path, capfd, monkeypatch):
    """Not the parent, but one of two that train: what was kept stays, and the status tells."""
    with processes() as (begin, alive):
        running = start(begin, tmp_path, "--jobs", "2", log=tmp_path / "log")
        wait_for(lambda: (tmp_path / "log").exists() or running.poll() is not None, 60, "an epoch")
        for process in alive():
            if "spawn_main" in " ".join(process.cmdline()):
                process.kill()
                break
        assert running.wait(60) == 1
    assert kept(tmp_path)


def test_jobs_are_all_different(tmp_path, capfd):
    double = dataclasses.replace(TORCH, jobs=lambda seeds, small: [{"seed": 0, "lr": 0.1}] * 2)
    assert command(tmp_path, "torch", experiments=[double]) == 2
    assert "two jobs of torch are the same: {'seed': 0, 'lr': 0.1}" in capfd.readouterr().err


def test_a_failed_number_is_told():
    broken = dataclasses.replace(TOY, train=lambda job, run: {"words": "many"})
    row, wrong = attempt(broken, {"seed": 0}, {})
    assert row is None
    assert "train: words must be a number, a list of numbers or None, got 'many'" in wrong


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only", "optimizer=sgd"], 'no job has optimizer = sgd; there are "momentum", "adam".'),
        (["--only", "rate=1"], "--only rate=1: write key=value, with a key among optimizer, lr, seed, pause, epochs."),
        (["--only", "adam"], "write key=value"),
        (["--small", "--check", "1"], "--small is not recorded"),
        (["--check", "1"], "there is no record"),
        (["--seeds", "0"], "must be a whole number >= 1, got '0'"),
        (["--epochs", "many"], "invalid int value: 'many'"),
        (["--device", "cuda"], "invalid choice: 'cuda'"),
    ],
)
def test_a_command_that_cannot_be_is_refused(arguments, words, tmp_path, capfd):
    assert command(tmp_path, "toy", *arguments) == 2
    assert words in capfd.readouterr().err
    assert not (tmp_path / "results").exists()


def test_no_gpu_is_told(tmp_path, capfd, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert command(tmp_path, "torch", "--device", "cuda") == 2
    assert "PyTorch sees no GPU here" in capfd.readouterr().err


# ---------- the record ----------


def test_the_record_tells_how_it_came_to_be(unbroken):
    assert unbroken["command"] == "python -m lib.experiments toy --device cpu --seeds 2 --pause 0.0 --epochs 6"
    assert unbroken["seeds"] == [0, 1]
    assert unbroken["machine"].keys() == {"processor", "cores", "system", "kernels"}
    assert unbroken["versions"]["numpy"] == np.__version__
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", unbroken["date"])
    for row in unbroken["rows"]:
        assert row["seconds"] > 0
        assert row["megabytes"] > 10
        assert row["job"]["epochs"] == 6  # an option
        assert row["numbers"].keys() == {"loss", "losses", "inverse", "steps"}
        assert row["numbers"]["losses"][-1] == row["numbers"]["loss"]
        assert row["numbers"]["inverse"] is None
        assert row["numbers"]["steps"] == 30
    assert len({row["numbers"]["loss"] for row in unbroken["rows"]}) == 8


def test_rows_have_one_order_however_they_came(tmp_path, unbroken):
    order = [tuple(row["job"].values())[:3] for row in unbroken["rows"]]
    assert order == [(name, lr, seed) for name in ("adam", "momentum") for lr in (0.01, 0.1) for seed in (0, 1)]
    for part in ["seed=1", "lr=0.1"], ["optimizer=momentum"], ["lr=1e-1", "lr=0.01"]:
        assert command(tmp_path, "toy", "--only", *part) == 0
    assert bare(record_of(tmp_path)) == bare(unbroken)


def test_what_is_there_is_not_trained_again(tmp_path, monkeypatch, unbroken):
    assert command(tmp_path, "toy") == 0
    old = (tmp_path / "results" / "toy.json").read_text()
    monkeypatch.setenv(LOG, str(tmp_path / "log"))
    assert command(tmp_path, "toy") == 0
    assert not (tmp_path / "log").exists()
    assert (tmp_path / "results" / "toy.json").read_text() == old
    assert command(tmp_path, "toy", "--seeds", "3") == 0
    assert {line.split()[2] for line in (tmp_path / "log").read_text().splitlines()} == {"2"}
    (tmp_path / "log").unlink()
    assert command(tmp_path, "toy", "--again", "--only", "optimizer=adam", "seed=0") == 0
    assert {tuple(line.split()[::2]) for line in (tmp_path / "log").read_text().splitlines()} == {("adam", "0")}
    assert [it for it in bare(record_of(tmp_path)) if it["job"]["seed"] < 2] == bare(unbroken)


def test_again_forgets_what_is_kept(stopped, monkeypatch):
    monkeypatch.setenv(LOG, str(stopped / "log"))
    assert command(stopped, "toy", "--again") == 0
    assert len((stopped / "log").read_text().splitlines()) == NEEDED


def test_again_forgets_the_rows_at_once(tmp_path, monkeypatch, unbroken):
    """So that after a kill the command without ``--again`` trains them."""
    assert command(tmp_path, "toy") == 0
    monkeypatch.setenv(FAIL, "adam 0")
    assert command(tmp_path, "toy", "--again", "--only", "optimizer=adam") == 1
    assert {row["job"]["optimizer"] for row in record_of(tmp_path)["rows"]} == {"momentum"}
    monkeypatch.delenv(FAIL)
    assert command(tmp_path, "toy") == 0
    assert bare(record_of(tmp_path)) == bare(unbroken)


def test_a_kill_between_the_row_and_its_checkpoint_leaves_none(tmp_path, unbroken):
    assert command(tmp_path, "toy") == 0
    stale = checkpoint(tmp_path / "runs" / "toy", unbroken["rows"][0]["job"])
    stale.write_bytes(b"left")
    assert command(tmp_path, "toy") == 0
    assert kept(tmp_path) == []


def test_the_small_version_is_not_recorded(tmp_path, capfd):
    assert command(tmp_path, "toy", "--small") == 0
    assert list(tmp_path.iterdir()) == []
    assert "Not recorded" in capfd.readouterr().out


def test_the_table_has_means_and_spreads_over_seeds(tmp_path, capfd, unbroken):
    assert command(tmp_path, "toy") == 0
    said = capfd.readouterr().out
    losses = [row["numbers"]["loss"] for row in unbroken["rows"][:2]]
    assert f"{np.mean(losses):.4g} ± {np.std(losses, ddof=1):.2g}" in said
    assert len(said.split("\n\n")[0].splitlines()) == 1 + 4
    assert f"Written to {tmp_path}/results/toy.json." in said


# ---------- training anew gives the record ----------


def test_check_compares(tmp_path, capfd):
    assert command(tmp_path, "toy") == 0
    path = tmp_path / "results" / "toy.json"
    assert command(tmp_path, "toy", "--check", "8") == 0
    assert "made here: no number may be off. All are the same." in capfd.readouterr().out
    rows = record_of(tmp_path)["rows"]
    rows[0]["numbers"]["loss"] += 1e-6
    old = edited(path, rows=rows)
    assert command(tmp_path, "toy", "--check", "8") == 1
    assert "NOT the same" in capfd.readouterr().out
    edited(path, machine={"processor": "Another"})
    assert command(tmp_path, "toy", "--check", "8") == 0
    assert "a number may be off by what is allowed. All are the same." in capfd.readouterr().out
    rows[0]["numbers"]["losses"][2] += 2e-3
    edited(path, rows=rows)
    assert command(tmp_path, "toy", "--check", "8") == 1
    assert path.read_text() != old
    assert kept(tmp_path) == []


def test_check_takes_rows_from_all_over(tmp_path, capfd, monkeypatch):
    assert command(tmp_path, "toy") == 0
    monkeypatch.setenv(LOG, str(tmp_path / "log"))
    assert command(tmp_path, "toy", "--check", "2") == 0
    assert {line.split()[0] for line in (tmp_path / "log").read_text().splitlines()} == {"adam", "momentum"}
    assert command(tmp_path, "toy", "--check", "9") == 2
    assert "the record has 8 of these jobs" in capfd.readouterr().err
    monkeypatch.setenv(FAIL, "adam 2")
    assert command(tmp_path, "toy", "--check", "8") == 1


@pytest.mark.parametrize(
    ("old", "new", "off"),
    [
        (1.0, 1.5, 0.5),
        (None, None, 0),
        (None, 1.0, np.inf),
        ([1, 2], [1, 4], 2),
        ([1, 2], [1], np.inf),
        ([1, None], [1, None], 0),
        ([], [], 0),
    ],
)
def test_how_far_a_number_is_off(old, new, off):
    row = lambda value: {"job": {"seed": 0}, "numbers": {"a": value}}
    assert records.same({"rows": [row(old)]}, [row(new)], lambda job: {"a": 0.4}).to_dict("records") == [
        {"seed": 0, "number": "a", "off": off, "allowed": 0.4, "same": off == 0}
    ]


def test_a_number_that_is_missing_is_off():
    record = {"rows": [{"job": {}, "numbers": {"a": 1, "b": 2}}]}
    found = records.same(record, [{"job": {}, "numbers": {"b": 2, "c": 3}}])
    assert dict(zip(found["number"], found["off"], strict=True)) == {"a": np.inf, "b": 0, "c": np.inf}


def test_where_roundings_grow_the_range_over_seeds_is_allowed():
    row = lambda seed, lr, *values: {"job": {"lr": lr, "seed": seed}, "numbers": {"a": values[0], "b": list(values)}}
    record = {"rows": [row(0, 1, 1.0, 5.0), row(1, 1, 1.5, 4.0), row(2, 1, 1.2, 5.0), row(0, 2, 9.0, 9.0)]}
    found = records.same(record, [row(1, 1, 2.9, 6.0), row(0, 2, 9.1, 9.0)], lambda job: None)
    assert found["allowed"].tolist() == [1.5, 3.0, 0.0, 0.0]
    assert found["same"].tolist() == [True, True, False, False]


# ---------- what is shown ----------


def test_tensorboard_has_each_step_once(tmp_path, stopped, monkeypatch):
    """Adam's fourth epoch was logged, and not kept: what a kill took back must not be there twice."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    board, root = tmp_path / "board", tmp_path / "other"
    monkeypatch.setenv(FAIL, "adam 3")
    assert command(root, "toy", "--tensorboard", board) == 1

    def steps():
        found = {}
        for file in board.rglob("events*"):
            events = [it for it in EventFileLoader(str(file)).Load() if it.HasField("summary")]
            found.setdefault(file.parent.name, []).extend(it.step for it in events)
            for it in events:
                assert it.summary.value[0].tag == "loss"
        return found

    assert sorted(map(len, steps().values())) == [4] * 4 + [6] * 4
    monkeypatch.delenv(FAIL)
    assert command(root, "toy", "--tensorboard", board) == 0
    assert list(steps().values()) == [[0, 1, 2, 3, 4, 5]] * 8
    assert command(root, "toy", "--tensorboard", board, "--again") == 0
    assert list(steps().values()) == [[0, 1, 2, 3, 4, 5]] * 8
    assert command(stopped, "toy", "--tensorboard", board) == 0  # what was logged without it is there, too
    assert list(steps().values()) == [[0, 1, 2, 3, 4, 5]] * 8


def test_bars_over_jobs_and_epochs(tmp_path, capfd):
    assert command(tmp_path, "toy", "--pause", "0.2") == 0
    said = capfd.readouterr()
    assert "jobs: 100%" in said.err
    assert "8/8" in said.err
    assert re.search(r"epochs: +[1-9]\d%", said.err)
    assert "%|" not in said.out


def test_experiments_are_listed(capsys):
    main(EXPERIMENTS, [])
    said = capsys.readouterr().out
    for experiment in EXPERIMENTS:
        words = re.escape(f"{experiment.about} ({experiment.cost})")
        assert re.search(rf"^{experiment.name} +{words}$", said, re.MULTILINE)
    with pytest.raises(SystemExit):
        main(TOYS, ["toy", "--help"])
    said = capsys.readouterr().out
    for option in (
        "--seeds",
        "--device",
        "--small",
        "--only",
        "--again",
        "--check",
        "--jobs",
        "--tensorboard",
        "--pause",
    ):
        assert option in said


# ---------- the first one ----------


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda it: it.name)
def test_it_can_be_handed_to_another_process(experiment):
    """With ``--jobs 2`` it is; a lambda in it could not be."""
    assert pickle.loads(pickle.dumps(experiment)) == experiment


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda it: it.name)
def test_the_record_is_whole(experiment):
    record = records.read(ROOT / "results" / f"{experiment.name}.json")
    options = {name: default for name, (default, _) in experiment.options.items()}
    jobs = [job | options for job in experiment.jobs(seeds=experiment.seeds, small=False, **options)]
    found = [row["job"] for row in record["rows"]]
    assert sorted(map(str, found)) == sorted(map(str, jobs))
    assert record["version"] == experiment.version
    assert record["rows"] == records.ordered(record["rows"])
