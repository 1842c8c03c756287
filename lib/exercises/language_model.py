"""The exercises of the chapter on a language model."""

import itertools

import numpy as np

from lib.exercises import Exercises, Wrong, mistaken, near, result_of, several
from lib.experiments import records, words
from lib.machine import ROOT
from lib.networks import softmax
from lib.optimizers import Optimizer, adam

check = Exercises()


@check.exercise(1)
def nats_and_bits(answer):
    """(loss of a guess among 256, in nats; 1.5 nats in bits)."""
    guess, bits = several(answer, "(nats of a guess, bits)")
    mistaken(guess, np.log2(256), "The guess: those are bits; nats have the natural logarithm.")
    mistaken(guess, np.log10(256), "The guess: nats have the natural logarithm.")
    mistaken(guess, 1 / 256, "The guess: that is its probability; the loss is minus the logarithm of it.", 1e-4)
    mistaken(guess, -np.log(256), "The guess: the loss is minus the logarithm of a probability, so above 0.")
    near(guess, np.log(256), 2e-3, "The guess: minus the natural logarithm of one in 256.")
    mistaken(bits, 1.5 * np.log(2), "The bits: a nat is more than a bit, so there are more of them.")
    near(bits, 1.5 / np.log(2), 3e-3, "The bits: how often does ln 2 go into 1.5?")
    return "A bit is a yes or a no; a good question halves what is possible."


SCORES = np.array([[0.0, 9.0, 9.0], [np.log(3.0), 0.0, 9.0], [0.0, 0.0, np.log(2.0)]])
VALUES = np.array([8.0, 4.0, 0.0])


@check.exercise(2)
def attention_by_hand(answer):
    """What attention gives at three places, for SCORES and VALUES."""
    everything, seen = softmax(SCORES), np.tri(3, dtype=bool)
    if np.shape(answer) != (3,):
        raise Wrong("Three numbers are asked for: one for each place.")
    mistaken(answer, everything @ VALUES, "The first place sees the last. Leave the scores above the diagonal out.")
    late = "Mask the scores, before the softmax: the weights that are left must sum to 1."
    mistaken(answer, np.where(seen, everything, 0) @ VALUES, late)
    zeros = "A score of 0 is not a weight of 0: e to the 0 is 1. What has a weight of 0 has the score -inf."
    mistaken(answer, softmax(np.where(seen, SCORES, 0)) @ VALUES, zeros)
    upward = softmax(np.where(seen.T, SCORES, -np.inf)) @ VALUES
    mistaken(answer, upward, "Turned round: row i is place i, which sees the columns up to i.")
    sums = (np.where(seen, np.exp(SCORES), 0) @ VALUES).round(9)
    mistaken(answer, sums, "Divide by the sum of each row's weights.")
    right = softmax(np.where(seen, SCORES, -np.inf)) @ VALUES
    near(answer, right, 1e-6, "A weight is e to its score, over the sum of those that are seen.")
    return "The first place can only repeat itself."


@check.exercise(3)
def parameters_of_a_block(answer):
    """How many parameters a block of 96 units has."""
    d = 96
    mistaken(answer, 12 * d**2, "Biases, and the scales and shifts of two norms, are parameters, too.", 0)
    mistaken(answer, 12 * d**2 + 9 * d, "The two norms have a scale and a shift each.", 0)
    mistaken(answer, 12 * d**2 + 4 * d, "There is a bias for each output of a matrix: six of them.", 0)
    mistaken(answer, 12 * d**2 + 11 * d, "There are two norms, each with a scale and a shift.", 0)
    mistaken(answer, 12 * d**2 + 12 * d, "The matrix that mixes the heads has a bias, too.", 0)
    heads = "Heads share the matrices out among them; each has a quarter, all have one."
    mistaken(answer, 24 * d**2 + 22 * d, heads, 0)
    mistaken(answer, 11 * d**2 + 12 * d, "What the heads found is mixed by a fourth matrix.", 0)
    near(answer, 12 * d**2 + 13 * d, 0, "Four matrices d by d, one d by 4d, one 4d by d; their biases; two norms.")
    return "Twelve squares, and what is linear hardly counts."


@check.exercise(4)
def absent_rows(answer):
    """(how far Adam, how far lazy Adam takes a row that has a gradient in the first of 100 steps only, at 0.01)."""
    dense, lazy = several(answer, "(Adam, lazy Adam)")
    x, optimizer = {"row": np.zeros(1)}, Optimizer(adam, lr=0.01)
    for g in [1.0] + [0.0] * 99:
        x = optimizer.step(x, {"row": np.array([g])})
    far = abs(x["row"].item())
    mistaken(dense, 0.01, "Adam: its average of gradients fades, but is not 0 at once.", 1e-4)
    mistaken(dense, 1.0, "Adam: for 0.01 a step there would have to be a gradient in each.")
    mistaken(dense, -far, "Adam: a distance is asked for; it is positive.", 1e-3)
    near(dense, far, 1e-3, "Adam: take 100 steps with the gradient 1 in the first and 0 in the others.")
    mistaken(lazy, 0.0, "Lazy Adam: in the first step there is a gradient.", 1e-6)
    mistaken(lazy, far, "Lazy Adam: a row whose token is absent is left alone, with its averages.", 1e-3)
    near(lazy, 0.01, 1e-6, "Lazy Adam: one step, then none; how long is Adam's first step?")
    return "A word that is gone drives on for a while. That is momentum, too."


TABLE = np.random.default_rng(0).standard_normal((7, 7))


def mixing(weights):
    """A model: logits (batch, length, 7) at a place are the rows of TABLE for the tokens (batch, length), weighted by a
    row of ``weights`` (length, length)."""
    return lambda tokens: weights @ TABLE[tokens]


CAUSAL = np.tri(6)


def leaking(*places, strength=1.0):
    """A causal model, but for a place that sees a later one: pairs (place, later place)."""
    weights = CAUSAL.copy()
    for place in places:
        weights[place] = strength
    return mixing(weights)


@check.exercise(5)
def leaks(answer):
    """A function (model, tokens) -> whether a logit depends on a token that comes later."""
    # Where all tokens are alike, a test that sets a place to one of them, or mirrors them, may change nothing.
    texts = [np.random.default_rng(1).integers(0, 7, (2, 6)), np.zeros((1, 6), int), np.full((1, 6), 3)]
    suspects = {
        "one that sees everything": mixing(np.ones((6, 6))),
        "one in which each place sees the next": leaking(*((i, i + 1) for i in range(5))),
        "one in which only the first place sees the last": leaking((0, 5)),
        "one in which only the second place sees the fourth": leaking((1, 3)),
        "one that sees the future faintly, at 1e-9: compare to the bit": leaking((2, 5), strength=1e-9),
        "one whose last logit alone sees everything": lambda tokens: np.concatenate(
            [mixing(CAUSAL)(tokens)[..., :6], mixing(np.ones((6, 6)))(tokens)[..., 6:]], axis=-1
        ),
    }
    if any(result_of(answer, mixing(CAUSAL), tokens.copy()) for tokens in texts):
        raise Wrong("It suspects a causal model. A change may show at its own place and after it.")
    for tokens, (which, model) in itertools.product(texts, suspects.items()):
        given = tokens.copy()
        found = result_of(answer, model, given)
        if not np.array_equal(given, tokens):
            raise Wrong("It changes the tokens it was given: work on a copy.")
        if not found:
            alike = "" if tokens is texts[0] else f" when all tokens are {tokens[0, 0]}: change a token to another one"
            raise Wrong(f"It misses {which}{alike}.")
    return "Run it on every model that you write; a net that sees the answer trains splendidly."


@check.exercise(6)
def tempered(answer):
    """A function (z, temperature) -> probabilities, for logits (n,) and a temperature from 0 to infinity."""
    z = np.array([1.0, 3.0, 2.0, -1.0])
    with np.errstate(all="ignore"):
        one, two = (np.asarray(result_of(answer, z.copy(), T), dtype=float) for T in (1.0, 2.0))
        near(one, softmax(z), 1e-9, "At temperature 1 it is the softmax.")
        mistaken(two, softmax(z * 2), "Divide by the temperature: what is hot is less sure.", 1e-9)
        near(two, softmax(z / 2), 1e-9, "At temperature 2: the softmax of half the logits.")
        large = np.asarray(result_of(answer, 1000 * z, 1.0), dtype=float)
        if not np.isfinite(large).all():
            raise Wrong("Logits of 3,000 overflow. Take their largest from all of them first; nothing else changes.")
        near(large, softmax(1000 * z), 1e-9, "Large logits: the softmax still.")
        near(
            result_of(answer, 1000 * z, 0.5),
            softmax(2000 * z),
            1e-9,
            "Large logits at 0.5: divide, then take the largest away.",
        )
        cold = np.asarray(result_of(answer, z.copy(), 0.0), dtype=float)
        if not np.isfinite(cold).all():
            raise Wrong("At temperature 0 you divide by 0. Which token has all the probability in the limit?")
        near(cold, [0, 1, 0, 0], 1e-9, "At temperature 0 the likeliest token has probability 1.")
        near(result_of(answer, z / 1e6, 0.0), [0, 1, 0, 0], 1e-9, "At temperature 0 even a small lead takes all.")
        near(result_of(answer, z.copy(), np.inf), np.full(4, 0.25), 1e-9, "At temperature inf all are equally likely.")
    return "One number, from a parrot to a die."


@check.exercise(7)
def rare_over_frequent(answer):
    """How many times as far above the floor as in the first tenth of words (descent, momentum) are in the last."""
    names = "descent", "momentum"
    for name, given, rule in zip(names, several(answer, f"({', '.join(names)})"), LAGGING, strict=True):
        losses, above = lags(rule)
        exact = 1e-2
        mistaken(
            given, above[0] / above[-1], f"{name}: turned round; the last tenth is asked for over the first.", exact
        )
        mistaken(given, losses[-1] / losses[0], f"{name}: take the floor of each tenth away first.", exact)
        mistaken(given, above[-1] - above[0], f"{name}: that is the difference; how many times as far?", exact)
        near(given, above[-1] / above[0], exact, f"{name}: loss less floor, in the last tenth over in the first.")
    return "Momentum is nearly done with the frequent words, and then waits for the rare ones."


LAGGING = "gradient_descent", "momentum"


def lags(rule: str) -> tuple[np.ndarray, np.ndarray]:
    """By tenths of the words, the last losses of a rule at its best rate, and how far they are above the floor."""
    rows = records.read(ROOT / "results" / "words.json")["rows"]
    best = min((row["numbers"] for row in rows if row["job"]["optimizer"] == rule), key=lambda it: it["loss"])
    losses, counts = np.array(best["losses by frequency"][-1]), words.pairs()
    return losses, losses - words.losses_by_frequency(words.best_table(counts), counts, words.groups())
