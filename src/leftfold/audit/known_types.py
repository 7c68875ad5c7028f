"""Whether an app knows the events of a log: unknown event types, and events that lack today's tags."""

import logging
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from leftfold.errors import LeftfoldError
from leftfold.model.record import StoredEvent
from leftfold.model.registry import Registry
from leftfold.store.contract import EventStore
from leftfold.store.inspection import Sampled, TypeSample

COUNTED = 1_000  # at most so many events of a type are counted when an app opens
NAMED = 10  # at most so many types are named in a log line; `live.status().mismatches` has all

log = logging.getLogger("leftfold.app")


class TypeMismatch(msgspec.Struct, frozen=True):
    """An event type of the log that differs from the app's, and the first position where it does.

    `unknown`: the app has no such type, so no model sees these `events` (or more, from 1,000 on). `untagged`: an
    event lacks `tags` that its class gives today, so rules and models that look for these do not see it.
    """

    type: str
    kind: Literal["unknown", "untagged"]
    events: int
    position: int
    tags: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The mismatch as text."""
        if self.kind == "unknown":
            return f"{_counted(self.events)} of type {self.type!r}, first at position {self.position}"
        return f"{self.type!r} at position {self.position} lacks {' and '.join(self.tags)}"


async def mismatches_of(store: EventStore, registry: Registry) -> tuple[TypeMismatch, ...]:
    """Find what the app does not know about the log, by the oldest and newest event of each type.

    The cost does not grow with the log. Returns nothing for a store that cannot list its types.
    """
    if not isinstance(store, Sampled):
        return ()
    found = (_mismatch(sample, registry) for sample in await store.type_samples(at_most=COUNTED))
    return tuple(each for each in found if each is not None)


def warn_of(mismatches: Sequence[TypeMismatch], app: str, where: object) -> None:
    """Log one warning for each kind of mismatch."""
    unknown = [each for each in mismatches if each.kind == "unknown"]
    untagged = [each for each in mismatches if each.kind == "untagged"]
    if unknown:
        log.warning(
            "%s holds events that the app %r does not know, so no model of it sees them: %s. If a class was renamed, "
            "give it its former name with wire=, or call app.renamed(old, new). If the events belong to another "
            "app, list them: App(%r, ignores=[%s])",
            *(where, app, _listed([each.sentence for each in unknown]), app),
            _listed([repr(each.type) for each in unknown], ", "),
        )
    if untagged:
        log.warning(
            "%s holds events that lack tags of their present classes, so decisions and models of the app %r do not see "
            "them: %s. `leftfold verify --app` finds all of them, `leftfold copy --retag --app` makes a copy with the "
            "present tags",
            *(where, app, _listed([each.sentence for each in untagged])),
        )


def known_to_others(
    mismatches: Sequence[TypeMismatch], others: Mapping[str, frozenset[str]]
) -> dict[TypeMismatch, list[str]]:
    """Return the unknown types that other apps on the log know, each with the names of those apps."""
    unknown = [each for each in mismatches if each.kind == "unknown"]
    apps = {each: sorted(app for app, types in others.items() if each.type in types) for each in unknown}
    return {each: names for each, names in apps.items() if names}


def tell_of_others(known: Mapping[TypeMismatch, Sequence[str]], app: str, where: object) -> None:
    """Log which types are left to which other apps."""
    if known:
        log.info(
            "%s holds events that the app %r does not know, but other apps on this log do: %s",
            *(where, app, _listed([f"{each.type!r} ({', '.join(names)})" for each, names in known.items()])),
        )


def tags_lacking(stored: StoredEvent, registry: Registry) -> tuple[str, ...]:
    """Return the tags that an event's class gives today but the stored event lacks; empty if it is unreadable."""
    try:
        present = registry.present_tags(stored)
    except LeftfoldError:
        return ()
    return tuple(tag for tag in present if tag not in stored.tags)


def _mismatch(sample: TypeSample, registry: Registry) -> TypeMismatch | None:
    if registry.lacks(sample.type):
        return TypeMismatch(sample.type, "unknown", sample.events, sample.oldest.position)
    for stored in (sample.oldest, sample.newest):
        lacking = tags_lacking(stored, registry)
        if lacking:
            return TypeMismatch(sample.type, "untagged", sample.events, stored.position, lacking)
    return None


def _counted(events: int) -> str:
    return f"{COUNTED:,} events or more" if events >= COUNTED else f"{events:,} event{'s' * (events != 1)}"


def _listed(all_of_them: Sequence[str], between: str = "; ") -> str:
    left = len(all_of_them) - NAMED
    more = f"{between}and {left:,} more" if left > 0 else ""
    return between.join(all_of_them[:NAMED]) + more
