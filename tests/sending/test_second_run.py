"""A second run over an unchanged roster is cheap."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.roster import write_roster
from tests.office import Office
from tests.support import Answer

Invites = Callable[..., Answer]


def test_ten_thousand_unchanged_cost_a_tenth_at_most(invites: Invites, tmp_path: Path) -> None:
    """Nothing is sent, in less than a tenth of the first run's CPU, start-up taken off."""
    Office(invites, tmp_path).settle_in()
    write_roster(tmp_path / "one.csv", 1)
    write_roster(tmp_path / "roster.csv", 10_000)

    def cpu_of(name: str, *flags: str) -> tuple[float, Answer]:
        began = time.process_time()
        answer = invites("send", name, "--now", "2030-12-01T00:00:00Z", *flags)
        return time.process_time() - began, answer

    cpu_of("one.csv", "--scope", "one", "--dry-run")
    start_up, _ = cpu_of("one.csv", "--scope", "one", "--dry-run")
    first, sent = cpu_of("roster.csv")
    second, idle = cpu_of("roster.csv")
    assert (sent.code, "10,000 of 10,000 messages sent" in sent.out) == (0, True)
    assert (idle.code, "Nothing to send." in idle.out) == (0, True)
    assert len(list((tmp_path / "outbox").iterdir())) == 1
    assert second - start_up < (first - start_up) / 10
