"""A SQLite ledger that is not the latest, not whole, or not the one that was opened."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from invites import ledger
from invites.errors import InvitesError, LedgerError, RecordKeptError, TryAgainError
from invites.ledger import Ledger
from invites.ledger.erase import expire, forget
from invites.ledger.history import past_runs
from invites.ledger.mark import HighWaterMark, mark_path, read_mark
from invites.ledger.runs import begin_run
from invites.ledger.write import record_plan
from tests.ledger.test_forgetting import send, withdrawn
from tests.ledger.test_recording import ADA, START, begun, found
from tests.peers.planning import DAY, HOUR, NOW, World, attendee, meeting
from tests.peers.postgresql import PostgreSQL
from tests.support import LEDGER_GOES

EVE = "eve@example.org"


@dataclass(frozen=True)
class Place:
    """A folder with a ledger, and copies of it."""

    folder: Path

    @property
    def path(self) -> Path:
        """The ledger's file."""
        return self.folder / "invites.db"

    @property
    def url(self) -> str:
        """The ledger as settings name it."""
        return f"sqlite:///{self.path}"

    @contextmanager
    def opened(self, *, lock: bool = True, after_restore: bool = False) -> Iterator[Ledger]:
        """Open the ledger."""
        with ledger.open_ledger(self.url, lock=lock, after_restore=after_restore) as one:
            yield one

    def sent(self, world: World) -> list[object]:
        """Send what there is to send."""
        with self.opened() as one:
            return send(one, world)

    def copy(self) -> bytes:
        """Return the ledger as a backup has it."""
        return self.path.read_bytes()

    def crashed(self, to: Path) -> Place:
        """Return a copy of all files as a crash leaves them."""
        to.mkdir()
        for path in self.folder.iterdir():
            if path.suffix != ".lock" and path.is_file():
                shutil.copy(path, to / path.name)
        return Place(to)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Give a folder with a new ledger."""
    folder = tmp_path / "place"
    folder.mkdir()
    place = Place(folder)
    ledger.create(place.url)
    return place


def later(world: World, days: int) -> World:
    """Move the meeting, a day after its last move."""
    return world.edit("m", start=NOW + (10 + days) * DAY)


def put_back(place: Place) -> World:
    """Return a world of which an older copy of the ledger was put back: three updates are lost."""
    world = World().put(meeting("m", attendee("Ada"), attendee("Bob")))
    place.sent(world)
    older = place.copy()
    for days in (1, 2, 3):
        place.sent(later(world, days))
    place.path.write_bytes(older)
    return world


@pytest.mark.parametrize("lock", [True, False])
def test_an_older_copy_is_noticed_whoever_opens_it(place: Place, lock: bool) -> None:  # noqa: FBT001
    """Calendars would ignore what is sent by it."""
    put_back(place)
    with pytest.raises(LedgerError, match=r"older copy was put back.*--after-restore"):  # noqa: SIM117
        with place.opened(lock=lock):
            pass


def test_after_a_restore_all_is_sent_above_what_may_have_been_used(place: Place) -> None:
    """To those whom the copy knows, and to those who were invited after it was made."""
    world = put_back(place)
    used = read_mark(place.path)
    assert used is not None
    assert used.sequence == 3
    later(world, 4).edit("m", attendees=(attendee("Ada"), attendee("Bob"), attendee("Eve")))
    with place.opened(after_restore=True) as one:
        snapshot = found(one, world)
        world.states, world.shared = dict(snapshot.meetings), dict(snapshot.meeting_facts)
        world.forgotten = snapshot.forgotten
        plan = world.plan()
    assert {action.attendee.address for action in plan.actions} == {ADA, "bob@example.org", EVE}
    for action in plan.actions:
        assert action.revision.sequence > used.sequence
        assert action.revision.dtstamp.timestamp() > used.dtstamp
    assert place.sent(world)
    assert place.sent(world) == []


def test_a_restore_that_no_mark_tells_of_goes_far_beyond(place: Place) -> None:
    """The whole folder came back: nobody knows how far the lost ledger had come."""
    world = World().put(meeting("m", attendee("Ada")))
    place.sent(world)
    mark_path(place.path).unlink()
    with place.opened(after_restore=True):
        pass
    assert place.sent(later(world, 1)) == [(ADA, "update", 101)]


def test_a_new_ledger_in_the_place_of_one_sends_above_it(place: Place) -> None:
    """The mark outlives the file: who was invited before takes the new invitation."""
    world = World().put(meeting("m", attendee("Ada")))
    place.sent(world)
    place.sent(later(world, 1))
    place.path.unlink()
    ledger.create(place.url)
    assert place.sent(world) == [(ADA, "invitation", 2)]


def test_another_ledger_in_the_place_is_noticed(place: Place, tmp_path: Path) -> None:
    """An empty one would invite everybody anew."""
    place.sent(World().put(meeting("m", attendee("Ada"))))
    ledger.create(f"sqlite:///{tmp_path / 'other.db'}")
    shutil.copy(tmp_path / "other.db", place.path)
    with pytest.raises(LedgerError, match="another ledger"), place.opened():
        pass


def test_a_mark_that_is_behind_or_gone_is_no_alarm(place: Place) -> None:
    """A run that was killed after its commit, and a ledger that moved to another machine."""
    world = World().put(meeting("m", attendee("Ada")))
    place.sent(world)
    behind = mark_path(place.path).read_bytes()
    place.sent(later(world, 1))
    mark_path(place.path).write_bytes(behind)
    assert place.sent(later(world, 2)) == [(ADA, "update", 2)]
    mark_path(place.path).unlink()
    assert place.sent(later(world, 3)) == [(ADA, "update", 3)]
    mark = read_mark(place.path)
    assert isinstance(mark, HighWaterMark)
    assert mark.sequence == 3


def test_a_damaged_mark_is_an_error_that_names_it(place: Place) -> None:
    """Nothing is concluded from it."""
    place.sent(World().put(meeting("m", attendee("Ada"))))
    mark_path(place.path).write_bytes(mark_path(place.path).read_bytes().replace(b"00", b"01", 1))
    with pytest.raises(LedgerError, match=r"invites\.db\.mark"), place.opened():
        pass
    with place.opened(after_restore=True):
        pass
    with place.opened():
        pass


@pytest.mark.parametrize("deed", LEDGER_GOES)
def test_a_ledger_that_goes_in_mid_run_stops_it_at_the_next_commit(
    place: Place, deed: Callable[[Path], None]
) -> None:
    """What is written from then on would be in no file."""
    with place.opened() as one:
        begin_run(one, START, now=NOW)
        deed(place.path)
        with pytest.raises(LedgerError, match="deleted or replaced"):
            begin_run(one, START, now=NOW)
        with pytest.raises(LedgerError, match="deleted or replaced"):
            begin_run(one, START, now=NOW)


def busy_place(place: Place, to: Path) -> tuple[World, Place]:
    """Return a world, and its ledger as a crash leaves it: half in the file, half in the log."""
    world = World().put(
        *(meeting(f"m{n}", attendee("Ada"), attendee("Bob")) for n in range(12)),
    )
    place.sent(world)
    with place.opened() as one:
        world.edit("m1", start=NOW + 11 * DAY)
        send(one, world)
        return world, place.crashed(to)


def test_a_log_that_was_cut_is_noticed(place: Place, tmp_path: Path) -> None:
    """Wherever it is cut: all that was committed is there, or the ledger is refused."""
    world, crashed = busy_place(place, tmp_path / "crashed")
    log = Path(f"{crashed.path}-wal").read_bytes()
    assert len(log) > 20_000
    seen: Counter[str] = Counter()
    for number, length in enumerate(range(0, len(log) + 1, len(log) // 24)):
        copy = crashed.crashed(tmp_path / f"cut{number}")
        Path(f"{copy.path}-wal").write_bytes(log[:length])
        try:
            with copy.opened() as one:
                assert found(one, world).meetings["m1"].entries[ADA].standing.sequence == 1
                seen["whole"] += 1
        except LedgerError as error:
            seen["noticed" if "end of its log" in str(error) else str(error)] += 1
    assert set(seen) <= {"whole", "noticed"}
    assert seen["noticed"] >= 20


FLIPS = 40
"""How many are tried of each file here; `make test-faults` has 400 more."""


def plan_by(place: Place, world: World) -> object:
    """Return what a run would send by this ledger, once it wrote down that it will."""
    with place.opened() as one:
        snapshot = found(one, world)
        world.states, world.shared = dict(snapshot.meetings), dict(snapshot.meeting_facts)
        world.forgotten = snapshot.forgotten
        plan = world.plan()
        begun(one, world)
        record_plan(one, plan)
        return [
            (action.uid, action.attendee.address, action.revision, action.draft.digest)
            for action in plan.actions
        ]


def flipped(place: Place, tmp_path: Path, suffix: str, flips: int) -> Counter[str]:
    """Return what becomes of plans by a ledger with one bit flipped, for so many bits."""
    world, crashed = busy_place(place, tmp_path / "crashed")
    if not suffix:  # all of it in the file
        with crashed.opened():
            pass
    world.edit("m2", start=NOW + 12 * DAY).wait(HOUR)
    expected = plan_by(crashed.crashed(tmp_path / "sound"), world)
    octets = Path(f"{crashed.path}{suffix}").read_bytes()
    randomness = random.Random(20310101)  # noqa: S311 - a sweep that can be repeated
    seen: Counter[str] = Counter()
    for number in range(flips):
        copy = crashed.crashed(tmp_path / f"flip{number}")
        changed = bytearray(octets)
        changed[randomness.randrange(len(octets))] ^= 1 << randomness.randrange(8)
        Path(f"{copy.path}{suffix}").write_bytes(changed)
        try:
            false = plan_by(copy, world) != expected
        except InvitesError as error:
            seen["noticed" if error.exit_code == 5 else str(error)] += 1
        else:
            seen["false" if false else "harmless"] += 1
        shutil.rmtree(copy.folder)
    return seen


@pytest.mark.parametrize("suffix", ["", "-wal"])
def test_a_flipped_bit_is_harmless_or_refused_and_never_a_message(
    place: Place, tmp_path: Path, suffix: str
) -> None:
    """In the file and in its log: the plan is the same, or the run ends before it begins."""
    seen = flipped(place, tmp_path, suffix, FLIPS)
    assert set(seen) <= {"noticed", "harmless"}, f"{FLIPS} flips of {suffix}: {seen}"
    assert seen["noticed"] >= FLIPS // 20


CHANGES = {
    "invitations": "UPDATE invitations SET standing_sequence = 7",
    "meetings": "UPDATE meetings SET scope = 'other'",
    "shared_facts": "UPDATE shared_facts SET facts = replace(facts, 'Meeting', 'Party')",
    "meta": "UPDATE meta SET value = '2020a' WHERE name = 'tz_version'",
}


@pytest.mark.parametrize("table", CHANGES)
def test_a_changed_value_is_refused_though_the_database_is_sound(url: str, table: str) -> None:
    """Whatever the database itself says of it: each row that decides has a checksum."""
    ledger.create(url)
    with ledger.open_ledger(url, lock=True) as one:
        send(one, World().put(meeting("m", attendee("Ada"))))
    _by_hand(url, CHANGES[table])
    damaged = pytest.raises(LedgerError, match=f"a row of {table} damaged")
    with ledger.open_ledger(url, lock=True) as one, damaged:
        begin_run(one, START, now=NOW)


def _by_hand(url: str, *statements: str) -> None:
    """Change a ledger as somebody who knows SQL would."""
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


def test_a_changed_row_of_the_past_is_refused_where_it_is_needed(url: str) -> None:
    """A meeting that was over comes again: what the ledger has of it is looked at only then."""
    world = World().put(meeting("m", attendee("Ada")))
    ledger.create(url)
    with ledger.open_ledger(url, lock=True) as one:
        send(one, world)
        expire(one, keep=400 * DAY, now=NOW + 20 * DAY)
    world.wait(20 * DAY).edit("m", start=world.now + 5 * DAY)
    _by_hand(url, "UPDATE past_invitations SET standing_sequence = 70")
    with ledger.open_ledger(url, lock=True) as one:
        begin_run(one, START, now=NOW)
        with pytest.raises(LedgerError, match="a row of past_invitations damaged"):
            found(one, world)


@pytest.mark.peer("postgresql")
def test_an_older_dump_in_postgresql_is_known_by_the_newer_batches(
    postgresql: PostgreSQL, tmp_path: Path
) -> None:
    """No mark lies beside a server; each batch that was delivered has one."""
    url, batch = postgresql.url(), tmp_path / "20310101T000000Z"
    batch.mkdir()
    ledger.create(url)
    world = World().put(meeting("m", attendee("Ada")))
    with ledger.open_ledger(url, lock=True, outbox=tmp_path) as one:
        send(one, world)
        older = one.mark_line()
        send(one, later(world, 1))
        (batch / "ledger.mark").write_bytes(one.mark_line())
    value = " ".join(str(int(number)) for number in older.split()[3:6])
    _by_hand(
        url,
        "SET invites.keeps_checksums = 'on'",
        f"UPDATE meta SET value = '{value}' WHERE name = 'mark'",  # noqa: S608 - numbers
    )
    with pytest.raises(LedgerError, match="before batch 20310101T000000Z"):  # noqa: SIM117
        with ledger.open_ledger(url, lock=True, outbox=tmp_path):
            pass
    with ledger.open_ledger(url, lock=True, outbox=tmp_path, after_restore=True) as one:
        assert send(one, later(world, 2)) == [(ADA, "update", 102)]
    with ledger.open_ledger(url, lock=True, outbox=tmp_path):
        pass


@pytest.mark.parametrize("name", ["invites.db", "invites.db.mark"])
def test_a_ledger_that_everybody_can_write_is_refused(place: Place, name: str) -> None:
    """It may be anybody's by now."""
    with place.opened() as one:
        begin_run(one, START, now=NOW)
    (place.folder / name).chmod(0o666)
    with pytest.raises(LedgerError, match="everybody can write"), place.opened():
        pass


MAKER = """
import resource, signal, sys
from invites import ledger
from invites.errors import StorageError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    ledger.create(sys.argv[1])
except StorageError as error:
    sys.exit(str(error))
"""


@pytest.mark.parametrize("room", [0, 100, 4096, 20_000, 60_000])
def test_a_disk_that_fills_while_a_ledger_is_made_keeps_nothing_of_it(
    tmp_path: Path, room: int
) -> None:
    """Not a file, so that the next --new-ledger makes one."""
    url = f"sqlite:///{tmp_path / 'invites.db'}"
    done = subprocess.run(
        [sys.executable, "-c", MAKER, url, str(room)], check=False, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith(str(tmp_path))
    assert list(tmp_path.iterdir()) == []
    ledger.create(url)


def test_nobody_is_forgotten_by_halves(place: Place) -> None:
    """A reader keeps the log alive: that is said, and the next call ends it."""
    with place.opened() as one:
        world = withdrawn(one)
        reader = sqlite3.connect(place.path, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM invitations").fetchone()
        with pytest.raises(TryAgainError, match="still reads"):
            forget(one, ADA, now=world.now)
        reader.close()
        forget(one, ADA, now=world.now)
        octets = b"".join(path.read_bytes() for path in place.folder.iterdir())
    assert b"ada@example.org" not in octets
    assert b"Ada" not in octets


def test_a_mark_that_cant_be_written_stops_the_run_and_loses_no_record(place: Place) -> None:
    """Without it the next restore would not be noticed; what was recorded stays recorded."""
    with place.opened() as one:
        mark_path(place.path).mkdir()
        with pytest.raises(RecordKeptError, match=r"invites\.db\.mark.*what was recorded is kept"):
            begin_run(one, START, now=NOW)
        assert len(past_runs(one)) == 1


def test_an_empty_mark_is_none(tmp_path: Path) -> None:
    """A disk that was full when the mark was to be made left an empty file, which says nothing."""
    (tmp_path / "invites.db.mark").touch()
    assert read_mark(tmp_path / "invites.db") is None
