"""Stepping a whole model: a rule, its hyperparameters, and the state of every parameter."""

import functools
import inspect
import reprlib
from collections.abc import Callable
from numbers import Real

import numpy as np
from array_api_compat import is_array_api_obj

from lib.arrays import all_finite, namespace
from lib.checks import FINITE, check_names, check_range, range_of
from lib.optimizers.rule import first_state


class Optimizer:
    """Step a list or dict of parameters with one update rule.

        optimizer = Optimizer(adam, lr=0.01)
        params = optimizer.step(params, grads)

    ``step`` returns new arrays in a new container and leaves the ones it was given alone. When it raises, nothing has
    changed: neither the parameters, nor ``state``, nor ``t``.

    Args:
        rule: a function marked with ``lib.optimizers.rule``.
        hyperparameters: numbers, or schedules: functions of the step, counted from 0, that return a number. A state
            that starts at a number in the rule's signature may be given another one here.

    Attributes:
        t: steps taken so far.
        state: for each parameter (by name, or by position in the list) a dict of the rule's state arrays, each of
            the parameter's dtype. Empty before the first step. Whoever keeps ``t`` and ``state`` can go on with them
            in a new optimizer.

    Raises:
        TypeError: ``rule`` is not a rule, a hyperparameter is unknown, missing, or neither number nor function.
        ValueError: a hyperparameter is out of range.
    """

    def __init__(self, rule: Callable, **hyperparameters):
        if not (callable(rule) and hasattr(rule, "counts_steps")):
            raise TypeError(
                f"rule must be an update rule such as lib.optimizers.adam, the function itself; got {rule!r}."
            )
        self.rule = rule
        self.starts = {
            key: check_range(FINITE, key, hyperparameters.pop(key), rule.__name__)
            for key, value in rule.state.items()
            if key in hyperparameters and isinstance(value, Real)
        }
        check_names(hyperparameters, rule.defaults, rule.__name__)
        self.hyperparameters = rule.defaults | hyperparameters
        for name, value in self.hyperparameters.items():
            if value is inspect.Parameter.empty:
                raise TypeError(f"{rule.__name__} has no default for {name}; pass {name}=...")
            if not callable(value):
                self.hyperparameters[name] = self._checked(name, value, rule.__name__)
        self.t = 0
        self.state: dict = {}
        self._layouts: dict = {}  # (shape, dtype) of a parameter -> name, shape and dtype of each of its states

    def hyperparameters_at(self, step: int) -> dict[str, int | float]:
        """Every hyperparameter as a plain number at ``step`` (counted from 0), schedules evaluated and checked."""
        numbers = {}
        for name, value in self.hyperparameters.items():
            if callable(value):
                value = self._checked(name, value(step), f"{self.rule.__name__}, schedule at step {step}")
            numbers[name] = value
        return numbers

    def _checked(self, name, value, where):
        return check_range(self.rule.ranges.get(name, range_of(name)), name, value, where)

    def step(self, params, grads, curvatures=None):
        """Take one step.

        Args:
            params: list, tuple or dict of floating-point arrays (NumPy, PyTorch or JAX; any shapes).
            grads: their gradients: list or tuple for list or tuple, dict with the same keys for dict; of the same
                library, shapes and dtypes.
            curvatures: for a rule that takes curvature, estimates of the diagonal of the Hessian, given like ``grads``.

        Returns:
            The new parameters, in a container of the kind of ``params``.

        Raises:
            TypeError: wrong container, not an array, a dtype that is not real floating, mismatched dtypes, or
                curvatures for a rule that takes none, or the other way round.
            KeyError: a parameter has no gradient, or a gradient no parameter.
            ValueError: nothing to step, mismatched number or shape, an entry that is not finite, or a parameter that is
                not a matrix for a rule that steps matrices.
            FloatingPointError: the step would make an entry of a parameter or of its state overflow, or 0 / 0.
        """
        pairs = pair(params, grads)
        curved = self._pair_curvatures(params, curvatures)
        hyperparameters = self.hyperparameters_at(self.t)
        time = (self.t + 1,) if self.rule.counts_steps else ()
        if self.state and self.state.keys() != pairs.keys():
            raise KeyError(
                f"params: this optimizer holds state for {list(self.state)}, got {list(pairs)}; "
                "use one Optimizer for each set of parameters."
            )
        new_params, new_state = {}, {}
        with np.errstate(all="ignore"):  # _check_new makes an error of what NumPy would warn of
            for name, (x, g) in pairs.items():
                xp = _check_pair(name, x, g)
                state = self._state_of(name, x, hyperparameters)
                new = self.rule(x, g, *curved.get(name, ()), *state.values(), *time, **hyperparameters)
                new_params[name], *values = self._check_new(name, x, g, state, new, xp)
                new_state[name] = dict(zip(self.rule.state, values, strict=True))
        if not isinstance(params, dict):
            make = getattr(params, "_make", list if isinstance(params, list) else tuple)  # a namedtuple has its own way
            new_params = make(new_params.values())
        self.t, self.state = self.t + 1, new_state
        return new_params

    def _pair_curvatures(self, params, curvatures) -> dict:
        """``{name: (curvature,)}``, checked; empty for a rule that takes none."""
        if self.rule.takes_curvature == (curvatures is None):
            takes, remedy = ("takes", "pass step(params, grads, curvatures)") if curvatures is None else (
                "does not take", "leave them out")  # fmt: skip
            raise TypeError(f"{self.rule.__name__} {takes} curvatures; {remedy}.")
        if curvatures is None:
            return {}
        curved = pair(params, curvatures, "curvatures")
        for name, (x, curvature) in curved.items():
            _check_pair(name, x, curvature, "curvatures")
        return {name: (curvature,) for name, (_, curvature) in curved.items()}

    def _state_of(self, name, x, hyperparameters) -> dict:
        """The state for parameter ``x``: what the last step left, or, before the first, what the rule starts with."""
        layout = self._layouts.get((x.shape, x.dtype))
        state = self.state.get(name)
        if layout is None or state is None:
            if self.rule.each == "matrix" and x.ndim != 2:
                raise ValueError(
                    f"params[{name!r}] has shape {tuple(x.shape)}, but {self.rule.__name__} steps matrices; reshape it "
                    "to two dimensions, or step it with another Optimizer, such as Optimizer(adamw)."
                )
            first = first_state(self.rule, x, hyperparameters | self.starts)
            layout = self._layouts[x.shape, x.dtype] = [(key, s.shape, s.dtype) for key, s in first.items()]
            state = first if state is None else state
        if [(key, s.shape, s.dtype) for key, s in state.items()] != layout:
            theirs = ", ".join(f"{key} {s.dtype}{tuple(s.shape)}" for key, s in state.items())
            raise ValueError(
                f"params[{name!r}] is {x.dtype}{tuple(x.shape)}, but this optimizer's state for it is {theirs}; "
                "use a new Optimizer for a changed parameter."
            )
        return state

    def _check_new(self, name, x, g, state, new, xp):
        """What the rule returned for parameter ``x``, as arrays: the new ``x`` and the new state."""
        values, olds = new if self.rule.state else (new,), (x, *state.values())
        if type(values) is tuple and len(values) == len(olds) and all(map(_sound, values, olds)):
            return values
        rule, keys = self.rule.__name__, [f"params[{name!r}]", *self.rule.state]
        if not isinstance(values, tuple) or len(values) != len(keys):
            raise TypeError(f"{rule} must return ({', '.join(['x', *self.rule.state])}), got {reprlib.repr(new)}.")
        arrays = [xp.asarray(value) for value in values]  # NumPy makes a number of an array without dimensions
        for key, a, old in zip(keys, arrays, olds, strict=True):
            if a.shape != old.shape or a.dtype != old.dtype:
                raise TypeError(
                    f"{rule} made {key} {a.dtype}{tuple(a.shape)} out of {old.dtype}{tuple(old.shape)}; "
                    "a rule must keep dtype and shape."
                )
            if not all_finite(a):
                if not all_finite(x):
                    raise ValueError(
                        f"params[{name!r}] {_not_finite(x)}; no step was taken. Start from finite numbers."
                    )
                largest = float(xp.max(xp.abs(g)))
                raise FloatingPointError(
                    f"{rule}: after this step {key} {_not_finite(a)}; no step was taken. The largest entry of "
                    f"grads[{name!r}] is {largest:.4g}, its dtype {g.dtype}: clip the gradient, lower the learning "
                    "rate, raise eps, or use a wider dtype."
                )
        return arrays


def pair(params, grads, argument="grads") -> dict:
    """``{name: (parameter, gradient)}``, with list positions as names; messages call the second ``argument``.

    Raises:
        TypeError: not a list, tuple or dict, or a dict beside a list.
        KeyError: a parameter has no gradient, or a gradient no parameter.
        ValueError: nothing to step, or mismatched numbers.
    """
    if type(params) is type(grads) is list and len(params) == len(grads) > 0:
        return dict(enumerate(zip(params, grads, strict=True)))
    for which, value in ("params", params), (argument, grads):
        if not isinstance(value, list | tuple | dict):
            remedy = f"put a single array in a list: [{which}]" if is_array_api_obj(value) else f"list({which})?"
            raise TypeError(
                f"{which} must be a list, tuple or dict of arrays, got {type(value).__name__} "
                f"{reprlib.repr(value)}; {remedy}."
            )
    if isinstance(params, dict) != isinstance(grads, dict):
        raise TypeError(
            f"params and {argument} must be the same kind of container, got {type(params).__name__} "
            f"and {type(grads).__name__}."
        )
    if not params:
        raise ValueError("params is empty; pass at least one parameter array.")
    if isinstance(params, dict):
        if missing := [name for name in params if name not in grads]:
            raise KeyError(f"{argument} has no entry for {missing}; pass one for every parameter.")
        if extra := [name for name in grads if name not in params]:
            raise KeyError(f"{argument} has entries for {extra} that params lacks; remove or rename them.")
        return {name: (params[name], grads[name]) for name in params}
    if len(params) != len(grads):
        raise ValueError(f"{argument} has {len(grads)} arrays for {len(params)} parameters; pass one for each.")
    return dict(enumerate(zip(params, grads, strict=True)))


def _check_pair(name, x, g, argument="grads"):
    """The namespace of parameter ``x`` and gradient ``g``; raises if they cannot be stepped together.

    Messages call them ``params[name]`` and ``argument[name]``.
    """
    if type(x) is np.ndarray and _holds_fractions(namespace(x), x.dtype) and _sound(g, x):
        return namespace(x)
    for which, a in (f"params[{name!r}]", x), (f"{argument}[{name!r}]", g):
        if a is None:
            raise TypeError(f"{which} must be an array, got None; has the gradient been computed?")
        if not is_array_api_obj(a):
            raise TypeError(f"{which} must be an array, got {reprlib.repr(a)}; wrap it: np.asarray(..., dtype=float).")
        if isinstance(a, np.ma.MaskedArray):
            raise TypeError(f"{which} must be a plain array, got a MaskedArray; fill it: .filled(0.0).")
        if getattr(a, "requires_grad", False):
            raise ValueError(f"{which} tracks gradients, so a step would be recorded too; pass the tensor's .detach().")
    xp = namespace(x)
    if type(g) is not type(x) and namespace(g) is not xp:
        raise TypeError(
            f"{argument}[{name!r}] is a {type(g).__module__} array, params[{name!r}] a {type(x).__module__} array; "
            "convert one of them."
        )
    if not _holds_fractions(xp, x.dtype):
        raise TypeError(
            f"params[{name!r}] has dtype {x.dtype}, but a step needs real fractions; "
            "convert it to a real floating dtype, for example float64."
        )
    if g.dtype != x.dtype:
        raise TypeError(f"{argument}[{name!r}] has dtype {g.dtype}, params[{name!r}] {x.dtype}; convert the former.")
    if g.shape != x.shape:
        raise ValueError(
            f"{argument}[{name!r}] has shape {tuple(g.shape)}, params[{name!r}] {tuple(x.shape)}; they must be equal."
        )
    if not all_finite(g):
        raise ValueError(
            f"{argument}[{name!r}] {_not_finite(g)}; no step was taken. Lower the learning rate or clip the gradient."
        )
    return xp


def _sound(a, x) -> bool:
    """Whether ``a`` is a NumPy array with the shape and dtype of ``x`` and finite entries: nothing left to check.

    It keeps the checks of a step cheaper than the step; what is not sound, or not NumPy's, is looked at in full.
    """
    return type(a) is np.ndarray and a.shape == x.shape and a.dtype == x.dtype and all_finite(a)


@functools.cache
def _holds_fractions(xp, dtype) -> bool:
    return xp.isdtype(dtype, "real floating")


def _not_finite(a) -> str:
    """How many entries of ``a`` are not finite, and which is the first: the predicate of an error message."""
    xp = namespace(a)
    flat = xp.reshape(a, (-1,))
    bad = xp.nonzero(~xp.isfinite(flat))[0]
    first = int(bad[0])
    index = tuple(map(int, np.unravel_index(first, tuple(a.shape))))
    return f"has {len(bad)} of {len(flat)} entries that are not finite, the first {float(flat[first])} at {index}"
