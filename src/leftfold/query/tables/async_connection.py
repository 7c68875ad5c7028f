"""An `AsyncConnection` for async projection handlers, over a plain connection that another thread holds."""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from queue import SimpleQueue
from threading import Thread
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncTransaction

Job = Callable[[], None]


class HandlersConnection(AsyncConnection):
    """An `AsyncConnection` that runs each statement in the thread that holds the transaction.

    It does not call the constructor of `AsyncConnection`, which asks for an engine with an async driver: so any driver
    will do, and the handler writes in the same transaction as the checkpoint, also in a database in memory.
    """

    def __init__(self, connection: sa.Connection, jobs: "SimpleQueue[Job | None]") -> None:
        self.sync_engine = connection.engine
        self.sync_connection = connection
        self._connection = connection
        self._jobs = jobs

    async def execute(self, *arguments: Any, **options: Any) -> Any:
        """Run a statement."""
        return await self.in_thread(self._connection.execute, *arguments, **options)

    async def exec_driver_sql(self, *arguments: Any, **options: Any) -> Any:
        """Run a statement in the driver's own SQL."""
        return await self.in_thread(self._connection.exec_driver_sql, *arguments, **options)

    async def scalar(self, *arguments: Any, **options: Any) -> Any:
        """Return the first value of the first row."""
        return await self.in_thread(self._connection.scalar, *arguments, **options)

    async def scalars(self, *arguments: Any, **options: Any) -> Any:
        """Return the first value of each row."""
        return await self.in_thread(self._connection.scalars, *arguments, **options)

    async def run_sync(self, fn: Callable[..., Any], *arg: Any, **kw: Any) -> Any:
        """Call a function with the plain connection."""
        return await self.in_thread(fn, self._connection, *arg, **kw)

    async def commit(self) -> None:
        """Refuse: the checkpoint is committed with what the handler writes."""
        self._connection.commit()

    async def rollback(self) -> None:
        """Refuse, likewise."""
        self._connection.rollback()

    def begin_nested(self) -> AsyncTransaction:
        """Begin a savepoint."""
        return Savepoint(self)

    async def in_thread(self, work: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Run this in the thread that holds the transaction."""
        done: Future[Any] = Future()

        def job() -> None:
            try:
                done.set_result(work(*arguments, **options))
            except BaseException as problem:  # noqa: BLE001 - it is raised where the work was asked for
                done.set_exception(problem)

        self._jobs.put(job)
        return await asyncio.wrap_future(done)


class Savepoint(AsyncTransaction):
    """A savepoint on such a connection."""

    def __init__(self, connection: HandlersConnection) -> None:
        super().__init__(connection, nested=True)
        self._in_thread = connection.in_thread

    async def start(self, is_ctxmanager: bool = False) -> AsyncTransaction:
        """Set it."""
        assert self.connection.sync_connection is not None
        started = await self._in_thread(self.connection.sync_connection.begin_nested)
        self.sync_transaction = started.__enter__() if is_ctxmanager else started
        return self

    async def commit(self) -> None:
        """Keep what was written since."""
        await self._in_thread(self._proxied.commit)

    async def rollback(self) -> None:
        """Undo what was written since."""
        await self._in_thread(self._proxied.rollback)

    async def close(self) -> None:
        """Roll back if it is still open."""
        await self._in_thread(self._proxied.close)

    async def __aexit__(self, kind: Any, error: Any, trace: Any) -> None:
        await self._in_thread(self._proxied.__exit__, kind, error, trace)


def run_async(
    loop: asyncio.AbstractEventLoop | None,
    connection: sa.Connection,
    work: Callable[[AsyncConnection], Coroutine[Any, Any, None]],
) -> None:
    """Await `work` on the event loop; meanwhile, run in this thread what it asks of the connection.

    Without a loop, as in tests of plain functions, it gets one of its own.
    """
    jobs: SimpleQueue[Job | None] = SimpleQueue()
    working = work(HandlersConnection(connection, jobs))
    with _own_loop() if loop is None else nullcontext(loop) as used:
        running = asyncio.run_coroutine_threadsafe(working, used)
        running.add_done_callback(lambda _: jobs.put(None))
        while (job := jobs.get()) is not None:
            job()
    running.result()


@contextmanager
def _own_loop() -> Generator[asyncio.AbstractEventLoop, None, None]:
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, name="leftfold async handler", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
