"""The playground: it computes what ``lib`` computes, by mouse, touch and keyboard, from a server and from disk."""

import importlib.util
import json
import re
from functools import partial

import pytest

from lib.landscapes import LANDSCAPES
from lib.optimizers import RULES
from lib.optimizers.rule import first_state
from tests.conftest import ROOT, complaints_of_axe, mounted

# A rate at which plain gradient descent stays on the map for 200 steps, as RAdam does, which begins with four of its
# steps; the adaptive rules take longer ones.
RATES = {"bowl": 0.1, "ravine": 0.01, "rosenbrock": 0.0002, "beale": 0.0005, "himmelblau": 0.002, "saddle": 0.05}
ADAPTIVE = {"adagrad": 0.3, "rmsprop": 0.02, "adadelta": 3.0, "adam": 0.05} | dict.fromkeys(
    [
        "rprop",
        "centered_rmsprop",
        "adamw",
        "amsgrad",
        "adamax",
        "nadam",
        "lion",
        "adan",
        "schedule_free_adamw",
    ],
    0.01,
)
STEPPED = {name: rule for name, rule in RULES.items() if rule.each == "entry" and not rule.takes_curvature}
STEPS = 200

mount = partial(mounted, "optimizer-playground")


def path_of(playground) -> list:
    """The path after the next frame, when every change so far has been computed."""
    return playground.evaluate("async element => { await new Promise(requestAnimationFrame); return element.path; }")


def own_path(rule, landscape, start, lr, steps=STEPS) -> list:
    """The same walk in CPython, on plain floats, written without a look at the playground's."""
    position = [float(x) for x in start]
    hyperparameters = rule.defaults | {"lr": lr}
    state = [list(first_state(rule, x, hyperparameters).values()) for x in position]
    path = [position]
    for t in range(1, steps + 1):
        gradient = landscape.gradient(*position)
        position = list(position)
        for i in range(len(position)):
            time = (t,) if rule.counts_steps else ()
            new = rule(position[i], gradient[i], *state[i], *time, **hyperparameters)
            position[i], *state[i] = new if rule.state else (new,)
        path.append(position)
    return path


def largest_difference(page, rule) -> float:
    """Of any coordinate at any step on any landscape, between the browser's path and CPython's."""
    differences = []
    for name, landscape in LANDSCAPES.items():
        lr = ADAPTIVE.get(rule, RATES[name])
        in_browser = path_of(mount(page, optimizer=rule, landscape=name, lr=lr, steps=STEPS))
        here = own_path(RULES[rule], landscape, landscape.start, lr)
        assert len(in_browser) == len(here) == STEPS + 1, f"{rule} left the map of {name}; give it a smaller rate here"
        differences += [abs(a - b) for p, q in zip(in_browser, here, strict=True) for a, b in zip(p, q, strict=True)]
    return max(differences)


# ---- What it computes


@pytest.mark.parametrize("rule", STEPPED)
def test_every_path_is_the_one_that_lib_takes(here, rule):
    # The difference measured is 0. The tolerance is for a C library whose pow differs in the last bit.
    assert largest_difference(here, rule) <= 1e-12


def test_a_wrong_rule_in_the_browser_would_be_noticed(page, book_url):
    def swap_betas(route):
        script = route.fetch().text()
        assert "m = beta1 * m + (1 - beta1) * g" in script
        route.fulfill(body=script.replace("m = beta1 * m + (1 - beta1) * g", "m = beta2 * m + (1 - beta2) * g"))

    page.route("**/playground-lib.js", swap_betas)
    page.goto(f"{book_url}/intro.html")
    assert largest_difference(page, "adam") > 1e-3


def test_every_hyperparameter_can_be_given_as_an_attribute(here):
    given = {"lr": 0.02, "beta1": 0.5, "beta2": 0.9, "eps": 1e-4}
    in_browser = path_of(mount(here, landscape="bowl", optimizer="adam", start="1.5 -0.5", steps=50, **given))
    adam = RULES["adam"]
    position, state = [1.5, -0.5], [[0.0, 0.0], [0.0, 0.0]]
    for t in range(1, 51):
        gradient = LANDSCAPES["bowl"].gradient(*position)
        for i in range(2):
            position[i], *state[i] = adam(position[i], gradient[i], *state[i], t, **given)
    assert in_browser[0] == [1.5, -0.5]
    assert in_browser[-1] == pytest.approx(position, abs=1e-12)


def test_a_walk_that_leaves_the_map_stops_and_says_so(here):
    playground = mount(here, landscape="ravine", optimizer="gradient_descent", lr=0.05)
    path = path_of(playground)
    steep = [y for _, y in path]
    assert 2 < len(path) < STEPS
    assert abs(steep[-1]) > 5 * 3.6 > abs(steep[-2])  # the map is 3.6 high, the limit five times that on either side
    assert playground.get_by_role("status").text_content() == (
        f"Diverged after {len(path) - 1} steps: the walk is far off the map."
    )


def test_status_tells_the_height_and_the_distance_from_the_minimum(here):
    playground = mount(here, landscape="bowl", optimizer="gradient_descent", lr=0.5, steps=1, start="2 1")
    # One step of 0.5 with curvatures 1 and 2 halves x and ends on y = 0, at a height of 0.5.
    assert playground.get_by_role("status").text_content() == "1 step: height 0.5 at (1.00, 0.00), 1 from the minimum."


# ---- What the reader does


def test_it_works_from_a_server_and_from_disk_and_asks_no_other_host(anywhere):
    playground = mount(anywhere, landscape="rosenbrock", optimizer="adam", lr=0.05)
    before = path_of(playground)
    playground.get_by_role("radio", name="Momentum").check()
    assert len(before) == STEPS + 1
    assert path_of(playground) != before


def test_the_start_follows_the_mouse(here):
    playground = mount(here, landscape="ravine", optimizer="gradient_descent", lr=0.03)
    box = playground.locator(".playground-start").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    before = path_of(playground)
    here.mouse.move(x + 3, y + 2)  # not in the middle: the point must not jump
    here.mouse.down()
    here.mouse.move(x + 63, y + 42, steps=5)
    here.mouse.up()
    after = path_of(playground)
    unit = 4.8 / playground.locator(".playground-map").bounding_box()["width"]
    assert before[0] == [-2, 1]
    assert after[0] == pytest.approx([-2 + 60 * unit, 1 - 40 * unit], abs=0.002)
    here.mouse.move(x, y)  # let go: it follows no more
    assert path_of(playground) == after


def test_a_click_on_the_map_puts_the_start_there(here):
    playground = mount(here, landscape="ravine")
    box = playground.locator(".playground-map").bounding_box()
    here.mouse.click(box["x"] + box["width"] * 0.75, box["y"] + box["height"] / 2)
    assert path_of(playground)[0] == pytest.approx([1.2, 0], abs=0.01)


@pytest.fixture
def phone(browser, book_url):
    """A page of the book on a phone with a touch screen, and a function that drags a finger across it."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(f"{book_url}/chapters/notation.html")
    session = context.new_cdp_session(page)

    def swipe(x, y, dx, dy):
        for i in range(11):
            points = [{"x": x + dx * i / 10, "y": y + dy * i / 10}]
            kind = "touchMove" if i else "touchStart"
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
            page.wait_for_timeout(16)
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        page.wait_for_timeout(100)

    page.swipe = swipe
    yield page
    context.close()


def test_a_finger_drags_the_start_and_scrolls_the_rest(phone):
    playground = mount(phone, landscape="ravine", optimizer="gradient_descent", lr=0.03)
    before = path_of(playground)
    box = playground.locator(".playground-start").bounding_box()
    assert min(box["width"], box["height"]) >= 44
    phone.swipe(box["x"] + 22, box["y"] + 22, 40, 60)
    after = path_of(playground)
    unit = 4.8 / playground.locator(".playground-map").bounding_box()["width"]
    assert after[0] == pytest.approx([before[0][0] + 40 * unit, before[0][1] - 60 * unit], abs=0.002)
    assert phone.evaluate("scrollY") == 0

    box = playground.locator(".playground-map").bounding_box()
    phone.swipe(box["x"] + box["width"] * 0.7, box["y"] + box["height"] - 10, 0, -80)
    assert phone.evaluate("scrollY") > 30
    assert path_of(playground) == after


def test_a_tap_on_the_map_puts_the_start_there(phone):
    playground = mount(phone, landscape="ravine")
    box = playground.locator(".playground-map").bounding_box()
    phone.touchscreen.tap(box["x"] + box["width"] * 0.75, box["y"] + box["height"] / 2)
    assert path_of(playground)[0] == pytest.approx([1.2, 0], abs=0.02)


def test_a_phone_page_does_not_scroll_sideways(phone):
    mount(phone, optimizer="adam")
    assert phone.evaluate("document.documentElement.scrollWidth") == 390


def test_the_keyboard_moves_the_start(here):
    playground = mount(here, landscape="ravine", optimizer="gradient_descent", lr=0.03)
    across, up = playground.get_by_label("Start, x"), playground.get_by_label("Start, y")
    across.focus()
    here.keyboard.press("ArrowRight")
    here.keyboard.press("ArrowDown")
    assert path_of(playground)[0] == pytest.approx([-2 + 0.024, 1 - 0.024])
    here.keyboard.press("Shift+ArrowRight")
    assert path_of(playground)[0] == pytest.approx([-2 + 11 * 0.024, 1 - 0.024])
    assert across.get_attribute("aria-valuetext") == "x −1.74, y 0.98"
    here.keyboard.press("Tab")
    assert up.evaluate("element => element === document.activeElement")
    here.keyboard.press("Home")
    assert path_of(playground)[0][1] == pytest.approx(-1.8)


def test_sliders_and_choices_change_the_path(here):
    playground = mount(here, landscape="ravine", optimizer="momentum", lr=0.01, choose="momentum adam")
    seen = [path_of(playground)]

    def now_new():
        seen.append(path_of(playground))
        assert seen[-1] not in seen[:-1]

    rate = playground.get_by_role("slider", name="learning rate")
    rate.focus()
    here.keyboard.press("ArrowRight")
    assert rate.get_attribute("aria-valuetext") == "0.011"
    now_new()
    here.keyboard.press("Shift+ArrowRight")
    assert rate.get_attribute("aria-valuetext") == "0.021"
    now_new()
    here.keyboard.press("Home")
    assert rate.get_attribute("aria-valuetext") == "1e-5"
    now_new()
    playground.get_by_label("momentum μ").press("ArrowLeft")
    assert playground.get_by_label("momentum μ").get_attribute("aria-valuetext") == "0.89"
    now_new()
    playground.get_by_role("slider", name="steps").press("ArrowLeft")
    now_new()
    assert [radio.get_attribute("value") for radio in playground.get_by_role("radio").all()] == ["momentum", "adam"]
    playground.get_by_role("radio", name="Adam").check()
    now_new()
    playground.get_by_role("combobox", name="landscape").select_option("beale")
    now_new()
    playground.get_by_role("button", name="Reset").click()
    assert path_of(playground) == seen[0]


def test_a_memory_that_a_rule_needs_cannot_be_taken_away(here):
    for rule, shortest in {"adam": "0", "schedule_free_adamw": "0.1"}.items():
        slider = mount(here, optimizer=rule).get_by_label("memory of gradients β₁")
        slider.press("Home")
        slider.press("ArrowLeft")
        assert slider.get_attribute("aria-valuetext") == shortest


def test_a_kept_path_stays_and_follows_the_start(here):
    playground = mount(here, landscape="ravine", optimizer="gradient_descent", lr=0.03)
    kept = playground.locator(".playground-map .playground-kept path")
    playground.get_by_role("button", name="Keep path").click()
    playground.get_by_role("radio", name="Adam").check()
    path_of(playground)
    lines = [kept.get_attribute("d")]
    assert playground.get_by_role("listitem").all_text_contents() == ["Gradient descent, η 0.03"]
    playground.get_by_label("Start, x").press("Shift+ArrowRight")
    path_of(playground)
    lines.append(kept.get_attribute("d"))
    assert lines[0] != lines[1] != playground.locator(".playground-map > svg > .playground-line").get_attribute("d")
    playground.get_by_role("button", name="Reset").click()
    assert kept.count() == 0


# ---- What an author does


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"optimizer": "adm"}, 'optimizer="adm"; write one of gradient_descent, momentum'),
        ({"landscape": "Ravine"}, 'landscape="Ravine"; write one of bowl, ravine'),
        (
            {"choose": "adam, momentum"},
            'choose="adam, momentum"; write names among these, with spaces between: gradient_descent momentum',
        ),
        ({"lr": "abc"}, 'lr="abc"; write a number from 0.00001 to 10, for example lr="0.01"'),
        ({"lr": "-0.1"}, 'lr="-0.1"; write a number from 0.00001 to 10'),
        ({"lr": ""}, 'lr=""; write a number from 0.00001 to 10'),
        ({"lr": "Infinity"}, 'lr="Infinity"; write a number from 0.00001 to 10'),
        ({"steps": "1.5"}, 'steps="1.5"; write a whole number from 1 to 1000, for example steps="200"'),
        ({"start": "1"}, 'start="1"; write two numbers on the map, for example start="-2 1"'),
        ({"start": "-2 100"}, 'start="-2 100"; write two numbers on the map'),
        ({"optimizer": "adam", "beta1": "1"}, 'beta1="1"; write a number in [0, 1), for example beta1="0.9"'),
        ({"optimizer": "schedule_free_adamw", "beta1": "0"}, 'beta1="0"; write a number in (0, 1], for example beta1'),
    ],
)
def test_a_wrong_attribute_is_named_with_its_value_and_the_remedy(here, attributes, message):
    playground = mount(here, **({"landscape": "ravine"} | attributes))
    assert f"<optimizer-playground> has {message}" in playground.get_by_role("alert").text_content()
    # Set right, it works: the message was not the end.
    for name in attributes:
        playground.evaluate("(element, name) => element.removeAttribute(name)", name)
    assert len(path_of(playground)) > 1


def test_attributes_that_change_later_count(here):
    playground = mount(here, landscape="ravine", lr=0.01)
    before = path_of(playground)
    playground.evaluate("async element => { element.setAttribute('lr', '0.02'); await element.ready; }")
    assert path_of(playground) != before


@pytest.mark.parametrize("tag", ["optimizer-playground", "population-playground"])
def test_an_attribute_set_wrong_later_is_named_and_nothing_else_breaks(here, tag):
    complaints = []
    here.on("pageerror", lambda error: complaints.append(str(error)))
    playground = mounted(tag, here, lr=0.01)
    playground.evaluate("async element => { element.setAttribute('lr', 'abc'); await element.ready; }")
    assert 'lr="abc"; write a number' in playground.get_by_role("alert").text_content()
    path_of(playground)  # a frame later
    here.wait_for_timeout(100)
    assert complaints == []
    playground.evaluate("async element => { element.setAttribute('lr', '0.02'); await element.ready; }")
    assert playground.get_by_role("slider", name="learning rate").get_attribute("aria-valuetext") == "0.02"


def test_every_playground_of_the_chapters_works(page, book, book_url):
    pages = {path.stem: path for path in book.glob("chapters/*.html") if "<optimizer-playground" in path.read_text()}
    assert pages.keys() >= {"gradient_descent", "adam"}
    for name, path in pages.items():
        page.goto(f"{book_url}/{path.relative_to(book)}")
        for playground in page.locator("optimizer-playground").all():
            playground.evaluate("element => element.ready")
            assert playground.get_by_role("alert").all_text_contents() == []
            assert len(path_of(playground)) > 1
        assert page.get_by_text("The playground runs in the HTML book").count() == 0, (
            f"chapters/{name}.ipynb: the fallback shows beside the playground; "
            "give <optimizer-playground ...>, <p>...</p> and </optimizer-playground> a line each"
        )


# ---- For every reader


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing(page, book_url, theme, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{book_url}/intro.html")
    page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
    playground = mount(page, landscape="ravine", optimizer="adam")
    playground.get_by_role("button", name="Keep path").click()
    assert complaints_of_axe(page, "optimizer-playground") == []


@pytest.mark.parametrize("name", ["Start, x", "learning rate", "Adam", "Reset"])
def test_focus_shows(here, name):
    playground = mount(here, landscape="ravine", optimizer="adam")
    still = playground.screenshot()
    playground.get_by_label(name).or_(playground.get_by_role("button", name=name)).focus()
    here.keyboard.press("Shift")  # the keyboard is in use, so focus is to be seen
    assert playground.screenshot() != still


# ---- How it is built


@pytest.fixture(scope="module")
def vendor():
    spec = importlib.util.spec_from_file_location("vendor", ROOT / "assets" / "vendor.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_bundle_holds_the_files_of_lib(vendor):
    facts = json.loads(vendor.playground().removeprefix("globalThis.stepSize = ").rstrip(";\n"))
    for rule in STEPPED.values():
        path = rule.__module__.replace(".", "/") + ".py"
        assert facts["sources"][path] == (ROOT / path).read_text()
    assert facts["sources"]["lib/landscapes.py"] == (ROOT / "lib" / "landscapes.py").read_text()


def test_a_rule_that_the_browser_cannot_run_fails_the_build(vendor):
    with pytest.raises(SystemExit, match=r"lib/x\.py imports \['numpy'\].* stand-in"):
        vendor._imports("import numpy", "lib/x.py")
    with pytest.raises(SystemExit, match=r"lib/x\.py imports \['norm'\]; add it to .*arrays\.py"):
        vendor._imports("from lib.arrays import norm, sqrt", "lib/x.py")


def test_another_micropython_fails_the_build_until_it_has_been_read(vendor, tmp_path, monkeypatch):
    package = tmp_path / "@micropython" / "micropython-webassembly-pyscript"
    package.mkdir(parents=True)
    original = vendor.MODULES / package.relative_to(tmp_path)
    for name in ("package.json", "micropython.wasm", "micropython.mjs"):
        (package / name).write_bytes((original / name).read_bytes())
    monkeypatch.setattr(vendor, "MODULES", tmp_path)
    assert not re.search(r"\bimport\.meta\b", vendor.micropython())
    (package / "micropython.mjs").write_text((original / "micropython.mjs").read_text() + "\nexport const more = 1;")
    with pytest.raises(SystemExit, match=r"still has module syntax.*export const"):
        vendor.micropython()
    (package / "micropython.mjs").write_text("export default 1;")
    with pytest.raises(SystemExit, match=r"0 times 'export default _createMicroPythonModule;', expected 1"):
        vendor.micropython()
