"""A stack trains each net as if it were alone, NumPy as PyTorch, and each net as torch.optim would."""

import json
from functools import partial

import array_api_compat.numpy
import array_api_compat.torch
import numpy as np
import pytest
import torch

from lib import data
from lib.experiments import population
from lib.experiments.population import (
    COUNTS,
    FRESH,
    HALVING,
    HANDICAPPED,
    LENGTHS,
    MEMBERS,
    ROUNDS,
    STEPS,
    TIMES,
    Digits,
    NoTrend,
    PerturbGap,
    Toy,
    compare,
    contenders,
    halved,
    main,
    member_steps,
    random_search,
    retrained,
    winner,
)
from lib.networks import accuracy, cross_entropy, forward, relu, value_and_grad
from lib.optimizers import RULES, adam, adamw, gradient_descent, l2, lars, momentum, muon, rmsprop, sophia
from lib.schedules import cosine, linear
from lib.search.population import Record, schedule, train_population
from lib.search.space import Choice, LogUniform, Uniform, at_shares
from lib.search.strategies import TTest

LIBRARIES = {"numpy": array_api_compat.numpy, "torch": array_api_compat.torch}
RATE = {"lr": LogUniform(1e-3, 0.05)}
EPS = {"float32": 2.0**-23, "float64": 2.0**-52}


def digits(rule=momentum, space=RATE, **given):
    return Digits(rule, space, **{"dtype": "float64"} | given)


def drawn(task, members, seed=0):
    return at_shares(task.space, np.random.default_rng(seed).random((members, len(task.space))))


def numpy_of(state):
    return {name: np.asarray(a) for name, a in state.items()}


def one(arrays, i):
    return {name: a[i : i + 1] for name, a in arrays.items()}


def net(task, state, i):
    """The parameters of member ``i`` in the form of `lib.networks.forward`."""
    arrays = [np.asarray(a)[i] for a in task.unpack(state["x"])]
    return {name: a[0] if name[0] == "b" else a for name, a in zip(["W1", "b1", "W2", "b2"], arrays, strict=True)}


# ---------- the toy ----------


def test_the_toy_climbs_its_surrogate():
    theta = torch.full((2, 2), 0.9, dtype=torch.float64, requires_grad=True)
    h = torch.eye(2, dtype=torch.float64)
    optimizer = torch.optim.SGD([theta], lr=0.01, maximize=True)
    for _ in range(50):
        optimizer.zero_grad()
        (1.2 - (h * theta**2).sum(1)).sum().backward()
        optimizer.step()
    task = Toy()
    state = task.advance(task.start([0, 1]), HANDICAPPED, 50)
    np.testing.assert_allclose(state["theta"], theta.detach(), rtol=1e-13)
    np.testing.assert_allclose(task.score(state), 1.2 - (theta.detach() ** 2).sum(1), rtol=1e-13)
    assert task.score(task.start([0]))[0] == pytest.approx(1.2 - 2 * 0.81)


# ---------- the net ----------


@pytest.mark.parametrize("library", LIBRARIES.values(), ids=LIBRARIES)
def test_the_gradient_is_that_of_autograd(library):
    task = digits(library=library, hidden=5)
    x = task.start(range(3))["x"]
    inputs, targets = (a[:7] for a in task.parts["train"])
    variable = torch.tensor(np.asarray(x), requires_grad=True)
    w1, b1, w2, b2 = Digits(hidden=5, library=array_api_compat.torch).unpack(variable)
    logits = torch.relu(torch.tensor(np.asarray(inputs)) @ w1 + b1) @ w2 + b2
    labels = torch.tensor(np.asarray(targets)).argmax(1)
    for member in range(3):
        torch.nn.functional.cross_entropy(logits[member], labels).backward(retain_graph=True)
    gradient = np.asarray(task.gradient(x, inputs, targets))
    scale = abs(gradient).max()
    np.testing.assert_allclose(gradient, variable.grad, rtol=0, atol=64 * EPS["float64"] * scale)
    assert np.count_nonzero(gradient) > gradient.size / 3


def test_the_gradient_is_that_of_the_books_backpropagation():
    task = digits(hidden=5)
    state = task.start(range(2))
    inputs, targets = (a[:7] for a in task.parts["train"])
    gradient = task.gradient(state["x"], inputs, targets)
    loss = lambda params: cross_entropy(forward(params, inputs, relu)[-1], targets.argmax(1))
    for i in range(2):
        _, grads = value_and_grad(loss)(net(task, state, i))
        flat = np.concatenate([g.ravel() for g in grads.values()])
        np.testing.assert_allclose(gradient[i], flat, rtol=0, atol=64 * EPS["float64"] * abs(flat).max())


@pytest.mark.parametrize("library", LIBRARIES.values(), ids=LIBRARIES)
def test_losses_and_accuracies(library):
    task = digits(library=library, hidden=16, block=2)
    state = task.advance(task.start(range(3)), {"lr": np.array([0.02, 0.03, 0.04])}, 60)
    for part in "train", "validation", "test":
        inputs, targets = (np.asarray(a) for a in task.parts[part])
        for i in range(3):
            logits = forward(net(task, state, i), inputs, relu)[-1]
            labels = targets.argmax(1)
            assert task.losses(state, part)[i] == pytest.approx(cross_entropy(logits, labels), rel=1e-12)
            assert task.accuracies(state, part)[i] == pytest.approx(accuracy(logits, labels), rel=1e-12)
    assert (task.score(state) == -task.losses(state, "validation")).all()
    assert task.score(state).dtype == np.float64
    assert (task.accuracies(state, "test") > 0.5).all()


def test_three_sets_that_share_no_example():
    parts, split = Digits(dtype="float64").parts, data.digits()
    sizes = {name: len(x) for name, (x, _) in parts.items()}
    assert sizes == {"train": 1010, "validation": 337, "test": 450}
    np.testing.assert_array_equal(parts["test"][0], split.x_test)
    together = np.concatenate([parts["train"][0], parts["validation"][0]])
    assert sorted(map(bytes, together)) == sorted(map(bytes, split.x_train))
    for _, targets in parts.values():
        assert (targets.sum(1) == 1).all()
        assert (abs(targets.mean(0) - 0.1) < 0.01).all()  # of equal shares


# ---------- batches ----------


def test_an_epoch_sees_every_example_once_and_in_a_new_order():
    task = Digits(batch=101, dtype="float64")
    inputs = task.parts["train"][0]
    epochs = [np.concatenate([x for x, _ in task._batches(t, 10)]) for t in (0, 10)]
    for epoch in epochs:
        assert sorted(map(bytes, epoch)) == sorted(map(bytes, inputs))
    assert (epochs[0] != epochs[1]).any()


def test_batches_depend_on_the_step_and_the_seed_alone():
    task = Digits(batch=300)  # three an epoch, the rest left out
    at_once = task._batches(0, 8)
    in_turn = [pair for t in range(0, 8, 2) for pair in task._batches(t, 2)]
    for (x, y), (other_x, other_y) in zip(at_once, in_turn, strict=True):
        assert x.shape == (300, 64)
        assert (x == other_x).all()
        assert (y == other_y).all()
    assert (Digits(batch=300)._batches(0, 1)[0][0] == at_once[0][0]).all()
    assert (Digits(batch=300, seed=1)._batches(0, 1)[0][0] != at_once[0][0]).any()


def test_members_that_are_not_in_step_are_refused():
    task = digits()
    state = task.start(range(2))
    state["t"] = np.array([0, 3])
    with pytest.raises(ValueError, match="must have taken as many steps"):
        task.advance(state, drawn(task, 2), 1)


# ---------- a stack, and each net alone ----------

ELEMENTWISE = [rule for rule in RULES.values() if rule.each == "entry" and not rule.takes_curvature]


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("rule", ELEMENTWISE, ids=lambda rule: rule.__name__)
def test_a_stack_is_every_net_alone_to_the_bit(rule, dtype):
    """NumPy multiplies stacks of matrices one pair after the other, by the same routine. Odd sizes leave remainders."""
    space = {"lr": LogUniform(1e-3, 0.01)} if "lr" in rule.defaults else {"eta_minus": Uniform(0.4, 0.6)}
    task = Digits(rule, space, dtype=dtype, hidden=5, batch=7, block=3)
    state, settings = task.start(range(7)), drawn(task, 7)
    together = task.advance(task.advance(state, settings, 3), settings, 12)
    assert together["t"].tolist() == [15] * 7
    for i in range(7):
        alone = task.advance(one(state, i), one(settings, i), 15)
        assert set(alone) == set(together)
        for name, a in alone.items():
            assert a.dtype == (np.int64 if name == "t" else dtype)
            assert (a[0] == together[name][i]).all(), name
        assert task.score(alone)[0] == task.score(together)[i]


@pytest.mark.parametrize("dtype", EPS)
def test_a_torch_stack_is_every_net_alone_but_for_rounding(dtype):
    """PyTorch chooses the routine for a batch of products by its sizes, the members among them. In one step a parameter
    differs by the roundings of sums of 64 products, a gradient at most; after ten, by some more."""
    task = Digits(momentum, RATE, dtype=dtype, hidden=5, batch=7, library=array_api_compat.torch)
    state, settings = task.start(range(4)), drawn(task, 4)
    together = task.advance(state, settings, 10)
    for i in range(4):
        alone = task.advance(one(state, i), one(settings, i), 10)
        np.testing.assert_allclose(alone["x"][0], together["x"][i], rtol=0, atol=64 * EPS[dtype])


@pytest.mark.parametrize("block", [1, 2, 5, 64, None])
@pytest.mark.parametrize("library", LIBRARIES.values(), ids=LIBRARIES)
def test_blocks_change_nothing(block, library):
    tasks = [digits(hidden=8, block=size, library=library) for size in (5, block)]
    states = [task.advance(task.start(range(5)), drawn(task, 5), 10) for task in tasks]
    np.testing.assert_allclose(
        states[0]["x"], states[1]["x"], rtol=0, atol=0 if library is LIBRARIES["numpy"] else 1e-13
    )
    assert len(tasks[1].score(states[1])) == 5


@pytest.mark.parametrize("rule", ELEMENTWISE, ids=lambda rule: rule.__name__)
def test_numpy_is_torch(rule):
    """In float64 ten steps differ by rounding alone. Most of it comes of rules that divide by a root: a gradient that
    is all cancellation is wrong by 1e-17, and divided by an eps of 1e-8, times a rate of 0.01, that is 1e-11."""
    space = {"lr": LogUniform(1e-3, 0.01)} if "lr" in rule.defaults else {"eta_minus": Uniform(0.4, 0.6)}
    states = {}
    for name, library in LIBRARIES.items():
        task = digits(rule, space, library=library, hidden=8)
        states[name] = numpy_of(task.advance(task.start(range(3)), drawn(task, 3), 10))
    for name, a in states["numpy"].items():
        np.testing.assert_allclose(states["torch"][name], a, rtol=1e-9, atol=1e-11, err_msg=name)


def test_a_run_in_torch_is_a_run_in_numpy():
    """Whole runs: the same parents, and scores but for rounding."""
    records = [
        train_population(digits(adam, library=library, hidden=8), 6, 4, 10, seed=1) for library in LIBRARIES.values()
    ]
    assert (records[0].parents == records[1].parents).all()
    assert (records[0].parents != np.arange(6)).any()
    np.testing.assert_allclose(records[0].scores, records[1].scores, rtol=1e-9)
    assert array_api_compat.is_torch_array(records[1].state["x"])


TORCH = {
    "gradient_descent": (gradient_descent, {"lr": 0.05}, lambda p: torch.optim.SGD(p, lr=0.05)),
    "l2(momentum)": (
        l2(momentum),
        {"lr": 0.02, "momentum": 0.8, "weight_decay": 0.01},
        lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.8, weight_decay=0.01),
    ),
    "rmsprop": (rmsprop, {"lr": 0.001, "rho": 0.8}, lambda p: torch.optim.RMSprop(p, lr=0.001, alpha=0.8, eps=1e-8)),
    "adam": (adam, {"lr": 0.003, "beta1": 0.8}, lambda p: torch.optim.Adam(p, lr=0.003, betas=(0.8, 0.999))),
    "adamw": (
        adamw,
        {"lr": 0.003, "weight_decay": 0.1},
        lambda p: torch.optim.AdamW(p, lr=0.003, weight_decay=0.1),
    ),
}


@pytest.mark.parametrize(("rule", "values", "make"), TORCH.values(), ids=TORCH)
@pytest.mark.parametrize("library", LIBRARIES.values(), ids=LIBRARIES)
def test_a_member_is_trained_as_by_torch_optim(rule, values, make, library):
    """Fifty steps at constant settings, by torch's own layers, loss, gradient and optimizer; in a stack whose other
    member has other settings."""
    task = digits(rule, {name: Uniform(0, 0.99) for name in values}, library=library, hidden=8)
    state = task.start(range(2))
    layers = torch.nn.Sequential(torch.nn.Linear(64, 8), torch.nn.ReLU(), torch.nn.Linear(8, 10)).double()
    with torch.no_grad():
        start = net(task, state, 1)
        for number, layer in enumerate([layers[0], layers[2]], start=1):
            layer.weight.copy_(torch.tensor(start[f"W{number}"]).T)
            layer.bias.copy_(torch.tensor(start[f"b{number}"]))
    optimizer = make(layers.parameters())
    for inputs, targets in task._batches(0, 50):
        optimizer.zero_grad()
        labels = torch.tensor(np.asarray(targets)).argmax(1)
        torch.nn.functional.cross_entropy(layers(torch.tensor(np.asarray(inputs))), labels).backward()
        optimizer.step()
    settings = {name: np.array([value / 2, value]) for name, value in values.items()}
    state = task.advance(state, settings, 50)
    ours = net(task, state, 1)
    for number, layer in enumerate([layers[0], layers[2]], start=1):
        np.testing.assert_allclose(ours[f"W{number}"], layer.weight.detach().T, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(ours[f"b{number}"], layer.bias.detach(), rtol=1e-8, atol=1e-10)


def test_a_member_that_diverges_does_not_disturb_the_others():
    task = digits(hidden=8)
    state = task.start(range(3))
    settings = {"lr": np.array([0.01, 1e200, 0.01])}
    after = task.advance(state, settings, 20)
    assert not np.isfinite(task.score(after)[1])
    for i in 0, 2:
        alone = task.advance(one(state, i), one(settings, i), 20)
        assert (alone["x"][0] == after["x"][i]).all()


# ---------- what is refused ----------


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Toy(0), ValueError, "Toy: lr must be a finite number > 0, got 0"),
        (lambda: digits(hidden=0), ValueError, "Digits: hidden must be a whole number >= 1, got 0"),
        (lambda: digits(batch=2.5), ValueError, "Digits: batch must be a whole number >= 1, got 2.5"),
        (lambda: digits(batch=1011)._batches(0, 1), ValueError, "batch must be at most 1010, the size of .*got 1011"),
        (lambda: digits(dtype="int8"), ValueError, "Digits: dtype must be 'float32' or 'float64', got 'int8'"),
        (lambda: digits(lars), ValueError, "Digits: lars steps a whole array, here of nets that are apart; choose"),
        (lambda: digits(muon), ValueError, "muon steps a whole matrix"),
        (lambda: digits(sophia), ValueError, "sophia takes curvature"),
        (lambda: digits(momentum, {"beta1": Uniform(0, 1)}), TypeError, "unknown hyperparameter 'beta1'"),
        (lambda: digits(momentum, RATE, fixed={"momentun": 0.9}), TypeError, "did you mean 'momentum'"),
        (lambda: digits(l2(momentum)), ValueError, r"l2\(momentum\) needs weight_decay; search it, or fix it"),
        (lambda: digits(momentum, {}), ValueError, "space must have a dimension"),
        (lambda: digits(momentum, RATE, fixed={"momentum": 1}), ValueError, r"momentum must be a number in \[0, 1\)"),
        (lambda: digits(momentum, {"momentum": Uniform(0.5, 1)}), ValueError, r"momentum must be .*, got 1.0"),
        (lambda: digits(momentum, {"lr": Choice("a", "b")}), TypeError, "lr must be a finite number >= 0, got 'a'"),
    ],
)
def test_clear_errors(make, error, words):
    with pytest.raises(error, match=words):
        make()


# ---------- a schedule that all members share ----------


def test_a_factor_multiplies_the_rate_step_by_step():
    """As settings that change after every step would; it goes on from round to round."""
    shape = partial(cosine, lr=1.0, steps=12)
    state, settings = digits().start(range(3)), drawn(digits(), 3)
    by_factor = digits(factor=shape).advance(digits(factor=shape).advance(state, settings, 5), settings, 7)
    by_hand = state
    for t in range(12):
        by_hand = digits().advance(by_hand, {"lr": settings["lr"] * float(shape(t))}, 1)
    np.testing.assert_allclose(by_factor["x"], by_hand["x"], rtol=1e-12)
    assert by_factor["x"].dtype == np.float64
    assert Digits(factor=shape).advance(Digits().start(range(2)), drawn(Digits(), 2), 3)["x"].dtype == np.float32
    assert (by_factor["x"] != digits().advance(state, settings, 12)["x"]).any()


def test_a_task_with_a_schedule_is_another_task():
    """Or a checkpoint of one would pass for the other's."""
    shapes = None, partial(cosine, lr=1.0, steps=9), partial(cosine, lr=1.0, steps=8), partial(linear, lr=1.0, steps=9)
    names = {repr(Digits(factor=shape)) for shape in shapes}
    assert len(names) == 4
    assert repr(Digits(factor=shapes[1])).endswith("seed=0, factor=cosine(lr=1.0, steps=9))")
    assert "0x" not in "".join(names)


# ---------- the comparison ----------

SMALL = Digits(batch=8, hidden=4)


def test_a_random_search_is_its_members_trained_alone():
    record = random_search(SMALL, 4, 30, seed=2)
    assert record.scores.shape == (1, 4)
    again = train_population(SMALL, 4, 3, 10, exploit=None, explore=None, seed=2)
    assert (record.state["x"] == again.state["x"]).all()
    assert winner(record) == int(np.argmax(record.scores[-1]))


def test_the_winner_is_the_best_of_the_last_round():
    scores = np.array([[9.0, 0, 0], [1, 2, np.nan]])
    assert winner(Record(scores, {}, np.zeros((2, 3), int), np.zeros((2, 3), int), {})) == 1


def test_early_stopping_keeps_the_best_and_changes_nothing():
    """Those that come to the end are members of a random search: none copied, none was perturbed."""
    plan = [(9, 10), (3, 20), (1, 40)]
    record, search = halved(SMALL, plan, seed=5), random_search(SMALL, 9, 40, seed=5)
    assert record.scores.shape == (1, 1)
    at = int(np.flatnonzero(search.settings["lr"][0] == record.settings["lr"][0, 0])[0])
    assert (record.state["x"][0] == search.state["x"][at]).all()
    assert record.state["t"].tolist() == [40]
    early = np.argsort(-random_search(SMALL, 9, 10, seed=5).scores[0])[:3]
    middle = random_search(SMALL, 9, 20, seed=5).scores[0]
    assert at == max(early, key=lambda i: middle[i])


def test_a_training_that_diverged_does_not_go_on():
    class Diverges(Digits):
        def score(self, state):
            return np.where(np.arange(len(state["t"])) == 0, np.nan, super().score(state))

    record = halved(Diverges(batch=8, hidden=4), [(3, 5), (2, 10)])
    assert np.isin(record.settings["lr"], random_search(SMALL, 3, 1).settings["lr"][0, 1:]).all()


def test_steps_of_all_members():
    assert member_steps([(9, 10), (3, 20), (1, 40)]) == 90 + 30 + 20
    assert 0.98 * MEMBERS * STEPS < member_steps(HALVING) <= MEMBERS * STEPS
    assert HALVING[-1][1] == STEPS


def test_retrained_nets_are_new_ones_by_the_same_schedule():
    record = train_population(SMALL, 6, 4, 10)
    best = winner(record)
    found = {name: schedule(record, best, name) for name in SMALL.space}
    state = retrained(SMALL, found, 10, nets=3, seed=77)
    assert state["t"].tolist() == [40] * 3
    alone = SMALL.start([78])
    for values in zip(*found.values(), strict=True):
        alone = SMALL.advance(alone, {k: np.array([v]) for k, v in zip(found, values, strict=True)}, 10)
    assert (alone["x"][0] == state["x"][1]).all()


def test_every_contender_takes_as_many_steps(monkeypatch):
    """Of all its members together; only those with another number of members are others."""
    for name, (train, factor, rounds) in contenders().items():
        counted = []

        class Counts(Toy):
            def advance(self, state, settings, steps, counted=counted):
                counted.append(steps * len(state["theta"]))
                return state

        train(Counts(), 0)
        members = int(name.split(", ")[1].split()[0]) if "members" in name else MEMBERS
        assert 0.98 * members * STEPS < sum(counted) <= members * STEPS, name
        assert factor is None or "cosine" in name or name == "one cycle"
        assert rounds in (1, ROUNDS, *LENGTHS)


def test_compare(monkeypatch):
    few = {name: contenders()[name] for name in ("cosine", "PBT", "constant, 4 members")}
    monkeypatch.setattr(population, "contenders", lambda: few)
    monkeypatch.setattr(population, "FRESH", 2)
    found = compare(3)
    assert found["seed"] == 3
    assert found["losses"].keys() == few.keys()
    assert found["schedules"].keys() == {"cosine", "PBT"}
    assert [len(found["schedules"][name]["lr"]) for name in ("cosine", "PBT")] == [1, ROUNDS]
    task = Digits(seed=3, batch=4)
    record = train_population(task, MEMBERS, ROUNDS, STEPS // ROUNDS, seed=3)
    best = winner(record)
    validation, test, accuracy, _ = found["losses"]["PBT"]
    assert validation == pytest.approx(-record.scores[-1, best], abs=1e-5)
    assert test == pytest.approx(task.losses(record.state, "test")[best], abs=1e-5)
    assert accuracy == pytest.approx(task.accuracies(record.state, "test")[best], abs=1e-5)
    assert all(0.02 < numbers[3] < 1 for numbers in found["losses"].values())
    means = {key: np.exp(np.mean(np.log(values))) for key, values in found["schedules"]["PBT"].items()}
    for times, loss in zip(TIMES, found["constants"], strict=True):
        held = {key: np.array([value * times if key == "lr" else value]) for key, value in means.items()}
        assert loss == pytest.approx(task.losses(retrained(task, held, STEPS), "test").mean(), abs=1e-5)


def test_what_is_kept_is_not_trained_again(monkeypatch):
    few = {name: contenders()[name] for name in ("PBT", "cosine")}
    monkeypatch.setattr(population, "FRESH", 2)
    monkeypatch.setattr(population, "contenders", lambda: {"PBT": few["PBT"]})
    whole = compare(3)
    kept = whole | {"losses": {"PBT": [1, 2, 3, 4], "gone": [0] * 4}, "constants": [9]}
    monkeypatch.setattr(population, "contenders", lambda: few)
    found = compare(3, kept)
    assert list(found["losses"]) == ["PBT", "cosine"]
    assert found["losses"]["PBT"] == [1, 2, 3, 4]
    assert found["losses"]["cosine"][1] < 0.3
    assert found["schedules"]["PBT"] == whole["schedules"]["PBT"]
    assert found["constants"] == [9]
    del kept["constants"]
    assert compare(3, kept)["constants"] == whole["constants"]


def test_without_the_trend_that_all_share():
    draw = np.random.default_rng(0)
    better, trend = np.array([0.0, 0.5]), np.arange(10.0)[:, None]
    history = trend + better + 0.1 * draw.standard_normal((10, 2))
    assert TTest()(history, draw).tolist() == [0, 1]
    assert NoTrend()(history, draw).tolist() == [1, 1]


def test_factors_on_the_gap_of_momentum():
    space = {"lr": LogUniform(1e-3, 1), "momentum": Uniform(0, 0.99)}
    settings = {"lr": np.full(40, 0.1), "momentum": np.full(40, 0.9)}
    found = PerturbGap()(settings, space, np.random.default_rng(0))
    assert np.unique(found["lr"]).tolist() == pytest.approx([0.08, 0.12])
    assert np.unique(found["momentum"]).tolist() == pytest.approx([0.88, 0.92])
    assert PerturbGap()(settings | {"momentum": np.full(40, 0.99)}, space, np.random.default_rng(0))[
        "momentum"
    ].max() == pytest.approx(0.99)
    assert PerturbGap()({"lr": settings["lr"]}, space, np.random.default_rng(0)).keys() == {"lr"}


def test_the_record_goes_on_where_it_was_stopped(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(population, "RECORD", tmp_path / "record.json")
    asked = []

    def fake(seed, kept):
        asked.append(seed)
        if len(asked) == 3:
            raise KeyboardInterrupt
        added = [*(kept["losses"] if kept else []), *population.contenders()]
        return {"seed": seed, "losses": dict.fromkeys(added), "constants": []}

    monkeypatch.setattr(population, "compare", fake)
    monkeypatch.setattr(population, "contenders", lambda: {"a": None})
    with pytest.raises(KeyboardInterrupt):
        main(["--seeds", "4"])
    main(["--seeds", "4"])
    assert asked == [0, 1, 2, 2, 3]
    record = json.loads((tmp_path / "record.json").read_text())
    assert [run["seed"] for run in record["runs"]] == [0, 1, 2, 3]
    assert {"command", "machine", "versions", "columns", "steps"} < record.keys()
    assert [file.name for file in tmp_path.iterdir()] == ["record.json"]
    main(["--seeds", "4"])
    assert len(asked) == 5
    monkeypatch.setattr(population, "contenders", lambda: {"a": None, "b": None})
    main(["--seeds", "2"])  # an arm was added: those that lack it, and no others
    assert asked[5:] == [0, 1, 2, 3]
    record = json.loads((tmp_path / "record.json").read_text())
    assert [list(run["losses"]) for run in record["runs"]] == [["a", "b"]] * 4
    monkeypatch.setattr(population, "STEPS", 7)
    with pytest.raises(SystemExit):
        main(["--seeds", "5"])
    assert "was begun on another machine or by other code; delete it" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--seeds", "0"])
    assert "--seeds must be at least 1, got 0" in capsys.readouterr().err


def test_the_record_in_the_project_has_all_that_the_page_draws():
    record = json.loads(population.RECORD.read_text())
    assert record["steps"] == STEPS
    assert [run["seed"] for run in record["runs"]] == list(range(20))
    for run in record["runs"]:
        assert run["losses"].keys() == contenders().keys()
        assert all(len(numbers) == 4 for numbers in run["losses"].values())
        assert len(run["constants"]) == len(TIMES)
        for name, (_, _, rounds) in contenders().items():
            if "members" not in name:
                assert all(len(values) == rounds for values in run["schedules"][name].values())
    assert all(f"PBT, {n} members" in record["runs"][0]["losses"] for n in COUNTS)
    assert FRESH == 16
