"""What references.bib says of a work is enough to find it, and is of a form that can be true.

Whether it *is* true, no test can say without asking the world outside. That every entry is cited, and every citation
has its entry, is in ``test_project.py``.
"""

import re
import unicodedata

import pytest
from pybtex.database import parse_file

from tests.conftest import ROOT
from tests.test_project import WORK, docstrings

ENTRIES = parse_file(ROOT / "references.bib").entries
PUBLISHED = "journal", "booktitle", "publisher"
VENUE = {"article": "journal", "inproceedings": "booktitle", "incollection": "booktitle", "book": "publisher"}
NAMES = {"Adagrad", "Adam", "Bayes", "Bayesian", "Fisher", "Gauss", "Hebbian", "Hessian", "Muon", "Nesterov", "Newton"}
NAMES |= {"Shampoo"}

each_entry = pytest.mark.parametrize("key", ENTRIES)


def plain(text):
    """``text`` without accents, signs and spaces, in small letters."""
    letters = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in letters if letter.isalnum()).casefold()


def first_posted(eprint):
    """The year in which a preprint came to arXiv, which is in its number."""
    year, month = re.fullmatch(r"(\d\d)(\d\d)\.(?:\d{4}|\d{5})", eprint).groups()
    assert 1 <= int(month) <= 12
    return 2000 + int(year)


@each_entry
def test_who_what_and_when(key):
    entry = ENTRIES[key]
    authors, year = entry.persons["author"], entry.fields["year"]
    assert not {"others", "et al.", ""} & {str(person) for person in authors}
    assert entry.fields["title"].strip()
    assert re.fullmatch(r"(18|19|20)\d\d", year)
    assert re.fullmatch(f"{plain(authors[0].last_names[-1])}{year}[a-z]+", key), "surname, year, a word of the title"


@each_entry
def test_it_can_be_found(key):
    entry = ENTRIES[key]
    known = entry.fields.keys()
    assert VENUE.get(entry.type, "title") in known
    assert {"doi", "eprint", "url"} & known or {"journal", "volume", "pages"} <= known or entry.type == "book"


@each_entry
def test_numbers_have_their_form(key):
    fields = ENTRIES[key].fields
    if "doi" in fields:
        assert re.fullmatch(r"10\.\d{4,9}/[^\s{}]*[\w)]", fields["doi"])
    if "url" in fields:
        assert re.fullmatch(r"https?://[\w.-]+(/[^\s{}]*)?", fields["url"])
        assert not re.match(r"https?://(dx\.)?(doi|arxiv)\.org", fields["url"]), "give it as doi or eprint"
    if "pages" in fields:
        first, last = re.fullmatch(r"(\d+)--(\d+)|e\d+", fields["pages"]).groups(default="1")
        assert int(first) <= int(last)


@each_entry
def test_preprint_is_not_of_another_time(key):
    """What has only a preprint is of its year. What was published came to arXiv up to six years before (a
    journal took that long once), or a year after."""
    fields = ENTRIES[key].fields
    if "eprint" not in fields:
        return
    assert fields["archiveprefix"] == "arXiv"
    posted, year = first_posted(fields["eprint"]), int(fields["year"])
    five = len(fields["eprint"]) == len("1501.00001")
    assert five == (posted >= 2015), "a number has five digits after its point since January 2015"
    assert year - 6 <= posted <= year + 1 if any(it in fields for it in PUBLISHED) else posted == year


@each_entry
def test_titles_keep_their_capitals(key):
    """The style sets the titles of papers in small letters: what must not change stands in braces."""
    if ENTRIES[key].type == "book":
        return
    braced = r"\{(?:[^{}]|\{[^{}]*\})*\}"
    words = re.findall(r"\w+", re.sub(braced, "x", ENTRIES[key].fields["title"]))
    lost = [w for place, w in enumerate(words) if re.search(r"\w[A-Z]", w) or (place and w in NAMES)]
    assert lost == []


@pytest.mark.parametrize("field", ["title", "doi", "eprint", "url"])
def test_no_work_stands_twice(field):
    values = [plain(entry.fields[field]) for entry in ENTRIES.values() if field in entry.fields]
    assert sorted({value for value in values if values.count(value) > 1}) == []


def test_docstrings_give_the_same_arxiv_numbers():
    wrong, compared = [], 0
    for where, text in docstrings():
        for work in re.finditer(WORK, text):
            number = re.match(r", arXiv (\d{4}\.\d{4,5})", text[work.end() :])
            listed = {
                entry.fields["eprint"]
                for entry in ENTRIES.values()
                if "eprint" in entry.fields
                and (entry.persons["author"][0].last_names[0], entry.fields["year"]) == work.groups()
            }
            if number and listed:
                compared += 1
                if number[1] not in listed:
                    wrong.append(f"{where}: {work[0]}, arXiv {number[1]}; references.bib has {sorted(listed)}")
    assert wrong == []
    assert compared > 30
