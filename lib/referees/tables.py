"""The book's tables of dialects, made from the dialects themselves, from the frameworks as they are installed, and from
the record of the proofs."""

import html
import importlib
import inspect
import json
import re

import pandas as pd
from IPython.display import HTML

from lib.dialects import DIALECTS
from lib.dialects.dialect import Dialect
from lib.optimizers import RULES
from lib.referees import TITLES, schedules
from lib.referees.keras import keras
from lib.referees.machine import ROOT

PROOFS = ROOT / "results" / "proofs-cpu.json"


def maker(dialect: Dialect):
    """The class or function that makes a dialect's optimizer in its framework."""
    keras()  # silences TensorFlow, which Keras imports
    module, name = dialect.optimizer.rsplit(".", 1)
    return getattr(importlib.import_module(module), name)


def call(dialect: Dialect) -> str:
    """How a framework's optimizer is called to be the rule, with the framework's own defaults."""
    parameters = inspect.signature(maker(dialect)).parameters
    names = dict.fromkeys(theirs.split("[")[0] for theirs in dialect.names.values() if theirs)
    words = []
    for name in names:
        if name in dialect.fixed:
            continue
        default = parameters[name].default
        words.append(f"{name}=…" if default in (inspect.Parameter.empty, None) else f"{name}={default!r}")
    words += [f"{name}={value!r}" for name, value in dialect.fixed.items()]
    return f"{dialect.optimizer.removeprefix('keras.optimizers.').removeprefix('torch.optim.')}({', '.join(words)})"


def agreement(dialect: Dialect, paper) -> str:
    """What takes the same steps: the paper's rule, with the same hyperparameters or others, or nothing."""
    if dialect.rule is paper:
        return "the paper"
    if isinstance(dialect.to_paper, str):
        return f"nothing of the paper's: {dialect.to_paper}"
    words = inspect.getdoc(dialect.to_paper).splitlines()[0].removesuffix(".")
    return words.replace("The paper", "the paper", 1)


def deviations() -> dict[tuple[str, str], dict]:
    """The record's row for each rule and framework: how far the dialect's rule ends up from the framework's.

    Where a framework casts or rounds by design, that row is the last one, with what it does accounted for.
    """
    return {(row["rule"], row["framework"]): row for row in json.loads(PROOFS.read_text())["rows"]}


def dialect_table() -> pd.DataFrame:
    """One row for each rule and framework that has it.

    Returns:
        Columns ``call``, with the framework's defaults; ``differs``, in what its rule is not the paper's; ``the steps
        of``, what takes the same steps; ``apart``, how far rule and framework are after 1,000 steps, and ``because`` of
        what.
    """
    rows, proved = [], deviations()
    for name, paper in RULES.items():
        for framework, dialects in DIALECTS.items():
            if name in dialects:
                dialect = dialects[name]
                differs = "" if dialect.rule is paper else inspect.getdoc(dialect.rule).splitlines()[0]
                proof = proved[name, framework]
                rows.append({"rule": name, "framework": TITLES[framework], "call": call(dialect), "differs": differs,
                             "the steps of": agreement(dialect, paper), "apart": proof["deviation"],
                             "because": proof["cause"]})  # fmt: skip
    return pd.DataFrame(rows).set_index(["rule", "framework"])


def dialect_page() -> HTML:
    """`dialect_table` as the book shows it: a row is a call, and what is to be known of it."""

    def cells(framework, row):
        because = "" if row.because.startswith("Rounding") else row.because
        return {
            "framework": framework,
            "call, and in what it differs": _code(row.call) + _aside(row.differs),
            "takes the steps of": _text(row["the steps of"]),
            "apart": (f"{row.apart:.1e}" if row.apart else "0") + _aside(because),
        }

    return reference(dialect_table(), cells)


def schedule_page() -> HTML:
    """`lib.referees.schedules.proof` as the book shows it."""

    def cells(framework, row):
        differs = f"at {row['differs at']}, by up to {row['by up to']}. {row.because}" if row["differs at"] else ""
        return {
            "framework": framework,
            "call": _code(f"{row.counterpart}({row.arguments})" if row.arguments else row.counterpart),
            "differs": _text(differs) or "nowhere",
            "rounding": row.deviation,
        }

    return reference(schedules.proof(), cells)


def pitfall_page() -> HTML:
    """`lib.referees.schedules.pitfalls` as the book shows it."""

    def cells(framework, row):
        return {
            "framework": framework,
            "looks right": _code(row.wrong),
            "is right": _code(row.right),
            "apart": _text(f"at {row['differs at']}") + _aside(f"by up to {row['by up to']}"),
        }

    return reference(schedules.pitfalls(), cells)


def reference(table: pd.DataFrame, cells) -> HTML:
    """A table to look things up in: each item a group of rows that a link can lead to.

    Args:
        table: its index is the item and, within it, the row.
        cells: takes the row's name and the row, and returns a dict of heading to cell, as HTML; the first is the row's
            own heading.
    """
    parts = []
    for item, rows in table.groupby(level=0, sort=False):
        made = [cells(name, row) for (_, name), row in rows.iterrows()]
        heads = list(made[0])
        anchor = re.sub(r"\W|_", "-", item).strip("-")
        parts.append(f"<tbody><tr><th colspan='{len(heads)}' scope='rowgroup' id='{anchor}'>{_text(item)}</th></tr>")
        for row in made:
            first, *others = row.values()
            parts.append(f"<tr><th scope='row'>{first}</th>")
            parts += [f"<td data-head='{head}'>{cell}</td>" for head, cell in zip(heads[1:], others, strict=True)]
            parts.append("</tr>")
        parts.append("</tbody>")
    headings = "".join(f"<th scope='col'>{head}</th>" for head in heads)
    return HTML(f"<table class='dataframe reference'><thead><tr>{headings}</tr></thead>{''.join(parts)}</table>")


def _text(words: str) -> str:
    """Words as HTML, in which a line may break after an underscore."""
    return html.escape(words).replace("_", "_<wbr>")


def _code(words: str) -> str:
    """Code as HTML, in which no line breaks inside a number."""
    numbers = re.sub(r"[\d.]+e-\d+", r"<span class='number'>\g<0></span>", _text(words))
    return f"<code>{numbers}</code>"


def _aside(words: str) -> str:
    return f"<p>{_text(words)}</p>" if words else ""
