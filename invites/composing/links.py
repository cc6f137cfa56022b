"""Mints join links and weighs them: mail programs break those that are too long."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from invites.core.model import Attendee, Meeting, Room, Server, Validity
from invites.core.problems import Problem, Warned
from invites.core.rooms import LINK_REFUSE_ABOVE, LINK_WARN_ABOVE, link_prefix_suffix
from invites.core.tokens import Minter, SigningKey
from invites.errors import RosterRefusedError


class Links:
    """Mints the join links of a server's rooms; all that it keeps is a count of long ones."""

    def __init__(self, server: Server, key: SigningKey) -> None:
        """Prepare the signing key once."""
        self._server = server
        self._minter = Minter(server, key)
        self._long_links = 0
        self._longest = (0, 0, "")

    def for_meeting(
        self, meeting: Meeting, room: Room, validity: Validity
    ) -> Callable[[Attendee], str]:
        """Return a function that mints an attendee's link to the meeting.

        It raises RosterRefusedError for one that no mail program keeps whole.
        """
        mint = self._minter.for_meeting(room, validity)
        prefix, suffix = link_prefix_suffix(self._server, room)

        def link_for(attendee: Attendee) -> str:
            link = prefix + mint(attendee) + suffix
            if len(link) > LINK_WARN_ABOVE:
                self._weigh(meeting, attendee, len(link))
            return link

        return link_for

    def problems(
        self, attendees: Iterable[Attendee], *, room: Room, validity: Validity
    ) -> Iterator[Problem]:
        """Yield a problem for each link that mail programs would break, before any is sent."""
        mint = self._minter.for_meeting(room, validity)
        around = sum(len(end) for end in link_prefix_suffix(self._server, room))
        for attendee in attendees:
            length = around + len(mint(attendee))
            if length > LINK_REFUSE_ABOVE:
                yield _too_long(attendee, length)

    @property
    def warnings(self) -> list[Warned]:
        """What somebody should look at: one warning for all long links, for they are long alike."""
        if not self._long_links:
            return []
        length, row, meeting_id = self._longest
        count = (
            "1 join link has" if self._long_links == 1 else f"{self._long_links:,} join links have"
        )
        text = (
            f"{count} more than {LINK_WARN_ABOVE:,} characters, and some programs break such links; "
            f'the longest, in meeting "{meeting_id}", has {length:,}'
        )
        return [Warned(row=row or None, column=None, text=text)]

    def _weigh(self, meeting: Meeting, attendee: Attendee, length: int) -> None:
        """Refuse a link that mail programs break, count one that some might."""
        if length > LINK_REFUSE_ABOVE:
            raise RosterRefusedError("roster", [_too_long(attendee, length)])
        self._long_links += 1
        self._longest = max(self._longest, (length, attendee.row, meeting.id))


def _too_long(attendee: Attendee, length: int) -> Problem:
    return Problem(
        row=attendee.row or None,
        column=None,
        found=None,
        expected=f"the join link would have {length:,} characters, and mail clients break "
        f"links above {LINK_REFUSE_ABOVE:,}; shorten avatar, features, group, name or room",
    )
