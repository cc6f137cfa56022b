"""What every message must be at the level of bytes, whoever composed it.

These checks know nothing of how a message was made: they read the finished bytes, once for each
message: the header against a strict grammar, then body and delimiter in turn to the message's end,
and the calendar object against a grammar of its own.
A fault stops the run before anything of it is written or sent.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import permutations

from invites.errors import MessageFaultError
from invites.invitation import Kind, Picture, Revision
from invites.messages.calendar import LOCATION_AT_MOST
from invites.messages.content_lines import FOLD_AT, calendar_user
from invites.messages.grammar import (
    BOUNDARY,
    calendar_grammar,
    header_grammar,
    header_names,
    method_of,
    part_header,
)
from invites.messages.mime import LINE, encoded

HEADER_LINE_AT_MOST = 998
"""Octets of a header line at most, its CRLF not counted (RFC 5322 2.1.1)."""


_FIELD_NAME = re.compile(rb"^([^\s:]+):", re.MULTILINE)

# A dot costs the regex engine a tenth of what a class of characters does: lines are measured with
# it, and what they are made of is looked at apart.
_FOLDED_LINES = re.compile(rb"(?:.{1,76}+(?<=\r)\n)++")
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_LAST_GROUP = re.compile(
    rb"[A-Za-z0-9+/]{2}(?:[A-Za-z0-9+/]{2}|[A-Za-z0-9+/]=|==)\r\n"  # RFC 4648 4
)
_BASE64_LINE = LINE + 2
"""Octets of a whole line of base64 with its CRLF."""

_PROPERTY_NAME = re.compile(rb"^([A-Z-]+)[;:]", re.MULTILINE)
_LINE_SEPARATORS = "\x85\u2028\u2029"
"""Some readers take them for line ends."""


_RELATED = re.compile(
    rf'Content-Type: multipart/related; type="text/html";\r\n boundary="({BOUNDARY})"\r\n\r\n'.encode()
)


def _delimiters(
    kind: Kind, outer: bytes | None, inner: bytes, related: bytes | None, logo: Picture | None
) -> tuple[bytes, ...]:
    """Return what follows each body: the delimiter and header of the next part, or the end.

    Nothing follows where one boundary begins with the other: a reader would take it for that one.
    """
    boundaries = [boundary for boundary in (outer, inner, related) if boundary is not None]
    if any(one.startswith(other) for one, other in permutations(boundaries, 2)):
        return ()
    html, event, attached = _headers_of_parts(kind)
    end = b"\r\n--%s--\r\n"
    opening = [b"\r\n--%s\r\n%s" % (inner, html)]
    after = b""
    if related is not None and logo is not None:
        both = b'multipart/related; type="text/html";\r\n boundary="%s"\r\n\r\n--%s' % (
            related,
            related,
        )
        opening = [
            b"\r\n--%s\r\nContent-Type: %s\r\n%s" % (inner, both, html),
            b"\r\n--%s\r\n%s" % (related, _logo_header(logo).encode("ascii")),
        ]
        after = end % related
    if outer is None:
        return *opening, after + end % inner
    return (
        *opening,
        after + b"\r\n--%s\r\n%s" % (inner, event),
        (end + b"\r\n--%s\r\n%s") % (inner, outer, attached),
        end % outer,
    )


@lru_cache
def _headers_of_parts(kind: Kind) -> tuple[bytes, bytes, bytes]:
    """Return those of the HTML, the calendar part and the attachment."""
    event = f"text/calendar; charset=utf-8; method={method_of(kind)}; component=VEVENT"
    attached = 'Content-Disposition: attachment; filename="invite.ics"\r\n'
    return (
        part_header("text/html; charset=utf-8").encode("ascii"),
        part_header(event).encode("ascii"),
        part_header('application/ics; name="invite.ics"', attached).encode("ascii"),
    )


def _logo_header(logo: Picture) -> str:
    """Return the header of the part that an HTML names by `cid:` (RFC 2387, RFC 2392)."""
    named = f'{logo.media_type}; name="{logo.name}"'
    shown = (
        f'Content-ID: <{logo.content_id}>\r\nContent-Disposition: inline; filename="{logo.name}"'
    )
    return part_header(named, f"{shown}\r\n")


def _bodies(eml: bytes, start: int, delimiters: Sequence[bytes]) -> list[bytes] | None:
    """Return the bodies from `start` to the message's end; None where a delimiter is not in place.

    A body of base64 has no hyphen, so the next one opens the delimiter's boundary.
    """
    # To search for each delimiter would let text between two parts pass, which readers ignore.
    bodies = []
    for delimiter in delimiters:
        end = eml.find(b"-", start) - len(b"\r\n")
        if end < start or not eml.startswith(delimiter, end):
            return None
        bodies.append(eml[start:end])
        start = end + len(delimiter)
    return bodies if start == len(eml) else None


def _is_encoded(body: bytes) -> bool:
    """Whether a body is base64 in whole lines of 76 characters, padded at its end alone."""
    whole, rest = divmod(len(body), _BASE64_LINE)
    lines = whole + (rest > 0)
    return (
        body.translate(None, _BASE64) == b"\r\n" * lines
        and body[LINE::_BASE64_LINE] == b"\r" * whole
        and body[LINE + 1 :: _BASE64_LINE] == b"\n" * whole
        and (len(body) - len(b"\r\n") * lines) % 4 == 0
        and (not body or _LAST_GROUP.fullmatch(body, len(body) - 6) is not None)
        and body.find(b"=", 0, -4) < 0
    )


class MessageCheck:
    """The byte-level checks for the messages of one kind, with or without a host to reply to."""

    __slots__ = (
        "_kind",
        "_logo",
        "_logo_body",
        "_method",
        "_of_dates",
        "_one_date",
        "_reply_to",
        "_with_others",
    )

    def __init__(
        self,
        revision: Revision,
        *,
        reply_to: bool,
        with_others: bool = False,
        logo: Picture | None = None,
        of_dates: bool = False,
    ) -> None:
        """`with_others` tells that the calendar object lists the other attendees as well.

        `logo` is what a message may bring along; `of_dates` tells that not the meeting but its
        dates have links.
        """
        self._of_dates = of_dates
        self._logo = logo
        self._logo_body = encoded(logo.content) if logo is not None else b""
        self._kind = revision.kind
        self._method = revision.method.encode("ascii")
        self._one_date = revision.date is not None
        self._reply_to = reply_to
        self._with_others = with_others

    def message(
        self, eml: bytes, ics: bytes, *, mailbox: str, answers: bool, message_id: str
    ) -> None:
        """Check one message and its calendar object.

        `mailbox` is the one recipient, `answers` whether it refers to an earlier message.
        Raises MessageFaultError; its text names the Message-ID and no address.
        """
        text, html, *further = self._form(eml, mailbox, answers=answers, where=message_id)
        if not (text and html):
            raise MessageFaultError(
                "texts", message_id, found="an empty one", expected="a text and an HTML text"
            )
        copies = further[-2:] if self._kind is not Kind.REMINDER else []
        logos = further[: len(further) - len(copies)]
        if logos not in ([], [self._logo_body]):
            raise MessageFaultError(
                "logo", message_id, found="other bytes", expected="those of the file"
            )
        if self._kind is Kind.REMINDER:
            return
        # Encoding once more is cheaper than decoding twice, and proves the same.
        expected = encoded(ics)
        if copies != [expected, expected]:
            raise MessageFaultError(
                "calendar copies",
                message_id,
                found="different bytes",
                expected="the same bytes in the part, the attachment and the .ics file",
            )
        self.calendar(ics, mailbox=mailbox, where=message_id)

    def _form(self, eml: bytes, mailbox: str, *, answers: bool, where: str) -> list[bytes]:
        """Check the header, the recipient, the parts and the texts; return all bodies in base64."""
        grammar = header_grammar(self._kind, reply_to=self._reply_to, answers=answers)
        found = grammar.match(eml)
        bodies = None
        if found is not None:
            outer = None if self._kind is Kind.REMINDER else found["outer"]
            related = None if self._logo is None else _RELATED.search(eml, found.end())
            delimiters = _delimiters(
                self._kind, outer, found["inner"], related and related[1], self._logo
            )
            bodies = _bodies(eml, found.end(), delimiters)
        if found is None or bodies is None or not all(map(_is_encoded, bodies[:2])):
            raise self._fault(eml, answers=answers, where=where)
        if found["to"] != b"<%s>" % mailbox.encode("ascii"):
            raise MessageFaultError(
                "recipient", where, found="another address in To", expected="the attendee's alone"
            )
        end = eml.find(b"\r\n\r\n")
        if end > HEADER_LINE_AT_MOST:
            longest = max(map(len, eml[:end].split(b"\r\n")))
            if longest > HEADER_LINE_AT_MOST:
                raise _too_long("header line length", longest, HEADER_LINE_AT_MOST, where)
        return bodies

    def _fault(self, eml: bytes, *, answers: bool, where: str) -> MessageFaultError:
        """Return the error for a message that is not of its grammar: what differs, in words."""
        if not _ends_as_crlf(eml):
            return MessageFaultError("line ends", where, found="a bare CR or LF", expected="CRLF")
        header, _, body = eml.partition(b"\r\n\r\n")
        names = _FIELD_NAME.findall(header)
        expected = ", ".join(header_names(reply_to=self._reply_to, answers=answers))
        if _listed(names) != expected:
            return MessageFaultError(
                "header fields", where, found=_listed(names), expected=expected
            )
        longest = max(map(len, body.split(b"\r\n")))
        if longest > LINE:
            return _too_long("line length", longest, LINE, where)
        methods = re.findall(rb"text/calendar;[^\r\n]*method=([A-Za-z]*)", body)
        wanted = [] if self._kind is Kind.REMINDER else [self._method]
        if methods != wanted:
            return MessageFaultError(
                "method of the calendar part",
                where,
                found=_listed(methods),
                expected=_listed(wanted),
            )
        return MessageFaultError(
            "form of the message",
            where,
            found="a header value or a part that is not of its form",
            expected="one recipient, values in ASCII, and the parts of RFC 6047 in base64",
        )

    def calendar(self, ics: bytes, *, mailbox: str, where: str) -> None:
        """Check one calendar object: lines, METHOD, properties and their order, the attendee."""
        if _FOLDED_LINES.fullmatch(ics) is None:
            raise _line_fault(ics, where)
        if not _is_whole_utf8(ics):
            raise MessageFaultError(
                "calendar characters",
                where,
                found="bytes that are no character, one that a fold cuts, or a line separator",
                expected="whole characters of UTF-8 in each line",
            )
        unfolded = b"".join(ics.split(b"\r\n "))  # faster than to replace
        grammar = calendar_grammar(self._kind, of_dates=self._of_dates, one_date=self._one_date)
        found = grammar.fullmatch(unfolded)
        if found is None or not self._ends_with_link(found, unfolded):
            if not _ends_as_crlf(ics):
                raise _line_fault(ics, where)
            raise MessageFaultError(
                "calendar properties",
                where,
                found=_listed(_PROPERTY_NAME.findall(unfolded)),
                expected=f"those of METHOD:{self._method.decode()} in order, each of its form",
            )
        if found["user"] != calendar_user(mailbox).encode("ascii"):
            raise MessageFaultError(
                "attendee", where, found="another address in ATTENDEE", expected="the attendee's"
            )
        if self._method == b"REQUEST" and self._is_cut(found, unfolded):
            raise MessageFaultError(
                "LOCATION",
                where,
                found="a link that Outlook would cut",
                expected=f"links of at most {LOCATION_AT_MOST} characters",
            )
        if found["others"] and not self._with_others:
            attendees = 1 + found["others"].count(b"\r\n")
            raise MessageFaultError("ATTENDEE lines", where, found=str(attendees), expected="1")

    def _is_cut(self, found: re.Match[bytes], unfolded: bytes) -> bool:
        """Whether a LOCATION has a link that Outlook would cut."""
        one = [("", found["link"], found["place"])] if not self._of_dates else []
        return any(
            len(link) > LOCATION_AT_MOST and link in place
            for _, link, place in one or _LINKED.findall(unfolded)
        )

    def _ends_with_link(self, found: re.Match[bytes], unfolded: bytes) -> bool:
        """Whether DESCRIPTION ends with the link, alone on its line."""
        if self._method != b"REQUEST":
            return True
        if self._of_dates:
            events = _LINKED.findall(unfolded)
            return len(events) == unfolded.count(b"\r\nURL:") and all(
                (b"\\n" + notes).endswith(b"\\n" + link) for notes, link, _ in events
            )
        return (b"\\n" + found["notes"]).endswith(b"\\n" + found["link"])


_LINKED = re.compile(
    rb"\r\nDESCRIPTION:([^\r\n]*+)\r\nURL:([^\r\n]*+)\r\n[^\r\n]*+\r\nLOCATION:([^\r\n]*+)"
)
"""The notes, link and LOCATION of an event that has a link."""


def _ends_as_crlf(content: bytes) -> bool:
    """Whether each line end is CRLF and the content ends with one."""
    ends = content.count(b"\r\n")
    return (
        content.endswith(b"\r\n") and content.count(b"\n") == ends and content.count(b"\r") == ends
    )


def _line_fault(ics: bytes, where: str) -> MessageFaultError:
    """Return the error for a calendar object whose lines are not of their form."""
    if not _ends_as_crlf(ics):
        return MessageFaultError(
            "calendar line ends", where, found="a bare CR or LF", expected="CRLF"
        )
    longest = max(map(len, ics.split(b"\r\n")))
    return _too_long("calendar line length", longest, FOLD_AT, where)


def _is_whole_utf8(content: bytes) -> bool:
    """Whether folded content is UTF-8 without line separators; what a fold cuts is no character."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return False
    return text.isascii() or not any(separator in text for separator in _LINE_SEPARATORS)


def _too_long(check: str, length: int, at_most: int, where: str) -> MessageFaultError:
    return MessageFaultError(
        check, where, found=f"{length} octets", expected=f"at most {at_most} octets"
    )


def _listed(names: list[bytes]) -> str:
    return b", ".join(names).decode("ascii", "backslashreplace") or "none"
