"""The playground of a population: it computes what `lib.search.population` computes, and every control works."""

import json
import re
from datetime import datetime
from functools import partial

import numpy as np
import pytest
import scipy.stats

from lib.experiments.population import HANDICAPPED, Toy
from lib.figures import MINIMUM, PALETTE, on_dark
from lib.search.population import train_population
from lib.search.strategies import AddNoise, BinaryTournament
from tests.conftest import ROOT, complaints_of_axe, mounted

TAG = "population-playground"
mount = partial(mounted, TAG)
# Trains in the browser with draws from a tape: of each round, in order, the kind of every draw and its numbers.
REPLAY = """([run, tape]) => {
    const left = structuredClone(tape);
    const draws = (round) => Object.fromEntries(["random", "integers", "normals"].map((kind) => [kind, (...asked) => {
        const [taped, arguments_, numbers] = left[round].shift() ?? ["nothing", [], []];
        if (taped !== kind || String(arguments_) !== String(asked))
            throw Error(`round ${round}: asked for ${kind}(${asked}), the tape has ${taped}(${arguments_})`);
        return numbers;
    }]));
    const record = customElements.get("population-playground").train(run, draws);
    return { record, left: Object.values(left).flat().length };
}"""


def record_of(playground) -> dict:
    """What the run did, after the next frame, when every change so far has been computed."""
    return playground.evaluate("async e => { await new Promise(requestAnimationFrame); return e.record; }")


def status_of(playground) -> str:
    """The words, when they have come to rest."""
    playground.page.wait_for_timeout(300)
    return playground.get_by_role("status").text_content()


class Taped:
    """A strategy whose draws are written down: in `tape`, of each round, (kind, arguments, numbers) of every call."""

    def __init__(self, strategy, tape, generators):
        self.strategy, self.tape, self.generators = strategy, tape, generators

    def __call__(self, *args):
        *args, random = args
        if random not in self.generators:  # each round has its own
            self.generators.append(random)
        calls = self.tape.setdefault(len(self.generators), [])

        class Recorder:
            @staticmethod
            def random(n):
                return noted("random", [n], random.random(n))

            @staticmethod
            def integers(low, high, n):
                return noted("integers", [low, high, n], random.integers(low, high, n))

            @staticmethod
            def standard_normal(n):
                return noted("normals", [n], random.standard_normal(n))

        def noted(kind, arguments, numbers):
            calls.append((kind, arguments, numbers.tolist()))
            return numbers

        return self.strategy(*args, Recorder)


def beginning(members) -> dict:
    """Settings to begin with: those of the figure, then drawn ones."""
    more = np.random.default_rng(7).random((members - 2, 2))
    return {name: np.r_[values, more[:, k]] for k, (name, values) in enumerate(HANDICAPPED.items())}


def both(page, members=2, lr=0.01, rounds=20, steps=10, exploit=True, explore=True, noise=0.1, copy_settings=False):
    """The same run by `train_population`, with its own draws, and by the browser, with those from the tape."""
    tape, generators = {}, []
    settings = beginning(members)
    python = train_population(
        Toy(lr), members, rounds, steps, settings=settings, seed=3, copy_settings=copy_settings,
        exploit=Taped(BinaryTournament(), tape, generators) if exploit else None,
        explore=Taped(AddNoise(noise), tape, generators) if explore else None,
    )  # fmt: skip
    run = {
        "h": np.transpose([settings["h0"], settings["h1"]]).tolist(), "lr": lr, "rounds": rounds, "steps": steps,
        "exploit": exploit, "explore": explore, "noise": noise, "copySettings": copy_settings,
    }  # fmt: skip
    answer = page.evaluate(REPLAY, [run, tape])
    assert answer["left"] == 0  # every draw was used
    return python, answer["record"]


def assert_same(python, browser) -> None:
    """Every score, setting and parent of every round is equal, to the bit, and so are the weights at the end."""
    np.testing.assert_array_equal(browser["parents"], python.parents)
    h = np.array(browser["h"])
    np.testing.assert_array_equal(h[..., 0], python.settings["h0"])
    np.testing.assert_array_equal(h[..., 1], python.settings["h1"])
    np.testing.assert_array_equal(np.array(browser["paths"])[-1, :, -1], python.state["theta"])
    np.testing.assert_array_equal(browser["scores"], python.scores)


# ---- What it computes

RUNS = {
    "neither": {"exploit": False, "explore": False},
    "exploit": {"explore": False},
    "explore": {"exploit": False},
    "PBT": {},
    "settings, too": {"copy_settings": True},
    "settings, too, without explore": {"copy_settings": True, "explore": False},
    "three members": {"members": 3, "rounds": 50, "steps": 4},
    "sixteen members": {"members": 16, "copy_settings": True},
    "much noise": {"members": 5, "noise": 1.0, "lr": 0.02},
    "one long round": {"members": 4, "rounds": 1, "steps": 200},
}


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_it_is_the_run_of_train_population(here, run):
    assert_same(*both(here, **run))


@pytest.mark.parametrize("copy_settings", [False, True])
def test_every_step_is_the_one_that_the_toy_takes(here, copy_settings):
    python, browser = both(here, members=6, copy_settings=copy_settings)
    state = Toy().start(range(6))
    for round, paths in enumerate(np.array(browser["paths"])):
        settings = {name: values[round] for name, values in python.settings.items()}
        state = {"theta": state["theta"][python.parents[round]]}
        for step in range(11):
            np.testing.assert_array_equal(paths[:, step], state["theta"])
            state = Toy().advance(state, settings, 1) if step < 10 else state
    assert (python.parents != np.arange(6)).any()


def with_change(page, book_url, old, new):
    """A page whose script was changed."""

    def change(route):
        script = route.fetch().text()
        assert script.count(old) == 1
        route.fulfill(body=script.replace(old, new))

    page.route("**/population.js*", change)
    page.goto(f"{book_url}/intro.html")
    return page


def all_same(page):
    for run in RUNS.values():
        assert_same(*both(page, **run))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("(rank[other] > rank[i] ? other : i)", "(scores[other] > scores[i] ? other : i)"),  # equals never copy
        ("|| lots[i] - lots[j]", "|| lots[j] - lots[i]"),
        ("(i + ahead) % members", "(i + ahead + 1) % members"),
        ("clamp(value + std * noise[k][i], 0, 1)", "value + std * noise[k][i]"),
        ("noise[k][i]", "noise[1 - k][i]"),
        ("exploit && parents[i] === i ? values", "parents[i] === i ? values"),  # without exploit nobody would explore
        ("if (exploit && copySettings)", "if (copySettings || exploit)"),
        ("theta = parents.map((parent) => theta[parent]);", ""),
        ("lr * -2 * h[k] * x", "lr * -2 * x"),
    ],
)
def test_a_wrong_algorithm_in_the_browser_would_be_noticed(page, book_url, old, new):
    page = with_change(page, book_url, old, new)
    with pytest.raises(AssertionError):
        all_same(page)


def test_without_both_two_members_are_the_grid_of_the_figure(here):
    playground = mount(here, exploit="off", explore="off")
    scores = record_of(playground)["scores"]
    assert scores[-1] == pytest.approx([1.2 - 0.9**2 - (0.9 * 0.98**200) ** 2] * 2, rel=1e-12)
    assert f"{max(scores[-1]):.3f}" == "0.390"
    assert status_of(playground) == (
        "Neither, step 200: best Q 0.39, by 2 members alike. Before round 20, nothing happened."
    )


def test_twins_that_wait_for_a_higher_score_stay_at_the_grid(page, book_url):
    """The trap: the two members of the figure tie in every round, so a strict comparison never copies."""
    strict = "(scores[other] > scores[i] ? other : i)"
    playground = mount(with_change(page, book_url, "(rank[other] > rank[i] ? other : i)", strict), explore="off")
    record = record_of(playground)
    assert record["parents"] == [[0, 1]] * 20
    assert f"{max(record['scores'][-1]):.3f}" == "0.390"


def test_the_four_variants_reach_what_python_reaches(here):
    """Not the same draws, so medians over twenty seeds, as in tests/search/test_population.py."""
    reached = {}
    for exploit in "on", "off":
        for explore in "on", "off":
            best = []
            for seed in range(20):
                record = record_of(mount(here, exploit=exploit, explore=explore, seed=seed))
                best.append(max(record["scores"][-1]))
            reached[exploit, explore] = np.median(best)
    assert reached["off", "off"] < 0.4 < 0.8 < reached["off", "on"] < reached["on", "off"]
    assert reached["on", "off"] == pytest.approx(1.17, abs=0.005)
    assert reached["on", "on"] == pytest.approx(1.17, abs=0.01)


# ---- Its own draws

DRAW = f"""([seeds, rounds]) => {{
    const {{ drawsOf }} = customElements.get("{TAG}");
    const all = {{ random: [], integers: [], normals: [] }};
    for (let seed = 0; seed < seeds; seed++) for (let round = 1; round <= rounds; round++) {{
        const draws = drawsOf(seed, round);
        all.integers.push(draws.integers(1, 5, 10));
        all.random.push(draws.random(10));
        all.normals.push(draws.normals(10));
    }}
    return all;
}}"""


def test_its_draws_are_distributed_as_they_should_be(here):
    drawn = {kind: np.array(numbers) for kind, numbers in here.evaluate(DRAW, [50, 20]).items()}
    assert scipy.stats.kstest(drawn["random"].ravel(), "uniform").pvalue > 0.01
    assert scipy.stats.kstest(drawn["normals"].ravel(), "norm").pvalue > 0.01
    values, counts = np.unique(drawn["integers"], return_counts=True)
    assert values.tolist() == [1, 2, 3, 4]
    assert scipy.stats.chisquare(counts).pvalue > 0.01
    for numbers in drawn.values():  # no draw hangs on the one before, on the round before, or on the seed before
        grid = numbers.reshape(50, 20, 10)
        for a, b in [(grid[:, :, 1:], grid[:, :, :-1]), (grid[:, 1:], grid[:, :-1]), (grid[1:], grid[:-1])]:
            assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4 / np.sqrt(a.size)


def test_a_run_is_a_function_of_its_seed(here):
    records = [record_of(mount(here, members=5, seed=seed)) for seed in (4, 4, 5)]
    assert records[0] == records[1] != records[2]


def test_a_member_begins_alike_in_any_population(here):
    few, many = (record_of(mount(here, members=members))["h"][0] for members in (4, 16))
    assert many[:4] == few
    assert few[:2] == [[1, 0], [0, 1]]


# ---- What the reader does


def test_it_works_from_a_server_and_from_disk_and_asks_no_other_host(anywhere):
    playground = mount(anywhere)
    before = record_of(playground)
    playground.get_by_role("checkbox", name="explore").uncheck()
    assert record_of(playground) != before


def test_every_control_changes_the_run_and_reset_brings_it_back(here):
    playground = mount(here, members=3)
    seen = [record_of(playground)]

    def now_new():
        seen.append(record_of(playground))
        assert seen[-1] not in seen[:-1]

    playground.get_by_role("radio", name="weights and settings").check()
    now_new()
    playground.get_by_role("checkbox", name="explore").uncheck()
    now_new()
    assert playground.get_by_role("slider", name="perturbation").is_disabled()
    playground.get_by_role("checkbox", name="exploit").uncheck()
    now_new()
    assert playground.get_by_role("radio", name="weights", exact=True).is_disabled()
    playground.get_by_role("checkbox", name="explore").check()
    now_new()
    for name, key, shown in [
        ("members", "ArrowRight", "4"),
        ("learning rate", "ArrowRight", "0.011"),
        ("steps in a round", "ArrowRight", "20"),
        ("perturbation", "Shift+ArrowRight", "0.2"),
    ]:
        slider = playground.get_by_role("slider", name=name)
        slider.press(key)
        assert slider.get_attribute("aria-valuetext") == shown
        now_new()
    playground.get_by_role("button", name="New seed").click()
    now_new()
    playground.get_by_role("button", name="Reset").click()
    assert record_of(playground) == seen[0]
    assert playground.get_by_role("checkbox", name="exploit").is_checked()
    assert playground.get_by_role("radio", name="weights", exact=True).is_checked()


def test_sliders_end_where_they_should(here):
    playground = mount(here)
    for name, low, high in [
        ("members", "2", "16"),
        ("learning rate", "0.001", "0.1"),
        ("steps in a round", "1", "200"),
        ("perturbation", "0.01", "1"),
        ("step", "0", "200"),
    ]:
        slider = playground.get_by_role("slider", name=name, exact=name == "step")
        for key, outward, end in [("Home", "ArrowLeft", low), ("End", "ArrowRight", high)]:
            slider.press(key)
            slider.press(outward)
            assert slider.get_attribute("aria-valuetext") == end
    assert len(record_of(playground)["scores"]) == 1  # one round of 200 steps


def test_rounds_come_one_by_one_and_begin_again_after_the_last(here):
    playground = mount(here, round=100, shown=0)
    shown = lambda: playground.evaluate("e => e.shown")
    button = playground.get_by_role("button", name="Next round")
    assert status_of(playground) == "PBT, step 0: all 2 begin at (0.90, 0.90), where Q is −0.42."
    for step in 100, 200, 0, 100:
        button.click()
        assert shown() == step
    playground.get_by_role("slider", name="step", exact=True).press("ArrowLeft")
    assert shown() == 99
    button.click()
    assert shown() == 100


def stop_the_clock(page, url):
    """Go to a page on which time passes only as the test says."""
    page.clock.install(time=datetime(2026, 1, 1))
    page.goto(url)
    page.clock.pause_at(datetime(2026, 1, 1, 1))


def test_it_plays_and_pauses(page, book_url):
    stop_the_clock(page, f"{book_url}/intro.html")
    playground = mount(page)
    shown = lambda: playground.evaluate("e => e.shown")
    status = playground.get_by_role("status")
    playground.get_by_role("button", name="Play").click()  # at the end: from the start
    page.clock.run_for(2500)
    assert 48 <= shown() <= 50  # of 200 steps in 10 seconds
    assert status.get_attribute("aria-live") == "off"
    assert re.search(r"step \d\d:", status.text_content())
    playground.get_by_role("button", name="Pause").click()
    paused = shown()
    page.clock.run_for(2000)
    assert shown() == paused
    assert status.get_attribute("aria-live") == "polite"
    playground.get_by_role("button", name="Play").click()
    page.clock.run_for(9000)
    assert shown() == 200
    assert playground.get_by_role("button", name="Play").count() == 1


def test_who_wants_no_motion_sees_whole_rounds(page, book_url):
    page.emulate_media(reduced_motion="reduce")
    stop_the_clock(page, f"{book_url}/intro.html")
    playground = mount(page, round=50)
    playground.get_by_role("button", name="Play").click()
    seen = set()
    for _ in range(30):
        page.clock.run_for(100)
        seen.add(playground.evaluate("e => e.shown"))
    assert seen == {0, 50, 100, 150, 200}


def test_a_playground_that_is_taken_away_stops(page, book_url):
    stop_the_clock(page, f"{book_url}/intro.html")
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    mount(page).get_by_role("button", name="Play").click()
    element = page.locator(TAG).element_handle()
    element.evaluate("e => e.remove()")
    before = element.evaluate("e => e.shown")
    page.clock.run_for(1000)
    assert element.evaluate("e => e.shown") == before
    assert complaints == []


def test_status_tells_what_happened(here):
    playground = mount(here, shown=20)
    record = record_of(playground)
    (copier,) = (i for i, parent in enumerate(record["parents"][1]) if parent != i)
    scores = record["scores"][1]
    assert status_of(playground) == (
        f"PBT, step 20: best Q {max(scores):.2f}, by member {int(np.argmax(scores)) + 1}. "
        f"Before round 2, member {copier + 1} copied {2 - copier}."
    )
    playground.get_by_role("checkbox", name="exploit").uncheck()
    assert status_of(playground).endswith("Before round 2, every h was perturbed.")
    playground = mount(here, members=16, shown=20)
    copies = sum(parent != i for i, parent in enumerate(record_of(playground)["parents"][1]))
    assert status_of(playground).endswith(f"Before round 2, {copies} members copied another.")


def test_the_map_draws_each_member_with_its_jumps(here):
    playground = mount(here, members=16, shown=100)
    record = record_of(playground)
    copies = sum(parent != i for parents in record["parents"][:10] for i, parent in enumerate(parents))
    for where in ".playground-map", ".population-panels figure >> nth=0":
        assert playground.locator(where).locator(".population-paths path").count() == 16
        assert playground.locator(where).locator(".population-jumps path").count() == copies > 20
    members = playground.locator(".playground-map .population-members circle:not(.population-ring)")
    styles = {member.evaluate("e => [getComputedStyle(e).fill, e.style.getPropertyValue('--dash')].join()")
              for member in members.all()}  # fmt: skip
    assert len(styles) == 16


def test_its_colors_are_the_books(here):
    colors = here.evaluate(f"customElements.get('{TAG}').COLORS")
    assert sorted(colors) == sorted([color, on_dark(color)] for color in PALETTE)
    assert json.dumps([MINIMUM, on_dark(MINIMUM)]) in (ROOT / "assets" / "js" / "population.js").read_text()


# ---- What an author does


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"members": "1"}, 'members="1"; write a whole number from 2 to 16, for example members="2"'),
        ({"members": "17"}, 'members="17"; write a whole number from 2 to 16'),
        ({"lr": "0.5"}, 'lr="0.5"; write a number from 0.001 to 0.1, for example lr="0.01"'),
        ({"round": "30"}, 'round="30"; write a whole number that divides 200, the number of steps, for example round'),
        ({"steps": "0"}, 'steps="0"; write a whole number from 1 to 1000'),
        ({"shown": "201"}, 'shown="201"; write a whole number from 0 to 200'),
        ({"noise": "abc"}, 'noise="abc"; write a number from 0.01 to 1'),
        ({"seed": "-1"}, 'seed="-1"; write a whole number from 0 to 1000000'),
        ({"exploit": "yes"}, 'exploit="yes"; write one of on, off.'),
        ({"copies": "all"}, 'copies="all"; write one of weights, weights and settings.'),
    ],
)
def test_a_wrong_attribute_is_named_with_its_value_and_the_remedy(here, attributes, message):
    playground = mount(here, **attributes)
    assert f"<{TAG}> has {message}" in playground.get_by_role("alert").text_content()
    # Set right, it works: the message was not the end.
    for name in attributes:
        playground.evaluate("(element, name) => element.removeAttribute(name)", name)
    assert len(record_of(playground)["scores"]) == 20


def test_attributes_count_also_when_they_change_later(here):
    playground = mount(here)
    playground.evaluate("async e => { e.setAttribute('members', '9'); await e.ready; }")
    assert len(record_of(playground)["scores"][0]) == 9
    given = {"members": 4, "lr": 0.02, "round": 25, "steps": 100, "noise": 0.3, "seed": 8, "shown": 50}
    playground = mount(here, **given, exploit="off", explore="on", copies="weights and settings")
    values = {slider.get_attribute("name"): slider.get_attribute("aria-valuetext")
              for slider in playground.get_by_role("slider").all()}  # fmt: skip
    assert values == {name: str(value) for name, value in given.items() if name not in ("steps", "seed")}
    assert playground.locator("small").text_content().endswith("seed 8")
    assert np.shape(record_of(playground)["paths"]) == (4, 4, 26, 2)
    assert playground.get_by_role("radio", name="weights and settings").is_checked()


def test_every_playground_of_the_chapters_works(page, book, book_url):
    for path in book.glob("chapters/*.html"):
        if f"<{TAG}" not in path.read_text():
            continue
        page.goto(f"{book_url}/{path.relative_to(book)}")
        for playground in page.locator(TAG).all():
            playground.evaluate("element => element.ready")
            assert playground.get_by_role("alert").all_text_contents() == []
            assert record_of(playground)["scores"]
        assert page.get_by_text("The playground runs in the HTML book").count() == 0, (
            f"chapters/{path.stem}.ipynb: the fallback shows beside the playground; "
            f"give <{TAG} ...>, <p>...</p> and </{TAG}> a line each"
        )


# ---- For every reader


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing(page, book_url, theme, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{book_url}/intro.html")
    page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
    mount(page, members=4)
    assert complaints_of_axe(page, TAG) == []


@pytest.mark.parametrize("width", [320, 390])
def test_a_phone_page_does_not_scroll_sideways(page, book_url, width):
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(f"{book_url}/intro.html")
    mount(page, members=16)
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_a_finger_presses_and_slides(browser, book_url):
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(f"{book_url}/intro.html")
    playground = mount(page, shown=0)
    playground.get_by_role("button", name="Next round").tap()
    assert playground.evaluate("e => e.shown") == 10
    playground.get_by_text("explore", exact=True).tap()
    assert not playground.get_by_role("checkbox", name="explore").is_checked()
    slider = playground.get_by_role("slider", name="members")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert len(record_of(playground)["scores"][0]) == 9
    context.close()


@pytest.mark.parametrize("name", ["play", "next", "exploit", "members", "seed"])
def test_focus_shows(here, name):
    playground = mount(here)
    still = playground.screenshot()
    playground.locator(f"[name={name}]").focus()
    here.keyboard.press("Shift")  # the keyboard is in use, so focus is to be seen
    assert playground.screenshot() != still
