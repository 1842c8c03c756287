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
    assert (row.differs == "") == (dialect.rule is RULES[name]) == (row.steps == "the paper")
    if isinstance(dialect.to_paper, str):
        assert row.steps == f"never the paper's: {dialect.to_paper}"
    assert all(f"{key}={value}" in row.call for key, value in dialect.fixed.items())
    own = f"lib.dialects.{framework}" == dialect.rule.__module__
    assert (f"def {dialect.rule.__name__}(" in row.source) == own
    assert row.differs.startswith("As in ") == (row.differs != "" and not own)


@pytest.mark.parametrize(("name", "framework"), CASES)
def test_the_record_keeps_the_bounds_of_the_tests(name, framework):
    """It is of the rules as they are: a rule that was changed since has to be proved again."""
    row, (bound, cause) = tables.deviations()[name, framework], WIDER.get((name, framework), (BOUND, "Rounding."))
    assert row["deviation"] <= bound
    assert row["cause"].startswith(cause.removesuffix("."))


def test_calls_show_the_framework_s_defaults(table):
    assert table.loc[("adam", "PyTorch"), "call"] == "Adam(lr=0.001, betas=(0.9, 0.999), eps=1e-08)"
    assert table.loc[("adam", "optax"), "call"] == "optax.adam(learning_rate=…, b1=0.9, b2=0.999, eps=1e-08)"
    assert table.loc[("nesterov", "Keras"), "call"] == "SGD(learning_rate=0.01, momentum=…, nesterov=True)"
    assert table.loc[("adafactor", "optax"), "call"].endswith("min_dim_size_to_factor=1, decay_rate=0.8)")


@pytest.mark.parametrize(("name", "framework"), CASES)
def test_what_a_blind_port_costs_stands_where_rules_differ(table, name, framework):
    """Farther from the paper's rule than from its own, by far; at usual sizes and rates, all Adafactors are one."""
    row = table.loc[name, TITLES[framework]]
    if name == "adafactor":
        assert not row.ported > 1e-10
        return
    assert (row.ported > 1e6 * row.apart) == (row.differs != "")


def test_a_reference_table_groups_rows_escapes_words_and_has_anchors():
    index = pd.MultiIndex.from_tuples([("a_b", "one"), ("a_b", "two"), ("c(d=e)", "one")], names=["item", "row"])
    rows = pd.DataFrame({"text": ["x < y", "", "z"]}, index=index)
    cells = lambda name, row: {"row": name, "text": tables._text(row.text)}
    page = tables.reference(rows, cells, about=lambda item: f"<b>{len(item)}</b>", anchor="to-").data
    assert re.findall('id="([^"]+)"', page) == re.findall("href='#([^']+)'", page) == ["to-a-b", "to-c-d-e"]
    assert ">c(d=e)<b>6</b></th>" in page
    assert re.findall("<th scope='row'>(.*?)</th>", page) == ["one", "two", "one"]
    assert "x &lt; y" in page
    assert page.count("<tbody>") == page.count("</tbody>") == 2
    assert ">a_<wbr>b<" in page


def test_anchors_are_unique_on_the_page():
    pages = (tables.dialect_page, tables.schedule_page, tables.pitfall_page)
    anchors = re.findall(r'id="([^"]+)"', "".join(page().data for page in pages))
    assert len(anchors) == len(set(anchors)) > 40


def test_code_breaks_between_its_arguments():
    assert tables._arguments("f(a=(1, 2), b=[3, 4])") == ["f(", "a=(1, 2),", " b=[3, 4])"]
    code = tables._code("f(a=1, b=[2, 3], a_name_too_long_for_any_line_of_a_phone=4)")
    assert code.startswith("<code><span class='unbroken'>f(</span><wbr><span class='unbroken'>a=1,</span><wbr>")
    assert "a_<wbr>name_<wbr>too" in code
    assert re.sub("<.*?>", "", code) == "f(a=1, b=[2, 3], a_name_too_long_for_any_line_of_a_phone=4)"
