"""Being stopped: the first signal asks, the second one does not."""

import asyncio
import os
import signal
from collections.abc import Generator
from contextlib import contextmanager

from leftfold.cli.consoles import stderr
from leftfold.cli.outcome import Outcome

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stopping() -> Generator[asyncio.Event]:
    """Yield an event that SIGTERM or Ctrl-C sets; a second signal exits immediately."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    for each in SIGNALS:
        loop.add_signal_handler(each, _stop, asked)
    try:
        yield asked
    finally:
        for each in SIGNALS:
            loop.remove_signal_handler(each)


def _stop(asked: asyncio.Event) -> None:
    err = stderr()
    if asked.is_set():
        err.put("stopped at once")
        err.file.flush()
        os._exit(Outcome.INTERRUPTED)  # nothing that is stored needs a farewell
    asked.set()
    err.put("stopping once the batch under way is done; once more to stop at once")
    err.file.flush()
