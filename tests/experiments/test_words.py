"""The table's loss and gradient are those of PyTorch on the pairs, one by one; runs go on to the bit."""

import numpy as np
import pytest
import torch

from lib.experiments import corpus, records, words
from lib.experiments.runs import attempt
from lib.experiments.words import WORDS, best_table, loss_and_grad, losses_by_frequency, pairs
from lib.networks import log_softmax
from lib.optimizers import RULES
from tests.conftest import ROOT
from tests.experiments.stopping import resumed

RECORD = records.read(ROOT / "results" / "words.json")

SIZE = 6
COUNTS = np.random.default_rng(0).integers(0, 4, (SIZE, SIZE)).astype(float)
COUNTS[2] = 0  # a word that ends the text, and never comes before
W = np.random.default_rng(1).standard_normal((SIZE, SIZE))
GROUP = np.array([0, 1, 1, 2, 2, 2])


def one_by_one():
    """The pairs, as many of each as there are: word and next word."""
    return (torch.tensor(it) for it in np.repeat(np.argwhere(COUNTS >= 0), COUNTS.astype(int).ravel(), axis=0).T)


def test_loss_and_gradient():
    """At most 54 pairs, each with a softmax of six: 100 roundings."""
    table = torch.tensor(W, requires_grad=True)
    word, following = one_by_one()
    loss = torch.nn.functional.cross_entropy(table[word], following)
    loss.backward()
    value, gradient = loss_and_grad(W, COUNTS)
    assert abs(value - loss.item()) <= 100 * np.finfo(float).eps * value
    np.testing.assert_allclose(gradient, table.grad, rtol=0, atol=100 * np.finfo(float).eps * abs(gradient).max())
    assert not gradient[2].any()


def test_losses_by_frequency():
    word, following = one_by_one()
    each = torch.nn.functional.cross_entropy(torch.tensor(W)[word], following, reduction="none").numpy()
    expected = [each[GROUP[following] == group].mean() for group in range(3)]
    np.testing.assert_allclose(losses_by_frequency(log_softmax(W), COUNTS, GROUP), expected, rtol=1e-14)


def test_no_table_is_better_than_the_best():
    best = best_table(COUNTS)
    share = np.bincount(GROUP, COUNTS.sum(axis=0)) / COUNTS.sum()
    least = share @ losses_by_frequency(best, COUNTS, GROUP)
    near = np.where(np.isinf(best), -40.0, best)
    assert abs(loss_and_grad(near, COUNTS)[0] - least) <= 100 * np.finfo(float).eps * least
    for seed in range(20):
        other = near + 0.1 * np.random.default_rng(seed).standard_normal(near.shape)
        assert loss_and_grad(other, COUNTS)[0] > least


def test_pairs_are_those_of_the_text():
    tokens = corpus.words(words.VOCABULARY)
    the, rate = (tokens.vocabulary.index(it) for it in ("the", "rate"))
    found = sum(a == the and b == rate for a, b in zip(tokens.train[:-1], tokens.train[1:], strict=True))
    assert pairs()[the, rate] == found > 50
    assert pairs().sum() == len(tokens.train) - 1


def test_jobs():
    found = words.jobs(1, small=False)
    assert {it["optimizer"] for it in found} == set(words.RATES) <= set(RULES)
    assert len(found) == 30
    assert {it["steps"] for it in words.jobs(1, small=True)} == {20}


def small(name="adam"):
    return {"optimizer": name, "lr": words.RATES[name][1], "steps": 20}


@pytest.mark.parametrize("name", ["momentum", "adam"])
def test_a_stopped_run_goes_on_to_the_bit(name, tmp_path, monkeypatch):
    unbroken, wrong = attempt(WORDS, small(name), {})
    assert unbroken, wrong
    assert resumed(WORDS, small(name), tmp_path, monkeypatch, epoch=1)["numbers"] == unbroken["numbers"]


@pytest.mark.parametrize("name", words.RATES)
def test_rows_come_out_again(name):
    """Those at the largest rate at which roundings do not grow, or grow to a thousandth."""
    job = {"optimizer": name, "lr": words.STABLE[name] or 0.1, "steps": 100}
    row, wrong = attempt(WORDS, job, {})
    assert row, wrong
    found = records.same(RECORD, [row], WORDS.tolerance)
    assert found["same"].all(), found
    assert (found["allowed"] <= (0.1 if name == "rmsprop" else 1e-9)).all()


@pytest.mark.parametrize("name", words.RATES)
def test_no_best_rate_is_at_an_edge(name):
    rows = [row for row in RECORD["rows"] if row["job"]["optimizer"] == name]
    best = min(rows, key=lambda row: row["numbers"]["loss"])["job"]["lr"]
    assert words.RATES[name][0] < best < words.RATES[name][-1]


def test_a_run_begins_at_the_guess_and_is_what_its_groups_say():
    row, _ = attempt(WORDS, small(), {})
    share = np.bincount(words.groups(), pairs().sum(axis=0)) / pairs().sum()
    numbers = row["numbers"]
    assert len(numbers["losses"]) == len(numbers["losses by frequency"]) == 2
    np.testing.assert_allclose(numbers["losses by frequency"] @ share, numbers["losses"], rtol=1e-12)
    assert np.log(words.VOCABULARY) > numbers["losses"][0] > numbers["losses"][1] == numbers["loss"]


def test_steps_are_those_of_the_columns(monkeypatch):
    """Gradient descent's first: the gradient of a table of zeros, times the rate."""
    monkeypatch.setattr(words, "EVERY", 1)
    _, gradient = loss_and_grad(np.zeros_like(pairs()), pairs())
    expected = corpus.mean_by_group(300 * (gradient**2).mean(axis=0) ** 0.5, np.arange(1000), words.groups())
    found = attempt(WORDS, small("gradient_descent") | {"steps": 1}, {})[0]["numbers"]["steps by frequency"]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_adam_steps_as_far_for_a_rare_word():
    """And gradient descent does not."""
    ratio = lambda name: (steps := attempt(WORDS, small(name), {})[0]["numbers"]["steps by frequency"])[0] / steps[-1]
    assert ratio("adam") < 3
    assert ratio("gradient_descent") > 30


def test_the_lesson_of_the_record():
    """Each at its best rate, all learn the frequent words; of rare ones gradient descent has learned little."""
    best = {}
    for row in sorted(RECORD["rows"], key=lambda row: -row["numbers"]["loss"]):
        best[row["job"]["optimizer"]] = np.array(row["numbers"]["losses by frequency"][-1])
    least = losses_by_frequency(best_table(pairs()), pairs(), words.groups())
    left = {name: losses - least for name, losses in best.items()}
    for name in "adam", "adagrad", "rmsprop":
        assert left[name].max() < 0.02
    for name in "gradient_descent", "momentum":
        assert left[name][-1] > 2 * left[name][0]
    assert left["gradient_descent"][-1] > 3 * left["momentum"][-1] > 30 * left["adam"][-1]
