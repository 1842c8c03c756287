"""The exercises of the page on tools."""

import numpy as np

from lib.exercises import Exercises, Wrong, mistaken, near, result_of, several

check = Exercises()


@check.exercise(1)
def spike(answer):
    """(what TensorBoard shows of a spike from 2 to 22 at 0.6, the setting at which it shows 4)."""
    shown, slider = several(answer, "(shown, slider)")
    mistaken(shown, 22.0, "That is the loss; the slider draws an average, of which it is one part.")
    mistaken(shown, 2 + 20 * 0.6, "The slider is the share of the old average: the new value has the rest.")
    mistaken(shown, 8.0, "You left out the average that was there: it stands at 2, not at 0.")
    near(shown, 10.0, 1e-6, "shown: the slider's share of 2, and the rest of 22.")
    mistaken(slider, 0.1, "That is the share of the new value; the slider is the share of the old ones.")
    near(slider, 0.9, 1e-6, "slider: 2 w + 22 (1 - w) = 4.")
    return "At 0.9 a tenfold spike looks like a doubling."


CURVES = "rate", "gradient norm", "update ratio", "validation loss"
RIGHT_CURVES = ("rate", "validation loss", "update ratio")
WHY = (
    "(a): one of the curves is the very thing that was set wrongly.",
    "(b): everything that is computed on the training set looks well.",
    "(c): the loss falls and the norm is that of all layers together; what is told layer by layer?",
)


@check.exercise(2)
def curves(answer):
    """The names of the curves that tell, for (a), (b), (c)."""
    if not isinstance(answer, list | tuple) or len(answer) != 3:
        raise Wrong("A list of three names is asked for.")
    for given, right, why in zip(answer, RIGHT_CURVES, WHY, strict=True):
        if given not in CURVES:
            raise Wrong(f"{given!r} is none of the curves: {', '.join(CURVES)}.")
        if given != right:
            raise Wrong(f"{why} {given} is not it.")
    return "In the loss of training, (a) looks like any rate that is too low, and the others not at all."


@check.exercise(3)
def lost(answer):
    """(probability to lose all with a plain save, with an atomic one)."""
    plain, ours = several(answer, "(plain, ours)")
    mistaken(plain, 3 / 10, "Ten minutes are 600 seconds.")
    mistaken(plain, 0.5, "A probability in percent: divide by a hundred.", 1e-6)
    if not 3 / 603 - 1e-6 <= np.float64(plain) <= 3 / 600 + 1e-6:
        raise Wrong("plain: for how many of the 600 seconds from save to save is no whole file there?")
    near(ours, 0.0, 1e-9, "ours: at which moment does no whole file lie under the name?")
    return "Half a percent a failure; over a year of failures, a matter of time."


@check.exercise(4)
def shares(answer):
    """(share of the optimizer by loop, by one kernel)."""
    loop, kernel = several(answer, "(loop, kernel)")
    mistaken(loop, 13.5 / 30, "That is the optimizer over forward and backward; the step is all three.")
    mistaken(loop, 1.5 / 31.5, "300 arrays, and 9 operators for each of them.")
    near(loop, 13.5 / 43.5, 1e-3, "loop: 300 * 9 calls of 5 microseconds, in milliseconds; then over the whole.")
    mistaken(kernel, 0.4 / 30, "That is the optimizer over forward and backward; the step is all three.", 1e-5)
    near(kernel, 0.4 / 30.4, 1e-5, "kernel: 0.4 ms, over the whole.")
    return "From a third of the time to one part in 76: the arithmetic was never what took it."


@check.exercise(5)
def resumed(answer):
    """A function (x, g, v, t) -> (x, v, t) after one more step of momentum at 0.1 / sqrt(t + 1)."""
    x, v = np.array([1.0, -2.0]), np.array([0.5, 0.25])
    g = np.array([0.3, -0.4])
    result = result_of(answer, x.copy(), g.copy(), v.copy(), 24)
    if not isinstance(result, tuple) or len(result) != 3:
        raise Wrong("Return three things: the new parameter, velocity and count.")
    new_x, new_v, t = result
    mistaken(new_v, 0.9 * v - 0.1 * g, "That is the rate of the first step; 24 steps have been taken.", 1e-9)
    mistaken(new_v, 0.9 * v - 0.1 / 24**0.5 * g, "After t steps the next is number t + 1.", 1e-9)
    mistaken(new_v, -0.1 / 25**0.5 * g, "The velocity that was kept is forgotten.", 1e-9)
    near(new_v, 0.9 * v - 0.02 * g, 1e-12, "The new velocity: 0.9 of the old one, less the rate times the gradient.")
    mistaken(new_x, x + v, "x moves by the new velocity.", 1e-9)
    near(new_x, x + new_v, 1e-12, "x moves by the new velocity.")
    near(t, 25, 1e-12, "One more step has been taken: t must say so.")
    return "Parameter, velocity, count: forget one, and it is another run."


@check.exercise(6)
def interval(answer):
    """(seconds between two saves of a thousand machines, the share of time lost)."""
    every, lost = several(answer, "(every, lost)")
    whole = 5 * 365 * 86400
    best = (2 * 120 * whole / 1000) ** 0.5
    mistaken(every, (2 * 120 * whole) ** 0.5, "One of a thousand machines fails a thousand times as often.")
    mistaken(every, (120 * whole / 1000) ** 0.5, "The interval is the root of 2 s F; you left out the 2.")
    mistaken(every, (2 * 2 * whole / 1000) ** 0.5, "Two minutes are 120 seconds.")
    near(every, best, 1e-3, "every: the root of twice the time to save times that between failures, in seconds.")
    mistaken(lost, 120 / best, "That is what the saves take; failures cost as much again.")
    mistaken(lost, 100 * 240 / best, "A share, not percent.")
    near(lost, 240 / best, 1e-3, "lost: s / P, and P / (2 F).")
    return "One failure in five years became one in two days; a twenty-fifth of the time is the price."
