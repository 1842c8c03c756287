"""Breeds: a job is what NumPy's net and the book's rules compute, it goes on to the bit, and the list has it once."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from lib.breeds import breeds
from lib.experiments import records
from lib.experiments.breeds import (
    BREEDS,
    OPTIMIZERS,
    RATES,
    jobs,
    measure,
    network,
    optimizer_of,
    parts,
    pixels,
    split,
    train,
)
from lib.experiments.runs import Run, attempt
from lib.networks import accuracy, classify, convolutional_layers, cross_entropy, glorot, he, value_and_grad
from lib.optimizers import RULES, Optimizer
from tests.conftest import ROOT

SIZE, CLASSES = 8, 3
RECORD = records.read(ROOT / "results" / "breeds.json")
EPS = float(np.finfo(np.float32).eps)


def job(net="plain", optimizer="adam", lr=0.001, start="he"):
    about = {"net": net, "start": start, "optimizer": optimizer, "lr": lr, "epochs": 2}
    return about | {"classes": CLASSES, "seed": 1, "source": "drawn", "size": SIZE}


@pytest.fixture(scope="module")
def data():
    return split("drawn", SIZE, CLASSES)


def numpy_params(initializer=he, pooled=False):
    return convolutional_layers(initializer, seed=1, pooled=pooled, size=SIZE, classes=CLASSES)


# ---------- the list of jobs ----------


def test_jobs():
    them = jobs(seeds=3, small=False, source="drawn", size=32)
    assert len(them) == 3 * 76
    assert len({json.dumps(it, sort_keys=True) for it in them}) == len(them)
    assert [it["seed"] for it in them] == [0] * 76 + [1] * 76 + [2] * 76  # of a part of the record, one seed is whole
    assert {(it["epochs"], it["classes"]) for it in them} == {(8, 120)}
    rates = {}
    for it in them:
        rates.setdefault((it["net"], it["start"], it["optimizer"]), set()).add(it["lr"])
    for net in RATES:
        assert {1e-4, 1e-3, 1e-2} <= rates[net, "he", "adam"]  # the source's first experiment
        if net != "residual":
            assert all(0.001 in rates[net, "he", name] for name in OPTIMIZERS)  # and its second
    assert rates["plain", "glorot", "adam"] == rates["plain", "pytorch", "adam"] == {0.01}


def test_the_small_version_is_small():
    them = jobs(seeds=1, small=True, source="drawn", size=32)
    assert [it["lr"] for it in them] == [1e-4, 1e-3, 1e-2]
    assert all(it["epochs"] * it["classes"] <= 48 for it in them)  # of 960


@pytest.mark.parametrize(("options", "message"), [
    ({"source": "photographs"}, "--source must be 'drawn', 'tfds' or a folder with Stanford Dogs, got 'photographs'"),
    ({"size": 4}, "--size must be at least 8, .*, got 4"),
    ({"size": 0}, "--size must be a whole number >= 1, got 0"),
])  # fmt: skip
def test_options_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        jobs(**{"seeds": 1, "small": False, "source": "drawn", "size": 32} | options)


def test_photographs_and_larger_images_have_jobs_of_their_own(tmp_path):
    for options in {"source": "tfds", "size": 64}, {"source": str(tmp_path), "size": 32}:
        assert len(jobs(seeds=1, small=False, **options)) == 76


@pytest.mark.parametrize(("call", "message"), [
    (lambda: network("deep"), "'plain', 'pooled', 'residual', got 'deep'"),
    (lambda: network("plain", start="zeros"), "'he', 'glorot', 'pytorch', got 'zeros'"),
    (lambda: optimizer_of("lion", [], 0.1), "'adadelta', 'adam', got 'lion'"),
    (lambda: split("drawn", SIZE, 121), "at most 120, got 121"),
    (lambda: split("drawn", SIZE, 0), "classes must be a whole number >= 1, got 0"),
])  # fmt: skip
def test_arguments_that_cannot_be(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ---------- images ----------


def test_few_classes_are_the_first_ones(data):
    """Standardized as all are: how light one breed is tells it from others."""
    whole = breeds("drawn", SIZE)
    np.testing.assert_array_equal(data.x_train, whole.x_train[: CLASSES * 50])
    np.testing.assert_array_equal(data.x_test, whole.x_test[: CLASSES * 20])
    np.testing.assert_array_equal(data.y_test, np.repeat([0, 1, 2], 20))
    np.testing.assert_array_equal(data.mean, whole.mean)
    assert len(data.class_names) == CLASSES


@pytest.mark.parametrize("mixed", [False, True])
def test_validation_and_test_are_every_other_image_of_each_breed(data, mixed):
    order = np.random.default_rng(0).permutation(60) if mixed else np.arange(60)
    ids = np.arange(60).reshape(60, 1, 1, 1)[order]
    labels = data.y_test[order]
    found = parts(replace(data, x_test=ids, y_test=labels))
    assert found.keys() == {"train", "validation", "test"}
    assert found["train"][0] is data.x_train
    for breed in range(CLASSES):
        mine = ids[labels == breed].ravel()
        for name, half in ("validation", mine[::2]), ("test", mine[1::2]):
            x, y = found[name]
            np.testing.assert_array_equal(x[y == breed].ravel(), half)
    assert len(found["validation"][1]) == len(found["test"][1]) == 30


# ---------- a net and its optimizer ----------


@pytest.mark.parametrize("start", [he, glorot])
@pytest.mark.parametrize("net", ["plain", "pooled"])
def test_the_net_starts_where_numpy_s_does(net, start, data):
    """Logits of float32, five layers: each is off by at most a hundred roundings of the largest."""
    made = network(net, start.__name__, 1, SIZE, CLASSES)
    logits = classify(numpy_params(start, net == "pooled"), data.standardized(data.x_test, np.float64))
    theirs = made(pixels(data, data.x_test)).detach().numpy()
    np.testing.assert_allclose(theirs, logits, rtol=0, atol=500 * EPS * np.abs(logits).max())


def test_pytorch_s_own_start_is_another_and_leaves_its_generator_alone():
    last = lambda net, start, seed: list(network(net, start, seed, SIZE, CLASSES).parameters())[-2]
    before = torch.get_rng_state()
    for net in RATES:
        own = last(net, "pytorch", 1)
        assert torch.equal(own, last(net, "pytorch", 1))
        assert not torch.equal(own, last(net, "pytorch", 2))
        assert not torch.equal(own, last(net, "he", 1))
        assert own.abs().max() <= own.shape[1] ** -0.5  # uniform up to there
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("name", "kind", "numbers"), [
    ("gradient_descent", "SGD", {"momentum": 0}),
    ("momentum", "SGD", {"momentum": 0.9, "dampening": 0, "nesterov": False}),
    ("adagrad", "Adagrad", {"eps": 1e-10, "initial_accumulator_value": 0, "lr_decay": 0}),
    ("rmsprop", "RMSprop", {"alpha": 0.99, "eps": 1e-8, "momentum": 0, "centered": False}),
    ("adadelta", "Adadelta", {"rho": 0.9, "eps": 1e-6}),
    ("adam", "Adam", {"betas": (0.9, 0.999), "eps": 1e-8, "amsgrad": False}),
])  # fmt: skip
def test_optimizers_are_torch_s_with_its_defaults(name, kind, numbers):
    made = optimizer_of(name, [torch.zeros(1, requires_grad=True)], lr=0.25)
    assert type(made) is getattr(torch.optim, kind)
    assert made.defaults | numbers | {"lr": 0.25, "weight_decay": 0} == made.defaults


OURS = {  # torch's defaults by the book's names, where they are not the book's
    "gradient_descent": (0.03, {}),
    "momentum": (0.01, {}),
    "adagrad": (0.01, {"eps": 1e-10}),
    "rmsprop": (0.001, {"rho": 0.99, "eps": 1e-8}),
    "adadelta": (1.0, {"rho": 0.9, "eps": 1e-6}),
    "adam": (0.001, {"eps": 1e-8}),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_job_is_what_the_book_computes(name, data):
    """Two epochs of a net of NumPy, in double, with the rule of the same name and batches drawn here. Six steps of
    float32 may be off by a hundred roundings in each of five layers."""
    lr, numbers = OURS[name]
    found = train(job(optimizer=name, lr=lr), Run())
    x, y = data.standardized(data.x_train, np.float64), data.y_train
    params, optimizer = numpy_params(), Optimizer(RULES[name], lr=lr, **numbers)
    rng, sets = np.random.default_rng(1), parts(data)

    def look():
        for part, (images, labels) in sets.items():
            logits = classify(params, data.standardized(images, np.float64))
            loss = float(cross_entropy(logits, labels))
            expected.setdefault(f"{part} losses", []).append(loss)
            expected.setdefault(f"{part} accuracies", []).append(accuracy(logits, labels))

    expected = {}
    look()
    for _ in range(2):
        order = rng.permutation(len(x))
        for first in range(0, len(x), 64):
            some = order[first : first + 64]
            _, grads = value_and_grad(lambda p, it=some: cross_entropy(classify(p, x[it]), y[it]))(params)
            params = optimizer.step(params, grads)
        look()
    for series, values in expected.items():
        np.testing.assert_allclose(found[series], values, rtol=500 * EPS, err_msg=series)
        assert found[series.replace("losses", "loss").replace("accuracies", "accuracy")] == found[series][-1]


# ---------- what is measured ----------


def test_measures_are_numpy_s(data):
    """Also of a last batch that is not full; 40 units are made dead, and some are without."""
    net, params = network("plain", "he", 1, SIZE, CLASSES), numpy_params()
    params["b4"][:40] = -1e3
    with torch.no_grad():
        net.classifier[1].bias[:40] = -1e3
    x = data.standardized(data.x_train[:100], np.float64)
    labels = data.y_train[:100]
    logits = classify(params, x)
    hidden = {"W5": np.eye(128), "b5": np.zeros(128)}
    dead = (classify(params | hidden, x) == 0).all(axis=0)
    assert dead[:40].all()
    found = measure(net, data, data.x_train[:100], labels)
    np.testing.assert_allclose(found[0], cross_entropy(logits, labels), rtol=500 * EPS)
    assert found[1] == accuracy(logits, labels)
    assert found[2] == pytest.approx(dead.mean(), abs=1e-7)
    assert net.training


def test_a_normalized_net_is_measured_in_use(data):
    """No image's logits hang on what else is in its batch, and measuring changes nothing."""
    net = network("pooled", "he", 1, SIZE, CLASSES)
    net(pixels(data, data.x_train))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    alone = [measure(net, data, data.x_test[i : i + 1], data.y_test[i : i + 1])[0] for i in range(10)]
    together = measure(net, data, data.x_test[:10], data.y_test[:10])[0]
    assert together == pytest.approx(np.mean(alone), rel=500 * EPS)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


# ---------- a stop ----------


@pytest.mark.parametrize(("net", "optimizer", "lr"), [
    ("plain", "gradient_descent", 0.1), ("plain", "momentum", 0.03), ("plain", "adagrad", 0.01),
    ("plain", "rmsprop", 0.001), ("pooled", "adadelta", 3.0), ("pooled", "adam", 0.01), ("residual", "momentum", 0.1),
])  # fmt: skip
def test_a_stopped_job_goes_on_to_the_bit(net, optimizer, lr, tmp_path, monkeypatch):
    what, run = job(net, optimizer, lr), {"path": tmp_path / "run.npz", "of": {}}
    unbroken, wrong = attempt(BREEDS, what, {})
    assert unbroken, wrong
    keep = Run.keep

    def stop(self, epoch, **state):
        keep(self, epoch, **state)
        raise InterruptedError

    monkeypatch.setattr(Run, "keep", stop)
    assert "InterruptedError" in attempt(BREEDS, what, run)[1]
    monkeypatch.undo()
    resumed, wrong = attempt(BREEDS, what, run)
    assert resumed, wrong
    assert resumed["numbers"] == unbroken["numbers"]
    assert len(unbroken["numbers"]["test losses"]) == 3


def test_one_thread_trains():
    """Several add up in other orders."""
    torch.set_num_threads(2)
    assert attempt(BREEDS, job(), {})[0]
    assert torch.get_num_threads() == 1


# ---------- the record ----------


@pytest.fixture(scope="module")
def means():
    """What stands in the record for each net, start, optimizer and rate, over the seeds."""
    table = records.table(RECORD["rows"])
    numbers = ["train loss", "validation accuracy", "test accuracy"]
    return table.groupby(["net", "start", "optimizer", "lr"])[numbers].mean()


@pytest.mark.parametrize("what", [("plain", "adam", 0.003), ("pooled", "adagrad", 0.1), ("residual", "momentum", 0.3)])
def test_rows_begin_as_recorded(what):
    """An epoch of a job: the same bits where the record was made, elsewhere within three times the seeds' range."""
    keys = dict(zip(("net", "optimizer", "lr"), what, strict=True)) | {"start": "he"}
    rows = [row for row in RECORD["rows"] if keys.items() <= row["job"].items()]
    old = next(row for row in rows if row["job"]["seed"] == 0)
    found = train(old["job"] | {"epochs": 1}, Run())
    place = records.place(BREEDS, "cpu")
    here = {name: RECORD[name] for name in place} == place
    for series in ("train losses", "validation losses", "test losses", "test accuracies", "dead units"):
        then = [row["numbers"][series][1] for row in rows]
        allowed = 0 if here else 3 * (max(then) - min(then))
        assert abs(found[series][1] - old["numbers"][series][1]) <= allowed, series
        np.testing.assert_allclose(found[series][0], old["numbers"][series][0], rtol=0 if here else 500 * EPS)


def test_no_optimizer_is_best_at_the_edge_of_its_rates(means):
    for net, rates in RATES.items():
        for name in rates:
            by_rate = means.loc[net, "he", name]["validation accuracy"]
            assert by_rate.idxmax() not in (by_rate.index[0], by_rate.index[-1]), (net, name)


def test_the_lesson_of_the_record(means):
    """One rate for all says who got a good one; each at its own, the six come near each other. And which of the
    source's rates is Adam's depends on the net."""
    tuned = means.groupby(["net", "optimizer"])["validation accuracy"].idxmax()
    for net in "plain", "pooled":
        same = means.xs((net, "he", 0.001), level=("net", "start", "lr"))["test accuracy"]
        own = means.loc[tuned[net]]["test accuracy"]
        assert same.max() > 10 * same.min()
        assert own.max() < 2 * own.min()
    of_the_source = means["validation accuracy"].unstack()[[1e-4, 1e-3, 1e-2]].xs("adam", level="optimizer")
    assert of_the_source.loc["plain", "he"].idxmax() == 1e-3
    assert of_the_source.loc["pooled", "he"].idxmax() == 1e-2
