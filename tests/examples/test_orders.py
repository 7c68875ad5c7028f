"""The orders example runs, and says what became of each order."""

import pytest

from examples.orders import main


async def test_the_example_shows_a_shipment_a_compensation_and_an_order_that_waits(
    capsys: pytest.CaptureFixture[str],
) -> None:
    await main()

    said = capsys.readouterr().out.splitlines()
    assert said[0] == "{'o-1': 'shipped', 'o-2': 'cancelled', 'o-3': 'open'}"
    assert said[1].startswith("scheduled: CancelOrder")
