"""Background work: trouble is waited out, and never ends a worker unseen."""

import asyncio
import logging

import pytest

from leftfold.errors import StoreBusy
from leftfold.follow.follower import Background


class Failing:
    """Fails once, then has nothing to do."""

    def __init__(self, error: Exception) -> None:
        self.errors = [error]
        self.waits = asyncio.Event()

    def __repr__(self) -> str:
        return "<Failing>"

    async def step(self) -> bool:
        if self.errors:
            raise self.errors.pop()
        return False

    async def until_there_is_work(self) -> None:
        self.waits.set()
        await asyncio.Event().wait()


@pytest.mark.parametrize("error", [StoreBusy("log.db", "locked"), RuntimeError("a bug")])
async def test_a_worker_that_failed_is_tried_again_and_logged(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Failing(error)
    background = Background(worker)

    with caplog.at_level(logging.ERROR):
        background.start()
        await worker.waits.wait()
        await background.close()

    assert (worker.errors, background.trouble) == ([], None)
    assert [record.name for record in caplog.records] == ["leftfold.background"]
