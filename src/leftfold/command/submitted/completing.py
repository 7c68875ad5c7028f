"""Completing: a submitted command's events and the outcome of its ticket are one append."""

from collections.abc import Iterable
from typing import Any

import msgspec

from leftfold.command.context import Context
from leftfold.command.handler import CommandHandler
from leftfold.command.submitted.events import CommandHandled, CommandRejected
from leftfold.command.submitted.submission import Submission
from leftfold.errors import Rejected
from leftfold.model.message import MessageType
from leftfold.wording import shown


class AlreadyCompleted(Rejected):
    """The ticket is not open: another worker has handled the command, or someone has cancelled it."""

    def __init__(self) -> None:
        super().__init__("the ticket is not open")


class Completing:
    """Decides like a command handler, on one more state: the ticket's `Submission`, which comes last.

    The append of the command's events also records that the ticket is handled, on condition that no other event
    concerns the ticket. So a command is handled once, however many workers try, and never after it was cancelled.
    """

    def __init__(self, handler: CommandHandler) -> None:
        self._handler = handler

    def __repr__(self) -> str:
        return f"<Completing {self._handler.name}>"

    @property
    def command(self) -> MessageType:
        """The type of the command."""
        return self._handler.command

    @property
    def takes_context(self) -> bool:
        """Whether `decide` uses its context: a recurring command is submitted again for its next time."""
        return True

    @property
    def folds_contexts(self) -> bool:
        """Whether `evolve` of one of its models takes the context of each event."""
        return self._handler.folds_contexts

    def decide(self, command: object, states: Iterable[Any], context: Context | None) -> list[Any]:
        """Return the command's events, its outcome, which may be a rejection, and the next command of a series."""
        *models, ticket = states
        outcome: list[Any]
        assert isinstance(ticket, Submission)
        assert context is not None
        if ticket.state != "open":
            raise AlreadyCompleted
        try:
            events = self._handler.decide(command, models, context)
        except Rejected as rejected:
            outcome = [CommandRejected(ticket.ticket, storable_text(rejected.reason), _plain(rejected.details))]
        else:
            outcome = [*events, CommandHandled(ticket.ticket, len(events))]
        following = ticket.following(context.now)
        return outcome if following is None else [*outcome, following]


def _plain(details: dict[str, Any]) -> dict[str, Any]:
    """Return details that can be stored; a value without a JSON form is replaced by its repr."""
    return {storable_text(name): _plain_value(value) for name, value in details.items()}


def _plain_value(value: Any) -> Any:
    try:
        return msgspec.json.decode(msgspec.json.encode(value, enc_hook=repr))
    except (TypeError, ValueError, RecursionError):
        return storable_text(shown(value))


def storable_text(text: object) -> str:
    """Return text that UTF-8 can encode."""
    return str(text).encode("utf-8", "replace").decode()
