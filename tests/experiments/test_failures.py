"""The loop of the gallery steps as `train` does and looks where it says; the picture and the contact sheet show what
they are given; every entry of the page has its form and its place in the contact sheet."""

import re

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest

from lib.experiments.failures import (
    Entry,
    Run,
    agreement,
    contact_sheet,
    cosine,
    fit,
    gradient_norms,
    in_order,
    picture,
    rounded,
    thumbnail,
    watch,
)
from lib.networks import mean_squared_error, value_and_grad
from lib.optimizers import Optimizer, gradient_descent
from tests.conftest import ROOT


def line(params, x, y):
    return mean_squared_error(x @ params["w"], y)


@pytest.fixture
def data():
    draw = np.random.default_rng(0)
    x = draw.standard_normal((30, 2))
    return x[:20], x[:20] @ np.array([[1.0], [2.0]]), x[20:], x[20:] @ np.array([[1.0], [3.0]])


def descend(lr=0.1):
    return Optimizer(gradient_descent, lr=lr)


START = {"w": np.zeros((2, 1))}


# The loop


def test_fit_is_gradient_descent_by_hand(data):
    x, y, x_validation, y_validation = data
    run = fit(line, START, descend(), data, drawn=in_order(20, 5), steps=8, every=2)
    w, training, validation = np.zeros((2, 1)), [], []
    for step in range(9):
        if step % 2 == 0:
            training.append(((x @ w - y) ** 2).mean())
            validation.append(((x_validation @ w - y_validation) ** 2).mean())
        part = slice(5 * (step % 4), 5 * (step % 4) + 5)
        last, w = w, w - 0.1 * 2 / 5 * x[part].T @ (x[part] @ w - y[part])
    np.testing.assert_array_equal(run.steps, [0, 2, 4, 6, 8])
    # A few roundings in sums of 20 and 5 terms, eight times over.
    np.testing.assert_allclose(run.training, training, rtol=1e-13)
    np.testing.assert_allclose(run.validation, validation, rtol=1e-13)
    np.testing.assert_allclose(run.params["w"], last, rtol=1e-13)
    assert run.history.steps == 8


def test_fit_looks_with_another_function_and_changes_the_gradients(data):
    negated = lambda objective: lambda params: (objective(params)[0], {"w": -objective(params)[1]["w"]})
    size = lambda params, x, y: len(x) + abs(params["w"]).sum()
    run = fit(line, START, descend(), data, drawn=in_order(20, 20), steps=3, every=1, change=negated, look=size)
    assert run.training[0] == 20
    assert run.validation[0] == 10
    down = fit(line, START, descend(), data, drawn=in_order(20, 20), steps=1)
    up = fit(line, START, descend(), data, drawn=in_order(20, 20), steps=1, change=negated)
    np.testing.assert_allclose(up.params["w"], -down.params["w"])


def test_fit_ends_where_the_run_diverges(data):
    run = fit(line, START, descend(1e3), data, drawn=in_order(20, 20), steps=100, every=1)
    assert run.history.stopped_by == "diverged"
    assert len(run.steps) == len(run.training) < 20


def test_fit_without_validation(data):
    run = fit(line, START, descend(), data[:2], drawn=in_order(20, 20), steps=2)
    assert run.validation.shape == (0,)


@pytest.mark.parametrize(("parts", "every", "words"), [(3, 5, "data must be"), (4, 0, "every must be")])
def test_fit_refuses(data, parts, every, words):
    with pytest.raises(ValueError, match=words):
        fit(line, START, descend(), data[:parts], every=every)


def test_watch_keeps_every_step():
    run = watch(value_and_grad(lambda params: (params[0] ** 2).sum()), [np.array([1.0])], descend(0.25), steps=3)
    np.testing.assert_allclose(run.training, [1, 1 / 4, 1 / 16, 1 / 64])
    np.testing.assert_array_equal(run.steps, range(4))
    assert len(run.validation) == 0


def test_in_order_is_the_same_every_epoch():
    drawn = in_order(7, 3)
    assert [list(next(drawn)) for _ in range(4)] == [[0, 1, 2], [3, 4, 5], [6], [0, 1, 2]]


def test_gradient_norms_are_those_of_the_weights():
    loss = lambda params, x, y: (params["W1"] * 3.0).sum() + (params["b1"] * 5.0).sum() + (params["W2"] * 2.0).sum()
    params = {"W1": np.ones((1, 4)), "b1": np.ones(2), "W2": np.ones((1, 1))}
    assert gradient_norms(loss, params, None, None) == {"W1": 6.0, "W2": 2.0}


def test_cosine():
    a, b = {"u": np.array([1.0, 0.0]), "v": np.array([0.0])}, {"u": np.array([1.0, 0.0]), "v": np.array([-1.0])}
    assert cosine(a, a) == pytest.approx(1)
    assert cosine(a, b) == pytest.approx(0.5**0.5)
    assert cosine(b, {k: -v for k, v in b.items()}) == pytest.approx(-1)


def test_agreement_tells_a_walk_from_a_zigzag():
    bowl = value_and_grad(lambda params: (params["w"] ** 2).sum())
    at = lambda *points: [{"w": np.array([point])} for point in points]
    assert agreement(bowl, at(3.0, 2.0, 1.0)) == pytest.approx(1)
    assert agreement(bowl, at(1.0, -2.0, 3.0)) == pytest.approx(-1)
    assert agreement(bowl, at(4.0, 3.0, 2.0, -1.0)) == pytest.approx(1)  # the median of 1, 1, -1
    in_a_list = value_and_grad(lambda params: (params[0] ** 2).sum())
    assert agreement(in_a_list, [[np.array([1.0])], [np.array([-2.0])]]) == pytest.approx(-1)


# What is drawn


def run(training, validation=()):
    return Run(np.arange(len(training)), np.array(training), np.array(validation))


def test_rounded():
    np.testing.assert_array_equal(rounded([1.2345, 0.00098765, np.inf, np.nan]), [1.23, 0.000988, np.nan, np.nan])


def test_picture_draws_both_runs_and_marks_the_last_number(monkeypatch):
    monkeypatch.setattr(plt, "show", lambda: None)
    picture(
        run([3.0, 2.0, np.nan], [4.0, 3.0, np.nan]),
        run([3.0, 1.0], [4.0, 2.0]),
        "mended",
        marks=(1,),
        cured_marks=(0, 1),
        level=(2.0, "guess"),
    )
    left, right = plt.gcf().axes
    assert [ax.get_title(loc="left") or ax.get_title() for ax in (left, right)] == ["failing", "mended"]
    assert left.get_yscale() == right.get_yscale() == "log"
    cross = next(drawn for drawn in left.lines if drawn.get_marker() == "x")
    np.testing.assert_array_equal(cross.get_xydata(), [[1, 2.0]])
    assert {text.get_text() for text in left.texts} == {"nan", "guess"}
    assert {text.get_text() for text in right.texts} == {"training", "validation"}
    dotted = lambda ax: sorted(tuple(drawn.get_xdata()) for drawn in ax.lines if drawn.get_linestyle() == ":")
    assert dotted(left) == [(0, 1), (1, 1)]  # the level from side to side, and one mark
    assert dotted(right) == [(0, 0), (1, 1)]
    plt.close("all")


@pytest.mark.parametrize(("last", "labels"), [(0.1, {"0.1", "0.2", "0.5", "1", "2"}), (0.001, None)])
def test_picture_labels_a_short_axis_in_plain_numbers(monkeypatch, last, labels):
    monkeypatch.setattr(plt, "show", lambda: None)
    picture(run([2.5, last]), run([2.5, last]))
    axis = plt.gcf().axes[0]
    plt.gcf().canvas.draw()
    low, high = axis.get_ylim()
    shown = {text.get_text() for text in axis.get_yticklabels() if low <= text.get_position()[1] <= high}
    assert shown == labels if labels else all("10^" in text for text in shown)
    plt.close("all")


def test_validation_is_drawn_until_training_ends(monkeypatch):
    ended = run([3.0, 2.0, np.nan, 1.0], [4.0, 3.0, 9.0, 9.0])
    monkeypatch.setattr(plt, "show", lambda: None)
    picture(ended, run([3.0, 1.0]))
    drawn = plt.gcf().axes[0].lines[1].get_ydata()
    np.testing.assert_array_equal(drawn, [4, 3, np.nan, np.nan])
    plt.close("all")
    svg = thumbnail(ended)
    assert len(corners(svg)[1]) == 2
    assert svg.count("<path") == 1  # one cross, at the end of training


def corners(svg):
    return [
        [tuple(map(int, corner.split(","))) for corner in points.split()]
        for points in re.findall(r'points="([^"]*)"', svg)
    ]


def test_thumbnail_shows_the_run_in_whole_pixels():
    svg = thumbnail(run([100.0, 10.0, 1.0], [100.0, 100.0, 10.0]))
    training, validation = corners(svg)
    assert [x for x, _ in training] == sorted(x for x, _ in training)
    top, middle, bottom = (y for _, y in training)
    assert top < middle < bottom
    assert abs((bottom - middle) - (middle - top)) <= 1  # the axis is logarithmic
    assert [y for _, y in validation] == [top, top, middle]
    assert re.findall(r">([^<>]+)</text>", svg) == ["100", "1"]
    (linear, _) = corners(thumbnail(run([100.0, 10.0, 1.0], [100.0, 100.0, 10.0]), log=False))
    assert linear[1][1] - linear[0][1] > 5 * (linear[2][1] - linear[1][1])


def test_thumbnail_of_a_flat_line_and_of_one_that_ends():
    (flat,) = corners(thumbnail(run([2.0, 2.0, 2.0])))
    assert len({y for _, y in flat}) == 1
    (ended,) = corners(thumbnail(run([2.0, 3.0, np.inf, np.nan])))
    assert len(ended) == 2


def test_thumbnail_does_not_stretch_what_hardly_moves():
    (hardly,) = corners(thumbnail(run([1.2, 1.0])))
    (much,) = corners(thumbnail(run([12.0, 1.0])))
    assert hardly[1][1] - hardly[0][1] < (much[1][1] - much[0][1]) / 4
    (linear,) = corners(thumbnail(run([1.05, 1.0]), log=False))
    assert linear[1][1] - linear[0][1] < (much[1][1] - much[0][1]) / 4


def test_contact_sheet_links_every_entry():
    html = contact_sheet({"Still": [Entry("a", "One & two", "level", run([1.0, 0.5]))], "Up": []})
    assert '<a href="#a">One &amp; two</a>' in html
    assert html.count("<svg") == 1
    assert html.index("Still") < html.index("One") < html.index("Up")


# The page


PAGE = nbformat.read(ROOT / "chapters" / "failures.ipynb", nbformat.NO_CONVERT)
TEXT = "\n\n".join(cell.source for cell in PAGE.cells if cell.cell_type == "markdown")
ENTRIES = re.findall(r"^\((fail-\w+)\)=\n### (.+)$", TEXT, re.MULTILINE)


def test_there_are_entries_enough():
    assert len(ENTRIES) >= 16


@pytest.mark.parametrize(("anchor", "name"), ENTRIES)
def test_every_entry_has_its_form(anchor, name):
    start = next(i for i, cell in enumerate(PAGE.cells) if cell.source.startswith(f"({anchor})="))
    told, shown, sure, tested, cure = PAGE.cells[start : start + 5]
    assert "*Looks like*" in told.source
    assert "*Cause.*" in told.source
    assert any("image/svg+xml" in output.get("data", {}) for output in shown.outputs)
    assert re.search(rf'show\(\s*"{anchor}",', shown.source)
    assert sure.source.startswith("*Make sure.*")
    assert "assert " in tested.source  # the failing run is told from a healthy one
    assert any(output.output_type == "stream" for output in tested.outputs)
    assert cure.source.startswith("*Cure.*")


def test_the_contact_sheet_has_every_entry_under_its_name():
    last = PAGE.cells[-1].source
    listed = re.findall(r'\(\s*"(fail-\w+)",\s*"([^"]+)"', last)
    assert listed == ENTRIES


def test_every_link_within_the_page_leads_somewhere():
    anchors = set(re.findall(r"^\((fails?-\w+)\)=$", TEXT, re.MULTILINE))
    linked = set(re.findall(r"\]\((fails?-\w+)\)", TEXT))
    assert linked - anchors == set()
    in_table = TEXT.split("(fails-table)=")[1]
    assert {anchor for anchor, _ in ENTRIES} - set(re.findall(r"\((fail-\w+)\)", in_table)) == set()


def test_every_exercise_has_its_folded_solution():
    asked = re.findall(r"\{exercise\} .*\n:label: (\S+)", TEXT)
    solved = re.findall(r"\{solution-start\} (\S+)\n:class: dropdown", TEXT)
    assert asked == solved == [f"fails-{n}" for n in range(1, 9)]
