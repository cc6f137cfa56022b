"""Stands between composing and writing: every message is checked, and a sample is read back."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from markupsafe import escape

from invites.errors import TemplateError
from invites.invitation import Invitation, Kind, Picture, Revision, Server
from invites.messages.check import MessageCheck
from invites.messages.mime import in_blocks
from invites.model import Attendee
from invites.templating import LINK, Part, SharedLetter, Slot, subject_of, text_of

if TYPE_CHECKING:
    from invites.jitsi.tokens import SigningKey
    from invites.messages.readback import Expectation

SAMPLE_ONE_IN = 500
"""Of so many messages one is read back, chosen by its Message-ID; by messages and not by meetings,
for that costs the same whether a meeting has one attendee or many."""


class Verifier:
    """Checks each message at the level of bytes, and has a sample read back by other parsers.

    The sample is one message of each shape in the run, and one in SAMPLE_ONE_IN of all.

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
        logo: Picture | None = None,
    ) -> None:
        """`mailbox` is the service mailbox; `everything` reads every message back.

        `logo` is what a mail may bring along.
        """
        self._logo = logo
        self._server = server
        self._mailbox = mailbox
        self._key = key
        self._everything = everything
        self._with_others = with_others
        self._shapes: set[Hashable] = set()
        self._checks: dict[Hashable, MessageCheck] = {}
        self._expected: Expectation | None = None
        self.read_back = 0

    def passed(
        self, invitations: Iterable[Invitation], *, mailbox: str | None = None
    ) -> Iterator[Invitation]:
        """Yield each invitation once it and its block have passed; raises MessageFaultError.

        `mailbox` is who sends them where that is not the service mailbox of now.
        """
        for block in in_blocks(invitations):
            for invitation in block:
                self.check(invitation, mailbox=mailbox)
            yield from block

    def check(self, invitation: Invitation, *, mailbox: str | None = None) -> None:
        """Check one invitation; raises MessageFaultError."""
        self._check_for(invitation).message(
            invitation.eml,
            invitation.ics,
            mailbox=invitation.attendee.mailbox,
            answers=invitation.answers is not None,
            message_id=invitation.message_id,
        )
        if self._everything or self._is_sampled(invitation):
            self._read(invitation, mailbox or self._mailbox)

    def _is_sampled(self, invitation: Invitation) -> bool:
        """Whether no message of this shape was read yet in the run, or its Message-ID is chosen."""
        shape = shape_of(invitation)
        if shape not in self._shapes:
            self._shapes.add(shape)
            return True
        # It begins with hexadecimal digits of a hash.
        return int(invitation.message_id[1:9], 16) % SAMPLE_ONE_IN == 0

    def _check_for(self, invitation: Invitation) -> MessageCheck:
        revision, with_links = invitation.revision, invitation.links is not None
        one_date = revision.date is not None
        kind = (revision.kind, one_date, invitation.replies_to_host, with_links)
        check = self._checks.get(kind)
        if check is None:
            check = self._checks[kind] = MessageCheck(
                revision,
                reply_to=invitation.replies_to_host,
                with_others=self._with_others,
                logo=self._logo,
                of_dates=with_links,
            )
        return check

    def _read(self, invitation: Invitation, mailbox: str) -> None:
        from invites.messages.readback import Expectation, read_back  # noqa: PLC0415

        if self._expected is None:
            key = self._key.key
            self._expected = Expectation(
                server=self._server,
                mailbox=self._mailbox,
                key=key if isinstance(key, bytes) else key.public_key(),
                logo=self._logo,
            )
        read_back(invitation, replace(self._expected, mailbox=mailbox))
        self.read_back += 1


def shape_of(invitation: Invitation) -> Hashable:
    """Return what two messages must have in common to be made by the same code."""
    attendee = invitation.attendee
    return (
        invitation.revision.kind,
        invitation.revision.date is not None,
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
        invitation.links if invitation.links is None else len(invitation.links),
    )


_HREF = re.compile(r'(?:<a\s(?:.*\s)?|[^<]*\s)href="', re.IGNORECASE | re.DOTALL)
"""A tag up to its `href`: an anchor's, or any that a slot before the link's may have begun."""


def check_letter(
    letter: SharedLetter,
    values: Mapping[Slot, str],
    attendee: Attendee,
    link: str,
    revision: Revision,
) -> None:
    """Hold a letter to these rules; `link` is "" where nobody is to join, or no date has one yet.

    `values` are the attendee's, of all slots.

    What is judged of the link are the pieces around its slot, which all who share the letter have
    in common; a letter that computes with the link, and so is one attendee's, is judged filled.
    Raises TemplateError, which names the kind of letter.
    """
    check_subject(subject_of(letter.subject, values), revision.kind, row=attendee.row)
    kind = revision.kind.value
    if not link:
        return
    if any(isinstance(piece, Slot) and piece.name == LINK for piece in letter.text + letter.html):
        on_its_line, in_an_anchor = _on_its_line(letter.text), _in_an_anchor(letter.html)
    else:
        links, markup = link.split("\n"), text_of(letter.html, values)
        on_its_line = set(links) <= set(text_of(letter.text, values).split("\n"))
        in_an_anchor = all(f'href="{escape(one)}"' in markup for one in links)
    if not on_its_line:
        raise TemplateError(
            f"the text template of {kind}: expected {{{{ link }}}} alone on a line of its own, "
            "with nothing before or after it, for mail programs make links of lines"
        )
    if not in_an_anchor:
        raise TemplateError(
            f'the HTML template of {kind}: expected <a href="{{{{ link }}}}">, for mail programs '
            "that make no links themselves"
        )


def check_subject(subject: str, kind: Kind, *, row: int) -> str:
    """Return a finished subject; raises TemplateError for a blank one, with its row (0 for none)."""
    if not subject.strip():
        whose = f" for row {row}" if row else ""
        raise TemplateError(
            f"the subject template of {kind.value}: found no text{whose}, expected a line of it"
        )
    return subject


def _on_its_line(text: Part) -> bool:
    """Whether a slot of the link stands alone on a line."""
    return any(
        (before is None or (isinstance(before, str) and before.endswith("\n")))
        and (after is None or (isinstance(after, str) and after.startswith("\n")))
        for before, after in _around(text)
    )


def _in_an_anchor(html: Part) -> bool:
    """Whether a slot of the link is all that an `href` has."""
    return any(
        isinstance(before, str)
        and _HREF.fullmatch(before, max(before.rfind("<"), 0)) is not None
        and isinstance(after, str)
        and after.startswith('"')
        for before, after in _around(html)
    )


def _around(part: Part) -> Iterator[tuple[str | Slot | None, str | Slot | None]]:
    """Yield what stands before and after each slot of the link; None at the part's ends."""
    pieces = (None, *part, None)
    for before, piece, after in zip(pieces, part, pieces[2:], strict=False):
        if isinstance(piece, Slot) and piece.name == LINK:
            yield before, after
