"""Plants faults in messages that were composed; what is composed stays as it is otherwise."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import jwt

from invites.invitation import Invitation
from invites.jitsi.links import Links
from invites.messages import Composer
from invites.messages.content_lines import folded
from invites.model import Attendee, Meeting, Room
from tests.factory import KEY, SERVER, Factory, with_calendar, with_part

EVE = Attendee(
    name="Eve", email="eve@example.org", mailbox="eve@example.org", address="eve@example.org"
)
Alter = Callable[[Invitation], Invitation]


def eml(before: bytes, after: bytes) -> Alter:
    """Return what replaces bytes of the message once."""

    def altered(invitation: Invitation) -> Invitation:
        assert before in invitation.eml, before
        return replace(invitation, eml=invitation.eml.replace(before, after, 1))

    return altered


def ics(before: bytes, after: bytes) -> Alter:
    """Return what replaces bytes of the calendar object, in the file and both parts."""

    def altered(invitation: Invitation) -> Invitation:
        assert before in invitation.ics, before
        return with_calendar(invitation, invitation.ics.replace(before, after, 1))

    return altered


def unfolded(before: bytes, after: bytes) -> Alter:
    """Return what replaces bytes of the calendar object's unfolded lines."""

    def altered(invitation: Invitation) -> Invitation:
        whole = invitation.ics.replace(b"\r\n ", b"")
        assert before in whole, before
        return with_calendar(invitation, refolded(whole.replace(before, after, 1)))

    return altered


def header(pattern: bytes, value: bytes) -> Alter:
    """Return what puts `value` in place of what the pattern finds once in the header."""

    def altered(invitation: Invitation) -> Invitation:
        whole, count = re.subn(pattern, lambda _: value, invitation.eml, count=1)
        assert count == 1, pattern
        return replace(invitation, eml=whole)

    return altered


def boundary(which: bytes, value: bytes) -> Alter:
    """Return what gives all delimiters of one multipart another boundary."""

    def altered(invitation: Invitation) -> Invitation:
        found = re.search(rb'boundary="(' + which + rb'[^"]+)"', invitation.eml)
        assert found is not None
        return replace(invitation, eml=invitation.eml.replace(found[1], value))

    return altered


def boundary_of(invitation: Invitation, begins: bytes) -> bytes:
    """Return the boundary that begins so."""
    found = re.search(rb'boundary="(' + begins + rb'[^"]+)"', invitation.eml)
    assert found is not None
    return found[1]


def text(alter: Callable[[bytes], bytes]) -> Alter:
    """Return what alters the text."""
    return lambda invitation: with_part(invitation, 0, alter)


def html(alter: Callable[[bytes], bytes]) -> Alter:
    """Return what alters the HTML text."""
    return lambda invitation: with_part(invitation, 1, alter)


def bodies_of(invitation: Invitation) -> list[bytes]:
    """Return the bodies of all parts in base64: text, HTML and the calendar object twice."""
    return re.findall(
        rb"base64\r\n(?:Content[^\r]*\r\n)?\r\n((?:[A-Za-z0-9+/=]+\r\n)+)", invitation.eml
    )


def link_of(invitation: Invitation) -> bytes:
    """Return the link of the message."""
    found = re.search(rb"\r\nURL:(\S+)", invitation.ics.replace(b"\r\n ", b""))
    assert found is not None
    return found[1]


def link_for(
    invitation: Invitation, attendee: Attendee, *, room: Room | None = None, later: int = 0
) -> bytes:
    """Return a link of this server's for somebody, or for another room or a later end."""
    validity = replace(invitation.validity, expires=invitation.validity.expires + later)
    mint = Links(SERVER, KEY).for_meeting(invitation.meeting, room or invitation.room, validity)
    return mint(attendee).encode("ascii")


def resigned(
    invitation: Invitation, claims: Mapping[str, object], head: Mapping[str, object]
) -> bytes:
    """Return the link with other claims, put in at their depth, and another header; well signed."""
    place, mark, token = link_of(invitation).partition(b"?jwt=")
    said = jwt.decode(token, options={"verify_signature": False})
    return (
        place
        + mark
        + jwt.encode(_with(said, claims), KEY.key, algorithm="HS256", headers=dict(head)).encode(
            "ascii"
        )
    )


def _with(claims: Mapping[str, object], others: Mapping[str, object]) -> dict[str, object]:
    together = dict(claims)
    for name, value in others.items():
        there = together.get(name)
        inner = isinstance(value, dict) and isinstance(there, dict)
        together[name] = _with(there, value) if inner else value  # type: ignore[arg-type]
    return together


def linked(invitation: Invitation, link: bytes) -> Invitation:
    """Return the invitation with another link in all parts."""
    return calendar_linked(texts_linked(invitation, link), link)


def texts_linked(invitation: Invitation, link: bytes) -> Invitation:
    """Return the invitation with another link in both texts."""
    before = link_of(invitation)
    for number in (0, 1):
        invitation = with_part(invitation, number, lambda body: body.replace(before, link))
    return invitation


def calendar_linked(invitation: Invitation, link: bytes) -> Invitation:
    """Return the invitation with another link in the calendar entry."""
    whole = invitation.ics.replace(b"\r\n ", b"").replace(link_of(invitation), link)
    return with_calendar(invitation, refolded(whole))


def refolded(whole: bytes) -> bytes:
    """Return the unfolded lines of a calendar object, folded."""
    return b"".join(map(folded, whole.decode().split("\r\n")[:-1]))


def planting(alter: Alter, *, only: str) -> type[Composer]:
    """Return a composer that alters the finished invitations of the attendee `only` ("" for all)."""

    class Planting(Composer):
        def compose(self, *positional: Any, **named: Any) -> Iterator[Invitation]:
            return map(self._altered, super().compose(*positional, **named))

        def compose_all(self, *positional: Any, **named: Any) -> Iterator[Invitation]:
            return map(self._altered, super().compose_all(*positional, **named))

        def _altered(self, invitation: Invitation) -> Invitation:
            chosen = invitation.attendee.name == only or not only
            return alter(invitation) if chosen else invitation

    return Planting


def meeting(factory: Factory) -> Meeting:
    """Return the meeting of two, with a host."""
    ada, bob = (
        Attendee(name=name, email=mailbox, mailbox=mailbox, address=mailbox)
        for name, mailbox in (("ada", "ada@example.org"), ("bob", "bob@example.org"))
    )
    host = {"organizer_name": "Olive Sample", "organizer_email": "olive@example.org"}
    return factory.meeting(ada, bob, **host)
