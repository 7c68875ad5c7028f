"""Fields of a read model that say when, and by whom, a row was changed last."""

from datetime import datetime
from typing import Annotated, Any, NamedTuple, Self, get_args, get_origin

import msgspec

from leftfold.errors import InvalidModel
from leftfold.model.metadata import decode_metadata
from leftfold.model.record import StoredEvent
from leftfold.model.tag import alternatives, hints_of


class ChangedAt:
    """Marks the field of a read model that leftfold sets to the time of a row's last change.

    `changed_at: Annotated[datetime | None, ChangedAt] = None`
    """


class ChangedBy:
    """Marks the field of a read model that leftfold sets to the actor of a row's last change, if one was recorded.

    `changed_by: Annotated[str | None, ChangedBy] = None`
    """


class ChangeFields(NamedTuple):
    """The names of such fields in one model; None for one that it does not have."""

    at: str | None
    by: str | None

    @classmethod
    def of(cls, owner: type) -> Self | None:
        """Return those of a class, None if it has neither; raise `InvalidModel` for one that cannot be set."""
        found = cls(_marked(owner, ChangedAt, datetime), _marked(owner, ChangedBy, str))
        return None if found == (None, None) else found

    def noted(self, row: Any, stored: StoredEvent) -> Any:
        """Return the row with the time and the actor of the event that changed it."""
        values: dict[str, Any] = {}
        if self.at is not None:
            values[self.at] = stored.time
        if self.by is not None:
            values[self.by] = decode_metadata(stored.metadata).actor
        return msgspec.structs.replace(row, **values)


def _marked(owner: type, marker: type, kind: type) -> str | None:
    """Return the name of the field with a marker, if there is one."""
    found = {name: hint for name, hint in hints_of(owner).items() if _has(hint, marker)}
    written = f"Annotated[{kind.__name__} | None, {marker.__name__}] = None"
    if len(found) > 1:
        names = " and ".join(found)
        raise InvalidModel(f"{owner.__qualname__} marks {names} with {marker.__name__}", "one such field", "keep one")
    for name, hint in found.items():
        if set(alternatives(hint)) != {kind, type(None)}:
            raise InvalidModel(
                f"{owner.__qualname__}.{name} is marked with {marker.__name__}, and has another type",
                f"{name}: {written}",
                "give it this type: a row that no event has changed has neither time nor actor",
            )
        return name
    return None


def _has(hint: Any, marker: type) -> bool:
    if get_origin(hint) is not Annotated:
        return False
    return any(each is marker or isinstance(each, marker) for each in get_args(hint)[1:])
