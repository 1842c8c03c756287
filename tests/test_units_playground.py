"""The playground of a layer's units: it counts what NumPy counts, and every control works."""

import json
from functools import partial

import numpy as np
import pytest

from tests.conftest import complaints_of_axe, mounted, open_intro

mount = partial(mounted, "units-playground")
RANDOM = np.random.default_rng(0)
SUMS = (RANDOM.normal(0, 3, (16, 1)) + RANDOM.normal(0, 1, (16, 12))).round(2)  # some units are dead from the start
SLOPES = (RANDOM.normal(0, 900, (16, 1)) + RANDOM.normal(0, 100, (16, 12))).round()  # a unit moves as one
DATA = {"sums": json.dumps(SUMS.tolist()), "slopes": json.dumps(SLOPES.tolist())}


def dead_of(playground) -> list:
    """Of each unit, when every change so far has been computed."""
    return playground.evaluate("async e => { await new Promise(requestAnimationFrame); return e.dead; }")


def status_of(playground) -> str:
    playground.page.wait_for_timeout(300)
    return playground.get_by_role("status").text_content()


def dead(lr):
    return (SUMS + lr * SLOPES <= 0).all(axis=1)


@pytest.mark.parametrize("lr", [1e-5, 0.001, 0.02])
def test_it_counts_the_dead_units(anywhere, lr):
    playground = mount(anywhere, lr=lr, **DATA)
    assert dead_of(playground) == dead(lr).tolist()
    fresh = (dead(lr) & ~dead(0)).sum()
    assert f"{dead(lr).sum()} of 16 units are dead; {fresh} of them" in status_of(playground)
    assert playground.locator(".units-dots path").count() == 16
    assert playground.locator(".units-dead").count() == dead(lr).sum()
    assert 0 < dead(0).sum() < dead(0.02).sum() < 16


def test_a_dot_is_where_its_sum_is(here):
    playground = mount(here, lr=0.001, sums="[[0, 14, -14, 99]]", slopes="[[0, 0, 0, 0]]")
    path = playground.locator(".units-dots path").get_attribute("d")
    heights = [float(point.split(",")[1].removesuffix("h0")) for point in path.split("M")[1:]]
    off = playground.locator(".units-off")
    assert heights[0] == pytest.approx(float(off.get_attribute("y")), abs=0.1)
    assert heights[1] < heights[0] < heights[2]
    assert heights[3] == heights[1]  # beyond the range: at the edge


def test_every_control(here):
    playground = mount(here, **DATA)
    slider = playground.get_by_role("slider", name="learning rate")
    assert slider.get_attribute("aria-valuetext") == "0.001"
    slider.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "0.0011"
    assert dead_of(playground) == dead(0.0011).tolist()
    slider.press("End")
    assert dead_of(playground) == dead(0.02).tolist()
    playground.get_by_role("button", name="Before the step").click()
    assert dead_of(playground) == dead(0).tolist()
    assert f"Before the step {dead(0).sum()} of 16" in status_of(playground)
    slider.press("ArrowRight")
    assert dead_of(playground) == dead(1e-5).tolist()
    playground.get_by_role("button", name="Reset").click()
    assert dead_of(playground) == dead(0.001).tolist()


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"sums": "[[1]]"}, 'slopes="null"; write an array in JSON'),
        ({"sums": "[[1]", "slopes": "[[1]]"}, 'sums="[[1]"; write an array in JSON'),
        ({"sums": "[]", "slopes": "[]"}, 'sums="[]"; write an array in JSON'),
        ({"sums": '[["1"]]', "slopes": "[[1]]"}, "a row of numbers a unit"),
        ({"sums": "[[1, 2]]", "slopes": "[[1]]"}, 'slopes="[[1]]"; write as many rows and numbers'),
        (DATA | {"lr": 1}, 'lr="1"; write a number from 0.00001 to 0.02'),
    ],
)
def test_a_wrong_attribute_is_named(here, attributes, message):
    alert = mount(here, **attributes).get_by_role("alert").text_content()
    assert alert.startswith("<units-playground> has ")
    assert message in alert


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing(page, book_url, theme, width):
    open_intro(page, book_url, width, theme)
    mount(page, **DATA)
    assert complaints_of_axe(page, "units-playground") == []


def test_the_chapter_has_one(page, book_url):
    page.goto(f"{book_url}/chapters/breeds.html")
    playground = page.locator("units-playground")
    playground.evaluate("element => element.ready")
    assert playground.get_by_role("alert").all_text_contents() == []
    assert len(dead_of(playground)) == 32
    assert playground.get_by_text("The playground runs in the HTML book").count() == 0
