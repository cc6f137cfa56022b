"""A fortnight of nights in simulated time: aiosmtpd receives, calendars come to what is true."""

from __future__ import annotations

import os
import socket
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from invites import ledger
from invites import settings as settings_package
from invites.errors import Exit
from invites.jobs import WakeUp, WakeUpReport, wake_up
from invites.sending import Effects
from tests.peers.calendar_model import PostOffice
from tests.receiver.machine import first_start, guest
from tests.receiver.truth import Place, RosterMeeting, RosterText, Secret, Setup, View, as_csv
from tests.receiver.world import DAY, EPOCH, HOUR
from tests.support import SECRET, SETTINGS, write_settings

PEOPLE = ("Ada", "Bob", "Eve", "Kim", "Lou", "Max", "Pat", "Sam")
MEETINGS = tuple(f"m{number:02}" for number in range(12))
SECRETS = (Secret("the", SECRET.encode()),)
JOB = """
[guard]
shrink = "60%"
[smtp]
host = "127.0.0.1"
port = {port}
security = "none"
[[job]]
name = "nightly"
roster = "rosters/*.csv"
at = "02:15"
deliver = "smtp"
[series]
tokens = "{tokens}"
"""
WAKE_UPS = tuple(HOUR * hours + timedelta(minutes=15) for hours in (1, 2, 3, 9, 18))
"""When a night's wake-ups are, after the roster was written; the job is due at the first."""


class Inbox:
    """Takes every message."""

    def __init__(self) -> None:
        """Begin with none."""
        self.contents: list[bytes] = []

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        """Keep the content."""
        content = envelope.content
        assert isinstance(content, bytes)
        self.contents.append(content)
        return "250 2.0.0 taken"


@pytest.fixture
def inbox() -> Iterator[tuple[Inbox, int]]:
    """Start a server on loopback; give what it took, and its port."""
    inbox = Inbox()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(inbox, hostname="127.0.0.1", port=port)
    controller.start()
    yield inbox, port
    controller.stop()


class Fortnight:
    """Nights of one job, with a clock that the test moves and a roster that it writes."""

    def __init__(self, folder: Path, port: int, tokens: str) -> None:
        """Make the settings and an empty ledger; the first wake-up takes note of the job."""
        self.folder = folder
        self.now = EPOCH.replace(hour=1)
        (folder / "rosters").mkdir()
        config = write_settings(folder, SETTINGS + JOB.format(port=port, tokens=tokens))
        self.settings = settings_package.load(config, environ={})
        ledger.create(self.settings.ledger.url)
        assert self.wake().outcomes == ()

    def wake(self) -> WakeUpReport:
        """Wake up now."""
        around = Effects(clock=lambda: self.now, timer=time.monotonic)
        return wake_up(WakeUp(settings=self.settings, effects=around))

    def night(self, paper: RosterText, number: int) -> list[Exit]:
        """Write the roster at one o'clock and wake up at every hour; return how the jobs ended."""
        path = self.folder / "rosters" / "export.csv"
        path.write_bytes(as_csv(list(paper.rows()), shuffled=number))
        stamp = (self.now - HOUR).timestamp()
        os.utime(path, (stamp, stamp))
        codes = []
        began = self.now
        for after in WAKE_UPS:
            self.now = began + after
            codes += [outcome.exit_code for outcome in self.wake().outcomes]
        self.now = began + DAY
        return codes


def first_paper() -> RosterText:
    """Return a dozen meetings over the next weeks; every third repeats, weekly or each third day."""
    paper = RosterText()
    paper.gatherings["quiet"] = RosterMeeting(
        title="Left alone by all edits",
        start=first_start(1),
        room="room-quiet",
        weeks=5,
        every=3,
        guests=[guest(name) for name in PEOPLE[:3]],
    )
    for number, meeting_id in enumerate(MEETINGS):
        paper.gatherings[meeting_id] = RosterMeeting(
            title=f"Meeting {number}",
            start=first_start(2 + 2 * number),
            room=f"room-{meeting_id}",
            weeks=6 if number % 3 == 0 else 0,
            every=3 if number % 6 == 0 else 7,
            guests=[guest(name) for name in PEOPLE[number % 3 : number % 3 + 5]],
        )
    return paper


def edited(paper: RosterText, chance: Random, now: datetime) -> RosterText:
    """Return the next day's roster: a few people and meetings differ."""
    paper = paper.copy()
    open_ones = [one for one in MEETINGS if _is_open(paper, one, now)]
    for meeting_id in chance.sample(open_ones, k=min(4, len(open_ones))):
        _edit(paper.gatherings[meeting_id], chance, now)
    absent = [one for one in MEETINGS if one not in paper.gatherings]
    if absent and chance.random() < 0.5:
        paper.gatherings[absent[0]] = RosterMeeting(
            title="Back again",
            start=(now + 6 * DAY).replace(hour=11, minute=0, tzinfo=None),
            room=f"room-{absent[0]}",
            guests=[guest("Ada"), guest("Max")],
        )
    elif len(open_ones) > 4 and chance.random() < 0.4:
        del paper.gatherings[chance.choice(open_ones)]
    return paper


def _is_open(paper: RosterText, meeting_id: str, now: datetime) -> bool:
    gathering = paper.gatherings.get(meeting_id)
    if gathering is None:
        return False
    last = gathering.dates[-1][0] if gathering.weeks else gathering.begins
    return last > now + 2 * DAY


def _edit(gathering: RosterMeeting, chance: Random, now: datetime) -> None:
    person = chance.choice(PEOPLE)
    listed = [one for one in gathering.guests if one.user_id == guest(person).user_id]
    if gathering.weeks and chance.random() < 0.7:
        _edit_dates(gathering, chance, now)
        return
    match chance.choice(("who", "who", "move", "title", "role", "off", "address", "own")):
        case "who" if not listed:
            gathering.guests.append(guest(person))
        case "who" if len(gathering.guests) > 2:
            gathering.guests.remove(listed[0])
        case "move":
            gathering.start = (now + chance.randint(3, 12) * DAY).replace(
                hour=15, minute=0, tzinfo=None
            )
        case "title":
            gathering.title = f"Title {chance.randint(1, 99)}"
        case "role" if listed:
            listed[0].moderator = not listed[0].moderator
        case "off":
            gathering.status = "" if gathering.status else "cancelled"
        case "address" if listed:
            listed[0].mailbox = f"{person.lower()}{chance.randint(1, 9)}@example.net"
        case _:
            for one in gathering.guests:
                one.catering = chance.choice(("", "vegan"))


def _edit_dates(gathering: RosterMeeting, chance: Random, now: datetime) -> None:
    """Move or cancel one of a series' dates to come, or let it take place by the rule again."""
    to_come = [
        week
        for week in range(gathering.weeks)
        if gathering.begins + week * gathering.every * DAY > now + 2 * DAY
        and week not in gathering.cancelled
    ]
    week = frozenset({chance.choice(to_come)}) if to_come else frozenset()
    if chance.random() < 0.3 and len(gathering.cancelled) + 1 < gathering.weeks:
        gathering.cancelled |= week
    elif chance.random() < 0.2:
        gathering.cancelled = frozenset(
            one
            for one in gathering.cancelled
            if gathering.begins + one * gathering.every * DAY < now + 2 * DAY
        )
    else:
        gathering.late ^= week


def is_about_one_date(old: View, new: View) -> bool:
    """Tell whether one date of a series moved, went or got its link, and nothing else is another."""
    gone, come = set(old.dates) - set(new.dates), set(new.dates) - set(old.dates)
    linked = {one.start for one in new.links} - {one.start for one in old.links}
    rest, others = (one._replace(dates=(), links=()) for one in (old, new))
    if not old.closes:  # without a link for all dates the last one is like the others
        rest = rest._replace(end=others.end)
    if not old.repeats or rest != others or len(come) > len(gone):
        return False
    if gone:
        return len(gone) == 1 and linked <= {start for start, _ in come}
    return len(linked) == 1


class Truth:
    """What everybody is to hold night by night, and how few messages can bring it about.

    `alone` counts those among them that are about one date of a series alone.
    A meeting that is not there is counted as missing apart from an attendee who is not in it.
    """

    def __init__(self, setup: Setup) -> None:
        """Begin with nobody invited."""
        self.setup = setup
        self.held: dict[Place, View] = {}
        self.ids: dict[Place, str] = {}
        self.least = self.alone = 0
        self._missed: Counter[str | Place] = Counter()

    def night(self, paper: RosterText, now: datetime) -> None:
        """Count one message for each whose entry or link is to be another, and not over."""
        views = paper.views(self.setup, {}, now)
        for meeting_id in {place[0] for place in self.held}:
            self._count(meeting_id, missing=meeting_id not in paper.gatherings)
        ids = {place: row.user_id for place in views if (row := paper.guest(place))}
        new_ids = {(place[0], ids[place]) for place in views if place not in self.held}
        for place, view in list(self.held.items()):
            if view.end > now and self._goes(place, paper, new_ids):
                self.least += 1
                del self.held[place]
        self.ids |= ids
        self.told(paper, now)

    def told(self, paper: RosterText, now: datetime) -> None:
        """Count one message for each in the roster whose entry or links are others at `now`."""
        for place, view in paper.views(self.setup, {}, now).items():
            held = self.held.get(place)
            if view.end > now and (held is None or held.linked(now) != view):
                self.least += 1
                self.alone += held is not None and is_about_one_date(held, view)
                self.held[place] = view

    def _count(self, what: str | Place, *, missing: bool) -> bool:
        """Count a miss; tell whether it is the second in a row."""
        self._missed[what] = self._missed[what] + 1 if missing else 0
        return self._missed[what] == 2

    def _goes(self, place: Place, paper: RosterText, new_ids: set[Place]) -> bool:
        gathering = paper.gatherings.get(place[0])
        if gathering is None:
            return self._missed[place[0]] == 2
        if gathering.status == "cancelled":
            return True
        missing = paper.guest(place) is None
        twice = self._count(place, missing=missing)
        return twice or (missing and (place[0], self.ids[place]) in new_ids)

    def by_address(self, now: datetime) -> dict[str, list[View]]:
        """Return what is to stand in each calendar, but the links of dates that are over."""
        found: dict[str, list[View]] = {}
        for (_, address), view in self.held.items():
            found.setdefault(address, []).append(view.linked(now))
        return {address: sorted(views) for address, views in found.items()}


@pytest.mark.parametrize("tokens", ["series", "occurrence", "rolling"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_fortnight_ends_with_what_is_true_in_the_fewest_messages(
    seed: int, tokens: str, tmp_path: Path, inbox: tuple[Inbox, int]
) -> None:
    """Added, moved, renamed, called off, taken out, back again; every night once.

    A change of one date of a series is a message about that date alone, and so is its own link.
    """
    taken, port = inbox
    nights = Fortnight(tmp_path, port, tokens)
    paper, truth, post = first_paper(), Truth(Setup(secret="the", tokens=tokens)), PostOffice()
    chance = Random(seed)  # noqa: S311 - a script, no secret
    read = alone = links = together = 0
    for number in range(14):
        began = nights.now
        truth.night(paper, began + WAKE_UPS[0])
        for after in WAKE_UPS[1:]:
            truth.told(paper, began + after)
        assert nights.night(paper, number) == [Exit.DONE]
        for content in taken.contents[read:]:
            letter, _ = post.arrive(content)
            alone += letter.about is not None
            links += letter.subject.startswith("Your link: ")
            together += letter.event is not None and len(letter.event.links) > 1
        read = len(taken.contents)
        assert by_address(post, began + WAKE_UPS[-1]) == truth.by_address(began + WAKE_UPS[-1])
        paper = edited(paper, chance, nights.now)
    assert read == truth.least > 100
    assert alone == truth.alone > 10
    assert (links > 5, together > 0) == (tokens != "series", tokens == "rolling")


def by_address(post: PostOffice, now: datetime) -> dict[str, list[View]]:
    """Return what stands in each calendar, but the links of dates that are over."""
    found: dict[str, list[View]] = {}
    for (address, _), event in post.standing().items():
        found.setdefault(address, []).append(View.of(event, SECRETS).linked(now))
    return {address: sorted(views) for address, views in found.items()}
