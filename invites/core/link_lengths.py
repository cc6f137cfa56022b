"""How long join links get: told before anything is minted, for mail programs break long ones.

How long a signature is follows from the algorithm and the key's size alone, so that a roster's
links can be weighed where there is no secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from invites.core.model import Attendee, Room, Validity
from invites.core.problems import Problem
from invites.core.rooms import DERIVED_AT_MOST, LINK_REFUSE_ABOVE, link_prefix_suffix
from invites.core.tokens import compact, header_for, personal_claims, shared_claims

if TYPE_CHECKING:
    from invites.core.model import Server

_PER_OCTET: Final = 3
"""Octets of JSON that an octet of UTF-8 becomes at most, if it is printable: `ü` is `\\u00fc`."""

_PER_FEATURE: Final = 12
"""Octets of JSON that a feature takes besides its name: quotes, colon, comma, "true"."""

_NO_ROOM: Final = Room(claim="", segment="")
_LONGEST_WINDOW: Final = Validity(not_before=10**12, expires=10**12)
_FULLEST: Final = Attendee(
    name="x",
    email="x",
    mailbox="x",
    address="x",
    avatar="x",
    features=("x",),
    user_id="x",
    group="x",
)
"""An attendee who has every claim, in which `false` is longer than `true`."""


class LinkScales:
    """Weighs the join links of one server's rooms without minting them."""

    def __init__(self, server: Server, *, signature_octets: int) -> None:
        """Weigh links whose tokens are signed with so many octets."""
        self._server = server
        header = len(compact(header_for(server.algorithm, server.key_id)))
        dots = 2
        self._around = (
            sum(map(len, link_prefix_suffix(server, _NO_ROOM)))
            + _in_base64(header)
            + _in_base64(signature_octets)
            + dots
        )
        self._octets = _together(
            len(compact(shared_claims(server, _NO_ROOM, _LONGEST_WINDOW))),
            len(compact(personal_claims(server, _FULLEST))),
        )

    def suspects(self, attendees: Iterable[Attendee], room: Room | None) -> list[Attendee]:
        """Return those whose link may be too long, and none but them has to be weighed.

        Quick, for it runs for everybody; `room` is None where it is derived from the meeting's id.
        """
        claim, segment = (
            (DERIVED_AT_MOST, DERIVED_AT_MOST)
            if room is None
            else (len(room.claim), len(room.segment))
        )
        # Base64 makes at most (4n + 2) / 3 characters of n octets.
        spare = (3 * (LINK_REFUSE_ABOVE - self._around - segment) - 2) // 4 - self._octets - claim
        return [attendee for attendee in attendees if _octets_at_most(attendee) > spare]

    def too_long(
        self, attendees: Iterable[Attendee], *, room: Room, validity: Validity
    ) -> Iterator[tuple[Attendee, int]]:
        """Yield those whose link mail programs break, with its characters.

        Raises ClaimRefusedError as minting does.
        """
        shared = len(compact(shared_claims(self._server, room, validity)))
        around = self._around + len(room.segment)
        for attendee in attendees:
            personal = len(compact(personal_claims(self._server, attendee)))
            length = around + _in_base64(_together(shared, personal))
            if length > LINK_REFUSE_ABOVE:
                yield attendee, length


def link_problem(attendee: Attendee, length: int) -> Problem:
    """Return the problem of a row whose link would have `length` characters."""
    return Problem(
        row=attendee.row or None,
        column=None,
        found=None,
        expected=f"the join link would have {length:,} characters, and mail clients break "
        f"links above {LINK_REFUSE_ABOVE:,}; shorten avatar, features, group, name or room",
    )


def _octets_at_most(attendee: Attendee) -> int:
    """Return how many octets of JSON an attendee's own text comes to at most."""
    text = (
        f"{attendee.name}{attendee.email}{attendee.avatar}{attendee.user_id or attendee.address}"
        f"{attendee.group}{''.join(attendee.features)}"
    )
    if not text.isprintable():
        return LINK_REFUSE_ABOVE
    return _PER_OCTET * len(text.encode()) + _PER_FEATURE * len(attendee.features)


def _in_base64(octets: int) -> int:
    """Return how many characters some octets make, without padding."""
    return -(-4 * octets // 3)


def _together(shared: int, personal: int) -> int:
    """Return the octets of two JSON objects made one: two braces become a comma."""
    return shared + personal - 1
