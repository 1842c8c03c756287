"""Lists, tuples and dicts of arrays are handled array by array, and what is none of them is named."""

from collections import namedtuple

import jax
import numpy as np
import pytest
import torch

from lib.optimizers.containers import map_arrays, unpack

W, B = np.ones((2, 3)), np.zeros(3)


def test_a_function_of_two_containers():
    total = map_arrays(lambda a, b: a + 2 * b, a={"w": W, "b": B}, b={"b": B, "w": W})  # the order of keys is no matter
    assert list(total) == ["w", "b"]
    np.testing.assert_array_equal(total["w"], 3 * W)


def test_the_result_is_like_the_first_container():
    Pair = namedtuple("Pair", "w b")
    assert type(map_arrays(lambda a: a, a=[W, B])) is list
    assert type(map_arrays(lambda a, b: a, a=(W, B), b=[W, B])) is tuple
    assert map_arrays(lambda a: a + 1, a=Pair(W, B)).w.shape == (2, 3)


def test_an_array_without_dimensions_stays_an_array():
    (a,) = map_arrays(lambda a: a + 1, a=[np.array(1.0)])  # NumPy makes a number of it
    assert isinstance(a, np.ndarray)


def test_unpack_pairs_what_has_one_place():
    assert {place: [a is W for a in arrays] for place, arrays in unpack(a=[W, B], b=(W, B)).items()} == {
        0: [True, True],
        1: [False, False],
    }


@pytest.mark.parametrize(
    ("a", "error", "words"),
    [
        (
            W,
            TypeError,
            r"^a must be a list, tuple or dict of arrays, got ndarray .*; put a single array in a list: \[a\]",
        ),
        ((w for w in [W]), TypeError, r"^a must be a list, tuple or dict of arrays, got generator .*; list\(a\)\?"),
        (None, TypeError, r"^a must be a list, tuple or dict of arrays, got NoneType None"),
        ([], ValueError, r"^a is empty; pass at least one array"),
        ([None], TypeError, r"^a\[0\] must be an array, got None; has the gradient been computed\?"),
        ({"w": [1.0]}, TypeError, r"^a\['w'\] must be an array, got \[1.0\]; wrap it: np.asarray"),
        ([1.0], TypeError, r"^a\[0\] must be an array, got 1.0"),
        ([np.ones(2, int)], TypeError, r"^a\[0\] has dtype int64, but must hold real fractions; convert it"),
        ([np.ones(2, complex)], TypeError, r"^a\[0\] has dtype complex128, but must hold real fractions"),
        ([W, torch.ones(2, dtype=torch.int32)], TypeError, r"^a\[1\] has dtype torch.int32, but must hold real"),
        ([torch.ones(2, requires_grad=True)], ValueError, r"^a\[0\] tracks gradients; pass the tensor's .detach\(\)"),
    ],
)
def test_what_cannot_be_is_named(a, error, words):
    with pytest.raises(error, match=words):
        map_arrays(lambda a: a, a=a)


@pytest.mark.parametrize(
    ("a", "b", "error", "words"),
    [
        ([W], {"w": W}, TypeError, "^a and b must be the same kind of container, got list and dict"),
        ({"w": W}, [W], TypeError, "^a and b must be the same kind of container, got dict and list"),
        ({"w": W}, {"v": W}, KeyError, r"a has \['w'\], b \['v'\]; they must have the same keys"),
        ({"w": W}, {"w": W, "b": B}, KeyError, r"a has \['w'\], b \['w', 'b'\]"),
        ([W], [W, B], ValueError, "^a has 1 arrays, b 2; they must have equally many"),
        ([W, B], [W], ValueError, "^a has 2 arrays, b 1; they must have equally many"),
        ([W], [], ValueError, "^b is empty"),
        ([W], [B], ValueError, r"^b\[0\] has shape \(3,\), a\[0\] \(2, 3\); they must be equal"),
        ([B], [W], ValueError, r"^b\[0\] has shape \(2, 3\), a\[0\] \(3,\); they must be equal"),
        ([W], [torch.ones(2, 3)], TypeError, r"^b\[0\] is a torch array, a\[0\] a numpy array; convert one of them"),
        ([W], [jax.numpy.ones((2, 3))], TypeError, r"^b\[0\] is a jax.* array, a\[0\] a numpy array"),
    ],
)
def test_what_does_not_fit_is_named(a, b, error, words):
    with pytest.raises(error, match=words):
        map_arrays(lambda a, b: a, a=a, b=b)
