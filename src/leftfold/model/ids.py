"""New random ids."""

import os
import random
from uuid import UUID


class RandomIds:
    """Makes random UUIDs (version 4) from a generator that the system seeds once a process.

    Asking the system for each one gives up the interpreter lock each time; with a busy thread beside it, getting the
    lock back costs many times more than the id. The ids are unique, not secret.
    """

    def __init__(self) -> None:
        self._process = 0
        self._random = random.Random()

    def __call__(self) -> UUID:
        """Return a new id."""
        if self._process != os.getpid():  # a forked process would go on with its parent's ids
            self._process = os.getpid()
            self._random.seed(os.urandom(32))
        return UUID(int=self._random.getrandbits(128), version=4)
