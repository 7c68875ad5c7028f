"""For each line read append one event; say its position and the moment of acknowledgement."""

import asyncio
import sys
import time

from leftfold.store import NewEvent, open_store


async def main(url: str) -> None:
    async with open_store(url) as store:
        print("ready", flush=True)
        for line in sys.stdin:
            appended = await store.append([NewEvent("appended", line.encode())])
            print(appended.first, time.monotonic(), flush=True)


asyncio.run(main(sys.argv[1]))
