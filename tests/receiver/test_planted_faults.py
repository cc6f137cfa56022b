"""Each fault that is planted in the planner is found by what receivers get."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.receiver.faults import FAULTS
from tests.receiver.machine import Nights
from tests.receiver.scenarios import SCENARIOS
from tests.receiver.watch import WrongError
from tests.receiver.world import ReceiverWorld

SEARCH = settings(
    max_examples=400,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    database=None,
    report_multiple_bugs=False,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
SOON = sorted(FAULTS.keys() - SCENARIOS.keys())
RARE = "DTSTAMP is the clock's, also when that was set back"
LONG = sorted(FAULTS.keys() & SCENARIOS.keys() - {RARE})


@pytest.fixture
def world() -> Iterator[ReceiverWorld]:
    """Give a world that has invited nobody."""
    world = ReceiverWorld()
    yield world
    world.close()


def search() -> None:
    """Let the machine look for nights that come out wrong."""
    run_state_machine_as_test(Nights, settings=SEARCH)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("name", SOON)
def test_the_machine_finds(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Receivers notice what is wrong, within a few dozen examples."""
    FAULTS[name](monkeypatch)
    with pytest.raises(WrongError):
        search()


@pytest.mark.faults
@pytest.mark.parametrize("name", LONG)
def test_the_machine_finds_in_time(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Receivers notice what is wrong, within some hundred examples."""
    FAULTS[name](monkeypatch)
    with pytest.raises(WrongError):
        search()


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_night_for_it_finds(
    name: str, world: ReceiverWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A night of a few lines shows the fault, where the machine needs longer."""
    FAULTS[name](monkeypatch)
    with pytest.raises(WrongError):
        played(name, world)


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_same_night_comes_right_without(name: str, world: ReceiverWorld) -> None:
    """It is the fault that spoils it."""
    played(name, world)


def played(name: str, world: ReceiverWorld) -> None:
    """Play a night, and let everything come right after it."""
    SCENARIOS[name](world)
    world.converge()


def test_at_least_ten_faults_are_planted() -> None:
    """Each in one list only, and each is looked for."""
    assert len(FAULTS) >= 10
    assert SCENARIOS.keys() <= FAULTS.keys()
