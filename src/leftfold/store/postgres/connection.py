"""A connection in the hands of an event loop: one statement at a time, and between them what it is notified of."""

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

from leftfold.store.postgres.driver import Connection, NoAnswer, Unread, executed, rows_of

ENDED = "the server ended the connection"
Read = Callable[[Connection, PGresult], Any]
Answered = Callable[[Any], None]
Rows = Sequence[tuple[Any, ...]]


class AsyncConnection:
    """Sends statements and takes their answers without a thread, and without the driver's own waiting.

    Both cost a caller who waits for each of its commits as much as they do. The connection is opened, in a thread, when
    one is needed and the last one is lost. Belongs to one event loop.
    """

    def __init__(self, connect: Callable[[], Connection], connection: Connection | None = None) -> None:
        self.connection = connection
        self._connect = connect
        self._loop: AbstractEventLoop | None = None  # that looks for what the connection has to say
        self._descriptor = -1
        self._connecting: Future[Connection] | None = None
        self._turn = asyncio.Lock()  # of those who wait for their answers in tasks
        self._free: Future[None] | None = None
        self._statement: PQGen[PGresult] | None = None
        self._read: Read
        self._answered: Answered
        self._deadline = 0.0
        self._watch: TimerHandle | None = None
        self._poll = select.poll()
        self._sending = False
        self._farewell: str | None = None
        self._heard: Callable[[str], None] | None = None
        self._ended: Future[None] | None = None

    def __repr__(self) -> str:
        return f"<AsyncConnection {self.connection!r}{', busy' if self.busy else ''}>"

    @property
    def busy(self) -> bool:
        """Whether a statement is under way."""
        return self._statement is not None or self._turn.locked()

    @property
    def lost(self) -> bool:
        """Whether there is no connection that can be used."""
        return self.connection is None or bool(self.connection.closed)

    async def ask(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a statement.

        Where that is cancelled half-way the connection is given up: what is on its way can then not be told from what
        comes next. So it is when its server has not answered for as long as the connection's patience.
        """
        async with self._turn:
            await self._until_free()
            connection = await self._usable()
            answer: Future[list[tuple[Any, ...]]] = asyncio.get_running_loop().create_future()
            self._start(connection, executed(connection, sql, parameters), rows_of, partial(_settle, answer))
            try:
                return await answer
            except asyncio.CancelledError:
                self._lose(psycopg.OperationalError("the statement was given up"))
                raise

    def begin(self, sql: str, parameters: Sequence[Any], read: Read, answered: Answered) -> bool:
        """Send a statement now, for one who need not wait in a task; False where others are at it, or no connection is.

        `answered` is told what is read of the result, or the error that there is instead.
        """
        connection = None if self.busy else self._at_hand()
        if connection is not None:
            self._start(connection, executed(connection, sql, parameters), read, answered)
        return connection is not None

    async def listen(self, sql: str, heard: Callable[[str], None], began: Callable[[Rows], None]) -> None:
        """Have a statement listen, and tell `heard` what is notified, once `began` was told what it answered.

        Until the connection is lost: raises what ended it, the connection's error or that of `heard`.
        """
        rows = await self.ask(sql)
        self._ended = asyncio.get_running_loop().create_future()
        self._heard = heard
        began(rows)
        try:
            await self._ended
        finally:
            self._heard = self._ended = None

    async def close(self) -> None:
        """Wait for what is under way, then close the connection."""
        async with self._turn:
            await self._until_free()
            if self._connecting is not None:
                await asyncio.wait([self._connecting])
                if self._connecting.exception() is None:
                    self._connecting.result().close()
            self._lose(psycopg.OperationalError("the connection was closed"))

    def abandon(self) -> None:
        """Close the connection of a line whose event loop is closed."""
        if self.connection is not None:
            self.connection.close()

    async def _until_free(self) -> None:
        """Wait for the answer to what was begun by one who does not wait."""
        if self._statement is not None:
            self._free = asyncio.get_running_loop().create_future()
            await self._free

    def _at_hand(self) -> Connection | None:
        """The connection, unless it is lost, which may show only now."""
        if self.connection is None or self.connection.closed:
            return None
        self._look_after(self.connection)
        if self._poll.poll(0):  # while no statement is under way
            self._take_in()
        return None if self.connection.closed else self.connection

    async def _usable(self) -> Connection:
        """The connection, or a new one where it is lost."""
        connection = self._at_hand()
        if connection is None:
            self._lose(psycopg.OperationalError(ENDED))
            connection = self.connection = await self._new()
            self._look_after(connection)
        return connection

    async def _new(self) -> Connection:
        """A new connection; whoever is cancelled meanwhile leaves it to the next."""
        if self._connecting is None:
            self._connecting = asyncio.ensure_future(asyncio.to_thread(self._connect))
        connecting = self._connecting
        try:
            return await asyncio.shield(connecting)
        finally:
            if connecting.done():
                self._connecting = None

    def _look_after(self, connection: Connection) -> None:
        if self._loop is None:
            self._loop, self._descriptor = asyncio.get_running_loop(), connection.fileno()
            self._loop.add_reader(self._descriptor, self._arrived)
            self._poll.register(self._descriptor, select.POLLIN)
            connection.pgconn.notify_handler = self._tell
            connection.add_notice_handler(self._noticed)

    def _start(self, connection: Connection, statement: PQGen[PGresult], read: Read, answered: Answered) -> None:
        self._statement, self._read, self._answered = statement, read, answered
        if connection.patience is not None:
            self._watch_until(connection.patience)
        self._go_on(None)

    def _watch_until(self, patience: float) -> None:
        """Give up a silent server in time; one timer lasts for many statements."""
        assert self._loop is not None
        self._deadline = self._loop.time() + patience
        if self._watch is not None and self._watch.when() > self._deadline:
            self._watch.cancel()
            self._watch = None
        if self._watch is None:
            self._watch = self._loop.call_at(self._deadline, self._look_at_the_time)

    def _look_at_the_time(self) -> None:
        assert self._loop is not None
        self._watch = None
        if self._statement is None:
            return
        if self._loop.time() < self._deadline:
            self._watch = self._loop.call_at(self._deadline, self._look_at_the_time)
        else:
            self._give_up()

    def _arrived(self) -> None:
        if self._statement is None:
            self._take_in()
        else:
            self._go_on(Ready.R)

    def _go_on(self, ready: Ready | None) -> None:
        """Let the statement do what it can, until it has its answer or waits for more."""
        assert self._statement is not None
        assert self._loop is not None
        try:
            wanted = next(self._statement) if ready is None else self._statement.send(ready)
        except StopIteration as done:
            self._settle(done.value)
        except Exception as error:  # noqa: BLE001 it is the caller's
            self._settle(error)
        else:
            sending = bool(wanted & Wait.W)
            if sending and not self._sending:
                self._loop.add_writer(self._descriptor, self._go_on, Ready.W)
            elif self._sending and not sending:
                self._loop.remove_writer(self._descriptor)
            self._sending = sending

    def _settle(self, outcome: PGresult | Exception) -> None:
        assert self.connection is not None
        self._statement = None
        try:
            answer = outcome if isinstance(outcome, Exception) else self._read(self.connection, outcome)
        except psycopg.Error as error:  # the server's refusal
            answer = error
        except Exception as error:  # noqa: BLE001 it is the caller's
            answer = Unread(repr(error))
        if self.connection.closed:
            self._lose(psycopg.OperationalError(ENDED))
        if self._free is not None:
            _settle(self._free, None)
            self._free = None
        self._answered(answer)

    def _give_up(self) -> None:
        """The server is silent: let the statement say what that means for it."""
        assert self._statement is not None
        assert self.connection is not None
        silent = NoAnswer(f"the server has not answered for {self.connection.patience:g} s")
        try:
            self._statement.throw(silent)
        except Exception as error:  # noqa: BLE001 it is the caller's
            self._lose(error)
            self._settle(error)

    def _take_in(self) -> None:
        """Take what comes unasked: a notification, or the end. Whatever else a server says is its farewell."""
        assert self.connection is not None
        server = self.connection.pgconn
        try:
            server.consume_input()
            while notification := server.notifies():
                self._tell(notification)
            if self._farewell is not None:
                raise psycopg.OperationalError(self._farewell)
        except psycopg.Error as error:
            self._lose(error)

    def _tell(self, notification: PGnotify) -> None:
        if self._heard is None:
            return
        try:
            self._heard(notification.extra.decode(errors="replace"))
        except Exception as error:  # noqa: BLE001 it is raised where notifications are waited for
            if self._ended is not None and not self._ended.done():
                self._ended.set_exception(error)

    def _noticed(self, said: psycopg.errors.Diagnostic) -> None:
        if self._statement is None:
            self._farewell = said.message_primary or ENDED  # inside libpq, where nothing may be closed

    def _lose(self, error: Exception) -> None:
        """Close the connection, and tell those who wait for notifications."""
        self._statement = None
        if self._watch is not None:
            self._watch.cancel()
        if self._loop is not None:
            self._loop.remove_reader(self._descriptor)
            self._loop.remove_writer(self._descriptor)
            self._poll.unregister(self._descriptor)
        self._watch = self._loop = self._farewell = None
        self._sending = False
        if self.connection is not None:
            self.connection.close()
        if self._ended is not None and not self._ended.done():
            self._ended.set_exception(error)


def _settle(answer: Future[Any], outcome: Any) -> None:
    """Tell one who may have gone."""
    if answer.done():
        return
    if isinstance(outcome, Exception):
        answer.set_exception(outcome)
    else:
        answer.set_result(outcome)
