"""`invites history` as people and programs see it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from invites.cli.options import Call
from tests.peers.smtp_server import Fault, ScriptedServer
from tests.support import Answer
from tests.world import ADA, BOB, EVE, CommandWorld, smtp

Invites = Callable[..., Answer]


@pytest.fixture
def world(invites: Invites, tmp_path: Path) -> CommandWorld:
    """Give a world that delivers into a folder."""
    return CommandWorld.ready(invites, tmp_path)


def test_who_was_sent_what_when_and_with_which_outcome(world: CommandWorld) -> None:
    """The latest first, with the answer."""
    world.send([ADA, EVE])
    world.send([ADA.replace("09:30", "10:00"), EVE])
    newest, *older = world.history()["messages"]
    assert (newest["address"], newest["kind"], newest["sequence"]) == (
        "ada@example.org",
        "update",
        1,
    )
    assert (newest["state"], newest["at"]) == ("sent", "2031-02-01T02:15:00Z")
    assert newest["answer"].startswith("in batch ")
    assert sorted(one["address"] for one in older) == ["ada@example.org", "eve@example.org"]


def test_runs_have_counts_duration_roster_and_zone_data(world: CommandWorld) -> None:
    """A run that sent nothing is one too, and so is a refused one."""
    world.send([ADA])
    world.send([ADA])
    world.send(["x"])
    refused, idle, first = world.history()["runs"]
    assert (first["exit_code"], first["counts"]["new"], first["counts"]["sent"]) == (0, 1, 1)
    assert first["took"] > 0
    assert (len(first["roster_digest"]), first["tz_version"][:2]) == (64, "20")
    assert (idle["exit_code"], idle["counts"]["kept"]) == (0, 1)
    assert (refused["exit_code"], refused["counts"]) == (3, {"problems": 1})


def test_a_person_and_a_meeting_can_be_asked_for(world: CommandWorld) -> None:
    """The address in any spelling; the runs are those that concern them."""
    world.send([ADA])
    world.send([ADA, BOB, EVE])
    of_bob = world.history("--email", "BOB@example.ORG")
    assert [one["address"] for one in of_bob["messages"]] == ["bob@example.org"]
    assert len(of_bob["runs"]) == 1
    of_meeting = world.history("--meeting", "standup")
    assert {one["address"] for one in of_meeting["messages"]} == {
        "ada@example.org",
        "bob@example.org",
    }
    assert world.invites("history", "--email", "bob").code == 2


def test_what_is_not_accepted_yet_is_listed(invites: Invites, tmp_path: Path) -> None:
    """With the server's words, and when it may be tried again."""
    with ScriptedServer([Fault("RCPT", "451", only="ada@example.org")]) as server:
        world = CommandWorld.ready(invites, tmp_path, smtp(server))
        world.send_mail([ADA, BOB])
    document = world.history()
    (waiting,) = document["waiting"]
    assert (waiting["address"], waiting["state"], waiting["attempts"]) == (
        "ada@example.org",
        "deferred",
        1,
    )
    assert waiting["next_attempt"].endswith("Z")
    answers = {one["address"]: one["answer"][:3] for one in document["messages"]}
    assert answers == {"ada@example.org": "451", "bob@example.org": "250"}


def test_people_get_tables(world: CommandWorld) -> None:
    """A row per message and per run; nothing of a token."""
    empty = world.invites("history")
    assert (empty.code, "No message was sent yet." in empty.out) == (0, True)
    world.send([ADA])
    answer = world.invites("history")
    assert answer.code == 0
    assert "ada@example.org" in answer.out
    assert "Standup" in answer.out
    assert "done (0)" in answer.out
    assert "eyJ" not in answer.out


def test_a_missing_ledger_is_an_error(invites: Invites, tmp_path: Path) -> None:
    """Exit 5."""
    CommandWorld.ready(invites, tmp_path, ledger=False)
    assert invites("history").code == 5


def test_a_long_list_of_a_document_is_written_as_it_comes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`history --json` never has all messages in memory; what comes of it is one document."""
    so_far = []

    def rows() -> Iterator[dict[str, object]]:
        for number in range(3):
            so_far.append(capsys.readouterr().out)
            yield {"number": number, "text": "two\nlines", "more": {"a": [1]}}

    Call(as_json=True).document(rows=rows(), none=iter(()), last=[{"a": 1}])
    whole = "".join(so_far) + capsys.readouterr().out
    assert '"number": 1' in so_far[2]
    one = {"text": "two\nlines", "more": {"a": [1]}}
    document = {
        "version": 1,
        "rows": [{"number": n, **one} for n in range(3)],
        "none": [],
        "last": [{"a": 1}],
    }
    assert whole == json.dumps(document, indent=2) + "\n"


@pytest.mark.parametrize(
    ("by", "alike"),
    [
        ("meeting", "person11@example.org and 27"),
        ("person", "Meeting 0, Meeting 1"),
    ],
)
def test_history_by_meeting_or_person_has_one_row_where_thirty_are_alike(
    by: str, alike: str, world: CommandWorld
) -> None:
    """All that was sent counts, not the latest messages alone."""
    rows = [row for n in range(2) for row in _invited_to(n)]
    world.send(rows)
    shown = world.invites("history", "--by", by).out
    assert alike in " ".join(shown.replace("│", " ").split())
    assert shown.count("invitation") == {"meeting": 2, "person": 30}[by]
    assert world.invites("history", "--by", "room").code == 2
    assert world.invites("plan", "roster.csv", "--by", "room").code == 2


def _invited_to(meeting: int) -> list[str]:
    times = f"2031-03-0{1 + meeting} 10:00,2031-03-0{1 + meeting} 11:00"
    return [
        f"m{meeting},Meeting {meeting},{times},Person {n},person{n}@example.org,,"
        for n in range(30)
    ]


def test_a_page_shows_what_was_sent_and_how_runs_went(world: CommandWorld, tmp_path: Path) -> None:
    """For nobody else to read, with every message, in the place of an earlier page."""
    world.send([ADA, BOB, EVE.replace("Review", "<b>Review")])
    (tmp_path / "page.html").write_text("an earlier one")
    answer = world.invites("history", "--html", "page.html")
    assert (answer.code, answer.out) == (0, "open page.html\n")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "3 messages in 1 run" in page
    for told in (
        "ada@example.org",
        "eve@example.org",
        "&lt;b&gt;Review",
        "done (0)",
        "<b>3</b> sent",
    ):
        assert told in page
    assert "2031-03-01 09:00 UTC" in page
    assert page.index("<h2>Messages") < page.index("<h2>When"), "outcomes come first"
    assert "in batch 2031" in page
    assert ".eml" not in page, "the batch's manifest has the path"
    assert "jwt" not in page
    assert (tmp_path / "page.html").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.glob("*page*")) == ["page.html"]


def test_a_page_that_can_not_be_written_leaves_nothing(world: CommandWorld, tmp_path: Path) -> None:
    """A folder of that name stays, and no file beside it."""
    world.send([ADA])
    (tmp_path / "page.html").mkdir()
    answer = world.invites("history", "--html", "page.html")
    assert answer.code == 1
    assert [path.name for path in tmp_path.glob("*page*")] == ["page.html"]


def test_a_page_of_one_person_has_nobody_else(world: CommandWorld, tmp_path: Path) -> None:
    """What was asked for is what is written."""
    world.send([ADA, BOB])
    world.invites("history", "--email", "bob@example.org", "--html", "bob.html")
    page = (tmp_path / "bob.html").read_text("utf-8")
    assert "bob@example.org" in page
    assert "ada@example.org" not in page
    first = (tmp_path / "bob.html").read_bytes()
    asked = ("--email", "bob@example.org", "--html", "bob.html")
    assert [one["address"] for one in world.history(*asked)["messages"]] == ["bob@example.org"]
    assert (tmp_path / "bob.html").read_bytes() == first
