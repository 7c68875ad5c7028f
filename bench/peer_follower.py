"""The peer's follower: an application that follows another one's log and records how far it has come.

Its policy does nothing, so this is the most that any follower can do; `SingleThreadedRunner` calls the same method.
"""

from typing import Any
from uuid import UUID

from eventsourcing.application import ProcessingEvent
from eventsourcing.dispatch import singledispatchmethod
from eventsourcing.system import ProcessApplication

from bench.peer import Bank
from bench.work import Stopwatch, Work

AT_ONCE = 100


class CheckpointWatcher(ProcessApplication[UUID]):
    pull_section_size = 1_000  # ten by default

    @singledispatchmethod
    def policy(self, domain_event: Any, processing_event: ProcessingEvent[UUID]) -> None:
        pass


def follow(peer: Bank, environment: dict[str, str], seconds: float) -> Work:
    """Follow for a while with a new follower."""
    follower = CheckpointWatcher(environment)
    follower.follow(peer.name, peer.notification_log)
    done, watch = 0, Stopwatch()
    while watch.seconds < seconds:
        follower.pull_and_process(peer.name, start=done, stop=done + AT_ONCE)
        done += AT_ONCE
    work = watch.work(done)
    follower.close()
    return work
