"""The book's tables of dialects, made from the dialects themselves, from the frameworks as they are installed, and from
the record of the proofs."""

import html
import importlib
import inspect
import json
import re

import numpy as np
import pandas as pd
from IPython.display import HTML
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from lib.dialects import DIALECTS
from lib.dialects.dialect import Dialect
from lib.machine import ROOT
from lib.optimizers import RULES
from lib.referees import TITLES, schedules
from lib.referees.keras import keras

PROOFS = ROOT / "results" / "proofs-cpu.json"


def maker(dialect: Dialect):
    """The class or function that makes a dialect's optimizer in its framework."""
    keras()  # silences TensorFlow, which Keras imports
    module, name = dialect.optimizer.rsplit(".", 1)
    return getattr(importlib.import_module(module), name)


def call(dialect: Dialect) -> str:
    """How a framework's optimizer is called to be the rule, with the framework's own defaults.

    An ellipsis stands where it has none, or one that switches the rule off.
    """
    parameters = inspect.signature(maker(dialect)).parameters
    names = dict.fromkeys(theirs.split("[")[0] for theirs in dialect.names.values() if theirs)
    words = []
    for name in names:
        if name in dialect.fixed:
            continue
        default = parameters[name].default
        open_ = default in (inspect.Parameter.empty, None) or (name == "momentum" and default == 0)
        words.append(f"{name}=…" if open_ else f"{name}={default!r}")
    words += [f"{name}={_plain(value)!r}" for name, value in dialect.fixed.items()]
    return f"{dialect.optimizer.removeprefix('keras.optimizers.').removeprefix('torch.optim.')}({', '.join(words)})"


def _plain(value):
    return value.item() if isinstance(value, np.generic) else value


def agreement(dialect: Dialect, paper) -> str:
    """Whose steps these are: the paper's, with the same hyperparameters or others, or nobody's."""
    if dialect.rule is paper:
        return "the paper"
    if isinstance(dialect.to_paper, str):
        return f"never the paper's: {dialect.to_paper}"
    words = inspect.getdoc(dialect.to_paper).splitlines()[0].removesuffix(".")
    return words.replace("The paper", "the paper", 1)


def deviations() -> dict[tuple[str, str], dict]:
    """The record's row for each rule and framework: how far the dialect's rule ends up from the framework's.

    Where a framework casts or rounds by design, that row is the last one, with what it does accounted for.
    """
    return {(row["rule"], row["framework"]): row for row in _proofs()}


def ports() -> dict[tuple[str, str], float]:
    """How far the paper's rule ends up from the framework's with the very same hyperparameters, where that differs."""
    return {(row["rule"], row["framework"]): row["deviation"] for row in _proofs()
            if row["our rule"].startswith("optimizers.")
            and DIALECTS[row["framework"]][row["rule"]].rule is not RULES[row["rule"]]}  # fmt: skip


def _proofs() -> list[dict]:
    return json.loads(PROOFS.read_text())["rows"]


def dialect_table() -> pd.DataFrame:
    """One row for each rule and framework that has it.

    Returns:
        Columns ``call``, with the framework's defaults; ``differs``, in what its rule is not the paper's; ``steps``,
        whose steps they are; ``apart``, how far the framework is from the rule after 1,000 steps, and ``because`` of
        what; ``ported``, how far from the paper's rule with the same hyperparameters, nan if that is the rule;
        ``source``, that of a rule of the framework's own.
    """
    rows, proved, ported = [], deviations(), ports()
    for name, paper in RULES.items():
        for framework, dialects in DIALECTS.items():
            if name in dialects:
                dialect = dialects[name]
                differs, source = _difference(dialect.rule, framework) if dialect.rule is not paper else ("", "")
                proof = proved[name, framework]
                rows.append({"rule": name, "framework": TITLES[framework], "call": call(dialect), "differs": differs,
                             "steps": agreement(dialect, paper), "apart": proof["deviation"],
                             "because": proof["cause"], "ported": ported.get((name, framework), np.nan),
                             "source": source})  # fmt: skip
    return pd.DataFrame(rows).set_index(["rule", "framework"])


def _difference(rule, framework):
    """In what a rule of a dialect is not the paper's, and its source, unless it is another framework's."""
    words, owner = inspect.getdoc(rule).splitlines()[0], rule.__module__.split(".")[-1]
    if owner != framework:
        return f"As in {TITLES[owner]}: {words[:1].lower()}{words[1:]}", ""
    return words, inspect.getsource(rule)


def dialect_page() -> HTML:
    """`dialect_table` as the book shows it: a row is a call, and what is to be known of it."""

    def cells(framework, row):
        because = "" if row.because.startswith("Rounding") else row.because
        ported = "" if np.isnan(row.ported) else f"the paper's rule: {row.ported:.1e}"
        return {
            "framework": framework,
            "call": _code(row.call) + _aside(row.differs),
            "the steps of": _text(row.steps),
            "apart": (f"{row.apart:.1e}" if row.apart else "0") + _aside(because) + _aside(ported),
            None: row.source and _source(row.source),
        }

    return reference(dialect_table(), cells, about=lambda name: _source(inspect.getsource(RULES[name])))


def schedule_page() -> HTML:
    """`lib.referees.schedules.proof` as the book shows it."""

    def cells(framework, row):
        where = f"at {row['differs at']}, by up to {row['by up to']}" if row["differs at"] else "nowhere"
        differs = f"{where}{' here' * (not row['differs at'])}. {row.because}" if row.because else where
        return {
            "framework": framework,
            "call": _code(row.counterpart) + _aside(row.only),
            "other rates": _text(differs),
            "rounding": f"{np.ceil(float(row.deviation)):.0f} ulp",
        }

    table = schedules.proof()
    ours = dict(zip(table.index.get_level_values(0), table.ours, strict=True))
    return reference(table, cells, about=lambda item: f"<p>{_code(ours[item])}</p>")


def pitfall_page() -> HTML:
    """`lib.referees.schedules.pitfalls` as the book shows it."""

    def cells(framework, row):
        return {
            "framework": framework,
            "looks right": _code(row.wrong),
            "is right": _code(row.right),
            "other rates": _text(f"at {row['differs at']}") + _aside(f"by up to {row['by up to']}"),
        }

    return reference(schedules.pitfalls(), cells, anchor="pitfall-")


def reference(table: pd.DataFrame, cells, about=lambda item: "", anchor: str = "") -> HTML:
    """A table to look things up in: each item a group of rows that a link can lead to, and above it all these links.

    Args:
        table: its index is the item and, within it, the row.
        cells: takes the row's name and the row, and returns a dict of heading to cell, as HTML; the first is the row's
            own heading, and what has the heading None stands below, across all columns.
        about: takes an item and returns what stands below its name, as HTML.
        anchor: what the links' names begin with.
    """
    parts, links = [], []
    for item, rows in table.groupby(level=0, sort=False):
        made = [cells(name, row) for (_, name), row in rows.iterrows()]
        heads = [head for head in made[0] if head]
        place = anchor + re.sub(r"\W|_", "-", item).strip("-")
        links.append(f"<a href='#{place}'>{_text(item)}</a>")
        parts.append(f'<tbody><tr><th colspan="{len(heads)}" scope="rowgroup" id="{place}">{_text(item)}')
        parts.append(f"{about(item)}</th></tr>")
        for row in made:
            below = row.pop(None, "")
            first, *others = row.values()
            parts.append(f"<tr{' class=open' * bool(below)}><th scope='row'>{first}</th>")
            parts += [f"<td data-head='{head}'>{cell}</td>" for head, cell in zip(heads[1:], others, strict=True)]
            parts.append("</tr>")
            if below:
                parts.append(f"<tr><td></td><td colspan='{len(heads) - 1}'>{below}</td></tr>")
        parts.append("</tbody>")
    headings = "".join(f"<th scope='col'>{head}</th>" for head in heads)
    return HTML(
        f"<p class='jump'>{' · '.join(links)}</p>"
        f"<table class='dataframe reference'><thead><tr>{headings}</tr></thead>{''.join(parts)}</table>"
    )


def _text(words: str) -> str:
    """Words as HTML, in which a line may break after an underscore."""
    return html.escape(words).replace("_", "_<wbr>")


SHORT = 36  # letters of an argument that fit in a line of a phone's page


def _code(words: str) -> str:
    """Code as HTML, in which lines break between arguments, and inside one only if it is long."""
    pieces = []
    for piece in _arguments(words):
        pieces += [piece] if len(piece) <= SHORT else re.split(r"(?<=[(\[,])", piece)
    kept = [f"<span class='unbroken'>{html.escape(it)}</span>" if len(it) <= SHORT else _text(it) for it in pieces]
    return f"<code>{'<wbr>'.join(kept)}</code>"


def _arguments(call: str) -> list[str]:
    """A call, cut behind its first bracket and behind each of its arguments."""
    pieces, depth = [""], 0
    for letter in call:
        depth += (letter in "([{") - (letter in ")]}")
        pieces[-1] += letter
        if depth == 1 and (letter == "," or len(pieces) == 1):
            pieces.append("")
    return [piece for piece in pieces if piece]


def _aside(words: str) -> str:
    return f"<p>{_text(words)}</p>" if words else ""


def _source(code: str) -> str:
    """The source of a rule, folded."""
    code = highlight(code, PythonLexer(), HtmlFormatter(nowrap=True))
    return f"<details><summary>source</summary><div class='highlight'><pre>{code}</pre></div></details>"
