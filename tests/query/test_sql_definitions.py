"""The definition of an SQL projection is checked when it is defined."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from leftfold import App, EventContext
from leftfold.errors import DefinitionError, InvalidHandler, InvalidModel, InvalidProjection, UnresolvedAnnotation
from leftfold.query import SqlProjection
from leftfold.store import MemoryStore
from tests.query.bank import Deposited, Opened
from tests.query.sql_bank import metadata, projecting, total, totals_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

table = sa.Table("plain", sa.MetaData(), sa.Column("n", sa.Integer, primary_key=True))


def no_connection(event: Deposited) -> None: ...


def one_too_many(event: Deposited, connection: sa.Connection, at: EventContext, more: int) -> None: ...


def keyword(event: Deposited, *, connection: sa.Connection) -> None: ...


def no_annotation(event, connection: sa.Connection) -> None: ...  # type: ignore[no-untyped-def]


def no_event(event: int, connection: sa.Connection) -> None: ...


def no_events(events: Sequence[int], connection: sa.Connection) -> None: ...


def not_only_events(event: Deposited | None, connection: sa.Connection) -> None: ...


def not_a_connection(event: Deposited, connection: object) -> None: ...


def async_on_plain(event: Deposited, connection: AsyncConnection) -> None: ...


async def plain_on_async(event: Deposited, connection: sa.Connection) -> None: ...


def not_recorded(event: Deposited, connection: sa.Connection, at: int) -> None: ...


def one_recorded(events: Sequence[Deposited], connection: sa.Connection, at: EventContext) -> None: ...


def many_recorded(event: Deposited, connection: sa.Connection, at: Sequence[EventContext]) -> None: ...


def generator(event: Deposited, connection: sa.Connection) -> Any:
    yield


class Callables:
    def __call__(self, event: Deposited, connection: sa.Connection) -> None: ...


MISSHAPEN = [
    no_connection,
    one_too_many,
    keyword,
    no_annotation,
    no_event,
    no_events,
    not_only_events,
    not_a_connection,
    async_on_plain,
    plain_on_async,
    not_recorded,
    one_recorded,
    many_recorded,
    generator,
    Callables(),
]


@pytest.mark.parametrize("function", MISSHAPEN, ids=lambda function: getattr(function, "__name__", "object"))
def test_a_handler_of_another_shape_is_refused(function: Callable[..., Any]) -> None:
    with pytest.raises(InvalidHandler) as caught:
        SqlProjection(function, "plain", [table])

    assert caught.value.remedy.startswith("write def handle(event: ")


def test_a_connection_that_is_imported_for_type_checkers_only_is_refused() -> None:
    def handle(event: Deposited, connection: "Connection") -> None: ...

    with pytest.raises(UnresolvedAnnotation):
        SqlProjection(handle, "plain", [table])


@pytest.mark.parametrize("name", ["", " ", " padded", "new\nline", "leftfold", "x" * 101, 7])
def test_a_name_that_cannot_be_kept_is_refused(name: Any) -> None:
    with pytest.raises(InvalidProjection):
        SqlProjection(total, name, metadata)


@pytest.mark.parametrize("version", [0, -1, 1.5, "2", True])
def test_a_version_that_is_no_number_from_one_on_is_refused(version: Any) -> None:
    with pytest.raises(InvalidProjection, match="its version is"):
        SqlProjection(total, "totals", metadata, version=version)


def named(name: str, **options: Any) -> sa.Table:
    return sa.Table(name, sa.MetaData(), sa.Column("n", sa.Integer, primary_key=True), **options)


ELSEWHERE = sa.MetaData()
sa.Table("target", ELSEWHERE, sa.Column("n", sa.Integer, primary_key=True))
REFERRING = sa.Table("referring", ELSEWHERE, sa.Column("n", sa.Integer, sa.ForeignKey("target.n")))
REFUSED_TABLES = [
    [],
    sa.MetaData(),
    "plain",
    [sa.Table],
    [named("leftfold_checkpoint")],
    [named("plain__old")],
    [named("two words")],
    [named("plain", schema="other")],
    [REFERRING],
]


@pytest.mark.parametrize("tables", REFUSED_TABLES, ids=str)
def test_tables_that_cannot_be_kept_are_refused(tables: Any) -> None:
    with pytest.raises(InvalidProjection):
        SqlProjection(total, "totals", tables)


def test_two_projections_of_one_name_are_refused() -> None:
    app = App("bank")
    app.projection("totals", tables=metadata)(total)

    def another(event: Deposited, connection: sa.Connection) -> None: ...

    with pytest.raises(DefinitionError, match=r"the projection totals: total has the same name"):
        app.projection("totals", tables=[table])(another)


async def test_two_projections_over_one_table_are_refused() -> None:
    projections = [SqlProjection(total, name, metadata) for name in ("first", "second")]

    with pytest.raises(InvalidModel, match="are both kept in the table"):
        async with MemoryStore() as store, projecting(store, *projections):
            pass


def test_the_annotation_of_the_event_is_the_criteria() -> None:
    definition = totals_of()

    assert repr(definition.fold.all_criteria()) == "<Criteria deposited or transferred>"
    assert repr(definition) == "<SqlProjection account totals in ledger and totals>"
    assert repr(definition.handler) == "<ProjectionHandler total of 2 event types>"
    assert definition.tables == ("ledger", "totals")


def handle_one(event: Deposited, connection: sa.Connection) -> None:
    connection.execute(sa.insert(table).values(n=event.amount))


def handle_other(event: Deposited, connection: sa.Connection) -> None:
    connection.execute(sa.insert(table).values(n=-event.amount))


def handle_more(event: Deposited | Opened, connection: sa.Connection) -> None:
    connection.execute(sa.insert(table).values(n=getattr(event, "amount", 0)))


def test_the_fingerprint_changes_with_the_code_the_events_and_the_tables() -> None:
    indexed = sa.Table("plain", sa.MetaData(), sa.Column("n", sa.Integer, primary_key=True), sa.Index("i", "n"))
    wider = sa.Table("plain", sa.MetaData(), sa.Column("n", sa.BigInteger, primary_key=True))
    variants = [(handle_one, table), (handle_other, table), (handle_more, table), (handle_one, indexed)]
    variants.append((handle_one, wider))

    prints = [SqlProjection(handler, "plain", [kept]).fingerprint() for handler, kept in variants]

    assert len(set(prints)) == len(prints)
    assert prints[0] == SqlProjection(handle_one, "plain", [named("plain")]).fingerprint()


async def test_a_numeric_column_on_sqlite_is_warned_of_for_it_is_a_float_there(
    caplog: pytest.LogCaptureFixture,
) -> None:
    table = sa.Table("prices", sa.MetaData(), sa.Column("price", sa.Numeric), sa.Column("weight", sa.Float))

    def handle(event: Deposited, connection: sa.Connection) -> None:
        """Nothing is written."""

    async with MemoryStore() as store, projecting(store, SqlProjection(handle, "prices", [table])):
        pass

    [warning] = [record.message for record in caplog.records if record.name == "leftfold.models"]
    assert "prices.price, an sa.Numeric, as floats" in warning
