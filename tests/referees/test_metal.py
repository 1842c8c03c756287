"""What the ladder times is the same step, and its record has all that the page draws; how fast it is no test says."""

import itertools
import json
import mmap

import numpy as np
import pytest

from lib.experiments.metal import adam_in_chunks, adam_in_place
from lib.optimizers import adam
from lib.referees import metal, speed


def test_the_rungs_are_there():
    assert metal.ladder(10).keys() == {speed.BANDWIDTH, *metal.RUNGS, *metal.OTHERS}
    assert metal.ladder(10, kept=True).keys() == {speed.BANDWIDTH, metal.KEPT}
    for step in metal.ladder(10).values():
        step()


@pytest.mark.parametrize("step", [adam_in_place, adam_in_chunks])
def test_a_rung_takes_the_rule_s_steps(step):
    seen = []
    take = metal.rung(lambda x, *rest: (step(x, *rest), seen.append(x.copy())), metal.CHUNK + 5)
    draw = np.random.default_rng(0)
    x, g = (draw.standard_normal(metal.CHUNK + 5, "float32") for _ in range(2))
    m, v = np.zeros_like(x), np.zeros_like(x)
    for t in 1, 2, 3:
        take()
        x, m, v = adam(x, g, m, v, t)
        assert np.array_equal(seen[-1], x)


def test_every_rule_takes_part_twice():
    steps = metal.rules(10)
    assert steps.keys() == {speed.BANDWIDTH} | {
        f"{name}: {way}" for name in metal.ENTRYWISE for way in ("our rule", "our Compiled, NumPy")
    }


def test_the_smallest_reading_counts(monkeypatch):
    """Two calls to begin with, then so many to a reading as take 2 ms, here one."""
    clock = itertools.chain([0.0, 1.0], [0.0, 5.0, 0.0, 3.0, 0.0, 4.0])
    monkeypatch.setattr(metal.time, "perf_counter", lambda: next(clock))
    calls = []
    assert metal.measure({"a": lambda: calls.append("a")}, rounds=3) == {"a": 3.0}
    assert len(calls) == 5


def test_pages_are_those_touched_for_the_first_time():
    """Asked of the system: an allocator may hand out memory that was freed, of any size."""
    memory = np.frombuffer(mmap.mmap(-1, 10_000 * mmap.PAGESIZE))
    touch = lambda: np.add(memory, 1, out=memory)
    fresh = metal.faults(touch)  # 10,000, unless the system takes larger pages
    assert fresh > metal.faults(touch) + 3


def test_what_several_processes_saw_is_kept_side_by_side():
    one = [{"size": 10, "times": {"a": 1.0}, "pages": {"a": 4}}]
    other = [{"size": 10, "times": {"a": 2.0}, "pages": {"a": 6}}]
    assert metal.merged([one, other]) == [{"size": 10, "times": {"a": [1.0, 2.0]}, "pages": {"a": 5}}]


def test_the_record_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(metal, "RECORD", tmp_path / "results" / "metal.json")
    monkeypatch.setattr(metal, "one_core", lambda: None)
    asked = []
    fake = lambda function, part: asked.append(part) or [{"size": 10, "times": {part: 1.0}, "pages": {}}]
    monkeypatch.setattr(metal.speed, "alone", fake)
    metal.main(["--processes", "4"])
    record = json.loads((tmp_path / "results" / "metal.json").read_text())
    assert sorted(asked) == ["kept"] * 4 + ["ladder"] * 4 + ["rules"]
    assert record["ladder"] == [{"size": 10, "times": {"ladder": [1.0] * 4}}]
    assert record["command"] == "python -m lib.referees.metal"


def test_the_record_in_the_project_has_all_that_the_page_draws():
    record = json.loads(metal.RECORD.read_text())
    assert record.keys() == {"command", "date", "unit", "machine", "versions", "ladder", "kept", "rules"}
    assert [row["size"] for row in record["ladder"]] == [row["size"] for row in record["kept"]] == list(metal.SIZES)
    assert [row["size"] for row in record["rules"]] == list(metal.FEW_SIZES)
    for row in record["ladder"]:
        assert row["times"].keys() == row["pages"].keys() == {speed.BANDWIDTH, *metal.RUNGS, *metal.OTHERS}
    for part in "ladder", "kept", "rules":
        for row in record[part]:
            assert all(min(times) > 0 for times in row["times"].values())


@pytest.mark.parametrize("processes", ["3", "-1"])
def test_too_few_processes(processes, capsys):
    with pytest.raises(SystemExit):
        metal.main(["--processes", processes])
    assert f"--processes must be at least 4, got {processes}" in capsys.readouterr().err
