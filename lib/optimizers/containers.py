"""What a model's parameters and gradients come in: lists, tuples and dicts of arrays, checked and handled array by
array."""

import reprlib

from array_api_compat import is_array_api_obj

from lib.arrays import namespace


def map_arrays(function, **containers):
    """``function`` of the arrays that have the same place in each container, in a container like the first.

        map_arrays(lambda a, x: (a + x) / 2, average=average, params=params)

    Args:
        function: makes an array of as many arrays as there are containers.
        containers: as in `unpack`.
    """
    first = next(iter(containers.values()))
    made = {place: namespace(arrays[0]).asarray(function(*arrays)) for place, arrays in unpack(**containers).items()}
    if isinstance(first, dict):
        return made
    make = getattr(first, "_make", list if isinstance(first, list) else tuple)  # a namedtuple has its own way
    return make(made.values())


def unpack(**containers) -> dict:
    """For each key, or position in a list or tuple, the arrays that the containers have there.

    Args:
        containers: lists, tuples or dicts of floating-point arrays (NumPy, PyTorch or JAX), not empty and alike: as
            many arrays, or the same keys, of the same shapes. Error messages call them by their keywords.

    Raises:
        TypeError: wrong container, not an array, or a dtype that is not real floating.
        KeyError: the keys differ.
        ValueError: nothing there, or mismatched numbers or shapes, or a tensor that tracks gradients.
    """
    name, first = next(iter(containers.items()))
    for argument, container in containers.items():
        _check_container(argument, container, name, first)
    places = first if isinstance(first, dict) else range(len(first))
    for place in places:
        for argument, container in containers.items():
            _check_array(f"{argument}[{place!r}]", container[place], f"{name}[{place!r}]", first[place])
    return {place: [container[place] for container in containers.values()] for place in places}


def _check_container(argument, container, name, first):
    if not isinstance(container, list | tuple | dict):
        remedy = f"put a single array in a list: [{argument}]" if is_array_api_obj(container) else f"list({argument})?"
        raise TypeError(
            f"{argument} must be a list, tuple or dict of arrays, got {type(container).__name__} "
            f"{reprlib.repr(container)}; {remedy}."
        )
    if not container:
        raise ValueError(f"{argument} is empty; pass at least one array.")
    if isinstance(first, dict) != isinstance(container, dict):
        raise TypeError(
            f"{name} and {argument} must be the same kind of container, got {type(first).__name__} "
            f"and {type(container).__name__}."
        )
    if isinstance(first, dict) and first.keys() != container.keys():
        raise KeyError(f"{name} has {list(first)}, {argument} {list(container)}; they must have the same keys.")
    if len(first) != len(container):
        raise ValueError(f"{name} has {len(first)} arrays, {argument} {len(container)}; they must have equally many.")


def _check_array(which, a, other, like):
    if a is None:
        raise TypeError(f"{which} must be an array, got None; has the gradient been computed?")
    if not is_array_api_obj(a):
        raise TypeError(f"{which} must be an array, got {reprlib.repr(a)}; wrap it: np.asarray(..., dtype=float).")
    if getattr(a, "requires_grad", False):
        raise ValueError(f"{which} tracks gradients; pass the tensor's .detach().")
    if not namespace(a).isdtype(a.dtype, "real floating"):
        raise TypeError(f"{which} has dtype {a.dtype}, but must hold real fractions; convert it to float64, say.")
    if namespace(a) is not namespace(like):
        raise TypeError(
            f"{which} is a {type(a).__module__} array, {other} a {type(like).__module__} array; convert one of them."
        )
    if a.shape != like.shape:
        raise ValueError(f"{which} has shape {tuple(a.shape)}, {other} {tuple(like.shape)}; they must be equal.")
