"""The text that language models are trained on: the book's own prose, as it was on one day.

    python -m lib.experiments.corpus

writes ``results/corpus.txt.xz``: the paragraphs, headings and lists of the chapters, in the order of the book, without
tables, equations that stand alone, and directives, and of their characters those of ASCII. What was trained on it stays
reproducible while the book goes on changing: the file is stored, and is only written where there is none.
"""

import functools
import json
import lzma
import re
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lib.checks import COUNT, check_range
from lib.machine import ROOT

PATH = ROOT / "results" / "corpus.txt.xz"


def prose(notebook: dict) -> str:
    """The paragraphs of the Markdown cells that begin like text, in ASCII, a blank line between them."""
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
    paragraphs = [part.strip() for cell in cells for part in re.split(r"\n\s*\n", cell)]
    return "\n\n".join(it for it in paragraphs if re.match(r'[\w"*#-]', it)).encode("ascii", "ignore").decode()


def write(path: Path = PATH, root: Path = ROOT) -> None:
    """Store the prose of the chapters, in the order of the table of contents.

    Raises:
        FileExistsError: there is a text, on which records hang.
    """
    import yaml

    if path.exists():
        raise FileExistsError(
            f"{path} is there, and records hang on it. To make another, delete it, and train what hangs on it anew."
        )
    contents = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    chapters = [root / f"{chapter['file']}.ipynb" for part in contents["parts"] for chapter in part["chapters"]]
    text = "\n\n".join(prose(json.loads(it.read_text(encoding="utf-8"))) for it in chapters if it.exists())
    path.write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))


@functools.cache
def text() -> str:
    """The stored text."""
    return lzma.decompress(PATH.read_bytes()).decode()


class Tokens(NamedTuple):
    """A text as numbers: ``train`` and ``validation``, int64, each a place in ``vocabulary``, a tuple of strings."""

    train: np.ndarray
    validation: np.ndarray
    vocabulary: tuple[str, ...]


def characters() -> Tokens:
    """The stored text, character by character; the vocabulary is in the order of their codes."""
    vocabulary = tuple(sorted(set(text())))
    return Tokens(*_apart(_numbers(text(), vocabulary), block=2000), vocabulary)


def words(vocabulary: int = 1000) -> Tokens:
    """The words of the stored text, in small letters, without what stands between them; the vocabulary is of the most
    frequent ones, those first, and all others are left out.

    Raises:
        ValueError: the text has fewer words than ``vocabulary``, or that is no whole number >= 1.
    """
    size = check_range(COUNT, "vocabulary", vocabulary, "words")
    found = re.findall(r"[a-z]+(?:'[a-z]+)?", text().lower())
    names, counts = np.unique(found, return_counts=True)
    if size > len(names):
        raise ValueError(f"words: vocabulary must be at most the {len(names)} words of the text, got {size}.")
    kept = tuple(names[np.argsort(-counts, kind="stable")][:size].tolist())
    known = set(kept)
    return Tokens(*_apart(_numbers([it for it in found if it in known], kept), block=400), kept)


def decoded(tokens, vocabulary) -> str:
    """The text of characters that are given by their places in the vocabulary."""
    return "".join(vocabulary[token] for token in tokens)


def _numbers(tokens, vocabulary):
    place = {token: i for i, token in enumerate(vocabulary)}
    return np.array([place[token] for token in tokens])


def _apart(tokens, block):
    """Every tenth block is for validation: a tenth of each chapter."""
    kept = np.arange(len(tokens)) // block % 10 == 9
    return tokens[~kept], tokens[kept]


def frequency_groups(counts: np.ndarray, groups: int) -> np.ndarray:
    """The group of each token, from 0, the most frequent, to ``groups`` - 1, the rarest: about as many occurrences fall
    into each group, so that the first holds few tokens, and the last very many.

    Args:
        counts: (vocabulary,), how often each token occurs.
        groups: how many.

    Returns:
        int64 (vocabulary,). A token belongs where the middle of its occurrences lies, if all are laid out by frequency.

    Source: Kunstner et al. 2024, arXiv 2402.19449, section 2, where ten groups hold a tenth of the data each.
    """
    groups = check_range(COUNT, "groups", groups, "frequency_groups")
    order = np.argsort(-counts, kind="stable")
    middle = np.cumsum(counts[order]) - counts[order] / 2
    found = np.empty(len(counts), dtype=int)
    found[order] = np.minimum(groups * middle / counts.sum(), groups - 1)
    return found


def mean_by_group(values: np.ndarray, tokens: np.ndarray, group: np.ndarray) -> np.ndarray:
    """The mean, for each group of tokens, of the values (n,) that stand at ``tokens`` (n,); nan for one that is empty.

    Args:
        group: (vocabulary,), as `frequency_groups` gives it.
    """
    size = group.max() + 1
    with np.errstate(invalid="ignore"):
        return np.bincount(group[tokens], values, size) / np.bincount(group[tokens], minlength=size)


if __name__ == "__main__":
    try:
        write()
    except FileExistsError as error:
        sys.exit(str(error))
