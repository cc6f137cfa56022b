"""Names of files come from texts alone and are valid on every file system."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from invites.output.forms import is_name, name_for

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
RESERVED = {"con", "prn", "aux", "nul"} | {
    f"{port}{n}" for port in ("com", "lpt") for n in "0123456789"
}


@given(TEXTS)
@example("")
@example("..")
@example("../../etc/passwd")
@example("con")
@example("NUL.txt")
@example("a" * 1000)
@example(" trailing. ")
@example('\x00\n/\\:*?"<>|')
@example("ﬁﬀ½")
@example("İ")
def test_a_name_is_valid_everywhere(text: str) -> None:
    """ASCII letters, digits and hyphens; short; no dot, blank or device's name."""
    name = name_for(text)
    assert re.fullmatch("[a-z0-9-]{18,57}", name)
    assert name.partition(".")[0] not in RESERVED
    assert not name.startswith("-")
    assert is_name(name)


@given(TEXTS, TEXTS)
@example("weekly", "Weekly")
@example("weekly", "WEEKLY ")
@example("a b", "a-b")
@example("é", "e")
@example("ß", "ss")
@example("x" * 50, "x" * 51)
def test_different_texts_have_names_that_differ_in_any_case(one: str, other: str) -> None:
    """Also where a file system folds upper and lower case."""
    assert (name_for(one).casefold() == name_for(other).casefold()) is (one == other)


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("ada@example.org", "ada-example-org-"),
        ("Réunion d’été", "reunion-dete-"),
        ("東京", "x-"),
        ("weekly-planning", "weekly-planning-"),
    ],
)
def test_people_recognise_the_name(text: str, start: str) -> None:
    """The slug is what is left of the text in ASCII."""
    assert re.fullmatch(start + "[0-9a-f]{16}", name_for(text))


@pytest.mark.parametrize(
    "text",
    ["", "photos", "x-123", "../x-0123456789abcdef", "X-0123456789abcdef", "-0123456789abcdef"],
)
def test_another_name_is_not_ours(text: str) -> None:
    """A folder of such a name was made by somebody else."""
    assert not is_name(text)
