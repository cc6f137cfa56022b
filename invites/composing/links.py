"""Mints join links and weighs them: mail programs break those that are too long."""

from __future__ import annotations

from collections.abc import Callable

from invites.core.model import Attendee, Meeting, Room, Server, Validity
from invites.core.problems import Warned
from invites.core.rooms import LINK_REFUSE_ABOVE, LINK_WARN_ABOVE, link_prefix_suffix
from invites.core.tokens import Minter, SigningKey
from invites.errors import MessageFaultError


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

        It raises MessageFaultError for one that no mail program keeps whole: reading a roster
        should have refused its row (`core.link_lengths`).
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
            raise MessageFaultError(
                "join link",
                f'meeting "{meeting.id}"',
                found=f"{length:,} characters",
                expected=f"at most {LINK_REFUSE_ABOVE:,}; mail programs break longer ones",
            )
        self._long_links += 1
        self._longest = max(self._longest, (length, attendee.row, meeting.id))
