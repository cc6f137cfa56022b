"""Cut rosters, lost ledgers, dropped columns, parts and other scopes: nobody is mailed wrongly."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from invites import ledger
from invites import settings as settings_package
from invites.errors import RosterRefusedError
from invites.ledger import Ledger
from invites.roster.source import demand_whole, read_roster
from invites.sending import Renderer, SendOptions, planned, policy_from
from tests.peers.postgresql import PostgreSQL
from tests.peers.smtp_server import ScriptedServer
from tests.support import Answer
from tests.system.world import ProcessWorld

NIGHT = datetime(2031, 2, 1, 2, 15, tzinfo=UTC)
DAY = timedelta(days=1)
ROSTER = """\
meeting_id,title,start,end,name,email,description
standup,Standup,2031-03-01 09:00,2031-03-01 09:30,Ada Example,ada@example.org,"Bring
coffee, ""black"" or white
"
standup,Standup,2031-03-01 09:00,2031-03-01 09:30,Björn Example,bob@example.org,
review,Review,2031-03-02 09:00,2031-03-02 09:30,Cy Example,cy@example.org,
review,Review,2031-03-02 09:00,2031-03-02 09:30,Di Example,di@example.org.example.com,
wrap-up,Wrap-up,2031-03-03 09:00,2031-03-03 09:30,Ed Example,ed@example.org,
wrap-up,Wrap-up,2031-03-03 09:00,2031-03-03 09:30,Flo Example,flo@example.org,
"""
Call = Callable[..., Answer]


@dataclass
class Nights:
    """A world that sends into its outbox every night."""

    world: ProcessWorld
    call: Call
    night: datetime = NIGHT

    def send(self, roster: str | bytes, *flags: str) -> Answer:
        """Send this roster, a night after the last time."""
        self.night += DAY
        folder = self.world.folder
        octets = roster.encode() if isinstance(roster, str) else roster
        (folder / "roster.csv").write_bytes(octets)
        moment = self.night.isoformat()
        return self.call(
            *("send", folder / "roster.csv", "--config", folder / "invites.toml"),
            *("--to", "folder", "--now", moment, *flags),
        )

    def mails(self) -> Counter[tuple[str, str]]:
        """Return (METHOD, address) of every message in the outbox."""
        found: Counter[tuple[str, str]] = Counter()
        for path in self.world.folder.glob("outbox/*/manifest.csv"):
            with path.open(encoding="utf-8", newline="") as file:
                found.update((row["method"], row["email"]) for row in csv.DictReader(file))
        return found


@pytest.fixture
def nights(tmp_path: Path, invites: Call) -> Nights:
    """Give a world with an empty ledger."""
    return Nights(ProcessWorld.ready(tmp_path / "world", roster=ROSTER, sections=""), invites)


@dataclass(frozen=True)
class Planner:
    """Plans a night with whatever the roster's file holds, without the command around it."""

    folder: Path
    settings: settings_package.Settings
    factory: Renderer
    opened: Ledger

    def actions(self, octets: bytes) -> list[str] | None:
        """Return whom that night would mail; None where the roster is refused."""
        path = self.folder / "roster.csv"
        path.write_bytes(octets)
        options = SendOptions(
            scope="default",
            command="send",
            delivery="folder",
            policy=policy_from(self.settings, to="folder"),
        )
        now = NIGHT + 2 * DAY
        try:
            roster = read_roster(
                str(path), self.settings.roster_rules(), skip_invalid=False, now=now
            )
            demand_whole(roster, accepted=False)
            plan = planned(roster, self.factory, self.opened, options, now=now)
        except RosterRefusedError:
            return None
        return [action.attendee.address for action in plan.actions]


@pytest.fixture
def planner(nights: Nights) -> Iterator[Planner]:
    """Give a planner on the ledger of the nights."""
    folder = nights.world.folder
    loaded = settings_package.load(folder / "invites.toml", environ={})
    with ledger.open_ledger(nights.world.ledger_url, lock=False) as opened:
        yield Planner(folder, loaded, Renderer.from_settings(loaded), opened)


@pytest.mark.parametrize("line_end", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_a_roster_cut_at_any_byte_on_one_night_mails_nobody(
    line_end: str, nights: Nights, planner: Planner
) -> None:
    """It is refused, or it ends with a row and the missing ones are waited for."""
    whole = ROSTER.replace("\n", line_end).encode()
    assert nights.send(whole).code == 0
    assert len(nights.mails()) == 6
    plans = [planner.actions(whole[:length]) for length in range(len(whole))]
    mailed = {length: plan for length, plan in enumerate(plans) if plan}
    assert mailed == {}
    assert plans.count([]) == 5, "a cut after each row but the last leaves a roster"
    assert planner.actions(whole) == []


def test_a_roster_cut_on_one_night_is_made_up_for_by_the_next(nights: Nights) -> None:
    """Cut here and there, whole in between: six invitations, and nothing else ever."""
    nights.send(ROSTER)
    row_ends = [at + 1 for at, char in enumerate(ROSTER) if char == "\n"]
    for length in (10, *row_ends[4:-1:2], len(ROSTER) - 9, len(ROSTER) - 1):
        assert nights.send(ROSTER[:length]).code in {0, 3, 6}
        assert nights.send(ROSTER).code == 0
    assert set(nights.mails().values()) == {1}
    assert {method for method, _ in nights.mails()} == {"REQUEST"}


LEDGERS = (
    pytest.param("sqlite", id="SQLite"),
    pytest.param("postgresql", id="PostgreSQL", marks=pytest.mark.peer("postgresql")),
)


@pytest.mark.parametrize("backend", LEDGERS)
def test_a_lost_ledger_is_an_error_and_mails_nobody(
    backend: str, tmp_path: Path, invites: Call, request: pytest.FixtureRequest
) -> None:
    """Exit 5 and no new ledger in its place, as often as it is tried."""
    url = ""
    if backend == "postgresql":
        server: PostgreSQL = request.getfixturevalue("postgresql")
        url = server.url()
    nights = Nights(
        ProcessWorld.ready(tmp_path / "world", roster=ROSTER, sections="", ledger_url=url), invites
    )
    assert nights.send(ROSTER).code == 0
    lose(nights.world)
    for _ in range(2):
        answer = nights.send(ROSTER)
        assert answer.code == 5, answer.err
        assert "found no ledger" in answer.err
        assert "--new-ledger" in answer.err
    assert set(nights.mails().values()) == {1}
    assert not (nights.world.folder / "invites.db").exists()


def lose(world: ProcessWorld) -> None:
    """Take the ledger away as an accident would."""
    if world.ledger_url.startswith("sqlite"):
        (world.folder / "invites.db").unlink()
        return
    world.drop_tables()


@pytest.mark.parametrize("rest", [b"", b"not a ledger at all\n" * 300], ids=["empty", "other"])
def test_a_ledger_that_is_none_any_more_is_an_error(rest: bytes, nights: Nights) -> None:
    """A file that was cut to nothing, or overwritten, is not taken for a new ledger."""
    nights.send(ROSTER)
    (nights.world.folder / "invites.db").write_bytes(rest)
    assert nights.send(ROSTER).code == 5
    assert set(nights.mails().values()) == {1}


def table(count: int, *, room: bool) -> str:
    """Return a roster of so many attendees, with or without the room column."""
    head = "meeting_id,title,start,end,name,email" + (",room" if room else "")
    lines = (
        f"m{number // 5},Meeting,2031-03-01 09:00,2031-03-01 10:00,A {number},a{number}@example.org"
        + (f",Room{number // 5}" if room else "")
        for number in range(count)
    )
    return "\n".join((head, *lines, ""))


def test_a_dropped_room_column_sends_no_update_without_a_yes(nights: Nights) -> None:
    """Exit 6; with the column back nothing happens; with the digest everybody is updated."""
    whole, without = table(25, room=True), table(25, room=False)
    assert nights.send(whole).code == 0
    refused = nights.send(without)
    assert refused.code == 6
    assert "--accept" in refused.err
    assert len(nights.mails()) == nights.mails().total() == 25
    assert nights.send(whole).code == 0
    assert nights.mails().total() == 25
    digest = refused.err.split("--accept ")[1].split()[0].strip("`'\".,;")
    accepted = nights.send(without, "--accept", digest)
    assert accepted.code == 0, accepted.err
    assert nights.mails().total() == 50


def test_a_part_that_is_sent_by_hand_withdraws_nobody(nights: Nights) -> None:
    """--partial speaks only for what it holds, however often it is sent."""
    nights.send(ROSTER)
    part = "".join(ROSTER.splitlines(keepends=True)[:5])
    for _ in range(3):
        assert nights.send(part, "--partial").code == 0
    assert {method for method, _ in nights.mails()} == {"REQUEST"}
    assert nights.mails().total() == 6


def test_one_scope_says_nothing_of_another(nights: Nights) -> None:
    """Two rosters on one ledger: neither misses what the other one has."""
    lines = ROSTER.splitlines(keepends=True)
    ours, theirs = "".join((*lines[:5], *lines[5:7])), "".join((lines[0], *lines[7:]))
    for _ in range(3):
        assert nights.send(ours, "--scope", "ours").code == 0
        assert nights.send(theirs, "--scope", "theirs").code == 0
    assert {method for method, _ in nights.mails()} == {"REQUEST"}
    assert nights.mails().total() == 6


def test_a_disk_without_room_for_the_plan_is_noticed_before_anything_goes_out(
    tmp_path: Path,
) -> None:
    """No file may grow past the ledger's size: exit 1 in words, and the next run sends all."""
    with ScriptedServer() as server:
        world = ProcessWorld.ready(
            tmp_path / "world",
            roster=ROSTER,
            sections=f'[smtp]\nhost = "127.0.0.1"\nport = {server.port}\nsecurity = "none"\n',
        )
        limited = replace(world, largest_file=20_000)
        first = limited.run(*world.send("--to", "smtp"))
        assert first.code == 1, first.err
        assert "invites.db" in first.err
        assert "unexpected" not in first.err
        assert server.accepted == []
        second = world.run(*world.send("--to", "smtp"))
        assert second.code == 0, second.err
        assert len(server.ids()) == len(set(server.ids())) == 6
