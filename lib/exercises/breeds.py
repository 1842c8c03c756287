"""The exercises of the chapter on 120 breeds."""

import json

import numpy as np

from lib.exercises import Exercises, Wrong, mistaken, near, result_of, several
from lib.machine import ROOT
from lib.networks import Variable, backpropagate, convolution

check = Exercises()
RECORD = ROOT / "results" / "breeds.json"


@check.exercise(1)
def count(answer):
    """(weights and biases, products an image) of 5 x 5 filters from 32 to 64 channels on 16 x 16 pixels, "same"."""
    weights, products = several(answer, "(weights, products)")
    mistaken(weights, 25 * 32 * 64, "weights: there is a bias for each output, too.", 0)
    mistaken(weights, 25 * 64 + 64, "weights: a filter sees all 32 channels at each of its places.", 0)
    mistaken(weights, 256 * 51_264, "weights: every place of the image has the same ones.", 0)
    near(weights, 51_264, 0, "weights: 25 places, of each a matrix of inputs times outputs; then the biases.")
    mistaken(products, 144 * 51_200, "products: with zeros around it the image has 16 x 16 places, not 12 x 12.", 0)
    mistaken(products, 256 * 51_264, "products: a bias is added, and multiplies nothing.", 0)
    near(products, 256 * 51_200, 0, "products: at each place of the image every weight is used once.")
    return "Few weights, much work; a dense layer has it the other way round."


@check.exercise(2)
def gradient(answer):
    """A function (x, delta) -> gradient of one filter (3, 3), for images (n, height, width) without frame."""
    rng = np.random.default_rng(0)
    x, delta = rng.standard_normal((4, 7, 6)), rng.standard_normal((4, 5, 4))
    filters = Variable(np.zeros((3, 3, 1, 1)))
    backpropagate((convolution(x[..., None], filters) * delta[..., None]).sum())
    right = filters.gradient[:, :, 0, 0]
    given = np.asarray(result_of(answer, x.copy(), delta.copy()))
    if given.shape != (3, 3):
        raise Wrong(f"The gradient has the shape of the filter, (3, 3); got {given.shape}.")
    mistaken(given, right / 4, "delta is the gradient of the whole loss: sum over images, there is no mean to take.")
    mistaken(given, right / 20, "Sum over the places: each of them uses the weight.")
    mistaken(given, right[::-1, ::-1], "The filter is flipped: at (a, b) it sees the image from row a and column b on.")
    mistaken(given, right.T, "Rows and columns are exchanged.")
    near(given, right, 1e-9, "At (a, b): the sum, over images and places, of the shifted image times delta.")
    return "One weight, as many terms as there are places and images."


@check.exercise(3)
def sum_for_mean(answer):
    """(rate of SGD, of momentum, of Adam) if the loss is summed over batches of 64; 0.1, 0.01, 0.003 with the mean."""
    descent, momentum, adam = several(answer, "(SGD, momentum, Adam)")
    mistaken(descent, 6.4, "SGD: the gradient is 64 times as long; the rate must make up for it.")
    mistaken(descent, 0.1, "SGD: its step is the rate times the gradient, and that is 64 times as long.")
    mistaken(descent, 0.1 / 8, "SGD: a root is for Adam's kind of noise; here every gradient is 64 times as long.")
    near(descent, 0.1 / 64, 1e-5, "SGD: which rate gives the same step from a gradient 64 times as long?")
    mistaken(momentum, 0.01, "Momentum: its velocity is a sum of gradients, and each is 64 times as long.", 1e-5)
    near(momentum, 0.01 / 64, 1e-6, "Momentum: its velocity is a sum of gradients; which rate undoes a factor of 64?")
    mistaken(adam, 0.003 / 64, "Adam: both averages grow, and its step is their ratio.", 1e-5)
    mistaken(adam, 0.003 / 8, "Adam: both averages grow, and its step is their ratio.", 1e-5)
    near(adam, 0.003, 1e-5, "Adam: what does m over the root of v do when all gradients grow alike?")
    return "Only descent and momentum notice. That is what a unit is."


@check.exercise(4)
def permuted(answer):
    """A function (W, height, width, channels) -> the matrix as PyTorch has it."""
    height, width, channels, outputs = 3, 4, 5, 2
    W = np.arange(1.0, 1 + height * width * channels * outputs).reshape(-1, outputs)
    pixels = W.reshape(height, width, channels, outputs)
    right = pixels.transpose(3, 2, 0, 1).reshape(outputs, -1)
    given = np.asarray(result_of(answer, W.copy(), height, width, channels))
    if given.shape == right.T.shape:
        mistaken(given, W, "The rows are still listed pixel by pixel; and PyTorch has outputs first.", 0)
        mistaken(given, right.T, "The order of the rows is right. PyTorch has outputs first: transpose.", 0)
    if given.shape != right.shape:
        raise Wrong(f"PyTorch's matrix has shape (outputs, inputs), {right.shape} here; got {given.shape}.")
    mistaken(given, W.T, "Outputs are first, but inputs are still listed pixel by pixel.", 0)
    across = pixels.transpose(3, 2, 1, 0).reshape(outputs, -1)
    mistaken(given, across, "Channel by channel, but within one column by column: rows come first.", 0)
    blind = W.reshape(channels, height, width, outputs).transpose(3, 1, 2, 0).reshape(outputs, -1)
    mistaken(given, blind, "W's rows are pixel by pixel: take them apart as (height, width, channels).", 0)
    near(given, right, 0, "Take the rows apart as (height, width, channels), then put channels first.")
    return "Without it the shapes still fit, and the net guesses."


@check.exercise(5)
def bearable(answer):
    """The highest rate of Adam whose first step shifts no sum by more than 1.2, one deviation; 4,096 inputs of 0.9."""
    by_lot = "The root is for signs that are drawn by lot; the bound is for signs that agree."
    mistaken(answer, 1.2 / 4096, "The inputs have a mean of 0.9: eta on a weight is 0.9 eta on the sum.", 1e-6)
    mistaken(answer, 1.2 / 64 / 0.9, by_lot, 1e-5)
    mistaken(answer, 1 / (4096 * 0.9), "One deviation is 1.2.", 1e-6)
    mistaken(answer, 4096 * 0.9 / 1.2, "The other way round: the higher the sum of the inputs, the lower the rate.")
    near(answer, 1.2 / (4096 * 0.9), 1e-6, "eta times the sum of the inputs is to be one deviation; give three digits.")
    return "Four times the inputs, a quarter of the rate."


@check.exercise(6)
def enough_pictures(answer):
    """How many pictures tell 0.60 from 0.62 by two standard errors, each net judged on pictures of its own."""
    one, both = 0.6 * 0.4, 0.6 * 0.4 + 0.62 * 0.38
    rough = 6e-3  # that of 0.6 for both passes
    mistaken(answer, 4 * one / 0.02**2, "That is the error of one net; the difference has the errors of both.", rough)
    mistaken(answer, both / 0.02**2, "The difference is to be two errors, not one.", rough)
    mistaken(
        answer, 4 * (np.sqrt(one) + np.sqrt(0.62 * 0.38)) ** 2 / 0.02**2, "Variances are added, not errors.", rough
    )
    mistaken(answer, 2 * np.sqrt(both) / 0.02, "The error falls with the root of the number: square both sides.", rough)
    near(answer, 4 * both / 0.02**2, 1e-2, "Twice the root of (0.60 * 0.40 + 0.62 * 0.38) / n is to be 0.02.")
    return "On the same pictures fewer are enough: a hard one is hard for both."


@check.exercise(7)
def lead_left(answer):
    """The share of Adam's lead over momentum at 0.001 that is left at each one's own rate, in the plain net."""
    before = reached("adam", 0.001, "test") - reached("momentum", 0.001, "test")
    after = own("adam", "test") - own("momentum", "test")
    exact = 6e-3  # two decimals pass
    mistaken(answer, 1 - after / before, "That is the share that goes; the one that stays is asked for.", exact)
    mistaken(answer, after, "That is what is left; divide it by the lead at 0.001.", 1e-4)
    mistaken(answer, before, "That is the lead at 0.001; which part of it is left?", 1e-4)
    best_of_test = best("adam", "test", "test") - best("momentum", "test", "test")
    if not np.isclose(best_of_test, after):
        mistaken(answer, best_of_test / before, "The rate is chosen on the half that chooses, not on the test.", exact)
    near(answer, after / before, exact, "(Adam less momentum, each at its own rate) / (Adam less momentum at 0.001).")
    return "It was a rate. Of its lead over SGD more than a quarter is left: that was the optimizer, too."


def rows(optimizer: str) -> list[dict]:
    """Of the chapter's record: the plain net, started by He."""
    found = json.loads(RECORD.read_text())["rows"]
    wanted = {"net": "plain", "start": "he", "optimizer": optimizer}
    return [row for row in found if wanted.items() <= row["job"].items()]


def reached(optimizer: str, lr: float, half: str) -> float:
    """The mean accuracy over the seeds, on the half called "validation" or "test"."""
    return np.mean([row["numbers"][f"{half} accuracy"] for row in rows(optimizer) if row["job"]["lr"] == lr])


def best(optimizer: str, chooses: str, half: str) -> float:
    """The accuracy on a half, at the rate that is best on the one that chooses."""
    rates = {row["job"]["lr"] for row in rows(optimizer)}
    return reached(optimizer, max(rates, key=lambda lr: reached(optimizer, lr, chooses)), half)


def own(optimizer: str, half: str) -> float:
    """The accuracy on a half, at its own rate."""
    return best(optimizer, "validation", half)
