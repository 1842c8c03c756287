"""The judges of the chapter from the equation to the metal: the right answer passes, each typical mistake is named."""

import numpy as np
import pytest
import torch

from lib.exercises.metal import CAUSES, FAULTS, LOOK, adam_in_float16, check, patients
from lib.experiments.metal import count
from lib.optimizers.rule import rule
from tests.exercises.judging import exercise_tests


def adamax_in_place(x, g, m, u, t, a, b):
    np.multiply(m, 0.9, out=m)
    np.multiply(g, 1 - 0.9, out=a)
    np.add(m, a, out=m)
    np.multiply(u, 0.999, out=u)
    np.abs(g, out=a)
    np.maximum(u, a, out=u)
    np.divide(m, 1 - 0.9**t, out=a)
    np.multiply(a, 0.002, out=a)
    np.add(u, 1e-8, out=b)
    np.divide(a, b, out=a)
    np.subtract(x, a, out=x)


def rebinds(x, g, m, u, t, a, b):
    m = 0.9 * m + (1 - 0.9) * g
    u = np.maximum(0.999 * u, abs(g))
    x = x - 0.002 * m


def new_arrays(x, g, m, u, t, a, b):
    m[:] = 0.9 * m + (1 - 0.9) * g
    u[:] = np.maximum(0.999 * u, abs(g))
    x[:] = x - 0.002 * (m / (1 - 0.9**t)) / (u + 1e-8)


def other_order(x, g, m, u, t, a, b):
    before = x.copy()
    adamax_in_place(x, g, m, u, t, a, b)
    x[:] = before - 0.002 * ((m / (1 - 0.9**t)) / (u + 1e-8))


def eps_in_u(x, g, m, u, t, a, b):
    adamax_in_place(x, g, m, u, t, a, b)
    np.add(u, 1e-8, out=u)


def overwritten(x, g, m, u, t, a, b):
    adamax_in_place(x, g, m, u, t, a, a)


def spends_the_gradient(x, g, m, u, t, a, b):
    adamax_in_place(x, g, m, u, t, a, b)
    np.abs(g, out=g)


@rule
def peak(x, g, v, *, lr=0.01, rho=0.9, eps=1e-8):
    """The rule of exercise 3."""
    v = np.maximum(rho * v, g**2)
    return x - lr * g / np.sqrt(v + eps), v


CULPRITS = {"A": "g**2 overflows", "B": "(1 - beta1) * g underflows", "C": "x absorbs the step"}
LIARS = {"A": "no warm-up", "B": "no synchronization", "C": "other work", "D": "nothing", "E": "other work"}

RIGHT = [
    (1, (26, 16)),
    (2, (8.56, 28_008)),
    (2, (8.56, 28_000)),
    (3, (76, 8)),
    (3, (count(peak).bytes, count(peak).new)),
    (4, adamax_in_place),
    (5, (2**-10, 2**-7)),
    (6, CULPRITS),
    (7, LIARS),
    (8, 4200),
    (9, 1703),
]

WRONG = [
    (1, 26, "Two numbers"),
    (1, (16, 16), "also written"),
    (1, (30, 16), "Nobody writes the anchor"),
    (1, (28, 16), "nobody writes it"),
    (1, (24, 16), "gradient has to be read"),
    (1, (22, 16), "anchor has to be read"),
    (1, (32, 16), "2 bytes each"),
    (1, (40, 16), "are read and written"),
    (1, (26, 14), "the gradient is held"),
    (1, (26, 20), "2 bytes each"),
    (1, (26, 26), "lies there once"),
    (1, (26, 12), "4, 2, 2, 4 and 4"),
    (2, (8, 28_008), "also have bytes"),
    (2, (0.56, 28_008), "bytes alone"),
    (2, (8.56e-6, 0.028), "Microseconds"),
    (2, (10, 28_008), "One call"),
    (2, (8.56, 16_008), "16 bytes"),
    (2, (8.56, 28), "milliseconds"),
    (2, (8.56, 40_000), "50 million times"),
    (3, (20, 8), "the least"),
    (3, (19, 8), "float32 is 4 bytes"),
    (3, (32, 8), "also reads"),
    (3, (44, 8), "also writes"),
    (3, (72, 8), "maximum reads two"),
    (3, (80, 8), "one by one"),
    (3, (76, 2), "what comes between"),
    (3, (76, 7), "how many are there"),
    (4, 3, "function itself"),
    (4, rebinds, "still what it was"),
    (4, new_arrays, "new arrays"),
    (4, other_order, "order of the rule's operations"),
    (4, eps_in_u, "eps does not belong into u"),
    (4, overwritten, "overwritten before it is used"),
    (4, spends_the_gradient, "changes the gradient"),
    (5, (2**-9, 2**-7), "rounded back"),
    (5, (2**-11, 2**-7), "from 1 to 2"),
    (5, (2**-12, 2**-7), "just below 1"),
    (5, (0.1, 2**-7), "and half"),
    (5, (1.5 * 2**-10, 2**-7), "and half"),
    (5, (2**-10, 1.5 * 2**-7), "8 binary digits"),
    (5, (2**-10, 2**-6), "half way is far enough"),
    (5, (2**-10, 2**-10), "8 binary digits"),
    (6, "overflow", "A dict"),
    (6, CULPRITS | {"A": "eps is 0"}, "A is innocent of 'eps is 0'"),
    (6, CULPRITS | {"B": "x absorbs the step"}, "np.float16(x) - np.float16(rate)"),
    (7, LIARS | {"A": "one run"}, "A is innocent"),
    (7, LIARS | {"D": "one run"}, "D is innocent of 'one run'"),
    (7, LIARS | {"E": "nothing"}, "E is not innocent"),
    (7, LIARS | {"D": "honest"}, "not on the list"),
    (7, dict.fromkeys("ABCD", "nothing"), "each of the five"),
    (7, "other work", "A dict"),
    (8, 466.7, "half of the step"),
    (8, 4667, "a ninth of the rest"),
    (8, 12_600, "not 2"),
    (8, 2400, "16 only lie there"),
    (8, 4.2, "powers"),
    (8, 1000, "the parameters cancel"),
    (9, 829, "at 0.95"),
    (9, 2014, "subnormals begin above"),
    (9, 126, "halve it"),
    (9, 1702, "still a normal number"),
    (9, 1702.7, "first whole n"),
    (9, 500, "2**-126"),
]

test_a_right_answer_passes, test_a_mistake_is_named, test_every_exercise_starts_open = exercise_tests(
    check, RIGHT, WRONG
)


@pytest.mark.parametrize("name", patients)
def test_every_patient_stands_still(name):
    x, _, _ = patients[name]
    assert set(adam_in_float16(*patients[name])) == {float(np.float16(x))}


def test_a_healthy_weight_moves():
    path = adam_in_float16(0.1, 1.0, 0.01)
    assert path[-1] < path[0] < 0.1


def test_every_cause_is_one_and_none_is_another():
    """What brings a cause to light shows it for the one who has it, and for nobody else."""
    half, shown = np.float16, {}
    for name, (x, g, rate) in patients.items():
        with np.errstate(all="ignore"):
            shown[name] = {
                "g**2 overflows": bool(np.isinf(half(g) ** 2)),
                "(1 - beta1) * g underflows": half(0.1) * half(g) == 0,
                "x absorbs the step": half(x) - half(rate) == half(x),
                "eps is 0": half(1e-4) == 0,
            }
    for cause, (guilty, _) in CAUSES.items():
        assert [name for name in patients if shown[name][cause]] == ([guilty] if guilty else [])


def test_benchmarks_are_not_solved_by_elimination():
    """One fault occurs twice, one never, and somebody is innocent."""
    counts = {fault: list(FAULTS.values()).count(fault) for fault in [*LOOK, "nothing"]}
    assert sorted(counts.values()) == [0, 1, 1, 1, 2]
    assert counts["nothing"] == 1


def test_a_weight_of_three_moves_beyond_half_way_only():
    for dtype, half_way in ((torch.float16, 2**-10), (torch.bfloat16, 2**-7)):
        at = lambda step, dtype=dtype: torch.tensor(3.0 - step, dtype=torch.float64).to(dtype).item()
        assert at(half_way) == at(-half_way) == 3
        assert at(1.001 * half_way) < 3 < at(-1.001 * half_way)


def test_a_fading_average_is_subnormal_after_as_many_steps():
    m, steps = np.float32(1), 0
    while m >= np.finfo("float32").tiny:
        m, steps = np.float32(0.95) * m, steps + 1
    assert steps == 1703
