"""`invites plan` as people and programs see it: signs, old to new, documents, and no effects."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import Answer
from tests.world import ADA, BOB, EVE, CommandWorld, many

Invites = Callable[..., Answer]


@pytest.fixture
def world(invites: Invites, tmp_path: Path) -> CommandWorld:
    """Give a world that delivers into a folder."""
    return CommandWorld.ready(invites, tmp_path)


def test_each_person_has_a_line_with_a_sign(world: CommandWorld) -> None:
    """New, updated with old and new, missing and held back; a summary at the end."""
    world.send([ADA, BOB, EVE])
    zoe = EVE.replace("Eve", "Zoe").replace("eve", "zoe").replace("u3", "u9")
    answer = world.plan([ADA.replace("09:30", "10:00"), EVE, zoe])
    assert (answer.code, answer.err) == (0, "")
    moved, new, missing, summary = answer.out.splitlines()
    assert moved == (
        '~ ada@example.org, "Standup" Sat 2031-03-01 09:00 UTC: '
        "end Sat 2031-03-01 09:30 → Sat 2031-03-01 10:00"
    )
    assert new == '+ zoe@example.org, "Review" Sun 2031-03-02 09:00 UTC: new'
    assert missing == (
        '! bob@example.org, "Standup" Sat 2031-03-01 09:00 UTC: '
        "attendee missing, held back: missing, not often enough yet (1 of 2 runs)"
    )
    assert summary == (
        "Plan for scope default: 1 new, 1 updated, 0 withdrawn, 0 cancelled, 1 kept, "
        "1 held back, 0 over."
    )


def test_who_is_withdrawn_has_until_when_the_token_admits(world: CommandWorld) -> None:
    """And so has a moderator who is one no longer."""
    world.send([ADA, BOB])
    answer = world.plan([ADA.replace("yes", "no")], "--withdraw-now")
    assert "moderator yes → no; the old token makes a moderator until 2031-03-01 10:00 UTC" in (
        answer.out
    )
    assert "attendee missing; the old token admits until 2031-03-01 10:00 UTC" in answer.out


def test_another_address_of_the_same_person_is_told_as_such(world: CommandWorld) -> None:
    """The same user_id in the meeting: one comes in place of the other."""
    world.send([ADA, BOB])
    answer = world.plan([ADA, BOB.replace("bob@example.org", "bob@example.com")])
    assert "+ bob@example.com" in answer.out
    assert "in place of bob@example.org" in answer.out
    assert "bob@example.com takes its place" in answer.out


def test_the_plan_is_what_the_next_send_does(world: CommandWorld) -> None:
    """Action by action, as the documents have it."""
    world.send([ADA, BOB])
    rows = [ADA.replace("Ada", "Ada L."), BOB, EVE]
    planned = world.plan(rows, "--json").document()
    done = world.send(rows, "--json").document()
    assert planned["actions"] == done["actions"]
    assert planned["counts"] == done["counts"]
    assert planned["command"] == "plan"


def test_planning_changes_nothing(world: CommandWorld) -> None:
    """Neither the ledger nor any other file, and the missing are not counted."""
    world.send([ADA, BOB])
    before = world.ledger_bytes()
    files = sorted(path.name for path in world.folder.iterdir())
    for _ in range(3):
        world.hours += 24
        assert world.plan([ADA]).code == 0
    assert world.ledger_bytes() == before
    assert sorted(path.name for path in world.folder.iterdir()) == files
    assert "(1 of 2 runs)" in world.plan([ADA]).out


def test_a_missing_ledger_is_an_error_unless_a_new_one_is_meant(
    invites: Invites, tmp_path: Path
) -> None:
    """Exit 5 with the remedies; --new-ledger plans against an empty one and makes none."""
    world = CommandWorld.ready(invites, tmp_path, ledger=False)
    refused = world.plan([ADA])
    assert (refused.code, "--new-ledger" in refused.err) == (5, True)
    answer = world.plan([ADA], "--new-ledger")
    assert (answer.code, "1 new" in answer.out) == (0, True)
    large = world.plan(many(30), "--new-ledger")
    assert "30 new" in large.out, "a first run has nothing to be compared with, as in send"
    assert not (tmp_path / "invites.db").exists()


def test_a_guard_that_would_refuse_is_shown(world: CommandWorld) -> None:
    """Exit 0, what is held, the digest, and the command that accepts."""
    world.send(many(12))
    answer = world.plan(many(3))
    assert answer.code == 0
    assert "shrink guard: 9 of 12" in answer.err
    assert answer.out.count("held back: the roster shrank") == 9
    document = world.plan(many(3), "--json").document()
    (command,) = document["accept"]
    assert command == f"invites send roster.csv --accept {document['accept_code']}"
    grouped = world.plan(many(3), "--json", "--by", "meeting").document()
    assert grouped["accept"] == [command]  # `send` has no --by
    code = command.partition(" --accept ")[2]
    same = ("plan", "roster.csv", "--json", "--now", world.now)
    named = world.invites("--config", "invites.toml", *same).document()
    assert named["accept"] == [f"invites send roster.csv --config invites.toml --accept {code}"]
    accepted = world.plan(many(3), *command.split()[3:])
    assert (accepted.err, "9 withdrawn" in accepted.out) == ("", True)


def test_what_send_would_refuse_is_said_beforehand(world: CommandWorld) -> None:
    """A clock that went back and a roster that may be cut; exit 0 all the same."""
    world.hours = 5
    world.send([ADA])
    world.hours -= 2
    name = world.write(ADA, end="")
    answer = world.invites("plan", name, "--now", world.now, "--json")
    clock, cut = "clock: found", "the last line has no line end"
    assert answer.code == 0
    assert {clock in line or cut in line for line in answer.document()["would_refuse"]} == {True}
    assert len(answer.document()["would_refuse"]) == 2
    assert f"send would refuse: {clock}" in answer.err
    accepted = ("--accept-clock", "--no-final-newline")
    assert world.invites("plan", name, "--now", world.now, *accepted).err == ""


def test_another_scopes_meeting_is_a_problem_of_the_file(world: CommandWorld) -> None:
    """Exit 3, alike ones told together; with --claim it is planned and not done."""
    world.send([EVE, ADA], "--scope", "hand")
    refused = world.plan([EVE, ADA])
    assert refused.code == 3
    (line,) = [line for line in refused.err.splitlines() if "--claim hand" in line]
    assert line.split(":")[1] == " row 2, column meeting_id"
    assert line.endswith("(and in 1 more row: 3)")
    assert "2 kept" in world.plan([EVE, ADA], "--claim", "hand").out
    assert world.plan([EVE, ADA]).code == 3


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (("--only", "meeting:review"), "1 new"),
        (("--only", "email:bob@example.org"), "1 new"),
        (("--only", "bob@example.org"), "1 new"),
        (("--limit", "2"), "2 new"),
        (("--partial",), "3 new"),
    ],
)
def test_it_takes_the_selecting_flags_of_send(
    world: CommandWorld, flags: tuple[str, ...], line: str
) -> None:
    """What is selected is what is planned."""
    assert line in world.plan([ADA, BOB, EVE], *flags).out


def test_resend_is_planned_as_such(world: CommandWorld) -> None:
    """With a sign of its own."""
    world.send([ADA])
    answer = world.plan([ADA], "--resend")
    assert answer.out.startswith("* ada@example.org")
    assert "1 sent again" in answer.out


def test_rows_left_out_are_reported(world: CommandWorld) -> None:
    """As a problem, and in the document; nobody of their meeting would be withdrawn."""
    world.send([ADA, BOB])
    answer = world.plan([ADA.replace("ada@", "@"), BOB], "--skip-invalid", "--json")
    document = answer.document()
    assert answer.code == 0
    assert [problem["column"] for problem in document["problems"]] == ["email"]
    assert [hold["reason"] for hold in document["held"]] == ["rows were left out"]


def test_another_secret_is_planned_as_an_update_of_all(world: CommandWorld) -> None:
    """Named without showing anything of it."""
    world.send([ADA, BOB])
    config = world.folder / "invites.toml"
    config.write_text(config.read_text().replace("a test's secret", "another test's secret"))
    answer = world.plan([ADA, BOB])
    assert answer.out.count("the secret or key") == 2
    assert "room_key_file" in answer.err
    assert "secret," not in answer.out
