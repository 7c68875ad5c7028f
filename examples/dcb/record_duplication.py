"""No duplicate records: a form that is sent twice places one order, because it carries a token."""

from typing import Annotated

from leftfold import App, Command, Event, Rejected, Tag, Unique

Token = Annotated[str, Tag("token", secret="keep this out of the source")]  # the log's tags do not show tokens
OrderId = Annotated[str, Tag("order")]


class OrderPlaced(Event):
    order: OrderId
    token: Token


class UsedToken(Unique[OrderPlaced]):
    token: Token


class PlaceOrder(Command):
    order: OrderId
    token: Token


app = App("record duplication")


@app.handles
def place(command: PlaceOrder, token: UsedToken) -> OrderPlaced:
    if token.taken:
        raise Rejected("this form was sent before")
    return OrderPlaced(command.order, command.token)
