"""The head that a process knows, and those who wait for it to grow."""

import asyncio

from leftfold.store.head import Head


async def test_who_waits_for_more_is_still_waited_for_when_the_head_has_grown_by_less() -> None:
    head = Head()
    one, two = (asyncio.create_task(head.beyond(after, None)) for after in (0, 10))
    await asyncio.sleep(0)

    head.advance(5)
    still = head.awaited
    reached = await one
    head.advance(11)

    assert (still, reached, await two, head.awaited) == (True, 5, 11, False)


async def test_who_gives_up_is_waited_for_no_more() -> None:
    head = Head()

    reached = await head.beyond(0, timeout=0.001)

    assert (reached, head.awaited) == (0, False)


async def test_one_who_is_woken_before_the_head_is_far_enough_is_still_awaited() -> None:
    head = Head()
    waiting = asyncio.create_task(head.beyond(5, None))
    await asyncio.sleep(0)

    head.advance(5)

    assert head.awaited
    head.advance(6)
    assert await waiting == 6
    assert not head.awaited
