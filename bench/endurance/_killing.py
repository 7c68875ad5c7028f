"""Workers that are killed with signal 9 at random moments and started again, while something else goes on."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import ExitStack, asynccontextmanager
from random import Random

from examples.worker_process import WorkerProcess


@asynccontextmanager
async def killed_at_random(
    workers: Sequence[WorkerProcess], randomness: Random, *, every: float
) -> AsyncGenerator[Counter[str]]:
    """Run workers and kill one of them about `every` seconds; how often each was killed is counted by its file."""
    kills: Counter[str] = Counter()
    with ExitStack() as running:
        for worker in workers:
            running.enter_context(worker)
        await asyncio.gather(*(asyncio.to_thread(worker.wait_until_healthy) for worker in workers))
        killing = asyncio.create_task(_kill(workers, randomness, every, kills))
        try:
            yield kills
        finally:
            killing.cancel()
            await asyncio.gather(killing, return_exceptions=True)
        await asyncio.gather(*(asyncio.to_thread(worker.wait_until_healthy) for worker in workers))
        codes = [await asyncio.to_thread(worker.stop) for worker in workers]
        assert codes == [0] * len(workers), f"workers that were asked to stop ended with {codes}"


async def _kill(workers: Sequence[WorkerProcess], randomness: Random, every: float, kills: Counter[str]) -> None:
    while True:
        await asyncio.sleep(randomness.uniform(0.5, 1.5) * every)
        worker = randomness.choice(workers)
        worker.kill()
        kills[worker.said.stem] += 1
        worker.start()
