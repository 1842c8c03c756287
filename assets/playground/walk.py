"""What a playground asks of the book's rules and landscapes. It runs in the reader's browser, in MicroPython.

The rules and landscapes are the files of ``lib/`` themselves; numbers come and go as JSON or lists of floats.
"""

# ruff: noqa: B905 - MicroPython's zip has no ``strict``.

import json
import math

from lib.landscapes import LANDSCAPES


def describe(landscape):
    """The landscape of that name as JSON: its window, start and minima, and the lowest height of these."""
    it = LANDSCAPES[landscape]
    lowest = min([it.value(x, y) for x, y in it.minima]) if it.minima else None
    return json.dumps({"window": it.window, "start": it.start, "minima": it.minima, "lowest": lowest})


def heights(landscape, x_first, x_step, columns, y_first, y_step, rows):
    """The landscape's height at each point of a grid, row by row: ``rows * columns`` floats."""
    value = LANDSCAPES[landscape].value
    xs = [x_first + x_step * i for i in range(columns)]
    return [float(value(x, y_first + y_step * j)) for j in range(rows) for x in xs]


def walk(request):
    """Step a rule down a landscape.

    Args:
        request: JSON of the ``landscape``'s name, the ``module`` and ``rule`` to step with, what each of the rule's
            ``state`` starts at (a number, "x", or a hyperparameter's name), whether the rule ``counts_steps``, its
            ``hyperparameters``, the ``start`` (x, y), the most ``steps`` to take, and the ``limits``
            ((x_min, x_max), (y_min, y_max)) that end the walk.

    Returns:
        ``x, y, height`` of every point, one after the other in one list of floats, the start first. The walk ends
        early at the first point outside the limits, or before the first one that is not finite.
    """
    it = json.loads(request)
    landscape = LANDSCAPES[it["landscape"]]
    rule = getattr(__import__(it["module"], None, None, (it["rule"],)), it["rule"])
    hyperparameters = {name: float(value) for name, value in it["hyperparameters"].items()}
    point = [float(x) for x in it["start"]]
    states = [[float(dict(hyperparameters, x=x).get(value, value)) for value in it["state"]] for x in point]
    path = []
    path.extend(point)
    path.append(float(landscape.value(*point)))
    for step in range(1, it["steps"] + 1):
        if not all(low <= x <= high for x, (low, high) in zip(point, it["limits"])):
            break
        time = [step] if it["counts_steps"] else []
        new = [
            rule(x, g, *state, *time, **hyperparameters)
            for x, g, state in zip(point, landscape.gradient(*point), states)
        ]
        # A rule without a state returns the new x alone, any other (x, *state).
        point, states = zip(*[(n[0], n[1:]) if states[0] else (n, ()) for n in new])
        height = float(landscape.value(*point))
        if not (math.isfinite(height) and all(math.isfinite(x) for x in point)):
            break
        path.extend(point)
        path.append(height)
    return path
