"""Reads a finished message back with parsers that are not ours, and compares what it says.

The standard library reads the message, icalendar the event and PyJWT the token: a mistake that
this project makes twice, in writing and in checking, is not made a third time by them.
It costs some milliseconds a message, so a run reads back a sample (`verify`).
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email import message_from_bytes
from email.headerregistry import DateHeader
from email.message import Message
from email.policy import SMTP
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import jwt
from icalendar import Calendar
from jwt.warnings import InsecureKeyLengthWarning

from invites.errors import MessageFaultError
from invites.invitation import Invitation, Kind, Method, Picture, Server
from invites.jitsi.claims import JAAS_FEATURES
from invites.messages.parsed import (
    Anchors,
    as_instant,
    controls,
    decoded,
    expected_times,
    flat,
    left_out,
    letters,
    mailboxes,
    text_in,
    told_times,
    unfolded,
)
from invites.model import Attendance, Validity

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from jwt.types import Options

_TOKEN = re.compile(r"eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+", re.ASCII)
"""A signed token in its compact form (RFC 7515 3.1): JSON objects begin so in base64url."""


_ROLES = {Attendance.REQUIRED: "REQ-PARTICIPANT", Attendance.OPTIONAL: "OPT-PARTICIPANT"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What every message of a run must say: the server, the service mailbox, and the key.

    `key` verifies tokens: the secret, or the public key.  `logo` is what mails bring along.
    """

    server: Server
    mailbox: str
    key: bytes | RSAPublicKey = field(repr=False)
    logo: Picture | None = None


def read_back(invitation: Invitation, expected: Expectation) -> None:
    """Parse one invitation as its receiver's programs do; raises MessageFaultError."""
    reader = _Reader(invitation, expected)
    try:
        reader.read()
    except (jwt.PyJWTError, ValueError, LookupError) as error:
        raise MessageFaultError(
            "read back",
            invitation.message_id,
            found=f"something that a parser refuses ({type(error).__name__})",
            expected="what was composed",
        ) from None


class _Reader:
    def __init__(self, invitation: Invitation, expected: Expectation) -> None:
        self.invitation = invitation
        self.expected = expected
        self._event_links: dict[datetime | None, set[str]] = {}
        attendee, meeting = invitation.attendee, invitation.meeting
        texts = (meeting.title, meeting.description, meeting.organizer_name, attendee.name)
        self.said = "\n".join(("", *texts, attendee.group, *attendee.columns.values()))

    def read(self) -> None:
        """Compare all parts; a parser's own error is let through."""
        message = message_from_bytes(self.invitation.eml)
        self.header(message)
        parts = {part.get_content_type(): part for part in message.walk()}
        self.parts(parts)
        if self.invitation.revision.kind is not Kind.REMINDER:
            self.event(parts)
        text, markup = (text_in(parts[kind]) for kind in ("text/plain", "text/html"))
        for body in (text, markup):
            self.same("line ends of a text", re.search(r"(?<!\r)\n|\r(?!\n)", body), None)
            self.same("controls in a text", set(controls(body)) - set("\t\r\n"), set())
        link = "\n".join(self.links(text, markup))
        shown = f"{decoded(message, 'subject')}\n{text}\n{markup}\n{self.calendar_text()}"
        self.no_other_token(shown, link)

    def same(self, what: str, found: object, expected: object) -> None:
        """Refuse a difference; neither value is shown, for either may hold a link or an address."""
        if found != expected:
            raise MessageFaultError(
                f"read back: {what}",
                self.invitation.message_id,
                found="something else",
                expected="what was composed",
            )

    def header(self, message: Message) -> None:
        """Compare recipients, sender, identity and defects."""
        invitation, meeting = self.invitation, self.invitation.meeting
        self.same("defects", [d for part in message.walk() for d in part.defects], [])
        to = mailboxes(message, "to")
        self.same("To", [mailbox for _, mailbox in to], [invitation.attendee.mailbox])
        self.same("the name in To", letters(to[0][0]), letters(invitation.attendee.name))
        senders = mailboxes(message, "from")
        self.same("From", [mailbox for _, mailbox in senders], [self.expected.mailbox])
        host = letters(meeting.organizer_name)
        self.same("the name in From", letters(senders[0][0]).startswith(host), 1)
        repliers = [(letters(name), mailbox) for name, mailbox in mailboxes(message, "reply-to")]
        hosts = [(host, meeting.organizer_email)] if invitation.replies_to_host else []
        self.same("Reply-To", repliers, hosts)
        self.same("Cc and Bcc", (message["cc"], message["bcc"]), (None, None))
        for name in ("subject", "from", "to", "reply-to"):
            self.same(f"controls in {name}", controls(decoded(message, name)), [])
        self.same("Message-ID", str(message["message-id"]).strip(), invitation.message_id)
        date = SMTP.header_factory("date", unfolded(message["date"]))
        stamp = date.datetime if isinstance(date, DateHeader) else None
        self.same("Date", stamp, invitation.revision.dtstamp)
        for name in ("in-reply-to", "references"):
            first = message[name] and str(message[name]).strip()
            self.same(name, first, invitation.answers)

    def parts(self, parts: dict[str, Message]) -> None:
        """Compare the tree's kinds of parts."""
        kinds = {"multipart/alternative", "text/plain", "text/html"}
        if self.invitation.revision.kind is not Kind.REMINDER:
            kinds |= {"multipart/mixed", "text/calendar", "application/ics"}
        logo = self.expected.logo
        named = logo is not None and f"cid:{logo.content_id}" in text_in(parts["text/html"])
        if logo is not None and named:
            kinds |= {"multipart/related", logo.media_type}
        self.same("kinds of parts", set(parts), kinds)
        if logo is not None and named:
            self.logo(logo, parts)

    def logo(self, logo: Picture, parts: dict[str, Message]) -> None:
        """Compare the picture, and see that it stands beside the HTML that names it."""
        picture, html = parts[logo.media_type], parts["text/html"]
        self.same("the logo", picture.get_payload(decode=True), logo.content)
        self.same("Content-ID", picture["content-id"], f"<{logo.content_id}>")
        self.same("disposition", picture.get_content_disposition(), "inline")
        self.same("the logo's name", picture.get_filename(), logo.name)
        both = parts["multipart/related"]
        self.same("what the logo stands beside", both.get_payload(), [html, picture])
        alternatives: Any = parts["multipart/alternative"].get_payload()
        self.same("the alternatives", alternatives[:2], [parts["text/plain"], both])

    def event(self, parts: dict[str, Message]) -> None:
        """Compare the event with the meeting's facts, as icalendar reads it."""
        invitation, revision = self.invitation, self.invitation.revision
        meeting = invitation.meeting
        calendar = parts["text/calendar"].get_payload(decode=True)
        self.same("the .ics file", calendar, invitation.ics)
        attached = parts["application/ics"].get_payload(decode=True)
        self.same("the attachment", attached, invitation.ics)
        method = parts["text/calendar"].get_param("method")
        tree = Calendar.from_ical(invitation.ics)
        self.same("METHOD", (str(tree["method"]), method), (revision.method, revision.method))
        events: list[Any] = tree.walk("VEVENT")
        event, exceptions = events[0], events[1:]
        self.same("UID", str(event["uid"]), invitation.uid)
        self.same("SEQUENCE", int(event["sequence"]), revision.sequence)
        self.same("DTSTAMP", event["dtstamp"].dt, revision.dtstamp)
        if revision.date is None:
            self.same("RECURRENCE-ID", event.get("recurrence-id"), None)
            self.same("DTSTART", event["dtstart"].dt, meeting.start)
            self.same("DTEND", event["dtend"].dt, meeting.end)
            self.same("SUMMARY", letters(event["summary"]), letters(meeting.title))
            self.dates(event, exceptions)
        else:
            one = meeting.date_of(revision.date)
            self.same("what is beside the date", (event.get("rrule"), exceptions), (None, []))
            self.same("the date", told_times(event), expected_times(one, meeting))
            is_off = str(event.get("status")) == "CANCELLED"
            self.same("STATUS of the date", is_off, one.cancelled)
        self.attendee(event)
        self.same("ORGANIZER", unquote(event["organizer"]), f"mailto:{self.expected.mailbox}")
        if meeting.organizer_name:
            name = event["organizer"].params["CN"]
            self.same("CN of ORGANIZER", letters(name), letters(meeting.organizer_name))
        if revision.method is Method.CANCEL:
            self.same("VALARM", event.walk("VALARM"), [])
            self.same("URL", event.get("url"), None)
            return
        self.same("STATUS", str(event["status"]), meeting.status.value.upper())
        for one in events:
            self.links_of(one)

    def links_of(self, event: Any) -> None:
        """Note the links of one event, by the date that it is about; refuse another LOCATION."""
        description = str(event.get("description", "")).split("\n")[-1]
        about = event.get("recurrence-id")
        if "url" in event:
            links = {str(event["url"]), str(event["conference"]), description}
            self._event_links[None if about is None else as_instant(about.dt)] = links
        place = str(event["location"])
        if "url" not in event or place != description:
            room = letters(unquote(self.invitation.room.claim))
            self.same("LOCATION", room in letters(place), 1)

    def dates(self, event: Any, exceptions: Sequence[Any]) -> None:
        """Compare a series' rule, the dates left out, and the dates that differ from the rule."""
        series, meeting = self.invitation.meeting.series, self.invitation.meeting
        rules = event.get("rrule") and dict(event["rrule"])
        if series is None:
            self.same("RRULE", (rules, exceptions), (None, []))
            return
        self.same("UNTIL", rules["UNTIL"], [series.occurrences[-1].original])
        takes_back = self.invitation.revision.method is Method.CANCEL
        self.same("EXDATE", left_out(event), set() if takes_back else series.left_out)
        told = set(map(told_times, exceptions))
        linked = {link.original for link in self.invitation.links or ()}
        own = {*series.exceptions(meeting.end - meeting.start)}
        own |= {one for one in series.taking_place if one.original in linked}
        differing = () if takes_back else own
        expected = {expected_times(one, meeting) for one in differing}
        self.same("the dates that differ", told, expected)
        uids = {str(one["uid"]) for one in exceptions}
        self.same("UID of a date", uids, {self.invitation.uid} if differing else set())

    def attendee(self, event: Any) -> None:
        """Compare the first ATTENDEE, as whom the entry invites this attendee."""
        attendee, found = self.invitation.attendee, event["attendee"]
        first = found[0] if isinstance(found, list) else found
        self.same("ATTENDEE", unquote(first), f"mailto:{attendee.mailbox}")
        raw = first == f"mailto:{attendee.mailbox}"
        email = None if raw else attendee.mailbox
        self.same("EMAIL of ATTENDEE", first.params.get("EMAIL"), email)
        name = first.params["CN"]
        self.same("CN of ATTENDEE", letters(name), letters(attendee.name))
        chair = attendee.moderator
        role = "CHAIR" if chair else _ROLES[attendee.attendance]
        self.same("ROLE", first.params["ROLE"], role)

    def links(self, text: str, markup: str) -> list[str]:
        """Find the links that stand in each part, and verify their tokens; none in a CANCEL.

        What else looks like a link is text: of the roster, or of templates of one's own.
        """
        if self.invitation.revision.method is Method.CANCEL:
            return []
        server = self.expected.server
        mark, end = ("#jwt=%22", "%22") if server.link == "fragment" else ("?jwt=", "")
        place = f"{server.url}/{self.invitation.room.segment}{mark}"
        anchors = Anchors()
        anchors.feed(markup)
        leading = {link for link in anchors.targets if link.startswith(place)}
        links = [line for line in dict.fromkeys(text.split("\r\n")) if line in leading]
        given = self.invitation.links
        windows = [self.invitation.validity]
        if given is not None:
            windows = [link.validity for link in given]
        self.same("the link, on a line of the text and as an anchor", len(links), len(windows))
        begun = tuple(f"{link}{mark}" for link in links for mark in "#&")
        others = [
            other
            for other in map(str.strip, leading - {*links})
            if other not in links and not other.startswith(begun)
            if _TOKEN.search(other) and other not in self.said
        ]
        self.same("the anchors", others, [])
        self._same_in_entry(links)
        for link, window in zip(links, windows, strict=True):
            self.token(link.removeprefix(place).removesuffix(end), window)
        return links

    def _same_in_entry(self, links: Sequence[str]) -> None:
        """Compare the links of the calendar entry; a reminder has none."""
        given, found = self.invitation.links, self._event_links
        if given is not None:
            expected = {link.original: {text} for link, text in zip(given, links, strict=True)}
            self.same("the links of the calendar entry", found, expected)
        elif found:
            every = set().union(*found.values())
            self.same("the links of the calendar entry", every, {*links})

    def token(self, token: str, window: Validity) -> None:
        """Verify the link's token; compare its header and each claim with this attendee and room."""
        server = self.expected.server
        header = {"alg": server.algorithm, "typ": "JWT"} | (
            {"kid": server.key_id} if server.key_id is not None else {}
        )
        self.same("header", jwt.get_unverified_header(token), header)
        found = flat(self.claims(token, audience=server.audience))
        expected = self.demanded(window)
        for name in sorted({*found, *expected}):
            # As JSON, for the server tells 1 from 1.0, true from "true", and null from nothing.
            self.same(
                name, *(name in each and json.dumps(each[name]) for each in (found, expected))
            )

    def demanded(self, window: Validity) -> dict[str, object]:
        """Return what the token has to say, from the roster's facts: jicofo's and Prosody's terms.

        Written down apart from `jitsi.tokens`, so that a mistake there is found here.
        """
        server, invitation = self.expected.server, self.invitation
        attendee, jaas = invitation.attendee, server.profile == "jaas"
        claims: dict[str, object] = {
            "aud": server.audience,
            "iss": "chat" if jaas else server.app_id,
            "sub": server.subject,
            "room": invitation.room.claim,
            "nbf": window.not_before,
            "exp": window.expires,
            "context.user.name": attendee.name,
            "context.user.email": attendee.email,
        }
        optional = {
            "context.user.avatar": attendee.avatar,
            "context.user.id": attendee.user_id or (attendee.address if jaas else ""),
            "context.group": attendee.group,
        }
        claims |= {name: value for name, value in optional.items() if value}
        moderates: object = attendee.moderator
        if "context" in server.moderator_claims:
            claims["context.user.moderator"] = str(moderates).lower() if jaas else moderates
        if "affiliation" in server.moderator_claims:
            claims["context.user.affiliation"] = "owner" if moderates else "member"
        if "root" in server.moderator_claims:
            claims["moderator"] = moderates
        if "lobby_bypass" in server.moderator_claims and moderates:
            claims["context.user.lobby_bypass"] = True
        features: dict[str, object] = {}
        for name in attendee.features:
            wanted = name[:1] != "-"
            features[name if wanted else name[1:]] = str(wanted).lower() if jaas else wanted
        if jaas:
            features = dict.fromkeys(JAAS_FEATURES, "false") | features
        return claims | {f"context.features.{name}": value for name, value in features.items()}

    def claims(self, token: str, *, audience: str | None = None) -> dict[str, Any]:
        """Return the claims of a token of ours at any time; PyJWTError for one of another key."""
        options: Options = {
            "verify_exp": False,
            "verify_nbf": False,
            "verify_sub": False,
            "verify_aud": audience is not None,
        }
        with warnings.catch_warnings():
            # Whether a secret is too short is for the settings to say, which may allow it.
            warnings.simplefilter("ignore", InsecureKeyLengthWarning)
            return jwt.decode(
                token,
                self.expected.key,
                algorithms=[self.expected.server.algorithm],
                audience=audience,
                options=options,
            )

    def calendar_text(self) -> str:
        """Return the calendar object's lines, unfolded."""
        return self.invitation.ics.replace(b"\r\n ", b"").decode()

    def no_other_token(self, shown: str, link: str) -> None:
        """Refuse a token of ours that is not the link's, unless the roster itself says it."""
        others = {token for token in _TOKEN.findall(shown) if token not in link + self.said}
        self.same("tokens that are not this attendee's", list(filter(self._is_ours, others)), [])

    def _is_ours(self, token: str) -> bool:
        try:
            self.claims(token)
        except jwt.PyJWTError:
            return False
        return True
