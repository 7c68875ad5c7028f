"""Appends as calls of a log's functions: whole batches, and single ones by a shorter way."""

import asyncio
from collections.abc import Sequence
from typing import Any

from leftfold.clock import Clock, to_microseconds
from leftfold.errors import LeftfoldError, StoreBusy, StoreUnreachable
from leftfold.store import postgres_batch, postgres_few
from leftfold.store.admission import AppendRequest
from leftfold.store.contract import Appended
from leftfold.store.group_commit import Outcome, failure_of, log_failed_alone, may_be_one
from leftfold.store.loop_commit import Settle
from leftfold.store.postgres_arrays import Array
from leftfold.store.postgres_batch import AppendCall, calls_of
from leftfold.store.postgres_driver import Unread, committing, integer_of
from leftfold.store.postgres_few import columns_of, is_few
from leftfold.store.postgres_line import Line

MANY = 500  # events: a millisecond or two of the event loop's time
ANSWERS = "codes, firsts, lasts, details, moment, newest, head"


class PostgresAppends:
    """Commits batches of appends of one log over one line.

    Where the connection has no settings of its own, `lock_timeout` goes with each call, and `same` with all: the
    condition that the log is still that of its id.
    """

    def __init__(
        self,
        line: Line,
        log: str,
        where: str,
        *,
        durable: bool,
        clock: Clock | None,
        lock_timeout: str | None,
        same: str,
    ) -> None:
        self._line = line
        self._where = where
        self._clock = clock
        self._asked = [durable] if lock_timeout is None else [durable, lock_timeout]
        calling = plainly if lock_timeout is None else _with_lock_timeout
        where = f" WHERE {same}"
        self._append = calling(ANSWERS, f'"{log}".append', postgres_batch.COLUMNS) + where
        self._append_few = calling("head", f'"{log}".append_few', postgres_few.COLUMNS) + where
        self._refused: AppendRequest | None = None  # by the function for a few

    def __repr__(self) -> str:
        return f"<PostgresAppends over {self._line!r}>"

    async def commit(self, requests: Sequence[AppendRequest]) -> Sequence[Outcome]:
        """Append these requests in order, each if its conditions hold; what came of each."""
        outcomes: list[Outcome] = []
        for call in list(calls_of(requests)):
            outcomes += await self._apart(call)
            if isinstance(outcomes[-1], StoreBusy | StoreUnreachable):  # those behind would wait as long, for nothing
                outcomes += [outcomes[-1]] * (len(requests) - len(outcomes))
                break
        return outcomes

    def begin(self, request: AppendRequest, settle: Settle) -> bool:
        """Append a few events now if the line is free; whether it was begun.

        Settled with None where something is in the way: `commit` says what.
        """
        if not is_few([request]):
            return False

        def answered(answer: Any) -> None:
            settle(self._outcome(request, answer))

        return self._line.begin(self._append_few, self._parameters(columns_of(request)), integer_of, answered)

    async def _apart(self, requests: Sequence[AppendRequest], *, whole: bool = True) -> Sequence[Outcome]:
        """What came of one call, or of each half of one that failed: calls before it are committed."""
        try:
            return await self._call(requests)
        except Exception as error:  # noqa: BLE001 whatever a driver raises
            failure = failure_of(error)
        if len(requests) > 1 and may_be_one(failure):
            middle = len(requests) // 2
            first = await self._apart(requests[:middle], whole=False)
            return [*first, *await self._apart(requests[middle:], whole=False)]
        if not whole:
            log_failed_alone(failure, requests[0])
        return [failure] * len(requests)

    async def _call(self, requests: Sequence[AppendRequest]) -> Sequence[Outcome]:
        refused, self._refused = self._refused, None
        with committing(self._where, lambda: self._line.lost):
            if is_few(requests) and requests[0] is not refused:
                [[head]] = await self._line.ask(self._append_few, self._parameters(columns_of(requests[0])))
                if head is not None:
                    return [_appended(requests[0], head)]
            call, columns = await _call_of(requests)
            answers = await self._line.ask(self._append, self._parameters(columns))
            try:
                return call.outcomes(*answers)
            except Exception as error:
                raise Unread(repr(error)) from error

    def _outcome(self, request: AppendRequest, answer: Any) -> Outcome | None:
        if isinstance(answer, Exception):
            return self._error(answer)
        if answer is None:
            self._refused = request
            return None
        return _appended(request, answer)

    def _error(self, error: Exception) -> LeftfoldError:
        try:
            with committing(self._where, lambda: self._line.lost):
                raise error
        except Exception as other:  # noqa: BLE001 whoever waits would wait for ever
            return failure_of(other)

    def _parameters(self, columns: Sequence[Array]) -> list[Any]:
        clock = None if self._clock is None else to_microseconds(self._clock.now())
        return [*self._asked, clock, *columns]


def _appended(request: AppendRequest, head: int) -> Appended:
    return Appended(head + 1, head + len(request.events))


def plainly(answers: str, function: str, columns: int) -> str:
    """A call of a function that is told whether to be durable, the time, and so many columns."""
    return f"SELECT {answers} FROM {function}({', '.join(['%s'] * (2 + columns))})"


def _with_lock_timeout(answers: str, function: str, columns: int) -> str:
    return f"""
        SELECT {answers}
        FROM (SELECT %s AS durable, set_config('lock_timeout', %s, true)) AS asked
        CROSS JOIN LATERAL {function}(asked.durable, {", ".join(["%s"] * (1 + columns))})"""


async def _call_of(requests: Sequence[AppendRequest]) -> tuple[AppendCall, Sequence[Array]]:
    """A call and its columns; those of many events are made in a thread, so that other tasks go on."""

    def made() -> tuple[AppendCall, Sequence[Array]]:
        call = AppendCall(requests)
        return call, call.columns()

    return await asyncio.to_thread(made) if sum(len(request.events) for request in requests) > MANY else made()
