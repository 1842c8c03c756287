"""What can be told from a notebook's file. That its outputs are still what its code prints is nbval's to tell."""

import nbformat
import pytest
import yaml

from tests import notebooks, pages

FOLDER = pages.ROOT / "chapters"
CHAPTERS = {path.stem: nbformat.read(path, nbformat.NO_CONVERT) for path in sorted(FOLDER.glob("*.ipynb"))}


PARTS = yaml.safe_load((pages.ROOT / "_toc.yml").read_text())["parts"]
REFERENCE = {it["file"] for part in PARTS if part["caption"] == "Reference" for it in part["chapters"]}


@pytest.mark.parametrize("name", CHAPTERS)
@pytest.mark.parametrize("check", notebooks.CHECKS, ids=lambda check: check.__name__)
def test_notebook(name, check):
    if check is notebooks.form and f"chapters/{name}" in REFERENCE:
        pytest.skip("a page to look things up in does not have the form of a chapter")
    assert not check(CHAPTERS[name])


def test_no_two_figures_of_the_book_share_their_alternative_text():
    texts = [alt for notebook in CHAPTERS.values() for _, alt in notebooks.alternative_texts(notebook)]
    assert len(texts) > len(CHAPTERS)
    assert len(set(texts)) == len(texts)


def test_the_table_of_contents_lists_every_chapter():
    files = {f"chapters/{path.stem}" for path in FOLDER.iterdir() if path.suffix in (".ipynb", ".md")}
    assert files == {name for name in pages.names() if name.startswith("chapters/")}
