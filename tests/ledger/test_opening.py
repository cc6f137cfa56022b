"""Making, opening and locking a ledger: what is refused, and in which words."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from invites import ledger
from invites.errors import LedgerError, StorageError, TryAgainError
from invites.ledger import Ledger, schema
from invites.ledger.history import past_messages
from invites.ledger.jobs import job_state
from invites.ledger.runs import begin_run
from tests.ledger.test_recording import ADA, START, carry_out, found
from tests.peers.planning import NOW, State, World, attendee, meeting
from tests.peers.postgresql import PostgreSQL

VERSION_0 = Path(__file__).with_name("version_0.sql")


def mode(path: Path) -> int:
    """Return the permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


def test_a_missing_ledger_is_an_error_that_names_the_flag(url: str) -> None:
    """Never silently a new one: everybody would be invited twice."""
    assert not ledger.exists(url)
    with pytest.raises(LedgerError, match="--new-ledger"), ledger.open_ledger(url, lock=False):
        pass
    assert not ledger.exists(url)


def test_a_ledger_is_never_made_over_another(url: str) -> None:
    """Making one where there is one is refused, and the old one stays."""
    ledger.create(url)
    with ledger.open_ledger(url, lock=True) as one:
        begin_run(one, START, now=NOW)
    with pytest.raises(LedgerError, match="already"):
        ledger.create(url)
    with ledger.open_ledger(url, lock=True) as one:
        assert begin_run(one, START, now=NOW).endswith("-2")


def test_the_second_writer_is_sent_away_and_readers_are_not(url: str) -> None:
    """Two runs at once: the second is told to come again; `plan` needs no lock."""
    ledger.create(url)
    with ledger.open_ledger(url, lock=True):
        with pytest.raises(TryAgainError, match="lock"), ledger.open_ledger(url, lock=True):
            pass
        with ledger.open_ledger(url, lock=False) as reader:
            assert found(reader, World()).meetings == {}
    with ledger.open_ledger(url, lock=True):
        pass


def test_a_newer_schema_is_refused(url: str) -> None:
    """A ledger that a newer version wrote is not touched."""
    ledger.create(url)
    with ledger.open_ledger(url, lock=True) as one, one.writing() as connection:
        connection.execute(
            text("UPDATE meta SET value = :version WHERE name = 'schema_version'"),
            {"version": str(schema.SCHEMA_VERSION + 1)},
        )
    for lock in (True, False):
        with pytest.raises(LedgerError, match="newer version"), ledger.open_ledger(url, lock=lock):
            pass


def test_an_older_schema_is_brought_up_to_date_and_keeps_what_it_has(url: str) -> None:
    """A ledger of version 0 opens, is migrated, and knows who was invited."""
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in VERSION_0.read_text(encoding="utf-8").split(";\n"):
            if statement.strip():
                connection.execute(text(statement))
    engine.dispose()
    with pytest.raises(LedgerError, match="version 0"), ledger.open_ledger(url, lock=False):
        pass
    with ledger.open_ledger(url, lock=True) as one:
        entry = found(one, World()).meetings["m"].entries[ADA]
        assert entry.standing is not None
        assert (entry.standing.sequence, entry.standing.state) == (3, "sent")
        assert job_state(one, "nightly") is None
    with ledger.open_ledger(url, lock=False) as one:
        assert found(one, World()).meetings["m"].entries[ADA].invited


def test_a_ledger_of_version_4_learns_of_messages_about_one_date(url: str) -> None:
    """Its columns come to both tables of invitations and to the log, and what stands still does."""
    world = World().put(meeting("m", attendee("Ada")))
    ledger.create(url)
    with ledger.open_ledger(url, lock=True) as one:
        carry_out(one, world, world.plan(), lambda _: State.SENT)
    engine = create_engine(url)
    with engine.begin() as connection:
        for table in ("invitations", "past_invitations"):
            for column in ("standing_date", "pending_date"):
                connection.execute(text(f"ALTER TABLE {table} DROP COLUMN {column}"))
        connection.execute(text("ALTER TABLE messages DROP COLUMN date"))
        connection.execute(text("UPDATE meta SET value = '4' WHERE name = 'schema_version'"))
    engine.dispose()
    with ledger.open_ledger(url, lock=True) as one:
        standing = found(one, world).meetings["m"].entries[ADA].standing
        assert standing is not None
        assert (standing.state, standing.date) == (State.SENT, None)
        assert [each.date for each in past_messages(one)] == [None]


def test_no_umask_lets_others_read_the_ledger(tmp_path: Path) -> None:
    """The file, its log, its shared memory, its lock and its mark are 0600 under umask 000."""
    path = tmp_path / "invites.db"
    old = os.umask(0)
    try:
        ledger.create(f"sqlite:///{path}")
        with ledger.open_ledger(f"sqlite:///{path}", lock=True) as one:
            world = World().put(meeting("m", attendee("Ada")))
            carry_out(one, world, world.plan(), lambda _: State.SENT)
            modes = {each.name: mode(each) for each in tmp_path.iterdir()}
    finally:
        os.umask(old)
    assert modes == {
        "invites.db": 0o600,
        "invites.db-wal": 0o600,
        "invites.db-shm": 0o600,
        "invites.db.lock": 0o600,
        "invites.db.mark": 0o600,
    }


def test_a_copy_that_came_back_readable_is_closed_again(tmp_path: Path) -> None:
    """A backup that was put back with 0644 is 0600 after the next run."""
    path = tmp_path / "invites.db"
    ledger.create(f"sqlite:///{path}")
    path.chmod(0o644)
    with ledger.open_ledger(f"sqlite:///{path}", lock=True):
        assert mode(path) == 0o600


def test_the_file_keeps_its_promises_to_disk(tmp_path: Path) -> None:
    """WAL, synchronous FULL and foreign keys hold for the connection that writes."""
    url = f"sqlite:///{tmp_path / 'invites.db'}"
    ledger.create(url)
    with ledger.open_ledger(url, lock=True) as one, one.reading() as connection:
        values = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert values == ["wal", 2, 1]


def test_what_is_no_ledger_is_refused_in_words(tmp_path: Path) -> None:
    """A file of something else, and a database of something else."""
    other = tmp_path / "notes.db"
    other.write_text("just some notes, and long enough to be no header of SQLite\n" * 20)
    with (
        pytest.raises(LedgerError, match="sound"),
        ledger.open_ledger(f"sqlite:///{other}", lock=True),
    ):
        pass
    empty = tmp_path / "other.db"
    with sqlite3.connect(empty) as connection:
        connection.execute("CREATE TABLE things (name TEXT)")
    connection.close()
    with (
        pytest.raises(LedgerError, match="no ledger"),
        ledger.open_ledger(f"sqlite:///{empty}", lock=True),
    ):
        pass


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """No ledger can be made in a folder that does not exist."""
    path = tmp_path / "missing" / "invites.db"
    with pytest.raises(StorageError, match="missing"):
        ledger.create(f"sqlite:///{path}")


def test_another_programs_transaction_means_try_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger that is locked beyond our patience is noticed before anything goes out."""
    monkeypatch.setattr("invites.ledger.database.BUSY_TIMEOUT_SECONDS", 0.1)
    path = tmp_path / "invites.db"
    ledger.create(f"sqlite:///{path}")
    with ledger.open_ledger(f"sqlite:///{path}", lock=True) as one:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(TryAgainError, match="locked"):
            begin_run(one, START, now=NOW)
        other.close()
        assert begin_run(one, START, now=NOW)


def test_a_full_disk_is_a_storage_error_and_writes_nothing(tmp_path: Path) -> None:
    """SQLite's own limit stands in for the disk: the plan is refused as a whole."""
    url = f"sqlite:///{tmp_path / 'invites.db'}"
    ledger.create(url)
    with ledger.open_ledger(url, lock=True) as one:
        world = World().put(meeting("m", attendee("Ada"), description="x" * 200_000))
        with one.reading() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(StorageError, match="full"):
            carry_out(one, world, world.plan(), lambda _: State.SENT)
        assert found(one, world).meetings == {}


WRITER = """
import sys
from invites import ledger
with ledger.open_ledger(sys.argv[1], lock=True) as one, one.writing() as connection:
    connection.exec_driver_sql("DELETE FROM invitations")
    print("in the middle", flush=True)
    sys.stdin.read()
"""


def test_a_writer_that_is_killed_leaves_nothing_half_done_and_no_lock(url: str) -> None:
    """SIGKILL within a transaction: the next run opens at once and finds all as before."""
    ledger.create(url)
    world = World().put(meeting("m", attendee("Ada")))
    with ledger.open_ledger(url, lock=True) as one:
        carry_out(one, world, world.plan(), lambda _: State.SENT)
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"in the middle\n"
        with pytest.raises(TryAgainError), ledger.open_ledger(url, lock=True):
            pass
        process.kill()
    _soon(url, world)


def _soon(url: str, world: World) -> None:
    """Open as soon as the server has seen that its client is gone."""
    for _ in range(50):
        try:
            with ledger.open_ledger(url, lock=True) as one:
                assert found(one, world).meetings["m"].entries[ADA].invited
                return
        except TryAgainError:
            time.sleep(0.1)
    pytest.fail("the lock of a killed writer was never given back")


@pytest.mark.peer("postgresql")
def test_a_server_that_is_down_means_try_again(tmp_path: Path) -> None:
    """No connection is no fault of the settings."""
    url = f"postgresql+psycopg://invites@/postgres?host={tmp_path}"
    with pytest.raises(TryAgainError, match="does not answer"), ledger.open_ledger(url, lock=True):
        pass


@pytest.mark.peer("postgresql")
@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://invites@/postgres?host={}/role password database does not exist",
        "postgresql+psycopg://invites@/postgres?host={}/it's a role's password",
        "postgresql+psycopg://invites@role.password.invalid/postgres",
        "postgresql+psycopg://invites@localhost:1/the password does not exist",
        "postgresql+psycopg://password@127.0.0.1:1/role",
        "postgresql+psycopg://role@/password?host=localhost:1&host=role.password.invalid:2",
    ],
)
def test_names_are_not_taken_for_what_is_wrong_with_a_server(url: str, tmp_path: Path) -> None:
    """A folder, host, login or database may be called what libpq says of a refused login."""
    with (
        pytest.raises(TryAgainError, match="does not answer"),
        ledger.open_ledger(url.format(tmp_path), lock=True),
    ):
        pass


@pytest.fixture(scope="module")
def guarded(postgresql: PostgreSQL) -> PostgreSQL:
    """Give a server with roles and databases that don't let everybody in."""
    postgresql.execute(
        "CREATE ROLE asleep NOLOGIN",
        "CREATE ROLE crowd LOGIN CONNECTION LIMIT 0",
        "CREATE ROLE sealed LOGIN PASSWORD 'sesame'",
        "CREATE ROLE guest LOGIN",
        "CREATE DATABASE closed",
        "REVOKE CONNECT ON DATABASE closed FROM PUBLIC",
        'CREATE DATABASE "full role password" CONNECTION LIMIT 0',
    )
    postgresql.demand_passwords("sealed")
    return postgresql


@pytest.mark.peer("postgresql")
@pytest.mark.parametrize(
    ("login", "database", "words"),
    [
        ("nobody", "postgres", "the server refused the login"),
        ("asleep", "postgres", "the server refused the login"),
        ("sealed", "postgres", "the server refused the login"),
        ("sealed:wrong", "postgres", "the server refused the login"),
        ("guest", "closed", "the role lacks a privilege"),
        ("guest", "nowhere", "there is no such database"),
        ("guest", 'the "role" password', "there is no such database"),
        ("nobody", "database does not exist", "the server refused the login"),
    ],
)
def test_a_server_that_lets_nobody_in_is_a_fault_of_the_settings(
    guarded: PostgreSQL, login: str, database: str, words: str
) -> None:
    """No such role, none that may log in, no password or a wrong one, no privilege, no database."""
    url = guarded.url(database=database).replace("invites@", f"{login}@")
    with pytest.raises(LedgerError, match=words), ledger.open_ledger(url, lock=True):
        pass


@pytest.mark.peer("postgresql")
@pytest.mark.parametrize(
    ("login", "database"), [("crowd", "postgres"), ("guest", "full role password")]
)
def test_a_server_that_is_full_means_try_again(
    guarded: PostgreSQL, login: str, database: str
) -> None:
    """Too many connections for a role or for a database: no fault of the settings."""
    url = guarded.url(database=database).replace("invites@", f"{login}@")
    with pytest.raises(TryAgainError, match="does not answer"), ledger.open_ledger(url, lock=True):
        pass


@pytest.mark.peer("postgresql")
def test_a_writer_whose_connection_broke_writes_no_more(postgresql: PostgreSQL) -> None:
    """Its lock went with the connection; it never connects anew beside one who has the lock now."""
    url = postgresql.url()
    ledger.create(url)
    with ledger.open_ledger(url, lock=True) as first:
        with first.reading() as connection:
            own = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        postgresql.cut(own)
        with pytest.raises(TryAgainError, match="does not answer"):
            begin_run(first, START, now=NOW)
        with ledger.open_ledger(url, lock=True) as second:
            for _ in range(2):
                with pytest.raises(TryAgainError, match="its lock is lost"):
                    begin_run(first, START, now=NOW)
            assert begin_run(second, START, now=NOW)


@pytest.mark.peer("postgresql")
def test_a_database_that_is_not_there_is_a_fault_of_the_settings(postgresql: PostgreSQL) -> None:
    """A wrong name is named, not retried for ever; nor is a password shown."""
    url = postgresql.url(database="nowhere").replace("invites@", "invites:sesame@")
    with pytest.raises(LedgerError, match="database") as caught, ledger.open_ledger(url, lock=True):
        pass
    assert "sesame" not in str(caught.value)


def test_an_open_ledger_shows_no_password(opened: Ledger) -> None:
    """Its name is what messages say."""
    assert "password" not in opened.name
    assert opened.locked
