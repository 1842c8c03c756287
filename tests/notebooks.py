"""The checks that every notebook of the book has to pass.

Each takes a notebook (as nbformat reads it) and returns its faults, a list of sentences. ``test_notebooks.py`` runs
them on the chapters, ``test_checks_can_fail.py`` on faults planted one by one.
"""

import json
import re

import nbformat

from tests.pages import is_sentence

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
SECTIONS = ["The picture", "The equation", "The code", "The proof", "The experiment", "When it fails", "Exercises",
            "Summary"]  # fmt: skip
NOTEBOOK_BYTES, OUTPUT_BYTES = 1_500_000, 300_000
IGNORED_OUTPUTS = 1  # how many outputs a notebook may keep from comparison
FOLDERS = "home|root|tmp|work|Users|usr|opt|var|mnt|srv|private"
MACHINE_PATH = re.compile(rf"(?<![\w.:/~-])/(?:{FOLDERS})/\S*|\b[A-Z]:\\\\?\w+")
UNFINISHED = re.compile(r"\b(XX+|TODO|FIXME|TBD)\b")


def code_cells(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook) -> list[tuple]:
    """Each output with its cell."""
    return [(cell, output) for cell in code_cells(notebook) for output in cell.outputs]


def where(cell) -> str:
    """A cell's name in a message: how its source begins."""
    return repr(" ".join(cell.source.split())[:60])


def content(output) -> str:
    """All that an output says, in whatever form."""
    return json.dumps(output.get("data", output.get("text", "")), ensure_ascii=False)


def is_valid(notebook) -> list[str]:
    """The file is a notebook of format 4.5 or later."""
    try:
        nbformat.validate(notebook)
    except nbformat.ValidationError as error:
        return [f"not a valid notebook: {str(error).splitlines()[0]}"]
    return [] if (notebook.nbformat, notebook.nbformat_minor) >= (4, 5) else ["older than notebook format 4.5"]


def ran_in_order(notebook) -> list[str]:
    """The cells ran from the first to the last in one go: they are numbered from 1 without a gap."""
    numbers = [cell.execution_count for cell in code_cells(notebook)]
    expected = list(range(1, len(numbers) + 1))
    return [] if numbers == expected else [f"the code cells are numbered {numbers}, not {expected}"]


def ran_without_error(notebook) -> list[str]:
    """No cell raised an exception or wrote to stderr."""
    return [
        f"{output.get('ename', 'stderr')} in {where(cell)}: {output.get('evalue') or output.get('text', '')[:80]}"
        for cell, output in outputs(notebook)
        if output.output_type == "error" or output.get("name") == "stderr"
    ]


def no_machine_paths(notebook) -> list[str]:
    """No output shows where the book lay on the machine that ran it."""
    found = {path for _, output in outputs(notebook) for path in MACHINE_PATH.findall(content(output))}
    return [f"a machine's path in an output: {path[:80]}" for path in sorted(found)]


def prose_is_finished(notebook) -> list[str]:
    """No mark is left where an author meant to write on."""
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return [f"unfinished: {line[:80]}" for line in prose.splitlines() if UNFINISHED.search(line)]


def metadata(notebook) -> list[str]:
    """The kernel is every reader's python3, and nothing is kept of the machine that ran the notebook."""
    plain = notebook.metadata.get("kernelspec") == KERNEL
    return ([] if plain else ["the kernelspec is not the plain python3"]) + [
        f"metadata that changes from machine to machine: {key}" for key in notebook.metadata if key != "kernelspec"
    ]


def compared_outputs(notebook) -> list[str]:
    """nbval compares the outputs: no cell is skipped, few are ignored, none is of a kind that nbval passes over."""
    marks = [(tag, cell) for cell in code_cells(notebook) for tag in cell.metadata.get("tags", ()) if "nbval" in tag]
    marks += [(mark, cell) for cell in code_cells(notebook) for mark in re.findall(r"#\s*(NBVAL_\w+)", cell.source)]
    may_ignore = [mark.lower().replace("_", "-") == "nbval-ignore-output" for mark, _ in marks]
    refused = [mark for mark, may in zip(marks, may_ignore, strict=True) if not may]
    refused += [mark for mark, may in zip(marks, may_ignore, strict=True) if may][IGNORED_OUTPUTS:]
    return [f"{mark} on {where(cell)}" for mark, cell in refused] + [
        f"{kind} in {where(cell)}: nbval does not compare it; draw SVG"
        for cell, output in outputs(notebook)
        for kind in output.get("data", ())
        if kind in ("image/png", "image/jpeg") or "widget" in kind
    ]


def alternative_texts(notebook) -> list[tuple[str, str]]:
    """Each figure's cell and alternative text."""
    return [
        (where(cell), cell.metadata.get("mystnb", {}).get("image", {}).get("alt", ""))
        for cell, output in outputs(notebook)
        if any(kind.startswith("image/") for kind in output.get("data", ()))
    ]


def figures_are_described(notebook) -> list[str]:
    """Each figure's cell carries alternative text in `mystnb.image.alt`: a sentence, no other figure's."""
    found = alternative_texts(notebook)
    texts = [alt for _, alt in found]
    faults = [f"alternative text of {cell} is no sentence: {alt!r}" for cell, alt in found if not is_sentence(alt)]
    return faults + [f"alternative text of {cell} is another's: {alt!r}" for cell, alt in found if texts.count(alt) > 1]


def sizes(notebook) -> list[str]:
    """A page loads fast: the notebook and each of its outputs stay small."""
    parts = {"the notebook": (nbformat.writes(notebook), NOTEBOOK_BYTES)}
    parts |= {f"an output of {where(cell)}": (content(output), OUTPUT_BYTES) for cell, output in outputs(notebook)}
    return [
        f"{name} has {len(text.encode())} bytes; at most {limit} are allowed"
        for name, (text, limit) in parts.items()
        if len(text.encode()) > limit
    ]


def sections(notebook) -> dict[str, list]:
    """The cells under each level-2 heading, by heading; those before the first under ''."""
    found: dict[str, list] = {"": []}
    heading = ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            prose = re.sub(r"^(`{3,}|:{3,}).*?^\1", "", cell.source, flags=re.DOTALL | re.MULTILINE)
            for heading in re.findall(r"^## (.*?)\s*$", prose, re.MULTILINE):
                found.setdefault(heading, [])
        found[heading].append(cell)
    return found


def form(notebook) -> list[str]:
    """The form of a chapter: its sections in their order, and what each must hold."""
    parts = sections(notebook)
    headings = [heading for heading in parts if heading]
    if headings != SECTIONS:
        return [f"the sections are {headings}, not {SECTIONS}"]

    source = {heading: "\n".join(cell.source for cell in cells) for heading, cells in parts.items()}
    shown = {
        heading: "".join(content(output) for cell in cells for output in cell.get("outputs", ()))
        for heading, cells in parts.items()
    }
    opening = source[""].lower()
    demands = {
        "begins with its title": source[""].startswith("# "),
        "asks a question": "?" in opening,
        "says what you need": "you need" in opening,
        "says how long it takes to read and to run": "minutes" in opening and "seconds" in opening,
        "shows a picture": "-playground" in source["The picture"] or "image/svg" in shown["The picture"],
        "writes an equation": any(mark in source["The equation"] for mark in ("$$", "\\begin{", "{math}")),
        "shows the library's own source": "inspect.getsource(" in source["The code"],
        "proves in a table": "<table" in shown["The proof"],
        "runs an experiment": bool(shown["The experiment"]),
        "cites its sources": any("{cite" in text for text in source.values()),
        "ends in a summary": len(source["Summary"].split()) > 20,
    }
    faults = [f"the chapter never {demand}" for demand, met in demands.items() if not met]

    exercises = re.findall(r"^`{3,}\{exercise\}.*\n:label: (\S+)", source["Exercises"], re.MULTILINE)
    solutions = re.findall(r"^`{3,}\{solution-start\} (\S+)\n:class: dropdown", source["Exercises"], re.MULTILINE)
    if not exercises or exercises != solutions:
        faults.append(f"the exercises {exercises} and the folded solutions {solutions} do not match")
    if len(re.findall(r"^check\(", source["Exercises"], re.MULTILINE)) < len(exercises):
        faults.append("an exercise's answer is never checked")
    return faults


CHECKS = [is_valid, ran_in_order, ran_without_error, no_machine_paths, prose_is_finished, metadata,
          compared_outputs, figures_are_described, sizes, form]  # fmt: skip
