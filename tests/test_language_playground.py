"""The playground of a language model: it shows the run that is asked for, as text, curve and words."""

import json
from functools import partial

import pytest

from tests.conftest import complaints_of_axe, mounted

mount = partial(mounted, "language-playground")
RUNS = {
    "Transformer": {
        "Descent": [[1.0, [3.5, 2.5], "oo sure\nthe $\\e$"], [3.0, [9.0], ""]],
        "Adam": [[0.001, [2.4, 2.0], "low"], [0.003, [2.2, 1.75], "the best"], [0.01, [2.9, 2.6], "high"]],
    },
    "Recurrent net": {"Muon": [[0.1, [1.9, 1.4], "Muon wrote"]], "Adam": [[0.01, [2.0, 1.5], "a < b & c"]]},
}
COLORS = {"Descent": ["#000000", "#ffffff"], "Adam": ["#77231c", "#ffb9b2"], "Muon": ["#b75600", "#ed8c36"]}
DATA = {
    "runs": json.dumps(RUNS),
    "colors": json.dumps(COLORS),
    "levels": json.dumps({"a guess": 4.54}),
    "every": 50,
    "prompt": "The rate ",
}


def run_of(playground) -> list:
    """What is shown, when every change so far has been computed."""
    return playground.evaluate("async e => { await new Promise(requestAnimationFrame); return e.run; }")


def status_of(playground) -> str:
    playground.page.wait_for_timeout(300)
    return playground.get_by_role("status").text_content()


def test_it_begins_with_the_best_rate_of_the_first_optimizer(anywhere):
    playground = mount(anywhere, **DATA)
    assert run_of(playground) == RUNS["Transformer"]["Descent"][0]
    assert playground.locator("pre").text_content() == "The rate oo sure¶the $\\e$"
    assert status_of(playground) == "Transformer, Descent at 1: 2.50 nats a character after 100 steps."


def test_every_control(here):
    playground = mount(here, **DATA)
    net, optimizer = (playground.get_by_role("combobox", name=name) for name in ("net", "optimizer"))
    optimizer.select_option("Adam")
    assert run_of(playground) == RUNS["Transformer"]["Adam"][1]
    slider = playground.get_by_role("slider", name="learning rate")
    assert slider.get_attribute("aria-valuetext") == "0.003"
    slider.press("ArrowRight")
    assert run_of(playground) == RUNS["Transformer"]["Adam"][2]
    assert playground.locator("pre").text_content() == "The rate high"
    slider.press("Home")
    assert run_of(playground)[0] == 0.001
    playground.get_by_role("button", name="Its best rate").click()
    assert run_of(playground)[0] == 0.003
    assert slider.get_attribute("aria-valuetext") == "0.003"
    net.select_option("Recurrent net")  # which has Adam, too
    assert optimizer.input_value() == "Adam"
    assert run_of(playground) == RUNS["Recurrent net"]["Adam"][0]
    assert playground.locator("pre").text_content() == "The rate a < b & c"
    assert optimizer.locator("option").all_text_contents() == ["Muon", "Adam"]
    optimizer.select_option("Muon")
    net.select_option("Transformer")  # which has no Muon
    assert optimizer.input_value() == "Descent"
    assert run_of(playground) == RUNS["Transformer"]["Descent"][0]


def test_a_run_that_left_the_numbers_says_so(here):
    playground = mount(here, **DATA)
    playground.get_by_role("slider", name="learning rate").press("ArrowRight")
    assert run_of(playground) == RUNS["Transformer"]["Descent"][1]
    assert (
        status_of(playground) == "Transformer, Descent at 3: the gradient was not finite any more, soon after 50 steps."
    )
    assert playground.locator("pre").text_content() == "The rate "


def test_a_curve_is_where_its_losses_are(here):
    playground = mount(here, **DATA)
    playground.get_by_role("combobox", name="optimizer").select_option("Adam")
    run_of(playground)
    heights = lambda path: [float(at.split(",")[1]) for at in path[1:].split("L")]
    chosen = heights(playground.locator(".playground-line").get_attribute("d"))
    low, high = (heights(it.get_attribute("d")) for it in playground.locator(".language-others path").all())
    level = playground.locator(".language-levels path").get_attribute("d")
    assert float(level.split(",")[1].split("H")[0]) < high[0] < low[0] < chosen[0] < chosen[1]
    assert low[1] < chosen[1]
    assert (low[0] - high[1]) / (2.6 - 2.4) == pytest.approx((chosen[1] - low[1]) / (2.0 - 1.75), rel=0.02)
    assert playground.get_by_role("img").get_attribute("aria-label").endswith("1.75 nats a character after 100 steps.")


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"runs": "{"}, 'runs="{"; write an object in JSON, for each net and optimizer a list of runs'),
        ({"runs": "[]"}, 'runs="[]"; write an object in JSON'),
        ({"runs": '{"net": {"Adam": []}}'}, "a list of runs"),
        ({"runs": '{"net": {"Adam": [[0.1, ["2"], "a"]]}}'}, "a list of runs"),
        ({"runs": '{"net": {"Adam": [[0, [2], "a"]]}}'}, "a list of runs"),
        ({"colors": '{"Adam": "red"}'}, "two colors an optimizer"),
        ({"levels": '{"a guess": "4"}'}, "a loss for each name"),
        ({"every": "0"}, 'every="0"; write a whole number of steps'),
    ],
)
def test_a_wrong_attribute_is_named(here, attributes, message):
    alert = mount(here, **DATA | attributes).get_by_role("alert").text_content()
    assert alert.startswith("<language-playground> has ")
    assert message in alert


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing(page, book_url, theme, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{book_url}/intro.html")
    page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
    mount(page, **DATA)
    assert complaints_of_axe(page, "language-playground") == []


def test_the_chapter_has_one(page, book_url):
    page.goto(f"{book_url}/chapters/language_model.html")
    playground = page.locator("language-playground")
    playground.evaluate("element => element.ready")
    assert playground.get_by_role("alert").all_text_contents() == []
    assert len(run_of(playground)[1]) == 8
    assert playground.locator("pre").text_content().startswith("The learning rate ")
    assert playground.get_by_text("The playground runs in the HTML book").count() == 0
