"""A check that cannot fail proves nothing. Here each one meets the fault that it is there to find.

The pages' checks meet it in a page of the built book, the notebooks' checks in a small notebook, nbval in a notebook
whose stored outputs were changed, and the build in a book of one page.
"""

import copy
import os
import shutil
import subprocess
import sys

import nbformat
import pytest
from nbformat import v4

from tests import notebooks, pages

# ---------------------------------------------------------------- pages

# Each fault: the check that must find it, what it must say, and the script that plants it in the page.
PLANT = """const add = (html) => {
    const planted = Object.assign(document.createElement("div"), {className: "planted", innerHTML: html});
    document.querySelector("article").append(planted);
};"""
FETCH = "await fetch('{}').catch(() => {{}})"
ADD = "add(`{}`)"
TYPESET = "add(`<p class='math'>{}</p>`); await MathJax.typesetPromise()"
PALE = "<p style='color: #999; background: #fff'>Pale.</p>"
PAGE_FAULTS = {
    "a request to another host": (pages.foreign_requests, "https://elsewhere.test/", FETCH.format("https://elsewhere.test/")),
    "a request to another port": (pages.foreign_requests, "http://127.0.0.1:9/", FETCH.format("http://127.0.0.1:9/")),
    "an error in the console": (pages.errors, "console: broken", "console.error('broken')"),
    "an exception": (pages.errors, "script: broken", "setTimeout(() => { throw new Error('broken') })"),
    "a rejected promise": (pages.errors, "script: broken", "void Promise.reject(new Error('broken'))"),
    "a missing file": (pages.errors, "status 404", FETCH.format("missing.js")),
    "mathematics not drawn": (pages.mathematics, "not drawn", ADD.format("<p class='math'>a squared</p>")),
    "mathematics with an error": (pages.mathematics, "with an error", TYPESET.format(r"\\(\\frac{1}\\)")),
    "a macro that is not there": (pages.mathematics, "with an error", TYPESET.format(r"\\(\\nosuchmacro x\\)")),
    "raw dollars": (pages.mathematics, 'raw markup "$$"', ADD.format("<p>$$x$$</p>")),
    "a raw inline formula": (pages.mathematics, 'raw markup "$x_t$"', ADD.format("<p>The step $x_t$ ends.</p>")),
    "a raw parenthesis": (pages.mathematics, "raw markup", ADD.format(r"<p>\\(x\\)</p>")),
    "a raw environment": (pages.mathematics, "raw markup", ADD.format(r"<p>\\begin{align}</p>")),
    "a raw role": (pages.mathematics, "raw markup", ADD.format(r"<p>{cite}\`kingma\`</p>")),
    "a raw directive": (pages.mathematics, "raw markup", ADD.format("<p>:::{note}</p>")),
    "no alternative text": (pages.alternative_texts, "no sentence", ADD.format("<img src='x.svg'>")),
    "an empty alternative text": (pages.alternative_texts, "no sentence", ADD.format("<img src='x.svg' alt=''>")),
    "a path as alternative text": (
        pages.alternative_texts, "no sentence", ADD.format("<img src='x.svg' alt='../_images/1a2b.svg'>"),
    ),
    "one alternative text for two figures": (
        pages.alternative_texts, "another's", ADD.format("<img src='x.svg' alt='A curve that falls to zero.'>" * 2),
    ),
    "an image that does not load": (pages.images, "missing.svg", ADD.format("<img src='missing.svg'>")),
    "pale letters": (pages.accessibility, "color-contrast", ADD.format(PALE)),
    "pale letters in a fold": (
        pages.accessibility, "color-contrast", ADD.format(f"<details><summary>Fold</summary>{PALE}</details>"),
    ),
    "a button without a name": (pages.accessibility, "button-name", ADD.format("<button></button>")),
    "a heading out of order": (pages.accessibility, "heading-order", ADD.format("<h6>Deep</h6>")),
    "a scroller out of the keyboard's reach": (
        pages.accessibility, "scrollable-region-focusable",
        # no <pre>: the theme mends those after 300 ms
        ADD.format(f"<div style='width: 9em; overflow: auto; white-space: pre' tabindex='-1'>{'Wide. ' * 60}</div>"),
    ),
    "a page that scrolls sideways": (pages.overflow, "<p.w>", ADD.format("<p class='w' style='width: 99em'>Wide.</p>")),
    "a fold that the keyboard does not open": (
        pages.folds, "does not open",
        ADD.format("<details onkeydown='event.preventDefault()'><summary>Fold</summary>In.</details>"),
    ),
    "a button that leads nowhere": (
        pages.dead_buttons, "thebe", ADD.format("<button class='thebe-launch-button'>Run</button>"),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def sound(browser, book_url):
    """A visit to a page with a formula and without a fault."""
    context = browser.new_context(viewport=pages.WIDE)
    yield pages.visit(context.new_page(), book_url, "chapters/notation")
    context.close()


@pytest.fixture
def seen(sound):
    """The same visit, cleaned of what the last test planted."""
    sound.page.evaluate("document.querySelectorAll('.planted').forEach((e) => e.remove())")
    sound.requests.clear()
    sound.errors.clear()
    return sound


@pytest.mark.parametrize("fault", PAGE_FAULTS)
def test_a_fault_in_a_page_is_found(seen, fault):
    check, message, script = PAGE_FAULTS[fault]
    assert not check(seen)
    seen.page.evaluate(f"async () => {{ {PLANT} {script}; }}")
    seen.page.wait_for_timeout(50)
    found = check(seen)
    assert any(message in fault for fault in found), found


@pytest.mark.parametrize(
    ("href", "message"),
    [
        ("missing.html", "page that does not exist"),
        ("references.html#missing", "anchor that does not exist"),
        ("#missing", "anchor that does not exist"),
        ("../", "page that does not exist"),
        ("javascript:void 0", "link to nowhere"),
    ],
)
def test_a_broken_link_is_found(seen, book, href, message):
    assert not pages.links(seen, book)
    link = f"<a class='planted' href='{href}'>link</a>"
    seen.page.evaluate("(html) => document.querySelector('article').insertAdjacentHTML('beforeend', html)", link)
    assert message in " ".join(pages.links(seen, book))


@pytest.mark.parametrize("base", ["book_url", "book"])
def test_a_fault_that_is_there_from_the_start_is_found(request, page, base):
    """The same checks, on a page that asks for a font from elsewhere and runs a broken script as it loads."""
    base = request.getfixturevalue(base)
    base = base if isinstance(base, str) else base.as_uri()

    def plant(route):
        body = (pages.ROOT / "_build/html/chapters/references.html").read_text()
        fault = '<link rel="stylesheet" href="https://elsewhere.test/font.css"><script>missing.name</script>'
        route.fulfill(body=body.replace("</head>", fault + "</head>"), content_type="text/html")

    page.route("**/references.html", plant)
    seen = pages.visit(page, base, "chapters/references")
    assert pages.foreign_requests(seen) == ["request to another host: https://elsewhere.test/font.css"]
    assert any(error.startswith("script: missing is not defined") for error in pages.errors(seen))


# ---------------------------------------------------------------- notebooks


def svg(text: str = "") -> str:
    return f'<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0h9"/>{text}</svg>'


def chapter():
    """A notebook that passes every check."""
    markdown, code, show = v4.new_markdown_cell, v4.new_code_cell, v4.new_output
    figure = code("draw()", outputs=[show("display_data", {"image/svg+xml": svg()})])
    figure.metadata["mystnb"] = {"image": {"alt": "A curve that falls to zero."}}
    printed = [show("stream", name="stdout", text="0.5\n")]
    table = [show("execute_result", {"text/html": "<table></table>", "text/plain": "0"}, execution_count=1)]
    cells = [
        markdown("# Steps\n\nHow long is a step? You need nothing. 1 minutes to read, 2 seconds to run."),
        markdown("## The picture"),
        figure,
        markdown("## The equation\n\n$$x$$\n\n{cite}`cauchy1847methode`"),
        markdown("## The code"),
        code("Code(inspect.getsource(step), language='python')"),
        markdown("## The proof"),
        code("proof('step')", outputs=table),
        markdown("## The experiment"),
        code("print(loss)", outputs=printed),
        markdown("## When it fails\n\nNever."),
        markdown("## Exercises\n\n```{exercise} One\n:label: one\n## not a heading\n```"),
        code("answer = ...\ncheck(1, answer)"),
        markdown("```{solution-start} one\n:class: dropdown\n```"),
        markdown("```{solution-end}\n```"),
        markdown("## Summary\n\n" + "Five lines. " * 15),
    ]
    notebook = v4.new_notebook(cells=cells, metadata={"kernelspec": dict(notebooks.KERNEL)})
    for number, cell in enumerate(notebooks.code_cells(notebook), start=1):
        cell.execution_count = number
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = number
    return notebook


def at(notebook, start):
    """The cell whose source begins with ``start``."""
    return next(cell for cell in notebook.cells if cell.source.startswith(start))


def replace(old, new):
    """Write ``new`` for ``old`` in every cell."""

    def change(notebook):
        for cell in notebook.cells:
            cell.source = cell.source.replace(old, new)

    return change


def printing(text, name="stdout"):
    """Let the experiment print ``text``."""
    return lambda notebook: at(notebook, "print").outputs.append(v4.new_output("stream", name=name, text=text))


def showing(start, kind, data):
    """Let the cell that begins with ``start`` show ``data``."""
    return lambda notebook: at(notebook, start).outputs[0].data.update({kind: data})


def silencing(start):
    """Take the outputs of the cell that begins with ``start``."""
    return lambda notebook: at(notebook, start).update(outputs=[])


def raise_error(notebook):
    at(notebook, "print").outputs.append(v4.new_output("error", ename="ValueError", evalue="no", traceback=[]))


def grow_old(notebook):
    notebook.nbformat_minor = 4
    for cell in notebook.cells:
        del cell["id"]


IGNORE = "# NBVAL_IGNORE_OUTPUT\n"

# Each fault: the check that must find it, what it must say, and a function that plants it in the notebook.
NOTEBOOK_FAULTS = {
    "a cell without source": (notebooks.is_valid, "not a valid", lambda n: n.cells[0].pop("source")),
    "an old format": (notebooks.is_valid, "older", grow_old),
    "a cell run twice": (notebooks.ran_in_order, "numbered", lambda n: at(n, "draw").update(execution_count=7)),
    "a cell not run": (notebooks.ran_in_order, "numbered", lambda n: at(n, "print").update(execution_count=None)),
    "an exception": (notebooks.ran_without_error, "ValueError", raise_error),
    "a warning": (notebooks.ran_without_error, "stderr", printing("deprecated", name="stderr")),
    "a path printed": (notebooks.no_machine_paths, "/home/ada/b.py", printing("in /home/ada/b.py")),
    "a path in a table": (notebooks.no_machine_paths, "/tmp/x", showing("proof", "text/html", "<table> /tmp/x")),
    "a path of Windows": (notebooks.no_machine_paths, "C:", printing(r"in C:\Users\ada")),
    "a mark left in the prose": (notebooks.prose_is_finished, "too XX", replace("Never.", "Never, too XX.")),
    "another kernel": (notebooks.metadata, "kernelspec", lambda n: n.metadata.kernelspec.update(name="venv")),
    "a Python version": (notebooks.metadata, "language_info", lambda n: n.metadata.update(language_info={"name": "p"})),
    "a skipped cell": (
        notebooks.compared_outputs, "nbval-skip", lambda n: at(n, "draw").metadata.update(tags=["nbval-skip"]),
    ),
    "a comment that skips": (notebooks.compared_outputs, "NBVAL_SKIP", replace("print(", "# NBVAL_SKIP\nprint(")),
    "too many ignored outputs": (
        notebooks.compared_outputs, "NBVAL_IGNORE_OUTPUT", replace("check(", IGNORE + IGNORE + "check("),
    ),
    "a bitmap": (notebooks.compared_outputs, "image/png", showing("draw", "image/png", "iVBORw0KGgo=")),
    "no alternative text": (
        notebooks.figures_are_described, "no sentence", lambda n: at(n, "draw").metadata.pop("mystnb"),
    ),
    "no sentence": (
        notebooks.figures_are_described, "no sentence",
        lambda n: at(n, "draw").metadata.mystnb.image.update(alt="loss curve"),
    ),
    "one text for two figures": (
        notebooks.figures_are_described, "another's", lambda n: n.cells.append(copy.deepcopy(at(n, "draw"))),
    ),
    "a heavy figure": (notebooks.sizes, "an output of 'draw()'", showing("draw", "image/svg+xml", svg("x" * 300_000))),
    "a heavy notebook": (notebooks.sizes, "the notebook has", replace("Never.", "Never. " * 300_000)),
    "a section missing": (notebooks.form, "the sections are", replace("## The proof", "**The proof**")),
    "a section more": (notebooks.form, "the sections are", replace("## When it fails", "## Aside\n\n## When it fails")),
    "no title": (notebooks.form, "begins with its title", replace("# Steps", "Steps")),
    "no question": (notebooks.form, "asks a question", replace("?", ".")),
    "no prerequisites": (notebooks.form, "says what you need", replace("You need nothing.", "")),
    "no time": (notebooks.form, "how long it takes", replace("minutes", "")),
    "no picture": (notebooks.form, "shows a picture", silencing("draw")),
    "no equation": (notebooks.form, "writes an equation", replace("$$x$$", "x")),
    "code pasted": (notebooks.form, "library's own source", replace("inspect.getsource(step)", "'x = x - lr * g'")),
    "no proof": (notebooks.form, "proves in a table", silencing("proof")),
    "no experiment": (notebooks.form, "runs an experiment", silencing("print")),
    "no source": (notebooks.form, "cites its sources", replace("{cite}", "")),
    "no summary": (notebooks.form, "ends in a summary", replace("Five lines. ", "")),
    "no solution": (notebooks.form, "do not match", replace("{solution-start} one", "{note}")),
    "a solution that does not fold": (notebooks.form, "do not match", replace(":class: dropdown\n", "")),
    "an answer never checked": (notebooks.form, "never checked", replace("check(", "print(")),
}  # fmt: skip


def test_the_sound_notebook_passes():
    assert [fault for check in notebooks.CHECKS for fault in check(chapter())] == []


@pytest.mark.parametrize("fault", NOTEBOOK_FAULTS)
def test_a_fault_in_a_notebook_is_found(fault):
    check, message, plant = NOTEBOOK_FAULTS[fault]
    notebook = chapter()
    plant(notebook)
    assert message in " ".join(check(notebook))


# ---------------------------------------------------------------- nbval


def run(*command, **options):
    environment = {**os.environ, "PATH": os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, **options)


def test_nbval_compares_text_and_drawings(tmp_path):
    """Stored outputs that the code does not print, and drawings that it does not draw, make nbval fail."""
    code = v4.new_code_cell
    sound = v4.new_notebook(metadata={"kernelspec": notebooks.KERNEL})
    sound.cells = [
        code("from IPython.display import SVG, display\nfrom lib.figures import use_book_style\nuse_book_style()"),
        code("print('loss', 1 / 8)"),
        code("import matplotlib.pyplot as plt\nplt.plot([0, 1, 3])\nplt.show()"),
        code("print('deviation', 3e-16)"),
        code("import pandas\npandas.DataFrame({'loss': [0.5]})"),
    ]
    nbformat.write(sound, tmp_path / "sound.ipynb")
    execute = run("jupyter", "nbconvert", "--to", "notebook", "--inplace", "--execute", "sound.ipynb", cwd=tmp_path)
    assert execute.returncode == 0, execute.stderr
    stored = nbformat.read(tmp_path / "sound.ipynb", nbformat.NO_CONVERT)

    def output(cell, old, new):
        changed = copy.deepcopy(stored)
        before = str(changed.cells[cell].outputs)
        for shown in changed.cells[cell].outputs:
            holder, keys = (shown.data, list(shown.data)) if "data" in shown else (shown, ["text"])
            for key in keys:
                holder[key] = holder[key].replace(old, new)
        assert str(changed.cells[cell].outputs) != before
        return changed

    silent = copy.deepcopy(stored)
    silent.cells[1].outputs = []
    books = {
        "sound": (stored, True),
        "other_rounding": (output(3, "3e-16", "9.1e-17"), True),  # as another processor may round
        "other_size": (output(3, "3e-16", "3e-10"), False),
        "other_text": (output(1, "0.125", "0.126"), False),
        "other_drawing": (output(2, "L ", "L 1"), False),
        "other_table": (output(4, "0.5", "0.6"), False),
        "no_output": (silent, False),
    }
    for name, (notebook, _) in books.items():
        nbformat.write(notebook, tmp_path / f"{name}.ipynb")
    sanitize = pages.ROOT / "tests" / "nbval_sanitize.cfg"
    result = run(sys.executable, "-m", "pytest", "--nbval", "--nbval-sanitize-with", sanitize, "-rA", "-p",
                 "no:cacheprovider", "-p", "no:xdist", "--rootdir", tmp_path, tmp_path, cwd=tmp_path)  # fmt: skip
    for name, (_, passes) in books.items():
        assert (f"FAILED {name}.ipynb" not in result.stdout) == passes, f"{name}\n{result.stdout[-3000:]}"
        assert f"PASSED {name}.ipynb" in result.stdout, result.stdout[-3000:]


# ---------------------------------------------------------------- the build


def test_a_warning_stops_the_build(tmp_path):
    """A book of one page, built as `make book` builds: sound, it builds; with faults, each is named and it fails."""
    for name in ("_config.yml", "references.bib"):
        shutil.copy(pages.ROOT / name, tmp_path)
    (tmp_path / "assets").symlink_to(pages.ROOT / "assets")
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: intro\n")
    sound = "# A page\n\n(here)=\n## A section\n\n{ref}`here` {cite}`kingma2015adam` $x$\n\n```{bibliography}\n```\n"
    recipe = next(line for line in (pages.ROOT / "Makefile").read_text().splitlines() if "jupyter-book build" in line)
    build = recipe.split()

    (tmp_path / "intro.md").write_text(sound)
    result = run(*build, cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr

    faults = {
        "{ref}`nowhere`": "undefined label: 'nowhere'",
        "{doc}`missing`": "unknown document: 'missing'",
        "{eq}`nothing`": "equation not found: nothing",
        "{cite}`nobody2000nothing`": 'could not find bibtex key "nobody2000nothing"',
        "[a link](missing.md)": "missing.md",
        "![a picture](missing.svg)": "image file not readable: missing.svg",
        "{norole}`x`": 'Unknown interpreted text role "norole"',
        "```{nodirective}\n```": "Unknown directive type: 'nodirective'",
    }
    (tmp_path / "intro.md").write_text(sound + "\n\n".join(faults))
    result = run(*build, cwd=tmp_path)
    assert result.returncode != 0
    said = result.stdout + result.stderr
    assert [message for message in faults.values() if message not in said] == []
    assert run(*build, cwd=tmp_path).returncode != 0  # a second build reads every page again
