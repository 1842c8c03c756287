"""A stand-in for photographs: dogs' heads of 120 invented breeds, drawn by formulas, at any size, from a seed.

A breed is a fixed draw of 16 traits. Each image varies them a little, and draws pose, light and background anew. What
a net learns here says nothing of how it does on photographs; data that come from here say so (`lib.breeds`).

Shapes are signed distances: functions of a point that are negative inside, zero on the edge, and near it count how far
away it is. A pixel is covered by as much of a shape as its distance, in pixels, says: smooth edges at every size.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from lib.checks import COUNT, check_range


class Traits(NamedTuple):
    """What is drawn: each an array, one number a dog, from 0 to 1."""

    ear_length: np.ndarray
    ear_width: np.ndarray
    ear_angle: np.ndarray  # from upright to hanging
    head: np.ndarray  # from long to broad
    muzzle: np.ndarray  # from small to large
    hue: np.ndarray  # of the coat, from red-brown to sandy
    saturation: np.ndarray
    value: np.ndarray  # from black to white
    hue2: np.ndarray  # of stripes, ears and muzzle
    saturation2: np.ndarray
    value2: np.ndarray
    stripe_frequency: np.ndarray
    stripe_angle: np.ndarray
    stripe_mix: np.ndarray  # from a plain coat to a striped one
    mask: np.ndarray  # below the middle a white blaze, above it a dark face
    eye_spacing: np.ndarray


BREEDS = 120
DRAWS = len(Traits._fields) + 18  # numbers from -1 to 1 that make an image differ from its breed's portrait
JITTER = np.float32(0.2)  # of a trait, from dog to dog of a breed: up to so much, either way
NOISE = np.float32(0.05)  # of a pixel
PIXELS = 2**17  # drawn at a time: few enough for the processor's cache


def breed_traits() -> np.ndarray:
    """The traits of all breeds, (120, 16), from 0 to 1; always the same."""
    return np.random.default_rng(120).random((BREEDS, len(Traits._fields)), dtype=np.float32)


def draw(breeds, size=32, seed=0, variation=1.0) -> np.ndarray:
    """One image of each of ``breeds``.

    The same seed gives the same dogs in the same poses at every size, and the first of a longer list.

    Args:
        breeds: whole numbers (n,) from 0 to 119.
        size: height and width in pixels.
        seed: whole number, or a list of such.
        variation: how much images of a breed differ; at 0 all are its portrait.

    Returns:
        uint8 array (n, size, size, 3).

    Raises:
        ValueError: a breed or the size is none.
    """
    return np.concatenate([np.empty((0, size, size, 3), np.uint8), *pictures(breeds, size, seed, variation)])


def pictures(breeds, size=32, seed=0, variation=1.0) -> Iterator[np.ndarray]:
    """The same, some images at a time."""
    breeds, size = np.asarray(breeds), check_range(COUNT, "size", size, "draw")
    if breeds.ndim != 1 or breeds.dtype.kind not in "iu" or not np.isin(breeds, range(BREEDS)).all():
        raise ValueError(f"draw: breeds must be a list of whole numbers from 0 to {BREEDS - 1}, got {breeds!r}.")
    variation = np.float32(variation)
    dogs, noise = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(2))
    draws = variation * (2 * dogs.random((len(breeds), DRAWS), dtype=np.float32) - 1)
    traits, step = breed_traits()[breeds], max(1, PIXELS // size**2)
    for start in range(0, len(breeds), step):
        picture = _picture(traits[start : start + step], draws[start : start + step], size)
        picture += NOISE * variation * noise.standard_normal(picture.shape, dtype=np.float32)
        yield np.clip(255 * picture + 0.5, 0, 255).astype(np.uint8)


def _picture(traits, draws, size):
    """float32 (n, size, size, 3), from about 0 to 1: the background, then the dog, from back to front."""
    column = lambda x: x[:, None, None]
    t = Traits(*map(column, np.clip(traits + JITTER * draws[:, : len(Traits._fields)], 0, 1).T))
    angle, growth, x0, y0, side, turn, nod, light_x, light_y, light, mouth, wobble, *scene = map(
        column, draws[:, len(Traits._fields) :].T
    )

    # The dog's frame: its head's center is 0, its mirror axis u = 0, v points down; `a` is the distance from the axis.
    centers = np.linspace(-1 + 1 / size, 1 - 1 / size, size, dtype=np.float32)
    x, y = centers[None, None, :], centers[None, :, None]
    scale, angle = 0.88 * (1 + 0.15 * growth), 0.3 * angle
    x0, y0, pixel = 0.15 * x0, 0.2 + 0.12 * y0, 2 / (size * scale)
    u = ((x - x0) * np.cos(angle) + (y - y0) * np.sin(angle)) / scale * np.where(side < 0, -1, 1).astype(np.float32)
    v = ((y - y0) * np.cos(angle) - (x - x0) * np.sin(angle)) / scale
    a = np.abs(u)

    planes = _background(x, y, scene)
    cover = lambda distance: np.clip(0.5 - distance / pixel, 0, 1)

    def paint(colors, amount):
        for plane, color in zip(planes, colors, strict=True):
            plane += (color - plane) * amount

    # Colors of the coat: stripes of the second on the first, shaded toward the edge and away from the light.
    first = _rgb(0.03 + 0.085 * t.hue, 0.1 + 0.65 * t.saturation, 0.18 + 0.8 * t.value)
    second = _rgb(0.03 + 0.085 * t.hue2, 0.1 + 0.6 * t.saturation2, 0.12 + 0.86 * t.value2)
    theta, frequency = np.pi * t.stripe_angle, 7 + 13 * t.stripe_frequency
    wave = np.sin(frequency * (u * np.cos(theta) + v * np.sin(theta)) + 1.2 * np.sin(4 * v) + wobble)
    stripes = np.clip(0.5 + 1.6 * wave, 0, 1) * np.clip(2 * t.stripe_mix - 0.7, 0, 0.9)
    shade = 1 + 0.14 * (light_x * u + (light_y - 0.7) * v)
    coat = [(c + (d - c) * stripes) * shade for c, d in zip(first, second, strict=True)]

    head_x, head_y = 0.44 + 0.16 * t.head, 0.56 - 0.08 * t.head
    skull = _ellipse(u, v + 0.06, head_x, head_y)
    jaw = _ellipse(u - 0.04 * turn, v - 0.2, 0.8 * head_x, 0.36)
    head = np.minimum(skull, jaw)

    # Neck and chest, darker toward the head.
    neck = _ellipse(u, v - 1.25, 0.5 + 0.12 * t.head, 0.95)
    dim = 0.78 - 0.25 * np.clip(0.9 - v, 0, 1)
    paint([c * dim for c in coat], cover(neck))

    # Ears: behind the head if they stand, before it if they hang.
    hang = column(np.clip((traits[:, Traits._fields.index("ear_angle")] - 0.45) * 12, 0, 1))  # in all of a breed
    lean = 0.05 + 1.1 * t.ear_angle + 1.7 * hang + 0.1 * turn * np.sign(u)
    root_x, root_y = head_x * (0.6 + 0.28 * hang), -head_y * (0.72 - 0.1 * hang)
    length, width = 0.3 + 0.42 * t.ear_length, 0.13 + 0.12 * t.ear_width
    along = (a - root_x) * np.sin(lean) - (v - root_y) * np.cos(lean)
    across = (a - root_x) * np.cos(lean) + (v - root_y) * np.sin(lean)
    share = np.clip(along / length, 0, 1)
    off = np.hypot(across, along - share * length)
    ear = off - width * (1 - 0.85 * (1 - hang) * share + hang * (1.1 * share * (1 - share) - 0.25))
    inner = off - width * (0.55 - 0.55 * share)
    fur = [0.45 * c + 0.55 * d * shade for c, d in zip(coat, second, strict=True)]
    rim = 0.72 + 0.28 * np.clip(-ear / 0.09, 0, 1)
    covered = cover(ear)
    paint([c * rim for c in fur], covered * (1 - hang))
    paint([0.5 * c + d for c, d in zip(fur, (0.32, 0.2, 0.19), strict=True)], cover(inner) * (1 - hang))
    rounded = 0.7 + 0.3 * np.clip(-head / 0.16, 0, 1)
    paint([c * rounded for c in coat], cover(head))
    paint([c * rim for c in fur], covered * hang)

    # Mask: a dark face, or a white blaze.
    f, g = u - 0.1 * turn, np.abs(u - 0.1 * turn)
    inside = cover(head + 0.02)
    dark, white = np.clip(4 * t.mask - 2.6, 0, 0.85), np.clip(1.3 - 4 * t.mask, 0, 0.95)
    soft = lambda distance, width: np.clip(0.5 - distance / width, 0, 1)
    paint([c * 0.22 for c in coat], soft(_ellipse(f, v - 0.18, 0.36, 0.36), 0.2) * dark * inside)
    paint([0.95, 0.93, 0.9], soft(g - 0.05 - 0.1 * np.clip(v + 0.3, 0, 1), 0.05) * soft(v - 0.25, 0.2) * white * inside)

    # Muzzle, mouth and tongue, nose.
    muzzle_x, muzzle_y = 0.19 + 0.13 * t.muzzle, 0.17 + 0.11 * t.muzzle
    m, low = u - 0.2 * turn, 0.27 + 0.04 * nod
    muzzle = _ellipse(m, v - low, muzzle_x, muzzle_y)
    bright = [(0.5 * d + w * (1 - dark)) * shade for d, w in zip(second, (0.47, 0.43, 0.37), strict=True)]
    swell = 0.75 + 0.25 * np.clip(-muzzle / 0.12, 0, 1)
    paint([c * swell for c in bright], cover(muzzle))
    lip = low + 0.25 * muzzle_y
    tongue = _ellipse(m, v - lip - 0.14, 0.075, 0.13)
    paint([0.9, 0.45, 0.5], cover(tongue) * np.clip(8 * mouth, 0, 1) * (v > lip + 0.06))
    smile = np.abs(np.hypot(np.abs(m) - 0.1, v - lip) - 0.1) - 0.014
    line = np.maximum(np.abs(m) - 0.014, np.abs(v - lip + 0.08) - 0.09)
    paint([0.16, 0.1, 0.1], cover(np.minimum(np.where(v > lip, smile, 1), line)) * 0.85)
    top = low - 0.62 * muzzle_y
    nose = _ellipse(m, v - top, 0.085 + 0.045 * t.muzzle, 0.06 + 0.03 * t.muzzle)
    paint([0.11, 0.09, 0.1], cover(nose))
    paint([0.5, 0.48, 0.5], soft(_ellipse(m, v - top + 0.025, 0.045, 0.018), 0.03) * 0.8)

    # Eyes, each with the light in it on the same side.
    apart = 0.16 + 0.13 * t.eye_spacing
    e, h = np.where(f < 0, apart - g, g - apart), v + 0.12 - 0.04 * nod
    eye = np.hypot(e, h)
    paint([0.2, 0.14, 0.12], cover(eye - 0.1) * 0.75)
    paint([0.42, 0.25, 0.12], cover(eye - 0.08))
    paint([0.05, 0.04, 0.05], cover(eye - 0.055))
    paint([1.0, 1.0, 1.0], cover(np.hypot(e + 0.028, h + 0.03) - 0.024))
    return np.stack(planes, axis=-1) * (1 + 0.22 * light)[..., None]


def _background(x, y, scene):
    """Three planes (n, size, size): one color fades into another."""
    hue, hue2, saturation, value, value2, way = scene
    near = _rgb((0.5 + 0.5 * hue) % 1, 0.22 + 0.15 * saturation, 0.65 + 0.25 * value)
    far = _rgb((0.5 + 0.5 * hue2) % 1, 0.22 - 0.15 * saturation, 0.65 + 0.25 * value2)
    share = np.clip(0.5 + 0.6 * (x * np.sin(3 * way) + y * np.cos(3 * way)), 0, 1)
    return [c + (d - c) * share for c, d in zip(near, far, strict=True)]


def _ellipse(x, y, radius_x, radius_y):
    """About how far a point is from an ellipse around 0; negative inside."""
    return (np.hypot(x / radius_x, y / radius_y) - 1) * np.minimum(radius_x, radius_y)


def _rgb(hue, saturation, value):
    """Red, green and blue of a color, each from 0 to 1."""
    k = [(n + 6 * hue) % 6 for n in (5, 3, 1)]
    return [value * (1 - saturation * np.clip(np.minimum(c, 4 - c), 0, 1)) for c in k]
