"""Make ``assets/vendor``, what the pages load beside the book's own scripts: never committed, made by ``make book``.

Third-party files are copied from installed, pinned packages. For playgrounds and converters classic scripts are made,
as pages opened from disk may load neither modules nor WebAssembly files: MicroPython, its WebAssembly inside, and the
very source files of ``lib/`` that each of them runs.
"""

import ast
import base64
import inspect
import json
import re
import shutil
import sys
from pathlib import Path

from lib.checks import FRACTION, RANGES
from lib.dialects import DIALECTS
from lib.dialects.converter import SIZES, STEPS, TITLES, choices, dialect_of
from lib.figures import MINIMUM, STYLES, on_dark
from lib.landscapes import LANDSCAPES
from lib.optimizers import RULES
from lib.optimizers.rule import named_for
from lib.referees.defaults import defaults, filled

ASSETS = Path(__file__).parent
ROOT = ASSETS.parent
MODULES = ROOT / "node_modules"
VENDOR = ASSETS / "vendor"
STAND_INS = ASSETS / "playground"  # files here replace those of the same path in the repository
CONVERTER = ASSETS / "converter"  # likewise, for the converter

FILES = {
    "mathjax/tex-svg-full.js": "mathjax/es5/tex-svg-full.js",
    "d3-array/d3-array.min.js": "d3-array/dist/d3-array.min.js",
    "d3-array/LICENSE": "d3-array/LICENSE",
    "d3-contour/d3-contour.min.js": "d3-contour/dist/d3-contour.min.js",
    "d3-contour/LICENSE": "d3-contour/LICENSE",
}

IN_BROWSER = {"math", "json", "ucollections"}  # modules of MicroPython that a bundled file may import


def micropython() -> str:
    """MicroPython as one classic script that defines ``loadMicroPython``.

    Raises:
        SystemExit: the package's text is not what this function knows how to change.
    """
    package = MODULES / "@micropython" / "micropython-webassembly-pyscript"
    version = json.loads((package / "package.json").read_text())["version"]
    script = (package / "micropython.mjs").read_text()

    def replace(old: str, new: str, times: int) -> None:
        nonlocal script
        if script.count(old) != times:
            sys.exit(
                f"assets/vendor.py: micropython.mjs {version} has {script.count(old)} times {old!r}, expected {times}. "
                "Read what changed in it and adapt micropython() in assets/vendor.py."
            )
        script = script.replace(old, new)

    # A module becomes a script: nothing is exported (the function below is left in globalThis by the file itself), and
    # the address of the file, which is not needed once the WebAssembly is inside, becomes that of the page.
    replace("export default _createMicroPythonModule;", "", 1)
    replace("export async function loadMicroPython(", "async function loadMicroPython(", 1)
    replace("globalThis.loadMicroPython=loadMicroPython", "globalThis.loadMicroPython=loadMicroPython", 1)
    replace("import.meta.url", "document.baseURI", 4)
    replace("let Module={locateFile:", "let Module={wasmBinary:wasm(),locateFile:", 1)
    if left := re.findall(r".{0,40}\b(?:export (?:default|const|let|var|function|async|class)|import\.meta)\b", script):
        sys.exit(f"assets/vendor.py: micropython.mjs {version} still has module syntax: {left}. Adapt micropython().")
    wasm = base64.b64encode((package / "micropython.wasm").read_bytes()).decode()
    return (
        f"// MicroPython {version}, (c) Damien P. George and contributors, MIT License, https://micropython.org\n"
        f'(async()=>{{const wasm=()=>{{const text=atob("{wasm}"),bytes=new Uint8Array(text.length);\n'
        f"for(let i=0;i<text.length;i++)bytes[i]=text.charCodeAt(i);return bytes}};\n{script}}})();\n"
    )


def sources(modules, folder: Path = STAND_INS, generated: dict | None = None) -> dict[str, str]:
    """Each module, and whatever it imports, as {path: source}; stand-ins take the place of their models.

    Args:
        modules: where to begin, by name.
        folder: of the stand-ins.
        generated: stand-ins that are no files, as {path: source}.

    Raises:
        SystemExit: a file imports what MicroPython does not have.
    """
    found, waiting, generated = {}, list(modules), generated or {}
    while waiting:
        module = waiting.pop()
        for depth in range(module.count(".") + 1):  # a module's packages, then itself
            path, stand_in = _file_of(".".join(module.split(".")[: depth + 1]), folder, generated)
            if str(path) not in found:
                found[str(path)] = in_micropython(stand_in or (ROOT / path).read_text())
                waiting += _imports(found[str(path)], path, folder, generated)
    return found


def _file_of(module: str, folder: Path, generated: dict) -> tuple[Path, str | None]:
    """Where a module lies, from the root of the repository, and the text of its stand-in, if it has one."""
    path = Path(*module.split("."))
    for file in (path / "__init__.py", path.with_suffix(".py")):
        if text := generated.get(str(file)) or ((folder / file).exists() and (folder / file).read_text()):
            return file, text
    return (path / "__init__.py" if (ROOT / path).is_dir() else path.with_suffix(".py")), None


def _imports(source: str, path, folder: Path = STAND_INS, generated: dict | None = None) -> list[str]:
    """The modules that ``source`` imports, but for those of MicroPython itself."""
    modules, strangers = [], set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            asked = {alias.name: set() for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            asked = {node.module: {alias.name for alias in node.names}}
        else:
            continue
        for module in asked.keys() - IN_BROWSER:
            file, stand_in = _file_of(module, folder, generated or {})
            parts = asked[module] & _parts(file)
            modules += [module, *(f"{module}.{part}" for part in sorted(parts))]
            if stand_in is None and module.split(".")[0] != "lib":
                strangers.add(module)
            if stand_in is not None and (lacks := asked[module] - parts - _defines(stand_in)):
                where = (folder / file).relative_to(ROOT)
                sys.exit(f"assets/vendor.py: {path} imports {sorted(lacks)}; add it to {where}.")
    if strangers:
        sys.exit(
            f"assets/vendor.py: {path} imports {sorted(strangers)}, which MicroPython lacks. "
            f"Use lib.arrays, or put a stand-in beside the others in {folder.relative_to(ROOT)}."
        )
    return modules


def _defines(source: str) -> set[str]:
    """The names that a module defines at its top level."""
    names = set()
    for node in ast.parse(source).body:
        names |= {node.name} if isinstance(node, ast.FunctionDef | ast.ClassDef) else set()
        names |= {alias.asname or alias.name for alias in node.names} if isinstance(node, ast.ImportFrom) else set()
        if isinstance(node, ast.Assign):
            names |= {name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    return names


def _parts(file: Path) -> set[str]:
    """The modules of a package of the book."""
    if file.name != "__init__.py":
        return set()
    inside = (ROOT / file).parent
    return {path.stem for path in inside.glob("*.py")} | {path.parent.name for path in inside.glob("*/__init__.py")}


def in_micropython(source: str) -> str:
    """``source`` without what MicroPython cannot read: stars within tuples, lists and dicts, and types with brackets
    (``dict[str, float]``) that are given a name. Everything else stays as it is."""
    lines = [line.encode() for line in source.splitlines(keepends=True)]
    begins = [sum(map(len, lines[:i])) for i in range(len(lines))]
    edits = []

    def look(node):
        new = _without_stars(node)
        value = node.value if isinstance(node, ast.Assign) else None
        if isinstance(value, ast.Subscript) and getattr(value.value, "id", "") in ("dict", "list", "tuple"):
            node, new = value, "None"
        if new:
            span = (begins[node.lineno - 1] + node.col_offset, begins[node.end_lineno - 1] + node.end_col_offset)
            edits.append((*span, new.encode()))
        else:
            for child in ast.iter_child_nodes(node):
                look(child)

    look(ast.parse(source))
    text = source.encode()
    for begin, end, new in sorted(edits, reverse=True):
        text = text[:begin] + new + text[end:]
    return text.decode()


def _without_stars(node) -> str | None:
    """The text of a tuple, list or dict with stars in it, as a sum or union of some without; else None."""
    if isinstance(node, ast.Dict) and None in node.keys:
        pairs = zip(node.keys, map(ast.unparse, node.values), strict=True)
        parts = [f"dict({value})" if key is None else f"{{{ast.unparse(key)}: {value}}}" for key, value in pairs]
        return f"({' | '.join(parts)})"
    if not (isinstance(node, ast.Tuple | ast.List) and isinstance(node.ctx, ast.Load)):
        return None
    if not any(isinstance(part, ast.Starred) for part in node.elts):
        return None
    kind = "tuple" if isinstance(node, ast.Tuple) else "list"
    parts = [
        ast.unparse(part.value) if isinstance(part, ast.Starred) else f"[{ast.unparse(part)}]" for part in node.elts
    ]
    return f"({' + '.join(f'{kind}({part})' for part in parts)})"


# A playground steps each coordinate on its own, and knows gradients only.
STEPPED = {name: rule for name, rule in RULES.items() if rule.each == "entry" and not rule.takes_curvature}


def rule_facts(rule) -> dict:
    """What a playground must know of a rule beyond its source: the signature, ranges and the rule's color and dash."""
    if rule.__name__ not in STYLES:
        sys.exit(f"assets/vendor.py: give {rule.__name__!r} a style in lib.figures.STYLES.")
    color, dash = STYLES[rule.__name__]
    range_of = lambda name: rule.ranges.get(name, RANGES[name])
    return {
        "module": rule.__module__,
        "file": rule.__module__.replace(".", "/") + ".py",
        "state": list(rule.state.values()),
        "counts_steps": rule.counts_steps,
        "hyperparameters": [
            {
                "name": name,
                "default": default,
                "range": range_of(name)[0],
                "fraction": RANGES[name] is FRACTION,
                "zero": range_of(name)[1](0.0),
            }
            for name, default in rule.defaults.items()
        ],
        "color": [color, on_dark(color)],
        "dash": " ".join(map(str, dash)),
    }


def playground() -> str:
    """The script that holds the book's part of a playground."""
    modules = {rule.__module__ for rule in STEPPED.values()} | {"lib.landscapes"}
    facts = {
        "sources": sources(sorted(modules)) | {"walk.py": (STAND_INS / "walk.py").read_text()},
        "rules": {name: rule_facts(rule) for name, rule in STEPPED.items()},
        "landscapes": {key: landscape.name for key, landscape in LANDSCAPES.items()},
        "minimum": [MINIMUM, on_dark(MINIMUM)],  # the color of the star on a minimum
    }
    return f"globalThis.stepSize = {json.dumps(facts, indent=1)};\n"


# Every rule that a framework has can be converted.
CONVERTED = [name for name in RULES if any(name in dialects for dialects in DIALECTS.values())]


def converter() -> str:
    """The script that holds the book's part of a converter."""
    sides = {name: [side for side in TITLES if dialect_of(side, name)] for name in CONVERTED}
    rules = {side: {name: _signature(dialect_of(side, name)) for name in CONVERTED if side in sides[name]}
             for side in TITLES}  # fmt: skip
    imported = "".join(f"from {RULES[name].__module__} import {name}  # noqa: F401\n" for name in CONVERTED)
    rule = (CONVERTER / "lib/optimizers/rule.py").read_text() + "\n\n" + inspect.getsource(named_for)
    generated = {
        "facts.py": f"FACTS = {rules!r}\n",
        "lib/optimizers/__init__.py": imported,
        "lib/optimizers/rule.py": rule,
    }
    begin = (CONVERTER / "convert.py").read_text()
    facts = {
        "sources": sources(_imports(begin, "convert.py", CONVERTER, generated), CONVERTER, generated)
        | {"convert.py": begin},
        "titles": TITLES,
        "sizes": SIZES,
        "steps": STEPS,
        "rules": {name: {side: _offer(side, name) for side in sides[name]} for name in CONVERTED},
    }
    return f"globalThis.stepSizeConverter = {json.dumps(facts, indent=1)};\n"


def _signature(dialect) -> dict:
    """What MicroPython cannot read off a rule: plain values only."""
    rule = dialect.rule
    plain = {key: None if callable(value) else value for key, value in rule.state.items()}
    return {
        "names": list(dialect.names),
        "state": list(plain.items()),
        "counts_steps": rule.counts_steps,
        "takes_curvature": rule.takes_curvature,
        "defaults": {key: value for key, value in rule.defaults.items() if value is not inspect.Parameter.empty}
        | {key: None for key, value in rule.defaults.items() if value is inspect.Parameter.empty},
    }


def _offer(side, name) -> dict:
    """What a converter offers to set, and with which numbers it begins."""
    dialect, usual = dialect_of(side, name), defaults(side, name)
    return {
        "optimizer": dialect.optimizer,
        "fields": [
            {"name": key, "theirs": dialect.names[key], "default": filled(side, name)[key], "open": usual[key] is None}
            for key in choices(side, name)
        ],
    }


if __name__ == "__main__":
    for target, source in FILES.items():
        (VENDOR / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(MODULES / source, VENDOR / target)
    (VENDOR / "micropython.js").write_text(micropython())
    (VENDOR / "playground-lib.js").write_text(playground())
    (VENDOR / "converter-lib.js").write_text(converter())
