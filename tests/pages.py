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
    page.emulate_media(reduced_motion="reduce")
    page.goto(f"{base}/{name}.html")
    settle(page)
    return seen


def settle(page: Page) -> None:
    """Wait for the mathematics, the images and the playgrounds."""
    page.evaluate("""async () => {
        await window.MathJax?.startup?.promise;
        await Promise.all([...document.querySelectorAll("optimizer-playground")].map((p) => p.ready));
        await Promise.all([...document.images].map((image) => image.decode().catch(() => {})));
    }""")


# A short name for an element in a message: its tag, id or class, and how its text begins.
DESCRIBE = """const describe = (e) => `<${e.localName}${e.id ? "#" + e.id : ""}${
    e.classList.length ? "." + [...e.classList].join(".") : ""}> ${e.textContent.trim().replace(/\\s+/g, " ").slice(0, 60)}`;"""


def foreign_requests(seen: Visit) -> list[str]:
    """A page asks only its own host, or on disk its own folder."""
    own = (seen.base + "/", "data:", "blob:")
    return [f"request to another host: {url}" for url in seen.requests if not url.startswith(own)]


def errors(seen: Visit) -> list[str]:
    """No error in the console, no exception, no request that fails."""
    return list(seen.errors)


def mathematics(seen: Visit) -> list[str]:
    """Every formula is drawn, none is an error message, and no markup is left in the text."""
    return seen.page.evaluate("""() => {
        %s
        const faults = [];
        for (const e of document.querySelectorAll(".math"))
            if (!e.querySelector("mjx-container")) faults.push(`formula not drawn: ${describe(e)}`);
        for (const e of document.querySelectorAll(
            "mjx-merror, [data-mml-node=merror], [data-mjx-error], mjx-container [fill=red]"))
            faults.push(`formula with an error: ${describe(e.closest(".math") ?? e)}`);
        const markup = /\\$\\$|\\$[^$\\s][^$]*\\$|\\\\[(\\[]|\\\\begin\\{|\\\\[a-z]{2,}|\\{[a-z:]+\\}`|^:{3,}|^`{3,}/m;
        const text = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
        while (text.nextNode()) {
            const e = text.currentNode.parentElement;
            if (e.closest("mjx-container, pre, code, script, style, optimizer-playground")) continue;
            const found = text.currentNode.data.match(markup);
            if (found) faults.push(`raw markup "${found[0]}" in ${describe(e)}`);
        }
        return faults;
    }""" % DESCRIBE)


def is_sentence(text: str) -> bool:
    """Whether ``text`` may stand for a figure: a sentence of at least five words, not a path."""
    return bool(re.fullmatch(r"[A-Z0-9].*[.!?]", text.strip(), re.S)) and len(text.split()) >= 5 and "_images/" not in text


def alternative_texts(seen: Visit) -> list[str]:
    """Every figure has alternative text: a sentence, and no other figure's."""
    figures = seen.page.eval_on_selector_all(
        ".bd-article img:not(.only-dark)", "images => images.map((e) => [e.getAttribute('src'), e.getAttribute('alt') ?? ''])"
    )
    texts = [text for _, text in figures]
    return [f"alternative text of {source} is no sentence: {text!r}" for source, text in figures if not is_sentence(text)] + [
        f"alternative text of {source} is another figure's: {text!r}" for source, text in figures if texts.count(text) > 1
    ]


def images(seen: Visit) -> list[str]:
    """Every image loads."""
    return seen.page.evaluate("""() => [...document.images]
        .filter((image) => !image.complete || !image.naturalWidth).map((image) => `image does not load: ${image.src}`)""")


def accessibility(seen: Visit) -> list[str]:
    """No violation of axe-core's rules, best practices included, with every fold open."""
    page = seen.page
    if not page.evaluate("!!window.axe"):
        page.evaluate(AXE.read_text())
    page.add_style_tag(content="* { transition: none !important; animation: none !important; }")
    page.evaluate("""async () => {
        document.querySelectorAll(".bd-article details").forEach((e) => (e.open = true));
        document.querySelectorAll(".toggle-button-hidden").forEach((e) => e.click());
        for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
    }""")
    violations = page.evaluate("axe.run({preload: false, resultTypes: ['violations']}).then((r) => r.violations)")
    return [
        f"{rule['id']}: {rule['help']}: {node['html'][:160]} ({node['failureSummary'].splitlines()[-1].strip()[:160]})"
        for rule in violations
        for node in rule["nodes"]
    ]


def overflow(seen: Visit) -> list[str]:
    """The page does not scroll sideways."""
    return seen.page.evaluate("""() => {
        %s
        const width = document.documentElement.clientWidth;
        if (document.documentElement.scrollWidth <= width) return [];
        const scrolls = (e) => e && e !== document.body &&
            (getComputedStyle(e).overflowX !== "visible" || scrolls(e.parentElement));
        const wide = [...document.body.querySelectorAll("*")]
            .filter((e) => e.getBoundingClientRect().right > width + 1 && !scrolls(e.parentElement));
        return [`the page is ${document.documentElement.scrollWidth} pixels wide in a window of ${width}: ` +
            wide.slice(0, 3).map(describe).join("; ")];
    }""" % DESCRIBE)


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
        address = urlsplit(href[len(seen.base) :])
        target, anchor = book / unquote(address.path).lstrip("/"), unquote(address.fragment)
        target = target / "index.html" if target.is_dir() else target
        if not target.is_file():
            faults.append(f"link to a page that does not exist: {href}")
        elif anchor and target.suffix == ".html" and anchor not in _anchors(target, target.stat().st_mtime):
            faults.append(f"link to an anchor that does not exist: {href}")
    return faults


def folds(seen: Visit) -> list[str]:
    """Every folded part opens and closes again with the keyboard."""
    page, faults = seen.page, []
    for button in page.locator("main .toggle-button, main summary").all():
        is_open = "e => e.matches('summary') ? e.parentElement.open : e.ariaExpanded === 'true' && " \
            "!e.closest('.toggle').classList.contains('toggle-hidden')"  # fmt: skip
        before = button.evaluate(is_open)
        states = []
        for _ in range(2):
            button.focus()
            page.keyboard.press("Enter")
            states.append(button.evaluate(is_open))
        if states != [not before, before]:
            faults.append(f"does not open with the keyboard: {button.evaluate('e => e.outerHTML')[:120]}")
    return faults


def dead_buttons(seen: Visit) -> list[str]:
    """No button that leads to a repository or to a hosted notebook, of which the book has none."""
    selector = ".dropdown-launch-buttons, .dropdown-source-buttons, .btn-fullscreen-button, .thebe-launch-button"
    return [f"button without a purpose: {html[:120]}"
            for html in seen.page.eval_on_selector_all(selector, "all => all.map((e) => e.outerHTML)")]  # fmt: skip


def set_theme(page: Page, theme: str) -> None:
    """Show the page ``light`` or ``dark``, as the theme's switch does."""
    page.evaluate("""(theme) => {
        document.documentElement.dataset.mode = theme;
        document.documentElement.dataset.theme = theme;
    }""", theme)  # fmt: skip
