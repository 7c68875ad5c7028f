"""Threads that read: what has gathered for a server that is away fails together."""

import asyncio
import threading
from contextlib import nullcontext

from leftfold.errors import StoreUnreachable
from leftfold.store.reading import ReadingThreads


class AsyncConnection:
    """A connection that is had only while its server is there; whoever asks in vain waits until told."""

    def __init__(self) -> None:
        self.is_there = False
        self.asked = 0
        self.told = threading.Event()

    def connect(self) -> "AsyncConnection":
        self.asked += 1
        if not self.is_there:
            self.told.wait(10)
            raise StoreUnreachable("log 'bank'", "no answer within 5 s")
        return self

    def close(self) -> None:
        pass


async def test_what_has_gathered_for_a_server_that_is_away_fails_together_and_the_next_read_tries_again() -> None:
    line = AsyncConnection()
    threads = ReadingThreads(line.connect, 1, nullcontext)
    first = asyncio.create_task(threads.run(lambda line: 0))
    while not line.asked:  # noqa: ASYNC110 - seen from outside
        await asyncio.sleep(0)
    reads = [asyncio.create_task(threads.run(lambda line: 1)) for _ in range(100)]
    await asyncio.sleep(0)

    line.told.set()
    outcomes = await asyncio.gather(first, *reads, return_exceptions=True)
    line.is_there = True

    assert {type(outcome) for outcome in outcomes} == {StoreUnreachable}
    assert line.asked == 2
    assert await threads.run(lambda line: 2) == 2
    await threads.close()
