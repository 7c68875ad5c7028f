"""What the group commit does between commits: it tidies, a little at a time, and lets nobody wait for all of it."""

import asyncio
from collections.abc import Iterator, Sequence
from threading import Event
from typing import Any

from leftfold.store import Appended, NewEvent
from leftfold.store.admission import AppendRequest
from leftfold.store.group_commit import GroupCommit

REQUEST = AppendRequest([NewEvent("noted", b"")], None, None)


class Log:
    """Notes what happens in the committing thread, and stops it in the first of three rounds of tidying."""

    def __init__(self) -> None:
        self.happened: list[str] = []
        self.tidying, self.go_on, self.done = Event(), Event(), Event()
        self._more: Iterator[bool] = iter([True, True, False])

    def commit(self, requests: Sequence[AppendRequest]) -> Sequence[Appended]:
        self.happened.append(f"commit of {len(requests)}")
        return [Appended(1, 1)] * len(requests)

    def tidy(self) -> bool:
        self.happened.append("tidy")
        self.tidying.set()
        self.go_on.wait()
        more = next(self._more, False)
        if not more:
            self.done.set()
        return more

    def settled(self, position: Any) -> None:
        pass


async def test_a_caller_is_answered_before_anything_is_tidied() -> None:
    log = Log()
    commits = GroupCommit(log.commit, log.settled, queue=8, tidy=log.tidy)

    await commits.append(REQUEST)  # comes back although the thread is held up in `tidy`
    log.tidying.wait()
    log.go_on.set()
    await commits.close()

    assert log.happened[:2] == ["commit of 1", "tidy"]


async def test_it_tidies_until_nothing_is_left() -> None:
    log = Log()
    log.go_on.set()
    commits = GroupCommit(log.commit, log.settled, queue=8, tidy=log.tidy)

    await commits.append(REQUEST)
    log.done.wait()
    await commits.close()

    assert log.happened == ["commit of 1", "tidy", "tidy", "tidy"]


async def test_an_append_that_comes_meanwhile_goes_before_more_tidying() -> None:
    log = Log()
    commits = GroupCommit(log.commit, log.settled, queue=8, tidy=log.tidy)
    await commits.append(REQUEST)
    log.tidying.wait()

    second = asyncio.create_task(commits.append(REQUEST))
    await asyncio.sleep(0)  # it has been handed in
    closing = asyncio.create_task(commits.close())
    await asyncio.sleep(0)
    log.go_on.set()
    await asyncio.gather(second, closing)

    assert log.happened == ["commit of 1", "tidy", "commit of 1"]
