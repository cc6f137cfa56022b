"""Reads a finished message back with parsers that are not ours, and compares what it says.

The standard library reads the message, icalendar the event and PyJWT the token: a mistake that
this project makes twice, in writing and in checking, is not made a third time by them.
It costs some milliseconds a message, so a run reads back a sample (`composing.verifier`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from email import message_from_bytes
from email.headerregistry import AddressHeader, DateHeader
from email.message import Message
from email.policy import SMTP
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import jwt
from icalendar import Calendar

from invites.core.model import Invitation, Kind, Method, Server
from invites.errors import MessageFaultError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What every message of a run must say: the server, the service mailbox, and the key.

    `key` verifies tokens: the secret, or the public key.
    """

    server: Server
    mailbox: str
    key: bytes | RSAPublicKey = field(repr=False)


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
        self._event_links: set[str] = set()

    def read(self) -> None:
        """Compare all parts; a parser's own error is let through."""
        message = message_from_bytes(self.invitation.eml)
        self.header(message)
        parts = {part.get_content_type(): part for part in message.walk()}
        self.parts(parts)
        if self.invitation.revision.kind is not Kind.REMINDER:
            self.event(parts)
        self.links(parts)

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
        invitation = self.invitation
        self.same("defects", [d for part in message.walk() for d in part.defects], [])
        self.same("To", _mailboxes(message, "to"), [invitation.attendee.mailbox])
        self.same("From", _mailboxes(message, "from"), [self.expected.mailbox])
        self.same("Cc and Bcc", (message["cc"], message["bcc"]), (None, None))
        self.same("Message-ID", str(message["message-id"]).strip(), invitation.message_id)
        date = SMTP.header_factory("date", _unfolded(message["date"]))
        stamp = date.datetime if isinstance(date, DateHeader) else None
        self.same("Date", stamp, invitation.revision.dtstamp)
        self.same("an answer", message["in-reply-to"] is not None, invitation.answers)

    def parts(self, parts: dict[str, Message]) -> None:
        """Compare the tree's kinds of parts."""
        kinds = {"multipart/alternative", "text/plain", "text/html"}
        if self.invitation.revision.kind is not Kind.REMINDER:
            kinds |= {"multipart/mixed", "text/calendar", "application/ics"}
        self.same("kinds of parts", set(parts), kinds)

    def event(self, parts: dict[str, Message]) -> None:
        """Compare the event with the meeting's facts, as icalendar reads it."""
        invitation, revision = self.invitation, self.invitation.revision
        calendar = parts["text/calendar"].get_payload(decode=True)
        self.same("the .ics file", calendar, invitation.ics)
        attached = parts["application/ics"].get_payload(decode=True)
        self.same("the attachment", attached, invitation.ics)
        method = parts["text/calendar"].get_param("method")
        tree = Calendar.from_ical(invitation.ics)
        self.same("METHOD", (str(tree["method"]), method), (revision.method, revision.method))
        event: Any = tree.walk("VEVENT")[0]
        self.same("UID", str(event["uid"]), invitation.uid)
        self.same("SEQUENCE", int(event["sequence"]), revision.sequence)
        self.same("DTSTAMP", event["dtstamp"].dt, revision.dtstamp)
        attendees = event["attendee"]
        first = attendees[0] if isinstance(attendees, list) else attendees
        self.same("ATTENDEE", unquote(first), f"mailto:{invitation.attendee.mailbox}")
        self.same("ORGANIZER", unquote(event["organizer"]), f"mailto:{self.expected.mailbox}")
        if revision.method is Method.CANCEL:
            self.same("VALARM", event.walk("VALARM"), [])
            self.same("URL", event.get("url"), None)
            return
        description = str(event["description"]).split("\n")[0]
        self._event_links = {str(event["url"]), str(event["conference"]), description}

    def links(self, parts: dict[str, Message]) -> None:
        """Find the link in each part and compare them; decode the token of the one link."""
        text = _text_of(parts["text/plain"])
        markup = _Anchors()
        markup.feed(_text_of(parts["text/html"]))
        if self.invitation.revision.method is Method.CANCEL:
            self.same("links in a cancellation", text.count("jwt=") + len(markup.joins), 0)
            return
        lines = {line for line in text.splitlines() if "jwt=" in line}
        links = self._event_links | lines | markup.joins
        self.same("the links of the parts", (len(links), len(lines), len(markup.joins)), (1, 1, 1))
        self.token(links.pop())

    def token(self, link: str) -> None:
        """Verify the token of `link` and compare its claims with this attendee and room."""
        server, invitation = self.expected.server, self.invitation
        place, mark, token = link.partition("#jwt=%22" if server.link == "fragment" else "?jwt=")
        self.same("the link's form", mark != "", 1)
        self.same("the link's place", place, f"{server.url}/{invitation.room.segment}")
        claims = jwt.decode(
            token.removesuffix("%22"),
            self.expected.key,
            algorithms=[server.algorithm],
            audience=server.audience,
            options={"verify_exp": False, "verify_nbf": False, "verify_sub": False},
        )
        self.same("room", claims["room"], invitation.room.claim)
        self.same("nbf", claims["nbf"], invitation.validity.not_before)
        self.same("exp", claims["exp"], invitation.validity.expires)
        self.same("iss", claims["iss"], "chat" if server.profile == "jaas" else server.app_id)
        self.same("sub", claims["sub"], server.subject)
        user = claims["context"]["user"]
        self.same("name", user["name"], invitation.attendee.name)
        self.same("email", user["email"], invitation.attendee.email)


def _mailboxes(message: Message, name: str) -> list[str]:
    header = SMTP.header_factory(name, _unfolded(message[name]))
    if not isinstance(header, AddressHeader):
        return []
    return [address.addr_spec for address in header.addresses]


def _unfolded(value: str | None) -> str:
    return (value or "").replace("\r\n", "")


def _text_of(part: Message) -> str:
    content = part.get_payload(decode=True)
    return content.decode(part.get_content_charset("ascii")) if isinstance(content, bytes) else ""


class _Anchors(HTMLParser):
    """Collects the join links of a page's anchors."""

    def __init__(self) -> None:
        super().__init__()
        self.joins: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember an anchor's target where it is a join link."""
        target = dict(attrs).get("href") if tag == "a" else None
        if target is not None and "jwt=" in target:
            self.joins.add(target)
