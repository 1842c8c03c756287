"""Mutation testing: break a line of a rule, a dialect or a schedule, and see whether a test turns red.

    make mutants                                  every module of `MODULES`
    make mutants MODULES=lib/optimizers/adam.py   one of them

Cosmic Ray makes the mutants: another operator, a number one larger or smaller, a condition turned round. They are
planted in a copy of the project under ``_build/mutants``, one process a core; whoever stops the run loses the mutant in
work and no more. ``results/mutants.json`` keeps the score and every survivor.

A mutant of Python's operators on bits is left out: on floats it raises at once, and would only flatter the score.
"""

import ast
import difflib
import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]
WORK = ROOT / "_build" / "mutants"
RECORD = ROOT / "results" / "mutants.json"
BITS = "(RShift|LShift|BitOr|BitAnd|BitXor)"
NOT_RULES = {"__init__", "rule", "optimizer"}
MODULES = [
    *sorted(f"lib/optimizers/{p.name}" for p in (ROOT / "lib/optimizers").glob("*.py") if p.stem not in NOT_RULES),
    *(f"lib/dialects/{name}.py" for name in ("dialect", "torch", "keras", "optax")),
    "lib/schedules.py",
]


def tests_for(module: str, changed: set[str]) -> list[str]:
    """pytest's arguments for the tests that should notice a change in ``changed``, names defined in ``module``."""
    folder, stem = Path(module).parent.name, Path(module).stem
    if folder == "optimizers":
        defined = re.findall(r"^def (\w+)", (ROOT / module).read_text(), re.MULTILINE)
        words = " or ".join([stem, *defined])
        return [f"tests/optimizers/test_{stem}.py", "tests/optimizers/test_rule.py", "-k", words]
    if folder == "dialects" and stem != "dialect":
        files = [p for p in (ROOT / "tests/optimizers").glob("test_*.py") if re.search(_proves(changed), p.read_text())]
        names = [str(p.relative_to(ROOT)) for p in sorted(files)]
        return [*names, "tests/referees/test_referees.py", "-k", f"{stem} or hand or proof or dialect or schedule"]
    if folder == "dialects":
        return ["tests/optimizers", "-k", "translates"]
    return [f"tests/test_{stem}.py"]


def _proves(names):
    return "|".join(rf'(agrees|translates)\\w*\\(\\s*"{name}"' for name in names) or "$^"


def changed_names(before: str, after: str) -> set[str]:
    """Which functions of a module, or entries of its tables, hold the lines that differ."""
    matcher = difflib.SequenceMatcher(a=before.splitlines(), b=after.splitlines(), autojunk=False)
    lines = {i + 1 for tag, i1, i2, *_ in matcher.get_opcodes() if tag != "equal" for i in range(i1, max(i2, i1 + 1))}
    names = set()
    for node in ast.walk(ast.parse(before)):
        pairs = [(node.name, node)] if isinstance(node, ast.FunctionDef) else []
        if isinstance(node, ast.Dict):
            pairs = [(k.value, v) for k, v in zip(node.keys, node.values, strict=True) if isinstance(k, ast.Constant)]
        names |= {name for name, it in pairs if lines & set(range(it.lineno, it.end_lineno + 1))}
    return names


def kill(module: str) -> int:
    """Run, in a copy with one mutant, the tests that should turn red; the exit status of pytest."""
    pristine = (Path("pristine") / module).read_text()
    mutant = Path(module).read_text()
    arguments = tests_for(module, changed_names(pristine, mutant) if mutant != pristine else {"adam"})
    return subprocess.run([sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *arguments]).returncode


def hunt(module: str, worker: int) -> None:
    """Make the mutants of ``module``, if there are none yet, and run the tests on those that have not been."""
    copy, session = WORK / f"copy{worker}", WORK / f"{module.replace('/', '.')}.sqlite"
    config = session.with_suffix(".toml")
    config.write_text(f"""[cosmic-ray]
module-path = ["{module}"]
timeout = 600.0
test-command = "{sys.executable} tests/mutants.py --kill {module}"
[cosmic-ray.distributor]
name = "local"
[cosmic-ray.filters.operators-filter]
exclude-operators = ["core/ReplaceBinaryOperator_.*{BITS}.*"]
""")
    shutil.copy(ROOT / module, copy / module)  # a killed run may have left a mutant
    bin_ = Path(sys.executable).parent
    call = lambda *words: subprocess.run([bin_ / words[0], *map(str, words[1:])], cwd=copy, check=True)
    call("cosmic-ray", "baseline", config)  # without a mutant the tests must pass: else everything would seem killed
    if not session.exists():
        call("cosmic-ray", "init", config, session)
        call("cr-filter-operators", session, config)
    call("cosmic-ray", "exec", config, session)


def outcome(module: str) -> dict:
    """Mutants, killed, and the survivors of ``module``, each as the lines it changes."""
    from cosmic_ray.work_db import WorkDB, use_db

    killed, survivors = 0, []
    with use_db(WORK / f"{module.replace('/', '.')}.sqlite", WorkDB.Mode.open) as db:
        for _, result in db.completed_work_items:
            if result.worker_outcome.value == "skipped":
                continue
            if result.test_outcome.value == "survived":
                lines = [line for line in result.diff.splitlines() if re.match(r"[-+](?![-+])", line)]
                survivors.append("\n".join(lines))
            else:
                killed += 1
    return {"mutants": killed + len(survivors), "killed": killed, "survivors": sorted(survivors)}


def main(modules: list[str]) -> None:
    if strangers := set(modules) - set(MODULES):
        sys.exit(f"tests/mutants.py: no mutants are made of {sorted(strangers)}; choose among {', '.join(MODULES)}.")
    workers = os.cpu_count() or 1
    files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    for worker in range(workers):
        copy = WORK / f"copy{worker}"
        shutil.rmtree(copy, ignore_errors=True)
        for name in files.stdout.splitlines():
            for target in (copy / name, copy / "pristine" / name):
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, target)
    with ThreadPoolExecutor(workers) as pool:
        free = list(range(workers))

        def work(module):
            worker = free.pop()
            print(f"{module} ...", file=sys.stderr, flush=True)
            hunt(module, worker)
            free.append(worker)

        list(pool.map(work, modules))
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {"modules": {}}
    record["modules"] |= {module: outcome(module) for module in modules}
    mutants, killed = (sum(it[key] for it in record["modules"].values()) for key in ("mutants", "killed"))
    record = {
        "command": "make mutants",
        "versions": {"python": sys.version.split()[0], "cosmic-ray": version("cosmic-ray")},
        "mutants": mutants,
        "killed": killed,
        "score": round(killed / mutants, 4),
        "modules": record["modules"],
    }
    RECORD.write_text(json.dumps(record, indent=1) + "\n")
    for module in modules:
        it = record["modules"][module]
        print(f"{module}: {it['killed']} of {it['mutants']} killed")
        print(*it["survivors"], sep="\n\n")
    print(f"In all {killed} of {mutants}, {killed / mutants:.1%}. Written to {RECORD.relative_to(ROOT)}.")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--kill"]:
        sys.exit(kill(sys.argv[2]))
    main(sys.argv[1:] or MODULES)
