"""Watches every message as it leaves: may this receiver get this now, and in this order?

The rules are written down a second time here, from the table "Who gets what, when", and are judged
by the octets of the messages and by what was truly handed over before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from urllib.parse import unquote

from invites.delivery.base import Deferred, Failed, Outcome, OutgoingMessage, Sent
from tests.peers.calendar_model import Effect, Letter, Order, PostOffice
from tests.receiver.truth import Place, RosterText, Secret, Setup, View

HALF_A_DAY = timedelta(hours=12)


class WrongError(AssertionError):
    """Somebody got, or did not get, what the rules say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Believed:
    """What a receiver has, or may have, by what was handed over; `view` is None after a CANCEL.

    `moved` where a former organizer's mailbox withdrew, so that the present one invites.
    `doubted` where an earlier try of the same message got no answer; `forgotten` where the ledger
    was told to forget the person; `before` is what it takes the place of.
    """

    message_id: str
    order: Order
    end: datetime
    start: datetime
    view: View | None
    user_id: str
    letter: Letter | None = field(default=None, repr=False)
    uid: str = ""
    organizer: str = ""
    moved: bool = False
    doubted: bool = False
    forgotten: bool = False
    before: Believed | None = field(default=None, repr=False)

    @property
    def invited(self) -> bool:
        """Tell whether an invitation stands or may stand."""
        return self.view is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """What one run gets to see: the roster of that moment, the flags, and the clock."""

    paper: RosterText
    setup: Setup
    now: datetime
    expected: Mapping[Place, View]
    broken: frozenset[str] = frozenset()
    partial: bool = False
    waived: bool = False
    accepted: bool = False
    resend: bool = False
    counts: bool = True
    limit: int | None = None
    only: str = ""
    horizon: timedelta | None = None

    def shows(self, meeting_id: str) -> bool:
        """Tell whether the file has rows of this meeting."""
        gathering = self.paper.gatherings.get(meeting_id)
        return gathering is not None and bool(gathering.guests)

    def cancelled(self, meeting_id: str) -> bool:
        """Tell whether the file calls this meeting off."""
        return self.shows(meeting_id) and self.paper.gatherings[meeting_id].status == "cancelled"

    def far(self, start: datetime) -> bool:
        """Tell whether a meeting that starts then is beyond the horizon."""
        return self.horizon is not None and start > self.now + self.horizon


@dataclass
class Watch:
    """Everything that was handed over, and all mailboxes.

    Of Message-IDs, `open` (with the delivery's name) may leave and have no outcome yet, `arrived` were taken by the receiver's
    server, and `accepted` are durably known to be.
    `left_behind` are entries, by address and UID, that a former organizer's mailbox could not take
    back, as `refused` has it of the UIDs whose CANCEL no server took; `agreed` are the mailboxes to which somebody said yes.
    """

    secrets: list[Secret]
    post: PostOffice = field(default_factory=PostOffice)
    believed: dict[Place, Believed] = field(default_factory=dict)
    meeting_of: dict[str, str] = field(default_factory=dict)
    rooms: dict[str, str] = field(default_factory=dict)
    accepted: set[str] = field(default_factory=set)
    arrived: set[str] = field(default_factory=set)
    open: dict[str, str] = field(default_factory=dict)
    absent_since: dict[Place, datetime | None] = field(default_factory=dict)
    being_resent: set[Place] = field(default_factory=set)
    late: list[Letter] = field(default_factory=list)
    left_behind: set[tuple[str, str]] = field(default_factory=set)
    refused: set[tuple[str, str]] = field(default_factory=set)
    agreed: set[str] = field(default_factory=set)
    showing: Showing | None = None
    withdraws: bool = False
    calls_off: bool = False
    count: int = 0
    by: str = ""

    def begin(self, showing: Showing, *, by: str) -> None:
        """Take note of what the next run sees; counts who is missing as the rules do."""
        self.settle(by)
        self.showing, self.by, self.count = showing, by, 0
        if showing.resend:
            self.being_resent |= {one for one in showing.expected if showing.only in ("", *one)}
        if showing.accepted:
            self.agreed.add(showing.setup.mailbox)
        self.withdraws = not self.shrunk(showing)
        self.calls_off = not self.many_called_off(showing)
        present = set(showing.paper.places())
        for place, known in self.believed.items():
            if place in present and not showing.cancelled(place[0]):
                self.absent_since.pop(place, None)
            elif self._replaced(place, showing):
                self.absent_since[place] = None
            elif place not in present and showing.counts and self._may_count(place, known, showing):
                # A run that need not wait and is cut short is finished by the next one.
                since = showing.now - HALF_A_DAY if showing.waived else showing.now
                begun = self.absent_since.get(place, since)
                self.absent_since[place] = begun and min(since, begun)

    def _may_count(self, place: Place, known: Believed, showing: Showing) -> bool:
        far = not showing.shows(place[0]) and showing.far(known.start)
        return place[0] not in showing.broken and self.withdraws and not far

    def live(self, now: datetime) -> Iterator[tuple[Place, Believed]]:
        """Yield those whose invitation stands and is not over."""
        return ((p, b) for p, b in self.believed.items() if b.invited and b.end > now)

    def shrunk(self, showing: Showing) -> bool:
        """Tell whether so many are gone that nobody may be withdrawn without a yes."""
        if showing.partial or showing.accepted:
            return False
        meetings, attendees, gone_meetings, gone_attendees = set(), 0, set(), 0
        present = set(showing.paper.places())
        for (meeting_id, address), known in self.live(showing.now):
            if not showing.shows(meeting_id) and showing.far(known.start):
                continue
            if self._over_on_paper(meeting_id, showing):
                continue
            meetings.add(meeting_id)
            attendees += 1
            if meeting_id in showing.broken or showing.cancelled(meeting_id):
                continue
            if not showing.shows(meeting_id):
                gone_meetings.add(meeting_id)
            if (meeting_id, address) not in present:
                gone_attendees += not self._replaced((meeting_id, address), showing)
        too_many_meetings = len(gone_meetings) > 2 and 10 * len(gone_meetings) > len(meetings)
        return too_many_meetings or (gone_attendees > 5 and 10 * gone_attendees > attendees)

    def many_called_off(self, showing: Showing) -> bool:
        """Tell whether so many meetings are newly cancelled that it needs a yes."""
        if showing.partial or showing.accepted:
            return False
        meetings = {
            place[0]
            for place, known in self.live(showing.now)
            if not self._over_on_paper(place[0], showing)
            and (showing.shows(place[0]) or not showing.far(known.start))
        }
        off = {one for one in meetings if showing.cancelled(one) and one not in showing.broken}
        return len(off) > 2 and 10 * len(off) > len(meetings)

    def _over_on_paper(self, meeting_id: str, showing: Showing) -> bool:
        return showing.shows(meeting_id) and (
            showing.paper.gatherings[meeting_id].ends <= showing.now
        )

    def _replaced(self, place: Place, showing: Showing) -> bool:
        """Tell whether another address of the same person took this one's place."""
        known = self.believed.get(place)
        if known is None or not known.invited or not known.user_id or not showing.shows(place[0]):
            return False
        if place in showing.paper.places() or known.end <= showing.now:
            return False
        others = [
            (place[0], guest.mailbox.lower())
            for guest in showing.paper.gatherings[place[0]].guests
            if guest.user_id == known.user_id
        ]
        new = [o for o in others if o not in self.believed or not self.believed[o].invited]
        return len(new) == 1

    def announced(self, message: OutgoingMessage) -> None:
        """Judge a message that may leave now."""
        letter = Letter.read(message.content)
        assert message.invitation is not None
        assert self.showing is not None
        meeting_id = message.invitation.meeting_id
        place = (meeting_id, letter.receiver.lower())
        self.count += 1
        self._check(letter.receiver == message.recipient, "an envelope to somebody else", place)
        self._check(
            self.meeting_of.setdefault(letter.uid, meeting_id) == meeting_id,
            "one UID for two meetings",
            place,
        )
        limit = self.showing.limit
        self._check(limit is None or self.count <= limit, "more than the limit", place)
        self._check(self._chosen(place, self.showing), "not chosen by --only", place)
        before = self.believed.get(place)
        self._check(letter.message_id not in self.accepted, "sent again after it arrived", place)
        if letter.about is not None:
            letter = self._on_the_series(letter, place, before)
        view = None
        if letter.event is not None:
            view = View.of(letter.event, self.secrets)
            self._derive_room(meeting_id, view)
        if before is None or before.message_id != letter.message_id:
            if view is None:
                self._judge_cancel(letter, place, before)
            else:
                self._judge_request(letter, view, place, before)
        self._believe(letter, view, place, before)

    def _on_the_series(self, letter: Letter, place: Place, before: Believed | None) -> Letter:
        """Return what the receiver's series is after a message about one date of it."""
        if before is not None and before.message_id == letter.message_id:
            before = before.before
        self._check(before is not None and before.invited, "a date alone to a stranger", place)
        assert before is not None
        assert before.letter is not None
        self._check(before.uid == letter.uid, "a date of another UID", place)
        arrived = before.message_id in self.accepted
        self._check(arrived, "a date of what may not have arrived", place)
        return letter.onto(before.letter)

    def _derive_room(self, meeting_id: str, view: View) -> None:
        assert self.showing is not None
        gathering = self.showing.paper.gatherings.get(meeting_id)
        if gathering is not None and not gathering.room:
            room = self.rooms.setdefault(meeting_id, view.room)
            self._check(room == view.room, "a derived room moved", (meeting_id, ""))
            self._check(room.startswith(meeting_id), "a derived room's name", (meeting_id, ""))

    def _chosen(self, place: Place, showing: Showing) -> bool:
        """Tell whether --only lets this one through, or another address of the same person."""
        if not showing.only or showing.only in place:
            return True
        chosen = self._ids_of((place[0], showing.only), showing)
        return bool(chosen & self._ids_of(place, showing))

    def _ids_of(self, place: Place, showing: Showing) -> set[str]:
        row, known = showing.paper.guest(place), self.believed.get(place)
        return {one.user_id for one in (row, known) if one is not None}

    def _judge_request(
        self, letter: Letter, view: View, place: Place, before: Believed | None
    ) -> None:
        showing = self.showing
        assert showing is not None
        wanted = showing.expected.get(place)
        self._check(wanted is not None, "an invitation to somebody who is not in it", place)
        if wanted is not None and not wanted.room:
            wanted = wanted._replace(room=self.rooms[place[0]])
        if wanted is not None and letter.about is not None:
            # What is over stays in a calendar as it was, and the others' dates are not told.
            known, wanted = view.beside(wanted, showing.now)
        else:
            known = view
        self._check(known == wanted, f"an invitation that says something else: {wanted}", place)
        self._check(view.end > showing.now, "a meeting that is over", place)
        anybody = any(
            p[0] == place[0] and (b.moved or (b.invited and b.end > showing.now))
            for p, b in self.believed.items()
        )
        self._check(anybody or not showing.far(view.start), "beyond the horizon", place)
        self._check_sequence(letter, view, place, before)
        again = showing.resend or place in self.being_resent
        had = before and before.view
        held, new = had.beside(view, showing.now) if had else (None, view)
        self._leave_behind(letter, place, before)
        self._check(held != new or again, "what the receiver has already", place)
        if again:
            return
        if before is None or before.view is None or before.uid != letter.uid:
            said = letter.subject + letter.text
            self._check("pdated" not in said and " -> " not in said, "updated, to a new one", place)
        else:
            self._check_update(letter, before.view, view, place)

    def _check_sequence(
        self, letter: Letter, view: View, place: Place, before: Believed | None
    ) -> None:
        sequence = letter.order.sequence
        if before is None or (before.uid != letter.uid and not before.forgotten):
            self._check(sequence == 0, "a first SEQUENCE that is not 0", place)
        elif before.uid != letter.uid:
            pass  # whatever the ledger kept of somebody forgotten: a calendar tells if it is too low
        elif before.view is None:
            self._check(sequence == before.order.sequence + 1, "SEQUENCE of one back again", place)
        else:
            assert self.showing is not None
            held, new = before.view.beside(view, self.showing.now)
            step = held.moves(new)
            self._check(sequence == before.order.sequence + step, "SEQUENCE of an update", place)
            self._check(letter.order > before.order, "an order that does not rise", place)

    def _check_update(self, letter: Letter, old: View, new: View, place: Place) -> None:
        text = letter.text
        if letter.about is not None:
            assert self.showing is not None
            one, other = (set(view.coming(self.showing.now).dates) for view in (old, new))
            self._check(len(one - other) == 1, "a date alone, and not one that differs", place)
            self._check("one of the dates" in text, "a date alone in words", place)
        if letter.method == "CANCEL":
            self._check("is cancelled" in text and "jwt=" not in text, "a date off", place)
            return
        self._check("pdated" in letter.subject, "an update that does not say so", place)
        self._check(letter.answers is not None, "an update that answers nothing", place)
        for before, after in ((old.title, new.title), (unquote(old.room), unquote(new.room))):
            if before != after:
                told = " ".join(f"{before} -> {after}".split())
                self._check(told in " ".join(text.split()), "old -> new is not in it", place)
        if old.repeats or new.repeats:
            assert self.showing is not None
            told = "* Dates: " in text or "* One of the dates: " in text
            old, new = old.beside(new, self.showing.now)
            differs = (old.start, old.dates, old.repeats) != (new.start, new.dates, new.repeats)
            self._check(told == differs, "dates in words", place)
        else:
            differs = (old.start, old.end) != (new.start, new.end)
            self._check(("* Time: " in text) == differs, "time in words", place)
        self._check(("* Moderator: " in text) == (old.moderator != new.moderator), "role", place)

    def _leave_behind(self, letter: Letter, place: Place, before: Believed | None) -> None:
        """Note what stays in a calendar where a former organizer's CANCEL surely or maybe failed."""
        # Who invited under it may be the organizer again.
        self.left_behind.discard((letter.receiver.lower(), letter.uid))
        if before is None or before.uid == letter.uid:
            return
        showing = self.showing
        assert showing is not None
        former = before.organizer != showing.setup.mailbox
        self._check(former, "another UID by the same organizer", place)
        entry = letter.receiver.lower(), before.uid
        if before.invited and before.end > showing.now:
            self._check(entry in self.refused, "another UID without a CANCEL of the first", place)
        if before.invited or before.message_id not in self.accepted:
            self.left_behind.add(entry)

    def _judge_cancel(self, letter: Letter, place: Place, before: Believed | None) -> None:
        showing = self.showing
        assert showing is not None
        self._check(before is not None and before.invited, "a CANCEL to a stranger", place)
        assert before is not None
        self._check(before.end > showing.now, "a CANCEL of what is over", place)
        same = (letter.uid, letter.organizer) == (before.uid, before.organizer)
        self._check(same, "a CANCEL by another mailbox than invited, or of another UID", place)
        self._check(
            letter.order.sequence == before.order.sequence + 1, "a CANCEL's SEQUENCE", place
        )
        self._check(not showing.partial, "a CANCEL by a part of the roster", place)
        self._check(place[0] not in showing.broken, "a CANCEL by a roster with holes", place)
        off = showing.cancelled(place[0]) or not showing.shows(place[0])
        self._check((letter.status == "CANCELLED") == off, "off, or only without you", place)
        if not off and place in showing.paper.places():
            self._check(before.organizer != showing.setup.mailbox, "a CANCEL to one in it", place)
            self._check(showing.setup.mailbox in self.agreed, "another organizer, no yes", place)
            self._check(_replaces(letter), "a CANCEL's words", place)
            return
        words = "is cancelled" if off else "is withdrawn"
        self._check(words in letter.text, "a CANCEL's words", place)
        if showing.cancelled(place[0]):
            self._check(self.calls_off, "many called off without a yes", place)
            return
        since = self.absent_since.get(place, showing.now)
        if since is None:
            return
        self._check(self.withdraws, "withdrawn by a roster that shrank", place)
        long_enough = showing.now - since >= HALF_A_DAY
        self._check(showing.waived or long_enough, "withdrawn at the first miss", place)

    def _believe(
        self, letter: Letter, view: View | None, place: Place, before: Believed | None
    ) -> None:
        self.open[letter.message_id] = self.by
        if before is not None and before.message_id == letter.message_id:
            self.believed[place] = replace(before, doubted=True)
            return
        event = letter.event or before
        assert event is not None
        self.believed[place] = Believed(
            message_id=letter.message_id,
            order=letter.order,
            start=event.start,
            end=event.end,
            user_id=view.user_id if view else before.user_id if before else "",
            letter=letter,
            uid=letter.uid,
            organizer=letter.organizer,
            moved=view is None and _replaces(letter),
            view=view,
            before=before,
        )

    def left(self, message: OutgoingMessage, *, late: bool = False) -> None:
        """Put a message into its mailbox, or keep it for later; in order it must be news."""
        letter = Letter.read(message.content)
        self.arrived.add(letter.message_id)
        if late:
            self.late.append(letter)
            return
        effect = self.post.put(letter)
        assert message.invitation is not None
        place = (message.invitation.meeting_id, letter.receiver.lower())
        self._check(effect is not Effect.TOO_OLD, "a calendar takes it for an old one", place)
        self._check(effect is not Effect.NOT_THEIRS, "a calendar knows another organizer", place)

    def noted(self, outcome: Outcome, message: OutgoingMessage) -> None:
        """Follow what is durable: accepted for good, refused, or not known."""
        message_id = message.message_id
        if isinstance(outcome, Failed):
            letter = Letter.read(message.content)
            if _replaces(letter):
                self.refused.add((letter.receiver.lower(), letter.uid))
        match outcome:
            case Sent():
                self._accepted(message_id)
            case Deferred() | Failed():
                self._take_back(message_id)
            case _:
                self.open.pop(message_id, None)

    def _accepted(self, message_id: str) -> None:
        self.open.pop(message_id, None)
        self.accepted.add(message_id)
        self.being_resent -= {
            place for place, known in self.believed.items() if known.message_id == message_id
        }

    def _take_back(self, message_id: str) -> None:
        """Forget a message that was refused, unless an earlier try of it may have arrived."""
        if message_id not in self.open:
            return
        self.open.pop(message_id, None)
        for place, known in list(self.believed.items()):
            if known.message_id == message_id and not known.doubted:
                if known.before is None:
                    del self.believed[place]
                else:
                    self.believed[place] = known.before

    def had(self, message_id: str) -> bool:
        """Tell whether such a message was ever handed over."""
        return message_id in self.arrived

    def settle(self, by: str) -> None:
        """Follow what the next run is told of what an earlier one left: a folder knows its own."""
        for message_id, carried_by in list(self.open.items()):
            if (by, carried_by) != ("folder", "folder"):
                del self.open[message_id]
            elif self.had(message_id):
                self._accepted(message_id)
            else:
                self._take_back(message_id)

    def forget(self, address: str) -> None:
        """Follow what the ledger still knows of somebody whom it was told to forget."""
        for place, known in self.believed.items():
            if place[1] == address:
                self.believed[place] = replace(known, view=None, forgotten=True)

    def everything_late_arrives(self) -> None:
        """Let the mail that was under way arrive, behind what overtook it."""
        for letter in self.late:
            self.post.put(letter)
        self.late.clear()

    def _check(self, right: bool, what: str, place: Place) -> None:  # noqa: FBT001 - a condition
        if not right:
            raise WrongError(f"{what}: {place[1]} in {place[0]}")


def _replaces(letter: Letter) -> bool:
    """Tell whether a former organizer's mailbox takes an invitation back for the present one."""
    return letter.event is None and "is replaced" in " ".join(letter.text.split())
