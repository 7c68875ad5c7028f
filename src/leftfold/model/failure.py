"""Errors as text: in one line, and with their traceback, so that both can be logged and stored."""

import traceback

from leftfold.errors import LeftfoldError

IN_STATUS = {"in_status": True}
"""Marks a log record whose content a status shows too, for views that show both."""
LONGEST_LINE = 1_000
LONGEST_TRACEBACK = 8_000  # characters; of a longer one the beginning and the end are kept


def in_words(error: BaseException) -> str:
    """Describe an error in one line that can be stored, whatever its message is made of."""
    try:
        words = error.found if isinstance(error, LeftfoldError) else f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 the message may be computed
        words = type(error).__name__
    return _storable(words[:LONGEST_LINE])


def traceback_of(error: BaseException) -> str:
    """Format an error with its traceback and its causes, in at most `LONGEST_TRACEBACK` characters."""
    try:
        text = "".join(traceback.format_exception(error)).rstrip()
    except Exception:  # noqa: BLE001 the message may be computed
        text = f"{type(error).__name__} (its traceback cannot be formatted)"
    half = LONGEST_TRACEBACK // 2
    return _storable(text if len(text) <= LONGEST_TRACEBACK else f"{text[:half]}\n...\n{text[-half:]}")


def loggable(error: BaseException | None) -> BaseException | None:
    """Return the error for `exc_info`, or a stand-in with its escaped traceback where a log could not encode it."""
    try:
        "".join(traceback.format_exception(error)).encode()
    except Exception:  # noqa: BLE001 the message may be computed, or hold lone surrogates
        return None if error is None else Unprintable(traceback_of(error))
    return error


class Unprintable(Exception):
    """Stands in a log for an error whose message cannot be encoded."""


def _storable(text: str) -> str:
    """Replace what a log or a database cannot keep: NUL and lone surrogates."""
    return text.replace("\0", "\\x00").encode("utf-8", "replace").decode()
