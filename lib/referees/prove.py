"""Every rule of the book against every framework that has it: the proof of every chapter, in full, as a record.

    python -m lib.referees.prove [--device cuda] [RULE ...]

1,000 steps through each recording of `RECORDINGS`, in float64. Each row of the record is the worst of them. It is
written after each rule, so that a run that was stopped goes on where it was; ``--again`` starts anew. On a GPU both
sides are PyTorch tensors there, and Keras must be on PyTorch, too: ``KERAS_BACKEND=torch``.
"""

import argparse
import json
import sys
from datetime import date

import torch
from tqdm import tqdm

from lib.machine import ROOT, machine, versions
from lib.optimizers import RULES
from lib.referees import RECORDINGS, judgments, task

# Optax' Rprop stands still where the gradient flips at each step: nothing to compare.
STILL = {("rprop", "optax", "patterns")}


def worst(name: str, array=None, frameworks=("torch", "keras", "optax")) -> list[dict]:
    """For each comparison with a framework the largest deviation of all recordings, as a row of the record."""
    rows = {}
    for recording in RECORDINGS:
        moving = [framework for framework in frameworks if (name, framework, recording) not in STILL]
        for it in judgments(name, *task(name, recording), array=array, frameworks=moving):
            key = it["framework"], it["our rule"], it["cause"]
            row = rows.setdefault(key, {"rule": name, "framework": it["framework"], "our rule": it["our rule"],
                                        "deviation": 0.0, "ulps": 0.0, "states": {}, "cause": it["cause"]})  # fmt: skip
            judgment = it["judgment"]
            if judgment.absolute >= row["deviation"]:
                row |= {"deviation": float(judgment.absolute), "ulps": float(judgment.ulps), "recording": recording}
            for state, apart in sorted(judgment.states.items()):
                row["states"][state] = max(float(apart), row["states"].get(state, 0.0))
    return list(rows.values())


def main(arguments=None) -> None:
    parser = argparse.ArgumentParser(prog="python -m lib.referees.prove", description=__doc__.splitlines()[0])
    parser.add_argument("rules", nargs="*", metavar="RULE", help=f"which of {', '.join(RULES)}; all by default")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="where both sides compute")
    parser.add_argument("--again", action="store_true", help="forget the record that there is")
    given = parser.parse_args(arguments)
    if strangers := set(given.rules) - set(RULES):
        parser.error(f"no rule {', '.join(sorted(strangers))}; choose among {', '.join(RULES)}.")
    array, frameworks = None, ("torch", "keras", "optax")
    if given.device == "cuda":
        if not torch.cuda.is_available():
            parser.error("--device cuda: PyTorch sees no GPU here.")
        array, frameworks = lambda a: torch.tensor(a, device="cuda"), ("torch", "keras")
    path = ROOT / "results" / f"proofs-{given.device}.json"
    old = json.loads(path.read_text()) if path.exists() and not given.again else {}
    rows = old.get("rows", [])
    done = {row["rule"] for row in rows} | set(old.get("without", []))
    wanted = given.rules or [name for name in RULES if name not in done]
    without = set(old.get("without", []))
    for name in tqdm(wanted, desc="rules", file=sys.stderr):
        found = worst(name, array, frameworks)
        without |= set() if found else {name}
        rows = [row for row in rows if row["rule"] != name] + found
        rows.sort(key=lambda row: list(RULES).index(row["rule"]))
        record = {
            "command": f"python -m lib.referees.prove --device {given.device}",
            "date": date.today().isoformat(),
            "unit": "largest difference in 1,000 steps, float64; of states as a share of their largest value",
            "machine": machine(given.device),
            "versions": versions("numpy", "torch", "tensorflow", "keras", "jax", "optax"),
            "without": sorted(without),  # rules that no framework has
            "rows": rows,
        }
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
