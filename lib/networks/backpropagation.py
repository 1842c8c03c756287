"""Backpropagation: the gradient of a number with respect to all the arrays it was computed from.

    def loss(params):
        return ((x @ params["w"] - y) ** 2).mean()

    value, grads = value_and_grad(loss)({"w": np.zeros((3, 1))})

A `Variable` is an array that remembers what it was computed from: the arrays that went in, and for each of them how to
pull a gradient with respect to the result back to it. That pullback multiplies by the transposed Jacobian of one
operation. `backpropagate` goes through the operations in reverse and multiplies one after the other: the chain rule.

The functions here take Variables, NumPy arrays and numbers. Without a Variable among their arguments they are plain
NumPy and keep no record. Dtypes are NumPy's: float32 stays float32. Matrices may come in stacks, with further axes in
front, as NumPy's do: a stack of nets is trained like one.

Source: Rumelhart, Hinton & Williams 1986, Nature 323:533-536; Baydin et al. 2018, arXiv 1502.05767, section 3.2
(reverse mode).
"""

from collections.abc import Callable
from numbers import Real

import numpy as np


class Variable:
    """An array, and what it was computed from.

    Args:
        value: NumPy array of floats, or a number.
        parents: pairs (Variable that went in, function that pulls the gradient of the result back to it).

    Attributes:
        value: as given.
        gradient: d loss / d value, with the shape of ``value``, once `backpropagate` has run; None before.
    """

    __array_ufunc__ = None  # so that array @ Variable asks the Variable

    def __init__(self, value, parents=()):
        self.value = value
        self.parents = parents
        self.gradient = None

    @property
    def shape(self) -> tuple[int, ...]:
        return np.shape(self.value)

    def __repr__(self):
        return f"Variable({self.value!r})"

    def __add__(self, other):
        return _operation(self.value + value_of(other), (self, lambda g: g), (other, lambda g: g))

    def __mul__(self, other):
        a, b = self.value, value_of(other)
        return _operation(a * b, (self, lambda g: g * b), (other, lambda g: g * a))

    def __matmul__(self, other):
        return _matmul(self, other)

    def __rmatmul__(self, other):
        return _matmul(other, self)

    def __pow__(self, exponent):
        if not isinstance(exponent, Real):
            raise TypeError(f"Variable ** exponent: the exponent must be a number, got {exponent!r}.")
        x = self.value
        return _operation(x**exponent, (self, lambda g: g * exponent * x ** (exponent - 1)))

    def __neg__(self):
        return self * -1

    def __sub__(self, other):
        return self + -other

    def __rsub__(self, other):
        return -self + other

    def __truediv__(self, other):
        return _divide(self, other)

    def __rtruediv__(self, other):
        return _divide(other, self)

    __radd__, __rmul__ = __add__, __mul__

    def __getitem__(self, index):
        def pullback(g):
            whole = np.zeros_like(self.value)
            np.add.at(whole, index, g)  # an entry that was taken twice gets both gradients
            return whole

        return _operation(self.value[index], (self, pullback))

    def sum(self, axis=None, keepdims=False):
        """The sum over ``axis`` (one, several, or all)."""

        def pullback(g):
            return np.broadcast_to(g if keepdims or axis is None else np.expand_dims(g, axis), self.shape)

        return _operation(self.value.sum(axis=axis, keepdims=keepdims), (self, pullback))

    def mean(self, axis=None, keepdims=False):
        """The mean over ``axis`` (one, several, or all)."""
        total = self.sum(axis, keepdims)
        return total * (total.value.size / self.value.size)


def value_of(x):
    """The array or number in ``x``, whether it is a Variable or not."""
    return x.value if isinstance(x, Variable) else x


def _operation(value, *parents):
    """A Variable that remembers those of ``parents`` that are Variables; without any, ``value`` as it is."""
    parents = [(parent, pullback) for parent, pullback in parents if isinstance(parent, Variable)]
    return Variable(value, parents) if parents else value


def _divide(x, y):
    a, b = value_of(x), value_of(y)
    return _operation(a / b, (x, lambda g: g / b), (y, lambda g: -g * a / b**2))


def _matmul(x, y):
    a, b = value_of(x), value_of(y)
    if np.ndim(a) < 2 or np.ndim(b) < 2:
        raise ValueError(
            f"@: both must be matrices or stacks of them, got shapes {np.shape(a)} and {np.shape(b)}; reshape them."
        )
    return _operation(a @ b, (x, lambda g: g @ b.mT), (y, lambda g: a.mT @ g))


def exp(x):
    y = np.exp(value_of(x))
    return _operation(y, (x, lambda g: g * y))


def log(x):
    v = value_of(x)
    return _operation(np.log(v), (x, lambda g: g / v))


def sqrt(x):
    y = np.sqrt(value_of(x))
    return _operation(y, (x, lambda g: g / (2 * y)))


def tanh(x):
    y = np.tanh(value_of(x))
    return _operation(y, (x, lambda g: g * (1 - y**2)))


def sigmoid(x):
    """1 / (1 + exp(-x)), without overflow for any x."""
    y = (1 + np.tanh(value_of(x) / 2)) / 2
    return _operation(y, (x, lambda g: g * y * (1 - y)))


def reshape(x, shape):
    """The same entries in an array of another shape."""
    v = value_of(x)
    return _operation(v.reshape(shape), (x, lambda g: g.reshape(v.shape)))


def swap_axes(x, a, b):
    """The same entries, with axes ``a`` and ``b`` in each other's place."""
    return _operation(np.swapaxes(value_of(x), a, b), (x, lambda g: np.swapaxes(g, a, b)))


def joined(xs, axis):
    """Arrays of one shape as one array, side by side along a new axis."""
    pullback = lambda i: lambda g: np.take(g, i, axis)
    return _operation(np.stack([*map(value_of, xs)], axis), *((x, pullback(i)) for i, x in enumerate(xs)))


def where(condition, a, b):
    """``a`` where the condition, a bool array, holds, else ``b``; what is not taken gets the gradient 0."""
    value = np.where(condition, value_of(a), value_of(b))
    return _operation(value, (a, lambda g: np.where(condition, g, 0)), (b, lambda g: np.where(condition, 0, g)))


def backpropagate(loss: Variable) -> None:
    """Set the ``gradient`` of every Variable that ``loss`` was computed from.

    Raises:
        TypeError: ``loss`` is no Variable, so that it was computed from none.
        ValueError: ``loss`` is not a single number.
    """
    if not isinstance(loss, Variable):
        raise TypeError(f"backpropagate: the loss must be a Variable, got {loss!r}; it was computed from none.")
    if loss.shape != ():
        raise ValueError(f"backpropagate: the loss must be a number, got shape {loss.shape}; take its mean or sum.")
    order = _parents_first(loss)
    for variable in order:
        variable.gradient = None
    loss.gradient = np.ones_like(loss.value)
    for variable in reversed(order):
        for parent, pullback in variable.parents:
            g = _sum_to(pullback(variable.gradient), parent.shape)
            parent.gradient = g if parent.gradient is None else parent.gradient + g


def _parents_first(loss):
    """All that ``loss`` was computed from, each after its parents. No recursion: a net may be as deep as it likes."""
    order, seen, stack = [], set(), [(loss, False)]
    while stack:
        variable, parents_done = stack.pop()
        if parents_done:
            order.append(variable)
        elif id(variable) not in seen:
            seen.add(id(variable))
            stack.append((variable, True))
            stack.extend((parent, False) for parent, _ in variable.parents)
    return order


def _sum_to(g, shape):
    """A gradient for an array of ``shape`` that was broadcast: what was one entry gets the sum over its copies."""
    if np.shape(g) == shape:
        return g
    g = g.sum(axis=tuple(range(np.ndim(g) - len(shape))))
    return g.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1 and g.shape[i] > 1), keepdims=True)


def value_and_grad(function: Callable) -> Callable:
    """``function`` of the parameters, a number -> function of the parameters, (number, gradients).

    Args:
        function: takes a dict, list or tuple of arrays and returns a number that it computes from them.

    Returns:
        A function of the same argument; the gradients come in the same container, with the same shapes. It is what
        `lib.training.train` calls an objective.

    Raises (when that is called):
        TypeError: the parameters are no dict, list or tuple of arrays of floats, or the loss depends on none of them.
        ValueError: the loss is not a single number.
    """

    def value_and_gradient(params):
        if not isinstance(params, dict | list | tuple):
            raise TypeError(f"value_and_grad: params must be a dict, list or tuple of arrays, got {params!r}.")
        items = params.items() if isinstance(params, dict) else enumerate(params)
        variables = {key: Variable(_checked(key, x)) for key, x in items}
        collect = lambda of: of if isinstance(params, dict) else type(params)(of.values())
        loss = function(collect(variables))
        backpropagate(loss)
        zero_if_unused = lambda v: np.zeros_like(v.value) if v.gradient is None else v.gradient
        # Copies, since two variables may share one gradient.
        return float(loss.value), collect({key: np.array(zero_if_unused(v)) for key, v in variables.items()})

    return value_and_gradient


def _checked(key, x):
    if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
        kind = f"an array of {x.dtype}" if isinstance(x, np.ndarray) else repr(x)
        raise TypeError(f"value_and_grad: params[{key!r}] must be a NumPy array of floats, got {kind}.")
    return x
