"""What Ray Train is given is checked before it starts. That it trains the same, also when a rank is killed, is in
tests/referees/test_killed_ranks.py."""

import pytest

from lib.experiments.ray_ranks import train_on_ray


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"steps": 15}, "steps must be a multiple of 10, or the last has no checkpoint; got 15"),
        ({"steps": 0}, "steps must be a whole number >= 1, got 0"),
        ({"workers": 0}, "workers must be a whole number >= 1, got 0"),
        ({"failures": -1}, "failures must be a whole number >= 0, got -1"),
        ({"address": "nowhere"}, "train_on_ray: address must be host:port of a Ray cluster, got 'nowhere'"),
    ],
)
def test_arguments(given, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        train_on_ray(**{"steps": 20, "workers": 2, "storage": tmp_path} | given)
