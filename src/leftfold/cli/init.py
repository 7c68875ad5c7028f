"""`leftfold init`: create a log, and in PostgreSQL the roles that may write and read it."""

from typing import Annotated

import typer

from leftfold.cli.arguments import LogUrl, option
from leftfold.cli.outcome import Outcome, command
from leftfold.cli.output import stderr, stdout
from leftfold.store import open_store
from leftfold.store.open import make_roles, risky_owner, role_names


@command
async def init(
    url: LogUrl,
    roles: Annotated[
        bool, typer.Option("--roles", help="In PostgreSQL, also create the roles <log>_writer and <log>_reader.")
    ] = False,
    called: Annotated[
        str | None, option("--called", "Create the roles NAME_writer and NAME_reader instead.", "NAME")
    ] = None,
) -> Outcome:
    """Create a log if there is none; an existing log stays as it is.

    A program that may create its log does so when it opens it. Use this command for a program that may not: the owner
    of the database creates the log and the roles, and grants the roles to the program.

    Examples:
      leftfold init sqlite:///bank.db
      leftfold init "postgresql://owner@db.example/bank?log=bank" --roles
      leftfold init "postgresql://owner@db.example/tests?log=bank" --roles --called bank_tests
    """
    if roles or called:
        role_names(url, called)  # refused before anything is made
    async with open_store(url) as log:
        stdout().put(f"The log {log.log_id} is at position {await log.head()}.")
    if roles or called:
        writer, reader = make_roles(url, called)
        stdout().put(f"The role {writer} may append, {reader} may read: GRANT {writer}, {reader} TO your_program;")
        if wrong := risky_owner(url):
            stderr().put(f"warning: {wrong}; the functions of the log run with its rights (see docs/security.md)")
    return Outcome.FINE
