# pyright: strict
"""Mistakes in upcasters and corrections: each line that ends in `# error` is reported by both checkers."""

from typing import Any

from accepts_upcasting import bank

from leftfold import EventContext, Metadata, recording


def without_data() -> dict[str, Any]:
    return {}


def with_three(data: dict[str, Any], context: EventContext, more: int) -> dict[str, Any]:
    return {}


def into_text(data: dict[str, Any], context: EventContext) -> str:
    return ""


bank.upcasts("account.opened", 1)(without_data)  # error
bank.upcasts("account.opened", 1)(with_three)  # error
bank.upcasts("account.opened", 1)(into_text)  # error
Metadata(corrects="17")  # error
recording(corrects="17")  # error
