"""The exercises of the chapter from the equation to the metal.

Times are predicted by ``calls * overhead + bytes / bandwidth``; what a step moves is counted with counting arrays.
"""

import numpy as np

from lib.exercises import Exercises, Wrong, convict, mistaken, near, several
from lib.experiments.metal import Counted, Ledger
from lib.optimizers import adamax

check = Exercises()


@check.exercise(1)
def two_formats(answer):
    """(bytes a parameter that a step of (x, g, m, v, anchor) must move, and that are held); g and m are bfloat16."""
    moved, held = several(answer, "(moved, held)")
    mistaken(moved, 16, "Those are the bytes that lie there. x, m and v are read and also written.")
    mistaken(moved, 30, "Nobody writes the anchor.")
    mistaken(moved, 28, "The gradient is read; nobody writes it.")
    mistaken(moved, 24, "The gradient has to be read, too.")
    mistaken(moved, 22, "The anchor has to be read, too.")
    mistaken(moved, 32, "g and m are bfloat16: 2 bytes each.")
    near(moved, 26, 1e-9, "x, m and v are read and written, g and anchor are read; float32 is 4 bytes, bfloat16 2.")
    mistaken(held, 14, "The first number is right. Until the step is done the gradient is held, too.")
    mistaken(held, 20, "The first number is right. g and m are bfloat16: 2 bytes each.")
    mistaken(held, 26, "The first number is right. What is read and written lies there once.")
    near(held, 16, 1e-9, "The first number is right. x, g, m, v and anchor lie there: of 4, 2, 2, 4 and 4 bytes.")
    return "An array that is only read costs half as much to move as a state, and as much to hold."


@check.exercise(2)
def two_numbers(answer):
    """(microseconds for 1,000 parameters, for 50 million), at 8 microseconds a call and 50 GB/s, Adam's 28 bytes."""
    small, large = several(answer, "(small, large)")
    mistaken(small, 8, "One thousand parameters also have bytes: a little is added to the call.", 1e-3)
    mistaken(small, 0.56, "Those are the bytes alone; the call comes first.", 1e-2)
    mistaken(small, 0.00000856, "Microseconds are asked for.", 1e-5)
    near(small, 8.56, 5e-3, "One call, and 28 bytes for each of the 1,000, at 50,000 bytes a microsecond.")
    mistaken(large, 16_000, "Those are the 16 bytes that lie there: x, m and v go both ways.", 1e-2)
    mistaken(large, 28, "Microseconds are asked for, not milliseconds.", 1e-2)
    near(large, 28_008, 5e-3, "50 million times 28 bytes, at 50,000 bytes a microsecond, and one call.")
    return "At 1,000 parameters the call is 93 percent of the time, at 50 million next to nothing."


@check.exercise(3)
def passes(answer):
    """(bytes a parameter that the rule with a maximum moves as written, in float32; new arrays that it makes)."""
    moved, new = several(answer, "(bytes, new arrays)")
    mistaken(moved, 20, "That is the least. As written, each operation reads its arrays and writes a new one.")
    mistaken(moved, 19, "Those are arrays; a float32 is 4 bytes.")
    mistaken(moved, 32, "Those are the arrays that are written; each operation also reads.")
    mistaken(moved, 44, "Those are the arrays that are read; each operation also writes one.")
    mistaken(moved, 72, "The maximum reads two arrays.")
    near(moved, 76, 1e-9, "Take the operations one by one: g**2 reads one array and writes one, a maximum reads two.")
    mistaken(new, 2, "The results are two of them; what comes between is an array, too.")
    near(new, 8, 1e-9, "The bytes are right. Each of the operations makes one new array: how many are there?")
    return "76 over 20: nearly four times what must be moved, for two lines of code."


def _walk(step, x, gradients, *, counted=False):
    """x, m and u after Adamax's steps by ``step``, which writes into them; what the last step did, if counted."""
    x, ledger = x.copy(), Ledger()
    m, u, a, b = (np.zeros_like(x) for _ in range(4))
    arrays = (x, m, u)
    for t, g in enumerate(gradients, start=1):
        given = x, g.copy(), m, u
        if counted:
            ledger = Ledger()
            given = tuple(Counted.of(array, ledger) for array in given)
            step(*given, t, Counted.of(a, ledger), Counted.of(b, ledger))
        else:
            step(*given, t, a, b)
        if not np.array_equal(np.asarray(given[1]), g):
            raise Wrong("Your step changes the gradient: read it only.")
    return arrays, ledger


@check.exercise(4)
def two_buffers(answer):
    """A function (x, g, m, u, t, a, b) that takes a step of Adamax in place, bit for bit, without a new array."""
    if not callable(answer):
        raise Wrong("A function is asked for: hand in the function itself, without calling it.")
    draw = np.random.default_rng(0)
    start = draw.standard_normal(1000).astype("float32")
    gradients = (draw.standard_normal((5, 1000)) * 10 ** draw.uniform(-6, 3, 1000)).astype("float32")
    x, m, u = start, np.zeros_like(start), np.zeros_like(start)
    for t, g in enumerate(gradients, start=1):
        x, m, u = adamax(x, g, m, u, t)
    with np.errstate(all="ignore"):
        (mine, my_m, my_u), _ = _walk(answer, start, gradients)
        for name, array, right in (("m", my_m, m), ("u", my_u, u), ("x", mine, x)):
            if not np.array_equal(array, right):
                _say_what_differs(name, array, right, start if name == "x" else 0 * start)
        _, ledger = _walk(answer, start, gradients, counted=True)
    if ledger.new:
        makers = ", ".join(name for name, _, _ in ledger.operations)
        raise Wrong(
            f"The right numbers, but a step makes {ledger.new} new arrays: give each operation out=. "
            f"(Its operations are {makers}.)"
        )
    return f"Equal to the rule to the last bit, in {len(ledger.operations)} operations and no new array."


def _say_what_differs(name, array, right, before):
    if np.array_equal(array, before):
        raise Wrong(f"{name} is still what it was: write into it (out={name}, or {name} *= ...), do not rebind it.")
    if np.allclose(array, right, rtol=1e-4, atol=1e-6):
        hint = ", and eps does not belong into u" if name == "u" else ""
        raise Wrong(
            f"{name} is right but for rounding: keep the order of the rule's operations, (lr * m_hat) / (...){hint}."
        )
    raise Wrong(f"{name} is not what the rule makes of it: is a buffer overwritten before it is used?")


@check.exercise(5)
def smallest_step(answer):
    """(float16, bfloat16): the length that a step from 3.0 must exceed to move it at all."""
    half, brain = 2**10 * np.array(several(answer, "(float16, bfloat16)"))  # the right ones are 1 and 8
    mistaken(half, 2, "That is the distance to the next number; half of it is rounded back to 3.")
    mistaken(half, 0.5, "That holds from 1 to 2. From 2 to 4 the numbers lie twice as far apart.")
    mistaken(half, 0.25, "That holds just below 1. From 2 to 4 the numbers lie four times as far apart.")
    near(half, 1, 1e-3, "float16 has 11 binary digits, the first of them a two: how far is the next number, and half?")
    mistaken(brain, 16, "float16 is right. In bfloat16, too, half way is far enough.")
    near(brain, 8, 1e-3, "float16 is right. bfloat16 has 8 binary digits in the place of 11.")
    return "Adam's steps are about as long as its rate: at 0.005, a weight of 3 in bfloat16 does not move."


def adam_in_float16(x, g, rate, steps=20):
    """Adam, all in float16, with eps = 1e-4; returns every x."""
    x, g, m, v, path = np.float16(x), np.float16(g), np.float16(0), np.float16(0), []
    rate, eps, one = np.float16(rate), np.float16(1e-4), np.float16(1)
    beta1, beta2 = np.float16(0.9), np.float16(0.999)
    with np.errstate(all="ignore"):
        for t in range(1, steps + 1):
            m = beta1 * m + (one - beta1) * g
            v = beta2 * v + (one - beta2) * g**2
            m_hat, v_hat = m / np.float16(1 - 0.9**t), v / np.float16(1 - 0.999**t)
            x = x - rate * m_hat / (np.sqrt(v_hat) + eps)
            path.append(float(x))
    return path


# Exercise 6: three weights that do not move, (x, g, rate) each.
patients = {"A": (0.1, 300.0, 0.01), "B": (0.1, 2e-7, 0.01), "C": (1.0, 1.0, 0.0001)}
# cause: (who has it, what brings it to light)
CAUSES = {
    "g**2 overflows": ("A", "np.float16(g)**2"),
    "(1 - beta1) * g underflows": ("B", "np.float16(0.1) * np.float16(g)"),
    "x absorbs the step": ("C", "np.float16(x) - np.float16(rate)"),
    "eps is 0": (None, "np.float16(1e-4)"),
}


@check.exercise(6)
def standing_still(answer):
    convict(answer, patients, CAUSES, "compute {}")
    return "A divides by infinity, B averages zeros, and C takes a step that rounds away: keep all three in float32."


# Exercise 7: what is wrong with each benchmark, and what is to be looked at.
FAULTS = {
    "A": "no warm-up",
    "B": "no synchronization",
    "C": "other work",
    "D": "nothing",
    "E": "other work",
}
LOOK = {
    "no warm-up": "whether something is compiled, or touched for the first time, within the measured time",
    "no synchronization": "when the clock is read, and when the work is done",
    "other work": "whether both sides move the same bytes and do the same arithmetic",
    "one run": "how often, and in which order, each side was measured",
}


@check.exercise(7)
def honest(answer):
    """{who: fault}: one fault occurs twice, one not at all, and one of the five is innocent."""
    if not isinstance(answer, dict) or answer.keys() != FAULTS.keys():
        raise Wrong(f"A dict with one fault for each of the five is asked for: {dict.fromkeys(FAULTS, '...')}.")
    for who, fault in answer.items():
        if fault != "nothing" and fault not in LOOK:
            raise Wrong(f"{who}: {fault!r} is not on the list: {', '.join(LOOK)}, nothing.")
        if fault == "nothing" != FAULTS[who]:
            raise Wrong(f"{who} is not innocent: go through the four faults.")
        if fault != FAULTS[who]:
            raise Wrong(f"{who} is innocent of {fault!r}: look at {LOOK[fault]}.")
    return "Each fault can make the slower one win, and two people may share one."


@check.exercise(8)
def tenth(answer):
    """Examples a step at which Adam takes a tenth of it: 28 bytes at 1 TB/s against 6 operations at 100 Tflop/s."""
    mistaken(answer, 467, "That is half of the step: forward and backward shall take nine times as long as Adam.", 1e-2)
    mistaken(answer, 4667, "A tenth of the step is a ninth of the rest.", 1e-3)
    mistaken(answer, 12_600, "Forward and backward together are 6 operations a parameter and example, not 2.", 1e-3)
    mistaken(answer, 2400, "28 bytes are moved, 16 only lie there.", 1e-3)
    mistaken(answer, 4.2, "Mind the powers: 28 / 1e12 seconds against 6 B / 1e14.", 1e-3)
    near(answer, 4200, 5e-3, "28 / 1e12 seconds are to be a ninth of 6 B / 1e14; the parameters cancel.")
    return "A batch of a few thousand tokens: beyond it a faster optimizer saves less than a tenth."


@check.exercise(9)
def into_the_subnormals(answer):
    """First step without a gradient after which m, now 1, is below the smallest normal float32, at beta1 = 0.95."""
    mistaken(answer, 829, "That is at 0.9; here m forgets at 0.95.", 1e-9)
    mistaken(answer, 2014, "That is where it falls below 2**-149, the least number; subnormals begin above.", 1e-3)
    mistaken(answer, 126, "The powers of two are right: how many steps of 0.95 halve it?", 1e-9)
    mistaken(answer, 1702, "One step more: 0.95**1702 is still a normal number.", 1e-9)
    near(answer, 1703, 1e-9, "The smallest normal number is 2**-126: which is the first whole n with 0.95**n below it?")
    return "A word rarer than once in 3,400 steps has a subnormal m most of the time."
