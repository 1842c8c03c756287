"""Photograph TensorBoard's card of the loss with the runs of the page on tools: execute chapters/tools.ipynb, then

python assets/tools/screenshot.py

A card is narrow enough to be read on a phone; the whole window is not.
"""

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright
from tensorboard import program

HERE = Path(__file__).parent
LOGS = HERE.parent.parent / "_build" / "runs"


def photograph(logs: Path, folder: Path) -> None:
    """Open the runs in ``logs`` and write ``folder``/tensorboard-light.png and -dark.png."""
    board = program.TensorBoard()
    board.configure(argv=[None, "--logdir", str(logs), "--port", "0"])
    address = board.launch()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=sys.argv[1] if sys.argv[1:] else None)
        for theme in "light", "dark":
            page = browser.new_page(viewport={"width": 690, "height": 900}, device_scale_factor=1.5)
            page.goto(f"{address}?darkMode={'true' if theme == 'dark' else 'false'}#timeseries")
            page.get_by_role("button", name="Settings").last.click()  # the pane takes half the width
            page.locator("[data-value=scalars]").click()
            page.get_by_text("loss", exact=True).first.click()
            page.wait_for_timeout(3000)
            title = page.get_by_title("loss", exact=True)  # not "final loss"
            page.locator("scalar-card").filter(has=title).first.screenshot(path=folder / f"tensorboard-{theme}.png")
        browser.close()


if __name__ == "__main__":
    photograph(LOGS, HERE)
