"""Signals while the main thread runs an event loop that others need too: Ctrl-C waits until the loop has stopped.

Python runs signal handlers in the main thread, between any two of its instructions. What a handler raises there would
end whichever task is running, perhaps in the middle of a commit.
"""

import importlib
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Self

# The functions that `signal.signal` and `signal.getsignal` wrap. The wrappers make enums, which takes twenty times as
# long: more than the rest of a short call.
_plain = importlib.import_module("_signal")
_signal: Callable[[int, Any], Any] = _plain.signal
_getsignal: Callable[[int], Any] = _plain.getsignal

_NUMBERS = [int(number) for number in signal.valid_signals()]


class DelayedInterrupt:
    """In the main thread, calls `stop` at Ctrl-C instead of raising KeyboardInterrupt, and raises it at the end.

    If Ctrl-C comes again before the end, KeyboardInterrupt is raised at once. In other threads it does nothing: signal
    handlers do not run there.
    """

    def __init__(self, stop: Callable[[], object]) -> None:
        self._stop = stop
        self._replaced = False
        self.came = False

    def __repr__(self) -> str:
        return f"<DelayedInterrupt{', it came' if self.came else ''}>"

    def __enter__(self) -> Self:
        if _is_main() and _getsignal(signal.SIGINT) is signal.default_int_handler:
            with suppress(ValueError):  # a subinterpreter, where handlers do not run either
                _signal(signal.SIGINT, self._note)
                self._replaced = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._replaced:
            _signal(signal.SIGINT, signal.default_int_handler)
        if self.came and kind is not KeyboardInterrupt:
            raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.came:
            raise KeyboardInterrupt
        self.came = True
        self._stop()


class SignalHandlers:
    """The signal handlers of the program, which only the main thread runs."""

    def __init__(self) -> None:
        self._harmless: list[Any] = []  # as they were when none of them could raise

    def __repr__(self) -> str:
        return f"<SignalHandlers{', they may raise here' if self.may_raise_here() else ''}>"

    def may_raise_here(self) -> bool:
        """Return whether this thread runs a handler that may raise, other than Python's own for Ctrl-C."""
        if not _is_main():
            return False
        handlers = [*map(_getsignal, _NUMBERS)]
        if handlers == self._harmless:
            return False
        if any(callable(handler) and handler is not signal.default_int_handler for handler in handlers):
            return True
        self._harmless = handlers
        return False


def _is_main() -> bool:
    return threading.current_thread() is threading.main_thread()
