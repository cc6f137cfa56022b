"""A second run over an unchanged roster sends nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.roster import write_roster
from tests.support import Answer
from tests.world import CommandWorld

Invites = Callable[..., Answer]


def test_ten_thousand_unchanged_are_sent_once(invites: Invites, tmp_path: Path) -> None:
    """A second run of the same roster delivers nothing."""
    CommandWorld.ready(invites, tmp_path)
    write_roster(tmp_path / "roster.csv", 10_000)
    arguments = ("send", "roster.csv", "--to", "folder", "--now", "2030-12-01T00:00:00Z")
    sent, idle = invites(*arguments), invites(*arguments)
    assert (sent.code, "10,000 of 10,000 messages sent" in sent.out) == (0, True)
    assert (idle.code, "Nothing to send." in idle.out) == (0, True)
    assert len(list((tmp_path / "outbox").iterdir())) == 1
