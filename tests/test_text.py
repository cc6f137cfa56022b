"""Slugs keep what people recognise."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invites.text import slug


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
