"""Figures can be read: on a light page and on a dark one, with any kind of color vision; and come out the same twice.

The dark page is the book's style sheet applied to the same picture, so its filter is computed here as browsers do.
"""

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from lib import figures
from lib.figures import COLORS, CONTOUR, MINIMUM, PALETTE, STYLES, contours, label_line, on_dark, use_book_style, walk
from lib.landscapes import LANDSCAPES
from lib.optimizers import RULES

STYLE_SHEET = (Path(__file__).parent.parent / "assets" / "css" / "book.css").read_text()
DARK_RULE = re.search(r'html\[data-theme="dark"\]\s*\{[^}]*--pst-color-background:\s*(#[0-9a-f]{6})', STYLE_SHEET)

TEXT, LINE = 4.5, 3.0  # WCAG 2.2, success criteria 1.4.3 and 1.4.11
APART = 15  # distance in CIELAB; 2.3 is just noticeable (Mahy et al. 1994) where two patches touch

# sRGB values are in [0, 1] throughout.
# Filter Effects Module Level 1, hueRotate, at 180 degrees: the matrix for cos = -1, sin = 0.
LUMINANCE = np.array([0.213, 0.715, 0.072])
HUE_ROTATE_180 = 2 * np.array([LUMINANCE] * 3) - np.eye(3)

# Machado, Oliveira & Fernandes 2009, table 1, severity 1.0; they apply to linear RGB.
VISION = {
    "all cones": np.eye(3),
    "no red cones": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                              [-0.003882, -0.048116, 1.051998]]),
    "no green cones": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                                [-0.011820, 0.042940, 0.968881]]),
    "no blue cones": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                               [0.004733, 0.691367, 0.303900]]),
}  # fmt: skip


def dark(rgb):
    """What ``filter: invert(1) hue-rotate(180deg)`` makes of a color; each function clips its result."""
    return np.clip(HUE_ROTATE_180 @ (1 - np.array(rgb)), 0, 1)


def linear(rgb):
    rgb = np.asarray(rgb)
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def contrast(a, b):
    """WCAG 2.2 contrast ratio."""
    low, high = sorted(linear(rgb) @ [0.2126, 0.7152, 0.0722] for rgb in (a, b))
    return (high + 0.05) / (low + 0.05)


def lab(linear_rgb):
    """CIELAB under D65 (CIE 15)."""
    to_xyz = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
                       [0.0193339, 0.1191920, 0.9503041]])  # fmt: skip
    x, y, z = (to_xyz @ linear_rgb) / to_xyz.sum(axis=1)
    f = lambda t: np.cbrt(t) if t > (6 / 29) ** 3 else t / (3 * (6 / 29) ** 2) + 4 / 29
    return np.array([116 * f(y) - 16, 500 * (f(x) - f(y)), 200 * (f(y) - f(z))])


def seen(rgb, vision):
    return lab(np.clip(VISION[vision] @ linear(rgb), 0, 1))


PAGES = {
    "light": (to_rgb("#ffffff"), lambda rgb: rgb),
    "dark": (to_rgb(DARK_RULE[1]) if DARK_RULE else None, dark),
}
every_page = pytest.mark.parametrize("page_", PAGES)


# ---------- the yardsticks ----------


def test_the_dark_page_filters_figures_as_computed_here():
    assert DARK_RULE, "assets/css/book.css no longer sets the dark page's --pst-color-background"
    assert re.search(
        r'html\[data-theme="dark"\][^{]*img[^{]*\{[^}]*filter: invert\(1\) hue-rotate\(180deg\)', STYLE_SHEET
    )


def test_the_filter_is_what_a_browser_makes_of_it(page, tmp_path):
    colors = [*COLORS.values(), MINIMUM, CONTOUR, "#ffffff", "#ff0000"]
    page.set_content("".join(f'<i style="display:block;height:20px;background:{color}"></i>' for color in colors))
    page.add_style_tag(content="body { margin: 0 } i { filter: invert(1) hue-rotate(180deg) }")
    page.screenshot(path=tmp_path / "colors.png")
    picture = plt.imread(tmp_path / "colors.png")
    for i, color in enumerate(colors):
        assert np.abs(picture[20 * i + 10, 50, :3] - dark(to_rgb(color))).max() <= 1.5 / 255


def test_the_yardsticks_measure_what_they_should():
    assert contrast((0, 0, 0), (1, 1, 1)) == pytest.approx(21)
    assert contrast(to_rgb("#777777"), (1, 1, 1)) == pytest.approx(4.48, abs=0.005)
    assert lab(np.ones(3)) == pytest.approx([100, 0, 0], abs=0.01)
    assert lab(linear(to_rgb("#ff0000"))) == pytest.approx([53.24, 80.09, 67.20], abs=0.05)
    assert dark((1, 1, 1)) == pytest.approx([0, 0, 0], abs=1e-12)
    for vision in VISION:  # a gray is the same gray to everybody
        assert seen((0.5, 0.5, 0.5), vision) == pytest.approx(seen((0.5, 0.5, 0.5), "all cones"), abs=0.1)
    red, green = to_rgb("#b8560a"), to_rgb("#cc3311")  # once the colors of rmsprop and adam
    assert np.linalg.norm(seen(red, "all cones") - seen(green, "all cones")) > APART
    assert np.linalg.norm(seen(red, "no green cones") - seen(green, "no green cones")) < 2


# ---------- colors ----------


def test_every_rule_has_a_style_of_its_own():
    assert STYLES.keys() == RULES.keys()
    assert len(set(STYLES.values())) == len(STYLES)


def test_a_style_is_what_is_drawn(style):
    _, ax = plt.subplots()
    assert ax.plot([0, 1], **figures.style("adam"))[0].get_linestyle() == "-"
    (line,) = ax.plot([0, 1], **figures.style("adamw"))
    assert (line.get_color(), line.get_linestyle()) == (COLORS["adamw"], "--")
    assert COLORS["adamw"] == COLORS["momentum"]


@every_page
@pytest.mark.parametrize("color", PALETTE)
def test_a_label_in_an_optimizers_color_can_be_read(color, page_):
    ground, shown = PAGES[page_]
    assert contrast(shown(to_rgb(color)), ground) >= TEXT


@every_page
@pytest.mark.parametrize("color", [MINIMUM, CONTOUR])
def test_the_other_marks_can_be_seen(color, page_):
    ground, shown = PAGES[page_]
    assert contrast(shown(to_rgb(color)), ground) >= LINE


@every_page
@pytest.mark.parametrize("vision", VISION)
def test_any_two_colors_can_be_told_apart(vision, page_):
    _, shown = PAGES[page_]
    distances = {
        (a, b): np.linalg.norm(seen(shown(to_rgb(a)), vision) - seen(shown(to_rgb(b)), vision))
        for a, b in itertools.combinations(PALETTE, 2)
    }
    closest = min(distances, key=distances.get)
    assert distances[closest] >= APART, closest


def test_no_optimizer_has_the_color_of_a_mark():
    assert not {MINIMUM, CONTOUR} & set(COLORS.values())


# ---------- drawing ----------


@pytest.fixture
def style(monkeypatch):
    """The book's style, for one test and outside a notebook; gives what was asked of the notebook."""
    asked = []
    monkeypatch.setattr(figures, "set_matplotlib_formats", lambda *formats, **options: asked.append((formats, options)))
    with mpl.rc_context({"backend": "agg"}):
        use_book_style()
        yield asked
    plt.close("all")


def test_notebooks_are_asked_for_svg_without_a_date(style):
    assert style == [(("svg",), {"metadata": {"Date": None}})]


def test_figures_have_no_ground_of_their_own(style):
    assert plt.rcParams["figure.facecolor"] == plt.rcParams["axes.facecolor"] == "none"


def test_letters_are_drawn_as_shapes_so_that_no_page_needs_the_font(style):
    assert plt.rcParams["svg.fonttype"] == "path"


def test_lines_take_the_optimizers_colors_in_turn(style):
    _, ax = plt.subplots()
    drawn = [ax.plot([0, 1])[0].get_color() for _ in PALETTE]
    assert drawn == PALETTE


@pytest.mark.parametrize("landscape", LANDSCAPES.values(), ids=list(LANDSCAPES))
def test_contours_show_the_window_and_a_star_on_each_minimum(style, landscape):
    _, ax = plt.subplots()
    contours(ax, landscape, levels=9)
    assert (ax.get_xlim(), ax.get_ylim()) == landscape.window
    stars = [tuple(np.ravel(line.get_data())) for line in ax.lines if line.get_marker() == "*"]
    assert stars == landscape.minima
    assert {line.get_color() for line in ax.lines} == {MINIMUM}
    (drawn,) = ax.collections
    levels = np.array(drawn.levels)
    assert len(levels) == 9
    assert np.diff(np.log(levels)) == pytest.approx(np.log(levels[-1] / levels[0]) / 8)  # evenly spaced in height's log
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("$x$", "$y$")
    assert sum(len(path) > 0 for path in drawn.get_paths()) >= 8  # the highest is a single point of the window
    assert mpl.colors.to_hex(drawn.get_edgecolor()[0]) == CONTOUR


def test_a_walk_is_a_dot_a_step_a_circle_at_the_start_and_a_label_at_the_end(style):
    _, ax = plt.subplots()
    path = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 7.0]])
    walk(ax, path, "#3b71df", "momentum")
    dots, start = ax.lines
    np.testing.assert_array_equal(dots.get_xydata(), path)
    assert dots.get_marker() == "o"
    np.testing.assert_array_equal(start.get_xydata(), path[:1])
    assert start.get_markerfacecolor() == "none"
    (label,) = ax.texts
    assert (label.get_text(), tuple(label.xy)) == ("momentum", (4.0, 7.0))
    assert {dots.get_color(), start.get_color(), label.get_color()} == {"#3b71df"}


def test_a_walk_that_leaves_does_not_move_the_window(style):
    _, ax = plt.subplots()
    contours(ax, LANDSCAPES["bowl"])
    walk(ax, np.array([[0.0, 0.0], [100.0, -100.0]]), "#3b71df")
    assert (ax.get_xlim(), ax.get_ylim()) == LANDSCAPES["bowl"].window


def test_walks_and_minima_lie_above_the_contours(style):
    _, ax = plt.subplots()
    contours(ax, LANDSCAPES["bowl"])
    walk(ax, np.zeros((2, 2)), "#3b71df")
    assert min(line.get_zorder() for line in ax.lines) > ax.collections[0].get_zorder()


def test_a_walk_without_a_label_has_none(style):
    _, ax = plt.subplots()
    walk(ax, np.zeros((2, 2)), "#3b71df")
    assert not ax.texts


@pytest.mark.parametrize(("where", "at"), [({}, (2, 5)), ({"index": 0}, (0, 3)), ({"line": 0}, (2, 9))])
def test_a_line_is_labeled_beside_a_point_of_it(style, where, at):
    _, ax = plt.subplots()
    ax.plot([0, 1, 2], [7, 8, 9])
    ax.plot([0, 1, 2], [3, 4, 5])
    label_line(ax, "adam", COLORS["adam"], **where)
    (label,) = ax.texts
    assert (label.get_text(), tuple(label.xy), label.get_color()) == ("adam", at, COLORS["adam"])
    ax.set(xlim=(0, 1), ylim=(0, 1))  # a label is shown even where its point is not
    assert label.get_annotation_clip() is False


DRAW = """
import sys
import matplotlib.pyplot as plt
import numpy as np
from IPython.core.interactiveshell import InteractiveShell
from lib.figures import COLORS, contours, label_line, use_book_style, walk
from lib.landscapes import LANDSCAPES

plt.switch_backend("agg")
use_book_style()
fig, (left, right) = plt.subplots(1, 2)
contours(left, LANDSCAPES["himmelblau"])
walk(left, np.random.default_rng(0).normal(size=(20, 2)), COLORS["adam"], "adam")
right.scatter([1, 2], [3, 4], clip_on=True)
right.fill_between([1, 2], [3, 4], hatch="/", alpha=0.5)
right.semilogy([1, 2], [3, 4])
label_line(right, "loss", COLORS["momentum"])
formatter = InteractiveShell.instance().display_formatter.formatters["image/svg+xml"]
sys.stdout.write(formatter(fig))
"""


def test_a_figure_in_a_notebook_is_the_same_to_the_byte_on_every_run(tmp_path):
    """In two processes, with what could differ between them made different."""
    drawn = []
    for seed in "1", "2":
        environment = os.environ | {"PYTHONHASHSEED": seed, "IPYTHONDIR": str(tmp_path / seed)}
        command = [sys.executable, "-c", DRAW]
        drawn.append(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
    assert drawn[0].startswith("<?xml")
    assert "</svg>" in drawn[0]
    assert drawn[0] == drawn[1]
    assert "dc:date" not in drawn[0]


@pytest.mark.parametrize("color", sorted({*COLORS.values(), MINIMUM}))
def test_on_dark_is_what_the_filter_shows(color):
    np.testing.assert_allclose(to_rgb(on_dark(color)), dark(np.array(to_rgb(color))), atol=1 / 255)
