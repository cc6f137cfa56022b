"""`invites send` as people and programs see it: who gets what, words, documents, exit codes."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine

from invites.ledger import open_ledger
from tests.peers.smtp_server import Fault, ScriptedServer
from tests.support import COMMAND, ROOT, Answer
from tests.world import ADA, BOB, EVE, CommandWorld, many, read_mail, smtp

Invites = Callable[..., Answer]


@pytest.fixture
def world(invites: Invites, tmp_path: Path) -> CommandWorld:
    """Give a world that delivers into a folder."""
    return CommandWorld.ready(invites, tmp_path)


@pytest.fixture
def relay() -> Iterator[ScriptedServer]:
    """Give a server that accepts everything."""
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def post(invites: Invites, tmp_path: Path, relay: ScriptedServer) -> CommandWorld:
    """Give a world that can send by mail."""
    return CommandWorld.ready(invites, tmp_path, smtp(relay))


def accepting(answer: Answer) -> list[str]:
    """Return the flags of the command that a refusal offers."""
    (line,) = [line for line in answer.err.splitlines() if "to accept: " in line]
    words = shlex.split(line.partition("to accept: ")[2])
    assert words[:5] == ["invites", "send", "--to", "folder", "roster.csv"]
    return words[5:]


def test_everybody_is_invited_once(world: CommandWorld) -> None:
    """By meeting start; the second run sends nothing, whatever the order of rows."""
    first = world.send([EVE, ADA, BOB])
    assert (first.code, first.err) == (0, "")
    (batch,) = (world.folder / "outbox").iterdir()
    assert f"3 of 3 messages sent (in the batch {batch})." in first.out
    second = world.send([BOB, EVE, ADA])
    assert (second.code, second.err) == (0, "")
    assert "Nothing to send." in second.out
    (batch,) = world.batches()
    assert [mail.brief for mail in batch] == [
        ("ada@example.org", "REQUEST", 0),
        ("bob@example.org", "REQUEST", 0),
        ("eve@example.org", "REQUEST", 0),
    ]


def test_a_ledger_that_is_not_there_is_an_error(invites: Invites, tmp_path: Path) -> None:
    """Exit 5, naming both ways to make one; nothing is sent and none is made."""
    world = CommandWorld.ready(invites, tmp_path, ledger=False)
    answer = world.send([ADA])
    assert answer.code == 5
    assert "invites init" in answer.err
    assert "--new-ledger" in answer.err
    assert not (tmp_path / "invites.db").exists()
    assert world.batches() == []


def test_a_new_ledger_is_made_once(invites: Invites, tmp_path: Path) -> None:
    """The second time there is one, and it is kept."""
    world = CommandWorld.ready(invites, tmp_path, ledger=False)
    assert world.send([ADA], "--new-ledger").code == 0
    answer = world.send([ADA, BOB], "--new-ledger")
    assert (answer.code, len(world.batches())) == (5, 1)
    assert world.send([ADA]).code == 0
    assert len(world.batches()) == 1


def test_a_refused_roster_makes_no_ledger(invites: Invites, tmp_path: Path) -> None:
    """The roster is read first."""
    world = CommandWorld.ready(invites, tmp_path, ledger=False)
    assert world.send(["x"], "--new-ledger").code == 3
    assert not (tmp_path / "invites.db").exists()


def test_an_update_says_what_changed_and_answers_the_first_mail(world: CommandWorld) -> None:
    """Old to new with weekday, zone and offset; the thread is the first message's."""
    world.header += ",timezone"
    ada, eve = f"{ADA},Europe/Berlin", f"{EVE},Europe/Berlin"
    world.send([ada, eve])
    (first, _) = world.last()
    world.send([ada.replace("Standup", "Daily").replace("09:30", "10:15"), eve])
    (mail,) = world.last()
    assert mail.brief == ("ada@example.org", "REQUEST", 1)
    assert mail.subject.startswith("Updated invitation: Daily")
    assert mail.answers == first.message_id == mail.message["References"]
    assert "* Title: Standup -> Daily" in mail.text
    assert (
        "* Time: Saturday, 1 March 2031, 09:00 – 09:30 -> 09:00 – 10:15 (Berlin time, UTC+01:00)"
    ) in " ".join(mail.text.split())


def test_who_is_missing_is_withdrawn_at_the_second_count(world: CommandWorld) -> None:
    """Half a day apart; the mail withdraws, and does not say that the meeting is off."""
    world.send([ADA, BOB])
    assert "missing, not often enough yet" in world.send([ADA]).out
    world.hours += 10
    assert "missing, not often enough yet" in world.send([ADA]).out
    assert len(world.batches()) == 1
    world.hours += 1
    answer = world.send([ADA])
    assert "the old token admits until 2031-03-01 10:00 UTC" in answer.out
    (mail,) = world.last()
    assert mail.brief == ("bob@example.org", "CANCEL", 1)
    assert (mail.status, "VALARM" in mail.calendar, "jwt=" in mail.text) == (None, False, False)
    assert mail.subject.startswith("Invitation withdrawn: Standup")
    assert "cancelled" not in mail.text


def test_a_meeting_that_is_cancelled_says_so_to_all(world: CommandWorld) -> None:
    """STATUS:CANCELLED, and words to the same effect."""
    world.header += ",status"
    world.send([f"{ADA},", f"{BOB},"])
    answer = world.send([f"{ADA},cancelled", f"{BOB},cancelled"])
    assert "2 cancelled" in answer.out
    assert {mail.status for mail in world.last()} == {"CANCELLED"}
    assert all("is cancelled" in mail.text for mail in world.last())


def test_a_partial_roster_withdraws_nobody_and_counts_nothing(world: CommandWorld) -> None:
    """Sent by hand between two whole ones."""
    world.send([ADA, BOB, EVE])
    for _ in range(3):
        world.hours += 12
        assert world.send([EVE.replace("eve", "zoe")], "--partial").code == 0
    assert [mail.brief for mail in world.last()] == [("zoe@example.org", "REQUEST", 0)]
    assert "not often enough yet" in world.send([ADA, EVE, EVE.replace("eve", "zoe")]).out


def test_a_demoted_moderator_is_named_until_the_old_token_ends(world: CommandWorld) -> None:
    """The old link admits as moderator, and somebody should know until when."""
    world.send([ADA])
    answer = world.send([ADA.replace("yes", "no")])
    assert "the old token makes a moderator until 2031-03-01 10:00 UTC" in answer.out
    assert world.last()[0].brief == ("ada@example.org", "REQUEST", 1)


def test_limit_sends_the_first_and_the_next_run_goes_on(world: CommandWorld) -> None:
    """N at a time, by meeting start."""
    names = []
    for _ in range(3):
        assert world.send([EVE, ADA, BOB], "--limit", "1").code == 0
        names += [mail.to for mail in world.last()]
    assert names == ["ada@example.org", "bob@example.org", "eve@example.org"]
    assert "Nothing to send." in world.send([EVE, ADA, BOB]).out


def test_only_sends_to_a_person_or_a_meeting(world: CommandWorld) -> None:
    """The address in any spelling."""
    world.send([ADA, BOB, EVE], "--only", "email:BOB@Example.org")
    assert [mail.to for mail in world.last()] == ["bob@example.org"]
    world.send([ADA, BOB, EVE], "--only", "meeting:review")
    assert [mail.to for mail in world.last()] == ["eve@example.org"]
    world.send([ADA, BOB, EVE])
    assert [mail.to for mail in world.last()] == ["ada@example.org"]


@pytest.mark.parametrize("only", ["zoe@example.org", "email:zoe@example.org", "meeting:absent"])
def test_only_that_matches_nobody_is_wrong_usage(world: CommandWorld, only: str) -> None:
    """A slip of the pen that sends nothing would look like success; who was sent to is known."""
    world.send([ADA, EVE])
    answer = world.send([ADA], "--only", only)
    assert (answer.code, len(world.batches())) == (2, 1)
    assert "which neither this roster nor the ledger of scope" in answer.err
    assert world.send([ADA], "--only", "eve@example.org").code == 0


def test_resend_sends_the_same_revision_anew(world: CommandWorld) -> None:
    """For a person who lost the mail: same SEQUENCE, another Message-ID, no word of an update."""
    world.send([ADA, BOB])
    first = world.last()[0]
    world.send([ADA, BOB], "--resend", "--only", "Ada@example.org")
    (mail,) = world.last()
    assert mail.brief == first.brief
    assert mail.message_id != first.message_id
    assert mail.subject == first.subject


@pytest.mark.parametrize(
    "flags",
    [
        ("--only", "ada"),
        ("--only", "email:ada"),
        ("--only", "meeting:"),
        ("--to", "pigeon"),
        ("--verify", "some"),
        ("--retry-wait", "5"),
        ("--limit", "-1"),
        ("--accept", "yes"),
        ("--accept", "0123456789"),
        ("--scope", " "),
        ("--now", "2031-02-01 00:00"),
        ("--dry-run", "--redirect", "test@example.org"),
        ("--redirect", "test@example.org"),
        ("--redirect", "test", "--to", "smtp"),
        ("--now", "2031-02-01T00:00:00Z"),
        ("--now", "2031-02-01T00:00:00Z", "--to", "smtp"),
        ("--record-only", "roster.csv"),
        ("--record-only", "absent.csv"),
    ],
)
def test_flags_that_make_no_sense_are_wrong_usage(
    world: CommandWorld, flags: tuple[str, ...]
) -> None:
    """Exit 2 with what was found and expected; nothing is done."""
    before = world.ledger_bytes()
    answer = world.invites("send", world.write(ADA), *flags)
    assert answer.code == 2
    assert any(word in answer.err for word in ("expected", "there is no such", "should be"))
    assert world.ledger_bytes() == before
    assert world.batches() == []


def test_a_dry_run_composes_all_and_records_nothing(world: CommandWorld) -> None:
    """Neither in the ledger nor in the outbox."""
    world.send([ADA])
    before = world.ledger_bytes()
    answer = world.send([ADA, BOB, EVE], "--dry-run", "--verify", "all")
    assert answer.code == 0
    assert "2 messages composed and checked, 2 of them read back" in answer.out
    assert world.ledger_bytes() == before
    assert len(world.batches()) == 1


def test_a_dry_run_with_a_new_ledger_makes_none(invites: Invites, tmp_path: Path) -> None:
    """It composes for everybody."""
    world = CommandWorld.ready(invites, tmp_path, ledger=False)
    answer = world.send([ADA, BOB], "--dry-run", "--new-ledger")
    assert (answer.code, "2 messages composed" in answer.out) == (0, True)
    assert not (tmp_path / "invites.db").exists()


def test_redirect_sends_everything_to_one_box_and_records_nothing(
    post: CommandWorld, relay: ScriptedServer
) -> None:
    """The messages are the attendees' own; afterwards the real ones go out all the same."""
    before = post.ledger_bytes()
    answer = post.send_mail([ADA, BOB], "--redirect", "test@example.net")
    assert (answer.code, len(relay.accepted)) == (0, 2)
    assert {one.recipient for one in relay.accepted} == {"test@example.net"}
    assert {read_mail(one.content).to for one in relay.accepted} == {
        "ada@example.org",
        "bob@example.org",
    }
    assert post.ledger_bytes() == before
    post.send_mail([ADA, BOB])
    assert {one.recipient for one in relay.accepted[2:]} == {"ada@example.org", "bob@example.org"}


def test_what_a_build_mailed_is_adopted(world: CommandWorld) -> None:
    """Nothing is sent for it again, and an update answers the build's message."""
    name = world.write(ADA, BOB, EVE)
    world.invites("build", name, "--now", world.now)
    answer = world.send([ADA, BOB, EVE], "--record-only", "out/manifest.csv")
    assert answer.code == 0, answer.err
    assert "Recorded as sent: 3; recorded before: 0" in answer.out
    again = world.send([ADA, BOB, EVE], "--record-only", "out/manifest.csv")
    assert "Recorded as sent: 0; recorded before: 3" in again.out
    assert "Nothing to send." in world.send([ADA, BOB, EVE]).out
    world.send([ADA, BOB, EVE.replace("09:30", "10:00")])
    (mail,) = world.last()
    built = read_mail(next(Path("out").glob("review-*/*.eml")).read_bytes())
    assert (mail.brief, mail.answers) == (("eve@example.org", "REQUEST", 1), built.message_id)


@pytest.mark.parametrize(
    ("then", "now", "column"),
    [
        (("Standup", "Standup"), ("Standup", "Daily"), "ics"),
        (("09:30", "09:30"), ("09:30", "10:00"), "expires"),
        (("Ada", "Ada"), ("Ada", "Ada L."), "ics"),
        (("yes", "yes"), ("yes", "no"), "moderator"),
    ],
)
def test_a_row_whose_facts_no_longer_match_is_not_adopted(
    world: CommandWorld, then: tuple[str, str], now: tuple[str, str], column: str
) -> None:
    """It is reported with its row, exit 4, and invited by the next run."""
    world.invites("build", world.write(ADA.replace(*then), EVE), "--now", world.now)
    rows = [ADA.replace(*now), EVE]
    answer = world.send(rows, "--record-only", "out/manifest.csv")
    assert answer.code == 4
    assert f"out/manifest.csv: row 2, column {column}: not adopted" in answer.err
    world.send(rows)
    assert [mail.brief for mail in world.last()] == [("ada@example.org", "REQUEST", 0)]


def test_somebody_of_a_build_who_left_the_roster_is_reported(world: CommandWorld) -> None:
    """The invitation is out there, and how to withdraw it is said."""
    world.invites("build", world.write(ADA, BOB, EVE), "--now", world.now)
    answer = world.send([ADA], "--record-only", "out/manifest.csv")
    assert answer.code == 4
    assert "row 3, column email: not adopted: this roster has no such attendee" in answer.err
    assert "row 4, column uid: not adopted: this roster has no such meeting" in answer.err


def test_a_lost_ledger_is_rebuilt_from_the_batches(world: CommandWorld) -> None:
    """The batch's manifest is one that can be adopted."""
    world.send([ADA, BOB])
    (world.folder / "invites.db").unlink()
    for extra in world.folder.glob("invites.db-*"):
        extra.unlink()
    assert world.send([ADA, BOB]).code == 5
    (manifest,) = (world.folder / "outbox").glob("*/manifest.csv")
    assert world.send([ADA, BOB], "--new-ledger", "--record-only", str(manifest)).code == 0
    assert "Nothing to send." in world.send([ADA, BOB]).out
    assert len(world.batches()) == 1


def test_a_roster_that_shrank_withdraws_nobody_until_accepted(world: CommandWorld) -> None:
    """Exit 6, all else goes out, and the very command that is offered withdraws."""
    rows = many(12, meetings=4)
    world.send(rows)
    answer = world.send([*rows[:3], ADA])
    assert answer.code == 6
    assert "shrink guard: 9 of 12 attendees are no longer in the roster" in answer.err
    assert [mail.brief for mail in world.last()] == [("ada@example.org", "REQUEST", 0)]
    flags = accepting(answer)
    assert flags[:2] != []
    accepted = world.send([*rows[:3], ADA], *flags)
    assert accepted.code == 0, accepted.err
    assert {mail.method for mail in world.last()} == {"CANCEL"}
    assert len(world.last()) == 9


def test_an_acceptance_holds_for_its_roster_alone(world: CommandWorld) -> None:
    """Another roster's code is no yes, and that is said."""
    rows = many(12)
    world.send(rows)
    flags = accepting(world.send(rows[:3]))
    answer = world.send(rows[:2], *flags)
    assert answer.code == 6
    assert "is the code of another roster" in answer.err
    assert len(world.batches()) == 1


def test_a_dropped_room_column_updates_nobody_until_accepted(world: CommandWorld) -> None:
    """All rooms would move at once: exit 6, new ones go out, the command offered sends them."""
    world.header += ",room"
    rows = many(24, meetings=3)
    world.send([f"{row},Room {row[:2]}" for row in rows])
    world.header = world.header.removesuffix(",room")
    answer = world.send([*rows, ADA])
    assert answer.code == 6
    assert "change guard: 24 of 24 invitations would be updated" in answer.err
    assert [mail.to for mail in world.last()] == ["ada@example.org"]
    assert world.send([*rows, ADA], *accepting(answer)).code == 0
    assert {mail.brief[1:] for mail in world.last()} == {("REQUEST", 1)}
    assert "Room: room m0 -> m0-" in world.last()[0].text


def test_a_clock_set_back_is_refused_until_accepted(world: CommandWorld) -> None:
    """Exit 6 before anything, and the history has it."""
    world.send([ADA])
    world.hours -= 2
    refused = world.send([ADA, BOB])
    assert (refused.code, "--accept-clock" in refused.err) == (6, True)
    assert len(world.batches()) == 1
    assert world.history()["runs"][-1]["exit_code"] == 6
    assert world.send([ADA, BOB], "--accept-clock").code == 0


def test_a_roster_that_may_be_cut_is_refused(world: CommandWorld) -> None:
    """Exit 3; a checksum that matches or a flag lets it pass, a wrong checksum does not."""
    name = world.write(ADA, BOB, end="")
    send = ("send", name, "--now", world.now, "--to", "folder")
    refused = world.invites(*send)
    assert (refused.code, "--no-final-newline" in refused.err) == (3, True)
    checksum = Path(f"{name}.sha256")
    checksum.write_text(f"{'0' * 64}  {name}\n")
    assert world.invites(*send).code == 3
    assert world.batches() == []
    checksum.write_text(f"{hashlib.sha256(Path(name).read_bytes()).hexdigest()}  {name}\n")
    assert world.invites(*send).code == 0
    checksum.unlink()
    assert world.invites(*send, "--no-final-newline").code == 0


def test_a_left_out_row_withdraws_nobody_from_its_meeting(world: CommandWorld) -> None:
    """Exit 4, the row is reported, and who else is missing from that meeting stays."""
    world.send([ADA, BOB, EVE])
    answer = world.send(
        [ADA, BOB.replace("bob@example.org", "bob")], "--skip-invalid", "--withdraw-now"
    )
    assert answer.code == 4
    assert "roster.csv: row 3, column email" in answer.err
    assert [mail.brief for mail in world.last()] == [("eve@example.org", "CANCEL", 1)]


def test_a_second_sender_is_turned_away(world: CommandWorld) -> None:
    """Exit 75 while another run holds the lock; planning needs none."""
    with open_ledger(f"sqlite:///{world.folder / 'invites.db'}", lock=True):
        assert world.send([ADA]).code == 75
        assert world.plan([ADA]).code == 0
    assert world.send([ADA]).code == 0


def test_a_link_that_mail_programs_break_is_found_before_anything_is_sent(
    world: CommandWorld,
) -> None:
    """Exit 3 with the row, though an earlier message would have been fine."""
    world.header += ",avatar"
    answer = world.send([f"{ADA},", f"{EVE},https://example.com/{'a' * 1900}"])
    assert answer.code == 3
    assert "roster.csv: row 3: the join link would have" in answer.err
    assert world.batches() == []


JOB = """
[[job]]
name = "nightly"
roster = "roster.csv"
at = "02:15"
"""


def test_a_jobs_roster_is_sent_for_the_jobs_scope(invites: Invites, tmp_path: Path) -> None:
    """By hand it speaks for what the job speaks for; another file for the default scope."""
    world = CommandWorld.ready(invites, tmp_path, JOB)
    assert world.send([ADA], "--json").document()["scope"] == "nightly"
    assert world.send([EVE], "--json", name="other.csv").document()["scope"] == "default"
    assert world.send([ADA], "--json", "--scope", "mine", name="x.csv").code == 3


def test_two_jobs_with_one_roster_leave_the_default_scope(invites: Invites, tmp_path: Path) -> None:
    """And a warning says so."""
    twice = JOB + JOB.replace("nightly", "noon")
    answer = CommandWorld.ready(invites, tmp_path, twice).send([ADA], "--json")
    assert answer.document()["scope"] == "default"
    assert '"nightly", "noon"' in answer.err


def test_a_pattern_matches_the_files_that_it_finds(invites: Invites, tmp_path: Path) -> None:
    """As the job itself would find them."""
    world = CommandWorld.ready(invites, tmp_path, JOB.replace("roster.csv", "rosters/*.csv"))
    (tmp_path / "rosters").mkdir()
    answer = world.send([ADA], "--json", name="rosters/a.csv")
    assert answer.document()["scope"] == "nightly"
    assert world.send([EVE], "--json").document()["scope"] == "default"


def test_two_scopes_on_one_ledger_never_miss_each_others_meetings(world: CommandWorld) -> None:
    """Each withdraws its own alone."""
    world.send([ADA, BOB], "--scope", "one")
    world.send([EVE], "--scope", "two")
    world.send([ADA], "--scope", "one", "--withdraw-now")
    assert [mail.brief for mail in world.last()] == [("bob@example.org", "CANCEL", 1)]
    assert "Nothing to send." in world.send([EVE], "--scope", "two", "--withdraw-now").out


def test_by_hand_first_and_then_by_a_job_needs_a_claim(invites: Invites, tmp_path: Path) -> None:
    """The refusal names it; afterwards the job's scope has the meetings, and nobody hears of it."""
    world = CommandWorld.ready(invites, tmp_path)
    world.send([ADA, BOB])
    world.sections = JOB
    world.write_settings()
    refused = world.send([ADA, BOB])
    assert refused.code == 3
    assert 'roster.csv: row 2, column meeting_id: found "standup"' in refused.err
    assert "--claim default" in refused.err
    assert "Nothing to send." in world.send([ADA, BOB], "--claim", "default").out
    assert world.send([ADA], "--withdraw-now").code == 0
    assert [mail.brief for mail in world.last()] == [("bob@example.org", "CANCEL", 1)]


def test_a_refused_address_fails_alone(post: CommandWorld, relay: ScriptedServer) -> None:
    """Exit 4 with the server's words and what to do; the others get theirs."""
    relay.faults = [Fault("RCPT", "550", only="bob@example.org")]
    answer = post.send_mail([ADA, BOB, EVE], "--json")
    document = answer.document()
    assert (answer.code, document["exit_code"], len(relay.accepted)) == (4, 4, 2)
    assert document["ended"] == {"sent": 2, "failed": 1}
    (one,) = document["unsent"]
    assert (one["email"], one["state"], one["answer"][:3]) == ("bob@example.org", "failed", "550")
    assert "correct the address" in answer.err


def test_a_deferred_message_waits_for_the_next_run(
    post: CommandWorld, relay: ScriptedServer
) -> None:
    """Exit 4, when it may be tried again, and still 4 while it waits."""
    relay.faults = [Fault("RCPT", "451", only="bob@example.org", times=2)]
    answer = post.send_mail([ADA, BOB])
    assert answer.code == 4
    assert re.search(r"next attempt from [-\d]+ \d\d:\d\d UTC$", answer.err, re.MULTILINE)
    again = post.send_mail([ADA, BOB])
    assert (again.code, "deferred, too early to try again" in again.out) == (4, True)
    assert len(relay.accepted) == 1


@pytest.mark.parametrize(("setting", "copies"), [("resend", 2), ("hold", 1)])
def test_a_message_without_an_answer_is_sent_again_or_held(
    invites: Invites, tmp_path: Path, relay: ScriptedServer, setting: str, copies: int
) -> None:
    """As on_unknown says: the same Message-ID after a while, or listed and not sent."""
    extra = f'{smtp(relay)}[delivery]\non_unknown = "{setting}"\n'
    world = CommandWorld.ready(invites, tmp_path, extra)
    relay.faults = [Fault("dot", "drop", times=1, after_accepting=True)]
    first = world.send_mail([ADA])
    assert (first.code, "unknown: the connection broke" in first.out) == (4, True)
    at_once = world.send_mail([ADA])
    assert (at_once.code, len(relay.accepted)) == (4, 1)
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=6)):
        second = world.send_mail([ADA])
    assert (second.code, len(relay.accepted)) == (0 if setting == "resend" else 4, copies)
    assert len({one.message_id for one in relay.accepted}) == 1
    assert ("may have been sent" in second.out) == (setting == "hold")


def test_a_server_that_is_down_is_tried_again_later(
    post: CommandWorld, relay: ScriptedServer
) -> None:
    """Exit 75 in one document; nothing is marked."""
    relay.faults = [Fault("banner", "554")]
    answer = post.send_mail([ADA], "--json")
    assert (answer.code, answer.document()["exit_code"]) == (75, 75)
    assert answer.document()["error"]
    relay.faults = []
    assert post.send_mail([ADA]).code == 0


def test_a_signal_lets_the_message_in_hand_go_and_the_next_run_send_the_rest(
    post: CommandWorld, relay: ScriptedServer
) -> None:
    """Exit 75 within seconds, and everybody has one message in the end."""
    rows = many(60)
    relay.octet_pause = 0.00001
    name = post.write(*rows)
    process = subprocess.Popen(
        [*COMMAND, "send", name, "--to", "smtp", "--json"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    until = time.monotonic() + 30
    while len(relay.accepted) < 3 and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 75
    assert b'"exit_code": 75' in out
    assert 3 <= len(relay.accepted) < 60
    relay.octet_pause = 0.0
    assert post.send_mail(rows).code == 0
    assert len(relay.accepted) == len({one.recipient for one in relay.accepted}) == 60


def test_documents_are_one_and_hold_no_token(world: CommandWorld) -> None:
    """Of each way to send; standard output is nothing but the document."""
    world.invites("build", world.write(ADA), "--now", world.now)
    for flags in (
        ("--record-only", "out/manifest.csv"),
        ("--dry-run",),
        ("--dry-run", "--new-ledger", "-v"),
        (),
        ("-q",),
    ):
        answer = world.send([ADA, BOB], "--json", *flags)
        document = answer.document()
        assert (answer.code, document["version"], document["command"]) == (0, 1, "send")
        assert "eyJ" not in answer.out + answer.err


def test_quiet_says_nothing_where_all_is_well(world: CommandWorld) -> None:
    """And still says what is not."""
    answer = world.send([ADA], "-q")
    assert (answer.code, answer.out, answer.err) == (0, "", "")
    world.send(many(12), "-q", "--scope", "s")
    answer = world.send(many(3), "-q", "--scope", "s")
    assert (answer.code, answer.out) == (6, "")
    assert "to accept:" in answer.err


def test_a_room_that_is_live_in_another_scope_is_a_problem_of_the_row(world: CommandWorld) -> None:
    """Else an attendee of one team could be made moderator in another's room."""
    world.header += ",room"
    world.send([f"{ADA},Board room"], "--scope", "board")
    another = EVE.replace("review,", "audit,").replace("eve@", "bob@")
    rows = [f"{EVE},BOARD ROOM", f"{another},Cellar"]
    answer = world.send(rows, "--scope", "guests")
    assert answer.code == 3
    assert "row 2, column room: found" in answer.err
    assert 'scope "board" has live meetings in this one' in answer.err
    skipped = world.send(rows, "--scope", "guests", "--skip-invalid")
    assert skipped.code == 4
    assert "row 2, column room: found" in skipped.err
    assert [mail.to for mail in world.last()] == ["bob@example.org"]


def test_renumbered_meetings_are_mailed_to_nobody_until_accepted(world: CommandWorld) -> None:
    """Exit 6 before the first message, all guards with examples, one command for all of them."""
    rows = many(12, meetings=4)
    world.send(rows)
    renumbered = [f"9{row}" for row in rows]
    answer = world.send(renumbered)
    assert answer.code == 6
    assert "other ids guard: 12 of 12 messages" in answer.err
    assert "shrink guard: 12 of 12" in answer.err
    assert "such as person0@example.org in " in answer.err
    assert answer.err.count("to accept: ") == 1
    assert len(world.batches()) == 1
    accepted = world.send(renumbered, *accepting(answer))
    assert accepted.code == 0, accepted.err
    assert {mail.method for mail in world.last()} == {"REQUEST", "CANCEL"}


def test_a_demoted_moderators_mail_says_until_when_the_old_link_makes_one(
    world: CommandWorld,
) -> None:
    """The old token lives until its exp, in text and HTML; nobody else's mail says so."""
    world.send([ADA, BOB])
    world.send([row.replace("Standup", "Sync").replace(",yes,", ",no,") for row in (ADA, BOB)])
    ada, bob = sorted(world.last(), key=lambda mail: mail.to)
    words = "The earlier link still gives moderator rights until Saturday, 1 March 2031, 10:00"
    html = {mail.to: str(mail.message.get_body(("html",)).get_content()) for mail in (ada, bob)}
    assert words in " ".join(ada.text.split())
    assert words in " ".join(html[ada.to].split())
    assert "moderator rights" not in bob.text + html[bob.to]
