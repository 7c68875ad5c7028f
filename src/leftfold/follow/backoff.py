"""Backoff: how long to wait before trying again after a failure, and when to give up."""

import random
from datetime import timedelta

import msgspec


class Backoff(msgspec.Struct, frozen=True):
    """Pauses that double from `first` to `longest` seconds, each shortened at random by up to a half.

    `attempts` is the number of attempts in all before something counts as failed.
    """

    first: float = 1.0
    longest: float = 300.0
    attempts: int = 6

    def pause(self, attempt: int, randomness: random.Random) -> timedelta:
        """Return how long to wait after this attempt failed; the first attempt is 1."""
        full = min(self.longest, self.first * 2 ** min(attempt - 1, 64))
        return timedelta(seconds=full * randomness.uniform(0.5, 1.0))
