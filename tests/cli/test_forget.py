"""`invites forget` as people and programs see it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.office import ADA, BOB, Office
from tests.support import Answer

Invites = Callable[..., Answer]


@pytest.fixture
def office(invites: Invites, tmp_path: Path) -> Office:
    """Give an office that has invited Ada and Bob."""
    office = Office(invites, tmp_path).settle_in()
    office.send([ADA, BOB])
    return office


def test_nobody_is_forgotten_while_an_invitation_stands(office: Office) -> None:
    """Exit 2, the meeting and what to do first; nothing is erased."""
    answer = office.invites("forget", "bob@example.org")
    assert answer.code == 2
    assert 'an invitation stands for this person in "standup"; withdraw it first' in answer.err
    assert len(office.history("--email", "bob@example.org")["messages"]) == 1


def test_who_was_withdrawn_is_erased_and_stays_in_order(office: Office) -> None:
    """Not a byte of the address is left, and a later invitation is above the CANCEL."""
    office.send([ADA], "--withdraw-now")
    answer = office.invites("forget", "BOB@example.org", "--json")
    assert answer.code == 0
    document = answer.document()
    assert (document["invitations"], document["messages"]) == (1, 2)
    assert b"bob@example.org" not in office.ledger_bytes()
    assert office.history("--email", "bob@example.org")["messages"] == []
    office.send([ADA, BOB])
    assert [mail.brief for mail in office.last()] == [("bob@example.org", "REQUEST", 2)]


def test_a_stranger_is_no_error(office: Office) -> None:
    """And it is said that there was nothing."""
    answer = office.invites("forget", "nobody@example.org")
    assert (answer.code, "had nothing of this person" in answer.out) == (0, True)


def test_an_address_that_is_none_is_wrong_usage(office: Office) -> None:
    """Exit 2."""
    assert office.invites("forget", "bob").code == 2


JOB = """
[[job]]
name = "nightly"
roster = "nightly/*.csv"
at = "02:15"
"""


def test_nobody_is_forgotten_whom_a_jobs_roster_still_has(office: Office) -> None:
    """The next night would invite them anew."""
    office.send([ADA], "--withdraw-now")
    config = office.folder / "invites.toml"
    config.write_text(config.read_text() + JOB)
    (office.folder / "nightly").mkdir()
    name = office.write(ADA, BOB, name="nightly/today.csv")
    answer = office.invites("forget", "bob@example.org")
    assert answer.code == 2
    assert 'the roster of job "nightly" still expects this person' in answer.err
    office.write(ADA, name=name)
    assert office.invites("forget", "bob@example.org").code == 0


def test_nobody_is_forgotten_whom_a_roster_with_brackets_in_its_name_still_has(
    office: Office,
) -> None:
    """`a[1].csv` is that very file for `run`, and so it is for `forget`."""
    office.send([ADA], "--withdraw-now")
    config = office.folder / "invites.toml"
    config.write_text(config.read_text() + JOB.replace("*.csv", "a[1].csv"))
    (office.folder / "nightly").mkdir()
    office.write(ADA, BOB, name="nightly/a[1].csv")
    answer = office.invites("forget", "bob@example.org")
    assert (answer.code, "still expects this person" in answer.err) == (2, True)
