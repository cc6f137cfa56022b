"""Whole sweeps of what `make test` samples: flipped bits, and older copies that were put back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ledger.test_noticing import Place, flipped
from tests.ledger.test_noticing import place as place  # noqa: PLC0414 - a fixture
from tests.support import Answer
from tests.world import ADA, BOB, EVE, CommandWorld

Record = Callable[[str, str], None]
FLIPS = 400
NIGHTS = 10


@pytest.mark.faults
@pytest.mark.parametrize("suffix", ["", "-wal"])
def test_hundreds_of_flips_end_in_exit_5_or_in_a_right_run(
    place: Place, tmp_path: Path, suffix: str, record_property: Record
) -> None:
    """One bit anywhere in the file, or in its log."""
    seen = flipped(place, tmp_path, suffix, FLIPS)
    record_property(
        "figures",
        f"{FLIPS} flips of the ledger's {'log' if suffix else 'file'}: {seen['noticed']} noticed "
        f"(exit 5), {seen['harmless']} harmless, {seen['false']} false plans",
    )
    assert set(seen) <= {"noticed", "harmless"}, seen


PUT_BACK = {
    "the file alone": ("invites.db",),
    "the file and its mark": ("invites.db", "invites.db.mark"),
}


@pytest.mark.faults
@pytest.mark.parametrize("what", PUT_BACK)
def test_a_copy_of_any_night_is_noticed_and_goes_on_above_what_was_used(
    what: str, invites: Callable[..., Answer], tmp_path: Path, record_property: Record
) -> None:
    """Ten nights with a change each: the ledger of each is put back in turn."""
    world = CommandWorld.ready(invites, tmp_path)

    def rows(night: int) -> list[str]:
        moved = [one.replace("09:30", f"10:{night:02}") for one in (ADA, BOB)]
        return moved if night % 3 else [*moved, EVE]

    copies = []
    for night in range(NIGHTS):
        assert world.send(rows(night)).code == 0
        copies.append({name: (tmp_path / name).read_bytes() for name in PUT_BACK[what]})
    tried = noticed = wrong = 0
    for copy in copies[:-1]:
        for name, octets in copy.items():
            (tmp_path / name).write_bytes(octets)
        batches, used = len(world.batches()), highest(world)
        tried += 1
        noticed += world.send(rows(NIGHTS + tried)).code == 5
        wrong += len(world.batches()) - batches
        assert world.send(rows(NIGHTS + tried), "--after-restore").code in {0, 6}
        wrong += sum(mail.sequence <= used.get(mail.to, -1) for mail in world.last())
        assert world.send(rows(NIGHTS + tried)).code in {0, 6}
    record_property(
        "figures",
        f"{what} put back: {tried} tried, {noticed} noticed, {wrong} messages that were false or "
        "that calendars would ignore",
    )
    assert (noticed, wrong) == (tried, 0)


def highest(world: CommandWorld) -> dict[str, int]:
    """Return the highest SEQUENCE that each receiver has."""
    found: dict[str, int] = {}
    for batch in world.batches():
        for mail in batch:
            found[mail.to] = max(mail.sequence, found.get(mail.to, 0))
    return found
