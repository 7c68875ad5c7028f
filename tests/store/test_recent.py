"""What the writer knows of the newest stretch of its log."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from leftfold import AppendCondition, Criteria, CriteriaItem, NewEvent, StoredEvent, open_store
from leftfold.errors import Conflict, StoreReadOnly
from leftfold.store.recent_tags import DEFERRED_EVENTS, MAX_DEFERRED_TAGS, RecentTags
from leftfold.store.sqlite.store import SQLiteStore

ANN = CriteriaItem(tags=["owner:ann"])
OPENED = CriteriaItem(types=["opened"])


def events(first: int, *tags: str, type: str = "opened") -> Sequence[StoredEvent]:
    return [StoredEvent(first + index, 0, type, 1, b"{}", b"{}", (tag,)) for index, tag in enumerate(tags)]


def committed(recent: RecentTags, *new: StoredEvent, head: int = 0) -> RecentTags:
    recent.begin(head)
    recent.add(head + 1, new)
    recent.done(head + len(new))
    return recent


def test_a_tag_that_was_last_seen_before_is_excluded() -> None:
    recent = committed(RecentTags(), *events(1, "owner:ann", "owner:bob"))

    assert recent.excludes(ANN, after=1)
    assert not recent.excludes(ANN, after=0)


def test_a_type_that_was_last_seen_before_is_excluded_and_all_types_must_be() -> None:
    recent = committed(RecentTags(), *events(1, "owner:ann"), *events(2, "owner:ann", type="closed"))

    assert recent.excludes(OPENED, after=1)
    assert not recent.excludes(CriteriaItem(types=["opened", "closed"]), after=1)


def test_of_many_events_at_once_it_knows_where_each_tag_and_type_was_last() -> None:
    many = events(1, *[f"owner:{number}" for number in range(DEFERRED_EVENTS)])
    recent = committed(RecentTags(), *many, *events(DEFERRED_EVENTS + 1, "owner:3", type="closed"))

    assert not recent.excludes(CriteriaItem(tags=["owner:3"]), after=DEFERRED_EVENTS)
    assert not recent.excludes(CriteriaItem(tags=["owner:5"]), after=5)
    assert recent.excludes(CriteriaItem(tags=["owner:5"]), after=6)
    assert recent.excludes(OPENED, after=DEFERRED_EVENTS)


def test_an_event_after_many_at_once_is_the_newest_with_its_tag() -> None:
    recent = committed(RecentTags(), *events(1, *["owner:ann"] * DEFERRED_EVENTS))

    recent.begin(DEFERRED_EVENTS)
    recent.add(DEFERRED_EVENTS + 1, events(DEFERRED_EVENTS + 1, "owner:ann"))

    assert not recent.excludes(ANN, after=DEFERRED_EVENTS)
    assert recent.excludes(ANN, after=DEFERRED_EVENTS + 1)


def test_many_events_at_once_are_let_go_as_single_ones_are() -> None:
    recent = RecentTags(tags=DEFERRED_EVENTS)
    for first in (1, 1 + DEFERRED_EVENTS, 1 + 2 * DEFERRED_EVENTS, 1 + 3 * DEFERRED_EVENTS):
        recent.begin(first - 1)
        recent.add(first, events(first, *[f"owner:{number}" for number in range(first, first + DEFERRED_EVENTS)]))
        recent.done(first - 1 + DEFERRED_EVENTS)

    assert not recent.excludes(ANN, after=0)
    assert recent.excludes(ANN, after=3 * DEFERRED_EVENTS)


def test_bulk_appends_in_a_row_put_no_more_aside_than_somebody_can_wait_for() -> None:
    recent, head = RecentTags(), 0
    while head < 10 * MAX_DEFERRED_TAGS:
        recent.begin(head)
        recent.add(head + 1, events(head + 1, *[f"owner:{number}" for number in range(head, head + 1_000)]))
        head += 1_000
        recent.done(head)

    assert recent._young.deferred + recent._old.deferred <= 2 * (MAX_DEFERRED_TAGS + 1_000)
    assert recent.excludes(CriteriaItem(tags=["owner:0"]), after=head - 1)
    assert not recent.excludes(CriteriaItem(tags=["owner:0"]), after=0)
    assert recent._young.deferred + recent._old.deferred == 0


def test_an_item_without_types_and_tags_is_never_excluded() -> None:
    assert not committed(RecentTags(), *events(1, "owner:ann")).excludes(CriteriaItem(), after=0)


def test_nothing_is_known_of_what_lies_before_the_first_commit() -> None:
    recent = committed(RecentTags(), *events(8, "owner:bob"), head=7)

    assert recent.excludes(ANN, after=7)
    assert not recent.excludes(ANN, after=6)


def test_a_commit_of_another_process_makes_it_forget() -> None:
    recent = committed(RecentTags(), *events(1, "owner:bob"))

    recent.begin(5)

    assert not recent.excludes(ANN, after=4)
    assert recent.excludes(ANN, after=5)


def test_a_commit_that_failed_makes_it_forget_whatever_follows() -> None:
    recent = committed(RecentTags(), *events(1, "owner:bob"))

    recent.begin(1)
    recent.add(2, events(2, "owner:bob"))
    recent.begin(2)  # another process wrote as many events as were lost

    assert not recent.excludes(ANN, after=1)


def test_the_longest_unseen_tags_are_let_go_and_no_longer_excluded() -> None:
    recent = committed(RecentTags(tags=2), *events(1, "owner:ann", "owner:bob", "owner:cid"))

    assert recent.excludes(CriteriaItem(tags=["owner:dan"]), after=1)
    assert not recent.excludes(ANN, after=0)


async def test_a_condition_sees_what_another_process_wrote_between_two_commits(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'log.db'}"
    async with open_store(url) as ours, open_store(url) as theirs:
        await ours.append([NewEvent("opened", b"{}", ("owner:bob",))])
        await theirs.append([NewEvent("opened", b"{}", ("owner:ann",))])

        with pytest.raises(Conflict):
            await ours.append([NewEvent("x", b"{}")], condition=AppendCondition(Criteria(ANN), 1))


async def test_a_condition_sees_what_another_process_wrote_in_place_of_a_failed_commit(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'log.db'}"
    async with open_store(url) as ours, open_store(url) as theirs:
        assert isinstance(ours, SQLiteStore)
        await ours.append([NewEvent("opened", b"{}", ("owner:bob",))])
        ours._writer.execute("PRAGMA query_only = ON")
        with pytest.raises(StoreReadOnly):
            await ours.append([NewEvent("opened", b"{}", ("owner:bob",))])
        ours._writer.execute("PRAGMA query_only = OFF")
        await theirs.append([NewEvent("opened", b"{}", ("owner:ann",))])

        with pytest.raises(Conflict):
            await ours.append([NewEvent("x", b"{}")], condition=AppendCondition(Criteria(ANN), 1))
