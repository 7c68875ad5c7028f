"""Laws that any model keeps for any list of events: plain functions, to be called from property-based tests.

    @hypothesis.given(strategies.lists(events_of_accounts))
    def test_an_account_keeps_the_laws(events):
        check_laws(Account, events)

Each takes a model class and events, of whichever keys and in whichever order, and raises AssertionError where the model
breaks the law: an `evolve` that changes a state in place, reads a clock, or depends on what is not in the events; a
field that does not come back from its stored form. `app` is needed where upcasters or another codec are to be used.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import product
from typing import Any

from leftfold.app import App
from leftfold.command import DecisionModel
from leftfold.command.states import criteria_of
from leftfold.live import LiveApp
from leftfold.model.fold import Fold, fold_of
from leftfold.model.message import Query
from leftfold.model.metadata import Metadata
from leftfold.model.record import NewEvent, StoredEvent
from leftfold.model.registry import Registry
from leftfold.query import ReadModel, ReadModelDefinition, ReadModels
from leftfold.testing.clock import START, FakeClock
from leftfold.testing.difference import failure
from leftfold.testing.rows import Table, Tables, in_batches
from leftfold.testing.scenario import stored

Key = tuple[Any, ...]
Model = type[DecisionModel] | type[ReadModel]
BATCH_SIZES = (1, 2, 3, 7)


def check_laws(
    model: type[DecisionModel] | type[ReadModel], events: Sequence[object], *, app: App | None = None
) -> None:
    """Check every law that applies to the model."""
    if issubclass(model, ReadModel):
        any_batch_size_gives_the_same_table(model, events, app=app)
    else:
        replay_equals_incremental(model, events, app=app)
        snapshot_and_tail_equal_replay(model, events, app=app)
    as_of_is_the_fold_of_exactly_so_many(model, events, app=app)


def replay_equals_incremental(model: type[DecisionModel], events: Sequence[object], *, app: App | None = None) -> None:
    """A state that was kept up to date event by event is the state that a replay gives, at every event."""
    history = History(model, events, app)
    for key in history.keys:
        concerned = history.of(key)
        states = [history.fold.start(key)]
        for event in concerned:
            states.append(history.fold.step(states[-1], history.registry.decode(event), event))
        for folded, state in enumerate(states):
            replayed = history.replay(key, concerned[:folded])
            _same(f"{history.name(key)} after {folded} events: a replay and the state kept differ", replayed, state)


def snapshot_and_tail_equal_replay(
    model: type[DecisionModel], events: Sequence[object], *, app: App | None = None
) -> None:
    """A state comes back equal from its stored form at every event, and the rest folded on it gives the whole."""
    history = History(model, events, app)
    codec = history.registry.codec
    decode = codec.decoder(model)
    for key in history.keys:
        concerned = history.of(key)
        whole = history.replay(key, concerned)
        for cut in range(len(concerned) + 1):
            before = history.replay(key, concerned[:cut])
            snapshot = decode(codec.encode(before))
            _same(f"{history.name(key)} does not come back from its stored form", before, snapshot)
            after, _ = history.fold.fold(snapshot, concerned[cut:], history.registry)
            _same(f"{history.name(key)}: a snapshot after {cut} events with the rest folded on it", whole, after)


def any_batch_size_gives_the_same_table(
    model: type[ReadModel], events: Sequence[object], *, app: App | None = None, sizes: Iterable[int] = BATCH_SIZES
) -> None:
    """The table's rows are what the events make, however many are folded in one batch. Needs SQLAlchemy."""
    history = History(model, events, app)
    definition = ReadModelDefinition(model)
    expected = _sorted(Table(definition, history.registry, history.log).rows.values())
    for size in {*sizes, max(len(history.log), 1)}:
        with Tables([definition], history.registry) as tables:
            for batch in in_batches(history.log, size):
                tables.fold(batch)
            found = _sorted(tables.ask(lambda models: models.select(model)))
        if found != expected:
            raise failure(f"{definition.name} has other rows when folded in batches of {size}", expected, found)


def as_of_is_the_fold_of_exactly_so_many(model: Model, events: Sequence[object], *, app: App | None = None) -> None:
    """As of position p, a state is the fold of the first p events, and a table holds the rows that they make.

    Asks a live app on a memory store. For read models it needs SQLAlchemy.
    """
    history = History(model, events, app)
    if issubclass(model, ReadModel):
        _run(_check_rows_as_of(model, history))
    else:
        _run(_check_states_as_of(model, history))


class History:
    """Events as a log has them, and one model that is folded from them.

    `keys` are all that can be made of the values that the events carry of the model's tags.
    """

    def __init__(self, model: type, events: Sequence[object], app: App | None) -> None:
        self.fold: Fold = fold_of(model)
        self.registry = app.registry if app is not None else Registry()
        for event in self.fold.events:
            self.registry.add(event.owner)
        self.log = [
            record
            for position, event in enumerate(events)
            for record in stored(self.registry, [event], _time(position), _metadata(position), position)
        ]
        self.keys: list[Key] = list(product(*self._key_values()))

    def of(self, key: Key) -> list[StoredEvent]:
        """Return the events of one key."""
        criteria = self.registry.stored(criteria_of(self.fold, self.fold.start(key)))
        return [event for event in self.log if criteria.matches(event.type, event.tags)]

    def replay(self, key: Key, events: Sequence[StoredEvent]) -> Any:
        """Return the state that these events make."""
        return self.fold.fold(self.fold.start(key), events, self.registry)[0]

    def name(self, key: Key) -> str:
        """Return the model and the key as text for a failure."""
        return f"{self.fold.name}({', '.join(map(repr, key))})"

    def records(self) -> list[NewEvent]:
        """Return the log, to be appended to another."""
        return [
            NewEvent(event.type, event.data, event.tags, event.version, event.metadata, event.time)
            for event in self.log
        ]

    def _key_values(self) -> list[list[Any]]:
        found: list[dict[Any, None]] = [{} for _ in self.fold.key]
        events: list[object] = self.registry.decode_all(self.log)
        for event in events:
            known = self.registry.add(type(event))
            for part, values in zip(self.fold.key, found, strict=True):
                for field in known.fields_tagged(part.tag.name):
                    values.update(dict.fromkeys(field.values(event)))
        return [list(values) for values in found]


def _time(number: int) -> datetime:
    """Return the time of an event: as in a log, some share one."""
    return START + timedelta(hours=number // 2)


def _metadata(number: int) -> Metadata:
    """Return the metadata of an event: one in three has no actor."""
    return Metadata(command=f"command {number}", actor=(None, "ann", "bob")[number % 3])


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run it in a thread of its own: the caller may be a test that runs in an event loop."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


async def _check_states_as_of(model: type[DecisionModel], history: History) -> None:
    async with _scratch(history).open("memory:", clock=FakeClock(_time(len(history.log)))) as live:
        await _append(live, history)
        for key in history.keys:
            concerned = history.of(key)
            for position in range(len(history.log) + 1):
                expected = history.replay(key, [event for event in concerned if event.position <= position])
                found = await live.state(model, *key, as_of=position)
                _same(f"{history.name(key)} as of {position} is not the fold of {position} events", expected, found)


async def _check_rows_as_of(model: type[ReadModel], history: History) -> None:
    scratch = _scratch(history)
    scratch.read_model(history=True)(model)

    @scratch.answers
    def every_row(query: EveryRow, models: ReadModels) -> list[Any]:
        return models.select(model)

    definition = scratch.read_models[model]
    async with scratch.open("memory:", clock=FakeClock(_time(len(history.log)))) as live:
        await _append(live, history)
        for position in range(len(history.log) + 1):
            expected = _sorted(Table(definition, history.registry, history.log[:position]).rows.values())
            found = await live.query(EveryRow(), as_of=position)
            if _sorted(found) != expected:
                raise failure(f"{definition.name} as of {position} has other rows", expected, _sorted(found))


class EveryRow(Query[list[Any]]):
    """All rows of the model that is checked."""


def _scratch(history: History) -> App:
    """Return an app with nothing but the history's types and upcasters."""
    scratch = App("laws")
    scratch.registry = history.registry
    return scratch


async def _append(live: LiveApp, history: History) -> None:
    records = history.records()
    if records:
        await live.store.append(records)


def _sorted(rows: Iterable[Any]) -> list[Any]:
    return sorted(rows, key=repr)


def _same(summary: str, expected: object, found: object) -> None:
    if expected != found:
        raise failure(summary, [expected], [found])
