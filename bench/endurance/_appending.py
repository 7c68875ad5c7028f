"""A process that appends to a ledger at a steady rate until its input is closed, and says how many it appended."""

import asyncio
import sys

from bench.endurance._changes import change
from leftfold import open_store

PERIOD = 0.05  # seconds


async def main(url: str, first: int, rate: int, accounts: int) -> None:
    loop = asyncio.get_running_loop()
    closed = loop.run_in_executor(None, sys.stdin.read)
    number, begun = first, loop.time()
    async with open_store(url) as store:
        while not closed.done():
            upto = first + int((loop.time() - begun + PERIOD) * rate)
            if upto > number:
                await store.append([change(each, accounts) for each in range(number, upto)])
                number = upto
            await asyncio.sleep(PERIOD)
    print(number - first, loop.time() - begun)


asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
