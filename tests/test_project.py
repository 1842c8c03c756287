"""What the project says about itself is so: its commands, paths, versions, contents, sources and names, and which way
its imports run."""

import ast
import itertools
import json
import re
import runpy
import tomllib

import pytest
import yaml
from pybtex.database import parse_file

import lib
from lib.checks import RANGES
from lib.dialects import DIALECTS
from lib.optimizers import RULES
from tests.conftest import ROOT

GUIDES = ["README.md", "CONTRIBUTING.md", "intro.md"]
EXAMPLE = r"\badabelief|test_adabelief|^\.venv|^node_modules"  # what a reader of the recipe makes, or `make book`
FRAMEWORKS = {"torch", "tensorflow", "keras", "jax", "optax"}


def text(path):
    """The words of a page: a file, or a notebook's Markdown cells."""
    content = (ROOT / path).read_text()
    if str(path).endswith(".ipynb"):
        cells = json.loads(content)["cells"]
        return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    return content


def section(page, title):
    """What stands under the heading ``title``, up to the next heading of its level or above."""
    level, body = re.search(rf"^(#+) {re.escape(title)}$(.*)", page, re.MULTILINE | re.DOTALL).groups()
    return re.split(rf"^#{{1,{len(level)}}} ", body, maxsplit=1, flags=re.MULTILINE)[0]


def table(markdown):
    """The rows of the table in ``markdown``, without its head: a list of cells each."""
    rows = [line.strip().strip("|").split("|") for line in markdown.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def in_code(markdown):
    """Everything in ``markdown`` that is set as code."""
    return re.findall(r"`([^`]+)`", markdown)


TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
PARTS = {part["caption"]: [chapter["file"] for chapter in part["chapters"]] for part in TOC["parts"]}
PAGES = [
    next(path for path in (f"{file}.md", f"{file}.ipynb") if (ROOT / path).exists())
    for file in [TOC["root"], *itertools.chain(*PARTS.values())]
]
NOTEBOOKS = [
    page.removeprefix("chapters/").removesuffix(".ipynb")
    for page in PAGES
    if page.endswith(".ipynb") and page.removesuffix(".ipynb") not in PARTS["Reference"]
]


# README, CONTRIBUTING and the front page


def targets():
    return re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("guide", GUIDES)
def test_commands_exist(guide):
    assert set(re.findall(r"\bmake ([a-z]+)\b(?=`|\s*#|\s+NOTEBOOKS|\n)", text(guide))) <= set(targets())


def test_readme_lists_every_command():
    listed = [
        cells[0].strip("`").removeprefix("make ").split()[0] for cells in table(section(text("README.md"), "Commands"))
    ]
    assert sorted(listed) == sorted(set(targets()) - {"help"})


@pytest.mark.parametrize("guide", GUIDES)
def test_paths_exist(guide):
    page = re.sub(r"```.*?```|\{doc\}`.*?`", "", text(guide), flags=re.DOTALL)
    code = [word for word in in_code(page) if re.fullmatch(r"[\w./-]+", word)]
    paths = [word for word in code if "/" in word or re.search(r"\.(md|py|yml|toml|txt|bib|cff)$", word)]
    paths += re.findall(r"\]\(([^)#:]+)\)", page) + re.findall(r'(?:src|srcset)="([^":]+)"', page)
    assert paths
    missing = [path for path in paths if not (ROOT / path).exists()]
    assert [path for path in missing if not re.search(EXAMPLE, path)] == []


def test_picture_is_what_its_script_draws(tmp_path):
    runpy.run_path(str(ROOT / "assets/readme/picture.py"))["write"](tmp_path)
    for name in "light.svg", "dark.svg":
        stored = (ROOT / "assets/readme" / name).read_text()
        assert stored == (tmp_path / name).read_text(), "run `python assets/readme/picture.py`"


# Versions


def test_citation():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == project["version"]
    assert citation["authors"] == [{"name": "The Step Size authors"}]
    assert {"message", "title", "date-released"} <= citation.keys()


def test_requirements_are_pinned():
    lines = [line.split("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines()]
    assert [line for line in lines if line and not re.fullmatch(r"[\w.-]+(\[\w+\])?==\d[\w.]*", line)] == []


# Contents and sources


def contents():
    """The front page's table of contents: the pages of each part."""
    parts = re.split(r"^### ", section(text("intro.md"), "Contents"), flags=re.MULTILINE)[1:]
    for part in parts:
        caption, body = part.split("\n", 1)
        yield caption, re.findall(r"\{doc\}`([^`]+)`", body)


def test_chapters_are_linked():
    assert dict(contents()) == PARTS


def test_every_page_is_in_the_table_of_contents():
    found = {str(path.relative_to(ROOT)) for kind in ("md", "ipynb") for path in (ROOT / "chapters").glob(f"*.{kind}")}
    assert found == set(PAGES) - {"intro.md"}


def test_every_citation_has_its_source_and_every_source_is_cited():
    roles = [role for page in PAGES for role in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", text(page))]
    cited = {key.strip() for keys in roles for key in keys.split(",")}
    sources = set(parse_file(ROOT / "references.bib").entries)
    assert cited - sources == set()
    assert sources - cited == set()


def docstrings():
    """Each docstring of the library, on one line, and where it stands."""
    for file in sorted((ROOT / "lib").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                where = f"{file.relative_to(ROOT)} {getattr(node, 'name', '')}".rstrip()
                yield where, " ".join((ast.get_docstring(node) or "").split())


# Smith & Topin 2017, arXiv 1708.07120
WORK = r"\b([A-Z][\w-]+)(?:(?:, | & )(?:Van )?[A-Z][\w-]+)*(?: et al\.)? ((?:18|19|20)\d\d)\b"
ADDRESS = r', (arXiv \d{4}\.\d{4}|doi 10\.\d+/|https?://|"\w)'


def test_every_work_that_a_docstring_names_can_be_found():
    """By its number or title, or, by first author and year, in references.bib."""
    entries = parse_file(ROOT / "references.bib").entries.values()
    listed = {(entry.persons["author"][0].last_names[0], entry.fields["year"]) for entry in entries}
    lost = []
    for where, text in docstrings():
        works = list(re.finditer(WORK, text))
        lost += [
            f"{where}: {work[0]}"
            for work in works
            if work.groups() not in listed and not re.match(ADDRESS, text[work.end() :])
        ]
        if "Source: " in text and not works:
            lost.append(f"{where}: a source without authors and year")
    assert lost == [], "\n".join(lost)


def headings(page):
    """The headings of levels 2 and 3 of a page of ``chapters/``, given without its ending."""
    path = next(path for path in (f"chapters/{page}.md", f"chapters/{page}.ipynb") if (ROOT / path).exists())
    return set(re.findall(r"^#{2,3} (.+?) *$", text(path), re.MULTILINE))


LINES = table(text("chapters/subjects.md"))
SUBJECTS = [cells for cells in LINES if cells[1].startswith("{doc}")]


@pytest.mark.parametrize("cells", SUBJECTS, ids=lambda cells: cells[0][:40])
def test_every_subject_has_its_section(cells):
    _, chapter, *sections = cells
    found = headings(re.fullmatch(r"\{doc\}`(?:[^`]+ <)?(\w+)>?`", chapter)[1])
    titles = [title.strip() for title in "".join(sections[:1]).split(";")]
    assert {title for title in titles if title} <= found


def test_every_line_of_the_documents_is_taught():
    lines = table(section(text("chapters/subjects.md"), "Document by document"))
    lines = [cells for cells in lines if cells[1] not in ("Chapter", "---")]
    assert len(lines) > 70
    assert [cells for cells in lines if cells not in SUBJECTS] == []


def test_every_chapter_has_its_subjects():
    by_subject = text("chapters/subjects.md").split("## Document by document")[0]
    listed = set(re.findall(r"\| \{doc\}`(?:[^`]+ <)?(\w+)>?`", by_subject))
    assert set(NOTEBOOKS) | {"choosing", "errata", "failures", "metal", "proofs", "notation", "tools"} == listed


# One name, three places


def test_notebooks_are_found():
    assert NOTEBOOKS


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_one_name_three_places(name):
    """chapters/adam.ipynb, lib/optimizers/adam.py, tests/optimizers/test_adam.py; and its exercises likewise."""
    files = [
        path
        for path in (ROOT / "lib").rglob(f"{name}.py")
        if path.parent.name in ("lib", "optimizers", "networks", "experiments", "search")
    ]
    assert 1 <= len(files) <= 2  # the method, and what it is measured on
    exercises = ROOT / "lib" / "exercises" / f"{name}.py"
    tests = [ROOT / "tests" / file.parent.relative_to(ROOT / "lib") / f"test_{name}.py" for file in [*files, exercises]]
    assert [str(file) for file in [exercises, *tests] if not file.exists()] == []


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_every_rule_has_its_proof(rule):
    """Against each framework that has it, or, where none has, against a second, literal computation of the paper."""
    file = rule.__module__.rsplit(".", 1)[1]
    proof = (ROOT / "tests" / "optimizers" / f"test_{file}.py").read_text()
    if any(rule.__name__ in dialects for dialects in DIALECTS.values()):
        assert f'agrees("{rule.__name__}"' in proof
    else:
        assert "def test_agrees_with_the_literal_algorithm(" in proof


# Imports run one way


def layers():
    """Each part of the library, and how high it stands in the docstring of ``lib/__init__.py`` (0 at the bottom)."""
    bullets = re.findall(r"^- ((?:``\w+``(?:, )?)+)", lib.__doc__, re.MULTILINE)
    return {name: height for height, names in enumerate(reversed(bullets)) for name in re.findall(r"\w+", names)}


def imports(file):
    """The modules that ``file`` imports, anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: import by full name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


MODULES = sorted(path.relative_to(ROOT / "lib") for path in (ROOT / "lib").rglob("*.py"))


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_imports_run_one_way(module):
    part = module.parts[0].removesuffix(".py")
    if part == "__init__":
        assert not list(imports(ROOT / "lib" / module))
        return
    heights = layers()
    assert part in heights, "name the new part in the docstring of lib/__init__.py"
    for name in imports(ROOT / "lib" / module):
        top, *rest = name.split(".")
        if top == "lib":
            assert heights[rest[0]] <= heights[part], f"{part} imports {name}"
        elif heights[part] <= heights["optimizers"]:
            assert top not in FRAMEWORKS, f"{part} imports {name}"


# The notation page


NOTATION = text("chapters/notation.md")


def test_every_hyperparameter_has_a_symbol():
    assert set(RANGES) <= {name for _, code, _ in table(section(NOTATION, "Symbols")) for name in in_code(code)}


def test_state_of_every_rule():
    told = {
        name: in_code(state)
        for rules, state, _ in table(section(NOTATION, "What each rule remembers"))
        for name in in_code(rules)
    }
    assert told == {name: [*rule.state, *["t"] * rule.counts_steps] for name, rule in RULES.items()}
