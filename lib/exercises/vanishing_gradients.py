"""The exercises of the chapter on vanishing and exploding gradients."""

import math

import numpy as np

from lib.exercises import Exercises, Wrong, mistaken, near, result_of, several
from lib.networks import Variable, backpropagate, dense_layers, forward, lecun, tanh

check = Exercises()


@check.exercise(1)
def one_unit_each(answer):
    """The derivative of a chain of ten sigmoid units, all weights 1, every sum 0."""
    mistaken(answer, 0.5**10, "That is the product of the outputs, sigmoid(0) = 1/2. The slope there is less.", 1e-9)
    mistaken(answer, 10 / 4, "Slopes along a chain are multiplied, not added.", 1e-9)
    mistaken(answer, 1 / 4, "That is one unit.", 1e-9)
    if np.ndim(answer) == 0 and abs(answer / 0.25**9 - 1) < 1e-6:
        raise Wrong("You have nine factors: the last unit has a slope, too.")
    near(np.divide(answer, 0.25**10), 1.0, 1e-2, "Ten factors w * sigmoid'(0), and sigmoid' = s (1 - s).")
    return "About a millionth, and 1/4 is the largest slope a sigmoid has: with these weights it can only be worse."


@check.exercise(2)
def linear_gain(answer):
    """What 50 square linear layers with weights of variance 0.81/n leave of a gradient's root mean square."""
    mistaken(answer, 0.81**50, "That is what is left of the mean square. The norm is its root.", 1e-9)
    mistaken(answer, 0.9, "That is one layer.", 1e-9)
    mistaken(answer, 1.0, "A net without activations is not safe: each layer multiplies.", 1e-9)
    mistaken(np.divide(answer, 0.9**49), 1.0, "The gradient passes all 50 matrices; you have 49 factors.", 1e-2)
    near(np.divide(answer, 0.9**50), 1.0, 2e-2, "Each layer multiplies the mean square by n times the variance.")
    return "Ten percent a layer is enough, and no activation was needed."


@check.exercise(3)
def leaky_variance(answer):
    """The variance of weights that keeps gradients at their size: 100 units a layer, leaky ReLU of slope 0.2."""
    mistaken(answer, 0.02, "That is He's, for a slope of 0 below 0.", 1e-6)
    mistaken(answer, 0.01, "That is LeCun's, for a layer that takes nothing away.", 1e-6)
    mistaken(answer, 1 / 60, "The slope enters squared: the mean of phi'**2 is asked for, not that of phi'.", 1e-5)
    mistaken(answer, math.sqrt(1 / 52), "That is the standard deviation; square it.", 1e-6)
    mistaken(answer, 1 / 1.04, "Divide by the number of units as well.", 1e-4)
    near(
        np.multiply(answer, 52),
        1.0,
        2e-3,
        "Solve 100 * variance * E[phi'**2] = 1; phi' is 1 half of the time, else 0.2.",
    )
    return "It is He's formula for slopes that differ: 2 / ((1 + slope**2) n)."


@check.exercise(4)
def recursion(answer):
    """Function (hs, weights, delta) -> the gradients of the weights of a tanh net whose last layer is linear.

    ``hs`` holds the inputs and the outputs of every hidden layer, ``delta`` is dL/dz of the last layer.
    """
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((5, 3)), rng.standard_normal((5, 2))
    params = dense_layers([3, 4, 4, 2], lecun, seed=0)
    variables = {name: Variable(value) for name, value in params.items()}
    outputs = forward(variables, x, tanh)
    backpropagate(((outputs[-1] - y) ** 2).sum() * 0.5)
    hs = [x] + [h.value for h in outputs[:-1]]
    weights = [params[f"W{k}"] for k in (1, 2, 3)]
    expected = [variables[f"W{k}"].gradient for k in (1, 2, 3)]
    given = result_of(answer, [h.copy() for h in hs], [w.copy() for w in weights], outputs[-1].value - y)
    if not isinstance(given, list | tuple) or len(given) != 3:
        raise Wrong("Return a list of three gradients, one for each matrix of weights.")
    if np.shape(given[0]) == (4, 2) and np.shape(given[2]) == (3, 4):
        raise Wrong("The gradients come in the wrong order: the first layer's first. Turn the list round.")
    for k, (mine, ours) in enumerate(zip(given, expected, strict=True), start=1):
        if np.shape(mine) != ours.shape:
            raise Wrong(f"The gradient of W{k} has shape {np.shape(mine)}, expected {ours.shape}: h.T @ delta.")
    right = [np.allclose(mine, ours) for mine, ours in zip(given, expected, strict=True)]
    if not right[2]:
        raise Wrong("The last layer's gradient is wrong already: hs[-1].T @ delta.")
    if not right[1]:
        delta = (outputs[-1].value - y) @ weights[2].T
        if np.allclose(given[1], hs[1].T @ delta):
            raise Wrong("The last layer is right. On the way to the one before, multiply by the slope of tanh.")
        raise Wrong("The last layer is right. Then delta = (delta @ W.T) * (1 - h**2) with the h between the two.")
    if not right[0]:
        raise Wrong("The last two layers are right. Does delta go on from where it is, and is h the right layer's?")
    return "Equal to the library's in every layer. That is backpropagation."


@check.exercise(5)
def residual_chain(answer):
    """(derivative with, without residual connections) of 20 units w tanh(h) with w = 0.1, at 0."""
    with_, without = several(answer, "(with, without)")
    if abs(np.divide(with_, 0.1**20) - 1) < 1e-2:
        raise Wrong("That is the pair the wrong way round: with residual connections first.")
    mistaken(with_, 3.0, "Add 1 in each layer, then multiply: 1 + 20 * 0.1 is only the beginning of the product.", 1e-9)
    mistaken(with_, 1 + 0.1**20, "A connection goes around each layer, not around all of them.", 1e-12)
    near(with_, 1.1**20, 1e-2, "With: each factor is 1 + w.")
    near(np.divide(without, 0.1**20), 1.0, 1e-2, "The first is right. Without: each factor is w.")
    return "Nearly 21 decades apart. And 1.1 to the power of 20 is how a residual net explodes: ten percent a layer."


@check.exercise(6)
def clipped(answer):
    """((g clipped by norm), (g clipped by value)) for g = (0.3, 4) and the limit 1."""
    if np.shape(answer) != (2, 2):
        raise Wrong("Two vectors of two numbers are asked for: ((.., ..), (.., ..)).")
    by_norm, by_value = np.asarray(answer, dtype=float)
    g = np.array([0.3, 4.0])
    mistaken(by_norm, np.array([0.3, 1.0]), "That is clipping by value; it comes second.", 1e-6)
    mistaken(by_norm, g / g.sum(), "The norm is the root of the sum of squares.", 1e-6)
    mistaken(by_norm, g / 4, "That divides by the largest entry; divide by the norm.", 1e-6)
    near(by_norm, g / np.linalg.norm(g), 1e-3, "By norm: g times limit / norm of g.")
    mistaken(by_value, np.array([1.0, 1.0]), "The first is right. By value: an entry below the limit stays.", 1e-6)
    near(by_value, [0.3, 1.0], 1e-6, "The first is right. By value: each entry on its own.")
    return "The first points where g points. The second has turned by more than 12 degrees toward the small entry."


@check.exercise(7)
def forget_bias(answer):
    """The bias of a forget gate with which half of a gradient is left after 50 steps along the cell alone."""
    gate = 0.5 ** (1 / 50)
    mistaken(answer, gate, "That is the gate. Which bias does a sigmoid need for it?", 1e-3)
    mistaken(answer, 0.0, "At 0 the gate is 1/2: half is left after one step.", 1e-9)
    mistaken(answer, -math.log(gate / (1 - gate)), "The sign: the gate must be open, close to 1.", 1e-2)
    near(answer, math.log(gate / (1 - gate)), 1e-2, "f**50 = 1/2 gives the gate; its bias is log(f / (1 - f)).")
    return "The customary 1 opens the gate to 0.73: along this path less than a five-millionth is left after 50 steps."


@check.exercise(8)
def epsilon_reached(answer):
    """How many layers below the top a gradient of 0.01 is below 1e-8 if each layer divides it by 4."""
    exact = math.log(0.01 / 1e-8) / math.log(4)
    mistaken(answer, exact, "Layers are whole: round up.", 1e-3)
    mistaken(answer, 9, "There it is 3.8e-8, still above.", 1e-9)
    mistaken(answer, 14, "You began at 1. The gradient at the top is 0.01.", 1e-9)
    near(answer, math.ceil(exact), 0, "Solve 0.01 / 4**k < 1e-8.")
    return "Below that, Adam's step shrinks with the gradient, as gradient descent's does."


@check.exercise(9)
def time_to_learn(answer):
    """When u(t) = s/2 for Saxe's mode with s = 2 and u(0) = 0.01."""
    mistaken(answer, math.log(199), "Divide by 2 s: the mode grows at the pace exp(2 s t).", 1e-4)
    mistaken(answer, math.log(199) / 2, "The pace is 2 s, and s = 2.", 1e-4)
    mistaken(answer, math.log(200) / 4, "Close: that leaves out the 1 in the denominator.", 4e-4)
    near(answer, math.log(199) / 4, 5e-3, "Put u = s/2 into the solution: exp(2 s t) = s/u0 - 1.")
    return "Divide u0 by 100, and it is nearly ln(100)/4 later: the smaller the start, the longer the plateau."
