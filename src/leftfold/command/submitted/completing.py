"""Settling: a submitted command is decided together with what is said of its ticket, and both are one append."""

from collections.abc import Iterable
from typing import Any

import msgspec

from leftfold.command.context import Context
from leftfold.command.handler import CommandHandler
from leftfold.command.submitted.events import CommandHandled, CommandRejected
from leftfold.command.submitted.submission import Submission
from leftfold.errors import Rejected, shown


class TicketSettled(Exception):
    """Another worker, or someone who cancelled, was first."""


class Completing(CommandHandler):
    """A command handler whose last model is the ticket's `Submission`.

    The append of the command's events also says that the ticket is handled, on condition that nobody has said
    anything of it: so a command is handled once, however many workers try, and never after it was cancelled.
    """

    def __init__(self, handler: CommandHandler) -> None:
        vars(self).update(vars(handler))
        self._handler = handler

    def __repr__(self) -> str:
        return f"<Completing {self.name}>"

    def decide(self, command: object, states: Iterable[Any], context: Context) -> list[Any]:
        """The command's events and the outcome, a rejection being one too, and the next command of a series."""
        *models, ticket = states
        outcome: list[Any]
        assert isinstance(ticket, Submission)
        if ticket.state != "open":
            raise TicketSettled
        try:
            events = self._handler.decide(command, models, context)
        except Rejected as rejected:
            outcome = [CommandRejected(ticket.ticket, storable_text(rejected.reason), _plain(rejected.details))]
        else:
            outcome = [*events, CommandHandled(ticket.ticket, len(events))]
        following = ticket.following(context.now)
        return outcome if following is None else [*outcome, following]


def _plain(details: dict[str, Any]) -> dict[str, Any]:
    """Details as they can be stored and read back; what has no JSON form is kept by its repr."""
    return {storable_text(name): _plain_value(value) for name, value in details.items()}


def _plain_value(value: Any) -> Any:
    try:
        return msgspec.json.decode(msgspec.json.encode(value, enc_hook=repr))
    except (TypeError, ValueError, RecursionError):
        return storable_text(shown(value))


def storable_text(text: object) -> str:
    """Text as UTF-8 can hold it."""
    return str(text).encode("utf-8", "replace").decode()
