"""What stays the same over the nights, and what must not."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invites.planning.state import MessageIds, uid_for

STAMP = datetime(2031, 1, 1, 8, tzinfo=UTC)
FACTS = {
    "uid": "u",
    "method": "REQUEST",
    "sequence": 0,
    "dtstamp": STAMP,
    "domain": "example.com",
}
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)


def message_id(address: str = "ada@example.org", **facts: Any) -> str:
    """Return the Message-ID of these facts."""
    return MessageIds(**{**FACTS, **facts}).for_address(address)


def test_the_uid_is_the_documented_one() -> None:
    """uuid5 over namespace, NUL and meeting id: other programs can compute it."""
    expected = uuid.uuid5(uuid.NAMESPACE_URL, "invites:example.com\0weekly")
    assert uid_for("example.com", "weekly") == str(expected)


@given(TEXTS, TEXTS, TEXTS, TEXTS)
def test_different_meetings_have_different_uids(
    space: str, one: str, other_space: str, other: str
) -> None:
    """Also where namespace and id together read the same."""
    same = (space, one) == (other_space, other)
    assert (uid_for(space, one) == uid_for(other_space, other)) is same


def test_a_uid_holds_no_personal_data() -> None:
    """Only hexadecimal digits and hyphens."""
    assert re.fullmatch("[0-9a-f-]{36}", uid_for("example.com", "one-to-one with Ada"))


def test_a_retry_repeats_the_message_id() -> None:
    """The same revision for the same person, in whatever zone the stamp is given."""
    elsewhere = STAMP.astimezone(timezone(timedelta(hours=9)))
    assert message_id() == message_id(dtstamp=elsewhere)
    assert re.fullmatch(r"<[0-9a-f]{40}@example\.com>", message_id())


@pytest.mark.parametrize(
    "facts",
    [
        {"uid": "v"},
        {"method": "CANCEL"},
        {"method": "REMINDER"},
        {"sequence": 1},
        {"dtstamp": STAMP + timedelta(seconds=1)},
        {"domain": "example.net"},
        {"address": "bob@example.org"},
    ],
)
def test_another_revision_or_person_has_another_message_id(facts: dict[str, Any]) -> None:
    """Each fact counts."""
    assert message_id(**facts) != message_id()


def test_one_object_serves_many_addresses() -> None:
    """No address leaves a trace in the next one's Message-ID."""
    ids = MessageIds(**FACTS)
    first = ids.for_address("ada@example.org")
    assert ids.for_address("bob@example.org") != first
    assert ids.for_address("ada@example.org") == first
