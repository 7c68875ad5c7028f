"""Threads that read, each with a database connection of its own."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from leftfold.store.sqlite_errors import named_errors

T = TypeVar("T")


class ReadingThreads:
    """Runs functions over a connection, off the event loop; connections are opened when first needed."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], threads: int, where: str) -> None:
        self._connect = connect
        self._where = where
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="leftfold reader")
        self._own = threading.local()
        self._opened: list[sqlite3.Connection] = []

    async def run(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """Run `read` in one of the threads."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._with_connection, read)

    async def close(self) -> None:
        """Wait for what is under way, then close the connections."""
        await asyncio.to_thread(self._threads.shutdown)
        for connection in self._opened:
            connection.close()
        self._opened.clear()

    def _with_connection(self, read: Callable[[sqlite3.Connection], T]) -> T:
        with named_errors(self._where):
            connection: sqlite3.Connection | None = getattr(self._own, "connection", None)
            if connection is None:
                connection = self._own.connection = self._connect()
                self._opened.append(connection)
            return read(connection)
