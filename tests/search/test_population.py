"""A population does what Algorithm 1 says, a copy is whole, and no kill or damage passes unseen."""

from dataclasses import dataclass, field, replace

import array_api_compat.torch
import numpy as np
import pytest

from lib import checkpoints
from lib.experiments.population import HANDICAPPED, Digits, Toy
from lib.optimizers import Optimizer, adamw, gradient_descent
from lib.search import population
from lib.search.population import Record, Run, ancestors, begin, schedule, survivors, train_population
from lib.search.space import LogUniform, Uniform
from lib.search.strategies import AddNoise, BinaryTournament, Perturb, Resample, Truncation, TTest
from tests.kills import KILLS, killed
from tests.search.mixed import Mixed
from tests.search.nets import SMALL

RUN = {"members": 6, "rounds": 5, "steps": 4, "exploit": BinaryTournament(), "explore": Resample(0.3, Perturb())}


@dataclass
class Watched:
    """A task that remembers what it was called with."""

    task: object
    calls: list = field(default_factory=list)

    def __post_init__(self):
        self.space, self.start, self.score = self.task.space, self.task.start, self.task.score

    def advance(self, state, settings, steps):
        after = self.task.advance(state, settings, steps)
        self.calls.append((state, settings, after))
        return after


def bits(record):
    """All that is in a record, to be compared to the bit."""
    groups = record.scores, record.parents, record.parent_rounds, *record.settings.values(), *record.state.values()
    return [(a.dtype, a.shape, a.tobytes()) for a in map(np.asarray, groups)]


def replayed(task, record, member, steps, seed=0):
    """The state of a net that never met another: from the start of the line's first member, by the line's schedule."""
    line = ancestors(record, member)
    members = record.scores.shape[1]
    state = begin(Run(task, members, 1, steps, seed=seed))[0]
    state = {name: a[line[0, 1] :][:1] for name, a in state.items()}
    for round, i in line:
        state = task.advance(state, {name: values[round, [i]] for name, values in record.settings.items()}, steps)
    return state


# ---------- the figure of the paper, and the tie ----------

VARIANTS = {
    "grid": {"exploit": None, "explore": None},
    "exploit": {"exploit": BinaryTournament(), "explore": None, "copy_settings": False},
    "explore": {"exploit": None, "explore": AddNoise(0.1)},
    "PBT": {"exploit": BinaryTournament(), "explore": AddNoise(0.1), "copy_settings": False},
}


def toy(lr=0.01, rounds=20, **variant):
    """The best score in each of 20 runs of two members."""
    runs = (
        train_population(Toy(lr), 2, rounds, 10, settings=HANDICAPPED, seed=seed, **variant).scores[-1]
        for seed in range(20)
    )
    return np.array([scores.max() for scores in runs])


def test_the_four_variants_of_the_figure():
    reached = {name: toy(**variant) for name, variant in VARIANTS.items()}
    shrunk = 0.9 * (1 - 2 * 0.01) ** 200  # the one coordinate that a member of the grid moves
    np.testing.assert_allclose(reached["grid"], 1.2 - 0.9**2 - shrunk**2, rtol=1e-12)
    median = {name: np.median(q) for name, q in reached.items()}
    assert median["grid"] < 0.4 < 0.8 < median["explore"] < median["exploit"] < median["PBT"] < 1.2
    assert median["exploit"] == pytest.approx(1.17, abs=0.005)
    assert median["PBT"] == pytest.approx(1.17, abs=0.01)


def test_with_a_higher_rate_exploit_and_pbt_arrive():
    for name in "exploit", "PBT":
        assert np.median(toy(0.02, 30, **VARIANTS[name])) > 1.1995


def test_a_copy_of_settings_too_leaves_one_direction_untrained():
    """What Algorithm 1 copies. Without exploration both members then have the settings of one."""
    both = {"exploit": BinaryTournament(), "explore": None}
    assert toy(**both) == pytest.approx(np.full(20, toy(**VARIANTS["grid"])[0]), rel=1e-12)
    assert np.median(toy(exploit=BinaryTournament(), explore=AddNoise(0.1))) > 1.1


def strictly_higher(history, random):
    """The trap: of two members a copy is made only of the one with the higher score."""
    one, other = history[-1]
    return np.array([1 if other > one else 0, 0 if one > other else 1])


def test_equals_that_wait_for_a_higher_score_never_copy():
    """By symmetry the two members of the figure tie in every round, to the bit. PBT is then the grid; ours is not."""
    trap = VARIANTS["PBT"] | {"exploit": strictly_higher}
    stuck = train_population(Toy(), 2, 20, 10, **trap, settings=HANDICAPPED)
    assert (stuck.parents == [0, 1]).all()
    assert (stuck.scores[:, 0] == stuck.scores[:, 1]).all()
    assert stuck.scores[-1].max() == toy(**VARIANTS["grid"])[0] < 0.4
    ours = train_population(Toy(), 2, 20, 10, **VARIANTS["PBT"], settings=HANDICAPPED)
    assert (ours.parents[1] != [0, 1]).sum() == 1


# ---------- what a round does ----------


def test_a_copy_takes_every_array_of_the_state():
    """Weights, moments and count: what goes into round r is what came out for the parent, row by row."""
    task = Watched(SMALL)
    record = train_population(task, **RUN)
    copies = record.parents != np.arange(6)
    assert copies[1:].any(axis=1).all()
    assert not copies[0].any()
    for round in range(1, 5):
        _, _, left = task.calls[round - 1]
        state, settings, _ = task.calls[round]
        assert set(state) == {"x", "m", "v", "t"}
        for name in state:
            assert (state[name] == left[name][record.parents[round]]).all()
        for name in settings:
            assert (settings[name] == record.settings[name][round]).all()
    assert record.state is not None
    assert all((record.state[name] == task.calls[-1][2][name]).all() for name in record.state)
    assert (record.scores[-1] == SMALL.score(record.state)).all()


@pytest.mark.parametrize("exploit", [Truncation(0.4), BinaryTournament(), TTest(0.5)], ids=repr)
def test_the_winners_weights_are_those_that_its_schedule_makes(exploit):
    """A net trained alone by that schedule, from the first ancestor's start, is the winner to the bit."""
    record = train_population(SMALL, **RUN | {"exploit": exploit, "rounds": 8})
    assert (record.parents != np.arange(6)).any()
    for member in range(6):
        alone = replayed(SMALL, record, member, 4)
        for name, a in alone.items():
            assert (a[0] == record.state[name][member]).all(), name


def test_copies_are_perturbed_and_the_others_left_alone():
    record = train_population(SMALL, **RUN | {"explore": Perturb()})
    copies = record.parents[1:] != np.arange(6)
    assert copies.any()
    for name, values in record.settings.items():
        before = np.take_along_axis(values[:-1], record.parents[1:], axis=1)
        dimension = SMALL.space[name]
        allowed = [np.clip(before * factor, dimension.low, dimension.high) for factor in (0.8, 1.2)]
        perturbed = (values[1:] == allowed[0]) | (values[1:] == allowed[1])
        assert perturbed[copies].all()
        assert (values[1:] != before)[copies].mean() > 0.5
        assert (values[1:] == before)[~copies].all()


def test_only_the_state_is_copied_if_asked():
    record = train_population(SMALL, **RUN | {"explore": None, "copy_settings": False})
    assert (record.parents != np.arange(6)).any()
    for values in record.settings.values():
        assert (values == values[0]).all()
    alone = replayed(SMALL, record, 3, 4)
    assert (alone["x"][0] == record.state["x"][3]).all()


def test_without_exploit_everybody_explores():
    record = train_population(SMALL, **RUN | {"exploit": None, "explore": Perturb()})
    assert (record.parents == np.arange(6)).all()
    changed = record.settings["lr"][1:] != record.settings["lr"][:-1]
    assert changed.mean() > 0.9


def test_without_both_it_is_a_random_search():
    record = train_population(SMALL, **RUN | {"exploit": None, "explore": None})
    for name, values in record.settings.items():
        assert (values == values[0]).all()
        assert len(set(values[0])) == 6
        SMALL.space[name].share(values)
    longer = train_population(SMALL, **RUN | {"exploit": None, "explore": None, "rounds": 1, "steps": 20})
    assert (longer.state["x"] == record.state["x"]).all()


def test_exploit_sees_the_last_ten_scores_of_each_line():
    """After a copy they are those of the weights that it now has."""
    seen = []

    def second_copies_first(history, random):
        seen.append(history)
        return np.array([0, 0 if len(seen) == 3 else 1])

    settings = {"by": np.array([1, 2]), "factor": np.array(["one", "one"]), "plus": np.zeros(2)}
    train_population(Mixed(), 2, 14, 1, exploit=second_copies_first, explore=None, settings=settings)
    assert seen[1].tolist() == [[1, 2], [2, 4]]
    assert seen[2].tolist() == [[1, 2], [2, 4], [3, 6]]
    assert seen[3].tolist() == [[1, 1], [2, 2], [3, 3], [4, 4]]  # with the weights it took the settings
    assert [len(it) for it in seen] == [*range(1, 11), 10, 10, 10]
    assert seen[-1][-1].tolist() == [13, 13]
    assert seen[-1][0].tolist() == [4, 4]


def test_a_member_begins_alike_in_any_population():
    few, many = (begin(Run(SMALL, members, 1, 1, seed=3)) for members in (2, 5))
    for a, b in zip(few, many, strict=True):
        for name in a:
            assert (a[name] == b[name][:2]).all()
    other = begin(Run(SMALL, 2, 1, 1, seed=4))
    assert (other[0]["x"] != few[0]["x"]).any()
    assert (other[1]["lr"] != few[1]["lr"]).all()


def test_no_two_rounds_draw_alike():
    drawn = []

    def draw(history, random):
        drawn.append(random.random())
        return np.arange(history.shape[1])

    train_population(SMALL, **RUN | {"exploit": draw})
    assert len(set(drawn)) == len(drawn) == 4


def test_one_seed_one_record():
    assert bits(train_population(SMALL, **RUN)) == bits(train_population(SMALL, **RUN))
    assert bits(train_population(SMALL, **RUN)) != bits(train_population(SMALL, **RUN, seed=1))


# ---------- lineage ----------


def test_lineage():
    parents = np.array([[0, 1, 2], [0, 0, 2], [1, 1, 1]])
    rounds = np.repeat([[-1], [0], [1]], 3, axis=1)
    values = np.arange(9.0).reshape(3, 3)
    record = Record(values, {"lr": values}, parents, rounds, {})
    assert ancestors(record, 2).tolist() == [[0, 0], [1, 1], [2, 2]]
    assert schedule(record, 2, "lr").tolist() == [0, 4, 8]
    assert survivors(record).tolist() == [[True, False, False], [False, True, False], [True, True, True]]


def test_lineage_that_skips_a_round():
    """As in an asynchronous run: the last round of member 0 went on from round 0 of member 1."""
    record = Record(
        np.arange(6.0).reshape(3, 2),
        {"lr": np.arange(6.0).reshape(3, 2)},
        np.array([[0, 1], [0, 1], [1, 1]]),
        np.array([[-1, -1], [0, 0], [0, 1]]),
        {},
    )
    assert ancestors(record, 0).tolist() == [[0, 1], [2, 0]]
    assert schedule(record, 0, "lr").tolist() == [1, 4]


# ---------- going on ----------

EXPLORES = [Perturb(), AddNoise(0.01), Resample(0.5), None]


@pytest.mark.parametrize("task", [SMALL, replace(SMALL, rule=adamw, dtype="float64"), Mixed()], ids=repr)
@pytest.mark.parametrize("exploit", [Truncation(0.4), BinaryTournament(), TTest(0.5), None], ids=repr)
def test_a_run_that_goes_on_is_the_run_that_was_never_stopped(exploit, task, tmp_path):
    for number, explore in enumerate(EXPLORES):
        run = RUN | {"exploit": exploit, "explore": explore}
        unbroken = train_population(task, **run)
        path = tmp_path / f"{number}.npz"
        for rounds in 1, 3, 5:
            resumed = train_population(task, **run | {"rounds": rounds}, path=path)
        assert bits(resumed) == bits(unbroken)
        assert bits(train_population(task, **run, path=path)) == bits(unbroken)  # nothing is left to do


def test_numbers_and_functions_of_any_kind(tmp_path):
    """NumPy's whole numbers are whole numbers, and a function is known by its name."""
    run = RUN | {"members": np.int64(2), "steps": np.int32(4), "seed": np.uint8(7), "exploit": strictly_higher}
    train_population(Mixed(), **run | {"rounds": 2}, path=tmp_path / "run.npz")
    run |= {"members": 2, "seed": 7}
    assert bits(train_population(Mixed(), **run, path=tmp_path / "run.npz")) == bits(train_population(Mixed(), **run))


def test_torch_goes_on_too(tmp_path):
    task = replace(SMALL, library=array_api_compat.torch)
    train_population(task, **RUN | {"rounds": 2}, path=tmp_path / "run.npz")
    resumed = train_population(task, **RUN, path=tmp_path / "run.npz")
    assert array_api_compat.is_torch_array(resumed.state["x"])
    assert bits(resumed) == bits(train_population(task, **RUN))


@KILLS
@pytest.mark.parametrize(
    "moment",
    [("write", 1), ("write", 1000), ("write", 3000), ("fsync", 0), ("replace", 0), ("advance_and_score", 0)],
    ids=str,
)
def test_a_kill_at_any_moment_costs_a_round_at_most(moment, tmp_path):
    """In the third round: after so many bytes of the checkpoint, before they are on the disk, before the move, or in
    training."""
    path, run = tmp_path / "run.npz", RUN | {"explore": Perturb()}
    train_population(Mixed(), **run | {"rounds": 2}, path=path)
    killed(moment, train_population, Mixed(), **run, path=path)
    assert len(np.load(path)["log/scores"]) == 2
    assert bits(train_population(Mixed(), **run, path=path)) == bits(train_population(Mixed(), **run))


@KILLS
def test_a_run_that_is_killed_in_every_round_arrives(tmp_path):
    path = tmp_path / "run.npz"
    for rounds in range(1, 5):
        killed(("advance_and_score", 1), train_population, Mixed(), **RUN, path=path)  # a round, and the next is begun
        assert len(np.load(path)["log/scores"]) == rounds
    assert bits(train_population(Mixed(), **RUN, path=path)) == bits(train_population(Mixed(), **RUN))


# ---------- damage, and what is of another run ----------


@pytest.fixture
def stored(tmp_path):
    train_population(SMALL, **RUN | {"rounds": 2}, path=tmp_path / "run.npz")
    return tmp_path / "run.npz"


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_half_a_file(stored, share):
    whole = stored.read_bytes()
    stored.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=r"run\.npz is damaged.*; delete it, and what it holds is trained anew"):
        train_population(SMALL, **RUN, path=stored)


def test_one_bit_of_the_weights_turned_round(stored):
    whole = bytearray(stored.read_bytes())
    whole[whole.index(np.load(stored)["state/m"].tobytes()) + 5] ^= 1
    stored.write_bytes(whole)
    with pytest.raises(ValueError, match=r"run\.npz is damaged.*CRC"):
        train_population(SMALL, **RUN, path=stored)


def test_a_file_of_something_else(tmp_path):
    checkpoints.save(tmp_path / "run.npz", [np.ones(2)], Optimizer(gradient_descent))
    with pytest.raises(ValueError, match=r"run\.npz is no checkpoint that train_population wrote"):
        train_population(SMALL, **RUN, path=tmp_path / "run.npz")


def test_a_file_of_a_later_version(stored, monkeypatch):
    monkeypatch.setattr(population, "VERSION", 0)
    with pytest.raises(ValueError, match="has version 1, this code reads up to 0"):
        train_population(SMALL, **RUN, path=stored)


@pytest.mark.parametrize(
    ("task", "change", "words"),
    [
        (replace(SMALL, hidden=5), {}, r"whose task is 'Digits\(.*hidden=4,.*, not 'Digits\(.*hidden=5,"),
        (replace(SMALL, rule=adamw), {}, "whose task is"),
        (replace(SMALL, seed=1), {}, "whose task is"),
        (replace(SMALL, dtype="float64"), {}, "whose task is"),
        (replace(SMALL, space=SMALL.space | {"lr": LogUniform(1e-4, 0.2)}), {}, "whose space is"),
        (SMALL, {"members": 7}, "whose members is 6, not 7"),
        (SMALL, {"steps": 5}, "whose steps is 4, not 5"),
        (SMALL, {"seed": 1}, "whose seed is 0, not 1"),
        (SMALL, {"exploit": Truncation()}, r"whose exploit is 'BinaryTournament\(\)', not 'Truncation\(share=0.2\)'"),
        (SMALL, {"explore": None}, "whose explore is 'Resample.*not None"),
        (SMALL, {"copy_settings": False}, "whose copy_settings is True, not False"),
    ],
)
def test_a_file_of_another_run(stored, task, change, words):
    before = stored.read_bytes()
    with pytest.raises(ValueError, match=rf"run\.npz holds a run {words}.*; go on with what it was begun with, or"):
        train_population(task, **RUN | change, path=stored)
    assert stored.read_bytes() == before


def test_a_file_of_other_settings_states_or_more_rounds(stored):
    settings = {"lr": np.full(6, 0.01), "beta1": np.full(6, 0.9)}
    with pytest.raises(ValueError, match=r"run\.npz was begun with other settings"):
        train_population(SMALL, **RUN, path=stored, settings=settings)
    with pytest.raises(ValueError, match=r"run\.npz holds 2 rounds, more than 1"):
        train_population(SMALL, **RUN | {"rounds": 1}, path=stored)

    class Liar(Digits):
        def start(self, seeds):
            return super().start(seeds) | {"more": np.zeros(len(seeds))}

        def __repr__(self):
            return repr(SMALL)

    with pytest.raises(ValueError, match=r"holds a state of the shapes .*another repr"):
        train_population(Liar(SMALL.rule, SMALL.space, hidden=4, batch=8), **RUN, path=stored)


# ---------- tasks that break their word ----------


class Broken(Mixed):
    broken: str = ""

    def __init__(self, broken, space=None):
        super().__init__()
        object.__setattr__(self, "broken", broken)
        if space is not None:
            object.__setattr__(self, "space", space)

    def start(self, seeds):
        return {"sum": np.zeros(1 if self.broken == "start" else len(seeds))}

    def advance(self, state, settings, steps):
        after = super().advance(state, settings, steps)
        return {"sum": after["sum"][:1]} if self.broken == "advance" else after

    def score(self, state):
        return state["sum"].mean() if self.broken == "score" else state["sum"]


@pytest.mark.parametrize(
    ("task", "change", "error", "words"),
    [
        (Broken("start"), {}, ValueError, r"state\['sum'\] must have one row a member, 6; got shape \(1,\)"),
        (Broken("advance"), {}, ValueError, r"state\['sum'\] must have one row a member, 6; got shape \(1,\)"),
        (Broken("score"), {}, ValueError, r"score must return one number a member, 6; got shape \(\)"),
        (Broken("", {}), {}, ValueError, "space must have a dimension"),
        (Broken("", {"scores": Uniform(0, 1)}), {}, ValueError, "no dimension of a space may be called 'scores'"),
        (
            Mixed(),
            {"exploit": lambda history, random: [1, 2]},
            ValueError,
            r"exploit must .*, 0 to 5, .*got array\(\[1, 2",
        ),
        (Mixed(), {"exploit": lambda history, random: np.arange(6) + 1}, ValueError, "exploit must return the number"),
        (Mixed(), {"members": 0}, ValueError, "members must be a whole number >= 1, got 0"),
        (Mixed(), {"rounds": 1.5}, ValueError, "rounds must be a whole number >= 1, got 1.5"),
        (Mixed(), {"steps": "2"}, TypeError, "steps must be a whole number >= 1, got '2'"),
        (Mixed(), {"seed": -1}, ValueError, "seed must be a whole number >= 0, got -1"),
        (Mixed(), {"settings": {"by": np.ones(6)}}, ValueError, "settings must hold 6 values of each of by, factor"),
        (Toy(), {"settings": {"h0": np.ones(6), "h1": np.full(6, 2.0)}}, ValueError, "value 2.0 is outside"),
        (Toy(), {"settings": {"h0": np.ones(6), "h1": np.ones(5)}}, ValueError, "settings must hold 6 values"),
    ],
)
def test_clear_errors(task, change, error, words):
    with pytest.raises(error, match=words):
        train_population(task, **RUN | change)
