"""The arrays count what NumPy does, and compute what it computes; Adam in place is the rule, to the bit."""

import gc
import tracemalloc

import numpy as np
import pytest

from lib.compiled import Compiled
from lib.experiments.metal import CHUNK, Counted, Ledger, adam_in_chunks, adam_in_place, count, floor
from lib.optimizers import RULES, adafactor, adam, rprop, sophia
from lib.optimizers.rule import bare_step, first_state

ENTRYWISE = [name for name, rule in RULES.items() if rule.each == "entry" and not rule.takes_curvature]


def counted(*arrays):
    ledger = Ledger()
    return ledger, *(Counted.of(np.array(a, dtype="float32"), ledger) for a in arrays)


def test_each_operation_reads_its_arrays_and_writes_one():
    ledger, a, b = counted([1.0, 2.0], [3.0, 4.0])
    c = 2.0 * a + b
    assert ledger.operations == [("multiply", 4, 4), ("add", 8, 4)]
    assert ledger.bytes == 20
    assert np.array_equal(c, [5.0, 8.0])


def test_an_array_that_is_read_twice_counts_once():
    ledger, a = counted([1.0, 2.0])
    a * a
    assert ledger.operations == [("multiply", 4, 4)]


def test_out_makes_no_array_and_is_what_comes_back():
    ledger, a, b = counted([1.0, 2.0], [3.0, 4.0])
    assert np.add(a, b, out=a) is a
    a *= b
    assert np.array_equal(a, [12.0, 24.0])
    assert (ledger.new, ledger.bytes) == (0, 24)


def test_a_condition_is_one_byte():
    ledger, a, b = counted([1.0, -2.0], [0.0, 0.0])
    chosen = np.where(a > 0, a, b)
    assert [operation[1:] for operation in ledger.operations] == [(4, 1), (9, 4)]
    assert np.array_equal(chosen, [1.0, 0.0])


def test_what_nobody_refers_to_is_gone():
    ledger, a = counted([1.0, 2.0])
    b = a + 1
    b = b + 1
    c = b * b
    assert (ledger.new, ledger.held, ledger.peak) == (3, 2, 2)
    del b, c
    gc.collect()
    assert ledger.held == 0


@pytest.mark.parametrize("name", ENTRYWISE)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_counting_changes_no_bit(name, dtype):
    rule, draw = RULES[name], np.random.default_rng(0)
    x, g = (draw.standard_normal(20).astype(dtype) for _ in range(2))
    state = first_state(rule, x, rule.defaults)
    ledger = Ledger()
    as_counted = {key: Counted.of(s, ledger) for key, s in state.items()}
    plain = bare_step(rule, x, g, state, 1, **rule.defaults)
    seen = bare_step(rule, Counted.of(x, ledger), Counted.of(g, ledger), as_counted, 1, **rule.defaults)
    for ours, theirs in zip((plain[0], *plain[1].values()), (seen[0], *seen[1].values()), strict=True):
        assert np.array_equal(ours, np.asarray(theirs))


@pytest.mark.parametrize("name", ENTRYWISE)
def test_counts_do_not_depend_on_the_size_and_double_with_the_entries(name):
    small, large, double = count(RULES[name]), count(RULES[name], 1000), count(RULES[name], dtype="float64")
    assert small.operations == large.operations
    assert (small.new, small.peak) == (large.new, large.peak)
    conditions = sum(written == 1 for _, _, written in small.operations)
    assert double.bytes <= 2 * small.bytes
    assert (double.bytes == 2 * small.bytes) == (conditions == 0)
    assert floor(RULES[name]) < small.bytes


def test_adam_as_written():
    """Counted by hand: 14 operations, 4 of them of two arrays."""
    ledger = count(adam)
    assert len(ledger.operations) == ledger.new == 14
    assert ledger.bytes == 4 * (14 + 4 + 14) == 128
    assert floor(adam) == 28


def test_the_peak_is_what_numpy_holds():
    """Beyond x, g and the state: as many arrays as the ledger says, by Python's own count of memory."""
    size = 1_000_000
    draw = np.random.default_rng(0)
    x, g = (draw.standard_normal(size).astype("float32") for _ in range(2))
    m, v = np.zeros_like(x), np.ones_like(x)
    tracemalloc.start()
    try:
        adam(x, g, m, v, 2)
        peak = tracemalloc.get_traced_memory()[1] / x.nbytes
    finally:
        tracemalloc.stop()
    assert count(adam).peak - 1 <= round(peak, 1) <= count(adam).peak  # NumPy may use a temporary twice


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1, CHUNK - 1, CHUNK, 2 * CHUNK + 7])
def test_the_rungs_are_the_rule_to_the_bit(dtype, size):
    draw = np.random.default_rng(0)
    start = draw.standard_normal(size).astype(dtype)
    rungs = adam_in_place, adam_in_chunks
    states = {step: [start.copy(), np.zeros_like(start), np.zeros_like(start)] for step in rungs}
    x, m, v = start, np.zeros_like(start), np.zeros_like(start)
    kernel, xs = Compiled(adam), [start.copy()]
    for t in range(1, 9):
        g = (draw.standard_normal(size) * 10 ** draw.uniform(-8, 4, size)).astype(dtype)
        x, m, v = adam(x, g, m, v, t)
        kernel.step(xs, [g])
        for step, (mine, my_m, my_v) in states.items():
            length = size if step is adam_in_place else CHUNK
            step(mine, g, my_m, my_v, t, np.empty(length, dtype), np.empty(length, dtype))
    assert np.array_equal(xs[0], x)
    for mine, my_m, my_v in states.values():
        assert np.array_equal(mine, x)
        assert np.array_equal(my_m, m)
        assert np.array_equal(my_v, v)


def test_hyperparameters_reach_the_rungs():
    x, m, v, a, b = np.ones((5, 4))
    adam_in_chunks(x, a + 1, m, v, 3, a[:3], b[:3], lr=0.5, beta1=0.5, beta2=0.25, eps=0.1)
    expected = adam(np.ones(4), np.full(4, 2.0), np.ones(4), np.ones(4), 3, lr=0.5, beta1=0.5, beta2=0.25, eps=0.1)
    for mine, right in zip((x, m, v), expected, strict=True):
        assert np.array_equal(mine, right)


def test_in_place_makes_no_array():
    ledger, x, g, m, v, a, b = counted(*np.ones((6, 5)))
    adam_in_place(x, g, m, v, 1, a, b)
    assert (ledger.new, ledger.bytes) == (0, count(adam).bytes)


def test_errors_name_the_remedy():
    with pytest.raises(ValueError, match="adafactor steps a whole"):
        floor(adafactor)
    with pytest.raises(ValueError, match="sophia takes a curvature"):
        count(sophia)
    with pytest.raises(ValueError, match="size must be a whole number"):
        count(adam, 0)
    assert floor(sophia) == 4 * (2 * 3 + 2)
    assert floor(rprop, itemsize=8) == 2 * floor(rprop)


def test_a_question_is_no_operation():
    ledger, a = counted([1.0, 2.0])
    assert np.array_equal(a, [1.0, 2.0]) is True
    assert ledger.operations == []
