"""PyTorch's tensors, by Inductor.

PyTorch traces a step of the rule, as a graph of its operations. It is cut in two, and Inductor makes one kernel of what
it does to arrays.
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

aten = torch.ops.aten

SMALL = 2**15  # entries that one thread steps sooner than several start
EXAMPLE = 2**20  # entries of the arrays that a kernel is compiled with; it steps arrays of any length
LONGEST = 2**30  # entries that a kernel may index with 32 bits


def checked(argument, name, a, x=None) -> torch.Tensor:
    """``a``, detached, if it is a tensor that a kernel can step; a gradient must be like its parameter ``x``.

    Errors call it ``argument[name]``.
    """
    which = f"{argument}[{name!r}]"
    if not isinstance(a, torch.Tensor):
        raise TypeError(f"{which} must be a PyTorch tensor, like its parameter, got {type(a).__name__}; convert it.")
    if a.layout is not torch.strided:
        raise TypeError(f"{which} has the layout {a.layout}; convert it: .to_dense().")
    if x is None:
        if a.dtype not in (torch.float32, torch.float64):
            raise TypeError(f"{which} has dtype {a.dtype}, but only float32 and float64 are compiled; convert it.")
        if a.requires_grad and not a.is_leaf:
            raise ValueError(f"{which} was computed from other tensors that require gradients; step those.")
    elif (a.dtype, a.shape, a.device) != (x.dtype, x.shape, x.device):
        error = TypeError if a.dtype != x.dtype else ValueError
        raise error(
            f"{which} is {a.dtype} {tuple(a.shape)} on {a.device}, its parameter {x.dtype} {tuple(x.shape)} on "
            f"{x.device}; they must be equal."
        )
    if not a.is_contiguous():
        raise ValueError(f"{which} is not contiguous in memory; use .contiguous().")
    return a.detach()


def check_state(name, key, s, x):
    """Raise unless ``s``, the state ``key`` of the parameter ``x``, can be stepped."""
    if s.device != x.device or not s.is_contiguous():
        raise ValueError(
            f"state[{name!r}][{key!r}] must be contiguous and on {x.device}, like params[{name!r}]; "
            f"use .to({str(x.device)!r}).contiguous()."
        )


def address(x) -> tuple:
    """Where the entries of ``x`` lie."""
    return x.device, x.data_ptr()


def copy(a) -> torch.Tensor:
    """A tensor of the same entries."""
    return a.clone()


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

    def step(self, lists, numbers):
        """Step each list of arrays."""
        x = lists[0][0]
        numbers = torch.tensor(numbers, dtype=x.dtype).to(x.device, non_blocking=True)
        for bundle in _bundles(lists) if self.any_length else [[arrays] for arrays in lists]:
            self.step_together(bundle, numbers)

    def step_together(self, bundle, numbers):
        """Step each list of arrays in ``bundle``; several are copied together, stepped as one, and copied back."""
        x = bundle[0][0]
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


def _bundles(lists):
    """The lists of arrays that are stepped together.

    A call takes as long as stepping some 30,000 entries; so small arrays share one, up to `SMALL` entries of x.
    """
    bundles, room = [], -1
    for arrays in lists:
        size = arrays[0].numel()
        if size > room:
            bundles.append([])
            room = SMALL
        bundles[-1].append(arrays)
        room -= size
    return bundles


def kernel_for(rule, given, hyperparameters) -> Kernel:
    """What steps the arrays that are given: [x, g, maybe curvature, *state]."""
    x = given[0]
    counts = tuple((key, hyperparameters[key]) for key in _whole_numbers(rule))
    alone = rule.each == "entry" and not any(map(callable, rule.state.values()))
    shapes = len(given) if alone else tuple(a.shape for a in given)
    threads = torch.get_num_threads() if x.numel() >= SMALL and x.device.type == "cpu" else 1
    return _kernel(rule, x.dtype, x.device, threads, counts, shapes)


@functools.cache
def _whole_numbers(rule) -> list[str]:
    return [key for key in rule.defaults if range_of(key) is COUNT]


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
                raise TypeError(f"{name}: {node.target} of numbers is not known to lib.compiled.torch.OF_NUMBERS.")
            theirs[node] = numbers.call_function(function, fx.map_arg(node.args, theirs.__getitem__))
    numbers.output([theirs[node] for node in met])
    arrays.output(())
    return fx.GraphModule({}, numbers).forward, fx.GraphModule({}, arrays)
