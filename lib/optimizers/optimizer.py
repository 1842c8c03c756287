"""Stepping a whole model: a rule, its hyperparameters, and the state of every parameter."""

import math
from collections.abc import Callable

from array_api_compat import array_namespace, is_array_api_obj

from lib.checks import check_names, check_number


class Optimizer:
    """Step a list or dict of parameters with one update rule.

        optimizer = Optimizer(adam, lr=0.01)
        params = optimizer.step(params, grads)

    ``step`` returns new arrays in a new container and leaves the ones it was given alone. When it raises, nothing has
    changed: neither the parameters, nor ``state``, nor ``t``.

    Args:
        rule: a function marked with ``lib.optimizers.rule``.
        hyperparameters: numbers, or schedules: functions of the step, counted from 0, that return a number.

    Attributes:
        t: steps taken so far.
        state: for each parameter (by name, or by position in the list) a dict of the rule's state arrays, each of
            the parameter's shape and dtype. Empty before the first step.

    Raises:
        TypeError: ``rule`` is not a rule, a hyperparameter is unknown, missing, or neither number nor function.
        ValueError: a hyperparameter is out of range.
    """

    def __init__(self, rule: Callable, **hyperparameters):
        if not hasattr(rule, "state"):
            raise TypeError(f"rule must be an update rule such as lib.optimizers.adam, got {rule!r}.")
        check_names(hyperparameters, rule.defaults, rule.__name__)
        self.rule = rule
        self.hyperparameters = rule.defaults | hyperparameters
        for name, value in self.hyperparameters.items():
            if not callable(value):
                check_number(name, value, rule.__name__)
        self.t = 0
        self.state: dict = {}

    def hyperparameters_at(self, step: int) -> dict[str, float]:
        """Every hyperparameter as a number at ``step`` (counted from 0), schedules evaluated and checked."""
        numbers = {}
        for name, value in self.hyperparameters.items():
            if callable(value):
                value = value(step)
                check_number(name, value, f"{self.rule.__name__}, schedule at step {step}")
            numbers[name] = value
        return numbers

    def step(self, params, grads):
        """Take one step.

        Args:
            params: list, tuple or dict of floating-point arrays (NumPy, PyTorch or JAX; any shapes).
            grads: their gradients, in the same kind of container, with the same names, shapes and dtypes.

        Returns:
            The new parameters, in a container of the same kind.

        Raises:
            TypeError: wrong container, not an array, integer or mismatched dtype.
            KeyError: a parameter has no gradient, or a gradient no parameter.
            ValueError: nothing to step, mismatched number or shape, or a gradient that is not finite.
        """
        pairs = _pair(params, grads)
        hyperparameters = self.hyperparameters_at(self.t)
        time = (self.t + 1,) if self.rule.counts_steps else ()
        if self.state and self.state.keys() != pairs.keys():
            raise KeyError(
                f"params: this optimizer holds state for {list(self.state)}, got {list(pairs)}; "
                "use one Optimizer for each set of parameters."
            )
        new_params, new_state = {}, {}
        for name, (x, g) in pairs.items():
            state = self.state.get(name) or self._start(x)
            _check_pair(name, x, g, state)
            new = self.rule(x, g, *state.values(), *time, **hyperparameters)
            new_params[name], *new_values = new if state else (new,)
            new_state[name] = dict(zip(state, new_values, strict=True))
        self.t, self.state = self.t + 1, new_state
        return new_params if isinstance(params, dict) else type(params)(new_params.values())

    def _start(self, x) -> dict:
        if not is_array_api_obj(x):
            return {}  # _check_pair says what is wrong with x
        full_like = array_namespace(x).full_like
        return {name: full_like(x, value) for name, value in self.rule.state.items()}


def _pair(params, grads) -> dict:
    """``{name: (parameter, gradient)}``, with list positions as names."""
    for argument, value in ("params", params), ("grads", grads):
        if not isinstance(value, list | tuple | dict):
            raise TypeError(
                f"{argument} must be a list, tuple or dict of arrays, got {type(value).__name__}; "
                f"put a single array in a list: [{argument}]."
            )
    if isinstance(params, dict) != isinstance(grads, dict):
        raise TypeError(
            f"params and grads must be the same kind of container, got {type(params).__name__} "
            f"and {type(grads).__name__}."
        )
    if not params:
        raise ValueError("params is empty; pass at least one parameter array.")
    if isinstance(params, dict):
        if missing := params.keys() - grads.keys():
            raise KeyError(f"grads has no entry for {sorted(missing)}; pass a gradient for every parameter.")
        if extra := grads.keys() - params.keys():
            raise KeyError(f"grads has entries for {sorted(extra)} that params lacks; remove or rename them.")
        return {name: (params[name], grads[name]) for name in params}
    if len(params) != len(grads):
        raise ValueError(f"grads has {len(grads)} arrays for {len(params)} parameters; pass one for each.")
    return dict(enumerate(zip(params, grads, strict=True)))


def _check_pair(name, x, g, state) -> None:
    """Raise if parameter ``x`` and gradient ``g`` cannot be stepped together; ``name`` is what to call them."""
    for argument, a in (f"params[{name!r}]", x), (f"grads[{name!r}]", g):
        if not is_array_api_obj(a):
            raise TypeError(f"{argument} must be an array, got {a!r}; wrap it: np.asarray({a!r}, dtype=float).")
    xp = array_namespace(x)
    if array_namespace(g) is not xp:
        raise TypeError(
            f"grads[{name!r}] is a {type(g).__module__} array, params[{name!r}] a {type(x).__module__} array; "
            "convert one of them."
        )
    if not xp.isdtype(x.dtype, "real floating"):
        raise TypeError(
            f"params[{name!r}] has dtype {x.dtype}, which cannot hold a fraction of a step; "
            "convert it to a floating dtype, for example float64."
        )
    if g.dtype != x.dtype:
        raise TypeError(f"grads[{name!r}] has dtype {g.dtype}, params[{name!r}] {x.dtype}; convert the gradient.")
    if g.shape != x.shape:
        raise ValueError(
            f"grads[{name!r}] has shape {tuple(g.shape)}, params[{name!r}] {tuple(x.shape)}; they must be equal."
        )
    for key, s in state.items():
        if s.shape != x.shape or s.dtype != x.dtype:
            raise ValueError(
                f"params[{name!r}] is {x.dtype}{tuple(x.shape)}, but this optimizer's {key} for it is "
                f"{s.dtype}{tuple(s.shape)}; use a new Optimizer for a changed parameter."
            )
    if getattr(x, "requires_grad", False):
        raise ValueError(
            f"params[{name!r}] tracks gradients, so a step would be recorded too; pass params[{name!r}].detach()."
        )
    if not xp.all(xp.isfinite(g)):
        bad = g[~xp.isfinite(g)] if g.shape else g
        raise ValueError(
            f"grads[{name!r}] has {max(1, math.prod(bad.shape))} of {max(1, math.prod(g.shape))} entries that are "
            f"not finite (nan or inf); no step was taken. Lower the learning rate or clip the gradient."
        )
