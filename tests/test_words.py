"""Words: one name for one thing, the field's own, and plain English wherever people read."""

import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CODE = sorted(path for folder in ("src", "packages") for path in (ROOT / folder).rglob("*.py"))
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

# What things were called once, and what they are called: docs/glossary.md says what each means.
FORMER = {
    "Tenure": "WorkerLease",
    "Keeper": "LeaseHolder",
    "LeaseBook": "LeaseStore",
    "SplitStanding": "ShardedProgress",
    "Standing": "ProjectionProgress",
    "Following": "CheckpointWatcher",
    "Observer": "CheckpointWatcher",
    "Beginnings": "NewEntityPredictor",
    "Chains": "CommandQueue",
    "Gathering": "CommandBatch",
    "Link": "WaitingCommand",
    "Working": "StagedStates",
    "Turns": "StateLocks",
    "Settling": "Completing",
    "settle": "complete",
    "Line": "AsyncConnection",
    "Stretch": "ReadCursor",
    "Range": "ReadOptions",
    "Arm": "IndexScan",
    "Room": "BatchBudget",
    "Recent": "RecentTags",
    "Lot": "ParkedEvents",
    "Parking": "ParkedEvents",
    "HeldProjection": "ParkedEvents",
    "FreeProjection": "SqlProjection",
    "Recorded": "EventContext",
    "Moment": "ReadSnapshot",
    "Past": "PastSnapshot",
    "Concern": "KeyedEvents",
    "Unread": "UndecodableEvent",
    "Overtaken": "CheckpointMoved",
    "DecisionContended": "TooManyConflicts",
    "NotKey": "NonKey",
    "Done": "EndProcess",
    "Cancel": "CancelScheduled",
    "Role": "WorkerRole",
    "Terms": "LeaseTerms",
    "Item": "CriteriaItem",
    "TicketSettled": "AlreadyCompleted",
    "TOGETHER": "the name of what it bounds",
    "MANY": "the name of what it bounds",
    "AT_ONCE": "the name of what it bounds",
}
# Phrases that no engineer who speaks English would write.
MARKERS = re.compile(
    r"\b(?:anew|whoever|whomever|whosoever|told of|of whom|to be had|those who|one who|see to it|heard of"
    r"|free-form|kept answers?|thrice)\b",
    re.IGNORECASE,
)


@cache
def names() -> dict[str, list[str]]:
    """Where each name of the code stands."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for path in CODE:
        for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
            if token.type == tokenize.NAME:
                found[token.string].append(f"{path.relative_to(ROOT)}:{token.start[0]}")
    return found


# Pages are for readers who meet the project for the first time, so more words are refused there.
IN_PAGES = re.compile(
    r"\b(?:ones? that|(?:is|are) level|[Ss]omebody|(?:put|set) (?:back|on again)|of ours|NotKey|DecisionContended"
    r"|what waits for)\b"
)
FENCED = re.compile(r"^(`{3,}).*?^\1$", re.MULTILINE | re.DOTALL)


def prose_in(path: Path) -> Iterator[tuple[int, str]]:
    """Docstrings, comments and texts of a module; all lines of a page."""
    if path.suffix == ".md":
        yield from enumerate(path.read_text().splitlines(), 1)
        return
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type in (tokenize.COMMENT, tokenize.STRING):
            yield token.start[0], " ".join(token.string.split())


@pytest.mark.parametrize("former", FORMER)
def test_a_thing_has_its_new_name_alone(former: str) -> None:
    assert names().get(former, []) == [], f"{former} is called {FORMER[former]}"


def test_prose_has_none_of_the_marker_words() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {match[0]}"
        for path in [*CODE, *PAGES]
        if path.name != "CHANGELOG.md"  # it names what was renamed
        for line, text in prose_in(path)
        for match in MARKERS.finditer(text)
    ]

    assert found == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_is_written_in_plain_english(page: Path) -> None:
    if page.name != "CHANGELOG.md":
        assert IN_PAGES.findall(FENCED.sub("", page.read_text(encoding="utf-8"))) == []
