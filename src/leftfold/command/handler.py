"""Decision models and command handlers: a handler's signature says which models it decides on."""

import inspect
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from typing import Any, get_args, get_origin

from leftfold.command.context import Context
from leftfold.errors import InvalidHandler, InvalidResult, UnmatchedParameter
from leftfold.model.fold import Fold, check_definition, fold_of
from leftfold.model.message import Command, Event, Message, MessageType, event_classes, is_event
from leftfold.model.purity import IN_DEVELOPMENT, unchanging
from leftfold.model.signature import Signature, check_plain
from leftfold.model.tag import TagField, alternatives

EVENTS = "an event, several events, or None"


class DecisionModel(Message):
    """Derive, give every field but the key a default, and define `evolve(self, event: A | B) -> Self`.

    The annotation of `evolve`, with the tag-typed fields, is the model's criteria: events of these types that carry
    the key's tags. Where that does not fit, define `criteria(self) -> Criteria`; it is asked on the model with only
    its key set.
    """

    __may_state_criteria__ = True

    @classmethod
    def __check_definition__(cls) -> None:
        check_definition(cls)


Key = tuple[Any, ...]
WRITTEN = "write def handle(command: SomeCommand, model: SomeModel) -> SomeEvent"


class ModelParameter:
    """A parameter that takes a decision model, and the command's fields that give its key."""

    __slots__ = ("fields", "fold", "name")

    def __init__(self, name: str, fold: Fold, fields: Sequence[TagField]) -> None:
        self.name = name
        self.fold = fold
        self.fields = tuple(fields)

    def key_in(self, command: object) -> Key:
        """Return the model's key in this command."""
        if len(self.fields) == 1:  # most have one, and a generator would take three times as long
            return (self.fields[0].get(command),)
        return tuple(field.get(command) for field in self.fields)


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
        self.models: tuple[ModelParameter, ...] = ()
        self._context_name: str | None = None
        for name, hint in parameters:
            if name != self._command_name:
                self._add_parameter(name, hint)
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

    def _add_parameter(self, name: str, hint: Any) -> None:
        if hint is Context:
            self._context_name = name
        elif isinstance(hint, type) and issubclass(hint, DecisionModel):
            fold = fold_of(hint)
            fields = [self._field_for(name, part, single=len(fold.key) == 1) for part in fold.key]
            self.models += (ModelParameter(name, fold, fields),)
        else:
            raise InvalidHandler(
                f"parameter {name!r} of {self.name} is annotated with {hint!r}",
                "a Command, a DecisionModel or Context",
                "annotate it with one of these; put anything else that a decision needs into the command or a model",
            )

    def _field_for(self, parameter: str, part: TagField, *, single: bool) -> TagField:
        """Return the command's field for one part of a key: matched by name, or the only one with the tag."""
        tagged = [field for field in self.command.fields_tagged(part.tag.name) if not field.many]
        names = (parameter, part.name) if single else (part.name, parameter)
        for name in names[: 1 if single else 2]:
            for field in tagged:
                if field.name == name:
                    return field
        if len(tagged) == 1:
            return tagged[0]
        if tagged:
            raise UnmatchedParameter(
                self.name, parameter, part.tag.name, [each.name for each in tagged], ambiguous=True
            )
        fields = [field.name for field in self.command.fields]
        raise UnmatchedParameter(self.name, parameter, part.tag.name, fields)

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
