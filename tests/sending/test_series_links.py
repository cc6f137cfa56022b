"""Series whose dates have links of their own: each goes out once, ahead of its date."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import jwt
import pytest
from icalendar import Calendar

from invites.errors import Exit
from invites.planning.actions import Cause
from invites.sending import Renderer, RunReport, drain, give_links
from invites.settings import load
from tests.peers.smtp_server import Fault, ScriptedServer
from tests.support import SECRET, Answer
from tests.world import Mail, PassWorld, read_mail, smtp

HEADER = "meeting_id,title,start,end,name,email,recurrence,exclude,occurrence,status"
WEEK = timedelta(weeks=1)
FIRST = datetime(2031, 3, 3, 8, tzinfo=UTC)
"""Nine in Berlin, until clocks change on 30 March: then ten dates are 07:00 UTC from the fifth on."""


def rows(*people: str, rule: str = "weekly x 10", start: str = "09:00") -> list[str]:
    """Return the rows of a series of ten Mondays."""
    return [
        f"maths,Maths,2031-03-03 {start},2031-03-03 09:45,{person.title()},{person}@example.org,"
        f"{rule},,,"
        for person in people
    ]


THREE = rows("ada", "bob", "eve")


def world_of(folder: Path, tokens: str, further: str = "") -> PassWorld:
    """Return a world with these links of series."""
    sections = f'{further}\n[roster]\ntimezone = "Europe/Berlin"\n[series]\ntokens = "{tokens}"\n'
    return PassWorld(folder=folder, header=HEADER, sections=sections)


@pytest.fixture
def world(tmp_path: Path) -> PassWorld:
    """Give a world where each date has its own link."""
    return world_of(tmp_path, "occurrence")


def woken(world: PassWorld, what: Any = give_links) -> RunReport | None:
    """Send what is due from the ledger alone, as a wake-up does."""
    with world.locked() as opened:
        report: RunReport | None = what(
            world.renderer,
            opened,
            world.options(),
            world.effects,
            delivery_for=world.delivery_for,
        )
    return report


def windows(mail: Mail) -> list[tuple[datetime, datetime]]:
    """Return when the tokens in a mail's text admit, from and until, in the order of its links."""
    links = re.findall(r"^https://\S+\?jwt=(\S+)$", mail.text.replace("\r", ""), re.MULTILINE)
    claims = [
        jwt.decode(link, SECRET, algorithms=["HS256"], options={"verify_signature": False})
        for link in links
    ]
    return [
        (datetime.fromtimestamp(one["nbf"], UTC), datetime.fromtimestamp(one["exp"], UTC))
        for one in claims
    ]


def around(start: datetime) -> tuple[datetime, datetime]:
    """Return the window of a date of three quarters of an hour."""
    return start - timedelta(minutes=16), start + timedelta(minutes=75)


def test_the_series_itself_has_no_link(world: PassWorld) -> None:
    """Neither in the mail nor in the entry; both say when links come."""
    assert world.send(*THREE).plan.counts["new"] == 3
    for mail in world.last():
        assert "jwt=" not in mail.text + mail.calendar
        event = Calendar.from_ical(mail.calendar).walk("VEVENT")[0]
        assert "url" not in event
        assert str(event["location"]).startswith("Jitsi Meet: maths")
        assert "You get the link for each date by mail, 24 hours before it." in mail.text
        assert "24 hours before it" in str(event["description"])
    assert world.send(*THREE).plan.actions == ()


def test_each_link_goes_out_once_ahead_of_its_date(world: PassWorld) -> None:
    """Ten dates and three people: thirty links by wake-ups, each valid round its date alone."""
    world.send(*THREE)
    seen: dict[datetime, list[str]] = {}
    last = dict.fromkeys(("ada", "bob", "eve"), 0)
    world.now = FIRST - timedelta(days=2)
    while world.now < FIRST + 10 * WEEK:
        world.now += timedelta(hours=5)
        before = len(world.batches())
        report = woken(world)
        if report is None:
            assert len(world.batches()) == before
            continue
        assert (report.exit_code, report.plan.counts["links"]) == (Exit.DONE, 3)
        assert {action.cause for action in report.plan.actions} == {Cause.LINK}
        for mail in world.last():
            (window,) = windows(mail)
            start = window[0] + timedelta(minutes=16)
            assert window == around(start)
            assert start - timedelta(hours=24) <= world.now < start - timedelta(hours=18)
            assert mail.subject.startswith("Your link: Maths, ")
            (event,) = Calendar.from_ical(mail.calendar).walk("VEVENT")
            assert (event["dtstart"].dt, "rrule" in event) == (start, False)
            assert str(event["url"]) in mail.text
            who = mail.to.partition("@")[0]
            seen.setdefault(start, []).append(who)
            assert (mail.sequence, mail.method) == (last[who] + 1, "REQUEST")
            last[who] = mail.sequence
    expected = [FIRST + at * WEEK - timedelta(hours=at >= 4) for at in range(10)]
    assert sorted(seen) == expected
    assert all(sorted(people) == ["ada", "bob", "eve"] for people in seen.values())
    assert world.now > FIRST + 9 * WEEK


def test_a_run_with_the_roster_gives_the_links_too(world: PassWorld) -> None:
    """A job's run and a wake-up give each link once between them; no guard counts it."""
    people = rows(*(f"pupil{n}" for n in range(30)))
    world.send(*people)
    world.now = FIRST - timedelta(hours=20)
    report = world.send(*people)
    assert (report.exit_code, report.plan.counts["links"]) == (Exit.DONE, 30)
    assert report.plan.counts["updated"] == 0
    assert woken(world) is None
    assert world.send(*people).plan.actions == ()
    world.now = FIRST + timedelta(hours=3)
    assert world.send(*people).plan.actions == ()


def test_who_left_gets_no_further_link(world: PassWorld) -> None:
    """From the first run on that misses them, be they withdrawn yet or not."""
    world.send(*THREE)
    world.now = FIRST - timedelta(hours=20)
    assert woken(world) is not None
    world.now = FIRST + timedelta(days=1)
    world.send(*rows("ada", "bob"))
    world.now = FIRST + WEEK - timedelta(hours=20)
    assert woken(world) is not None
    assert [mail.to for mail in world.last()] == ["ada@example.org", "bob@example.org"]
    gone = world.send(*rows("ada", "bob"), withdraw_now=True)
    assert [one.cause for one in gone.plan.actions] == [Cause.MISSING]
    assert gone.plan.actions[0].admits_until is None
    world.now = FIRST + 2 * WEEK - timedelta(hours=20)
    assert woken(world) is not None
    assert [mail.to for mail in world.last()] == ["ada@example.org", "bob@example.org"]


def test_who_is_invited_late_gets_the_near_dates_with_the_series(world: PassWorld) -> None:
    """One mail: the series, and in it the date whose link is due, with that link."""
    world.now = FIRST - timedelta(hours=3)
    world.send(*THREE)
    (mail, *_) = world.last()
    assert windows(mail) == [around(FIRST)]
    rule, date = Calendar.from_ical(mail.calendar).walk("VEVENT")
    assert "url" not in rule
    assert date["recurrence-id"].dt == FIRST
    assert str(date["url"]) in mail.text
    assert str(date["description"]).endswith(str(date["url"]))
    assert woken(world) is None


def test_a_deferred_link_is_the_same_again_until_its_date_is_over(tmp_path: Path) -> None:
    """From the ledger alone; once the date is over it is given up, and the next link goes out."""
    with ScriptedServer() as server:
        world = world_of(tmp_path, "occurrence", smtp(server))
        world.to = "smtp"
        world.send(*rows("ada"))
        server.faults[:] = [Fault("RCPT", "451", times=1)]
        world.now = FIRST - timedelta(hours=20)
        report = woken(world)
        assert report is not None
        assert report.exit_code is Exit.IN_PART
        world.now += timedelta(hours=2)
        assert woken(world) is None
        assert woken(world, drain) is not None
        _, mail = (read_mail(one.content) for one in server.accepted)
        assert (windows(mail), mail.sequence) == ([around(FIRST)], 1)
        server.faults[:] = [Fault("RCPT", "451", times=1)]
        world.now = FIRST + WEEK - timedelta(hours=20)
        assert woken(world) is not None
        world.now = FIRST + WEEK + timedelta(hours=20)
        assert woken(world, drain) is None
        world.now = FIRST + 2 * WEEK - timedelta(hours=20)
        assert woken(world) is not None
        mail = read_mail(server.accepted[-1].content)
        assert (windows(mail), mail.sequence) == ([around(FIRST + 2 * WEEK)], 2)


def test_a_moved_date_takes_its_link_along(world: PassWorld) -> None:
    """Its new link is valid round the new time; the other dates are not spoken of."""
    world.send(*rows("ada"))
    world.now = FIRST - timedelta(hours=20)
    assert woken(world) is not None
    world.send(*rows("ada"), "maths,,2031-03-03 11:00,,,,,,2031-03-03,")
    (mail,) = world.last()
    assert windows(mail) == [around(FIRST + timedelta(hours=2))]
    assert "One of the dates" in mail.text
    assert woken(world) is None


@pytest.mark.parametrize(
    ("tokens", "edit", "told"),
    [
        ("rolling", ",,,,,,,,2031-03-03,cancelled", []),
        ("rolling", ",,2031-03-03 11:00,,,,,,2031-03-03,", [timedelta(hours=2)]),
        ("occurrence", ",,2031-03-03 11:00,,,,,,2031-03-03,", [timedelta(hours=2)]),
    ],
)
def test_links_that_are_out_stay_so_when_their_first_date_is_off_or_later(
    tmp_path: Path, tokens: str, edit: str, told: list[timedelta]
) -> None:
    """The message is about that date alone; a later wake-up does not send the same links again."""
    world = world_of(tmp_path, tokens)
    people = rows("ada", rule='"weekly on mon,wed,fri x 9"')
    world.send(*people)
    world.now = FIRST - timedelta(hours=23, minutes=55)
    assert woken(world) is not None
    before = {start for start, _ in windows(world.last()[0])}
    world.send(*people, f"maths{edit}")
    assert windows(world.last()[0]) == [around(FIRST + later) for later in told]
    last = Calendar.from_ical(world.last()[0].calendar).walk("VEVENT")
    assert [date["recurrence-id"].dt for date in last] == [FIRST]
    while world.now < FIRST + timedelta(days=4):
        world.now += timedelta(hours=1)
        if woken(world) is not None:
            assert not before & {start for start, _ in windows(world.last()[0])}
            before |= {start for start, _ in windows(world.last()[0])}
    assert FIRST + timedelta(days=2, minutes=-16) in before


def test_rolling_gives_a_weeks_links_in_one_mail(tmp_path: Path) -> None:
    """Ahead of the week's first date, all of that week's, as a list and as dates of the series."""
    world = world_of(tmp_path, "rolling")
    people = rows("ada", rule='"weekly on mon,wed,fri x 9"')
    world.send(*people)
    assert "You get the links for each week by mail, 24 hours before its first date." in (
        world.last()[0].text
    )
    given = []
    world.now = FIRST - timedelta(days=2)
    while world.now < FIRST + 3 * WEEK:
        world.now += timedelta(hours=5)
        if woken(world) is not None:
            given.append((world.now, windows(world.last()[0])))
    assert [len(each) for _, each in given] == [3, 3, 3]
    days = (timedelta(days=0), timedelta(days=2), timedelta(days=4))
    for week, (at, each) in enumerate(given):
        first = FIRST + week * WEEK
        assert each == [around(first + day) for day in days]
        assert first - timedelta(hours=24) <= at < first - timedelta(hours=18)
    _, *dates = Calendar.from_ical(world.last()[0].calendar).walk("VEVENT")
    assert [str(date["url"]) in world.last()[0].text for date in dates] == [True, True, True]
    assert "here are your links for the next dates." in world.last()[0].text


def test_a_live_series_gets_links_for_each_date(tmp_path: Path) -> None:
    """Its update takes the one link out, and says until when that still works; plan does so too."""
    world = world_of(tmp_path, "series")
    world.send(*rows("ada"))
    other = world_of(tmp_path, "occurrence")
    other.now = world.now
    assert woken(other) is None
    report = other.send(*rows("ada"))
    (action,) = report.plan.actions
    assert [change.field for change in action.changes] == ["tokens"]
    assert action.admits_until is not None
    (mail,) = other.last()
    assert (mail.sequence, "jwt=" in mail.text + mail.calendar) == (1, False)
    text = " ".join(mail.text.split())
    assert "* Your link: one for all dates -> one for each date" in text
    assert "The earlier link still works until Monday, 5 May 2031, 10:15" in text
    other.now = FIRST - timedelta(hours=20)
    assert woken(other) is not None
    back = world_of(tmp_path, "series")
    back.now = other.now
    (again,) = back.send(*rows("ada")).plan.actions
    assert [change.field for change in again.changes] == ["tokens"]
    assert windows(back.last()[0]) == [
        (FIRST - timedelta(minutes=16), around(FIRST + 9 * WEEK)[1] - timedelta(hours=1))
    ]


def test_links_of_a_build_that_was_mailed_by_hand_are_known_as_far_as_it_had_them(
    tmp_path: Path, invites: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `--record-only` adopts has the links that were due at the build, not those of now."""
    monkeypatch.chdir(tmp_path)
    world = world_of(tmp_path, "occurrence")
    name = world.write(*rows("ada"))
    built = invites("build", name, "--now", "2031-03-01T10:00:00Z")
    assert built.code == Exit.DONE, built.err
    (eml,) = Path("out").rglob("*.eml")
    assert "You get the link for each date by mail" in read_mail(eml.read_bytes()).text
    now = ("--now", "2031-03-02T20:00:00Z", "--to", "folder")
    adopted = invites("send", name, "--record-only", "out/manifest.csv", *now)
    assert adopted.code == Exit.DONE, adopted.err
    world.now = FIRST - timedelta(hours=11)
    assert woken(world) is not None
    (mail,) = world.last()
    assert (mail.sequence, windows(mail)) == (1, [around(FIRST)])


class Receiver:
    """A calendar as iTIP has it: entries by RECURRENCE-ID, each changed by what is newer alone."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.entries: dict[datetime | None, tuple[tuple[int, datetime], str]] = {}

    def take(self, mail: Mail) -> None:
        """Apply a message; one about the series takes the place of all that is older."""
        events = Calendar.from_ical(mail.calendar).walk("VEVENT")
        for event in events:
            order = int(event["sequence"]), event["dtstamp"].dt
            about = event["recurrence-id"].dt.astimezone(UTC) if "recurrence-id" in event else None
            if about is None:
                self.entries = {
                    which: known
                    for which, known in self.entries.items()
                    if known[0] > order or which is None
                }
            if about not in self.entries or self.entries[about][0] < order:
                series = self.entries.get(None)
                if about is None or series is None or series[0] <= order:
                    self.entries[about] = order, str(event.get("url", ""))


def test_mails_in_any_order_leave_the_same_links_in_a_calendar(world: PassWorld) -> None:
    """SEQUENCE and DTSTAMP order the series and its dates, whichever way mails took."""
    mails = []

    def sent(*further: str, days: int, links: bool = False) -> None:
        world.now = FIRST + timedelta(days=days, hours=-20)
        assert (woken(world) if links else world.send(*rows("ada"), *further)) is not None
        mails.extend(world.last())

    guest = "maths,Guest lecture,,,,,,,2031-03-24,"
    sent(days=-9)
    sent(days=0, links=True)
    sent(guest, days=3)
    sent(guest, days=7, links=True)
    world.send(*rows("ada"), guest, "maths,,2031-03-10 10:00,,,,,,2031-03-10,")
    mails.extend(world.last())
    sent(guest, "maths,,2031-03-10 10:00,,,,,,2031-03-10,", days=21, links=True)
    in_order = Receiver()
    for mail in mails:
        in_order.take(mail)
    assert in_order.entries[None][1] == ""
    last = in_order.entries[FIRST + 3 * WEEK]
    assert last[1] in mails[-1].text
    for seed in range(30):
        shuffled = Receiver()
        for mail in Random(seed).sample(mails, len(mails)):  # noqa: S311 - an order of mails
            shuffled.take(mail)
        assert shuffled.entries == in_order.entries


def test_what_a_stopped_pass_did_not_come_to_goes_out_at_the_next_wake_up(
    world: PassWorld,
) -> None:
    """Once, as it was planned: nobody waits for the next run with the roster."""
    world.send(*THREE)
    world.now = FIRST - timedelta(hours=20)
    world.stop = True
    stopped = woken(world)
    assert stopped is not None
    assert stopped.exit_code is Exit.TRY_AGAIN
    world.stop = False
    world.now += timedelta(minutes=5)
    assert woken(world) is not None
    assert [(mail.to, mail.sequence) for mail in world.last()] == [
        (f"{who}@example.org", 1) for who in ("ada", "bob", "eve")
    ]
    assert [windows(mail) for mail in world.last()] == 3 * [[around(FIRST)]]
    assert woken(world) is None


def test_who_misses_a_date_gets_no_link_for_it(world: PassWorld) -> None:
    """The others do, and the next date's goes to everybody."""
    away = "maths,,,,Bob,bob@example.org,,,2031-03-10,cancelled"
    world.send(*rows("ada", "bob"), away)
    for week, people in enumerate((["ada", "bob"], ["ada"], ["ada", "bob"])):
        world.now = FIRST + week * WEEK - timedelta(hours=20)
        assert woken(world) is not None
        assert [mail.to for mail in world.last()] == [f"{who}@example.org" for who in people]


def test_a_new_secret_renews_the_links_that_are_out(world: PassWorld) -> None:
    """In the update of the series, which says so; dates that are far have none as before."""
    world.send(*rows("ada"))
    world.now = FIRST - timedelta(hours=20)
    assert woken(world) is not None
    (first,) = world.last()
    other = {"INVITES_JITSI__SECRET": SECRET[::-1]}
    world.renderer = Renderer.from_settings(load(world.write_settings(), environ=other))
    assert woken(world) is None
    report = world.send(*rows("ada"))
    fields = {change.field for change in report.plan.actions[0].changes}
    assert fields == {"key", "room"}  # which the secret makes as well, without a room_key_file
    (mail,) = world.last()
    assert windows(mail) == windows(first)
    assert "It replaces the link in earlier mails." in mail.text


def test_a_lost_ledger_is_rebuilt_from_a_batch_of_links(
    tmp_path: Path, invites: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest message of each, be it about one date: then SEQUENCE goes on above it."""
    monkeypatch.chdir(tmp_path)
    world = world_of(tmp_path, "occurrence")
    world.send(*rows("ada"))
    world.now = FIRST - timedelta(hours=20)
    assert woken(world) is not None
    for file in tmp_path.glob("invites.db*"):
        file.unlink()
    manifest = str(world.batch_folders()[-1] / "manifest.csv")
    now = ("--now", "2031-03-02T20:00:00Z", "--to", "folder", "--new-ledger")
    name = world.write(*rows("ada"))
    answer = invites("send", name, "--record-only", manifest, *now)
    assert answer.code == Exit.DONE, answer.err
    world.now = FIRST - timedelta(hours=10)
    assert world.send(*rows("ada")).plan.actions == ()
    world.now = FIRST + WEEK - timedelta(hours=20)
    assert woken(world) is not None
    assert world.last()[0].sequence == 2
