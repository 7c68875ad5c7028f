"""Messages of random types, with right and wrong values: read back equal, or refused before anything is written."""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leftfold import App, Command, Event, EventStore, JsonCodec
from leftfold.errors import InvalidMessage
from leftfold.model.comparing import difference
from leftfold.store import open_store
from leftfold_torture.postgres_server import PostgresServer
from tests.message_types import (
    SCALARS,
    FieldKind,
    Level,
    MessageKind,
    any_value,
    make,
    message_types,
    new_class,
    optional,
)
from tests.patience import examples
from tests.postgres import fresh_schema

SHARED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]  # all examples append to one log
ON_ONE_LOG = settings(suppress_health_check=SHARED)


PLAIN = [kind for kind in SCALARS if kind.hint in (bool, int, float, str, UUID)]


class Name(str):
    """A text that JSON gives back as another one's."""

    __slots__ = ()


class Decide(Command):
    pass


class Log:
    """A log that examples append to, one after the other."""

    def __init__(self, opening: AbstractAsyncContextManager[EventStore]) -> None:
        self._opening = opening
        self._runner = asyncio.Runner()
        self._store = self._runner.run(opening.__aenter__())

    def close(self) -> None:
        self._runner.run(self._opening.__aexit__(None, None, None))
        self._runner.close()

    def append_and_read(self, message: Any) -> Any:
        """The message as the log gives it back; None when it was refused, and then nothing was written."""
        return self._runner.run(self._append_and_read(message))

    async def _append_and_read(self, message: Any) -> Any:
        app = App("random")
        app.event(type(message))

        @app.handles
        def decide(command: Decide) -> Event:
            return message  # type: ignore[no-any-return]

        head = await self._store.head()
        async with app.open(self._store, work=False) as live:
            try:
                receipt = await live.execute(Decide())
            except InvalidMessage:
                receipt = None
        if receipt is None:
            assert await self._store.head() == head
            return None
        [batch] = [batch async for batch in self._store.read(after=head)]
        [stored] = batch.events
        assert receipt.events == (app.registry.decode(stored),)
        return app.registry.decode(stored)


@pytest.fixture
def memory() -> Iterator[Log]:
    log = Log(open_store("memory:"))
    yield log
    log.close()


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Log]:
    log = Log(open_store(f"sqlite:///{tmp_path / 'random.db'}"))
    yield log
    log.close()


@pytest.fixture
def postgres_log(postgres: PostgresServer) -> Iterator[Log]:
    log = Log(open_store(fresh_schema(postgres).replace("schema=", "log=")))
    yield log
    log.close()


def check_right_values(log: Log, kind: MessageKind, data: st.DataObject) -> None:
    message = data.draw(kind.right)

    read = log.append_and_read(message)

    if kind.family != "pydantic" or read is not None:  # pydantic cannot tell the members of each union apart
        assert read == message


def check_any_values(log: Log, kind: MessageKind, data: st.DataObject) -> None:
    values = {name: data.draw(st.one_of(field.values, any_value)) for name, field in kind.fields.items()}
    message = kind.make(values)

    read = log.append_and_read(message)

    assert read is None or read == message


@settings(ON_ONE_LOG, max_examples=examples(60))
@given(kind=message_types(), data=st.data())
def test_right_values_are_read_back_equal_from_memory(memory: Log, kind: MessageKind, data: st.DataObject) -> None:
    check_right_values(memory, kind, data)


@settings(ON_ONE_LOG, max_examples=examples(60))
@given(kind=message_types(), data=st.data())
def test_any_values_are_read_back_equal_from_memory_or_refused(
    memory: Log, kind: MessageKind, data: st.DataObject
) -> None:
    check_any_values(memory, kind, data)


@settings(ON_ONE_LOG, max_examples=examples(20))
@given(kind=message_types(), data=st.data())
def test_right_values_are_read_back_equal_from_sqlite(sqlite: Log, kind: MessageKind, data: st.DataObject) -> None:
    check_right_values(sqlite, kind, data)


@settings(ON_ONE_LOG, max_examples=examples(20))
@given(kind=message_types(), data=st.data())
def test_any_values_are_read_back_equal_from_sqlite_or_refused(
    sqlite: Log, kind: MessageKind, data: st.DataObject
) -> None:
    check_any_values(sqlite, kind, data)


@settings(ON_ONE_LOG, max_examples=examples(20))
@given(kind=message_types(), data=st.data())
def test_right_values_are_read_back_equal_from_postgres(
    postgres_log: Log, kind: MessageKind, data: st.DataObject
) -> None:
    check_right_values(postgres_log, kind, data)


@st.composite
def plain_messages(draw: st.DrawFn) -> Any:
    """A struct with fields of plain types, and now and then with a value of another."""
    drawn = draw(st.lists(st.sampled_from([*PLAIN, *map(optional, PLAIN)]), max_size=4))
    kinds = {f"field_{number}": kind for number, kind in enumerate(drawn)}
    almost = st.sampled_from([2**63, -(2**63) - 1, Level.LOW, Name("a"), True, 1, 1.0, float("nan"), float("-inf"), ""])
    values = {name: draw(st.one_of(kind.values, almost, any_value)) for name, kind in kinds.items()}
    return make(new_class("struct", kinds, base=Event), values)


@settings(max_examples=examples(400))
@given(message=plain_messages())
def test_what_is_found_plain_at_sight_comes_back_equal(message: Any) -> None:
    codec = JsonCodec()
    is_plain = codec.plain(type(message))

    assert is_plain is not None
    if is_plain(message):
        assert difference(message, codec.decoder(type(message))(codec.encode(message))) is None


@pytest.mark.parametrize("kind", [*PLAIN, *map(optional, PLAIN)], ids=lambda kind: str(kind.hint))
def test_plain_values_are_found_plain_at_sight(kind: FieldKind) -> None:
    owner = new_class("struct", {"value": kind}, base=Event)
    is_plain = JsonCodec().plain(owner)

    assert is_plain is not None
    assert is_plain(owner(value=kind.default))


@pytest.mark.parametrize("name", ["from", "\N{LATIN SMALL LIGATURE FI}"])
def test_a_class_whose_fields_python_cannot_name_is_not_told_at_sight(name: str) -> None:
    assert JsonCodec().plain(new_class("struct", {name: PLAIN[0]}, base=Event)) is None
