"""120 breeds of dogs, from three sources behind one interface.

data = breeds()                              drawn: needs no network
data = breeds("tfds", size=64)               Stanford Dogs by tensorflow_datasets
data = breeds("~/stanford_dogs", size=64)    Stanford Dogs as its archive has it

x = data.standardized(data.x_train[:64])     float32, mean 0 and variance 1 in each channel

Drawn dogs are a stand-in. What a net reaches on them must not stand beside what it reaches on photographs: every set
carries its source, and `title` refuses to name a table that has both.

Source: Khosla, Jayadevaprakash, Yao & Fei-Fei 2011, "Novel Dataset for Fine-Grained Image Categorization": 12,000
photographs for training, 100 of each breed, and 8,580 for testing.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from lib import drawn_breeds
from lib.checks import COUNT, WHOLE, check_range

ARCHIVE = "http://vision.stanford.edu/aditya86/ImageNetDogs/"
TITLES = {"drawn": "120 drawn breeds (a stand-in)", "tfds": "Stanford Dogs", "folder": "Stanford Dogs"}


@dataclass(frozen=True)
class Breeds:
    """Images of breeds.

    Attributes:
        source: "drawn", "tfds" or "folder".
        class_names: a name for each label.
        x_train, x_test: uint8 arrays (n, size, size, 3), in memory or, with a cache, on disk.
        y_train, y_test: labels (n,), from 0; int64.
        mean, std: of each channel over all pixels of ``x_train``, with 0 for black and 1 for white; float64 (3,).
    """

    source: str
    class_names: tuple[str, ...]
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    mean: np.ndarray
    std: np.ndarray

    @property
    def title(self) -> str:
        """What stands over its results."""
        return TITLES[self.source]

    def standardized(self, images, dtype=np.float32) -> np.ndarray:
        """Some of the images as a net takes them: ``(images / 255 - mean) / std``, of the training set."""
        scale, shift = 1 / (255 * self.std), self.mean / self.std
        return images * scale.astype(dtype) - shift.astype(dtype)


def title(sources: Iterable[str]) -> str:
    """The title of a table of results on data of these sources.

    Raises:
        ValueError: there is none, one is unknown, or some are drawn and some are photographs.
    """
    sources = list(sources)
    unknown = set(sources) - set(TITLES)
    if unknown or not sources:
        raise ValueError(f"title: sources must be some of {', '.join(map(repr, TITLES))}, got {sources!r}.")
    titles = {TITLES[source] for source in sources}
    if len(titles) > 1:
        raise ValueError("title: drawn breeds are a stand-in; their results go into a table of their own.")
    return titles.pop()


def breeds(source="drawn", size=32, seed=0, *, per_class=(50, 20), cache=None) -> Breeds:
    """The images of one source, as squares: of a photograph the middle.

    Args:
        source: "drawn"; "tfds", which downloads 778 MiB the first time; or the folder into which images.tar and
            lists.tar of the archive of Stanford Dogs were unpacked.
        size: height and width in pixels.
        seed: of the drawn images; photographs come in the order of their source.
        per_class: how many of each breed are drawn to train and to test.
        cache: a folder to keep the decoded images in. They are then read from disk as they are asked for, and are
            there at once the next time: for sets larger than memory.

    Raises:
        ValueError: size, seed or per_class is none, or the cache holds something else.
        FileNotFoundError: the folder lacks something.
        ImportError: tensorflow_datasets or Pillow is not installed.
    """
    size = check_range(COUNT, "size", size, "breeds")
    about = {"source": str(source), "size": size}
    if source == "drawn":
        train, test = (check_range(COUNT, "per_class", n, "breeds") for n in per_class)
        about |= {"seed": check_range(WHOLE, "seed", seed, "breeds"), "per_class": [train, test]}
        open_source, kind = lambda: _drawn(size, seed, train, test), "drawn"
    elif source == "tfds":
        open_source, kind = lambda: _tfds(size), "tfds"
    else:
        open_source, kind = lambda: _folder(Path(source).expanduser(), size), "folder"
    if cache is None:
        names, arrays = _loaded(open_source(), size, lambda shape, dtype, name: np.empty(shape, dtype))
        return _described(kind, names, arrays)

    cache = Path(cache).expanduser()
    record = cache / "about.json"
    if not record.exists():  # it is written last: a run that was ended begins anew
        cache.mkdir(parents=True, exist_ok=True)
        on_disk = lambda shape, dtype, name: np.lib.format.open_memmap(cache / f"{name}.npy", "w+", dtype, shape)
        names, arrays = _loaded(open_source(), size, on_disk)
        for array in arrays.values():
            array.flush()
        record.write_text(json.dumps(about | {"class_names": names}))
    kept = json.loads(record.read_text())
    names = kept.pop("class_names")
    if kept != about:
        raise ValueError(f"breeds: the cache {cache} holds {kept}, not {about}; give another folder.")
    kept = {name: np.load(cache / f"{name}.npy", mmap_mode="r") for name in ("x_train", "y_train", "x_test", "y_test")}
    return _described(kind, names, kept)


class _Part(NamedTuple):
    """What there is to train, or to test."""

    count: int
    examples: Iterator  # of pairs (uint8 image (size, size, 3), label)


def _loaded(opened, size, empty):
    """The names, and the arrays by name; ``empty`` is a function (shape, dtype, name) that makes one."""
    names, parts = opened
    arrays = {}
    for part, (count, examples) in parts.items():
        x = empty((count, size, size, 3), np.uint8, f"x_{part}")
        y = empty((count,), np.int64, f"y_{part}")
        filled = 0
        for filled, (image, label) in enumerate(tqdm(examples, f"images to {part}", count, disable=None), start=1):
            x[filled - 1], y[filled - 1] = image, label
        if filled != count:
            raise ValueError(f"breeds: the source has {filled} images to {part} and announced {count}.")
        arrays |= {f"x_{part}": x, f"y_{part}": y}
    return list(names), arrays


def _described(kind, names, arrays):
    counts = np.zeros((3, 256))
    for start in range(0, len(arrays["x_train"]), 1000):
        part = arrays["x_train"][start : start + 1000]
        counts += [np.bincount(part[..., channel].ravel(), minlength=256) for channel in range(3)]
    levels, shares = np.arange(256) / 255, counts / counts.sum(axis=1, keepdims=True)
    mean = shares @ levels
    std = np.sqrt((shares * (levels - mean[:, None]) ** 2).sum(axis=1))
    return Breeds(kind, tuple(names), **arrays, mean=mean, std=std)


# ---------- the sources: the names of the classes, and the two parts ----------


def _drawn(size, seed, train, test):
    def part(number, of_each):
        labels = np.repeat(np.arange(drawn_breeds.BREEDS), of_each)
        pictures = drawn_breeds.pictures(labels, size, [seed, number])
        return _Part(len(labels), zip((image for some in pictures for image in some), labels, strict=True))

    names = [f"drawn breed {number}" for number in range(1, drawn_breeds.BREEDS + 1)]
    return names, {"train": part(0, train), "test": part(1, test)}


def _tfds(size):
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise ImportError(
            "breeds('tfds') needs tensorflow_datasets: `pip install tensorflow_datasets`, or unpack the archive at "
            f"{ARCHIVE} and give its folder."
        ) from error
    splits, info = tfds.load("stanford_dogs", split=["train", "test"], with_info=True)

    def part(name, split):
        examples = ((_square(e["image"], size), e["label"]) for e in tfds.as_numpy(split))
        return _Part(info.splits[name].num_examples, examples)

    names = map(_name, info.features["label"].names)
    return names, {name: part(name, split) for name, split in zip(("train", "test"), splits, strict=True)}


def _folder(folder, size):
    """Labels follow the sorted names of the folders, as in ``torchvision.datasets.ImageFolder``, and in
    tensorflow_datasets."""
    from scipy.io import loadmat

    missing = [name for name in ("Images", "train_list.mat", "test_list.mat") if not (folder / name).exists()]
    if missing:
        raise FileNotFoundError(
            f"breeds: source must be 'drawn', 'tfds' or a folder with Images, train_list.mat and test_list.mat; "
            f"{str(folder)!r} has no {', '.join(missing)}. Unpack images.tar and lists.tar from {ARCHIVE} there."
        )
    classes = sorted(entry.name for entry in (folder / "Images").iterdir() if entry.is_dir())

    def part(name):
        files = np.atleast_1d(loadmat(folder / f"{name}_list.mat", squeeze_me=True)["file_list"])
        examples = ((_square(folder / "Images" / file, size), classes.index(file.split("/")[0])) for file in files)
        return _Part(len(files), examples)

    return map(_name, classes), {name: part(name) for name in ("train", "test")}


def _name(label):
    """ "n02085620-Chihuahua", as the archive calls it, and "n02085620-chihuahua", as tensorflow_datasets does."""
    return re.sub(r"^n\d+-", "", label).replace("_", " ").lower()


def _square(image, size):
    """The middle of an image, a file or an array, as a uint8 array (size, size, 3)."""
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise ImportError("breeds: photographs need Pillow: `pip install pillow`.") from error
    with Image.open(image) if isinstance(image, Path) else Image.fromarray(image) as picture:
        return np.asarray(ImageOps.fit(picture.convert("RGB"), (size, size), Image.Resampling.BILINEAR))
