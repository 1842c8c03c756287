"""Drawn dogs hang on their seed alone, show every trait of their breed, and look alike at every size."""

import numpy as np
import pytest

from lib.drawn_breeds import BREEDS, DRAWS, Traits, _picture, breed_traits, draw


def shrunk(images, size):
    """Means over blocks of pixels: what a coarser screen would show."""
    n, side, _, channels = images.shape
    return images.reshape(n, size, side // size, size, side // size, channels).mean(axis=(2, 4))


def test_images():
    images = draw([3, 3, 119, 0], size=20)
    assert images.shape == (4, 20, 20, 3)
    assert images.dtype == np.uint8
    assert draw(np.arange(0), size=20).shape == (0, 20, 20, 3)
    assert images.min() < 60
    assert images.max() > 180


def test_the_seed_decides():
    breeds = np.arange(BREEDS)
    np.testing.assert_array_equal(draw(breeds, seed=5), draw(breeds, seed=5))
    changed = draw(breeds, seed=5) != draw(breeds, seed=6)
    assert changed.mean(axis=(1, 2, 3)).min() > 0.9
    assert not np.array_equal(draw([1], seed=[0, 1]), draw([1], seed=[0, 2]))


def test_a_longer_list_begins_with_a_shorter_one():
    breeds = np.arange(300) % BREEDS  # more than are drawn at a time
    np.testing.assert_array_equal(draw(breeds, seed=1)[:200], draw(breeds[:200], seed=1))


def test_portraits():
    """Without variation all images of a breed are one, and no two breeds have the same."""
    same = draw([7, 7, 7], variation=0)
    np.testing.assert_array_equal(same[0], same[1])
    np.testing.assert_array_equal(same, draw([7, 7, 7], variation=0, seed=9))
    portraits = draw(np.arange(BREEDS), size=16, variation=0).astype(float)
    apart = np.abs(portraits[:, None] - portraits).mean(axis=(2, 3, 4))
    assert apart[~np.eye(BREEDS, dtype=bool)].min() > 1  # of 255 levels


def test_traits():
    traits = breed_traits()
    assert traits.shape == (BREEDS, 16)
    assert 0 <= traits.min() < 0.01
    assert 0.99 < traits.max() < 1
    np.testing.assert_array_equal(traits, breed_traits())
    assert np.abs(np.corrcoef(traits.T) - np.eye(16)).max() < 0.35  # one does not tell another


# Every trait shows: stripes of two colors, a mask that is not all of the face.
SEEN = Traits(
    **dict.fromkeys(Traits._fields, 0.6)
    | {"stripe_mix": 0.7, "value": 0.5, "value2": 0.9, "mask": 0.75, "ear_angle": 0.3}
)


@pytest.mark.parametrize("trait", Traits._fields)
def test_every_trait_shows(trait):
    two = np.tile(np.float32(SEEN), (2, 1))
    two[:, Traits._fields.index(trait)] = 0.1, 0.9
    one, other = _picture(two, np.zeros((2, DRAWS), np.float32), 32)
    assert np.abs(one - other).max() > 0.05
    assert np.abs(one - other).mean() > 0.001


@pytest.mark.parametrize("number", range(DRAWS))
def test_every_draw_shows(number):
    draws = np.tile(np.linspace(-0.3, 0.3, DRAWS, dtype=np.float32), (2, 1))
    draws[:, number] = -0.9, 0.9
    one, other = _picture(np.tile(np.float32(SEEN), (2, 1)), draws, 64)
    assert np.abs(one - other).max() > 0.02


def test_light_and_background_are_all_that_no_dog_has():
    """The corner shows none of the breed: what a net learns there is of no use."""
    corner = draw(np.arange(BREEDS), variation=0)[:, 0, 0]
    assert (corner == corner[0]).all()


def test_a_dog_looks_the_same_at_every_size():
    breeds = np.arange(24)
    small, large = draw(breeds, 32, variation=0), draw(breeds, 256, variation=0)
    assert np.abs(shrunk(large, 32) - small).mean() < 3  # levels: edges are smooth, by half a pixel
    small, large = draw(breeds, 32), draw(breeds, 128)
    apart = np.abs(shrunk(large, 32)[:, None] - small).mean(axis=(2, 3, 4))
    np.testing.assert_array_equal(apart.argmin(axis=1), breeds)  # also in its pose, light and background


@pytest.mark.parametrize("size", [32, 128, 512])
def test_edges_are_one_pixel_wide(size):
    """The white light in a black eye: from one pixel to the next, at every size, more than a third of the way."""
    steps = np.abs(np.diff(draw(np.arange(10), size, variation=0).astype(int), axis=2))
    assert steps.max() > 255 / 3


def test_neither_trivial_nor_hopeless():
    """The nearest mean image of a breed is the right one several times as often as by chance, and mostly is not."""
    train, test = np.repeat(np.arange(BREEDS), 20), np.repeat(np.arange(BREEDS), 5)
    means = draw(train, 16, seed=0).reshape(BREEDS, 20, -1).mean(axis=1)
    images = draw(test, 16, seed=1).reshape(len(test), -1).astype(float)
    distances = (means**2).sum(axis=1) - 2 * images @ means.T
    accuracy = (distances.argmin(axis=1) == test).mean()
    assert 4 / BREEDS < accuracy < 0.3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([120],), "from 0 to 119"),
        (([-1],), "from 0 to 119"),
        (([0.5],), "whole numbers"),
        ((3,), "a list"),
        (([3], 0), "size must be a whole number >= 1, got 0"),
    ],
)
def test_errors(arguments, words):
    with pytest.raises(ValueError, match=words):
        draw(*arguments)
