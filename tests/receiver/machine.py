"""A machine that edits a roster, runs, dies, and runs again; at any time all must come right."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.receiver.carrier import ARRIVES, FATES
from tests.receiver.truth import Place, RosterMeeting, RosterPerson, Setup
from tests.receiver.world import DAY, EPOCH, HOUR, MINUTE, ReceiverWorld

MEETINGS = ("board", "retro", "review", "standup")
PEOPLE = ("Ada", "Bob", "Eve", "Kim", "Lou")

meetings = st.sampled_from(MEETINGS)
people = st.sampled_from(PEOPLE)
fates = st.lists(st.sampled_from(FATES) | st.just(ARRIVES), max_size=6)
titles = st.sampled_from(("Weekly", "Plans", "Numbers"))


def first_start(days: int) -> datetime:
    """Return nine o'clock, so many days after the first."""
    return (EPOCH + days * DAY).replace(hour=9, minute=0, tzinfo=None)


def guest(name: str) -> RosterPerson:
    """Return somebody's row, with a user id and an address that follow from the name."""
    return RosterPerson(
        name=name, mailbox=f"{name.lower()}@example.org", user_id=f"u-{name.lower()}"
    )


def crowd() -> RosterMeeting:
    """Return a meeting of so many that guards look at it."""
    guests = [guest(f"RosterPerson{number:02}") for number in range(22)]
    return RosterMeeting(title="Lecture", start=first_start(6), guests=guests)


class Nights(RuleBasedStateMachine):
    """Edits and runs in any order; whatever happened, the last run brings all to what is true."""

    def __init__(self) -> None:
        """Open a world with an empty ledger."""
        super().__init__()
        self.world = ReceiverWorld()
        self.came_right = True

    def teardown(self) -> None:
        """Let everything come right, unless something was wrong before."""
        try:
            if self.came_right:
                self.world.converge()
        finally:
            self.world.close()

    def gathering(self, meeting_id: str) -> RosterMeeting:
        """Return a meeting of the roster, written in where it is not there."""
        found = self.world.paper.gatherings.get(meeting_id)
        if found is None:
            days = 3 + 3 * MEETINGS.index(meeting_id) if meeting_id in MEETINGS else 5
            found = RosterMeeting(
                title=meeting_id.capitalize(),
                start=max(first_start(days), self.world.now.replace(tzinfo=None) + DAY),
                guests=[guest("Ada"), guest("Bob")],
            )
            self.world.paper.gatherings[meeting_id] = found
        return found

    def row(self, meeting_id: str, name: str) -> RosterPerson:
        """Return somebody's row in a meeting, written in where it is not there."""
        gathering = self.gathering(meeting_id)
        for one in gathering.guests:
            if one.user_id == guest(name).user_id:
                return one
        gathering.guests.append(guest(name))
        return gathering.guests[-1]

    def run(self, **flags: object) -> None:
        """Run; where something is wrong, the end need not come right as well."""
        self.came_right = False
        self.world.run(**flags)  # type: ignore[arg-type]
        self.came_right = True

    # Edits.

    @initialize(
        chosen=st.sets(meetings, min_size=1), crowded=st.integers(0, 9).map(lambda n: n > 8)
    )
    def first_roster(self, chosen: set[str], *, crowded: bool) -> None:
        """Begin with some meetings, now and then with a crowd."""
        for meeting_id in sorted(chosen):
            self.gathering(meeting_id)
        if crowded:
            self.world.paper.gatherings["lecture"] = crowd()

    @rule(meeting_id=meetings, name=people)
    def somebody_is_added(self, meeting_id: str, name: str) -> None:
        """Add an attendee."""
        self.row(meeting_id, name)

    @rule(meeting_id=meetings, name=people)
    def somebody_is_taken_out(self, meeting_id: str, name: str) -> None:
        """Remove an attendee."""
        gathering = self.gathering(meeting_id)
        gone = guest(name).user_id
        gathering.guests = [one for one in gathering.guests if one.user_id != gone]

    @rule(meeting_id=meetings)
    def a_meeting_is_taken_out(self, meeting_id: str) -> None:
        """Remove a meeting."""
        self.world.paper.gatherings.pop(meeting_id, None)

    @rule(meeting_id=meetings, days=st.integers(0, 20), minutes=st.sampled_from((30, 45)))
    def a_meeting_is_moved(self, meeting_id: str, days: int, minutes: int) -> None:
        """Move a meeting, never into the past."""
        gathering = self.gathering(meeting_id)
        earliest = (self.world.now + 2 * DAY).replace(tzinfo=None)
        start = first_start(days)
        gathering.start = (
            start if start > earliest else earliest.replace(hour=10, minute=0, second=0)
        )
        gathering.minutes = minutes

    @rule(
        meeting_id=meetings,
        weeks=st.sampled_from((0, 2, 4, 4)),
        cancelled=st.sampled_from((frozenset(), frozenset(), frozenset({0}), frozenset({1}))),
        late=st.frozensets(st.integers(0, 3), max_size=2),
    )
    def the_dates_are_changed(
        self, meeting_id: str, weeks: int, cancelled: frozenset[int], late: frozenset[int]
    ) -> None:
        """Let a meeting repeat, or no longer; cancel and move single dates."""
        gathering = self.gathering(meeting_id)
        gathering.weeks, gathering.cancelled, gathering.late = weeks, cancelled, late

    @rule(
        meeting_id=meetings,
        week=st.sampled_from((1, 2)),
        becomes=st.sampled_from(("late", "cancelled", "as by the rule")),
    )
    def one_date_is_changed(self, meeting_id: str, week: int, becomes: str) -> None:
        """Change one date of a series that went out before: it is told alone."""
        gathering = self.gathering(meeting_id)
        gathering.weeks = gathering.weeks or 4
        self.a_quiet_night()
        one = frozenset({week})
        gathering.late = gathering.late | one if becomes == "late" else gathering.late - one
        off = gathering.cancelled | one if becomes == "cancelled" else gathering.cancelled - one
        gathering.cancelled = off if len(off) < gathering.weeks else gathering.cancelled

    @rule(meeting_id=meetings, zone=st.sampled_from(("America/New_York", "UTC", "Europe/Berlin")))
    def the_zone_is_changed(self, meeting_id: str, zone: str) -> None:
        """Keep the wall's time and change the zone: other instants."""
        self.gathering(meeting_id).zone = zone

    @rule(
        meeting_id=meetings,
        title=titles,
        description=st.sampled_from(("", "Bring numbers.", "Two\nlines")),
        host=st.sampled_from(("", "Grace Host")),
    )
    def the_words_are_changed(
        self, meeting_id: str, title: str, description: str, host: str
    ) -> None:
        """Change what is only told: title, description and host."""
        gathering = self.gathering(meeting_id)
        gathering.title, gathering.description, gathering.host = title, description, host

    @rule(meeting_id=meetings, title=titles)
    def a_meeting_is_renamed(self, meeting_id: str, title: str) -> None:
        """Change the title alone."""
        self.gathering(meeting_id).title = title

    @rule(meeting_id=meetings, room=st.sampled_from(("", "Green Room", "blue")))
    def the_room_is_changed(self, meeting_id: str, room: str) -> None:
        """Change the room, or leave it to be derived."""
        self.gathering(meeting_id).room = room

    @rule(meeting_id=meetings, status=st.sampled_from(("cancelled", "", "tentative", "cancelled")))
    def the_status_is_changed(self, meeting_id: str, status: str) -> None:
        """Call a meeting off, or on again."""
        self.gathering(meeting_id).status = status

    @rule(meeting_id=meetings, name=people, moderator=st.booleans(), optional=st.booleans())
    def somebodys_role_is_changed(
        self, meeting_id: str, name: str, *, moderator: bool, optional: bool
    ) -> None:
        """Change what one attendee is expected as."""
        row = self.row(meeting_id, name)
        row.moderator, row.optional = moderator, optional

    @rule(meeting_id=meetings, name=people, called=st.sampled_from(("", " Example")))
    def somebody_is_renamed(self, meeting_id: str, name: str, called: str) -> None:
        """Change one attendee's name."""
        self.row(meeting_id, name).name = name + called

    @rule(meeting_id=meetings, name=people, at=st.sampled_from(("example.org", "example.net")))
    def somebodys_address_is_changed(self, meeting_id: str, name: str, at: str) -> None:
        """Change one attendee's address and keep the user id."""
        self.row(meeting_id, name).mailbox = f"{name.lower()}@{at}"

    @rule(meeting_id=meetings, name=people, catering=st.sampled_from(("", "none", "vegan")))
    def the_roster_says_the_same_otherwise(self, meeting_id: str, name: str, catering: str) -> None:
        """Change what nobody is told of: a column of its own, the case of an address, the order."""
        row = self.row(meeting_id, name)
        row.catering, row.mailbox = catering, row.mailbox.title()
        self.world.shuffles += 1

    @rule(
        setup=st.builds(
            Setup,
            secret=st.sampled_from(("first", "second")),
            namespace=st.sampled_from(("example.com", "calendar.example.com")),
            closes_after_minutes=st.sampled_from((30, 45)),
            mailbox=st.sampled_from(
                ("meetings@example.com", "meetings@example.com", "rooms@example.net")
            ),
        )
    )
    def the_settings_are_changed(self, setup: Setup) -> None:
        """Rotate the secret, change the window, the organizer, or the namespace, which changes nothing."""
        self.world.setup = setup

    # Time.

    @rule(
        span=st.sampled_from(
            (10 * MINUTE, 5 * HOUR, 13 * HOUR, DAY, 4 * DAY, -3 * MINUTE, -2 * HOUR)
        )
    )
    def time_passes(self, span: timedelta) -> None:
        """Move the clock, also back."""
        self.world.now += span

    @rule()
    def the_late_mail_arrives(self) -> None:
        """Let mail arrive that newer mail overtook."""
        self.world.watch.everything_late_arrives()

    # Runs.

    @rule(
        fates=fates,
        by=st.sampled_from(("smtp", "smtp", "folder")),
        on_unknown=st.sampled_from(("resend", "resend", "hold")),
        horizon=st.sampled_from((None, None, 7 * DAY)),
        withdraw_now=st.integers(0, 3).map(lambda n: n == 0),
        accept=st.integers(0, 3).map(lambda n: n == 0),
    )
    def a_run(self, **flags: object) -> None:
        """Send the whole roster; whatever can go wrong goes wrong."""
        self.run(**flags)

    @rule()
    def a_quiet_night(self) -> None:
        """Send the whole roster half a day and more later, without a fault."""
        self.world.now += 13 * HOUR
        self.run()

    @rule(kept=st.sets(st.tuples(meetings, people), max_size=4), fates=fates)
    def a_run_over_a_part(self, kept: set[tuple[str, str]], fates: list[str]) -> None:
        """Send a part of the roster that says that it is one."""
        names = {(meeting_id, guest(name).user_id) for meeting_id, name in kept}
        paper = self.world.paper
        gone = [
            place
            for place in paper.places()
            if (row := paper.guest(place)) and (place[0], row.user_id) not in names
        ]
        self.run(paper=paper.without(gone), partial=True, withdraw_now=True, fates=fates)

    @rule(accept=st.booleans(), now=st.booleans(), odd=st.booleans())
    def half_of_the_roster_is_lost(self, *, accept: bool, now: bool, odd: bool) -> None:
        """Send a roster that lost every other row, for this one night."""
        gone = sorted(self.world.paper.places())[odd::2]
        self.world.now += 13 * HOUR
        self.run(paper=self.world.paper.without(gone), accept=accept, withdraw_now=now)

    @rule(meeting_id=meetings, name=people, resend=st.booleans(), fates=fates)
    def only_one_is_served(
        self, meeting_id: str, name: str, *, resend: bool, fates: list[str]
    ) -> None:
        """Send to one person or one meeting; perhaps once more what they have."""
        only = meeting_id if len(fates) % 2 else self.row(meeting_id, name).mailbox.lower()
        self.run(only=only, resend=resend, fates=fates, withdraw_now=True)

    @rule(limit=st.integers(0, 4), fates=fates)
    def few_are_served(self, limit: int, fates: list[str]) -> None:
        """Send to the first few."""
        self.run(limit=limit, fates=fates, withdraw_now=True)

    @rule(
        broken=st.sets(st.tuples(meetings, people), max_size=3),
        stray=st.integers(0, 3).map(lambda n: n == 0),
        fates=fates,
    )
    def rows_are_broken(
        self, broken: set[tuple[str, str]], *, stray: bool, fates: list[str]
    ) -> None:
        """Send a roster some rows of which can't be read."""
        names = {(meeting_id, guest(name).user_id) for meeting_id, name in broken}
        paper = self.world.paper
        places: frozenset[Place] = frozenset(
            place
            for place in paper.places()
            if (row := paper.guest(place)) and (place[0], row.user_id) in names
        )
        self.run(broken=places, stray=stray, withdraw_now=True, fates=fates)

    @rule(name=people, at=st.sampled_from(("example.org", "example.net")))
    def somebody_is_forgotten(self, name: str, at: str) -> None:
        """Ask the ledger to forget somebody; it refuses while anything stands."""
        self.world.forget(f"{name.lower()}@{at}")

    @rule(patiently=st.booleans())
    def all_comes_right(self, *, patiently: bool) -> None:
        """Run without faults, and compare every mailbox with the roster."""
        self.came_right = False
        self.world.converge(patiently=patiently)
        self.came_right = True
