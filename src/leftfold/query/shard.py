"""Shards: the parts of a read model that are folded separately, each by one process at a time."""

import re
from collections.abc import Callable
from zlib import crc32

import msgspec

from leftfold.query.event_keys import Key
from leftfold.query.read_model import ReadModelDefinition

Owns = Callable[[Key], bool]
_of_shard = re.compile(r"#\d+/(\d+)$")


class Shard(msgspec.Struct, frozen=True):
    """The keys of a read model whose hash selects `number`, of 1 to `count`. A model that is not split is one shard.

    The hash is of the key's JSON, so it is the same in every process, on every machine and in every release.
    """

    definition: ReadModelDefinition
    number: int = 1
    count: int = 1

    def __repr__(self) -> str:
        return f"<Shard {self.number}/{self.count} of {self.definition.name}>"

    @property
    def checkpoint(self) -> str:
        """The name of its checkpoint."""
        table = self.definition.table
        return table if self.count == 1 else f"{table}#{self.number}/{self.count}"

    @property
    def lease(self) -> str:
        """The name of its lease, in this version of the model."""
        whole = f"projection {self.definition.table} v{self.definition.version}"
        return whole if self.count == 1 else f"{whole} shard {self.number}/{self.count}"

    @property
    def is_first(self) -> bool:
        """Whether the process that folds this shard does what concerns the whole model."""
        return self.number == 1

    @property
    def owns(self) -> Owns | None:
        """A function that says whether a key is of this shard; None if all are."""
        if self.count == 1:
            return None
        count, rest = self.count, self.number - 1
        return lambda key: crc32(msgspec.json.encode(key)) % count == rest


def shards_of(definition: ReadModelDefinition, count: int | None = None) -> list[Shard]:
    """Return the shards of a model: as many as it is defined with, or `count`."""
    wanted = definition.shards if count is None else count
    return [Shard(definition, number, wanted) for number in range(1, wanted + 1)]


def model_of(checkpoint: str) -> str:
    """Return the table of the model of a checkpoint."""
    return _of_shard.sub("", checkpoint)


def count_in(checkpoint: str) -> int:
    """Return the number of shards of a model that has a checkpoint of this name."""
    found = _of_shard.search(checkpoint)
    return int(found[1]) if found else 1
