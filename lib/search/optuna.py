"""Optuna's samplers and pruners as methods of `lib.search.search`: the same spaces, the same objectives and budgets.

trials = search(OptunaSearch(space, n=30, seed=0), objective)
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import optuna

from lib.search.search import Trial, check_search
from lib.search.space import Choice, Dimension, Integers, LogUniform

SAMPLERS = {
    "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed),  # one density over all dimensions
    "tpe apart": lambda seed: optuna.samplers.TPESampler(seed=seed, multivariate=False),
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
}
PRUNERS: dict[str | None, Callable] = {
    None: lambda budget: optuna.pruners.NopPruner(),
    "median": lambda budget: optuna.pruners.MedianPruner(),
    "hyperband": lambda budget: optuna.pruners.HyperbandPruner(1, budget, reduction_factor=3),
}


def suggest(trial: optuna.Trial, space: dict[str, Dimension]) -> dict:
    """Settings of one of our spaces, from Optuna."""

    def one(name, dimension):
        if isinstance(dimension, Choice):
            return trial.suggest_categorical(name, dimension.options)
        if isinstance(dimension, Integers):
            return trial.suggest_int(name, dimension.low, dimension.high)
        return trial.suggest_float(name, dimension.low, dimension.high, log=isinstance(dimension, LogUniform))

    return {name: one(name, dimension) for name, dimension in space.items()}


@dataclass(frozen=True)
class OptunaSearch:
    """``n`` trials of a study in memory, everything else as Optuna has it by default.

    Args:
        budget: of a training that comes to the end; with a pruner it is asked for in steps of 1.
        sampler: a name of `SAMPLERS`.
        pruner: a name of `PRUNERS`, or None.

    Raises:
        TypeError, ValueError: an argument is out of range.
    """

    space: dict[str, Dimension]
    n: int
    seed: int = 0
    budget: int | None = None
    sampler: str = "tpe"
    pruner: str | None = None

    def __post_init__(self):
        check_search(self)
        for name, known in {"sampler": SAMPLERS, "pruner": PRUNERS}.items():
            if getattr(self, name) not in known:
                raise ValueError(f"OptunaSearch: {name} must be one of {list(known)}, got {getattr(self, name)!r}.")
        if self.pruner and self.budget is None:
            raise ValueError("OptunaSearch: budget must be a whole number, since a pruner looks at parts of it.")

    def ask(self) -> Iterator[list[Trial]]:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        sampler, pruner = SAMPLERS[self.sampler](self.seed), PRUNERS[self.pruner](self.budget)
        name = f"seed {self.seed}"  # by its name Hyperband deals the brackets, and by default that is a random one
        study = optuna.create_study(study_name=name, sampler=sampler, pruner=pruner)
        for number in range(self.n):
            trial = study.ask()
            settings = suggest(trial, self.space)
            for budget in range(1, self.budget + 1) if self.pruner else [self.budget]:
                (loss,) = yield [Trial(number, settings, budget)]
                if self.pruner:
                    trial.report(loss, budget)
                if trial.should_prune():
                    study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                    break
            else:
                study.tell(trial, loss)
