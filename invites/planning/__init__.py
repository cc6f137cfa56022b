"""Who gets what, decided from the roster and one scope's part of the ledger; pure."""
