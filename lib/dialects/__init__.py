"""How the frameworks say the book's rules: one file a framework, with a rule for each that differs from the paper's.

A rule of a dialect takes hyperparameters under the framework's own names and starts from the framework's defaults. The
table `DIALECTS` of each file says, for every rule of the book that the framework has, what makes it there, what its
hyperparameters and its state are called, and what makes it agree with the paper's, or that nothing does. `PAPER` has
the papers' own in the same form, and `translate` goes from any to any other of the same rule.

``schedules.py`` has what each framework writes for the book's schedules: `COUNTERPARTS`.
"""

from lib.dialects import keras, optax, torch
from lib.dialects.dialect import Dialect, translate
from lib.dialects.schedules import COUNTERPARTS, Counterpart
from lib.optimizers import RULES

DIALECTS = {"torch": torch.DIALECTS, "keras": keras.DIALECTS, "optax": optax.DIALECTS}
PAPER = {
    name: Dialect(
        optimizer=f"lib.optimizers.{name}",
        rule=rule,
        names={key: key for key in [*rule.defaults, *(key for key, at in rule.state.items() if isinstance(at, float))]},
    )
    for name, rule in RULES.items()
}

__all__ = ["COUNTERPARTS", "DIALECTS", "PAPER", "Counterpart", "Dialect", "translate"]
