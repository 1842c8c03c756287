"""Photograph TensorBoard with the runs of the page on tools: execute chapters/tools.ipynb, then

python assets/tools/screenshot.py
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
            page = browser.new_page(viewport={"width": 1200, "height": 760})
            page.goto(f"{address}?darkMode={'true' if theme == 'dark' else 'false'}#timeseries")
            page.locator("[data-value=scalars]").click()
            for group in "loss", "update ratio":
                page.get_by_text(group, exact=True).first.click()
            page.wait_for_timeout(3000)
            page.screenshot(path=folder / f"tensorboard-{theme}.png")
        browser.close()


if __name__ == "__main__":
    photograph(LOGS, HERE)
