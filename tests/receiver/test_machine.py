"""Whatever happened, the last run brings every mailbox to what the roster says."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.receiver.machine import Nights

NIGHTS = settings(
    max_examples=50,
    stateful_step_count=25,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
"""Without shrinking, which takes minutes here: what fails is printed as it was found."""


def test_every_mailbox_holds_what_the_roster_says() -> None:
    """Edits, runs, deaths, lost mail, other secrets, half a roster: all comes right."""
    run_state_machine_as_test(Nights, settings=NIGHTS)  # type: ignore[no-untyped-call]


@pytest.mark.faults
def test_every_mailbox_holds_what_the_roster_says_after_longer_stories() -> None:
    """The same, over hundreds of longer stories."""
    longer = settings(NIGHTS, max_examples=600, stateful_step_count=50)
    run_state_machine_as_test(Nights, settings=longer)  # type: ignore[no-untyped-call]
