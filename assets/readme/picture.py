"""Draw the picture of the front page and of the README, once for light pages and once for dark ones.

python assets/readme/picture.py
"""

import io
import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from lib.figures import COLORS, contours, on_dark, use_book_style, walk
from lib.landscapes import LANDSCAPES, Landscape, quadratic
from lib.optimizers import RULES, Optimizer
from lib.training import History, objective, train

DISH, STEPS = quadratic(20, "dish"), 40
# Gradient descent at three rates: (rate, where its name stands beside its loss, in points).
WALKS = {"too small": (0.004, (-4, 8)), "about right": (0.09, (-8, -4)), "too large": (0.102, (-8, -4))}
# Three rules, and where the name of each stands beside its walk.
RULES_SHOWN = {"gradient_descent": (1.25, -1.2), "momentum": (0.75, -1.93), "adam": (-0.8, 0.6)}


def run(landscape: Landscape, rule: str, lr: float) -> History:
    """Take ``STEPS`` steps down ``landscape``."""
    return train(objective(landscape), [np.array(landscape.start)], Optimizer(RULES[rule], lr=lr), steps=STEPS)


def best(landscape: Landscape, rule: str) -> History:
    """The run that ends lowest, among 41 rates from 1e-5 to 1."""
    runs = [run(landscape, rule, lr) for lr in np.geomspace(1e-5, 1, 41)]
    return min((history for history in runs if history.stopped_by != "diverged"), key=lambda h: h.losses[-1])


def until_it_leaves(path: np.ndarray, landscape: Landscape) -> np.ndarray:
    """The walk up to the first step that ends outside the landscape's window."""
    low, high = np.array(landscape.window).T
    outside = ((path < low) | (path > high)).any(axis=1)
    return path[: outside.argmax() + 1] if outside.any() else path


def draw() -> plt.Figure:
    """Above, gradient descent at three rates. Below, its loss at every rate; and three rules, each at its best."""
    above = [name for name in WALKS for _ in range(2)]
    figure, axes = plt.subplot_mosaic(
        [above, ["rates"] * 3 + ["rules"] * 3], figsize=(6.4, 5.4), height_ratios=(1, 1.6)
    )
    color = COLORS["gradient_descent"]

    rates = np.geomspace(1e-3, 0.11, 200)
    losses = [run(DISH, "gradient_descent", lr).losses[-1] for lr in rates]
    axes["rates"].plot(rates, losses, color=color)
    axes["rates"].set(title="Gradient descent at every rate", xscale="log", yscale="log", ylim=(1e-4, 1e3),
                      xlabel="learning rate", ylabel=f"loss after {STEPS} steps")  # fmt: skip
    for name, (lr, place) in WALKS.items():
        history = run(DISH, "gradient_descent", lr)
        contours(axes[name], DISH, levels=9)
        walk(axes[name], until_it_leaves(history.path, DISH), color)
        axes[name].set(title=f"{name}: {lr:g}")
        end = lr, history.losses[-1]
        axes["rates"].plot(*end, "o", color=color)
        axes["rates"].annotate(
            name, end, xytext=place, textcoords="offset points", ha="right" if place[1] < 0 else "center"
        )

    contours(axes["rules"], LANDSCAPES["beale"])
    for rule, place in RULES_SHOWN.items():
        walk(axes["rules"], best(LANDSCAPES["beale"], rule).path, COLORS[rule])
        name = "Adam" if rule == "adam" else rule.replace("_", " ")
        axes["rules"].text(*place, name, color=COLORS[rule])
    axes["rules"].set(title="Three rules, each at its best rate")

    for name in [*WALKS, "rules"]:
        axes[name].set(xlabel="", ylabel="", xticks=[], yticks=[])
        axes[name].spines[:].set_visible(False)
    return figure


def svg(figure: plt.Figure) -> str:
    """The figure as SVG text, its outlines rounded to a hundredth of a point.

    A line that ends where it began is not said to be closed: whether it meets itself in the last digit, which is more
    than one can see, depends on the processor.
    """
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    text = re.sub(r'z\n(?=" clip-path="[^"]*" style="fill: none)', "", file.getvalue())
    return re.sub(r' d="[^"]*"', lambda outline: re.sub(r"(\.\d\d)\d+", r"\1", outline[0]), text)


def for_dark_pages(light: str) -> str:
    """The same SVG as the book's style sheet shows figures on a dark page: inverted, and the hue turned back."""

    # What has no color of its own is black in an SVG, unless its root says otherwise.
    return re.sub(r"#[0-9a-f]{6}\b", lambda color: on_dark(color[0]), light).replace("<svg ", '<svg fill="#ffffff" ', 1)


def write(folder: Path) -> None:
    """Write ``light.svg`` and ``dark.svg`` into ``folder``."""
    use_book_style()
    light = svg(draw())
    (folder / "light.svg").write_text(light)
    (folder / "dark.svg").write_text(for_dark_pages(light))


if __name__ == "__main__":
    write(Path(__file__).parent)
