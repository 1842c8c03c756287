"""NumPy's arrays, by numba.

The rule is called once, with stand-ins for its arrays and numbers. NumPy tells them which of its functions the rule
calls, and each becomes a line of code: of a function of numbers, which Python runs once a step, or of the kernel's
loop, which numba compiles. ``kernel_for(...).source`` shows both.

The kernel computes in the dtype of its arrays. Each operation rounds as NumPy's does: numba fuses none and reorders
none as long as it is not told to (``fastmath``), and the numbers are those that NumPy would be given. So it takes the
rule's steps bit for bit, and no bound is needed; only where a rule takes the logarithm, cosine or power of an array may
it differ, by a few ulps. To compute float32 in double precision would take twice as long and be another step.

numba compiles in memory. It could keep kernels on disk, but knows them by the file of their source, and these have
none.
"""

import functools
import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numba
import numpy as np

from lib import arrays as of_library

DTYPES = {np.dtype(np.float32): numba.float32, np.dtype(np.float64): numba.float64}
SMALL = 2**21  # entries that one thread steps sooner than several are woken and given their parts


def checked(argument, name, a, x=None) -> np.ndarray:
    """``a``, if it is an array that a kernel can step; a gradient must be like its parameter ``x``.

    Errors call it ``argument[name]``.
    """
    if type(a) is np.ndarray and a.flags.c_contiguous and a.flags.aligned:
        if x is None and a.dtype in DTYPES and a.flags.writeable:
            return a
        if x is not None and a.dtype == x.dtype and a.shape == x.shape:
            return a
    if isinstance(a, np.generic) and x is not None:  # NumPy makes a number of an array without dimensions
        return checked(argument, name, np.asarray(a), x)
    which = f"{argument}[{name!r}]"
    if not isinstance(a, np.ndarray):
        raise TypeError(f"{which} must be a NumPy array, like its parameter, got {type(a).__name__}; convert it.")
    if type(a) is not np.ndarray:
        remedy = ".filled(0.0)" if isinstance(a, np.ma.MaskedArray) else ".view(np.ndarray)"
        raise TypeError(f"{which} must be a plain array, got {type(a).__name__}; use {remedy}.")
    if x is None and a.dtype not in DTYPES:
        raise TypeError(f"{which} has dtype {a.dtype}, but only float32 and float64 are compiled; convert it.")
    if x is not None and (a.dtype, a.shape) != (x.dtype, x.shape):
        error = TypeError if a.dtype != x.dtype else ValueError
        raise error(f"{which} is {a.dtype} {a.shape}, its parameter {x.dtype} {x.shape}; they must be equal.")
    if not (a.flags.c_contiguous and a.flags.aligned):
        raise ValueError(f"{which} is not contiguous in memory, or not aligned; use .copy().")
    raise ValueError(f"{which} may not be written to; use .copy().")


def check_state(name, key, s, x):
    """Raise unless ``s``, the state ``key`` of the parameter ``x``, can be stepped."""
    if type(s) is not np.ndarray or not s.flags.carray:
        raise ValueError(
            f"state[{name!r}][{key!r}] must be a contiguous NumPy array that may be written to, like "
            f"params[{name!r}]; use np.array(..., order='C')."
        )


def address(x) -> int:
    """Where the entries of ``x`` lie."""
    return x.__array_interface__["data"][0]


def copy(a) -> np.ndarray:
    """An array of the same entries."""
    return a.copy()


# ---------- from a rule to a kernel ----------


@dataclass(frozen=True, eq=False)
class Kernel:
    """A compiled rule.

    Attributes:
        numbers: takes t and the hyperparameters and returns the numbers that the rule makes of them for its arrays.
        update: takes the rule's arrays, x first, each with one dimension, and these numbers, and writes the new values
            of x and of the state over the old ones.
        source: what both were made of.
    """

    numbers: Callable
    update: Callable
    source: str

    def step(self, lists, numbers):
        """Step each list of arrays: in parts where they are long, with a thread for each, which changes no bit."""
        for arrays in lists:
            if arrays[0].ndim != 1:
                arrays = [a.ravel() for a in arrays]  # not copies, since they are contiguous
            if len(arrays[0]) < SMALL:
                self.update(*arrays, *numbers)
            else:
                self._step_in_parts(arrays, numbers)

    def _step_in_parts(self, arrays, numbers):
        count = numba.config.NUMBA_NUM_THREADS  # the environment may say how many; by default all cores
        length = -(-len(arrays[0]) // count)
        first, *others = ([a[i * length : (i + 1) * length] for a in arrays] for i in range(count))
        running = [_threads(count - 1).submit(self.update, *part, *numbers) for part in others]
        self.update(*first, *numbers)
        for one in running:
            one.result()


@functools.cache
def _threads(count) -> ThreadPoolExecutor:
    """Threads of Python's. They compute at the same time, because a kernel does not hold the interpreter's lock.

    Those that numba makes itself would bring a second OpenMP beside PyTorch's, and a second kernel to compile.
    """
    return ThreadPoolExecutor(count)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_threads.cache_clear)  # a forked process has none of its parent's threads


def kernel_for(rule, given, hyperparameters) -> Kernel:
    """What steps the arrays that are given: [x, g, maybe curvature, *state]."""
    return _kernel(rule, given[0].dtype)


@functools.cache
def _kernel(rule, dtype) -> Kernel:
    """Compile ``rule`` for arrays of a dtype.

    Whole numbers among the hyperparameters need no compiling in: they are Python's, as all numbers.

    Raises:
        TypeError: it cannot be compiled.
    """
    if rule.each != "entry" or any(map(callable, rule.state.values())):
        raise TypeError(
            f"{rule.__name__} sees whole arrays, and for NumPy only rules are compiled that step every entry on its "
            "own. lib.optimizers.Optimizer steps it; or give Compiled the same memory as a tensor: torch.from_numpy(x)."
        )
    trace, real = Trace(rule), DTYPES[dtype]
    changing, met = ["x", *rule.state], trace.met.values()
    numbers = _source("numbers", ["t", *rule.defaults], [*_steps(trace.numbers), f"return [{', '.join(trace.met)}]"])
    loop = [
        *(f"{a}_ = {a}[_i]" for a in trace.arrays),
        *_steps(trace.entries),
        *(f"{a}[_i] = {new}" for a, new in zip(changing, trace.outputs, strict=True)),
    ]
    update = _source("update", [*trace.arrays, *met], [
        *(f"{number} = real({number})" for number in met), "for _i in range(len(x)):", *(f"    {line}" for line in loop)
    ])  # fmt: skip
    of_entries, of_numbers = vars(math) | {"real": real}, vars(math) | {f: getattr(of_library, f) for f in FUNCTIONS}
    exec(numbers, of_numbers)
    exec(update, of_entries)
    views = [numba.types.Array(real, 1, "C", readonly=a not in changing) for a in trace.arrays]
    compiled = numba.njit(
        [numba.void(*views, *[numba.float64] * len(met))],
        nogil=True,  # so that several threads compute at a time
        error_model="numpy",  # which divides by 0
    )
    return Kernel(of_numbers["numbers"], compiled(of_entries["update"]), f"{numbers}\n\n{update}")


def _steps(operations):
    return (f"{name} = {operation}" for operation, name in operations.items())


def _source(name, parameters, lines) -> str:
    """A function's source text."""
    return f"def {name}({', '.join(parameters)}):\n" + "".join(f"    {line}\n" for line in lines)


# Lines of code for NumPy's functions. Most have an operator in Python, which serves numbers and entries alike.
OPERATORS = {
    "absolute": "abs({})", "add": "{} + {}", "bitwise_and": "{} & {}", "bitwise_or": "{} | {}", "divide": "{} / {}",
    "equal": "{} == {}", "floor_divide": "{} // {}", "greater": "{} > {}", "greater_equal": "{} >= {}",
    "less": "{} < {}", "less_equal": "{} <= {}", "multiply": "{} * {}", "negative": "-{}", "not_equal": "{} != {}",
    "power": "{} ** {}", "reciprocal": "1 / {}", "remainder": "{} % {}", "square": "{} ** 2", "subtract": "{} - {}",
}  # fmt: skip
# Of numbers, the others are the functions of lib.arrays, as in the rule; of entries, what NumPy makes of them, nan too.
FUNCTIONS = {
    "cos": "cos({})", "log": "log({})", "maximum": "{0} if ({0} >= {1}) | ({0} != {0}) else {1}",
    "minimum": "{0} if ({0} <= {1}) | ({0} != {0}) else {1}",
    "sign": "{0} if {0} != {0} else real({0} > 0) - real({0} < 0)", "sqrt": "sqrt({})", "where": "{1} if {0} else {2}",
}  # fmt: skip
OF_ENTRIES = OPERATORS | FUNCTIONS | {"reciprocal": "real(1) / {}", "square": "{0} * {0}"}
LOGICAL = {"bitwise_and", "bitwise_or"}
CONDITIONS = LOGICAL | {"equal", "greater", "greater_equal", "less", "less_equal", "not_equal"}


class Trace:
    """The operations of a step, as lines of code.

    Attributes:
        arrays: the names of the rule's arrays.
        numbers, entries: what is computed, of numbers and of entries: for each operation, the name of what it makes.
        met: the numbers that entries meet: for each name among numbers, that among entries.
        outputs: what x and the state become, as names among entries.
    """

    def __init__(self, rule):
        self.rule, self.numbers, self.entries, self.met = rule, {}, {}, {}
        self.arrays = ["x", "g", *["curvature"] * rule.takes_curvature, *rule.state]
        given = [StandIn(self, f"{name}_", "entry") for name in self.arrays]
        given += [StandIn(self, "t", "number")] * rule.counts_steps
        new = rule(*given, **{name: StandIn(self, name, "number") for name in rule.defaults})
        values = new if rule.state else (new,)
        fits = lambda value: isinstance(value, StandIn) and value.kind == "entry"
        if not (isinstance(values, tuple) and len(values) == 1 + len(rule.state) and all(map(fits, values))):
            raise TypeError(
                f"{rule.__name__} must return ({', '.join(['x', *rule.state])}), of the dtypes and shapes they came in."
            )
        self.outputs = [value.name for value in values]

    def record(self, name, inputs):
        """A stand-in for what NumPy's function ``name`` makes of ``inputs``."""
        if name not in OF_ENTRIES:
            raise TypeError(f"{self.rule.__name__}: numpy.{name} is not known to lib.compiled.numpy.OF_ENTRIES.")
        if all(getattr(a, "kind", "number") == "number" for a in inputs):
            kind, lines, names = "number", self.numbers, [self._among_numbers(a) for a in inputs]
            code = OPERATORS[name].format(*names) if name in OPERATORS else f"{name}({', '.join(names)})"
        else:
            kind, lines = "condition" if name in CONDITIONS else "entry", self.entries
            logical = lambda i: name in LOGICAL or (name, i) == ("where", 0)
            code = OF_ENTRIES[name].format(*(self._among_entries(a, logical(i)) for i, a in enumerate(inputs)))
        return StandIn(self, lines.setdefault(code, f"_{kind[0]}{len(lines)}"), kind)

    def _among_numbers(self, a) -> str:
        if isinstance(a, StandIn):
            return a.name
        if type(a) not in (bool, int, float):
            raise TypeError(
                f"{self.rule.__name__} computes with a {type(a).__name__}; compiled are arrays that it is given, and "
                "Python's numbers."
            )
        return f"({a!r})"

    def _among_entries(self, a, as_condition) -> str:
        if not isinstance(a, StandIn):
            code = f"real({self._among_numbers(a)})"
        elif a.kind == "number":
            code = self.met.setdefault(a.name, f"_met{len(self.met)}")
        elif (a.kind == "condition") == as_condition:
            return a.name
        elif a.kind == "condition":
            return f"real({a.name})"
        else:
            code = a.name
        return f"({code} != 0)" if as_condition else code

    def refuse_whole(self):
        raise TypeError(
            f"{self.rule.__name__} does not step every entry on its own: mark it with @rule(each='array'). "
            "lib.optimizers.Optimizer steps it."
        )

    def refuse_look(self):
        raise TypeError(
            f"{self.rule.__name__} cannot be compiled, because it looks at the value of an array or a number: replace "
            "if, max, float, math by functions of lib.arrays, or step with lib.optimizers.Optimizer."
        )


class StandIn(np.ndarray):
    """Stands for an array or a number of a rule; knows the name that it has in the code.

    Its kind is "number", or, of what has entries, "entry" or "condition". What it holds is never looked at.
    """

    def __new__(cls, trace, name, kind):
        self = np.array(math.nan).view(cls)
        self.trace, self.name, self.kind = trace, name, kind
        return self

    def __array_ufunc__(self, function, method, *inputs, **keywords):
        if method != "__call__" or keywords:
            self.trace.refuse_whole()
        return self.trace.record(function.__name__, inputs)

    def __array_function__(self, function, types, inputs, keywords):
        return self.trace.record(function.__name__, inputs) if not keywords else self.trace.refuse_whole()

    def __array_finalize__(self, original):
        if isinstance(original, StandIn):  # a view or a copy of it is made
            original.trace.refuse_whole()

    @property
    def shape(self):
        self.trace.refuse_whole()

    ndim = size = shape

    def __bool__(self):
        self.trace.refuse_look()

    __float__ = __int__ = __index__ = item = __bool__
