"""The sync facade has the verbs of reactors, cancelled processes and recurring commands."""

from datetime import timedelta

import pytest

from examples.orders import Fulfilment, Place, orders
from leftfold import Backoff
from leftfold.errors import AlreadyEnded
from tests.process.test_reactors import Join, Mail


def test_reactors_are_listed_retried_and_skipped_without_await() -> None:
    mail = Mail(backoff=Backoff(attempts=1))
    mail.down = {"a", "b"}
    with mail.app.open_sync("memory:", work=False) as live:
        for name in ("a", "b"):
            live.execute(Join(name))
        live.run_until_quiet()
        [status] = live.reactors()
        first, second = (each.position for each in status.parked)

        live.skip("reactor mail", first, reason="no")
        mail.down.clear()
        assert live.retry("reactor mail", second) == []
        live.run_until_quiet()

        assert live.reactors()[0].outstanding == ()
    assert mail.sent == ["b"]


def test_a_process_is_cancelled_and_a_command_recurs_without_await() -> None:
    with orders.open_sync("memory:", work=False) as live:
        live.execute(Place("o", "lamp", 40))
        live.run_until_quiet()
        live.cancel(Fulfilment, "o", reason="no")
        ticket = live.submit(Place("p", "lamp", 40), key="k", every=timedelta(hours=1), delay=timedelta(hours=1))

        with pytest.raises(AlreadyEnded):
            live.cancel(Fulfilment, "o", reason="no")
        assert [each.ticket for each in live.commands()] == [ticket.id]
