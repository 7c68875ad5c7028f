"""The read models and SQL projections that are kept beside a log, found without changing them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from leftfold.app import App
from leftfold.cli.names import named
from leftfold.errors import InvalidUrl, NotKept, NotParked
from leftfold.model.clock import SystemClock
from leftfold.query import ParkedKey, ReadModelDefinition, SqlProjection, models_url
from leftfold.query.event_keys import Key
from leftfold.query.folded_log import FoldedLog
from leftfold.query.parking import with_queue
from leftfold.query.progress import seconds_behind
from leftfold.store import EventStore, StoredEvent
from leftfold.store.time_travel import event_at

MAX_EVENTS = 100


class Kept(NamedTuple):
    """The read models and SQL projections of an app, and the URL of their database; None if there can be none."""

    app: App
    place: str | None

    @classmethod
    def of(cls, app: App, url: str, models: str | None) -> "Kept":
        """Find them where `--models` says, else beside the log."""
        try:
            return cls(app, models_url(url) if models is None else models)
        except InvalidUrl:
            return cls(app, None)

    def named(self, name: str) -> ReadModelDefinition:
        """Return the read model, or the SQL projection, of this name."""
        return named("read model or projection", name, {each.name: each for each in self.app.kept})

    def positions(self, log_id: str) -> Mapping[ReadModelDefinition, int]:
        """Return how far each is, without those that are not kept or were made by other code."""
        if self.place is None or not self.app.kept:
            return {}
        from leftfold.query.tables.models_database import stored_positions

        return stored_positions(self.place, self.app.kept, log_id)

    async def parked(self, log: EventStore) -> Sequence[ParkedKey]:
        """Return the parked keys of all."""
        if self.place is None or not self.app.kept:
            return ()
        from leftfold.query.tables.models_database import stored_parked

        held_up, head = {each.table for each in self.app.projections.values()}, await log.head()
        found = stored_parked(self.place, self.app.kept)
        return [with_queue(each, head) if each.table in held_up else each for each in found]

    async def rows(self, log: EventStore, parked: Sequence[ParkedKey] = ()) -> list[dict[str, Any]]:
        """Return how far each is, for programs."""
        head, positions = await log.head(), self.positions(log.log_id)
        rows: list[dict[str, Any]] = []
        for each in self.app.kept:
            position, count = positions.get(each), sum(key.table == each.table for key in parked)
            behind = {
                "lag": max(head - (position or 0), 0),
                "lag_seconds": await seconds_behind(log, position or 0, SystemClock()),
            }
            state = _state(each, position, head, count)
            rows.append({"name": each.name, "position": position, **behind, "parked": count, "state": state})
        return rows

    async def queue(
        self, log: EventStore, definition: ReadModelDefinition, key: Key
    ) -> tuple[ParkedKey, list[StoredEvent]]:
        """Return a parked key and the first events that wait under it."""
        mine = [each for each in await self.parked(log) if each.table == definition.table]
        found = next((each for each in mine if each.key == key), None)
        if found is None or self.place is None:
            raise NotParked(f"projection {definition.name}", key, len(mine))
        if isinstance(definition, SqlProjection):
            folded = FoldedLog(log, self.app.registry)
            return found, await folded.events(definition, found.position - 1, limit=MAX_EVENTS)
        from leftfold.query.tables.models_database import stored_queue

        positions = stored_queue(self.place, definition, key, MAX_EVENTS)
        return found, [await event_at(log, position) for position in positions]

    def traceback(self, definition: ReadModelDefinition, key: Key) -> str | None:
        """Return the traceback of the error that parked a key; None if none was stored."""
        if self.place is None:
            return None
        from leftfold.query.tables.models_database import stored_traceback

        return stored_traceback(self.place, definition, key)

    def place_of(self, definition: ReadModelDefinition) -> str:
        """Return where a read model is kept; `NotKept` if there is no such file."""
        from leftfold.query.tables.models_database import exists

        if self.place is None or not exists(self.place):
            raise NotKept(definition.name)
        return self.place

    def usable(self, log_id: str) -> str | None:
        """Return where they are kept, if all are there, fit this code, and this user may write to them."""
        if self.place is None or set(self.positions(log_id)) != set(self.app.kept):
            return None
        from leftfold.query.tables.models_database import is_writable

        return self.place if is_writable(self.place) else None


def _state(definition: ReadModelDefinition, position: int | None, head: int, parked: int) -> str:
    if position is None:
        return "not kept"
    if definition.stops_at_errors and parked:
        return "parked"
    return "current" if position >= head else "behind"
