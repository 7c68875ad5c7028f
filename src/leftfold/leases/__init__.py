"""Leases: which of several processes does a piece of background work, and who takes over when it dies."""

from leftfold.leases.app_types import declare, is_declaration, types_of_others
from leftfold.leases.book import Entry, LeaseBook, MemoryBook, StoredBook, next_beat
from leftfold.leases.holder import Holder
from leftfold.leases.keeper import Keeper
from leftfold.leases.lease import Lease
from leftfold.leases.share import is_presence
from leftfold.leases.terms import LEASE_SECONDS, Terms

__all__ = [
    "LEASE_SECONDS",
    "Entry",
    "Holder",
    "Keeper",
    "Lease",
    "LeaseBook",
    "MemoryBook",
    "StoredBook",
    "Terms",
    "declare",
    "is_declaration",
    "is_presence",
    "next_beat",
    "types_of_others",
]
