"""adan is Algorithm 1 of Xie et al., optax's has a mistake in it, and both come back to Adam, which is proved."""

import numpy as np
import pytest

from lib.dialects import PAPER, optax, translate
from lib.dialects.optax import DIALECTS
from lib.optimizers import RULES, adam, adan, rule
from lib.referees import compare, hyperparameters_for, judge, record, replay
from tests.optimizers.proofs import BOUND, agrees, disagrees

test_agrees = agrees("adan")


def _other(share=lambda b2: 1 - b2, correct=True, proximal=False, start=False, root=True, change_first=False):
    def adan(x, g, m, v, n, previous, t, *, learning_rate, b1, b2, b3, eps, eps_root, weight_decay):
        change = g - previous if t > 1 or change_first else 0 * g
        ahead = (g + share(b2) * change) ** 2
        b1, b2_, b3 = (b1, b2, b3) if t > 1 or not start else (0.0, 0.0, 0.0)
        m, v, n = b1 * m + (1 - b1) * g, b2_ * v + (1 - b2_) * change, b3 * n + (1 - b3) * ahead
        c1, c2, c3 = (1 - b1**t, 1 - b2_**t, 1 - b3**t) if correct else (1.0, 1.0, 1.0)
        denominator = np.sqrt(n / c3 + (eps_root if root else 0.0)) + eps
        step = learning_rate * (m / c1 + share(b2) * v / c2) / denominator
        if proximal:
            return (x - step) / (1 + learning_rate * weight_decay), m, v, n, g.copy()
        return x - step - learning_rate * weight_decay * x, m, v, n, g.copy()

    return adan


test_optax_disagrees = disagrees(
    "adan",
    framework="optax",
    paper=adan,
    change_counted_b2_times=_other(share=lambda b2: b2),
    change_not_counted=_other(share=lambda b2: 0.0),
    no_bias_correction=_other(correct=False),
    started_at_the_first_gradient=_other(start=True, correct=False),
    first_change_from_zero=_other(change_first=True),
    proximal_decay=_other(proximal=True),
    no_eps_under_the_root=_other(root=False),
)


def test_the_right_form_of_the_wrong_ones_is_right():
    given = {"learning_rate": 0.01, "b1": 0.98, "b2": 0.92, "b3": 0.99} | {"eps": 1e-8, "eps_root": 1e-8}
    right = _other()
    vars(right).update(vars(optax.adan))  # it stands in for that rule
    paths = [replay(f, record(50), **given, weight_decay=0.1) for f in (right, optax.adan)]
    assert compare(*paths).absolute <= BOUND


def test_optax_departs_from_the_authors_code_by_the_weight_of_the_change_alone():
    """At b2 = 1/2 its mistake, 1 - b2 for b2, is none; at the default it is worth more than a step of 0.01."""
    authors = _other(share=lambda b2: b2)
    vars(authors).update(vars(optax.adan))  # it stands in for that rule
    recording, given = record(200), hyperparameters_for("adan")
    assert judge("optax", "adan", recording, given | {"beta2": 0.5}, rule=authors).absolute <= BOUND
    assert judge("optax", "adan", recording, given, rule=authors).absolute > 0.01


def test_there_is_no_way_from_optax_to_the_paper():
    paper = PAPER["adan"]
    given = hyperparameters_for("adan")
    for pair, more in ((DIALECTS["adan"], paper), {"eps_root": 1e-8}), ((paper, DIALECTS["adan"]), {}):
        with pytest.raises(LookupError, match="optax gives the change of the gradient the weight 1 - b2"):
            translate(*pair, given | more)


# ---------- the paper's ----------


def _algorithm_1(x, gradients, eta, beta1, beta2, beta3, eps, decay):
    """The paper's, letter by letter: its betas are 1 minus ours, its first step sets m_0, its second v_1."""
    path = []
    for k, g in enumerate(gradients):
        if k == 0:
            m, v, n = g, 0 * g, g**2
        else:
            change = g - gradients[k - 1]
            m = (1 - beta1) * m + beta1 * g
            v = change if k == 1 else (1 - beta2) * v + beta2 * change
            n = (1 - beta3) * n + beta3 * (g + (1 - beta2) * change) ** 2
        eta_k = eta / (np.sqrt(n) + eps)
        x = (x - eta_k * (m + (1 - beta2) * v)) / (1 + decay * eta)
        path.append(x)
    return np.stack(path)


@pytest.mark.parametrize("scale", [(1e-8, 1e4), 1.0], ids=str)
def test_the_paper_s_algorithm(scale):
    recording = record(300, scale, shapes=((8,),))
    theirs = _algorithm_1(recording.start[0], [g for (g,) in recording.gradients], 0.01, 0.02, 0.08, 0.01, 1e-8, 0.02)
    assert compare(replay(adan, recording, lr=0.01), theirs).absolute <= BOUND


@pytest.mark.parametrize("scale", [(1e-8, 1e4), 1.0], ids=str)
def test_without_the_change_it_is_adam(scale):
    """At beta2 = 0 the change has no weight; and an average that starts at the first gradient is one freed of its
    bias, if its memory grows: beta (1 - beta^(t-1)) / (1 - beta^t). So Adan is Adam, which is proved."""

    def growing(beta):
        return lambda step: beta * (1 - beta**step) / (1 - beta ** (step + 1))

    recording = record(300, scale)
    given = {"lr": 0.01, "beta2": 0.0, "weight_decay": 0.0}
    ours = replay(adan, recording, **given, beta1=growing(0.98), beta3=growing(0.99))
    assert compare(ours, replay(adam, recording, lr=0.01, beta1=0.98, beta2=0.99)).absolute <= BOUND


def test_by_hand():
    """Three steps on gradients 4, 2, 4, with all betas 1/2, lr = 1/2, eps = 1 and weight_decay = 2."""
    given = {"lr": 0.5, "beta1": 0.5, "beta2": 0.5, "beta3": 0.5, "eps": 1.0, "weight_decay": 2.0}
    x, state = np.array([8.0]), (0.0, 0.0, 0.0, 0.0)
    x, *state = adan(x, np.array([4.0]), *state, 1, **given)
    assert [float(a[0]) for a in state] == [4.0, 0.0, 16.0, 4.0]
    assert float(x[0]) == (8 - 0.5 / 5 * 4) / 2
    x, *state = adan(np.array([8.0]), np.array([2.0]), *state, 2, **given)  # the change is -2, half of it 1 back
    assert [float(a[0]) for a in state] == [3.0, -2.0, (16 + 1) / 2, 2.0]
    assert float(x[0]) == pytest.approx((8 - 0.5 / (8.5**0.5 + 1) * (3 - 1)) / 2, rel=1e-15)
    _, *state = adan(x, np.array([4.0]), *state, 3, **given)
    assert [float(a[0]) for a in state] == [3.5, 0.0, (8.5 + 25) / 2, 4.0]


def test_the_last_gradient_is_kept_as_it_was():
    """A caller may fill the same array with the next gradient."""
    g = np.array([4.0])
    *_, previous = adan(np.array([8.0]), g, 0.0, 0.0, 0.0, 0.0, 1)
    g[:] = 0.0
    assert previous.tolist() == [4.0]


def test_it_is_in_the_book():
    assert RULES["adan"] is rule(adan)
