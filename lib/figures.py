"""The book's one plotting style: one color an optimizer, direct labels, figures that survive a dark page.

Figures are SVG with a transparent ground and stored without a date, so that a rerun gives the same file. On a dark page
the book's style sheet inverts their lightness and keeps their hues; ``tests/test_figures.py`` measures the contrast of
every color on both grounds.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib_inline.backend_inline import set_matplotlib_formats

from lib.landscapes import Landscape

# One color and one dash an optimizer. The seven colors were chosen by search for the largest distance between any two,
# to readers with full color vision and to readers without red, green or blue cones, as drawn and as a dark page shows
# them. An eighth would be too near another, so later rules share them, with a dash of their own; the rules that one
# chapter draws together, which have one dash here, differ in color.
SOLID, DASHED, DOTTED, MIXED = (), (5, 2), (1.2, 1.8), (6, 2, 1.2, 2)
STYLES = {
    "gradient_descent": ("#000000", SOLID),
    "momentum": ("#3b71df", SOLID),
    "nesterov": ("#312390", SOLID),
    "adagrad": ("#338459", SOLID),
    "rmsprop": ("#b75600", SOLID),
    "adadelta": ("#a85d8d", SOLID),
    "adam": ("#77231c", SOLID),
    "adamw": ("#3b71df", DASHED),
    "nadam": ("#312390", DASHED),
    "amsgrad": ("#338459", DASHED),
    "adamax": ("#b75600", DASHED),
    "radam": ("#a85d8d", DASHED),
    "rprop": ("#000000", DASHED),
    "lion": ("#3b71df", DOTTED),
    "adan": ("#312390", DOTTED),
    "sophia": ("#338459", DOTTED),
    "schedule_free_sgd": ("#000000", DOTTED),
    "schedule_free_adamw": ("#77231c", DOTTED),
    "centered_rmsprop": ("#b75600", DOTTED),
    "lars": ("#000000", MIXED),
    "lamb": ("#77231c", MIXED),
    "adafactor": ("#a85d8d", MIXED),
    "shampoo": ("#338459", MIXED),
    "soap": ("#312390", MIXED),
    "muon": ("#b75600", MIXED),
}
COLORS = {name: color for name, (color, _) in STYLES.items()}
PALETTE = list(dict.fromkeys(COLORS.values()))
MINIMUM = "#595959"  # the star on a minimum
CONTOUR = "#8c8c8c"


def on_dark(color: str) -> str:
    """``color`` as the book's style sheet shows it on a dark page: inverted, with its hue turned back."""
    rgb = 1 - np.array(to_rgb(color))
    return to_hex((2 * rgb @ (0.213, 0.715, 0.072) - rgb).clip(0, 1))


def style(name: str) -> dict:
    """How the line of an optimizer is drawn: color and dash, as arguments of ``ax.plot``."""
    color, dash = STYLES[name]
    return {"color": color, "linestyle": (0, dash) if dash else "-"}


def use_book_style() -> None:
    """Set Matplotlib up for a chapter; call it in the chapter's first cell."""
    set_matplotlib_formats("svg", metadata={"Date": None})
    plt.rcParams.update(
        {
            "svg.hashsalt": "step size",
            "path.simplify": False,  # which points it drops hangs on the last digit, so on the processor
            "svg.fonttype": "path",
            "figure.figsize": (7, 4),
            "figure.facecolor": "none",
            "figure.constrained_layout.use": True,
            "axes.facecolor": "none",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlelocation": "left",
            "axes.titlesize": "medium",
            "axes.prop_cycle": plt.cycler(color=PALETTE),
            "axes.grid": False,
            "lines.linewidth": 1.8,
            "legend.frameon": False,
            "font.size": 11,
        }
    )


def contours(ax: Axes, landscape: Landscape, levels: int = 14) -> None:
    """Draw ``landscape`` as contour lines in its window, evenly spaced in the logarithm of its height above the lowest
    point drawn, with a star on each minimum."""
    (x0, x1), (y0, y1) = landscape.window
    x, y = np.meshgrid(np.linspace(x0, x1, 161), np.linspace(y0, y1, 161))
    height = landscape.value(x, y)
    height = height - height.min()
    lines = np.geomspace(np.quantile(height, 0.01) + 1e-9, height.max(), levels + 1)[:-1]  # the highest is a corner
    ax.contour(x, y, height, levels=lines, colors=CONTOUR, linewidths=0.7)
    for minimum in landscape.minima:
        ax.plot(*minimum, "*", color=MINIMUM, markersize=11, zorder=4)
    ax.set(xlim=(x0, x1), ylim=(y0, y1), xlabel="$x$", ylabel="$y$")


def walk(ax: Axes, path: np.ndarray, color: str, label: str = "") -> None:
    """Draw a path of shape (steps + 1, 2) with a dot a step, an open circle at its start, and ``label`` at its end."""
    ax.plot(path[:, 0], path[:, 1], "o-", color=color, markersize=2.6, linewidth=1.2, zorder=3)
    ax.plot(*path[0], "o", color=color, markerfacecolor="none", markersize=8, zorder=3)
    if label:
        ax.annotate(label, path[-1], xytext=(5, 5), textcoords="offset points", color=color)


def label_line(ax: Axes, label: str, color: str, index: int = -1, line: int = -1) -> None:
    """Write ``label`` beside point ``index`` of line number ``line`` of ``ax``: a direct label in place of a legend."""
    x, y = ax.lines[line].get_data()
    ax.annotate(label, (x[index], y[index]), xytext=(5, 0), textcoords="offset points", color=color, va="center",
                annotation_clip=False)  # fmt: skip
