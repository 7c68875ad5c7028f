"""How much memory states and rows take."""

import sys
from collections.abc import Mapping, Set
from typing import Any

from leftfold.model.comparing import field_names, is_any


def size_of(value: Any) -> int:
    """Return about how many bytes a value takes, with everything in it; what occurs twice is counted once."""
    size, waiting, seen = 0, [value], set[int]()
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        size += sys.getsizeof(each)
        if isinstance(each, str | bytes | int | float):
            continue
        names = field_names(each)
        if names is not None:
            waiting += (getattr(each, name, None) for name in names)
        elif is_any(each, Mapping):
            waiting += each.keys()
            waiting += each.values()
        elif is_any(each, list, tuple, Set):
            waiting += each
    return size
