"""Arrays of one dimension as PostgreSQL takes them in binary form, made column by column.

A driver finds out the type of every list from its items, and takes them one by one: that is most of what a batch of
appends costs in Python, and an empty list has another type than a full one, hence another statement to prepare. Most
arrays of a single append have one element, so those are made at once.
"""

import sys
from array import array
from collections.abc import Collection, Sequence
from itertools import chain
from struct import Struct
from typing import ClassVar

_header = Struct(">5i").pack  # dimensions, nulls, element type, length, lower bound
_empty = Struct(">3i").pack
_length = Struct(">i").pack
_integer = Struct(">ii").pack
_bigint = Struct(">iq").pack
_null = _length(-1)
_LITTLE = sys.byteorder == "little"


class Array(bytes):
    """One in binary form."""

    ELEMENT: ClassVar[int]
    OID: ClassVar[int]


class Integers(Array):
    """An `integer[]`."""

    ELEMENT, OID = 23, 1007


class Bigints(Array):
    """A `bigint[]`."""

    ELEMENT, OID = 20, 1016


class Texts(Array):
    """A `text[]`."""

    ELEMENT, OID = 25, 1009


class Blobs(Array):
    """A `bytea[]`."""

    ELEMENT, OID = 17, 1001


def integers(values: Sequence[int]) -> Integers:
    """Values of 32 bits."""
    if len(values) == 1:
        return Integers(ONE_INTEGER + _integer(4, values[0]))
    if not values:
        return NO_INTEGERS
    words = array("i", [4]) * (2 * len(values))
    words[1::2] = array("i", values)
    if _LITTLE:
        words.byteswap()
    return Integers(_head(Integers, len(values)) + words.tobytes())


def bigints(values: Sequence[int | None]) -> Bigints:
    """Values of 64 bits, or nulls."""
    if len(values) == 1 and values[0] is not None:
        return Bigints(ONE_BIGINT + _bigint(8, values[0]))
    if not values:
        return NO_BIGINTS
    elements = [_null if value is None else _bigint(8, value) for value in values]
    return Bigints(_head(Bigints, len(values), nulls=None in values) + b"".join(elements))


def texts(values: Collection[str]) -> Texts:
    """Texts without NUL."""
    encoded = [value.encode() for value in values]
    if len(encoded) == 1:
        return Texts(ONE_TEXT + _length(len(encoded[0])) + encoded[0])
    return Texts(_joined(Texts, encoded)) if encoded else NO_TEXTS


def blobs(values: Sequence[bytes]) -> Blobs:
    """Bytes."""
    if len(values) == 1:
        return Blobs(ONE_BLOB + _length(len(values[0])) + values[0])
    return Blobs(_joined(Blobs, values)) if values else NO_BLOBS


def _joined(kind: type[Array], values: Sequence[bytes]) -> bytes:
    lengths = map(_length, map(len, values))
    return b"".join((_head(kind, len(values)), *chain.from_iterable(zip(lengths, values, strict=True))))


def _head(kind: type[Array], length: int, *, nulls: bool = False) -> bytes:
    return _header(1, nulls, kind.ELEMENT, length, 1)


NO_INTEGERS = Integers(_empty(0, 0, Integers.ELEMENT))
NO_BIGINTS = Bigints(_empty(0, 0, Bigints.ELEMENT))
NO_TEXTS = Texts(_empty(0, 0, Texts.ELEMENT))
NO_BLOBS = Blobs(_empty(0, 0, Blobs.ELEMENT))
ONE_INTEGER, ONE_BIGINT, ONE_TEXT, ONE_BLOB = (_head(kind, 1) for kind in (Integers, Bigints, Texts, Blobs))
