"""The judges of the chapter on dialects: the right answer passes, each typical mistake is named."""

import numpy as np
import pytest

from lib import optimizers
from lib.dialects import DIALECTS
from lib.exercises.dialects import FAULTS, adamw, check, path_of, suspects
from lib.optimizers import Optimizer
from lib.referees.defaults import defaults
from tests.exercises.judging import exercise_tests

ADAGRAD = {"lr": 0.01, "initial_accumulator_value": 0.101, "eps": 0}
COSINE = {"init_value": 0.0, "peak_value": 0.1, "warmup_steps": 20, "decay_steps": 100}
RMSPROP = {"learning_rate": 0.01, "decay": 0.99, "eps": 1e-8, "eps_in_sqrt": False}
CULPRITS = {"A": "decay without the rate", "B": "decay through the gradient", "C": "the default decay of Keras"}

RIGHT = [
    (1, (1 + 1000**0.5) / 2),
    (1, 16.3),
    (2, ADAGRAD),
    (2, ADAGRAD | {"initial_accumulator_value": 0.1 + 0.001}),
    (3, 0.2),
    (4, (0.99005, 0.2577)),
    (4, (0.99999**1000, 0.26)),
    (4, (0.99, 0.26)),
    (5, [29, 59]),
    (5, (29, 59)),
    (5, np.array([29, 59])),
    (6, COSINE),
    (7, CULPRITS),
    (8, RMSPROP),
]

WRONG = [
    (1, 1.0, "root of 0.001 g**2"),
    (1, 0.0613, "Upside down"),
    (1, 31.62, "as large as eps"),
    (1, 2.0, "1 / (1 + 1)"),
    (2, 0.101, "A dict"),
    (2, ADAGRAD | {"epsilon": 0}, "epsilon: not asked for"),
    (2, ADAGRAD | {"eps": 0.001}, "where does it go"),
    (2, ADAGRAD | {"initial_accumulator_value": 0.1}, "start the sum higher"),
    (2, ADAGRAD | {"initial_accumulator_value": 0.099}, "other way round"),
    (2, ADAGRAD | {"initial_accumulator_value": 0.1 + 0.001**0.5}, "none of its own"),
    (2, ADAGRAD | {"initial_accumulator_value": 0.5}, "divides by sqrt"),
    (2, {"lr": 0.01, "initial_accumulator_value": 0.101}, "left to its default"),
    (2, ADAGRAD | {"lr": True}, "lr=True is not it"),
    (3, 0.8, "rate of before"),
    (3, 3.2, "Upside down"),
    (3, 0.25, "multiplied by it"),
    (3, 0.3, "new rate / old rate"),
    (4, 0.5, "Two numbers"),
    (4, (0.99**1000, 0.0), "not weight_decay"),
    (4, (0.0, 0.0), "never all of it"),
    (4, (0.9, 0.0), "rate times weight_decay is lost"),
    (4, (0.98, 0.26), "rate times weight_decay is lost"),
    (4, (0.99005, 0.99005), "divides a gradient by its size"),
    (4, (0.99005, 1.0), "that of the decay is not"),
    (4, (0.99005, 0.0), "v remembers"),
    (4, (0.99005, 0.5), "a thousand times"),
    (5, [30, 60], "keeps the old rate"),
    (5, [31, 61], "other way round"),
    (5, [29], "Two steps"),
    (5, [28, 58], "last step"),
    (6, COSINE | {"decay_steps": 80}, "counts the warm-up in"),
    (6, COSINE | {"decay_steps": 60}, "larger one"),
    (6, COSINE | {"peak_value": 0.0}, "target is the peak"),
    (6, COSINE | {"init_value": 0.1}, "where the warm-up begins"),
    (6, COSINE | {"warmup_steps": 80}, "20 steps, the cosine 80"),
    (7, "A", "A dict"),
    (7, CULPRITS | {"A": "nonsense"}, "'nonsense' is not on the list"),
    (7, CULPRITS | {"B": "no decay at all"}, "B is innocent"),
    (8, RMSPROP | {"eps_in_sqrt": True}, "outside the root"),
    (8, RMSPROP | {"decay": 0.9}, "alpha is 0.99"),
    (8, RMSPROP | {"eps": 1e-16}, "take it out"),
    (8, RMSPROP | {"eps": 1e-7}, "Keras' epsilon"),
    (8, {"learning_rate": 0.01, "decay": 0.99, "eps": 1e-8}, "left to its default"),
    (8, RMSPROP | {"momentum": 0.0}, "momentum: not asked for"),
    (8, RMSPROP | {"decay": 0.95}, "Ask torch.optim.RMSprop"),
]


test_a_right_answer_passes, test_a_mistake_is_named, test_every_exercise_starts_open = exercise_tests(
    check, RIGHT, WRONG
)


def test_the_suspects_model_is_the_library_s_adamw():
    gradients = np.random.default_rng(0).standard_normal(50)
    optimizer, params = Optimizer(optimizers.adamw, lr=0.01, weight_decay=0.1), [np.ones(1)]
    for g, there in zip(gradients, path_of(adamw, gradients), strict=True):
        params = optimizer.step(params, [np.array([g])])
        assert params[0][0] == pytest.approx(there, rel=1e-12)


@pytest.mark.parametrize("name", suspects)
def test_the_experiment_that_is_named_tells_the_suspect(name):
    experiments = {
        "gradients of zero": np.zeros(100),
        "a gradient of zero, once": np.zeros(1),
        "gradients of zero for a thousand steps": np.zeros(1000),
    }
    (experiment,) = (experiment for guilty, experiment in FAULTS.values() if guilty == name)
    given = experiments[experiment]
    assert abs(path_of(suspects[name], given) - path_of(adamw, given)).max() > 0.05


def test_the_first_step_by_stepping():
    g = np.array([1e-7])
    zeros = np.zeros(1)
    ours, *_ = optimizers.adam(zeros, g, zeros, zeros, 1, lr=1.0, eps=1e-7)
    theirs, *_ = DIALECTS["keras"]["adam"].rule(zeros, g, zeros, zeros, 1, learning_rate=1.0, epsilon=1e-7)
    check(1, (ours / theirs).item())
    assert (ours / theirs).item() == pytest.approx((1 + 1000**0.5) / 2)


def test_the_drop_by_stepping():
    gradients, lr = np.random.default_rng(0).standard_normal(9), lambda step: 0.2 if step < 4 else 0.05
    x = y = u = v = 0.0
    for step, g in enumerate(gradients):
        x, u = DIALECTS["torch"]["momentum"].rule(x, g, u, lr=lr(step), momentum=0.8)
        y, v = optimizers.momentum(y, g, v, lr=lr(step), momentum=0.2 if step == 4 else 0.8)
        assert y == pytest.approx(x, rel=1e-12)


def test_the_decay_by_stepping():
    l2, params = Optimizer(optimizers.l2(optimizers.adam), lr=0.001, weight_decay=0.01), [np.ones(1)]
    decoupled, others = Optimizer(optimizers.adamw, lr=0.001, weight_decay=0.01), [np.ones(1)]
    for _ in range(1000):
        params, others = l2.step(params, [np.zeros(1)]), decoupled.step(others, [np.zeros(1)])
    assert others[0][0] == pytest.approx((1 - 1e-5) ** 1000)
    check(4, (others[0][0], params[0][0]))
    assert params[0][0] == pytest.approx(0.2577, abs=1e-4)
    weaker, params = Optimizer(optimizers.l2(optimizers.adam), lr=0.001, weight_decay=1e-4), [np.ones(1)]
    for _ in range(1000):
        params = weaker.step(params, [np.zeros(1)])
    assert params[0][0] == pytest.approx(0.2577, abs=1e-3)


def test_pytorch_s_rmsprop_has_these_defaults():
    assert defaults("torch", "rmsprop") == {"lr": 0.01, "rho": 0.99, "eps": 1e-8}
    assert defaults("optax", "rmsprop")["rho"] == 0.9
