"""Unique user names: however they are spelled, and free again three days after an account gave one up."""

from datetime import datetime, timedelta
from typing import Annotated, Self

from leftfold import App, Command, Context, DecisionModel, Event, EventContext, Rejected, Tag, replace

RETENTION = timedelta(days=3)
USERNAME = Tag("username", by=str.casefold)
Username = Annotated[str, USERNAME]


class AccountRegistered(Event):
    username: Username


class UsernameChanged(Event):
    former: Username
    username: Username


class AccountClosed(Event):
    former: Username


class UsernameClaim(DecisionModel):
    username: Username
    taken: bool = False
    given_up: datetime | None = None

    def evolve(self, event: AccountRegistered | UsernameChanged | AccountClosed, context: EventContext) -> Self:
        taken = not isinstance(event, AccountClosed) and USERNAME.key(event.username) == self.username
        return replace(self, taken=taken, given_up=None if taken else context.time)

    def check(self, now: datetime) -> None:
        if self.taken:
            raise Rejected("the name is taken")
        if self.given_up is not None and now < self.given_up + RETENTION:
            raise Rejected("the name is not free yet")


class Register(Command):
    username: Username


class ChangeUsername(Command):
    former: Username
    username: Username


class CloseAccount(Command):
    username: Username


app = App("user names")


@app.handles
def register(command: Register, username: UsernameClaim, context: Context) -> AccountRegistered:
    username.check(context.now)
    return AccountRegistered(command.username)


@app.handles
def change(
    command: ChangeUsername, former: UsernameClaim, username: UsernameClaim, context: Context
) -> UsernameChanged:
    if not former.taken:
        raise Rejected("there is no such account")
    if username != former:  # else only the spelling changes
        username.check(context.now)
    return UsernameChanged(command.former, command.username)


@app.handles
def close(command: CloseAccount, username: UsernameClaim) -> AccountClosed:
    if not username.taken:
        raise Rejected("there is no such account")
    return AccountClosed(command.username)
