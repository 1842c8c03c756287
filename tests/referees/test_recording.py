"""Recordings are what they say, and a comparison that could not fail is refused."""

import numpy as np
import pytest

from lib.optimizers import gradient_descent
from lib.referees import Deviation, compare, record, replay
from lib.referees.recording import Moment, compare_states


def test_record_is_deterministic_and_spans_the_scales():
    one, two = record(300), record(300)
    sizes = np.abs(np.concatenate([g.ravel() for gradients in one.gradients for g in gradients]))
    assert all((a == b).all() for a, b in zip(one.gradients[7], two.gradients[7], strict=True))
    assert sizes.min() < 1e-7
    assert sizes.max() > 1e3
    assert [a.shape for a in one.start] == [(), (3,), (2, 3), (2, 3, 4), (2, 1, 2, 2)]
    assert not np.array_equal(one.gradients[0][1], one.gradients[1][1])


def test_record_has_the_dtype_asked_for():
    recording = record(2, 1.0, dtype=np.float32)
    assert {a.dtype for a in [*recording.start, *recording.gradients[1]]} == {np.dtype("float32")}


def test_replay_adds_up():
    recording = record(4, 1.0)
    path = replay(gradient_descent, recording, lr=0.5)
    total = sum(gradients[1] for gradients in recording.gradients)
    assert path.shape == (4, 1 + 3 + 6 + 24 + 8)
    assert path[-1][1:4] == pytest.approx(recording.start[1] - 0.5 * total, rel=1e-14)


def test_compare_measures_in_both_units():
    ours = np.array([[1.0, 2.0], [2.0, 4.0]])
    theirs = ours + np.array([[0, 0], [np.spacing(2.0), 3 * np.spacing(4.0)]])
    assert compare(ours, theirs) == Deviation(3 * np.spacing(4.0), 3.0)


@pytest.mark.parametrize(
    ("ours", "theirs", "message"),
    [
        (np.ones((2, 2)), np.ones((3, 2)), "shapes"),
        (np.ones((1, 2)), np.ones((1, 2)), "at least two"),
        (np.array([[1.0], [np.nan]]), np.array([[1.0], [2.0]]), "nan or inf"),
        (np.array([[1.0], [2.0]]), np.array([[1.0], [np.inf]]), "nan or inf"),
        (np.array([[1.0, 1.0], [2.0, 1.0]]), np.array([[1.0, 1.0], [2.0, 2.0]]), "does not move"),
        (np.array([[1.0, 1.0], [2.0, 2.0]]), np.array([[1.0, 1.0], [2.0, 1.0]]), "does not move"),
    ],
)
def test_compare_refuses_what_proves_nothing(ours, theirs, message):
    with pytest.raises(ValueError, match=message):
        compare(ours, theirs)


def _moments(*states):
    return [Moment(np.zeros(2), {"v": np.array(state)}, t) for t, state in enumerate(states, start=1)]


def test_states_are_compared_as_a_share_of_their_largest_value():
    apart = compare_states(_moments([1.0, 0.0], [3.0, 0.5]), _moments([1.0, 0.0], [4.0, 0.5]))
    assert apart == {"v": 0.25}


def test_a_coordinate_whose_state_is_zero_is_compared_as_it_is():
    """Such as the average change of a gradient that is constant."""
    assert compare_states(_moments([1.0, 0.0], [2.0, 0.0]), _moments([1.0, 0.0], [2.0, 0.0])) == {"v": 0.0}
    assert compare_states(_moments([1.0, 0.0], [2.0, 0.5]), _moments([1.0, 0.0], [2.0, 0.0])) == {"v": 0.5}


def test_states_that_prove_nothing_are_refused():
    with pytest.raises(ValueError, match="the state v stays zero"):
        compare_states(_moments([0.0, 0.0]), _moments([0.0, 0.0]))
    with pytest.raises(ValueError, match="ours has taken 2 steps, theirs 1"):
        compare_states(_moments([1.0, 0.0], [1.0, 0.0])[1:], _moments([1.0, 0.0]))
