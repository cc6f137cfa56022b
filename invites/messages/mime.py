"""The message that carries an invitation (RFC 5322, RFC 2045, RFC 6047), as bytes.

```
multipart/mixed
├ multipart/alternative
│ ├ text/plain
│ ├ text/html
│ └ text/calendar; method=…
└ application/ics, the same bytes as an attachment
```

Where the HTML shows a logo that the mail brings along, both stand in a multipart/related in the
HTML's place (RFC 2387), for the calendar part belongs among the alternatives in any case:

```
│ ├ multipart/related
│ │ ├ text/html
│ │ └ image/png, inline, with the Content-ID that the HTML names
```

A reminder is no iTIP message: it is the multipart/alternative alone, without a calendar part.
Every part is base64 and every byte ASCII, so that no server on the way has to re-encode anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from itertools import islice
from typing import TypeVar

from pybase64 import b64decode, b64encode

from invites.invitation import Kind, Picture, Revision
from invites.messages.content_lines import cutter
from invites.messages.headers import date_field, mailbox_field, unstructured
from invites.model import Attendee
from invites.templating import Part, Slot

LINE = 76
"""Characters of a base64 line at most (RFC 2045 6.8)."""

_OCTETS = LINE // 4 * 3
"""Octets that fill a line."""


def encoded(content: bytes) -> bytes:
    """Return `content` in base64, in CRLF-ended lines of 76 characters, the last one as it comes.

    pybase64 encodes with the processor's vector instructions, 13 times as fast as the standard
    library.
    """
    text = b64encode(content)
    whole, rest = divmod(len(text), LINE)
    if not whole:
        return text + b"\r\n" if text else b""
    if not rest:
        return b"\r\n".join((*cutter(whole, LINE)(text), b""))
    return b"\r\n".join((*cutter(whole, LINE)(text), text[-rest:], b""))


class Body:
    """A letter's part in base64: UTF-8 with CRLF line ends (RFC 2046 4.1.1), with its slots.

    What stands before the first slot is encoded once; all after it shifts with the value's length,
    and so is encoded for each attendee.
    """

    __slots__ = ("_opening", "_pieces")

    def __init__(self, part: Part) -> None:
        """Encode the whole lines before the first slot."""
        rest = [piece if isinstance(piece, Slot) else _mailed(piece) for piece in part]
        self._opening = b""
        if rest and isinstance(rest[0], bytes):
            fixed = rest[0]
            whole = len(fixed) // _OCTETS * _OCTETS
            self._opening, rest[0] = encoded(fixed[:whole]), fixed[whole:]
        self._pieces = rest

    def filled(self, values: Mapping[Slot, str]) -> bytes:
        """Return the body in base64; KeyError for a slot without a value."""
        content = b"".join(
            [_mailed(values[piece]) if isinstance(piece, Slot) else piece for piece in self._pieces]
        )
        return self._opening + encoded(content)


def _mailed(text: str) -> bytes:
    return text.encode().replace(b"\n", b"\r\n")


BLOCK = 128
"""So many messages are composed, then checked, then written; of one meeting or of many.

Doing one thing many times keeps its code in the processor's cache: a build takes a quarter less than
with message after message.  It takes 4 MB; larger blocks gain little.
"""

Item = TypeVar("Item")


def in_blocks(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Yield `items` in lists of BLOCK, the last one with what is left."""
    remaining = iter(items)
    while block := list(islice(remaining, BLOCK)):
        yield block


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Who a message is from, for all receivers of one revision of one meeting.

    `sender_name` is what From shows before `sender_mailbox`; `reply_to` is None or (name, mailbox).
    """

    uid: str
    revision: Revision
    sender_name: str
    sender_mailbox: str
    reply_to: tuple[str, str] | None


_mailbox_of_many = lru_cache(mailbox_field)


class MessageSkeleton:
    """A message of one revision of one meeting that lacks what differs by attendee."""

    __slots__ = (
        "_after_message_id",
        "_around_html",
        "_before_to",
        "_between_copies",
        "_end",
        "_middle",
        "calendar",
    )

    def __init__(self, envelope: Envelope, logo: bytes = b"") -> None:
        """Lay out everything that all attendees of this revision share; `logo` is its `logo_part`."""
        revision = envelope.revision
        self.calendar = revision.kind is not Kind.REMINDER
        self._before_to = _mailbox_of_many("From", envelope.sender_name, envelope.sender_mailbox)
        self._middle = date_field(revision.dtstamp)
        if envelope.reply_to is not None:
            self._middle = _mailbox_of_many("Reply-To", *envelope.reply_to) + self._middle
        outer, inner, related = _boundaries(envelope)
        # The second stops Exchange's answers: out of office, and receipts of all kinds.
        opening = b"Auto-Submitted: auto-generated\r\n"
        opening += (
            b"X-Auto-Response-Suppress: OOF, DR, RN, NRN\r\nMIME-Version: 1.0\r\nContent-Type: "
        )
        if self.calendar:
            opening += b'multipart/mixed; boundary="%s"\r\n\r\n' % outer
            opening += b"--%s\r\nContent-Type: " % outer
        opening += b'multipart/alternative; boundary="%s"\r\n\r\n' % inner
        self._after_message_id = opening + _part(inner, b"text/plain; charset=utf-8", first=True)
        before_html = _part(inner, b"text/html; charset=utf-8")
        end = b"\r\n--%s--\r\n"
        after_bodies = self._between_copies = self._end = end % inner
        if self.calendar:
            method = revision.method.encode("ascii")
            kind = b"text/calendar; charset=utf-8; method=%s; component=VEVENT" % method
            attached = _part(outer, b'application/ics; name="invite.ics"', attachment=True)
            after_bodies = _part(inner, kind)
            self._between_copies = end % inner + attached
            self._end = end % outer
        alone = with_logo = (before_html, after_bodies)
        if logo:
            both = b'\r\n--%s\r\nContent-Type: multipart/related; type="text/html";\r\n boundary="%s"\r\n\r\n'
            html = _part(related, b"text/html; charset=utf-8", first=True)
            after_logo = end % related + after_bodies
            with_logo = (
                both % (inner, related) + html,
                b"\r\n--%s\r\n" % related + logo + after_logo,
            )
        self._around_html = {False: alone, True: with_logo}

    def filled(
        self,
        attendee: Attendee,
        *,
        subject: bytes,
        message_id: str,
        first_message_id: str | None,
        text: bytes,
        html: bytes,
        calendar: bytes,
        with_logo: bool = False,
    ) -> bytes:
        """Return the whole message, CRLF line ends, for this attendee.

        `subject` is the finished header field.  `first_message_id` is that of the first message
        about this meeting to this attendee, None where this is it.  `text` and `html` are the
        bodies in base64, `calendar` is the calendar object's bytes, empty for a reminder.
        `with_logo` is for an HTML that names it.
        """
        identity = f"Message-ID: {message_id}\r\n"
        if first_message_id is not None:
            identity += f"In-Reply-To: {first_message_id}\r\nReferences: {first_message_id}\r\n"
        before_html, after_html = self._around_html[with_logo]
        parts = [
            self._before_to,
            mailbox_field("To", attendee.name, attendee.mailbox),
            subject,
            self._middle,
            identity.encode("ascii"),
            self._after_message_id,
            text,
            before_html,
            html,
            after_html,
        ]
        if self.calendar:
            lines = encoded(calendar)
            parts += [lines, self._between_copies, lines, self._end]
        return b"".join(parts)


def _boundaries(envelope: Envelope) -> tuple[bytes, bytes, bytes]:
    """Return the outer, the inner and a logo's boundary; `=_` stands in no base64 (RFC 2045 6.7)."""
    revision = envelope.revision
    stamp = int(revision.dtstamp.timestamp())
    seed = f"{envelope.uid}\0{revision.kind}\0{revision.sequence}\0{stamp}"
    digest = sha256(seed.encode()).hexdigest()[:24].encode("ascii")
    return b"=_m_" + digest, b"=_a_" + digest, b"=_r_" + digest


def _part(
    boundary: bytes, content_type: bytes, *, first: bool = False, attachment: bool = False
) -> bytes:
    """Return what stands before a part's body: delimiter and header."""
    header = b"--%s\r\nContent-Type: %s\r\nContent-Transfer-Encoding: base64\r\n"
    disposition = b'Content-Disposition: attachment; filename="invite.ics"\r\n'
    return (
        (b"" if first else b"\r\n")
        + header % (boundary, content_type)
        + (disposition if attachment else b"")
        + b"\r\n"
    )


_LOGO = (
    'Content-Type: {media_type}; name="{name}"\r\nContent-Transfer-Encoding: base64\r\n'
    'Content-ID: <{content_id}>\r\nContent-Disposition: inline; filename="{name}"\r\n\r\n'
)


def logo_part(picture: Picture | None) -> bytes:
    """Return the finished part of a logo, once for a run; nothing for none."""
    if picture is None:
        return b""
    header = _LOGO.format(
        media_type=picture.media_type, name=picture.name, content_id=picture.content_id
    )
    return header.encode("ascii") + encoded(picture.content)


_HTML = b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
_LOGO_OF_HTML = re.compile(
    rb"\r\n--[^\r\n]+\r\nContent-Type: (image/[a-z]+);.*\r\n.*\r\nContent-ID: <(.+)>\r\n.*\r\n\r\n"
    rb"([^-]+)\r\n--"
)


def html_of(eml: bytes) -> bytes:
    """Return the HTML of a message of ours, as a browser shows it: with its logo in it."""
    start = eml.index(_HTML) + len(_HTML)
    end = eml.index(b"-", start)
    html = b64decode(eml[start:end])
    logo = _LOGO_OF_HTML.match(eml, end - len(b"\r\n"))
    if logo is None:
        return html
    media_type, content_id, content = logo.groups()
    whole = b"data:%s;base64,%s" % (media_type, content.translate(None, b"\r\n"))
    return html.replace(b"cid:" + content_id, whole)


def subject_field(text: str) -> bytes:
    """Return Subject as a finished header field."""
    return unstructured("Subject", text)
