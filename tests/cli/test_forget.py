"""`invites forget` as people and programs see it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import Answer
from tests.world import ADA, BOB, CommandWorld

Invites = Callable[..., Answer]


@pytest.fixture
def world(invites: Invites, tmp_path: Path) -> CommandWorld:
    """Give a world that has invited Ada and Bob."""
    world = CommandWorld.ready(invites, tmp_path)
    world.send([ADA, BOB])
    return world


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
