"""A process that goes through a whole log in one way, and says how long it took and its peak of memory."""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from bench.endurance._changes import batches
from bench.endurance._ledger import Counted, Tally, ledger
from leftfold import open_store, subscribe
from leftfold.store import IdempotencyKey
from leftfold.store.copying import clock_for, copy_log

KEY_EVERY = 100  # events, each of which has an idempotency key
DIGEST = b"0123456789abcdef"
PATIENCE = 7_200.0  # seconds for the projection


async def fill(url: str, other: str, events: int, accounts: int) -> int:
    """Append them, a few thousand at a time."""
    written = 0
    async with open_store(url) as store:
        for batch in batches(0, events, accounts):
            numbers = range(0, len(batch), KEY_EVERY)
            written = (await store.append(batch, key=[_key(written, number) for number in numbers])).last
    return written


async def read(url: str, other: str, events: int, accounts: int) -> int:
    """Read all of it, whole events."""
    async with open_store(url) as store:
        return sum([len(batch.events) async for batch in store.read()])


async def subscription(url: str, other: str, events: int, accounts: int) -> int:
    """Follow it from its beginning to its head."""
    async with open_store(url) as store:
        seen = 0
        async for batch in subscribe(store):
            seen += len(batch.events)
            if batch.through == events:
                break
        return seen


async def projection(url: str, other: str, events: int, accounts: int) -> int:
    """Fold it into a read model with a row for each account."""
    async with ledger.open(url, work=("projections",), only=[Tally], models=other) as live:
        head = await live.store.head()
        await live.query(Counted(), after=head, wait_timeout=PATIENCE)
        return head


async def copy(url: str, other: str, events: int, accounts: int) -> int:
    """Copy it to a new log, and compare the two."""
    async with open_store(url) as source, open_store(other, clock=await clock_for(source)) as target:
        found = await copy_log(source, target)
        assert (found.difference, found.keys) == (None, -(-events // KEY_EVERY)), found
        return found.copied


def _key(written: int, number: int) -> IdempotencyKey:
    return IdempotencyKey(f"key-{written + number}", DIGEST, number, 1)


Way = Callable[[str, str, int, int], Coroutine[Any, Any, int]]
WAYS: Mapping[str, Way] = {"fill": fill, "read": read, "subscribe": subscription, "project": projection, "copy": copy}


def main(way: str, url: str, other: str, events: int, accounts: int) -> None:
    begun = time.perf_counter()
    seen = asyncio.run(WAYS[way](url, other, events, accounts))
    print(json.dumps({"events": seen, "seconds": time.perf_counter() - begun, "megabytes": _peak()}))


def _peak() -> float:
    """The most memory that this process had, in MB; `ru_maxrss` begins with what the process had that started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1_024


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
