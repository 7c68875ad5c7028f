"""A process that queries a ledger without a pause until its input is closed, and says what came of it."""

import asyncio
import json
import sys
import time
from collections import Counter

from bench.endurance._ledger_next import Counted, ledger


async def main(url: str) -> None:
    closed = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    answered, longest = 0, 0.0
    failures: Counter[str] = Counter()
    least = 0
    async with ledger.open(url, work=False) as live:
        print("ready", flush=True)
        while not closed.done():
            begun = time.perf_counter()
            try:
                accounts, _ = await live.query(Counted())
            except Exception as error:  # noqa: BLE001 - any failure is what is looked for
                failures[repr(error)] += 1
                continue
            answered += 1
            least = accounts if not least else min(least, accounts)
            longest = max(longest, time.perf_counter() - begun)
    said = {"answered": answered, "longest": longest, "failures": dict(failures), "least_accounts": least}
    print(json.dumps(said), flush=True)


asyncio.run(main(sys.argv[1]))
