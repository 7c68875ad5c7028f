"""Command handlers: a handler's signature says which models it decides on."""

import inspect
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from typing import Any, get_args, get_origin

from leftfold.command.context import Context
from leftfold.command.parameters import ModelHint, ModelParameter, ModelParameters, models_in
from leftfold.errors import InvalidHandler, InvalidResult
from leftfold.model.message import Command, Event, MessageType, event_classes, is_event
from leftfold.model.purity import IN_DEVELOPMENT, unchanging
from leftfold.model.signature import Signature, check_plain
from leftfold.model.tag import alternatives

EVENTS = "an event, several events, or None"


WRITTEN = "write def handle(command: SomeCommand, model: SomeModel) -> SomeEvent"


class CommandHandler:
    """A handler function, understood when it is defined."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        signature = Signature(function)
        self.name, hints = signature.name, signature.hints
        check_plain(function, self.name, InvalidHandler, yields=True)
        signature.check_by_keyword(WRITTEN)
        parameters = [(name, hints.get(name)) for name in signature.parameters]
        commands = [(name, hint) for name, hint in parameters if isinstance(hint, type) and _is_command(hint)]
        if len(commands) != 1:
            raise InvalidHandler(
                f"{self.name} takes {len(commands)} commands",
                "exactly one parameter that is annotated with a Command class",
                f"write def {self.name.rpartition('.')[2]}(command: SomeCommand, ...)",
            )
        self._command_name, command = commands[0]
        self.command = MessageType(command)
        others = {name: hint for name, hint in parameters if name != self._command_name}
        contexts = [name for name, hint in others.items() if hint is Context]
        self._context_name = contexts[-1] if contexts else None
        models = {name: self._hint(name, hint) for name, hint in others.items() if hint is not Context}
        self.parameters = ModelParameters(self.name, self._command_name, self.command, models)
        self.folds_contexts = any(each.fold.takes_context for each in self.parameters.all)
        apart = (self._command_name, self._context_name)
        self._names = (self._command_name, *(name for name, _ in parameters if name not in apart))
        self._checked: Callable[..., Any] = self._unchanging() if IN_DEVELOPMENT else function
        self._is_direct = self._checked is function and _takes_in_order(signature, self._names)
        self.events = _event_types(self.name, hints.get("return", inspect.Parameter.empty))

    def __repr__(self) -> str:
        return f"<CommandHandler {self.name} of {self.command.wire}>"

    def unchanging(self) -> "CommandHandler":
        """Return the same handler, which raises `ArgumentMutated` when it changes what it is given."""
        other = copy(self)
        other._checked, other._is_direct = self._unchanging(), False
        return other

    @property
    def models(self) -> tuple[ModelParameter, ...]:
        """The parameters that take decision models."""
        return self.parameters.all

    @property
    def takes_context(self) -> bool:
        """Whether the function has a parameter for the context."""
        return self._context_name is not None

    def decide(self, command: object, states: Iterable[Any], context: Context | None) -> list[Any]:
        """Call the handler; return its events as a list."""
        if self._is_direct:  # a call by names takes three times as long
            return self._as_events(self._checked(command, *states))
        arguments = dict(zip(self._names, (command, *states), strict=True))
        if self._context_name is not None:
            arguments[self._context_name] = context
        return self._as_events(self._checked(**arguments))

    def _unchanging(self) -> Callable[..., list[Any]]:
        def decide(**arguments: Any) -> list[Any]:
            return self._as_events(self.function(**arguments))  # an iterator works only when it is asked

        return unchanging(decide, self.name, apart=self._context_name)

    def _hint(self, name: str, hint: Any) -> ModelHint:
        found = ModelHint.of(hint)
        if found is not None:
            return found
        collected = models_in(hint)
        raise InvalidHandler(
            f"parameter {name!r} of {self.name} is annotated with {hint!r}",
            "a Command, a DecisionModel (also Many[...] of one, or one | None) or Context",
            f"annotate it with Many[{collected[0].__name__}]"
            if collected
            else "annotate it with one of these; put anything else that a decision needs into the command or a model",
        )

    def _as_events(self, decided: object) -> list[Any]:
        if decided is None:
            return []
        if isinstance(decided, Event) or is_event(type(decided)):
            return [decided]
        if not isinstance(decided, Iterable) or isinstance(decided, str | bytes):
            if inspect.iscoroutine(decided):
                decided.close()
            raise InvalidResult(self.name, decided, EVENTS)
        events: list[object] = [*decided]
        for event in events:
            if not is_event(type(event)):
                raise InvalidResult(self.name, event, EVENTS)
        return events


def _takes_in_order(signature: Signature, names: Sequence[str]) -> bool:
    """Tell whether the function takes just these arguments in this order."""
    parameters = signature.parameters.values()
    return [*signature.parameters] == [*names] and all(each.kind is each.POSITIONAL_OR_KEYWORD for each in parameters)


def _is_command(hint: type[Any]) -> bool:
    return issubclass(hint, Command) or (is_event(hint) and not issubclass(hint, Event))


def _event_types(handler: str, hint: Any) -> tuple[type, ...]:
    """Return the event types that a return annotation names, bases as themselves; the bare `Event` names none."""
    if hint is inspect.Parameter.empty:
        raise InvalidHandler(
            f"{handler} has no return annotation", "-> SomeEvent, -> list[A | B], -> A | None …", "annotate it"
        )
    if hint is None or hint is type(None) or hint is Event:
        return ()
    members = alternatives(hint)
    if members != (hint,):
        return tuple(found for member in members for found in _event_types(handler, member))
    origin = get_origin(hint)
    if isinstance(origin, type) and issubclass(origin, Iterable):
        members = tuple(arg for arg in get_args(hint) if arg is not Ellipsis and arg is not Any)
        return tuple(found for member in members for found in _event_types(handler, member))
    found = event_classes(hint)
    if not isinstance(found, str):
        return found
    raise InvalidHandler(
        f"{handler} is annotated to return {hint!r}: {found}",
        "events: -> Opened, -> Opened | None, -> list[Opened | Deposited], or an iterator of events",
        "annotate the events that it returns",
    )
