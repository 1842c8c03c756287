"""The record of an experiment: a JSON file in ``results/``, and what can be asked of it."""

import itertools
import json
import math
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_info

from lib.experiments.runs import Experiment, exact
from lib.machine import machine, versions


def place(experiment: Experiment, device: str) -> dict:
    """What the last digits of a row hang on, besides the job: two such dicts that are equal make equal rows."""
    blas = sorted({it["architecture"] for it in threadpool_info() if it.get("architecture")})
    simd = np.lib.introspect.opt_func_info(func_name="^exp$", signature="float64")["exp"]
    kernels = {"blas": blas, "exp": next(iter(simd.values()))["current"]}
    if "torch" in experiment.packages:
        import torch

        kernels["torch"] = torch.backends.cpu.get_cpu_capability()
    about = {"experiment": experiment.name, "version": experiment.version}
    return about | {"machine": machine(device) | {"kernels": kernels}, "versions": versions(*experiment.packages)}


def read(path) -> dict:
    """A record.

    Raises:
        FileNotFoundError: there is none.
        ValueError: the file is damaged.
    """
    text = Path(path).read_text(encoding="utf-8")
    try:
        record = json.loads(text)
        record["rows"], record["machine"], record["versions"]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no record ({error!r}); delete it, or take the one in git.") from None
    return record


def write(path: Path, record: dict) -> None:
    """Write a record, a row a line and the rows in the order of their jobs; the file is replaced as a whole."""
    head = {key: value for key, value in record.items() if key != "rows"}
    rows = ",\n".join("  " + json.dumps(row, allow_nan=False) for row in ordered(record["rows"]))
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".partial")
    with open(beside, "w", encoding="utf-8") as file:
        file.write(json.dumps(head, indent=1)[:-2] + ',\n "rows": [\n' + rows + "\n ]\n}\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def ordered(rows: list[dict]) -> list[dict]:
    """Rows in the order of their jobs: of texts by letters, of numbers by size."""
    number = lambda it: isinstance(it, int | float)
    return sorted(
        rows, key=lambda row: [(number(it), it if number(it) else json.dumps(it)) for it in row["job"].values()]
    )


def table(rows: list[dict]) -> pd.DataFrame:
    """Rows as a table, a column for each entry of the job and for each number."""
    return pd.DataFrame([it["job"] | it["numbers"] | {key: it[key] for key in ("seconds", "megabytes")} for it in rows])


def summary(rows: list[dict]) -> str:
    """Means over the seeds ± standard deviations, as text, without lists and what is the same in all jobs."""
    frame = table(rows)
    lists = [name for name in frame if frame[name].map(lambda it: isinstance(it, list)).any()]
    jobs = [name for name in rows[0]["job"] if name != "seed" and name not in lists]
    keys = [name for name in jobs if frame[name].nunique(dropna=False) > 1] or jobs[:1]
    numbers = [name for name in frame if name not in (*jobs, "seed", *lists)]

    def words(values):
        spread = len(values) > 1 and values.name not in ("seconds", "megabytes")
        values = pd.to_numeric(values, errors="coerce").to_numpy(float)
        return f"{values.mean():.4g}" + (f" ± {values.std(ddof=1):.2g}" if spread else "")

    groups = frame.groupby(keys, sort=False, dropna=False)[numbers]
    return groups.agg(words).reset_index().to_string(index=False, float_format="{:g}".format)


def same(record: dict, rows: list[dict], tolerance: Callable[[dict], dict[str, float] | None] = exact) -> pd.DataFrame:
    """How far each number of rows that were trained anew is from that of the record, and how far it may be.

    Args:
        record: as `read` returns it; it has the jobs of all ``rows``.
        rows: with "job" and "numbers".
        tolerance: as that of an `Experiment`.
    """
    found = []
    for row in rows:
        others = [it for it in record["rows"] if it["job"] | {"seed": 0} == row["job"] | {"seed": 0}]
        old = next(it["numbers"] for it in others if it["job"] == row["job"])
        allowances = tolerance(row["job"])
        for name in [*old, *(name for name in row["numbers"] if name not in old)]:
            off = _apart(old.get(name), row["numbers"].get(name))
            if allowances is None:
                pairs = itertools.combinations([it["numbers"].get(name) for it in others], 2)
                allowed = 3 * max(itertools.starmap(_apart, pairs), default=0.0)
            else:
                allowed = allowances.get(name, 0.0)
            found.append(row["job"] | {"number": name, "off": off, "allowed": allowed, "same": off <= allowed})
    return pd.DataFrame(found)


def _apart(a, b):
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return max(map(_apart, a, b), default=0.0)
    if a is None and b is None:
        return 0.0
    return abs(a - b) if isinstance(a, int | float) and isinstance(b, int | float) else math.inf
