"""The peer's follower: an application that follows another one's log and records how far it has come.

Its policy does nothing, so this is the most that any follower can do; `SingleThreadedRunner` calls the same method.
"""

from time import perf_counter
from typing import Any
from uuid import UUID

from eventsourcing.application import ProcessingEvent
from eventsourcing.dispatch import singledispatchmethod
from eventsourcing.system import ProcessApplication

from bench.peer import Bank

AT_ONCE = 100


class CheckpointWatcher(ProcessApplication[UUID]):
    pull_section_size = 1_000  # ten by default

    @singledispatchmethod
    def policy(self, domain_event: Any, processing_event: ProcessingEvent[UUID]) -> None:
        pass


def follow(peer: Bank, environment: dict[str, str], seconds: float) -> float:
    """Follow for a while with a new follower; how many events in each second."""
    follower = CheckpointWatcher(environment)
    follower.follow(peer.name, peer.notification_log)
    done, start = 0, perf_counter()
    while perf_counter() - start < seconds:
        follower.pull_and_process(peer.name, start=done, stop=done + AT_ONCE)
        done += AT_ONCE
    rate = done / (perf_counter() - start)
    follower.close()
    return rate
