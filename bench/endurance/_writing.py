"""A process that appends events for ever, from several callers, and says each position that was acknowledged."""

import asyncio
import sys
from itertools import count

from bench.endurance._changes import change
from leftfold import open_store

CALLERS = 16
ACCOUNTS = 1_000


async def main(url: str) -> None:
    numbers = count()

    async def call() -> None:
        while True:
            appended = await store.append([change(next(numbers), ACCOUNTS)])
            print(appended.last, flush=True)

    async with open_store(url) as store:
        await asyncio.gather(*(call() for _ in range(CALLERS)))


asyncio.run(main(sys.argv[1]))
