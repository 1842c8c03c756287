"""The text is stored, whole and fixed; its characters and words are told apart by how often they occur."""

import hashlib
import json
import re

import numpy as np
import pytest

from lib.experiments import corpus
from lib.experiments.corpus import PATH, decoded, frequency_groups, mean_by_group, prose, text

SHA256 = "f17e09eeb8b1c6b9c6d75f8793a84187c9892ed8a5fef9e1a3f06aa4fc2de261"
CELLS = [
    "# A title\n\nText, with $x$.\nTwo lines.",
    "| a | b |\n|---|---|",
    "$$y = 1$$\n\n- a list\n\n   \n\n```{note}\n```",
    "1. Half a step: ½ η\n\n(label)=\n## Below a label",
]
PROSE = "# A title\n\nText, with $x$.\nTwo lines.\n\n- a list\n\n1. Half a step:  "


def notebook(*cells):
    code = {"cell_type": "code", "source": ["print('code')"]}
    return {"cells": [code, *({"cell_type": "markdown", "source": it.splitlines(keepends=True)} for it in cells)]}


def test_prose():
    assert prose(notebook(*CELLS)) == PROSE


def test_the_text_is_that_of_the_records():
    assert hashlib.sha256(text().encode()).hexdigest() == SHA256
    assert PATH.stat().st_size < 200_000


def test_it_is_not_written_over():
    before = PATH.read_bytes()
    with pytest.raises(FileExistsError, match=r"corpus\.txt\.xz is there, and records hang on it"):
        corpus.write()
    assert PATH.read_bytes() == before


def test_chapters_come_in_the_order_of_the_contents(tmp_path, monkeypatch):
    (tmp_path / "_toc.yml").write_text(
        "parts:\n- chapters:\n  - file: chapters/second\n  - file: chapters/none\n- chapters:\n  - file: chapters/first"
    )
    (tmp_path / "chapters").mkdir()
    for name, words in ("first", "one"), ("second", "two"):
        (tmp_path / "chapters" / f"{name}.ipynb").write_text(json.dumps(notebook(words)))
    corpus.write(path := tmp_path / "corpus.txt.xz", tmp_path)
    monkeypatch.setattr(corpus, "PATH", path)
    assert text.__wrapped__() == "two\n\none"


def test_every_tenth_block_is_kept_back():
    tokens = corpus.characters()
    assert len(tokens.train) + len(tokens.validation) == len(text())
    assert tokens.vocabulary == tuple(sorted(set(text())))
    for block in range(len(text()) // 2000):
        part, place = (tokens.validation, block // 10) if block % 10 == 9 else (tokens.train, block - block // 10)
        assert decoded(part[place * 2000 : (place + 1) * 2000], tokens.vocabulary) == text()[block * 2000 :][:2000]


def test_words():
    """Those of the text, in their order, and the most frequent of them."""
    tokens, all_of_them = corpus.words(50), corpus.words(2900)
    counts = np.bincount(np.concatenate(tokens[:2]))
    assert tokens.vocabulary[:3] == ("the", "a", "of")
    assert len(counts) == 50
    assert (np.diff(counts) <= 0).all()
    known = set(tokens.vocabulary)
    found = [word for word in map(all_of_them.vocabulary.__getitem__, all_of_them.train[:300]) if word in known]
    assert [tokens.vocabulary[token] for token in tokens.train[: len(found)]] == found
    assert counts[0] == len(re.findall(r"\bthe\b", re.sub("[0-9_]", " ", text().lower())))
    with pytest.raises(ValueError, match=r"vocabulary must be at most the \d+ words of the text, got 9999"):
        corpus.words(9999)
    with pytest.raises(ValueError, match="words: vocabulary must be"):
        corpus.words(0)


def test_words_are_distributed_by_zipfs_law():
    """A word's frequency falls as a power of its rank, whose exponent is near 1: a straight line in logarithms."""
    counts = np.bincount(corpus.words().train)
    rank, frequency = np.log(np.arange(1, 1001)), np.log(np.sort(counts)[::-1])
    slope = np.polyfit(rank, frequency, 1)[0]
    assert -1.3 < slope < -0.9
    assert np.corrcoef(rank, frequency)[0, 1] < -0.98


def test_groups_hold_as_many_occurrences():
    assert frequency_groups(np.array([1, 50, 2, 25, 22]), 2).tolist() == [1, 0, 1, 1, 1]
    assert frequency_groups(np.array([1, 1, 1, 1]), 2).tolist() == [0, 0, 1, 1]
    assert frequency_groups(np.array([5, 0]), 3).tolist() == [1, 2]
    counts = np.bincount(corpus.words().train)
    group = frequency_groups(counts, 10)
    held = np.bincount(group, counts) / counts.sum()
    # A group ends within half of the word in which its border falls, and that word is in it or the next.
    borders = [counts[group == k].max() / counts.sum() for k in range(10)]
    assert (np.abs(held - 0.1) <= borders).all()
    assert (np.diff(np.bincount(group)) > 0).all()
    with pytest.raises(ValueError, match="frequency_groups: groups must be"):
        frequency_groups(counts, 0)


def test_means_by_group():
    means = mean_by_group(np.array([1.0, 2.0, 6.0]), np.array([0, 2, 0]), np.array([1, 0, 0, 2]))
    np.testing.assert_array_equal(means, [2.0, 3.5, np.nan])
