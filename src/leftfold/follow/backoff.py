"""Backoff: how long to wait before something that failed is tried again, and when to give up."""

import random
from datetime import timedelta

import msgspec


class Backoff(msgspec.Struct, frozen=True):
    """Pauses that double from `first` to `longest` seconds, each shortened at random by up to a half.

    `attempts` is how often something is tried in all before it counts as failed.
    """

    first: float = 1.0
    longest: float = 300.0
    attempts: int = 6

    def pause(self, attempt: int, randomness: random.Random) -> timedelta:
        """How long to wait after this attempt failed; the first one is 1."""
        full = min(self.longest, self.first * 2 ** min(attempt - 1, 64))
        return timedelta(seconds=full * randomness.uniform(0.5, 1.0))
