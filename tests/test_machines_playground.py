"""The playground of many machines: it computes what the library computes, and every control works."""

import json
import re
from functools import partial

import pytest

from lib.experiments.many_machines import mean_step_time
from tests.conftest import BOOK, complaints_of_axe, mounted, open_intro

mount = partial(mounted, "machines-playground")
STEPS = [142.0, 75.0, 56.6667, 37.6667, 31.6667, 25.3333, 20.6667]
DATA = {"steps": json.dumps(STEPS)}


def result_of(playground) -> dict:
    """Of the machines that are chosen, when every change so far has been computed."""
    return playground.evaluate("async e => { await new Promise(requestAnimationFrame); return e.result; }")


def move(playground, name, times):
    """A slider by so many places, to the right or, below 0, to the left."""
    for _ in range(abs(times)):
        playground.get_by_role("slider", name=name).press("ArrowRight" if times > 0 else "ArrowLeft")


def choose(playground, machines=4, backups=0, travel=0, times="random"):
    """From the beginning: 2 ** machines of them, and a travel in twentieths."""
    playground.get_by_role("button", name="Reset").click()
    move(playground, "machines", machines - 4)
    move(playground, "backups", backups)
    move(playground, "travel", travel)
    playground.get_by_role("combobox", name="times").select_option(times)


@pytest.mark.parametrize(("power", "backups"), [(0, 0), (0, 2), (2, 1), (4, 0), (6, 4)])
def test_random_times_are_those_of_the_library(anywhere, power, backups):
    playground, machines = mount(anywhere, **DATA), 2**power
    choose(playground, power, backups)
    found, step = result_of(playground), mean_step_time(machines, backups)
    assert found["machines"] == machines
    assert found["batch"] == 16 * machines
    assert found["step"] == pytest.approx(step, rel=1e-12)
    assert found["time"] == pytest.approx(STEPS[power] * step, rel=1e-12)
    assert found["share"] == pytest.approx(STEPS[power] * step / STEPS[0], rel=1e-12)


@pytest.mark.parametrize(("power", "backups", "step"), [(0, 0, 1.0), (1, 0, 0.9 + 0.4 / 3), (4, 3, 0.9 + 3.2 / 20)])
def test_steady_times_and_a_ring(here, power, backups, step):
    """The mean of the slowest of n between 0.9 and 1.1, and 2 (n - 1) / n times the travel."""
    playground, machines = mount(here, **DATA), 2**power
    for travel in 0, 1, 5, 20:
        choose(playground, power, backups, travel, "steady")
        expected = step + travel / 20 * 2 * (machines - 1) / machines
        assert result_of(playground)["step"] == pytest.approx(expected, rel=1e-12)


def test_what_it_says_and_draws(here):
    playground = mount(here, **DATA)
    status = playground.get_by_role("status")
    assert status.text_content() == "16 machines, a batch of 256: 32 steps of 3.38 take 107, 0.75 times one machine's."
    choose(playground, 6, 4)
    here.wait_for_timeout(300)
    assert f"{mean_step_time(64, 4):.2f}" == "2.72"
    assert status.text_content().startswith(
        "64 machines and 4 backups, a batch of 1,024: 21 steps of 2.72 take 56, 0.40"
    )
    choose(playground, 0, 1)
    here.wait_for_timeout(300)
    assert (
        status.text_content()
        == "1 machine and 1 backup, a batch of 16: 142 steps of 0.50 take 71, 0.50 times one machine's."
    )
    bars = playground.locator(".machines-bars rect")
    assert bars.count() == len(STEPS)
    heights = [float(bar.get_attribute("height")) for bar in bars.all()]
    totals = [steps * mean_step_time(2**i, 1) for i, steps in enumerate(STEPS)]
    assert [it / heights[0] for it in heights] == pytest.approx([it / totals[0] for it in totals], rel=1e-6)
    assert playground.locator(".machines-chosen").count() == 1
    assert bars.first.get_attribute("class") == "machines-chosen"
    assert "1: 0.50, 2: " in playground.get_by_role("img").get_attribute("aria-label")


def test_reset(here):
    playground = mount(here, **DATA)
    first = result_of(playground)
    choose(playground, 6, 3, 7, "steady")
    assert result_of(playground) != first
    playground.get_by_role("button", name="Reset").click()
    assert result_of(playground) == first
    assert playground.get_by_role("slider", name="travel").get_attribute("aria-valuetext") == "0"
    assert playground.get_by_role("combobox").input_value() == "random"


@pytest.mark.parametrize("steps", ["null", "[", "[]", "[1, 0]", '["1"]', "[[1]]"])
def test_a_wrong_attribute_is_named(here, steps):
    alert = mount(here, steps=steps).get_by_role("alert").text_content()
    message = "write an array in JSON, a number > 0 for each of 1, 2, 4, ... machines."
    assert alert == f'<machines-playground> has steps="{steps}"; {message}'


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing(page, book_url, theme, width):
    open_intro(page, book_url, width, theme)
    mount(page, **DATA)
    assert complaints_of_axe(page, "machines-playground") == []


def test_the_chapter_has_one_that_computes_its_table(page, book_url):
    """Without this script the page has a table: the same numbers."""
    page.goto(f"{book_url}/chapters/many_machines.html")
    playground = page.locator("machines-playground")
    playground.evaluate("element => element.ready")
    assert playground.get_by_role("alert").all_text_contents() == []
    html = (BOOK / "chapters" / "many_machines.html").read_text(encoding="utf-8")
    inner = re.search("<machines-playground(.*?)</machines-playground>", html, re.DOTALL)[1]
    rows = re.findall("<tr>(.*?)</tr>", inner, re.DOTALL)
    table = [[int(it) for it in re.findall(r"<t[dh]>(\d+)</t[dh]>", row)] for row in rows]
    table = [row for row in table if len(row) > 1]
    assert len(table) == 7
    for power, (machines, steps, random, backups, ring) in enumerate(table):
        for expected, settings in (
            (random, {}),
            (backups, {"backups": machines // 16}),
            (ring, {"travel": 5, "times": "steady"}),
        ):
            choose(playground, power, **settings)
            found = result_of(playground)
            assert (found["machines"], round(found["steps"]), round(found["time"])) == (machines, steps, expected)
