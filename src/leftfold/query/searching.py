"""Full-text search: the words that it looks for, and what it finds."""

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar

import msgspec

from leftfold.query.read_model import ReadModel

M = TypeVar("M", bound=ReadModel)
WORD = re.compile(r"[^\W_]+")
WORDS_BEFORE, WORDS_IN_ALL = 6, 24  # of a snippet
MOST_WORDS = 64


class Found(msgspec.Struct, Generic[M], frozen=True):
    """A row that a search has found; the higher its score, the better it fits.

    `snippet` is the part of its text around the first word that was found, and `matches` says from which character to
    which such words stand in it. Scores can be compared within one answer only.
    """

    row: M
    score: float
    snippet: str
    matches: tuple[tuple[int, int], ...]


class _Word(NamedTuple):
    start: int
    end: int
    text: str


def words_of(text: str) -> list[str]:
    """Return the words of a text, each once, whatever stands between them; at most 64."""
    return list(dict.fromkeys(word.text for word in _words(text)))[:MOST_WORDS]


def snippet_of(texts: Sequence[str], words: Collection[str]) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Return the part of the first text with one of the words, and where they stand in it."""
    for text in texts:
        found = list(_words(text))
        first = next((at for at, word in enumerate(found) if word.text in words), None)
        if first is not None:
            begin = max(first - WORDS_BEFORE, 0)
            return _cut(text, found[begin : begin + WORDS_IN_ALL], words, begin > 0, len(found) - begin > WORDS_IN_ALL)
    return "", ()


def _cut(
    text: str, shown: Sequence[_Word], words: Collection[str], after_others: bool, before_others: bool
) -> tuple[str, tuple[tuple[int, int], ...]]:
    start = shown[0].start if after_others else 0
    end = shown[-1].end if before_others else len(text)
    lead = "…" if after_others else ""
    shift = len(lead) - start
    matches = tuple((word.start + shift, word.end + shift) for word in shown if word.text in words)
    return f"{lead}{text[start:end]}{'…' if before_others else ''}", matches


def _words(text: str) -> Iterator[_Word]:
    for found in WORD.finditer(text):
        yield _Word(found.start(), found.end(), found[0].lower())
