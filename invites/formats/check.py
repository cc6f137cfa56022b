"""What every message must be at the level of bytes, whoever composed it.

These checks know nothing of how a message was made: they read the finished bytes, once for each
message, against one strict grammar for the message and one for the calendar object.
A fault stops the run before anything of it is written or sent.
"""

from __future__ import annotations

import re
from functools import lru_cache

from invites.core.model import Kind, Method, Revision
from invites.errors import MessageFaultError
from invites.formats.calendar import FOLD_AT, mailto
from invites.formats.fences import encoded

HEADER_LINE_AT_MOST = 998
"""Octets of a header line at most, its CRLF not counted (RFC 5322 2.1.1)."""

HEADERS = (
    "From",
    "To",
    "Subject",
    "Reply-To",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Auto-Submitted",
    "MIME-Version",
    "Content-Type",
)
"""Header fields in the order in which they stand; Reply-To and the two of an answer may lack."""

_VALUE = r"(?:[!-~][ -~]*+|(?:[!-~][ -~]*+)?+(?:\r\n [!-~][ -~]*+)++)"
_WORD = r"=\?utf-8\?B\?[A-Za-z0-9+/=]++\?="
_PHRASE = (
    r"(?:\"(?:[ !#-\[\]-~]++|\\[\"\\])*+\"|[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+"
    rf"|{_WORD}(?:\r\n {_WORD})*+)(?: |\r\n )"
)
_MAILBOX = r"<([!#-'*+\--9=?A-Z^-~]++@[A-Za-z0-9.-]++)>"
_FIELD_NAME = re.compile(rb"^([^\s:]+):", re.MULTILINE)

# A dot costs the regex engine a tenth of what a class of characters does: lines are measured with
# it, and what they are made of is looked at apart.
_LINES = r"(?:.{2,77}+(?<=\r)\n)*+"
_BODIES = ("plain", "html", "calendar")
_FOLDED_LINES = re.compile(rb"(?:.{1,76}+(?<=\r)\n)++")
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="

_PROPERTY_NAME = re.compile(rb"^([A-Z-]+)[;:]", re.MULTILINE)
_INSTANT = r"[0-9]{8}T[0-9]{6}Z"
_TEXT = r"(?:[^\r\n\x00-\x08\x0b\x0c\x0e-\x1f\x7f\\;,]++|\\[\\;,nN])*+"
_PARAMETERS = r"(?:;[A-Z-]++=(?:\"[^\"\r\n]*+\"|[^\";:,\r\n]*+)(?:,[^\";:,\r\n]*+)*+)*+"


@lru_cache(maxsize=64)
def _message_grammar(kind: Kind, *, reply_to: bool, answers: bool) -> re.Pattern[bytes]:
    """Return the message's grammar; group 1 is the recipient.

    The bodies, still in base64, are the groups of `_BODIES`, and `attached`, the second copy.
    """
    fields = [
        rf"To: (?:{_PHRASE})?{_MAILBOX}\r\n" if name == "To" else rf"{name}: {_VALUE}\r\n"
        for name in _names(reply_to=reply_to, answers=answers)[:-1]
    ]
    alternative = (
        r'multipart/alternative; boundary="(?P<inner>[!#-~]{1,70}+)"\r\n\r\n'
        + _part("inner", "plain", "text/plain; charset=utf-8")
        + _part("inner", "html", "text/html; charset=utf-8")
    )
    if kind is Kind.REMINDER:
        body = rf"Content-Type: {alternative}--(?P=inner)--\r\n"
    else:
        event = rf"text/calendar; charset=utf-8; method={_method(kind)}; component=VEVENT"
        body = (
            r'Content-Type: multipart/mixed; boundary="(?P<outer>[!#-~]{1,70}+)"\r\n\r\n'
            rf"--(?P=outer)\r\nContent-Type: {alternative}"
            + _part("inner", "calendar", event)
            + r"--(?P=inner)--\r\n\r\n"
            + _part("outer", "attached", 'application/ics; name="invite.ics"', _ATTACHED)
            + r"--(?P=outer)--\r\n"
        )
    return re.compile(("".join(fields) + body).encode("ascii"))


def _is_base64(body: bytes) -> bool:
    """Whether a body holds base64's alphabet, and CR and LF in turn; its lines are measured."""
    ends = body.translate(None, _BASE64)
    return ends == b"\r\n" * (len(ends) // 2)


_ATTACHED = r'Content-Disposition: attachment; filename="invite\.ics"\r\n'


def _part(boundary: str, body: str, content_type: str, further: str = "") -> str:
    """Return the grammar of one part, whose base64 lines are the group named `body`."""
    return (
        rf"--(?P={boundary})\r\nContent-Type: {content_type}\r\n"
        rf"Content-Transfer-Encoding: base64\r\n{further}\r\n(?P<{body}>{_LINES})\r\n"
    )


def _names(*, reply_to: bool, answers: bool) -> list[str]:
    left_out = set() if reply_to else {"Reply-To"}
    if not answers:
        left_out |= {"In-Reply-To", "References"}
    return [name for name in HEADERS if name not in left_out]


def _method(kind: Kind) -> Method:
    return Method.CANCEL if kind in {Kind.CANCELLED, Kind.WITHDRAWN} else Method.REQUEST


@lru_cache(maxsize=8)
def _calendar_grammar(kind: Kind) -> re.Pattern[bytes]:
    """Return the unfolded calendar object's grammar, with the first ATTENDEE's URI as group 1."""
    status = {Kind.CANCELLED: "STATUS:CANCELLED\r\n", Kind.WITHDRAWN: ""}
    person = rf"{_PARAMETERS}:"
    linked = alarm = ""
    notes = rf"(?:DESCRIPTION:{_TEXT}\r\n)?+"
    if _method(kind) is Method.REQUEST:
        notes = rf"DESCRIPTION:{_TEXT}\r\n"
        linked = rf"URL:[!-~]++\r\nCONFERENCE;VALUE=URI{_PARAMETERS}:[!-~]++\r\n"
        alarm = (
            "(?:BEGIN:VALARM\r\nACTION:DISPLAY\r\nTRIGGER:-PT[0-9]++[MS]\r\n"
            rf"DESCRIPTION:{_TEXT}\r\nEND:VALARM\r\n)?+"
        )
    return re.compile(
        (
            r"BEGIN:VCALENDAR\r\nVERSION:2\.0\r\nPRODID:[^\r\n]++\r\nCALSCALE:GREGORIAN\r\n"
            rf"METHOD:{_method(kind)}\r\nBEGIN:VEVENT\r\nUID:[!-~]++\r\nDTSTAMP:{_INSTANT}\r\n"
            rf"DTSTART:{_INSTANT}\r\nDTEND:{_INSTANT}\r\nSEQUENCE:[0-9]++\r\n"
            + status.get(kind, "STATUS:(?:CONFIRMED|TENTATIVE)\r\n")
            + rf"SUMMARY:{_TEXT}\r\nORGANIZER{person}mailto:[!-~]++\r\n"
            rf"ATTENDEE{person}(mailto:[!-~]++)\r\n(?:ATTENDEE{person}mailto:[!-~]++\r\n)*+"
            rf"{notes}{linked}LOCATION:{_TEXT}\r\n"
            rf"TRANSP:OPAQUE\r\nCLASS:PRIVATE\r\n{alarm}END:VEVENT\r\nEND:VCALENDAR\r\n"
        ).encode("ascii")
    )


class MessageCheck:
    """The byte-level checks for the messages of one kind, with or without a host to reply to."""

    __slots__ = ("_bodies", "_kind", "_method", "_reply_to", "_with_others")

    def __init__(self, revision: Revision, *, reply_to: bool, with_others: bool = False) -> None:
        """`with_others` tells that the calendar object lists the other attendees as well."""
        self._kind = revision.kind
        self._method = revision.method.encode("ascii")
        self._bodies = ("plain", "html") if self._kind is Kind.REMINDER else _BODIES
        self._reply_to = reply_to
        self._with_others = with_others

    def message(
        self, eml: bytes, ics: bytes, *, mailbox: str, answers: bool, message_id: str
    ) -> None:
        """Check one message and its calendar object.

        `mailbox` is the one recipient, `answers` whether it refers to an earlier message.
        Raises MessageFaultError; its text names the Message-ID and no address.
        """
        found = self._form(eml, mailbox, answers=answers, where=message_id)
        if self._kind is Kind.REMINDER:
            return
        calendar = found["calendar"]
        if calendar != found["attached"] or calendar != encoded(ics):
            raise MessageFaultError(
                "calendar copies",
                message_id,
                found="different bytes",
                expected="the same bytes in the part, the attachment and the .ics file",
            )
        self.calendar(ics, mailbox=mailbox, where=message_id)

    def skeleton(self, eml: bytes, ics: bytes, *, mailbox: str, where: str) -> None:
        """Check what the messages of a meeting share: a message with empty bodies, and an event."""
        self._form(eml, mailbox, answers=False, where=where)
        if self._kind is not Kind.REMINDER:
            self.calendar(ics, mailbox=mailbox, where=where)

    def _form(self, eml: bytes, mailbox: str, *, answers: bool, where: str) -> re.Match[bytes]:
        """Check the header, the recipient, the parts and all lines; return the bodies' places."""
        grammar = _message_grammar(self._kind, reply_to=self._reply_to, answers=answers)
        found = grammar.fullmatch(eml)
        if found is None or not all(map(_is_base64, found.group(*self._bodies))):
            raise self._fault(eml, answers=answers, where=where)
        if found[1] != mailbox.encode("ascii"):
            raise MessageFaultError(
                "recipient", where, found="another address in To", expected="the attendee's alone"
            )
        end = eml.find(b"\r\n\r\n")
        if end > HEADER_LINE_AT_MOST:
            longest = max(map(len, eml[:end].split(b"\r\n")))
            if longest > HEADER_LINE_AT_MOST:
                raise _too_long("header line length", longest, HEADER_LINE_AT_MOST, where)
        return found

    def _fault(self, eml: bytes, *, answers: bool, where: str) -> MessageFaultError:
        """Return the error for a message that is not of its grammar: what differs, in words."""
        if not _ends_as_crlf(eml):
            return MessageFaultError("line ends", where, found="a bare CR or LF", expected="CRLF")
        header, _, body = eml.partition(b"\r\n\r\n")
        names = _FIELD_NAME.findall(header)
        expected = ", ".join(_names(reply_to=self._reply_to, answers=answers))
        if _listed(names) != expected:
            return MessageFaultError(
                "header fields", where, found=_listed(names), expected=expected
            )
        longest = max(map(len, body.split(b"\r\n")))
        if longest > 76:
            return _too_long("line length", longest, 76, where)
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
        if not _is_utf8(ics):
            raise MessageFaultError(
                "calendar characters",
                where,
                found="bytes that are no character, or one that a fold cuts",
                expected="whole characters of UTF-8 in each line",
            )
        unfolded = ics.replace(b"\r\n ", b"")
        found = _calendar_grammar(self._kind).fullmatch(unfolded)
        if found is None:
            if not _ends_as_crlf(ics):
                raise _line_fault(ics, where)
            raise MessageFaultError(
                "calendar properties",
                where,
                found=_listed(_PROPERTY_NAME.findall(unfolded)),
                expected=f"those of METHOD:{self._method.decode()} in order, each of its form",
            )
        if found[1] != mailto(mailbox).encode("ascii"):
            raise MessageFaultError(
                "attendee", where, found="another address in ATTENDEE", expected="the attendee's"
            )
        attendees = unfolded.count(b"\r\nATTENDEE;")
        if attendees != 1 and not self._with_others:
            raise MessageFaultError("ATTENDEE lines", where, found=str(attendees), expected="1")


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


def _is_utf8(content: bytes) -> bool:
    """Whether the folded content is UTF-8; a character that a fold cuts is none."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _too_long(check: str, length: int, at_most: int, where: str) -> MessageFaultError:
    return MessageFaultError(
        check, where, found=f"{length} octets", expected=f"at most {at_most} octets"
    )


def _listed(names: list[bytes]) -> str:
    return b", ".join(names).decode("ascii", "backslashreplace") or "none"
