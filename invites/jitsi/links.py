"""Join links: taken apart as the web client does it, weighed beforehand, and made.

A link that somebody else made is trusted in nothing; `Link` keeps its token out of its `repr`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, Literal, NamedTuple
from urllib.parse import urlsplit

from invites.errors import MessageFaultError
from invites.invitation import Server
from invites.jitsi.claims import NotAToken
from invites.jitsi.rooms import DERIVED_AT_MOST, room_on_the_server
from invites.jitsi.tokens import (
    Minter,
    SigningKey,
    compact,
    header_for,
    personal_claims,
    shared_claims,
)
from invites.model import Attendee, Meeting, Room, Validity
from invites.problems import Problem, Warned
from invites.text import BASE64URL

LINK_WARN_ABOVE: Final = 1_000
"""Characters of a join link above which some programs may break it: warned about."""

LINK_REFUSE_ABOVE: Final = 2_000
"""Characters of a join link above which mail clients break it: refused."""

# No part of a word is looked at twice (`++`), and the quotes round a token do not end it.
_WORD = re.compile(r"(?:[^\s<>\"']++(?:(?<=jwt=)\"[^\s<>\"']++\"?)?)++")
_START = re.compile(r"https?://")
_TOKEN: Final = rf"ey{BASE64URL}+\.{BASE64URL}+\.{BASE64URL}"
_TOKEN_ALONE = re.compile(r"[^\s.:]+\.[^\s.:]+\.[^\s.:]*")  # a colon makes it an address
_JWT_IN_TEXT = re.compile(rf"[?#&]jwt=(?:%22|\")?{_TOKEN}(?:%22|\")?")
_JWT = re.compile(r"(?:^|(?<=&))jwt=([^&]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A join link taken apart as the web client does it.

    `segment` is the path's last one as it stands in the link; `tenant` what is before it.
    `place` says where the token stands: `fragment` is JSON in quotes, `bare` lacks the quotes,
    `late` is a query behind the fragment.
    `both` is true where query and fragment have a token; then the fragment's is the one here.
    """

    scheme: str
    host: str
    tenant: str
    segment: str
    place: Literal["query", "fragment", "bare", "late"]
    both: bool
    length: int
    token: str = field(repr=False)

    @property
    def room(self) -> str | None:
        """Return the room that the web client asks the server for; None where it can't be read."""
        return room_on_the_server(self.segment)


def looks_like_token(text: str) -> bool:
    """Return whether `text` has the shape of a token, whatever is in it."""
    return _TOKEN_ALONE.fullmatch(text) is not None


def links_in(text: str) -> list[str]:
    """Return the join links in a longer text, in order, each once.

    Linear in the text, whatever is in it: each word is looked at once, from its first `https://`.
    """
    links: dict[str, None] = {}
    for word in (found[0] for found in _WORD.finditer(text)):
        position = 0
        while start := _START.search(word, position):
            position = _end_of_link(word, start.end())
            if position == 0:
                break
            links[word[start.start() : position]] = None
    return list(links)


def _end_of_link(word: str, position: int) -> int:
    """Return where the link ends whose host begins at `position`; 0 where it has no token.

    It ends with its last token, for that is the one that counts.
    """
    end = 0
    for jwt in _JWT_IN_TEXT.finditer(word, position):
        if end and _START.search(word, end, jwt.start()):
            break
        end = jwt.end()
    return end


def link_from(text: str) -> Link:
    """Return a join link taken apart; raises NotAToken where it has no token."""
    try:
        parts = urlsplit(text)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        raise NotAToken("the link can't be read") from None
    place, token = _token_in(parts.query, parts.fragment)
    *before, segment = parts.path.removeprefix("/").split("/")
    return Link(
        scheme=parts.scheme.lower(),
        host=host.lower(),
        tenant="/".join(before),
        segment=segment,
        place=place,
        both=bool(_JWT.search(parts.query)) and place in {"fragment", "bare"},
        length=len(text),
        token=token,
    )


def _token_in(
    query: str, fragment: str
) -> tuple[Literal["query", "fragment", "bare", "late"], str]:
    """Return where the token stands that the web client takes: of several the last one."""
    in_query, in_fragment = _JWT.findall(query), _JWT.findall(fragment)
    quoted = in_fragment and re.fullmatch(r"(?:%22|\")(.*)(?:%22|\")", in_fragment[-1])
    if quoted:
        return "fragment", quoted[1]
    if in_query:
        return "query", in_query[-1]
    if in_fragment:
        return "bare", in_fragment[-1]
    # `#config.a=1?jwt=…` is what appending ?jwt= to a whole link makes.
    _, mark, late = fragment.partition("?")
    if mark and (behind := _JWT.findall(late)):
        return "late", behind[-1]
    raise NotAToken("the link has no jwt= in its query or fragment")


def join_link(server: Server, room: Room, token: str) -> str:
    """Return the link that takes the bearer of `token` into `room`."""
    prefix, suffix = link_prefix_suffix(server, room)
    return prefix + token + suffix


def link_prefix_suffix(server: Server, room: Room) -> tuple[str, str]:
    """Return what stands before and after the token in a join link.

    In the query the token is raw, for the client does not decode it; in the fragment it is JSON,
    hence the encoded quotes (`parseURLParams.ts`).
    """
    place = f"{server.url}/{room.segment}"
    if server.link == "fragment":
        return f"{place}#jwt=%22", "%22"
    return f"{place}?jwt=", ""


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
"""An attendee who has every claim but those of a moderator."""


class LinkLengths:
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
            max(
                len(compact(personal_claims(server, replace(_FULLEST, moderator=flag))))
                for flag in (False, True)
            ),
        )

    @property
    def tenant(self) -> str | None:
        """The tenant that the links are of, None for none."""
        return self._server.tenant

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


class LongLinks(NamedTuple):
    """How many links some programs break; the longest one's length, row and meeting."""

    number: int = 0
    longest: tuple[int, int, str] = (0, 0, "")

    def with_further(self, other: LongLinks) -> LongLinks:
        """Return both together."""
        return LongLinks(self.number + other.number, max(self.longest, other.longest))


class Links:
    """Mints the join links of a server's rooms; all that it keeps is a count of long ones."""

    def __init__(self, server: Server, key: SigningKey) -> None:
        """Prepare the signing key once."""
        self._server = server
        self._minter = Minter(server, key)
        self.long = LongLinks()

    def for_meeting(
        self, meeting: Meeting, room: Room, validity: Validity
    ) -> Callable[[Attendee], str]:
        """Return a function that mints an attendee's link to the meeting.

        It raises MessageFaultError for one that no mail program keeps whole: reading a roster
        should have refused its row (`LinkLengths`).
        """
        mint = self._minter.for_meeting(room, validity)
        prefix, suffix = link_prefix_suffix(self._server, room)

        def link_for(attendee: Attendee) -> str:
            link = prefix + mint(attendee) + suffix
            if len(link) > LINK_WARN_ABOVE:
                self._weigh(meeting, attendee, len(link))
            return link

        return link_for

    @property
    def warnings(self) -> list[Warned]:
        """What somebody should look at: one warning for all long links, for they are long alike."""
        if not self.long.number:
            return []
        length, row, meeting_id = self.long.longest
        count = (
            "1 join link has" if self.long.number == 1 else f"{self.long.number:,} join links have"
        )
        text = (
            f"{count} more than {LINK_WARN_ABOVE:,} characters, and some programs break such links; "
            f'the longest, in meeting "{meeting_id}", has {length:,}'
        )
        return [Warned(row=row or None, column=None, text=text)]

    def _weigh(self, meeting: Meeting, attendee: Attendee, length: int) -> None:
        """Refuse a link that mail programs break, count one that some might."""
        if length > LINK_REFUSE_ABOVE:
            raise MessageFaultError(
                "join link",
                f'meeting "{meeting.id}"',
                found=f"{length:,} characters",
                expected=f"at most {LINK_REFUSE_ABOVE:,}; mail programs break longer ones",
            )
        self.long = self.long.with_further(LongLinks(1, (length, attendee.row, meeting.id)))
