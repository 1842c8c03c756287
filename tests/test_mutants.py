"""What is recorded of mutation testing, and how the tests are chosen that should notice a mutant."""

import json

import pytest

from tests import mutants
from tests.conftest import ROOT

RECORD = json.loads((ROOT / "results" / "mutants.json").read_text())


def test_of_a_hundred_faults_at_least_95_are_noticed():
    assert RECORD["score"] == round(RECORD["killed"] / RECORD["mutants"], 4) >= 0.95
    assert RECORD["killed"] == sum(it["killed"] for it in RECORD["modules"].values())
    assert RECORD["mutants"] == sum(it["killed"] + len(it["survivors"]) for it in RECORD["modules"].values())


def test_every_fault_was_tried():
    assert list(RECORD["modules"]) == mutants.MODULES
    assert RECORD["pending"] == sum(it["pending"] for it in RECORD["modules"].values()) == 0


def test_every_survivor_is_explained():
    """A fault that no test notices is a test to be written, or a reason to be found."""
    survivors = {(module, change) for module, it in RECORD["modules"].items() for change in it["survivors"]}
    assert survivors == mutants.reasons().keys()
    assert all(why.strip() for why in mutants.reasons().values())


@pytest.mark.parametrize("module", mutants.MODULES)
def test_every_module_has_tests(module):
    for files in mutants.tests_for(module, {"adam"}):
        assert files
        assert all((ROOT / file).exists() for file in files if file.startswith("tests/"))


SOURCE = """
def mapping(at):
    return at + 1

def adam(x):
    return x - 1

RATE = 2
DIALECTS = {
    "adam": make(rule=adam, names=RATE),
    "lion": make(
        fixed={"lion": True},
        rule=None,
        to_paper=mapping,
    ),
}
"""


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("at + 1", "at - 1", {"mapping", "lion"}),
        ("x - 1", "x + 1", {"adam"}),
        ("RATE = 2", "RATE = 3", {"RATE", "adam"}),
        ("rule=None", "rule=0", {"lion"}),
    ],
)
def test_a_change_is_traced_to_the_rules_that_it_reaches(old, new, names):
    assert mutants.changed_names(SOURCE, SOURCE.replace(old, new)) - {"DIALECTS"} == names


def test_a_docstring_does_not_change_a_version_but_code_does(tmp_path):
    def version(text):
        (tmp_path / "m.py").write_text(text)
        return mutants.version_of("m.py", tmp_path)

    before = version('"""A."""\n\n\ndef f():\n    """B."""\n    return 1\n')
    assert version('"""C."""\n\n\ndef f():\n    """D."""\n    return 1\n') == before
    assert version('"""A."""\n\n\ndef f():\n    """B."""\n    return 2\n') != before


def test_the_record_is_of_the_code_as_it_is():
    assert {m: it["version"] for m, it in RECORD["modules"].items()} == {
        m: mutants.version_of(m) for m in mutants.MODULES
    }
