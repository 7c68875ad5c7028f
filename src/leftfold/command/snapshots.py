"""Snapshots: states of long histories, kept beside the log and never trusted blindly.

They live in a file or a table of their own that can be emptied at any time. A snapshot counts only while the model's
fingerprint and the identity of the event at its position are those it was made with; `leftfold verify --snapshots`
recomputes them all. Whatever is wrong with their place is logged once and costs time, never an answer or a command: the
events are folded again.
"""

import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple, TypeVar

from leftfold.errors import LeftfoldError, StoreUnavailable
from leftfold.model.codec import Codec
from leftfold.model.failure import IN_STATUS
from leftfold.model.fold import Fold
from leftfold.model.stored_form import NOT_DECODED, StoredForm
from leftfold.store.snapshot_store import SnapshotRow, SnapshotStore

log = logging.getLogger("leftfold.snapshots")

Identify = Callable[[int], Awaitable[str | None]]
T = TypeVar("T")


class Snapshot(NamedTuple):
    """A kept state: its key, the position at which it was true, and its value."""

    key: tuple[Any, ...]
    position: int
    value: Any


class Snapshots:
    """The snapshots of one log, used only while they are right.

    Where the place cannot be used nothing is found and nothing kept; `trouble` says so.
    """

    def __init__(self, place: SnapshotStore, codec: Codec, identify: Identify) -> None:
        self._place = place
        self._identify = identify
        self._codec = codec
        self._told: set[str] = set()
        self._forms: dict[Fold, StoredForm] = {}
        self._troubles: dict[str, str] = {}
        self._closed = False
        if place.problem is not None:
            log.warning("%s", place.problem, extra=IN_STATUS)

    @property
    def trouble(self) -> str | None:
        """Why snapshots are not kept beside the log, or could not be used when that was last tried."""
        return next(iter(self._troubles.values()), self._place.problem)

    async def find(self, fold: Fold, key: tuple[Any, ...], *, upto: int) -> tuple[Any, int] | None:
        """Return the snapshot of a key at or before a position: the state and its position."""
        code = self._code_of(fold)
        row = await self._try("find", self._place.find(fold.name, self._text(key), code, upto=upto)) if code else None
        if row is None:
            return None
        if await self._identify(row.position) != row.identity:
            await self._forget(fold, key, row)
            return None
        try:
            value = self._decode(fold, row.state)
        except NOT_DECODED as error:
            log.warning("a snapshot of %s%r is not used: %s", fold.name, key, error)
            return None
        return (value, row.position) if fold.key_of(value) == key else None

    async def keep(self, fold: Fold, key: tuple[Any, ...], value: Any, position: int) -> None:
        """Keep a state, unless it does not come back equal from its stored form.

        The state's events are committed, so nothing that goes wrong here is raised.
        """
        code = self._code_of(fold)
        if self._place.read_only or not code:
            return
        text = self._form_of(fold, value)
        if text is None:
            log.warning("no snapshot of %s: its fields do not come back equal from their stored form", fold.name)
            return
        await self._try("keep", self._keep(fold.name, self._text(key), code, position, text))

    async def forget_beyond(self, head: int) -> None:
        """Forget what was kept beyond the log's head: the log is an older copy, and will go on in another way."""
        if not self._place.read_only:
            await self._try("forget", self._place.forget_beyond(head))

    async def of_model(self, fold: Fold) -> list[Snapshot]:
        """Every snapshot of a model that counts; one that cannot be decoded has its stored form as value."""
        rows = await self._try("find", self._place.of_model(fold.name, str(fold.fingerprint()))) or []
        return [
            Snapshot(self._key(fold, row.key), row.position, self._value(fold, row.state))
            for row in rows
            if await self._identify(row.position) == row.identity
        ]

    async def close(self) -> None:
        """Close the place."""
        self._closed = True
        await self._place.close()

    async def _keep(self, model: str, key: str, code: str, position: int, text: str) -> None:
        identity = await self._identify(position)
        if identity is not None:
            await self._place.keep(SnapshotRow(model, key, code, position, text, identity))

    async def _forget(self, fold: Fold, key: tuple[Any, ...], row: SnapshotRow) -> None:
        """Forget a snapshot of another history: the log was restored or replaced, and has grown beyond it since."""
        log.warning(
            "a snapshot of %s%r at position %d belongs to another history of the log; it is not used",
            fold.name,
            key,
            row.position,
        )
        if not self._place.read_only:
            await self._try("forget", self._place.forget(row))

    async def _try(self, what: str, attempt: Coroutine[Any, Any, T]) -> T | None:
        """Make an attempt on the place; None where it cannot be used, which is logged when it begins."""
        if self._closed:
            attempt.close()
            return None
        try:
            found = await attempt
        except StoreUnavailable as error:
            if what not in self._troubles:
                log.warning("snapshots cannot be used: %s", error.found, extra=IN_STATUS)
            self._troubles[what] = f"cannot be used: {error.found}"
            return None
        if self._troubles.pop(what, None) is not None:
            log.info("snapshots can be used again", extra=IN_STATUS)
        return found

    def _code_of(self, fold: Fold) -> str:
        """Return the model's fingerprint; empty if its source is not available, so that changes cannot be detected."""
        found = fold.fingerprint()
        if not found.code and fold.name not in self._told:
            self._told.add(fold.name)
            log.warning(
                "no snapshots of %s: its source code cannot be read, so a change to it would not be noticed", fold.name
            )
        return str(found) if found.code else ""

    def _form_of(self, fold: Fold, value: Any) -> str | None:
        try:
            return self._form(fold).encode(value)[0].decode()
        except (LeftfoldError, ValueError):
            return None

    def _value(self, fold: Fold, text: str) -> Any:
        try:
            return self._decode(fold, text)
        except NOT_DECODED:
            return text

    def _key(self, fold: Fold, text: str) -> tuple[Any, ...]:
        types: Any = tuple.__class_getitem__(tuple(field.value_type for field in fold.key))
        key: tuple[Any, ...] = self._codec.decoder(types)(text.encode())
        return key

    def _form(self, fold: Fold) -> StoredForm:
        found = self._forms.get(fold)
        if found is None:
            found = self._forms[fold] = StoredForm(fold.owner, self._codec)
        return found

    def _decode(self, fold: Fold, text: str) -> Any:
        return self._codec.decoder(fold.owner)(text.encode())

    def _text(self, key: tuple[Any, ...]) -> str:
        return self._codec.encode(key).decode()
