"""Folding into tables: any batches give the same rows and versions, and each event is folded once."""

from collections.abc import Sequence
from typing import Any, Self

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from leftfold.errors import ProjectionFailed
from leftfold.model.message import Event
from leftfold.model.record import StoredColumns
from leftfold.query import ReadModel, ReadModelDefinition
from leftfold.query.batch_fold import Row, RowCache
from leftfold.query.parking import ParkedKey
from leftfold.query.progress import CheckpointMoved
from leftfold.query.tables.checkpoints import begin_again, find
from leftfold.query.tables.keyed_target import KeyedTarget
from leftfold.query.tables.model_table import ModelTable
from leftfold.query.tables.parked import StoredParkedEvents
from leftfold.query.tables.projector import Projector
from leftfold.query.tables.selection import Selection
from leftfold.store import Batch, MemoryStore, StoredEvent
from leftfold.testing.rows import UnstoredLog
from tests.patience import examples
from tests.query.bank import (
    AccountId,
    Audited,
    Balance,
    Closed,
    Deposited,
    Opened,
    Transferred,
    Turnover,
    folded,
    registry_of,
    sorted_rows,
)
from tests.query.places import place, present_place, url

__all__ = ["place", "url"]

REGISTRY = registry_of()

accounts = st.sampled_from("abcd")
amounts = st.integers(0, 3)
histories = st.lists(
    st.one_of(
        st.builds(Opened, accounts),
        st.builds(Deposited, accounts, amounts),
        st.builds(Transferred, accounts, accounts, amounts),
        st.builds(Closed, accounts),
        st.builds(Audited, accounts),
    ),
    max_size=40,
)


class Kept:
    """One read model's tables, to be folded into and looked at."""

    def __init__(
        self, model: type[ReadModel], *, history: bool = False, shards: int = 1, url: str | None = None
    ) -> None:
        self.table = ModelTable(ReadModelDefinition(model, history=history, shards=shards))
        self.database = present_place().database(url)
        with self.database.writing() as connection:
            begin_again(connection, self.table, "log")

    def projector(self) -> Projector:
        with self.database.writing() as connection:
            checkpoint = find(connection, self.table)
        assert checkpoint is not None
        target = KeyedTarget(
            self.table, UnstoredLog(MemoryStore(), REGISTRY), self.database.dialect, history=self.table.history
        )
        return Projector(target, self.database, checkpoint)

    def rows(self, as_of: int | None = None) -> list[Any]:
        source = self.table.current if as_of is None else self.table.as_of(as_of)
        with self.database.reading() as connection:
            return sorted_rows(Selection(self.table, source, connection).select(None, {}, (), None, 0))

    def parked(self) -> list[ParkedKey]:
        with self.database.reading() as connection:
            return StoredParkedEvents(self.table.definition).all(connection)

    def queue(self, key: tuple[Any, ...]) -> list[int]:
        with self.database.reading() as connection:
            return StoredParkedEvents(self.table.definition).positions(connection, key, 1_000)

    def versions(self) -> list[Any]:
        assert self.table.versions is not None
        with self.database.reading() as connection:
            return sorted_rows(tuple(row) for row in connection.execute(sa.select(self.table.versions)))


def stored(events: Sequence[Event]) -> list[StoredEvent]:
    records = [REGISTRY.encode(event, b"{}") for event in events]
    return [
        StoredEvent(position, 0, record.type, record.version, record.data, b"{}", record.tags)
        for position, record in enumerate(records, 1)
    ]


def fold_in_batches(kept: Kept, events: Sequence[Event], ends: set[int], forget: bool = False) -> None:
    log, after, projector = stored(events), 0, kept.projector()
    for end in [*sorted(end for end in ends if 0 < end < len(log)), len(log)]:
        projector.step(Batch(log[after:end], end))
        after = end
        if forget:
            projector.reload()


@settings(deadline=None, max_examples=examples(60))
@given(histories, st.sets(st.integers(1, 40)), st.booleans())
def test_any_batches_give_the_rows_of_the_plain_fold(events: list[Event], ends: set[int], forget: bool) -> None:
    for model in (Balance, Turnover):
        kept = Kept(model)

        fold_in_batches(kept, events, ends, forget)

        assert kept.rows() == sorted_rows(folded(model, events).values())


def in_columns(events: Sequence[StoredEvent]) -> StoredColumns:
    """Return events as a store returns them that reads nothing but their data."""
    forms = [(event.type, event.version) for event in events]
    return StoredColumns([event.position for event in events], forms, b"\n".join(event.data for event in events))


@settings(deadline=None, max_examples=examples(60))
@given(histories, st.sets(st.integers(1, 40)))
def test_events_in_columns_give_the_rows_and_versions_of_whole_records(events: list[Event], ends: set[int]) -> None:
    log = stored(events)
    for model in (Balance, Turnover):
        whole, columns = Kept(model, history=True), Kept(model, history=True)
        fold_in_batches(whole, events, ends)

        after, projector = 0, columns.projector()
        for end in [*sorted(end for end in ends if 0 < end < len(log)), len(log)]:
            projector.step(Batch(in_columns(log[max(after - 2, 0) : end]), end))  # two that are folded already
            after = end

        assert (columns.rows(), columns.versions()) == (whole.rows(), whole.versions())


@settings(deadline=None, max_examples=examples(60))
@given(histories, st.sets(st.integers(1, 40)), st.booleans())
def test_any_batches_keep_the_same_versions(events: list[Event], ends: set[int], forget: bool) -> None:
    for model in (Balance, Turnover):
        at_once, in_batches = Kept(model, history=True), Kept(model, history=True)

        fold_in_batches(at_once, events, set())
        fold_in_batches(in_batches, events, ends, forget)

        assert in_batches.versions() == at_once.versions()
        assert in_batches.rows() == at_once.rows()


@settings(deadline=None, max_examples=examples(60))
@given(histories, st.sets(st.integers(1, 40)))
def test_the_versions_as_of_each_position_are_the_rows_after_folding_exactly_so_far(
    events: list[Event], ends: set[int]
) -> None:
    for model in (Balance, Turnover):
        kept = Kept(model, history=True)

        fold_in_batches(kept, events, ends)

        for position in range(len(events) + 1):
            assert kept.rows(as_of=position) == sorted_rows(folded(model, events, position).values()), position


def test_every_version_within_a_batch_is_kept() -> None:
    kept = Kept(Balance, history=True)

    fold_in_batches(kept, [Opened("a"), Deposited("a", 5), Deposited("a", 0), Closed("a"), Opened("a", "bob")], set())

    assert kept.versions() == [("a", "ann", 0, 1, 1, 2), ("a", "ann", 5, 2, 2, 4), ("a", "bob", 0, 1, 5, None)]


def test_more_rows_than_one_statement_takes_are_written_and_read_back() -> None:
    events = [Opened(f"{n}") for n in range(1_000)] + [Deposited(f"{n}", n) for n in range(1_000)]
    kept = Kept(Balance, history=True)

    fold_in_batches(kept, events, {600, 1_500}, forget=True)

    assert kept.rows() == sorted_rows(folded(Balance, events).values())
    assert len(kept.versions()) == 2_000 - 1


class Enrolment(ReadModel):
    """Keyed by two parts, and nothing but a key."""

    source: AccountId
    target: AccountId

    def evolve(self, event: Transferred) -> Self | None:
        return self if event.amount else None


def test_a_key_of_two_parts_and_no_other_fields() -> None:
    events = [Transferred("a", f"{n}", 1) for n in range(300)] + [Transferred("a", "7", 0), Transferred("a", "8", 2)]
    kept = Kept(Enrolment)

    fold_in_batches(kept, events, {100, 300}, forget=True)

    assert kept.rows() == sorted_rows(folded(Enrolment, events).values())
    assert len(kept.rows()) == 299


def test_of_two_that_fold_the_same_events_one_writes(url: str) -> None:
    kept = Kept(Balance, url=url)
    first, second = kept.projector(), kept.projector()
    log = stored([Opened("a"), Deposited("a", 5), Deposited("a", 5)])
    first.step(Batch(log[:2], 2))

    with pytest.raises(CheckpointMoved):
        second.step(Batch(log, 3))
    second.reload()
    assert second.position == 2
    second.step(Batch(log[2:], 3))

    with pytest.raises(CheckpointMoved):
        first.step(Batch(log[2:], 3))
    assert kept.rows() == [Balance("a", "ann", 10, 3)]


def test_rows_remembered_from_before_another_process_wrote_are_forgotten(url: str) -> None:
    kept = Kept(Balance, url=url)
    first, second = kept.projector(), kept.projector()
    log = stored([Opened("a"), Deposited("a", 5), Deposited("a", 5)])
    first.step(Batch(log[:1], 1))
    second.reload()
    second.step(Batch(log[1:2], 2))

    first.reload()
    first.step(Batch(log[2:], 3))

    assert kept.rows() == [Balance("a", "ann", 10, 3)]


def test_a_table_that_was_begun_anew_at_the_same_position_is_noticed(url: str) -> None:
    kept = Kept(Balance, url=url)
    projector = kept.projector()
    projector.step(Batch((), 1))
    with kept.database.writing() as connection:
        begin_again(connection, kept.table, "log")
    kept.projector().step(Batch((), 1))

    with pytest.raises(CheckpointMoved):
        projector.step(Batch(stored([Opened("a"), Opened("b")])[1:], 2))


def test_other_code_that_rebuilt_the_table_stops_the_model(url: str) -> None:
    projector = Kept(Balance, url=url).projector()
    Kept(Balance, history=True, url=url)

    with pytest.raises(CheckpointMoved):
        projector.step(Batch((), 1))
    with pytest.raises(ProjectionFailed, match="another version of the app has rebuilt its table"):
        projector.reload()


class Strict(ReadModel):
    """Refuses one deposit."""

    account: AccountId
    amount: int = 0

    def evolve(self, event: Deposited | Transferred) -> Self | None:
        if event.amount == 13:
            raise ValueError("13 is bad luck")
        return type(self)(self.account, self.amount + event.amount)


@pytest.mark.parametrize("before", [0, 1, 300])
def test_an_event_that_cannot_be_folded_leaves_its_rows_as_they_were_just_before(before: int) -> None:
    kept = Kept(Strict)
    log = stored([*[Deposited("a", 1)] * before, Transferred("a", "b", 13), Deposited("a", 1), Deposited("c", 1)])

    kept.projector().step(Batch(log, len(log)))

    assert kept.rows() == ([Strict("a", before)] if before else []) + [Strict("c", 1)]
    assert kept.parked() == [
        ParkedKey("Strict", "strict", ("a",), before + 1, "ValueError: 13 is bad luck", 2),
        ParkedKey("Strict", "strict", ("b",), before + 1, "ValueError: 13 is bad luck", 1),
    ]


class Wrong(ReadModel):
    """Evolves into what it must not be."""

    account: AccountId

    def evolve(self, event: Deposited) -> Self:
        return type(self)("other") if event.amount else "nonsense"  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("amount", "problem"),
    [
        (1, "ValueError: evolve changed the key ('a',) to ('other',) for Deposited"),
        (0, "TypeError: evolve returned 'nonsense' for Deposited"),
    ],
)
def test_what_is_no_row_of_the_key_parks_it(amount: int, problem: str) -> None:
    kept = Kept(Wrong)

    kept.projector().step(Batch(stored([Deposited("a", amount)]), 1))

    assert [(parked.position, parked.problem) for parked in kept.parked()] == [(1, problem)]


def test_the_cache_forgets_rows_that_were_not_used_for_long() -> None:
    cache = RowCache(size=2)
    for name in "abc":
        cache.keep({(name,): Row(name, 0)})
    known, missing = cache.among([("a",), ("b",), ("c",), ("d",)])
    assert (sorted(known), missing) == ([("a",), ("b",), ("c",)], [("d",)])

    cache.keep({("b",): known["b",]})
    for name in "def":
        cache.keep({(name,): Row(name, 0)})

    assert cache.among([("a",), ("b",), ("f",)])[1] == [("a",)]


def test_the_cache_forgets_rows_that_take_too_much_memory() -> None:
    cache = RowCache(most_bytes=1_000_000)
    for number in range(200):
        cache.keep({(f"{number}-{each}",): Row("x" * 1_000, 0) for each in range(100)})

    known, _ = cache.among((f"{number}-{each}",) for number in range(200) for each in range(100))
    assert 500 < len(known) < 2_500
