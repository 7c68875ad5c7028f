"""Process managers: folds that answer events with commands and timers."""

from leftfold.events import Message
from leftfold.fold import check_definition


class ProcessManager(Message):
    """Derive, give every field but the key a default, define `evolve` and `react`.

    `evolve(self, event: A | B) -> Self` is as in a decision model. `react(self, event: A | B) -> Reaction` is asked on
    the state after each event: a command, `Schedule`, `Cancel`, `Done`, several of them, or None. Both are pure. The
    class's wire name is the name of the process: without `wire=` the class's own.
    """

    @classmethod
    def __check_definition__(cls) -> None:
        check_definition(cls)
