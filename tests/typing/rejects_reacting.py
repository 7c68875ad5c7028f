# pyright: strict
"""Mistakes in reactors: each line that ends in `# error` is reported by both checkers."""

from accepts_reacting import Confirm, Placed, Total, shop

from leftfold import Delivery, LiveApp, SyncLive

shop.reactor("mail", start="from_here")  # error
shop.process(after_end="restart")  # error


@shop.reactor("mail", start="from_now")
async def mail(event: Placed, live: LiveApp, delivery: Delivery) -> str:
    await live.query(Confirm(event.order))  # error
    await live.execute(Confirm(event.order), key=delivery.position)  # error
    return await live.query(Total(event.order))  # error


def print_out(event: Placed, live: SyncLive) -> str:
    return live.query(Total(event.order))  # error
