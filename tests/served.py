"""A program that forks: its live app is opened when it is loaded, in a hook after the fork, or at the first use.

As a WSGI program it is served by `gunicorn --preload`, for which it is the configuration too.
"""

import os
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from leftfold.errors import ForkedStore
from leftfold.live_sync import SyncLive
from tests.accounts import Deposit, accounts_app

OPENED = os.environ.get("OPENED", "at first use")


@cache
def live() -> SyncLive:
    return accounts_app().open_sync(os.environ["ACCOUNTS_LOG"])


def post_fork(server: Any, worker: Any) -> None:
    """Called by gunicorn in each worker."""
    if OPENED == "after the fork":
        live()


def deposit(account: str) -> str:
    """What became of a deposit: the process that made it, or what to do."""
    try:
        live().execute(Deposit(account, 1))
    except ForkedStore as error:
        return str(error)
    return str(os.getpid())


def program(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    said = deposit(environ["PATH_INFO"].strip("/"))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [said.encode()]


if OPENED == "before the fork":
    live().execute(Deposit("before", 1))
