"""Stands in for ``lib/dialects/__init__.py`` in the browser: what that reads off signatures is in ``facts.py``."""

from collections import OrderedDict

from facts import FACTS

from lib import optimizers
from lib.dialects import keras, optax, torch
from lib.dialects.dialect import Dialect, translate  # noqa: F401

DIALECTS = {"torch": torch.DIALECTS, "keras": keras.DIALECTS, "optax": optax.DIALECTS}
PAPER = {
    name: Dialect(optimizer="lib.optimizers." + name, rule=getattr(optimizers, name), names={k: k for k in it["names"]})
    for name, it in FACTS["paper"].items()
}

for framework, rules in FACTS.items():
    for name, it in rules.items():
        rule = (PAPER if framework == "paper" else DIALECTS[framework])[name].rule
        rule.state = OrderedDict(it["state"])  # a dict of MicroPython has no order
        for key in ("counts_steps", "takes_curvature", "defaults"):
            setattr(rule, key, it[key])
