"""The tables to look things up in are made of what they claim to be made of."""

import re

import pandas as pd
import pytest

from lib.dialects import DIALECTS
from lib.optimizers import RULES
from lib.referees import BOUND, TITLES, WIDER, tables

CASES = [(name, framework) for name in RULES for framework in DIALECTS if name in DIALECTS[framework]]


@pytest.fixture(scope="module")
def table():
    return tables.dialect_table()


def test_every_rule_of_every_framework_has_a_row(table):
    assert list(table.index) == [(name, TITLES[framework]) for name, framework in CASES]


@pytest.mark.parametrize(("name", "framework"), CASES)
def test_a_row_says_what_its_dialect_says(table, name, framework):
    row, dialect = table.loc[name, TITLES[framework]], DIALECTS[framework][name]
    assert (row.differs == "") == (dialect.rule is RULES[name]) == (row["the steps of"] == "the paper")
    if isinstance(dialect.to_paper, str):
        assert dialect.to_paper in row["the steps of"]
    assert all(f"{key}={value!r}" in row.call for key, value in dialect.fixed.items())


@pytest.mark.parametrize(("name", "framework"), CASES)
def test_the_record_keeps_the_bounds_of_the_tests(name, framework):
    """It is of the rules as they are: a rule that was changed since has to be proved again."""
    row, (bound, cause) = tables.deviations()[name, framework], WIDER.get((name, framework), (BOUND, "Rounding."))
    assert row["deviation"] <= bound
    assert row["cause"].startswith(cause.removesuffix("."))


def test_calls_show_the_framework_s_defaults(table):
    assert table.loc[("adam", "PyTorch"), "call"] == "Adam(lr=0.001, betas=(0.9, 0.999), eps=1e-08)"
    assert table.loc[("adam", "optax"), "call"] == "optax.adam(learning_rate=…, b1=0.9, b2=0.999, eps=1e-08)"
    assert table.loc[("nesterov", "Keras"), "call"] == "SGD(learning_rate=0.01, momentum=0.0, nesterov=True)"


def test_a_reference_table_groups_rows_escapes_words_and_has_anchors():
    index = pd.MultiIndex.from_tuples([("a_b", "one"), ("a_b", "two"), ("c(d=e)", "one")], names=["item", "row"])
    rows = pd.DataFrame({"text": ["x < y", "", "z"]}, index=index)
    page = tables.reference(rows, lambda name, row: {"row": name, "text": tables._text(row.text)}).data
    assert re.findall("id='([^']+)'", page) == ["a-b", "c-d-e"]
    assert re.findall("<th scope='row'>(.*?)</th>", page) == ["one", "two", "one"]
    assert "x &lt; y" in page
    assert page.count("<tbody>") == page.count("</tbody>") == 2
    assert ">a_<wbr>b<" in page


@pytest.mark.parametrize("page", [tables.dialect_page, tables.pitfall_page])
def test_anchors_are_unique(page):
    anchors = re.findall(r"id='([^']+)'", page().data)
    assert len(anchors) == len(set(anchors)) > 10
