"""What a run needs to go on, in one file that no kill leaves half written.

    save("run.npz", params, optimizer, random, epoch=3)
    params, random, notes = load("run.npz", optimizer)

The file is an archive of NumPy arrays with one JSON text, its index; reading it runs no code, as unpickling would. It
is written beside its place and then moved there. The move is atomic: at any moment there lies the last checkpoint or
the new one, also for another process that reads while this one saves, and for several that save under one name. (On
Windows a file cannot be replaced while another process has it open: there, give each checkpoint a name of its own.) The
archive holds a checksum of each array, so that damage is an error and no strange number.

A long run keeps its last few checkpoints, numbered, and many runs share a folder, each with a prefix of its own:

    save(f"runs/a-{optimizer.t}.npz", params, optimizer, random, loss=0.5)
    prune("runs", keep=3, prefix="a-")
    params, random, notes = load_newest("runs", optimizer, prefix="a-")
    read_notes(listed("runs", prefix="b-")[-1])["loss"]  # of another run, without its arrays

`write` and `read` are the same for whatever else is arrays and an index.
"""

import contextlib
import io
import json
import os
import re
import time
import uuid
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lib.checks import COUNT, check_range
from lib.optimizers import Optimizer
from lib.optimizers.optimizer import pair

FORMAT, VERSION = "step-size checkpoint", 1
STALE = 3600.0  # seconds after which a file that nobody went on writing has no writer


class Damaged(ValueError):
    """The file is no whole checkpoint; an older one may be."""


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
        random: what draws the batches, made by ``np.random.default_rng``. (`lib.stochastic_gradients.batches` has one
            of its own: make it anew and leave out the first ``t``, ``islice(batches(...), optimizer.t, None)``.)
        notes: anything that JSON can hold; a tuple comes back as a list.

    Raises:
        TypeError: ``params`` hold something else than NumPy arrays, ``random`` is another generator, or a note is none
            that JSON can hold.
        OSError: the file cannot be written.
    """
    names = list(pair(params, params))
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
    write(path, arrays, index, where="save")


def load(path, optimizer: Optimizer) -> Checkpoint:
    """Read a checkpoint and set ``optimizer`` where the saved one stood; if it cannot be read, nothing changes.

    Args:
        path: as given to `save`.
        optimizer: of the same rule; its hyperparameters may differ.

    Raises:
        FileNotFoundError: there is none.
        Damaged: the file is damaged, or no checkpoint of this book.
        ValueError: it is of a later version, or of another rule.
    """
    arrays, index = read(path, FORMAT, VERSION, where="load", writer="lib.checkpoints.save")
    if index["rule"] != optimizer.rule.__name__:
        raise ValueError(
            f"load: {path} was saved with {index['rule']}, but this optimizer steps with {optimizer.rule.__name__}; "
            f"pass an Optimizer({index['rule']}, ...)."
        )
    params, states = {}, {}
    for i, name in enumerate(index["names"]):
        keys = [f"params/{i}", *(f"state/{i}/{key}" for key in optimizer.rule.state if index["t"])]
        if missing := [key for key in keys if key not in arrays]:
            raise Damaged(f"load: {path} is damaged: it has no {missing[0]}; go back to an older one.")
        params[name], *values = (arrays[key] for key in keys)
        states[name] = dict(zip(optimizer.rule.state, values, strict=False))
    optimizer.t, optimizer.state = index["t"], states if index["t"] else {}
    if index["params"] != "dict":
        params = {"list": list, "tuple": tuple}[index["params"]](params.values())
    return Checkpoint(params, index["random"] and _generator(index["random"]), index["notes"])


def read_notes(path) -> dict[str, Any]:
    """The notes of a checkpoint, without reading its arrays: cheap, for whoever looks through many.

    Between this and `load` another process may replace the file: what belongs to the parameters, such as the rate, is
    among the notes that `load` returns with them.

    Raises:
        FileNotFoundError, Damaged, ValueError: as `load`.
    """
    with open(path, "rb") as file:
        _, index = _unpack(file, path, FORMAT, VERSION, "read_notes", "lib.checkpoints.save", keys=["index"])
    return index["notes"]


def listed(folder, prefix: str = "") -> list[Path]:
    """The checkpoints named ``<prefix><number>.npz`` in a folder, in the order of their numbers: the newest is last."""
    name = re.compile(re.escape(prefix) + r"([0-9]+)\.npz")
    found = {path: match for path in Path(folder).iterdir() if (match := name.fullmatch(path.name))}
    return sorted(found, key=lambda path: int(found[path][1]))


def load_newest(folder, optimizer: Optimizer, prefix: str = "") -> Checkpoint:
    """`load` the newest checkpoint of `listed` that is whole; those that are damaged, or gone by now, are passed over.

    Raises:
        FileNotFoundError: there is none.
        ValueError: as `load`.
    """
    paths = listed(folder, prefix)
    for path in reversed(paths):
        with contextlib.suppress(Damaged, FileNotFoundError):
            return load(path, optimizer)
    raise FileNotFoundError(f"load_newest: of {len(paths)} checkpoints {prefix}<number>.npz in {folder} none is whole.")


def prune(folder, keep: int, prefix: str = "") -> None:
    """Delete all checkpoints of `listed` but the newest ``keep``, and the ``.partial`` files of killed writers.

    A writer that is killed leaves the file that it had begun. It is in nobody's way; when it has not grown for an hour,
    it goes. Keep two at least: if the newest is damaged, `load_newest` takes the one before.

    Raises:
        ValueError: ``keep`` is not a whole number > 0.
    """
    keep = check_range(COUNT, "keep", keep, "prune")
    for path in listed(folder, prefix)[:-keep]:
        path.unlink(missing_ok=True)
    for path in Path(folder).iterdir():
        if re.fullmatch(r".+\.[0-9a-f]{32}\.partial", path.name):
            with contextlib.suppress(FileNotFoundError):  # its writer has just moved it
                if time.time() - path.stat().st_mtime > STALE:
                    path.unlink()


def write(path, arrays: dict[str, np.ndarray], index: dict[str, Any], where: str = "write") -> None:
    """Put arrays and an index into one file; what ``path`` held before stays until the new file is whole.

    Args:
        path: of the file, in a folder that exists.
        arrays: by name, none of them called "index"; of numbers or texts.
        index: what JSON can hold; ``format``, a name, and ``version``, a whole number, must be in it.
        where: begins the error messages.

    Raises:
        TypeError: the index is none that JSON can hold.
        OSError: the file cannot be written.
    """
    path = Path(path)
    try:
        text = json.dumps(index)
    except (TypeError, ValueError) as error:
        got = index.get("notes", index)
        raise TypeError(f"{where}: notes must be what JSON can hold: {error}. Got {got!r}.") from None
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    try:
        with open(partial, "wb") as file:
            np.savez(file, allow_pickle=False, index=np.array(text), **arrays)
            file.flush()
            os.fsync(file.fileno())  # on the disk before it takes the other's place
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def read(
    path,
    format: str,
    version: int,
    where: str = "read",
    writer: str = "lib.checkpoints.write",
    remedy: str = "go back to an older one",
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What `write` put into a file: the arrays and the index.

    Args:
        path: as given to `write`.
        format, version: the only format, and the latest version, that the caller understands.
        where, writer, remedy: words of the error messages: who reads, who writes such files, what helps against damage.

    Raises:
        FileNotFoundError: there is none.
        Damaged: the file is damaged, or of another format.
        ValueError: it is of a later version.
    """
    return _unpack(io.BytesIO(Path(path).read_bytes()), path, format, version, where, writer, remedy)


def _unpack(file, path, format, version, where, writer, remedy="go back to an older one", keys=None):
    """What `read` returns; of the arrays only ``keys``, if they are given."""
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in keys or archive.files}
    except Exception as error:  # a bit that is wrong in the archive's directory can lead to any
        raise Damaged(f"{where}: {path} is damaged, or no checkpoint ({error}); {remedy}.") from None
    try:
        index = json.loads(str(arrays.pop("index")))
        known = index["format"] == format
    except (KeyError, TypeError, ValueError):
        known = False
    if not known:
        raise Damaged(f"{where}: {path} is no checkpoint that {writer} wrote.")
    if index["version"] > version:
        raise ValueError(
            f"{where}: {path} has version {index['version']}, this code reads up to {version}; update the book."
        )
    return arrays, index


def _state_of(random) -> dict:
    if not (isinstance(random, np.random.Generator) and isinstance(random.bit_generator, np.random.PCG64)):
        raise TypeError(f"save: random must be made by np.random.default_rng, got {random!r}.")
    return random.bit_generator.state


def _generator(state: dict) -> np.random.Generator:
    random = np.random.default_rng()
    random.bit_generator.state = state
    return random
