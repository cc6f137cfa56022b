"""Slugs keep what people recognise; a server's words become one line with nothing secret in it."""

from __future__ import annotations

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invites.text import ANSWER_AT_MOST, masked, slug

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJyb29tIjoiYSJ9.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("Weekly Planning", "weekly-planning"),
        ("  --Weekly__Planning!! ", "weekly-planning"),
        ("Réunion", "reunion"),
        ("ﬁnal ²", "final-2"),
        ("東京", "other"),
        ("", "other"),
        ("a" * 30, "a" * 20),
        ("a" * 19 + " b", "a" * 19),
    ],
)
def test_a_slug_is_what_is_left_in_ascii(text: str, made: str) -> None:
    """Letters and digits joined by hyphens, at most 20 here, never ending in a hyphen."""
    assert slug(text, 20, otherwise="other") == made


@given(st.text(), st.integers(1, 60))
def test_a_slug_is_never_empty_long_or_odd(text: str, at_most: int) -> None:
    """Whatever the text."""
    made = slug(text, at_most, otherwise="x")
    assert re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", made)
    assert len(made) <= at_most
    assert slug(made, at_most, otherwise="x") == made


@pytest.mark.parametrize(
    "words",
    [
        f"554 spam: https://meet.example.com/room?jwt={TOKEN}",
        f"554 spam: HTTPS://meet.example.com/room?jwt={TOKEN}, sorry",
        f"554 spam: https%3A%2F%2Fmeet.example.com%2Froom%3Fjwt={TOKEN}",
        f"554 token {TOKEN} seen",
        f"554 in part {base64.b64encode(TOKEN.encode()).decode()}",
    ],
)
def test_links_and_tokens_never_stay(words: str) -> None:
    """In plain, quoted, or still in base64 as the parts of a message are."""
    kept = masked(words)
    assert TOKEN not in kept
    assert "eyJ" not in kept
    assert base64.b64encode(TOKEN.encode()).decode()[:20] not in kept
    assert kept.startswith("554 ")


@pytest.mark.parametrize(
    "words",
    [
        "250 2.0.0 Ok: queued as 4cXyZ12345z9Qk",
        "250 2.0.0 OK <abc@example.com> [Hostname=AM0PR01MB1234.eurprd01.prod.example.com]",
        "550 5.1.1 <nobody@example.org>: Recipient address rejected: User unknown",
    ],
)
def test_ordinary_answers_stay_as_they_are(words: str) -> None:
    """What helps to find a message in the relay's log is kept."""
    assert masked(words) == words


def test_what_is_not_printable_becomes_a_blank() -> None:
    """NUL, which PostgreSQL refuses, and line separators among them."""
    assert masked("a\0b\u2028c\r\n") == "a b c"


def test_a_long_answer_is_cut() -> None:
    """What a server says at length is not kept at length."""
    assert len(masked("no such user " * 500)) == ANSWER_AT_MOST


def test_named_secrets_are_masked() -> None:
    """A password that a server repeats is not kept."""
    assert masked("535 wrong: hunter22!", secrets=["hunter22!", ""]) == "535 wrong: [secret]"


@given(st.text(max_size=600))
def test_every_answer_becomes_one_printable_line(words: str) -> None:
    """Whatever a server says, a terminal and a table can show it."""
    kept = masked(words)
    assert kept.isprintable()
    assert len(kept) <= ANSWER_AT_MOST
