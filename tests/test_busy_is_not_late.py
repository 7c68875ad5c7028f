"""`StoreBusy` is a `TimeoutError`: nothing that waits with a limit takes it for the end of that limit."""

import ast
import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

import leftfold
from leftfold import EVERYTHING, Batch, Criteria, Receipt
from leftfold.errors import StoreBusy
from leftfold.query.progress import ProjectionProgress
from leftfold.store import MemoryStore
from leftfold.store.head import Head
from tests.accounts import Deposit, accounts_app
from tests.patience import PATIENCE

SOURCES = sorted(Path(leftfold.__file__).parent.rglob("*.py"))
BUSY = StoreBusy("the log", "locked")


class Busy(MemoryStore):
    """Refuses reads while `is_busy`."""

    is_busy = False

    async def read(self, criteria: Criteria = EVERYTHING, **options: Any) -> AsyncIterator[Batch]:
        if self.is_busy:
            raise BUSY
        async for batch in super().read(criteria, **options):
            yield batch


async def test_the_result_of_a_ticket_is_not_open_because_the_log_is_busy() -> None:
    store = Busy()
    async with accounts_app().open(store, work=False) as live:
        ticket = await live.submit(Deposit("a", 1))
        store.is_busy = True

        with pytest.raises(StoreBusy):
            await ticket.result(timeout=PATIENCE)

        store.is_busy = False
        await live.run_until_quiet()
        assert isinstance(await ticket.result(timeout=PATIENCE), Receipt)


async def test_a_wait_for_the_log_to_grow_ends_with_the_error_of_the_store() -> None:
    head = Head()
    waiting = asyncio.create_task(head.beyond(0, PATIENCE))
    await asyncio.sleep(0)  # it waits now

    head.fail(BUSY)

    with pytest.raises(StoreBusy):
        await waiting


async def test_a_read_model_that_ended_because_the_log_was_busy_is_not_behind() -> None:
    progress = ProjectionProgress("Balance", 0)
    progress.end(BUSY)

    with pytest.raises(StoreBusy):
        await progress.wait_for(1, PATIENCE)


def catches_of_timeouts() -> Iterator[tuple[str, ast.AST, list[ast.stmt]]]:
    """Every place that catches a `TimeoutError`, with the function around it, and what may raise there."""
    for path in SOURCES:
        for function in ast.walk(ast.parse(path.read_text())):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for node in ast.walk(function):
                if isinstance(node, ast.Try) and any("TimeoutError" in _names(each.type) for each in node.handlers):
                    yield f"{path.name}:{node.lineno}", function, node.body
                if isinstance(node, ast.With) and any(
                    "suppress" in _names(each.context_expr) and "TimeoutError" in _names(each.context_expr)
                    for each in node.items
                ):
                    yield f"{path.name}:{node.lineno}", function, node.body


def _names(node: ast.AST | None) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)} if node is not None else set()


def _asks_whether_the_limit_expired(function: ast.AST) -> bool:
    return any(isinstance(each, ast.Attribute) and each.attr == "expired" for each in ast.walk(function))


def _waits_for_events_alone(body: list[ast.stmt]) -> bool:
    """Whether nothing is awaited but `event.wait()`, which raises no error of a store."""
    awaited = [each.value for part in body for each in ast.walk(part) if isinstance(each, ast.Await)]
    return bool(awaited) and all(
        isinstance(each, ast.Call)
        and isinstance(each.func, ast.Attribute)
        and each.func.attr == "wait"
        and not each.args
        for each in awaited
    )


def test_whatever_catches_a_timeout_asks_whether_its_own_limit_expired() -> None:
    found = [
        place
        for place, function, body in catches_of_timeouts()
        if not _asks_whether_the_limit_expired(function) and not _waits_for_events_alone(body)
    ]

    assert found == []
    assert len({place for place, *_ in catches_of_timeouts()}) >= 7, "the search finds the known places"
