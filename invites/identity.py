"""What stays the same over the nights: a meeting's UID and a message's Message-ID."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from uuid import NAMESPACE_URL, uuid5


def uid_for(namespace: str, meeting_id: str) -> str:
    """Return the meeting's UID (RFC 7986 5.3): the same for ever, with no personal data in it."""
    return str(uuid5(NAMESPACE_URL, f"invites:{namespace}\0{meeting_id}"))


def uid_of_edition(uid: str, edition: int) -> str:
    """Return a meeting's UID after so many changes of the organizer's mailbox; `uid` is its first.

    Receivers take no update from another ORGANIZER, so that each mailbox has a UID of its own, also
    one that comes back.
    """
    return str(uuid5(NAMESPACE_URL, f"invites:{uid}\0{edition}")) if edition else uid


class MessageIds:
    """Message-IDs (RFC 5322 3.6.4) of one revision of one meeting, for each attendee.

    They follow from the UID, the folded address, the method, the SEQUENCE and the DTSTAMP alone, so
    that a retry repeats the Message-ID of the message that it repeats.
    `method` is an iTIP method, or another word for a message that carries none.
    """

    __slots__ = ("_domain", "_start")

    def __init__(
        self, *, uid: str, method: str, sequence: int, dtstamp: datetime, domain: str
    ) -> None:
        """`domain` is the organizer address's, as A-labels; `dtstamp` is aware."""
        stamp = int(dtstamp.timestamp())
        self._start = sha256(f"{uid}\0{method}\0{sequence}\0{stamp}\0".encode())
        self._domain = domain

    def for_address(self, address: str) -> str:
        """Return the Message-ID, with its angle brackets, for a folded address."""
        digest = self._start.copy()
        digest.update(address.encode())
        return f"<{digest.hexdigest()[:40]}@{self._domain}>"
