"""The ledger: what each attendee has, what was sent, and how each run went; speaks SQL alone."""

from invites.ledger.copy import copy_ledger
from invites.ledger.engine import Ledger, create, exists, open_ledger

__all__ = ["Ledger", "copy_ledger", "create", "exists", "open_ledger"]
