"""A shop whose decisions need many products, a voucher or none, and a customer whom only the order names."""

from typing import Annotated, Any, Self

from leftfold import App, Command, Context, DecisionModel, Event, Many, NonKey, Rejected, Tag, Via, replace

OrderId = Annotated[str, Tag("order")]
ProductId = Annotated[str, Tag("product")]
CustomerId = Annotated[str, Tag("customer")]
VoucherId = Annotated[str, Tag("voucher")]


class Stocked(Event):
    product: ProductId
    amount: int


class Placed(Event):
    order: OrderId
    customer: CustomerId
    products: tuple[ProductId, ...]
    voucher: VoucherId | None = None


class Reassigned(Event):
    order: OrderId
    customer: CustomerId


class Blocked(Event):
    customer: CustomerId


class Shipped(Event):
    order: OrderId
    customer: CustomerId | None


class Product(DecisionModel):
    product: ProductId
    stock: int = 0

    def evolve(self, event: Stocked | Placed) -> Self:
        match event:
            case Stocked(amount=amount):
                return replace(self, stock=self.stock + amount)
            case Placed():
                return replace(self, stock=self.stock - 1)


class Voucher(DecisionModel):
    voucher: VoucherId
    used: bool = False

    def evolve(self, event: Placed) -> Self:
        return replace(self, used=True)


class Order(DecisionModel):
    order: OrderId
    customer: Annotated[CustomerId, NonKey] | None = None
    products: Annotated[tuple[ProductId, ...], NonKey] = ()
    shipped: bool = False

    def evolve(self, event: Placed | Reassigned | Shipped) -> Self:
        match event:
            case Placed(customer=customer, products=products):
                return replace(self, customer=customer, products=products)
            case Reassigned(customer=customer):
                return replace(self, customer=customer)
            case Shipped():
                return replace(self, shipped=True)


class Customer(DecisionModel):
    customer: CustomerId
    blocked: bool = False
    shipped: int = 0

    def evolve(self, event: Blocked | Shipped) -> Self:
        match event:
            case Blocked():
                return replace(self, blocked=True)
            case Shipped():
                return replace(self, shipped=self.shipped + 1)


class Stock(Command):
    product: ProductId
    amount: int


class Place(Command):
    order: OrderId
    customer: CustomerId
    products: list[ProductId]
    voucher: VoucherId | None = None


class Reassign(Command):
    order: OrderId
    customer: CustomerId


class Block(Command):
    customer: CustomerId


class Ship(Command):
    order: OrderId


class ShipAll(Command):
    orders: list[OrderId]


class Count(Command):
    products: frozenset[ProductId]


def shop_app(called: Any = lambda *arguments: None) -> App:
    """A shop; each handler calls `called` with what it is given, before it decides."""
    app = App("shop")
    add_entities(app)
    add_placing(app, called)
    add_shipping(app, called)
    return app


def add_entities(app: App) -> None:
    """Handlers of one model each."""

    @app.handles
    def stock(command: Stock, product: Product) -> Stocked:
        return Stocked(command.product, command.amount)

    @app.handles
    def reassign(command: Reassign, order: Order) -> Reassigned:
        return Reassigned(command.order, command.customer)

    @app.handles
    def block(command: Block, customer: Customer) -> Blocked:
        return Blocked(command.customer)


def add_placing(app: App, called: Any) -> None:
    """Handlers of many models, and of an optional one."""

    @app.handles
    def place(command: Place, order: Order, products: Many[Product], voucher: Voucher | None) -> Placed:
        called(command, order, products, voucher)
        missing = [product.product for product in products if product.stock < 1]
        if missing:
            raise Rejected("sold out", products=missing)
        if voucher is not None and voucher.used:
            raise Rejected("the voucher is used")
        return Placed(command.order, command.customer, tuple(command.products), command.voucher)

    @app.handles
    def count(command: Count, products: Many[Product]) -> None:
        called(command, products)


def add_shipping(app: App, called: Any) -> None:
    """Handlers of models whose keys stand in others."""

    @app.handles
    def ship(
        command: Ship, order: Order, customer: Annotated[Customer | None, Via("order", "customer")], context: Context
    ) -> Shipped | None:
        called(command, order, customer)
        if customer is None:
            raise Rejected("no such order")
        if customer.blocked:
            raise Rejected("the customer is blocked", customer=customer.customer)
        return None if order.shipped else Shipped(command.order, customer.customer)

    @app.handles
    def ship_all(
        command: ShipAll,
        customers: Annotated[Many[Customer], Via("orders", "customer")],
        orders: Many[Order],
        products: Annotated[Many[Product], Via("orders", "products")],
    ) -> list[Shipped]:
        called(command, orders, customers, products)
        if any(customer.blocked for customer in customers):
            raise Rejected("a customer is blocked")
        return [Shipped(order.order, order.customer) for order in orders if not order.shipped]
