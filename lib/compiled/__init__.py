"""The fast path: a rule compiled into one pass over memory, which steps arrays in place.

What is compiled is the rule itself; there is no second copy of its equation. It is cut in two. What follows from
numbers alone, such as ``1 - beta1**t``, is computed once a step, by Python, as in the rule. What it does to arrays
becomes one kernel, which is given these numbers; so neither a schedule nor the next step compiles anything again.

Each array library has one compiler:

- ``numpy``   numba, for rules that step every entry on its own. It takes the rule's steps, bit for bit.
- ``torch``   PyTorch's Inductor, for all rules but those that Python steers, on a CPU or a GPU. A call of its kernel
  takes some 20 microseconds more: it is for arrays of some 100,000 entries and more.

`Optimizer` needs no compiler, steps any array, looks at every entry, and gives new arrays.
"""

import functools
import sys

import numpy as np

from lib.optimizers.optimizer import Optimizer, pair


class Compiled(Optimizer):
    """Step a list or dict of NumPy arrays or PyTorch tensors in place, with one update rule, compiled.

        optimizer = Compiled(adam, lr=0.01)
        optimizer.step(params, grads)

    A step allocates nothing in proportion to the parameters, unless the rule sees whole arrays. The first step, and the
    first with another dtype or device, takes as long as compiling takes: NumPy's half a second to two seconds,
    PyTorch's several. Rules that see whole arrays or step matrices are compiled for each shape, and only for PyTorch.

    Unlike `Optimizer` it does not look for entries that are not finite: that would take as long as the step.

    Args, attributes: as in `Optimizer`. The arrays of ``state`` change in place, too: copy what is to be kept.
    """

    def step(self, params, grads, curvatures=None):
        """Take one step. When it raises, nothing has changed: neither the parameters, nor ``state``, nor ``t``.

        Args:
            params: list, tuple or dict of contiguous float32 or float64 arrays of NumPy or PyTorch; they change.
            grads: their gradients: list or tuple for list or tuple, dict with the same keys for dict; of the same
                libraries, shapes, dtypes and devices.
            curvatures: for a rule that takes curvature, estimates of the diagonal of the Hessian, given like ``grads``.

        Returns:
            ``params``.

        Raises:
            TypeError: wrong container, not an array, another dtype or layout, or curvatures for a rule that takes none,
                or the other way round; or a rule that cannot be compiled, because it branches on a value, or, for
                NumPy, because it sees whole arrays.
            KeyError: a parameter has no gradient, or a gradient no parameter.
            ValueError: nothing to step, mismatched number, shape or device, an array that is not contiguous or may not
                be written to, a tensor that was computed from others with gradients, a parameter that is listed twice,
                or one that is not a matrix for a rule that steps matrices.
            RuntimeError: there is no compiler.
        """
        pairs, curved = pair(params, grads), self._pair_curvatures(params, curvatures)
        hyperparameters = self.hyperparameters_at(self.t)
        if self.state and self.state.keys() != pairs.keys():
            raise KeyError(
                f"params: this optimizer holds state for {list(self.state)}, got {list(pairs)}; "
                "use one Compiled for each set of parameters."
            )
        states, work, addresses = {}, {}, {}
        for name, (x, g) in pairs.items():
            compiler = _compiler_for("params", name, x)
            x, g = compiler.checked("params", name, x), compiler.checked("grads", name, g, x)
            twin = addresses.setdefault(compiler.address(x), name) if len(pairs) > 1 and 0 not in x.shape else name
            if twin != name:
                raise ValueError(f"params[{name!r}] and params[{twin!r}] are the same array; pass it once.")
            states[name] = self._state_of(name, x, hyperparameters)
            arrays = [x, g, *curved.get(name, ()), *states[name].values()]
            work.setdefault(compiler.kernel_for(self.rule, arrays, hyperparameters), []).append(arrays)
        numbers = {kernel: kernel.numbers(self.t + 1, *hyperparameters.values()) for kernel in work}
        for kernel, lists in work.items():
            kernel.step(lists, numbers[kernel])
        self.t, self.state = self.t + 1, states
        return params

    def _pair_curvatures(self, params, curvatures) -> dict:
        if self.rule.takes_curvature != (curvatures is not None) or curvatures is None:
            return super()._pair_curvatures(params, curvatures)  # which says what is wrong
        curved = {}
        for name, (x, curvature) in pair(params, curvatures, "curvatures").items():
            compiler = _compiler_for("params", name, x)
            x = compiler.checked("params", name, x)
            curved[name] = (compiler.checked("curvatures", name, curvature, x),)
        return curved

    def _state_of(self, name, x, hyperparameters) -> dict:
        state, compiler = super()._state_of(name, x, hyperparameters), _compiler_of(type(x))
        if name not in self.state:
            return {key: compiler.copy(s) if s is x else s for key, s in state.items()}
        for key, s in state.items():
            compiler.check_state(name, key, s, x)
        return state


def _compiler_for(argument, name, x):
    compiler = _compiler_of(type(x))
    if compiler is None:
        raise TypeError(
            f"{argument}[{name!r}] must be a NumPy array or a PyTorch tensor, got {type(x).__name__}; "
            "lib.optimizers.Optimizer steps other arrays."
        )
    return compiler


@functools.cache
def _compiler_of(kind):
    """The module that compiles for arrays of a type, loaded when it is needed: neither compiler is loaded quickly."""
    torch = sys.modules.get("torch")
    if issubclass(kind, np.ndarray):
        from lib.compiled import numpy as compiler
    elif torch and issubclass(kind, torch.Tensor):
        from lib.compiled import torch as compiler
    else:
        compiler = None
    return compiler
