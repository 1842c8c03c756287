"""The fast path: a rule compiled into one pass over memory, which steps PyTorch's tensors in place.

What is compiled, by PyTorch's Inductor, is the rule itself; there is no second copy of its equation. It is cut in two.
What follows from numbers alone, such as ``1 - beta1**t``, is computed once a step, by Python, as in the rule. What it
does to arrays becomes one kernel, which is given these numbers; so neither a schedule nor the next step compiles
anything again.

For models on a CPU or a GPU with arrays of some 100,000 entries and more. `Optimizer` needs no compiler, steps any
array, looks at every entry, and is faster where arrays are small.
"""

import functools
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import fx
from torch._subclasses.fake_tensor import DataDependentOutputException
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

from lib.arrays import cos, log, maximum, minimum, sign, sqrt, where
from lib.checks import COUNT, range_of
from lib.optimizers.optimizer import Optimizer, pair

aten = torch.ops.aten

SMALL = 2**15  # entries that one thread steps sooner than several start
EXAMPLE = 2**20  # entries of the arrays that a kernel is compiled with; it steps arrays of any length
LONGEST = 2**30  # entries that a kernel may index with 32 bits


class Compiled(Optimizer):
    """Step a list or dict of PyTorch tensors in place, with one update rule, compiled.

        optimizer = Compiled(adam, lr=0.01)
        optimizer.step(params, grads)

    A step allocates nothing in proportion to the parameters, unless the rule sees whole arrays. The first step, and the
    first with another dtype or device, takes the seconds that compiling takes. Rules that see whole arrays or step
    matrices are compiled for each shape.

    Unlike `Optimizer` it does not look for entries that are not finite: that would take as long as the step.

    Args, attributes: as in `Optimizer`. The tensors of ``state`` change in place, too: copy what is to be kept.
    """

    def step(self, params, grads, curvatures=None):
        """Take one step. When it raises, nothing has changed: neither the parameters, nor ``state``, nor ``t``.

        Args:
            params: list, tuple or dict of contiguous float32 or float64 tensors; they change.
            grads: their gradients: list or tuple for list or tuple, dict with the same keys for dict; of the same
                shapes, dtypes and devices.
            curvatures: for a rule that takes curvature, estimates of the diagonal of the Hessian, given like ``grads``.

        Returns:
            ``params``.

        Raises:
            TypeError: wrong container, not a tensor, another dtype or layout, or curvatures for a rule that takes none,
                or the other way round; or a rule that cannot be compiled, because it branches on a value.
            KeyError: a parameter has no gradient, or a gradient no parameter.
            ValueError: nothing to step, mismatched number, shape or device, a tensor that is not contiguous, one that
                was computed from others with gradients, one that is listed twice, or a parameter that is not a matrix
                for a rule that steps matrices.
            RuntimeError: there is no compiler.
        """
        pairs, curved = pair(params, grads), self._pair_curvatures(params, curvatures)
        hyperparameters = self.hyperparameters_at(self.t)
        if self.state and self.state.keys() != pairs.keys():
            raise KeyError(
                f"params: this optimizer holds state for {list(self.state)}, got {list(pairs)}; "
                "use one Compiled for each set of parameters."
            )
        counts = tuple((key, value) for key, value in hyperparameters.items() if range_of(key) is COUNT)
        states, work, addresses = {}, [], {}
        for name, (x, g) in pairs.items():
            _check(f"params[{name!r}]", x)
            _check(f"grads[{name!r}]", g, x)
            if x.numel() and (twin := addresses.setdefault((x.device, x.data_ptr()), name)) != name:
                raise ValueError(f"params[{name!r}] and params[{twin!r}] are the same tensor; pass it once.")
            x, *given = (a.detach() for a in (x, g, *curved.get(name, ())))
            states[name] = self._state_of(name, x, hyperparameters)
            arrays = [x, *given, *states[name].values()]
            work.append((self._kernel_for(arrays, counts), arrays))
        numbers = {kernel: kernel.numbers(self.t + 1, *hyperparameters.values()) for kernel in dict(work)}
        for kernel, bundle in _bundles(work):
            kernel.step(bundle, numbers[kernel])
        self.t, self.state = self.t + 1, states
        return params

    def _pair_curvatures(self, params, curvatures) -> dict:
        if self.rule.takes_curvature == (curvatures is not None) is True:
            for name, (x, curvature) in (curved := pair(params, curvatures, "curvatures")).items():
                _check(f"params[{name!r}]", x)
                _check(f"curvatures[{name!r}]", curvature, x)
            return {name: (curvature,) for name, (_, curvature) in curved.items()}
        return super()._pair_curvatures(params, curvatures)  # which says what is wrong

    def _state_of(self, name, x, hyperparameters) -> dict:
        state = super()._state_of(name, x, hyperparameters)
        if name not in self.state:
            return {key: s.clone() if s is x else s for key, s in state.items()}
        for key, s in state.items():
            if s.device != x.device or not s.is_contiguous():
                raise ValueError(
                    f"state[{name!r}][{key!r}] must be contiguous and on {x.device}, like params[{name!r}]; "
                    f"use .to({str(x.device)!r}).contiguous()."
                )
        return state

    def _kernel_for(self, arrays, counts):
        x, rule = arrays[0], self.rule
        alone = rule.each == "entry" and not any(map(callable, rule.state.values()))
        shapes = len(arrays) if alone else tuple(a.shape for a in arrays)
        threads = torch.get_num_threads() if x.numel() >= SMALL and x.device.type == "cpu" else 1
        return _kernel(rule, x.dtype, x.device, threads, counts, shapes)


def _check(name, a, x=None):
    """Raise unless ``a`` is a tensor that a kernel can step; a gradient must be like its parameter ``x``."""
    if not isinstance(a, torch.Tensor):
        raise TypeError(
            f"{name} must be a PyTorch tensor, got {type(a).__name__}; lib.optimizers.Optimizer steps other arrays."
        )
    if a.layout is not torch.strided:
        raise TypeError(f"{name} has the layout {a.layout}; convert it: .to_dense().")
    if x is None:
        if a.dtype not in (torch.float32, torch.float64):
            raise TypeError(f"{name} has dtype {a.dtype}, but only float32 and float64 are compiled; convert it.")
        if a.requires_grad and not a.is_leaf:
            raise ValueError(f"{name} was computed from other tensors that require gradients; step those.")
    elif (a.dtype, a.shape, a.device) != (x.dtype, x.shape, x.device):
        error = TypeError if a.dtype != x.dtype else ValueError
        raise error(
            f"{name} is {a.dtype} {tuple(a.shape)} on {a.device}, its parameter {x.dtype} {tuple(x.shape)} on "
            f"{x.device}; they must be equal."
        )
    if not a.is_contiguous():
        raise ValueError(f"{name} is not contiguous in memory; use .contiguous().")


# ---------- from a rule to a kernel ----------


@dataclass(frozen=True, eq=False)
class Kernel:
    """A compiled rule.

    Attributes:
        numbers: takes t and the hyperparameters and returns the numbers that the rule makes of them for its arrays.
        update: takes the rule's arrays, x first, each with one dimension, and an array of these numbers, and writes the
            new values of x and of the state over the old ones.
        any_length: whether ``update`` takes arrays of any length.
        changing: the positions of x and of the state among the arrays.
    """

    numbers: Callable
    update: Callable
    any_length: bool
    changing: list[int]

    def step(self, bundle, numbers):
        """Step each list of arrays in ``bundle``; several are copied together, stepped as one, and copied back."""
        x = bundle[0][0]
        numbers = torch.tensor(numbers, dtype=x.dtype).to(x.device, non_blocking=True)
        lists = [[a if a.ndim == 1 else a.view(-1) for a in arrays] for arrays in zip(*bundle, strict=True)]
        if len(bundle) > 1:
            whole = [torch.cat(arrays) for arrays in lists]
            self.update(*whole, numbers)
            lengths = [len(a) for a in lists[0]]
            for i in self.changing:
                torch._foreach_copy_(lists[i], whole[i].split(lengths))
        elif self.any_length and x.numel() > LONGEST:
            for parts in zip(*(a.split(LONGEST) for (a,) in lists), strict=True):
                self.update(*parts, numbers)
        else:
            self.update(*(a for (a,) in lists), numbers)


def _bundles(work):
    """What is stepped together, as pairs of a kernel and lists of arrays, of such pairs with one list each.

    A call takes as long as stepping some 30,000 entries; so small arrays share one, up to `SMALL` entries of x.
    """
    bundles, unfilled = [], {}
    for kernel, arrays in work:
        size = arrays[0].numel()
        room, bundle = unfilled.get(kernel, (-1, None))
        if size > room or not kernel.any_length:
            room, bundle = SMALL, []
            bundles.append((kernel, bundle))
        bundle.append(arrays)
        unfilled[kernel] = room - size, bundle
    return bundles


@functools.cache
def _kernel(rule, dtype, device, threads, counts, shapes) -> Kernel:
    """Compile ``rule``.

    Args:
        rule, dtype, device, threads: what to compile, and for what.
        counts: pairs of name and value of those hyperparameters that are whole numbers, which are compiled in.
        shapes: of all arrays, or how many there are, if they have one shape and every entry is stepped on its own.
    """
    any_length = isinstance(shapes, int)
    lengths = [EXAMPLE] * shapes if any_length else [math.prod(shape) for shape in shapes]
    examples = [torch.empty(length, dtype=dtype, device=device) for length in lengths]
    graph = _trace(rule, examples, None if any_length else shapes, dict(counts))
    numbers, arrays = _split(graph, examples, rule.__name__)
    inputs = [node.meta["val"] for node in arrays.graph.nodes if node.op == "placeholder"]
    try:
        update = torch._inductor.standalone_compile(
            arrays, inputs, options={"config_patches": {"cpp.threads": threads}}
        )
    except Exception as error:
        raise RuntimeError(
            f"{rule.__name__} could not be compiled. That needs a C++ compiler for a CPU (install g++, or name one in "
            "CXX), and Triton for a GPU; lib.optimizers.Optimizer needs neither."
        ) from error
    return Kernel(numbers, update, any_length, changing=[0, *range(len(examples) - len(rule.state), len(examples))])


def _trace(rule, arrays, shapes, counts) -> fx.Graph:
    """The operations of a step: a graph that takes arrays, t and hyperparameters, and changes x and the state in place.

    Args:
        rule: what it steps with.
        arrays: examples of its arrays, each with one dimension.
        shapes: in which the rule sees them; None for a rule that may see them as they are, and of any length.
        counts: hyperparameters to put in as numbers.
    """

    def update(*given):
        olds, (t, *numbers) = given[: len(arrays)], given[len(arrays) :]
        if shapes is not None:
            olds = [a.view(shape) for a, shape in zip(olds, shapes, strict=True)]
        new = rule(*olds, *[t] * rule.counts_steps, **dict(zip(rule.defaults, numbers, strict=True)) | counts)
        olds, news = [olds[0], *olds[2 + rule.takes_curvature :]], new if rule.state else (new,)
        like = lambda a, b: isinstance(a, torch.Tensor) and a.shape == b.shape and a.dtype == b.dtype
        if not (isinstance(news, tuple) and len(news) == len(olds) and all(map(like, news, olds))):
            raise TypeError(
                f"{rule.__name__} must return ({', '.join(['x', *rule.state])}), of the dtypes and shapes they came in."
            )
        # An array that comes back as it is may change before it is read: the compiler drops copies, but no product with
        # a number that it does not know.
        back = lambda a: any(torch._C._is_alias_of(a, old) for old in olds)
        for old, value in zip(olds, [a * (t / t) if back(a) else a for a in news], strict=True):
            old.copy_(value)

    numbers = [torch.tensor(0.5, dtype=arrays[0].dtype) for _ in ("t", *rule.defaults)]
    try:
        traced = make_fx(update, tracing_mode="fake" if shapes else "symbolic")(*arrays, *numbers)
        # PyTorch takes it for granted that a length it leaves open is not 1, so that one is looked at by itself.
        single = traced if shapes else make_fx(update, tracing_mode="fake")(*(a[:1] for a in arrays), *numbers)
    except (GuardOnDataDependentSymNode, DataDependentOutputException) as error:
        raise TypeError(
            f"{rule.__name__} cannot be compiled, because it looks at the value of an array or a number: replace if, "
            "max, float, math by functions of lib.arrays, or step with lib.optimizers.Optimizer."
        ) from error
    shape, *others = (getattr(node.meta["val"], "shape", None) for node in _reached(traced.graph, len(arrays)))
    differs = any(other != shape for other in others) or single.code != traced.code
    if shapes is None and (traced.shape_env.guards or differs):
        raise TypeError(f"{rule.__name__} does not step every entry on its own: mark it with @rule(each='array').")
    return traced.graph


def _reached(graph, count) -> dict:
    """The nodes of ``graph`` that depend on one of its first ``count`` inputs, in order."""
    nodes = {}
    for i, node in enumerate(graph.nodes):
        if i < count or any(argument in nodes for argument in node.all_input_nodes):
            nodes[node] = None
    return nodes


# What a number goes through on its way to an array: PyTorch's name for it, and what the rule does with plain numbers.
OF_NUMBERS = {f.__name__: f for f in (sqrt, log, cos, sign, maximum, minimum, where)} | {
    "abs": abs, "add": operator.add, "div": operator.truediv, "eq": operator.eq, "floor_divide": operator.floordiv,
    "ge": operator.ge, "gt": operator.gt, "le": operator.le, "lift_fresh_copy": float, "lt": operator.lt,
    "mul": operator.mul, "ne": operator.ne, "neg": operator.neg, "pow": operator.pow, "reciprocal": lambda a: 1 / a,
    "remainder": operator.mod, "rsub": lambda a, b: b - a, "scalar_tensor": float, "sub": operator.sub,
}  # fmt: skip
OF_CONSTANTS = {"dtype", "layout", "device", "pin_memory"}  # what PyTorch adds, and a number does not have


def _split(graph, examples, name) -> tuple[Callable, fx.GraphModule]:
    """Cut a graph in two: what it computes from numbers alone, as a function of numbers, and the rest.

    Where an array is divided by a number it is multiplied by its reciprocal instead, which rounds once more and takes a
    fraction of the time.

    Args:
        graph: of a step. It takes arrays, then numbers.
        examples: of the arrays.
        name: of the rule, for errors.

    Returns:
        A function of the numbers that returns a list of those that the arrays meet, and a module that takes the arrays
        and an array of these numbers.
    """
    inputs, count = [node for node in graph.nodes if node.op == "placeholder"], len(examples)
    of_arrays = _reached(graph, count)
    for node in of_arrays:
        if node.target is aten.isnan.default:  # the same, and the compiler knows how to do it for many entries at once
            node.target, node.args = aten.ne.Tensor, node.args * 2
        elif node.target is aten.div.Tensor and isinstance(node.args[1], fx.Node) and node.args[1] not in of_arrays:
            with graph.inserting_before(node):
                inverse = graph.call_function(aten.reciprocal.default, (node.args[1],))
            inverse.meta = node.args[1].meta
            node.target, node.args = aten.mul.Tensor, (node.args[0], inverse)
    met = {argument: None for node in of_arrays for argument in node.all_input_nodes if argument not in of_arrays}

    numbers, arrays, theirs, ours = fx.Graph(), fx.Graph(), {}, {}
    for node in inputs[count:]:
        theirs[node] = numbers.placeholder(node.name)
    for node in inputs[:count]:
        ours[node] = arrays.node_copy(node)
    given = arrays.placeholder("numbers")
    mode, example = inputs[0].meta["val"].fake_mode, examples[0].new_empty(len(met))
    given.meta["val"] = mode.from_tensor(example, static_shapes=True)
    for i, node in enumerate(met):
        ours[node] = arrays.call_function(aten.select.int, (given, 0, i))
        if node.meta["val"].dtype is torch.bool:
            ours[node] = arrays.call_function(aten.ne.Scalar, (ours[node], 0))
    for node in graph.nodes:
        if node.op == "get_attr":
            theirs[node] = getattr(graph.owning_module, node.target).item()
        elif node.op == "call_function" and node in of_arrays:
            ours[node] = arrays.node_copy(node, ours.__getitem__)
        elif node.op == "call_function":
            function = OF_NUMBERS.get(node.target.overloadpacket.__name__)
            if function is None or not node.kwargs.keys() <= OF_CONSTANTS:
                raise TypeError(f"{name}: {node.target} of numbers is not known to lib.compiled.OF_NUMBERS.")
            theirs[node] = numbers.call_function(function, fx.map_arg(node.args, theirs.__getitem__))
    numbers.output([theirs[node] for node in met])
    arrays.output(())
    return fx.GraphModule({}, numbers).forward, fx.GraphModule({}, arrays)
