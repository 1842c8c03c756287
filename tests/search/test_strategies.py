"""Whom each strategy copies, what each explores, and that equals do not wait for each other for ever."""

import numpy as np
import pytest
import scipy.stats

from lib.search.space import Choice, Integers, LogUniform, Uniform
from lib.search.strategies import AddNoise, BinaryTournament, Perturb, Resample, Truncation, TTest, ranks

SPACE = {
    "lr": LogUniform(1e-3, 1.0),
    "momentum": Uniform(0.0, 0.9),
    "layers": Integers(1, 5),
    "activation": Choice("relu", "tanh", "elu"),
}
SETTINGS = {
    "lr": np.full(4000, 0.1),
    "momentum": np.full(4000, 0.5),
    "layers": np.full(4000, 3),
    "activation": np.full(4000, "tanh"),
}


def generator(seed=0):
    return np.random.default_rng(seed)


def parents(exploit, history, seeds=200):
    """One row a seed."""
    return np.array([exploit(np.atleast_2d(history), generator(seed)) for seed in range(seeds)])


# ---------- exploit ----------


def test_ranks():
    assert ranks(np.array([0.3, -1.0, 7.0]), generator()).tolist() == [1, 0, 2]
    assert ranks(np.array([0.3, np.nan, -np.inf, 7.0]), generator())[[0, 3]].tolist() == [2, 3]


def test_equal_scores_are_ranked_by_lot():
    tied = np.array([ranks(np.array([1.0, 0.0, 1.0, 1.0]), generator(seed)) for seed in range(600)])
    assert (np.sort(tied, axis=1) == np.arange(4)).all()
    assert (tied[:, 1] == 0).all()
    for member in 0, 2, 3:
        counts = np.unique(tied[:, member], return_counts=True)[1]
        assert scipy.stats.chisquare(counts).pvalue > 0.001
        assert len(counts) == 3


def test_truncation():
    """Of ten, the two lowest copy one of the two highest, each as often; nobody else copies."""
    drawn = parents(Truncation(0.2), np.arange(10.0)[::-1])
    assert (drawn[:, :8] == np.arange(8)).all()
    assert set(drawn[:, 8:].ravel()) == {0, 1}
    assert scipy.stats.chisquare(np.unique(drawn[:, 8:], return_counts=True)[1]).pvalue > 0.001


@pytest.mark.parametrize(
    ("members", "share", "copies"), [(1, 0.2, 0), (2, 0.2, 1), (4, 0.2, 1), (10, 0.5, 5), (100, 0.29, 29)]
)
def test_how_many_truncation_copies(members, share, copies):
    drawn = parents(Truncation(share), np.arange(members))
    assert ((drawn != np.arange(members)).sum(axis=1) == copies).all()
    if members == 2:
        assert (drawn == 1).all()


def test_tournament():
    """Each draws each other one as often, and copies it if it is better."""
    drawn = parents(BinaryTournament(), [2.0, 0.0, 1.0], 600)
    assert (drawn[:, 0] == 0).all()
    assert set(drawn[:, 1]) == {0, 2}
    assert set(drawn[:, 2]) == {0, 2}
    for member in 1, 2:
        assert scipy.stats.chisquare(np.unique(drawn[:, member], return_counts=True)[1]).pvalue > 0.001
    assert (parents(BinaryTournament(), [1.0]) == 0).all()


def test_of_two_equals_exactly_one_copies():
    """Which, is drawn by lot: neither is stuck, and they do not swap."""
    for exploit in Truncation(), BinaryTournament():
        drawn = parents(exploit, [0.39, 0.39])
        assert ((drawn != [0, 1]).sum(axis=1) == 1).all()
        assert 60 < (drawn[:, 0] == 1).sum() < 140


@pytest.mark.parametrize("exploit", [Truncation(), BinaryTournament(), TTest()], ids=repr)
@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_a_member_that_diverged_is_the_worst(exploit, bad):
    drawn = parents(exploit, [[0.5, 0.5], [0.1, bad]])
    assert (drawn == 0).all()


def test_t_test_is_scipys():
    history = generator().normal([0, 0.3, 1, 2], 1, (10, 4))
    drawn = parents(TTest(0.1), history)
    copied = set()
    for i in range(4):
        for j in range(4):
            p = scipy.stats.ttest_ind(history[:, j], history[:, i], equal_var=False).pvalue
            if i != j and history[:, j].mean() > history[:, i].mean() and p < 0.1:
                copied.add((i, j))
    assert 2 < len(copied) < 6
    assert {(i, j) for row in drawn for i, j in enumerate(row) if i != j} == copied


def test_the_t_test_is_welchs():
    """One history hardly varies. Student's test would pool the variances and count on more degrees of freedom."""
    history = np.array([[0.0, 1.0], [0.01, 0.0], [0.02, 9.0], [0.0, 1.0]])
    student, welch = (scipy.stats.ttest_ind(*history.T, equal_var=equal).pvalue for equal in (True, False))
    assert student < welch
    assert (parents(TTest((student + welch) / 2), history) == [0, 1]).all()
    assert (parents(TTest(1.01 * welch), history) == 1).all()


def test_the_t_test_needs_two_scores_and_a_difference():
    assert (parents(TTest(0.9), [0.0, 1.0]) == [0, 1]).all()
    assert (parents(TTest(0.9), np.ones((10, 2))) == [0, 1]).all()
    assert (parents(TTest(), [[0.0, 1.0], [0.0, 1.0]]) == 1).all()


# ---------- explore ----------


@pytest.mark.parametrize("explore", [Perturb(), AddNoise(0.1)], ids=repr)
def test_steps_move_to_a_neighbor(explore):
    moved = explore(SETTINGS, SPACE, generator())
    for name, neighbors in (("layers", [2, 4]), ("activation", ["elu", "relu"])):
        values, counts = np.unique(moved[name], return_counts=True)
        assert values.tolist() == neighbors
        assert scipy.stats.chisquare(counts).pvalue > 0.001


def test_perturb_multiplies():
    moved = Perturb()(SETTINGS, SPACE, generator())
    for name, before in (("lr", 0.1), ("momentum", 0.5)):
        values, counts = np.unique(moved[name], return_counts=True)
        assert values.tolist() == [before * 0.8, before * 1.2]
        assert scipy.stats.chisquare(counts).pvalue > 0.001
    assert np.corrcoef(moved["lr"], moved["momentum"])[0, 1] < 0.05  # each on its own


def test_a_product_cannot_leave_0_and_a_sum_can():
    zero = {"momentum": np.zeros(100)}
    assert (Perturb()(zero, SPACE, generator())["momentum"] == 0).all()
    assert (AddNoise(0.1)(zero, SPACE, generator())["momentum"] > 0).any()


def test_noise_is_normal():
    moved = AddNoise(0.02)(SETTINGS, SPACE, generator())
    assert scipy.stats.kstest(moved["momentum"] - 0.5, scipy.stats.norm(0, 0.02).cdf).pvalue > 0.001


@pytest.mark.parametrize("explore", [Perturb((0.01, 100.0)), AddNoise(5.0), Resample(0.5, Perturb((0.01, 100.0)))])
def test_nothing_leaves_the_space(explore):
    moved = explore(SETTINGS, SPACE, generator())
    for name, dimension in SPACE.items():
        dimension.share(moved[name])
        assert moved[name].dtype == SETTINGS[name].dtype
    assert set(moved["momentum"]) >= {0.0, 0.9} or not isinstance(explore, AddNoise)


def test_resample_draws_anew_with_its_probability():
    moved = Resample(0.25)(SETTINGS, SPACE, generator())
    anew = moved["lr"] != 0.1
    assert 0.22 < anew.mean() < 0.28
    assert scipy.stats.kstest(moved["lr"][anew], scipy.stats.loguniform(1e-3, 1).cdf).pvalue > 0.001
    assert np.corrcoef(anew, moved["momentum"] != 0.5)[0, 1] < 0.05
    assert (Resample(1.0)(SETTINGS, SPACE, generator())["lr"] != 0.1).all()


def test_what_is_not_drawn_anew_is_otherwise_explored():
    moved = Resample(0.25, Perturb())(SETTINGS, SPACE, generator())
    assert 0.72 < np.isin(moved["lr"], [0.1 * 0.8, 0.1 * 1.2]).mean() < 0.78


@pytest.mark.parametrize("explore", [Perturb(), AddNoise(0.1), Resample(0.3, Perturb())], ids=repr)
def test_strategies_are_pure(explore):
    before = {name: values.copy() for name, values in SETTINGS.items()}
    one, other = explore(SETTINGS, SPACE, generator()), explore(SETTINGS, SPACE, generator())
    for name in SPACE:
        assert (one[name] == other[name]).all()
        assert (SETTINGS[name] == before[name]).all()
    assert eval(repr(explore)) == explore


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Truncation(0), ValueError, r"Truncation: share must be a number in \(0, 0.5\], got 0"),
        (lambda: Truncation(0.6), ValueError, r"share must be a number in \(0, 0.5\], got 0.6"),
        (lambda: TTest(1), ValueError, r"TTest: level must be a number in \(0, 1\), got 1"),
        (lambda: Perturb((0.8, 0)), ValueError, "Perturb: a factor must be a finite number > 0, got 0"),
        (lambda: Perturb(("a",)), TypeError, "Perturb: a factor must be"),
        (lambda: AddNoise(0), ValueError, "AddNoise: std must be a number > 0, got 0"),
        (lambda: Resample(1.5), ValueError, r"Resample: probability must be a number in \(0, 1\], got 1.5"),
    ],
)
def test_bad_strategies(make, error, words):
    with pytest.raises(error, match=words):
        make()
