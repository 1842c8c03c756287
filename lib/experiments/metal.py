"""What a step moves through memory: arrays that count, and Adam without new arrays."""

import weakref
from dataclasses import dataclass, field

import numpy as np

from lib.checks import COUNT, check_range
from lib.optimizers.rule import bare_step, first_state


@dataclass
class Ledger:
    """What was done to counting arrays.

    Attributes:
        operations: (name, bytes an entry that it reads, that it writes) of each call of NumPy's functions, in order. An
            array that is read twice by one call counts once: its second reading comes from the cache.
        new: arrays that were made.
        held: arrays of these that still exist.
        peak: the most that existed at a time.
    """

    operations: list = field(default_factory=list)
    new: int = 0
    held: int = 0
    peak: int = 0

    @property
    def bytes(self) -> int:
        """Bytes an entry that were read or written, in all."""
        return sum(read + written for _, read, written in self.operations)

    def made(self, array) -> None:
        """Note a new array, and, when nobody refers to it any more, that it is gone."""
        self.new, self.held = self.new + 1, self.held + 1
        self.peak = max(self.peak, self.held)
        weakref.finalize(array, self.gone)

    def gone(self) -> None:
        self.held -= 1


class Counted(np.ndarray):
    """A NumPy array that enters every operation on it into a ledger, and computes what NumPy computes.

    ``Counted.of(a, ledger)`` makes one, on the memory of ``a``.
    """

    @classmethod
    def of(cls, a, ledger: Ledger):
        array = np.asarray(a).view(cls)
        array.ledger = ledger
        return array

    def __array_finalize__(self, original):
        self.ledger = getattr(original, "ledger", None)

    def __array_ufunc__(self, function, method, *inputs, out=(), **keywords):
        plain = [np.asarray(a) if isinstance(a, Counted) else a for a in inputs]
        into = tuple(np.asarray(a) for a in out)
        result = getattr(function, method)(*plain, **(keywords | ({"out": into} if into else {})))
        return self._enter(function.__name__, inputs, result, out)

    def __array_function__(self, function, types, inputs, keywords):
        result = function(*(np.asarray(a) if isinstance(a, Counted) else a for a in inputs), **keywords)
        return self._enter(function.__name__, inputs, result, ())

    def _enter(self, name, inputs, result, out):
        if not isinstance(result, np.ndarray | np.generic):  # a question, such as array_equal
            return result
        ledger = next(a.ledger for a in (*inputs, *out) if isinstance(a, Counted))
        read = {id(a): a.itemsize for a in inputs if isinstance(a, np.ndarray) and a.ndim}
        ledger.operations.append((name, sum(read.values()), result.itemsize))
        if out:
            return out[0]
        result = Counted.of(result, ledger)
        ledger.made(result)
        return result


def floor(rule, itemsize: int = 4) -> int:
    """Bytes a parameter that a step must move: x and the state are read and written, the gradient is read.

    Args:
        rule: one that steps every entry on its own, so that its state is like the parameter.
        itemsize: bytes of an entry.

    Raises:
        ValueError: the rule steps whole arrays or matrices; what it moves depends on their shape.
    """
    if rule.each != "entry":
        raise ValueError(f"rule: {rule.__name__} steps a whole {rule.each}; count its arrays by hand.")
    arrays = 1 + len(rule.state)
    return itemsize * (2 * arrays + 1 + rule.takes_curvature)


def count(rule, size: int = 8, dtype="float32") -> Ledger:
    """What the second step of ``rule`` does to arrays, as it is written.

    Args:
        rule: one that takes no curvature.
        size: entries of the one parameter; the counts do not depend on it.
        dtype: of the arrays.

    Raises:
        ValueError: ``size`` is no whole number from 1 on, or the rule takes a curvature.
    """
    check_range(COUNT, "size", size, "count")
    if rule.takes_curvature:
        raise ValueError(f"rule: {rule.__name__} takes a curvature, which nothing here supplies.")
    draw = np.random.default_rng(0)
    x, g = (draw.standard_normal(size).astype(dtype) for _ in range(2))
    x, state = bare_step(rule, x, g, first_state(rule, x, rule.defaults), 1, **rule.defaults)
    ledger = Ledger()
    x, g = Counted.of(x, ledger), Counted.of(g, ledger)
    state = {name: Counted.of(s, ledger) for name, s in state.items()}
    bare_step(rule, x, g, state, 2, **rule.defaults)
    return ledger


# ---------- Adam, rung by rung ----------


def adam_in_place(x, g, m, v, t, a, b, *, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8) -> None:
    """A step of `lib.optimizers.adam`, bit for bit, that makes no array: x, m and v change.

    Args:
        x, g, m, v: NumPy arrays of one shape and dtype.
        t: the number of the step, counted from 1.
        a, b: two more such arrays, for what comes between.
    """
    np.multiply(m, beta1, out=m)
    np.multiply(g, 1 - beta1, out=a)
    np.add(m, a, out=m)
    np.multiply(v, beta2, out=v)
    np.square(g, out=a)
    np.multiply(a, 1 - beta2, out=a)
    np.add(v, a, out=v)
    np.divide(v, 1 - beta2**t, out=a)
    np.sqrt(a, out=a)
    np.add(a, eps, out=a)
    np.divide(m, 1 - beta1**t, out=b)
    np.multiply(b, lr, out=b)
    np.divide(b, a, out=b)
    np.subtract(x, b, out=x)


CHUNK = 32_768  # entries: six arrays of them, in float32, are 768 KiB


def adam_in_chunks(x, g, m, v, t, a, b, **hyperparameters) -> None:
    """`adam_in_place`, on one part of the arrays after the other, so small that it stays in the cache.

    Args:
        x, g, m, v: NumPy arrays of one dimension, one length and one dtype.
        t: the number of the step, counted from 1.
        a, b: two arrays of the length of a part.
    """
    for i in range(0, len(x), len(a)):
        part = [array[i : i + len(a)] for array in (x, g, m, v)]
        n = len(part[0])
        adam_in_place(*part, t, a[:n], b[:n], **hyperparameters)
