"""How long tests wait for what must happen: the timeout of the whole test is shorter, and is the only limit.

A limit of a few seconds says nothing about the code where the machine is busy with other things.
"""

from collections.abc import Iterator
from inspect import isfunction
from itertools import chain

import pytest
from hypothesis import HealthCheck, settings

SLOW = [HealthCheck.too_slow]
settings.register_profile("same", derandomize=True, deadline=None, suppress_health_check=SLOW)
settings.register_profile("search", derandomize=False, deadline=None, suppress_health_check=SLOW, print_blob=True)
settings.load_profile("same")
PATIENCE = 900.0  # seconds; the timeout of a test in pyproject.toml comes first


def examples(count: int) -> int:
    """So many of a property test's examples when others are searched for; a third where they are always the same."""
    return -(-count // 3) if settings.default.derandomize else count


@pytest.fixture(scope="session", autouse=True)
def patient_defaults() -> Iterator[None]:
    """Let the public verbs wait that long where a test gives no limit, and a user waits five seconds."""
    from leftfold.live import LiveApp
    from leftfold.live_sync import SyncLive
    from leftfold.query import ReadSide
    from leftfold.query.answering import Answering

    verbs = chain(*(vars(cls).values() for cls in (LiveApp, SyncLive, ReadSide, Answering)))
    with pytest.MonkeyPatch.context() as patch:
        for verb in filter(isfunction, verbs):
            for name in {"timeout", "wait_timeout"} & (verb.__kwdefaults__ or {}).keys():
                if verb.__kwdefaults__[name]:
                    patch.setitem(verb.__kwdefaults__, name, PATIENCE)
        yield
