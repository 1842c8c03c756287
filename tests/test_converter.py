"""The converter: it shows what lib.dialects finds, by mouse and keyboard, from a server and from disk."""

import importlib.util
import json
from functools import partial

import pytest

from lib.dialects import DIALECTS
from lib.dialects.converter import TITLES, convert, dialect_of, distances
from lib.optimizers import RULES
from lib.referees.defaults import filled
from tests.conftest import ROOT, mounted

NAMES = [name for name in RULES if any(name in dialects for dialects in DIALECTS.values())]

mount = partial(mounted, "optimizer-converter")
ANSWER = "async element => { await new Promise(requestAnimationFrame); return element.answer; }"


def answer_of(converter) -> dict:
    """The answer after the next frame, when every change so far has been computed."""
    return converter.evaluate(ANSWER)


def answer_here(name, source, target, numbers) -> dict:
    """The same answer in CPython."""
    usual = filled(target, name) if dialect_of(target, name) else {}
    return convert(name, source, target, numbers) | {"distances": distances(name, source, target, numbers, usual)}


def same(shown: dict, right: dict) -> None:
    """Words must be equal, numbers too, but for the last digits of a power or of what is left of two equal paths."""
    assert {key: shown[key] for key in shown if key != "distances"} == {
        key: right[key] for key in right if key != "distances"
    }
    assert shown["distances"].keys() == right["distances"].keys()
    for port, cells in right["distances"].items():
        for one, other in zip(shown["distances"][port], cells, strict=True):
            for a, b in zip(one, other, strict=True):
                assert (a is None) == (b is None)
                assert a is None or a == pytest.approx(b, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_it_shows_what_python_finds(here, name):
    sources = [side for side in TITLES if dialect_of(side, name)]
    for source in sources:
        for target in (side for side in TITLES if side != source):
            shown = answer_of(mount(here, optimizer=name, source=source, target=target))
            same(shown, json.loads(json.dumps(answer_here(name, source, target, filled(source, name)))))


def test_a_wrong_rule_in_the_browser_would_be_noticed(page, book_url):
    def other_map(route):
        script = route.fetch().text()
        right = 'now | {\\"eps\\": now[\\"eps\\"] / sqrt(1 - now[\\"beta2\\"] ** t)}'
        assert right in script
        route.fulfill(body=script.replace(right, right.replace(" / sqrt", " * sqrt")))

    page.route("**/converter-lib.js", other_map)
    page.goto(f"{book_url}/intro.html")
    shown = answer_of(mount(page, optimizer="adam", source="keras", target="torch"))
    with pytest.raises(AssertionError):
        same(shown, answer_here("adam", "keras", "torch", filled("keras", "adam")))


def test_numbers_of_the_reader_are_used(here):
    converter = mount(here, optimizer="adam", source="torch", target="keras")
    given = {"lr": 0.0003, "beta1": 0.8, "beta2": 0.95, "eps": 1e-5}
    for label, value in zip(("lr", "betas[0]", "betas[1]", "eps"), given.values(), strict=True):
        converter.get_by_label(label, exact=True).fill(str(value))
    same(answer_of(converter), answer_here("adam", "torch", "keras", given))
    assert "0.0003" in converter.locator("pre").text_content()


def test_choices_change_the_answer_and_the_fields(here):
    converter = mount(here, optimizer="adam", source="torch", target="keras")
    assert converter.locator(".converter-numbers input").count() == 4
    converter.get_by_role("combobox", name="optimizer").select_option("adagrad")
    assert answer_of(converter)["kind"] == "never"
    assert converter.get_by_role("status").text_content().startswith("With these arguments, no number does.")
    converter.get_by_role("button", name="Swap from and to").click()
    assert answer_of(converter)["kind"] == "numbers"
    assert converter.get_by_role("combobox", name="from").input_value() == "keras"
    converter.get_by_role("combobox", name="optimizer").select_option("lion")
    same(answer_of(converter), answer_here("lion", "keras", "torch", filled("keras", "lion")))
    assert converter.get_by_role("button", name="Swap from and to").is_disabled()
    assert converter.get_by_role("combobox", name="from").locator("option[value=torch]").is_disabled()
    converter.get_by_role("combobox", name="optimizer").select_option("radam")  # which Keras does not have
    assert converter.get_by_role("combobox", name="from").input_value() != "keras"


@pytest.mark.parametrize(
    ("text", "words"),
    [("abc", "eps: write a number"), ("", "eps: write a number"), ("-1", "eps must be a finite number >= 0, got -1.0")],
)
def test_a_wrong_number_is_named(here, text, words):
    converter = mount(here, optimizer="adam", source="torch", target="keras")
    converter.get_by_label("eps", exact=True).fill(text)
    assert words in answer_of(converter)["error"]
    assert words in converter.get_by_role("alert").text_content()
    assert not converter.locator("pre").is_visible()
    converter.get_by_label("eps", exact=True).fill("1e-8")
    answer_of(converter)
    assert converter.locator("pre").is_visible()


def test_the_keyboard_is_enough(here):
    converter = mount(here, optimizer="adam", source="torch", target="keras")
    converter.get_by_role("combobox", name="optimizer").focus()
    stops = []
    for _ in range(10):
        stops.append(here.evaluate("document.activeElement.name || document.activeElement.localName"))
        here.keyboard.press("Tab")
    stops = [stop for stop in stops if stop != "pre"]  # code is a stop while it scrolls: the theme decides, a bit later
    assert stops[:9] == ["rule", "source", "target", "swap", "lr", "beta1", "beta2", "eps", "copy"]


def test_code_is_copied(page, book_url):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{book_url}/intro.html")
    converter = mount(page, optimizer="adam", source="keras", target="torch")
    converter.get_by_role("button", name="Copy").click()
    page.wait_for_timeout(100)
    assert page.evaluate("navigator.clipboard.readText()") == answer_of(converter)["code"]


@pytest.mark.parametrize(
    "attributes", [{"optimizer": "adm"}, {"source": "jax"}, {"optimizer": "lion", "source": "torch"}]
)
def test_a_wrong_attribute_is_named(here, attributes):
    (name, value) = list(attributes.items())[-1]
    message = mount(here, **attributes).get_by_role("alert").text_content()
    assert f'<optimizer-converter> has {name}="{value}"; write one of ' in message


def test_it_works_from_a_server_and_from_disk_and_asks_no_other_host(anywhere):
    same(answer_of(mount(anywhere, optimizer="adam", source="torch", target="keras")),
         answer_here("adam", "torch", "keras", filled("torch", "adam")))  # fmt: skip


def test_the_converter_of_the_chapter_works(page, book_url):
    page.goto(f"{book_url}/chapters/dialects.html")
    converter = page.locator("optimizer-converter")
    converter.evaluate("element => element.ready")
    assert answer_of(converter)["code"]
    assert page.get_by_text("The converter runs in the HTML book").count() == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_and_nothing_is_cut_off(page, book_url, theme, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{book_url}/intro.html")
    page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
    mount(page, optimizer="adam", source="torch", target="keras")
    page.add_script_tag(path=ROOT / "node_modules" / "axe-core" / "axe.min.js")
    results = page.evaluate("axe.run('optimizer-converter')")
    assert [(it["id"], it["nodes"][0]["html"]) for it in results["violations"]] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


# ---- How it is built


@pytest.fixture(scope="module")
def vendor():
    spec = importlib.util.spec_from_file_location("vendor", ROOT / "assets" / "vendor.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("source", "rewritten"),
    [
        ("a = (1, 2, *b)", "a = (tuple([1]) + tuple([2]) + tuple(b))"),
        ("a = [*b, 1]", "a = (list(b) + list([1]))"),
        ("a = {'x': 1, **b}  # ü", "a = ({'x': 1} | dict(b))  # ü"),
        ("Numbers = dict[str, float]\n", "Numbers = None\n"),
        ("ü = 1; a = [*b]\nc = (*d,)", "ü = 1; a = (list(b))\nc = (tuple(d))"),
        ("first, *later = f(*a, **b)  # untouched", "first, *later = f(*a, **b)  # untouched"),
    ],
)
def test_what_micropython_cannot_read_is_rewritten_and_nothing_else(vendor, source, rewritten):
    assert vendor.in_micropython(source) == rewritten


def test_rewritten_files_mean_the_same(vendor):
    for name in ("torch", "keras", "optax"):
        source = (ROOT / "lib" / "dialects" / f"{name}.py").read_text()
        scope = {}
        exec(vendor.in_micropython(source), scope)
        assert {key: it.names for key, it in scope["DIALECTS"].items()} == {
            key: it.names for key, it in DIALECTS[name].items()
        }
