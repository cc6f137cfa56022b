"""The ledger: what each attendee has, what was sent, and how each run went; speaks SQL alone."""

from invites.ledger.engine import Ledger, open_ledger
from invites.ledger.make import copy_ledger, create, exists

__all__ = ["Ledger", "copy_ledger", "create", "exists", "open_ledger"]
