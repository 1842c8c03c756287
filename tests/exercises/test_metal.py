"""The judges of the chapter from the equation to the metal: the right answer passes, each typical mistake is named."""

import numpy as np
import pytest

from lib.exercises.metal import CAUSES, FAULTS, adam_in_float16, check, patients
from lib.experiments.metal import adam_in_place, count, floor
from lib.optimizers import nadam, rmsprop
from tests.exercises.judging import exercise_tests


def rebinds(x, g, m, v, t, a, b):
    m = 0.9 * m + (1 - 0.9) * g
    v = 0.999 * v + (1 - 0.999) * g**2
    x = x - 0.001 * m


def new_arrays(x, g, m, v, t, a, b):
    m[:] = 0.9 * m + (1 - 0.9) * g
    v[:] = 0.999 * v + (1 - 0.999) * g**2
    x[:] = x - 0.001 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)


def other_order(x, g, m, v, t, a, b):
    before = x.copy()
    adam_in_place(x, g, m, v, t, a, b)
    x[:] = before - 0.001 * ((m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8))


def overwritten(x, g, m, v, t, a, b):
    adam_in_place(x, g, m, v, t, a, a)


def spends_the_gradient(x, g, m, v, t, a, b):
    adam_in_place(x, g, m, v, t, a, b)
    np.multiply(g, 0.1, out=g)


CULPRITS = {"A": "g**2 overflows", "B": "(1 - beta1) * g underflows", "C": "x absorbs the step"}
LIARS = {"A": "no warm-up", "B": "no synchronization", "C": "other work", "D": "one run"}

RIGHT = [
    (1, (36, 28)),
    (1, (floor(nadam), floor(nadam) - 8)),
    (2, (8.56, 28_008)),
    (2, (8.56, 28_000)),
    (3, (84, 9)),
    (3, (count(rmsprop).bytes, count(rmsprop).new)),
    (4, adam_in_place),
    (5, (2**-12, 2**-9)),
    (6, CULPRITS),
    (7, LIARS),
    (8, 4200),
    (9, 829),
    (9, 828.9),
]

WRONG = [
    (1, 36, "Two numbers"),
    (1, (20, 28), "also written"),
    (1, (32, 28), "gradient has to be read"),
    (1, (40, 28), "nobody writes it"),
    (1, (28, 28), "mu_product"),
    (1, (9, 7), "float32 is 4 bytes"),
    (1, (24, 28), "how many arrays"),
    (1, (36, 32), "two transfers"),
    (2, (8, 28_008), "also have bytes"),
    (2, (0.56, 28_008), "bytes alone"),
    (2, (8.56e-6, 0.028), "Microseconds"),
    (2, (10, 28_008), "One call"),
    (2, (8.56, 16_008), "16 bytes"),
    (2, (8.56, 28), "milliseconds"),
    (2, (8.56, 40_000), "50 million times"),
    (3, (20, 9), "the floor"),
    (3, (21, 9), "float32 is 4 bytes"),
    (3, (36, 9), "also reads"),
    (3, (48, 9), "also writes"),
    (3, (80, 9), "one by one"),
    (3, (84, 2), "what comes between"),
    (3, (84, 8), "how many are there"),
    (4, 3, "function itself"),
    (4, rebinds, "still what it was"),
    (4, new_arrays, "new arrays"),
    (4, other_order, "order of the rule's operations"),
    (4, overwritten, "overwritten before it is used"),
    (4, spends_the_gradient, "changes the gradient"),
    (5, (2**-10, 2**-9), "above 1"),
    (5, (2**-11, 2**-9), "rounded back"),
    (5, (0.1, 2**-9), "half way"),
    (5, (1.5 * 2**-12, 2**-9), "half way"),
    (5, (2**-12, 1.5 * 2**-9), "8 binary digits"),
    (5, (2**-12, 2**-8), "half way is far enough"),
    (5, (2**-12, 2**-12), "8 binary digits"),
    (6, "overflow", "A dict"),
    (6, CULPRITS | {"A": "eps is 0"}, "A is innocent of 'eps is 0'"),
    (6, CULPRITS | {"B": "x absorbs the step"}, "np.float16(x) - np.float16(rate)"),
    (7, LIARS | {"A": "one run"}, "A is innocent"),
    (7, LIARS | {"D": "honest"}, "not on the list"),
    (8, 466.7, "half of the step"),
    (8, 4667, "a ninth of the rest"),
    (8, 12_600, "not 2"),
    (8, 2400, "16 only lie there"),
    (8, 4.2, "powers"),
    (8, 1000, "the parameters cancel"),
    (9, 87_293, "v's"),
    (9, 981, "subnormals begin above"),
    (9, 126, "halve it"),
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


def test_every_benchmark_has_one_fault():
    assert sorted(guilty for guilty, _ in FAULTS.values()) == ["A", "B", "C", "D"]
