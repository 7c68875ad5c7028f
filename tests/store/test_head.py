"""The head of the log, and those who wait for it."""

import asyncio

from leftfold.store.head import Head


async def test_one_who_is_woken_before_the_head_is_far_enough_is_still_awaited() -> None:
    head = Head()
    waiting = asyncio.create_task(head.beyond(5, None))
    await asyncio.sleep(0)

    head.advance(5)

    assert head.awaited
    head.advance(6)
    assert await waiting == 6
    assert not head.awaited
