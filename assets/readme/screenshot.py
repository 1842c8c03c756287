"""Photograph a page of the built book for the README: `make book`, then

python assets/readme/screenshot.py
"""

import math
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
BOOK = HERE.parent.parent / "_build" / "html"
WALKS = {"gradient_descent": 0.03, "momentum": 0.003, "adam": 0.4}  # each near its best rate


def photograph(book: Path, picture: Path) -> None:
    """Set the playground of ``book``'s chapter on Adam up with three walks and write ``picture`` (PNG)."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=sys.argv[1] if sys.argv[1:] else None)
        page = browser.new_page(viewport={"width": 1280, "height": 740})
        page.goto((book / "chapters" / "adam.html").as_uri())
        playground = page.locator("optimizer-playground")
        playground.scroll_into_view_if_needed()
        playground.evaluate("e => e.setAttribute('landscape', 'beale')")
        for rule, lr in WALKS.items():
            playground.locator(f"label:has([value={rule}])").click()
            slide = "(slider, position) => { slider.value = position; slider.dispatchEvent(new Event('input')) }"
            playground.locator("[name=lr]").evaluate(slide, math.log10(lr))
            if rule != "adam":
                playground.locator("[name=keep]").click()
        page.mouse.move(0, 0)
        playground.evaluate("e => scrollTo(0, e.getBoundingClientRect().top + scrollY - 130)")
        page.wait_for_timeout(1000)
        page.screenshot(path=picture)
        browser.close()


if __name__ == "__main__":
    photograph(BOOK, HERE / "page.png")
