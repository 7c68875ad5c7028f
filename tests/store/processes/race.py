"""Race in rounds: for each line read, several tasks append under one condition; say how many committed."""

import asyncio
import sys

from leftfold.errors import Conflict
from leftfold.model.criteria import criteria
from leftfold.store import AppendCondition, EventStore, NewEvent, open_store


async def attempt(store: EventStore, tag: str) -> bool:
    try:
        await store.append([NewEvent("won", b"", (tag,))], condition=AppendCondition(criteria(tags=[tag]), 0))
    except Conflict:
        return False
    return True


async def main(url: str, racers: int) -> None:
    async with open_store(url) as store:
        print("ready", flush=True)
        for line in sys.stdin:
            won = await asyncio.gather(*(attempt(store, f"round:{line.strip()}") for _ in range(racers)))
            print(sum(won), flush=True)


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
