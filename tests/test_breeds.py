"""Breeds come the same way from each source, and say which it was."""

import sys
import types
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from lib import breeds as module
from lib import drawn_breeds
from lib.breeds import breeds, title

FEW = {"size": 8, "per_class": (3, 2)}


def test_drawn():
    data = breeds(**FEW)
    assert data.source == "drawn"
    assert data.x_train.shape == (360, 8, 8, 3)
    assert data.x_test.shape == (240, 8, 8, 3)
    assert data.x_train.dtype == data.x_test.dtype == np.uint8
    np.testing.assert_array_equal(data.y_train, np.repeat(np.arange(120), 3))
    np.testing.assert_array_equal(data.y_test, np.repeat(np.arange(120), 2))
    assert data.y_train.dtype == np.int64
    assert len(set(data.class_names)) == 120
    assert all(name.startswith("drawn ") for name in data.class_names)


def test_nothing_is_in_both_parts():
    data = breeds(**FEW)
    both = {image.tobytes() for image in data.x_train} & {image.tobytes() for image in data.x_test}
    assert both == set()


def test_the_seed_decides():
    np.testing.assert_array_equal(breeds(**FEW).x_test, breeds(**FEW).x_test)
    for part in "x_train", "x_test":
        assert not np.array_equal(getattr(breeds(**FEW), part), getattr(breeds(**FEW, seed=1), part))


def test_the_book_s_size():
    data = breeds()
    assert data.x_train.shape == (6000, 32, 32, 3)
    assert data.x_test.shape == (2400, 32, 32, 3)


def test_standardized():
    """By the training set: mean 0 and variance 1 in each of its channels, and in no channel of another set."""
    data = breeds(**FEW)
    np.testing.assert_allclose(data.mean, (data.x_train / 255).mean(axis=(0, 1, 2)), rtol=1e-13)
    np.testing.assert_allclose(data.std, (data.x_train / 255).std(axis=(0, 1, 2)), rtol=1e-13)
    x = data.standardized(data.x_train, np.float64)
    np.testing.assert_allclose(x.mean(axis=(0, 1, 2)), 0, atol=1e-12)
    np.testing.assert_allclose(x.std(axis=(0, 1, 2)), 1, rtol=1e-12)
    single = data.standardized(data.x_train)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, x, rtol=0, atol=1e-5)
    np.testing.assert_allclose(
        data.standardized(data.x_test, np.float64), (data.x_test / 255 - data.mean) / data.std, rtol=0, atol=1e-12
    )


# ---------- which source it was ----------


def test_no_table_has_both():
    assert breeds(**FEW).title == title(["drawn", "drawn"])
    assert "stand-in" in title(["drawn"])
    assert title(["tfds", "folder"]) == "Stanford Dogs"
    with pytest.raises(ValueError, match="a table of their own"):
        title(["drawn", "tfds"])
    for sources in [], ["photographs"]:
        with pytest.raises(ValueError, match="'drawn', 'tfds', 'folder'"):
            title(sources)


# ---------- the archive ----------

COLORS = {"n02-Borzoi": (200, 10, 10), "n01-Wire-haired_fox_terrier": (10, 200, 10), "n10-dhole": (10, 10, 200)}
LISTS = {
    "train": ["n02-Borzoi/b1.jpg", "n10-dhole/d1.jpg", "n01-Wire-haired_fox_terrier/w1.jpg", "n10-dhole/d2.jpg"],
    "test": ["n10-dhole/d3.jpg"],
}


@pytest.fixture
def archive(tmp_path):
    """Wide images whose middle has the color of the breed, and its lists as MATLAB has them."""
    for file in LISTS["train"] + LISTS["test"]:
        breed = file.split("/")[0]
        pixels = np.zeros((20, 40, 3), np.uint8)
        pixels[:, 10:30] = COLORS[breed]
        (tmp_path / "Images" / breed).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "Images" / file, format="PNG")  # exact, whatever it is called
    for part, files in LISTS.items():
        cells = np.empty((len(files), 1), object)
        cells[:, 0] = files
        savemat(tmp_path / f"{part}_list.mat", {"file_list": cells, "labels": np.ones((len(files), 1))})
    return tmp_path


def test_folder(archive):
    data = breeds(archive, size=4)
    assert (data.source, data.title) == ("folder", "Stanford Dogs")
    assert data.class_names == ("wire-haired fox terrier", "borzoi", "dhole")
    np.testing.assert_array_equal(data.y_train, [1, 2, 0, 2])
    np.testing.assert_array_equal(data.y_test, [2])
    assert data.x_train.shape == (4, 4, 4, 3)
    for image, file in zip(data.x_train, LISTS["train"], strict=True):  # its middle, and nothing of its sides
        np.testing.assert_array_equal(image[:, 1:3], np.broadcast_to(COLORS[file.split("/")[0]], (4, 2, 3)))
        assert image[..., 0].mean() > 0.7 * COLORS[file.split("/")[0]][0]


def test_folder_as_text(archive):
    np.testing.assert_array_equal(breeds(str(archive), size=4).x_test, breeds(archive, size=4).x_test)


@pytest.mark.parametrize(("mode", "color"), [("L", 128), ("RGBA", (1, 2, 3, 255)), ("P", 0)])
def test_every_image_becomes_red_green_and_blue(archive, mode, color):
    Image.new(mode, (9, 30), color).save(archive / "Images" / LISTS["test"][0], format="PNG")
    assert breeds(archive, size=4).x_test.shape == (1, 4, 4, 3)


@pytest.mark.parametrize("missing", ["Images", "train_list.mat", "test_list.mat"])
def test_what_a_folder_lacks(archive, missing):
    (archive / missing).rename(archive / "elsewhere")
    with pytest.raises(FileNotFoundError, match=f"has no {missing}. Unpack images.tar and lists.tar from http"):
        breeds(archive)


def test_an_unknown_source():
    with pytest.raises(FileNotFoundError, match=r"'drawn', 'tfds' or a folder .*; 'photos' has no Images"):
        breeds("photos")


# ---------- tensorflow_datasets ----------


def stand_in(counts=(3, 2)):
    """A module with those two of its functions, as its documentation has them (www.tensorflow.org/datasets/api_docs):
    ``load`` takes keyword arguments and gives a list of data sets for a list of splits, and the info last; ``as_numpy``
    iterates over dicts of arrays.
    """
    names = ["n01-wire-haired_fox_terrier", "n02-borzoi", "n10-dhole"]
    label = SimpleNamespace(names=names, num_classes=3)
    example = lambda k: {"image": np.full((20, 30, 3), (k, 10 * k, 255), np.uint8), "label": np.int64(k % 3)}
    examples = {"train": [example(k) for k in range(3)], "test": [example(k) for k in range(7, 9)]}

    def load(
        name, *, split=None, data_dir=None, batch_size=None, shuffle_files=False, download=True,
        as_supervised=False, decoders=None, read_config=None, with_info=False,
    ):  # fmt: skip
        assert name == "stanford_dogs"
        assert with_info
        assert not as_supervised
        splits = {part: SimpleNamespace(num_examples=n) for part, n in zip(examples, counts, strict=True)}
        info = SimpleNamespace(features={"label": label}, splits=splits)
        return [SimpleNamespace(tensors=examples[part]) for part in split], info

    module = types.ModuleType("tensorflow_datasets")
    module.load, module.as_numpy = load, lambda dataset: iter(dataset.tensors)
    return module


def test_tfds(monkeypatch, archive):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", stand_in())
    data = breeds("tfds", size=10)
    assert (data.source, data.title) == ("tfds", "Stanford Dogs")
    np.testing.assert_array_equal(data.y_train, [0, 1, 2])
    np.testing.assert_array_equal(data.y_test, [1, 2])
    assert data.x_train.shape == (3, 10, 10, 3)
    for image, k in zip([*data.x_train, *data.x_test], [0, 1, 2, 7, 8], strict=True):
        assert (image == (k, 10 * k, 255)).all()
    assert data.class_names == breeds(archive, size=10).class_names  # so labels mean the same


def test_a_set_that_breaks_off(monkeypatch):
    for counts in (4, 2), (3, 5):
        monkeypatch.setitem(sys.modules, "tensorflow_datasets", stand_in(counts))
        with pytest.raises(ValueError, match="and announced"):
            breeds("tfds", size=4)


def test_what_is_not_installed(monkeypatch, archive):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ImportError, match=r"pip install tensorflow_datasets.*http.*give its folder"):
        breeds("tfds")
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match="pip install pillow"):
        breeds(archive)
    breeds(**FEW)  # needs neither


# ---------- the cache ----------


def test_cache(tmp_path, monkeypatch):
    fresh, first = breeds(**FEW), breeds(**FEW, cache=tmp_path / "cache")
    monkeypatch.setattr(drawn_breeds, "pictures", None)  # nothing is drawn again
    for data in first, breeds(**FEW, cache=tmp_path / "cache"):
        assert isinstance(data.x_train, np.memmap)
        assert not data.x_train.flags.writeable
        assert (data.source, data.class_names) == (fresh.source, fresh.class_names)
        for name in "x_train", "y_train", "x_test", "y_test", "mean", "std":
            np.testing.assert_array_equal(getattr(data, name), getattr(fresh, name))


def test_a_cache_of_something_else(tmp_path, archive):
    breeds(**FEW, cache=tmp_path / "cache")
    for other in FEW | {"size": 9}, FEW | {"seed": 1}, FEW | {"per_class": (3, 3)}, {"source": archive, "size": 8}:
        with pytest.raises(ValueError, match="give another folder"):
            breeds(**other, cache=tmp_path / "cache")


def test_a_cache_whose_making_was_ended(tmp_path, monkeypatch):
    def broken(*arguments):
        yield from list(whole(*arguments))[:1]
        raise KeyboardInterrupt

    whole = drawn_breeds.pictures
    monkeypatch.setattr(drawn_breeds, "pictures", broken)
    with pytest.raises(KeyboardInterrupt):
        breeds(**FEW, cache=tmp_path)
    monkeypatch.setattr(drawn_breeds, "pictures", whole)
    np.testing.assert_array_equal(breeds(**FEW, cache=tmp_path).x_test, breeds(**FEW).x_test)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"size": 0}, "breeds: size must be a whole number >= 1, got 0"),
        ({"seed": -1}, "breeds: seed must be a whole number >= 0, got -1"),
        ({"per_class": (5, 0)}, "breeds: per_class must be a whole number >= 1, got 0"),
    ],
)
def test_errors(arguments, words):
    with pytest.raises(ValueError, match=words):
        breeds(**arguments)


def test_every_source_has_a_title():
    assert set(module.TITLES) == {"drawn", "tfds", "folder"}
