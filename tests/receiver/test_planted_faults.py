"""The machine finds each fault that is planted in the planner."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.receiver.faults import FAULTS
from tests.receiver.machine import Nights
from tests.receiver.watch import WrongError

SEARCH = settings(
    max_examples=150,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    database=None,
    report_multiple_bugs=False,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("name", FAULTS)
def test_the_machine_finds(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Receivers, and nobody else, notice what is wrong."""
    FAULTS[name](monkeypatch)
    with pytest.raises(WrongError):
        run_state_machine_as_test(Nights, settings=SEARCH)  # type: ignore[no-untyped-call]
