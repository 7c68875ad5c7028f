"""Give up root's rights, try each verb of a store, and say as JSON what came of it, verb by verb."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable

from leftfold.errors import LeftfoldError
from leftfold.store import EventStore, NewEvent, open_store

NOBODY = 65_534


async def read(store: EventStore) -> int:
    return sum([len(batch.events) async for batch in store.read()])


async def append(store: EventStore) -> int:
    return (await store.append([NewEvent("tried", b"")])).first


VERBS: dict[str, Callable[[EventStore], Awaitable[int]]] = {
    "head": lambda store: store.head(),
    "read": read,
    "append": append,
}


def parts(error: LeftfoldError) -> dict[str, str]:
    return {"error": type(error).__name__, "found": error.found, "expected": error.expected, "remedy": error.remedy}


async def main(url: str) -> None:
    came: dict[str, int | dict[str, str]] = {}
    try:
        async with open_store(url) as store:
            for name, verb in VERBS.items():
                try:
                    came[name] = await verb(store)
                except LeftfoldError as error:
                    came[name] = parts(error)
    except LeftfoldError as error:
        came["open"] = parts(error)
    print(json.dumps(came), flush=True)


if os.getuid() == 0:
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
asyncio.run(main(sys.argv[1]))
