"""Opt-in tokens: a sign-up is confirmed with the code that was sent, once, and within an hour."""

from datetime import datetime, timedelta
from typing import Annotated, Self

from leftfold import App, Command, Context, DecisionModel, Event, EventContext, Rejected, Tag, replace

LIFETIME = timedelta(minutes=60)
EMAIL = Tag("email", by=str.casefold)
Email = Annotated[str, EMAIL]
Code = Annotated[str, Tag("code", within=EMAIL)]


class SignUpStarted(Event):
    email: Email
    code: Code
    name: str


class SignUpConfirmed(Event):
    email: Email
    code: Code
    name: str


class SignUp(DecisionModel):
    email: Email
    code: Code
    name: str = ""
    started: datetime | None = None
    confirmed: bool = False

    def evolve(self, event: SignUpStarted | SignUpConfirmed, context: EventContext) -> Self:
        match event:
            case SignUpStarted(name=name):
                return replace(self, name=name, started=context.time)
            case SignUpConfirmed():
                return replace(self, confirmed=True)


class StartSignUp(Command):
    email: Email
    code: Code
    name: str


class ConfirmSignUp(Command):
    email: Email
    code: Code


app = App("opt-in tokens")


@app.handles
def start(command: StartSignUp) -> SignUpStarted:
    return SignUpStarted(command.email, command.code, command.name)


@app.handles
def confirm(command: ConfirmSignUp, sign_up: SignUp, context: Context) -> SignUpConfirmed:
    if sign_up.started is None:
        raise Rejected("there is no sign-up with this code")
    if sign_up.confirmed:
        raise Rejected("the code was used")
    if context.now > sign_up.started + LIFETIME:
        raise Rejected("the code has expired")
    return SignUpConfirmed(command.email, command.code, sign_up.name)
