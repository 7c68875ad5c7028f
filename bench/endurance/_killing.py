"""Workers that are killed with signal 9 at random moments and started again, while something else goes on."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import ExitStack, asynccontextmanager
from random import Random

from examples.worker_process import WorkerProcess


class Killing:
    """Kills one of some workers about `every` seconds and starts it again, until it is told to cease."""

    def __init__(self, workers: Sequence[WorkerProcess], randomness: Random, every: float) -> None:
        self.kills: Counter[str] = Counter()
        self._workers = workers
        self._random = randomness
        self._every = every
        self._task = asyncio.create_task(self._run())

    async def cease(self) -> None:
        """Kill no more; return when all workers are up."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await until_healthy(self._workers)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._random.uniform(0.5, 1.5) * self._every)
            worker = self._random.choice(self._workers)
            worker.kill()
            self.kills[worker.said.stem] += 1
            worker.start()


@asynccontextmanager
async def killed_at_random(
    workers: Sequence[WorkerProcess], randomness: Random, *, every: float
) -> AsyncGenerator[Killing]:
    """Run workers that are killed at random; what is left of them in the end must stop when asked to."""
    with ExitStack() as running:
        for worker in workers:
            running.enter_context(worker)
        await until_healthy(workers)
        killing = Killing(workers, randomness, every)
        try:
            yield killing
        finally:
            await killing.cease()
        codes = [await asyncio.to_thread(worker.stop) for worker in workers]
        assert codes == [0] * len(workers), f"workers that were asked to stop ended with {codes}"


async def until_healthy(workers: Sequence[WorkerProcess]) -> None:
    """Return when each of them says that it is."""
    await asyncio.gather(*(asyncio.to_thread(worker.wait_until_healthy) for worker in workers))
