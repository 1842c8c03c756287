"""What is counted and timed in a step of torch.optim."""

import json

import pytest

from lib.referees import profiling
from lib.referees.profiling import PARTS, WAYS, calls, calls_from_python, main, profiled, ranges, times


def test_each_step_has_its_three_parts():
    seen = profiled(3)
    assert {name: len(ranges(seen, name)) for name in PARTS} == dict.fromkeys(PARTS, 3)
    assert all(value > 0 for values in times(seen).values() for value in values)


def test_calls_are_counted():
    """From Python: array by array they grow with the arrays, lists and the one kernel with nothing. Beneath, the
    lists fall apart again on a CPU.
    """
    python, all_of_them = {}, {}
    for layers in 10, 21:  # 22 and 44 arrays
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(profiling, "LAYERS", layers)
            for way, options in WAYS.items():
                (step,) = ranges(profiled(1, **options), "step")
                python[way, layers], all_of_them[way, layers] = calls_from_python(step), calls(step)
    by_array, lists, kernel = WAYS
    assert python[by_array, 21] == 2 * python[by_array, 10]
    assert all_of_them[by_array, 21] == 2 * all_of_them[by_array, 10] > python[by_array, 21]
    assert python[lists, 21] < python[by_array, 10]
    assert python[kernel, 21] == python[kernel, 10] < 5
    assert all_of_them[kernel, 21] < all_of_them[lists, 21] / 2


def test_the_record_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(profiling, "RECORD", tmp_path / "profile.json")
    monkeypatch.setattr(profiling, "LAYERS", 2)
    main(["--rounds", "1"])
    record = json.loads((tmp_path / "profile.json").read_text())
    assert [row["way"] for row in record["rows"]] == list(WAYS)
    first = record["rows"][0]
    assert sum(first[name] for name in PARTS) == pytest.approx(1, abs=0.002)
    assert record["command"] == "python -m lib.referees.profiling"


def test_the_record_in_the_project_has_all_that_the_page_draws():
    record = json.loads(profiling.RECORD.read_text())
    assert [row["way"] for row in record["rows"]] == list(WAYS)
    assert all(row.keys() == {"way", "calls", *PARTS} for row in record["rows"])


@pytest.mark.parametrize("rounds", ["0", "-1"])
def test_no_rounds(rounds, capsys):
    with pytest.raises(SystemExit):
        main(["--rounds", rounds])
    assert f"--rounds must be at least 1, got {rounds}" in capsys.readouterr().err
