"""Make ``assets/vendor``, what the pages load beside the book's own scripts: never committed, made by ``make book``.

Third-party files are copied from installed, pinned packages. For the playgrounds two classic scripts are written, since
pages opened from disk may load neither modules nor WebAssembly files: MicroPython with its WebAssembly inside, and the
very source files of ``lib/`` that a playground runs.
"""

import ast
import base64
import json
import re
import runpy
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

from lib.checks import FRACTION, RANGES
from lib.figures import MINIMUM, STYLES, on_dark
from lib.landscapes import LANDSCAPES
from lib.optimizers import RULES

ASSETS = Path(__file__).parent
ROOT = ASSETS.parent
MODULES = ROOT / "node_modules"
VENDOR = ASSETS / "vendor"
STAND_INS = ASSETS / "playground"  # files here replace those of the same path in the repository

FILES = {
    "mathjax/tex-svg-full.js": "mathjax/es5/tex-svg-full.js",
    "d3-array/d3-array.min.js": "d3-array/dist/d3-array.min.js",
    "d3-array/LICENSE": "d3-array/LICENSE",
    "d3-contour/d3-contour.min.js": "d3-contour/dist/d3-contour.min.js",
    "d3-contour/LICENSE": "d3-contour/LICENSE",
}

IN_BROWSER = {"math", "json"}  # modules of MicroPython that a bundled file may import


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


def sources(modules) -> dict[str, str]:
    """Each module, and whatever it imports from the book, as {path: source}; stand-ins take the place of their models.

    Raises:
        SystemExit: a file imports what MicroPython does not have.
    """
    found, waiting = {}, list(modules)
    while waiting:
        module = waiting.pop()
        for depth in range(module.count(".") + 1):  # a module's packages, then itself
            spec = find_spec(".".join(module.split(".")[: depth + 1]))
            path = Path(spec.origin).relative_to(ROOT)
            if str(path) in found:
                continue
            stand_in = STAND_INS / path
            found[str(path)] = (stand_in if stand_in.exists() else ROOT / path).read_text()
            waiting += _imports(found[str(path)], path)
    return found


def _imports(source: str, path) -> list[str]:
    """The book's modules that ``source`` imports."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module)
            stand_in = STAND_INS / f"{node.module.replace('.', '/')}.py"
            lacks = {alias.name for alias in node.names} - runpy.run_path(stand_in).keys() if stand_in.exists() else ()
            if lacks:
                sys.exit(f"assets/vendor.py: {path} imports {sorted(lacks)}; add it to {stand_in.relative_to(ROOT)}.")
    if strangers := {name for name in names if name.split(".")[0] != "lib"} - IN_BROWSER:
        sys.exit(
            f"assets/vendor.py: {path} imports {sorted(strangers)}, which the playground lacks. "
            f"Use lib.arrays, or put a stand-in beside the others in {STAND_INS.relative_to(ROOT)}."
        )
    return [name for name in names if name not in IN_BROWSER]


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


if __name__ == "__main__":
    for target, source in FILES.items():
        (VENDOR / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(MODULES / source, VENDOR / target)
    (VENDOR / "micropython.js").write_text(micropython())
    (VENDOR / "playground-lib.js").write_text(playground())
