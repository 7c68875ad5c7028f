"""Which commands mostly meet an entity without a history, judged by those that came before."""

from collections import Counter

from leftfold.command.handler import CommandHandler

ENOUGH = 8  # in a row


class Beginnings:
    """A command that begins an entity finds nothing when its state is read: after a few such reads none is needed.

    It is then decided on the model's start at once. If the entity has a history all the same, the append's condition
    says so, the command is decided again on what is in the log, and reads come first again.
    """

    def __init__(self) -> None:
        self._in_a_row: Counter[CommandHandler] = Counter()

    def __repr__(self) -> str:
        return f"<Beginnings {dict(self._in_a_row)}>"

    def expected(self, handler: CommandHandler) -> bool:
        """Whether the handler's next command may be decided without a read."""
        return self._in_a_row[handler] >= ENOUGH

    def met(self, handler: CommandHandler, *, history: bool) -> None:
        """Note what a command found on an entity that was not held in memory."""
        self._in_a_row[handler] = 0 if history else self._in_a_row[handler] + 1
