"""torch.optim: the learning rate multiplies the velocity instead of entering it.

At a constant rate both forms take the same path; under a schedule they do not.
"""

from lib import optimizers
from lib.dialects.dialect import Dialect, constant_rate, rate_inside, rate_outside
from lib.optimizers.rule import rule


@rule
def momentum(x, g, v, *, lr=0.001, momentum=0.9):
    """The rate multiplies the velocity.

    ``torch.optim.SGD(momentum=...)`` with dampening 0; torch's own default is 0.
    """
    v = momentum * v + g
    return x - lr * v, v


@rule
def nesterov(x, g, v, *, lr=0.001, momentum=0.9):
    """The rate multiplies the velocity.

    ``torch.optim.SGD(momentum=..., nesterov=True)``.
    """
    v = momentum * v + g
    return x - lr * (g + momentum * v), v


BETAS = {"beta1": "betas[0]", "beta2": "betas[1]"}
MOMENTS = {"m": "exp_avg", "v": "exp_avg_sq"}

DIALECTS = {
    "gradient_descent": Dialect(
        optimizer="torch.optim.SGD",
        rule=optimizers.gradient_descent,
        names={"lr": "lr"},
    ),
    "momentum": Dialect(
        optimizer="torch.optim.SGD",
        rule=momentum,
        names={"lr": "lr", "momentum": "momentum"},
        state={"v": "momentum_buffer"},
        to_paper=rate_outside,
        from_paper=rate_inside,
    ),
    "nesterov": Dialect(
        optimizer="torch.optim.SGD",
        rule=nesterov,
        names={"lr": "lr", "momentum": "momentum"},
        fixed={"nesterov": True},
        state={"v": "momentum_buffer"},
        to_paper=constant_rate,
        from_paper=constant_rate,
    ),
    "adagrad": Dialect(
        optimizer="torch.optim.Adagrad",
        rule=optimizers.adagrad,
        names={"lr": "lr", "eps": "eps", "G": "initial_accumulator_value"},
        state={"G": "sum"},
    ),
    "rmsprop": Dialect(
        optimizer="torch.optim.RMSprop",
        rule=optimizers.rmsprop,
        names={"lr": "lr", "rho": "alpha", "eps": "eps"},
        state={"v": "square_avg"},
    ),
    "adadelta": Dialect(
        optimizer="torch.optim.Adadelta",
        rule=optimizers.adadelta,
        names={"lr": "lr", "rho": "rho", "eps": "eps"},
        state={"v": "square_avg", "u": "acc_delta"},
    ),
    "adam": Dialect(
        optimizer="torch.optim.Adam",
        rule=optimizers.adam,
        names={"lr": "lr", **BETAS, "eps": "eps"},
        state=MOMENTS,
    ),
}
