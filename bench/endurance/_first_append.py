"""A process that opens a log and appends one event; it says when it had begun, opened the log and was acknowledged."""

import asyncio
import json
import sys
import time

from bench.endurance._changes import change
from leftfold import open_store


async def main(url: str) -> None:
    begun = time.monotonic()
    async with open_store(url) as store:
        opened = time.monotonic()
        appended = await store.append([change(0, 1)])
        acknowledged = time.monotonic()
    moments = {"begun": begun, "opened": opened, "acknowledged": acknowledged}
    print(json.dumps({"position": appended.last, **moments}))


asyncio.run(main(sys.argv[1]))
