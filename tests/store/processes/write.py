"""Append for ever, from several tasks: three events with one id; say the id once its append is acknowledged."""

import asyncio
import itertools
import os
import sys

from leftfold.store import EventStore, NewEvent, open_store


async def write(store: EventStore, name: str) -> None:
    for n in itertools.count():
        tag = f"id:{name}-{n}"
        appended = await store.append([NewEvent("written", b"x" * 500, (tag,))] * 3, key=tag)
        os.write(1, f"{tag} {appended.first}\n".encode())


async def main(url: str, name: str, tasks: int) -> None:
    async with open_store(url) as store:
        await asyncio.gather(*(write(store, f"{name}-{task}") for task in range(tasks)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
