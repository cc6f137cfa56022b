"""What a calendar object and a message's header of ours may be: a regular expression for each kind."""

from __future__ import annotations

import re
from functools import lru_cache

from invites.invitation import Kind, Method

_INSTANT = (
    r"[0-9]{4}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])T(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]Z"
)
_WEEKDAYS = "(?:MO|TU|WE|TH|FR|SA|SU)"
_WALL = r"[0-9]{8}T[0-9]{6}"
_WHEN = rf"(?:;TZID=(?P=tzid):{_WALL}|:{_INSTANT})"
"""A time of a series: by its VTIMEZONE where there is one, else in UTC."""

_OBSERVANCE = (
    rf"BEGIN:(?:STANDARD|DAYLIGHT)\r\nDTSTART:{_WALL}\r\n"
    rf"(?:RRULE:FREQ=YEARLY;BYMONTH=[0-9]+;BYDAY=-?[1-5]{_WEEKDAYS}\r\n)?+"
    r"TZOFFSETFROM:[+-][0-9]{4}(?:[0-9]{2})?+\r\nTZOFFSETTO:[+-][0-9]{4}(?:[0-9]{2})?+\r\n"
    r"END:(?:STANDARD|DAYLIGHT)\r\n"
)
_VTIMEZONE = (
    r"BEGIN:VTIMEZONE\r\nTZID:(?P<tzid>[A-Za-z0-9/_+-]++)\r\n"
    rf"(?:{_OBSERVANCE})++END:VTIMEZONE\r\n"
)
_RRULE = (
    r"RRULE:FREQ=(?:DAILY|WEEKLY|MONTHLY|YEARLY)(?:;[A-TV-Z][A-Z]*+=[A-Z0-9,-]++)*+"
    rf";UNTIL={_INSTANT}\r\n"
)
"""UNTIL is in UTC and the last part, and never with COUNT (RFC 5545 3.3.10)."""

_TEXT = r"(?:[^\r\n\x00-\x08\x0b\x0c\x0e-\x1f\x7f\\;,]++|\\[\\;,nN])*+"
_LINK = r"[!-+\--:<-\[\]-~]++"  # printable ASCII without what TEXT escapes
_CN = r"CN=(?:\"[^\"\x00-\x1f\x7f]*+\"|[^\";:,\x00-\x1f\x7f]*+)"
_ATTENDEE = (
    r"ATTENDEE;CUTYPE=INDIVIDUAL;ROLE=(?:CHAIR|REQ-PARTICIPANT|OPT-PARTICIPANT)"
    rf";PARTSTAT=NEEDS-ACTION;RSVP=TRUE;{_CN}"
)
_CALENDAR_USER = r"(?:;EMAIL=(?:\"[!#-~]++\"|[!#-+\--9<-~]++))?+:mailto:[!-~]++"
_CONFERENCE = r"CONFERENCE;VALUE=URI;FEATURE=AUDIO,VIDEO;LABEL=Jitsi Meet:"


def method_of(kind: Kind) -> Method:
    """Return the iTIP method of a kind of message."""
    cancels = {Kind.DATE_CANCELLED, Kind.CANCELLED, Kind.WITHDRAWN}
    return Method.CANCEL if kind in cancels else Method.REQUEST


@lru_cache(maxsize=16)
def calendar_grammar(
    kind: Kind, *, of_dates: bool = False, one_date: bool = False
) -> re.Pattern[bytes]:
    """Return the unfolded calendar object's grammar; `of_dates` have links of their own.

    `one_date` is for one date of a series alone.

    `user` is the first ATTENDEE's address, `others` the lines of all further ones, `place` LOCATION.
    URL and CONFERENCE are the same link, with which DESCRIPTION (the group `notes`) is to end.
    """
    off = "STATUS:CANCELLED\r\n"
    status = {Kind.DATE_CANCELLED: off, Kind.CANCELLED: off, Kind.WITHDRAWN: ""}
    linked = counter = alarm = ""
    notes = rf"(?:DESCRIPTION:{_TEXT}\r\n)?+"
    if method_of(kind) is Method.REQUEST:
        notes = rf"DESCRIPTION:(?P<notes>{_TEXT})\r\n"
        linked = rf"URL:(?P<link>{_LINK})\r\n{_CONFERENCE}(?P=link)\r\n"
        counter = "X-MICROSOFT-DISALLOW-COUNTER:TRUE\r\n"
        alarm = (
            "(?:BEGIN:VALARM\r\nACTION:DISPLAY\r\nTRIGGER:-PT[0-9]++[MS]\r\n"
            rf"DESCRIPTION:{_TEXT}\r\nEND:VALARM\r\n)?+"
        )
    once = rf"DTSTART:{_INSTANT}\r\nDTEND:{_INSTANT}\r\nSEQUENCE:[0-9]++\r\n"
    series = (
        rf"DTSTART{_WHEN}\r\nDTEND{_WHEN}\r\nSEQUENCE:(?P<sequence>[0-9]++)\r\n{_RRULE}"
        rf"(?:EXDATE{_WHEN}\r\n)*+"
    )
    date = rf"RECURRENCE-ID{_WHEN}\r\nDTSTART{_WHEN}\r\nDTEND{_WHEN}\r\n"
    times = rf"{date}SEQUENCE:[0-9]++\r\n" if one_date else rf"(?:{once}|{series})"
    state = status.get(kind, "STATUS:(?:CONFIRMED|TENTATIVE)\r\n")
    # What a date that differs says beside its times and title is what the series says.
    again = "(?P=shared)"
    if of_dates and linked:
        notes = rf"(?:DESCRIPTION:{_TEXT}\r\n)?+"
        own = rf"(?:URL:(?P<link>{_LINK})\r\n{_CONFERENCE}(?P=link)\r\n)?+"
        again = (
            rf"(?P=whose){notes}{own}LOCATION:{_TEXT}\r\n"
            rf"TRANSP:OPAQUE\r\nCLASS:PRIVATE\r\n{counter}"
        )
        linked = ""
    exceptions = (
        r"(?:BEGIN:VEVENT\r\nUID:(?P=uid)\r\nDTSTAMP:(?P=dtstamp)\r\n"
        rf"{date}SEQUENCE:(?P=sequence)\r\n"
        rf"{state}SUMMARY:{_TEXT}\r\n{again}{alarm}END:VEVENT\r\n)*+"
        if not one_date
        else ""
    )
    return re.compile(
        (
            r"BEGIN:VCALENDAR\r\nVERSION:2\.0\r\nPRODID:[^\r\n]++\r\nCALSCALE:GREGORIAN\r\n"
            rf"METHOD:{method_of(kind)}\r\n(?:{_VTIMEZONE})?+BEGIN:VEVENT\r\n"
            rf"UID:(?P<uid>[!-~]++)\r\nDTSTAMP:(?P<dtstamp>{_INSTANT})\r\n"
            rf"{times}{state}SUMMARY:{_TEXT}\r\n"
            rf"(?P<shared>(?P<whose>ORGANIZER;{_CN}:mailto:[!-~]++\r\n"
            rf"{_ATTENDEE}(?P<user>{_CALENDAR_USER})\r\n"
            rf"(?P<others>(?:{_ATTENDEE}{_CALENDAR_USER}\r\n)*+))"
            rf"{notes}{linked}LOCATION:(?P<place>{_TEXT})\r\n"
            rf"TRANSP:OPAQUE\r\nCLASS:PRIVATE\r\n{counter}){alarm}END:VEVENT\r\n"
            rf"{exceptions}END:VCALENDAR\r\n"
        ).encode("ascii")
    )


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
    "X-Auto-Response-Suppress",
    "MIME-Version",
    "Content-Type",
)
"""Header fields in the order in which they stand; Reply-To and the two of an answer may lack."""


_FIELD_VALUE = r"(?:[!-~][ -~]*+|(?:[!-~][ -~]*+)?+(?:\r\n [!-~][ -~]*+)++)"


_ENCODED_WORD = r"=\?utf-8\?B\?[A-Za-z0-9+/=]++\?="


_PHRASE = (
    r"(?:\"(?:[ !#-\[\]-~]++|\\[\"\\])*+\"|[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+"
    rf"|{_ENCODED_WORD}(?:\r\n {_ENCODED_WORD})*+)(?: |\r\n )"
)


_IN_BRACKETS = r"<[!#-'*+\--9=?A-Z^-~]++@[A-Za-z0-9.-]++>"


_ONE_MAILBOX = rf"(?:{_PHRASE})?{_IN_BRACKETS}"


_FORMS = {
    "From": _ONE_MAILBOX,
    "Reply-To": _ONE_MAILBOX,
    "To": rf"(?:{_PHRASE})?(?P<to>{_IN_BRACKETS})",
    "Auto-Submitted": "auto-generated",
    "X-Auto-Response-Suppress": "OOF, DR, RN, NRN",
    "MIME-Version": r"1\.0",
    "In-Reply-To": r"(?P<first><[!-;=?-~]++>)",
    "References": "(?P=first)",
}
"""What header fields hold where that is more than some text."""


BOUNDARY = r"[0-9A-Za-z'()+_,./:=?-]{1,70}+"  # RFC 2046 5.1.1, without blanks


@lru_cache(maxsize=64)
def header_grammar(kind: Kind, *, reply_to: bool, answers: bool) -> re.Pattern[bytes]:
    """Return the grammar of a message up to its first body; the group `to` is the recipient.

    The boundaries are the groups `outer` and `inner`; a reminder has no `outer` one.
    """
    fields = [
        rf"{name}: {_FORMS.get(name, _FIELD_VALUE)}\r\n"
        for name in header_names(reply_to=reply_to, answers=answers)[:-1]
    ]
    alternative = (
        rf'Content-Type: multipart/alternative; boundary="(?P<inner>{BOUNDARY})"\r\n\r\n'
        r"--(?P=inner)\r\n" + re.escape(part_header("text/plain; charset=utf-8"))
    )
    mixed = (
        rf'Content-Type: multipart/mixed; boundary="(?P<outer>{BOUNDARY})"\r\n\r\n'
        r"--(?P=outer)\r\n"
    )
    opening = alternative if kind is Kind.REMINDER else mixed + alternative
    return re.compile(("".join(fields) + opening).encode("ascii"))


def part_header(content_type: str, further: str = "") -> str:
    """Return the header of one part, to its empty line."""
    return f"Content-Type: {content_type}\r\nContent-Transfer-Encoding: base64\r\n{further}\r\n"


def header_names(*, reply_to: bool, answers: bool) -> list[str]:
    """Return the names of a message's header fields, in order."""
    left_out = set() if reply_to else {"Reply-To"}
    if not answers:
        left_out |= {"In-Reply-To", "References"}
    return [name for name in HEADERS if name not in left_out]
