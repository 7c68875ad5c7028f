"""Dynamic prices: an order counts at the price that was shown, if that was true within the last ten minutes."""

from datetime import datetime, timedelta
from typing import Annotated, Self

from leftfold import App, Command, Context, DecisionModel, Event, EventContext, Many, Rejected, Tag, replace

GRACE = timedelta(minutes=10)
ProductId = Annotated[str, Tag("product")]


class PriceSet(Event):
    product: ProductId
    price: int


class Ordered(Event):
    products: list[ProductId]
    prices: list[int]


class Product(DecisionModel):
    product: ProductId
    price: int | None = None
    former: tuple[tuple[int, datetime], ...] = ()  # each with the time until which it was true

    def evolve(self, event: PriceSet, context: EventContext) -> Self:
        late = tuple(each for each in self.former if each[1] + GRACE >= context.time)
        former = late if self.price is None else (*late, (self.price, context.time))
        return replace(self, price=event.price, former=former)

    def accepts(self, price: int, now: datetime) -> bool:
        return price == self.price or any(price == old and now <= until + GRACE for old, until in self.former)


class SetPrice(Command):
    product: ProductId
    price: int


class Order(Command):
    products: list[ProductId]
    prices: list[int]  # as they were shown


app = App("product prices")


@app.handles
def set_price(command: SetPrice) -> PriceSet:
    return PriceSet(command.product, command.price)


@app.handles
def order(command: Order, products: Many[Product], context: Context) -> Ordered:
    if len(command.products) != len(command.prices):
        raise Rejected("each product needs its price")
    for id, price in zip(command.products, command.prices, strict=True):
        if products[id].price is None:
            raise Rejected("there is no such product", product=id)
        if not products[id].accepts(price, context.now):
            raise Rejected("the price has changed", product=id, price=products[id].price)
    return Ordered(command.products, command.prices)
