"""The language models are trained as torch.optim would train them, with batches of the training text alone; a run that
was stopped goes on to the bit."""

import itertools
import json
import math

import numpy as np
import pytest
import torch

from lib.dialects.torch import DIALECTS
from lib.experiments import language_model, records
from lib.experiments.corpus import Tokens, characters, mean_by_group
from lib.experiments.language_model import (
    CONTEXT,
    LANGUAGE,
    NETS,
    RATES,
    WARMED,
    groups,
    losses_of,
    net_of,
    optimizers_of,
)
from lib.experiments.runs import Run, attempt
from lib.machine import ROOT
from lib.optimizers import RULES
from lib.referees.torch import make
from tests.experiments.stopping import resumed

RECORD = records.read(ROOT / "results" / "language.json")
WARM_UPS = records.read(ROOT / "results" / "warm_ups.json")
TEXT = characters()
SHORT = Tokens(TEXT.train, TEXT.validation[: 10 * CONTEXT + 1], TEXT.vocabulary)


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Little to validate on, and every third step."""
    monkeypatch.setattr(language_model, "data", lambda: SHORT)
    monkeypatch.setattr(language_model, "EVERY", 3)
    monkeypatch.setattr(language_model, "WARM_UP", 2)


def job(net="gru", optimizer="adam", lr=None, steps=6, seed=0):
    return {"net": net, "optimizer": optimizer, "lr": lr or RATES[net][optimizer][1], "steps": steps, "seed": seed}


def numbers(what):
    row, wrong = attempt(LANGUAGE, what, {})
    assert row, wrong
    return row["numbers"]


def test_jobs():
    found = language_model.jobs(3, small=False)
    assert [it["seed"] for it in found] == sorted(it["seed"] for it in found)
    assert len(found) == 3 * 2 * 8 * 5
    assert NETS.keys() == RATES.keys()
    for optimizers in RATES.values():
        assert set(optimizers) <= set(RULES)
        for rates in optimizers.values():
            for a, b in itertools.pairwise(rates):  # half a decade apart
                assert b / a == pytest.approx(math.sqrt(10), rel=0.06)
    assert len(language_model.jobs(3, small=True)) == 9
    warmed = language_model.warmed_jobs(3, small=False)
    assert [it["seed"] for it in warmed] == sorted(it["seed"] for it in warmed)
    assert {(it["optimizer"], it["lr"]) for it in warmed} == {(a, lr) for a, rates in WARMED.items() for lr in rates}
    assert all(lr in RATES["transformer"][name] for name, rates in WARMED.items() for lr in rates)
    assert all(it["warm_up"] == 2 and it["net"] == "transformer" and it["steps"] == 400 for it in warmed)
    assert {it["steps"] for it in language_model.warmed_jobs(1, small=True)} == {3}


# ---------- training is what torch does ----------


def rate(name, lr, step):
    if name != "adamw":
        return lr
    if step < 2:
        return lr * step / 2
    return lr * (1 + math.cos(math.pi * (step - 2) / 4)) / 2


@pytest.mark.parametrize("name", [it for it in RATES["gru"] if it != "muon"])
@pytest.mark.parametrize("kind", NETS)
def test_torchs_optimizers_give_the_same(kind, name, monkeypatch):
    """Six steps in float64: in float32 gradients that are but rounding are above Adagrad's eps, and get whole steps,
    whose signs hang on the number of threads. A wrong decay, a wrong rate or no clipping are off by 1e-4 and more."""
    monkeypatch.setattr(language_model, "net_of", lambda kind, seed: net_of(kind, seed).double())
    what = job(kind, name)
    mine, net = numbers(what), language_model.net_of(kind, 0)
    settings = RULES[name].defaults | {"lr": what["lr"]} | ({"weight_decay": 0.1} if name == "adamw" else {})
    optimizer = make(DIALECTS[name], net.parameters(), settings)
    random, losses, validation = np.random.default_rng([0, 1]), [], []
    for step in range(6):
        starts = random.integers(0, len(TEXT.train) - 64, 32)
        windows = torch.tensor(np.array([TEXT.train[it : it + 65] for it in starts]))
        loss = torch.nn.functional.cross_entropy(net(windows[:, :-1])[0].permute(0, 2, 1), windows[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = rate(name, group["lr"] if name != "adamw" else what["lr"], step)
        optimizer.step()
        losses.append(loss.item())
        if step in (2, 5):
            validation.append(losses_of(net, SHORT.validation)[0].mean())
    assert mine["train losses"] == pytest.approx(np.mean(np.reshape(losses, (2, 3)), axis=1), rel=1e-11)
    assert mine["validation losses"] == pytest.approx(validation, rel=1e-11)


def test_muon_steps_the_hidden_matrices():
    of = lambda kind: optimizers_of(job(kind, "muon", 0.2), dict(net_of(kind, 0).named_parameters()))
    (hidden, muon), (rest, beside) = of("gru")
    assert (muon.rule, beside.rule) == (RULES["muon"], RULES["adamw"])
    assert hidden == ["cells.weight_ih_l0", "cells.weight_hh_l0"]
    assert rest == ["tokens.weight", "cells.bias_ih_l0", "cells.bias_hh_l0", "out.weight", "out.bias"]
    (hidden, _), (rest, _) = of("transformer")
    parts = ("query", "key", "value", "mix", "hidden", "out")
    assert hidden == [f"blocks.{block}.{part}.weight" for block in (0, 1) for part in parts]
    assert len(rest) == len(dict(net_of("transformer", 0).named_parameters())) - 12
    for optimizer, lr in (muon, 0.2), (beside, language_model.BESIDE_MUON):
        rates = [optimizer.hyperparameters_at(step)["lr"] for step in range(6)]
        assert rates == pytest.approx([rate("adamw", lr, step) for step in range(6)])


def test_a_warm_up_ends_at_a_constant_rate():
    params = dict(net_of("gru", 0).named_parameters())
    [(names, optimizer)] = optimizers_of(job("gru", "adagrad", 0.2) | {"warm_up": 4}, params)
    assert names == [*params]
    rates = [optimizer.hyperparameters_at(step)["lr"] for step in (0, 1, 3, 4, 5, 400)]
    assert rates == pytest.approx([0, 0.05, 0.15, 0.2, 0.2, 0.2])


def test_the_seed_decides_start_and_batches(monkeypatch):
    """Two runs of a seed are the same to the bit."""
    assert numbers(job(seed=1)) == numbers(job(seed=1)) != numbers(job(seed=2))
    monkeypatch.setattr(language_model, "net_of", lambda name, seed: net_of(name, 1))
    assert numbers(job(seed=1))["train losses"] != numbers(job(seed=2))["train losses"]


# ---------- what is measured ----------


def test_each_character_is_predicted_once_from_those_before_it():
    net, tokens = net_of("transformer", 0), SHORT.validation
    losses, following = losses_of(net, tokens[:-5])  # nine windows, and a part of one that is left out
    assert following.tolist() == tokens[1 : 9 * CONTEXT + 1].tolist()
    for place in 0, 63, 64, 200:
        begin = place // CONTEXT * CONTEXT
        logits, _ = net(torch.tensor(tokens[None, begin : place + 1]))
        expected = torch.nn.functional.cross_entropy(logits[0, -1:], torch.tensor(tokens[place + 1 : place + 2]))
        assert losses[place] == pytest.approx(expected.item(), rel=1e-5)  # float32: 100 roundings of a sum


def test_groups_make_up_the_loss():
    found = numbers(job("transformer"))
    share = np.bincount(groups()[SHORT.validation[1:]], minlength=5) / (10 * CONTEXT)
    assert share @ found["losses by frequency"] == pytest.approx(found["validation loss"], rel=1e-12)
    assert found["validation loss"] == found["validation losses"][-1]
    assert found["train loss"] == found["train losses"][-1]


def test_steps_of_vectors_are_by_group():
    """Adam's first step changes each entry by the rate where the character occurs in the batch, and by 0 elsewhere."""
    net = net_of("gru", 0)
    starts = np.random.default_rng([0, 1]).integers(0, len(TEXT.train) - 64, 32)
    read = np.unique(TEXT.train[starts[:, None] + np.arange(64)])
    assert 40 < len(read) < len(net.tokens.weight)
    language_model.EVERY = 1  # the fixture puts it back
    expected = mean_by_group(np.isin(np.arange(len(net.tokens.weight)), read) * 0.01, np.arange(94), groups())
    assert numbers(job(lr=0.01, steps=1))["steps by frequency"] == pytest.approx(expected, rel=1e-3)
    assert expected[0] == 0.01 > expected[-1]


def test_samples_are_text():
    found = [numbers(job(kind))["sample"] for kind in NETS]
    for sample in found:
        assert len(sample) == 200
        assert set(sample) <= set(range(len(TEXT.vocabulary)))
    assert found[0] != found[1]
    assert "sample" not in numbers(job(seed=1))


# ---------- stopped, or gone astray ----------


@pytest.mark.parametrize(("kind", "name"), [("gru", "gradient_descent"), ("gru", "adam"), ("transformer", "muon"),
                                            ("transformer", "adadelta")])  # fmt: skip
def test_a_stopped_run_goes_on_to_the_bit(kind, name, tmp_path, monkeypatch):
    what = job(kind, name, steps=9)
    unbroken = numbers(what)
    assert resumed(LANGUAGE, what, tmp_path, monkeypatch, epoch=2)["numbers"] == unbroken


@pytest.mark.parametrize("lr", [1e30, 1e38])
def test_a_run_that_leaves_the_numbers_has_none(lr):
    found = numbers(job("transformer", "momentum", lr))
    assert found["train loss"] is found["validation loss"] is None
    assert found["losses by frequency"] == found["steps by frequency"] == [None] * 5
    assert found["sample"] == []
    assert len(found["train losses"]) < 2
    json.dumps(found, allow_nan=False)


def test_one_thread_trains():
    """Several add up in other orders."""
    torch.set_num_threads(2)
    numbers(job())
    assert torch.get_num_threads() == 1


# ---------- the record ----------


@pytest.fixture(scope="module")
def means():
    """The validation loss of each net, optimizer and rate, over the seeds."""
    return records.table(RECORD["rows"]).groupby(["net", "optimizer", "lr"])["validation loss"].mean()


@pytest.mark.parametrize(
    ("record", "what", "lr"),
    [
        (RECORD, ("gru", "momentum"), RATES["gru"]["momentum"][2]),
        (RECORD, ("transformer", "adam"), RATES["transformer"]["adam"][2]),
        (WARM_UPS, ("transformer", "adagrad"), WARMED["adagrad"][1]),
    ],
)
def test_rows_begin_as_recorded(record, what, lr, monkeypatch):
    """50 steps of a job without a schedule: the same bits where the record was made, elsewhere within three times the
    range over seeds."""
    monkeypatch.setattr(language_model, "data", lambda: TEXT)
    monkeypatch.setattr(language_model, "EVERY", 50)
    keys = dict(zip(("net", "optimizer"), what, strict=True)) | {"lr": lr}
    rows = [row for row in record["rows"] if keys.items() <= row["job"].items()]
    old = next(row for row in rows if row["job"]["seed"] == 0)
    found = language_model.train(old["job"] | {"steps": 50}, Run())
    place = records.place(LANGUAGE, "cpu") | {"experiment": record["experiment"]}
    here = {name: record[name] for name in place} == place
    for series in "train losses", "validation losses":
        then = [row["numbers"][series][0] for row in rows]
        allowed = 0 if here else 3 * (max(then) - min(then))
        assert abs(found[series][0] - old["numbers"][series][0]) <= allowed, series


def test_the_lesson_of_the_warm_ups(means):
    """Adagrad gains much, on every seed, and is not best at an edge; Adam catches up with AdamW, which has one, too."""
    warmed = records.table(WARM_UPS["rows"]).set_index(["optimizer", "lr", "seed"])["validation loss"]
    assert len(warmed) == 18
    by_rate = warmed.groupby(["optimizer", "lr"]).mean()
    assert by_rate["adagrad"].idxmin() == WARMED["adagrad"][1]
    assert warmed["adagrad", WARMED["adagrad"][1]].max() < means["transformer", "adagrad"].min() - 0.3
    assert by_rate["adam"].min() < means["transformer", "adamw"].min() + 0.02 < means["transformer", "adam"].min()


def test_no_optimizer_is_best_at_the_edge_of_its_rates(means):
    for net, optimizers in RATES.items():
        for name, rates in optimizers.items():
            assert means.loc[net, name].idxmin() not in (rates[0], rates[-1]), (net, name)


def test_the_lesson_of_the_record(means):
    """Each at its best rate: the recurrent net hardly minds who steps it, the Transformer does."""
    best = means.groupby(["net", "optimizer"]).min()
    behind = lambda net: best[net, "gradient_descent"] - best[net, "adam"]
    assert behind("transformer") > 0.5 > 0.2 > behind("gru") > 0.1
    for net in NETS:
        assert best[net].idxmin() == "muon"
