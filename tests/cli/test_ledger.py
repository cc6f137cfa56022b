"""`invites ledger copy`, `--after-restore` and `invites forget`, as people use them."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import Answer
from tests.world import ADA, BOB, EVE, CommandWorld

Invites = Callable[..., Answer]


@pytest.fixture
def world(invites: Invites, tmp_path: Path) -> CommandWorld:
    """Give a world that has invited Ada and Bob."""
    world = CommandWorld.ready(invites, tmp_path)
    world.send([ADA, BOB])
    return world


def test_a_copied_ledger_knows_who_was_invited(world: CommandWorld) -> None:
    """With the settings' url changed, nothing is new; a second copy over it is refused."""
    answer = world.invites("ledger", "copy", f"sqlite:///{world.folder / 'other.db'}", "--json")
    assert (answer.code, answer.document()["action"]) == (0, "copy")
    assert answer.document()["rows"] > 6
    again = world.invites("ledger", "copy", f"sqlite:///{world.folder / 'other.db'}")
    assert (again.code, "found runs" in again.err) == (5, True)
    world.url = "sqlite:///other.db"
    world.write_settings()
    assert "0 new, 0 updated" in world.plan([ADA, BOB]).out


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("other.db", "no url"),
        ("mysql://db.example.org/x", '"mysql"'),
        ("postgresql+psycopg://a:hunter2@db.example.org/x", "found a password"),
    ],
)
def test_where_nothing_can_be_copied_to_is_wrong_usage(
    world: CommandWorld, url: str, words: str
) -> None:
    """Exit 2, and no part of a password is shown."""
    answer = world.invites("ledger", "copy", url)
    assert (answer.code, words in answer.err) == (2, True)
    assert "hunter2" not in answer.err


def old_copy_put_back(world: CommandWorld) -> int:
    """Put back the ledger as it was before two updates; returns the SEQUENCE that they reached."""
    older = (world.folder / "invites.db").read_bytes()
    for end in ("10:00", "10:15"):
        world.send([ADA.replace("09:30", end), BOB.replace("09:30", end)])
    (world.folder / "invites.db").write_bytes(older)
    return max(mail.sequence for mail in world.last())


def test_an_older_copy_of_the_ledger_stops_send_and_plan(world: CommandWorld) -> None:
    """Exit 5, what to do, and nothing goes out; history and doctor say so too."""
    old_copy_put_back(world)
    batches = len(world.batches())
    rows = [ADA.replace("09:30", "10:45"), BOB.replace("09:30", "10:45")]
    for answer in (world.send(rows), world.plan(rows), world.invites("history")):
        assert (answer.code, "--after-restore" in answer.err) == (5, True)
    assert len(world.batches()) == batches


def test_a_folder_that_came_back_with_its_mark_is_known_by_the_newer_batches(
    world: CommandWorld,
) -> None:
    """The mark beside it says nothing then; each batch has one of its own."""
    names = ("invites.db", "invites.db.mark")
    older = {name: (world.folder / name).read_bytes() for name in names}
    world.send([ADA.replace("09:30", "10:00"), BOB.replace("09:30", "10:00")])
    for name, octets in older.items():
        (world.folder / name).write_bytes(octets)
    used, batch = max(mail.sequence for mail in world.last()), world.batch_folders()[-1].name
    rows = [ADA.replace("09:30", "10:45"), BOB.replace("09:30", "10:45")]
    for answer in (world.send(rows), world.plan(rows), world.send(rows, "--dry-run")):
        assert answer.code == 5
        assert f"as it was before batch {batch} of the outbox was made" in answer.err
        assert "--after-restore" in answer.err
    assert world.send(rows, "--after-restore").code == 0
    assert world.last()[0].sequence > used
    assert world.send(rows).code == 0


def test_a_batch_of_another_ledger_is_no_alarm(world: CommandWorld) -> None:
    """Two ledgers may share an outbox."""
    for end in ("10:00", "10:15"):
        world.send([ADA.replace("09:30", end), BOB.replace("09:30", end)])
    world.url = f"sqlite:///{world.folder / 'other.db'}"
    world.write_settings()
    world.make_ledger()
    assert world.send([EVE]).code == 0


def test_after_a_restore_calendars_take_what_is_sent(world: CommandWorld) -> None:
    """Above the SEQUENCE of all that was sent; then the ledger is the latest again."""
    used = old_copy_put_back(world)
    rows = [ADA.replace("09:30", "10:45"), BOB.replace("09:30", "10:45"), EVE]
    assert "1 new, 2 updated" in world.plan(rows, "--after-restore").out
    planned = json.loads(world.plan(rows, "--after-restore", "--json").out)["actions"]
    assert world.send(rows, "--after-restore").code == 0
    assert {one["email"]: one["sequence"] for one in planned} == {
        mail.to: mail.sequence for mail in world.last()
    }
    assert {mail.to for mail in world.last()} == {
        "ada@example.org",
        "bob@example.org",
        "eve@example.org",
    }
    assert all(mail.sequence > used for mail in world.last())
    assert world.send(rows).code == 0
    assert world.history()["runs"][0]["counts"]["kept"] == 3


def test_a_job_on_an_older_ledger_is_refused_and_sends_above_after_a_restore(
    invites: Invites, tmp_path: Path
) -> None:
    """Exit 5 and nothing goes out; with `--after-restore` calendars take what is sent."""
    job = '\n[[job]]\nname = "nightly"\nroster = "roster.csv"\nat = "02:15"\n'
    world = CommandWorld.ready(invites, tmp_path, job)

    def night(day: int, end: str, *flags: str) -> Answer:
        world.write(ADA.replace("09:30", end), BOB.replace("09:30", end))
        now = f"2031-02-{day:02}T02:20:00Z"
        return world.invites("run", "--now", now, "--to", "folder", *flags)

    night(1, "09:30")  # the job is only taken note of
    assert night(2, "09:30").code == 0
    older = (tmp_path / "invites.db").read_bytes()
    assert [night(3, "10:00").code, night(4, "10:15").code] == [0, 0]
    used, batches = max(mail.sequence for mail in world.last()), len(world.batches())
    (tmp_path / "invites.db").write_bytes(older)

    refused = night(5, "10:45")
    assert (refused.code, "--after-restore" in refused.err) == (5, True)
    assert len(world.batches()) == batches
    assert night(5, "10:45", "--after-restore").code == 0
    assert {mail.to for mail in world.last()} == {"ada@example.org", "bob@example.org"}
    assert all(mail.sequence > used for mail in world.last())
    assert night(6, "10:45").code == 0
    assert len(world.batches()) == batches + 1


def test_a_flipped_ledger_ends_plan_and_send_before_anything(world: CommandWorld) -> None:
    """Exit 5 for what was changed behind our back, though SQLite finds it sound."""
    connection = sqlite3.connect(world.folder / "invites.db")
    with connection:
        connection.execute("UPDATE meetings SET uid = 'other'")
    connection.close()
    batches = len(world.batches())
    rows = [ADA, BOB, EVE]
    for answer in (world.send(rows), world.plan(rows), world.send(rows, "--dry-run")):
        assert (answer.code, "damaged" in answer.err) == (5, True)
    assert len(world.batches()) == batches
    assert json.loads(world.invites("history", "--json").out)["runs"]


def test_old_batches_go_at_each_run_that_of_another_delivery_too(world: CommandWorld) -> None:
    """They hold live links; a run with nothing to send removes them, and what a killed one left."""
    outbox = world.folder / "outbox"
    (batch,) = outbox.iterdir()
    left = outbox / ".invites-new-20310101T000000Z"
    left.mkdir()
    past = time.time() - 31 * 24 * 3600
    for path in (left, batch / "manifest.csv"):
        os.utime(path, (past, past))
    world.invites("send", world.write(ADA, BOB), "--accept-clock")
    assert not batch.exists()
    assert not left.exists()


def test_nobody_is_forgotten_while_an_invitation_stands(world: CommandWorld) -> None:
    """Exit 2, the meeting and what to do first; nothing is erased."""
    answer = world.invites("forget", "bob@example.org")
    assert answer.code == 2
    assert 'an invitation stands for this person in "standup"; withdraw it first' in answer.err
    assert len(world.history("--email", "bob@example.org")["messages"]) == 1


def test_who_was_withdrawn_is_erased_and_stays_in_order(world: CommandWorld) -> None:
    """Not a byte of the address is left, and a later invitation is above the CANCEL."""
    world.send([ADA], "--withdraw-now")
    answer = world.invites("forget", "BOB@example.org", "--json")
    assert answer.code == 0
    document = answer.document()
    assert (document["invitations"], document["messages"]) == (1, 2)
    assert b"bob@example.org" not in world.ledger_bytes()
    assert world.history("--email", "bob@example.org")["messages"] == []
    world.send([ADA, BOB])
    assert [mail.brief for mail in world.last()] == [("bob@example.org", "REQUEST", 2)]


def test_a_stranger_is_no_error(world: CommandWorld) -> None:
    """And it is said that there was nothing."""
    answer = world.invites("forget", "nobody@example.org")
    assert (answer.code, "had nothing of this person" in answer.out) == (0, True)


def test_an_address_that_is_none_is_wrong_usage(world: CommandWorld) -> None:
    """Exit 2."""
    assert world.invites("forget", "bob").code == 2


JOB = """
[[job]]
name = "nightly"
roster = "nightly/*.csv"
at = "02:15"
"""


def test_nobody_is_forgotten_whom_a_jobs_roster_still_has(world: CommandWorld) -> None:
    """The next night would invite them anew."""
    world.send([ADA], "--withdraw-now")
    config = world.folder / "invites.toml"
    config.write_text(config.read_text() + JOB)
    (world.folder / "nightly").mkdir()
    name = world.write(ADA, BOB, name="nightly/today.csv")
    answer = world.invites("forget", "bob@example.org")
    assert answer.code == 2
    assert 'the roster of job "nightly" still expects this person' in answer.err
    world.write(ADA, name=name)
    assert world.invites("forget", "bob@example.org").code == 0


def test_nobody_is_forgotten_whom_a_roster_with_brackets_in_its_name_still_has(
    world: CommandWorld,
) -> None:
    """`a[1].csv` is that very file for `run`, and so it is for `forget`."""
    world.send([ADA], "--withdraw-now")
    config = world.folder / "invites.toml"
    config.write_text(config.read_text() + JOB.replace("*.csv", "a[1].csv"))
    (world.folder / "nightly").mkdir()
    world.write(ADA, BOB, name="nightly/a[1].csv")
    answer = world.invites("forget", "bob@example.org")
    assert (answer.code, "still expects this person" in answer.err) == (2, True)
