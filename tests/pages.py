"""The checks that every page of the built book has to pass.

`visit` opens a page; each check takes the visit and returns its faults, a list of sentences that name the rule and the
element. An empty list is a pass. ``test_pages.py`` runs the checks on the book, ``test_checks_can_fail.py`` on faults
planted one by one.
"""

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml
from playwright.sync_api import Page

ROOT = Path(__file__).parent.parent
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


def names() -> list[str]:
    """Every page of the book, in the order of its table of contents, and the search page."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    chapters = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    return [toc["root"], *chapters, "search"]


@dataclass
class Visit:
    """A page that was opened, and what was seen of it from the outside."""

    page: Page
    base: str
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def visit(page: Page, base: str, name: str) -> Visit:
    """Open page ``name`` of the book at ``base`` (http://... or file://...) and wait until it stands still."""
    seen = Visit(page, base)
    page.on("request", lambda request: seen.requests.append(request.url))
    page.on("requestfailed", lambda request: seen.errors.append(f"request failed: {request.url} {request.failure}"))
    page.on("response", lambda r: seen.errors.append(f"status {r.status}: {r.url}") if r.status >= 400 else None)
    page.on("console", lambda m: seen.errors.append(f"console: {m.text}") if m.type == "error" else None)
    page.on("pageerror", lambda error: seen.errors.append(f"script: {error}"))
    page.add_init_script(path=Path(__file__).with_suffix(".js"))
    page.emulate_media(reduced_motion="reduce")
    page.goto(f"{base}/{name}.html")
    page.evaluate("checks.settle()")
    return seen


def set_theme(page: Page, theme: str) -> None:
    """Show the page ``light`` or ``dark``, as the theme's switch does."""
    page.evaluate("theme => Object.assign(document.documentElement.dataset, {mode: theme, theme})", theme)


def foreign_requests(seen: Visit) -> list[str]:
    """A page asks only its own host, or on disk its own folder."""
    own = (seen.base + "/", "data:", "blob:")
    return [f"request to another host: {url}" for url in seen.requests if not url.startswith(own)]


def errors(seen: Visit) -> list[str]:
    """No error in the console, no exception, no request that fails."""
    return list(seen.errors)


def mathematics(seen: Visit) -> list[str]:
    """Every formula is drawn, none is an error message, and no markup is left in the text."""
    return seen.page.evaluate("checks.mathematics()")


def images(seen: Visit) -> list[str]:
    """Every image loads."""
    return seen.page.evaluate("checks.images()")


def is_sentence(text: str) -> bool:
    """Whether ``text`` may stand for a figure: one sentence or more, at least five words, not a path."""
    text = text.strip()
    return bool(re.fullmatch(r"[A-Z0-9].*[.!?]", text, re.DOTALL)) and len(text.split()) >= 5 and "_images/" not in text


def alternative_texts(seen: Visit) -> list[str]:
    """Every figure has alternative text: a sentence, and no other figure's. The dark twin of a light figure may share
    its text."""
    figures = seen.page.eval_on_selector_all(
        ".bd-article img:not(.only-dark)", "all => all.map((e) => [e.getAttribute('src'), e.getAttribute('alt') ?? ''])"
    )
    texts = [text for _, text in figures]
    faults = [f"alternative text of {src} is no sentence: {text!r}" for src, text in figures if not is_sentence(text)]
    twice = [f"alternative text of {src} is another's: {text!r}" for src, text in figures if texts.count(text) > 1]
    return faults + twice


def accessibility(seen: Visit) -> list[str]:
    """No violation of axe-core's rules, best practices included, with every fold open."""
    if not seen.page.evaluate("!!window.axe"):
        seen.page.evaluate(AXE.read_text())
        seen.page.add_style_tag(content="* { transition: none !important; animation: none !important; }")
    seen.page.evaluate("checks.openEverything()")
    return seen.page.evaluate("checks.accessibility()")


def overflow(seen: Visit) -> list[str]:
    """The page does not scroll sideways."""
    return seen.page.evaluate("checks.overflow()")


@cache
def _anchors(file: Path, modified: float) -> set[str]:
    return set(re.findall(r'\sid="([^"]+)"', file.read_text()))


def links(seen: Visit, book: Path) -> list[str]:
    """Every link inside the book leads to a page and an anchor that exist. Links to other hosts are not followed."""
    faults = []
    for href in seen.page.eval_on_selector_all("a[href]", "links => links.map((e) => e.href)"):
        if not href.startswith(seen.base):
            if urlsplit(href).scheme not in ("http", "https", "mailto"):
                faults.append(f"link to nowhere: {href}")
            continue
        address = urlsplit(href.removeprefix(seen.base))
        target, anchor = book / unquote(address.path).lstrip("/"), unquote(address.fragment)
        if not target.is_file():
            faults.append(f"link to a page that does not exist: {href}")
        elif anchor and target.suffix == ".html" and anchor not in _anchors(target, target.stat().st_mtime):
            faults.append(f"link to an anchor that does not exist: {href}")
    return faults


def folds(seen: Visit) -> list[str]:
    """Every folded part opens with the keyboard, and closes again."""
    faults = []
    for button in seen.page.locator("main .toggle-button, main summary").all():
        before, states = button.evaluate("e => checks.isOpen(e)"), []
        for _ in range(2):
            button.focus()
            seen.page.keyboard.press("Enter")
            states.append(button.evaluate("e => checks.isOpen(e)"))
        if states != [not before, before]:
            faults.append(f"does not open with the keyboard: {button.evaluate('e => e.outerHTML')[:160]}")
    return faults


def dead_buttons(seen: Visit) -> list[str]:
    """No button that leads to a repository or to a hosted notebook, of which the book has none."""
    selector = ".dropdown-launch-buttons, .dropdown-source-buttons, .btn-fullscreen-button, .thebe-launch-button"
    buttons = seen.page.eval_on_selector_all(selector, "all => all.map((e) => e.outerHTML.slice(0, 160))")
    return [f"button without a purpose: {html}" for html in buttons]
