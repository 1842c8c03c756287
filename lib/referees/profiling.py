"""Where the time of a training step goes in PyTorch: its profiler, on the three ways in which torch.optim steps.

python -m lib.referees.profiling

writes ``results/profile.json``, which the page on tools draws.
"""

import argparse
import json
import statistics
import sys
from datetime import date

import torch
from torch.profiler import ProfilerActivity, profile, record_function
from tqdm import tqdm

from lib.checks import COUNT, check_range
from lib.machine import ROOT, machine, versions
from lib.referees.keras import silence

RECORD = ROOT / "results" / "profile.json"
PARTS = ("forward", "backward", "step")
WAYS = {
    "one array at a time": {"foreach": False},
    "lists of arrays": {"foreach": True},
    "one kernel": {"fused": True},
}
LAYERS, WIDTH, BATCH = 20, 64, 64


def deep_net(seed: int = 0) -> torch.nn.Module:
    """`LAYERS` dense layers of `WIDTH` units with ReLU, and one of 10: 2 (LAYERS + 1) parameter arrays, float32."""
    torch.manual_seed(seed)
    layers = [part for _ in range(LAYERS) for part in (torch.nn.Linear(WIDTH, WIDTH), torch.nn.ReLU())]
    return torch.nn.Sequential(*layers, torch.nn.Linear(WIDTH, 10))


def one_step(net, optimizer, x, y) -> None:
    """Forward, backward and step, each in a range of its own that the profiler shows under its name."""
    with record_function("forward"):
        loss = torch.nn.functional.cross_entropy(net(x), y)
    with record_function("backward"):
        optimizer.zero_grad()
        loss.backward()
    with record_function("step"):
        optimizer.step()


def profiled(steps: int, **way) -> profile:
    """What PyTorch's profiler saw of ``steps`` steps of Adam on `deep_net`, after two that it did not watch.

    Args:
        steps: at least 1.
        way: options of ``torch.optim.Adam``: one of `WAYS`.
    """
    steps = check_range(COUNT, "steps", steps, "profiled")
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(BATCH, WIDTH, generator=draw), torch.randint(10, (BATCH,), generator=draw)
    net = deep_net()
    optimizer = torch.optim.Adam(net.parameters(), **way)
    for _ in range(2):  # the first makes the state, and whatever is loaded late
        one_step(net, optimizer, x, y)
    with silence(), profile(activities=[ProfilerActivity.CPU]) as seen:
        for _ in range(steps):
            one_step(net, optimizer, x, y)
    return seen


def ranges(seen: profile, name: str) -> list:
    """The events that were recorded under ``name``, in order."""
    return [event for event in seen.events() if event.name == name and event.cpu_parent is None]


def calls(event) -> int:
    """How many of PyTorch's operators ran within an event, those called by others included."""
    return sum(child.name.startswith("aten::") + calls(child) for child in event.cpu_children)


def calls_from_python(event) -> int:
    """Of these, those that no other operator called."""
    return sum(child.name.startswith("aten::") or calls_from_python(child) for child in event.cpu_children)


def times(seen: profile) -> dict[str, list[float]]:
    """Microseconds of each part of each step."""
    return {name: [event.time_range.elapsed_us() for event in ranges(seen, name)] for name in PARTS}


def measure(rounds: int) -> list[dict]:
    """The `WAYS` in turn, ``rounds`` times: for each the median time of each part, in shares of the whole step of the
    first way, and the calls of operators in a step.
    """
    found = {way: {name: [] for name in PARTS} for way in WAYS}
    counts: dict[str, int] = {}
    for _ in tqdm(range(rounds), unit="round", file=sys.stderr):
        for way, options in WAYS.items():
            seen = profiled(20, **options)
            for name, values in times(seen).items():
                found[way][name] += values
            counts[way] = calls(ranges(seen, "step")[0])
    medians = {way: {name: statistics.median(values) for name, values in parts.items()} for way, parts in found.items()}
    whole = sum(medians[next(iter(WAYS))].values())
    return [
        {"way": way, "calls": counts[way]} | {name: round(value / whole, 3) for name, value in parts.items()}
        for way, parts in medians.items()
    ]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m lib.referees.profiling", description="Profile PyTorch's Adam.")
    parser.add_argument("--rounds", type=int, default=20, help="of 20 steps each (default: 20)")
    given = parser.parse_args(arguments)
    if given.rounds < 1:
        parser.error(f"--rounds must be at least 1, got {given.rounds}")
    torch.set_num_threads(1)  # so that shares do not depend on who else computes
    record = {
        "command": "python -m lib.referees.profiling",
        "seed": 0,
        "date": date.today().isoformat(),
        "machine": machine(),
        "versions": versions("torch"),
        "unit": "the median step of the first way",
        "rows": measure(given.rounds),
    }
    RECORD.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
