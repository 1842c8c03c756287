"""The benchmark times the contenders that it names, at work that is the same; how fast they are is for `make bench` to
say, not for a test."""

import itertools
import json
import os
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lib.dialects import DIALECTS
from lib.optimizers import RULES
from lib.referees import speed

EVERYBODY = {"our rule", "our Optimizer", "our Compiled", "our Compiled, NumPy", "torch default", "torch foreach",
             "keras eager", "keras tf.function", "bandwidth"}  # fmt: skip


@pytest.fixture
def tensors(monkeypatch):
    """Every tensor that the benchmark makes, in order."""
    made, make = [], torch.tensor
    monkeypatch.setattr(speed.torch, "tensor", lambda *a, **k: made.append(make(*a, **k)) or made[-1])
    return made


@pytest.mark.parametrize("name", speed.MEASURED)
def test_contenders_take_steps(name):
    steps = speed.contenders(name, 10, "float32")
    assert steps.keys() >= EVERYBODY
    assert ("torch fused" in steps) == (name in speed.FUSED)
    assert ("optax" in steps) == ("our rule, jax.jit" in steps) == (name in DIALECTS["optax"])
    for step in steps.values():
        step()


def test_every_contender_steps_the_same_parameters(tensors, monkeypatch):
    """One step of each from one start: their parameters agree, so their times are of the same work."""
    seen = []
    stepped = speed.Optimizer.step
    monkeypatch.setattr(
        speed.Optimizer, "step", lambda self, x, g: seen.append(stepped(self, x, g)[0]) or stepped(self, x, g)
    )
    steps = speed.contenders("gradient_descent", 10, "float64")
    steps["our Optimizer"]()
    steps["our Compiled"]()
    # The first is for the bandwidth; torch's took a step to warm up; `Compiled` makes others, of numbers.
    _, compiled, *torchs = (tensor for tensor in tensors if tensor.shape == (10,))
    assert len(torchs) == 3
    for tensor in compiled, *torchs:
        assert np.abs(tensor.detach().numpy() - seen[0]).max() <= 1e-15


@pytest.mark.parametrize("name", ["gradient_descent", "adam"])
def test_the_rule_that_jax_compiles_takes_the_steps_of_the_rule(name, monkeypatch):
    seen = []
    monkeypatch.setattr(speed.jax, "jit", lambda f, **_: lambda *now: seen.append(f(*now)) or seen[-1])
    step = speed.contenders(name, 10, "float64")["our rule, jax.jit"]
    draw = np.random.default_rng(0)
    params, g = (draw.standard_normal(10) for _ in range(2))
    optimizer, seen[:] = speed.Optimizer(RULES[name]), []
    for _ in range(3):
        step()
        (params,) = optimizer.step([params], [g])
        assert np.abs(np.asarray(seen[-1][0]) - params).max() <= 1e-15


def test_numpys_compiled_takes_the_steps_of_the_rule(monkeypatch):
    """And neither shares its parameter with another contender nor changes the gradient of all."""
    seen = []
    stepped = speed.Compiled.step
    monkeypatch.setattr(
        speed.Compiled, "step", lambda self, x, g: seen.append((x[0], g[0].copy())) or stepped(self, x, g)
    )
    steps = speed.contenders("adam", 10, "float64")
    for _ in range(3):
        steps["our Compiled, NumPy"]()
    draw = np.random.default_rng(0)
    params, g = (draw.standard_normal(10) for _ in range(2))
    optimizer = speed.Optimizer(RULES["adam"])
    for _ in range(3):
        (params,) = optimizer.step([params], [g])
    x, grads = seen[-1][0], [given for _, given in seen]
    assert np.array_equal(x, params)
    assert all(np.array_equal(g, given) for given in grads)


def test_large_arrays_leave_out_what_looks_at_every_entry():
    assert "our Optimizer" not in speed.contenders("gradient_descent", speed.FEW + 1, "float32")


def test_measure_keeps_the_smallest_time(monkeypatch):
    clock = itertools.chain([0.0, 5.0], itertools.accumulate(itertools.repeat(1.0), initial=10.0))
    monkeypatch.setattr(speed.time, "perf_counter", lambda: next(clock))
    calls = []
    best = speed.measure({"a": lambda: calls.append("a")})
    assert best == {"a": 1.0 / 20}
    assert len(calls) == 1 + 40 * 20


@pytest.mark.skipif(
    not speed.Path("/proc/self/clear_refs").exists(), reason="only Linux tells how much memory was held"
)
def test_peak_is_what_a_step_holds():
    megabytes = 64
    held = speed.peak(lambda: np.ones(megabytes * 2**17))
    assert 0.95 * megabytes * 2**20 < held < 1.1 * megabytes * 2**20
    a = np.ones(megabytes * 2**17)
    assert speed.peak(lambda: np.add(a, 1, out=a)) < 2**20


@pytest.mark.parametrize("name", speed.FUSED)
def test_the_floor_counts_every_array_once_each_way(name, monkeypatch):
    """x and the state are read and written, the gradient is read; a sum in place moves three arrays."""
    monkeypatch.setattr(speed, "contenders", lambda *_: {"bandwidth": None})
    monkeypatch.setattr(speed, "measure", lambda steps, *_: {"bandwidth": 1.0, "our Compiled": 7.0})
    moved = {"gradient_descent": 3, "momentum": 5, "nesterov": 5, "adagrad": 5, "adam": 7, "adamw": 7, "amsgrad": 9}
    found = speed.row(name, 1000, "float32", "cpu")
    assert found == {"dtype": "float32", "size": 1000, "rule": name, "floor": round(1e6 * moved[name] / 3, 2),
                     "our Compiled": 7e6}  # fmt: skip


def test_a_row_of_a_large_size_is_the_median_of_several_places(monkeypatch):
    """Each in a process of its own; here they are calls. The machine itself may be slower at one time than another."""
    slower, multiples = iter([1.0, 3.0, 1.0, 1.0, 2.0]), iter([5.0, 1.0, 4.0, 2.0, 3.0])
    asked = []

    def found(*given):
        asked.append(given)
        times = {"bandwidth": 0.06, "our Compiled": 2.0, "torch fused": 2.0 * next(multiples)}
        factor = next(slower)
        return {key: factor * it for key, it in times.items()}, {"torch fused": 40_000_000}

    monkeypatch.setattr(speed, "alone", lambda function, *given: function(*given))
    monkeypatch.setattr(speed, "sample", found)
    row = speed.row("adam", 10_000_000, "float32", "cpu")
    assert asked == 5 * [("adam", 10_000_000, "float32", "cpu", None)]
    assert (row["our Compiled"], row["torch fused"]) == (2e6, 6e6)
    assert (row["GB/s"], row["peak"]) == (2.0, {"torch fused": 4.0})


def test_huge_arrays_are_stepped_by_two_at_a_time(monkeypatch):
    """Everybody is measured three times, always beside the same reference."""
    everybody = speed.contenders("adam", speed.FEW + 1, "float32").keys()
    groups = speed.processes(100_000_000, "cpu")
    assert [len(group) for group in groups] == 3 * [4, 4, 4, 4, 3]
    assert {key: sum(key in group for group in groups) for key in everybody} == dict.fromkeys(everybody, 3) | {
        "bandwidth": 15, "our Compiled": 15
    }  # fmt: skip
    assert speed.contenders("adam", 10, "float32", only=groups[1]).keys() == groups[1]
    monkeypatch.setattr(speed, "alone", lambda function, *given: (dict.fromkeys(given[-1], 1.0), {}))
    assert {*speed.row("adam", 100_000_000, "float32", "cpu")} > {*everybody} - {"bandwidth"}
    assert speed.processes(100_000_000, "cuda") == speed.processes(10_000_000, "cpu") == 5 * [None]


def test_a_sample_of_a_large_size_has_peaks(monkeypatch):
    monkeypatch.setattr(speed, "contenders", lambda *_: {"bandwidth": None, "our rule": None})
    monkeypatch.setattr(speed, "measure", lambda steps, *_: dict.fromkeys(steps, 1.0))
    monkeypatch.setattr(speed, "peak", lambda *_: 40_000_000)
    both = {"bandwidth": 1.0, "our rule": 1.0}
    assert speed.sample("adam", 10_000_000, "float32", "cpu") == (both, {"our rule": 40_000_000})
    assert speed.sample("adam", 1_000_000, "float32", "cpu") == (both, {})


def test_alone_is_another_process():
    assert speed.alone(os.getpid) != os.getpid()
    with pytest.raises(ZeroDivisionError):
        speed.alone(divmod, 1, 0)


def test_a_stopped_run_goes_on(monkeypatch, tmp_path, capsys):
    (tmp_path / "results").mkdir()
    monkeypatch.setattr(speed, "ROOT", tmp_path)
    asked = []
    fake = lambda name, size, dtype, device: asked.append((name, size, dtype)) or {
        "dtype": dtype, "size": size, "rule": name, "floor": 1.0, "our rule": 2.0, "our Compiled": 4.0,
        "our Compiled, NumPy": 1.5, "torch fused": 3.0,
    }  # fmt: skip
    monkeypatch.setattr(speed, "row", fake)
    speed.main(["adam", "--sizes", "10"])
    speed.main(["adam", "momentum", "--sizes", "10"])
    rows = [(name, 10, dtype) for name in ("adam", "momentum") for dtype in ("float32", "float64")]
    assert asked == rows
    record = json.loads((tmp_path / "results" / "speed.json").read_text())
    assert len(record["rows"]) == 4
    printed = capsys.readouterr().out
    assert "2.00" in printed  # torch fused over the fastest of ours
    assert "2.67" in printed  # and PyTorch's Compiled over NumPy's
    speed.main(["adam", "--sizes", "10", "--again"])
    assert asked[4:] == rows[:2]


def test_what_memory_does_not_hold_is_left_out_and_said(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(speed, "ROOT", tmp_path)
    monkeypatch.setattr(speed, "row", lambda *_: pytest.fail("it would take all memory"))
    memory = SimpleNamespace(available=8_200_000_000, free=1_000_000_000)  # the rest is page cache
    monkeypatch.setattr(speed.psutil, "virtual_memory", lambda: memory)
    assert not speed.lacking("adam", 10_000_000, "float32", "cpu")
    speed.main(["adam", "--sizes", "100000000"])
    assert "adam of 100,000,000: contenders take 9 GB, 8 GB are free; left out." in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["adamm"], ["--device", "tpu"], ["--sizes", "ten"]])
def test_bad_arguments_are_named(arguments, capsys):
    with pytest.raises(SystemExit):
        speed.main(arguments)
    assert arguments[-1] in capsys.readouterr().err


def test_every_rule_measured_is_one():
    assert set(speed.FUSED) <= set(speed.MEASURED) <= RULES.keys()
