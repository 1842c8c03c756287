"""soap is Algorithm 3 of Vyas et al., with the bases of Algorithm 4: against a literal one, as no framework has it.

Where eigenvalues are equal, eigenvectors are any in their plane, and those that NumPy takes are not those that PyTorch
takes; but SOAP's steps depend on them, because Adam is not the same in all bases. So the matrices here have distinct
eigenvalues from the first gradient on: rows and columns differ by one at most, so that no more than one of them is 0.
And gradients are recorded: where each side computed its own, a difference would grow.
"""

import numpy as np
import pytest
import torch

from lib.optimizers import Optimizer, adam, soap
from lib.optimizers.soap import basis
from lib.referees import record, replay
from lib.referees.recording import run
from tests.optimizers.proofs import BOUND

SHAPES = ((3, 3), (2, 3), (3, 2), (1, 2), (4, 4))
GIVEN = {"lr": 0.01, "beta1": 0.9, "beta2": 0.95, "eps": 1e-8, "every": 5}


def literal(recording, lr, beta1, beta2, eps, every, reverse=False, stay=False, hurry=False, corrected=True):
    """SOAP on vectors: Adam in the coordinates that the columns of one matrix K measure. Array (steps, coordinates).

    The first eigenvectors are the singular vectors of the first gradient; QR is Gram and Schmidt's. Each argument after
    ``every`` plants a fault.
    """
    paths = []
    for i, x in enumerate(recording.start):
        G, *gradients = (arrays[i] for arrays in recording.gradients)
        U, _, W = np.linalg.svd(G)
        Q_L, Q_R = (U[:, ::-1], W.T[:, ::-1]) if reverse else (U, W.T)
        L, R, K = (1 - beta2) * G @ G.T, (1 - beta2) * G.T @ G, np.kron(Q_L, Q_R)
        x, M, V = x.ravel(), np.zeros(x.size), np.zeros(x.size)
        path = [x]
        for t, G in enumerate(gradients, start=1):
            L = beta2 * L + (1 - beta2) * G @ G.T
            R = beta2 * R + (1 - beta2) * G.T @ G
            if hurry and t % every == 0:
                Q_L, Q_R = gram_schmidt(L @ Q_L), gram_schmidt(R @ Q_R)
                K = np.kron(Q_L, Q_R)
            M = beta1 * M + (1 - beta1) * (K.T @ G.ravel() if stay else G.ravel())
            V = beta2 * V + (1 - beta2) * (K.T @ G.ravel()) ** 2
            M_hat = (M if stay else K.T @ M) / (1 - beta1**t)
            V_hat = V / (1 - beta2**t) if corrected else V
            x = x - lr * K @ (M_hat / (np.sqrt(V_hat) + eps))
            if not hurry and t % every == 0:
                Q_L, Q_R = gram_schmidt(L @ Q_L), gram_schmidt(R @ Q_R)
                K = np.kron(Q_L, Q_R)
            path.append(x)
        paths.append(np.array(path))
    return np.concatenate(paths, axis=1)


def gram_schmidt(S):
    """Each column of ``S``, less what it has of those before it, at length 1."""
    Q = np.zeros((len(S), 0))
    for column in S.T:
        for _ in range(2):  # the second time takes away what rounding left
            column = column - Q @ (Q.T @ column)
        Q = np.column_stack([Q, column / np.linalg.norm(column)])
    return Q


@pytest.mark.parametrize("size", [1e-4, 1.0, 1e4, (0.1, 10.0)])
@pytest.mark.parametrize("every", [1, 5, 1000])
def test_agrees_with_the_literal_algorithm(size, every):
    recording, given = record(200, size, shapes=SHAPES), GIVEN | {"every": every}
    assert np.abs(replay(soap, recording, **given) - literal(recording, **given)).max() <= BOUND


@pytest.mark.parametrize(
    "fault",
    [{"reverse": True}, {"stay": True}, {"hurry": True}, {"corrected": False}, {"every": 6}],
    ids=["smallest eigenvalue first", "momentum left in the old basis", "basis of the same gradient",
         "no correction of v", "another number of steps between bases"],
)  # fmt: skip
def test_disagrees(fault):
    recording = record(30, 1.0, shapes=SHAPES)
    assert np.abs(replay(soap, recording, **GIVEN) - literal(recording, **GIVEN | fault)).max() > 1e-4


def test_by_hand():
    """Two steps on matrices of one entry, gradients 1 and 4: the first makes the bases, the second is Adam's first."""
    one = np.ones((1, 1))
    x, m, v, L, R, Q_L, Q_R = soap(one, one, *[0 * one] * 6, 1, lr=0.5, beta1=0.5, beta2=0.75, eps=1.0)
    assert [a.item() for a in (x, m, v, L, R, abs(Q_L), abs(Q_R))] == [1.0, 0.0, 0.0, 0.25, 0.25, 1.0, 1.0]
    x, m, v, L, R, Q_L, Q_R = soap(one, 4 * one, m, v, L, R, Q_L, Q_R, 2, lr=0.5, beta1=0.5, beta2=0.75, eps=1.0)
    assert [a.item() for a in (x, m, v, L, R)] == [1 - 0.5 * 4 / 5, 2.0, 4.0, 0.75 * 0.25 + 4, 0.75 * 0.25 + 4]


def with_bases(recording, Q_L, Q_R, **hyperparameters):
    """The path of one matrix whose bases are these from the first step on, and stay."""
    optimizer, params, path = Optimizer(soap, every=10**6, **hyperparameters), recording.start, []
    zero = np.zeros_like(params[0])
    optimizer.state = {0: {"m": zero, "v": zero, "L": 0 * Q_L, "R": 0 * Q_R, "Q_L": Q_L, "Q_R": Q_R}}
    optimizer.t = 1  # the first gradient has been
    for gradients in recording.gradients:
        params = optimizer.step(params, gradients)
        path.append(params[0])
    return np.array(path)


def test_in_the_basis_of_the_axes_it_is_adam():
    recording = record(100, 1.0, shapes=((3, 4),))
    theirs = replay(adam, recording, lr=0.01, beta1=0.95, beta2=0.95).reshape(100, 3, 4)
    ours = with_bases(recording, np.eye(3), np.eye(4), lr=0.01)
    assert np.abs(ours - theirs).max() <= 2e-15  # lr multiplies before a division or after it


def test_in_any_fixed_basis_it_is_adam_of_turned_gradients():
    U, V = orthogonal(3, 1), orthogonal(4, 2)
    recording = record(100, 1.0, shapes=((3, 4),))
    theirs = replay(adam, turned(recording, U.T, V.T), lr=0.01, beta1=0.95, beta2=0.95).reshape(100, 3, 4)
    assert np.abs(with_bases(recording, U, V, lr=0.01) - U @ theirs @ V.T).max() <= BOUND


def orthogonal(n, seed):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n))).Q


def turned(recording, U, V):
    """``recording`` with U a V^T for each array a."""
    return type(recording)(
        [U @ x @ V.T for x in recording.start], [[U @ g @ V.T for g in step] for step in recording.gradients]
    )


@pytest.mark.parametrize(("m", "n"), SHAPES)
def test_gradients_turned_turn_the_steps(m, n):
    """With U G V^T for each gradient G the steps are U step V^T: SOAP knows no axes, though Adam does."""
    recording, U, V = record(60, 1.0, shapes=((m, n),)), orthogonal(m, 1), orthogonal(n, 2)
    there = replay(soap, recording, **GIVEN).reshape(60, m, n)
    back = replay(soap, turned(recording, U, V), **GIVEN).reshape(60, m, n)
    np.testing.assert_allclose(back, U @ there @ V.T, atol=1e-13)
    if m * n > 2:
        adams = [replay(adam, r, lr=0.01).reshape(60, m, n) for r in (recording, turned(recording, U, V))]
        assert np.abs(adams[1] - U @ adams[0] @ V.T).max() > 1e-3


def test_the_signs_of_eigenvectors_do_not_matter():
    """An eigenvector may as well point the other way: libraries differ in which they return."""
    recording, optimizer, path = record(60, 1.0, shapes=((3, 4),)), Optimizer(soap, **GIVEN), []
    params = recording.start
    for gradients in recording.gradients:
        params = optimizer.step(params, gradients)
        path.append(params[0].ravel())
        optimizer.state[0]["Q_L"] *= [1, -1, -1]
        optimizer.state[0]["Q_R"] *= [-1, 1, -1, 1]
    assert np.abs(path - replay(soap, recording, **GIVEN)).max() <= BOUND


def test_the_first_gradient_makes_the_bases_and_nothing_else():
    x, g = np.random.default_rng(0).standard_normal((2, 3, 2))
    optimizer = Optimizer(soap)
    (new,) = optimizer.step([x], [g])
    state = optimizer.state[0]
    assert (new == x).all()
    assert not state["m"].any()
    assert not state["v"].any()
    for P, Q in (state["L"], state["Q_L"]), (state["R"], state["Q_R"]):
        diagonal = Q.T @ P @ Q
        assert np.abs(diagonal - np.diag(np.diag(diagonal))).max() <= 1e-15
        assert (np.diff(np.diag(diagonal)) < 0).all()  # the largest first


def test_bases_change_every_few_steps_and_stay_orthogonal():
    optimizer, params, before = Optimizer(soap, every=4), [np.zeros((3, 2))], None
    for t, g in enumerate(np.random.default_rng(0).standard_normal((20, 3, 2)), start=1):
        params = optimizer.step(params, [g])
        Q = optimizer.state[0]["Q_L"]
        np.testing.assert_allclose(Q.T @ Q, np.eye(3), atol=3e-15)
        if before is not None:
            assert (before != Q).any() == (t in (5, 9, 13, 17))
        before = Q


def test_steps_of_the_power_method_lead_to_the_eigenvectors_of_a_matrix_that_stays():
    """From any basis: each step leaves of a wrong direction the ratio of two eigenvalues, here 1/2 or less."""
    U = orthogonal(4, 0)
    P, Q = U @ np.diag([8.0, 4.0, 2.0, 1.0]) @ U.T, orthogonal(4, 1)
    for k in range(60):
        Q = basis(P, Q, 11 + k, every=1)
    np.testing.assert_allclose(np.abs(U.T @ Q), np.eye(4), atol=1e-14)


def test_torch_gives_what_numpy_gives():
    recording = record(60, 1.0, shapes=SHAPES)
    theirs = np.stack([moment.params for moment in run(soap, recording, array=torch.tensor, **GIVEN)])
    assert np.abs(replay(soap, recording, **GIVEN) - theirs).max() <= BOUND
