"""Who gets what, decided from the roster and one scope's part of the ledger; pure.

An *entry* is one attendee's place in one meeting: the revision that stands and the one under way.
*Facts* are what a message states; a *plan* is the list of actions, of what is kept and what is held.
A *guard* holds back what a broken roster would do, until a person says yes.
"""
