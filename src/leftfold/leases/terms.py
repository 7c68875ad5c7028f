"""Terms: on what a process takes part in leases."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic

import msgspec

from leftfold.leases.holder import Holder

LEASE_SECONDS = 5.0
TURNS = 5  # in the time of a lease: its holder is heard of as often


class Terms(msgspec.Struct, frozen=True):
    """Who takes leases, and how long one lasts of whose holder nothing is heard.

    `now` tells seconds by a clock that never steps. `pause` passes the time between two turns.
    """

    me: str
    seconds: float = LEASE_SECONDS
    now: Callable[[], float] = monotonic
    pause: Callable[[float], Awaitable[object]] = asyncio.sleep

    @classmethod
    def present(cls, seconds: float = LEASE_SECONDS, app: str = "") -> "Terms":
        """Those of this process, for an app of this name."""
        return cls(str(Holder.present(app)), seconds)

    @property
    def turn(self) -> float:
        """Seconds between two turns of a keeper."""
        return self.seconds / TURNS
