"""New ids: unique, also after a fork."""

import os
from multiprocessing import get_context
from uuid import RFC_4122, UUID

from leftfold.model.ids import RandomIds


def test_ids_are_random_uuids_and_none_comes_twice() -> None:
    new_id = RandomIds()

    ids = [new_id() for _ in range(10_000)]

    assert len(set(ids)) == len(ids)
    assert {(id.version, id.variant) for id in ids} == {(4, RFC_4122)}


def test_a_forked_process_has_ids_of_its_own() -> None:
    new_id = RandomIds()
    new_id()
    reading, writing = os.pipe()

    child = get_context("fork").Process(target=lambda: os.write(writing, new_id().bytes))
    child.start()
    child.join()

    assert UUID(bytes=os.read(reading, 16)) != new_id()
    os.close(reading)
    os.close(writing)
