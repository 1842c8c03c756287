"""Every page of the built book, in a browser: nothing from outside, nothing broken, readable by everyone."""

import pytest

from tests import pages


@pytest.fixture(scope="module", params=pages.names())
def online(request, browser, book_url):
    """One visit to a page that the tests of that page share."""
    context = browser.new_context(viewport=pages.WIDE)
    yield pages.visit(context.new_page(), book_url, request.param)
    context.close()


@pytest.fixture(scope="module", params=pages.names())
def from_disk(request, browser, book):
    """The same page, opened from its file."""
    context = browser.new_context(viewport=pages.WIDE)
    yield pages.visit(context.new_page(), book.as_uri(), request.param)
    context.close()


@pytest.mark.parametrize(
    "check", [pages.foreign_requests, pages.errors, pages.mathematics, pages.images], ids=lambda check: check.__name__
)
class TestEverywhere:
    def test_online(self, online, check):
        assert not check(online)

    def test_from_disk(self, from_disk, check):
        assert not check(from_disk)


@pytest.mark.parametrize(
    "check", [pages.alternative_texts, pages.dead_buttons, pages.folds], ids=lambda check: check.__name__
)
def test_page(online, check):
    assert not check(online)


def test_links(online, book):
    assert not pages.links(online, book)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("window", [pages.WIDE, pages.PHONE], ids=["wide", "phone"])
def test_accessibility(online, window, theme):
    online.page.set_viewport_size(window)
    pages.set_theme(online.page, theme)
    assert not pages.accessibility(online)


def test_no_sideways_scrolling(online):
    online.page.set_viewport_size(pages.PHONE)
    assert not pages.overflow(online)


@pytest.fixture
def chapter(page, book_url):
    """The first chapter, open."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    return pages.visit(page, book_url, pages.names()[1]).page


def test_code_is_copied(chapter):
    code = chapter.locator("main div.cell_input pre:visible").first
    code.hover()
    code.locator("xpath=..").locator("button.copybtn").click()
    assert chapter.evaluate("navigator.clipboard.readText()").strip() == code.inner_text().strip()


def test_theme_is_chosen_and_kept(chapter):
    themes = set()
    for _ in range(3):  # light, dark, as the system has it
        chapter.locator(".theme-switch-button:visible").click()
        before = chapter.evaluate("document.documentElement.dataset.mode")
        chapter.reload()
        assert chapter.evaluate("document.documentElement.dataset.mode") == before
        themes.add((before, chapter.evaluate("getComputedStyle(document.body).backgroundColor")))
    assert {mode for mode, _ in themes} == {"light", "dark", "auto"}
    assert len({color for _, color in themes}) == 2


def test_numbers_stand_under_numbers(chapter):
    columns = chapter.evaluate("""() => [...document.querySelectorAll("table.dataframe")].map((table) => ({
        names: [...table.tHead.rows].map((row) => [...row.cells].map((cell) => cell.textContent.trim())),
        cells: [...table.querySelectorAll("td.number")].map((cell) => cell.textContent.trim()),
        aligned: [...table.querySelectorAll(".number")].map((cell) => getComputedStyle(cell).textAlign),
    }))""")
    assert any(column["cells"] for column in columns)
    for column in columns:
        assert len(column["names"]) == 1, "the index's name stands beside the columns' names"
        assert set(column["aligned"]) <= {"right"}
        assert all(
            any(digit in cell for digit in "0123456789") for cell in column["cells"] if cell not in ("", "nan", "inf")
        )


def test_dark_figures_are_inverted_and_photographs_are_not(chapter):
    pages.set_theme(chapter, "dark")
    filters = chapter.evaluate("""() => {
        const output = document.querySelector("div.cell_output img").parentElement;
        output.insertAdjacentHTML("beforeend", '<img src="photograph.png"><img class="as-drawn" src="drawing.svg">');
        return [...output.querySelectorAll("img")].map((image) => getComputedStyle(image).filter);
    }""")
    assert filters == ["invert(1) hue-rotate(180deg)", "none", "none"]


def test_paper_is_white(chapter):
    pages.set_theme(chapter, "dark")
    chapter.evaluate("addEventListener('beforeprint', () => (window.printed = document.documentElement.dataset.theme))")
    chapter.pdf()
    assert chapter.evaluate("[window.printed, document.documentElement.dataset.theme]") == ["light", "dark"]


@pytest.mark.parametrize("base", ["book_url", "book"])
def test_search_finds_and_leads_there(request, page, base):
    base = request.getfixturevalue(base)
    base = base if isinstance(base, str) else base.as_uri()
    seen = pages.visit(page, base, pages.names()[0])
    page.keyboard.press("Control+k")
    page.locator("#pst-search-dialog input").fill("gradient")
    page.keyboard.press("Enter")
    page.locator("#search-results li a").first.wait_for()
    page.wait_for_function("document.querySelector('.search-summary')?.textContent.match(/found \\d+ page/)")
    page.locator("#search-results li a").first.click()
    page.wait_for_url(lambda url: "search.html" not in url)
    assert "gradient" in page.locator("article").inner_text().lower()
    assert not pages.errors(seen) + pages.foreign_requests(seen)
