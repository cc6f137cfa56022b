"""Whatever happened, the last run brings every mailbox to what the roster says."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.receiver.machine import Nights

QUICK = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def test_every_mailbox_holds_what_the_roster_says() -> None:
    """Edits, runs, deaths, lost mail, other secrets, half a roster: all comes right."""
    run_state_machine_as_test(Nights, settings=QUICK)  # type: ignore[no-untyped-call]
