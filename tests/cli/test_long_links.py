"""Join links that mail programs break: each command tells all such rows, before anything is done."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import NOW, Answer, write_settings
from tests.world import ADA, BOB, EVE, HEADER, CommandWorld

Invites = Callable[..., Answer]
DEMO = ("--demo", "--now", NOW)
WIDE = "https://example.org/" + "a" * 1900
TOLD = [
    (
        "roster.csv: row 2: the join link would have N characters, and mail clients break links "
        "above 2,000; shorten avatar, features, group, name or room (and in 1 more row: 4)"
    )
]


def with_avatars(*rows: tuple[str, str]) -> str:
    """Return a roster whose rows have these avatars."""
    return "\n".join([f"{HEADER},avatar", *(f"{row},{avatar}" for row, avatar in rows), ""])


ROSTER = with_avatars((ADA, WIDE), (BOB, ""), (EVE, WIDE))


@pytest.fixture(autouse=True)
def roster(tmp_path: Path) -> Path:
    """Write a roster of three rows, of which the first and the last have a link that is too long."""
    file = tmp_path / "roster.csv"
    file.write_text(ROSTER, encoding="utf-8")
    return file


def told(answer: Answer) -> list[str]:
    """Return the lines about rows, without the number of characters."""
    lines = [line for line in answer.err.splitlines() if line.startswith("roster.csv: row ")]
    return [re.sub(r"[23],\d{3} characters, ", "N characters, ", line) for line in lines]


def test_build_tells_all_rows_and_writes_nothing(invites: Invites) -> None:
    """As for every other problem of a row: exit 3, by the roster's own name."""
    answer = invites("build", "roster.csv", *DEMO, "--json")
    assert answer.code == 3
    assert told(answer) == TOLD
    assert [problem["row"] for problem in answer.document()["problems"]] == [2, 4]
    assert "roster.csv was refused: 2 problems; nothing was written" in answer.err
    assert not Path("out").exists()


def test_build_leaves_them_out_where_that_is_wanted(invites: Invites) -> None:
    """Exit 4, each told, and counted as rejected."""
    answer = invites("build", "roster.csv", *DEMO, "--skip-invalid", "--json")
    assert answer.code == 4
    document = answer.document()
    assert told(answer) == TOLD
    assert (document["rows_read"], document["rows_rejected"], document["invitations"]) == (3, 2, 1)
    assert [problem["row"] for problem in document["problems"]] == [2, 4]


def test_a_longish_link_is_warned_about(invites: Invites, roster: Path) -> None:
    """Above 1,000 characters some programs break it; it is built all the same."""
    roster.write_text(with_avatars((ADA, WIDE[:700]), (BOB, "")), encoding="utf-8")
    answer = invites("build", "roster.csv", *DEMO)
    assert answer.code == 0
    assert "1 join link has more than 1,000 characters" in answer.err


def test_check_tells_what_build_would_refuse(invites: Invites, tmp_path: Path) -> None:
    """With the same words, and without the secret, which may be out of its reach."""
    write_settings(
        tmp_path,
        '[jitsi]\nurl = "https://meet.example.com"\napp_id = "the_app"\nsecret_file = "gone"\n',
    )
    answer = invites("check", "roster.csv", "--json")
    assert answer.code == 3
    assert told(answer) == TOLD
    assert answer.document()["links_weighed"] is True
    answer = invites("check", "roster.csv", "--skip-invalid", "--json")
    document = answer.document()
    assert (answer.code, document["rows_accepted"], document["rows_rejected"]) == (4, 1, 2)


@pytest.mark.parametrize(
    "settings",
    [
        '[jitsi]\napp_id = "the_app"\n',
        '[jitsi]\nurl = "https://meet.example.com"\napp_id = "app"\nalgorithm = "RS256"\n',
    ],
)
def test_check_says_where_it_can_not_weigh_links(
    invites: Invites, tmp_path: Path, settings: str
) -> None:
    """Without the server's url, or the private key whose size makes the signature's length."""
    write_settings(tmp_path, settings)
    answer = invites("check", "roster.csv", "--json", "-v")
    assert answer.code == 0
    assert answer.document()["links_weighed"] is False
    assert "the join links' length was not looked at" in answer.err
    assert invites("check", "roster.csv").err == ""


def test_check_weighs_links_by_the_size_of_the_private_key(
    invites: Invites, tmp_path: Path
) -> None:
    """A key of 4,096 bits makes longer signatures than one of 2,048."""
    room_for_one = with_avatars((ADA, WIDE[:870]))
    (tmp_path / "roster.csv").write_text(room_for_one, encoding="utf-8")
    codes = []
    for bits in ("2048", "4096"):
        invites("keygen", "--kid", f"key-{bits}", "--bits", bits)
        write_settings(
            tmp_path,
            '[jitsi]\nurl = "https://meet.example.com"\napp_id = "the_app"\nalgorithm = "RS256"\n'
            f'private_key_file = "key-{bits}.key"\nkey_id = "key-{bits}"\n',
        )
        codes.append(invites("check", "roster.csv").code)
    assert codes == [0, 3]


def test_plan_and_send_refuse_or_leave_out_the_same_rows(invites: Invites, tmp_path: Path) -> None:
    """Before anything is sent; those who stay get theirs."""
    world = CommandWorld.ready(invites, tmp_path)
    Path("roster.csv").write_text(ROSTER, encoding="utf-8")
    for command in (("plan",), ("send", "--to", "folder"), ("send", "--dry-run")):
        answer = invites(command[0], "roster.csv", *command[1:], "--now", world.now)
        assert (answer.code, told(answer)) == (3, TOLD)
    flags = ("--skip-invalid", "--to", "folder", "--now", world.now)
    answer = invites("send", "roster.csv", *flags)
    assert answer.code == 4
    assert told(answer) == TOLD
    assert "1 of 1 message sent" in answer.out
