"""The judges of the chapter on a language model: the right answer passes, each typical mistake is named."""

import numpy as np
import pytest
import torch

from lib.exercises.language_model import LAGGING, SCORES, VALUES, check, lags
from lib.networks import softmax, transformer_layers
from tests.exercises.judging import exercise_tests

D = 96
SEEN = np.tri(3, dtype=bool)
ADAM = 0.06005  # checked below


def leaks(model, tokens):
    before = model(tokens)
    for place in range(1, tokens.shape[1]):
        changed = tokens.copy()
        changed[:, place] = (changed[:, place] + 1) % 7
        if not np.array_equal(model(changed)[:, :place], before[:, :place]):
            return True
    return False


def leaks_at(places, tolerance=0.0, earlier=lambda place: np.s_[:, :place], change=lambda it: (it + 1) % 7):
    """A test that changes only some places, or compares only some."""

    def test(model, tokens):
        before, found = model(tokens), False
        for place in places:
            changed = tokens.copy()
            changed[:, place] = change(changed[:, place])
            apart = np.abs(model(changed) - before)[earlier(place)]
            found |= bool(apart.max(initial=0) > tolerance)
        return found

    return test


def in_place(model, tokens):
    before = model(tokens).copy()
    for place in range(1, 6):
        tokens[:, place] = (tokens[:, place] + 1) % 7
        now = model(tokens)
        if not np.array_equal(now[:, :place], before[:, :place]):
            return True
        before = now
    return False


def tempered(z, T):
    if T == 0:
        return (z == z.max()) / (z == z.max()).sum()
    return softmax((z - z.max()) / T)


def naive(z, T):
    p = np.exp(z / T)
    return p / p.sum()


def taken_first(z, T):
    p = np.exp(z / T - z.max())
    return p / p.sum()


DESCENT, MOMENTUM = (above[-1] / above[0] for _, above in map(lags, LAGGING))
LOSSES, ABOVE = lags("gradient_descent")

RIGHT = [
    (1, (5.545, 2.164)),
    (1, (np.log(256), 1.5 / np.log(2))),
    (2, (8.0, 7.0, 3.0)),
    (2, softmax(np.where(SEEN, SCORES, -np.inf)) @ VALUES),
    (3, 12 * D**2 + 13 * D),
    (4, (ADAM, 0.01)),
    (5, leaks),
    (6, tempered),
    (7, (DESCENT, MOMENTUM)),
    (7, [round(DESCENT, 2), round(MOMENTUM, 2)]),
]

WRONG = [
    (1, (np.log2(256), 2.164), "those are bits"),
    (1, (np.log10(256), 2.164), "nats have the natural logarithm"),
    (1, (1 / 256, 2.164), "that is its probability"),
    (1, (-np.log(256), 2.164), "above 0"),
    (1, (4.0, 2.164), "minus the natural logarithm"),
    (1, (5.545, 1.5 * np.log(2)), "a nat is more than a bit"),
    (1, (5.545, 1.5), "go into 1.5"),
    (1, 5.545, "Two numbers are asked for"),
    (2, softmax(SCORES) @ VALUES, "The first place sees the last"),
    (2, np.where(SEEN, softmax(SCORES), 0) @ VALUES, "before the softmax"),
    (2, softmax(np.where(SEEN, SCORES, 0)) @ VALUES, "e to the 0 is 1"),
    (2, softmax(np.where(SEEN.T, SCORES, -np.inf)) @ VALUES, "Turned round"),
    (2, (8.0, 28.0, 12.0), "Divide by the sum"),
    (2, (8.0, 4.0, 0.0), "over the sum"),
    (2, 8.0, "Three numbers are asked for"),
    (3, 12 * D**2, "Biases, and the scales"),
    (3, 12 * D**2 + 9 * D, "two norms have a scale"),
    (3, 12 * D**2 + 4 * D, "a bias for each output"),
    (3, 12 * D**2 + 11 * D, "There are two norms"),
    (3, 11 * D**2 + 12 * D, "a fourth matrix"),
    (3, 12 * D**2 + 12 * D, "mixes the heads has a bias"),
    (3, 24 * D**2 + 22 * D, "Heads share"),
    (3, D, "Four matrices"),
    (4, (0.01, 0.01), "fades, but is not 0"),
    (4, (1.0, 0.01), "a gradient in each"),
    (4, (-ADAM, 0.01), "it is positive"),
    (4, (0.5, 0.01), "take 100 steps"),
    (4, (ADAM, 0.0), "in the first step there is"),
    (4, (ADAM, ADAM), "is left alone"),
    (4, (ADAM, 0.1), "one step, then none"),
    (5, lambda model, tokens: True, "suspects a causal model"),
    (5, lambda model, tokens: False, "sees everything"),
    (5, leaks_at(range(6), earlier=lambda place: np.s_[:, : place + 1]), "suspects a causal model"),
    (5, leaks_at([5], earlier=lambda place: np.s_[:, :4]), "each place sees the next"),
    (5, leaks_at(range(1, 6), earlier=lambda place: np.s_[:, place - 1 : place]), "only the first place sees the last"),
    (5, leaks_at([5]), "only the second place sees the fourth"),
    (5, leaks_at(range(1, 6), tolerance=1e-6), "to the bit"),
    (5, leaks_at(range(6), change=lambda it: 0 * it), "when all tokens are 0"),
    (5, leaks_at(range(6), change=lambda it: 6 - it), "when all tokens are 3"),
    (5, leaks_at(range(1, 6), earlier=lambda place: np.s_[0, :place, 0]), "whose last logit alone"),
    (5, in_place, "work on a copy"),
    (5, True, "A function is asked for"),
    (6, lambda z, T: tempered(z, 1 / T) if T else tempered(z, 0), "what is hot is less sure"),
    (6, lambda z, T: z / T, "it is the softmax"),
    (6, lambda z, T: tempered(z, T**2), "half the logits"),
    (6, naive, "overflow"),
    (6, lambda z, T: tempered(np.clip(z, -50, 50), T), "the softmax still"),
    (6, taken_first, "divide, then take"),
    (6, lambda z, T: softmax(z / T), "divide by 0"),
    (6, lambda z, T: tempered(z, max(T, 0.01)), "even a small lead"),
    (6, lambda z, T: tempered(z, max(T, 0.5)), "the likeliest token has probability 1"),
    (6, lambda z, T: tempered(z, min(T, 9.0)), "equally likely"),
    (7, (1 / DESCENT, MOMENTUM), "descent: turned round"),
    (7, (DESCENT, 1 / MOMENTUM), "momentum: turned round"),
    (7, (LOSSES[-1] / LOSSES[0], MOMENTUM), "descent: take the floor"),
    (7, (ABOVE[-1] - ABOVE[0], MOMENTUM), "the difference"),
    (7, (DESCENT, 1.0), "momentum: loss less floor"),
    (7, DESCENT, "Two numbers are asked for"),
]

test_right, test_wrong, test_open = exercise_tests(check, RIGHT, WRONG)


def test_parameters():
    params = transformer_layers(94, 64, D, 2, seed=0)
    assert sum(p.size for name, p in params.items() if name.startswith("1.")) == 12 * D**2 + 13 * D


@pytest.mark.parametrize(("optimizer", "far"), [(torch.optim.Adam, ADAM), (torch.optim.SparseAdam, 0.01)])
def test_rows_of_torch(optimizer, far):
    """Its dense Adam drives on, its sparse one leaves the row alone."""
    sparse = optimizer is torch.optim.SparseAdam
    table = torch.nn.Embedding(2, 1, sparse=sparse, dtype=torch.float64)
    before, steps = (
        table.weight.detach().clone(),
        optimizer([table.weight] if not sparse else table.parameters(), lr=0.01),
    )
    for step in range(100):
        steps.zero_grad()
        table(torch.tensor([0 if step == 0 else 1])).sum().backward()
        steps.step()
    assert abs(table.weight - before)[0].item() == pytest.approx(far, rel=1e-3)
