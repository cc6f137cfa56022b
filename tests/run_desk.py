"""A desk for one pass after another: settings, a ledger, and a clock that only tests move."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from invites import ledger
from invites import settings as settings_package
from invites.delivery.base import Delivery, open_delivery
from invites.model import Roster
from invites.roster.csv_file import read_table
from invites.roster.parse import parse_roster
from invites.sending import Effects, Renderer, SendOptions, policy_from
from tests.office import HEADER
from tests.support import SETTINGS, write_settings


class Desk:
    """Settings, a renderer, a ledger, and a clock; `pause` moves the clock."""

    def __init__(self, folder: Path, extra: str = "", *, to: str = "folder") -> None:
        """Make the settings and an empty ledger."""
        self.folder = folder
        self.settings = settings_package.load(write_settings(folder, SETTINGS + extra), environ={})
        self.renderer = Renderer.from_settings(self.settings)
        self.to = to
        self.now = datetime(2031, 2, 1, 2, 15, tzinfo=UTC)
        self.stop = False
        self.pauses: list[timedelta] = []
        ledger.create(self.settings.ledger.url)

    def roster(self, *rows: str) -> Roster:
        """Write a roster and read it."""
        path = self.folder / "roster.csv"
        path.write_text("\n".join((HEADER, *rows, "")), encoding="utf-8")
        return parse_roster(read_table(str(path)), self.settings.roster_rules())

    def options(self, **flags: Any) -> SendOptions:
        """Return what a `send` by hand would be."""
        policy = replace(policy_from(self.settings, to=self.to), **flags)
        return SendOptions(scope="default", command="send", delivery=self.to, policy=policy)

    @property
    def effects(self) -> Effects:
        """The effects, with a clock that stands still but for pauses."""
        return Effects(
            clock=lambda: self.now,
            timer=self._seconds,
            stop=lambda: self.stop,
            pause=self._pause,
        )

    def delivery_for(self, run: str) -> Delivery:
        """Open the delivery of a run."""
        to: Any = self.to
        return open_delivery(self.settings, run=run, now=self.now, to=to, keep_old=True)

    def locked(self) -> Any:
        """Open the ledger as its one writer."""
        return ledger.open_ledger(self.settings.ledger.url, lock=True)

    def _seconds(self) -> float:
        return self.now.timestamp()

    def _pause(self, span: timedelta) -> None:
        self.pauses.append(span)
        self.now += span
