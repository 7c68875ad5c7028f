"""A PostgreSQL connection that an event loop drives: one statement at a time, and notifications between them."""

import asyncio
import select
from asyncio import AbstractEventLoop, Future, TimerHandle
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import psycopg
from psycopg.abc import PQGen
from psycopg.pq.abc import PGresult
from psycopg.pq.misc import PGnotify
from psycopg.waiting import Ready, Wait

from leftfold.store.postgres.driver import Connection, NoAnswer, UnreadAnswer, executed, rows_of

ENDED = "the server ended the connection"
Read = Callable[[Connection, PGresult], Any]
OnAnswer = Callable[[Any], None]
Rows = Sequence[tuple[Any, ...]]


class AsyncConnection:
    """Sends statements and reads their answers without a thread, and without the driver's own waiting.

    Either of those would cost a caller that waits for each commit as much as the commit itself. A connection is opened,
    in a thread, when it is needed and the previous one is lost. Belongs to one event loop.
    """

    def __init__(self, connect: Callable[[], Connection], connection: Connection | None = None) -> None:
        self.connection = connection
        self._connect = connect
        self._loop: AbstractEventLoop | None = None  # that watches the connection
        self._descriptor = -1
        self._connecting: Future[Connection] | None = None
        self._turn = asyncio.Lock()  # so that callers of `execute` take turns
        self._free: Future[None] | None = None
        self._statement: PQGen[PGresult] | None = None
        self._read: Read
        self._on_answer: OnAnswer
        self._deadline = 0.0
        self._timer: TimerHandle | None = None
        self._poll = select.poll()
        self._sending = False
        self._last_notice: str | None = None
        self._on_notification: Callable[[str], None] | None = None
        self._ended: Future[None] | None = None

    def __repr__(self) -> str:
        return f"<AsyncConnection {self.connection!r}{', busy' if self.busy else ''}>"

    @property
    def busy(self) -> bool:
        """Return whether a statement is under way."""
        return self._statement is not None or self._turn.locked()

    @property
    def lost(self) -> bool:
        """Return whether there is no usable connection."""
        return self.connection is None or bool(self.connection.closed)

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement, and return all of its rows.

        If the caller is cancelled meanwhile, the connection is closed: its answer could be taken for that of the
        next statement. It is also closed if the server has not answered within the connection's patience.
        """
        async with self._turn:
            await self._until_free()
            connection = await self._usable_connection()
            answer: Future[list[tuple[Any, ...]]] = asyncio.get_running_loop().create_future()
            self._start(connection, executed(connection, sql, parameters), rows_of, partial(_complete, answer))
            try:
                return await answer
            except asyncio.CancelledError:
                self._discard(psycopg.OperationalError("the statement was cancelled"))
                raise

    def begin(self, sql: str, parameters: Sequence[Any], read: Read, on_answer: OnAnswer) -> bool:
        """Send a statement without awaiting it. Return False if the connection is busy or closed.

        `on_answer` gets what `read` makes of the result, or the error.
        """
        connection = None if self.busy else self._present_connection()
        if connection is not None:
            self._start(connection, executed(connection, sql, parameters), read, on_answer)
        return connection is not None

    async def listen(self, sql: str, on_notification: Callable[[str], None], on_start: Callable[[Rows], None]) -> None:
        """Run a statement that listens, call `on_start` with its rows, then `on_notification` with each notification.

        This goes on until the connection is lost; then it raises the error of the connection or of `on_notification`.
        """
        rows = await self.execute(sql)
        self._ended = asyncio.get_running_loop().create_future()
        self._on_notification = on_notification
        on_start(rows)
        try:
            await self._ended
        finally:
            self._on_notification = self._ended = None

    async def close(self) -> None:
        """Finish what is under way, then close the connection."""
        async with self._turn:
            await self._until_free()
            if self._connecting is not None:
                await asyncio.wait([self._connecting])
                if self._connecting.exception() is None:
                    self._connecting.result().close()
            self._discard(psycopg.OperationalError("the connection was closed"))

    def abandon(self) -> None:
        """Close the connection after its event loop was closed."""
        if self.connection is not None:
            self.connection.close()

    async def _until_free(self) -> None:
        """Wait for the answer to a statement that `begin` has sent."""
        if self._statement is not None:
            self._free = asyncio.get_running_loop().create_future()
            await self._free

    def _present_connection(self) -> Connection | None:
        """Return the connection, or None if it is lost, which may only become known here."""
        if self.connection is None or self.connection.closed:
            return None
        self._watch_connection(self.connection)
        if self._poll.poll(0):  # while no statement is under way
            self._read_unasked()
        return None if self.connection.closed else self.connection

    async def _usable_connection(self) -> Connection:
        """Return the connection, or a new one if it is lost."""
        connection = self._present_connection()
        if connection is None:
            self._discard(psycopg.OperationalError(ENDED))
            connection = self.connection = await self._new_connection()
            self._watch_connection(connection)
        return connection

    async def _new_connection(self) -> Connection:
        """Return a new connection. If the caller is cancelled meanwhile, the next caller gets the connection."""
        if self._connecting is None:
            self._connecting = asyncio.ensure_future(asyncio.to_thread(self._connect))
        connecting = self._connecting
        try:
            return await asyncio.shield(connecting)
        finally:
            if connecting.done():
                self._connecting = None

    def _watch_connection(self, connection: Connection) -> None:
        if self._loop is None:
            self._loop, self._descriptor = asyncio.get_running_loop(), connection.fileno()
            self._loop.add_reader(self._descriptor, self._on_readable)
            self._poll.register(self._descriptor, select.POLLIN)
            connection.pgconn.notify_handler = self._on_notify
            connection.add_notice_handler(self._on_notice)

    def _start(self, connection: Connection, statement: PQGen[PGresult], read: Read, on_answer: OnAnswer) -> None:
        self._statement, self._read, self._on_answer = statement, read, on_answer
        if connection.patience is not None:
            self._start_timer(connection.patience)
        self._advance(None)

    def _start_timer(self, patience: float) -> None:
        """Limit the time for an answer. One timer serves many statements."""
        assert self._loop is not None
        self._deadline = self._loop.time() + patience
        if self._timer is not None and self._timer.when() > self._deadline:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._loop.call_at(self._deadline, self._check_timer)

    def _check_timer(self) -> None:
        assert self._loop is not None
        self._timer = None
        if self._statement is None:
            return
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._check_timer)
        else:
            self._give_up()

    def _on_readable(self) -> None:
        if self._statement is None:
            self._read_unasked()
        else:
            self._advance(Ready.R)

    def _advance(self, ready: Ready | None) -> None:
        """Advance the statement until it has its answer, or has to wait for the server."""
        assert self._statement is not None
        assert self._loop is not None
        try:
            wanted = next(self._statement) if ready is None else self._statement.send(ready)
        except StopIteration as done:
            self._complete(done.value)
        except Exception as error:  # noqa: BLE001 the caller gets it
            self._complete(error)
        else:
            sending = bool(wanted & Wait.W)
            if sending and not self._sending:
                self._loop.add_writer(self._descriptor, self._advance, Ready.W)
            elif self._sending and not sending:
                self._loop.remove_writer(self._descriptor)
            self._sending = sending

    def _complete(self, outcome: PGresult | Exception) -> None:
        assert self.connection is not None
        self._statement = None
        try:
            answer = outcome if isinstance(outcome, Exception) else self._read(self.connection, outcome)
        except psycopg.Error as error:  # the server's refusal
            answer = error
        except Exception as error:  # noqa: BLE001 the caller gets it
            answer = UnreadAnswer(repr(error))
        if self.connection.closed:
            self._discard(psycopg.OperationalError(ENDED))
        if self._free is not None:
            _complete(self._free, None)
            self._free = None
        self._on_answer(answer)

    def _give_up(self) -> None:
        """End the statement, because the server does not answer."""
        assert self._statement is not None
        assert self.connection is not None
        silent = NoAnswer(f"the server has not answered for {self.connection.patience:g} s")
        try:
            self._statement.throw(silent)
        except Exception as error:  # noqa: BLE001 the caller gets it
            self._discard(error)
            self._complete(error)

    def _read_unasked(self) -> None:
        """Read what the server sends on its own: notifications, or a notice that it ends the connection."""
        assert self.connection is not None
        server = self.connection.pgconn
        try:
            server.consume_input()
            while notification := server.notifies():
                self._on_notify(notification)
            if self._last_notice is not None:
                raise psycopg.OperationalError(self._last_notice)
        except psycopg.Error as error:
            self._discard(error)

    def _on_notify(self, notification: PGnotify) -> None:
        if self._on_notification is None:
            return
        try:
            self._on_notification(notification.extra.decode(errors="replace"))
        except Exception as error:  # noqa: BLE001 `listen` raises it
            if self._ended is not None and not self._ended.done():
                self._ended.set_exception(error)

    def _on_notice(self, notice: psycopg.errors.Diagnostic) -> None:
        if self._statement is None:
            self._last_notice = notice.message_primary or ENDED  # libpq is calling, so nothing may be closed here

    def _discard(self, error: Exception) -> None:
        """Close the connection, and end `listen` with the error."""
        self._statement = None
        if self._timer is not None:
            self._timer.cancel()
        if self._loop is not None:
            self._loop.remove_reader(self._descriptor)
            self._loop.remove_writer(self._descriptor)
            self._poll.unregister(self._descriptor)
        self._timer = self._loop = self._last_notice = None
        self._sending = False
        if self.connection is not None:
            self.connection.close()
        if self._ended is not None and not self._ended.done():
            self._ended.set_exception(error)


def _complete(answer: Future[Any], outcome: Any) -> None:
    """Set the outcome of a future, unless its caller has gone."""
    if answer.done():
        return
    if isinstance(outcome, Exception):
        answer.set_exception(outcome)
    else:
        answer.set_result(outcome)
