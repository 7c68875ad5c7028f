"""Calling the handlers of SQL projections, on a connection that is theirs within the transaction."""

import asyncio
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from queue import SimpleQueue
from threading import Thread
from typing import Any, NoReturn

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncTransaction

from leftfold.errors import UsageError
from leftfold.model.record import StoredEvent
from leftfold.query.batch_fold import NOTHING_SKIPPED, Decode
from leftfold.query.event_keys import THE_ONE_ROW, text_of_key
from leftfold.query.parking import Parking, in_words
from leftfold.query.read_model import ReadModelDefinition
from leftfold.query.sql_projection import SqlProjection, event_context
from leftfold.query.tables.database import is_trouble
from leftfold.query.tables.model_table import ModelTable, drop

Job = Callable[[], None]


class HandlersConnection(AsyncConnection):
    """An `AsyncConnection` over a plain one, so that any driver will do, and one database in memory too."""

    def __init__(self, connection: sa.Connection, jobs: "SimpleQueue[Job | None]") -> None:
        self.sync_engine = connection.engine
        self.sync_connection = connection
        self._connection = connection
        self._jobs = jobs

    async def execute(self, *arguments: Any, **options: Any) -> Any:
        """Run a statement."""
        return await self.there(self._connection.execute, *arguments, **options)

    async def exec_driver_sql(self, *arguments: Any, **options: Any) -> Any:
        """Run a statement in the driver's own SQL."""
        return await self.there(self._connection.exec_driver_sql, *arguments, **options)

    async def scalar(self, *arguments: Any, **options: Any) -> Any:
        """The first value of the first row."""
        return await self.there(self._connection.scalar, *arguments, **options)

    async def scalars(self, *arguments: Any, **options: Any) -> Any:
        """The first value of each row."""
        return await self.there(self._connection.scalars, *arguments, **options)

    async def run_sync(self, fn: Callable[..., Any], *arg: Any, **kw: Any) -> Any:
        """Call a function with the plain connection."""
        return await self.there(fn, self._connection, *arg, **kw)

    async def commit(self) -> None:
        """Refused: the checkpoint is committed with what the handler writes."""
        self._connection.commit()

    async def rollback(self) -> None:
        """Refused likewise."""
        self._connection.rollback()

    def begin_nested(self) -> AsyncTransaction:
        """A savepoint."""
        return Savepoint(self)

    async def there(self, work: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Let the thread that holds the transaction do this."""
        done: Future[Any] = Future()

        def job() -> None:
            try:
                done.set_result(work(*arguments, **options))
            except BaseException as problem:  # noqa: BLE001 - it is raised where it was asked for
                done.set_exception(problem)

        self._jobs.put(job)
        return await asyncio.wrap_future(done)


class Savepoint(AsyncTransaction):
    """A savepoint on such a connection."""

    def __init__(self, connection: HandlersConnection) -> None:
        super().__init__(connection, nested=True)
        self._there = connection.there

    async def start(self, is_ctxmanager: bool = False) -> AsyncTransaction:
        """Set it."""
        assert self.connection.sync_connection is not None
        started = await self._there(self.connection.sync_connection.begin_nested)
        self.sync_transaction = started.__enter__() if is_ctxmanager else started
        return self

    async def commit(self) -> None:
        """Keep what was written since."""
        await self._there(self._proxied.commit)

    async def rollback(self) -> None:
        """Take back what was written since."""
        await self._there(self._proxied.rollback)

    async def close(self) -> None:
        """Roll back if it is still open."""
        await self._there(self._proxied.close)

    async def __aexit__(self, kind: Any, error: Any, trace: Any) -> None:
        await self._there(self._proxied.__exit__, kind, error, trace)


def run_on(
    loop: asyncio.AbstractEventLoop | None,
    connection: sa.Connection,
    work: Callable[[AsyncConnection], Coroutine[Any, Any, None]],
) -> None:
    """Await `work` on the event loop, and meanwhile run in this thread what it asks of the connection.

    Without a loop, as in tests of plain functions, it gets one of its own.
    """
    jobs: SimpleQueue[Job | None] = SimpleQueue()
    working = work(HandlersConnection(connection, jobs))
    with _loop_of_its_own() if loop is None else nullcontext(loop) as there:
        running = asyncio.run_coroutine_threadsafe(working, there)
        running.add_done_callback(lambda _: jobs.put(None))
        while (job := jobs.get()) is not None:
            job()
    running.result()


@contextmanager
def _loop_of_its_own() -> Generator[asyncio.AbstractEventLoop, None, None]:
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, name="leftfold async handler", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


TEMPORARY = "TEMPORARY"


class SqlTables:
    """What the user has declared. For checkpoints, `stem` is the projection's name."""

    def __init__(self, definition: SqlProjection) -> None:
        self.definition = definition
        self.name = definition.name
        self.stem = definition.table
        self.checkpoints = [self.stem]
        self.tables = definition.tables
        self.schema = definition.schema
        self.form = 1  # the columns are the user's

    def __repr__(self) -> str:
        return f"<SqlTables {' and '.join(self.tables)}>"

    def create(self, connection: sa.Connection) -> None:
        """Make the tables anew, empty; what stood in their place is dropped, whatever its shape."""
        for name in self.tables:
            drop(connection, name)
        for table in self.schema:
            table.create(connection)

    def exists(self, connection: sa.Connection) -> bool:
        """Whether the tables are there."""
        present = sa.inspect(connection)
        return all(present.has_table(name) for name in self.tables)

    def answers(self, connection: sa.Connection) -> bool:
        """Whether the present tables have the columns that the code asks for."""
        if not self.exists(connection):
            return False
        present = sa.inspect(connection)
        found = {table.name: {column["name"] for column in present.get_columns(table.name)} for table in self.schema}
        return all({column.name for column in table.columns} <= found[table.name] for table in self.schema)

    def reads(self, form: int) -> bool:
        """The columns are the user's."""
        return True

    def create_temporary(self, connection: sa.Connection) -> None:
        """Make empty temporary tables of the same names: on this connection they stand before the real ones."""
        for table in copies(self.schema, prefix=TEMPORARY):
            table.create(connection)

    def drop_temporary(self, connection: sa.Connection) -> None:
        """Let the real ones be seen again."""
        quote = connection.dialect.identifier_preparer.quote
        for name in self.tables:
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {temporary_schema(connection)}.{quote(name)}")


def tables_for(definition: ReadModelDefinition) -> ModelTable | SqlTables:
    """The tables of a read model, or of a projection."""
    return SqlTables(definition) if isinstance(definition, SqlProjection) else ModelTable(definition)


def copies(tables: tuple[sa.Table, ...], *, prefix: str = "", schema: str | None = None) -> list[sa.Table]:
    """The same tables in another schema, or to be created as temporary ones."""
    metadata = sa.MetaData()
    copied = [_copy(table, metadata, schema) for table in tables]
    for table in copied if prefix else ():
        setattr(table, "_prefixes", [prefix])  # what Table(prefixes=...) sets; to_metadata has no argument for it
    return copied


def _copy(table: sa.Table, metadata: sa.MetaData, schema: str | None) -> sa.Table:
    return table.to_metadata(metadata) if schema is None else table.to_metadata(metadata, schema=schema)


def temporary_schema(connection: sa.Connection) -> str:
    """What SQL calls the schema of temporary tables."""
    return "temp" if connection.dialect.name == "sqlite" else "pg_temp"


def real_schema(connection: sa.Connection) -> str:
    """What SQL calls the schema in which the real tables are."""
    if connection.dialect.name == "sqlite":
        return "main"
    return str(connection.execute(sa.select(sa.func.current_schema())).scalar_one())


Skipped = Mapping[int, AbstractSet[str]]
Call = tuple[Any, ...]  # an event, or several, and what is recorded of it where the handler asks
THE_KEY = text_of_key(THE_ONE_ROW[0])


class Stuck(Exception):
    """The handler raised `problem` on the event at `position`; what came before it is handled."""

    def __init__(self, position: int, problem: Exception) -> None:
        super().__init__(position, problem)
        self.position = position
        self.problem = problem

    @property
    def words(self) -> str:
        """What went wrong."""
        return in_words(self.problem)

    @property
    def parking(self) -> Parking:
        """The event as what holds up the projection."""
        return Parking(THE_ONE_ROW[0], self.position, self.words, self.problem)


class Handling:
    """Calls a handler with events, in the transaction of the connection that is given."""

    def __init__(
        self,
        definition: SqlProjection,
        decode: Decode,
        loop: asyncio.AbstractEventLoop | None,
        skipped: Skipped = NOTHING_SKIPPED,
    ) -> None:
        self._definition = definition
        self._handler = definition.handler
        self._types = {event.owner for event in definition.fold.events}
        self._decode = decode
        self._loop = loop
        self._skipped = skipped

    def __repr__(self) -> str:
        return f"<Handling of {self._definition.name}>"

    def handle(self, connection: sa.Connection, events: Sequence[StoredEvent]) -> None:
        """Handle all of them; what the handler raises is raised."""
        found = [(event, stored) for stored in events if (event := self._read(stored)) is not None]
        if not found:
            return
        calls = [self._call_of_many(found)] if self._handler.many else [self._call_of(*each) for each in found]
        with _one_transaction(connection, self._definition.name):
            if self._handler.is_async:
                self._await(connection, calls)
            else:
                for event, *more in calls:
                    self._handler.function(event, connection, *more)

    def handle_all(self, connection: sa.Connection, events: Sequence[StoredEvent]) -> None:
        """The same; `Stuck` where an event cannot be handled, before which everything is."""
        try:
            with connection.begin_nested():
                self.handle(connection, events)
        except Exception as problem:
            if is_trouble(problem):
                raise
            self.handle_one_by_one(connection, events)

    def handle_one_by_one(self, connection: sa.Connection, events: Sequence[StoredEvent]) -> None:
        """The same, event by event; `Stuck` at the first that cannot be handled, nothing of which is left."""
        for event in events:
            try:
                with connection.begin_nested():
                    self.handle(connection, [event])
            except Exception as problem:
                if is_trouble(problem):
                    raise
                raise Stuck(event.position, problem) from problem

    def _read(self, stored: StoredEvent) -> Any:
        """The event, or None where it is skipped, or of a type that the handler does not take."""
        if THE_KEY in self._skipped.get(stored.position, ()):
            return None
        event = self._decode(stored)
        return event if type(event) in self._types else None

    def _call_of(self, event: Any, stored: StoredEvent) -> Call:
        return (event, event_context(stored)) if self._handler.asks_recorded else (event,)

    def _call_of_many(self, found: Sequence[tuple[Any, StoredEvent]]) -> Call:
        events = [event for event, _ in found]
        return (events, [event_context(stored) for _, stored in found]) if self._handler.asks_recorded else (events,)

    def _await(self, connection: sa.Connection, calls: Sequence[Call]) -> None:
        handle: Callable[..., Any] = self._handler.function

        async def work(asked: AsyncConnection) -> None:
            for event, *more in calls:
                await handle(event, asked, *more)

        run_on(self._loop, connection, work)


@contextmanager
def _one_transaction(connection: sa.Connection, projection: str) -> Generator[None, None, None]:
    """Refuse to end the transaction meanwhile: the checkpoint is part of it."""

    def refuse() -> NoReturn:
        raise UsageError(
            f"the handler of {projection} tried to end the transaction",
            "statements that write to its tables; the checkpoint is committed with them",
            "leave out commit() and rollback(); begin_nested() sets a savepoint; raise to take all back",
        )

    setattr(connection, "commit", refuse)
    setattr(connection, "rollback", refuse)
    try:
        yield
    finally:
        delattr(connection, "commit")
        delattr(connection, "rollback")
