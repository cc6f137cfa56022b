"""What a command does before its work: it looks at the clock, and spares the collector."""

from __future__ import annotations

import gc
import os
from datetime import UTC, datetime

from invites.errors import UsageError

FIRST_YEAR, LAST_YEAR = 1970, 9998
"""What `--now` can be: a NumericDate is not negative, and arithmetic needs a day to spare."""


def clock(given: str | None = None, *, reproducible: bool = False) -> datetime:
    """Return the present in UTC and whole seconds, or what stands in for it.

    `given` is `--now`.  With `reproducible` (`check`, `build`) SOURCE_DATE_EPOCH does the same.
    Raises UsageError for a time without offset or of no known form.
    """
    if given is not None:
        return _instant(given)
    epoch = os.environ.get("SOURCE_DATE_EPOCH") if reproducible else None
    if epoch:
        if not epoch.isascii() or not epoch.isdigit():
            raise UsageError(
                f'SOURCE_DATE_EPOCH: found "{epoch[:40]}", expected whole seconds since 1970'
            )
        if len(epoch) > 11 or (instant := datetime.fromtimestamp(int(epoch), UTC)).year > LAST_YEAR:
            raise UsageError(
                f'SOURCE_DATE_EPOCH: found "{epoch[:40]}", expected a time up to {LAST_YEAR}'
            )
        return instant
    return datetime.now(UTC).replace(microsecond=0)


def _instant(text: str) -> datetime:
    expected = "a time with offset such as 2026-12-01T09:00:00+01:00 or 2026-12-01T08:00:00Z"
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f'--now: found "{text[:60]}", expected {expected}') from None
    if instant.tzinfo is None:
        raise UsageError(f'--now: found "{text[:60]}" without offset, expected {expected}')
    try:
        instant = instant.astimezone(UTC).replace(microsecond=0)
    except OverflowError:
        instant = datetime.min.replace(tzinfo=UTC)
    if not FIRST_YEAR <= instant.year <= LAST_YEAR:
        raise UsageError(
            f'--now: found "{text[:60]}", expected a time from {FIRST_YEAR} to {LAST_YEAR}'
        )
    return instant


def spare_the_collector() -> None:
    """Switch the garbage collector off, for a build: a roster and its messages have no cycles.

    Walking through all of them again and again costs a tenth of the build and finds nothing; the
    memory at its peak is the same with 100,000 attendees.
    """
    gc.disable()
