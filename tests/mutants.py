"""Mutation testing: break a line of a rule, a dialect or a schedule, and see whether a test turns red.

    make mutants                                  every module of `MODULES` that is not settled
    make mutants MODULES=lib/optimizers/adam.py   one of them

Cosmic Ray makes the mutants: another operator, a number one larger or smaller, a condition turned round. Each operator
has one replacement, the nearest: + for -, * for /. The others change more and would only flatter the score.

One process a core plants them in a copy of the project under ``_build/mutants``. It loads the frameworks once and forks
for each mutant. Whoever stops the run, with Ctrl+C, loses the mutants in work and no more; the next run leaves alone
what was killed and tries again what survived. ``results/mutants.json`` keeps the score and every survivor; why no test
could notice it says ``tests/survivors.toml``, and what has a reason there counts as survived without being tried. A
module is settled if it has not changed since all its mutants were tried, and every survivor has its reason; where only
reasons are lacking, only the survivors are tried again.
"""

import ast
import difflib
import gc
import hashlib
import importlib
import json
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import tomllib
from datetime import date
from pathlib import Path
from unittest import mock

import pytest
from tqdm import tqdm

ROOT = Path(__file__).parents[1]
WORK = Path(os.environ.get("MUTANTS", ROOT / "_build" / "mutants"))
RECORD = ROOT / "results" / "mutants.json"
REASONS = ROOT / "tests" / "survivors.toml"
TIMEOUT = 600.0  # seconds for the tests of one mutant; one that hangs them counts as killed
# Of what is exchanged for what, all that is kept of the replacements of binary operators.
NEAREST = "Add_Sub|Sub_Add|Mul_Div|Div_Mul|Pow_Mul|FloorDiv_Div|Mod_Div|BitAnd_BitOr|BitOr_BitAnd"
NOT_RULES = {"__init__", "rule", "optimizer"}
MODULES = [
    *sorted(f"lib/optimizers/{p.name}" for p in (ROOT / "lib/optimizers").glob("*.py") if p.stem not in NOT_RULES),
    *(f"lib/dialects/{name}.py" for name in ("dialect", "torch", "keras", "optax")),
    "lib/schedules.py",
]


# ---------- which tests should turn red ----------


def tests_for(module: str, changed: set[str]) -> list[list[str]]:
    """pytest's arguments for the tests that should notice a change in ``changed``, names defined in ``module``: those
    near by, then those that come after if they did not.
    """
    folder, stem = Path(module).parent.name, Path(module).stem
    if folder == "optimizers":
        words = [stem, *re.findall(r"^def (\w+)", Path(module).read_text(), re.MULTILINE)]
        near = [f"tests/optimizers/test_{stem}.py", "tests/optimizers/test_defaults.py"]
        return [near, ["tests/optimizers/test_rule.py", "-k", " or ".join(words)]]
    if stem in ("torch", "keras", "optax"):
        files = {f"tests/optimizers/test_{home}.py" for name in changed for home in homes(name)}
        others = " and ".join(f"not {other}" for other in ("torch", "keras", "optax") if other != stem)
        near = [*sorted(files), "tests/referees/test_referees.py"]
        return [[*near, "-k", f"{stem} or ({others})"], ["tests/optimizers/test_rule.py", "-k", stem]]
    if stem == "dialect":
        homes_of = lambda words: [f"tests/optimizers/test_{word}.py" for word in words.split()]
        every_mapping = homes_of("momentum adagrad rmsprop adam amsgrad adamax nadam radam lars adafactor muon")
        return [["tests/referees/test_referees.py", "-k", "not proof"], [*every_mapping, "-k", "translates"]]
    return [[f"tests/test_{stem}.py"]]


def homes(rule: str) -> list[str]:
    """The modules of ``lib/optimizers`` that define ``rule``: one, or none."""
    return [p.stem for p in Path("lib/optimizers").glob("*.py") if re.search(rf"^def {rule}\(", p.read_text(), re.M)]


def changed_names(before: str, after: str) -> set[str]:
    """Which functions of a module, or entries of its tables, hold the lines that differ or use a function that does."""
    matcher = difflib.SequenceMatcher(a=before.splitlines(), b=after.splitlines(), autojunk=False)
    lines = {i + 1 for tag, i1, i2, *_ in matcher.get_opcodes() if tag != "equal" for i in range(i1, max(i2, i1 + 1))}
    parts = {}
    for node in ast.walk(ast.parse(before)):
        if isinstance(node, ast.FunctionDef):
            first = min([node.lineno, *(it.lineno for it in node.decorator_list)])
            parts[node.name] = range(first, node.end_lineno + 1)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            parts[node.targets[0].id] = range(node.lineno, node.end_lineno + 1)
    for node in ast.walk(ast.parse(before)):
        if isinstance(node, ast.Dict):  # an entry of a table, under its key
            pairs = [(k.value, v) for k, v in zip(node.keys, node.values, strict=True) if isinstance(k, ast.Constant)]
            parts = {f"[{key}]": range(v.lineno, v.end_lineno + 1) for key, v in pairs} | parts  # the outermost counts
    source = before.splitlines()
    names, found = set(), {name for name, its in parts.items() if lines & set(its)}
    while found - names:
        names |= found
        words = "|".join(re.escape(name) for name in names if not name.startswith("[")) or "$^"
        used = {i for i, line in enumerate(source, start=1) if re.search(rf"\b({words})\b", line)}
        found = {name for name, its in parts.items() if used & set(its) and name != "DIALECTS"}
    return {name.strip("[]") for name in names}


# ---------- to plant mutants, in a copy of the project ----------


def version_of(module: str, root: Path = ROOT) -> str:
    """What tells the code of ``module`` as it is now from what it was; no mutant lies in a docstring."""
    tree = ast.parse((root / module).read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            node.body[0] = ast.Pass()
    return hashlib.sha1(ast.dump(tree).encode()).hexdigest()[:8]


def session(module: str, version: str) -> Path:
    """The file with the mutants of a version of ``module``, and what became of them."""
    return WORK / f"{module.replace('/', '.')}-{version}.sqlite"


def breed(module: str, version: str) -> None:
    """Make the mutants of ``module``, of which this is the version, if there are none yet."""
    from cosmic_ray.commands.init import init
    from cosmic_ray.work_db import WorkDB, use_db
    from cosmic_ray.work_item import WorkerOutcome, WorkResult

    if session(module, version).exists():
        return
    with use_db(session(module, version), WorkDB.Mode.create) as db:
        init([Path(module)], db, {})
        for item in db.work_items:
            operator = item.mutations[0].operator_name.removeprefix("core/")
            if operator.startswith("ReplaceBinaryOperator") and not re.search(f"_({NEAREST})$", operator):
                db.set_result(item.job_id, WorkResult(worker_outcome=WorkerOutcome.SKIPPED))


RULES = {
    name for p in (ROOT / "lib/optimizers").glob("*.py") for name in re.findall(r"^def (\w+)\(", p.read_text(), re.M)
}


def hunt(worker: int, workers: int, modules: list[str]) -> None:
    """Run the tests on every ``workers``-th mutant that was not killed. Works in a copy of the project, where it is:
    whoever goes on with the project meanwhile does not disturb it.
    """
    from cosmic_ray.mutating import mutate_and_test
    from cosmic_ray.work_db import WorkDB, use_db
    from cosmic_ray.work_item import TestOutcome

    for name in ("pandas", "torch", "tensorflow", "keras", "jax", "optax", "hypothesis", "playwright.sync_api"):
        importlib.import_module(name)  # before the fork, and none of the book's own
    gc.freeze()  # no fork looks through what it did not make
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    for i, module in enumerate(modules):
        pristine, version, known = Path(module).read_text(), version_of(module, Path.cwd()), reasons()
        suspects = survivors_of(module, version)

        def tests(*_, module=module, pristine=pristine, known=known, suspects=suspects):
            mutant = Path(module).read_text()
            change = change_in(difflib.unified_diff(pristine.splitlines(), mutant.splitlines()))
            if (module, change) in known:
                return TestOutcome.SURVIVED, ""
            if suspects is not None and change not in suspects:
                return TestOutcome.KILLED, ""
            return run_tests(tests_for(module, changed_names(pristine, mutant)))

        with (
            use_db(session(module, version), WorkDB.Mode.open) as db,
            mock.patch("cosmic_ray.mutating.run_tests", tests),
        ):
            done = {
                it.job_id for it, result in db.completed_work_items if result.test_outcome is not TestOutcome.SURVIVED
            }
            mine = [it for j, it in enumerate(db.work_items) if j % workers == worker and it.job_id not in done]
            checks = mine and i % workers == worker  # one of them for all
            if checks and run_tests(tests_for(module, set(RULES)))[0] is not TestOutcome.SURVIVED:
                sys.exit(
                    f"{module}: tests fail without a mutant, so that all would seem killed. Mend them; remove {WORK}."
                )
            for item in tqdm(mine, desc=module, position=worker, leave=False):
                db.set_result(item.job_id, mutate_and_test(item.mutations, "", TIMEOUT))


def run_tests(calls: list[list[str]]):
    """What Cosmic Ray wants to know: whether the tests, run in forks of this process, noticed the mutant."""
    from cosmic_ray.work_item import TestOutcome

    for arguments in calls:
        child = multiprocessing.get_context("fork").Process(target=_pytest, args=(arguments,))
        child.start()
        child.join(TIMEOUT)
        if child.is_alive():
            child.kill()
        child.join()
        if child.exitcode not in (0, pytest.ExitCode.NO_TESTS_COLLECTED):
            return TestOutcome.KILLED, ""
    return TestOutcome.SURVIVED, ""


def _pytest(arguments):
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    sys.path.insert(0, os.getcwd())
    options = ["-x", "-q", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:unraisableexception"]
    os._exit(pytest.main([*options, *arguments], plugins=[QuickestFirst()]))


class QuickestFirst:
    """A plugin of pytest: first the tests by hand, then one proof, which notices most, of the framework in question if
    there is one, then all others, and last the other proofs, of 1,000 steps each."""

    ORDER = (
        r"hand|defaults|test_schedules\.py::[^\[]*$",
        r"agrees\[(torch|optax)-every_size",
        r"^(?!.*(agrees|precision))",
        "^(?!.*keras)",
        "",
    )

    def pytest_collection_modifyitems(self, config, items):
        asked = re.match("(torch|keras|optax) or", config.option.keyword)
        order = [words.replace("(torch|optax)", asked[1] if asked else "(torch|optax)") for words in self.ORDER]
        place = lambda item: next(i for i, words in enumerate(order) if re.search(words, item.nodeid))
        items.sort(key=place)


# ---------- the score ----------


def outcome(module: str, version: str) -> dict:
    """Mutants that were run, killed, and pending, and the survivors of ``module``, each as the lines it changes."""
    from cosmic_ray.work_db import WorkDB, use_db

    killed, survivors = 0, []
    with use_db(session(module, version), WorkDB.Mode.open) as db:
        for _, result in db.completed_work_items:
            if result.test_outcome is None:
                continue
            if result.test_outcome.value == "incompetent":
                sys.exit(f"tests/mutants.py: Cosmic Ray could not run a mutant of {module}:\n{result.output}")
            if result.test_outcome.value == "survived":
                survivors.append(change_in(result.diff.splitlines()))
            else:
                killed += 1
        pending = len(db.pending_work_items)
    found = {"version": version, "mutants": killed + len(survivors), "killed": killed, "pending": pending}
    return found | {"survivors": sorted(survivors)}


def change_in(diff) -> str:
    """The lines that a mutant changes, from a unified diff: how the record and the reasons name it."""
    return "\n".join(line for line in diff if re.match(r"[-+](?![-+])", line))


def reasons() -> dict:
    """(module, change) -> why no test can notice it."""
    rows = tomllib.loads(REASONS.read_text()).get("survivor", [])
    return {(row["module"], change.strip()): row["why"] for row in rows for change in row["changes"]}


def survivors_of(module: str, version: str) -> list[str] | None:
    """What survived of this version of ``module``; None if not all its mutants were tried."""
    found = record()["modules"].get(module, {"version": None})
    return found["survivors"] if found["version"] == version and not found["pending"] else None


def settled(module: str) -> bool:
    """Whether nothing is left to find out of ``module``."""
    survivors = survivors_of(module, version_of(module))
    return survivors is not None and all((module, change) in reasons() for change in survivors)


def record() -> dict:
    return json.loads(RECORD.read_text()) if RECORD.exists() else {"modules": {}}


def main(modules: list[str]) -> None:
    if strangers := set(modules) - set(MODULES):
        sys.exit(f"tests/mutants.py: no mutants are made of {sorted(strangers)}; choose among {', '.join(MODULES)}.")
    workers = os.cpu_count() or 1
    files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    for worker in range(workers):
        for name in files.stdout.splitlines():
            target = WORK / f"copy{worker}" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)
    versions = {module: version_of(module, WORK / "copy0") for module in modules}
    for module in modules:
        breed(module, versions[module])
    call = [sys.executable, __file__, "--hunt"]
    words = lambda worker: [*call, str(worker), str(workers), *modules]
    hunts = [subprocess.Popen(words(worker), cwd=WORK / f"copy{worker}") for worker in range(workers)]
    try:
        if sum(abs(hunt.wait()) for hunt in hunts):
            sys.exit("tests/mutants.py: a hunt broke off; what it had found is kept.")
    except KeyboardInterrupt:
        for hunt in hunts:
            hunt.terminate()
            hunt.wait()
    keep({module: outcome(module, versions[module]) for module in modules})


def keep(found: dict) -> None:
    """Put what was found, module by module, in the record, and tell of it."""
    from importlib.metadata import version

    known = reasons()
    for module, it in found.items():
        print(f"{module}: {it['killed']} of {it['mutants']} killed, {it['pending']} not tried")
        for change in it["survivors"]:
            why = known.get((module, change), "-> no test notices it, and nobody knows why")
            print(change, why, sep="\n", end="\n\n")
    found = record()["modules"] | found
    mutants, killed, pending = (sum(it[key] for it in found.values()) for key in ("mutants", "killed", "pending"))
    written = {
        "command": "make mutants",
        "date": date.today().isoformat(),
        "versions": {"python": sys.version.split()[0], "cosmic-ray": version("cosmic-ray")},
        "mutants": mutants,
        "killed": killed,
        "pending": pending,
        "score": round(killed / mutants, 4),
        "modules": {module: found[module] for module in MODULES if module in found},
    }
    RECORD.write_text(json.dumps(written, indent=1) + "\n")
    print(f"In all {killed} of {mutants}, {killed / mutants:.1%}. Written to {RECORD.relative_to(ROOT)}.")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--hunt"]:
        hunt(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
    else:
        main(sys.argv[1:] or [module for module in MODULES if not settled(module)])
