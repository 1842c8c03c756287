"""What several test files share: the built book, served on this machine, and a browser to read it with."""

import functools
import http.server
import os
import shutil
import sys
import threading
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parent.parent
BOOK = ROOT / "_build" / "html"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
# Nothing is fetched in the background, so that every request a test sees is the page's own.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--no-first-run"]  # fmt: skip

MOUNT = """async ([tag, attributes]) => {
    document.querySelectorAll(tag).forEach(element => element.remove());
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    document.querySelector("article").prepend(element);
    await element.ready;
}"""


def mounted(tag, page, **attributes):
    """An element of the book's own, with these attributes, at the top of the page in place of all others of its kind,
    when it is drawn."""
    page.evaluate(MOUNT, [tag, {name: str(value) for name, value in attributes.items()}])
    return page.locator(tag)


def open_intro(page, book_url, width, theme):
    """The book's first page, in this width and theme."""
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{book_url}/intro.html")
    page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)


def complaints_of_axe(page, tag) -> list:
    """What axe finds wrong with an element for readers with a screen reader, a keyboard or weak eyes."""
    page.add_script_tag(path=ROOT / "node_modules" / "axe-core" / "axe.min.js")
    results = page.evaluate("tag => axe.run(tag)", tag)
    return [(it["id"], it["nodes"][0]["html"]) for it in results["violations"]]


@pytest.fixture(autouse=True)
def threads():
    """Each test begins with as many threads of PyTorch as the first: with others sums end in other digits."""
    torch = sys.modules.get("torch")
    before = torch and torch.get_num_threads()
    yield
    if before:
        torch.set_num_threads(before)


@pytest.fixture(scope="session")
def book() -> Path:
    """The folder of the built HTML book."""
    if not (BOOK / "index.html").exists():
        pytest.fail("The book is not built: run `make book`.")
    return BOOK


@pytest.fixture(scope="session")
def book_url(book):
    """The address at which this test session serves the book."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=book)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium: the one installed here, or Playwright's own."""
    installed = os.environ.get("CHROME") or next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=installed, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser):
    """A new page of its own, closed after the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()


@pytest.fixture(params=["http", "file"])
def anywhere(request, page, book, book_url):
    """A page of the book, from a server and from disk, that fails the test if it complains or asks another host."""
    home = book_url if request.param == "http" else book.as_uri()
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: message.type in ("error", "warning") and complaints.append(message.text))
    page.on("request", lambda it: it.url.startswith((home, "data:")) or complaints.append(it.url))
    page.goto(f"{home}/intro.html")
    yield page
    assert complaints == []


@pytest.fixture
def here(page, book_url):
    """A page of the book, from a server."""
    page.goto(f"{book_url}/intro.html")
    return page
