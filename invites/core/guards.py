"""Guards that look at the clock and at the time zone data, against what the ledger remembers."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from invites.core.text import counted

CLOCK_BEHIND = timedelta(minutes=5)
"""A clock this much behind the last run is still taken for the same clock."""

_RELEASE = re.compile(r"(\d{4})([a-z]{1,2})", re.ASCII)


def clock_fault(last_run: int | None, now: int, *, ahead: timedelta) -> str | None:
    """Return why the clock can't be trusted, or None; both times are seconds since 1970.

    A pause between two runs is no fault, unless it is longer than `ahead`.
    """
    if last_run is None:
        return None
    if last_run - now > CLOCK_BEHIND.total_seconds():
        return _clock_text(last_run, now, "is behind")
    if now - last_run > ahead.total_seconds():
        return _clock_text(last_run, now, f"is more than {counted(ahead.days, 'day')} past")
    return None


def _clock_text(last_run: int, now: int, words: str) -> str:
    return (
        f"clock: found {_said(now)}, which {words} the ledger's last run at {_said(last_run)}; "
        "expected a clock that is right; set it, or give --accept-clock if it is"
    )


def _said(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def zone_data_fault(recorded: str | None, current: str) -> str | None:
    """Return why the time zone data can't be trusted, or None; versions read as `2026f`."""
    release = _RELEASE.fullmatch(current)
    if release is None:
        return (
            f'time zone data: found version "{current[:40]}", expected a release such as 2026f; '
            "install the tzdata package anew"
        )
    earlier = _RELEASE.fullmatch(recorded or "")
    if earlier is not None and _order(release) < _order(earlier):
        return (
            f"time zone data: found version {current}, expected {recorded} or later, with which "
            "the ledger's invitations were made; update the tzdata package"
        )
    return None


def _order(release: re.Match[str]) -> tuple[int, int, str]:
    year, letters = release.groups()
    return int(year), len(letters), letters
