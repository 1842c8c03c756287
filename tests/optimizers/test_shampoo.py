"""shampoo is Algorithm 1 of Gupta, Koren & Singer: against a literal one in 50 digits, since no framework has it."""

import numpy as np
import pytest
from mpmath import mp

from lib.arrays import inverse_root
from lib.dialects import keras
from lib.optimizers import Optimizer, shampoo
from lib.referees import record, replay
from lib.referees.recording import flat, run

SHAPES = ((3, 2), (2, 3), (3, 3), (1, 4))
RATE = 0.1


def literal(recording, lr, eps, power=-1, start=mp.eye, late=False, memory=1):
    """Algorithm 1, word by word, in 50 digits: array (steps, coordinates). What follows ``eps`` plants a fault."""
    paths = []
    for i, x in enumerate(recording.start):
        m, n = x.shape
        W, L, R, path = mp.matrix(x.tolist()), eps * start(m), eps * start(n), []
        for gradients in recording.gradients:
            G, before = mp.matrix(gradients[i].tolist()), (L, R)
            L = memory * L + G * G.T
            R = memory * R + G.T * G
            left, right = (_fourth_root(P, power) for P in (before if late else (L, R)))
            W = W - lr * left * G * right
            path.append([float(w) for w in W])
        paths.append(np.array(path))
    return np.concatenate(paths, axis=1)


def _fourth_root(P, power):
    """P ** (power / 4) by mpmath's eigenvalues (Jacobi's method, not LAPACK's)."""
    eigenvalues, Q = mp.eigsy(P)
    return Q * mp.diag([e ** (mp.mpf(power) / 4) for e in eigenvalues]) * Q.T


@pytest.fixture(autouse=True, scope="module")
def _digits():
    with mp.workdps(50):
        yield


# The bound grows with the gradients' size s. L of a tall matrix has directions that at first only eps I fills. There
# a gradient is zero but for rounding, some 1e-16 s, and the root makes that (s**2 / eps)**(1/4) times as large, beside
# what it makes of the rest: 10, 100 and 1000 times for s = 1, 100 and 1e4. The bounds are some ten such errors.
@pytest.mark.parametrize(("size", "bound"), [(1e-4, 2e-15), (1.0, 4e-15), (100.0, 1e-14), (1e4, 2e-13)])
def test_agrees_with_the_literal_algorithm(size, bound):
    recording = record(40, size, shapes=SHAPES)
    ours = replay(shampoo, recording, lr=RATE, eps=1e-4)
    assert np.abs(ours - literal(recording, mp.mpf(RATE), mp.mpf(1e-4))).max() <= bound


@pytest.mark.parametrize(
    "fault",
    [{"power": -2}, {"power": 1}, {"start": mp.zeros}, {"late": True}, {"memory": mp.mpf(0.95)}],
    ids=["square root", "not inverted", "no start", "preconditioners of the step before", "moving averages"],
)
def test_disagrees(fault):
    recording = record(10, 0.1, shapes=((2, 2), (3, 3)))  # square, so that without a start there are roots
    ours = replay(shampoo, recording, lr=RATE, eps=1e-4)
    assert np.abs(ours - literal(recording, mp.mpf(RATE), mp.mpf(1e-4), **fault)).max() > 1e-6


def test_by_hand():
    """L = 15 + 1 and R = diag(15, 0) + 1: their roots are 1/2 and diag(1/2, 1), and the gradient has one entry."""
    x, g = np.array([[1.0, 2.0]]), np.array([[15.0**0.5, 0.0]])
    new, L, R = shampoo(x, g, np.zeros((1, 1)), np.zeros((2, 2)), lr=1.0, eps=1.0)
    assert new == pytest.approx(np.array([[1 - 15**0.5 / 4, 2.0]]), rel=1e-15)
    np.testing.assert_allclose(L, [[15.0]], rtol=1e-15)
    np.testing.assert_allclose(R, [[15.0, 0.0], [0.0, 0.0]], rtol=1e-15)


def test_of_one_entry_it_is_adagrad():
    """L = R = the sum of squares: two fourth roots of it make a square root, with eps inside, as in Keras' Adagrad."""
    recording = record(100, 1.0, shapes=((1, 1),) * 5)
    adagrad = replay(keras.adagrad, recording, learning_rate=RATE, epsilon=1e-4, G=0.0)
    assert np.abs(replay(shampoo, recording, lr=RATE, eps=1e-4) - adagrad).max() <= 1e-14


def test_of_diagonal_matrices_it_is_adagrad_on_the_diagonal():
    recording = record(100, 1.0, shapes=((4,),))
    diagonal = type(recording)(
        [np.diag(x) for x in recording.start], [[np.diag(g) for g in step] for step in recording.gradients]
    )
    adagrad = replay(keras.adagrad, recording, learning_rate=RATE, epsilon=1e-4, G=0.0)
    ours = replay(shampoo, diagonal, lr=RATE, eps=1e-4).reshape(100, 4, 4)
    assert np.abs(np.diagonal(ours, axis1=1, axis2=2) - adagrad).max() <= 1e-14


@pytest.mark.parametrize("shape", SHAPES)
def test_the_first_step_sets_all_singular_values_to_the_rate(shape):
    """U S V^T becomes U V^T, but for eps: what Muon does at each step."""
    g = np.random.default_rng(0).standard_normal(shape)
    (x,) = Optimizer(shampoo, lr=RATE, eps=1e-12).step([np.zeros(shape)], [g])
    U, _, V = np.linalg.svd(g, full_matrices=False)
    np.testing.assert_allclose(x, -RATE * U @ V, atol=1e-9)


def _orthogonal(n, seed):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n))).Q


@pytest.mark.parametrize(("m", "n"), SHAPES)
def test_gradients_turned_turn_the_steps(m, n):
    """With U G V^T for each gradient G the steps are U step V^T: Shampoo knows no axes."""
    recording, U, V = record(20, 1.0, shapes=((m, n),)), _orthogonal(m, 1), _orthogonal(n, 2)
    turned = type(recording)(
        [U @ x @ V.T for x in recording.start], [[U @ g @ V.T for g in step] for step in recording.gradients]
    )
    there = replay(shampoo, recording, lr=RATE).reshape(20, m, n)
    np.testing.assert_allclose(replay(shampoo, turned, lr=RATE).reshape(20, m, n), U @ there @ V.T, atol=1e-13)


@pytest.mark.parametrize(("m", "n"), SHAPES)
def test_rows_and_columns_may_change_places(m, n):
    recording = record(20, 1.0, shapes=((m, n),))
    turned = type(recording)([x.T for x in recording.start], [[g.T for g in step] for step in recording.gradients])
    there = replay(shampoo, recording, lr=RATE).reshape(20, m, n)
    np.testing.assert_allclose(replay(shampoo, turned, lr=RATE).reshape(20, n, m), there.mT, atol=1e-14)


def test_the_size_of_gradients_and_of_the_root_of_eps_is_one():
    small, large = record(20, 1.0, shapes=SHAPES), record(20, 2.0**20, shapes=SHAPES)  # the same draws, times 2**20
    ours = replay(shampoo, large, lr=RATE, eps=1e-4 * 2.0**40)
    np.testing.assert_allclose(ours, replay(shampoo, small, lr=RATE, eps=1e-4), atol=1e-14)


def test_its_state_is_the_two_sums():
    recording = record(5, 1.0, shapes=((3, 2),))
    *_, last = run(shampoo, recording)
    gradients = [g for (g,) in recording.gradients]
    assert last.state["L"] == pytest.approx(flat([sum(g @ g.T for g in gradients)]))
    assert last.state["R"] == pytest.approx(flat([sum(g.T @ g for g in gradients)]))


def test_gradients_so_large_that_eps_is_lost_in_their_rounding():
    """Rounded, an eigenvalue 0 of a rank-one L of size 1e16 is about -1 or 1, far from eps: the root stays a root."""
    for seed in range(20):
        u, v = np.random.default_rng(seed).standard_normal((2, 5))
        L = 1e16 * np.outer(u, u)
        assert np.isfinite(inverse_root(L, 4, 1e-4)).all()
        (x,) = Optimizer(shampoo, lr=RATE).step([np.zeros((5, 5))], [1e8 * np.outer(u, v)])
        assert np.abs(x).max() < 100 * RATE
