"""From one framework's optimizer to another's: the code to write there, or why there is none, and how far apart a port
ends up that is not translated.

`convert` writes what `lib.dialects.translate` finds, as code of the framework; `distances` lets the rules themselves
run over recorded gradients. Both run on a page of the book, too, in MicroPython: this file uses plain floats, and no
syntax that MicroPython lacks.
"""

# ruff: noqa: B905, RUF005, SIM105 - MicroPython has no ``strict``, no stars in lists, no contextlib.

from dataclasses import replace
from math import inf, isfinite, sqrt

from lib import optimizers
from lib.checks import check_names, check_range, has_range, range_of
from lib.dialects import DIALECTS, PAPER, translate
from lib.optimizers.rule import named_for

TITLES = {"paper": "the paper", "torch": "PyTorch", "keras": "Keras", "optax": "optax"}

# The order in which hyperparameters are shown and written; G is where Adagrad's sum starts.
ORDER = (
    "lr", "momentum", "beta1", "beta2", "beta3", "rho", "gamma", "eta_minus", "eta_plus", "min_step_size",
    "max_step_size", "eps", "eps1", "eps2", "eps_root", "G", "momentum_decay", "threshold", "clip_threshold",
    "trust_coefficient", "weight_decay", "update_every",
)  # fmt: skip
WIDTH = 60  # letters in a line of code

# What `distances` measures: from x = 1, gradients of these sizes, so many steps.
SIZES = (1e-8, 1e-6, 1e-4, 1e-2, 1.0)
STEPS = 200


# Arguments that make a framework's optimizer another rule than by default: where no number translates, they may. A
# rule that stands here with a mapping's place taken by a reason is that of one other framework alone.
_ALONE = "the switch makes it the rule of one other framework alone."
SWITCHED = {
    ("optax", "rmsprop"): replace(
        DIALECTS["optax"]["rmsprop"], rule=optimizers.rmsprop, fixed={"eps_in_sqrt": False},
        to_paper=None, from_paper=None,
    ),
    ("optax", "centered_rmsprop"): replace(
        DIALECTS["optax"]["centered_rmsprop"], rule=DIALECTS["torch"]["centered_rmsprop"].rule,
        fixed={"centered": True, "eps_in_sqrt": False}, to_paper=_ALONE, from_paper=_ALONE,
    ),
    ("optax", "amsgrad"): replace(
        DIALECTS["optax"]["amsgrad"], rule=optimizers.amsgrad,
        fixed={"bias_correction_mu": False, "bias_correction_nu": False}, to_paper=None, from_paper=None,
    ),
    ("torch", "muon"): replace(
        DIALECTS["torch"]["muon"], rule=DIALECTS["keras"]["muon"].rule,
        fixed={"adjust_lr_fn": "match_rms_adamw"}, to_paper=_ALONE, from_paper=_ALONE,
    ),
}  # fmt: skip

# Where the rate multiplies the velocity; elsewhere it is inside.
RATE_OUTSIDE = {"momentum": ("torch", "optax"), "nesterov": ("torch", "optax"), "centered_rmsprop": ("torch",)}


def limit(name, source, target, hyperparameters):
    """The condition on which what `convert` finds takes the same steps, in words; "" if there is none."""
    if name in RATE_OUTSIDE and hyperparameters["momentum"]:
        sides = RATE_OUTSIDE[name]
        return "at a constant rate" if (source in sides) != (target in sides) else ""
    found = []
    if name == "adafactor" and (source == "torch") != (target == "torch"):
        found.append("nearly, for gradients above 1e-7")
    if name == "adafactor" and source == "optax" and target != "optax":
        found.append("as long as the rate is below t ** -0.5")
    if name == "muon" and (source, target) == ("keras", "torch"):
        found.append("nearly, for gradients above 1e-5; PyTorch computes in bfloat16")
    return ", ".join(found)


def reached(name, source, target, hyperparameters):
    """The dialect of ``target`` that takes the steps of ``source``, with a switch if need be, and its hyperparameters.

    Raises:
        LookupError: there is none; the message says why.
    """
    ours, theirs = dialect_of(source, name), dialect_of(target, name)
    given = hyperparameters | hidden(ours)
    try:
        return theirs, translate(ours, theirs, given)
    except KeyError:
        raise
    except LookupError as error:
        reason = str(error)
    switched = SWITCHED.get((target, name))
    if switched is not None and source != target:
        try:
            return switched, translate(ours, switched, given)
        except LookupError:
            pass
    raise LookupError(reason)


def dialect_of(framework, name):
    """The dialect of a rule in "torch", "keras" or "optax", or that of its paper in "paper"; None if there is none."""
    return PAPER[name] if framework == "paper" else DIALECTS[framework].get(name)


def choices(framework, name):
    """The hyperparameters, under the book's names, that one can choose there, in order."""
    names = dialect_of(framework, name).names
    return [key for key in ORDER if names.get(key)]


def hidden(dialect):
    """The hyperparameters that the framework lets nobody choose, with their numbers."""
    own = [key for key, theirs in dialect.names.items() if not theirs]
    return {key: dialect.rule.defaults[name] for key in own for name in named_for(dialect.rule, {key: None})}


def checked(framework, name, hyperparameters):
    """``hyperparameters`` as plain numbers.

    Raises:
        TypeError: one is unknown, or no number.
        KeyError: one is missing.
        ValueError: one is out of range.
    """
    dialect, wanted = dialect_of(framework, name), choices(framework, name)
    where, numbers = dialect.optimizer, {}
    check_names(hyperparameters, wanted, where)
    for key in wanted:
        if key not in hyperparameters:
            raise KeyError("hyperparameters lacks " + key + "; add it: defaults differ between frameworks.")
        if has_range(key):
            (own,) = named_for(dialect.rule, {key: 0})
            range_ = dialect.rule.ranges.get(own, range_of(key))
        else:
            range_ = ("a finite number >= 0", lambda value: 0 <= value < inf)
        numbers[key] = check_range(range_, key, hyperparameters[key], where)
    return numbers


def convert(name, source, target, hyperparameters):
    """What takes, in ``target``, the steps of an optimizer of ``source``.

    Args:
        name: of the rule, as in ``lib.optimizers.RULES``.
        source, target: "torch", "keras", "optax", or "paper".
        hyperparameters: all that one can choose in ``source``, under the book's names: numbers.

    Returns:
        dict of ``kind``: "same" (the same numbers), "numbers" (other numbers), "schedule" (one that changes with the
        step), "switch" (as `SWITCHED` has it), "never" (no numbers, constant or not, at these arguments), or "absent"
        (the framework has no such rule); ``before``, the code of the source; ``code``, that of the target, or the rule
        itself where there is none; ``reason``, in words; ``changed``, the hyperparameters that are others, and
        ``moving``, those of them that change with the step; ``limit``, as `limit`.

    Raises:
        TypeError, KeyError, ValueError: as `checked`.
    """
    given = checked(source, name, hyperparameters)
    before = _write(source, name, given, {})
    if dialect_of(target, name) is None:
        reason = TITLES[target] + " has no such optimizer. The rule itself steps its arrays:"
        return _found("absent", before, _itself(source, name, given), reason, [])
    try:
        theirs, found = reached(name, source, target, given)
    except KeyError:
        raise
    except LookupError as error:
        return _found("never", before, _itself(source, name, given), str(error), [])
    numbers, formulas = {}, {}
    for key, value in found.items():
        if not callable(value):
            numbers[key] = value
            continue
        text, constant = _formula(key, value, given)
        numbers[key] = constant if text is None else value(0)
        if text is not None:
            formulas[key] = text
    changed = [key for key in ORDER if key in numbers and not _equal(numbers[key], given.get(key, 0.0))]
    changed += [key for key in formulas if key not in changed]
    kind = "schedule" if formulas else "numbers" if changed else "same"
    reason = {
        "same": "The same numbers take the same steps",
        "numbers": "Other numbers take the same steps",
        "schedule": "The same steps need a number that changes from step to step",
    }[kind]
    if theirs is not dialect_of(target, name):
        usual, kind = dialect_of(target, name).fixed, "switch"
        added = [key + "=" + _plain(theirs.fixed[key]) for key in sorted(theirs.fixed) if key not in usual]
        reason = "With " + " and ".join(added) + ", " + reason[0].lower() + reason[1:]
    if only := limit(name, source, target, given):
        reason += ", " + only
    code = _write(target, name, numbers, formulas, theirs)
    return _found(kind, before, code, reason + ".", changed, sorted(formulas), only)


def _found(kind, before, code, reason, changed, moving=(), only=""):
    return {
        "kind": kind, "before": before, "code": code, "reason": reason, "changed": changed, "moving": list(moving),
        "limit": only,
    }  # fmt: skip


def _equal(a, b):
    return abs(a - b) <= 1e-15 * abs(b)


# ---------- a schedule, as a formula ----------

# All that a mapping makes of a number c, at step t, counted from 1.
SHAPES = (
    ("{c} / (1 - {b2}**{t}) ** 0.5", lambda c, b1, b2, t: c / sqrt(1 - b2**t)),
    ("{c} * (1 - {b2}**{t}) ** 0.5", lambda c, b1, b2, t: c * sqrt(1 - b2**t)),
    ("{c} * (1 - {b2}**{t}) ** 0.5 / (1 - {b1}**{t})", lambda c, b1, b2, t: c * sqrt(1 - b2**t) / (1 - b1**t)),
    ("{c} * (1 - {b1}**{t}) / (1 - {b2}**{t}) ** 0.5", lambda c, b1, b2, t: c * (1 - b1**t) / sqrt(1 - b2**t)),
    ("min({c}, {t} ** -0.5)", lambda c, b1, b2, t: min(c, t**-0.5)),
)
ASKED = (1, 2, 3, 10, 100, 1000, 10**6, 10**18)  # the steps at which a formula is compared with the schedule


def _formula(key, schedule, given):
    """A schedule as (text, with {t} for the step counted from 1; None), or as (None, number) if it does not change."""
    c, b1, b2 = given[key], given.get("beta1", 0.0), given.get("beta2", 0.0)
    values = [schedule(t - 1) for t in ASKED]
    if max(abs(value - c) for value in values) <= 1e-12 * c:
        return None, c
    for text, shape in SHAPES:
        if all(abs(shape(c, b1, b2, t) - value) <= 1e-12 * value for t, value in zip(ASKED, values)):
            return text.replace("{c}", number(c)).replace("{b1}", number(b1)).replace("{b2}", number(b2)), None
    raise RuntimeError("no formula of SHAPES is the schedule of " + key + "; add its own.")


# ---------- code ----------


def number(value):
    """A number as one writes it: the shortest text within its rounding; a float stays one, which Keras insists on."""
    if abs(value) < 1e5 and value == int(value):
        return str(int(value)) + ("" if isinstance(value, int) else ".0")
    for digits in range(1, 18):
        text = ("%." + str(digits) + "g") % value
        if abs(float(text) - value) <= 1e-15 * abs(value):
            break
    mantissa, _, exponent = text.partition("e")
    return mantissa + "e" + str(int(exponent)) if exponent else mantissa


def _itself(framework, name, numbers):
    """The rule itself, from this book's library."""
    if framework == "paper" or dialect_of(framework, name).rule is PAPER[name].rule:
        return _write("paper", name, {k: v for k, v in numbers.items() if k in PAPER[name].names}, {})
    rule = dialect_of(framework, name).rule
    words = [key + "=" + number(value) for key, value in _ordered(named_for(rule, numbers), rule)]
    made = _call("Optimizer", ["rule"] + words)
    return (
        "from lib.dialects import DIALECTS\nfrom lib.optimizers import Optimizer\n\n"
        'rule = DIALECTS["' + framework + '"]["' + name + '"].rule\n'
        "optimizer = " + made + "\nparams = optimizer.step(params, grads)"
    )


def _ordered(named, rule):
    """Pairs (name, value), in the order of the book's names for them."""
    order = [name for key in ORDER for name in named_for(rule, {key: None})]
    return sorted(named.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order))


def _write(framework, name, numbers, formulas, dialect=None):
    """The code that makes the optimizer. ``numbers`` has a first value for each of ``formulas``."""
    return WRITERS[framework](dialect or dialect_of(framework, name), name, numbers, formulas)


def _arguments(dialect, numbers, replaced):
    """The framework's arguments as text; ``replaced`` has that of some of the book's names."""
    texts = dialect.arguments({key: replaced.get(key, number(value)) for key, value in numbers.items()})
    words, seen = [], []
    for key in ORDER:
        theirs = (dialect.names.get(key) or "").split("[")[0]
        if theirs in texts and theirs not in seen and theirs not in dialect.fixed:
            seen.append(theirs)
            value = texts[theirs]
            words.append(theirs + "=" + (value if isinstance(value, str) else "(" + ", ".join(value) + ")"))
    return words + [key + "=" + _plain(dialect.fixed[key]) for key in sorted(dialect.fixed)]


def _plain(value):
    if isinstance(value, bool):
        return repr(value)
    return '"' + value + '"' if isinstance(value, str) else number(value)


def _call(maker, arguments):
    """A call on one line, or with its arguments on lines of their own."""
    line = maker + "(" + ", ".join(arguments) + ")"
    if len(line) <= WIDTH - len("optimizer = "):
        return line
    rows = [""]
    for argument in arguments:
        if len(rows[-1]) + len(argument) > WIDTH - 6 and rows[-1]:
            rows.append("")
        rows[-1] += " " * bool(rows[-1]) + argument + ","
    return maker + "(\n" + "".join("    " + row + "\n" for row in rows) + ")"


def _paper(dialect, name, numbers, formulas):
    made = {key: "lambda step: " + text.replace("**{t}", " ** (step + 1)").replace("{t}", "(step + 1)")
            for key, text in formulas.items()}  # fmt: skip
    call = _call("Optimizer", [name] + _arguments(dialect, numbers, made))
    return (
        "from lib.optimizers import Optimizer, " + name + "\n\n"
        "optimizer = " + call + "\nparams = optimizer.step(params, grads)"
    )


def _torch(dialect, name, numbers, formulas):
    code = "import torch\n\noptimizer = " + _call(dialect.optimizer, ["params"] + _arguments(dialect, numbers, {}))
    if formulas:
        code += "\n\n\n# Call it before each optimizer.step(), t = 1, 2, 3, ...\n"
        code += "def before_step(t):\n    for group in optimizer.param_groups:"
        for key, text in sorted(formulas.items()):
            code += '\n        group["' + dialect.names[key] + '"] = ' + text.replace("{t}", "t")
    return code


def _keras(dialect, name, numbers, formulas):
    code, maker, replaced = "import keras\n", dialect.optimizer, {}
    if formulas:
        code += "from keras import ops\n"
    if "lr" in formulas:
        replaced["lr"] = "Rate()"
        code += (
            "\n\nclass Rate(keras.optimizers.schedules.LearningRateSchedule):\n"
            "    def __call__(self, step):\n"
            '        t = ops.cast(step, "float32") + 1\n'
            "        return " + formulas["lr"].replace("{t}", "t") + "\n"
        )
    others = [key for key in formulas if key != "lr"]
    if others:
        (key,) = others
        own, text, base, maker = dialect.names[key], formulas[key].replace("{t}", "t"), maker, "Ported"
        for beta in ("beta1", "beta2"):
            if beta in numbers:
                text = text.replace(number(numbers[beta]) + "**t", "self." + dialect.names[beta] + "**t")
        code += (
            "\n\nclass Ported(" + base + "):\n"
            "    def update_step(self, gradient, variable, learning_rate):\n"
            "        t = ops.cast(self.iterations + 1, variable.dtype)\n"
            "        before = self." + own + "\n"
            "        self." + own + " = " + text + "\n"
            "        super().update_step(gradient, variable, learning_rate)\n"
            "        self." + own + " = before\n"
        )
    space = "\n\n" if formulas else "\n"
    return code + space + "optimizer = " + _call(maker, _arguments(dialect, numbers, replaced))


def _optax(dialect, name, numbers, formulas):
    code, maker, replaced = "import optax\n", dialect.optimizer, {}
    if any("min(" in text for text in formulas.values()):
        code = "import jax.numpy as jnp\nimport optax\n"
    for key, text in sorted(formulas.items()):
        own = replaced[key] = dialect.names[key]
        code += (
            "\n\ndef " + own + "(count):  # steps taken so far\n    t = count + 1\n"
            "    return " + text.replace("{t}", "t").replace("min(", "jnp.minimum(") + "\n"
        )
    if any(key != "lr" for key in formulas):
        flags = [repr(key) for key in sorted(dialect.fixed) if isinstance(dialect.fixed[key], bool)]
        static = ["static_args=(" + ", ".join(flags).replace("'", '"') + ")"] if flags else []
        maker = _call("optax.inject_hyperparams", [maker] + static)
    space = "\n\n" if formulas else "\n"
    return code + space + "optimizer = " + _call(maker, _arguments(dialect, numbers, replaced))


WRITERS = {"paper": _paper, "torch": _torch, "keras": _keras, "optax": _optax}


# ---------- how far apart ----------


def ported(name, target, hyperparameters, defaults, only_the_rate=False):
    """What a port has that carries over numbers without a thought: those for which ``target`` has a name; for the rest,
    or for all but the rate, its ``defaults``."""
    carried = {"lr": hyperparameters["lr"]} if only_the_rate else hyperparameters
    return {key: carried.get(key, defaults.get(key)) for key in choices(target, name)}


def measurable(framework, name):
    """Whether `walk` can run the rule: one that steps each entry on its own, by its gradient."""
    rule = dialect_of(framework, name).rule
    return rule.each == "entry" and not rule.takes_curvature


def recorded(size, steps=STEPS):
    """Gradients of about ``size``, the same each time: first ``size`` itself, then numbers that are uniform between
    -size and 2 size (a linear congruential draw)."""
    seed, gradients = 1, [size]
    for _ in range(steps - 1):
        seed = (1103515245 * seed + 12345) % 2**31
        gradients.append(size * (3 * seed / 2**31 - 1))
    return gradients


def walk(rule, hyperparameters, gradients):
    """Where a parameter that starts at 1 is after each step, as a list of floats; what overflows ends the list.

    Args:
        rule: an update rule.
        hyperparameters: numbers, or functions of the step, counted from 0, under the book's names.
        gradients: list of floats.
    """
    x, path = 1.0, []

    def at(step):
        return {key: value(step) if callable(value) else value for key, value in hyperparameters.items()}

    now = named_for(rule, at(0))
    starts = [now.get(key, value) for key, value in rule.state.items()]
    states = [float(x if value == "x" else now.get(value, value)) for value in starts]
    for step, g in enumerate(gradients):
        now = {key: value for key, value in named_for(rule, at(step)).items() if key not in rule.state}
        time = (step + 1,) if rule.counts_steps else ()
        try:
            new = rule(x, g, *states, *time, **now)
        except (ArithmeticError, ValueError):  # an overflow, a division by zero, a root of a negative number
            break
        x, states = (new[0], new[1:]) if states else (new, ())
        if not isfinite(x):
            break
        path.append(x)
    return path


def distances(name, source, target, hyperparameters, defaults, sizes=SIZES, steps=STEPS):
    """How far apart a rule of ``source`` and ports of it to ``target`` end up, for gradients of each size.

    Args:
        name, source, target, hyperparameters: as in `convert`.
        defaults: of the rule in ``target``, under the book's names.
        sizes, steps: of the recorded gradients.

    Returns:
        dict of port ("only the rate", "all numbers", "translated") to a list with, for each size, (how many times as
        long the source's first step is, the largest distance of the two paths as a share of the source's longest way).
        None stands for what is no number. Without "translated", if nothing translates; empty, if nothing can be
        measured: see `measurable`.
    """
    theirs, given = dialect_of(target, name), checked(source, name, hyperparameters)
    by = theirs
    if theirs is None or not measurable(source, name) or not measurable(target, name):
        return {}
    ports = {
        "only the rate": ported(name, target, given, defaults, only_the_rate=True),
        "all numbers": ported(name, target, given, defaults),
    }
    try:
        by, ports["translated"] = reached(name, source, target, given)
    except LookupError:
        pass
    result = {port: [] for port in ports}
    for size in sizes:
        gradients = recorded(size, steps)
        right = walk(dialect_of(source, name).rule, given, gradients)
        for port, numbers in ports.items():
            side = by if port == "translated" else theirs
            keys = {key: value for key, value in numbers.items() if side.names.get(key) or key in side.rule.state}
            result[port].append(apart(right, walk(side.rule, keys, gradients), steps))
    return result


def apart(right, other, steps):
    """(first step of one path over that of the other, largest distance as a share of the longest way of the first)."""
    first = None
    if right and other and other[0] != 1:
        first = (right[0] - 1) / (other[0] - 1)
    if len(right) < steps or len(other) < steps:
        return first, None
    way = max(abs(x - 1) for x in right)
    largest = max(abs(x - y) for x, y in zip(right, other))
    return first, largest / way if way else None
