"""Appends to a PostgreSQL log: calls of one function for batches, and of a faster one for a few events."""

import asyncio
from collections.abc import Sequence
from functools import partial
from time import monotonic
from typing import Any

from psycopg.pq.abc import PGresult

from leftfold.errors import LeftfoldError, StoreBusy, StoreUnreachable
from leftfold.model.clock import Clock, microseconds_of, to_microseconds
from leftfold.store.admission import AppendRequest
from leftfold.store.clock_guard import NO_LIMIT, ClockGuard, clock_jumped
from leftfold.store.commit import AppendResult, Complete, failure_of, log_failed_alone, may_be_one_request
from leftfold.store.contract import Appended
from leftfold.store.postgres.batch import COLUMNS as BATCH_COLUMNS
from leftfold.store.postgres.batch import AppendCall, Array, bigints, blobs, calls_of, integers, lines, texts
from leftfold.store.postgres.connection import AsyncConnection
from leftfold.store.postgres.driver import Connection, UnreadAnswer, committing, integer_of

MAX_FEW_EVENTS = 4  # for more events the function for batches is as fast
FEW_COLUMNS = 8  # in a call for a few events


def is_few(requests: Sequence[AppendRequest]) -> bool:
    """Return whether the requests are one append that `append_few` can take."""
    if len(requests) > 1:
        return False
    [request] = requests
    return (
        len(request.events) <= MAX_FEW_EVENTS
        and not request.keys
        and all(event.time is None for event in request.events)
    )


def columns_of(request: AppendRequest) -> list[Array]:
    """Return the arguments of `append_few` from `event_type` on, in their order."""
    events = request.events
    items = [(condition.after, item) for condition in request.conditions for item in condition.criteria.items]
    return [
        texts([event.type for event in events]),
        integers([event.version for event in events]),
        texts(["\n".join(event.tags) for event in events]),
        blobs([event.data for event in events]),
        blobs([event.metadata for event in events]),
        bigints([after for after, _ in items]),
        texts([lines(item.types) for _, item in items]),
        texts([lines(item.tags) for _, item in items]),
    ]


MAX_EVENTS_ENCODED_IN_LOOP = 500  # which takes the event loop a millisecond or two
SECONDS_BETWEEN_LOOKS = 1.0  # at the time of the newest event, which another process may have appended
NOW = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
NEWEST = 'coalesce((SELECT time FROM "{log}".event ORDER BY position DESC LIMIT 1), 0)'
ANSWERS = "codes, firsts, lasts, details, moment, newest, head"
MOMENT_COLUMN = 4


class PostgresAppends:
    """Commits batches of appends of one log over one connection.

    If the connection has no settings of its own, each call sets `lock_timeout`. Every call has the condition `same`:
    that the log still has its id.
    """

    def __init__(
        self,
        connection: AsyncConnection,
        log: str,
        where: str,
        *,
        durable: bool,
        clock: Clock | None,
        guard: ClockGuard,
        lock_timeout: str | None,
        same: str,
    ) -> None:
        self._connection = connection
        self._where = where
        self._clock = clock
        self._first_parameters = [durable] if lock_timeout is None else [durable, lock_timeout]
        self._guard = guard
        calling = partial(_call_in_time, guard, log, with_lock_timeout=lock_timeout is not None)
        where = f" WHERE {same}"
        self._append = calling(ANSWERS, "append", BATCH_COLUMNS, look=True) + where
        self._append_few = calling("head", "append_few", FEW_COLUMNS) + where
        self._append_few_and_look = calling(f"head, {NOW}", "append_few", FEW_COLUMNS, look=True) + where
        self._select_times = f"SELECT coalesce(%s::bigint, {NOW}), {NEWEST.format(log=log)}"
        self._looked = 0.0 if guard.doubts else monotonic()  # when the time of the newest event was last looked at
        self._refused: AppendRequest | None = None  # by `append_few`

    def __repr__(self) -> str:
        return f"<PostgresAppends over {self._connection!r}>"

    async def commit(self, requests: Sequence[AppendRequest]) -> Sequence[AppendResult]:
        """Append these requests in order, each if its conditions hold, and return the result of each."""
        outcomes: list[AppendResult] = []
        for call in list(calls_of(requests)):
            outcomes += await self._commit_call(call)
            if isinstance(outcomes[-1], StoreBusy | StoreUnreachable):  # the next ones would wait as long, in vain
                outcomes += [outcomes[-1]] * (len(requests) - len(outcomes))
                break
        return outcomes

    def begin(self, request: AppendRequest, complete: Complete) -> bool:
        """Append a few events now if the connection is free, and return whether this has begun.

        Complete with None if a condition does not hold: `commit` then finds out which one.
        """
        if not is_few([request]):
            return False

        def answered(answer: Any) -> None:
            complete(self._outcome(request, answer))

        return self._connection.begin(*self._call_for_few(request), self._head_in, answered)

    async def _commit_call(self, requests: Sequence[AppendRequest], *, whole: bool = True) -> Sequence[AppendResult]:
        """Return the results of one call, or of both halves if it failed. The calls before it are committed."""
        try:
            return await self._call(requests)
        except Exception as error:  # noqa: BLE001 a driver may raise anything
            failure = failure_of(error)
        if len(requests) > 1 and may_be_one_request(failure):
            middle = len(requests) // 2
            first = await self._commit_call(requests[:middle], whole=False)
            return [*first, *await self._commit_call(requests[middle:], whole=False)]
        if not whole:
            log_failed_alone(failure, requests[0])
        return [failure] * len(requests)

    async def _call(self, requests: Sequence[AppendRequest]) -> Sequence[AppendResult]:
        refused, self._refused = self._refused, None
        with committing(self._where, lambda: self._connection.lost):
            if is_few(requests) and requests[0] is not refused:
                found = await self._connection.execute(*self._call_for_few(requests[0]))
                for head, *now in found:
                    self._note(*now)
                    if head is not None:
                        return [_appended(requests[0], head)]
            call, columns = await _call_of(requests)
            asked = self._parameters(columns, requests)
            answers = await self._connection.execute(self._append, asked)
            if not answers:
                await self._check_clock()
                answers = await self._connection.execute(self._append, self._parameters(columns, requests))
            try:
                self._note(answers[0][MOMENT_COLUMN])
                return call.outcomes(*answers)
            except Exception as error:
                raise UnreadAnswer(repr(error)) from error

    def _outcome(self, request: AppendRequest, answer: Any) -> AppendResult | None:
        if isinstance(answer, Exception):
            return self._error(answer)
        if answer is None:
            self._refused = request
            return None
        return _appended(request, answer)

    def _error(self, error: Exception) -> LeftfoldError:
        try:
            with committing(self._where, lambda: self._connection.lost):
                raise error
        except Exception as other:  # noqa: BLE001 the caller would wait for ever
            return failure_of(other)

    async def _check_clock(self) -> None:
        """Raise `ClockJumped` unless the clock turns out to be plausible."""
        [[now, newest]] = await self._connection.execute(self._select_times, [self._now()])
        latest = self._guard.latest(now)
        if max(now, newest) > latest:
            self._looked = 0.0
            raise clock_jumped(max(now, newest), latest, now)

    def _call_for_few(self, request: AppendRequest) -> tuple[str, list[Any]]:
        """Return the call for a few events. Once a second it also looks at the time of the newest event."""
        sql, time = self._append_few, monotonic()
        if self._guard.watches and time - self._looked > SECONDS_BETWEEN_LOOKS:
            sql, self._looked = self._append_few_and_look, time
        return sql, self._parameters(columns_of(request))

    def _head_in(self, connection: Connection, result: PGresult) -> int | None:
        """Return what the call for a few events answers."""
        head = integer_of(connection, result)
        if result.nfields > 1 and result.ntuples and (now := result.get_value(0, 1)):
            self._note(int.from_bytes(now, "big"))
        return head

    def _note(self, now: int | None = None) -> None:
        """Compare the clock of the server with the time that has passed."""
        if now is not None and self._clock is None:
            self._guard.latest(now)

    def _parameters(self, columns: Sequence[Array], requests: Sequence[AppendRequest] = ()) -> list[Any]:
        now = self._now()
        if not self._guard.watches:
            return [*self._first_parameters, now, *columns]
        latest = self._guard.latest_unseen() if now is None else self._guard.latest(now)
        given = [event.time for request in requests for event in request.events]
        if given and None not in given and to_microseconds(max(filter(None, given))) <= latest:
            latest = NO_LIMIT  # the clock dates none of these events
        return [*self._first_parameters, now, latest, *columns]

    def _now(self) -> int | None:
        """Return the time for the append; None for that of the server."""
        return None if self._clock is None else microseconds_of(self._clock)


def _appended(request: AppendRequest, head: int) -> Appended:
    return Appended(head + 1, head + len(request.events))


def plain_call(answers: str, function: str, columns: int) -> str:
    """Return the call of a function with these arguments: whether to be durable, the time, and so many columns."""
    return f"SELECT {answers} FROM {function}({', '.join(['%s'] * (2 + columns))})"


def _with_lock_timeout(answers: str, function: str, columns: int) -> str:
    return f"""
        SELECT {answers}
        FROM (SELECT %s AS durable, set_config('lock_timeout', %s, true)) AS asked
        CROSS JOIN LATERAL {function}(asked.durable, {", ".join(["%s"] * (1 + columns))})"""


def _call_in_time(
    guard: ClockGuard, log: str, answers: str, name: str, columns: int, *, with_lock_timeout: bool, look: bool = False
) -> str:
    """Return a call that returns no row, and does not call the function, if the events would get too late a time.

    The function is called for each row of the subquery; OFFSET keeps the planner from merging the two. With `look` the
    time of the newest event is checked too.
    """
    function = f'"{log}".{name}'
    if not guard.watches:
        return (_with_lock_timeout if with_lock_timeout else plain_call)(answers, function, columns)
    now = f"coalesce(clock, {NOW})"
    newest = f"AND {NEWEST.format(log=log)} <= least(latest, {guard.ahead_of(now)})" if look else ""
    return f"""
        SELECT {answers}
        FROM (
            SELECT durable, clock
            FROM (
                SELECT
                    %s AS durable,
                    {"set_config('lock_timeout', %s, true)," if with_lock_timeout else ""}
                    %s::bigint AS clock,
                    %s::bigint AS latest
            ) AS given
            WHERE latest = {NO_LIMIT} OR ({now} <= latest {newest})
            OFFSET 0
        ) AS asked
        CROSS JOIN LATERAL {function}(asked.durable, asked.clock, {", ".join(["%s"] * columns)})"""


async def _call_of(requests: Sequence[AppendRequest]) -> tuple[AppendCall, Sequence[Array]]:
    """Return a call and its columns. For many events a thread encodes them, so that other tasks can run."""

    def made() -> tuple[AppendCall, Sequence[Array]]:
        call = AppendCall(requests)
        return call, call.columns()

    return (
        await asyncio.to_thread(made)
        if sum(len(request.events) for request in requests) > MAX_EVENTS_ENCODED_IN_LOOP
        else made()
    )
