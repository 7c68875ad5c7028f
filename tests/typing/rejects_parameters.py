# pyright: strict
"""Mistakes with many models and optional ones: each line that ends in `# error` is reported by both checkers."""

from accepts_parameters import Account, CloseAll, Link, Rescue, Row, Withdrawn, app, close_all, rescue

from leftfold import Many, Via

Numbers = Many[int]  # error
Rows = Many[Row]  # error
Via("link")  # error
Via("link", 3)  # error

close_all(CloseAll(["a-1"]), [Account("a-1")], None)  # error
close_all(CloseAll(["a-1"]), Many([Link("a-1")]), None)  # error
close_all(CloseAll("a-1"), Many([Account("a-1")]), None)  # error
rescue(Rescue("a-1"), Link("a-1"), None, None)  # error


class Other(CloseAll):
    pass


@app.handles
def uses_what_may_be_none(command: Other, accounts: Many[Account], heir: Account | None) -> Withdrawn:
    return Withdrawn(heir.account, accounts["a-1"].missing)  # error


def many_cannot_be_changed(accounts: Many[Account]) -> None:
    accounts["a-1"] = Account("a-1")  # error
    accounts.append(Account("a-1"))  # error
