"""Read models in shards: however they are split, batched, interrupted and taken over, the rows are the same."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leftfold.errors import InvalidModel, InvalidProjection
from leftfold.model.message import Event
from leftfold.model.registry import Registry
from leftfold.query import ReadModel, ReadModelDefinition, SqlProjection
from leftfold.query.progress import CheckpointMoved
from leftfold.query.shard import Shard, shards_of
from leftfold.query.tables.checkpoints import disturb_all, find_shards
from leftfold.query.tables.keyed_target import KeyedTarget
from leftfold.query.tables.projector import Projector
from leftfold.store import Batch, MemoryStore, StoredEvent
from leftfold.testing.rows import UnstoredLog
from tests.patience import examples
from tests.query.bank import Balance, Deposited, Opened, Transferred, Turnover, folded, sorted_rows
from tests.query.places import place, url
from tests.query.sql_bank import total, totals
from tests.query.test_folding import REGISTRY, Enrolment, Kept, fold_in_batches, histories, stored

__all__ = ["place", "url"]


class Killed(BaseException):
    """Ends a process in the middle of a batch."""


class MortalRegistry(Registry):
    """Ends the process at the event of one position."""

    fatal = 0

    def decode(self, stored: StoredEvent) -> Any:
        if stored.position == self.fatal:
            raise Killed
        return super().decode(stored)


class Act(NamedTuple):
    """What happens to one shard next: a batch of so many events, and how the process that folds it fares."""

    shard: int
    size: int
    how: Literal["goes on", "ends after it", "is killed in it", "is replaced, and wakes up"]


acts = st.lists(
    st.builds(
        Act,
        st.integers(0, 4),
        st.integers(1, 7),
        st.sampled_from(["goes on", "ends after it", "is killed in it", "is replaced, and wakes up"]),
    ),
    max_size=40,
)


class Split(Kept):
    """One read model's tables in shards, each with whoever folds it at present."""

    def __init__(self, model: type[ReadModel], count: int, *, history: bool = False, url: str | None = None) -> None:
        super().__init__(model, history=history, shards=count, url=url)
        self.shards = shards_of(self.table.definition)
        self._projectors: dict[Shard, Projector] = {}
        self._registry = MortalRegistry()
        for event in REGISTRY.types:
            self._registry.add(event.owner)

    def projector(self, shard: Shard) -> Projector:
        """Whoever folds a shard; another process if the former one has ended."""
        if shard not in self._projectors:
            with self.database.writing() as connection:
                found = {each.model: each for each in find_shards(connection, self.table.stem)}[shard.checkpoint]
            table, dialect = self.table, self.database.dialect
            log = UnstoredLog(MemoryStore(), self._registry)
            target = KeyedTarget(table, log, dialect, history=table.history, owns=shard.owns)
            self._projectors[shard] = Projector(target, self.database, found)
        return self._projectors[shard]

    def replaced(self, shard: Shard) -> Projector:
        """Let another process take a shard over; the former one, which does not know it."""
        former = self.projector(shard)
        with self.database.writing() as connection:
            disturb_all(connection, shard)
        del self._projectors[shard]
        return former

    def act(self, act: Act, log: Sequence[StoredEvent]) -> None:
        shard = self.shards[act.shard % len(self.shards)]
        after = self.projector(shard).position
        events = log[after : after + act.size]
        if not events:
            return
        batch = Batch(events, events[-1].position)
        if act.how == "is replaced, and wakes up":
            former = self.replaced(shard)
            with pytest.raises(CheckpointMoved):
                former.step(batch)
        elif act.how == "is killed in it":
            self._registry.fatal = events[len(events) // 2].position
            with pytest.raises(Killed):
                self.projector(shard).step(batch)
            self._registry.fatal = 0
            del self._projectors[shard]
            assert self.projector(shard).position == after
            return
        self.projector(shard).step(batch)
        if act.how == "ends after it":
            del self._projectors[shard]

    def finish(self, log: Sequence[StoredEvent]) -> None:
        for shard in reversed(self.shards):
            projector = self.projector(shard)
            projector.step(Batch(log[projector.position :], len(log)))


@settings(deadline=None, max_examples=examples(50))
@given(histories, st.integers(1, 5), acts)
def test_neither_shards_nor_batches_nor_crashes_nor_the_order_of_workers_change_the_rows(
    events: list[Event], count: int, acts: list[Act]
) -> None:
    split, log = Split(Balance, count), stored(events)

    for act in acts:
        split.act(act, log)
    split.finish(log)

    assert split.rows() == sorted_rows(folded(Balance, events).values())


@settings(deadline=None, max_examples=examples(50))
@given(histories, st.integers(1, 5), acts)
def test_nor_do_they_change_the_versions_of_rows(events: list[Event], count: int, acts: list[Act]) -> None:
    split, whole, log = Split(Balance, count, history=True), Kept(Balance, history=True), stored(events)
    fold_in_batches(whole, events, set())

    for act in acts:
        split.act(act, log)
    split.finish(log)

    assert split.versions() == whole.versions()
    assert split.rows() == whole.rows()


@settings(deadline=None, max_examples=examples(20))
@given(histories, st.integers(1, 5), acts)
def test_keys_of_two_parts_are_split_too(events: list[Event], count: int, acts: list[Act]) -> None:
    split, log = Split(Enrolment, count), stored(events)

    for act in acts:
        split.act(act, log)
    split.finish(log)

    assert split.rows() == sorted_rows(folded(Enrolment, events).values())


def test_an_event_of_two_keys_is_folded_by_the_shard_of_each() -> None:
    split = Split(Balance, 2)
    first, second = (next(key for key in "abcdef" if shard.owns and shard.owns((key,))) for shard in split.shards)
    log = stored([Opened(first), Opened(second), Transferred(first, second, 5)])

    split.projector(split.shards[0]).step(Batch(log, 3))
    halfway = split.rows()
    split.projector(split.shards[1]).step(Batch(log, 3))

    assert halfway == [Balance(first, "ann", -5, 2)]
    assert split.rows() == sorted_rows([Balance(first, "ann", -5, 2), Balance(second, "ann", 5, 2)])


# --- which key is whose


def test_the_shard_of_a_key_is_the_same_in_every_release() -> None:
    shards = shards_of(ReadModelDefinition(Balance, shards=4))

    found = {key: next(shard.number for shard in shards if shard.owns and shard.owns((key,))) for key in "abcdefgh"}

    assert found == {"a": 1, "b": 2, "c": 3, "d": 4, "e": 1, "f": 2, "g": 3, "h": 4}


def test_keys_are_spread_evenly() -> None:
    shards = shards_of(ReadModelDefinition(Balance, shards=5))
    keys = [f"account-{number}" for number in range(10_000)]

    found = Counter(shard.number for key in keys for shard in shards if shard.owns and shard.owns((key,)))

    assert sum(found.values()) == len(keys)
    assert all(1_800 < count < 2_200 for count in found.values())


def test_a_model_that_is_not_split_keeps_its_names() -> None:
    definition = ReadModelDefinition(Balance, version=3)

    [shard] = shards_of(definition)

    assert (shard.checkpoint, shard.lease, shard.owns) == ("balance", "projection balance v3", None)


def test_shards_have_numbers_in_their_names() -> None:
    second = shards_of(ReadModelDefinition(Balance, shards=4))[1]

    assert (second.checkpoint, second.lease) == ("balance#2/4", "projection balance v1 shard 2/4")
    assert repr(second) == "<Shard 2/4 of Balance>"


@pytest.mark.parametrize("shards", [0, -1, 65, 2.0, True])
def test_a_number_of_shards_that_is_none_is_refused(shards: Any) -> None:
    with pytest.raises(InvalidModel, match=r"(?s)Balance has shards=.*a whole number from 1 to 64"):
        ReadModelDefinition(Balance, shards=shards)


def test_a_model_of_one_row_cannot_be_split() -> None:
    with pytest.raises(InvalidModel, match="Turnover has shards=2 and no key"):
        ReadModelDefinition(Turnover, shards=2)


def test_a_projection_must_not_be_named_like_a_shard() -> None:
    with pytest.raises(InvalidProjection, match="its name ends like the name of a shard"):
        SqlProjection(total, "balance#2/4", [totals])

    assert SqlProjection(total, "list #2", [totals]).name == "list #2"


def test_the_number_of_shards_is_no_other_code() -> None:
    assert ReadModelDefinition(Balance).fingerprint() == ReadModelDefinition(Balance, shards=4).fingerprint()


# --- parked keys


def test_a_key_is_parked_in_its_shard_alone(url: str) -> None:
    class Strict(Balance):
        def evolve(self, event: Opened | Deposited) -> Any:
            if isinstance(event, Deposited) and event.amount < 0:
                raise ValueError("less than nothing")
            return super().evolve(event)

    split = Split(Strict, 3, url=url)
    log = stored([Opened("a"), Opened("b"), Opened("c"), Deposited("b", -1), Deposited("b", 2), Deposited("c", 3)])

    split.finish(log)

    assert split.rows() == [Strict("a", "ann", 0, 1), Strict("b", "ann", 0, 1), Strict("c", "ann", 3, 2)]
    assert [(parked.key, parked.position, parked.queued) for parked in split.parked()] == [(("b",), 4, 2)]
