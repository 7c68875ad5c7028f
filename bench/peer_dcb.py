"""The peer's recorder for dynamic consistency boundaries on PostgreSQL, given the same bytes as leftfold's store."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager

from eventsourcing.dcb.api import DCBAppendCondition, DCBEvent, DCBQuery, DCBQueryItem
from eventsourcing.dcb.postgres_tt import PostgresDCBRecorderTT, PostgresTTDCBFactory
from eventsourcing.utils import Environment

from bench.bank import Account, Deposited, Opened, bank
from bench.callers import shuffled_for_ever, threads
from bench.figure import Slice
from bench.ours import METADATA
from bench.peer_postgres import environment
from bench.postgres import DATABASE
from leftfold import Tag
from leftfold.model.fold import fold_of
from leftfold_torture.postgres_server import PostgresServer

APPEND = "conditional append"
READ_AND_APPEND = "read + append"
TYPES = sorted(event.wire for event in fold_of(Account).events)


@contextmanager
def opened_recorder(server: PostgresServer, accounts: Sequence[str]) -> Generator[PostgresDCBRecorderTT]:
    """A recorder with an event of each account; in the schema `public`, where alone it can create its tables."""
    with PostgresTTDCBFactory(Environment("dcb", environment(server, DATABASE))) as factory:
        recorder = factory.dcb_recorder()
        assert isinstance(recorder, PostgresDCBRecorderTT)
        for first in range(0, len(accounts), 1000):
            recorder.append([event_of(Opened(account, "somebody")) for account in accounts[first : first + 1000]])
        yield recorder


def event_of(event: Opened | Deposited) -> DCBEvent:
    """An event with the type, data and tags that leftfold gives it."""
    record = bank.registry.encode(event, METADATA)
    return DCBEvent(record.type, record.data, list(record.tags))


def query_of(account: str) -> DCBQuery:
    return DCBQuery([DCBQueryItem(types=TYPES, tags=[Tag("account")(account)])])


def conditional_appends(recorder: PostgresDCBRecorderTT, accounts: Sequence[str], head: int, callers: int) -> Slice:
    """Appends a second on the condition that nothing of the account came after its last event, at first `head`."""
    positions = dict.fromkeys(accounts, head)
    shuffled = shuffled_for_ever(accounts)

    def once() -> None:
        account = next(shuffled)
        condition = DCBAppendCondition(query_of(account), positions[account])
        positions[account] = recorder.append([event_of(Deposited(account, 1))], condition)

    return lambda seconds: threads(callers, seconds, once)


def reads_and_appends(recorder: PostgresDCBRecorderTT, accounts: Sequence[str], callers: int) -> Slice:
    """The same, when what is known of the account has to be read first; nothing is decoded or folded."""
    shuffled = shuffled_for_ever(accounts)

    def once() -> None:
        account = next(shuffled)
        query = query_of(account)
        read = recorder.read(query)
        assert sum(1 for _ in read)
        recorder.append([event_of(Deposited(account, 1))], DCBAppendCondition(query, read.head))

    return lambda seconds: threads(callers, seconds, once)
