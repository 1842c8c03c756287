"""What the failure gallery is made of: one way to train and to watch, the wrong ways to draw batches, the picture of a
run beside its cure, and the contact sheet of all of them."""

from collections.abc import Callable, Iterable, Iterator
from html import escape
from itertools import pairwise
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import LogLocator

from lib.checks import COUNT, check_range
from lib.networks import value_and_grad, value_of
from lib.optimizers import Optimizer
from lib.stochastic_gradients import batches, stochastic
from lib.training import History, train

TRAINING, VALIDATION = "#000000", "#3b71df"


class Run(NamedTuple):
    """A training and what was seen of it.

    ``steps``: (looks,), after how many steps it was looked at; ``training``, ``validation``: (looks,), the loss of all
    examples then, ``validation`` empty if there are none; ``params``: the last ones; ``history``: of `train`, or None.
    """

    steps: np.ndarray
    training: np.ndarray
    validation: np.ndarray = np.empty(0)
    params: dict | list | None = None
    history: History | None = None


def fit(
    loss: Callable,
    params: dict,
    optimizer: Optimizer,
    data: tuple,
    *,
    drawn: Iterator[np.ndarray] | None = None,
    steps: int = 300,
    every: int = 5,
    change: Callable | None = None,
    look: Callable | None = None,
) -> Run:
    """Train on mini-batches, and look at the loss of all examples again and again.

    Args:
        loss: function (params, x, y) -> mean loss of these examples.
        params: where to start; left alone.
        optimizer: steps them.
        data: x, y, or x, y, x_validation, y_validation: arrays with one example a row.
        drawn: indices of one batch after another; if None, `batches` of 50, shuffled.
        steps: how many to take; fewer, if the run diverges.
        every: steps between two looks.
        change: function of the objective -> objective: what is done to the gradients before each step.
        look: what is computed at a look, if it is not ``loss``.

    Raises:
        ValueError: ``data`` has another number of arrays, or ``every`` is not a whole number >= 1.
    """
    every = check_range(COUNT, "every", every, "fit")
    if len(data) not in (2, 4):
        raise ValueError(f"fit: data must be x, y or x, y, x_validation, y_validation, got {len(data)} arrays.")
    x, y, *held_back = data
    drawn = batches(len(x), 50) if drawn is None else drawn
    objective = stochastic(loss, x, y, drawn)
    history = train(change(objective) if change else objective, params, optimizer, steps=steps)
    look, looks = look or loss, np.arange(0, len(history.params), every)
    with np.errstate(all="ignore"):  # a run that ends in inf or nan is part of the gallery
        seen = [np.array([float(value_of(look(history.params[i], *pair))) for i in looks])
                for pair in ((x, y), held_back) if len(pair)]  # fmt: skip
    return Run(looks, *seen, *[np.empty(0)] * (2 - len(seen)), history.params[-1], history)


def watch(objective: Callable, params: list | dict, optimizer: Optimizer, steps: int) -> Run:
    """Train on the whole of a small problem: ``objective``, as `lib.training.train` takes it, at every step."""
    history = train(objective, params, optimizer, steps=steps)
    return Run(np.arange(len(history.losses)), np.array(history.losses), np.empty(0), history.params[-1], history)


def in_order(n: int, size: int) -> Iterator[np.ndarray]:
    """The indices 0, 1, ... in batches of ``size``, every epoch alike and never shuffled."""
    while True:
        for first in range(0, n, size):
            yield np.arange(first, min(first + size, n))


def gradient_norms(loss: Callable, params: dict, x, y) -> dict[str, float]:
    """The Euclidean norm of the gradient of every array of weights, ``W1``, ``W2``, ..."""
    _, grads = value_and_grad(lambda params: loss(params, x, y))(params)
    return {name: float(np.linalg.norm(g)) for name, g in grads.items() if name.startswith("W")}


def cosine(a: dict, b: dict) -> float:
    """The cosine of the angle between two sets of arrays with the same names: gradients, or parameters."""
    dot = lambda a, b: sum(float((a[name] * b[name]).sum()) for name in a)
    return dot(a, b) / (dot(a, a) * dot(b, b)) ** 0.5


def agreement(objective: Callable, path: list) -> float:
    """The median cosine of successive gradients of one objective along ``path``, a list of parameters: near 1 where a
    walk goes on in one direction, near -1 where each step undoes the last."""
    grads = [g if isinstance(g, dict) else dict(enumerate(g)) for g in (objective(params)[1] for params in path)]
    return float(np.median([cosine(*pair) for pair in pairwise(grads)]))


def rounded(values, digits: int = 3) -> np.ndarray:
    """``values`` with so many significant digits, and nan where they are not finite: what every processor draws
    alike."""
    return np.array([float(f"{v:.{digits - 1}e}") if np.isfinite(v) else np.nan for v in np.asarray(values, float)])


def _seen(run: Run) -> list[np.ndarray]:
    """The losses of a run as they are drawn: training, and validation, if any, until training is inf or nan."""
    goes_on = np.logical_and.accumulate(np.isfinite(run.training))
    return [run.training] + ([np.where(goes_on, run.validation, np.nan)] if len(run.validation) else [])


def picture(
    failing: Run,
    cured: Run,
    title: str = "cured",
    *,
    log: bool = True,
    marks: Iterable[float] = (),
    cured_marks: Iterable[float] | None = None,
    level: tuple[float, str] | None = None,
) -> None:
    """Two panels with one vertical axis: a run that fails, and the same run with its cure, ``title``.

    Args:
        log: whether the axis is logarithmic.
        marks: steps at which a thin line is drawn, such as the ends of epochs; ``cured_marks`` in the second panel, if
            they differ there.
        level: a loss at which a dotted line is drawn in the first panel, and what is written on it.
    """
    _, axes = plt.subplots(1, 2, figsize=(5.6, 2.3), sharey=True)
    places = marks, marks if cured_marks is None else cured_marks
    looks = {"color": TRAINING, "linewidth": 1.4}, {"color": VALIDATION, "linewidth": 1.4, "linestyle": (0, (4, 1.5))}
    for ax, run, name, at in zip(axes, (failing, cured), ("failing", title), places, strict=True):
        for mark in at:
            ax.axvline(mark, color="#b0b0b0", linewidth=0.6, linestyle=":")
        for losses, look in zip(_seen(run), looks, strict=False):
            ax.plot(run.steps, rounded(losses), **look)
        finite = np.isfinite(run.training)
        if not finite.all():  # the last number before inf or nan
            last = np.flatnonzero(finite)[-1]
            ax.plot(run.steps[last], rounded(run.training)[last], "x", color="#b75600", markersize=9, markeredgewidth=2)
            ax.annotate("nan", (run.steps[last], rounded(run.training)[last]), (7, -3), textcoords="offset points",
                        color="#b75600")  # fmt: skip
        ax.set(title=name, xlabel="step", yscale="log" if log else "linear")
        ax.minorticks_off()
    axes[0].set_ylabel("loss")
    low, high = axes[0].get_ylim()
    if log and high < 100 * low:  # powers of ten would be one or two
        axes[0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes[0].yaxis.set_major_formatter("{x:g}")
    if level:
        axes[0].axhline(level[0], color="#767676", linewidth=0.9, linestyle=":")
        axes[0].annotate(level[1], (1, level[0]), (-2, -4), xycoords=("axes fraction", "data"),
                         textcoords="offset points", color="#767676", ha="right", va="top")  # fmt: skip
    if len(failing.validation):
        for height, word, color in (0.97, "training", TRAINING), (0.85, "validation", VALIDATION):
            axes[1].text(0.99, height, word, color=color, ha="right", va="top", transform=axes[1].transAxes)
    plt.show()


class Entry(NamedTuple):
    """One entry of the gallery: the anchor of its section, its name, what it looks like in few words, and the run."""

    anchor: str
    name: str
    look: str
    run: Run
    log: bool = True


WIDTH, HEIGHT = 156, 74


def thumbnail(run: Run, log: bool = True) -> str:
    """A run as a small SVG: the training loss in the color of the text, the validation loss blue and dashed, and the
    highest and lowest loss as numbers. Corners are whole pixels, so that every processor draws the same."""
    lines = _seen(run)
    finite = np.concatenate([values[np.isfinite(values)] for values in lines])
    low, high = rounded([finite.min(), finite.max()], 2)
    scale = np.log if log else lambda v: np.asarray(v, float)
    bottom, top = (float(v) for v in scale([low, high]))
    least = np.log(3) if log else 0.5 * abs(top) or 1  # what hardly moves should look so
    if top - bottom < least:
        bottom, top = (bottom + top - least) / 2, (bottom + top + least) / 2
    drawn = ""
    for values, look in zip(lines, ('stroke="currentColor"', 'stroke="#3b71df" stroke-dasharray="5 2"'), strict=False):
        keep = np.unique(np.linspace(0, len(values) - 1, 120).astype(int))
        keep = keep[np.isfinite(values[keep])]
        x = run.steps[keep] / max(run.steps[-1], 1) * (WIDTH - 4) + 2
        y = HEIGHT - 18 - (scale(rounded(values[keep])) - bottom) / (top - bottom) * (HEIGHT - 34)
        corners = " ".join(f"{a:.0f},{b:.0f}" for a, b in zip(x, y, strict=True))
        drawn += f'<polyline points="{corners}" fill="none" {look} stroke-width="1.8"/>'
        if values is run.training and not np.isfinite(values).all():  # a cross where the run ends
            drawn += f'<path d="M {x[-1] - 4:.0f} {y[-1] - 4:.0f} l 8 8 m 0 -8 l -8 8" {look} stroke-width="1.8"/>'
    text = '<text x="2" y="{}" font-size="11" fill="currentColor">{}</text>'
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="100%" aria-hidden="true" focusable="false">'
        f"{text.format(11, _short(high))}{drawn}{text.format(HEIGHT - 2, _short(low))}</svg>"
    )


def _short(value: float) -> str:
    """A number for a narrow place: 0.12, 230, 1e6."""
    if 0.01 <= abs(value) < 1000:
        return f"{value:.3g}"
    mantissa, exponent = f"{value:.0e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def contact_sheet(groups: dict[str, list[Entry]]) -> str:
    """All entries as HTML, group by group, each a link to its section: as many columns as the window has room for."""
    grid = "display:grid;grid-template-columns:repeat(auto-fill,minmax(7.8rem,1fr));gap:.6rem 1rem;margin:.3rem 0 1rem"
    html = ""
    for group, entries in groups.items():
        html += f'<p style="margin:.6rem 0 0"><strong>{escape(group)}</strong></p><div style="{grid}">'
        for entry in entries:
            html += (
                f'<div>{thumbnail(entry.run, entry.log)}<div style="line-height:1.25">'
                f'<a href="#{entry.anchor}">{escape(entry.name)}</a><br>'
                f"<small>{escape(entry.look)}</small></div></div>"
            )
        html += "</div>"
    return html
