"""The models and queries of an app by their names, and values for them from the texts of the command line."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import typer

from leftfold.app import App
from leftfold.errors import NotHandled, UnknownName
from leftfold.model.fold import Fold


def model_named(app: App, name: str) -> Fold:
    """Return the decision model or read model of this name."""
    folds = {fold.name: fold for fold in (*app.decision_models, *(each.fold for each in app.read_models.values()))}
    if name not in folds:
        raise UnknownName("decision model or read model", name, sorted(folds))
    return folds[name]


def key_from(fold: Fold, texts: Sequence[str]) -> tuple[Any, ...]:
    """Return the model's key; one of the wrong length is refused by the model."""
    if len(texts) != len(fold.key):
        return tuple(texts)
    return tuple(_value(part.name, part.value_type, text) for part, text in zip(fold.key, texts, strict=True))


def query_named(app: App, name: str, fields: Mapping[str, Any]) -> Any:
    """Return the query of this name, with its fields read from their texts."""
    queries = {owner.__qualname__: owner for owner in app.query_handlers}
    if name not in queries:
        raise NotHandled(name, sorted(queries))
    known = list(inspect.signature(queries[name]).parameters)
    unknown = [field for field in fields if field not in known]
    if unknown:
        raise typer.BadParameter(f"{name} has no field {unknown[0]!r}; it has {', '.join(known) or 'none'}")
    return _converted(name, queries[name], fields)


def _converted(name: str, owner: Any, fields: Mapping[str, Any]) -> Any:
    """Texts first; where they do not fit, what they mean as JSON: lists and objects, for instance."""
    own = getattr(owner, "model_validate", None)
    try:
        return own(fields) if own else msgspec.convert(fields, owner, strict=False)
    except ValueError as error:
        try:
            return msgspec.convert({name: _as_json(text) for name, text in fields.items()}, owner, strict=False)
        except ValueError:
            raise typer.BadParameter(f"{name}: {error}") from None


def _as_json(text: Any) -> Any:
    try:
        return msgspec.json.decode(text)
    except (ValueError, TypeError):
        return text


def _value(name: str, wanted: Any, text: str) -> Any:
    try:
        return msgspec.convert(text, wanted, strict=False)
    except ValueError as error:
        raise typer.BadParameter(f"the key's {name}: {error}") from None
