"""The fields of a read model that a full-text search looks in."""

from typing import Annotated, Any, get_args, get_origin

from leftfold.errors import InvalidModel
from leftfold.model.tag import hints_of
from leftfold.query.column_kind import column_kind


class Text:
    """Marks a text field of a read model that `models.search` looks in: `title: Annotated[str, Text()] = ""`."""

    def __repr__(self) -> str:
        return "Text()"


def text_fields(owner: type) -> tuple[str, ...]:
    """Return the fields of a read model that are searched; raise `InvalidModel` for one that is no text."""
    found = [(name, hint) for name, hint in hints_of(owner).items() if _is_marked(hint)]
    for name, hint in found:
        if column_kind(hint).inner is not str:
            raise InvalidModel(
                f"{owner.__qualname__}.{name} is marked with Text and holds no text",
                "str, or str | None",
                "leave out Text(), or keep what is searched in a text of its own",
            )
    return tuple(name for name, _ in found)


def _is_marked(hint: Any) -> bool:
    if get_origin(hint) is not Annotated:
        return False
    return any(each is Text or isinstance(each, Text) for each in get_args(hint)[1:])
