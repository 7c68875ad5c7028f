"""The read models that are kept beside a log, found without touching them."""

from collections.abc import Mapping, Sequence

from leftfold.app import App
from leftfold.errors import InvalidUrl, NotKept, NotParked, UnknownName
from leftfold.query import ParkedKey, ReadModelDefinition, models_url
from leftfold.query.event_keys import Key

SHOWN = 100


def models_place(url: str, models: str | None) -> str | None:
    """Where read models are kept: where `--models` says, else beside the log; None when there is no such place."""
    if models is not None:
        return models
    try:
        return models_url(url)
    except InvalidUrl:
        return None


def kept_positions(app: App, place: str | None, log_id: str) -> Mapping[ReadModelDefinition, int]:
    """How far each read model is kept; one that is not, or was made by other code, is left out."""
    if place is None or not app.kept:
        return {}
    from leftfold.query.tables.models_database import stored_positions

    return stored_positions(place, app.kept, log_id)


def kept_parked(app: App, place: str | None) -> Sequence[ParkedKey]:
    """Return the parked keys of all read models."""
    if place is None or not app.kept:
        return ()
    from leftfold.query.tables.models_database import stored_parked

    return stored_parked(place, app.kept)


def kept_queue(
    app: App, place: str | None, definition: ReadModelDefinition, key: Key
) -> tuple[ParkedKey, Sequence[int]]:
    """Return a parked key and the positions of its first waiting events."""
    mine = [each for each in kept_parked(app, place) if each.table == definition.table]
    found = next((each for each in mine if each.key == key), None)
    if found is None or place is None:
        raise NotParked(f"projection {definition.name}", key, len(mine))
    from leftfold.query.tables.models_database import stored_queue

    return found, stored_queue(place, definition, key, SHOWN)


def kept_traceback(place: str | None, definition: ReadModelDefinition, key: Key) -> str | None:
    """Return the traceback of the error that parked a key; None if none was stored."""
    if place is None:
        return None
    from leftfold.query.tables.models_database import stored_traceback

    return stored_traceback(place, definition, key)


def read_model_named(app: App, name: str) -> ReadModelDefinition:
    """Return the read model, or the projection, of this name."""
    known = {definition.name: definition for definition in app.kept}
    if name not in known:
        raise UnknownName("read model or projection", name, sorted(known))
    return known[name]


def kept_place(definition: ReadModelDefinition, place: str | None) -> str:
    """Where a read model is kept; `NotKept` when there is no such file."""
    if place is None:
        raise NotKept(definition.name)
    from leftfold.query.tables.models_database import exists

    if not exists(place):
        raise NotKept(definition.name)
    return place


def usable_models(app: App, place: str | None, log_id: str) -> str | None:
    """Where the read models are kept, if all are there, fit this code, and may be folded on by this user."""
    if place is None or set(kept_positions(app, place, log_id)) != set(app.kept):
        return None
    from leftfold.query.tables.models_database import is_writable

    return place if is_writable(place) else None
