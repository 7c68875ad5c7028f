"""Invoice numbers: 1, 2, 3 … without a gap, whoever issues them."""

from leftfold import App, Command, Event, NumberSeries


class InvoiceIssued(Event):
    number: int
    amount: int


class InvoiceNumbers(NumberSeries[InvoiceIssued]): ...


class IssueInvoice(Command):
    amount: int


app = App("invoice numbers")


@app.handles
def issue(command: IssueInvoice, numbers: InvoiceNumbers) -> InvoiceIssued:
    return InvoiceIssued(numbers.next, command.amount)
