"""The schedule of a worker: which open tickets come next, in bounded memory."""

import heapq
from datetime import UTC, datetime

START = datetime.min.replace(tzinfo=UTC)
NEVER = datetime.max.replace(tzinfo=UTC)


class Schedule:
    """Open tickets by the time at which they are due.

    Of more than `capacity` those that are due last are let go; from the time `incomplete` on the log has to be asked
    again. Belongs to one worker.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._open: dict[str, tuple[datetime, int]] = {}
        self._due: list[tuple[datetime, int, str]] = []
        self._forgotten: int | None = None
        self.incomplete: datetime | None = None

    def __repr__(self) -> str:
        return f"<Schedule of {len(self._open)} tickets>"

    def __len__(self) -> int:
        return len(self._open)

    def put(self, ticket: str, position: int, due: datetime | None) -> None:
        """Note when a ticket is due; `position` is where it was submitted."""
        if self.incomplete is not None and due is not None and due >= self.incomplete:
            self._open.pop(ticket, None)
            self._forget(due, position)
            return
        entry = (due or START, self._open.get(ticket, (START, position))[1])
        if self._open.get(ticket) == entry:
            return
        self._open[ticket] = entry
        heapq.heappush(self._due, (*entry, ticket))
        if len(self._open) > self._capacity:
            self._shrink()

    def discard(self, ticket: str) -> None:
        """A ticket is settled."""
        self._open.pop(ticket, None)

    def take(self, now: datetime, limit: int) -> list[str]:
        """Tickets that are due, in the order in which they were submitted. They stay open until they are discarded."""
        found: list[tuple[int, str]] = []
        while self._due and len(found) < limit and self._due[0][0] <= now:
            due, position, ticket = heapq.heappop(self._due)
            if self._open.get(ticket) == (due, position):
                self._open[ticket] = (NEVER, position)
                found.append((position, ticket))
        return [ticket for _, ticket in sorted(found)]

    def next(self) -> datetime | None:
        """When the next ticket is due or the log has to be asked again; None when nothing will be."""
        while self._due and self._open.get(self._due[0][2]) != self._due[0][:2]:
            heapq.heappop(self._due)
        times = [due for due, _, _ in self._due[:1] if due < NEVER]
        if self.incomplete is not None:
            times.append(self.incomplete)
        return min(times, default=None)

    def oldest(self, limit: int) -> tuple[list[str], int | None]:
        """The first open tickets, and where the first one was submitted that is left out, if any is."""
        ordered = sorted((position, ticket) for ticket, (_, position) in self._open.items())
        left_out = [position for position, _ in ordered[limit : limit + 1]]
        if self._forgotten is not None:
            left_out.append(self._forgotten)
        end = min(left_out, default=None)
        return [ticket for position, ticket in ordered[:limit] if end is None or position < end], end

    def _forget(self, due: datetime, position: int) -> None:
        self.incomplete = due if self.incomplete is None else min(due, self.incomplete)
        self._forgotten = position if self._forgotten is None else min(position, self._forgotten)

    def _shrink(self) -> None:
        """Let go of the later half at once, since each time all are sorted; never of what may be due already."""
        ordered = sorted((due, position, ticket) for ticket, (due, position) in self._open.items())
        for due, position, ticket in ordered[len(ordered) // 2 :]:
            if due > START:
                del self._open[ticket]
                self._forget(due, position)
        self._due = [(due, position, ticket) for ticket, (due, position) in self._open.items()]
        heapq.heapify(self._due)
