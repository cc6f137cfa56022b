"""Stands between composing and writing: every message is checked, and a sample is read back."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from hashlib import sha256
from typing import TYPE_CHECKING

from invites.composing.blocks import in_blocks
from invites.core.model import Invitation, Server
from invites.formats.check import MessageCheck

if TYPE_CHECKING:
    from invites.core.tokens import SigningKey
    from invites.formats.readback import Expectation

SAMPLE_ONE_IN = 100
"""Of so many meetings one is read back, chosen by the hash of its UID: one message of each shape,
for messages of one meeting and one shape are filled in from the same bytes."""


class Verifier:
    """Checks each message at the level of bytes, and has a sample read back by other parsers.

    The sample is one message of each shape in the run, and of each shape in 1 % of the meetings.

    `read_back` counts the messages that independent parsers read.
    """

    def __init__(
        self,
        server: Server,
        *,
        mailbox: str,
        key: SigningKey,
        everything: bool = False,
        with_others: bool = False,
    ) -> None:
        """`mailbox` is the service mailbox; `everything` reads every message back."""
        self._server = server
        self._mailbox = mailbox
        self._key = key
        self._everything = everything
        self._with_others = with_others
        self._shapes: set[Hashable] = set()
        self._sampled: set[Hashable] | None = None
        self._uid = ""
        self._checks: dict[Hashable, MessageCheck] = {}
        self._expected: Expectation | None = None
        self.read_back = 0

    def passed(self, invitations: Iterable[Invitation]) -> Iterator[Invitation]:
        """Yield each invitation once it and its block have passed; raises MessageFaultError."""
        for block in in_blocks(invitations):
            for invitation in block:
                self.check(invitation)
            yield from block

    def check(self, invitation: Invitation) -> None:
        """Check one invitation; raises MessageFaultError."""
        self._check_for(invitation).message(
            invitation.eml,
            invitation.ics,
            mailbox=invitation.attendee.mailbox,
            answers=invitation.answers is not None,
            message_id=invitation.message_id,
        )
        if self._everything or self._is_new(invitation):
            self._read(invitation)

    def _is_new(self, invitation: Invitation) -> bool:
        """Whether no message of this shape was read yet: in the run, or in a sampled meeting."""
        if invitation.uid != self._uid:
            self._uid = invitation.uid
            self._sampled = set() if _in_sample(invitation.uid) else None
        shape = shape_of(invitation)
        is_new = shape not in self._shapes
        self._shapes.add(shape)
        if self._sampled is not None and shape not in self._sampled:
            self._sampled.add(shape)
            return True
        return is_new

    def _check_for(self, invitation: Invitation) -> MessageCheck:
        kind = (invitation.revision.kind, invitation.replies_to_host)
        check = self._checks.get(kind)
        if check is None:
            check = self._checks[kind] = MessageCheck(
                invitation.revision,
                reply_to=invitation.replies_to_host,
                with_others=self._with_others,
            )
        return check

    def _read(self, invitation: Invitation) -> None:
        from invites.formats.readback import Expectation, read_back  # noqa: PLC0415 - 150 ms

        if self._expected is None:
            key = self._key.key
            self._expected = Expectation(
                server=self._server,
                mailbox=self._mailbox,
                key=key if isinstance(key, bytes) else key.public_key(),
            )
        read_back(invitation, self._expected)
        self.read_back += 1


def shape_of(invitation: Invitation) -> Hashable:
    """Return what two messages must have in common to be made by the same code."""
    attendee = invitation.attendee
    return (
        invitation.revision.kind,
        attendee.moderator,
        attendee.attendance,
        attendee.language,
        attendee.timezone is not None,
        bool(attendee.avatar),
        bool(attendee.features),
        bool(attendee.group),
        bool(attendee.user_id),
        attendee.name.isascii(),
        invitation.answers is not None,
        invitation.replies_to_host,
    )


def _in_sample(uid: str) -> bool:
    return int.from_bytes(sha256(uid.encode()).digest()[:4]) % SAMPLE_ONE_IN == 0
