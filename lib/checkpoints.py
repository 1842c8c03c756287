"""What a run needs to go on, in one file that no kill leaves half written.

    save("run.npz", params, optimizer, random, epoch=3)
    params, random, notes = load("run.npz", optimizer)

The file is an archive of NumPy arrays with one JSON text, its index; reading it runs no code, as unpickling would. It
is written beside its place and then moved there. The move is atomic: at any moment there lies the last checkpoint or
the new one. The archive holds a checksum of each array, so that damage is an error and no strange number.
"""

import io
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lib.optimizers import Optimizer
from lib.optimizers.optimizer import pair

FORMAT, VERSION = "step-size checkpoint", 1


class Checkpoint(NamedTuple):
    """``params``: in the container they were saved in; ``random``: the generator, or None; ``notes``: a dict."""

    params: Any
    random: np.random.Generator | None
    notes: dict[str, Any]


def save(path, params, optimizer: Optimizer, random: np.random.Generator | None = None, **notes) -> None:
    """Write a checkpoint; the one that ``path`` held before stays until the new one is whole.

    Args:
        path: of the file, in a folder that exists.
        params: list, tuple or dict (with names for keys) of NumPy arrays.
        optimizer: whose ``t`` and ``state`` are saved, with the name of its rule. Its hyperparameters are not: whoever
            goes on makes them anew, or keeps them among the notes.
        random: what draws the batches, made by ``np.random.default_rng``.
        notes: anything that JSON can hold; a tuple comes back as a list.

    Raises:
        TypeError: ``params`` hold something else than NumPy arrays, ``random`` is another generator, or a note is none
            that JSON can hold.
        OSError: the file cannot be written.
    """
    path, names = Path(path), list(pair(params, params))
    arrays = {}
    for i, name in enumerate(names):
        arrays[f"params/{i}"] = params[name]
        arrays |= {f"state/{i}/{key}": a for key, a in optimizer.state.get(name, {}).items()}
    for key, a in arrays.items():
        if not isinstance(a, (np.ndarray, np.floating)):
            where = f"params[{names[int(key.split('/')[1])]!r}]"
            raise TypeError(
                f"save: {where} must be a NumPy array, got {type(a).__name__}; make it one, or use its library."
            )
    index = {
        "format": FORMAT,
        "version": VERSION,
        "rule": optimizer.rule.__name__,
        "t": optimizer.t,
        "params": type(params).__name__,
        "names": names,
        "random": None if random is None else _state_of(random),
        "notes": notes,
    }
    try:
        text = json.dumps(index)
    except (TypeError, ValueError) as error:
        raise TypeError(f"save: notes must be what JSON can hold: {error}. Got {notes!r}.") from None
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "wb") as file:
            np.savez(file, allow_pickle=False, index=np.array(text), **arrays)
            file.flush()
            os.fsync(file.fileno())  # on the disk before it takes the other's place
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def load(path, optimizer: Optimizer) -> Checkpoint:
    """Read a checkpoint and set ``optimizer`` where the saved one stood; if it cannot be read, nothing changes.

    Args:
        path: as given to `save`.
        optimizer: of the same rule; its hyperparameters may differ.

    Raises:
        FileNotFoundError: there is none.
        ValueError: the file is damaged, no checkpoint of this book, of a later version, or of another rule.
    """
    contents = Path(path).read_bytes()
    try:
        with np.load(io.BytesIO(contents), allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except Exception as error:  # a bit that is wrong in the archive's directory can lead to any
        raise ValueError(f"load: {path} is damaged, or no checkpoint ({error}); go back to an older one.") from None
    try:
        index = json.loads(str(arrays["index"]))
        known = index["format"] == FORMAT
    except (KeyError, TypeError, ValueError):
        known = False
    if not known:
        raise ValueError(f"load: {path} is no checkpoint that lib.checkpoints.save wrote.")
    if index["version"] > VERSION:
        raise ValueError(
            f"load: {path} has version {index['version']}, this code reads up to {VERSION}; update the book."
        )
    if index["rule"] != optimizer.rule.__name__:
        raise ValueError(
            f"load: {path} was saved with {index['rule']}, but this optimizer steps with {optimizer.rule.__name__}; "
            f"pass an Optimizer({index['rule']}, ...)."
        )
    params, states = {}, {}
    for i, name in enumerate(index["names"]):
        keys = [f"params/{i}", *(f"state/{i}/{key}" for key in optimizer.rule.state if index["t"])]
        if missing := [key for key in keys if key not in arrays]:
            raise ValueError(f"load: {path} is damaged: it has no {missing[0]}; go back to an older one.")
        params[name], *values = (arrays[key] for key in keys)
        states[name] = dict(zip(optimizer.rule.state, values, strict=False))
    optimizer.t, optimizer.state = index["t"], states if index["t"] else {}
    if index["params"] != "dict":
        params = {"list": list, "tuple": tuple}[index["params"]](params.values())
    return Checkpoint(params, index["random"] and _generator(index["random"]), index["notes"])


def _state_of(random) -> dict:
    if not (isinstance(random, np.random.Generator) and isinstance(random.bit_generator, np.random.PCG64)):
        raise TypeError(f"save: random must be made by np.random.default_rng, got {random!r}.")
    return random.bit_generator.state


def _generator(state: dict) -> np.random.Generator:
    random = np.random.default_rng()
    random.bit_generator.state = state
    return random
